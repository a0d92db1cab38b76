package btree

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

func minBatch(name string, n int, f func(n int)) {
	best, sum := time.Duration(1<<60), time.Duration(0)
	var all []time.Duration
	for range 300 {
		t := time.Now()
		f(n)
		d := time.Since(t)
		best = min(best, d)
		sum += d
		all = append(all, d)
	}
	fmt.Printf("%-20s min %.1f avg %.1f ns\n", name, float64(best)/float64(n), float64(sum)/float64(n*300))
}

func TestZZ(t *testing.T) {
	if os.Getenv("ZZ") == "" {
		return
	}
	for _, n := range []int{10_000, 1_000_000} {
		keys := benchKeys(0, n)
		s := newStore(t, 4<<10, 0, benchCache)
		w := s.begin()
		tr, _, err := Merge(nil, w, s.tree, benchScript(keys).cursor(), nil)
		if err != nil {
			t.Fatal(err)
		}
		s.commit(w, tr, false)
		r := rand.New(rand.NewPCG(2, 2))
		order := make([]uint32, 1<<20)
		for i := range order {
			order[i] = uint32(r.IntN(n))
		}
		dst := make([]byte, 0, 200)
		k0 := keys[0]
		N := n
		k := make([]byte, 16)
		rr := uint64(1)
		at := 0
		minBatch("hot", 20000, func(n int) {
			for range n {
				s.tree.Get(k0, kv.Hash(k0), dst)
			}
		})
		minBatch(fmt.Sprint("get ", n), 20000, func(n int) {
			for range n {
				rr = rr*6364136223846793005 + 1442695040888963407
				benchKey(k, 0, rr>>33%uint64(N))
				s.tree.Get(k, kv.Hash(k), dst)
			}
		})
		c := s.tree.NewCursor()
		c.First()
		minBatch("next", 20000, func(n int) {
			for range n {
				c.Key()
				c.Value()
				if !c.Next() {
					c.First()
				}
			}
		})
		c.Last()
		minBatch("prev", 20000, func(n int) {
			for range n {
				c.Key()
				c.Value()
				if !c.Prev() {
					c.Last()
				}
			}
		})
		minBatch("seek", 20000, func(n int) {
			for range n {
				c.SeekGE(keys[order[at&(len(order)-1)]])
				at++
			}
		})
	}
}
