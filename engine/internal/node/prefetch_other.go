//go:build !amd64 && !arm64

package node

func prefetch(uintptr) {}
