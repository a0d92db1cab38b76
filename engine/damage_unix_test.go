//go:build unix

package engine_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/lightning-db/lightning/engine"
)

// F13 on systems that have more to stand in the way: a pipe, which an open
// must not wait for, a link that leads in a circle, and a link to a file that
// is somebody else's.
func TestF13_ForeignFiles_Unix(t *testing.T) {
	t.Run("pipe", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "db")
		if err := errors.Join(os.Mkdir(dir, 0o700), syscall.Mkfifo(filepath.Join(dir, "btree.db"), 0o600)); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, nil)
	})
	t.Run("circle", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "db")
		if err := os.Symlink(dir, dir); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, nil)
	})
	t.Run("link", func(t *testing.T) {
		root := t.TempDir()
		dir, theirs := filepath.Join(root, "db"), filepath.Join(root, "theirs")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(theirs, []byte("theirs"), 0o600),
			os.Symlink(theirs, filepath.Join(dir, "btree.db"))); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, nil)
		if data, err := os.ReadFile(theirs); err != nil || string(data) != "theirs" {
			t.Errorf("what the link leads to: %q, %v", data, err)
		}
	})
}

// F15: whoever removes the file LOCK of a database that is open, as a leftover,
// lets no second writer in.
func TestF15_LockFileRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	db := open(t, dir, engine.Options{})
	if err := os.Remove(filepath.Join(dir, "LOCK")); err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Open(dir, nil); !errors.Is(err, engine.ErrLocked) {
		t.Fatalf("a second writer: %v, want ErrLocked", err)
	}
	if err := db.Put([]byte("a"), []byte("b")); err != nil {
		t.Fatal(err)
	}
	reader := open(t, dir, engine.Options{ReadOnly: true})
	wantValue(t, reader, []byte("a"), []byte("b"))
	closeDB(t, reader)
	closeDB(t, db)
	closeDB(t, open(t, dir, engine.Options{}))
}
