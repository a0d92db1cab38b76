package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/engine/vfs"
)

func TestSize(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 999: "999 B", 1 << 10: "1 KiB", 10<<10 - 1: "10 KiB", 100 << 10: "100 KiB", 1000 << 10: "0.977 MiB",
		1<<20 - 1: "1 MiB", 8_200_192: "7.82 MiB", 64 << 20: "64 MiB", 1 << 40: "1 TiB",
	} {
		if have := size(n); have != want {
			t.Errorf("%d: %s, want %s", n, have, want)
		}
	}
}

// A snapshot that is older than every memtable in which a transaction of its time
// could look for conflicts keeps none of them in memory.
func TestRecent_NotForOldSnapshots(t *testing.T) {
	db, err := Open("/db", &Options{FS: vfs.NewMem(), Sync: SyncOff, MemtableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := db.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	value := make([]byte, 4000)
	for i := range 5000 {
		if err := db.Put(fmt.Appendf(nil, "k%07d", i), value); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := db.version.Load().active.number; n < 2*maxRecent {
		t.Fatalf("only %d memtables were frozen", n)
	}
	if n := len(*db.recent.Load()); n > 1 {
		t.Errorf("%d memtables are kept", n)
	}
}

// stopsInSync is a file system one sync of whose logs waits.
type stopsInSync struct {
	vfs.FS
	armed      bool
	here, goOn chan struct{}
}

type stopsInSyncFile struct {
	vfs.File
	fs *stopsInSync
}

func (s *stopsInSync) Open(name string, mode vfs.Mode) (vfs.File, error) {
	f, err := s.FS.Open(name, mode)
	if err != nil || !strings.Contains(name, "/wal/") {
		return f, err
	}
	return &stopsInSyncFile{f, s}, nil
}

func (f *stopsInSyncFile) Sync() error {
	if f.fs.armed {
		f.fs.armed = false
		close(f.fs.here)
		<-f.fs.goOn
	}
	return f.File.Sync()
}

// A database that has failed does not wait, when it is closed, for the sync of a
// commit to show what it made durable: that one finds that it is closed.
func TestClose_FailedInASync(t *testing.T) {
	fs := &stopsInSync{FS: vfs.NewMem(), here: make(chan struct{}), goOn: make(chan struct{})}
	db, err := Open("/db", &Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	fs.armed = true
	created := make(chan error, 1)
	go func() {
		_, err := db.CreateKeyspace("a", nil)
		created <- err
	}()
	<-fs.here
	why := errors.New("another failure")
	db.fail(why)
	closed := make(chan error, 1)
	go func() { closed <- db.Close() }()
	for db.version.Load() != nil { // Close has come as far as to wait for the sync
		select {
		case err := <-closed:
			t.Fatalf("closed in the middle of a sync: %v", err)
		default:
		}
	}
	close(fs.goOn)
	<-created // whatever came of it: it did not end the process
	if err := <-closed; !errors.Is(err, why) {
		t.Errorf("close: %v, want %v", err, why)
	}
}
