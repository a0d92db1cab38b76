package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// ballastBytes is the length of the file that is reserved for a full disk.
const ballastBytes = 256 << 10

// F5: on a full disk, with nothing left of it, reading, deleting and
// checkpoints work, thanks to what is reserved; and when there is space again,
// writing does, and the reserve is made anew.
func TestF05_FullDisk_DeletesAndCheckpoints(t *testing.T) {
	for _, sync := range []engine.SyncMode{engine.SyncFull, engine.SyncNormal} {
		t.Run(sync.String(), func(t *testing.T) {
			disk := vfs.NewMem()
			in := faultfs.Inject(disk)
			db := open(t, dbDir, engine.Options{FS: in, Sync: sync, SegmentBytes: 64 << 10})
			const n = 200
			for i := range n {
				mustPut(t, db, keyOf("k", i), valueOf("k", i, 1000))
			}
			if _, err := db.Checkpoint(context.Background()); err != nil {
				t.Fatal(err)
			}
			full := fillDisk(t, in, db)

			for i := range n {
				wantValue(t, db, []byte(keyOf("k", i)), []byte(valueOf("k", i, 1000)))
			}
			for i := range n / 4 { // more than a page of log
				if err := db.Delete([]byte(keyOf("k", i))); err != nil {
					t.Fatalf("delete on a full disk: %v", err)
				}
			}
			if _, err := db.Checkpoint(context.Background()); err != nil {
				t.Fatalf("checkpoint on a full disk: %v", err)
			}
			if err := db.DeleteRange([]byte(keyOf("k", n/4)), []byte(keyOf("k", n/2))); err != nil {
				t.Fatalf("delete of a range on a full disk: %v", err)
			}
			if err := db.Update(context.Background(), func(tx *engine.Tx) error {
				_, err := tx.Get([]byte(keyOf("k", n-1)))
				return errors.Join(err, tx.Delete([]byte(keyOf("k", n-1))))
			}); err != nil {
				t.Fatalf("transaction that deletes on a full disk: %v", err)
			}
			if _, err := db.Checkpoint(context.Background()); err != nil {
				t.Fatalf("checkpoint on a full disk: %v", err)
			}
			for i := range n {
				gone := i < n/2 || i == n-1
				if ok, err := db.Has([]byte(keyOf("k", i))); ok == gone || err != nil {
					t.Errorf("key %d: %v, %v", i, ok, err)
				}
			}

			in.SetCapacity(full + 1<<20)
			mustPut(t, db, "space", "again")
			if _, err := db.Checkpoint(context.Background()); err != nil {
				t.Fatal(err)
			}
			if size := fileSize(disk, dbDir+"/ballast"); size != ballastBytes {
				t.Errorf("the reserve has %d bytes, want %d", size, ballastBytes)
			}
			closeDB(t, db)
			if err := checkDatabase(disk, dbDir); err != nil {
				t.Error(err)
			}
		})
	}
}

// fillDisk makes the disk as small as what is on it, and commits until the log
// has no room either. It returns how much that is.
func fillDisk(t *testing.T, in *faultfs.Injector, db *engine.DB) int64 {
	t.Helper()
	size := in.Fill() // a sum of sizes would miss what is renamed meanwhile
	for i := 0; ; i++ {
		err := db.Put([]byte("fill"), []byte(valueOf("fill", i, 500)))
		if errors.Is(err, engine.ErrNoSpace) && !errors.Is(err, engine.ErrFailed) {
			if !strings.Contains(err.Error(), "bytes are wanted") {
				t.Errorf("%v: does not say how much is wanted", err)
			}
			return size
		}
		if err != nil || i > 10_000 {
			t.Fatalf("put %d on a full disk: %v", i, err)
		}
	}
}

func filesOf(t *testing.T, fsys vfs.FS, dir string) (files []string) {
	t.Helper()
	names, err := fsys.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		name = dir + "/" + name
		if info, err := fsys.Stat(name); err == nil && info.IsDir {
			files = append(files, filesOf(t, fsys, name)...)
		} else {
			files = append(files, name)
		}
	}
	return files
}

func fileSize(fsys vfs.FS, name string) int64 {
	info, err := fsys.Stat(name)
	if err != nil {
		return -1
	}
	return info.Size
}

// F5: a full disk is no reason to refuse commits as long as there is a kept log:
// that is given up, the oldest of it first, and what is left can be followed.
func TestF05_FullDisk_KeptLog(t *testing.T) {
	disk := vfs.NewMem()
	in := faultfs.Inject(disk)
	in.SetCapacity(2 << 20)
	db := open(t, dbDir, engine.Options{FS: in, Sync: engine.SyncOff, SegmentBytes: 64 << 10, MemtableBytes: 64 << 10})
	keepLog(t, disk, true)
	const n = 8000 // four times what the disk holds
	var since engine.BackupInfo
	for i := range n {
		if err := db.Put([]byte(keyOf("k", i%50)), []byte(valueOf("k", i, 1000))); err != nil {
			t.Fatalf("put %d: %v", i, err)
		}
		if i == n-200 {
			_, since = backup(t, db, nil)
		}
	}
	if _, info := backup(t, db, &since); info.Commits != 199 {
		t.Errorf("since then: %+v", info)
	}
	closeDB(t, db)
	if err := checkDatabase(disk, dbDir); err != nil {
		t.Error(err)
	}
}

// F5: nor is it one not to make a checkpoint.
func TestF05_FullDisk_KeptLogForACheckpoint(t *testing.T) {
	disk := vfs.NewMem()
	in := faultfs.Inject(disk)
	db := open(t, dbDir, engine.Options{FS: in, Sync: engine.SyncOff, SegmentBytes: 1 << 20})
	keepLog(t, disk, true)
	var since engine.BackupInfo
	for i := range 6 {
		if i == 4 {
			_, since = backup(t, db, nil)
		}
		for i := range 1000 {
			mustPut(t, db, keyOf("k", i%50), valueOf("k", i, 1000))
		}
		if _, err := db.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 600 { // more than the ballast
		mustPut(t, db, keyOf("new", i), valueOf("new", i, 1000))
	}
	in.Fill()
	if _, err := db.Checkpoint(context.Background()); err != nil {
		t.Error(err)
	}
	if _, info := backup(t, db, &since); info.Commits != 2600 {
		t.Errorf("since then: %+v", info)
	}
	closeDB(t, db)
	if err := checkDatabase(disk, dbDir); err != nil {
		t.Error(err)
	}
}

// F5: a disk that the log alone has filled, with memtables that do not fit on
// it any more, is got out of by deleting: what was deleted needs no space in
// the tree, and the log is let go.
func TestF05_FullDisk_OfLog(t *testing.T) {
	disk := vfs.NewMem()
	in := faultfs.Inject(disk)
	in.SetCapacity(1 << 20)
	db := open(t, dbDir, engine.Options{FS: in, SegmentBytes: 64 << 10})
	var err error
	n := 0
	for ; err == nil; n++ {
		err = db.Put([]byte(keyOf("k", n)), []byte(valueOf("k", n, 1000)))
		if n > 10_000 {
			t.Fatal("the disk does not get full")
		}
	}
	if !errors.Is(err, engine.ErrNoSpace) {
		t.Fatal(err)
	}
	if err := db.DeleteRange(nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Checkpoint(context.Background()); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		mustPut(t, db, keyOf("new", i), valueOf("new", i, 1000))
	}
	closeDB(t, db)
	if err := checkDatabase(disk, dbDir); err != nil {
		t.Error(err)
	}
}

// F5: with memtables that are full, and no room to merge them, a commit that
// only deletes need not wait for room.
func TestF05_FullDisk_FullMemtables(t *testing.T) {
	disk := vfs.NewMem()
	in := faultfs.Inject(disk)
	db := open(t, dbDir, engine.Options{FS: in, MemtableBytes: 64 << 10, SegmentBytes: 64 << 10})
	treeIsFull := func(op faultfs.Op) error {
		if op.Kind == faultfs.OpWrite && strings.HasSuffix(op.Name, "btree.db") && op.Off >= 8192 {
			return vfs.ErrNoSpace
		}
		return nil
	}
	in.SetHook(treeIsFull)
	var err error
	n := 0
	for ; err == nil && n < 10_000; n++ {
		err = db.Put([]byte(keyOf("k", n)), []byte(valueOf("k", n, 1000)))
	}
	if !errors.Is(err, engine.ErrNoSpace) {
		t.Fatalf("put %d: %v", n, err)
	}
	for i := range 10 {
		if err := db.Delete([]byte(keyOf("k", i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.DeleteRange(nil, nil); err != nil {
		t.Fatal(err)
	}
	in.SetHook(nil)
	mustPut(t, db, "space", "again")
	wantValue(t, db, []byte("space"), []byte("again"))
	if ok, err := db.Has([]byte(keyOf("k", 100))); ok || err != nil {
		t.Errorf("a deleted key: %v, %v", ok, err)
	}
	closeDB(t, db)
	if err := checkDatabase(disk, dbDir); err != nil {
		t.Error(err)
	}
}

// F5: a database whose process died on a full disk can be opened on it, by the
// reserve, and deleted from.
func TestF05_FullDisk_OpenAfterACrash(t *testing.T) {
	disk := vfs.NewMem()
	in := faultfs.Inject(disk)
	o := engine.Options{FS: in, Sync: engine.SyncOff, SegmentBytes: 64 << 10}
	db := open(t, dbDir, o)
	for i := range 100 {
		mustPut(t, db, keyOf("k", i), valueOf("k", i, 1000))
	}
	if err := db.Sync(); err != nil {
		t.Fatal(err)
	}
	size := fillDisk(t, in, db)
	crashed := disk.Clone() // the process is gone, be it in a checkpoint that has the reserve; what it wrote is there

	after := faultfs.Inject(crashed)
	for _, name := range filesOf(t, crashed, dbDir) {
		f, err := after.Open(name, vfs.ReadOnly) // it counts what was opened through it
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	after.SetCapacity(size)
	o.FS = after
	again := open(t, dbDir, o)
	for i := range 100 {
		wantValue(t, again, []byte(keyOf("k", i)), []byte(valueOf("k", i, 1000)))
	}
	if err := again.Delete([]byte(keyOf("k", 0))); err != nil {
		t.Error(err)
	}
	if err := again.DeleteRange(nil, nil); err != nil {
		t.Error(err)
	}
	if _, err := again.Checkpoint(context.Background()); err != nil {
		t.Error(err)
	}
	closeDB(t, again)
	if err := checkDatabase(crashed, dbDir); err != nil {
		t.Error(err)
	}
	_ = db.Close()
}

// The reserve is nobody's business: it is made where it is missing, no error
// where it cannot be, removed with the database, and in no backup.
func TestBallast(t *testing.T) {
	disk := vfs.NewMem()
	o := engine.Options{FS: disk}
	db := open(t, dbDir, o)
	mustPut(t, db, "k", "v")
	if size := fileSize(disk, dbDir+"/ballast"); size != ballastBytes {
		t.Errorf("the reserve has %d bytes, want %d", size, ballastBytes)
	}
	var backup bytes.Buffer
	if _, err := db.Backup(context.Background(), &backup, nil); err != nil || backup.Len() > 1000 {
		t.Errorf("a backup of %d bytes, %v", backup.Len(), err)
	}
	closeDB(t, db)
	for _, broken := range []func() error{
		func() error { return disk.Remove(dbDir + "/ballast") },
		func() error { return disk.WriteFile(dbDir+"/ballast", []byte("cut off")) },
	} {
		if err := broken(); err != nil {
			t.Fatal(err)
		}
		if err := checkDatabase(disk, dbDir); err != nil {
			t.Error(err)
		}
		reader := open(t, dbDir, engine.Options{FS: disk, ReadOnly: true})
		closeDB(t, reader)
		closeDB(t, open(t, dbDir, o))
		if size := fileSize(disk, dbDir+"/ballast"); size != ballastBytes {
			t.Errorf("made again, the reserve has %d bytes", size)
		}
	}

	in := faultfs.Inject(disk)
	in.SetHook(func(op faultfs.Op) error {
		if strings.HasSuffix(op.Name, "ballast") {
			return faultfs.ErrIO
		}
		return nil
	})
	o.FS = in
	db = open(t, dbDir, o)
	mustPut(t, db, "k", "w")
	closeDB(t, db)

	if err := engine.Remove(disk, dbDir); err != nil {
		t.Error(err)
	}
	if names := disk.Names(); len(names) != 0 {
		t.Errorf("left: %s", fmt.Sprint(names))
	}
}
