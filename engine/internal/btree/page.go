package btree

import (
	"bytes"

	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
)

// item is what a node holds: an entry of a leaf or a child of a branch.
type item struct {
	key   []byte // of a child, its separator, the first one's too
	value []byte // as the node has it: of a child, its encoded reference

	// Of an entry.
	valueLen  int
	fp        uint8
	overflow  bool // value is an encoded reference
	tombstone bool // there is no value
	hot       bool // it comes from a leaf that was in memory

	// Of a child.
	frame *pager.Frame // nil where there is none yet
}

// page is a node that is being filled: its items, and how large they would be
// laid out.
type page struct {
	branch bool
	lower  []byte // of a leaf, the separator that will lead to it
	items  []item
	prefix int    // that the layout cuts off
	cells  int    // size of the cells with nothing cut off
	arena  []byte // what the items point to where it had to be copied
}

// Items that a node may hold whatever its size: a single entry, and the two
// children without which a branch is none.
const (
	minLeaf   = 1
	minBranch = 2
)

func (p *page) reset() {
	clear(p.items)
	p.items = p.items[:0]
	p.lower = p.lower[:0]
	p.arena = p.arena[:0]
	p.prefix, p.cells = 0, 0
}

func (p *page) empty() bool { return len(p.items) == 0 }

// size is the length of the node, header included.
func (p *page) size() int { return layoutSize(p.branch, len(p.items), p.prefix, p.cells) }

// add appends an item, where there is room for it below limit bytes, and reports
// whether there is. What is not stable it copies to where it stays until p is
// reset.
func (p *page) add(it *item, limit int, s stable) bool {
	prefix, cells, fits := p.with(it, limit)
	if !fits {
		return false
	}
	n := len(p.items)
	p.prefix, p.cells = prefix, cells
	p.items = append(p.items, *it)
	kept := &p.items[n]
	// When the arena moves, older items keep the old one alive.
	if !s.key {
		p.arena = append(p.arena, it.key...)
		kept.key = p.arena[len(p.arena)-len(it.key) : len(p.arena) : len(p.arena)]
	}
	if !s.value {
		p.arena = append(p.arena, it.value...)
		kept.value = p.arena[len(p.arena)-len(it.value) : len(p.arena) : len(p.arena)]
	}
	return true
}

// prefixWith is the length of the common prefix with one more key.
func (p *page) prefixWith(key []byte) int {
	from := 0 // the first key that counts
	if p.branch {
		from = 1
	}
	switch len(p.items) - from {
	case -1, 0:
		return 0 // one key alone is not shortened
	case 1:
		return node.CommonPrefix(p.items[from].key, key)
	}
	if head := p.items[from].key[:p.prefix]; !bytes.HasPrefix(key, head) {
		return node.CommonPrefix(head, key)
	}
	return p.prefix
}

// with returns what prefix and cells would be with one more item, and whether
// there is room for it below limit bytes.
func (p *page) with(it *item, limit int) (prefix, cells int, fits bool) {
	n := len(p.items)
	prefix, cells = p.prefixWith(it.key), p.cells
	if !p.branch || n > 0 {
		cells += cellSize(p.branch, it)
	}
	return prefix, cells, n < minItems(p.branch) || layoutSize(p.branch, n+1, prefix, cells) <= limit
}

// pop takes the last item off.
func (p *page) pop() item {
	n := len(p.items) - 1
	it := p.items[n]
	p.items[n] = item{}
	p.items = p.items[:n]
	_, p.prefix, p.cells = measure(p.branch, p.items)
	return it
}

// measure returns the size of a node of items, and what it is made of.
func measure(branch bool, items []item) (size, prefix, cells int) {
	keyed := items
	if branch && len(items) > 0 {
		keyed = items[1:]
	}
	for i := range keyed {
		cells += cellSize(branch, &keyed[i])
	}
	if len(keyed) > 1 {
		prefix = node.CommonPrefix(keyed[0].key, keyed[len(keyed)-1].key)
	}
	return layoutSize(branch, len(items), prefix, cells), prefix, cells
}

// halve returns where to cut items so that the parts are of about the same
// size, both no larger than limit if that can be, and with as many items as a
// node must have. It returns at, the given cut, when it finds no better one,
// and len(items) when they are too few for two nodes.
func halve(branch bool, items []item, at, limit int) int {
	least := minItems(branch)
	if len(items) < 2*least {
		return len(items)
	}
	total := 0
	for i := range items {
		total += cellSize(branch, &items[i]) + itemSize(branch)
	}
	cut, left := 0, 0
	for cut < len(items) && 2*left < total {
		left += cellSize(branch, &items[cut]) + itemSize(branch)
		cut++
	}
	if w := cellSize(branch, &items[cut-1]) + itemSize(branch); cut > 1 && 2*left-total > total-2*(left-w) {
		cut--
	}
	lowest, highest := least, len(items)-least
	cut = min(max(cut, lowest), highest)
	a, _, _ := measure(branch, items[:cut])
	b, _, _ := measure(branch, items[cut:])
	if (a <= limit || cut == least) && (b <= limit || len(items)-cut == least) {
		return cut
	}
	return min(max(at, lowest), highest)
}

func minItems(branch bool) int {
	if branch {
		return minBranch
	}
	return minLeaf
}

func layoutSize(branch bool, count, prefix, cells int) int {
	if branch {
		return node.BranchSize(count, prefix, cells)
	}
	return node.LeafSize(count, prefix, cells)
}

// itemSize is about what an item takes besides its cell.
func itemSize(branch bool) int {
	if branch {
		return node.RefSize + 4 + 2
	}
	return 1 + 2
}

func cellSize(branch bool, it *item) int {
	if branch {
		return node.BranchCellSize(len(it.key))
	}
	return node.LeafCellSize(len(it.key), it.valueLen, it.overflow)
}
