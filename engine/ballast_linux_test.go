package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

// F5 on a real file system: one of 8 MiB in memory, and the defaults of
// everything. When somebody else has filled it the database can be read, deleted
// from and checkpointed; when it has done so itself, it is emptied the same way;
// and without being opened again it takes writes when there is space.
func TestF05_FullDisk_Tmpfs(t *testing.T) {
	mount := t.TempDir()
	if err := unix.Mount("tmpfs", mount, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("a file system cannot be mounted here: %v", err)
	}
	defer func() {
		if err := unix.Unmount(mount, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	for _, sync := range []engine.SyncMode{engine.SyncFull, engine.SyncNormal} {
		t.Run(sync.String(), func(t *testing.T) {
			dir := filepath.Join(mount, sync.String())
			db := open(t, dir, engine.Options{Sync: sync})
			const n = 500
			for i := range n {
				mustPut(t, db, keyOf("k", i), valueOf("k", i, 1000))
			}
			if _, err := db.Checkpoint(context.Background()); err != nil {
				t.Fatal(err)
			}
			var stat unix.Stat_t
			if err := unix.Stat(filepath.Join(dir, "ballast"), &stat); err != nil || stat.Blocks*512 < ballastBytes {
				t.Fatalf("the reserve owns %d bytes, %v", stat.Blocks*512, err)
			}
			other := filepath.Join(mount, "other")
			f, err := os.Create(other)
			if err != nil {
				t.Fatal(err)
			}
			for err == nil {
				_, err = f.Write(make([]byte, 4096))
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			for i := range n / 2 {
				if err := db.Delete([]byte(keyOf("k", i))); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := db.Checkpoint(context.Background()); err != nil {
				t.Fatal(err)
			}
			for i := range n {
				if ok, err := db.Has([]byte(keyOf("k", i))); ok != (i >= n/2) || err != nil {
					t.Fatalf("key %d: %v, %v", i, ok, err)
				}
			}
			if err := os.Remove(other); err != nil {
				t.Fatal(err)
			}

			// Now nobody but the database fills it.
			wantFull(t, db, n)
			if err := db.DeleteRange(nil, nil); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Checkpoint(context.Background()); err != nil {
				t.Fatal(err)
			}
			mustPut(t, db, "space", "again")
			closeDB(t, db)
			if err := checkDatabase(vfs.OS(), dir); err != nil {
				t.Error(err)
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
		})
	}
}

// wantFull commits until the disk is full.
func wantFull(t *testing.T, db *engine.DB, from int) {
	t.Helper()
	for i := range 10_000 {
		err := db.Put([]byte(keyOf("k", from+i)), []byte(valueOf("k", i, 1000)))
		if errors.Is(err, engine.ErrNoSpace) && !errors.Is(err, engine.ErrFailed) {
			return
		}
		if err != nil {
			t.Fatalf("put %d: %v", i, err)
		}
	}
	t.Fatal("the disk does not get full")
}
