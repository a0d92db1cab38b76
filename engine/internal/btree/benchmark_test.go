package btree

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
)

// Keys of 16 bytes and values of 100, in pages of 4 KiB, all in memory.
const (
	benchValue = 100
	benchCache = 1 << 30
)

func benchKeys(n int) [][]byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	keys := make([][]byte, n)
	buf := make([]byte, 16*n)
	for i := range keys {
		keys[i] = buf[16*i : 16*i+16 : 16*i+16]
		binary.BigEndian.PutUint64(keys[i], r.Uint64())
		binary.BigEndian.PutUint64(keys[i][8:], r.Uint64())
	}
	return keys
}

func benchScript(keys [][]byte) script {
	sc := script{stable: true}
	value := make([]byte, benchValue)
	for _, k := range keys {
		sc.set(k, value)
	}
	sc.sort()
	return sc
}

func benchStore(b *testing.B, keys [][]byte) *store {
	s := newStore(b, 4<<10, compress.None, benchCache)
	w := s.begin()
	t, _, err := Merge(nil, w, s.tree, benchScript(keys).cursor(), nil)
	if err != nil {
		b.Fatal(err)
	}
	s.commit(w, t, false)
	return s
}

func BenchmarkGet(b *testing.B) {
	for _, n := range []int{1, 10_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			keys := benchKeys(max(n, 10_000))
			s := benchStore(b, keys)
			keys = keys[:n]
			r := rand.New(rand.NewPCG(2, 2))
			order := make([]uint32, 1<<20) // no cost of drawing in the loop
			for i := range order {
				order[i] = uint32(r.IntN(n))
			}
			dst := make([]byte, 0, 2*benchValue)
			for _, k := range keys {
				if _, found, err := s.tree.Get(k, kv.Hash(k), dst); !found || err != nil {
					b.Fatal(found, err)
				}
			}
			b.ResetTimer()
			for i := range b.N {
				k := keys[order[i&(len(order)-1)]]
				if _, found, _ := s.tree.Get(k, kv.Hash(k), dst); !found {
					b.Fatal("lost")
				}
			}
		})
	}
}

func BenchmarkGetMiss(b *testing.B) {
	s := benchStore(b, benchKeys(1_000_000))
	keys := benchKeys(1_000_001)
	b.ResetTimer()
	for i := range b.N {
		k := keys[i%len(keys)]
		if _, found, _ := s.tree.Get(k, kv.Hash(k), nil); found {
			b.Fatal("found")
		}
	}
}

func BenchmarkCursor(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		s := benchStore(b, benchKeys(n))
		for _, dir := range []string{"next", "prev"} {
			b.Run(fmt.Sprintf("%s/%d", dir, n), func(b *testing.B) {
				c := s.tree.NewCursor()
				start, step := c.First, c.Next
				if dir == "prev" {
					start, step = c.Last, c.Prev
				}
				ok := start()
				size := 0
				for range b.N {
					v, _ := c.Value()
					size += len(c.Key()) + len(v)
					if ok = step(); !ok {
						ok = start()
					}
				}
				if !ok || size != b.N*(16+benchValue) {
					b.Fatal(ok, size)
				}
			})
		}
		b.Run(fmt.Sprintf("seek/%d", n), func(b *testing.B) {
			keys := benchKeys(n + 1)
			c := s.tree.NewCursor()
			b.ResetTimer()
			for i := range b.N {
				c.SeekGE(keys[i%len(keys)])
			}
		})
	}
}

// BenchmarkMerge merges new random entries into a tree of a million.
func BenchmarkMerge(b *testing.B) {
	s := benchStore(b, benchKeys(1_000_000))
	for _, mib := range []int{1, 8, 64} {
		n := mib << 20 / (16 + benchValue)
		sc := benchScript(benchKeys(n + 3))
		b.Run(fmt.Sprintf("%dMiB", mib), func(b *testing.B) {
			for range b.N {
				w := s.begin()
				_, stats, err := Merge(nil, w, s.tree, sc.cursor(), nil)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(stats.Nodes), "nodes/op")
				b.ReportMetric(float64(w.WrittenBytes())/(1<<20), "MiB/op")
				w.Abort()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/edit")
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	const n = 1_000_000
	sc := benchScript(benchKeys(n))
	for range b.N {
		b.StopTimer()
		s := newStore(b, 4<<10, compress.None, 64<<20)
		w := s.begin()
		b.StartTimer()
		if _, _, err := Merge(nil, w, s.tree, sc.cursor(), nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/entry")
}

// BenchmarkCheck is what every load of a node pays beside its checksum.
func BenchmarkCheck(b *testing.B) {
	s := benchStore(b, benchKeys(100_000))
	for _, kind := range []uint8{node.Leaf, node.Branch} {
		name := map[uint8]string{node.Leaf: "leaf", node.Branch: "branch"}[kind]
		b.Run(name, func(b *testing.B) {
			n := someNode(b, s.p, s.tree, kind)
			b.ReportMetric(float64(n.Count()), "count")
			for range b.N {
				if err := node.Check(n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// someNode returns a copy of a node of the tree's lowest levels.
func someNode(t testing.TB, p *pager.Pager, tree *Tree, kind uint8) node.Node {
	ref := tree.Root()
	for {
		n, err := p.ReadNode(ref, tree.cfg.Keyspace, -1)
		if err != nil {
			t.Fatal(err)
		}
		if n.Kind() == kind && n.Level() <= 1 {
			return slices.Clone(n)
		}
		ref = n.Ref(n.Count() / 2)
	}
}
