// Package tally counts what happens too often to be counted under a lock.
package tally

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// Counter counts events that are too frequent for an atomic addition. Each
// goroutine adds to one of several stripes, found from the address of its
// stack. The additions are plain: two goroutines that meet in one stripe may
// lose a count now and then, which a hit rate or a number of reads can bear and
// which nothing else depends on. (A plain addition takes 1 ns; an atomic one 5,
// a tenth of a lookup.) The zero value is ready.
type Counter struct {
	stripes [counterStripes]struct {
		n uint64
		_ [56]byte // a cache line each
	}
	shown atomic.Uint64
}

const counterStripes = 64

// Add adds n, and returns what the stripe has then: a number that is one more
// with every Add(1) of a goroutine, about.
//
//go:norace
func (c *Counter) Add(n int) uint64 {
	s := &c.stripes[Stripe()%counterStripes].n
	*s += uint64(n)
	return *s
}

// Stripe is a number that goroutines which run at once mostly do not share. Take
// it modulo a power of two.
func Stripe() uintptr {
	var here byte
	a := uintptr(unsafe.Pointer(&here))
	return a>>11 ^ a>>17
}

// Sum is the number of events. It never goes down, though a stripe may: to who
// watches a counter, one that does was begun anew.
//
//go:norace
func (c *Counter) Sum() uint64 {
	var n uint64
	for i := range c.stripes {
		n += c.stripes[i].n
	}
	for {
		shown := c.shown.Load()
		if n <= shown {
			return shown
		}
		if c.shown.CompareAndSwap(shown, n) {
			return n
		}
	}
}

// Histogram counts values by size: those up to 2^low, up to twice that, and so
// on. It may be used by many goroutines at once.
type Histogram struct {
	low    uint8 // set before it is used
	counts [HistogramBounds + 1]atomic.Uint64
	sum    atomic.Uint64
}

// HistogramBounds is how many bounds a histogram has.
const HistogramBounds = 25

// Init makes 1<<low the first bound.
func (h *Histogram) Init(low uint8) { h.low = low }

// Observe counts a value of at least 0.
func (h *Histogram) Observe(x int64) {
	i := max(bits.Len64(uint64(max(x, 1)-1))-int(h.low), 0)
	h.counts[min(i, HistogramBounds)].Add(1)
	h.sum.Add(uint64(max(x, 0)))
}

// Snapshot is a histogram at one moment.
type Snapshot struct {
	Low    uint8
	Counts [HistogramBounds + 1]uint64 // of each bucket by itself; the last is of what is above all bounds
	Sum    uint64
}

// Bound is the largest value of bucket i, which is not the last.
func (s *Snapshot) Bound(i int) uint64 { return 1 << (int(s.Low) + i) }

// Snapshot returns the counts. Values that are counted meanwhile may be in Sum
// and not yet in Counts.
func (h *Histogram) Snapshot() Snapshot {
	s := Snapshot{Low: h.low, Sum: h.sum.Load()}
	for i := range h.counts {
		s.Counts[i] = h.counts[i].Load()
	}
	return s
}

// Count is how many values were counted.
func (h *Histogram) Count() uint64 {
	n := uint64(0)
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}

// Sum is the sum of the values.
func (h *Histogram) Sum() uint64 { return h.sum.Load() }
