package engine_test

import (
	"encoding/binary"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

// What a process leaves that is killed, in dbDir of the disk: all that fill
// wrote is in the log.
func killed(t *testing.T, o engine.Options, fill func(*engine.DB)) *vfs.Mem {
	t.Helper()
	disk := vfs.NewMem()
	o.FS, o.Sync = disk, engine.SyncOff
	db, err := engine.Open(dbDir, &o)
	if err != nil {
		t.Fatal(err)
	}
	fill(db)
	left := disk.Clone()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return left
}

// A log that was written with large memtables and is opened with small ones
// once made more of them than a cursor can merge: each scan panicked, and the
// checkpoint in the background, a moment after each Open.
func TestRecovery_WithSmallerMemtables(t *testing.T) {
	const n, memtable = 3000, 64 << 10
	disk := killed(t, engine.Options{MemtableBytes: 256 << 20}, func(db *engine.DB) {
		for i := range uint64(n) {
			if err := db.Put(binary.BigEndian.AppendUint64(nil, i), make([]byte, 4<<10)); err != nil {
				t.Fatal(err)
			}
		}
	})
	for _, readOnly := range []bool{true, false} {
		db, err := engine.Open(dbDir, &engine.Options{FS: disk, ReadOnly: readOnly, MemtableBytes: memtable})
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		err = db.View(func(tx *engine.Tx) error {
			for range tx.Scan(nil, nil) {
				seen++
			}
			return nil
		})
		if err != nil || seen != n {
			t.Errorf("read only %v: %d entries, %v; want %d", readOnly, seen, err, n)
		}
		if err := db.Close(); err != nil { // it checkpoints
			t.Errorf("read only %v: close: %v", readOnly, err)
		}
	}
}
