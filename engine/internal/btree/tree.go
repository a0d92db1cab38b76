// Package btree is the immutable, copy-on-write B+tree that holds the settled
// entries of a keyspace. A Tree is read by any number of goroutines. Merge
// makes a new one out of it and a sorted set of edits: it writes only the
// nodes that differ and shares the rest.
//
// Invariants, kept by every Tree (docs/FORMAT.md has them in full):
//
//  1. Keys are strictly increasing over all leaves, and each child's keys are
//     within the bounds that its separators set (L1, B1).
//  2. A node is at most the page size, unless it holds a single entry or at
//     most three children (L2, B3).
//  3. A value is in an overflow extent exactly when it is longer than half
//     the page size (L3).
//  4. A reference tells truly how many entries are below it, and whether any
//     of their values lives in an overflow extent.
//  5. What a Writer frees is what the old tree reaches and the new one does
//     not, each extent once.
package btree

import (
	"fmt"
	"sync/atomic"

	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
)

// Config is what the trees of one keyspace have in common.
type Config struct {
	Keyspace kv.Keyspace
	PageSize uint32 // the size a node aims for, header included
	Codec    compress.Codec
}

// prefetched is how much of a leaf is asked for at once before it is searched.
func (c *Config) prefetched() int { return min(int(c.PageSize), 4096) }

// Tree is one state of a keyspace. It is immutable, but that it may get a filter.
type Tree struct {
	p      *pager.Pager
	root   *pager.Frame // nil: no entries
	filter atomic.Pointer[keyFilter]
	cfg    Config
	missed atomic.Uint64 // gets that Missed counted
	id     uint64
}

var trees atomic.Uint64 // that were made

func newTree(p *pager.Pager, root *pager.Frame, cfg Config) *Tree {
	return &Tree{p: p, root: root, cfg: cfg, id: trees.Add(1)}
}

// ID is a number that no other tree of the process has, larger than those of
// the trees that were made before.
func (t *Tree) ID() uint64 { return t.id }

// Open returns the tree below root, which may be zero: the empty tree. It
// reads nothing.
func Open(p *pager.Pager, root node.Ref, cfg Config) *Tree {
	t := newTree(p, nil, cfg)
	if !root.IsZero() {
		t.root = p.Frame(root, cfg.Keyspace, -1)
	}
	return t
}

// Root returns the reference of the root, zero for an empty tree.
func (t *Tree) Root() node.Ref {
	if t.root == nil {
		return node.Ref{}
	}
	return t.root.Ref()
}

// Len returns the number of entries.
func (t *Tree) Len() uint64 { return t.Root().Count }

// Get appends the value of key to dst. The kind is Set when there is one, 0
// when the tree does not know the key, and Delete when it is a run that has a
// tombstone of it. hash is kv.Hash(key). It allocates nothing when the node is
// in memory and dst has room.
func (t *Tree) Get(key []byte, hash uint64, dst []byte) (value []byte, kind kv.Kind, err error) {
	f := t.filter.Load()
	if f.denies(hash) {
		return dst, 0, nil
	}
	var loan pager.Loan
	defer loan.Return()
	v, size, overflow, found, err := t.find(t.root, key, uint8(hash), &loan)
	if err != nil || !found {
		return dst, 0, err
	}
	f.found(hash)
	if overflow {
		if size == 0 {
			return dst, kv.Delete, nil
		}
		if value, err = t.readOverflow(node.GetRef(v), size, dst, false); err != nil {
			return value, 0, err
		}
		return value, kv.Set, nil
	}
	return append(dst, v...), kv.Set, nil
}

// Has returns the kind that Get does. hash is kv.Hash(key).
func (t *Tree) Has(key []byte, hash uint64) (kv.Kind, error) {
	f := t.filter.Load()
	if f.denies(hash) {
		return 0, nil
	}
	var loan pager.Loan
	_, size, overflow, found, err := t.find(t.root, key, uint8(hash), &loan)
	loan.Return()
	switch {
	case err != nil || !found:
		return 0, err
	case overflow && size == 0:
		return kv.Delete, nil
	}
	f.found(hash)
	return kv.Set, nil
}

// SameLeaf reports whether the two keys belong in one leaf. It reads branches
// only.
func (t *Tree) SameLeaf(a, b []byte) (bool, error) {
	for f := t.root; f != nil; {
		if f.Level() == 0 {
			break
		}
		n, err := t.p.Node(f)
		if err != nil {
			return false, err
		}
		if n.Kind() == node.Leaf {
			break
		}
		i := n.Search(a)
		if i != n.Search(b) {
			return false, nil
		}
		f = t.p.Child(f, n, i)
	}
	return true, nil
}

// Split appends to cuts the separators inside a range, which is not empty, of the
// highest level that has n or more of them, or else of the lowest: in order, and
// between two as many entries as a subtree has. It reads branches only.
func (t *Tree) Split(cuts [][]byte, r kv.Range, n int) ([][]byte, error) {
	if t.root == nil {
		return cuts, nil
	}
	type subtree struct {
		*pager.Frame
		low []byte // its least key
	}
	level := []subtree{{t.root, nil}} // those that reach into the range
	for len(level) <= n && level[0].Level() != 0 {
		var below []subtree
		for _, s := range level {
			b, err := t.p.NodeForScan(s.Frame)
			if err != nil {
				return nil, err
			}
			if b.Kind() == node.Leaf { // the root: its level was not known
				return cuts, nil
			}
			for c := range b.Count() {
				if c > 0 {
					s.low = b.AppendSeparator(nil, c)
				}
				if r.End != nil && kv.Compare(s.low, r.End) >= 0 {
					break
				}
				if kv.Compare(s.low, r.Start) <= 0 { // those before end where the range begins
					below = below[:0]
				}
				below = append(below, subtree{t.p.Child(s.Frame, b, c), s.low})
			}
			if uint64(len(below)) > t.p.Meta().FileSize/node.Unit {
				return nil, t.corrupt(s.Ref(), sharedBelow)
			}
		}
		level = below
	}
	for _, s := range level[1:] {
		cuts = append(cuts, s.low)
	}
	return cuts, nil
}

// Shape is how many nodes a descent reads, and about how many there are: as many
// as if all branches were filled like those on the way to the middle, which are
// what it reads.
func (t *Tree) Shape() (depth int, nodes uint64, err error) {
	if t.root == nil {
		return 0, 0, nil
	}
	nodes = 1
	for f := t.root; ; {
		depth++
		if f.Level() == 0 {
			return depth, nodes, nil
		}
		n, err := t.p.NodeForScan(f)
		if err != nil {
			return 0, 0, err
		}
		if n.Kind() == node.Leaf {
			return depth, nodes, nil
		}
		if below := f.Ref().Count; below > 0 {
			nodes += t.Len() * uint64(n.Count()) / below
		}
		f = t.p.Child(f, n, n.Count()/2)
	}
}

// sharedBelow says what is wrong with a tree that seems to have more nodes than
// there is room for in the file.
const sharedBelow = "more nodes than the file has: branches share what is below them"

// find looks for key below f, which may be nil. It returns what node.Find does;
// the value is valid until the loan is returned.
func (t *Tree) find(f *pager.Frame, key []byte, fp uint8, loan *pager.Loan) (value []byte, size int, overflow, found bool, err error) {
	if f == nil {
		return nil, 0, false, false, nil
	}
	n, hits, err := t.p.Root(f)
	if err != nil {
		return nil, 0, false, false, err
	}
	for n.Kind() != node.Leaf {
		var hit int
		if f, n, hit, err = t.p.ChildNode(f, n, n.Search(key), loan); err != nil {
			return nil, 0, false, false, err
		}
		hits += hit
	}
	t.p.CountHits(hits)
	value, size, overflow, found = n.Find(key, fp)
	return value, size, overflow, found, nil
}

// readOverflow appends the value of the overflow extent ref, which the leaf
// says is of that size, to dst. A scan will not come back for it. On an error
// dst comes back as it was.
func (t *Tree) readOverflow(ref node.Ref, size int, dst []byte, scan bool) ([]byte, error) {
	read := t.p.ReadOverflow
	if scan {
		read = t.p.ReadOverflowForScan
	}
	value, err := read(ref, t.cfg.Keyspace, dst)
	if err != nil {
		return dst, err
	}
	if n := len(value) - len(dst); n != size {
		return dst, t.corrupt(ref, fmt.Sprintf("a value of %d bytes where the leaf says %d", n, size))
	}
	return value, nil
}

// corrupt says what is wrong with an extent whose checksum holds.
//
//go:noinline // called in several places, none of them hot
func (t *Tree) corrupt(ref node.Ref, reason string) error {
	return &pager.CorruptError{Path: t.p.Path(), Offset: ref.Off, Kind: pager.Structure, Reason: reason}
}
