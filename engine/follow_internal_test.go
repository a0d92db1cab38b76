package engine

import (
	"context"
	"runtime"
	"testing"

	"github.com/lightning-db/lightning/engine/vfs"
)

// Who loads a version and then the number that is visible, as a get without a
// view does, never gets one from before the version was replayed. The watcher
// misses a wrong order now and then, never all the time, where it has a
// processor to itself.
func TestRefresh_ShowsTheNumberFirst(t *testing.T) {
	fs := vfs.NewMem()
	w, err := Open("db", &Options{FS: fs, Sync: SyncOff})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	write := func() {
		if _, err := w.Checkpoint(context.Background()); err != nil { // so that Refresh replays
			t.Fatal(err)
		}
		if err := w.Put([]byte("k"), []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	write()
	r, err := Open("db", &Options{FS: fs, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case <-stop:
				return
			default:
			}
			for range 1000 {
				v := r.version.Load()
				seq := r.visible.Load()
				if last := uint64(v.active.table.LastSeq()); last > seq {
					t.Errorf("a get would read the memtable up to operation %d at %d", last, seq)
					return
				}
			}
			runtime.Gosched()
		}
	}()
	for range 100 {
		write()
		if err := r.Refresh(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	<-watched
}
