//go:build !linux

package crash

import (
	"context"
	"fmt"
)

// Power needs the file systems of Linux.
func Power(context.Context, Options) (Report, error) {
	return Report{}, fmt.Errorf("%w: the power of a file system can be cut on Linux only", ErrUnavailable)
}
