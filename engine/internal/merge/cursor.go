// Package merge makes one ordered sequence of several: the memtables and the
// tree of a version, newest first, each shadowing those behind it.
//
// Invariants:
//
//  1. Of the sources that stand on the same key, the first one's entry counts.
//  2. An entry that a range tombstone with a larger sequence number covers is
//     never shown.
//  3. A failed source ends the walk: its error is never taken for an end.
package merge

import (
	"bytes"
	"errors"

	"github.com/lightning-db/lightning/engine/internal/invariant"
	"github.com/lightning-db/lightning/engine/internal/kv"
)

// MaxSources is the largest number of sources of a Cursor.
const MaxSources = 64

var errTooManySources = errors.New("merge: too many sources")

// Source is a cursor that a Cursor can merge.
type Source interface {
	kv.Cursor
	// Entry returns where the source stands: always at the same address.
	Entry() *kv.Entry
}

// Cursor merges its sources. It implements kv.Cursor.
//
// It keeps the sources in the order of the keys on which they stand. One that
// was moved goes back to its place from the front, which is seldom far: most
// entries come from the tree, one after the other. So a step costs one
// comparison, or two, however many sources there are.
type Cursor struct {
	sources    []source
	deletes    []kv.RangeDeletes
	tombstones bool

	entry   *kv.Entry // what is shown: of the first source in order; nil: nowhere
	order   []uint8   // the sources that stand on an entry: by key, then newest first
	same    int       // how many of them, from the first, stand on the current key
	reverse bool      // the order is from the last key to the first
	err     error
	pivot   []byte // the current key, while the direction turns
	skipped int    // see Skipped

	firstSources [2]source
	firstOrder   [8]uint8
}

type source struct {
	Source
	entry *kv.Entry
}

// Reset makes c merge the sources, newest first. deletes are the range
// tombstones of all of them. With tombstones, deleted keys are shown as
// entries of kind kv.Delete; without, they are left out. Of more than MaxSources
// it shows nothing but an error.
//
//go:noinline // large, and called once for a scan
func (c *Cursor) Reset(sources []Source, deletes []kv.RangeDeletes, tombstones bool) {
	if c.sources == nil {
		c.sources, c.order = c.firstSources[:0], c.firstOrder[:0]
	}
	c.sources = c.sources[:0]
	for _, s := range sources {
		c.sources = append(c.sources, source{s, s.Entry()})
	}
	c.deletes = append(c.deletes[:0], deletes...)
	c.tombstones = tombstones
	c.err, c.skipped = nil, 0
	if len(sources) > MaxSources { // more than the bits and numbers of sources reach
		c.err = errTooManySources
	}
	c.leave()
}

// First moves to the first entry.
func (c *Cursor) First() bool {
	return c.start(false, func(s *source) bool { return s.First() })
}

// Last moves to the last entry.
func (c *Cursor) Last() bool {
	return c.start(true, func(s *source) bool { return s.Last() })
}

// SeekGE moves to the first entry at or after key.
func (c *Cursor) SeekGE(key []byte) bool {
	return c.start(false, func(s *source) bool { return s.SeekGE(key) })
}

// SeekLT moves to the last entry before key.
func (c *Cursor) SeekLT(key []byte) bool {
	return c.start(true, func(s *source) bool { return s.SeekLT(key) })
}

// start positions every source and puts them in order.
func (c *Cursor) start(reverse bool, position func(*source) bool) bool {
	if c.err != nil {
		return false
	}
	c.leave()
	c.reverse = reverse
	for i := range c.sources {
		s := &c.sources[i]
		switch {
		case position(s):
			c.line(uint8(i))
		case s.Err() != nil:
			return c.fail(s.Err())
		}
	}
	return c.settle()
}

// leave makes c stand nowhere.
func (c *Cursor) leave() { c.entry, c.order, c.same = nil, c.order[:0], 0 }

func (c *Cursor) fail(err error) bool {
	c.leave()
	c.err = err
	return false
}

// Next moves to the entry after the current one.
func (c *Cursor) Next() bool {
	switch {
	case c.entry == nil:
		return false
	case c.reverse:
		return c.turn()
	}
	return c.step(nil) && c.settle()
}

// Prev moves to the entry before the current one.
func (c *Cursor) Prev() bool {
	switch {
	case c.entry == nil:
		return false
	case !c.reverse:
		return c.turn()
	}
	return c.step(nil) && c.settle()
}

// turn changes the direction and moves to the next entry in the new one: the
// sources that are past the current key in the old direction are brought to
// the other side of it.
func (c *Cursor) turn() bool {
	c.pivot = append(c.pivot[:0], c.entry.Key...)
	var here uint64 // the sources on the current key
	for _, i := range c.order[:c.same] {
		here |= 1 << i
	}
	i := -1
	return c.start(!c.reverse, func(s *source) bool {
		i++
		switch on := here&(1<<i) != 0; {
		case on && c.reverse:
			return s.Prev()
		case on:
			return s.Next()
		case c.reverse:
			return s.SeekLT(c.pivot)
		}
		return s.SeekGE(c.pivot)
	})
}

// step moves every source that stands on the current key past it. Where hider
// hides the current entry, sources all of whose entries are older than every
// tombstone, as the tree's are, jump over the whole of it.
func (c *Cursor) step(hider *kv.RangeDelete) bool {
	c.skipped += c.same
	if hider == nil && c.entry.Kind == kv.Set {
		c.skipped-- // it was shown
	}
	for ; c.same > 0; c.same-- {
		s := &c.sources[c.order[0]]
		var ok bool
		var from []byte
		if invariant.On {
			from = bytes.Clone(s.entry.Key)
		}
		switch {
		case hider != nil && s.entry.Seq == 0:
			ok = c.jump(s, hider)
		case c.reverse:
			ok = s.Prev()
		default:
			ok = s.Next()
		}
		switch {
		case ok:
			if invariant.On {
				d := bytes.Compare(from, s.entry.Key)
				invariant.That(d != 0 && d < 0 != c.reverse, "merge: source %d went from %.40q to %.40q, reverse %t", c.order[0], from, s.entry.Key, c.reverse)
			}
			c.sift()
		case s.Err() != nil:
			return c.fail(s.Err())
		default:
			c.order = append(c.order[:0], c.order[1:]...)
		}
	}
	return true
}

// jump moves s past the range of f.
func (c *Cursor) jump(s *source, f *kv.RangeDelete) bool {
	switch {
	case c.reverse:
		return s.SeekLT(f.Start)
	case f.End == nil:
		return false
	}
	return s.SeekGE(f.End)
}

// line puts source i, which is older than all in order, where it belongs.
func (c *Cursor) line(i uint8) {
	c.order = append(c.order, i)
	for at := len(c.order) - 1; at > 0 && c.compare(i, c.order[at-1]) < 0; at-- {
		c.order[at], c.order[at-1] = c.order[at-1], i
	}
}

// sift puts the first source in order, which was moved, where it belongs.
func (c *Cursor) sift() {
	i := c.order[0]
	for at, next := range c.order[1:] {
		if d := c.compare(i, next); d < 0 || d == 0 && i < next {
			return
		}
		c.order[at], c.order[at+1] = next, i
	}
}

// compare orders the keys on which two sources stand in the cursor's direction.
func (c *Cursor) compare(i, j uint8) int {
	d := bytes.Compare(c.sources[i].entry.Key, c.sources[j].entry.Key)
	if c.reverse {
		return -d
	}
	return d
}

// settle picks the entry to show from where the sources stand, going on past
// what is deleted.
func (c *Cursor) settle() bool {
	for len(c.order) > 0 {
		if invariant.On {
			c.checkOrder()
		}
		e := c.sources[c.order[0]].entry
		c.entry, c.same = e, 1
		for _, i := range c.order[1:] {
			if !bytes.Equal(c.sources[i].entry.Key, e.Key) {
				break
			}
			c.same++
		}
		f := c.hider(e)
		if f == nil && (c.tombstones || e.Kind != kv.Delete) {
			return true
		}
		if !c.step(f) {
			return false
		}
	}
	c.leave()
	return false
}

// checkOrder holds the sources to their order: by key, then newest first.
func (c *Cursor) checkOrder() {
	for at := 1; at < len(c.order); at++ {
		i, j := c.order[at-1], c.order[at]
		d := c.compare(i, j)
		invariant.That(d < 0 || d == 0 && i < j, "merge: source %d, on %.40q, stands before %d, on %.40q", i, c.sources[i].entry.Key, j, c.sources[j].entry.Key)
	}
}

// hider returns the fragment that hides e, or nil.
func (c *Cursor) hider(e *kv.Entry) *kv.RangeDelete {
	for _, d := range c.deletes {
		if f := d.Find(e.Key); f != nil && f.Seq > e.Seq {
			return f
		}
	}
	return nil
}

// Lead returns the source that alone stands on the current key, and the next
// key of all the others, nil for none: up to there the source may be moved by
// itself in the direction of the last move. Its tombstones are no entries then,
// and the next move of c goes on from where it stands. Lead returns nil where
// entries may be hidden.
func (c *Cursor) Lead() (lead Source, rival []byte) {
	if c.entry == nil || c.same > 1 || len(c.deletes) > 0 {
		return nil, nil
	}
	if len(c.order) > 1 {
		rival = c.sources[c.order[1]].entry.Key
	}
	return c.sources[c.order[0]].Source, rival
}

// Skipped returns how many entries the moves since Reset went past and did not
// show: tombstones, what they hide, and what an entry of a newer source stands
// for. What a source jumps over, or skips by itself, is not among them.
func (c *Cursor) Skipped() int { return c.skipped }

// Entry returns where the cursor stands, nil for nowhere.
func (c *Cursor) Entry() *kv.Entry { return c.entry }

// Key returns the current key.
func (c *Cursor) Key() []byte {
	if c.entry == nil {
		return nil
	}
	return c.entry.Key
}

// ValueLen returns the length of a current value that has to be read to be had,
// without reading it.
func (c *Cursor) ValueLen() int {
	if sized, ok := c.sources[c.order[0]].Source.(interface{ ValueLen() int }); ok {
		return sized.ValueLen()
	}
	return 0
}

// Value returns the current value.
func (c *Cursor) Value() ([]byte, error) {
	switch {
	case c.entry == nil:
		return nil, c.err
	case !c.entry.Overflow:
		return c.entry.Value, nil
	}
	v, err := c.sources[c.order[0]].Value()
	if err != nil {
		c.fail(err)
	}
	return v, err
}

// Kind returns the current entry's kind.
func (c *Cursor) Kind() kv.Kind {
	if c.entry == nil {
		return 0
	}
	return c.entry.Kind
}

// Seq returns the current entry's sequence number.
func (c *Cursor) Seq() kv.Seq {
	if c.entry == nil {
		return 0
	}
	return c.entry.Seq
}

// Stable reports whether keys and values stay as they are when the cursor
// moves: whether all sources say so of theirs.
func (c *Cursor) Stable() bool {
	for i := range c.sources {
		if s, ok := c.sources[i].Source.(interface{ Stable() bool }); !ok || !s.Stable() {
			return false
		}
	}
	return true
}

// Err returns the error that ended the walk, or nil.
func (c *Cursor) Err() error { return c.err }
