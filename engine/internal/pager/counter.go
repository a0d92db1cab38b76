package pager

import "unsafe"

// counter counts events that are too frequent for an atomic addition. Each
// goroutine adds to one of several stripes, found from the address of its
// stack. The additions are plain: two goroutines that meet in one stripe may
// lose a count now and then, which a hit rate can bear and which nothing else
// depends on. (A plain addition takes 1 ns; an atomic one 5, a tenth of a
// lookup.)
type counter struct {
	stripes [counterStripes]struct {
		n uint64
		_ [56]byte // a cache line each
	}
}

const counterStripes = 64

// add adds n, and returns what the stripe has then.
//
//go:norace
func (c *counter) add(n int) uint64 {
	var here byte
	a := uintptr(unsafe.Pointer(&here))
	s := &c.stripes[(a>>11^a>>17)%counterStripes].n
	*s += uint64(n)
	return *s
}

//go:norace
func (c *counter) sum() uint64 {
	var n uint64
	for i := range c.stripes {
		n += c.stripes[i].n
	}
	return n
}
