package memtable

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// A loaded table shows what a table shows into which the same operations were
// put, and takes more.
func TestLoader_IsAsThoughPut(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		n := 1 + rnd.IntN(5000)
		key := loadedKeys(rnd, n)
		loaded, put := New(), New()
		l := NewLoader(loaded)
		seq := kv.Seq(10)
		for range n {
			seq++
			ks := kv.Keyspace(max(rnd.IntN(6)-3, 0))
			switch k := key(); rnd.IntN(500) {
			case 0:
				r := kv.Range{Start: k, End: append(bytes.Clone(k), 0xFF)}
				l.DeleteRange(ks, r, seq)
				put.DeleteRange(ks, r, seq)
			case 1, 2, 3, 4:
				l.Put(ks, k, nil, kv.Delete, seq)
				put.Put(ks, k, kv.Hash(k), nil, kv.Delete, seq)
			default:
				value := fmt.Append(nil, seq)
				l.Put(ks, k, value, kv.Set, seq)
				put.Put(ks, k, kv.Hash(k), value, kv.Set, seq)
			}
		}
		l.Finish()
		compareTables(t, seed, loaded, put)
		for range rnd.IntN(3000) {
			seq++
			k, value := key(), fmt.Append(nil, seq)
			loaded.Put(1, k, kv.Hash(k), value, kv.Set, seq)
			put.Put(1, k, kv.Hash(k), value, kv.Set, seq)
		}
		compareTables(t, seed, loaded, put)
	}
}

// A keyspace with little in it takes little, and what it takes counts: recovery
// ends a memtable by what Bytes says.
func TestLoader_BytesOfManyKeyspaces(t *testing.T) {
	const n = 10_000
	l := NewLoader(New())
	held := heapGrowth(func() {
		for i := range kv.Keyspace(n) {
			l.Put(i+1, []byte("k"), []byte("v"), kv.Set, kv.Seq(i+1))
		}
	})
	if said := l.Bytes(); held > said {
		t.Errorf("it holds %d KiB for %d keyspaces, and says %d KiB", held>>10, n, said>>10)
	}
	l.Finish()
	runtime.KeepAlive(l)
}

// Keys each of which begins with the one before take about the time that it takes
// to put them: sorted eight bytes at a time it is the cube of their number.
func TestLoader_NestedKeys(t *testing.T) {
	const n = 6000
	key := bytes.Repeat([]byte{'a'}, n)
	table := New()
	l := NewLoader(table)
	for i := range n {
		at := i * 7919 % n // a prime
		l.Put(0, key[:at], nil, kv.Set, kv.Seq(i+1))
	}
	began := time.Now()
	l.Finish()
	took := time.Since(began)
	c := table.NewCursor(0, kv.MaxSeq)
	for i := range n {
		if !c.step() || len(c.Key()) != i {
			t.Fatalf("entry %d has a key of %d bytes", i, len(c.Key()))
		}
	}
	if took > 2*time.Second { // 0.04 s, and 6 s without comparison
		t.Errorf("%d keys take %v", n, took)
	}
}

// loadedKeys returns a source of keys of one of the shapes that make sorting
// them different.
func loadedKeys(rnd *rand.Rand, n int) func() []byte {
	family := func() []byte { return bytes.Repeat([]byte{'a' + byte(rnd.IntN(3))}, 5+rnd.IntN(20)) }
	i := 0
	return [...]func() []byte{
		func() []byte { return fmt.Appendf(nil, "%x", rnd.Uint64()) },
		func() []byte { return fmt.Appendf(nil, "%d", rnd.IntN(n)) },
		func() []byte { i++; return fmt.Appendf(nil, "a long prefix of all keys/%012d", i) },
		func() []byte { return fmt.Appendf(nil, "%s/%d", family(), rnd.IntN(n)) },
		func() []byte { return make([]byte, rnd.IntN(40)) }, // differ in their lengths only
		func() []byte { return append(make([]byte, rnd.IntN(40)), byte(rnd.IntN(2))) },
		func() []byte { return []byte("one key") },
		func() []byte { i++; return bytes.Repeat([]byte{7}, max(1000-i, 1)) },
	}[rnd.IntN(8)]
}

func compareTables(t *testing.T, seed uint64, loaded, put *Table) {
	t.Helper()
	if loaded.Len() != put.Len() || loaded.FirstSeq() != put.FirstSeq() || loaded.LastSeq() != put.LastSeq() {
		t.Fatalf("seed %d: %d operations from %d to %d, want %d from %d to %d", seed,
			loaded.Len(), loaded.FirstSeq(), loaded.LastSeq(), put.Len(), put.FirstSeq(), put.LastSeq())
	}
	if have, want := loaded.Keyspaces(), put.Keyspaces(); !slices.Equal(have, want) {
		t.Fatalf("seed %d: keyspaces %v, want %v", seed, have, want)
	}
	for _, ks := range put.Keyspaces() {
		checkTree(t, loaded, ks)
		have, want := loaded.NewCursor(ks, kv.MaxSeq), put.NewCursor(ks, kv.MaxSeq)
		for want.step() {
			if !have.step() || !sameEntry(have, want) {
				t.Fatalf("seed %d, keyspace %d: cursor differs at key %.60q", seed, ks, want.Key())
			}
			if value, kind, at := loaded.Get(ks, want.Key(), kv.Hash(want.Key()), kv.MaxSeq); kind != want.Kind() ||
				at != want.Seq() || !bytes.Equal(value, want.entry.Value) {
				t.Fatalf("seed %d, keyspace %d: get of key %.60q = %q, %d, %d", seed, ks, want.Key(), value, kind, at)
			}
		}
		if have.step() {
			t.Fatalf("seed %d, keyspace %d: key %.60q too many", seed, ks, have.Key())
		}
		if have, want := loaded.RangeDeletes(ks, kv.MaxSeq), put.RangeDeletes(ks, kv.MaxSeq); len(have) != len(want) {
			t.Fatalf("seed %d, keyspace %d: %d fragments of range deletes, want %d", seed, ks, len(have), len(want))
		}
	}
}

func sameEntry(a, b *Cursor) bool {
	return bytes.Equal(a.Key(), b.Key()) && bytes.Equal(a.entry.Value, b.entry.Value) && a.Kind() == b.Kind() && a.Seq() == b.Seq()
}

// step is Next, and First to begin with.
func (c *Cursor) step() bool {
	if !c.here {
		return c.First()
	}
	return c.Next()
}

// heapGrowth is by how much what fn leaves makes the heap grow.
func heapGrowth(fn func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	fn()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}
