package wal

import (
	"errors"
	"fmt"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// Record is one commit in the log.
type Record struct {
	LSN, End LSN    // from its header to where the next may begin
	Segment  uint64 // the number of the segment that holds it
	Seq      kv.Seq // of its first operation
	Count    uint32 // of operations
	Payload  []byte // the operations; valid until the next record is read
	Cut      bool   // of Check: it stands behind the end of the log
}

// Last is the sequence number of the record's last operation.
func (r *Record) Last() kv.Seq { return r.Seq + kv.Seq(r.Count) - 1 }

// errInvalid says that no valid record stands at a walker's place.
var errInvalid = errors.New("no valid log record")

// walker reads a chain record by record.
type walker struct {
	chain  chain
	i      int    // of the segment that holds place
	place  LSN    // where the next record is expected
	seq    kv.Seq // the next sequence number; 0: any
	end    LSN    // of the last record: place, or before it at a segment's end
	synced LSN    // the largest synced mark of the records read
	marked bool   // an end-of-segment record stands between end and place
	win    window
}

// newWalker returns a walker that stands at lsn, which c holds.
//
//go:noinline // called in many places, none of them hot
func newWalker(c chain, lsn LSN, seq kv.Seq) *walker {
	return &walker{chain: c, i: c.find(lsn), place: lsn, end: lsn, seq: seq}
}

func (w *walker) segment() *segment { return w.chain[w.i] }

// next returns the next record and passes it. It returns errInvalid when none
// stands at w.place, and a *CorruptError when what stands there breaks a
// promise that no crash can break.
func (w *walker) next() (Record, error) {
	for {
		s := w.segment()
		if s.end-w.place < recordSize {
			if !w.advance() {
				return Record{}, errInvalid
			}
			continue
		}
		h, b, err := w.read()
		if err != nil {
			return Record{}, err
		}
		if w.seq != 0 && h.seq != w.seq && (h.count != 0 || h.seq != 0) {
			return Record{}, s.corrupt(w.place, "W2", fmt.Sprintf(
				"the record has sequence number %d, not %d", h.seq, w.seq))
		}
		w.synced = max(w.synced, h.synced)
		if h.count == 0 {
			w.marked = true
			if !w.advance() {
				c := s.corrupt(s.end, "W1", "the segment was finished, and the next one is missing")
				c.Cause = ErrMissing
				return Record{}, c
			}
			continue
		}
		next, ok := followedBy(h.seq, h.count)
		if !ok {
			return Record{}, s.corrupt(w.place, "W2", "the sequence number is out of range")
		}
		r := Record{
			LSN: w.place, End: w.place + LSN(h.size()), Segment: s.number, Seq: h.seq, Count: h.count,
			Payload: b[recordSize : recordSize+int64(h.length)],
		}
		w.place, w.end, w.seq, w.marked = r.End, r.End, next, false
		return r, nil
	}
}

// read returns the valid record at w.place, or errInvalid.
func (w *walker) read() (h recordHeader, b []byte, err error) {
	s := w.segment()
	w.win.look(s)
	rest := int64(s.limit() - w.place)
	if rest < recordSize {
		return h, nil, errInvalid // the file was cut short
	}
	if b, err = w.win.at(w.place, recordSize); err != nil {
		return h, nil, err
	}
	h.get(b)
	if !h.belongs(&s.header, w.place, rest) {
		return h, nil, errInvalid
	}
	if b, err = w.win.at(w.place, h.size()); err != nil {
		return h, nil, err
	}
	if !sealed(b, s.crc) {
		return h, nil, errInvalid
	}
	return h, b, nil
}

// advance goes to the start of the next segment, if there is one.
func (w *walker) advance() bool {
	if w.i+1 == len(w.chain) {
		return false
	}
	w.i++
	w.place = w.segment().start
	return true
}

// rewind goes back to the end of the last record.
func (w *walker) rewind() { w.i, w.place = w.chain.find(w.end), w.end }

// rest is what stands in a chain behind a place where no valid record does.
type rest struct {
	synced  LSN   // the largest synced mark of a valid record there
	bytes   int64 // written there, as far as it can be told from bytes of an earlier use
	used    bool  // the segments' present use has written there
	offset  int64 // of the record with the largest mark
	segment *segment
}

// scan looks at every place behind w.place for records of the present use of
// their segments (W3). It takes time linear in the length of the segments.
func (w *walker) scan() (rest, error) {
	var r rest
	budget := int64(8 * windowSize) // for checksums that do not hold
	for i := w.i; i < len(w.chain); i++ {
		budget += 8 * int64(w.chain[i].limit()-w.chain[i].start)
	}
	win := &w.win
	win.forget()
	for i := w.i; i < len(w.chain); i++ {
		s := w.chain[i]
		win.look(s)
		from := max(s.start, w.place)
		written, err := w.scanSegment(s, from, &r, &budget)
		if err != nil {
			return r, err
		}
		r.bytes += int64(written - from)
	}
	return r, nil
}

// scanSegment scans s from a place on and returns where what was written ends.
func (w *walker) scanSegment(s *segment, from LSN, r *rest, budget *int64) (written LSN, err error) {
	end := s.limit()
	written = from
	if room := min(end-from, recordSize); from == w.place && (room == recordSize || end < s.end) {
		b, err := w.win.at(from, int64(room))
		if err != nil {
			return 0, err
		}
		if !allZero(b) {
			r.used = true
			written = from + room
		}
	}
	for p := from; ; p += alignment {
		if p, err = w.win.find(p, end); err != nil || end-p < recordSize {
			return written, err
		}
		b, err := w.win.at(p, recordSize)
		if err != nil {
			return 0, err
		}
		var h recordHeader
		h.get(b)
		if !h.belongs(&s.header, p, int64(end-p)) {
			continue
		}
		r.used = true
		written = max(written, p+LSN(h.size()))
		if h.synced <= max(w.place, r.synced) {
			continue // whole or not, it says nothing new
		}
		if *budget -= h.size(); *budget < 0 {
			return 0, s.corrupt(p, "W3", "the segment is full of records that are not valid")
		}
		if b, err = w.win.at(p, h.size()); err != nil {
			return 0, err
		}
		if sealed(b, s.crc) {
			r.synced, r.offset, r.segment = h.synced, s.offset(p), s
		}
	}
}

// damage returns what shows that the log was synced past w.place, where no
// valid record stands, or nil when what follows is a torn tail (W3).
func (w *walker) damage(r rest, closed LSN) *CorruptError {
	s := w.segment()
	reason := ""
	if synced, by := w.chain.synced(); synced > w.place {
		reason = fmt.Sprintf("the header of segment %d says that the log was synced up to %d", by.number, synced)
	} else if r.synced > w.place {
		reason = fmt.Sprintf("the record at offset %d of segment %d says that the log was synced up to %d",
			r.offset, r.segment.number, r.synced)
	} else if closed > w.place {
		reason = fmt.Sprintf("the log was closed at %d", closed)
	}
	if reason == "" {
		return nil
	}
	return s.corrupt(w.place, "W3", s.ends()+", but "+reason)
}

// ends says how the log ends in s, where no valid record stands.
func (s *segment) ends() string {
	if s.limit() < s.end {
		return "no valid record here, in a file that was cut short"
	}
	return "no valid record here"
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
