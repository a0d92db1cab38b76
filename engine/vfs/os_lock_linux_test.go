package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Between opening the lock's file and locking it, somebody may remove it, and
// somebody else lock a new one: the lock on the old one excludes nobody.
func TestLockFile_ReplacedMeanwhile(t *testing.T) {
	for _, remade := range []bool{false, true} {
		name := filepath.Join(t.TempDir(), "LOCK")
		f, err := openRegular(name, Create)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if remade {
			if err := os.WriteFile(name, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := lockFile(f, name, "me"); !errors.Is(err, errMoved) {
			t.Errorf("lockFile (made again: %v) = %v, want errMoved", remade, err)
		}
	}
}
