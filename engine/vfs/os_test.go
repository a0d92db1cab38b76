package vfs_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/vfstest"
)

func TestOS(t *testing.T) {
	vfstest.TestFS(t, func(t *testing.T) (vfs.FS, string) { return vfs.OS(), t.TempDir() })
}

func TestOS_Open_DoesNotFollowLinks(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.WriteFile(target, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		if runtime.GOOS == "windows" {
			t.Skipf("this account may not make links: %v", err)
		}
		t.Fatal(err)
	}
	for _, mode := range []vfs.Mode{vfs.ReadOnly, vfs.ReadWrite, vfs.Create, vfs.CreateNew} {
		if f, err := vfs.OS().Open(link, mode); err == nil {
			f.Close()
			t.Errorf("Open(link, %d) followed it", mode)
		}
	}
	if _, err := vfs.OS().Lock(link, "me"); err == nil {
		t.Error("Lock followed a link")
	}
	info, err := vfs.OS().Stat(link)
	if err != nil || info.Regular || info.IsDir {
		t.Errorf("Stat(link) = %+v, %v, want neither file nor directory", info, err)
	}
}

func TestIsNoSpace(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("other"), false},
		{os.ErrNotExist, false},
		{&os.PathError{Err: vfs.ErrNoSpace}, true},
	} {
		if have := vfs.IsNoSpace(c.err); have != c.want {
			t.Errorf("IsNoSpace(%v) = %v", c.err, have)
		}
	}
}

func TestOS_FreeSpace(t *testing.T) {
	fs := vfs.OS().(vfs.FreeSpacer)
	dir := t.TempDir()
	if n, err := fs.FreeSpace(dir); n <= 0 || err != nil {
		t.Errorf("%d bytes are free where a directory could be made, %v", n, err)
	}
	if n, err := fs.FreeSpace(filepath.Join(dir, "none")); err == nil {
		t.Errorf("%d bytes are free in a directory that is not there", n)
	}
}
