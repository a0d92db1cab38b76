package engine_test

import (
	"errors"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

func TestRemove(t *testing.T) {
	fs := vfs.NewMem()
	if err := engine.Remove(fs, "db"); !errors.Is(err, engine.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
	db, err := engine.Open("db", &engine.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Put([]byte("a"), []byte("b")); err != nil {
		t.Fatal(err)
	}
	if err := engine.Remove(fs, "db"); !errors.Is(err, engine.ErrLocked) {
		t.Errorf("of an open one: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	if err := fs.WriteFile("db/notes.txt", []byte("mine")); err != nil {
		t.Fatal(err)
	}
	if err := engine.Remove(fs, "db"); err == nil {
		t.Error("a directory with somebody's file was removed")
	}
	if b, err := fs.ReadFile("db/notes.txt"); err != nil || string(b) != "mine" {
		t.Errorf("somebody's file: %q, %v", b, err)
	}
	if err := fs.WriteFile("text/notes.txt", nil); err != nil {
		t.Fatal(err)
	}
	if err := engine.Remove(fs, "text"); !errors.Is(err, engine.ErrFormat) {
		t.Errorf("of no database: %v", err)
	}

	// A damaged one goes, too.
	db, err = engine.Open("bad", &engine.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Put([]byte("a"), []byte("b")); err != nil {
		t.Fatal(err)
	}
	crashed := fs.Clone()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := crashed.Remove("bad/btree.db"); err != nil {
		t.Fatal(err)
	}
	if err := engine.Remove(crashed, "bad"); err != nil {
		t.Errorf("of a damaged one: %v", err)
	}
	if names := crashed.Names(); len(names) != 2 {
		t.Errorf("left: %v", names)
	}
}
