//go:build amd64 || arm64

package node

// prefetch tells the processor that 512 bytes from an address on will be read
// soon. It is a hint, which never faults: there need be nothing at the address,
// which is therefore a number.
func prefetch(address uintptr)
