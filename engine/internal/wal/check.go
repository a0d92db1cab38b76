package wal

import (
	"errors"
	"fmt"
)

// Check reads the log from the start as far as it can, calls visit for each
// record, and returns every damage that it meets. It changes nothing. The
// error is that of reading, or of visit.
func Check(o Options, from Start, visit func(Record) error) (Report, []*CorruptError, error) {
	c := checker{o: &o, visit: visit, report: Report{From: from.LSN, To: from.LSN, Seq: from.Seq}}
	err := c.run(from)
	return c.report, c.damages, err
}

type checker struct {
	o       *Options
	visit   func(Record) error
	report  Report
	damages []*CorruptError

	scanned bool // of the chain that is walked
	behind  rest // of the first place that is not valid
}

// note keeps err when it is damage, and returns it when it is not.
//
//go:noinline // called in many places, none of them hot
func (c *checker) note(err error) error {
	damage, ok := errors.AsType[*CorruptError](err)
	if !ok {
		return err
	}
	c.damages = append(c.damages, damage)
	return nil
}

func (c *checker) run(from Start) error {
	found, err := c.o.list()
	if err != nil {
		return err
	}
	var all []*segment
	defer func() { chain(all).closeFiles() }()
	for _, number := range found.segments {
		if number < from.Segment {
			continue
		}
		s, err := c.o.openSegment(number)
		if err != nil {
			if err := c.note(err); err != nil {
				return err
			}
			continue
		}
		all = append(all, s)
	}
	lsn, seq := from.LSN, from.Seq+1
	for left := all; ; {
		alive, _, gap := link(left)
		if alive.find(lsn) < 0 {
			_ = c.note(&CorruptError{
				Path: c.o.path(segmentName(from.Segment)), LSN: lsn, Invariant: "W4", Cause: ErrMissing,
				Reason: fmt.Sprintf("no segment holds the log start %d", lsn),
			})
			if len(alive) == 0 || alive[0].start < lsn {
				return nil
			}
			lsn, seq = alive[0].start, 0
		}
		if err := c.walk(newWalker(alive, lsn, seq), from.End); err != nil {
			return err
		}
		if gap == nil {
			return nil
		}
		_ = c.note(gap)
		left = after(left, alive[len(alive)-1].end)
		lsn, seq = left[0].start, 0
		for _, s := range left {
			lsn = min(lsn, s.start)
		}
	}
}

// after returns the segments that start past lsn.
func after(segments []*segment, lsn LSN) []*segment {
	var past []*segment
	for _, s := range segments {
		if s.start > lsn {
			past = append(past, s)
		}
	}
	return past
}

// walk visits the records from w's place on, beyond damage too.
func (c *checker) walk(w *walker, closed LSN) error {
	c.scanned = false
	var budget int64
	for _, s := range w.chain {
		budget += 8 * s.capacity
	}
	for {
		rec, err := w.next()
		if err == nil {
			c.report.count(&rec)
			if reason := wrongOps(&rec); reason != "" {
				s := w.segment()
				_ = c.note(s.corrupt(rec.LSN, "W5", reason))
			}
			if err := c.visit(rec); err != nil {
				return err
			}
			continue
		}
		if err != errInvalid {
			if err := c.note(err); err != nil {
				return err
			}
			if errors.Is(err, ErrMissing) {
				return nil
			}
			if w.seq != 0 {
				w.seq = 0 // once more, without it
				continue
			}
		} else if torn, err := c.end(w, closed); torn || err != nil {
			return err
		}
		if found, err := w.resync(&budget); !found || err != nil {
			return err
		}
	}
}

// end decides whether the log ends at w's place; if not, it notes the damage.
func (c *checker) end(w *walker, closed LSN) (torn bool, err error) {
	if !c.scanned {
		if c.behind, err = w.scan(); err != nil {
			return false, err
		}
		c.scanned = true
	}
	if damage := w.damage(c.behind, closed); damage != nil {
		return false, c.note(damage)
	}
	behind, err := w.scan()
	c.report.TornBytes = behind.bytes
	return true, err
}

// resync moves w to the next valid record behind its place.
func (w *walker) resync(budget *int64) (found bool, err error) {
	w.seq = 0
	for p := w.place + alignment; ; p += alignment {
		for w.segment().end < p+recordSize {
			if !w.advance() {
				return false, nil
			}
			p = w.place
		}
		s := w.segment()
		w.win.look(s)
		b, err := w.win.at(p, recordSize)
		if err != nil {
			return false, err
		}
		var h recordHeader
		if h.get(b); !h.belongs(&s.header, p, int64(s.end-p)) {
			continue
		}
		if *budget -= h.size(); *budget < 0 {
			return false, nil
		}
		if b, err = w.win.at(p, h.size()); err != nil {
			return false, err
		}
		if sealed(b, s.crc) {
			w.place, w.end = p, p
			return true, nil
		}
	}
}

// wrongOps returns what is wrong with a record's operations, or "".
func wrongOps(r *Record) string {
	p := r.Payload
	for i := range r.Count {
		var err error
		if _, p, err = NextOp(p); err != nil {
			return fmt.Sprintf("operation %d of %d cannot be read", i+1, r.Count)
		}
	}
	if len(p) > 0 {
		return fmt.Sprintf("%d bytes follow the last of %d operations", len(p), r.Count)
	}
	return ""
}
