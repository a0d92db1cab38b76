package btree

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/vfs"
)

// store is a file with one tree in it, and a model of what the tree holds.
type store struct {
	testing.TB
	fs    *vfs.Mem
	p     *pager.Pager
	cfg   Config
	tree  *Tree
	model model
	stats MergeStats
	bytes int64 // of keys and values, from the merges' stats; wrong after unread removals
	pin   uint64
}

const storeName = "btree.db"

func newStore(t testing.TB, pageSize uint32, codec compress.Codec, cacheBytes int64) *store {
	t.Helper()
	s := &store{TB: t, fs: vfs.NewMem(), pin: 1 << 60}
	s.cfg = Config{Keyspace: kv.CatalogKeyspace, PageSize: pageSize, Codec: codec}
	m := pager.Meta{UUID: [16]byte{1, 2, 3}, PageSize: pageSize, NextKeyspace: 1, Created: 1}
	p, err := pager.Create(s.fs, storeName, m, pager.Options{CacheBytes: cacheBytes})
	if err != nil {
		t.Fatal(err)
	}
	s.p = p
	s.tree = Open(p, node.Ref{}, s.cfg)
	return s
}

// reopen forgets all that is in memory.
func (s *store) reopen(cacheBytes int64) {
	s.Helper()
	if err := s.p.Close(); err != nil {
		s.Fatal(err)
	}
	p, err := pager.Open(s.fs, storeName, pager.Options{CacheBytes: cacheBytes})
	if err != nil {
		s.Fatal(err)
	}
	s.p = p
	s.tree = Open(p, p.Meta().Catalog, s.cfg)
}

func (s *store) begin() *pager.Writer {
	s.Helper()
	w, err := s.p.Begin(min(s.pin, s.p.Meta().Gen))
	if err != nil {
		s.Fatal(err)
	}
	return w
}

func (s *store) commit(w *pager.Writer, t *Tree, shrink bool) {
	s.Helper()
	m := s.p.Meta()
	m.Catalog = t.Root()
	if err := w.Commit(m, shrink); err != nil {
		s.Fatal(err)
	}
	s.tree = t
}

// merge merges the script into the tree and the model, and commits.
func (s *store) merge(sc script) {
	s.Helper()
	w := s.begin()
	t, stats, err := Merge(nil, w, s.tree, sc.cursor(), sc.ranges)
	if err != nil {
		s.Fatal(err)
	}
	s.stats = stats
	s.bytes += stats.KeyBytes + stats.ValueBytes
	want := s.model.apply(sc)
	if stats.Added != want.Added || stats.Replaced != want.Replaced || stats.Removed != want.Removed || stats.Entries != want.Entries {
		s.Fatalf("stats %+v, want %+v", stats, want)
	}
	if stats.Unread == 0 && (stats.KeyBytes != want.KeyBytes || stats.ValueBytes != want.ValueBytes) {
		s.Fatalf("stats %+v, want %+v", stats, want)
	}
	s.commit(w, t, false)
}

// script is a set of edits.
type script struct {
	edits  []edit // sorted
	ranges kv.RangeDeletes
	stable bool
}

type edit struct {
	key, value []byte
	kind       kv.Kind
}

func (sc *script) set(key, value []byte) { sc.edits = append(sc.edits, edit{key, value, kv.Set}) }
func (sc *script) delete(key []byte)     { sc.edits = append(sc.edits, edit{key, nil, kv.Delete}) }
func (sc *script) deleteRange(start, end []byte) {
	sc.ranges = append(sc.ranges, kv.RangeDelete{Range: kv.Range{Start: start, End: end}, Seq: 1})
}

// sort sorts the edits, of which the last one of a key counts, and drops
// ranges that are empty or overlap the one before.
func (sc *script) sort() {
	slices.SortStableFunc(sc.edits, func(a, b edit) int { return bytes.Compare(a.key, b.key) })
	out := sc.edits[:0]
	for _, e := range sc.edits {
		if n := len(out); n > 0 && bytes.Equal(out[n-1].key, e.key) {
			out[n-1] = e
		} else {
			out = append(out, e)
		}
	}
	sc.edits = out
	slices.SortFunc(sc.ranges, func(a, b kv.RangeDelete) int { return bytes.Compare(a.Start, b.Start) })
	var ranges kv.RangeDeletes
	for _, r := range sc.ranges {
		if n := len(ranges); r.Empty() || n > 0 && (ranges[n-1].End == nil || bytes.Compare(r.Start, ranges[n-1].End) < 0) {
			continue
		}
		ranges = append(ranges, r)
	}
	sc.ranges = ranges
}

func (sc script) cursor() kv.Cursor {
	if sc.stable {
		return &stableEdits{editCursor{edits: sc.edits}}
	}
	return &editCursor{edits: sc.edits}
}

// editCursor lends keys and values from a buffer that it overwrites with the
// next step, so that whoever holds on to one is found out.
type editCursor struct {
	kv.Cursor  // the methods that Merge must not call
	edits      []edit
	i          int
	key, value []byte
}

func (c *editCursor) First() bool { c.i = -1; return c.Next() }

func (c *editCursor) Next() bool {
	for i := range c.key {
		c.key[i] ^= 0x5A
	}
	for i := range c.value {
		c.value[i] ^= 0x5A
	}
	c.i++
	if c.i >= len(c.edits) {
		return false
	}
	c.key = append(c.key[:0], c.edits[c.i].key...)
	c.value = append(c.value[:0], c.edits[c.i].value...)
	return true
}

func (c *editCursor) Key() []byte            { return c.key }
func (c *editCursor) Value() ([]byte, error) { return c.value, nil }
func (c *editCursor) Kind() kv.Kind          { return c.edits[c.i].kind }
func (c *editCursor) Err() error             { return nil }

// stableEdits lends the edits themselves.
type stableEdits struct{ editCursor }

func (c *stableEdits) First() bool            { c.i = 0; return len(c.edits) > 0 }
func (c *stableEdits) Next() bool             { c.i++; return c.i < len(c.edits) }
func (c *stableEdits) Key() []byte            { return c.edits[c.i].key }
func (c *stableEdits) Value() ([]byte, error) { return c.edits[c.i].value, nil }
func (c *stableEdits) Stable() bool           { return true }

// model is a sorted list of entries.
type model []entry

type entry struct {
	key, value []byte
	deleted    bool // of a run: it is a tombstone
}

func (e entry) kind() kv.Kind {
	if e.deleted {
		return kv.Delete
	}
	return kv.Set
}

func (m model) find(key []byte) (int, bool) {
	i := sort.Search(len(m), func(i int) bool { return bytes.Compare(m[i].key, key) >= 0 })
	return i, i < len(m) && bytes.Equal(m[i].key, key)
}

func (m *model) apply(sc script) MergeStats {
	var st MergeStats
	var out model
	old := *m
	covered := func(key []byte) bool {
		return slices.ContainsFunc(sc.ranges, func(r kv.RangeDelete) bool { return r.Contains(key) })
	}
	remove := func(e entry) {
		st.Removed++
		st.KeyBytes -= int64(len(e.key))
		st.ValueBytes -= int64(len(e.value))
	}
	for i, j := 0, 0; i < len(old) || j < len(sc.edits); {
		c := 0
		switch {
		case i == len(old):
			c = 1
		case j == len(sc.edits):
			c = -1
		default:
			c = bytes.Compare(old[i].key, sc.edits[j].key)
		}
		switch {
		case c < 0 && covered(old[i].key):
			remove(old[i])
		case c < 0:
			out = append(out, old[i])
		case sc.edits[j].kind == kv.Delete:
			if c == 0 {
				remove(old[i])
			}
		default:
			e := entry{key: sc.edits[j].key, value: sc.edits[j].value}
			st.ValueBytes += int64(len(e.value))
			if c == 0 {
				st.Replaced++
				st.ValueBytes -= int64(len(old[i].value))
			} else {
				st.Added++
				st.KeyBytes += int64(len(e.key))
			}
			out = append(out, e)
		}
		if c <= 0 {
			i++
		}
		if c >= 0 {
			j++
		}
	}
	*m = out
	st.Entries = uint64(len(out))
	return st
}

// shape is what a walk over a tree found.
type shape struct {
	extents  []node.Ref
	levels   int
	leaves   int
	branches int
	fill     float64 // of the leaves, on average
}

// check verifies every invariant of the tree, and that it holds what m says.
func check(t testing.TB, tree *Tree, m model) shape {
	t.Helper()
	var sh shape
	var last []byte
	type counted struct {
		entries  uint64
		overflow bool
	}
	i := 0
	page := int(tree.cfg.PageSize)
	var key, value []byte
	var walk func(ref node.Ref, level int, lower, upper []byte) counted
	walk = func(ref node.Ref, level int, lower, upper []byte) counted {
		n, err := tree.p.ReadNode(ref, tree.cfg.Keyspace, level)
		if err != nil {
			t.Fatal(err)
		}
		sh.extents = append(sh.extents, ref)
		if level < 0 {
			sh.levels = n.Level() + 1
		}
		var c counted
		if n.Kind() == node.Branch {
			sh.branches++
			if len(n) > page && n.Count() > 3 {
				t.Fatalf("B3: a branch of %d bytes with %d children", len(n), n.Count())
			}
			seps := [][]byte{lower}
			for i := 1; i < n.Count(); i++ {
				seps = append(seps, n.AppendSeparator(nil, i))
			}
			seps = append(seps, upper)
			for i := range n.Count() {
				if seps[i+1] != nil && bytes.Compare(seps[i], seps[i+1]) >= 0 {
					t.Fatalf("B1: separator %q before %q", seps[i], seps[i+1])
				}
				sub := walk(n.Ref(i), n.Level()-1, seps[i], seps[i+1])
				c.entries += sub.entries
				c.overflow = c.overflow || sub.overflow
			}
		} else {
			sh.leaves++
			sh.fill += float64(len(n)) / float64(page)
			if len(n) > page && n.Count() > 1 {
				t.Fatalf("L2: a leaf of %d bytes with %d entries", len(n), n.Count())
			}
			for e := range n.Count() {
				cell := n.Cell(e)
				key = append(append(key[:0], n.Prefix()...), cell.Suffix...)
				if bytes.Compare(key, lower) < 0 || upper != nil && bytes.Compare(key, upper) >= 0 {
					t.Fatalf("L1: key %.40q outside [%.40q, %.40q)", key, lower, upper)
				}
				if last != nil && bytes.Compare(last, key) >= 0 {
					t.Fatalf("L1: key %.40q after %.40q", key, last)
				}
				last = append(append([]byte{}, last[:0]...), key...)
				if n.Fingerprint(e) != uint8(kv.Hash(key)) {
					t.Fatalf("fingerprint of %.40q", key)
				}
				if cell.Overflow != (cell.Len > page/2) {
					t.Fatalf("L3: a value of %d bytes with overflow %v", cell.Len, cell.Overflow)
				}
				if i < len(m) && cell.Tombstone != m[i].deleted {
					t.Fatalf("%.40q: a tombstone is %v", key, cell.Tombstone)
				}
				value = append(value[:0], cell.Value...)
				if cell.Overflow {
					c.overflow = true
					sh.extents = append(sh.extents, cell.Ref())
					if value, err = tree.p.ReadOverflow(cell.Ref(), tree.cfg.Keyspace, value[:0]); err != nil {
						t.Fatal(err)
					}
				}
				if len(value) != cell.Len {
					t.Fatalf("a value of %d bytes, its cell says %d", len(value), cell.Len)
				}
				if i >= len(m) || !bytes.Equal(key, m[i].key) || !bytes.Equal(value, m[i].value) {
					t.Fatalf("entry %d is %.40q", i, key)
				}
				i++
			}
			c.entries = uint64(n.Count())
		}
		if ref.Count != c.entries || ref.Overflow != c.overflow {
			t.Fatalf("R: reference says %d entries, overflow %v; there are %d, %v", ref.Count, ref.Overflow, c.entries, c.overflow)
		}
		return c
	}
	if root := tree.Root(); !root.IsZero() {
		walk(root, -1, nil, nil)
		sh.fill /= float64(sh.leaves)
	}
	if i != len(m) {
		t.Fatalf("%d entries, want %d", i, len(m))
	}
	return sh
}

// check verifies the tree, and that exactly its extents are in use.
func (s *store) check() shape {
	s.Helper()
	sh := check(s, s.tree, s.model)
	extents := slices.Clone(sh.extents)
	if free := s.p.Meta().FreeList; !free.IsZero() {
		extents = append(extents, free)
	}
	slices.SortFunc(extents, func(a, b node.Ref) int {
		return bytes.Compare(binary.BigEndian.AppendUint64(nil, a.Off), binary.BigEndian.AppendUint64(nil, b.Off))
	})
	var used, end uint64
	for _, e := range extents {
		if e.Off < end {
			s.Fatalf("extents overlap at %d", e.Off)
		}
		end = e.Off + e.Size()
		used += e.Size()
	}
	if got := s.p.Meta().BytesUsed; got != used {
		s.Fatalf("%d bytes in use, the tree reaches %d", got, used)
	}
	return sh
}

// A keyShape makes keys.
type keyShape struct {
	name string
	key  func(r *rand.Rand, i int) []byte
}

var keyShapes = []keyShape{
	{"random", func(r *rand.Rand, i int) []byte { return binary.BigEndian.AppendUint64(nil, r.Uint64()) }},
	{"sequential", func(r *rand.Rand, i int) []byte { return fmt.Appendf(nil, "user%012d", i) }},
	{"dense", func(r *rand.Rand, i int) []byte { return fmt.Appendf(nil, "%05d", r.IntN(3000)) }},
	{"prefixed", func(r *rand.Rand, i int) []byte {
		return fmt.Appendf(bytes.Repeat([]byte("/usr/share/"), 20+20*r.IntN(2)), "%d", r.IntN(100000))
	}},
	{"short", func(r *rand.Rand, i int) []byte { // with the empty key, and every byte
		key := make([]byte, r.IntN(4))
		for i := range key {
			key[i] = []byte{0, 1, 'a', 0xFE, 0xFF}[r.IntN(5)]
		}
		return key
	}},
	{"long", func(r *rand.Rand, i int) []byte { // up to the largest, alike but for their ends
		if r.IntN(3) > 0 {
			return fmt.Appendf(nil, "%d", r.IntN(1000))
		}
		key := bytes.Repeat([]byte{byte('a' + r.IntN(2))}, kv.MaxKeySize-r.IntN(3)*r.IntN(300))
		key[len(key)-1-r.IntN(2)] = byte(r.IntN(256))
		return key
	}},
}

// randomValue is mostly short, and now and then around a limit or large.
func randomValue(r *rand.Rand, page uint32) []byte {
	var n int
	switch r.IntN(40) {
	case 0:
		n = int(page)/2 - 2 + r.IntN(5)
	case 1:
		n = r.IntN(200 << 10 >> r.IntN(6))
	case 2, 3, 4:
		n = 0
	default:
		n = r.IntN(120)
	}
	v := make([]byte, n)
	for i := 0; i < n; i += 1 + r.IntN(1+i/8) {
		v[i] = byte(r.Uint32())
	}
	return v
}
