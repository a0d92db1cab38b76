package pager

import (
	"slices"
	"sort"

	"github.com/lightning-db/lightning/engine/internal/node"
)

// space is who has which part of the file at one generation. Each unit between
// the metas and end is in one of three states:
//
//	used     reachable from the newest meta: every unit not named below
//	free     usable by the next writer
//	pending  no longer reachable from the newest meta, but from an older one
//	         that a reader may have pinned
//
// A writer works on a clone, which becomes the pager's when it commits and is
// forgotten when it aborts. The free list on the disk is free and pending
// together (M3), as no reader outlives the process.
type space struct {
	end     uint64 // in units
	free    *extentSet
	pending []released
	cursor  uint64 // where the last small extent was placed
}

// released are the extents that generation gen no longer reaches, and gen-1 did.
type released struct {
	gen uint64
	ext []extent // sorted
}

const (
	firstUnit = firstExtent / node.Unit
	// largeUnits and more are placed without moving the cursor: they are
	// written by a call of their own, so there is nothing to keep together.
	largeUnits = 256 << 10 / node.Unit
	noCeiling  = 1 << 62
)

func (s *space) clone() *space {
	return &space{end: s.end, free: s.free.clone(), pending: slices.Clone(s.pending)}
}

// reclaim makes usable what generations up to oldestPinned released.
func (s *space) reclaim(oldestPinned uint64) error {
	kept := s.pending[:0]
	for _, r := range s.pending {
		if r.gen > oldestPinned {
			kept = append(kept, r)
			continue
		}
		for _, e := range r.ext {
			if err := s.free.add(e); err != nil {
				return err
			}
		}
	}
	s.pending = kept
	return nil
}

// alloc finds n units between floor and ceiling, at the end of the file where
// nothing else is left. It sweeps upwards once a generation, so that what is
// written together is written in order and in long runs, and starts again from
// the bottom for what the sweep passed over, so that the file stays compact.
func (s *space) alloc(n, floor, ceiling uint64) (uint64, bool) {
	if n < largeUnits {
		if off, ok := s.free.takeFirst(max(s.cursor, floor), n, ceiling); ok {
			s.cursor = off + n
			return off, true
		}
	}
	if off, ok := s.free.takeFirst(floor, n, ceiling); ok {
		if n < largeUnits {
			s.cursor = off + n
		}
		return off, true
	}
	off := s.end
	last, ok := s.free.last()
	atEnd := ok && last.end() == s.end && last.off >= floor
	if atEnd {
		off = last.off
	}
	if off+n > min(ceiling, maxFileSize/node.Unit) {
		return 0, false
	}
	if atEnd {
		s.free.removeLast()
	}
	s.end = off + n
	s.cursor = s.end
	return off, true
}

// trim moves the end down to behind the last unit that is used or pending.
func (s *space) trim() {
	if last, ok := s.free.last(); ok && last.end() == s.end {
		s.end = last.off
		s.free.removeLast()
	}
}

// window returns where to begin, so that what is unused from there to mark is
// as much as is used behind mark, and an eighth more: once that part of the file
// is empty, all that was in it and behind it has room there, whatever its sizes.
func (s *space) window(mark uint64) uint64 {
	if s.end <= mark {
		return mark
	}
	list, _ := s.unused(s.pendingExtents())
	need := s.end - mark
	for _, e := range list {
		need -= e.end() - min(max(mark, e.off), e.end())
	}
	need += need/8 + largeUnits
	for i := len(list) - 1; i >= 0; i-- {
		n := min(list[i].end(), mark) - min(list[i].off, mark)
		if need <= n {
			return list[i].off
		}
		need -= n
	}
	return firstUnit
}

// pendingUnits is the sum of the pending extents.
func (s *space) pendingUnits() uint64 {
	var n uint64
	for _, r := range s.pending {
		for _, e := range r.ext {
			n += e.n
		}
	}
	return n
}

// pendingExtents are the pending extents of all generations, sorted.
func (s *space) pendingExtents() []extent {
	var all []extent
	for _, r := range s.pending {
		all = append(all, r.ext...)
	}
	sortExtents(all)
	return all
}

// unused returns free and pending together: sorted, and neighbours joined. It
// fails when any two overlap.
func (s *space) unused(pending []extent) ([]extent, error) {
	out := make([]extent, 0, s.free.count+len(pending))
	var err error
	push := func(e extent) {
		if k := len(out) - 1; k >= 0 && out[k].end() >= e.off {
			if out[k].end() > e.off {
				err = &overlapError{out[k], e}
			}
			out[k].n += e.n
			return
		}
		out = append(out, e)
	}
	for _, c := range s.free.chunks {
		for _, e := range c.ext {
			for len(pending) > 0 && pending[0].off < e.off {
				push(pending[0])
				pending = pending[1:]
			}
			push(e)
		}
	}
	for _, e := range pending {
		push(e)
	}
	return out, err
}

// sortExtents sorts by the offset. slices.SortFunc takes a tenth less time, and 7 kB
// of the program.
func sortExtents(ext []extent) { sort.Sort(byOffset(ext)) }

type byOffset []extent

func (b byOffset) Len() int           { return len(b) }
func (b byOffset) Less(i, j int) bool { return b[i].off < b[j].off }
func (b byOffset) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }
