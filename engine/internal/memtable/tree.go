package memtable

import (
	"sync/atomic"
	"unsafe"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// A tree holds one keyspace. Readers load the root and descend; they may meet
// nodes that a split has replaced meanwhile, and those hold everything that
// was published before the reader came.
type tree struct {
	hashed atomic.Pointer[hashed] // not nil: this has all keys, and root may be old; loaded before root
	root   atomic.Pointer[root]   // nil: no point entry
	ranges atomic.Pointer[ranges]

	// The writer's: the last leaf and the greatest key, or nil. A key behind that
	// belongs into that leaf and is not there: keys that come in order need no
	// search.
	tail  *leaf
	top   []byte
	inRun bool // the slots of tail are in key order

	small  bool // it was no higher than a branch when a leaf was split last
	strays int  // how many more leaves of a small tree were split for keys in no order than for others
}

// A root names the top node: a leaf if the height is zero.
type root struct {
	node   unsafe.Pointer
	height int
}

// maxHeight bounds the height of a tree: a branch is split only when full,
// so that 2^48 keys in any order stay below it.
const maxHeight = 12

// leaf returns the leaf that key belongs in, nil in an empty tree.
func (t *tree) leaf(a *arena, key []byte) *leaf {
	top := t.root.Load()
	if top == nil {
		return nil
	}
	node := top.node
	for range top.height {
		b := (*branch)(node)
		node = b.child(b.search(a, key))
	}
	return (*leaf)(node)
}

// find returns the newest version of key, nil if there is none.
func (t *tree) find(a *arena, key []byte, hash uint64) entry {
	if h := t.hashed.Load(); h != nil {
		return h.find(a, key, hash)
	}
	l := t.leaf(a, key)
	if l == nil {
		return nil
	}
	_, e := l.find(a, key, hash)
	return e
}

// behind reports whether key is known to be greater than all that are there.
func (t *tree) behind(key []byte) bool { return t.tail != nil && kv.Compare(key, t.top) > 0 }

func (t *tree) empty() bool { return t.root.Load() == nil && t.ranges.Load() == nil }

// put adds a version of key. One writer at a time. l may be the leaf that key
// belonged in at some time before; nil is always right.
func (t *tree) put(a *arena, l *leaf, key []byte, hash uint64, value []byte, kind kv.Kind, seq kv.Seq) {
	if h := t.hashed.Load(); h != nil {
		if h.put(a, key, hash, value, kind, seq) {
			return
		}
		t.unhash(a)
	}
	if t.behind(key) {
		r := a.append(key, value, kind, seq, 0, false)
		if l := t.tail; l.used < leafSlots {
			l.add(headOf(key, int(l.skip)), hash, r, seq)
		} else {
			t.extend(a, key, hash, r, seq)
		}
		t.top = a.at(r).key()
		return
	}
	if l == nil || l.used == leafSlots { // only a full leaf is ever replaced
		l = t.leaf(a, key)
	}
	if l == nil {
		l = newLeaf(a, nil, 0, 0, 0)
		r := a.append(key, value, kind, seq, 0, false)
		l.add(headOf(key, 0), hash, r, seq)
		a.held.Add(leafBytes)
		t.tail, t.top, t.inRun = l, a.at(r).key(), true
		t.root.Store(&root{node: unsafe.Pointer(l)})
		return
	}
	if i, _ := l.find(a, key, hash); i >= 0 {
		older := l.slots[i].ref()
		l.update(i, hash, a.append(key, value, kind, seq, older, true), seq)
		return
	}
	r := a.append(key, value, kind, seq, 0, false)
	if l.used == leafSlots {
		t.split(a, key, hash, r, seq)
		return
	}
	l.add(headOf(key, int(l.skip)), hash, r, seq)
	if l == t.tail {
		t.inRun = false
	}
}

// extend gives the key at r, which is behind all others, a leaf of its own behind
// the tail, which is full.
func (t *tree) extend(a *arena, key []byte, hash uint64, r ref, seq kv.Seq) {
	var p path
	p.descend(t, a, key)
	left := t.tail
	if t.inRun {
		left.sorted.Store(&identity)
	}
	lower, _ := p.bounds(a)
	if skip := commonPrefix(lower, key); skip > int(left.skip)+moreTelling {
		order, n := left.inOrder(a)
		left = newLeaf(a, left.cells(make([]cell, 0, leafSlots), order, n), int(left.skip), skip, left.newest.Load())
	}
	right := newLeaf(a, []cell{{headOf(key, 0), r | tagOf(hash)}}, 0, 0, uint64(seq))
	a.held.Add(leafBytes)
	t.tail, t.inRun = right, true
	t.strays--
	if p.height > 0 {
		last := p.steps[p.height-1]
		if last.branch.extend(a, unsafe.Pointer(right), r) {
			last.branch.setChild(last.child, unsafe.Pointer(left))
			return
		}
	}
	t.replace(a, &p, unsafe.Pointer(left), unsafe.Pointer(right), r)
}

// split replaces the full leaf that key belongs in by two that hold the new
// entry at r as well.
func (t *tree) split(a *arena, key []byte, hash uint64, r ref, seq kv.Seq) {
	var p path
	p.descend(t, a, key)
	l := p.leaf
	order, n := l.inOrder(a)
	pos := l.search(a, order, n, key)

	cells := l.cells(make([]cell, 0, leafSlots+1), order, n)
	cells = append(cells, cell{})
	copy(cells[pos+1:], cells[pos:])
	cells[pos] = cell{headOf(key, int(l.skip)), r | tagOf(hash)}

	// Keys that come in order, each right beside the last one, leave full
	// leaves behind: the cut parts their run from what lies before it.
	cut := len(cells) / 2
	switch last := uint8(n - 1); {
	case pos > 0 && order[pos-1] == last:
		cut = min(pos+1, n)
	case pos < n && order[pos] == last:
		cut = max(pos, 1)
	default:
		t.strays += 2
	}
	t.strays--
	t.small = p.height <= 1
	sep := cells[cut].at
	lower, upper := p.bounds(a)
	middle := a.at(sep).key()
	left := newLeaf(a, cells[:cut], int(l.skip), commonPrefix(lower, middle), uint64(seq))
	right := newLeaf(a, cells[cut:], int(l.skip), commonPrefix(middle, upper), uint64(seq))
	a.held.Add(leafBytes)
	if upper == nil && t.tail != nil {
		t.tail, t.inRun = right, true
	}
	t.replace(a, &p, unsafe.Pointer(left), unsafe.Pointer(right), sep)
}

// replace puts left and right, which sep separates, in the place of the leaf
// that p leads to. Only the store into the lowest branch with room, or of a
// new root, shows any of it to readers.
func (t *tree) replace(a *arena, p *path, left, right unsafe.Pointer, sep ref) {
	var f family
	for d := p.height - 1; d >= 0; d-- {
		b, i := p.steps[d].branch, p.steps[d].child
		f.withSplit(a, b, i, left, right, sep)
		if f.n <= fanout {
			node := unsafe.Pointer(f.branch(a, 0, f.n))
			if d == 0 {
				t.root.Store(&root{node, p.height})
			} else {
				p.steps[d-1].branch.setChild(p.steps[d-1].child, node)
			}
			return
		}
		cut := f.n / 2
		switch i {
		case 0:
			cut = 1
		case b.count() - 1:
			cut = b.count()
		}
		left, right = unsafe.Pointer(f.branch(a, 0, cut)), unsafe.Pointer(f.branch(a, cut, f.n))
		sep = f.seps[cut-1]
		a.held.Add(branchBytes)
	}
	f = family{n: 2}
	f.children[0], f.children[1] = left, right
	f.seps[0] = sep
	a.held.Add(branchBytes)
	t.root.Store(&root{unsafe.Pointer(f.branch(a, 0, 2)), p.height + 1})
}

// A path leads from the root to a leaf, and from there to the leaves beside
// it. It never needs to look a key up again after a split: the branches that
// it holds still lead to everything that was there when they were loaded.
type path struct {
	leaf   *leaf
	height int
	steps  [maxHeight]step
}

type step struct {
	branch *branch
	child  int
}

// descend leads to the leaf that key belongs in. It reports whether there is
// one: not in an empty tree. So do first and last.
func (p *path) descend(t *tree, a *arena, key []byte) bool {
	top := t.root.Load()
	if top == nil {
		return false
	}
	node := top.node
	for d := range top.height {
		b := (*branch)(node)
		i := 0
		for n := 0; n != b.count(); { // again where key may belong below a child that came meanwhile
			n = b.count()
			i = b.search(a, key)
			node = b.child(i)
		}
		p.steps[d] = step{b, i}
	}
	p.height, p.leaf = top.height, (*leaf)(node)
	return true
}

func (p *path) first(t *tree) bool {
	top := t.root.Load()
	if top == nil {
		return false
	}
	p.height = top.height
	p.leftmost(0, top.node)
	return true
}

func (p *path) last(t *tree) bool {
	top := t.root.Load()
	if top == nil {
		return false
	}
	p.height = top.height
	p.rightmost(0, top.node)
	return true
}

// next moves to the leaf after this one; false if there is none.
func (p *path) next() bool {
	for d := p.height - 1; d >= 0; d-- {
		if s := &p.steps[d]; s.child+1 < s.branch.count() {
			s.child++
			p.leftmost(d+1, s.branch.child(s.child))
			return true
		}
	}
	return false
}

// prev moves to the leaf before this one; false if there is none.
func (p *path) prev() bool {
	for d := p.height - 1; d >= 0; d-- {
		if s := &p.steps[d]; s.child > 0 {
			s.child--
			p.rightmost(d+1, s.branch.child(s.child))
			return true
		}
	}
	return false
}

// leftmost goes on from node, at depth d, along the first children.
func (p *path) leftmost(d int, node unsafe.Pointer) {
	for ; d < p.height; d++ {
		b := (*branch)(node)
		p.steps[d] = step{b, 0}
		node = b.child(0)
	}
	p.leaf = (*leaf)(node)
}

func (p *path) rightmost(d int, node unsafe.Pointer) {
	for ; d < p.height; d++ {
		b := (*branch)(node)
		last := b.count() - 1 // there may be more of them meanwhile
		p.steps[d] = step{b, last}
		node = b.child(last)
	}
	p.leaf = (*leaf)(node)
}

// bounds returns the separators on either side of the leaf: its keys are at
// least lower and less than upper. Without one it is nil, which shares no
// prefix with anything.
func (p *path) bounds(a *arena) (lower, upper []byte) {
	for d := range p.height { // the nearest separators are the lowest ones
		s := p.steps[d]
		if s.child > 0 {
			lower = a.at(s.branch.seps[s.child-1]).key()
		}
		if s.child+1 < s.branch.count() {
			upper = a.at(s.branch.seps[s.child]).key()
		}
	}
	return lower, upper
}

// changed reports whether a key in r has a version newer than since.
func (t *tree) changed(a *arena, r kv.Range, since kv.Seq) bool {
	var p path
	if !p.descend(t, a, r.Start) {
		return false
	}
	for {
		if _, upper := p.bounds(a); p.leaf.changed(a, r, since) {
			return true
		} else if upper == nil || !r.Contains(upper) {
			return false
		}
		p.next()
	}
}
