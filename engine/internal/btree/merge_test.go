package btree

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
)

// TestMerge_AgreesWithModel merges random scripts and verifies the whole tree
// and the use of space after each.
func TestMerge_AgreesWithModel(t *testing.T) {
	for _, page := range []uint32{1 << 10, 4 << 10, 16 << 10, 64 << 10} {
		for _, codec := range []compress.Codec{compress.None, compress.S2, compress.Zstd} {
			for _, shape := range keyShapes {
				if codec != compress.None && shape.name == "long" {
					continue
				}
				t.Run(fmt.Sprintf("%d/%v/%s", page, codec, shape.name), func(t *testing.T) {
					seed := uint64(page) + uint64(codec)
					r := rand.New(rand.NewPCG(seed, 7))
					s := newStore(t, page, codec, 1<<20)
					for round := range 25 {
						s.merge(randomScript(r, s, shape))
						s.check()
						if round%8 == 7 {
							s.reopen(1 << 18)
						}
					}
				})
			}
		}
	}
}

// randomScript is a few edits, or many, or close together, and some ranges.
func randomScript(r *rand.Rand, s *store, shape keyShape) script {
	var sc script
	sc.stable = r.IntN(2) == 0
	n := []int{0, 1, 5, 50, 400}[r.IntN(5)]
	if shape.name == "long" {
		n = min(n, 40)
	}
	deletes := r.IntN(10)
	from := r.IntN(5000)
	for i := range n {
		if len(s.model) > 0 && r.IntN(4) == 0 {
			sc.edits = append(sc.edits, edit{key: s.model[r.IntN(len(s.model))].key})
		} else {
			sc.edits = append(sc.edits, edit{key: shape.key(r, from+i)})
		}
		e := &sc.edits[i]
		e.kind = 1
		if r.IntN(10) < deletes {
			e.kind = 2
		} else {
			e.value = randomValue(r, s.cfg.PageSize)
		}
	}
	if r.IntN(2) == 0 {
		for range r.IntN(4) {
			start, end := shape.key(r, r.IntN(6000)), shape.key(r, r.IntN(6000))
			switch {
			case len(s.model) > 0 && r.IntN(2) == 0:
				i := r.IntN(len(s.model))
				start, end = s.model[i].key, s.model[min(len(s.model)-1, i+r.IntN(60))].key
			case r.IntN(8) == 0:
				end = nil
			case r.IntN(8) == 0:
				start = nil
			}
			sc.deleteRange(start, end)
		}
	}
	sc.sort()
	return sc
}

// TestMerge_JoinsAndSplits works on a tree of several levels with scripts that
// empty stretches of it, fill others, and leave stumps at the ends.
func TestMerge_JoinsAndSplits(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			s := newStore(t, 1<<10, compress.None, 4<<20)
			s.merge(loadScript(r, 16000))
			if sh := s.check(); sh.levels < 4 {
				t.Fatalf("%d levels", sh.levels)
			}
			for range 40 {
				var sc script
				n := len(s.model)
				if n == 0 {
					break
				}
				from := r.IntN(n)
				upTo := min(n, from+[]int{1, 10, 100, 2000}[r.IntN(4)])
				if r.IntN(3) == 0 { // the end of the tree, but for a stump
					from, upTo = max(0, n-r.IntN(3000)), n-r.IntN(3)
				}
				upTo = max(from, upTo)
				keep := r.IntN(3) * r.IntN(40)
				switch r.IntN(4) {
				case 0: // as a range, with few entries set again inside
					if from < upTo {
						sc.deleteRange(s.model[from].key, s.model[upTo-1].key)
						for range r.IntN(3) {
							sc.set(s.model[from+r.IntN(upTo-from)].key, nil)
						}
					}
				case 1, 2: // one by one
					for i := from; i < upTo; i++ {
						if keep == 0 || r.IntN(keep) > 0 {
							sc.delete(s.model[i].key)
						}
					}
				case 3: // more of the same place
					for i := from; i < upTo; i++ {
						sc.set(append(slices.Clone(s.model[i].key), byte(r.Uint32())), make([]byte, r.IntN(60)))
					}
				}
				sc.sort()
				s.merge(sc)
				s.check()
			}
		})
	}
}

// TestMerge_JoinsStumpWithCarriedNeighbour removes all but the last entry below
// the last node of a level. The stump joins the leaf before it, which is part
// of a subtree that no edit touches.
func TestMerge_JoinsStumpWithCarriedNeighbour(t *testing.T) {
	for level := range 4 {
		s := newStore(t, 1<<10, compress.None, 4<<20)
		s.merge(loadScript(rand.New(rand.NewPCG(1, 20)), 16000))
		var lower []byte
		err := Walk(s.tree, func(v Visit) error {
			if v.Level == level && v.Lower != nil {
				lower = bytes.Clone(v.Lower)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if level == 3 { // the root: all but one entry of the whole tree
			lower = nil
		}
		var sc script
		for _, e := range s.model[:len(s.model)-1] {
			if bytes.Compare(e.key, lower) >= 0 {
				sc.delete(e.key)
			}
		}
		s.merge(sc)
		s.check()
		err = Walk(s.tree, func(v Visit) error {
			if v.Level == 0 && len(s.model) > 1 && len(v.Node) < 400 {
				t.Errorf("level %d: a leaf of %d bytes is left", level, len(v.Node))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestMerge_KeepsNodesFull: a tree is packed full when it is built, and stays
// well filled under random inserts and deletes.
func TestMerge_KeepsNodesFull(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	s := newStore(t, 4<<10, compress.None, 64<<20)
	s.merge(loadScript(r, 20000))
	if sh := s.check(); sh.fill < 0.97 {
		t.Errorf("leaves of a built tree are full to %.2f", sh.fill)
	}
	for range 40 {
		s.merge(loadScript(r, 500))
	}
	if sh := s.check(); sh.fill < 0.6 {
		t.Errorf("after random inserts leaves are full to %.2f", sh.fill)
	}
	for range 20 {
		var sc script
		for _, e := range s.model {
			if r.IntN(8) == 0 {
				sc.delete(e.key)
			}
		}
		s.merge(sc)
	}
	if sh := s.check(); sh.fill < 0.6 {
		t.Errorf("after deletes leaves are full to %.2f", sh.fill)
	}
}

// TestTree_Shape: the depth is exact; the number of nodes is, too, where a tree
// has at most a branch, and near it in others.
func TestTree_Shape(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	s := newStore(t, 1<<10, compress.None, 1<<20)
	for _, n := range []int{0, 1, 100, 20_000, 2_000, 2_000} { // entries more
		if n > 0 {
			s.merge(loadScript(r, n))
		}
		nodes, depth := 0, 0
		err := Walk(s.tree, func(v Visit) error {
			nodes++
			depth = max(depth, v.Level+1)
			return v.Err
		})
		if err != nil {
			t.Fatal(err)
		}
		haveDepth, haveNodes, err := s.tree.Shape()
		if err != nil || haveDepth != depth {
			t.Errorf("%d entries: the depth is %d, %v; want %d", s.tree.Len(), haveDepth, err, depth)
		}
		off := math.Abs(float64(haveNodes)-float64(nodes)) / float64(max(nodes, 1))
		if off > 0.25 || depth <= 2 && off > 0 {
			t.Errorf("%d entries: about %d nodes, there are %d", s.tree.Len(), haveNodes, nodes)
		}
	}
	s.reopen(1 << 20) // its root's level is not known then
	if depth, _, err := s.tree.Shape(); depth < 3 || err != nil {
		t.Errorf("reopened: the depth is %d, %v", depth, err)
	}
}

// TestMerge_LoadAndEmpty: nothing is left behind, not even space.
func TestMerge_LoadAndEmpty(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	s := newStore(t, 4<<10, compress.S2, 1<<20)
	var largest uint64
	for cycle := range 10 {
		sc := loadScript(r, 3000)
		for i := range sc.edits {
			if i%100 == 0 {
				sc.edits[i].value = make([]byte, 10000)
				sc.edits[i].value[r.IntN(10000)] = 1
			}
		}
		s.merge(sc)
		s.check()
		var empty script
		if cycle%2 == 0 {
			empty.deleteRange(nil, nil)
		} else {
			for _, e := range s.model {
				empty.delete(e.key)
			}
		}
		s.merge(empty)
		s.check()
		if root := s.tree.Root(); !root.IsZero() || s.tree.Len() != 0 {
			t.Fatalf("cycle %d: an empty tree with the root %+v", cycle, root)
		}
		if size := s.p.Meta().FileSize; cycle < 2 {
			largest = max(largest, size)
		} else if size > largest+largest/8 {
			t.Errorf("cycle %d: the file has grown to %d bytes from %d", cycle, size, largest)
		}
	}
}

// TestMerge_WithoutEffect: edits that change nothing write nothing.
func TestMerge_WithoutEffect(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	s := newStore(t, 1<<10, compress.None, 1<<20)
	s.merge(loadScript(r, 3000))
	var sc script
	for i, e := range s.model {
		missing := append(slices.Clone(e.key), 1)
		switch i % 3 {
		case 0:
			sc.delete(missing)
		case 1:
			sc.deleteRange(missing, append(missing[:len(missing):len(missing)], 2))
		}
	}
	sc.sort()
	w := s.begin()
	defer w.Abort()
	merged, stats, err := Merge(nil, w, s.tree, sc.cursor(), sc.ranges)
	if err != nil || merged != s.tree || w.WrittenBytes() != 0 || stats != (MergeStats{Entries: s.tree.Len()}) {
		t.Errorf("wrote %d bytes, stats %+v, %v", w.WrittenBytes(), stats, err)
	}
}

// TestMerge_RangeDropsSubtreesUnread: a range over most of a tree reads its
// branches and the leaves at its ends.
func TestMerge_RangeDropsSubtreesUnread(t *testing.T) {
	s := newStore(t, 4<<10, compress.None, 1<<20)
	s.merge(loadScript(rand.New(rand.NewPCG(8, 8)), 20000))
	n := len(s.model)
	s.reopen(64 << 20)
	var sc script
	sc.deleteRange(s.model[10].key, s.model[n-10].key)
	s.merge(sc)
	if s.stats.Removed != uint64(n-20) || s.stats.Unread == 0 {
		t.Errorf("stats %+v", s.stats)
	}
	if read := s.p.Stats().ReadBytes; read > 100<<10 {
		t.Errorf("read %d bytes to drop %d entries", read, n-20)
	}
	s.check()
}

// TestMerge_LeavesOldTreesAlone: what a pinned tree reads does not change.
func TestMerge_LeavesOldTreesAlone(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 10))
	s := newStore(t, 1<<10, compress.S2, 256<<10)
	s.merge(randomScript(r, s, keyShapes[0]))
	s.pin = s.p.Meta().Gen
	type snapshot struct {
		tree  *Tree
		model model
	}
	var old []snapshot
	for round := range 25 {
		old = append(old, snapshot{s.tree, s.model})
		s.merge(randomScript(r, s, keyShapes[round%len(keyShapes)]))
		s.check()
	}
	for _, o := range old {
		check(t, o.tree, o.model)
		c := o.tree.NewCursor()
		testMoves(t, r, c, o.model, keyShapes[0])
	}
}

// TestMerge_Stops with the error that stop returns, and t stays as it was.
func TestMerge_Stops(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 12))
	s := newStore(t, 1<<10, compress.None, 1<<20)
	s.merge(loadScript(r, 3000))
	sc := loadScript(r, 3000)
	errStop := errors.New("stop")
	calls := 0
	w := s.begin()
	_, _, err := Merge(func() error {
		if calls++; calls == 20 {
			return errStop
		}
		return nil
	}, w, s.tree, sc.cursor(), nil)
	if !errors.Is(err, errStop) {
		t.Fatalf("Merge returned %v", err)
	}
	w.Abort()
	s.check()
	s.merge(sc)
	s.check()
}

// TestMerge_EditsFail: an error of the edits is not their end.
func TestMerge_EditsFail(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 12))
	s := newStore(t, 1<<10, compress.None, 1<<20)
	for range 2 { // into an empty tree, and into one with entries
		for n := range 3 {
			sc := loadScript(r, 50)
			w := s.begin()
			_, _, err := Merge(nil, w, s.tree, &failingEdits{editCursor{edits: sc.edits}, n * 20}, nil)
			if !errors.Is(err, errEdits) {
				t.Fatalf("Merge returned %v", err)
			}
			w.Abort()
			s.check()
		}
		s.merge(loadScript(r, 100))
	}
}

// failingEdits fails after some edits.
type failingEdits struct {
	editCursor
	left int
}

var errEdits = errors.New("edits fail")

func (c *failingEdits) First() bool { return c.left > 0 && c.editCursor.First() }
func (c *failingEdits) Next() bool  { c.left--; return c.left > 0 && c.editCursor.Next() }
func (c *failingEdits) Err() error  { return errEdits }

// TestMerge_StreamsInConstantMemory: building a tree holds on to a few nodes,
// however many are written.
func TestMerge_StreamsInConstantMemory(t *testing.T) {
	s := newStore(t, 4<<10, compress.None, 0)
	w := s.begin()
	defer w.Abort()
	edits := &countingEdits{n: 200_000}
	var stats runtime.MemStats
	var before, most uint64
	edits.each = func(i int) {
		if i%50_000 != 10_000 {
			return
		}
		runtime.GC()
		runtime.ReadMemStats(&stats)
		live := stats.HeapAlloc - uint64(w.WrittenBytes()) // the file is in memory, too
		if before == 0 {
			before = live
		}
		most = max(most, live)
	}
	tree, _, err := Merge(nil, w, s.tree, edits, nil)
	if err != nil || tree.Len() != uint64(edits.n) {
		t.Fatal(tree.Len(), err)
	}
	if most > before+4<<20 {
		t.Errorf("memory grew from %d to %d bytes", before, most)
	}
}

// countingEdits sets the numbers up to n.
type countingEdits struct {
	kv.Cursor
	i, n int
	key  [8]byte
	each func(i int)
}

func (c *countingEdits) First() bool { c.i = 0; return true }
func (c *countingEdits) Next() bool {
	c.i++
	c.each(c.i)
	return c.i < c.n
}

func (c *countingEdits) Key() []byte {
	binary.BigEndian.PutUint64(c.key[:], uint64(c.i))
	return c.key[:]
}
func (c *countingEdits) Value() ([]byte, error) { return make([]byte, 100), nil }
func (c *countingEdits) Kind() kv.Kind          { return kv.Set }
func (c *countingEdits) Err() error             { return nil }

// TestMerge_RefusesKeysOutOfBounds: a leaf whose keys are not where its branch
// says is damage, although every checksum holds.
func TestMerge_RefusesKeysOutOfBounds(t *testing.T) {
	for _, keys := range [][2]string{{"n", "z"}, {"a", "b"}} { // the separator is m
		s := newStore(t, 1<<10, compress.None, 1<<20)
		w := s.begin()
		var children []*pager.Frame
		for _, key := range keys {
			var b node.LeafBuilder
			b.Begin(1, nil, 0)
			b.Add([]byte(key), uint8(kv.Hash([]byte(key))), nil, 0, false)
			h := node.Header{Keyspace: s.cfg.Keyspace}
			buf := b.Finish(&h)
			f, err := w.Write(h, 1, false, buf, nil, true)
			if err != nil {
				t.Fatal(err)
			}
			children = append(children, f)
		}
		var b node.BranchBuilder
		b.Begin(2, nil, 0)
		b.Add(nil, encode(children[0].Ref()))
		b.Add([]byte("m"), encode(children[1].Ref()))
		h := node.Header{Level: 1, Keyspace: s.cfg.Keyspace}
		buf := b.Finish(&h)
		root, err := w.Write(h, 2, false, buf, children, true)
		if err != nil {
			t.Fatal(err)
		}
		s.commit(w, Open(s.p, root.Ref(), s.cfg), false)

		var sc script
		sc.set([]byte("c"), nil)
		sc.set([]byte("x"), nil)
		w = s.begin()
		_, _, err = Merge(nil, w, s.tree, sc.cursor(), nil)
		var e *pager.CorruptError
		if !errors.As(err, &e) || !strings.Contains(e.Reason, "bounds") {
			t.Errorf("keys %v: Merge returned %v", keys, err)
		}
		w.Abort()
	}
}

// FuzzMerge runs a script of operations: each byte is an opcode or a key.
func FuzzMerge(f *testing.F) {
	f.Add([]byte("a1b2c3|D1d2|R19|"), uint8(0))
	f.Add([]byte("Va1|Vb2|da|Vb3|R0z|"), uint8(1))
	f.Add(bytes.Repeat([]byte("abcdefgh1zyxwv2|d1R3"), 40), uint8(2))
	f.Fuzz(func(t *testing.T, ops []byte, codec uint8) {
		if len(ops) > 4000 {
			return
		}
		s := newStore(t, 1<<10, compress.Codec(codec%3), 1<<18)
		var sc script
		flush := func() {
			sc.sort()
			s.merge(sc)
			s.check()
			sc = script{stable: len(ops)%2 == 0}
		}
		for i, op := range ops {
			arg := ops[(i*7+3)%len(ops)]
			key := bytes.Repeat([]byte{arg}, 1+int(op)%5)
			switch op {
			case '|':
				flush()
			case 'R', 'S':
				sc.deleteRange(key, []byte{arg + op%7})
			case 'T':
				sc.deleteRange(key, nil)
			case 'd', 'D', 'e', 'f':
				sc.delete(key)
			case 'V', 'W':
				sc.set(key, bytes.Repeat([]byte{op}, 500+int(arg)))
			case 'K':
				sc.set(bytes.Repeat(key, 1+int(arg)*10), key)
			default:
				sc.set(append(key, byte(i)), bytes.Repeat([]byte{arg}, int(op)))
			}
		}
		flush()
	})
}
