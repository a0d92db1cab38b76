package hot

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/vfs"
)

// newSet returns a set of a cache of that size, and its pager.
func newSet(t *testing.T, cacheBytes int64) (*Set, *pager.Pager) {
	t.Helper()
	m := pager.Meta{UUID: [16]byte{1}, PageSize: 4096, NextKeyspace: 1, Created: 1}
	p, err := pager.Create(vfs.NewMem(), "btree.db", m, pager.Options{CacheBytes: cacheBytes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return New(p), p
}

func testKey(i int) []byte { return fmt.Appendf(nil, "key%07d", i) }

// An entry is found for its own state and its whole key only, however alike
// the hashes are.
func TestSet_FindsOnlyItsStateAndKey(t *testing.T) {
	s, _ := newSet(t, 16<<20)
	s.turnOn()
	const hash = 0x0123456789ABCDEF
	s.Note(Fill, 1, []byte("a"), hash, []byte("value of 1"), true)
	s.Note(Fill, 1, []byte("b"), hash, []byte("b of 1"), true)
	find := func(state uint64, key, want string) {
		t.Helper()
		have, found := s.Get(state, []byte(key), hash, []byte("> "))
		if found != (want != "") || string(have) != "> "+want {
			t.Errorf("key %q of state %d: %q, %v; want %q", key, state, have, found, want)
		}
	}
	find(1, "a", "value of 1")
	find(1, "b", "b of 1")
	find(2, "a", "")
	find(1, "ab", "")
	find(1, "", "")

	// The same key of another state takes its place.
	s.Note(Fill, 2, []byte("a"), hash, []byte("value of 2"), true)
	find(2, "a", "value of 2")
	find(1, "a", "")
	find(1, "b", "b of 1")
}

// It goes on where few keys are read often, off where many are, and takes its
// share of the cache only while it is on.
func TestSet_GoesOnAndOff(t *testing.T) {
	s, p := newSet(t, 16<<20)
	read := func(keys int) {
		for i := range 20 * window {
			key := testKey(i * 7919 % keys)
			s.Note(Sample, 1, key, kv.Hash(key), []byte("value"), true)
		}
	}
	for _, c := range []struct {
		keys int
		on   bool
	}{{1 << 30, false}, {100, true}, {1 << 30, false}, {1, true}} {
		read(c.keys)
		if on := s.table.Load() != nil; on != c.on {
			t.Fatalf("reads of %d keys: on is %v", c.keys, on)
		}
		if have := p.Stats().CacheBytes; have != map[bool]int64{true: 16 << 20 / budgetShare}[c.on] {
			t.Errorf("on is %v, and %d bytes of the cache are taken", c.on, have)
		}
	}
	for range 20 * window { // missing keys, and values that are too large
		s.Note(Sample, 1, testKey(1), kv.Hash(testKey(1)), nil, false)
	}
	if s.table.Load() != nil {
		t.Error("on where nothing is found")
	}
}

// Few keys are found while the table of reads is nearly empty, and it stays on
// for them; reads of more than there is room for are not taken for such.
func TestSet_GoesOnSoon(t *testing.T) {
	for _, c := range []struct {
		keys int
		on   bool
	}{{10, true}, {1_000, true}, {10_000, true}, {100_000, false}, {1_000_000, false}} {
		s, _ := newSet(t, 256<<20)
		r := rand.New(rand.NewPCG(4, uint64(c.keys)))
		for i := range 12 * window {
			if on := s.table.Load() != nil; i >= 2*window && on != c.on {
				t.Fatalf("%d keys: on is %v after %d reads were noted", c.keys, on, i)
			}
			key := testKey(r.IntN(c.keys))
			s.Note(Sample, 1, key, kv.Hash(key), []byte("value"), true)
		}
	}
}

// A cache too small to give anything up has no set.
func TestSet_SmallCache(t *testing.T) {
	s, _ := newSet(t, leastCache-1)
	for range 20 * window {
		s.Note(Sample, 1, testKey(1), kv.Hash(testKey(1)), []byte("value"), true)
	}
	if s.table.Load() != nil || s.seen != nil {
		t.Error("there is one")
	}
}

// What is found is what was put last, and all of it fits in the budget.
func TestSet_Model(t *testing.T) {
	s, _ := newSet(t, leastCache)
	s.turnOn()
	type place struct {
		state uint64
		key   int
	}
	model := map[place][]byte{}
	r := rand.New(rand.NewPCG(1, 2))
	found := 0
	for range 100_000 {
		at := place{r.Uint64N(3), r.IntN(2000)}
		key := testKey(at.key)
		hash := kv.Hash(key)
		want := model[at]
		if want == nil {
			want = bytes.Repeat([]byte{byte(r.Uint32())}, r.IntN(largestRow))
			model[at] = want
		}
		if have, ok := s.Get(at.state, key, hash, nil); ok {
			if found++; !bytes.Equal(have, want) {
				t.Fatalf("key %d of state %d: %q, want %q", at.key, at.state, have, want)
			}
		}
		s.Note(Fill, at.state, key, hash, want, true)
	}
	if found < 1000 {
		t.Errorf("only %d were found", found)
	}
	size := int64(len(s.table.Load().buckets)) * 64
	for i := range s.table.Load().buckets {
		for k := range s.table.Load().buckets[i].rows {
			if row := s.table.Load().buckets[i].rows[k].Load(); row != nil {
				_, cost, _, _ := rowAt(row)
				size += cost
			}
		}
	}
	if size != s.bytes && bits64 || s.bytes > s.budget {
		t.Errorf("%d bytes, counted %d, budget %d", size, s.bytes, s.budget)
	}
}

const bits64 = ^uint(0)>>63 == 1

// Readers meet only whole entries while others come and go.
func TestSet_Concurrent(t *testing.T) {
	s, _ := newSet(t, leastCache)
	s.turnOn()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 3))
			var value []byte
			for range 20_000 {
				i := r.IntN(1000)
				state, key := uint64(i%2), testKey(i)
				if have, ok := s.Get(state, key, kv.Hash(key), value[:0]); ok {
					if value = have; !bytes.Equal(have, append(testKey(i), byte(state))) {
						t.Errorf("key %d of state %d: %q", i, state, have)
					}
					continue
				}
				turn := []Turn{Fill, Sample}[i/2%2]
				s.Note(turn, state, key, kv.Hash(key), append(testKey(i), byte(state)), true)
			}
		})
	}
	wg.Wait()
}
