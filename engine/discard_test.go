package engine_test

import (
	"errors"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// A database that cannot be made, whichever call fails, leaves nothing of itself:
// what it left once stood in the way of restore. A directory that was there stays.
func TestOpen_CannotCreate_LeavesNothing(t *testing.T) {
	for _, made := range []bool{false, true} {
		for n := 1; ; n++ {
			disk := vfs.NewMem()
			if made {
				if err := disk.Mkdir("db"); err != nil {
					t.Fatal(err)
				}
			}
			in := faultfs.Inject(disk)
			in.FailNth(n, faultfs.ErrIO, false)
			db, err := engine.Open("db", &engine.Options{FS: in})
			if err == nil {
				in.FailNth(0, nil, false)
				closeDB(t, db)
				if in.Calls() < n { // it met no failure
					break
				}
				continue // it could do without what failed
			}
			if names := disk.Names(); len(names) > 0 || isThere(disk, "db") != made {
				t.Errorf("call %d failed (%v), and these are left: %v; the directory: %v", n, err, names, isThere(disk, "db"))
			}
		}
	}
	disk := vfs.NewMem()
	in := faultfs.Inject(disk)
	for capacity := int64(0); ; capacity += 1 << 10 {
		in.SetCapacity(capacity)
		db, err := engine.Open("db", &engine.Options{FS: in})
		if err == nil {
			closeDB(t, db)
			break
		}
		if !errors.Is(err, engine.ErrNoSpace) || isThere(disk, "db") {
			t.Fatalf("on a disk of %d bytes: %v; left: %v", capacity, err, disk.Names())
		}
	}
}

func isThere(disk *vfs.Mem, name string) bool {
	_, err := disk.Stat(name)
	return err == nil
}

// Discard removes what its Open made, and nothing else.
func TestDB_Discard(t *testing.T) {
	disk := vfs.NewMem()
	discard := func(db *engine.DB) {
		t.Helper()
		if err := db.Discard(); err != nil {
			t.Fatal(err)
		}
	}
	discard(open(t, "db", engine.Options{FS: disk}))
	if isThere(disk, "db") {
		t.Errorf("left: %v", disk.Names())
	}
	if err := disk.Mkdir("db"); err != nil {
		t.Fatal(err)
	}
	discard(open(t, "db", engine.Options{FS: disk}))
	if names := disk.Names(); len(names) > 0 || !isThere(disk, "db") {
		t.Errorf("of a directory that was there: %v", names)
	}

	db := open(t, "db", engine.Options{FS: disk})
	mustPut(t, db, "a", "1")
	discard(db)
	if names := disk.Names(); len(names) > 0 {
		t.Errorf("with a commit: %v", names)
	}
	if err := db.Discard(); !errors.Is(err, engine.ErrClosed) {
		t.Error(err)
	}

	closeDB(t, open(t, "empty", engine.Options{FS: disk}))
	discard(open(t, "empty", engine.Options{FS: disk}))
	db = open(t, "db", engine.Options{FS: disk})
	mustPut(t, db, "a", "1")
	closeDB(t, db)
	discard(open(t, "db", engine.Options{FS: disk}))
	for _, dir := range []string{"db", "empty"} {
		if err := checkDatabase(disk, dir); err != nil {
			t.Error(err)
		}
	}
	db = open(t, "db", engine.Options{FS: disk})
	wantValue(t, db, []byte("a"), []byte("1"))
	closeDB(t, db)
}
