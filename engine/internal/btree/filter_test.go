package btree

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/vfs"
)

// filterRun changes a tree in every way there is, before, while and after a
// filter of it is filled, and keeps every tree that there was.
type filterRun struct {
	*store
	r     *rand.Rand
	trees []*Tree
	have  []model
	keys  [][]byte // all that were ever put
}

func newFilterRun(t *testing.T, seed uint64) *filterRun {
	f := &filterRun{store: newStore(t, 1<<10, compress.None, 1<<20), r: rand.New(rand.NewPCG(seed, 7))}
	f.pin = 0 // all trees stay readable
	f.put(300)
	return f
}

// put puts n new keys.
func (f *filterRun) put(n int) {
	var sc script
	for range n {
		sc.set(f.newKey(), []byte("value"))
	}
	f.apply(nil, sc)
}

func (f *filterRun) newKey() []byte {
	key := binary.BigEndian.AppendUint64(nil, f.r.Uint64())
	f.keys = append(f.keys, key)
	return key
}

// apply merges a script, and keeps the tree.
func (f *filterRun) apply(stop func() error, sc script) {
	f.Helper()
	sc.sort()
	w := f.begin()
	t, _, err := Merge(stop, w, f.tree, sc.cursor(), sc.ranges)
	if err != nil {
		f.Fatal(err)
	}
	f.model.apply(sc)
	f.commit(w, t, false)
	f.keep()
}

func (f *filterRun) keep() {
	f.trees, f.have = append(f.trees, f.tree), append(f.have, slices.Clone(f.model))
}

// change makes the next tree. meanwhile is called now and then while it does.
func (f *filterRun) change(meanwhile func()) {
	f.Helper()
	stop := func() error {
		if f.r.IntN(8) == 0 {
			meanwhile()
		}
		return nil
	}
	var sc script
	for range f.r.IntN(20) {
		switch old := f.keys[f.r.IntN(len(f.keys))]; f.r.IntN(4) {
		case 0:
			sc.set(f.newKey(), []byte("new"))
		case 1:
			sc.set(old, []byte("again"))
		case 2:
			sc.delete(old)
		case 3:
			sc.set(old, bytes.Repeat([]byte("large"), 200))
		}
	}
	switch f.r.IntN(4) {
	case 0:
		a, b := f.newKey(), f.newKey()
		b = append(slices.Clone(a[:1]), b...)
		sc.deleteRange(a, b)
	case 1: // a merge that comes to nothing
		w := f.begin()
		sc.sort()
		if _, _, err := Merge(stop, w, f.tree, sc.cursor(), nil); err != nil {
			f.Fatal(err)
		}
		w.Abort()
		return
	case 2:
		w := f.begin()
		t, _, err := Relocate(nil, w, f.tree, Cut(f.p.Meta().FileSize/2))
		if err != nil {
			f.Fatal(err)
		}
		f.commit(w, t, false)
		f.keep()
		return
	}
	f.apply(stop, sc)
}

func (f *filterRun) has(key []byte) bool {
	f.Helper()
	kind, err := f.tree.Has(key, kv.Hash(key))
	if err != nil {
		f.Fatal(err)
	}
	return kind == kv.Set
}

// checkAll looks for every key in every tree.
func (f *filterRun) checkAll() {
	f.Helper()
	for i, t := range f.trees {
		for _, key := range f.keys {
			_, want := f.have[i].find(key)
			if k := t.filter.Load(); k != nil && k.worth.Load() > 0 {
				k.worth.Store(mostWorth) // it is asked to the end
			}
			kind, err := t.Has(key, kv.Hash(key))
			if err != nil || (kind == kv.Set) != want {
				f.Fatalf("tree %d of %d, filter %v: key %x: %v, %v; want it there: %v", i, len(f.trees), t.keyFilter() != nil, key, kind, err, want)
			}
			value, kind, err := t.Get(key, kv.Hash(key), nil)
			if err != nil || (kind == kv.Set) != want || want && len(value) == 0 {
				f.Fatalf("tree %d of %d: key %x: %v, %v; want it there: %v", i, len(f.trees), key, kind, err, want)
			}
		}
	}
}

// Whenever a key comes into a tree, or goes and comes back, a filter does not
// deny it: neither one that is filled while merges are under way, nor one that
// is filled in the middle of a merge.
func TestFilter_DeniesNoKey(t *testing.T) {
	carried, left := 0, 0
	for seed := range uint64(60) {
		f := newFilterRun(t, seed)
		never := func() {}
		for range f.r.IntN(3) {
			f.change(never)
		}
		before := f.tree
		if f.r.IntN(3) == 0 {
			f.change(func() {
				if before.BeginFilter(1 << 20) {
					if err := before.FillFilter(func() error { return nil }); err != nil {
						t.Fatal(err)
					}
				}
			})
			if f.tree != before && before.filter.Load() != nil {
				left++
				if f.tree.filter.Load() != nil {
					t.Fatalf("seed %d: a tree has a filter that came while it was made", seed)
				}
			}
		}
		if f.tree.BeginFilter(1 << 20) {
			err := f.tree.FillFilter(func() error {
				if f.r.IntN(6) == 0 {
					f.change(never)
				}
				for range 2 * sampleEvery { // it must not be asked yet
					f.tree.Missed(f.r.Uint64())
				}
				if e := f.model[f.r.IntN(len(f.model))]; !f.has(e.key) {
					f.Fatalf("seed %d: key %x is denied while the filter is filled", seed, e.key)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for range 4 {
			f.change(never)
		}
		if f.tree.keyFilter() != nil && f.tree != before {
			carried++
		}
		f.checkAll()
	}
	if carried < 20 || left < 3 {
		t.Errorf("%d trees have a filter at the end, %d times one came in the middle of a merge", carried, left)
	}
}

// Of the keys that are not there few pass. A filter that has become too full,
// or whose tree has lost most of its keys, is dropped, and a new one may come.
func TestFilter_IsDroppedWhenBlunt(t *testing.T) {
	f := newFilterRun(t, 1)
	fill := func() {
		t.Helper()
		if !f.tree.BeginFilter(1 << 20) {
			t.Fatal("no filter began")
		}
		if f.tree.BeginFilter(1 << 20) {
			t.Error("a second one began")
		}
		if err := f.tree.FillFilter(func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	fill()
	passed := 0
	for range 10_000 {
		if !f.tree.filter.Load().denies(f.r.Uint64()) {
			passed++
		}
	}
	if passed > 200 {
		t.Errorf("%d of 10,000 missing keys pass", passed)
	}
	f.put(100)
	if f.tree.FilterBytes() == 0 {
		t.Error("the filter was dropped where a third more keys came")
	}
	old := f.tree
	f.put(100)
	if f.tree.FilterBytes() != 0 {
		t.Error("the filter has two thirds more keys than it was made for")
	}
	if old.FilterBytes() == 0 {
		t.Error("an older tree lost its filter")
	}
	fill()
	var sc script
	sc.deleteRange([]byte{0x20}, []byte{0xF0})
	f.apply(nil, sc)
	if f.tree.FilterBytes() != 0 {
		t.Error("the filter has several times the keys of its tree")
	}
	f.checkAll()
}

// A filter that could not be filled denies nothing, and is not passed on; the
// next one may be tried.
func TestFilter_NotFilled(t *testing.T) {
	f := newFilterRun(t, 2)
	enough, leaves := errors.New("enough"), 0
	if !f.tree.BeginFilter(1<<20) || f.tree.FillFilter(func() error {
		if leaves++; leaves == 5 {
			return enough
		}
		return nil
	}) != enough {
		t.Fatal("it did not stop")
	}
	if leaves != 5 || f.tree.FilterBytes() != 0 {
		t.Errorf("it stopped at leaf %d, and has %d bytes", leaves, f.tree.FilterBytes())
	}
	f.put(10)
	if f.tree.filter.Load() != nil {
		t.Error("it was passed on")
	}
	f.checkAll()

	var second uint64 // offset of a leaf
	n, err := f.p.Node(f.tree.root)
	if err != nil || n.Level() != 1 {
		t.Fatalf("root: level %d, %v", n.Level(), err)
	}
	second = n.Ref(1).Off
	file, err := f.fs.Open(storeName, vfs.ReadWrite)
	if err == nil {
		_, err = file.WriteAt([]byte("rot"), int64(second)+100)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.reopen(1 << 20)
	var damage *pager.CorruptError
	if !f.tree.BeginFilter(1<<20) || !errors.As(f.tree.FillFilter(func() error { return nil }), &damage) {
		t.Error("it was filled from a damaged tree")
	}
	first, last := f.model[0].key, f.model[len(f.model)-1].key
	for _, key := range [][]byte{first, last} {
		if kind, err := f.tree.Has(key, kv.Hash(key)); kind != kv.Set || err != nil {
			t.Errorf("key %x beside the damage: %v, %v", key, kind, err)
		}
	}
	if !f.tree.BeginFilter(1 << 20) {
		t.Error("it cannot be tried again")
	}
}

// A filter is wanted after as many misses as its tree is worth, and not where
// there is one, or no room for it.
func TestFilter_Wanted(t *testing.T) {
	f := newFilterRun(t, 3)
	f.put(100_000)
	misses := func() (n uint64) {
		for n = 1; !f.tree.Missed(f.r.Uint64()) && n < 1<<20; n++ {
		}
		return n
	}
	want := f.tree.Len() / missShare
	near := func(n uint64) bool { return n > want*3/4 && n < want*5/4 }
	if n := misses(); !near(n) {
		t.Errorf("wanted after %d misses, want about %d", n, want)
	}
	if f.tree.BeginFilter(100_000) {
		t.Error("a filter is larger than its limit")
	}
	if n := misses(); !near(n) {
		t.Errorf("wanted again after %d misses, want about %d", n, want)
	}
	if !f.tree.BeginFilter(130_000) {
		t.Error("a filter does not fit its limit")
	}
	if n := misses(); n < 1<<20 {
		t.Errorf("wanted after %d misses, while one is filled", n)
	}
	if (&Tree{}).BeginFilter(1 << 20) {
		t.Error("an empty tree has a filter")
	}
}

// Where most keys that are asked for are there, the filter is not asked, until
// that changes.
func TestFilter_AskedWhereItPays(t *testing.T) {
	f := newFilterRun(t, 5)
	f.put(5_000)
	if !f.tree.BeginFilter(1<<20) || f.tree.FillFilter(func() error { return nil }) != nil {
		t.Fatal("no filter")
	}
	for _, c := range []struct {
		oneIn int // gets is of a missing key
		asked bool
	}{{2, true}, {8, false}, {1, true}, {1000, false}, {3, true}} {
		asked := 0
		for i := range 40_000 {
			key := f.keys[f.r.IntN(len(f.keys))]
			if i%c.oneIn == 0 {
				key = binary.BigEndian.AppendUint64(nil, f.r.Uint64())
			}
			hash := kv.Hash(key)
			if kind, err := f.tree.Has(key, hash); err != nil {
				t.Fatal(err)
			} else if kind == 0 {
				f.tree.Missed(hash)
			}
			if i >= 20_000 && f.tree.filter.Load().worth.Load() > 0 {
				asked++
			}
		}
		if asked > 10_000 != c.asked {
			t.Errorf("one get in %d of a missing key: asked %d times in 20,000", c.oneIn, asked)
		}
	}
}

// Filling a filter leaves in the cache what is used.
func TestFilter_LeavesTheCacheAlone(t *testing.T) {
	f := newFilterRun(t, 4)
	f.put(50_000)
	f.reopen(256 << 10)
	hot := f.keys[:50]
	misses := func() int64 {
		before := f.p.Stats().Misses
		for _, key := range hot {
			if kind, err := f.tree.Has(key, kv.Hash(key)); kind != kv.Set || err != nil {
				t.Fatal(kind, err)
			}
		}
		return int64(f.p.Stats().Misses - before)
	}
	for range 3 {
		misses()
	}
	if n := misses(); n > 0 {
		t.Fatalf("the hot keys do not fit the cache: %d misses", n)
	}
	if !f.tree.BeginFilter(1<<20) || f.tree.FillFilter(func() error { return nil }) != nil {
		t.Fatal("no filter")
	}
	if n := misses(); n > 5 {
		t.Errorf("the scan pushed %d of 50 hot leaves out", n)
	}
}
