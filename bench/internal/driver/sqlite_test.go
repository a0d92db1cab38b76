//go:build cgo && sqlite

package driver

import (
	"os"
	"path/filepath"
	"testing"
)

// TestSQLite_OpensWithoutMergingTheLog: opening after a crash reads the log, and
// does not merge it into the file, which is left to checkpoints.
func TestSQLite_OpensWithoutMergingTheLog(t *testing.T) {
	c := Config{CacheBytes: 8 << 20, DataBytes: 64 << 20, Workers: 1, Unmerged: true}
	dir, crashed := t.TempDir(), t.TempDir()
	db, err := openSQLite(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	s, err := db.Session()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put([]byte("key"), []byte("value")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(crashed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	db, err = openSQLite(crashed, c)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(crashed, "sqlite.db-wal"))
	if err != nil || info.Size() == 0 {
		t.Errorf("the log is %v, %v: want it as it was", info, err)
	}
	if s, err = db.Session(); err != nil {
		t.Fatal(err)
	}
	if value, found, err := s.Get(nil, []byte("key")); err != nil || !found || string(value) != "value" {
		t.Errorf("Get is %q, %v, %v", value, found, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
