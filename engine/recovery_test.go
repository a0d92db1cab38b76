package engine_test

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

// A log that makes many keyspaces with little in them once took 64 KiB for each,
// and copied the list of all for each.
func TestRecovery_OfManyKeyspaces(t *testing.T) {
	const n = 1000
	disk := killed(t, engine.Options{}, func(db *engine.DB) {
		for i := range n {
			ks, err := db.CreateKeyspace(fmt.Sprint(i), nil)
			if err == nil {
				err = ks.Put([]byte("k"), []byte("v"))
			}
			if err == nil && i%3 == 0 {
				err = db.DropKeyspace(fmt.Sprint(i))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	db, err := engine.Open(dbDir, &engine.Options{FS: disk, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	runtime.ReadMemStats(&after)
	if taken := after.TotalAlloc - before.TotalAlloc; taken > 10<<10*n {
		t.Errorf("it takes %d KiB to recover %d keyspaces", taken>>10, n)
	}
	for i := range n {
		ks, err := db.Keyspace(fmt.Sprint(i))
		if dropped := err != nil; dropped != (i%3 == 0) {
			t.Errorf("keyspace %d: %v", i, err)
		} else if !dropped {
			if v, err := ks.Get([]byte("k")); string(v) != "v" || err != nil {
				t.Errorf("keyspace %d: %q, %v", i, v, err)
			}
		}
	}
}

// A recovery that made several memtables is killed when they are in the tree:
// what the next one replays begins where they end, no sooner and no later.
func TestRecovery_KilledAfterItsCheckpoint(t *testing.T) {
	warmUp()
	for range 4 { // what a checkpoint has come to when it is killed is chance
		killedAfterItsCheckpoint(t)
	}
}

func killedAfterItsCheckpoint(t *testing.T) {
	const n = 300
	disk := killed(t, engine.Options{}, func(db *engine.DB) {
		for i := range n {
			if err := db.Put([]byte(keyOf("k", i)), []byte(valueOf("k", i, 100))); err != nil {
				t.Fatal(err)
			}
		}
	})
	for round := range 3 {
		synctest.Test(t, func(t *testing.T) {
			db := open(t, dbDir, engine.Options{FS: disk, MemtableBytes: 4 << 10, Sync: engine.SyncOff})
			synctest.Wait()
			if s := db.Stats(); round == 0 && s.Checkpoints == 0 {
				t.Error("no checkpoint")
			}
			for i := range n + round {
				wantValue(t, db, []byte(keyOf("k", i)), []byte(valueOf("k", i, 100)))
			}
			mustPut(t, db, keyOf("k", n+round), valueOf("k", n+round, 100))
			left := disk.Clone()
			closeDB(t, db)
			disk = left
		})
	}
}

// Each kill leaves a segment of the log, which holds next to nothing: a
// checkpoint gives them back before they are many.
func TestRecovery_KillsLeaveNoLongLog(t *testing.T) {
	const most = 8 // of which a checkpoint is made
	fs := vfs.NewMem()
	for round := range 40 {
		db, err := engine.Open("db", &engine.Options{FS: fs, SegmentBytes: 64 << 10, MemtableBytes: 256 << 10})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Put(fmt.Append(nil, round), []byte("v")); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			names, err := fs.List("db/wal")
			if err != nil {
				t.Fatal(err)
			}
			segments := slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".log") })
			if len(segments) <= most {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("after %d kills the log has %d segments", round, len(segments))
			}
		}
		fs = fs.Clone()
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
