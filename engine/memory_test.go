package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"runtime"
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

// heapBytes is how much of the heap is in use when all garbage is gone.
func heapBytes() int64 {
	runtime.GC()
	runtime.GC() // what pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
