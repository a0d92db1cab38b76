package btree

import (
	"encoding/binary"
	"slices"
	"unsafe"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
)

// Cursor walks the entries of a Tree. It implements kv.Cursor: all entries
// have sequence number 0, and those of a tree that is no run the kind Set. When
// a move returned false the cursor stands nowhere, until a positioning method
// moves it. A failed cursor stays failed until Reset. It may be reset and used
// again without allocation, but not copied; it belongs to one goroutine.
type Cursor struct {
	t      *Tree
	path   []step    // the branches from the root down
	leaf   node.Node // nil: nowhere
	slots  *[2]byte  // the leaf's first slot
	i      int       // entry of the leaf
	count  int       // of entries in the leaf; 0: nowhere
	stop   int       // where a stretch ends
	open   bool      // it has no bounds but the leaf's
	ahead  *byte     // of the leaf that the walk comes to next, the first byte, or nil
	stride int       // bytes of the leaf for each entry
	skip   int       // how many entries of the leaf a seek has left out: backwards, less than 0
	long   int       // a cell at this offset or behind it is too near the leaf's end for a short suffix
	entry  kv.Entry  // entry i
	size   int       // length of its value, if that is in an overflow extent

	prefix int                // length of the leaf's prefix, which entry.Key begins with
	suffix *[shortSuffix]byte // room in entry.Key behind the prefix
	value  []byte             // buffer for an overflow value
	run    int                // leaves entered by Next or Prev in a row
	bounds kv.Range           // what Bound said
	bound  []byte             // buffer for a separator
	err    error

	once bool       // leaves are read past the cache
	loan pager.Loan // for them

	firstPath [4]step // what path begins as: enough for nearly every tree
}

// step is the way a cursor took through a branch.
type step struct {
	frame *pager.Frame
	node  node.Node
	i     int
}

// scanRun is how many leaves a cursor walks before it counts as a scan, whose
// leaves the cache lets go first.
const scanRun = 2

var _ kv.Cursor = (*Cursor)(nil)

// NewCursor returns a cursor over t that stands nowhere.
func (t *Tree) NewCursor() *Cursor {
	c := new(Cursor)
	c.Reset(t)
	return c
}

// NewCursorOnce is NewCursor for a walk whose leaves are not worth a place in the
// cache: those that are not in memory are read past it, one after the other into
// the same memory, so that keys and values are lent only until the next move.
func (t *Tree) NewCursorOnce() *Cursor {
	c := t.NewCursor()
	c.once = true
	return c
}

// Reset makes c a cursor over t that stands nowhere, and forgets a failure.
func (c *Cursor) Reset(t *Tree) {
	c.t = t
	c.bounds, c.err = kv.Range{}, nil
	if c.path == nil {
		c.path = c.firstPath[:0]
	}
	c.leave()
}

// Bound says that nobody asks for keys before r's start or from its end on, the
// latter unless it is nil. Next and Prev may then end there: they go into no leaf
// that has none but such keys, so whether it can be read does not matter. What
// else is positioned may stand there all the same.
func (c *Cursor) Bound(r kv.Range) { c.bounds = r }

// First moves to the first entry.
func (c *Cursor) First() bool { return c.start() && c.descend(first) && c.stand(0) }

// Last moves to the last entry.
func (c *Cursor) Last() bool {
	return c.start() && c.descend(last) && c.stand(c.count-1)
}

// SeekGE moves to the first entry at or after key.
func (c *Cursor) SeekGE(key []byte) bool {
	if !c.seek(key, false) {
		return false
	}
	if i := c.leaf.LowerBound(key); i < c.count {
		c.lookAhead(first)
		c.skip = i
		return c.stand(i)
	}
	return c.nextLeaf()
}

// SeekLT moves to the last entry before key.
func (c *Cursor) SeekLT(key []byte) bool {
	if !c.seek(key, true) {
		return false
	}
	if i := c.leaf.LowerBound(key); i > 0 {
		c.lookAhead(last)
		c.skip = i - c.count
		return c.stand(i - 1)
	}
	return c.prevLeaf()
}

// Next moves to the entry after the current one.
func (c *Cursor) Next() bool {
	if c.i+1 < c.count {
		return c.stand(c.i + 1)
	}
	return c.stepLeaf(first)
}

// Prev moves to the entry before the current one.
func (c *Cursor) Prev() bool {
	if c.i > 0 {
		return c.stand(c.i - 1)
	}
	return c.stepLeaf(last)
}

// Entry returns where the cursor stands. It is at the same address for as
// long as the cursor lives.
func (c *Cursor) Entry() *kv.Entry { return &c.entry }

// Stretch begins a stretch at the current entry: the entries behind it in the
// leaf that are before rival and before end, each unless it is nil. StepNext
// goes along it.
func (c *Cursor) Stretch(rival, end []byte) {
	c.stop, c.open = c.count, rival == nil && end == nil
	if rival != nil {
		c.stop = c.leaf.LowerBound(rival)
	}
	if end != nil {
		c.stop = min(c.stop, c.leaf.LowerBound(end))
	}
}

// StretchBack begins a stretch backwards: the entries before the current one
// in the leaf that are behind rival, unless it is nil, and not before start.
// StepPrev goes along it.
func (c *Cursor) StretchBack(rival, start []byte) {
	c.stop, c.open = 0, rival == nil && len(start) == 0
	if rival != nil {
		c.stop = c.leaf.LowerBound(rival) + 1 // it may be the same key
	}
	if len(start) > 0 {
		c.stop = max(c.stop, c.leaf.LowerBound(start))
	}
}

// StepNext moves to the next entry of the stretch and reports whether that is
// one of the kind Set. At the end of the stretch it does not move; on a
// tombstone, which ends it too, the cursor stands then, for Next to go on from.
func (c *Cursor) StepNext() bool { return c.i+1 < c.stop && c.show(c.i+1) }

// StepPrev is StepNext backwards, along a stretch of StretchBack.
func (c *Cursor) StepPrev() bool { return c.i > c.stop && c.show(c.i-1) }

// StepLeaf goes on, as StepNext does, where a stretch ends that had no bounds:
// with a stretch along the next leaf. Where there were bounds it does not move.
func (c *Cursor) StepLeaf() bool {
	if !c.open || c.i+1 < c.stop || !c.stepLeaf(first) {
		return false
	}
	c.stop, c.open = c.count, true
	return c.entry.Kind == kv.Set
}

// StepLeafBack is StepLeaf backwards.
func (c *Cursor) StepLeafBack() bool {
	if !c.open || c.i > c.stop || !c.stepLeaf(last) {
		return false
	}
	c.stop, c.open = 0, true
	return c.entry.Kind == kv.Set
}

// Key returns the current key.
func (c *Cursor) Key() []byte { return c.entry.Key }

// Value returns the current value.
func (c *Cursor) Value() ([]byte, error) {
	if !c.entry.Overflow {
		return c.entry.Value, nil
	}
	value, err := c.t.readOverflow(node.GetRef(c.entry.Value), c.size, c.value[:0], true)
	if err != nil {
		c.fail(err)
		return nil, err
	}
	c.value = value
	return value, nil
}

// ValueLen returns the length of the current value without reading it.
func (c *Cursor) ValueLen() int {
	if c.entry.Overflow {
		return c.size
	}
	return len(c.entry.Value)
}

// Kind returns kv.Set, or kv.Delete on a tombstone.
func (c *Cursor) Kind() kv.Kind { return c.entry.Kind }

// Seq returns 0.
func (c *Cursor) Seq() kv.Seq { return 0 }

// Err returns why the cursor failed, or nil.
func (c *Cursor) Err() error { return c.err }

// stand is show for a move that may lead to a tombstone too.
func (c *Cursor) stand(i int) bool {
	c.show(i)
	return true
}

// show makes entry i of the leaf the current one and reports whether it is of
// the kind Set. It is the whole cost of a scan in memory, so it has a way of
// its own for what nearly every entry is: a suffix of up to 16 bytes, which one
// move of a fixed length copies, and a value in the leaf of less than 8 KiB.
//
// It reads the leaf past the compiler's checks of bounds, which were a fifth of
// a scan. node.Check, or the Writer, has seen to it that every slot leads to a
// cell that lies in the leaf whole; c.long, that the 16 bytes do; and c.room,
// that they have a place in the key.
func (c *Cursor) show(i int) bool {
	c.i = i
	if i%node.PrefetchEvery == 0 && c.ahead != nil {
		node.Prefetch(c.ahead, (i-c.skip)*c.stride)
	}
	at := node.HeaderSize + int(binary.LittleEndian.Uint16((*(*[2]byte)(unsafe.Add(unsafe.Pointer(c.slots), 2*i)))[:]))
	if at >= c.long {
		return c.showAny(i)
	}
	cell := unsafe.Add(unsafe.Pointer(unsafe.SliceData(c.leaf)), at)
	suffix := int(*(*uint8)(cell))
	size := int(binary.LittleEndian.Uint16((*(*[2]byte)(unsafe.Add(cell, 1)))[:])) // two bytes of the uvarint
	if suffix > shortSuffix || size&1 != 0 || size&0x8080 == 0x8080 {
		return c.showAny(i)
	}
	cell = unsafe.Add(cell, 2)
	if size&0x80 != 0 {
		size = size&0x7F | size>>8<<7
		cell = unsafe.Add(cell, 1)
	} else {
		size &= 0x7F
	}
	size >>= 1
	*c.suffix = *(*[shortSuffix]byte)(cell)
	c.entry.Kind, c.entry.Overflow = kv.Set, false
	c.entry.Key = c.entry.Key[:c.prefix+suffix]
	c.entry.Value = unsafe.Slice((*byte)(unsafe.Add(cell, suffix)), size)
	return true
}

// showAny is show for any entry.
func (c *Cursor) showAny(i int) bool {
	cell := c.leaf.Cell(i)
	c.room(len(cell.Suffix))
	c.entry.Key = append(c.entry.Key[:c.prefix], cell.Suffix...)
	c.entry.Value, c.entry.Overflow, c.size = cell.Value, cell.Overflow, cell.Len
	c.entry.Kind = kv.Set
	if cell.Tombstone {
		c.entry.Kind = kv.Delete
	}
	return !cell.Tombstone
}

// shortSuffix is the length up to which a suffix counts as short.
const shortSuffix = 16

// room makes room in the buffer of the current key for a suffix of n bytes.
func (c *Cursor) room(n int) {
	c.entry.Key = slices.Grow(c.entry.Key[:c.prefix], max(n, shortSuffix))
	c.suffix = (*[shortSuffix]byte)(c.entry.Key[c.prefix : c.prefix+shortSuffix])
}

// start readies c for a descent from the root and reports whether there is
// anything to find.
func (c *Cursor) start() bool {
	if c.err != nil {
		return false
	}
	c.leave()
	return c.t.root != nil
}

// leave makes c stand nowhere.
func (c *Cursor) leave() {
	clear(c.path) // keeps no node alive
	c.path = c.path[:0]
	c.leaf, c.slots, c.i, c.count, c.run, c.ahead = nil, nil, 0, 0, 0, nil
	c.stop, c.open = 0, false
	c.entry, c.size = kv.Entry{Key: c.entry.Key[:0], Kind: kv.Set}, 0
}

func (c *Cursor) fail(err error) {
	c.leave()
	c.err = err
}

// seek enters the leaf whose range holds key; with before, if that range begins
// at key, the one before it, if it is below the same branch.
func (c *Cursor) seek(key []byte, before bool) bool {
	if !c.start() {
		return false
	}
	f, n, ok := c.root()
	for ok && n.Kind() != node.Leaf {
		i := n.Search(key)
		if before && i > 0 && kv.Compare(c.separator(n, i), key) == 0 {
			i--
		}
		if n.Level() == 1 { // the search jumps about in the leaf
			prefetch(f.Ahead(n, i), c.t.cfg.prefetched())
		}
		f, n, ok = c.child(f, n, i)
	}
	if !ok {
		return false
	}
	c.enter(n)
	return true
}

// The ends of a branch.
type end bool

const (
	first end = false
	last  end = true
)

// lookAhead finds the leaf that a walk away from the end at comes to next. show
// asks for it, a little at each entry, and here for what is read of it first.
func (c *Cursor) lookAhead(at end) {
	d := len(c.path) - 1
	if d < 0 {
		return
	}
	s := &c.path[d]
	if at == first {
		c.ahead = s.frame.Ahead(s.node, s.i+1)
		return // show begins with it
	}
	if c.ahead = s.frame.Ahead(s.node, s.i-1); c.ahead != nil {
		node.Prefetch(c.ahead, 0)
	}
}

// lookAtRest asks for what is left of a leaf that the walk has come to. In the
// leaf before it, the walk was too short to ask for all.
func (c *Cursor) lookAtRest(skipped, stride int) {
	off, end := (c.count-skipped)*stride, len(c.leaf)
	if skipped < 0 {
		off, end = 0, -skipped*stride
	}
	for ; off < end; off += node.Prefetched {
		node.Prefetch(unsafe.SliceData(c.leaf), off)
	}
}

// prefetch asks for the first n bytes of a node, which may be nil.
func prefetch(first *byte, n int) {
	if first == nil {
		return
	}
	for off := 0; off < n; off += node.Prefetched {
		node.Prefetch(first, off)
	}
}

// descend enters the leaf at one end of the tree.
func (c *Cursor) descend(at end) bool {
	f, n, ok := c.root()
	return ok && c.descendFrom(f, n, at)
}

// descendFrom enters the leaf at one end of the subtree n, which f holds.
func (c *Cursor) descendFrom(f *pager.Frame, n node.Node, at end) bool {
	for n.Kind() != node.Leaf {
		i, ok := 0, false
		if at == last {
			i = n.Count() - 1
		}
		if f, n, ok = c.child(f, n, i); !ok {
			return false
		}
	}
	c.enter(n)
	return true
}

// stepLeaf moves to the nearer end of the leaf beside this one, and sees to it
// that the walk gets on: in a file made to do harm, branches may share what is
// below them, so that a walk past all of them would not end.
func (c *Cursor) stepLeaf(at end) bool {
	var room [128]byte
	from := append(room[:0], c.entry.Key...)
	if at == first && !c.nextLeaf() || at == last && !c.prevLeaf() {
		return false
	}
	if d := kv.Compare(from, c.entry.Key); d == 0 || (d > 0) == (at == first) {
		s := &c.path[len(c.path)-1]
		c.fail(c.t.corrupt(s.node.Ref(s.i), "its keys are not behind those of the leaf before it"))
		return false
	}
	return true
}

// nextLeaf moves to the first entry of the leaf behind this one.
func (c *Cursor) nextLeaf() bool {
	for d := len(c.path) - 1; d >= 0; d-- {
		if s := &c.path[d]; s.i+1 < s.node.Count() {
			if c.bounds.End != nil && kv.Compare(c.separator(s.node, s.i+1), c.bounds.End) >= 0 {
				break
			}
			s.i++
			return c.turn(d, first) && c.stand(0)
		}
	}
	c.leave()
	return false
}

// prevLeaf moves to the last entry of the leaf before this one.
func (c *Cursor) prevLeaf() bool {
	for d := len(c.path) - 1; d >= 0; d-- {
		if s := &c.path[d]; s.i > 0 {
			if len(c.bounds.Start) > 0 && kv.Compare(c.separator(s.node, s.i), c.bounds.Start) <= 0 {
				break
			}
			s.i--
			return c.turn(d, last) && c.stand(c.count-1)
		}
	}
	c.leave()
	return false
}

// separator returns separator i of a branch: the least key of child i, and past
// all of the one before. It is valid until the next call.
func (c *Cursor) separator(n node.Node, i int) []byte {
	c.bound = n.AppendSeparator(c.bound[:0], i)
	return c.bound
}

// turn enters the leaf at one end of the child that step d of the path now
// takes.
func (c *Cursor) turn(d int, at end) bool {
	c.run++
	skipped, stride := c.skip, c.stride
	s := c.path[d]
	c.path = c.path[:d]
	f, n, ok := c.child(s.frame, s.node, s.i)
	if !ok || !c.descendFrom(f, n, at) {
		return false
	}
	if skipped != 0 {
		c.lookAtRest(skipped, stride)
	}
	c.lookAhead(at)
	return true
}

// root returns the root and its node, or fails c.
func (c *Cursor) root() (*pager.Frame, node.Node, bool) {
	n, err := c.t.p.Node(c.t.root)
	if err != nil {
		c.fail(err)
		return nil, nil, false
	}
	return c.t.root, n, true
}

// child goes from the branch n, which f holds, to child i, or fails c. A leaf's
// frame may be nil.
func (c *Cursor) child(f *pager.Frame, n node.Node, i int) (*pager.Frame, node.Node, bool) {
	c.path = append(c.path, step{f, n, i})
	var err error
	if c.once && n.Level() == 1 {
		n, err = c.t.p.ChildOnce(f, n, i, &c.loan)
	} else if c.run >= scanRun && n.Level() == 1 {
		f, n, err = c.t.p.ChildNodeForScan(f, n, i)
	} else {
		var hits int
		f, n, hits, err = c.t.p.ChildNode(f, n, i, nil)
		c.t.p.CountHits(hits)
	}
	if err != nil {
		c.fail(err)
		return nil, nil, false
	}
	return f, n, true
}

// enter makes n the current leaf.
func (c *Cursor) enter(n node.Node) {
	c.leaf, c.count = n, n.Count()
	c.stride, c.skip, c.ahead = len(n)/c.count, 0, nil
	c.slots = (*[2]byte)(n[n.Slots():])
	c.long = len(n) - (3 + shortSuffix)
	c.prefix = n.PrefixLen()
	c.entry.Key = append(slices.Grow(c.entry.Key[:0], c.prefix+shortSuffix), n.Prefix()...)
	c.room(0)
}
