package verify

import (
	"bytes"
	"fmt"
	"sort"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"github.com/lightning-db/lightning/engine/inspect"
)

// tree is the walk over the tree of one keyspace, a sorted run, or the catalog. Each node
// is judged by itself and against its parent: where that holds everywhere, it
// holds for the tree. So nodes can be read in any order, by any number of
// goroutines.
//
// An extent is counted as used when it has been verified, and before the walk
// goes below it. What is met a second time is a finding and not walked again,
// so the walk ends whatever the references say.
type tree struct {
	v       *verifier
	id      uint32
	name    string
	page    int
	catalog bool
	run     bool                   // a sorted run
	passes  func(hash uint64) bool // of a run: whether its filter lets a key pass; nil: it cannot be read
	// entry, if there is one, sees every entry, with the offset of its leaf.
	entry func(leaf uint64, key []byte, e inspect.Entry)

	bytes   atomic.Uint64 // of keys and values
	broken  atomic.Bool   // not all of it could be read
	sampled atomic.Bool   // not all of it was read
}

// spot is where an extent hangs: a node as child i of a branch, whose own keys
// are from start to end; the root, which has no parent; or a value at its key.
type spot struct {
	parent     *inspect.Node
	i          int
	start, end []byte
	key        []byte
}

// bounds returns the range of the keys at s, in the buffers where it is not
// that of the parent. nil has no bound.
func (s *spot) bounds(lower, upper []byte) (start, end []byte) {
	if s.key != nil {
		return append(lower[:0], s.key...), append(append(upper[:0], s.key...), 0)
	}
	start, end = s.start, s.end
	if s.parent != nil && s.i > 0 {
		start = s.parent.AppendSeparator(lower[:0], s.i)
	}
	if s.parent != nil && s.i+1 < s.parent.Len() {
		end = s.parent.AppendSeparator(upper[:0], s.i+1)
	}
	return start, end
}

// find adds a finding about the node at s, of which so many keys are
// lost. Of the catalog, which has keyspaces for keys, no keys are told.
func (t *tree) find(s *spot, keys uint64, d *inspect.Damage) { t.findWhy(s, keys, d, "") }

func (t *tree) findWhy(s *spot, keys uint64, d *inspect.Damage, why string) {
	t.v.found.add(func() Finding {
		f := findingOf(d)
		f.Explanation = why
		if t.catalog {
			f.Reason = "catalog: " + f.Reason
			return f
		}
		f.Keyspace, f.Keys = t.name, keys
		f.Start, f.End = s.bounds(nil, nil)
		return f
	})
}

func (t *tree) findf(ref inspect.Ref, s *spot, keys uint64, invariant, kind, format string, args ...any) {
	t.find(s, keys, &inspect.Damage{
		Invariant: invariant, Path: t.v.db.Path(), Offset: int64(ref.Offset), Kind: kind, Reason: fmt.Sprintf(format, args...),
	})
}

// lose says that the subtree of ref cannot be walked.
func (t *tree) lose(r *reader, ref inspect.Ref, s *spot, err error) {
	t.broken.Store(true)
	t.v.incomplete.Store(true)
	d := inspect.AsDamage(err)
	why := ""
	if (d.Kind == inspect.Checksum || d.Kind == inspect.Truncated) && t.v.explain.Add(-1) >= 0 {
		why = r.Explain(ref)
	}
	t.findWhy(s, ref.Count, d, why)
}

// root walks the tree whose root is ref, which may be zero.
func (t *tree) root(r *reader, ref inspect.Ref) {
	if !ref.IsZero() {
		t.subtree(r, ref, inspect.AnyLevel, new(spot))
	}
}

// subtree walks the subtree of ref, which hangs at s.
func (t *tree) subtree(r *reader, ref inspect.Ref, level int, s *spot) {
	if t.v.ctx.Err() != nil {
		return
	}
	if level == 0 && t.v.skips() {
		t.sampled.Store(true)
		return
	}
	n, ok := t.node(r, ref, level, s)
	switch {
	case !ok:
	case n.Kind == inspect.Leaf:
		t.leaf(r, &n, ref, s)
	default:
		branch := n.Clone() // r goes on reading
		t.branch(r, &branch, ref, s)
	}
}

// node reads a node and counts it as used.
func (t *tree) node(r *reader, ref inspect.Ref, level int, s *spot) (inspect.Node, bool) {
	n, err := r.Node(ref, t.id, level)
	if err != nil {
		t.lose(r, ref, s, err)
		return n, false
	}
	t.v.checkPadding(ref, n.Header, t.name)
	return n, t.take(ref, s)
}

// take counts the extent of ref as used. It reports false when another extent
// has some of its units.
func (t *tree) take(ref inspect.Ref, s *spot) bool {
	if !t.v.used.take(spanOf(ref.Offset, ref.Size())) {
		t.broken.Store(true)
		t.findf(ref, s, ref.Count, "M3", inspect.Space, "another reference leads to this extent or a part of it")
		return false
	}
	t.v.nodes.Add(1)
	return true
}

// branch judges a branch and walks its children.
func (t *tree) branch(r *reader, n *inspect.Node, ref inspect.Ref, s *spot) {
	s = t.checkBranch(r, n, ref, s)
	if n.Level == 1 {
		t.leaves(r, n, s)
		return
	}
	for i := range n.Len() {
		at := &spot{parent: n, i: i, start: s.start, end: s.end}
		t.v.fork(r, func(r *reader) { t.subtree(r, n.Child(i), int(n.Level)-1, at) })
	}
}

// checkBranch judges the branch n at s (R3, B1, B3), and returns the bounds of
// its keys.
func (t *tree) checkBranch(r *reader, n *inspect.Node, ref inspect.Ref, s *spot) *spot {
	start, end := s.bounds(nil, nil)
	s = &spot{start: start, end: end}
	if n.Size() > t.page && n.Len() > 3 {
		t.findf(ref, s, 0, "B3", inspect.Structure, "a branch of %d bytes and %d children, the page size is %d", n.Size(), n.Len(), t.page)
	}
	var count uint64
	overflow := false
	for i := range n.Len() {
		child := n.Child(i)
		count += child.Count
		overflow = overflow || child.Overflow
	}
	t.checkCount(ref, s, count, overflow)
	first, last := n.AppendSeparator(r.lower[:0], 1), n.AppendSeparator(r.upper[:0], n.Len()-1)
	r.lower, r.upper = first, last
	if s.start != nil && bytes.Compare(first, s.start) <= 0 || s.end != nil && bytes.Compare(last, s.end) >= 0 {
		t.findf(ref, s, 0, "B1", inspect.Order, "its separators are outside the bounds that those above it set")
	}
	return s
}

// checkCount holds a reference to what is below it (R3).
func (t *tree) checkCount(ref inspect.Ref, s *spot, count uint64, overflow bool) {
	if ref.Count != count {
		t.findf(ref, s, 0, "R3", inspect.Count, "%d entries, the reference tells %d", count, ref.Count)
	}
	if ref.Overflow != overflow {
		t.findf(ref, s, 0, "R3", inspect.Count, "overflow values below: %v, the reference tells %v", overflow, ref.Overflow)
	}
}

// maxGap is what else may lie between two leaves of one branch that are read
// at once.
const maxGap = 16 << 10

// leaves judges the leaves below the branch n, in the order in which they lie
// in the file.
func (t *tree) leaves(r *reader, n *inspect.Node, s *spot) {
	refs := make([]inspect.Ref, n.Len())
	order := make([]int, n.Len())
	for i := range order {
		refs[i], order[i] = n.Child(i), i
	}
	sort.Slice(order, func(i, j int) bool { return refs[order[i]].Offset < refs[order[j]].Offset })
	for len(order) > 0 {
		from := refs[order[0]].Offset
		end := from + refs[order[0]].Size()
		k := 1
		for ; k < len(order); k++ {
			next := refs[order[k]]
			if next.Offset > end+maxGap || next.Offset+next.Size() > from+inspect.MaxPrefetch {
				break
			}
			end = max(end, next.Offset+next.Size())
		}
		window := order[:k]
		order = order[k:]
		t.v.fork(r, func(r *reader) {
			if len(window) > 1 {
				r.Prefetch(from, end-from)
			}
			for _, i := range window {
				t.subtree(r, refs[i], 0, &spot{parent: n, i: i, start: s.start, end: s.end})
			}
			t.v.account(r)
		})
	}
}

// leaf judges a leaf (R3, L1 to L4) and its overflow values.
func (t *tree) leaf(r *reader, n *inspect.Node, ref inspect.Ref, s *spot) {
	if n.Size() > t.page && n.Len() > 1 {
		t.findf(ref, s, 0, "L2", inspect.Structure, "a leaf of %d bytes and %d entries, the page size is %d", n.Size(), n.Len(), t.page)
	}
	t.checkBounds(r, n, ref, s)
	prefix := n.Prefix()
	key := append(r.key[:0], prefix...)
	var size uint64
	overflow, misplaced, hidden, tombstones, denied := false, 0, 0, 0, 0
	for i := range n.Len() {
		e := n.Entry(i)
		key = append(key[:len(prefix)], e.Suffix...)
		size += uint64(len(key) + e.Length)
		hash := xxhash.Sum64(key)
		if uint8(hash) != e.Fingerprint {
			hidden++
		}
		if t.passes != nil && !t.passes(hash) {
			denied++
		}
		if e.Tombstone {
			tombstones++
		}
		if e.Overflow != (e.Length > t.page/2) {
			misplaced++
		}
		if e.Overflow {
			overflow = true
			t.value(r, &e, key)
		}
		if t.entry != nil {
			t.entry(ref.Offset, key, e)
		}
	}
	r.key = key
	t.checkCount(ref, s, uint64(n.Len()), overflow)
	if misplaced > 0 {
		t.findf(ref, s, 0, "L3", inspect.Structure, "%d values that do not belong where they are, the page size is %d", misplaced, t.page)
	}
	if hidden > 0 {
		t.findf(ref, s, uint64(hidden), "L4", inspect.Structure, "%d entries with the fingerprint of another key", hidden)
	}
	if tombstones > 0 && !t.run {
		t.findf(ref, s, uint64(tombstones), "U1", inspect.Structure, "%d tombstones in a tree that is no sorted run", tombstones)
	}
	if denied > 0 {
		t.findf(ref, s, uint64(denied), "U2", inspect.Structure, "%d keys of a sorted run that its filter denies", denied)
	}
	t.bytes.Add(size)
	if !t.catalog {
		t.v.keys.Add(uint64(n.Len()))
	}
}

// checkBounds holds the keys of a leaf to the separators above it. Among
// themselves they are in order, or the leaf could not have been read.
func (t *tree) checkBounds(r *reader, n *inspect.Node, ref inspect.Ref, s *spot) {
	start, end := s.bounds(r.lower, r.upper)
	if s.parent != nil && s.i > 0 {
		r.lower = start
	}
	if s.parent != nil && s.i+1 < s.parent.Len() {
		r.upper = end
	}
	within := func(i int) bool {
		r.key = n.AppendKey(r.key[:0], i)
		return bytes.Compare(r.key, start) >= 0 && (end == nil || bytes.Compare(r.key, end) < 0)
	}
	if within(0) && within(n.Len()-1) {
		return
	}
	outside := 0
	for i := range n.Len() {
		if !within(i) {
			outside++
		}
	}
	t.findf(ref, s, uint64(outside), "L1", inspect.Order, "%d keys are outside the bounds that the separators above set", outside)
}

// value judges the overflow extent of the entry e.
func (t *tree) value(r *reader, e *inspect.Entry, key []byte) {
	ref, s := e.Ref(), &spot{key: key}
	count := ref.Count
	ref.Count = 1 // what is lost with it, whatever it tells
	h, err := r.Value(ref, t.id)
	if err != nil {
		t.lose(r, ref, s, err)
		return
	}
	t.v.checkPadding(ref, h, t.name)
	if !t.take(ref, s) {
		return
	}
	if int(h.PlainLength) != e.Length {
		t.findf(ref, s, 1, "X3", inspect.Structure, "a value of %d bytes where its leaf tells %d", h.PlainLength, e.Length)
	}
	if count != 1 {
		t.findf(ref, s, 0, "R3", inspect.Count, "one value, the reference tells %d", count)
	}
}
