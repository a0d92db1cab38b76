package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"

	"github.com/lightning-db/lightning/engine"
)

// Memtables that are in the tree are left to the garbage collector: also the
// first one, into which Open replayed the log, and those linked behind it.
func TestMemory_MergedMemtablesAreFreed(t *testing.T) {
	db, err := engine.Open(t.TempDir(), &engine.Options{Sync: engine.SyncOff, CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	before := heapBytes()
	const tables, entries, size = 4, 8 << 10, 1 << 10
	key, value := make([]byte, 8), bytes.Repeat([]byte("v"), size)
	for n := range tables * entries {
		binary.BigEndian.PutUint64(key, uint64(n))
		if err := db.Put(key, value); err != nil {
			t.Fatal(err)
		}
		if n%entries == entries-1 {
			if _, err := db.Checkpoint(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if grown := heapBytes() - before; grown > entries*size {
		t.Errorf("after %d MiB were written and merged, %d MiB more are in memory", tables*entries*size>>20, grown>>20)
	}
}

// However a change of memtables and a garbage collection meet, those that are
// merged are not marked. (Memtables were once linked, and the links cut by way of
// weak pointers: that marked eight dead ones, and the heap was let grow by twice
// as much.)
func TestMemory_CollectionsDoNotReviveMemtables(t *testing.T) {
	db, err := engine.Open(t.TempDir(), &engine.Options{Sync: engine.SyncOff, CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	type link struct{ next *link }
	var chain *link // it takes the collector long
	for range 4 << 20 {
		chain = &link{chain}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	const rounds, merged, size = 6, 12, 512 << 10
	fill := func() { // a memtable, and merge it
		if err := db.Put([]byte("k"), make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	before := heapBytes()
	for n := range rounds {
		for range merged {
			fill()
		}
		collected := make(chan struct{})
		go func() {
			runtime.GC()
			close(collected)
		}()
		fill()
		fill()
		<-collected
		metrics.Read(live)
		if found := int64(live[0].Value.Uint64()) - before; found > 6*size {
			t.Fatalf("round %d: a collection found %d bytes alive more than at the beginning", n, found)
		}
	}
	runtime.KeepAlive(chain)
}

// A transaction keeps the memtables in which it would have to look for conflicts,
// and no longer than it is open: nothing else need happen to free them.
func TestMemory_EndOfATransactionFreesMemtables(t *testing.T) {
	db, err := engine.Open(t.TempDir(), &engine.Options{Sync: engine.SyncOff, CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const tables, size = 6, 1 << 20
	before := heapBytes()
	tx := begin(t, db, engine.Serializable)
	for n := range tables {
		if err := db.Put([]byte{byte(n)}, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if grown := heapBytes() - before; grown < tables*size {
		t.Errorf("%d bytes in memory, which a transaction needs not all of the %d that were written", grown, tables*size)
	}
	tx.Rollback()
	if grown := heapBytes() - before; grown > size {
		t.Errorf("when the transaction was over, %d of %d bytes were still in memory", grown, tables*size)
	}
}

// heapBytes is how much of the heap is in use when all garbage is gone.
func heapBytes() int64 {
	runtime.GC()
	runtime.GC() // what pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
