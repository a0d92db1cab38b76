// Package memtable is the ordered, multi-version table in memory that commits
// go to before a checkpoint merges them into the tree on disk.
//
// One writer at a time puts operations, each with a sequence number greater
// than any before it. Any number of readers may read meanwhile, without locks
// and without waiting, but for a cursor, which may have to sort the keys first. A
// reader names the sequence number it reads at. The
// table shows it exactly the operations up to that number, provided that they
// had been put, as told by an atomic load of the reader's, before it came:
// the engine publishes a sequence number when everything up to it is in the
// table. What is put later is newer, and ignored.
//
// A keyspace is a B+tree. Its leaves are append-only and unsorted: a key is
// written into the next free slot, and then published by its fingerprint, one
// atomic store. A lookup compares the 64 fingerprints of a leaf eight at a
// time, so that it usually costs one cache line to learn that a key is not
// there. Leaves are sorted when they split, and for cursors. A split replaces
// a leaf by two and its parent by a copy, with one store to show them. Keys
// have one slot each; the versions of a key are a list in the arena, which
// holds all keys and values.
//
// Keys that come in no order, and that nobody asks for in one, go into a hash
// table instead (hashed.go). The writer goes from one to the other.
//
// Skip lists were tried first: four times slower, for every level of a search
// is a cache miss.
package memtable

import (
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// A Table is a memtable. Put and DeleteRange are for one goroutine at a time;
// everything else may be called by any at any time.
type Table struct {
	arena  arena
	main   tree // of the default keyspace
	others atomic.Pointer[[]keyspaceTree]

	operations  atomic.Int64
	first, last atomic.Uint64

	asked   atomic.Bool // somebody asked for an order
	ordered bool        // somebody will
	slots   int         // what the main tree may need when it is hashed
}

// The trees of other keyspaces are kept sorted, and copied to add one.
type keyspaceTree struct {
	keyspace kv.Keyspace
	*tree
}

// New returns an empty table. It allocates little until it is used: after the
// first Put it holds less than 2 KiB.
func New() *Table { return &Table{} }

// NewLimited returns an empty table that is used until Bytes reaches limit.
func NewLimited(limit int64) *Table {
	t := New()
	t.arena.limit = limit
	return t
}

// Next returns an empty table that is ready for what t was used for: for puts in
// no order, or for being asked for it. Nobody puts into t meanwhile.
func (t *Table) Next() *Table {
	next := NewLimited(t.arena.limit)
	next.ordered = t.asked.Load()
	if h := t.main.hashed.Load(); h != nil {
		next.slots = h.used / 5 * 7
		if limit := t.arena.limit; limit > 0 { // they were many small keys of one commit
			next.slots = min(next.slots, int(limit/2/hashSlotBytes))
		}
	}
	return next
}

// wantsOrder notes that somebody asks for keys in order, of whatever keyspace.
func (t *Table) wantsOrder() {
	if !t.asked.Load() {
		t.asked.Store(true)
	}
}

// fewStrays is how many leaves more are split for keys in no order than for others
// before a tree is hashed.
const fewStrays = 4

// fit gives a tree that is to be written the form that fits its use.
func (t *Table) fit(tree *tree) {
	if tree.hashed.Load() != nil {
		if t.asked.Load() {
			tree.unhash(&t.arena)
		}
	} else if tree.strays >= fewStrays {
		tree.strays = 0
		if tree.small && !t.ordered && !t.asked.Load() {
			slots := firstHashSlots
			if tree == &t.main {
				slots = max(slots, t.slots)
			}
			tree.hash(&t.arena, slots)
		}
	}
}

// Put adds an operation on one key: kind Set or Delete. hash is kv.Hash(key).
// Key and value are copied. seq is greater than any that the table has.
func (t *Table) Put(ks kv.Keyspace, key []byte, hash uint64, value []byte, kind kv.Kind, seq kv.Seq) {
	tree := t.treeToWrite(ks)
	t.fit(tree)
	tree.put(&t.arena, nil, key, hash, value, kind, seq)
	t.count(seq, 1)
}

// Ask asks for the memory that a Put of a key with the hash will need, where that
// is known: whoever has something else to do before it need not wait for it then.
func (t *Table) Ask(ks kv.Keyspace, hash uint64) {
	if tree := t.tree(ks); tree != nil {
		if h := tree.hashed.Load(); h != nil {
			h.ask(hash)
		}
	}
}

// An Edit is an operation on one key, Set or Delete, for PutAll.
type Edit struct {
	Key, Value []byte
	Hash       uint64 // kv.Hash(Key)
	Kind       kv.Kind
	leaf       *leaf // where the key belonged before the first of the edits was put
}

// PutAll is Put for each of the edits, the first of which has the sequence
// number first. There is at least one. Before it puts any, it asks for the
// memory that they will need: some sixteen together then wait about as long for
// it as one does.
func (t *Table) PutAll(ks kv.Keyspace, edits []Edit, first kv.Seq) {
	tree, a := t.treeToWrite(ks), &t.arena
	t.fit(tree)
	h := tree.hashed.Load()
	for i := range edits {
		e := &edits[i]
		if h != nil {
			e.leaf = nil
			h.ask(e.Hash)
			continue
		}
		if e.leaf = nil; tree.behind(e.Key) {
			continue // the leaf is the last one
		}
		if e.leaf = tree.leaf(a, e.Key); e.leaf != nil {
			prefetch(unsafe.Pointer(e.leaf)) // the fingerprints
		}
	}
	for i := range edits {
		if l := edits[i].leaf; l != nil {
			prefetch(unsafe.Pointer(&l.slots[l.used&(leafSlots-1)])) // the next free slot
		}
	}
	for i := range edits {
		e := &edits[i]
		tree.put(a, e.leaf, e.Key, e.Hash, e.Value, e.Kind, first+kv.Seq(i))
	}
	t.count(first, len(edits))
}

// DeleteRange adds a range tombstone. The bounds are copied. An empty range
// counts as an operation, but leaves nothing in the keyspace.
func (t *Table) DeleteRange(ks kv.Keyspace, r kv.Range, seq kv.Seq) {
	if !r.Empty() {
		t.treeToWrite(ks).deleteRange(&t.arena, kv.RangeDelete{Range: r, Seq: seq})
	}
	t.count(seq, 1)
}

// Get returns the newest version of key up to seq: its value (nil for a
// tombstone), its kind and its sequence number. The kind is 0 if there is
// none. Range deletes are not considered. The value aliases the table's
// memory; it never changes.
func (t *Table) Get(ks kv.Keyspace, key []byte, hash uint64, seq kv.Seq) (value []byte, kind kv.Kind, at kv.Seq) {
	tree := t.tree(ks)
	if tree == nil {
		return nil, 0, 0
	}
	e := tree.find(&t.arena, key, hash)
	if e == nil {
		return nil, 0, 0
	}
	if e = t.arena.visible(e, seq); e == nil {
		return nil, 0, 0
	}
	return e.value(), e.kind(), e.seq()
}

// RangeDeletes returns the range tombstones up to seq as fragments, nil if
// there are none, which costs one atomic load to learn.
func (t *Table) RangeDeletes(ks kv.Keyspace, seq kv.Seq) kv.RangeDeletes {
	tree := t.tree(ks)
	if tree == nil {
		return nil
	}
	r := tree.ranges.Load()
	if r == nil {
		return nil
	}
	return r.asOf(seq)
}

// Empty reports whether the keyspace has neither a point entry nor a range
// delete.
func (t *Table) Empty(ks kv.Keyspace) bool {
	tree := t.tree(ks)
	return tree == nil || tree.empty()
}

// NewCursor returns a cursor of the keyspace at seq.
func (t *Table) NewCursor(ks kv.Keyspace, seq kv.Seq) *Cursor {
	c := new(Cursor)
	c.Reset(t, ks, seq)
	return c
}

// ChangedKey reports whether key was put or deleted, alone or in a range,
// after since.
func (t *Table) ChangedKey(ks kv.Keyspace, key []byte, hash uint64, since kv.Seq) bool {
	tree := t.tree(ks)
	if tree == nil || t.LastSeq() <= since {
		return false
	}
	if e := tree.find(&t.arena, key, hash); e != nil && e.seq() > since {
		return true
	}
	r := tree.ranges.Load()
	return r != nil && r.newest.Covering(key) > since
}

// Changed reports whether any key in r was put or deleted, or any range that
// overlaps r was deleted, after since. It looks into those leaves only that
// have something newer.
func (t *Table) Changed(ks kv.Keyspace, r kv.Range, since kv.Seq) bool {
	tree := t.tree(ks)
	if tree == nil || r.Empty() || t.LastSeq() <= since {
		return false
	}
	if d := tree.ranges.Load(); d != nil && d.changed(r, since) {
		return true
	}
	t.wantsOrder()
	h := tree.hashed.Load()
	if h == nil {
		return tree.changed(&t.arena, r, since)
	}
	return h.changed(&t.arena, r, since)
}

// Keyspaces returns those that have anything in them, sorted.
func (t *Table) Keyspaces() []kv.Keyspace {
	var list []kv.Keyspace
	if !t.main.empty() {
		list = append(list, kv.DefaultKeyspace)
	}
	if others := t.others.Load(); others != nil {
		for _, o := range *others {
			if !o.empty() {
				list = append(list, o.keyspace)
			}
		}
	}
	return list
}

// Bytes returns how much memory the table holds: whole chunks of the arena,
// and nodes.
func (t *Table) Bytes() int64 { return t.arena.held.Load() }

// Len returns the number of operations put.
func (t *Table) Len() int { return int(t.operations.Load()) }

// FirstSeq returns the sequence number of the first operation, 0 if there is
// none.
func (t *Table) FirstSeq() kv.Seq { return kv.Seq(t.first.Load()) }

// LastSeq returns the sequence number of the last operation, 0 if there is
// none.
func (t *Table) LastSeq() kv.Seq { return kv.Seq(t.last.Load()) }

// count notes n operations, the first of which has the sequence number first.
func (t *Table) count(first kv.Seq, n int) {
	if t.operations.Add(int64(n)) == int64(n) {
		t.first.Store(uint64(first))
	}
	t.last.Store(uint64(first) + uint64(n) - 1)
}

// tree returns the tree of a keyspace, nil if there is none.
func (t *Table) tree(ks kv.Keyspace) *tree {
	if ks == kv.DefaultKeyspace {
		return &t.main
	}
	others := t.others.Load()
	if others == nil {
		return nil
	}
	i, found := searchKeyspace(*others, ks)
	if !found {
		return nil
	}
	return (*others)[i].tree
}

// treeToWrite is tree for the writer: it makes one if need be.
func (t *Table) treeToWrite(ks kv.Keyspace) *tree {
	if tree := t.tree(ks); tree != nil {
		return tree
	}
	var list []keyspaceTree
	if others := t.others.Load(); others != nil {
		list = *others
	}
	i, _ := searchKeyspace(list, ks)
	added := keyspaceTree{ks, new(tree)}
	list = append(append(list[:i:i], added), list[i:]...)
	t.others.Store(&list)
	return added.tree
}

func searchKeyspace(list []keyspaceTree, ks kv.Keyspace) (int, bool) {
	return slices.BinarySearchFunc(list, ks, func(t keyspaceTree, ks kv.Keyspace) int {
		return int(int64(t.keyspace) - int64(ks))
	})
}
