package btree

import (
	"encoding/binary"
	"fmt"
	"runtime"
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

// benchKey makes key i of a series in dst. It costs no memory access, so that
// none is measured but the tree's.
func benchKey(dst []byte, series, i uint64) {
	mix := func(x uint64) uint64 {
		x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
		x = (x ^ x>>27) * 0x94D049BB133111EB
		return x ^ x>>31
	}
	x := mix((i+1)*0x9E3779B97F4A7C15 + series<<48)
	binary.BigEndian.PutUint64(dst, x)
	binary.BigEndian.PutUint64(dst[8:], x*0x9E3779B97F4A7C15)
}

func benchKeys(series uint64, n int) [][]byte {
	keys := make([][]byte, n)
	buf := make([]byte, 16*n)
	for i := range keys {
		keys[i] = buf[16*i : 16*i+16 : 16*i+16]
		benchKey(keys[i], series, uint64(i))
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
	for _, n := range []uint64{1, 10_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := benchStore(b, benchKeys(0, int(max(n, 10_000))))
			benchmarkGet(b, s, 0, n, true)
		})
	}
}

func BenchmarkGetMiss(b *testing.B) {
	s := benchStore(b, benchKeys(0, 1_000_000))
	benchmarkGet(b, s, 1, 1_000_000, false)
}

func benchmarkGet(b *testing.B, s *store, series, n uint64, want bool) {
	key := make([]byte, 16)
	dst := make([]byte, 0, 2*benchValue)
	get := func(i uint64) {
		benchKey(key, series, i)
		if _, kind, err := s.tree.Get(key, kv.Hash(key), dst); (kind == kv.Set) != want || err != nil {
			b.Fatal(kind, err)
		}
	}
	for i := range n { // into memory
		get(i)
	}
	runtime.GC() // what the building left is not to be collected meanwhile
	i := uint64(0)
	b.ResetTimer()
	for range b.N {
		i = (i*6364136223846793005 + 1442695040888963407)
		get(i >> 33 % n)
	}
}

func BenchmarkCursor(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		s := benchStore(b, benchKeys(0, n))
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
			keys := benchKeys(1, 10_000)
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
	s := benchStore(b, benchKeys(0, 1_000_000))
	for _, mib := range []int{1, 8, 64} {
		n := mib << 20 / (16 + benchValue)
		sc := benchScript(benchKeys(2, n))
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
	sc := benchScript(benchKeys(0, n))
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
	s := benchStore(b, benchKeys(0, 100_000))
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
