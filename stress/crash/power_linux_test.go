package crash

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// What shuts a file system down is never aimed at one that is not the disk's.
func TestPower_OpensNoOtherFileSystem(t *testing.T) {
	loop, err := os.Open(os.DevNull) // any device
	if err != nil {
		t.Fatal(err)
	}
	defer loop.Close()
	p := &power{disk: &disk{kind: "ext4", loop: loop}}
	if dir, err := p.rootOf(t.TempDir()); err == nil {
		unix.Close(dir)
		t.Error("it opens a directory of another file system")
	}
}

// When use returns, the disk is not mounted, though others start programs all
// the time: what is mounted next is what lies on the disk.
func TestPower_UnmountsWhileOthersStartPrograms(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may mount a file system")
	}
	d, err := newDisk(filepath.Join(t.TempDir(), "image"), "ext4")
	if err == nil {
		err = d.use("", func(string) error { return nil })
	}
	if errors.Is(err, ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var others sync.WaitGroup
	defer others.Wait()
	end := make(chan struct{})
	defer close(end)
	for range 4 {
		others.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				if err := execute("true"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	p := &power{disk: d}
	for i := range 50 {
		err = d.use("", func(root string) error {
			if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o600); err != nil {
				return err
			}
			dir, err := p.rootOf(root)
			if err != nil {
				return err
			}
			defer unix.Close(dir)
			return unix.IoctlSetPointerInt(dir, shutdown, noLogFlush)
		})
		if err != nil {
			t.Fatalf("mount %d: %v", i, err)
		}
	}
}
