//go:build !linux || !(amd64 || arm64)

package crash

import (
	"context"
	"fmt"
)

// Syscall needs the seccomp notifications of Linux, on amd64 or arm64.
func Syscall(context.Context, Options) (Report, error) {
	return Report{}, fmt.Errorf("%w: system calls are counted on Linux only, on amd64 or arm64", ErrUnavailable)
}
