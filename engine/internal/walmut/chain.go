package wal

import (
	"fmt"
	"math"
	"slices"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// Start is what the meta says about the log.
type Start struct {
	LSN     LSN    // where replay begins
	Segment uint64 // the segment that held LSN when the meta was written
	Seq     kv.Seq // of the last operation before LSN
	End     LSN    // where the log ended when it was closed; 0: it was not
}

// chain is the segments that are alive by W1, ascending and without a gap
// between them: where one ends, the next begins.
type chain []*segment

// closeFiles closes the segments' files.
func (c chain) closeFiles() {
	for _, s := range c {
		_ = s.close()
	}
}

// link finds out where each of the segments, ascending by number, ends, and
// which are dead: those behind whose start one with a larger number begins.
// A gap between two that are alive is a *CorruptError, and the chain then ends
// before it.
func link(all []*segment) (alive chain, dead []*segment, err error) {
	limit := LSN(math.MaxUint64)
	for _, s := range slices.Backward(all) {
		s.end = min(s.start+LSN(s.capacity), limit)
		if s.start >= limit {
			dead = append(dead, s)
			continue
		}
		alive = append(alive, s)
		limit = s.start
	}
	slices.Reverse(alive)
	for i := 1; i < len(alive); i++ {
		if before := alive[i-1]; before.end != alive[i].start {
			c := before.corrupt(before.end, "W1", fmt.Sprintf(
				"the segment between LSN %d and %d is missing", before.end, alive[i].start))
			c.Cause = ErrMissing
			return alive[:i], append(dead, alive[i:]...), c
		}
	}
	return alive, dead, nil
}

// find returns the index of the segment from which lsn is reached, or -1.
func (c chain) find(lsn LSN) int {
	for i, s := range slices.Backward(c) {
		if s.start <= lsn {
			if lsn <= s.end {
				return i
			}
			break
		}
	}
	return -1
}

// synced is the position up to which the log was durable when one of the
// segments was made.
func (c chain) synced() (synced LSN, by *segment) {
	for _, s := range c {
		if by == nil || s.synced > synced {
			synced, by = s.synced, s
		}
	}
	return synced, by
}

// load opens the segments that the start needs and all behind them. The caller
// closes their files, dead ones included.
func (o *Options) load(numbers []uint64, from Start) (alive chain, dead []*segment, err error) {
	var all []*segment
	for _, number := range numbers {
		if number < from.Segment {
			continue
		}
		s, err := o.openSegment(number)
		if err != nil {
			chain(all).closeFiles()
			return nil, nil, err
		}
		all = append(all, s)
	}
	alive, dead, err = link(all)
	if err == nil && alive.find(from.LSN) < 0 {
		err = &CorruptError{
			Path: o.path(segmentName(from.Segment)), LSN: from.LSN, Invariant: "W4", Cause: ErrMissing,
			Reason: fmt.Sprintf("no segment holds the log start %d", from.LSN),
		}
	}
	if err != nil {
		chain(all).closeFiles()
		return nil, nil, err
	}
	return alive, dead, nil
}
