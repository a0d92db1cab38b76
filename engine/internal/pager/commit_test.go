package pager

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// Generations come and go, with pins, aborts, shrinking and reopening: M3
// holds after each, every value is right, and what a pinned generation reaches
// stays readable.
func TestCommit_KeepsM3AndPinnedGenerations(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 10))
		mem := vfs.NewMem()
		tr := attach(create(t, mem, Options{CacheBytes: 200 << 10}), nil)
		tr.codec = compress.Codec(seed % 3)
		pin := tr
		pinned := func() uint64 {
			if pin.root == nil {
				return tr.p.Meta().Gen
			}
			n, err := pin.p.Node(pin.root)
			if err != nil {
				t.Fatalf("seed %d: pinned root: %v", seed, err)
			}
			return n.Gen()
		}
		for step := range 50 {
			fail := func(err error) {
				if err != nil {
					t.Helper()
					t.Fatalf("seed %d step %d generation %d: %v", seed, step, tr.p.Meta().Gen, err)
				}
			}
			switch r.IntN(8) {
			case 0: // reopened
				fail(tr.p.Close())
				tr = attach(open(t, mem), tr.values)
				tr.codec = compress.Codec(seed % 3)
				pin = tr
			case 1: // aborted
				w, err := tr.p.Begin(pinned())
				fail(err)
				if _, err := tr.change(w, mutate(r, tr.values, 3, 2)); err != nil {
					t.Fatal(err)
				}
				w.Abort()
				w.Abort()
				if size, _ := tr.p.file.Size(); uint64(size) != tr.p.Meta().FileSize {
					t.Fatalf("seed %d: after Abort the file has %d bytes, the meta tells %d", seed, size, tr.p.Meta().FileSize)
				}
			default:
				next, err := tr.commit(pinned(), mutate(r, tr.values, 4, 2), r.IntN(3) == 0)
				fail(err)
				tr = next
			}
			if r.IntN(4) == 0 {
				pin = tr
			}
			fail(tr.checkM3())
			fail(tr.check())
			if pin.root != nil {
				cold := &tree{p: pin.p, root: pin.p.Frame(pin.root.Ref(), pin.root.keyspace, 1), values: pin.values}
				fail(cold.check())
			}
			s := tr.p.Stats()
			if sum := firstExtent + s.BytesUsed + s.FreeBytes + s.PendingBytes; sum != s.FileSize {
				t.Fatalf("seed %d: used, free and pending make %d, the file has %d: %+v", seed, sum, s.FileSize, s)
			}
		}
	}
}

// A crash at any operation, whatever the disk makes of what was not synced,
// leaves the old generation or the new one, whole.
func TestCommit_CrashAnywhereLeavesOneGeneration(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 11))
		sim := faultfs.NewSim()
		tr := attach(create(t, sim, Options{CacheBytes: 1 << 20}), nil)
		if err := sim.SyncDir("."); err != nil {
			t.Fatal(err)
		}
		values := map[uint64][]uint64{1: nil}
		durableAt := []int{sim.Ops()} // by generation, from 1
		begin := sim.Ops()
		for range 5 {
			next, err := tr.commit(tr.p.Meta().Gen, mutate(r, tr.values, 3, 4), true)
			if err != nil {
				t.Fatal(err)
			}
			tr = next
			values[tr.p.Meta().Gen] = tr.values
			durableAt = append(durableAt, sim.Ops())
		}
		checked := 0
		for n := begin; n <= sim.Ops(); n++ {
			durable := uint64(0)
			for _, at := range durableAt {
				if at <= n {
					durable++
				}
			}
			for _, d := range faultfs.Damages(6, int64(seed)) {
				if err := checkImage(sim.Image(n, d), durable, values); err != nil {
					t.Fatalf("seed %d: crash after operation %d of %d (%v), generation %d durable: %v\n%v", seed, n, sim.Ops(), d, durable, err, sim.Trace())
				}
				checked++
			}
		}
		if v := sim.Violations(); len(v) > 0 {
			t.Errorf("seed %d: %v", seed, v)
		}
		if checked < 100 {
			t.Errorf("seed %d: only %d images", seed, checked)
		}
	}
}

func checkImage(mem *vfs.Mem, durable uint64, values map[uint64][]uint64) error {
	p, err := Open(mem, testName, Options{CacheBytes: 1 << 20})
	if err != nil {
		return err
	}
	gen := p.Meta().Gen
	if gen != durable && gen != durable+1 {
		return fmt.Errorf("opened generation %d", gen)
	}
	tr := attach(p, values[gen])
	if err := errors.Join(tr.check(), tr.checkM3()); err != nil {
		return fmt.Errorf("generation %d: %w", gen, err)
	}
	next, err := tr.commit(gen, append(tr.values[:len(tr.values):len(tr.values)], 1, 2), true)
	if err != nil {
		return fmt.Errorf("commit after generation %d: %w", gen, err)
	}
	return errors.Join(next.check(), next.checkM3())
}

// Every call of a commit fails once. Before the meta is touched the commit
// fails alone; afterwards the pager stops writing. Either way reads go on, and
// reopening finds one generation whole.
func TestCommit_SurvivesAnErrorFromEachCall(t *testing.T) {
	for _, kind := range []faultfs.Kind{faultfs.OpWrite, faultfs.OpSync, faultfs.OpTruncate, faultfs.OpRead} {
		failed := 0
		for n := 1; ; n++ {
			mem := vfs.NewMem()
			in := faultfs.Inject(mem)
			tr := attach(create(t, in, Options{CacheBytes: 1 << 20}), nil)
			r := rand.New(rand.NewPCG(1, 12))
			for range 3 {
				next, err := tr.commit(tr.p.Meta().Gen, mutate(r, tr.values, 3, 6), false)
				if err != nil {
					t.Fatal(err)
				}
				tr = next
			}
			tr = attach(tr.p, tr.values) // cold, so that reads fail too
			gen := tr.p.Meta().Gen
			in.FailNth(n, faultfs.ErrIO, false, kind)
			values := mutate(r, tr.values, 3, 60) // the file grows
			_, err := tr.commit(gen, values, true)
			in.FailNth(0, nil, false)
			if err == nil {
				if kind != faultfs.OpTruncate || n > 4 { // a failed cut is no failure
					break
				}
				continue
			}
			failed++
			if !errors.Is(err, faultfs.ErrIO) {
				t.Fatalf("%v %d: %v", kind, n, err)
			}
			if err := tr.check(); err != nil {
				t.Fatalf("%v %d: reading on: %v", kind, n, err)
			}
			stopped := tr.p.failure != nil
			_, again := tr.commit(gen, values, false)
			if stopped != (again != nil) || stopped && !errors.Is(again, err) {
				t.Fatalf("%v %d: after %v, the next commit gives %v", kind, n, err, again)
			}
			if kind == faultfs.OpSync && !stopped {
				t.Fatalf("a failed sync did not stop the pager")
			}
			p := open(t, mem)
			was := map[uint64][]uint64{gen: tr.values, gen + 1: values}
			re := attach(p, was[p.Meta().Gen])
			if err := errors.Join(re.check(), re.checkM3()); err != nil {
				t.Fatalf("%v %d: reopened: %v", kind, n, err)
			}
			if v := in.Violations(); len(v) > 0 {
				t.Fatalf("%v %d: %v", kind, n, v)
			}
		}
		if failed == 0 && kind != faultfs.OpTruncate {
			t.Errorf("%v: no call failed", kind)
		}
	}
}

// A full disk fails the commit that meets it and nothing else; with space made
// free the next one succeeds.
func TestCommit_FullDisk(t *testing.T) {
	mem := vfs.NewMem()
	in := faultfs.Inject(mem)
	tr := attach(create(t, in, Options{CacheBytes: 1 << 20}), nil)
	r := rand.New(rand.NewPCG(1, 13))
	tr, err := tr.commit(1, mutate(r, nil, 1, 50), false)
	if err != nil {
		t.Fatal(err)
	}
	before := tr.p.Meta()
	full := 0
	for room := int64(0); ; room += 4096 {
		in.SetCapacity(int64(before.FileSize) + room)
		next, err := tr.commit(tr.p.Meta().Gen, mutate(r, tr.values, 1, 0), false)
		if err == nil {
			tr = next
			break
		}
		full++
		if !vfs.IsNoSpace(err) {
			t.Fatalf("room for %d bytes: %v", room, err)
		}
		if tr.p.Meta() != before {
			t.Fatalf("the meta changed to %+v", tr.p.Meta())
		}
		if err := errors.Join(tr.check(), tr.checkM3()); err != nil {
			t.Fatalf("room for %d bytes: %v", room, err)
		}
		if size, _ := tr.p.file.Size(); uint64(size) != before.FileSize {
			t.Fatalf("the file kept %d bytes of %d", size, before.FileSize)
		}
	}
	if full < 3 {
		t.Errorf("only %d commits met a full disk", full)
	}
	if err := errors.Join(tr.check(), tr.checkM3()); err != nil {
		t.Error(err)
	}
}

// With a ceiling what moves goes to the front of the file, and with shrink the
// file is cut there, once nobody can read what stood behind.
func TestCommit_CeilingAndShrinkGiveSpaceBack(t *testing.T) {
	mem := vfs.NewMem()
	tr := attach(create(t, mem, Options{CacheBytes: 1 << 20}), nil)
	r := rand.New(rand.NewPCG(1, 14))
	var err error
	for range 4 { // spread the leaves
		if tr, err = tr.commit(0, mutate(r, tr.values, 2, 40), false); err != nil {
			t.Fatal(err)
		}
	}
	tr, err = tr.commit(tr.p.Meta().Gen, tr.values[:20], false)
	if err != nil {
		t.Fatal(err)
	}
	// The test's tree does not free what it drops, so let one reopened find
	// its way: free all that the model no longer reaches.
	before := tr.p.Meta()
	dropped := freeUnreached(t, tr)
	if dropped == 0 {
		t.Fatal("nothing to give back")
	}
	for range 3 {
		w, err := tr.p.Begin(tr.p.Meta().Gen)
		if err != nil {
			t.Fatal(err)
		}
		w.SetBounds(0, before.FileSize/2)
		values := append([]uint64(nil), tr.values...)
		for i := range values {
			values[i] = r.Uint64()
		}
		next, err := tr.change(w, values)
		if err != nil {
			t.Fatal(err)
		}
		m := tr.p.Meta()
		m.Catalog = next.root.Ref()
		if err := w.Commit(m, true); err != nil {
			t.Fatal(err)
		}
		tr = next
		if err := errors.Join(tr.check(), tr.checkM3()); err != nil {
			t.Fatal(err)
		}
		if info, _ := mem.Stat(testName); uint64(info.Size) != tr.p.Meta().FileSize {
			t.Fatalf("the file has %d bytes, the meta tells %d", info.Size, tr.p.Meta().FileSize)
		}
	}
	if after := tr.p.Meta().FileSize; after > before.FileSize/2 {
		t.Errorf("%d bytes after, %d before", after, before.FileSize)
	}

	w, err := tr.p.Begin(tr.p.Meta().Gen)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	w.SetBounds(0, firstExtent)
	if _, err := tr.writeLeaf(w, 0, 1); !errors.Is(err, ErrNoRoom) {
		t.Errorf("nothing fits below the first extent: %v", err)
	}
	w.SetBounds(0, 0)
	f, err := tr.writeLeaf(w, 0, 1)
	if err != nil {
		t.Fatalf("after the ceiling is gone: %v", err)
	}
	w.Discard(f.Ref())
	w.SetBounds(0, firstExtent) // not for the free list, which has to be written
	if err := w.Commit(tr.p.Meta(), false); err != nil {
		t.Errorf("commit under a ceiling: %v", err)
	}
	if err := errors.Join(tr.check(), tr.checkM3()); err != nil {
		t.Error(err)
	}
}

// The free list's own extent covers whole units whatever the list's length:
// also where allocating it makes the list fall short of the last of them.
func TestCommit_FreeListOfAnyLength(t *testing.T) {
	for n := 200; n < 300; n++ {
		p := create(t, vfs.NewMem(), Options{})
		w, err := p.Begin(1)
		if err != nil {
			t.Fatal(err)
		}
		var kept, freed []node.Ref
		for i := range 2 * n {
			ref, err := w.WriteOverflow(0, []byte{1}, compress.None)
			if err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				freed = append(freed, ref)
			} else {
				kept = append(kept, ref)
			}
		}
		if err := w.Commit(p.Meta(), false); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if w, err = p.Begin(p.Meta().Gen); err != nil {
				t.Fatal(err)
			}
			for _, ref := range freed {
				w.Free(ref)
			}
			freed = nil
			if err := w.Commit(p.Meta(), n%2 == 0); err != nil {
				t.Fatal(err)
			}
			if err := checkCover(p, kept); err != nil {
				t.Fatalf("%d free extents: %v", n, err)
			}
		}
	}
}

// A writer may free what it wrote itself, also behind the end that the file had.
func TestCommit_FreesWhatItWrote(t *testing.T) {
	p := create(t, vfs.NewMem(), Options{})
	w, err := p.Begin(1)
	if err != nil {
		t.Fatal(err)
	}
	var kept []node.Ref
	for i := range 20 {
		ref, err := w.WriteOverflow(0, []byte{1}, compress.None)
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			w.Free(ref)
		} else {
			kept = append(kept, ref)
		}
	}
	for range 3 {
		if err := w.Commit(p.Meta(), false); err != nil {
			t.Fatal(err)
		}
		if err := checkCover(p, kept); err != nil {
			t.Fatal(err)
		}
		if w, err = p.Begin(p.Meta().Gen); err != nil {
			t.Fatal(err)
		}
	}
	w.Abort()
}

// A free list that passes its checksum and contradicts the meta is refused
// before it can make a writer overwrite anything.
func TestFreeList_MustAgreeWithTheMeta(t *testing.T) {
	own := node.Ref{Off: 20 * node.Unit, Len: 600, Count: 2}
	m := Meta{FileSize: 40 * node.Unit, BytesUsed: 15 * node.Unit, FreeList: own}
	if err := checkFreeList([]extent{{17, 2}, {30, 7}}, &m); err != nil {
		t.Fatal(err)
	}
	for name, list := range map[string][]extent{
		"another count":             {{17, 9}},
		"another sum":               {{17, 1}, {30, 7}},
		"over its own start":        {{17, 4}, {30, 5}},
		"over its own end":          {{21, 2}, {30, 7}},
		"around its own extent":     {{18, 8}, {30, 1}},
		"exactly at its own extent": {{20, 2}, {30, 7}},
	} {
		if err := checkFreeList(list, &m); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// freeUnreached frees, in a generation of its own, all extents that the tree
// does not reach, and returns how many units those are.
func freeUnreached(t *testing.T, tr *tree) uint64 {
	t.Helper()
	reached, err := tr.extents()
	if err != nil {
		t.Fatal(err)
	}
	m := tr.p.Meta()
	used := make(bitmap, m.FileSize/node.Unit)
	for u := firstUnit; u < len(used); u++ {
		used[u] = true
	}
	s, err := tr.p.loadSpace()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range s.pendingExtents() {
		used.set(e, false)
	}
	used.set(extentOf(m.FreeList), false)
	for _, ref := range reached {
		used.set(extentOf(ref), false)
	}
	w, err := tr.p.Begin(m.Gen)
	if err != nil {
		t.Fatal(err)
	}
	var n uint64
	for _, e := range used.extents() {
		w.Free(node.Ref{Off: e.off * node.Unit, Len: uint32(e.n * node.Unit)})
		n += e.n
	}
	if err := w.Commit(m, false); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestBegin_OneWriterAtATime(t *testing.T) {
	mem := vfs.NewMem()
	p := create(t, mem, Options{})
	w, err := p.Begin(1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Begin(1); !errors.Is(err, ErrBusy) {
		t.Errorf("second writer: %v", err)
	}
	if err := w.Commit(p.Meta(), false); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(p.Meta(), false); err == nil {
		t.Error("a second commit of one writer: no error")
	}
	if p.Meta().Gen != 2 {
		t.Errorf("generation %d, want 2", p.Meta().Gen)
	}
	ro, err := Open(mem, testName, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ro.Begin(1); !errors.Is(err, ErrReadOnly) {
		t.Errorf("writer of a database open for reading: %v", err)
	}
}

// What a damaged database makes a writer free twice, or free outside the file,
// fails the commit.
func TestCommit_RefusesToFreeTwice(t *testing.T) {
	mem := vfs.NewMem()
	tr, err := attach(create(t, mem, Options{}), nil).commit(1, []uint64{1, 2, 3}, false)
	if err != nil {
		t.Fatal(err)
	}
	root := tr.root.Ref()
	for name, free := range map[string][]node.Ref{
		"twice":        {root, root},
		"overlapping":  {root, {Off: root.Off - 512, Len: 1024}},
		"past the end": {{Off: tr.p.Meta().FileSize, Len: 100}},
		"a meta":       {{Off: 4096, Len: 100}},
	} {
		w, err := tr.p.Begin(tr.p.Meta().Gen)
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range free {
			w.Free(ref)
		}
		var c *CorruptError
		if err := w.Commit(tr.p.Meta(), false); !errors.As(err, &c) || c.Kind != Structure {
			t.Errorf("%s: have %v", name, err)
		}
		if err := errors.Join(tr.check(), tr.checkM3()); err != nil {
			t.Errorf("%s: afterwards: %v", name, err)
		}
	}
}

func TestReadMeta_MissingFile(t *testing.T) {
	if _, err := ReadMeta(vfs.NewMem(), testName); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("have %v", err)
	}
}
