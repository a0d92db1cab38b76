package pager

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/vfs"
)

// forest is a database of one branch over n leaves of about 4 KiB.
func forest(t testing.TB, fs vfs.FS, n int) node.Ref {
	t.Helper()
	return forestOf(t, fs, n, func([]node.Ref) {})
}

// forestOf is forest with a branch that has its references as change makes them.
func forestOf(t testing.TB, fs vfs.FS, n int, change func(refs []node.Ref)) node.Ref {
	t.Helper()
	p, err := Create(fs, testName, testMeta(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := p.Begin(1)
	if err != nil {
		t.Fatal(err)
	}
	refs := make([]node.Ref, n)
	for i := range refs {
		h, buf := leafOf(leafKey(i), make([]byte, 4000), 4000, false)
		f, err := w.Write(h, 1, false, buf, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		refs[i] = f.Ref()
	}
	change(refs)
	h, buf := branchOf(refs)
	f, err := w.Write(h, uint64(n), false, buf, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	m := p.Meta()
	m.Catalog = f.Ref()
	if err := w.Commit(m, false); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Ref()
}

// wood is a forest opened: a root and its pager.
type wood struct {
	*Pager
	root *Frame
}

func openWood(t testing.TB, fs vfs.FS, root node.Ref, cacheBytes int64) wood {
	t.Helper()
	p, err := Open(fs, testName, Options{CacheBytes: cacheBytes})
	if err != nil {
		t.Fatal(err)
	}
	return wood{p, p.Frame(root, kv.CatalogKeyspace, 1)}
}

// read reads leaf i and says whether it came from memory.
func (w wood) read(i int, scan bool) (hit bool, err error) {
	n, err := w.Node(w.root)
	if err != nil {
		return false, err
	}
	f := w.Child(w.root, n, i)
	hit = f.Resident()
	get := w.Node
	if scan {
		get = w.NodeForScan
	}
	n, err = get(f)
	if err == nil && string(n.Cell(0).Suffix) != string(leafKey(i)) {
		err = fmt.Errorf("leaf %d holds %q", i, n.Cell(0).Suffix)
	}
	return hit, err
}

// hits reads leaves from to to and returns how many came from memory.
func (w wood) hits(t *testing.T, from, to int, scan bool) int {
	t.Helper()
	hits := 0
	for i := from; i < to; i++ {
		hit, err := w.read(i, scan)
		if err != nil {
			t.Fatal(err)
		}
		if hit {
			hits++
		}
	}
	return hits
}

const leafCost = 4300 // a little more than a leaf of the forest counts for

func TestCache_CountsHitsAndMisses(t *testing.T) {
	mem := vfs.NewMem()
	w := openWood(t, mem, forest(t, mem, 10), 1<<20)
	w.hits(t, 0, 10, false)
	w.hits(t, 0, 10, true)
	s := w.Stats()
	if s.Misses != 11 || s.Hits != 29 || s.Frames != 11 {
		t.Errorf("have %d misses, %d hits, %d frames; want 11, 29, 11", s.Misses, s.Hits, s.Frames)
	}
	if s.ReadBytes < 10*4000 || s.CacheBytes < 10*4000 || s.CacheBytes > 10*leafCost+2000 {
		t.Errorf("%+v", s)
	}
}

// One full scan must not evict the hot set, whichever way it reads.
func TestCache_ScanLeavesTheHotSet(t *testing.T) {
	const leaves, hot = 1000, 60
	mem := vfs.NewMem()
	root := forest(t, mem, leaves)
	for _, scan := range []bool{true, false} {
		w := openWood(t, mem, root, 100*leafCost)
		for range 3 {
			w.hits(t, 0, hot, false)
		}
		w.hits(t, 0, leaves, scan)
		if have := w.hits(t, 0, hot, false); have < hot-1 {
			t.Errorf("scan %v: %d of %d hot leaves are left", scan, have, hot)
		}
		if err := w.cache.check(); err != nil {
			t.Error(err)
		}
	}
	// The same when the hot set fills the cache to the brim.
	w := openWood(t, mem, root, 50*leafCost)
	const full = 35 // and the branch, which is as large as fifteen
	for range 5 {
		w.hits(t, 0, full, false)
	}
	w.hits(t, 0, leaves, true)
	if have := w.hits(t, 0, full, false); have < full-1 {
		t.Errorf("%d of %d hot leaves are left", have, full)
	}
}

// A new hot set that is larger than the probation takes the cache over.
func TestCache_ANewHotSetTakesOver(t *testing.T) {
	mem := vfs.NewMem()
	w := openWood(t, mem, forest(t, mem, 300), 100*leafCost)
	for range 5 {
		w.hits(t, 0, 90, false)
	}
	for range 8 {
		w.hits(t, 200, 280, false)
	}
	if have := w.hits(t, 200, 280, false); have < 75 {
		t.Errorf("%d of 80 leaves of the new hot set are in memory", have)
	}
}

// The limit holds at every moment, while eight goroutines read and one writes.
func TestCache_KeepsItsLimit(t *testing.T) {
	mem := vfs.NewMem()
	root := forest(t, mem, 400)
	for _, limit := range []int64{0, 5000, 16 * leafCost, 100 * leafCost} {
		w := openWood(t, mem, root, limit)
		stop := make(chan struct{})
		var readers, others sync.WaitGroup
		for g := range uint64(8) {
			readers.Go(func() {
				r := rand.New(rand.NewPCG(g, 30))
				for range 500 {
					i := r.IntN(400)
					if r.IntN(2) == 0 {
						i = r.IntN(20)
					}
					if _, err := w.read(i, g == 7); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if s := w.Stats(); s.CacheBytes > limit {
					t.Errorf("%d bytes, limit %d", s.CacheBytes, limit)
					return
				}
				if err := rewriteSome(w); err != nil {
					t.Error(err)
					return
				}
			}
		})
		readers.Wait()
		close(stop)
		others.Wait()
		if err := w.cache.check(); err != nil {
			t.Errorf("limit %d: %v", limit, err)
		}
		if s := w.Stats(); limit == 0 && s.Frames != 0 || limit > 100_000 && s.Frames < 50 {
			t.Errorf("limit %d: %d frames", limit, s.Frames)
		}
	}
}

// rewriteSome writes leaves and a branch that adopts others, releases the old
// ones, and gives up.
func rewriteSome(w wood) error {
	wr, err := w.Begin(1)
	if err != nil {
		return err
	}
	defer wr.Abort()
	n, err := w.Node(w.root)
	if err != nil {
		return err
	}
	refs, frames := make([]node.Ref, n.Count()), make([]*Frame, n.Count())
	for i := range refs {
		refs[i], frames[i] = n.Ref(i), w.root.Peek(n, i)
		if i%50 == 0 {
			h, buf := leafOf(leafKey(i), make([]byte, 4000), 4000, false)
			if frames[i] != nil {
				wr.FreeFrame(frames[i])
			}
			if frames[i], err = wr.Write(h, 1, false, buf, nil, i%100 == 0); err != nil {
				return err
			}
			refs[i] = frames[i].Ref()
		}
	}
	h, buf := branchOf(refs)
	f, err := wr.Write(h, 1, false, buf, frames, true)
	if err != nil {
		return err
	}
	if n, err = w.Node(f); err != nil {
		return err
	}
	for i := range n.Count() {
		if _, err := w.Node(w.Child(f, n, i)); err != nil {
			return err
		}
	}
	return nil
}

// Many that miss the same node at once read it once.
func TestCache_ReadsANodeOnceForAll(t *testing.T) {
	mem := vfs.NewMem()
	w := openWood(t, mem, forest(t, mem, 4), 1<<20)
	n, err := w.Node(w.root)
	if err != nil {
		t.Fatal(err)
	}
	f := w.Child(w.root, n, 2)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := w.Node(f); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s := w.Stats(); s.Misses != 2 {
		t.Errorf("%d misses, want one for the root and one for the leaf", s.Misses)
	}
}

// A leaf that a checkpoint leaves alone keeps its frame, and stays in memory.
func TestCache_ResidencySurvivesACheckpoint(t *testing.T) {
	mem := vfs.NewMem()
	values := make([]uint64, 50)
	for i := range values {
		values[i] = numberOf(100, 800)
	}
	old, err := attach(create(t, mem, Options{CacheBytes: 1 << 20}), nil).commit(1, values, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.check(); err != nil {
		t.Fatal(err)
	}
	changed := append([]uint64(nil), values...)
	changed[7] = numberOf(200, 300)
	next, err := old.commit(2, changed, false)
	if err != nil {
		t.Fatal(err)
	}
	before := old.p.Stats()
	for i := range values {
		of, _, err1 := old.leaf(i)
		nf, _, err2 := next.leaf(i)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if (of == nf) != (i != 7) {
			t.Errorf("leaf %d: same frame: %v", i, of == nf)
		}
		if nf.parent != next.root {
			t.Errorf("leaf %d: its parent is not the new branch", i)
		}
	}
	if after := old.p.Stats(); after.Misses != before.Misses {
		t.Errorf("%d misses", after.Misses-before.Misses)
	}
	if err := old.p.cache.check(); err != nil {
		t.Error(err)
	}
}

// What an aborted writer wrote leaves memory; what it released and adopted is
// where it was.
func TestCache_AbortPutsBack(t *testing.T) {
	mem := vfs.NewMem()
	w := openWood(t, mem, forest(t, mem, 100), 1<<20)
	w.hits(t, 0, 100, false)
	w.hits(t, 0, 100, false)
	before := w.Stats()
	if err := rewriteSome(w); err != nil {
		t.Fatal(err)
	}
	if after := w.Stats(); after.Frames > before.Frames {
		t.Errorf("%d frames, %d before", after.Frames, before.Frames)
	}
	n, err := w.Node(w.root)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n.Count() {
		f := w.root.Peek(n, i)
		if f == nil {
			continue
		}
		if f.parent != w.root || f.flags != flagLinked {
			t.Errorf("leaf %d: parent is the root: %v; flags %b", i, f.parent == w.root, f.flags)
		}
	}
	if err := w.cache.check(); err != nil {
		t.Error(err)
	}
	if have := w.hits(t, 0, 100, false); have < 98 {
		t.Errorf("%d of 100 leaves are in memory", have)
	}
}

// A released node goes before all others.
func TestCache_ReleasedGoesFirst(t *testing.T) {
	mem := vfs.NewMem()
	w := openWood(t, mem, forest(t, mem, 100), 50*leafCost)
	for range 3 {
		w.hits(t, 0, 40, false)
	}
	wr, err := w.Begin(1)
	if err != nil {
		t.Fatal(err)
	}
	defer wr.Abort()
	n, err := w.Node(w.root)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		wr.FreeFrame(w.Child(w.root, n, i))
	}
	w.hits(t, 50, 70, false)
	for i := range 40 {
		if here := w.Child(w.root, n, i).Resident(); here != (i >= 10) {
			t.Errorf("leaf %d resident: %v", i, here)
		}
	}
}

// Under steady pressure from leaves that are read once, branches stay.
func TestCache_BranchesOutliveLeaves(t *testing.T) {
	mem := vfs.NewMem()
	w := openWood(t, mem, forest(t, mem, 1000), 40*leafCost)
	n, err := w.Node(w.root)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if _, err := w.Node(w.Child(w.root, n, i)); err != nil {
			t.Fatal(err)
		}
		if !w.root.Resident() {
			t.Fatalf("after %d leaves the branch is gone", i+1)
		}
	}
}

// The same for leaves that are all read often, whose branch is not read again.
func TestCache_ABranchStaysWithItsChildren(t *testing.T) {
	mem := vfs.NewMem()
	w := openWood(t, mem, forest(t, mem, 120), 40*leafCost)
	n, err := w.Node(w.root)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		for i := range 120 {
			f := w.Child(w.root, n, i)
			for range 2 {
				if _, err := w.Node(f); err != nil {
					t.Fatal(err)
				}
			}
			if !w.root.Resident() {
				t.Fatal("the branch is gone")
			}
		}
	}
}

// What a writer writes without asking for memory evicts nothing, unless it is
// the branch without which a child in memory could not be found.
func TestCache_WritingEvictsNothing(t *testing.T) {
	mem := vfs.NewMem()
	w := openWood(t, mem, forest(t, mem, 100), 40*leafCost)
	w.hits(t, 0, 100, false) // full
	before := w.Stats()
	wr, err := w.Begin(1)
	if err != nil {
		t.Fatal(err)
	}
	defer wr.Abort()
	h, buf := leafOf(leafKey(0), make([]byte, 4000), 4000, false)
	cold, err := wr.Write(h, 1, false, buf, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if cold.Resident() || w.Stats().Frames != before.Frames {
		t.Errorf("the leaf is in memory: %v; %d frames, %d before", cold.Resident(), w.Stats().Frames, before.Frames)
	}
	h, buf = leafOf(leafKey(0), make([]byte, 4000), 4000, false)
	warm, err := wr.Write(h, 1, false, buf, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	for child, want := range map[*Frame]bool{cold: false, warm: true} {
		h, buf = branchOf([]node.Ref{child.Ref(), cold.Ref(), cold.Ref(), cold.Ref(), cold.Ref(), cold.Ref()})
		buf = append(buf, make([]byte, 5000)...) // more than the room that is left
		branch, err := wr.Write(h, 2, false, buf, []*Frame{child, nil, nil, nil, nil, nil}, false)
		if err != nil {
			t.Fatal(err)
		}
		if child.Resident() != want || branch.Resident() != want {
			t.Errorf("child in memory: %v, its branch: %v, want both %v", child.Resident(), branch.Resident(), want)
		}
	}
	if err := w.cache.check(); err != nil {
		t.Error(err)
	}
}

// A frame's hot fields must not straddle two cache lines, and there may be
// millions of frames.
func TestFrame_Size(t *testing.T) {
	if frameBytes != 96 {
		t.Errorf("a frame takes %d bytes, want 96", frameBytes)
	}
}

// A frame that was evicted is found again by its parent, once.
func TestCache_EvictedFramesAreLeftToTheCollector(t *testing.T) {
	mem := vfs.NewMem()
	w := openWood(t, mem, forest(t, mem, 500), 60*leafCost)
	w.hits(t, 0, 500, false)
	n, err := w.Node(w.root)
	if err != nil {
		t.Fatal(err)
	}
	linked := 0
	for i := range 500 {
		if f := w.root.Peek(n, i); f != nil {
			linked++
			if !f.Resident() {
				t.Errorf("leaf %d: its evicted frame is still linked", i)
			}
		}
	}
	if frames := w.Stats().Frames; linked != frames-1 {
		t.Errorf("%d leaves linked, %d frames", linked, frames)
	}
}

// What is reserved is no longer the cache's, and comes back; what does not fit
// beside it is read past the cache.
func TestCache_Reserve(t *testing.T) {
	fs := vfs.NewMem()
	const limit = 256 << 10
	w := openWood(t, fs, forest(t, fs, 200), limit)
	defer w.Close()
	full := w.Stats
	for _, n := range []int64{limit / 2, limit/2 - 2048, 2048 - limit/2, -limit / 2} {
		w.hits(t, 0, 200, false)
		w.Reserve(n)
		if err := w.cache.check(); err != nil {
			t.Fatal(err)
		}
		w.hits(t, 0, 200, false)
		if err := w.cache.check(); err != nil {
			t.Fatal(err)
		}
		if s := full(); s.CacheBytes > limit || s.CacheLimit != limit {
			t.Errorf("%d bytes of %d", s.CacheBytes, s.CacheLimit)
		}
	}
	if s := full(); w.cache.reserved != 0 || s.CacheBytes < limit-8192 {
		t.Errorf("%d bytes reserved, %d taken in the end", w.cache.reserved, s.CacheBytes)
	}
}
