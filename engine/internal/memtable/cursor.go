package memtable

import (
	"unsafe"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

var _ kv.Cursor = (*Cursor)(nil)

// A Cursor walks the keys of one keyspace as of a sequence number: for each
// key the newest version up to it, tombstones included. Range deletes are not
// applied. Operations that are put while the cursor is open are newer than its
// sequence number, and not shown; with a sequence number that is not published
// yet, such as kv.MaxSeq, they may be shown or not.
//
// On no entry, before the first move or past an end, Next and Prev return
// false. Key and Value alias the table's memory: what they returned stays
// valid and unchanged. Moves do not allocate, except that the first one to
// enter a leaf leaves its sorted order there.
type Cursor struct {
	table *Table
	tree  *tree
	seq   kv.Seq

	here   bool     // the cursor stands somewhere
	entry  kv.Entry // there
	sorted *sorted  // of a hashed; nil in a tree
	path   path
	order  *[leafSlots]uint8
	n      int // cells, or slots in order
	i      int // the one where the cursor stands
}

// Reset makes c as good as a new cursor of ks in t at seq.
func (c *Cursor) Reset(t *Table, ks kv.Keyspace, seq kv.Seq) {
	c.table, c.tree, c.seq = t, t.tree(ks), seq
	c.here = false
}

// First moves to the first entry.
func (c *Cursor) First() bool {
	if !c.open() {
		return c.off()
	}
	if c.sorted == nil {
		c.path.first(c.tree)
		c.enter()
	}
	return c.forward(0)
}

// Last moves to the last entry.
func (c *Cursor) Last() bool {
	if !c.open() {
		return c.off()
	}
	if c.sorted == nil {
		c.path.last(c.tree)
		c.enter()
	}
	return c.backward(c.n - 1)
}

// SeekGE moves to the first entry at or after key.
func (c *Cursor) SeekGE(key []byte) bool {
	if !c.seek(key) {
		return c.off()
	}
	return c.forward(c.i)
}

// SeekLT moves to the last entry before key.
func (c *Cursor) SeekLT(key []byte) bool {
	if !c.seek(key) {
		return c.off()
	}
	return c.backward(c.i - 1)
}

// Next moves to the entry after this one.
func (c *Cursor) Next() bool { return c.here && c.forward(c.i+1) }

// Prev moves to the entry before this one.
func (c *Cursor) Prev() bool { return c.here && c.backward(c.i-1) }

// Entry returns where the cursor stands. It is at the same address for as
// long as the cursor lives.
func (c *Cursor) Entry() *kv.Entry { return &c.entry }

// Key returns the key of the entry.
func (c *Cursor) Key() []byte { return c.entry.Key }

// Value returns the value of the entry, nil for a tombstone. There is never
// an error.
func (c *Cursor) Value() ([]byte, error) { return c.entry.Value, nil }

// Kind returns Set or Delete.
func (c *Cursor) Kind() kv.Kind { return c.entry.Kind }

// Seq returns the sequence number of the entry.
func (c *Cursor) Seq() kv.Seq { return c.entry.Seq }

// Stable reports that keys and values stay as they are when the cursor moves.
func (c *Cursor) Stable() bool { return true }

// Err returns nil: memory does not fail.
func (c *Cursor) Err() error { return nil }

// open begins a search: in the slots of a hashed as of now, in order, or in the
// tree. It reports whether there is anything.
func (c *Cursor) open() bool {
	c.sorted = nil
	if c.tree == nil || c.tree.root.Load() == nil {
		return false
	}
	c.table.wantsOrder()
	if h := c.tree.hashed.Load(); h != nil {
		c.sorted = h.inOrder(&c.table.arena, c.seq)
		c.n = len(c.sorted.cells)
	}
	return true
}

// seek stands before the first slot whose key is not less than key.
func (c *Cursor) seek(key []byte) bool {
	if !c.open() {
		return false
	}
	a := &c.table.arena
	if c.sorted != nil {
		c.i = c.sorted.search(a, key)
		return true
	}
	c.path.descend(c.tree, a, key)
	c.enter()
	c.i = c.path.leaf.search(a, c.order, c.n, key)
	return true
}

func (c *Cursor) enter() { c.order, c.n = c.path.leaf.inOrder(&c.table.arena) }

// newest returns the newest version of the i-th key.
func (c *Cursor) newest(i int) entry {
	if c.sorted != nil {
		return c.table.arena.at(c.sorted.cells[i].at)
	}
	return c.path.leaf.entry(&c.table.arena, c.order[i])
}

// ahead is how many entries before their turn a walk forward asks for them:
// the entries of neighbouring keys lie anywhere in the arena.
const ahead = 6

// ask asks for the memory of the i-th entry, if there is one.
func (c *Cursor) ask(i int) {
	if i < c.n {
		prefetch(unsafe.Pointer(unsafe.SliceData(c.newest(i))))
	}
}

// forward stands on the first visible entry from slot i on.
func (c *Cursor) forward(i int) bool {
	for {
		for ; i < c.n; i++ {
			c.ask(i + ahead)
			if c.stand(i) {
				return true
			}
		}
		if c.sorted != nil || !c.path.next() {
			return c.off()
		}
		c.enter()
		i = 0
		for j := range ahead {
			c.ask(j)
		}
	}
}

// backward stands on the first visible entry from slot i backwards.
func (c *Cursor) backward(i int) bool {
	for {
		for ; i >= 0; i-- {
			if c.stand(i) {
				return true
			}
		}
		if c.sorted != nil || !c.path.prev() {
			return c.off()
		}
		c.enter()
		i = c.n - 1
	}
}

// stand stands on slot i if a version of its key is visible.
func (c *Cursor) stand(i int) bool {
	a := &c.table.arena
	e := c.newest(i)
	seq := e.seq()
	if seq > c.seq {
		if e = a.visible(e, c.seq); e == nil {
			return false
		}
		seq = e.seq()
	}
	c.here, c.i = true, i
	c.entry.Key, c.entry.Value = e.key(), e.value()
	c.entry.Seq, c.entry.Kind = seq, e.kind()
	return true
}

func (c *Cursor) off() bool {
	c.here = false
	return false
}
