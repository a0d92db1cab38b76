package btree

import (
	"os"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
)

func TestYY(t *testing.T) {
	if os.Getenv("YY") == "" {
		return
	}
	keys := benchKeys(0, 100000)
	s := newStore(t, 4<<10, 0, benchCache)
	w := s.begin()
	tr, _, err := Merge(nil, w, s.tree, benchScript(keys).cursor(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.commit(w, tr, false)
	br := someNode(t, s.p, s.tree, node.Branch)
	lf := someNode(t, s.p, s.tree, node.Leaf)
	var in [][]byte
	for _, k := range keys {
		if i := br.Search(k); i > 0 && i < br.Count()-1 {
			in = append(in, k)
		}
	}
	sum := 0
	j := 0
	minBatch("search hot", 20000, func(n int) {
		k := in[0]
		for range n {
			sum += br.Search(k)
		}
	})
	minBatch("search rand", 20000, func(n int) {
		for range n {
			sum += br.Search(in[j&255])
			j++
		}
	})
	var lk [][]byte
	var hs []uint8
	for i := range lf.Count() {
		k := append(append([]byte{}, lf.Prefix()...), lf.Cell(i).Suffix...)
		lk = append(lk, k)
		hs = append(hs, uint8(kv.Hash(k)))
	}
	minBatch("find hot", 20000, func(n int) {
		for range n {
			if _, ok := lf.Find(lk[3], hs[3]); ok {
				sum++
			}
		}
	})
	minBatch("find rand", 20000, func(n int) {
		for range n {
			j++
			if _, ok := lf.Find(lk[j&31], hs[j&31]); ok {
				sum++
			}
		}
	})
	minBatch("hash", 20000, func(n int) {
		for range n {
			sum += int(kv.Hash(lk[3]))
		}
	})
	f := s.tree.root
	minBatch("node", 20000, func(n int) {
		for range n {
			x, _ := s.p.Node(f)
			sum += len(x)
		}
	})
	x, _ := s.p.Node(f)
	minBatch("child", 20000, func(n int) {
		for range n {
			if s.p.Child(f, x, 3) == nil {
				sum++
			}
		}
	})
	t.Log(sum)
}
