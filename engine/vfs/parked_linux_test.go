package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// noQueues takes away what earlier syncs have left.
func noQueues() {
	for len(syncQueues) > 0 {
		<-syncQueues
	}
}

func TestOS_SyncParked(t *testing.T) {
	noQueues()
	var wg sync.WaitGroup
	for i := range 3 * cap(syncQueues) {
		wg.Go(func() {
			f, err := OS().Open(filepath.Join(t.TempDir(), fmt.Sprint(i)), CreateNew)
			if err != nil {
				t.Error(err)
				return
			}
			for j := range 5 {
				if _, err := f.WriteAt([]byte("some bytes"), int64(j)); err != nil {
					t.Error(err)
				}
				if err := SyncParked(f); err != nil {
					t.Error(err)
				}
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			if err := SyncParked(f); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("of a closed file: %v", err)
			}
		})
	}
	wg.Wait()
	if n := len(syncQueues); n != cap(syncQueues) {
		t.Errorf("%d queues are kept, want %d", n, cap(syncQueues))
	}
}

// What the kernel says of a sync that it carried out is the error; a file that
// it does not sync so is synced as others are.
func TestOS_SyncParked_Errors(t *testing.T) {
	noQueues()
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := &osFile{name: "full", file: full}
	defer f.file.Close()
	if have, want := f.SyncParked(), f.Sync(); !errors.Is(have, unix.EINVAL) || fmt.Sprint(have) != fmt.Sprint(want) {
		t.Errorf("a device: %v, want %v", have, want)
	}
	q := takeQueue()
	if q == nil {
		t.Fatal("no queue")
	}
	defer q.give()
	if q.submit(-1) {
		t.Error("a sync of nothing was submitted")
	}
}

// Where the system has no queue to give, a sync is an ordinary one.
func TestOS_SyncParked_WithoutQueues(t *testing.T) {
	f, err := OS().Open(filepath.Join(t.TempDir(), "file"), CreateNew)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	noQueues()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	q, syncErr := takeQueue(), SyncParked(f)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if q != nil || len(syncQueues) > 0 {
		t.Error("there was a queue")
	}
	if syncErr != nil {
		t.Error(syncErr)
	}
}

// When it returns, no page of the file waits to be written.
func TestOS_SyncParked_Writes(t *testing.T) {
	file, err := OS().Open(filepath.Join(t.TempDir(), "file"), CreateNew)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	f := file.(*osFile)
	for range 10 {
		if _, err := f.WriteAt(make([]byte, 1<<20), 0); err != nil {
			t.Fatal(err)
		}
		if unwritten(t, f) == 0 {
			t.Skip("the file system writes at once, or has no disk")
		}
		if err := f.SyncParked(); err != nil {
			t.Fatal(err)
		}
		if n := unwritten(t, f); n > 0 {
			t.Fatalf("%d pages wait to be written", n)
		}
	}
}

// unwritten is how many pages of a file are dirty or being written.
func unwritten(t *testing.T, f *osFile) uint64 {
	t.Helper()
	const cachestat = 451 // since Linux 6.5
	var at [2]uint64      // all of it
	var stat struct{ cache, dirty, writeback, evicted, recentlyEvicted uint64 }
	_, _, e := unix.Syscall6(cachestat, f.file.Fd(), uintptr(unsafe.Pointer(&at)), uintptr(unsafe.Pointer(&stat)), 0, 0, 0)
	if e != 0 {
		t.Skip("cachestat: ", e)
	}
	return stat.dirty + stat.writeback
}
