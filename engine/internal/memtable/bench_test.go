package memtable

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// Keys of 16 bytes, values of 100, as the prototypes were measured.
type benchKeys struct {
	keys   [][]byte
	hashes []uint64
}

func makeKeys(n int, key func(i int) []byte) benchKeys {
	b := benchKeys{make([][]byte, n), make([]uint64, n)}
	for i := range n {
		b.keys[i] = key(i)
		b.hashes[i] = kv.Hash(b.keys[i])
	}
	return b
}

func randomKeys(n int, seed uint64) benchKeys {
	rnd := rand.New(rand.NewPCG(seed, 0))
	return makeKeys(n, func(int) []byte {
		key := make([]byte, 16)
		binary.BigEndian.PutUint64(key, rnd.Uint64())
		binary.BigEndian.PutUint64(key[8:], rnd.Uint64())
		return key
	})
}

func decimalKeys(n int, format string) benchKeys {
	return makeKeys(n, func(i int) []byte { return fmt.Appendf(nil, format, i) })
}

func (b benchKeys) shuffled() benchKeys {
	order := rand.New(rand.NewPCG(3, 0)).Perm(len(b.keys))
	return makeKeys(len(b.keys), func(i int) []byte { return b.keys[order[i]] })
}

var benchValue = make([]byte, 100)

func (b benchKeys) fill(t *Table) {
	for i, key := range b.keys {
		t.Put(0, key, b.hashes[i], benchValue, kv.Set, kv.Seq(i+1))
	}
}

func benchShapes(n int) map[string]benchKeys {
	return map[string]benchKeys{
		"random":          randomKeys(n, 1),
		"sequential":      decimalKeys(n, "%016d"),
		"prefix":          decimalKeys(n, "user:00000000000000%09d"),
		"prefix-shuffled": decimalKeys(n, "user:00000000000000%09d").shuffled(),
	}
}

func BenchmarkPut(b *testing.B) {
	const n = 500_000
	for name, keys := range benchShapes(n) {
		b.Run(name, func(b *testing.B) {
			var t *Table
			for i := 0; b.Loop(); i++ {
				k := i % n
				if k == 0 {
					t = New()
				}
				t.Put(0, keys.keys[k], keys.hashes[k], benchValue, kv.Set, kv.Seq(i+1))
			}
			if t.Len() > n/2 {
				b.ReportMetric(float64(t.Bytes())/float64(t.Len())-float64(len(keys.keys[0])+len(benchValue)), "overhead-B/entry")
			}
		})
	}
	b.Run("hot", func(b *testing.B) {
		t, key := New(), []byte("a counter")
		hash := kv.Hash(key)
		for i := 0; b.Loop(); i++ {
			if i%n == 0 {
				t = New()
			}
			t.Put(0, key, hash, benchValue, kv.Set, kv.Seq(i+1))
		}
	})
}

func BenchmarkGet(b *testing.B) {
	for _, n := range []int{10_000, 500_000} {
		absent := randomKeys(n, 2)
		for name, keys := range benchShapes(n) {
			t := New()
			keys.fill(t)
			keys = keys.shuffled()
			b.Run(fmt.Sprintf("hit/%s/%d", name, n), func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					k := i % n
					if _, kind, _ := t.Get(0, keys.keys[k], keys.hashes[k], kv.MaxSeq); kind != kv.Set {
						b.Fatal("lost a key")
					}
				}
			})
			if name == "random" {
				b.Run(fmt.Sprintf("miss/%s/%d", name, n), func(b *testing.B) {
					for i := 0; b.Loop(); i++ {
						k := i % n
						if _, kind, _ := t.Get(0, absent.keys[k], absent.hashes[k], kv.MaxSeq); kind != 0 {
							b.Fatal("found a key that was not put")
						}
					}
				})
			}
		}
	}
}

func BenchmarkCursor(b *testing.B) {
	const n = 500_000
	for name, keys := range benchShapes(n) {
		t := New()
		keys.fill(t)
		c := t.NewCursor(0, kv.MaxSeq)
		for c.First(); c.Next(); { // sorts the leaves
		}
		b.Run("next/"+name, func(b *testing.B) {
			c.First()
			size := 0
			for b.Loop() {
				if !c.Next() {
					c.First()
				}
				size += len(c.Key())
			}
		})
		b.Run("prev/"+name, func(b *testing.B) {
			c.Last()
			size := 0
			for b.Loop() {
				if !c.Prev() {
					c.Last()
				}
				size += len(c.Key())
			}
		})
		b.Run("seek/"+name, func(b *testing.B) {
			b.ReportAllocs()
			keys := keys.shuffled()
			for i := 0; b.Loop(); i++ {
				c.SeekGE(keys.keys[i%n])
			}
		})
		b.Run("first-scan/"+name, func(b *testing.B) { // with the sorting of the leaves
			var t *Table
			i := 0
			for b.Loop() {
				if i%n == 0 {
					b.StopTimer()
					t = New()
					keys.fill(t)
					c = t.NewCursor(0, kv.MaxSeq)
					c.First()
					b.StartTimer()
				}
				c.Next()
				i++
			}
		})
	}
}

func BenchmarkSmall(b *testing.B) {
	keys := randomKeys(2, 1)
	value := []byte("a small value")
	b.ReportAllocs()
	for b.Loop() {
		t := New()
		t.Put(0, keys.keys[0], keys.hashes[0], value, kv.Set, 1)
		t.Put(0, keys.keys[1], keys.hashes[1], value, kv.Set, 2)
	}
}

func BenchmarkChangedKey(b *testing.B) {
	const n = 500_000
	keys := randomKeys(n, 1)
	t := New()
	keys.fill(t)
	for i := 0; b.Loop(); i++ {
		t.ChangedKey(0, keys.keys[i%n], keys.hashes[i%n], n-1)
	}
}

func BenchmarkChanged(b *testing.B) {
	const n = 500_000
	keys := randomKeys(n, 1)
	t := New()
	keys.fill(t)
	r := kv.Range{Start: []byte{0x40}, End: []byte{0x42}} // 4,000 keys
	for b.Loop() {
		t.Changed(0, r, n-1)
	}
}

func BenchmarkLoad(b *testing.B) {
	const n = 250_000
	for name, keys := range benchShapes(n) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				l := NewLoader(New())
				for i, key := range keys.keys {
					l.Put(0, key, benchValue, kv.Set, kv.Seq(i+1))
				}
				l.Finish()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/entry")
		})
	}
}
