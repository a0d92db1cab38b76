package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// Loading and emptying ten times stays within twice the space of one load, and
// Compact gives it all back.
func TestDB_SpaceComesBack(t *testing.T) {
	db := openMem(t, engine.Options{Sync: engine.SyncOff, MemtableBytes: 256 << 10})
	ctx := context.Background()
	checkpoint := func() {
		if _, err := db.Checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	empty := db.Stats().FileBytes
	var once uint64
	rng := rand.New(rand.NewPCG(3, 3))
	for round := range 10 {
		var keys [][]byte
		for range 20_000 {
			key := fmt.Appendf(nil, "%016x", rng.Uint64())
			keys = append(keys, key)
			if err := db.Put(key, bytes.Repeat(key, 6)); err != nil {
				t.Fatal(err)
			}
		}
		checkpoint()
		if round == 0 {
			once = db.Stats().FileBytes
		}
		for _, key := range keys {
			if err := db.Delete(key); err != nil {
				t.Fatal(err)
			}
		}
		checkpoint()
		snapshot, err := db.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		for key := range snapshot.Scan(nil, nil) {
			t.Fatalf("round %d: %q is left", round, key)
		}
		snapshot.Close()
	}
	if have := db.Stats().FileBytes; have > 2*once {
		t.Errorf("after ten rounds the file has %d bytes; one load takes %d", have, once)
	}
	info, err := db.Compact(ctx)
	if err != nil || uint64(info.After) != empty {
		t.Errorf("compact: have %+v, %v; an empty database takes %d", info, err, empty)
	}
}

// Compact gives back the space of deleted data while the rest stays, and while
// a snapshot still reads what was there before.
func TestDB_CompactBesideASnapshot(t *testing.T) {
	db := openMem(t, engine.Options{Sync: engine.SyncOff})
	ctx := context.Background()
	for i := range 20_000 {
		mustPut(t, db, fmt.Sprintf("%06d", i), strings.Repeat("v", 100))
	}
	if _, err := db.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	s, err := db.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20_000 {
		if i%10 != 0 {
			if err := db.Delete(fmt.Appendf(nil, "%06d", i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	count := func(r engine.Reader) (n int) {
		for range r.Scan(nil, nil) {
			n++
		}
		return n
	}
	if _, err := db.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	if n := count(s); n != 20_000 || s.Err() != nil {
		t.Errorf("the snapshot has %d entries, %v", n, s.Err())
	}
	s.Close()
	info, err := db.Compact(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if st := db.Stats(); float64(info.After) > 1.08*float64(st.UsedBytes)+32<<10 {
		t.Errorf("compact left %d bytes for %d of data", info.After, st.DataBytes)
	}
	if err := db.View(func(tx *engine.Tx) error {
		if n := count(tx); n != 2000 {
			return fmt.Errorf("%d entries, want 2000", n)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// After random writes the free space is in holes, most of them too small for
// what should move into them. Compact gets it all out.
func TestDB_CompactAfterRandomWrites(t *testing.T) {
	db := openMem(t, engine.Options{Sync: engine.SyncOff, MemtableBytes: 1 << 20})
	rng := rand.New(rand.NewPCG(5, 5))
	for range 200_000 {
		mustPut(t, db, fmt.Sprintf("%016x", rng.Uint64()), strings.Repeat("v", 100))
	}
	info, err := db.Compact(context.Background())
	if s := db.Stats(); err != nil || float64(info.After) > 1.005*float64(s.UsedBytes)+256<<10 {
		t.Errorf("compact left %+v, %v for %d bytes in use", info, err, s.UsedBytes)
	}
}

// Holes that are each too small for what stands at the end of the file do not
// keep Compact from cutting it, where there is room for what it moves out of the
// way, and nobody reads. Otherwise the file stays as it is.
func TestDB_CompactOfSmallHoles(t *testing.T) {
	disk := faultfs.Inject(vfs.NewMem())
	for name, fs := range map[string]vfs.FS{"room is told": disk, "room is not told": struct{ vfs.FS }{disk}} {
		t.Run(name, func(t *testing.T) { compactOfSmallHoles(t, disk, fs, fs == disk) })
	}
}

func compactOfSmallHoles(t *testing.T, disk *faultfs.Injector, fs vfs.FS, told bool) {
	dir := fmt.Sprint("told ", told)
	db := open(t, dir, engine.Options{FS: fs, Sync: engine.SyncOff})
	defer closeDB(t, db)
	key := func(i int) string { return fmt.Sprintf("%04d", i) }
	checkpoint := func() {
		if _, err := db.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2000 {
		mustPut(t, db, key(i), strings.Repeat("s", 5000))
	}
	checkpoint()
	for i := range 100 {
		mustPut(t, db, key(3000+i), strings.Repeat("l", 40_000))
	}
	checkpoint()
	for i := 0; i < 2000; i += 2 {
		if err := db.Delete([]byte(key(i))); err != nil {
			t.Fatal(err)
		}
	}
	checkpoint()
	size, tried := db.Stats().FileBytes, 0 // writes far behind that
	var meanwhile func()
	disk.SetHook(func(op faultfs.Op) error {
		if op.Kind == faultfs.OpWrite && strings.HasSuffix(op.Name, "btree.db") && op.Off+op.Len > int64(size)+128<<10 {
			if tried++; meanwhile != nil {
				meanwhile()
			}
		}
		return nil
	})
	defer disk.SetHook(nil)
	stays := func(why string, tries bool) {
		t.Helper()
		tried = 0
		info, err := db.Compact(context.Background())
		if err != nil || info.After > info.Before || tries != (tried > 0) {
			t.Errorf("%s compact made %+v, %v, with %d writes behind the end", why, info, err, tried)
		}
	}
	var snapshot *engine.Snapshot
	look := func() {
		if snapshot != nil {
			return
		}
		var err error
		if snapshot, err = db.Snapshot(); err != nil {
			t.Error(err)
		}
	}
	look()
	stays("with a snapshot", false)
	snapshot.Close()
	snapshot, meanwhile = nil, look
	stays("with a snapshot made meanwhile", true)
	snapshot.Close()
	meanwhile = nil
	disk.SetCapacity(disk.Fill() + 300<<10)
	stays("on a full disk", !told)
	disk.SetCapacity(-1)
	info, err := db.Compact(context.Background())
	if s := db.Stats(); err != nil || float64(info.After) > 1.005*float64(s.UsedBytes)+256<<10 {
		t.Errorf("compact left %+v, %v for %d bytes in use", info, err, s.UsedBytes)
	}
	for i := 1; i < 2000; i += 2 {
		if v, err := db.Get([]byte(key(i))); err != nil || len(v) != 5000 {
			t.Fatalf("%s: %d bytes, %v", key(i), len(v), err)
		}
	}
}
