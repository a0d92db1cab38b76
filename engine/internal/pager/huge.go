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
// seen remembers the regions that have been asked for, each in the place that
// its number gives it. Two that meet in one place are asked for again and
// again, which costs a system call each time, so there are places enough.
type hugePages struct{ seen []atomic.Uintptr }

func (h *hugePages) init(limit int64) {
	h.seen = make([]atomic.Uintptr, 1<<bits.Len64(uint64(max(limit, 0)/hugeRegion*2+64)))
}

// cover sees to the memory of n.
func (h *hugePages) cover(n node.Node) {
	region := uintptr(unsafe.Pointer(unsafe.SliceData(n))) / hugeRegion
	if seen := &h.seen[region%uintptr(len(h.seen))]; seen.Load() != region {
		seen.Store(region)
		adviseHuge(region * hugeRegion)
	}
}
