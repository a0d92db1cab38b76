//go:build !amd64 && !arm64

package node

import "unsafe"

func prefetch(unsafe.Pointer) {}
