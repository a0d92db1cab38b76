//go:build amd64 || arm64

package memtable

import "unsafe"

// prefetch tells the processor that about 192 bytes from an address on will be
// used soon. It is a hint, which never faults.
//
//go:noescape
func prefetch(address unsafe.Pointer)
