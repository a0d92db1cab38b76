package btree

import (
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
)

// Cursor walks the entries of a Tree. It implements kv.Cursor: all entries
// have sequence number 0, and those of a tree that is no run the kind Set. When a move returned false the
// cursor stands nowhere, until a positioning method moves it. A failed cursor
// stays failed until Reset. It may be reset and used again without
// allocation; it belongs to one goroutine.
type Cursor struct {
	t     *Tree
	path  []step    // the branches from the root down
	leaf  node.Node // nil: nowhere
	i     int       // entry of the leaf
	count int       // of entries in the leaf; 0: nowhere

	// Entry i: where it stands in leaf, as node.CellAt tells.
	at, suffix, size int
	overflow         bool

	prefix int    // length of the leaf's prefix, which key begins with
	key    []byte // buffer for keys
	joined bool   // key is entry i's
	value  []byte // buffer for an overflow value
	run    int    // leaves entered by Next or Prev in a row
	err    error
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

// Reset makes c a cursor over t that stands nowhere, and forgets a failure.
func (c *Cursor) Reset(t *Tree) {
	c.t = t
	c.err = nil
	c.leave()
}

// First moves to the first entry.
func (c *Cursor) First() bool { return c.start() && c.descend(c.t.root, first) && c.show(0) }

// Last moves to the last entry.
func (c *Cursor) Last() bool {
	return c.start() && c.descend(c.t.root, last) && c.show(c.count-1)
}

// SeekGE moves to the first entry at or after key.
func (c *Cursor) SeekGE(key []byte) bool {
	if !c.seek(key) {
		return false
	}
	if i := c.leaf.LowerBound(key); i < c.count {
		return c.show(i)
	}
	return c.nextLeaf()
}

// SeekLT moves to the last entry before key.
func (c *Cursor) SeekLT(key []byte) bool {
	if !c.seek(key) {
		return false
	}
	if i := c.leaf.LowerBound(key); i > 0 {
		return c.show(i - 1)
	}
	return c.prevLeaf()
}

// Next moves to the entry after the current one.
func (c *Cursor) Next() bool {
	if c.i+1 < c.count {
		return c.show(c.i + 1)
	}
	return c.nextLeaf()
}

// Prev moves to the entry before the current one.
func (c *Cursor) Prev() bool {
	if c.i > 0 {
		return c.show(c.i - 1)
	}
	return c.prevLeaf()
}

// Key returns the current key.
func (c *Cursor) Key() []byte {
	suffix := c.leaf[c.at : c.at+c.suffix : c.at+c.suffix]
	if c.prefix == 0 {
		return suffix
	}
	if !c.joined {
		c.key = append(c.key[:c.prefix], suffix...)
		c.joined = true
	}
	return c.key
}

// Value returns the current value.
func (c *Cursor) Value() ([]byte, error) {
	at := c.at + c.suffix
	if !c.overflow {
		return c.leaf[at : at+c.size : at+c.size], nil
	}
	if c.size == 0 {
		return nil, nil // a tombstone
	}
	value, err := c.t.readOverflow(node.GetRef(c.leaf[at:]), c.size, c.value[:0], true)
	if err != nil {
		c.fail(err)
		return nil, err
	}
	c.value = value
	return value, nil
}

// ValueLen returns the length of the current value without reading it.
func (c *Cursor) ValueLen() int { return c.size }

// Kind returns kv.Set, or kv.Delete on a tombstone.
func (c *Cursor) Kind() kv.Kind {
	if c.overflow && c.size == 0 {
		return kv.Delete
	}
	return kv.Set
}

// Seq returns 0.
func (c *Cursor) Seq() kv.Seq { return 0 }

// Err returns why the cursor failed, or nil.
func (c *Cursor) Err() error { return c.err }

// show makes entry i of the leaf the current one.
func (c *Cursor) show(i int) bool {
	c.i, c.joined = i, false
	c.at, c.suffix, c.size, c.overflow = c.leaf.CellAt(i)
	return true
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
	c.leaf, c.i, c.count, c.run = nil, 0, 0, 0
	c.at, c.suffix, c.size, c.overflow = 0, 0, 0, false
	c.prefix = 0
}

func (c *Cursor) fail(err error) {
	c.leave()
	c.err = err
}

// seek enters the leaf whose range holds key.
func (c *Cursor) seek(key []byte) bool {
	if !c.start() {
		return false
	}
	f := c.t.root
	for {
		n, ok := c.read(f)
		if !ok {
			return false
		}
		if n.Kind() == node.Leaf {
			c.enter(n)
			return true
		}
		i := n.Search(key)
		c.path = append(c.path, step{f, n, i})
		f = c.t.p.Child(f, n, i)
	}
}

// The ends of a branch.
type end bool

const (
	first end = false
	last  end = true
)

// descend enters the leaf at one end of the subtree f.
func (c *Cursor) descend(f *pager.Frame, at end) bool {
	for {
		n, ok := c.read(f)
		if !ok {
			return false
		}
		if n.Kind() == node.Leaf {
			c.enter(n)
			return true
		}
		i := 0
		if at == last {
			i = n.Count() - 1
		}
		c.path = append(c.path, step{f, n, i})
		f = c.t.p.Child(f, n, i)
	}
}

// nextLeaf moves to the first entry of the leaf behind this one.
func (c *Cursor) nextLeaf() bool {
	for d := len(c.path) - 1; d >= 0; d-- {
		if s := &c.path[d]; s.i+1 < s.node.Count() {
			s.i++
			return c.turn(d, first) && c.show(0)
		}
	}
	c.leave()
	return false
}

// prevLeaf moves to the last entry of the leaf before this one.
func (c *Cursor) prevLeaf() bool {
	for d := len(c.path) - 1; d >= 0; d-- {
		if s := &c.path[d]; s.i > 0 {
			s.i--
			return c.turn(d, last) && c.show(c.count-1)
		}
	}
	c.leave()
	return false
}

// turn enters the leaf at one end of the child that step d of the path now
// takes.
func (c *Cursor) turn(d int, at end) bool {
	c.run++
	s := &c.path[d]
	c.path = c.path[:d+1]
	return c.descend(c.t.p.Child(s.frame, s.node, s.i), at)
}

// read returns the node of f, or fails c.
func (c *Cursor) read(f *pager.Frame) (node.Node, bool) {
	var n node.Node
	var err error
	if d := len(c.path); c.run >= scanRun && d > 0 && c.path[d-1].node.Level() == 1 {
		n, err = c.t.p.NodeForScan(f)
	} else {
		n, err = c.t.p.Node(f)
	}
	if err != nil {
		c.fail(err)
		return nil, false
	}
	return n, true
}

// enter makes n the current leaf.
func (c *Cursor) enter(n node.Node) {
	c.leaf, c.count = n, n.Count()
	c.prefix = n.PrefixLen()
	if c.prefix > 0 {
		c.key = append(c.key[:0], n.Prefix()...)
	}
}
