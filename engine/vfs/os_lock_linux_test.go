package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Between opening the lock's file and locking it, somebody may remove it, and
// somebody else lock a new one: the lock on the old one excludes nobody.
func TestLockFile_ReplacedMeanwhile(t *testing.T) {
	for _, remade := range []bool{false, true} {
		name := filepath.Join(t.TempDir(), "LOCK")
		f, err := openRegular(name, Create, os.OpenFile)
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

// A program that this process is starting has all its files open, too, until
// it runs; a lock that was closed is released all the same.
func TestLock_ReleasedBesideAFork(t *testing.T) {
	name := filepath.Join(t.TempDir(), "LOCK")
	l, err := OS().Lock(name, "me")
	if err != nil {
		t.Fatal(err)
	}
	held := l.(*osLock)
	var forked int
	err = control("dup", held.file, func(fd int) (err error) {
		forked, err = unix.Dup(fd)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(forked)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := OS().Lock(name, "me again")
	if err != nil {
		t.Fatalf("after Close: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
