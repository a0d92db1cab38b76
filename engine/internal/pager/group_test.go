package pager

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/vfs"
)

// countFS counts the reads of its files, and lets those fail that are longer
// than longest.
type countFS struct {
	*vfs.Mem
	reads   atomic.Int64
	longest int
}

type countFile struct {
	vfs.File
	fs *countFS
}

func (c *countFS) Open(name string, mode vfs.Mode) (vfs.File, error) {
	f, err := c.Mem.Open(name, mode)
	return &countFile{f, c}, err
}

func (c *countFile) ReadAt(b []byte, off int64) (int, error) {
	c.fs.reads.Add(1)
	if c.fs.longest > 0 && len(b) > c.fs.longest {
		return 0, fmt.Errorf("%d bytes are too many", len(b))
	}
	return c.File.ReadAt(b, off)
}

// ask reads leaf i as a descent does, or a walk.
func (w wood) ask(i int, scan bool) error {
	n, err := w.Node(w.root)
	if err != nil {
		return err
	}
	if scan {
		_, n, err = w.ChildNodeForScan(w.root, n, i)
	} else {
		_, n, _, err = w.ChildNode(w.root, n, i, nil)
	}
	if err == nil && string(n.Cell(0).Suffix) != string(leafKey(i)) {
		err = fmt.Errorf("leaf %d holds %q", i, n.Cell(0).Suffix)
	}
	return err
}

// here lists the leaves that are in memory.
func (w wood) here(t *testing.T, leaves int) (here []int) {
	t.Helper()
	n, err := w.Node(w.root)
	if err != nil {
		t.Fatal(err)
	}
	for i := range leaves {
		if f := w.root.Peek(n, i); f != nil && f.Resident() {
			here = append(here, i)
		}
	}
	return here
}

func span(from, to int) (all []int) {
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return all
}

func same(t *testing.T, what string, have, want any) {
	t.Helper()
	if fmt.Sprint(have) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, have, want)
	}
}

// The first leaf of a branch comes alone, and the next one with all of its
// group, by one read, in memory that lies together.
func TestGroup_LeavesComeTogether(t *testing.T) {
	const leaves = 100
	fs := &countFS{Mem: vfs.NewMem()}
	w := openWood(t, fs, forest(t, fs, leaves), 16<<20)
	for _, i := range []int{40, 21} {
		if err := w.ask(i, false); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "here", w.here(t, leaves), append(span(16, 32), 40))
	before := fs.reads.Load()
	for i := range leaves {
		if err := w.ask(i, false); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "reads of the rest", fs.reads.Load()-before, 6)
	same(t, "misses", w.Stats().Misses, 1+2+6)
	if err := w.cache.check(); err != nil {
		t.Error(err)
	}
}

// A cache that has hardly room is left to what is asked for.
func TestGroup_TakesNobodysPlace(t *testing.T) {
	const leaves = 1000
	for _, scan := range []bool{false, true} {
		fs := &countFS{Mem: vfs.NewMem()}
		w := openWood(t, fs, forest(t, fs, leaves), 2<<20)
		for i := range leaves {
			if err := w.ask(i, false); err != nil {
				t.Fatal(err)
			}
		}
		here := w.here(t, leaves)
		before := fs.reads.Load()
		for i := range leaves {
			if !slices.Contains(here, i) {
				if err := w.ask(i, scan); err != nil {
					t.Fatal(err)
				}
			}
		}
		same(t, "reads", fs.reads.Load()-before, leaves-len(here))
		if s := w.Stats(); len(here) < 300 || s.CacheBytes > 2<<20 {
			t.Errorf("%d leaves and %d bytes were here", len(here), s.CacheBytes)
		}
	}
}

// What came with others, and nobody has asked for, leaves before all else.
func TestGroup_LeavesFirst(t *testing.T) {
	const leaves = 600
	mem := vfs.NewMem()
	w := openWood(t, mem, forest(t, mem, leaves), 1<<20)
	for _, i := range []int{2, 21, 25} {
		if err := w.ask(i, false); err != nil {
			t.Fatal(err)
		}
	}
	for i := 100; w.Stats().CacheBytes < 1<<20-leafCost; i++ {
		if _, err := w.read(i, false); err != nil { // alone
			t.Fatal(err)
		}
	}
	w.hits(t, 400, 414, false)
	here := w.here(t, 100)
	same(t, "here", here, []int{2, 21, 25})
}

// Damage beside the leaf that is asked for is the business of who asks for
// that; in it, it is told as ever; and where a long read fails, a short one
// may do.
func TestGroup_DamageAndFailedReads(t *testing.T) {
	const leaves = 32
	mem := vfs.NewMem()
	root := forest(t, mem, leaves)
	whole := openWood(t, mem, root, 1<<20)
	n, err := whole.Node(whole.root)
	if err != nil {
		t.Fatal(err)
	}
	bad := n.Ref(5)
	p := damaged(t, mem, func(b []byte) { b[bad.Off+100] ^= 1 })
	w := wood{p, p.Frame(root, kv.CatalogKeyspace, 1)}
	for _, i := range []int{30, 4} {
		if err := w.ask(i, false); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "here", w.here(t, leaves), append(append(span(0, 5), span(6, 16)...), 30))
	for range 2 {
		if err := w.ask(5, false); kindOf(err) != Checksum {
			t.Errorf("the damaged leaf: %v", err)
		}
	}

	fs := &countFS{Mem: mem, longest: 8 << 10}
	w = openWood(t, fs, root, 1<<20)
	for i := range leaves {
		if err := w.ask(i, false); err != nil {
			t.Fatal(err)
		}
	}
}

// A branch may say anything of its leaves.
func TestGroup_HostileReferences(t *testing.T) {
	for _, length := range []uint32{node.HeaderSize, 3000, 1<<32 - 1} {
		mem := vfs.NewMem()
		root := forestOf(t, mem, 20, func(refs []node.Ref) {
			for _, i := range []int{3, 5} {
				refs[i].Len = length
			}
			refs[6].Off = refs[5].Off + refs[5].Size()
		})
		w := openWood(t, mem, root, 1<<20)
		for _, i := range []int{17, 2, 4, 5, 3, 6, 7} {
			if err := w.ask(i, false); (err != nil) != (i == 3 || i == 5 || i == 6) {
				t.Errorf("leaf %d beside one of %d bytes: %v", i, length, err)
			}
		}
	}
}

// Leaves that do not lie one behind the other are read one by one.
func TestGroup_OnlyWhatLiesTogether(t *testing.T) {
	mem := vfs.NewMem()
	numbers := make([]uint64, 40)
	for i := range numbers {
		numbers[i] = numberOf(100, 800)
	}
	tr, err := attach(create(t, mem, Options{CacheBytes: 1 << 20}), nil).commit(1, numbers, false)
	if err != nil {
		t.Fatal(err)
	}
	numbers = slices.Clone(numbers)
	numbers[20] = numberOf(200, 300) // goes to the end of the file
	if _, err = tr.commit(2, numbers, false); err != nil {
		t.Fatal(err)
	}
	p := open(t, mem)
	tr = attach(p, numbers)
	root, err := p.Node(tr.root)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 18} {
		if _, _, _, err := p.ChildNode(tr.root, root, i, nil); err != nil {
			t.Fatal(err)
		}
	}
	w := wood{p, tr.root}
	same(t, "here", w.here(t, len(numbers)), append([]int{0}, span(16, 20)...))
	if err := tr.check(); err != nil {
		t.Fatal(err)
	}
}

// Readers, walks and merges that meet in groups get the right leaves, whatever
// leaves meanwhile.
func TestGroup_ManyAtOnce(t *testing.T) {
	const leaves = 600
	mem := vfs.NewMem()
	root := forest(t, mem, leaves)
	for _, cacheBytes := range []int64{512 << 10, 2 << 20, 16 << 20} {
		w := openWood(t, mem, root, cacheBytes)
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(worker), 1))
				for range 3000 {
					if err := w.ask(r.IntN(leaves), worker%2 == 0); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		if err := w.cache.check(); err != nil {
			t.Error(err)
		}
		if s := w.Stats(); s.CacheBytes > cacheBytes {
			t.Errorf("a cache of %d bytes has %d", cacheBytes, s.CacheBytes)
		}
	}
}
