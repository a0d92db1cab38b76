package wal

import (
	"errors"
	"io/fs"
	"math"
	"slices"
	"strconv"
)

// Release gives up the segments that end at or before the position before, at
// most that of the durable meta: they go to the kept log where there is one, and
// else up to Options.Spares of them are kept to be used again. The active segment,
// segments that are not synced, and what a Hold keeps stay until a later Release.
// A file that cannot be removed harms nobody: each Release tries again, and the
// next Open.
func (l *Log) Release(before LSN) error {
	l.preparing.Lock()
	defer l.preparing.Unlock()
	if l.closed.Load() {
		return ErrClosed
	}
	lingering := l.lingering
	l.lingering = nil
	for _, s := range lingering {
		l.remove(s)
	}
	gone := l.superfluous(min(before, l.Synced()))
	if len(gone) > 0 {
		l.o.dropStale(gone[0].number)
	}
	for _, s := range gone {
		switch {
		case l.keep(s):
		case s.end == before:
			l.remove(s) // the meta may name it: see remove
		default:
			l.retire(s)
		}
	}
	if len(gone) > 0 {
		l.o.trim()
	}
	return nil
}

// superfluous takes the segments that end at or before the position before,
// and that nobody holds, out of the chain.
func (l *Log) superfluous(before LSN) []*segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	before = l.heldLocked(before)
	n := 0
	for n < len(l.segments)-1 && l.segments[n].end <= before {
		n++
	}
	gone := slices.Clone(l.segments[:n])
	l.segments = slices.Delete(l.segments, 0, n)
	return gone
}

// retire makes a spare of a segment with a number below that in the durable
// meta, or removes it. Only ordinary segments become spares, so that any spare
// will do.
func (l *Log) retire(s *segment) {
	spare := l.spareName(s)
	_ = s.close() // nothing in it is needed
	if spare == "" || l.o.FS.Rename(s.path, l.o.path(spare)) != nil {
		l.remove(s)
		return
	}
	l.mu.Lock()
	l.spares = append(l.spares, spare)
	l.mu.Unlock()
}

// remove removes a segment that is out of the chain. One whose number is not
// below that in the durable meta must go this way: as a spare it would get a new
// header, and a crash that undoes the rename would show that under a name
// which recovery still looks at. Such are a dead one, and the one at whose very
// end the meta's log begins: it holds that position, too, and may be the one
// that was named.
//
// Where it cannot be removed it stays, dead: the segment with a larger number
// that begins before it ends goes no sooner than the meta has passed both.
func (l *Log) remove(s *segment) {
	_ = s.close()
	if err := l.o.FS.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.lingering = append(l.lingering, s)
	}
}

// spareName returns a free name for s as a spare, or "" when none is wanted.
func (l *Log) spareName(s *segment) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.capacity != l.capacity || len(l.spares) >= l.o.spares() {
		return ""
	}
	for {
		l.nextID++
		if name := sparePrefix + strconv.Itoa(l.nextID); !slices.Contains(l.spares, name) {
			return name
		}
	}
}

// takeSpareLocked returns a spare to be made a segment of the capacity, or "".
func (l *Log) takeSpareLocked(capacity int64) string {
	n := len(l.spares)
	if n == 0 || capacity != l.capacity {
		return ""
	}
	spare := l.spares[n-1]
	l.spares = l.spares[:n-1]
	return spare
}

// DropSpares removes the segments that wait to be used again, and returns how
// many it has removed. One that cannot be removed goes on waiting.
func (l *Log) DropSpares() int {
	l.preparing.Lock()
	defer l.preparing.Unlock()
	l.mu.Lock()
	spares := l.spares
	l.spares = nil
	l.mu.Unlock()
	n := len(spares)
	kept := slices.DeleteFunc(spares, func(spare string) bool {
		return l.o.FS.Remove(l.o.path(spare)) == nil
	})
	l.mu.Lock()
	l.spares = kept
	l.mu.Unlock()
	return n - len(kept)
}

// DropKept is that of Options.
func (l *Log) DropKept() bool { return l.o.DropKept() }

// Hold keeps the log from a position on from being released.
type Hold struct {
	l   *Log
	at  LSN
	err error
}

// Hold keeps the segments from at on. A hold on what is released already is
// broken from the start.
func (l *Log) Hold(at LSN) *Hold {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := &Hold{l: l, at: at}
	if at < l.segments[0].start {
		h.err = ErrHoldBroken
		return h
	}
	l.holds = append(l.holds, h)
	return h
}

// Advance moves the hold forward; the next Release may then take more.
func (h *Hold) Advance(lsn LSN) {
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	h.at = max(h.at, lsn)
}

// Err returns ErrHoldBroken when the hold no longer keeps anything.
func (h *Hold) Err() error {
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	return h.err
}

// Close ends the hold; the next Release may then take more.
func (h *Hold) Close() {
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	h.l.dropLocked(h)
}

func (l *Log) dropLocked(h *Hold) {
	l.holds = slices.DeleteFunc(l.holds, func(o *Hold) bool { return o == h })
}

// heldLocked returns the position, at most before, up to which nothing is
// held, after it has broken the oldest holds that keep too much.
func (l *Log) heldLocked(before LSN) LSN {
	for {
		oldest := &Hold{at: math.MaxUint64}
		for _, h := range l.holds {
			if h.at < oldest.at {
				oldest = h
			}
		}
		if oldest.at >= before {
			return before
		}
		if int64(before-oldest.at) <= l.o.maxHeld() {
			return oldest.at
		}
		oldest.err = ErrHoldBroken
		l.dropLocked(oldest)
	}
}
