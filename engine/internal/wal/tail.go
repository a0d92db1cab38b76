package wal

import (
	"errors"
	"io"
	"slices"
)

// Tail follows a log that it does not own, also while a writer in another
// process appends to it, and changes nothing. It belongs to one goroutine.
//
// What a writer has only half written is not there yet. Damage is told from it
// by looking twice: a record or a header which says that the log was synced
// past a place is written after what stands there, so a place that is still
// not valid after that was seen never will be.
type Tail struct {
	o     Options
	w     *walker
	ended bool  // the last Next returned io.EOF
	err   error // why there can be no more
}

// OpenReadOnly reads the log from the start to its present end, calls apply
// for each record, and returns a Tail that goes on from there.
//
// Beside a live writer an error that wraps ErrMissing or ErrGone can mean that
// a checkpoint has been made since the meta was read: read the meta again, and
// if it is a newer one, start over.
func OpenReadOnly(o Options, from Start, apply func(Record) error) (*Tail, Report, error) {
	report := Report{From: from.LSN, To: from.LSN, Seq: from.Seq}
	found, err := o.list()
	if err != nil {
		return nil, report, err
	}
	alive, dead, err := o.load(found.segments, from)
	if err != nil {
		return nil, report, err
	}
	chain(dead).closeFiles()
	t := &Tail{o: o, w: newWalker(alive, from.LSN, from.Seq+1)}
	torn, err := t.replay(from.End, apply, &report)
	if err != nil {
		return nil, report, join(err, t.Close())
	}
	report.TornBytes = torn
	return t, report, nil
}

// replay reads to the end, and looks at everything behind it for damage.
func (t *Tail) replay(closed LSN, apply func(Record) error, report *Report) (torn int64, err error) {
	for {
		rec, err := t.Next()
		if err == io.EOF {
			var behind rest
			behind, err = t.w.scan()
			damage, damaged := errors.AsType[*CorruptError](err)
			if !damaged && err != nil {
				return 0, err
			}
			if !damaged {
				damage = t.w.damage(behind, closed)
			}
			if damage == nil {
				return behind.bytes, nil
			}
			if rec, err = t.again(damage); err == io.EOF {
				continue // it was said of another chain
			}
		}
		if err != nil {
			return 0, err
		}
		if err := apply(rec); err != nil {
			return 0, err
		}
		report.count(&rec)
	}
}

// Next returns the next record, io.EOF when there is none yet, and ErrGone
// when the segment that holds it has been recycled. After io.EOF it can be
// called again.
func (t *Tail) Next() (Record, error) {
	if t.err != nil {
		return Record{}, t.err
	}
	if t.ended {
		t.w.win.forget()
	}
	t.ended = false
	rec, err := t.w.next()
	if err == nil {
		return rec, nil
	}
	var damage *CorruptError
	if err == errInvalid {
		damage, err = t.suspect()
	}
	if d, damaged := errors.AsType[*CorruptError](err); damaged {
		damage, err = d, nil
	}
	if err != nil {
		return Record{}, err
	}
	rec, err = t.again(damage)
	t.ended = err == io.EOF
	return rec, err
}

// suspect looks for signs that the place where no record stands is damaged.
// Behind zeros it looks no further than the headers: that is what the end
// looks like, and the end is asked for often.
func (t *Tail) suspect() (*CorruptError, error) {
	w := t.w
	s := w.segment()
	var behind rest
	if s.end-w.place >= recordSize {
		w.win.look(s)
		b, err := w.win.at(w.place, recordSize)
		if err != nil {
			return nil, err
		}
		if !allZero(b) {
			if behind, err = w.scan(); err != nil {
				return nil, err
			}
		}
	}
	return w.damage(behind, 0), nil
}

// again reads on at a place where no record was, after whatever the writer has
// done since. Where there still is none it returns the damage, or io.EOF when
// that is nil.
func (t *Tail) again(damage *CorruptError) (Record, error) {
	for {
		// A writer that has died meanwhile, and come back, may go on at the end
		// of the last record, though there was a next segment.
		t.w.rewind()
		changed, err := t.refresh()
		if err != nil {
			return Record{}, err
		}
		t.w.win.forget()
		rec, err := t.w.next()
		if err == nil {
			return rec, nil
		}
		if err != errInvalid && !errors.Is(err, ErrCorrupt) {
			return Record{}, err
		}
		if changed {
			damage = nil // it was said of another chain
			continue
		}
		if damage == nil && err == errInvalid {
			return Record{}, io.EOF
		}
		if t.o.gone(t.w.segment()) != nil { // it reads as anything
			return Record{}, ErrGone
		}
		if damage == nil {
			return Record{}, err
		}
		return Record{}, damage
	}
}

// refresh looks for segments that are new, and reports whether other ones are
// alive now. (A dead one may stand there for long, and is no change.) It returns
// ErrGone when none holds the place any more.
func (t *Tail) refresh() (changed bool, err error) {
	found, err := t.o.list()
	if err != nil {
		return false, err
	}
	w := t.w
	have := make(map[uint64]*segment)
	for _, s := range w.chain {
		have[s.number] = s
	}
	current := w.segment()
	var all []*segment
	for _, number := range found.segments {
		if number < current.number {
			continue
		}
		s := have[number]
		if s == nil {
			s, err = t.o.openSegment(number)
			if err != nil {
				break
			}
		}
		delete(have, number)
		all = append(all, s)
	}
	var dead []*segment
	var alive chain
	if err == nil {
		alive, dead, err = link(all)
	}
	chain(dead).closeFiles()
	for _, s := range have {
		_ = s.close()
	}
	i := -1
	if err == nil {
		i = alive.find(w.place)
	}
	if err != nil && !errors.Is(err, ErrMissing) || i < 0 {
		if err == nil || errors.Is(err, ErrMissing) {
			err = ErrGone
		}
		w.chain, t.err = all, err
		return false, err
	}
	changed = !slices.Equal(w.chain[w.i:], alive)
	w.chain, w.i = alive, i
	return changed, nil
}

// Close releases what the tail has open.
func (t *Tail) Close() error {
	t.w.chain.closeFiles()
	return nil
}
