package btree

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/compress"
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
