package btree

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/compress"
)

// blocks cuts entries into blocks of up to most of them. All are lent in the same
// memory, so that whoever holds on to one is found out.
func blocks(r *rand.Rand, m model, most int) func() (Block, error) {
	var b Block
	return func() (Block, error) {
		for i := range b.Bytes {
			b.Bytes[i] ^= 0x5A
		}
		if len(m) == 0 {
			return Block{}, io.EOF
		}
		b.Bytes, b.Ends = b.Bytes[:0], b.Ends[:0]
		n := min(r.IntN(most+1), len(m)) // none, too
		for _, e := range m[:n] {
			for _, part := range [][]byte{e.key, e.value} {
				b.Bytes = append(b.Bytes, part...)
				b.Ends = append(b.Ends, uint32(len(b.Bytes)))
			}
		}
		m = m[n:]
		return b, nil
	}
}

// TestBuild_AgreesWithModel: wherever blocks end, the tree is a sound one, holds
// the entries, and has no more leaves than the one that Merge makes of them.
func TestBuild_AgreesWithModel(t *testing.T) {
	for _, page := range []uint32{1 << 10, 4 << 10, 64 << 10} {
		for _, codec := range []compress.Codec{compress.None, compress.S2} {
			for _, shape := range keyShapes {
				for _, most := range []int{1, 5, 100, 10_000} {
					t.Run(fmt.Sprintf("%d/%v/%s/%d", page, codec, shape.name, most), func(t *testing.T) {
						r := rand.New(rand.NewPCG(uint64(page)+uint64(codec), uint64(most)))
						n := r.IntN(1500)
						if shape.name == "long" {
							n = 60
						}
						var sc script
						for i := range n {
							value := randomValue(r, page)
							if r.IntN(3) > 0 {
								value = value[:min(len(value), r.IntN(100))]
							}
							sc.set(shape.key(r, i), value)
						}
						sc.sort()
						merged, built := newStore(t, page, codec, 1<<20), newStore(t, page, codec, 1<<20)
						merged.merge(sc)
						w := built.begin()
						tree, size, err := Build(w, built.p, built.cfg, blocks(r, merged.model, most))
						if err != nil {
							t.Fatal(err)
						}
						if size != uint64(merged.bytes) || tree.Len() != uint64(len(merged.model)) {
							t.Errorf("%d entries, %d bytes; want %d, %d", tree.Len(), size, len(merged.model), merged.bytes)
						}
						built.commit(w, tree, false)
						built.model = merged.model
						built.check()
						if have, want := check(t, tree, built.model), check(t, merged.tree, merged.model); have.leaves > want.leaves || have.levels != want.levels {
							t.Errorf("%d leaves on %d levels, Merge makes %d on %d", have.leaves, have.levels, want.leaves, want.levels)
						}
					})
				}
			}
		}
	}
}

// TestBuild_RefusesKeysThatDoNotIncrease, wherever in a leaf or a block they are.
func TestBuild_RefusesKeysThatDoNotIncrease(t *testing.T) {
	mine := errors.New("mine")
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		var m model
		for i := range 2 + r.IntN(400) {
			m = append(m, entry{key: fmt.Appendf(nil, "key%04d", i), value: make([]byte, r.IntN(50))})
		}
		i := 1 + r.IntN(len(m)-1)
		switch seed % 4 {
		case 0:
			m[i].key = m[i-1].key
		case 1:
			m[i].key = m[i-1].key[:r.IntN(len(m[i-1].key))]
		case 2:
			m[i].key = []byte("key")
		case 3:
			m[i-1].key = []byte("later")
		}
		if seed%3 == 0 {
			m[i].value = make([]byte, 4000) // overflow
		}
		s := newStore(t, 4096, compress.None, 1<<20)
		w := s.begin()
		if _, _, err := Build(w, s.p, s.cfg, blocks(r, m, 1+r.IntN(300))); !errors.Is(err, ErrOrder) {
			t.Errorf("seed %d: have %v", seed, err)
		}
		w.Abort()
		w = s.begin()
		next := blocks(r, m[:i-1], 100)
		if _, _, err := Build(w, s.p, s.cfg, func() (Block, error) {
			b, err := next()
			if err == io.EOF {
				err = mine
			}
			return b, err
		}); !errors.Is(err, mine) {
			t.Errorf("seed %d: have %v, want the error of next", seed, err)
		}
		w.Abort()
	}
}
