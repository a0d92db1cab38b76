package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// Group commit, with the disk standing still in the middle of a sync while
// others commit.

// slowDisk is a disk whose next sync does not return before release.
type slowDisk struct {
	*faultfs.Injector
	release chan struct{}
	syncs   int // since the slow one began
}

func newSlowDisk() *slowDisk { return &slowDisk{Injector: faultfs.Inject(vfs.NewMem())} }

func (d *slowDisk) stopAtSync() {
	d.release = make(chan struct{})
	d.SetHook(func(op faultfs.Op) error {
		if op.Kind == faultfs.OpSync {
			if d.syncs++; d.syncs == 1 {
				<-d.release
			}
		}
		return nil
	})
}

// putAll puts n keys by as many goroutines, and returns when all of them wait.
func putAll(db *engine.DB, n int) <-chan error {
	done := make(chan error, n)
	for i := range n {
		go func() { done <- db.Put(fmt.Appendf(nil, "k%d", i), []byte("v")) }()
	}
	synctest.Wait()
	return done
}

// Those who commit during a sync share the next one.
func TestGroupCommit_OneSyncForAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newSlowDisk()
		db := openOn(t, disk)
		disk.stopAtSync()
		first := putAll(db, 1)
		rest := putAll(db, 20)
		if disk.syncs != 1 || len(first) > 0 || len(rest) > 0 {
			t.Fatalf("%d syncs, and %d commits returned, while the first sync is under way", disk.syncs, len(first)+len(rest))
		}
		close(disk.release)
		synctest.Wait()
		if disk.syncs != 2 || len(first) != 1 || len(rest) != 20 {
			t.Errorf("%d syncs for the commits of before and during the first; %d of 21 returned", disk.syncs, len(first)+len(rest))
		}
		closeDB(t, db)
	})
}

// A failure of one who does not wait for the sync ends the wait of all those
// whom no sync will ever be for.
func TestGroupCommit_FailureEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newSlowDisk()
		db := openOn(t, disk)
		disk.stopAtSync()
		first := putAll(db, 1)
		rest := putAll(db, 20)
		disk.FailNth(1, faultfs.ErrIO, false, faultfs.OpWrite)
		if err := db.Put([]byte("k"), []byte("v")); !errors.Is(err, engine.ErrFailed) {
			t.Errorf("the commit that could not be written: %v", err)
		}
		closed := make(chan error, 1)
		go func() { closed <- db.Close() }()
		synctest.Wait()
		close(disk.release)
		synctest.Wait()
		if err := <-first; err != nil {
			t.Errorf("the commit that was synced: %v", err)
		}
		if len(rest) != 20 {
			t.Fatalf("%d of 20 commits returned", len(rest))
		}
		for range 20 {
			if err := <-rest; !errors.Is(err, engine.ErrFailed) || !errors.Is(err, engine.ErrCommitUnknown) {
				t.Errorf("a commit that was not synced: %v", err)
			}
		}
		if err := <-closed; !errors.Is(err, engine.ErrFailed) {
			t.Errorf("close: %v", err)
		}
	})
}

// A keyspace shows when its creation is durable.
func TestKeyspace_ShowsWhenItIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newSlowDisk()
		db := openOn(t, disk)
		disk.stopAtSync()
		created := make(chan error, 1)
		go func() {
			_, err := db.CreateKeyspace("users", nil)
			created <- err
		}()
		synctest.Wait()
		if _, err := db.Keyspace("users"); !errors.Is(err, engine.ErrNoKeyspace) || len(created) > 0 {
			t.Errorf("while it is not durable: %v, and %d returned", err, len(created))
		}
		close(disk.release)
		if err := <-created; err != nil {
			t.Error(err)
		}
		if _, err := db.Keyspace("users"); err != nil {
			t.Errorf("once it is durable: %v", err)
		}
		closeDB(t, db)
	})
}

// What is frozen while a checkpoint writes stays where it is read.
func TestCheckpoint_LeavesWhatIsFrozenMeanwhile(t *testing.T) {
	in := faultfs.Inject(vfs.NewMem())
	o := small(off)
	o.FS, o.MemtableBytes = in, 1<<10
	db := open(t, dbDir, o)
	mustPut(t, db, "a", valueOf("a", 1, 100))
	reached, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	in.SetHook(func(op faultfs.Op) error {
		if op.Kind == faultfs.OpSync && strings.Contains(op.Name, "btree") {
			once.Do(func() {
				close(reached)
				<-release
			})
		}
		return nil
	})
	done := make(chan error, 1)
	go func() {
		_, err := db.Checkpoint(context.Background())
		done <- err
	}()
	<-reached
	mustPut(t, db, "b", valueOf("b", 1, 2000)) // fills the memtable
	mustPut(t, db, "c", "freezes it")
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	wantValue(t, db, []byte("a"), []byte(valueOf("a", 1, 100)))
	wantValue(t, db, []byte("b"), []byte(valueOf("b", 1, 2000)))
	wantValue(t, db, []byte("c"), []byte("freezes it"))
	closeDB(t, db)
}
