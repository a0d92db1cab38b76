package btree

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/vfs"
)

// TestCursor_AgreesWithModel mixes all moves in both directions.
func TestCursor_AgreesWithModel(t *testing.T) {
	for _, page := range []uint32{1 << 10, 4 << 10} {
		for _, shape := range keyShapes {
			t.Run(fmt.Sprintf("%d/%s", page, shape.name), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(page), 11))
				s := newStore(t, page, compress.S2, 1<<18)
				c := s.tree.NewCursor()
				testMoves(t, r, c, s.model, shape) // of the empty tree
				for range 3 {
					for range 4 {
						s.merge(randomScript(r, s, shape))
					}
					c.Reset(s.tree)
					testMoves(t, r, c, s.model, shape)
				}
			})
		}
	}
}

func testMoves(t *testing.T, r *rand.Rand, c *Cursor, m model, shape keyShape) {
	t.Helper()
	at := -1 // index in the model, -1: nowhere
	for step := range 3000 {
		var ok bool
		var move string
		key := shape.key(r, r.IntN(6000))
		if len(m) > 0 && r.IntN(2) == 0 {
			key = m[r.IntN(len(m))].key
		}
		i, _ := m.find(key)
		switch k := r.IntN(40); {
		case k == 0:
			move, ok, at = "First", c.First(), 0
		case k == 1:
			move, ok, at = "Last", c.Last(), len(m)-1
		case k < 4:
			move, ok, at = "SeekGE", c.SeekGE(key), i
		case k < 6:
			move, ok, at = "SeekLT", c.SeekLT(key), i-1
		case (step/100)%2 == 0 && k < 35 || k < 9:
			move, ok = "Next", c.Next()
			if at >= 0 {
				at++
			}
		default:
			move, ok = "Prev", c.Prev()
			if at >= 0 {
				at--
			}
		}
		if at >= len(m) {
			at = -1
		}
		if ok != (at >= 0) {
			t.Fatalf("step %d: %s returned %v at %d of %d", step, move, ok, at, len(m))
		}
		if c.Err() != nil {
			t.Fatal(c.Err())
		}
		if !ok {
			continue
		}
		if !bytes.Equal(c.Key(), m[at].key) || c.ValueLen() != len(m[at].value) || c.Kind() != m[at].kind() || c.Seq() != 0 {
			t.Fatalf("step %d: %s stands on %.40q, want %.40q", step, move, c.Key(), m[at].key)
		}
		if r.IntN(4) > 0 {
			if v, err := c.Value(); err != nil || !bytes.Equal(v, m[at].value) {
				t.Fatalf("step %d: value of %.40q: %d bytes, %v", step, c.Key(), len(v), err)
			}
		}
	}
}

// TestCursor_WalksAll walks a tree of several levels from end to end, both
// ways, through a cache that holds a fraction of it.
func TestCursor_WalksAll(t *testing.T) {
	s := newStore(t, 1<<10, compress.None, 64<<10)
	s.merge(loadScript(rand.New(rand.NewPCG(1, 1)), 20000))
	c := s.tree.NewCursor()
	i := 0
	for ok := c.First(); ok; ok = c.Next() {
		if !bytes.Equal(c.Key(), s.model[i].key) {
			t.Fatalf("entry %d is %q", i, c.Key())
		}
		i++
	}
	if i != len(s.model) || c.Err() != nil {
		t.Fatalf("%d entries, %v", i, c.Err())
	}
	for ok := c.Last(); ok; ok = c.Prev() {
		i--
		if !bytes.Equal(c.Key(), s.model[i].key) {
			t.Fatalf("entry %d is %q", i, c.Key())
		}
	}
	if i != 0 || c.Err() != nil {
		t.Fatalf("stopped before entry %d, %v", i, c.Err())
	}
}

// TestTree_Get finds what is there, not what is not, and appends to dst.
func TestTree_Get(t *testing.T) {
	for _, shape := range keyShapes {
		t.Run(shape.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 3))
			s := newStore(t, 4<<10, compress.Zstd, 1<<20)
			for range 8 {
				s.merge(randomScript(r, s, shape))
			}
			if len(s.model) == 0 {
				t.Fatal("nothing to find")
			}
			for _, e := range s.model {
				got, kind, err := s.tree.Get(e.key, kv.Hash(e.key), []byte("dst"))
				if err != nil || kind != kv.Set || string(got[:3]) != "dst" || !bytes.Equal(got[3:], e.value) {
					t.Fatalf("%.40q: %v, %v", e.key, kind, err)
				}
			}
			for i := range 2000 {
				key := shape.key(r, i)
				if i%3 == 0 {
					e := s.model[r.IntN(len(s.model))]
					if key = append(slices.Clone(e.key), byte(r.IntN(2))); i%2 == 0 {
						key = e.key[:r.IntN(len(e.key)+1)]
					}
				}
				_, want := s.model.find(key)
				got, kind, err := s.tree.Get(key, kv.Hash(key), []byte("dst"))
				hasKind, hasErr := s.tree.Has(key, kv.Hash(key))
				found, has := kind == kv.Set, hasKind == kv.Set
				if err != nil || hasErr != nil || found != want || has != want || !found && string(got) != "dst" {
					t.Fatalf("%.40q: found %v, has %v, want %v; %v", key, found, has, want, err)
				}
			}
		})
	}
}

func TestTree_Get_DoesNotAllocate(t *testing.T) {
	s := newStore(t, 4<<10, compress.None, 64<<20)
	s.merge(loadScript(rand.New(rand.NewPCG(1, 1)), 20000))
	dst := make([]byte, 0, 1<<10)
	i := 0
	get := func() {
		key := s.model[i%len(s.model)].key
		i += 37
		if _, kind, err := s.tree.Get(key, kv.Hash(key), dst); kind != kv.Set || err != nil {
			t.Fatal(kind, err)
		}
	}
	for range s.model {
		get()
	}
	if n := testing.AllocsPerRun(1000, get); n != 0 {
		t.Errorf("Get allocates %v times", n)
	}
	c := s.tree.NewCursor()
	walk := func() {
		c.Reset(s.tree)
		for ok := c.SeekGE(s.model[i%len(s.model)].key); ok && i%100 > 0; ok = c.Next() {
			i++
			c.Key()
			if _, err := c.Value(); err != nil {
				t.Fatal(err)
			}
		}
		i += 37
		for ok := c.SeekLT(s.model[i%len(s.model)].key); ok && i%100 > 0; ok = c.Prev() {
			i++
		}
	}
	for range 1000 {
		walk()
	}
	if n := testing.AllocsPerRun(1000, walk); n != 0 {
		t.Errorf("a walk allocates %v times", n)
	}
}

// TestTree_Get_PastTheCache reads a tree of which the cache holds a tenth: a
// leaf that it has no room for is read into memory that is used again.
func TestTree_Get_PastTheCache(t *testing.T) {
	for _, codec := range []compress.Codec{compress.None, compress.S2} {
		t.Run(codec.String(), func(t *testing.T) {
			s := newStore(t, 4<<10, codec, 1<<20)
			r := rand.New(rand.NewPCG(9, 9))
			sc := loadScript(r, 20000)
			for i := range sc.edits {
				for j := range sc.edits[i].value {
					sc.edits[i].value[j] = byte(r.Uint32() & 0x1F)
				}
			}
			s.merge(sc)
			s.reopen(100 << 10)

			var wg sync.WaitGroup
			for g := range 4 {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(uint64(g), 9))
					for range 5000 {
						e := s.model[r.IntN(len(s.model))]
						got, kind, err := s.tree.Get(e.key, kv.Hash(e.key), nil)
						if err != nil || kind != kv.Set || !bytes.Equal(got, e.value) {
							t.Errorf("%.40q: %v, %v", e.key, kind, err)
							return
						}
						if kind, err := s.tree.Has(e.key, kv.Hash(e.key)); kind != kv.Set || err != nil {
							t.Errorf("Has %.40q: %v, %v", e.key, kind, err)
							return
						}
					}
				})
			}
			wg.Wait()

			misses := func() uint64 { return s.p.Stats().Misses }
			dst := make([]byte, 0, 1<<10)
			i, before := 0, misses()
			n := testing.AllocsPerRun(2000, func() {
				e := s.model[i%len(s.model)]
				i += 371
				if _, kind, err := s.tree.Get(e.key, kv.Hash(e.key), dst); kind != kv.Set || err != nil {
					t.Fatal(kind, err)
				}
			})
			if missed := misses() - before; missed < 1000 {
				t.Fatalf("%d of 2000 gets missed the cache", missed)
			}
			if n != 0 && codec == compress.None {
				t.Errorf("a get past the cache allocates %v times", n)
			}

			// What is read again and again comes in all the same.
			e, rounds := s.model[0], 0
			for before = misses(); ; before = misses() {
				for range 8 {
					if _, _, err := s.tree.Get(e.key, kv.Hash(e.key), dst); err != nil {
						t.Fatal(err)
					}
				}
				if missed := misses() - before; missed == 0 {
					break
				}
				if rounds++; rounds > 8 {
					t.Fatal("a key that is read again and again does not stay in memory")
				}
			}
		})
	}
}

// loadScript sets n random keys to values of up to 100 bytes, and some of them
// to longer ones.
func loadScript(r *rand.Rand, n int) script {
	var sc script
	for range n {
		sc.set(keyShapes[0].key(r, 0), make([]byte, r.IntN(100)))
	}
	sc.sort()
	return sc
}

// TestCorruptNode_IsAnError damages one extent after the other. Whoever meets
// it gets a *pager.CorruptError; nobody skips what it held.
func TestCorruptNode_IsAnError(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	s := newStore(t, 1<<10, compress.None, 1<<20)
	sc := loadScript(r, 900)
	for i := range sc.edits {
		if i%60 == 3 {
			sc.edits[i].value = bytes.Repeat([]byte{byte(i)}, 3000)
		}
	}
	s.merge(sc)
	sh := s.check()
	if sh.levels < 3 {
		t.Fatalf("%d levels", sh.levels)
	}
	for i, ref := range sh.extents {
		func() {
			undo := flip(t, s.fs, ref)
			defer undo()
			s.reopen(1 << 20 >> (i % 2 * 7)) // or so little that few leaves stay
			isCorrupt := func(err error) bool {
				var e *pager.CorruptError
				return errors.As(err, &e) && e.Offset == ref.Off
			}

			failed := 0
			for _, e := range s.model {
				got, kind, err := s.tree.Get(e.key, kv.Hash(e.key), nil)
				switch {
				case err != nil && !isCorrupt(err):
					t.Fatalf("Get: %v", err)
				case err != nil:
					failed++
				case kind != kv.Set || !bytes.Equal(got, e.value):
					t.Fatalf("Get past a corrupt node at %d: %v", ref.Off, kind)
				}
			}
			if uint64(failed) != ref.Count {
				t.Fatalf("%d Gets failed on a node with %d entries", failed, ref.Count)
			}

			for _, backward := range []bool{false, true} {
				c := s.tree.NewCursor()
				start, step := c.First, c.Next
				m := slices.Clone(s.model)
				if backward {
					start, step = c.Last, c.Prev
					slices.Reverse(m)
				}
				i := 0
				for ok := start(); ok; ok = step() {
					v, err := c.Value()
					if err != nil {
						break
					}
					if !bytes.Equal(v, m[i].value) {
						t.Fatalf("entry %d past a corrupt node is %q", i, c.Key())
					}
					i++
				}
				if !isCorrupt(c.Err()) {
					t.Fatalf("a scan past a corrupt node at %d ended with %v", ref.Off, c.Err())
				}
				if c.Next() || c.Prev() || c.First() || c.Last() || c.SeekGE(nil) || c.SeekLT([]byte{0xFF}) || c.Err() == nil {
					t.Fatal("a failed cursor moved")
				}
				c.Reset(Open(s.p, node.Ref{}, s.cfg))
				if c.Err() != nil || c.First() {
					t.Fatal("Reset does not forget the failure")
				}
			}

			var all script // touches every leaf
			for _, e := range s.model {
				if len(e.value) > 512 {
					continue // an overflow value is moved without being read
				}
				all.set(e.key, nil)
			}
			w := s.begin()
			defer w.Abort()
			_, _, err := Merge(nil, w, s.tree, all.cursor(), nil)
			if overflow := ref.Count == 1 && ref.Len > 3000; overflow != (err == nil) || err != nil && !isCorrupt(err) {
				t.Fatalf("Merge over a corrupt node: %v", err)
			}
		}()
	}
}

// flip changes a byte of the extent ref, and returns what changes it back.
func flip(t *testing.T, fs *vfs.Mem, ref node.Ref) func() {
	t.Helper()
	f, err := fs.Open(storeName, vfs.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	at := int64(ref.Off) + int64(ref.Len)/2
	var b [1]byte
	change := func() {
		_, err := f.ReadAt(b[:], at)
		b[0] ^= 0x10
		if _, err2 := f.WriteAt(b[:], at); err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
	}
	change()
	return func() {
		change()
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Every node that a get, or a seek, comes through is counted once: as found in
// memory or as read.
func TestTree_CountsEachNodeOnce(t *testing.T) {
	f := newFilterRun(t, 5)
	f.put(20_000)
	f.reopen(64 << 10)
	levels, _, err := f.tree.Shape()
	if err != nil || levels < 3 {
		t.Fatal(levels, err)
	}
	for name, look := range map[string]func(key []byte) error{
		"get":  func(key []byte) error { _, _, err := f.tree.Get(key, kv.Hash(key), nil); return err },
		"has":  func(key []byte) error { _, err := f.tree.Has(key, kv.Hash(key)); return err },
		"seek": func(key []byte) error { c := f.tree.NewCursor(); c.SeekGE(key); return c.Err() },
	} {
		const n = 5000
		before := f.p.Stats()
		for range n {
			if err := look(f.keys[f.r.IntN(len(f.keys))]); err != nil {
				t.Fatal(err)
			}
		}
		after := f.p.Stats()
		hits, misses := after.Hits-before.Hits, after.Misses-before.Misses
		if hits+misses != uint64(n*levels) || misses < n/2 {
			t.Errorf("%s: %d hits and %d misses, want %d in all, of %d levels", name, hits, misses, n*levels, levels)
		}
	}
}
