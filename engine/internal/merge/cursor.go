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

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// MaxSources is the largest number of sources of a Cursor.
const MaxSources = 64

// Cursor merges its sources. It implements kv.Cursor.
type Cursor struct {
	sources    []source
	deletes    []kv.RangeDeletes
	tombstones bool

	current int    // index of the source whose entry is shown; -1: none
	same    uint64 // sources that stand on the current key
	reverse bool
	err     error
	pivot   []byte // the current key, while the direction turns
}

type source struct {
	kv.Cursor
	key []byte
	ok  bool
}

// Reset makes c merge the sources, newest first. deletes are the range
// tombstones of all of them. With tombstones, deleted keys are shown as
// entries of kind kv.Delete; without, they are left out.
//
//go:noinline // large, and called once for a scan
func (c *Cursor) Reset(sources []kv.Cursor, deletes []kv.RangeDeletes, tombstones bool) {
	if len(sources) > MaxSources {
		panic("merge: too many sources")
	}
	c.sources = c.sources[:0]
	for _, s := range sources {
		c.sources = append(c.sources, source{Cursor: s})
	}
	c.deletes = append(c.deletes[:0], deletes...)
	c.tombstones = tombstones
	c.current, c.same, c.err = -1, 0, nil
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

func (c *Cursor) start(reverse bool, position func(*source) bool) bool {
	if c.err != nil {
		return false
	}
	c.reverse = reverse
	for i := range c.sources {
		s := &c.sources[i]
		if !c.landed(s, position(s)) {
			return false
		}
	}
	return c.settle()
}

// landed notes where a source stands after a move. It reports false when the
// source failed.
func (c *Cursor) landed(s *source, ok bool) bool {
	s.ok = ok
	if ok {
		s.key = s.Cursor.Key()
		return true
	}
	s.key = nil
	if err := s.Cursor.Err(); err != nil {
		return c.fail(err)
	}
	return true
}

func (c *Cursor) fail(err error) bool {
	c.err, c.current, c.same = err, -1, 0
	return false
}

// Next moves to the entry after the current one.
func (c *Cursor) Next() bool { return c.move(false) }

// Prev moves to the entry before the current one.
func (c *Cursor) Prev() bool { return c.move(true) }

func (c *Cursor) move(reverse bool) bool {
	if c.current < 0 {
		return false
	}
	if reverse != c.reverse && !c.turn() {
		return false
	}
	return c.step() && c.settle()
}

// step moves every source that stands on the current key past it.
func (c *Cursor) step() bool {
	for i := range c.sources {
		if c.same&(1<<i) == 0 {
			continue
		}
		s := &c.sources[i]
		var ok bool
		if c.reverse {
			ok = s.Prev()
		} else {
			ok = s.Next()
		}
		if !c.landed(s, ok) {
			return false
		}
	}
	return true
}

// turn changes the direction: the sources that are past the current key in
// the old direction are brought to the other side of it.
func (c *Cursor) turn() bool {
	c.reverse = !c.reverse
	c.pivot = append(c.pivot[:0], c.sources[c.current].key...)
	for i := range c.sources {
		if c.same&(1<<i) != 0 {
			continue
		}
		s := &c.sources[i]
		var ok bool
		if c.reverse {
			ok = s.SeekLT(c.pivot)
		} else {
			ok = s.SeekGE(c.pivot)
		}
		if !c.landed(s, ok) {
			return false
		}
	}
	return true
}

// settle picks the entry to show from where the sources stand, going on past
// what is deleted.
func (c *Cursor) settle() bool {
	for {
		c.pick()
		if c.current < 0 {
			return false
		}
		s := &c.sources[c.current]
		if f := c.hidden(s); f != nil {
			if !c.skip(f) {
				return false
			}
			continue
		}
		if c.tombstones || s.Kind() != kv.Delete {
			return true
		}
		if !c.step() {
			return false
		}
	}
}

func (c *Cursor) pick() {
	c.current, c.same = -1, 0
	var key []byte
	for i := range c.sources {
		s := &c.sources[i]
		if !s.ok {
			continue
		}
		order := -1
		if c.current >= 0 {
			order = bytes.Compare(s.key, key)
			if c.reverse {
				order = -order
			}
		}
		switch {
		case order < 0:
			c.current, c.same, key = i, 1<<i, s.key
		case order == 0:
			c.same |= 1 << i
		}
	}
}

// hidden returns the fragment that hides the entry s stands on, or nil.
func (c *Cursor) hidden(s *source) *kv.RangeDelete {
	if len(c.deletes) == 0 {
		return nil
	}
	seq := s.Seq()
	for _, d := range c.deletes {
		if f := d.Find(s.key); f != nil && f.Seq > seq {
			return f
		}
	}
	return nil
}

// skip moves past a hidden entry. The tree's entries are older than every
// tombstone, so the tree jumps over the whole range.
func (c *Cursor) skip(f *kv.RangeDelete) bool {
	for i := range c.sources {
		s := &c.sources[i]
		if c.same&(1<<i) == 0 || s.Seq() != 0 {
			continue
		}
		var ok bool
		switch {
		case c.reverse:
			ok = s.SeekLT(f.Start)
		case f.End == nil:
			ok = false
		default:
			ok = s.SeekGE(f.End)
		}
		c.same &^= 1 << i
		if !c.landed(s, ok) {
			return false
		}
	}
	return c.step()
}

// Key returns the current key.
func (c *Cursor) Key() []byte {
	if c.current < 0 {
		return nil
	}
	return c.sources[c.current].key
}

// Value returns the current value.
func (c *Cursor) Value() ([]byte, error) {
	if c.current < 0 {
		return nil, c.err
	}
	v, err := c.sources[c.current].Value()
	if err != nil {
		c.fail(err)
	}
	return v, err
}

// Kind returns the current entry's kind.
func (c *Cursor) Kind() kv.Kind {
	if c.current < 0 {
		return 0
	}
	return c.sources[c.current].Kind()
}

// Seq returns the current entry's sequence number.
func (c *Cursor) Seq() kv.Seq {
	if c.current < 0 {
		return 0
	}
	return c.sources[c.current].Seq()
}

// Stable reports whether keys and values stay as they are when the cursor
// moves: whether all sources say so of theirs.
func (c *Cursor) Stable() bool {
	for i := range c.sources {
		if s, ok := c.sources[i].Cursor.(interface{ Stable() bool }); !ok || !s.Stable() {
			return false
		}
	}
	return true
}

// Err returns the error that ended the walk, or nil.
func (c *Cursor) Err() error { return c.err }
