package vfs

import (
	"bytes"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Where the system has no block for a mapped page, as a file system that copies
// on write on a full disk, a write says why, and later ones get through. A window
// that cannot be stored into stands for the first, and the size limit of the
// process, whose signal the runtime ignores, for the full disk.
func TestOS_Map_FaultOnAFullDisk(t *testing.T) {
	file, err := OS().Open(filepath.Join(t.TempDir(), "file"), CreateNew)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	f := file.(*osFile)
	if err := f.Allocate(0, 64<<10); err != nil {
		t.Fatal(err)
	}
	if err := f.Map(64 << 10); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mprotect(f.mapped.window[32<<10:], unix.PROT_READ); err != nil {
		t.Fatal(err)
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	limit := before
	limit.Cur = 40 << 10
	p := bytes.Repeat([]byte{1, 2, 3}, 1000)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	_, whole := f.WriteAt(p, 48<<10)
	_, part := f.WriteAt(p, 40<<10-100)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if !IsNoSpace(whole) {
		t.Errorf("all of it past the limit: %v, want one that IsNoSpace", whole)
	}
	if !IsNoSpace(part) {
		t.Errorf("100 bytes before the limit: %v, want one that IsNoSpace", part)
	}
	for _, off := range []int64{48 << 10, 32<<10 - 1500, 0} {
		have := make([]byte, len(p))
		if n, err := f.WriteAt(p, off); n != len(p) || err != nil {
			t.Errorf("WriteAt(%d bytes, %d) = %d, %v", len(p), off, n, err)
		}
		if _, err := f.ReadAt(have, off); err != nil || !bytes.Equal(have, p) {
			t.Errorf("the file does not hold at %d what was written: %v", off, err)
		}
	}
}
