package btree

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/filter"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
)

// runScript is a script of n entries as a memtable has them: a good part of
// them tombstones, no ranges.
func runScript(r *rand.Rand, cfg Config, shape keyShape, n int) script {
	var sc script
	sc.stable = r.IntN(2) == 0
	for i := range n {
		if key := shape.key(r, i); r.IntN(3) == 0 {
			sc.delete(key)
		} else {
			sc.set(key, randomValue(r, cfg.PageSize))
		}
	}
	sc.sort()
	return sc
}

// build makes the script the store's tree, a run, and returns its filter.
func (s *store) build(sc script) *filter.Filter {
	s.Helper()
	w := s.begin()
	run, keys, stats, err := BuildRun(nil, w, s.p, s.cfg, sc.cursor())
	if err != nil {
		s.Fatal(err)
	}
	s.model = nil
	var keyBytes, valueBytes int64
	for _, e := range sc.edits {
		s.model = append(s.model, entry{e.key, e.value, e.kind == kv.Delete})
		keyBytes, valueBytes = keyBytes+int64(len(e.key)), valueBytes+int64(len(e.value))
	}
	if stats.Entries != uint64(len(s.model)) || stats.Added != stats.Entries || stats.KeyBytes != keyBytes || stats.ValueBytes != valueBytes {
		s.Fatalf("stats %+v of %d entries, %d bytes of keys and %d of values", stats, len(s.model), keyBytes, valueBytes)
	}
	s.commit(w, run, false)
	return keys
}

// trim trims the store's tree and its model.
func (s *store) trim(key []byte) {
	s.Helper()
	w := s.begin()
	run, err := Trim(nil, w, s.tree, key)
	if err != nil {
		s.Fatal(err)
	}
	i, _ := s.model.find(key)
	if key == nil {
		i = len(s.model)
	}
	s.model = s.model[i:]
	s.commit(w, run, false)
}

// TestRun_AgreesWithModel builds runs and trims them, a few keys or many at a
// time, to nothing. Each time the run is a sound tree, shows what is left both
// by key and in order, and no extent is used that it does not reach.
func TestRun_AgreesWithModel(t *testing.T) {
	for _, page := range []uint32{1 << 10, 4 << 10, 64 << 10} {
		for _, codec := range []compress.Codec{compress.None, compress.S2, compress.Zstd} {
			for _, shape := range keyShapes {
				n := 700
				switch {
				case codec != compress.None && shape.name == "long":
					continue
				case shape.name == "long":
					n = 60
				}
				t.Run(fmt.Sprintf("%d/%v/%s", page, codec, shape.name), func(t *testing.T) {
					r := rand.New(rand.NewPCG(uint64(page)+uint64(codec), 17))
					s := newStore(t, page, codec, 1<<20)
					keys := s.build(runScript(r, s.cfg, shape, n))
					gone := s.model
					for round := 0; len(s.model) > 0; round++ {
						s.check()
						s.lookUp(keys, gone[:len(gone)-len(s.model)])
						if round%4 == 3 {
							s.reopen(1 << 18)
						}
						switch step := min(len(s.model)-1, r.IntN(2+n/6)); r.IntN(10) {
						case 0: // between two keys
							s.trim(append(bytes.Clone(s.model[step].key), 0))
						case 1: // nothing
							s.trim(s.model[0].key)
							s.trim([]byte{})
						default:
							s.trim(s.model[step].key)
						}
						if round > 30 {
							s.trim(nil)
						}
					}
					s.check()
				})
			}
		}
	}
}

// lookUp looks for all keys of the model, and for those that are gone.
func (s *store) lookUp(keys *filter.Filter, gone []entry) {
	s.Helper()
	for _, e := range s.model {
		hash := kv.Hash(e.key)
		if !keys.MayHave(hash) {
			s.Fatalf("the filter denies %.40q", e.key)
		}
		value, kind, err := s.tree.Get(e.key, hash, []byte("dst"))
		if err != nil || kind != e.kind() || !bytes.HasPrefix(value, []byte("dst")) || !bytes.Equal(value[3:], e.value) {
			s.Fatalf("get %.40q: kind %d, %d bytes, %v; want kind %d, %d bytes", e.key, kind, len(value), err, e.kind(), len(e.value))
		}
		if kind, err := s.tree.Has(e.key, hash); err != nil || kind != e.kind() {
			s.Fatalf("has %.40q: kind %d, %v; want %d", e.key, kind, err, e.kind())
		}
	}
	for _, e := range gone {
		if kind, err := s.tree.Has(e.key, kv.Hash(e.key)); err != nil || kind != 0 {
			s.Fatalf("has %.40q, which is gone: kind %d, %v", e.key, kind, err)
		}
	}
}

// TestRun_CursorAgreesWithModel mixes all moves over a run, built and trimmed.
func TestRun_CursorAgreesWithModel(t *testing.T) {
	for _, shape := range keyShapes {
		t.Run(shape.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 19))
			s := newStore(t, 1<<10, compress.S2, 1<<18)
			s.build(runScript(r, s.cfg, shape, 200))
			testMoves(t, r, s.tree.NewCursor(), s.model, shape)
			s.trim(s.model[len(s.model)/3].key)
			testMoves(t, r, s.tree.NewCursor(), s.model, shape)
		})
	}
}

// TestRun_OfTombstonesAlone has no values, and is a run all the same.
func TestRun_OfTombstonesAlone(t *testing.T) {
	s := newStore(t, 1<<10, compress.None, 1<<20)
	var sc script
	for i := range 500 {
		sc.delete(fmt.Appendf(nil, "%06d", i))
	}
	keys := s.build(sc)
	s.check()
	s.lookUp(keys, nil)
	s.trim([]byte("000499"))
	s.check()
	s.lookUp(keys, nil)
	s.trim([]byte("000500"))
	if s.tree.Len() != 0 || !s.tree.Root().IsZero() {
		t.Errorf("%d entries are left", s.tree.Len())
	}
	s.check()
}

// TestRun_OfNothing is the empty tree.
func TestRun_OfNothing(t *testing.T) {
	s := newStore(t, 1<<10, compress.None, 1<<20)
	s.build(script{})
	s.check()
	s.trim(nil)
	s.trim([]byte{})
	s.check()
}

// TestRun_FreeAll frees the values in extents of their own with the run, and
// looks for none behind its tombstones.
func TestRun_FreeAll(t *testing.T) {
	s := newStore(t, 1<<10, compress.None, 1<<20)
	var sc script
	for i := range 300 {
		switch key := fmt.Appendf(nil, "%06d", i); i % 3 {
		case 0:
			sc.delete(key)
		case 1:
			sc.set(key, bytes.Repeat([]byte{1}, 2000))
		default:
			sc.set(key, []byte("short"))
		}
	}
	s.build(sc)
	s.check()
	w := s.begin()
	if err := FreeAll(w, s.tree); err != nil {
		t.Fatal(err)
	}
	s.model = nil
	s.commit(w, Open(s.p, node.Ref{}, s.cfg), false)
	s.check()
}

// TestTrim_Stops where stop says so.
func TestTrim_Stops(t *testing.T) {
	s := newStore(t, 1<<10, compress.None, 1<<20)
	s.build(runScript(rand.New(rand.NewPCG(1, 1)), s.cfg, keyShapes[0], 500))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w := s.begin()
	if _, err := Trim(ctx.Err, w, s.tree, s.model[100].key); !errors.Is(err, context.Canceled) {
		t.Errorf("trim: %v", err)
	}
	w.Abort()
	s.check()
}

// TestTree_SameLeaf says of two keys what a walk over the tree says.
func TestTree_SameLeaf(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	s := newStore(t, 1<<10, compress.None, 1<<20)
	probe := func() []byte {
		if r.IntN(2) == 0 || len(s.model) == 0 {
			return binary.BigEndian.AppendUint64(nil, r.Uint64())
		}
		return s.model[r.IntN(len(s.model))].key
	}
	for _, n := range []int{0, 1, 5, 40, 4000} {
		s.merge(loadScript(r, n))
		s.reopen(1 << 20)
		var lower [][]byte // of each leaf
		if err := Walk(s.tree, func(v Visit) error {
			if v.Level == 0 {
				lower = append(lower, bytes.Clone(v.Lower))
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		leaf := func(key []byte) int {
			i, found := slices.BinarySearchFunc(lower, key, bytes.Compare)
			if !found {
				i--
			}
			return i
		}
		same := 0
		for range 3000 {
			a, b := probe(), probe()
			if r.IntN(2) == 0 {
				b = append(bytes.Clone(a), 0)
			}
			want := leaf(a) == leaf(b)
			if have, err := s.tree.SameLeaf(a, b); err != nil || have != want {
				t.Fatalf("%d entries: %x and %x: %v, %v; want %v", len(s.model), a, b, have, err, want)
			}
			if want {
				same++
			}
		}
		if same == 0 || len(lower) > 3 && same == 3000 {
			t.Errorf("%d of 3000 pairs are in one leaf of %d", same, len(lower))
		}
	}
}
