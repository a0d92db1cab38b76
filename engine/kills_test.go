package engine_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
	"github.com/lightning-db/lightning/verify"
)

// The failure model, from F16 on: the world around the database, and a process
// that is killed in each step of all that makes files.

// F16: a database whose directory was moved, removed or replaced takes no more
// writes from the next checkpoint on, and says why; it writes nothing into what
// is there now.
func TestF16_DirectoryGone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the directory of an open file can be neither moved nor removed")
	}
	for name, gone := range map[string]func(dir string) error{
		"moved":   func(dir string) error { return os.Rename(dir, dir+".old") },
		"removed": os.RemoveAll,
		"replaced": func(dir string) error {
			if err := os.Rename(dir, dir+".old"); err != nil {
				return err
			}
			other, err := engine.Open(dir, nil)
			if err == nil {
				err = errors.Join(other.Put([]byte("other"), []byte("database")), other.Close())
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "db")
			db := open(t, dir, engine.Options{})
			mustPut(t, db, "k", "v")
			if err := gone(dir); err != nil {
				t.Fatal(err)
			}
			before := treeOrNothing(t, dir)
			_ = db.Put([]byte("k"), []byte("w")) // the files that are open take it
			if _, err := db.Checkpoint(context.Background()); !errors.Is(err, engine.ErrFailed) || !strings.Contains(err.Error(), "moved, removed or replaced") {
				t.Errorf("checkpoint: %v", err)
			}
			if err := db.Put([]byte("k"), nil); !errors.Is(err, engine.ErrFailed) {
				t.Errorf("put: %v", err)
			}
			if ok, err := db.Has([]byte("k")); !ok || err != nil {
				t.Errorf("a read: %v, %v", ok, err)
			}
			if err := db.Close(); !errors.Is(err, engine.ErrFailed) {
				t.Errorf("close: %v", err)
			}
			if after := treeOrNothing(t, dir); before != after {
				t.Errorf("what is there now changed from\n%s\nto\n%s", before, after)
			}
			if name == "removed" {
				return
			}
			db = open(t, dir+".old", engine.Options{MustExist: true})
			wantValue(t, db, []byte("k"), []byte("w"))
			closeDB(t, db)
		})
	}
}

func treeOrNothing(t *testing.T, dir string) string {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return listing(t, dir)
}

// F17: the clock plays no part in order, durability or recovery. In a bubble it
// stands at the year 2000, as one does that jumped back.
func TestF17_ClockJumps(t *testing.T) {
	sim := faultfs.NewSim()
	o := small(full)
	o.FS = sim
	db := open(t, dbDir, o)
	mustPut(t, db, "a", "now")
	mustPut(t, db, "b", "now")
	sim.StopAt(sim.Ops() + 1)
	_ = db.Close()
	disk := sim.Image(sim.Ops(), faultfs.None)
	o.FS = disk
	synctest.Test(t, func(t *testing.T) {
		if now := time.Now(); now.Year() != 2000 {
			t.Fatalf("the clock stands at %v", now)
		}
		db := open(t, dbDir, o)
		if r := db.OpenReport(); r.Commits != 2 {
			t.Errorf("report: %+v", r)
		}
		mustPut(t, db, "b", "later")
		if err := db.Delete([]byte("a")); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		mustPut(t, db, "c", "in an hour")
		closeDB(t, db)
	})
	db = open(t, dbDir, o) // and back again
	wantValue(t, db, []byte("b"), []byte("later"))
	wantValue(t, db, []byte("c"), []byte("in an hour"))
	if ok, err := db.Has([]byte("a")); ok || err != nil {
		t.Errorf("what was deleted: %v, %v", ok, err)
	}
	mustPut(t, db, "b", "last")
	wantValue(t, db, []byte("b"), []byte("last"))
	closeDB(t, db)
	if err := checkDatabase(disk, dbDir); err != nil {
		t.Error(err)
	}
}

// killEach lets what happen on a copy of the disk, and has a crash come at each
// of its operations: a kill, which the disk outlives, and power cuts. check sees
// what each leaves, and whether what had ended by then.
func killEach(t *testing.T, disk *vfs.Mem, what func(vfs.FS) error, check func(*vfs.Mem, bool) error) {
	t.Helper()
	sim := faultfs.NewSimFrom(disk)
	synctest.Test(t, func(t *testing.T) {
		if err := what(sim); err != nil {
			t.Fatal(err)
		}
	})
	for n := 0; n <= sim.Ops(); n++ {
		for _, d := range faultfs.Damages(4, *faultSeed+int64(n)) {
			if err := check(sim.Image(n, d), n == sim.Ops()); err != nil {
				t.Fatalf("a crash after operation %d of %d, %v: %v\nrepeat: go test ./engine -run '^%s$' -fault.seed=%d",
					n, sim.Ops(), d, err, t.Name(), *faultSeed)
			}
		}
	}
	if sim.Ops() < 5 {
		t.Errorf("%d operations", sim.Ops())
	}
}

// F19: a kill in each step of creating a database leaves none, or an empty one.
func TestF19_KilledInCreate(t *testing.T) {
	killEach(t, vfs.NewMem(), func(fsys vfs.FS) error {
		o := small(full)
		o.FS = fsys
		db, err := engine.Open(dbDir, &o)
		if err != nil {
			return err
		}
		return db.Close()
	}, func(disk *vfs.Mem, _ bool) error {
		o := small(full)
		o.FS, o.MustExist = disk, true
		db, err := engine.Open(dbDir, &o)
		if errors.Is(err, engine.ErrNotExist) {
			o.MustExist = false
			db, err = engine.Open(dbDir, &o)
		}
		if err != nil {
			return err
		}
		if n := db.Stats().Entries; n != 0 {
			t.Errorf("a new database has %d entries", n)
		}
		if err := errors.Join(db.Put([]byte("k"), []byte("v")), db.Close()); err != nil {
			return err
		}
		return checkDatabase(disk, dbDir)
	})
}

// F20: a kill in each step of an open that recovers loses nothing: as F3.
func TestF20_KilledInRecovery(t *testing.T) {
	sp := uncleanSpecimen(t)
	reopen := func(fsys vfs.FS) (*engine.DB, error) {
		o := small(full)
		o.FS = fsys
		return engine.Open(dbDir, &o)
	}
	killEach(t, sp.disk, func(fsys vfs.FS) error {
		db, err := reopen(fsys)
		if err != nil {
			return err
		}
		return db.Close()
	}, func(disk *vfs.Mem, _ bool) error {
		db, err := reopen(disk)
		if err != nil {
			return err
		}
		n := len(sp.hist.commits) - 1
		_, err = sp.hist.fork().find(db, n, n)
		return errors.Join(err, db.Close())
	})
}

// F21: a kill in each step of checkpoints, of the change of log segments and of
// compaction loses nothing, and what it leaves behind is cleared away.
func TestF21_KilledInCheckpoint(t *testing.T) {
	disk := vfs.NewMem()
	o := small(full)
	o.FS = disk
	db := open(t, dbDir, o)
	for i := range 40 {
		mustPut(t, db, keyOf("k", i), valueOf("k", i, 200))
	}
	closeDB(t, db)
	killEach(t, disk, func(fsys vfs.FS) error {
		o := small(full)
		o.FS = fsys
		db, err := engine.Open(dbDir, &o)
		if err != nil {
			return err
		}
		err = db.DeleteRange([]byte(keyOf("k", 5)), []byte(keyOf("k", 35)))
		_, e := db.Checkpoint(context.Background())
		_, e2 := db.Compact(context.Background())
		return errors.Join(err, e, e2, db.Close())
	}, func(disk *vfs.Mem, over bool) error {
		o := small(full)
		o.FS = disk
		db, err := engine.Open(dbDir, &o)
		if err != nil {
			return err
		}
		deleted, err := db.Has([]byte(keyOf("k", 20)))
		deleted = !deleted
		if over && !deleted {
			t.Error("the delete that was acknowledged is lost")
		}
		for i := range 40 {
			value, e := db.Get([]byte(keyOf("k", i)))
			switch gone := deleted && i >= 5 && i < 35; {
			case gone && !errors.Is(e, engine.ErrNotFound):
				t.Errorf("key %d: %v, though its neighbours are deleted", i, e)
			case !gone && string(value) != valueOf("k", i, 200):
				t.Errorf("key %d: %q, %v", i, value, e)
			}
		}
		if err := errors.Join(err, db.Close()); err != nil {
			return err
		}
		for _, name := range disk.Names() {
			if strings.HasSuffix(name, ".new") || strings.HasSuffix(name, ".tmp") {
				t.Errorf("left behind: %s", name)
			}
		}
		return checkDatabase(disk, dbDir)
	})
}

// F22: a backup that was not written to its end is never taken for one, and
// making one changes no byte of the database.
func TestF22_BackupCutOff(t *testing.T) {
	sp := settledSpecimen(t)
	o := small(full)
	o.FS, o.ReadOnly = sp.disk, true
	before := sp.disk.Clone()
	db := open(t, dbDir, o)
	var whole bytes.Buffer
	if _, err := db.Backup(context.Background(), &whole, nil); err != nil {
		t.Fatal(err)
	}
	for n := range whole.Len() {
		if _, err := engine.VerifyBackup(context.Background(), bytes.NewReader(whole.Bytes()[:n])); err == nil {
			t.Fatalf("the first %d of %d bytes pass for a backup", n, whole.Len())
		}
	}
	for _, n := range []int{0, 1, 64, whole.Len() - 1} {
		if _, err := db.Backup(context.Background(), &fullWriter{n}, nil); !errors.Is(err, errWriter) {
			t.Errorf("backup that could write %d bytes: %v", n, err)
		}
	}
	closeDB(t, db)
	if err := sameFiles(before, sp.disk); err != nil {
		t.Error(err)
	}
}

// fullWriter takes so many bytes.
type fullWriter struct{ room int }

var errWriter = errors.New("no more")

func (w *fullWriter) Write(p []byte) (int, error) {
	if n := w.room; n < len(p) {
		w.room = 0
		return n, errWriter
	}
	w.room -= len(p)
	return len(p), nil
}

// F23: a kill in each step of a restore leaves no database of that name, or a
// whole one; what is there already is never touched; and a restore after it
// makes one.
func TestF23_KilledInRestore(t *testing.T) {
	sp := settledSpecimen(t)
	o := small(full)
	o.FS, o.ReadOnly = sp.disk, true
	db := open(t, dbDir, o)
	var stream bytes.Buffer
	if _, err := db.Backup(context.Background(), &stream, nil); err != nil {
		t.Fatal(err)
	}
	closeDB(t, db)
	restore := func(fsys vfs.FS) error {
		_, err := engine.Restore(context.Background(), bytes.NewReader(stream.Bytes()), "new", &engine.RestoreOptions{FS: fsys})
		return err
	}
	killEach(t, sp.disk, restore, func(disk *vfs.Mem, over bool) error {
		_, err := disk.Stat("new")
		if over && err != nil {
			return err
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = restore(disk)
		} else if e := restore(disk); !errors.Is(e, engine.ErrExists) {
			t.Errorf("over a database: %v", e)
		}
		if err != nil {
			return err
		}
		o := small(full)
		o.FS, o.MustExist = disk, true
		db, err := engine.Open("new", &o)
		if err != nil {
			return err
		}
		n := len(sp.hist.commits) - 1
		_, err = sp.hist.fork().find(db, n, n)
		if err := errors.Join(err, db.Close()); err != nil {
			return err
		}
		return checkDatabase(disk, "new")
	})
}

// F26: rot in the tree and a torn end of the log at once. Each is treated as if
// it were alone.
func TestF26_DamagedAndCrashed(t *testing.T) {
	sp := uncleanSpecimen(t)
	f, err := sp.disk.Open(sp.lastLog, vfs.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 100), sp.lastOff+100); err != nil {
		t.Fatal(err)
	}
	tree := treeBytes(t, sp.disk)
	for _, e := range extents(tree) {
		if e.kind == leafKind && e.keyspace == 0 && bytes.Contains(tree[e.off:e.off+e.size], []byte(valueOf("k", 20, 40))) {
			tree[e.off+e.size-20] ^= 1
		}
	}
	setTreeBytes(t, sp.disk, tree)
	db := openOn(t, sp.disk)
	if r := db.OpenReport(); r.TornBytes == 0 || r.Commits == 0 {
		t.Errorf("report: %+v", r)
	}
	if ok, err := db.Has([]byte("last")); ok || err != nil && !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("the torn commit: %v, %v", ok, err)
	}
	for i := range 6 { // of the log
		wantValue(t, db, []byte(keyOf("u", i)), []byte(valueOf("u", i, 50)))
	}
	damaged := 0
	for i := range 30 {
		value, err := db.Get([]byte(keyOf("k", i)))
		gone := i == 3 || i >= 10 && i < 13
		switch {
		case errors.Is(err, engine.ErrCorrupt):
			damaged++
		case gone && errors.Is(err, engine.ErrNotFound):
		case err != nil || string(value) != valueOf("k", i, 40):
			t.Errorf("key %d: %q, %v", i, value, err)
		}
	}
	if damaged == 0 {
		t.Error("the damage was not met")
	}
	_ = db.Close() // it may need what is damaged
	report, err := verify.Run(context.Background(), dbDir, verify.Options{FS: sp.disk, Workers: 1})
	if err != nil || report.OK {
		t.Errorf("verify: %v, %v", report.OK, err)
	}
}
