package engine

import (
	"bytes"

	"github.com/lightning-db/lightning/engine/internal/btree"
	"github.com/lightning-db/lightning/engine/internal/kv"
)

// IterOptions bound an iterator to the keys from Start (inclusive) to End
// (exclusive). A nil End has no bound.
type IterOptions struct{ Start, End []byte }

// Iterator walks the entries of a snapshot or transaction in the order of
// their keys, in both directions. A new one stands nowhere: position it first.
// The moves report whether it stands on an entry; when they return false, Err
// tells the end from a failure, and after a failure it never moves again. What
// Key and Value return is lent until the next move. An Iterator is used by one
// goroutine.
type Iterator struct {
	view   *view
	src    *cursor // nil once closed
	bounds IterOptions
	entry  *kv.Entry     // where it stands: nowhere's, when nowhere
	run    *btree.Cursor // goes along a stretch of a leaf by itself, else nil
	back   *btree.Cursor // the same, backwards
	closed bool
	err    error
	reads  *span  // what a serializable transaction reads with it, else nil
	sought []byte // buffer of mine
}

func (w *view) iterator(ks kv.Keyspace, o IterOptions) *Iterator {
	w.db.counters.scans.Add(1)
	it := &Iterator{view: w, bounds: o, entry: &nowhere}
	sp, err := w.space(ks)
	if err != nil {
		it.err = w.refused(ks, err)
		return it
	}
	var own *overlay
	if w.own != nil {
		own = &overlay{table: w.own.sorted(), seq: w.own.seq()}
		if w.own.isolation == Serializable {
			it.reads = &span{writes: w.own, ks: ks, bounds: o}
		}
	}
	it.src = w.v.cursor(sp, w.seq, own, kv.Range{Start: o.Start, End: o.End})
	return it
}

// First moves to the first entry.
func (it *Iterator) First() bool {
	if len(it.bounds.Start) > 0 {
		return it.SeekGE(it.bounds.Start)
	}
	if !it.ready() {
		return it.refused()
	}
	it.reads.begin(it.bounds.Start)
	return it.landed(it.src.First(), false)
}

// Last moves to the last entry.
func (it *Iterator) Last() bool {
	if it.bounds.End != nil {
		return it.SeekLT(it.bounds.End)
	}
	if !it.ready() {
		return it.refused()
	}
	it.reads.beginAtEnd()
	return it.landed(it.src.Last(), true)
}

// SeekGE moves to the first entry at or after key, which may be what Key
// returned, or a part of that.
func (it *Iterator) SeekGE(key []byte) bool {
	key = it.mine(key)
	if bytes.Compare(key, it.bounds.Start) < 0 {
		key = it.bounds.Start
	}
	if !it.ready() {
		return it.refused()
	}
	it.reads.begin(key)
	return it.landed(it.src.SeekGE(key), false)
}

// SeekLT moves to the last entry before key, which may be what Key returned, or
// a part of that.
func (it *Iterator) SeekLT(key []byte) bool {
	key = it.mine(key)
	if it.bounds.End != nil && bytes.Compare(key, it.bounds.End) > 0 {
		key = it.bounds.End
	}
	if !it.ready() {
		return it.refused()
	}
	it.reads.begin(key)
	return it.landed(it.src.SeekLT(key), true)
}

// Next moves to the entry after the current one.
func (it *Iterator) Next() bool {
	if c := it.run; c != nil && !it.view.over() && c.StepNext() {
		return true
	}
	return it.next()
}

func (it *Iterator) next() bool {
	if c := it.run; c != nil && !it.view.over() && c.StepLeaf() {
		return true
	}
	if it.entry == &nowhere {
		return false
	}
	if !it.ready() {
		return it.refused()
	}
	return it.landed(it.src.Next(), false)
}

// Prev moves to the entry before the current one.
func (it *Iterator) Prev() bool {
	if c := it.back; c != nil && !it.view.over() && c.StepPrev() {
		return true
	}
	return it.prev()
}

func (it *Iterator) prev() bool {
	if c := it.back; c != nil && !it.view.over() && c.StepLeafBack() {
		return true
	}
	if it.entry == &nowhere {
		return false
	}
	if !it.ready() {
		return it.refused()
	}
	return it.landed(it.src.Prev(), true)
}

// mine is a copy of a key where it may be a part of the one that is lent: that
// is written over on the way to where it leads.
func (it *Iterator) mine(key []byte) []byte {
	if it.entry == &nowhere {
		return key
	}
	it.sought = append(it.sought[:0], key...)
	return it.sought
}

// ready reports whether the iterator may move.
func (it *Iterator) ready() bool {
	it.leave()
	if it.err != nil {
		return false
	}
	if it.closed || it.view.over() {
		it.err = ErrClosed // refused says what is
		return false
	}
	return true
}

// refused returns false, after Err says what is closed.
//
//go:noinline // called in many places, none of them hot
func (it *Iterator) refused() bool {
	switch {
	case it.err != ErrClosed:
	case it.closed:
		it.err = errIteratorClosed
	default:
		it.err = it.view.refused(kv.DefaultKeyspace, it.err)
	}
	return false
}

// leave makes the iterator stand nowhere.
func (it *Iterator) leave() { it.entry, it.run, it.back = &nowhere, nil, nil }

// landed settles where a move has led.
func (it *Iterator) landed(ok, reverse bool) bool {
	if !ok {
		if err := it.src.Err(); err != nil {
			it.err = it.view.failed(err)
		} else {
			it.reads.end(reverse)
		}
		return false
	}
	e := it.src.Entry()
	key := e.Key
	if reverse {
		ok = len(it.bounds.Start) == 0 || bytes.Compare(key, it.bounds.Start) >= 0
	} else {
		ok = it.bounds.End == nil || bytes.Compare(key, it.bounds.End) < 0
	}
	if !ok {
		it.reads.end(reverse)
		return false
	}
	it.entry = e
	switch {
	case it.reads != nil:
		it.reads.step(key, reverse)
	default:
		it.stretch(reverse)
	}
	return true
}

// stretch lets a tree's cursor go ahead by itself, as far as no other source
// and no bound is in its way.
func (it *Iterator) stretch(reverse bool) {
	lead, rival := it.src.Lead()
	c, ok := lead.(*btree.Cursor)
	if !ok {
		return
	}
	if reverse {
		c.StretchBack(rival, it.bounds.Start)
		it.back = c
	} else {
		c.Stretch(rival, it.bounds.End)
		it.run = c
	}
}

// Key returns the current key, or nil.
func (it *Iterator) Key() []byte { return it.entry.Key }

// Value returns the current value: not nil on an entry. A value that cannot
// be read is nil, and Err says why.
func (it *Iterator) Value() []byte {
	if e := it.entry; !e.Overflow && e.Value != nil {
		return e.Value
	}
	return it.value()
}

// value returns a value that is empty or has to be read, or nil nowhere.
func (it *Iterator) value() []byte {
	if it.entry == &nowhere {
		return nil
	}
	value, err := it.src.Value()
	if err != nil {
		it.leave()
		it.err = it.view.failed(err)
		return nil
	}
	if value == nil {
		value = []byte{}
	}
	return value
}

// ValueSize returns the size of the current value in bytes, 0 nowhere. A value
// that is stored outside its leaf is not read for it.
func (it *Iterator) ValueSize() int {
	if it.entry.Overflow {
		return it.src.ValueLen()
	}
	return len(it.entry.Value)
}

// nowhere is where an iterator stands that stands on no entry.
var nowhere kv.Entry

// Err returns what ended the walk, or nil when it was the end.
func (it *Iterator) Err() error { return it.err }

// Close ends the iterator and returns Err.
func (it *Iterator) Close() error {
	if it.closed {
		return nil
	}
	it.closed = true
	it.leave()
	if it.src != nil { // nil where there was no such keyspace
		it.view.db.counters.skipped.Add(it.src.Skipped())
		it.src.leave()
		it.src = nil
	}
	return it.err
}
