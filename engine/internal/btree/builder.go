package btree

import (
	"bytes"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
)

// builder makes a tree out of entries and whole subtrees of an older one,
// which come in order of key. It holds the right edge of the new tree, at each
// level up to two nodes' worth of items, and writes what lies left of it.
//
//   - While entries come, a level fills its first page, then its second. When
//     that is full too the first is written: nodes are packed full.
//   - When a subtree is carried over, the levels below its root come to an end
//     there. If the second page is underfull, the two are written as halves.
//     If even the first is, the subtree is taken apart for the node that
//     follows, and the two are joined.
//   - At the end of the tree, what is underfull is joined with the node before
//     it, which is taken back.
type builder struct {
	w      *pager.Writer
	t      *Tree // the old tree
	levels []*level
	loan   pager.Loan // for leaves of the old tree
	leaf   node.LeafBuilder
	branch node.BranchBuilder
	nodes  uint64       // written
	hot    bool         // new entries belong with a leaf that is in memory
	hashes func(uint64) // sees the hash of every new key; may be nil
}

// level is the right edge of one level: the items of its last one or two
// nodes. pages[1] is empty until pages[0] is full.
type level struct{ pages [2]page }

func (b *builder) limit() int { return int(b.t.cfg.PageSize) }

// level returns level k of the edge.
func (b *builder) level(k int) *level {
	for len(b.levels) <= k {
		b.levels = append(b.levels, newLevel(len(b.levels)))
	}
	return b.levels[k]
}

func newLevel(k int) *level {
	return &level{[2]page{{branch: k > 0}, {branch: k > 0}}}
}

func (b *builder) empty(k int) bool { return k >= len(b.levels) || b.levels[k].pages[0].empty() }

// underfull reports whether level k holds less than half a node.
func (b *builder) underfull(k int) bool {
	l := b.level(k)
	p := &l.pages[0]
	return l.pages[1].empty() && (len(p.items) < minItems(p.branch) || p.size() < b.limit()/2)
}

// below tells the leaf level that what comes next is at or after lower, and
// what came before is before it.
func (b *builder) below(lower []byte) {
	if p := &b.level(0).pages[0]; p.empty() {
		p.lower = append(p.lower[:0], lower...)
	}
}

// stable tells which slices of an item stay as they are until it is written;
// the others are copied.
type stable struct{ key, value bool }

// add appends an item to level k.
func (b *builder) add(k int, it *item, s stable) error {
	l := b.level(k)
	first, second := &l.pages[0], &l.pages[1]
	if !second.empty() {
		if second.add(it, b.limit(), s) {
			return nil
		}
		if err := b.write(k, first.lower, first.items, first.size(), first.prefix); err != nil {
			return err
		}
		first.reset()
		*first, *second = *second, *first
	} else if first.add(it, b.limit(), s) {
		return nil
	}
	second.lower = append(second.lower[:0], lowerBound(k, &first.items[len(first.items)-1], it)...)
	second.add(it, b.limit(), s)
	return nil
}

// lowerBound is the separator that leads to a node of level k which begins
// with it, behind one that ends with before.
func lowerBound(k int, before, it *item) []byte {
	if k > 0 {
		return it.key
	}
	return node.Separator(before.key, it.key)
}

// flush writes what level k holds.
func (b *builder) flush(k int) error {
	first, second := &b.levels[k].pages[0], &b.levels[k].pages[1]
	items := append(first.items, second.items...)
	first.items = items
	cut := len(items) - len(second.items)
	if !second.empty() && (len(second.items) < minItems(second.branch) || second.size() < b.limit()/2) {
		cut = halve(first.branch, items, cut, b.limit())
	}
	size, prefix, _ := measure(first.branch, items[:cut])
	if err := b.write(k, first.lower, items[:cut], size, prefix); err != nil {
		return err
	}
	if cut < len(items) {
		size, prefix, _ = measure(first.branch, items[cut:])
		if err := b.write(k, lowerBound(k, &items[cut-1], &items[cut]), items[cut:], size, prefix); err != nil {
			return err
		}
	}
	first.reset()
	second.reset()
	return nil
}

// write writes a node of level k and adds it to the level above. lower is its
// separator, for a leaf: a branch begins with its own. size and prefix are what
// measure says.
func (b *builder) write(k int, lower []byte, items []item, size, prefix int) error {
	h := b.header(k)
	var f *pager.Frame
	var err error
	if k == 0 {
		f, err = b.writeLeaf(h, items, size, prefix)
	} else {
		lower = items[0].key
		f, err = b.writeBranch(h, items, size, prefix)
	}
	if err != nil {
		return err
	}
	return b.written(k, lower, f)
}

// header is what the builder knows of a node of level k before it is laid out.
func (b *builder) header(k int) node.Header {
	return node.Header{Level: uint8(k), Keyspace: b.t.cfg.Keyspace, Codec: uint8(b.t.cfg.Codec)}
}

// written adds a node of level k that was written to the level above.
func (b *builder) written(k int, lower []byte, f *pager.Frame) error {
	b.nodes++
	return b.add(k+1, &item{key: lower, value: encode(f.Ref()), frame: f}, stable{value: true})
}

func (b *builder) writeLeaf(h node.Header, items []item, size, prefix int) (*pager.Frame, error) {
	b.leaf.Begin(len(items), items[0].key[:prefix], size)
	overflow, hot := false, false
	for i := range items {
		it := &items[i]
		overflow = overflow || it.overflow
		hot = hot || it.hot
		b.leaf.Add(it.key[prefix:], it.fp, it.value, it.valueLen, it.overflow || it.tombstone)
	}
	buf := b.leaf.Finish(&h)
	return b.w.Write(h, uint64(len(items)), overflow, buf, nil, hot)
}

func (b *builder) writeBranch(h node.Header, items []item, size, prefix int) (*pager.Frame, error) {
	b.branch.Begin(len(items), items[1].key[:prefix], size)
	frames := make([]*pager.Frame, len(items))
	count, overflow := uint64(0), false
	for i := range items {
		it := &items[i]
		ref := node.GetRef(it.value)
		count += ref.Count
		overflow = overflow || ref.Overflow
		frames[i] = it.frame
		suffix := it.key
		if i > 0 {
			suffix = suffix[prefix:]
		}
		b.branch.Add(suffix, it.value)
	}
	buf := b.branch.Finish(&h)
	return b.w.Write(h, count, overflow, buf, frames, true)
}

func encode(ref node.Ref) []byte {
	b := make([]byte, node.RefSize)
	ref.Put(b)
	return b
}

// carry appends the subtree it, whose root is of level k, as it is. Where it
// follows an underfull node it is taken apart as far as needed to join that
// with its neighbour.
func (b *builder) carry(k int, it item) error {
	for i := range k + 1 {
		if b.empty(i) {
			continue
		}
		if !b.underfull(i) {
			if err := b.flush(i); err != nil {
				return err
			}
			continue
		}
		if i == k {
			return b.unpack(k, it)
		}
		return b.children(k, it, func(c item) error { return b.carry(k-1, c) })
	}
	return b.add(k+1, &it, stable{value: true})
}

// children replaces the branch it, of level k, by its children, which it calls
// visit with. Their keys stay as they are until visit returns.
func (b *builder) children(k int, it item, visit func(c item) error) error {
	f := b.frame(k, it)
	n, err := b.t.p.Node(f)
	if err != nil {
		return err
	}
	b.w.FreeFrame(f)
	key := bytes.Clone(it.key)
	for i := range n.Count() {
		if i > 0 {
			key = n.AppendSeparator(key[:0], i)
		}
		if err := visit(item{key: key, value: n.RefBytes(i), frame: f.Peek(n, i)}); err != nil {
			return err
		}
	}
	return nil
}

// unpack replaces the node it, of level k, by its items.
func (b *builder) unpack(k int, it item) error {
	if k > 0 {
		return b.children(k, it, func(c item) error { return b.add(k, &c, stable{value: true}) })
	}
	f := b.frame(0, it)
	hot := f.Resident()
	n, err := b.t.p.LeafOnce(f, &b.loan)
	if err != nil {
		return err
	}
	b.w.FreeFrame(f)
	b.below(it.key)
	key := bytes.Clone(n.Prefix())
	for i := range n.Count() {
		cell := n.Cell(i)
		key = append(key[:n.PrefixLen()], cell.Suffix...)
		if err := b.keep(n, i, key, cell, hot); err != nil {
			return err
		}
	}
	return nil
}

// frame is the place of the child it, of level k.
func (b *builder) frame(k int, it item) *pager.Frame {
	if it.frame != nil {
		return it.frame
	}
	return b.t.p.Frame(node.GetRef(it.value), b.t.cfg.Keyspace, k)
}

// keep appends entry i of the older leaf n.
func (b *builder) keep(n node.Node, i int, key []byte, cell node.Cell, hot bool) error {
	it := item{
		key: key, value: cell.Value, valueLen: cell.Len, fp: n.Fingerprint(i),
		overflow: cell.Overflow, tombstone: cell.Tombstone, hot: hot,
	}
	return b.add(0, &it, stable{}) // the leaf may be on loan
}

// entry appends a new entry, of kind Set, or Delete in a run.
func (b *builder) entry(key, value []byte, kind kv.Kind, s stable) error {
	hash := kv.Hash(key)
	if b.hashes != nil {
		b.hashes(hash)
	}
	it := item{key: key, value: value, valueLen: len(value), fp: uint8(hash), tombstone: kind == kv.Delete, hot: b.hot}
	if len(value) > b.limit()/2 {
		ref, err := b.w.WriteOverflow(b.t.cfg.Keyspace, value, b.t.cfg.Codec)
		if err != nil {
			return err
		}
		it.value, it.overflow, s.value = encode(ref), true, true
	}
	return b.add(0, &it, s)
}

// finish writes what is left and returns the root, nil for an empty tree.
func (b *builder) finish() (*pager.Frame, error) {
	for k := 0; k < len(b.levels); k++ {
		if b.empty(k) {
			continue
		}
		if items := b.levels[k].pages[0].items; k > 0 && len(items) == 1 && b.topmost(k) {
			return b.frame(k-1, items[0]), nil
		}
		if b.underfull(k) {
			if err := b.joinLeft(k); err != nil {
				return nil, err
			}
		}
		if err := b.flush(k); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// topmost reports whether the levels above k hold nothing.
func (b *builder) topmost(k int) bool {
	for k++; k < len(b.levels); k++ {
		if !b.empty(k) {
			return false
		}
	}
	return true
}

// joinLeft puts the items of the node before the last one in front of those
// that level k holds, if there is one: mostly one of the old tree, and seldom
// one that was written a moment ago.
func (b *builder) joinLeft(k int) error {
	left, ok, err := b.takeBack(k + 1)
	if err != nil || !ok {
		return err
	}
	held := b.levels[k].pages[0].items
	b.levels[k] = newLevel(k)
	if err := b.unpack(k, left); err != nil {
		return err
	}
	for i := range held {
		if err := b.add(k, &held[i], stable{key: true, value: true}); err != nil {
			return err
		}
	}
	return nil
}

// takeBack takes the last item off level k. Where the level holds none, the
// node that came last was carried over, and is taken apart.
func (b *builder) takeBack(k int) (item, bool, error) {
	if k >= len(b.levels) {
		return item{}, false, nil
	}
	l := b.levels[k]
	if b.empty(k) {
		up, ok, err := b.takeBack(k + 1)
		if err != nil || !ok {
			return item{}, false, err
		}
		if err := b.unpack(k, up); err != nil {
			return item{}, false, err
		}
	}
	p := &l.pages[1]
	if p.empty() {
		p = &l.pages[0]
	}
	it := p.pop()
	it.key = bytes.Clone(it.key)
	return it, true, nil
}
