package wal

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/vfs"
)

// Check reads the log from the start as far as it can, calls visit for each
// record, and returns every damage that it meets, or the first maxDamages and
// how many more (Report.Omitted). It changes nothing. The error is that of
// listing the segments, or of visit.
//
// Behind the end of the log it looks for records that are whole: visit gets
// them, marked as Cut, and one damage with the cause ErrCut tells of them.
func Check(o Options, from Start, visit func(Record) error) (Report, []*CorruptError, error) {
	c := checker{o: &o, visit: visit, report: Report{From: from.LSN, To: from.LSN, Seq: from.Seq}}
	err := c.run(from)
	// Where only headers are damaged, sequence numbers without a gap prove that
	// nothing is lost up to the newest record.
	n := len(c.broken)
	c.report.Mended = n > 0 && n == len(c.damages) && c.report.Omitted == 0 && !c.holes && c.broken[n-1] < c.newest
	return c.report, c.damages, err
}

type checker struct {
	found
	o      *Options
	visit  func(Record) error
	report Report

	newest uint64 // number of a segment of which a record was read
	holes  bool   // some of the log is missing

	// Of the chain that is walked.
	last    bool          // it goes to the end of the log
	scanned bool          // behind is set
	behind  rest          // of the first place that is not valid
	blind   error         // why behind is not known
	told    bool          // what the disk does not give is noted
	cut     *CorruptError // the end of the log, once it has been met
	missed  missed        // behind cut
}

// found is the segments from the start on, as far as they can be opened.
type found struct {
	segments []*segment
	damages  []*CorruptError // of their files
	broken   []uint64        // the numbers of the damaged ones
	lost     uint64          // the largest number of one whose place is not known
}

// open opens the segments with the number from on. The caller closes them.
func (o *Options) open(from uint64) (f found, err error) {
	list, err := o.list()
	for _, number := range list.segments {
		if number < from {
			continue
		}
		s, err := o.openSegment(number)
		if err != nil {
			damage, ok := errors.AsType[*CorruptError](err)
			if !ok && vfs.IsTooManyFiles(err) {
				return f, err
			}
			if !ok {
				damage = &CorruptError{Path: o.path(segmentName(number)), Invariant: "W4", Reason: err.Error(), Cause: err}
			}
			f.damages, f.broken = append(f.damages, damage), append(f.broken, number)
			if s = o.adopt(number); s == nil {
				f.lost = number
				continue
			}
			damage.Reason += "; its records tell where it begins"
		}
		f.segments = append(f.segments, s)
	}
	return f, err
}

// accounts reports whether a damaged file with a number from a up to b, which
// has been told of, is the cause of what is missing there.
func (f *found) accounts(a, b uint64) bool {
	for _, number := range f.broken {
		if a <= number && number < b {
			return true
		}
	}
	return false
}

// adopt opens a segment whose header cannot be used: where it begins is told by
// its first record that is whole, as the checksum of that covers the database
// and the number. It returns nil when there is none.
func (o *Options) adopt(number uint64) *segment {
	path := o.path(segmentName(number))
	f, err := o.FS.Open(path, vfs.ReadOnly)
	if err != nil {
		return nil
	}
	size, err := f.Size()
	s := newSegment(header{uuid: o.UUID, number: number, capacity: (size - dataOffset) &^ (alignment - 1)}, path)
	s.file = f
	if err == nil && size > dataOffset && size < maxLSN && s.findStart() {
		return s
	}
	_ = s.close()
	return nil
}

func (s *segment) findStart() bool {
	w := window{s: s}
	budget := 8 * s.capacity // for checksums that do not hold
	for p := LSN(0); s.end-p >= recordSize; p += alignment {
		b, err := w.at(p, recordSize)
		if err != nil {
			return false
		}
		var h recordHeader
		h.get(b)
		if h.lsn < p || h.lsn > maxLSN || h.lsn%alignment != 0 || !h.belongs(&s.header, h.lsn, int64(s.end-p)) {
			continue
		}
		if budget -= h.size(); budget < 0 {
			return false
		}
		if b, err = w.at(p, h.size()); err == nil && sealed(b, s.crc) {
			s.start, s.end = h.lsn-p, h.lsn-p+s.end
			return true
		}
	}
	return false
}

// maxDamages is how many damages are kept: each record may be one.
const maxDamages = 10_000

// note keeps err as damage.
//
//go:noinline // called in many places, none of them hot
func (c *checker) note(err *CorruptError) {
	if len(c.damages) >= maxDamages {
		c.report.Omitted++
		return
	}
	c.damages = append(c.damages, err)
}

func (c *checker) run(from Start) (err error) {
	if c.found, err = c.o.open(from.Segment); err != nil {
		return err
	}
	defer chain(c.segments).closeFiles()
	lsn, seq := from.LSN, from.Seq+1
	for left := living(c.segments); ; {
		alive, _, gap := link(left)
		if alive.find(lsn) < 0 {
			c.holes = true
			first := uint64(math.MaxUint64)
			if len(alive) > 0 {
				first = alive[0].number
			}
			if !c.accounts(from.Segment, first) {
				c.note(c.o.noStart(from))
			}
			if len(alive) == 0 || alive[0].start < lsn {
				return nil
			}
			lsn, seq = alive[0].start, 0
		}
		end := alive[len(alive)-1]
		next := &segment{header: header{number: math.MaxUint64}}
		if left = after(left, end.end); len(left) > 0 {
			next = left[0]
		}
		known := c.accounts(end.number, next.number)
		c.last = gap == nil && !known
		if err := c.walk(newWalker(alive, lsn, seq), from.End); err != nil {
			return err
		}
		if gap == nil {
			return nil
		}
		c.holes = true
		if !known {
			damage, _ := errors.AsType[*CorruptError](gap)
			c.note(damage)
		}
		lsn, seq = next.start, 0
	}
}

// noStart is the damage that no segment holds the start.
func (o *Options) noStart(from Start) *CorruptError {
	return &CorruptError{
		Path: o.path(segmentName(from.Segment)), LSN: from.LSN, Invariant: "W4", Cause: ErrMissing,
		Reason: fmt.Sprintf("no segment holds the log start %d", from.LSN),
	}
}

// living returns the segments that are not dead by W1. It is asked once, of all:
// what killed one may lie before a gap, and that one behind it.
func living(all []*segment) []*segment {
	var alive []*segment
	limit := LSN(math.MaxUint64)
	for _, s := range slices.Backward(all) {
		if s.start < limit {
			alive, limit = append(alive, s), s.start
		}
	}
	slices.Reverse(alive)
	return alive
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

// walk visits the records from w's place on, beyond damage and beyond the end.
func (c *checker) walk(w *walker, closed LSN) error {
	c.scanned, c.blind, c.told, c.cut, c.missed = false, nil, false, nil, missed{}
	if !c.last {
		closed = 0 // it is known that more is missing
	}
	var budget int64
	for _, s := range w.chain {
		budget += 8 * s.capacity
	}
	for {
		rec, err := w.next()
		if err == nil {
			if err := c.record(w, &rec); err != nil {
				return err
			}
			continue
		}
		more := true
		switch damage, corrupt := errors.AsType[*CorruptError](err); {
		case corrupt && errors.Is(err, ErrMissing):
			if c.last && c.cut == nil {
				c.note(damage)
			}
			more, err = false, nil
		case corrupt:
			if c.cut == nil {
				c.note(damage)
				if w.seq != 0 {
					w.seq = 0 // once more, without it
					continue
				}
			}
			more, err = w.resync(&budget)
		case err == errInvalid:
			damage = w.segment().corrupt(w.place, "W3", "no valid record here")
			if more, err = c.cut != nil || c.end(w, closed), nil; more {
				more, err = w.resync(&budget)
			}
			switch {
			case c.blind == nil || c.cut != nil:
			case more:
				c.note(damage)
			case err == nil && !c.told:
				err = c.blind
			}
		}
		if err != nil { // the rest of the segment is left out
			c.unreadable(w, err)
			c.told = true
			w.end, w.seq = w.segment().end, 0
			more = w.advance()
		}
		if !more {
			break
		}
	}
	if c.missed.records > 0 {
		c.cut.Reason = fmt.Sprintf("the log ends here, where no valid record stands, and behind that are whole commits (%d) where operations are missing (%d)",
			c.missed.records, c.missed.operations)
		c.note(c.cut)
	}
	return nil
}

// record visits a record.
func (c *checker) record(w *walker, r *Record) error {
	if c.cut == nil {
		c.report.count(r)
		c.newest = max(c.newest, r.Segment)
	} else {
		w.seq = 0
		if r.Seq < c.missed.next {
			return nil
		}
		if c.missed.records++; c.missed.next != 0 {
			c.missed.operations += uint64(r.Seq - c.missed.next)
		}
		c.missed.next = r.Last() + 1
		r.Cut = true
	}
	if reason := wrongOps(r); reason != "" {
		c.note(w.segment().corrupt(r.LSN, "W5", reason))
	}
	return c.visit(*r)
}

// missed is what stands behind the end of the log.
type missed struct {
	records    uint64 // that are whole
	operations uint64 // that are not, before one that is
	next       kv.Seq // of the next operation; 0 where neither meta nor record tell
}

// end decides whether the log ends at w's place, and returns whether there may
// be records behind it. If it does not end there, the damage is noted, unless
// nobody can tell (c.blind).
//
// What stands behind a torn place is of the same use of the segment, as its
// checksum covers the number, and was not cut by a recovery, unless that made
// a segment whose place is lost.
func (c *checker) end(w *walker, closed LSN) (more bool) {
	if !c.scanned {
		c.behind, c.blind = w.scan()
		c.scanned = true
	}
	if c.blind != nil {
		return true
	}
	if damage := w.damage(c.behind, closed); damage != nil {
		c.note(damage)
		return true
	}
	behind, err := w.scan()
	if err != nil {
		c.unreadable(w, err)
	}
	if c.last {
		c.report.TornBytes = behind.bytes
	}
	s := w.segment()
	c.cut = s.corrupt(w.place, "W3", "")
	c.cut.Cause = ErrCut
	c.missed = missed{next: c.report.Seq + 1}
	return behind.bytes > 0 && s.number > c.lost
}

// unreadable notes that the disk does not give the bytes of the segment at w's
// place.
func (c *checker) unreadable(w *walker, err error) {
	damage, ok := errors.AsType[*CorruptError](err)
	if !ok {
		damage = w.segment().corrupt(w.place, "W3", err.Error())
		damage.Cause = err
	}
	c.note(damage)
}

// resync moves w to the next valid record behind its place.
func (w *walker) resync(budget *int64) (found bool, err error) {
	w.seq = 0
	for p := w.place + alignment; ; p += alignment {
		for w.segment().limit() < p+recordSize {
			if !w.advance() {
				return false, nil
			}
			p = w.place
		}
		s := w.segment()
		w.win.look(s)
		end := s.limit()
		if p, err = w.win.find(p, end); err != nil {
			return false, err
		}
		if end-p < recordSize {
			continue
		}
		b, err := w.win.at(p, recordSize)
		if err != nil {
			return false, err
		}
		var h recordHeader
		if h.get(b); !h.belongs(&s.header, p, int64(end-p)) {
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
