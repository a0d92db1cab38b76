package pager

import (
	"math/bits"
	"sync/atomic"
	"unsafe"

	"github.com/lightning-db/lightning/engine/internal/node"
)

// hugeRegion is the size of a huge page, and what Go's heap grows by is a
// multiple of: a region that holds a byte of the heap is of the heap.
const hugeRegion = 2 << 20

// hugePages asks for huge pages for the memory of nodes. A random read of a
// large cache otherwise misses the TLB for the node's first line and again for
// its cell, a sixth of its time.
//
// It asks for a region only when most of it is in memory. Go's heap may be thin,
// where a program once needed more, and what the runtime has given back to the
// system it takes for given back for ever: no limit of memory would see a huge
// page that fills the gaps.
//
// seen remembers the regions that have been looked at, each in the place that
// its number gives it: the number, shifted left by progressBits, and how many
// units of progressUnit of nodes have come to lie there since the last look, or
// settled. Two regions that meet in one place are looked at again and again,
// which costs a system call each time, so there are places enough. A cache that
// is smaller than a region has none: the TLB holds its pages.
type hugePages struct{ seen []atomic.Uint64 }

const (
	progressBits = 16
	progressUnit = 512
	settled      = 1<<progressBits - 1
	lookAgain    = hugeRegion / 8 / progressUnit
)

func (h *hugePages) init(limit int64) {
	if limit >= hugeRegion {
		h.seen = make([]atomic.Uint64, 1<<bits.Len64(uint64(limit/hugeRegion*2+64)))
	}
}

// cover sees to the memory of n. Two that cover nodes of one region at once may
// count one of them, or look twice.
func (h *hugePages) cover(n node.Node) {
	if len(h.seen) == 0 {
		return
	}
	region := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(n))) / hugeRegion)
	seen := &h.seen[region%uint64(len(h.seen))]
	was := seen.Load()
	known, progress := was>>progressBits == region, was%(1<<progressBits)
	if known && progress == settled {
		return
	}
	if progress += uint64(len(n)) / progressUnit; known && progress < lookAgain {
		seen.Store(region<<progressBits | progress)
		return
	}
	progress = 0
	if mostlyResident(uintptr(region) * hugeRegion) {
		makeHuge(uintptr(region) * hugeRegion)
		progress = settled
	}
	seen.Store(region<<progressBits | progress)
}
