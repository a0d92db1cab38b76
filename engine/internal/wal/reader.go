package wal

import (
	"errors"
	"io"
)

// Reader reads the records of an open log, up to its end at the time of each
// Next. It belongs to one goroutine, and keeps no segment from being released:
// that takes a Hold.
type Reader struct {
	l    *Log
	w    walker // over one segment
	seen LSN    // the log's end when the window was last forgotten
}

// NewReader returns a reader of the records from the position from on, which
// is the start of one, the log's end, or the start of a segment. It returns
// ErrGone when that part of the log has been released.
func (l *Log) NewReader(from LSN) (*Reader, error) {
	if from > l.End() {
		return nil, errorf("read log from %d: it ends at %d", from, l.End())
	}
	r := &Reader{l: l, w: walker{place: from, end: from}}
	if err := r.open(); err != nil {
		return nil, err
	}
	return r, nil
}

// open opens the segment from which r.w.place is reached.
func (r *Reader) open() error {
	number, ok := r.l.SegmentOf(r.w.place)
	if !ok {
		return ErrGone
	}
	s, err := r.l.o.openSegment(number)
	if errors.Is(err, ErrMissing) {
		return ErrGone // released since
	} else if err != nil {
		return err
	}
	s.end = r.l.endOf(number, s.end)
	r.w.chain.closeFiles()
	r.w.chain, r.w.i = chain{s}, 0
	return nil
}

// endOf returns where the segment with the number ends by W1, or end when the
// log does not have it.
func (l *Log) endOf(number uint64, end LSN) LSN {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		if s.number == number {
			return s.end
		}
	}
	return end
}

// Next returns the next record, io.EOF at the log's end, and ErrGone when the
// reader has been overtaken by a Release. After io.EOF it can be called again.
func (r *Reader) Next() (Record, error) {
	for {
		end := r.l.End()
		if r.w.end >= end {
			return Record{}, io.EOF
		}
		if r.w.place >= r.seen {
			r.seen = end
			r.w.win.forget()
		}
		rec, err := r.w.next()
		if err == nil {
			return rec, nil
		}
		s := r.w.segment()
		if number, there := r.l.SegmentOf(r.w.place); there && number != s.number {
			// The log goes on in another one: this one is full, or Shrink cut it
			// short here, and then s.end is no longer where it ends.
			if err = r.open(); err == nil {
				continue
			}
		}
		switch {
		case errors.Is(err, ErrMissing) || err == errInvalid && s.end-r.w.place < recordSize:
			r.w.place = s.end // which is before the log's end, so there is a next one
			if err = r.open(); err == nil {
				continue
			}
		case err == errInvalid:
			err = s.corrupt(r.w.place, "W3", "no valid record here, but the log goes on")
		}
		if _, ok := r.l.SegmentOf(r.w.end); !ok {
			return Record{}, ErrGone // what was read may be of a later use
		}
		return Record{}, err
	}
}

// Close releases what the reader has open.
func (r *Reader) Close() error {
	r.w.chain.closeFiles()
	return nil
}
