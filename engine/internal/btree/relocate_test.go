package btree

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/node"
)

// TestRelocate empties the end of a file whose first half has become free, so
// that it can be cut.
func TestRelocate(t *testing.T) {
	for _, codec := range []compress.Codec{compress.None, compress.Zstd} {
		r := rand.New(rand.NewPCG(1, 13))
		s := newStore(t, 1<<10, codec, 1<<20)
		s.merge(overflowScript(r, 4000))
		var sc script // leaves a third
		for _, e := range s.model {
			if r.IntN(3) > 0 {
				sc.delete(e.key)
			}
		}
		s.merge(sc)
		s.merge(script{}) // what the merge freed becomes usable
		s.check()
		before := s.p.Meta()
		var limit uint64
		for range 6 {
			limit = 8192 + s.p.Meta().BytesUsed + s.p.Meta().BytesUsed/16
			w := s.begin()
			tree, moved, err := Relocate(nil, w, s.tree, Cut(limit))
			if err != nil {
				t.Fatal(err)
			}
			s.commit(w, tree, true)
			s.check()
			if moved == 0 {
				break
			}
		}
		for _, ref := range s.check().extents {
			if ref.Off+ref.Size() > limit {
				t.Errorf("an extent at %d is left past %d", ref.Off, limit)
			}
		}
		after := s.p.Meta()
		if after.FileSize > 8192+after.BytesUsed*5/4 {
			t.Errorf("the file takes %d bytes, %d are in use; before %d", after.FileSize, after.BytesUsed, before.FileSize)
		}
		s.reopen(1 << 20)
		s.check()
	}
}

// TestRelocate_MovesValuesOfLeavesThatStay: only a value is past the limit.
func TestRelocate_MovesValuesOfLeavesThatStay(t *testing.T) {
	s := newStore(t, 1<<10, compress.None, 1<<20)
	key := func(i int) []byte { return fmt.Appendf(nil, "key%03d", i) }
	var load, drop, touch script
	load.set(key(0), make([]byte, 60<<10))
	for i := 1; i < 100; i++ {
		load.set(key(i), make([]byte, 50))
		touch.set(key(i), make([]byte, 51))
	}
	load.edits[50].value = make([]byte, 40<<10)
	touch.edits = slices.Delete(touch.edits, 49, 50)
	drop.delete(key(0))
	for _, sc := range []script{load, drop, touch} { // now the nodes are where the first value was
		s.merge(sc)
	}
	const limit = 8192 + 60<<10
	past := func() (n int) {
		for _, ref := range s.check().extents {
			if ref.Off+ref.Size() > limit {
				n++
			}
		}
		return n
	}
	if n := past(); n != 1 {
		t.Fatalf("%d extents are past the limit", n)
	}
	w := s.begin()
	tree, _, err := Relocate(nil, w, s.tree, Cut(limit))
	if err != nil {
		t.Fatal(err)
	}
	s.commit(w, tree, true)
	if n := past(); n != 0 {
		t.Errorf("%d extents are still past the limit", n)
	}
}

// TestRelocate_WithoutRoom moves what it can and leaves the tree whole.
func TestRelocate_WithoutRoom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 14))
	s := newStore(t, 1<<10, compress.None, 1<<20)
	s.merge(overflowScript(r, 2000))
	for _, limit := range []uint64{512, 8192, 9000, s.p.Meta().FileSize / 2} {
		w := s.begin()
		tree, moved, err := Relocate(nil, w, s.tree, Cut(limit))
		if err != nil {
			t.Fatal(err)
		}
		if limit <= 8192 && (moved != 0 || w.WrittenBytes() != 0) {
			t.Errorf("%d bytes moved to below %d", moved, limit)
		}
		s.commit(w, tree, true)
		s.check()
	}
	if tree, moved, err := Relocate(nil, nil, Open(s.p, node.Ref{}, s.cfg), Cut(0)); tree.Len() != 0 || moved != 0 || err != nil {
		t.Errorf("of an empty tree %d bytes moved: %v", moved, err)
	}
}

// TestVacate empties a part of the file and leaves what is behind it where it is.
func TestVacate(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 15))
	s := newStore(t, 1<<10, compress.None, 1<<20)
	s.merge(overflowScript(r, 2000))
	var sc script // leaves room in that part, too
	for _, e := range s.model {
		if r.IntN(3) > 0 {
			sc.delete(e.key)
		}
	}
	s.merge(sc)
	s.merge(script{})
	size := s.p.Meta().FileSize
	from, to := uint64(8192), size/2
	before := s.check().extents
	w := s.begin()
	tree, moved, err := Relocate(nil, w, s.tree, Vacate(from, to))
	if err != nil || moved == 0 {
		t.Fatalf("%d bytes moved: %v", moved, err)
	}
	s.commit(w, tree, true)
	after := s.check().extents
	for _, ref := range after {
		if ref.Off+ref.Size() > from && ref.Off < to {
			t.Errorf("an extent at %d of %d bytes is left between %d and %d", ref.Off, ref.Size(), from, to)
		}
	}
	for _, ref := range before {
		if ref.Off >= to && ref.Count == 1 && !slices.Contains(after, ref) {
			t.Errorf("the value at %d, behind %d, was moved", ref.Off, to)
		}
	}
	if tree, moved, err := Relocate(nil, nil, Open(s.p, node.Ref{}, s.cfg), Vacate(from, to)); tree.Len() != 0 || moved != 0 || err != nil {
		t.Errorf("of an empty tree %d bytes moved: %v", moved, err)
	}
}

// TestFreeAll leaves nothing in use.
func TestFreeAll(t *testing.T) {
	s := newStore(t, 1<<10, compress.None, 1<<20)
	for range 2 {
		w := s.begin()
		if err := FreeAll(w, s.tree); err != nil {
			t.Fatal(err)
		}
		s.commit(w, Open(s.p, node.Ref{}, s.cfg), false)
		s.model = nil
		s.check()
		s.merge(overflowScript(rand.New(rand.NewPCG(1, 15)), 2000))
		s.check()
	}
}

// overflowScript is a load with some values in overflow extents.
func overflowScript(r *rand.Rand, n int) script {
	sc := loadScript(r, n)
	for i := range sc.edits {
		if i%50 == 7 {
			sc.edits[i].value = bytes.Repeat([]byte{byte(i), byte(r.Uint32())}, 300+r.IntN(3000))
		}
	}
	return sc
}

// TestWalk meets every node once, in order, within its bounds, and goes on
// behind one that cannot be read.
func TestWalk(t *testing.T) {
	s := newStore(t, 1<<10, compress.None, 1<<20)
	s.merge(loadScript(rand.New(rand.NewPCG(1, 16)), 3000))
	var nodes, entries int
	var broken node.Ref
	var last []byte
	visit := func(v Visit) error {
		nodes++
		if v.Err != nil {
			if v.Ref != broken || v.Node != nil {
				t.Errorf("visit of %+v: %v", v.Ref, v.Err)
			}
			return nil
		}
		if v.Level != v.Node.Level() {
			t.Errorf("level %d, want %d", v.Node.Level(), v.Level)
		}
		if v.Level > 0 {
			return nil
		}
		if bytes.Compare(v.Lower, last) < 0 {
			t.Errorf("the leaf of %q comes after that of %q", v.Lower, last)
		}
		last = append(last[:0], v.Lower...)
		first := append(bytes.Clone(v.Node.Prefix()), v.Node.Cell(0).Suffix...)
		if bytes.Compare(first, v.Lower) < 0 || v.Upper != nil && bytes.Compare(first, v.Upper) >= 0 {
			t.Errorf("%q outside [%q, %q)", first, v.Lower, v.Upper)
		}
		entries += v.Node.Count()
		broken = v.Ref
		return nil
	}
	if err := Walk(s.tree, visit); err != nil {
		t.Fatal(err)
	}
	sh := s.check()
	if nodes != sh.leaves+sh.branches || entries != len(s.model) {
		t.Errorf("%d nodes with %d entries", nodes, entries)
	}

	all := entries
	leaf, root := broken, s.tree.Root()
	for _, ref := range []node.Ref{leaf, root} {
		undo := flip(t, s.fs, ref)
		nodes, entries, last = 0, 0, nil
		if err := Walk(s.tree, func(v Visit) error { broken = ref; return visit(v) }); err != nil {
			t.Fatal(err)
		}
		want := sh.leaves + sh.branches
		if ref == root {
			want = 1
		}
		if nodes != want || entries != all-int(ref.Count) {
			t.Errorf("with a broken node, %d nodes with %d entries", nodes, entries)
		}
		undo()
	}
	stop := errors.New("stop")
	if err := Walk(s.tree, func(Visit) error { return stop }); err != stop {
		t.Errorf("Walk returned %v", err)
	}
	if err := Walk(Open(s.p, node.Ref{}, s.cfg), visit); err != nil {
		t.Error(err)
	}
}
