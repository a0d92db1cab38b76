package faultfs

import (
	"fmt"
	"sync"

	"github.com/lightning-db/lightning/engine/vfs"
)

// markOps is how many records lie between two marks.
const markOps = 128

// history rebuilds the disk as it was at any moment: it keeps the disk at
// every markOps-th record, made when first asked for, and the disk that was
// asked for last. Walking up the moments of a scenario so replays each record
// twice, and going back replays at most markOps.
type history struct {
	mu    sync.Mutex
	marks []*disk // marks[i] after i*markOps records; never changed
	last  *disk
	lastN int
	lost  Losses
}

// image returns what damage leaves of the disk after the first n records.
func (h *history) image(journal []record, n int, damage Damage) *vfs.Mem {
	if n < 0 || n > len(journal) {
		panic(fmt.Sprintf("faultfs: image after %d operations of %d", n, len(journal)))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return newImage(h.at(journal, n), damage, n, &h.lost)
}

// at returns the disk after n records, to be read until the next call.
func (h *history) at(journal []record, n int) *disk {
	if h.last == nil || n < h.lastN || n-h.lastN > markOps {
		h.last = h.mark(journal, n/markOps).clone()
		h.lastN = n / markOps * markOps
	}
	for ; h.lastN < n; h.lastN++ {
		h.last.apply(&journal[h.lastN])
	}
	return h.last
}

func (h *history) mark(journal []record, i int) *disk {
	for len(h.marks) <= i {
		done := (len(h.marks) - 1) * markOps
		d := h.marks[len(h.marks)-1].clone()
		for at := range markOps {
			d.apply(&journal[done+at])
		}
		h.marks = append(h.marks, d)
	}
	return h.marks[i]
}
