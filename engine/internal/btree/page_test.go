package btree

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/node"
)

func randomItems(r *rand.Rand, branch bool) []item {
	prefix := bytes.Repeat([]byte{'p'}, r.IntN(3)*100)
	var items []item
	for range 1 + r.IntN(30) {
		it := item{key: append(slices.Clone(prefix), byte(r.IntN(256)), byte(r.IntN(256)))}
		if branch {
			it.value = make([]byte, node.RefSize)
		} else {
			it.value = make([]byte, r.IntN(300)*r.IntN(5))
			it.valueLen = len(it.value)
		}
		if r.IntN(20) == 0 {
			it.key = append(it.key, make([]byte, 3000)...)
		}
		items = append(items, it)
	}
	slices.SortFunc(items, func(a, b item) int { return bytes.Compare(a.key, b.key) })
	return slices.CompactFunc(items, func(a, b item) bool { return bytes.Equal(a.key, b.key) })
}

// TestPage_KnowsItsSize while items come and go.
func TestPage_KnowsItsSize(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		p := page{branch: seed%2 == 0}
		items := randomItems(r, p.branch)
		check := func() {
			t.Helper()
			if size, prefix, cells := measure(p.branch, p.items); p.size() != size || p.prefix != prefix || p.cells != cells {
				t.Fatalf("seed %d: %d items take %d bytes, the page says %d", seed, len(p.items), size, p.size())
			}
		}
		for _, it := range items {
			p.add(&it, math.MaxInt, stable{})
			check()
		}
		for !p.empty() {
			p.pop()
			check()
		}
	}
}

// TestHalve: both parts have the items that a node must have, and keep to the
// limit where the given cut did.
func TestHalve(t *testing.T) {
	const limit = 4096
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 2))
		branch := seed%2 == 0
		items := randomItems(r, branch)
		p := page{branch: branch}
		for _, it := range items {
			if !p.add(&it, limit, stable{}) {
				break
			}
		}
		at := len(p.items)
		if rest, _, _ := measure(branch, items[at:]); at == len(items) || rest > limit/2 {
			continue // not what is to be halved
		}
		least := minItems(branch)
		cut := halve(branch, items, at, limit)
		if cut == len(items) {
			if !branch || len(items) > 3 {
				t.Fatalf("seed %d: %d items were not cut", seed, len(items))
			}
			continue
		}
		for _, part := range [][]item{items[:cut], items[cut:]} {
			if size, _, _ := measure(branch, part); len(part) < least || size > limit && len(part) > least {
				t.Fatalf("seed %d: a part of %d items and %d bytes", seed, len(part), size)
			}
		}
	}
}

// TestHalve_LongFirstSeparator: what seems heaviest, the first child, takes
// the least room, since a branch does not keep its separator. The cut that was
// given would leave a single child.
func TestHalve_LongFirstSeparator(t *testing.T) {
	var items []item
	for i, n := range []int{5000, 100, 100, 1500, 3000} {
		items = append(items, item{key: bytes.Repeat([]byte{byte('a' + i)}, n)})
	}
	if cut := halve(true, items, 4, 4096); cut != 3 {
		t.Errorf("cut at %d", cut)
	}
}
