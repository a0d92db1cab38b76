//go:build amd64 || arm64

package node

import "unsafe"

// prefetch tells the processor that 512 bytes from p on will be read soon. It
// is a hint, which never faults: p may be any address.
//
//go:noescape
func prefetch(p unsafe.Pointer)
