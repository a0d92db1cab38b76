package memtable

import (
	"bytes"
	"sort"
	"unsafe"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// A Loader fills a new table with many operations at once, as recovery does.
// It takes the entries down as they come, and when all are there it sorts them
// and builds the trees from the bottom: a third of the work of putting them
// one by one, since few of its steps wait for memory.
//
// Of each key only the newest version can be found afterwards: nobody reads at
// a sequence number in the middle of a recovery. In all else the table is as
// though each operation had been put.
//
// Put, DeleteRange and then Finish are for one goroutine at a time. Nobody
// reads the table before Finish has returned.
type Loader struct {
	table       *Table
	main        loading // of the default keyspace
	others      map[kv.Keyspace]*loading
	count       int64
	first, last kv.Seq
}

// NewLoader returns a loader of t, which is empty.
func NewLoader(t *Table) *Loader { return &Loader{table: t} }

// Put is Table.Put.
func (l *Loader) Put(ks kv.Keyspace, key, value []byte, kind kv.Kind, seq kv.Seq) {
	to := &l.main
	if ks != kv.DefaultKeyspace {
		if to = l.others[ks]; to == nil {
			if l.others == nil {
				l.others = map[kv.Keyspace]*loading{}
			}
			to = new(loading)
			l.others[ks] = to
		}
	}
	to.add(key, l.table.arena.append(key, value, kind, seq, 0, false))
	l.counted(seq)
}

// DeleteRange is Table.DeleteRange.
func (l *Loader) DeleteRange(ks kv.Keyspace, r kv.Range, seq kv.Seq) {
	if !r.Empty() {
		l.table.treeToWrite(ks).deleteRange(&l.table.arena, kv.RangeDelete{Range: r, Seq: seq})
	}
	l.counted(seq)
}

func (l *Loader) counted(seq kv.Seq) {
	if l.count == 0 {
		l.first = seq
	}
	l.count++
	l.last = seq
}

// Bytes is about what Table.Bytes will be after Finish, and no less than what
// the loader holds: it counts a leaf that is not full for each keyspace.
func (l *Loader) Bytes() int64 {
	return l.table.arena.held.Load() + l.count*(leafBytes/loadedSlots) + int64(len(l.others))*leafBytes
}

// Finish builds the trees.
func (l *Loader) Finish() {
	t := l.table
	if l.main.n > 0 {
		cells, skip := l.main.sorted(&t.arena)
		t.main.load(&t.arena, cells, skip, uint64(l.last))
	}
	t.addTrees(l.others)
	for ks, to := range l.others {
		cells, skip := to.sorted(&t.arena)
		t.tree(ks).load(&t.arena, cells, skip, uint64(l.last))
	}
	t.operations.Store(l.count)
	t.first.Store(uint64(l.first))
	t.last.Store(uint64(l.last))
}

// addTrees makes a tree for each keyspace that has none, all at once: the list of
// them is copied to make it longer.
func (t *Table) addTrees(keyspaces map[kv.Keyspace]*loading) {
	if len(keyspaces) == 0 {
		return
	}
	list := make([]keyspaceTree, 0, len(keyspaces))
	if others := t.others.Load(); others != nil {
		list = append(list, *others...)
	}
	for ks := range keyspaces {
		if t.tree(ks) == nil {
			list = append(list, keyspaceTree{ks, new(tree)})
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].keyspace < list[j].keyspace })
	t.others.Store(&list)
}

// loading is what a Loader has of a keyspace: a cell for each entry, in the
// order of sequence numbers, in blocks, since how many there will be is not
// known.
type loading struct {
	blocks [][]cell
	n      int
	shared []byte // what all keys begin with; heads are taken after it
	stale  int    // the heads of this many cells were taken when it was longer
}

// The first block has room for few cells, since there may be many keyspaces with
// little in them; each further one for as many as there are, up to the largest.
const (
	firstLoadingBlock   = 4
	largestLoadingBlock = 4096
)

func (l *loading) add(key []byte, r ref) {
	last := len(l.blocks) - 1
	if last < 0 || len(l.blocks[last]) == cap(l.blocks[last]) {
		last++
		l.blocks = append(l.blocks, make([]cell, 0, min(max(l.n, firstLoadingBlock), largestLoadingBlock)))
	}
	if l.n == 0 {
		l.shared = bytes.Clone(key)
	} else if !bytes.HasPrefix(key, l.shared) {
		l.shared, l.stale = l.shared[:commonPrefix(l.shared, key)], l.n
	}
	l.n++
	l.blocks[last] = append(l.blocks[last], cell{headOf(key, len(l.shared)), r | tagOf(kv.Hash(key))})
}

// sorted returns the cell of the newest version of each key, in key order, and
// the number of bytes after which the heads were taken.
func (l *loading) sorted(a *arena) (cells []cell, skip int) {
	cells = make([]cell, 0, l.n)
	for i, b := range l.blocks {
		cells = append(cells, b...)
		l.blocks[i] = nil
	}
	s := sorter{a, make([]cell, l.n)}
	skip = len(l.shared)
	s.behead(cells[:l.stale], skip)
	s.sort(cells, skip, 0)
	n := 0
	for i, c := range cells {
		if i+1 < len(cells) && c.head == cells[i+1].head && bytes.Equal(s.key(c), s.key(cells[i+1])) {
			continue // a newer version follows
		}
		cells[n] = c
		n++
	}
	return cells[:n], skip
}

// A sorter sorts cells by key: by heads first, and those whose heads are the
// same by the heads that follow.
type sorter struct {
	a     *arena
	spare []cell // as many as there are cells
}

// behead takes the heads of the cells after skip bytes.
func (s *sorter) behead(cells []cell, skip int) {
	for i := range cells {
		cells[i].head = headOf(s.key(cells[i]), skip)
	}
}

func (s *sorter) key(c cell) []byte { return s.a.at(c.at).key() }

// deepestLevel is how often the sorter goes on behind equal heads. What is left
// then, keys each of which begins with the one before for one, could need a pass
// over all for every few keys, and is sorted by comparison.
const deepestLevel = 8

// sort sorts cells that share skip bytes, after which their heads were taken.
// Those with equal keys stay in their order.
func (s *sorter) sort(cells []cell, skip, level int) {
	s.byHead(cells)
	for start := 0; start < len(cells); {
		end := start + 1
		for end < len(cells) && cells[end].head == cells[start].head {
			end++
		}
		if end-start > 1 {
			s.sortBehind(cells[start:end], skip, level+1)
		}
		start = end
	}
}

// sortBehind sorts cells whose heads, after skip bytes, are the same. Keys that
// end within the head come first, by their lengths: they differ in zeros only.
func (s *sorter) sortBehind(cells []cell, skip, level int) {
	if level > deepestLevel {
		sort.SliceStable(cells, func(i, j int) bool {
			return compareFrom(s.key(cells[i]), s.key(cells[j]), skip) < 0
		})
		return
	}
	sorted := s.spare[:0]
	for rest := range 8 {
		for _, c := range cells {
			if len(s.key(c))-skip == rest {
				sorted = append(sorted, c)
			}
		}
	}
	if ended := len(sorted); ended > 0 {
		for _, c := range cells {
			if len(s.key(c))-skip >= 8 {
				sorted = append(sorted, c)
			}
		}
		copy(cells, sorted)
		cells = cells[ended:]
	}
	if len(cells) < 2 {
		return
	}
	first := s.key(cells[0])
	shared, longest := len(first), 0
	for _, c := range cells {
		key := s.key(c)
		shared = min(shared, commonPrefix(first[:shared], key))
		longest = max(longest, len(key))
	}
	if shared == longest {
		return // one key
	}
	head := cells[0].head
	s.behead(cells, shared)
	s.sort(cells, shared, level)
	for i := range cells {
		cells[i].head = head
	}
}

// byHead sorts cells by their heads: few of them by insertion, many a byte at a
// time from the last one on, where they differ in it.
func (s *sorter) byHead(cells []cell) {
	if len(cells) < 64 {
		for i, c := range cells {
			for ; i > 0 && cells[i-1].head > c.head; i-- {
				cells[i] = cells[i-1]
			}
			cells[i] = c
		}
		return
	}
	var differ uint64
	for _, c := range cells {
		differ |= c.head ^ cells[0].head
	}
	from, to := cells, s.spare[:len(cells)]
	for shift := 0; shift < 64; shift += 8 {
		if differ>>shift&0xFF == 0 {
			continue
		}
		var place [256]int
		for _, c := range from {
			place[uint8(c.head>>shift)]++
		}
		next := 0
		for b, n := range place {
			place[b] = next
			next += n
		}
		for _, c := range from {
			p := &place[uint8(c.head>>shift)]
			to[*p] = c
			*p++
		}
		from, to = to, from
	}
	if &from[0] != &cells[0] {
		copy(cells, from)
	}
}

// loadedSlots is how many slots of a leaf, and children of a branch, a loader
// fills at most: what is put later finds room.
const loadedSlots = 56

// load builds an empty tree of cells in key order, whose heads were taken after
// oldSkip bytes. No entry has a sequence number above newest.
func (t *tree) load(a *arena, cells []cell, oldSkip int, newest uint64) {
	var nodes []unsafe.Pointer
	var seps []ref   // seps[i] separates nodes i and i+1
	var lower []byte // where the leaf begins
	inGroups(len(cells), func(start, end int) {
		skip := 0
		if end < len(cells) {
			seps = append(seps, cells[end].at)
			upper := a.at(cells[end].at).key()
			skip, lower = commonPrefix(lower, upper), upper
		}
		t.tail = loadedLeaf(a, cells[start:end], oldSkip, skip, newest)
		nodes = append(nodes, unsafe.Pointer(t.tail))
		a.held.Add(leafBytes)
	})
	t.top, t.inRun = a.at(cells[len(cells)-1].at).key(), true
	height := 0
	for ; len(nodes) > 1; height++ {
		below, between := nodes, seps
		nodes, seps = nil, nil
		inGroups(len(below), func(start, end int) {
			f := family{n: end - start, skip: -1}
			copy(f.children[:], below[start:end])
			copy(f.seps[:], between[start:end-1])
			nodes = append(nodes, unsafe.Pointer(f.branch(a, 0, f.n)))
			a.held.Add(branchBytes)
			if end < len(below) {
				seps = append(seps, between[end-1])
			}
		})
	}
	t.root.Store(&root{nodes[0], height})
}

// inGroups visits n things in groups of at most loadedSlots and about one size.
func inGroups(n int, visit func(start, end int)) {
	groups := (n + loadedSlots - 1) / loadedSlots
	for g := range groups {
		visit(g*n/groups, (g+1)*n/groups)
	}
}

// loadedLeaf builds a leaf all keys of which share skip bytes.
func loadedLeaf(a *arena, cells []cell, oldSkip, skip int, newest uint64) *leaf {
	if oldSkip > skip {
		for i := range cells {
			cells[i].head = headOf(a.at(cells[i].at).key(), skip)
		}
		oldSkip = skip
	}
	return newLeaf(a, cells, oldSkip, skip, newest)
}
