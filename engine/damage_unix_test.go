//go:build unix

package engine_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
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
