//go:build unix

package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

// A link in the place of the kept log's directory leads no segment out of the
// database.
func TestKeepLog_FollowsNoLink(t *testing.T) {
	root := t.TempDir()
	dir, outside := filepath.Join(root, "db"), filepath.Join(root, "outside")
	db := open(t, dir, engine.Options{SegmentBytes: 64 << 10, MaxHeldBytes: 1})
	if err := os.Mkdir(outside, 0o700); err != nil {
		t.Fatal(err)
	}
	victim := filepath.Join(outside, "0000000000000001.log")
	if err := os.WriteFile(victim, make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "kept")); err != nil {
		t.Fatal(err)
	}
	if err := engine.KeepLog(vfs.OS(), dir, true); err == nil {
		t.Error("KeepLog takes a link for the directory")
	}
	for i := range 200 {
		mustPut(t, db, keyOf("k", i), valueOf("k", i, 1000))
	}
	closeDB(t, db)
	if err := engine.KeepLog(vfs.OS(), dir, false); err != nil {
		t.Error(err)
	}
	if names, err := os.ReadDir(outside); err != nil || len(names) != 1 || names[0].Name() != filepath.Base(victim) {
		t.Errorf("behind the link: %v, %v", names, err)
	}
}

// A symbolic link that somebody has put in the place of a file of the database
// is never written through, nor read.
func TestOpen_FollowsNoLinks(t *testing.T) {
	for _, name := range []string{
		"btree.db", "btree.db.new", "LOCK", "LOCK.reader-0000000000000001", "ballast", "wal",
		"wal/0000000000000001.log", "wal/0000000000000002.log", "wal/0000000000000003.log", "wal/2.tmp", "wal/3.tmp", "wal/spare-1",
	} {
		for _, there := range []bool{false, true} { // a database, to start with
			root := t.TempDir()
			dir, victim := filepath.Join(root, "db"), filepath.Join(root, "victim")
			if there {
				db := open(t, dir, engine.Options{SegmentBytes: 64 << 10})
				mustPut(t, db, "k", "v")
				closeDB(t, db)
			} else if err := os.MkdirAll(filepath.Join(dir, "wal"), 0o700); err != nil {
				t.Fatal(err)
			}
			const text = "not yours\n"
			if err := os.WriteFile(victim, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(victim, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			// It may open, or say what is wrong.
			if db, err := engine.Open(dir, &engine.Options{SegmentBytes: 64 << 10}); err == nil {
				for i := range 200 {
					if db.Put([]byte(keyOf("k", i)), []byte(valueOf("k", i, 1000))) != nil {
						break
					}
				}
				_, _ = db.Checkpoint(context.Background())
				_ = db.Close()
			}
			if db, err := engine.Open(dir, &engine.Options{ReadOnly: true}); err == nil {
				_, _ = db.Get([]byte("k"))
				_ = db.Close()
			}
			if have, err := os.ReadFile(victim); err != nil || string(have) != text {
				t.Errorf("%s, in a database: %v: the file behind it now holds %d bytes, %v", name, there, len(have), err)
			}
			if info, err := os.Lstat(victim); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: the file behind it: %v, %v", name, info.Mode(), err)
			}
		}
	}
}
