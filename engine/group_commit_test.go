package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
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
	syncs   atomic.Int32 // since the slow one began
}

func newSlowDisk() *slowDisk { return &slowDisk{Injector: faultfs.Inject(vfs.NewMem())} }

func (d *slowDisk) stopAtSync() {
	d.release = make(chan struct{})
	d.SetHook(func(op faultfs.Op) error {
		if op.Kind == faultfs.OpSync {
			if d.syncs.Add(1) == 1 {
				<-d.release
			}
		}
		return nil
	})
}

// putOne and applyOne are the two ways to wait for a sync: to let its leader
// write, and to write and wait.
func putOne(db *engine.DB, key string) error { return db.Put([]byte(key), []byte("v")) }

func applyOne(db *engine.DB, key string) error {
	b := db.NewBatch()
	if err := b.Put([]byte(key), []byte("v")); err != nil {
		return err
	}
	return db.Apply(context.Background(), b)
}

// commitAll commits n keys by as many goroutines, and returns when all of them
// wait.
func commitAll(db *engine.DB, n int, commit func(*engine.DB, string) error) <-chan error {
	done := make(chan error, n)
	for i := range n {
		go func() { done <- commit(db, fmt.Sprint("k", i)) }()
	}
	synctest.Wait()
	return done
}

// Those who commit during a sync share the next one.
func TestGroupCommit_OneSyncForAllWhoWait(t *testing.T) {
	for way, commit := range map[string]func(*engine.DB, string) error{"put": putOne, "apply": applyOne} {
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := newSlowDisk()
				db := openOn(t, disk)
				disk.stopAtSync()
				first := commitAll(db, 1, commit)
				rest := commitAll(db, 20, commit)
				if disk.syncs.Load() != 1 || len(first) > 0 || len(rest) > 0 {
					t.Fatalf("%d syncs, and %d commits returned, while the first sync is under way", disk.syncs.Load(), len(first)+len(rest))
				}
				close(disk.release)
				synctest.Wait()
				if disk.syncs.Load() != 2 || len(first) != 1 || len(rest) != 20 {
					t.Errorf("%d syncs for the commits of before and during the first; %d of 21 returned", disk.syncs.Load(), len(first)+len(rest))
				}
				closeDB(t, db)
			})
		})
	}
}

// A failure of one who does not wait for the sync ends the wait of all those
// whom no sync will ever be for.
func TestGroupCommit_FailureEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newSlowDisk()
		db := openOn(t, disk)
		disk.stopAtSync()
		first := commitAll(db, 1, applyOne)
		rest := commitAll(db, 20, applyOne)
		disk.FailNth(1, faultfs.ErrIO, false, faultfs.OpWrite)
		if err := applyOne(db, "k"); !errors.Is(err, engine.ErrFailed) {
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

// The same for those whose records nobody has written yet: nothing of theirs was
// done, and they are told so.
func TestGroupCommit_FailureBeforeTheWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newSlowDisk()
		db := openOn(t, disk)
		disk.stopAtSync()
		first := commitAll(db, 1, putOne)
		rest := commitAll(db, 20, putOne)
		disk.FailNth(1, faultfs.ErrIO, false, faultfs.OpWrite)
		if err := applyOne(db, "k"); !errors.Is(err, engine.ErrFailed) {
			t.Errorf("the commit that could not be written: %v", err)
		}
		close(disk.release)
		synctest.Wait()
		if err := <-first; err != nil {
			t.Errorf("the commit that was synced: %v", err)
		}
		if len(rest) != 20 {
			t.Fatalf("%d of 20 commits returned", len(rest))
		}
		for range 20 {
			if err := <-rest; !errors.Is(err, engine.ErrFailed) || errors.Is(err, engine.ErrCommitUnknown) {
				t.Errorf("a commit that was never written: %v", err)
			}
		}
		if err := db.Close(); !errors.Is(err, engine.ErrFailed) {
			t.Errorf("close: %v", err)
		}
	})
}

// Whoever waits for a leader when the database is closed is told so, and has
// committed nothing; what was logged before is durable.
func TestGroupCommit_Close(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newSlowDisk()
		db := openOn(t, disk)
		disk.stopAtSync()
		first := commitAll(db, 1, putOne)
		rest := putKeys(db, 20, 1)
		closed := make(chan error, 1)
		go func() { closed <- db.Close() }()
		synctest.Wait()
		close(disk.release)
		synctest.Wait()
		if len(closed) != 1 || len(first) != 1 || len(rest) != 20 {
			t.Fatalf("%d closed, %d of 21 commits returned", len(closed), len(first)+len(rest))
		}
		if err := errors.Join(<-first, <-closed); err != nil {
			t.Error(err)
		}
		for range 20 {
			if r := <-rest; !errors.Is(r.err, engine.ErrClosed) {
				t.Errorf("%s: %v, want ErrClosed", r.key, r.err)
			}
		}
		db = openOn(t, disk)
		wantValue(t, db, []byte("k0"), []byte("v"))
		if ok, err := db.Has([]byte("r0")); ok || err != nil {
			t.Errorf("r0, which was refused: %v, %v", ok, err)
		}
		closeDB(t, db)
	})
}

// outcome is what became of the Put of a key.
type outcome struct {
	key string
	err error
}

// putKeys is commitAll of Puts of r0, r1 and so on with values of size bytes, and
// says what became of which.
func putKeys(db *engine.DB, n, size int) <-chan outcome {
	done := make(chan outcome, n)
	for i := range n {
		key := fmt.Sprint("r", i)
		go func() { done <- outcome{key, db.Put([]byte(key), []byte(valueOf("r", i, size)))} }()
	}
	synctest.Wait()
	return done
}

// The records of those who wait are written by one write, and each of them is a
// commit of its own.
func TestGroupCommit_OneWriteForAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newSlowDisk()
		db := openOn(t, disk)
		changes, err := db.Changes(1)
		if err != nil {
			t.Fatal(err)
		}
		disk.stopAtSync()
		first := commitAll(db, 1, putOne)
		rest := putKeys(db, 20, 1)
		var writes atomic.Int32
		disk.SetHook(func(op faultfs.Op) error {
			if op.Kind == faultfs.OpWrite {
				writes.Add(1)
			}
			return nil
		})
		close(disk.release)
		synctest.Wait()
		if len(first) != 1 || len(rest) != 20 || writes.Load() != 1 {
			t.Errorf("%d of 21 commits returned, after %d writes for 20 of them, want 1", len(first)+len(rest), writes.Load())
		}
		for seq := range uint64(21) {
			c, err := changes.Next()
			if err != nil || len(c.Ops) != 1 || c.Seq != seq+1 {
				t.Fatalf("commit %d in the log: %+v, %v", seq+1, c, err)
			}
		}
		if err := changes.Close(); err != nil {
			t.Error(err)
		}
		closeDB(t, db)
	})
}

// Where the write for all meets a full disk each is tried alone, and only the one
// that meets it again is refused.
func TestGroupCommit_FullDiskRefusesOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newSlowDisk()
		db := openOn(t, disk)
		disk.stopAtSync()
		commitAll(db, 1, putOne)
		rest := putKeys(db, 20, 1)
		var writes atomic.Int32
		disk.SetHook(func(op faultfs.Op) error {
			if op.Kind == faultfs.OpWrite && strings.Contains(op.Name, "wal") {
				if n := writes.Add(1); n == 1 || n == 4 {
					return vfs.ErrNoSpace
				}
			}
			return nil
		})
		close(disk.release)
		synctest.Wait()
		if len(rest) != 20 {
			t.Fatalf("%d of 20 commits returned", len(rest))
		}
		refused := 0
		for range 20 {
			r := <-rest
			if r.err != nil {
				refused++
			}
			if r.err != nil && (!errors.Is(r.err, engine.ErrNoSpace) || errors.Is(r.err, engine.ErrFailed) || errors.Is(r.err, engine.ErrCommitUnknown)) {
				t.Errorf("the commit that was refused: %v", r.err)
			}
			if ok, err := db.Has([]byte(r.key)); ok != (r.err == nil) || err != nil {
				t.Errorf("%s, whose Put returned %v: %v, %v", r.key, r.err, ok, err)
			}
		}
		if refused != 1 || writes.Load() != 21 {
			t.Errorf("%d of 20 refused after %d writes, want 1 after 21", refused, writes.Load())
		}
		closeDB(t, db)
	})
}

// A keyspace that is dropped while Puts to it wait refuses them, and no others.
func TestGroupCommit_DroppedKeyspace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newSlowDisk()
		db := openOn(t, disk)
		ks, err := db.CreateKeyspace("dropped", nil)
		if err != nil {
			t.Fatal(err)
		}
		disk.stopAtSync()
		commitAll(db, 1, putOne)
		into := make(chan error, 2)
		go func() { into <- ks.Put([]byte("k"), []byte("v")) }()
		go func() { into <- ks.Delete([]byte("k")) }()
		rest := putKeys(db, 20, 1)
		dropped := make(chan error, 1)
		go func() { dropped <- db.DropKeyspace("dropped") }()
		synctest.Wait()
		close(disk.release)
		if err := <-dropped; err != nil {
			t.Error(err)
		}
		for range 2 {
			if err := <-into; !errors.Is(err, engine.ErrNoKeyspace) {
				t.Errorf("into the keyspace that was dropped: %v", err)
			}
		}
		for range 20 {
			if r := <-rest; r.err != nil {
				t.Errorf("%s: %v", r.key, r.err)
			}
		}
		closeDB(t, db)
	})
}

// Whoever waits for what the present leader wrote itself, and is woken in the
// place of one who would lead next, wakes that one.
func TestGroupCommit_SyncBeforeANextLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newSlowDisk()
		db := openOn(t, disk)
		disk.stopAtSync()
		first := commitAll(db, 1, putOne)
		synced := make(chan error, 1)
		go func() { synced <- db.Sync() }()
		synctest.Wait()
		rest := putKeys(db, 8, 1)
		close(disk.release)
		synctest.Wait()
		if len(first) != 1 || len(synced) != 1 || len(rest) != 8 {
			t.Fatalf("%d of 9 commits returned, and %d of 1 Sync", len(first)+len(rest), len(synced))
		}
		closeDB(t, db)
	})
}

// Who leads waits for no checkpoint, since a checkpoint may wait for a leader:
// a group that gathered while there was room is committed where there is none.
func TestGroupCommit_NoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newSlowDisk()
		o := small(full)
		o.FS, o.MemtableBytes = disk, 4<<10
		db := open(t, dbDir, o)
		disk.stopAtSync()
		first := commitAll(db, 1, putOne)
		rest := putKeys(db, 8, 20)
		large := make(chan error, 4)
		for i := range 4 { // three fill a memtable each, being written by themselves, the last has to wait
			go func() { large <- db.Put(fmt.Append(nil, i), []byte(valueOf("b", i, 5000))) }()
			synctest.Wait()
		}
		close(disk.release)
		synctest.Wait()
		if len(first) != 1 || len(rest) != 8 || len(large) != 4 {
			t.Fatalf("%d of 13 commits returned", len(first)+len(rest)+len(large))
		}
		for range 8 {
			if r := <-rest; r.err != nil {
				t.Errorf("%s: %v", r.key, r.err)
			}
		}
		for range 4 {
			if err := <-large; err != nil {
				t.Error(err)
			}
		}
		if n := db.Stats().Stalls; n != 1 {
			t.Errorf("%d commits had to wait, want 1", n)
		}
		closeDB(t, db)
	})
}

// The same with no clock of ours: nobody waits for ever.
func TestGroupCommit_ManyWritersAndCheckpoints(t *testing.T) {
	o := small(full)
	disk := vfs.NewMem()
	o.FS, o.MemtableBytes = disk, 4<<10
	db := open(t, dbDir, o)
	const writers, puts = 8, 200
	done := make(chan error, writers)
	for w := range writers {
		go func() {
			var err error
			for i := 0; i < puts && err == nil; i++ {
				key := []byte(keyOf("k", w*puts+i))
				if i%10 == 0 {
					err = db.Update(t.Context(), func(tx *engine.Tx) error { return tx.Put(key, key) })
				} else {
					err = db.Put(key, key)
				}
			}
			done <- err
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for i := range writers * puts {
		wantValue(t, db, []byte(keyOf("k", i)), []byte(keyOf("k", i)))
	}
	closeDB(t, db)
	if err := checkDatabase(disk, dbDir); err != nil {
		t.Error(err)
	}
}

// Whichever call fails while Puts wait for a leader, and however: what was
// acknowledged is there, also after a power cut, and what was refused is not.
func TestGroupCommit_Faults(t *testing.T) {
	for _, cause := range []error{faultfs.ErrIO, vfs.ErrNoSpace} {
		for _, half := range []bool{false, true} {
			for _, forever := range []bool{false, true} {
				call := 1
				for playFault(t, call, cause, half, forever) {
					call++
				}
				if call < 5 {
					t.Errorf("only %d calls", call-1)
				}
			}
		}
	}
}

// playFault plays a Put, and a group of Puts that needs a new segment of the log,
// one call of which fails. It reports whether there are so many calls.
func playFault(t *testing.T, call int, cause error, half, forever bool) (struck bool) {
	synctest.Test(t, func(t *testing.T) {
		story := fmt.Sprintf("call %d, %v, half %v, forever %v", call, cause, half, forever)
		sim := faultfs.NewSim()
		disk := &slowDisk{Injector: faultfs.Inject(sim)}
		db := openOn(t, disk)
		disk.stopAtSync()
		first := commitAll(db, 1, putOne)
		rest := putKeys(db, 8, 1500)
		var mu sync.Mutex
		calls, written := 0, map[string]int64{}
		over := false
		disk.SetHook(func(op faultfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			write := op.Kind == faultfs.OpWrite
			if over || errors.Is(cause, vfs.ErrNoSpace) && (!takesSpace(op.Kind) || write && op.Off+op.Len <= written[op.Name]) {
				return nil
			}
			if calls++; calls < call || calls > call && !forever {
				return nil
			}
			struck = true
			if write && half {
				written[op.Name] = op.Off + op.Len/2
				return &faultfs.Short{Bytes: int(op.Len / 2), Err: cause}
			}
			return cause
		})
		close(disk.release)
		synctest.Wait()
		if len(first) != 1 || len(rest) != 8 {
			t.Fatalf("%s: %d of 9 commits returned", story, len(first)+len(rest))
		}
		mu.Lock()
		over = true
		mu.Unlock()
		var outcomes []outcome
		for range 8 {
			outcomes = append(outcomes, <-rest)
		}
		judge := func(when string, db *engine.DB) {
			t.Helper()
			for _, r := range outcomes {
				ok, err := db.Has([]byte(r.key))
				if err != nil || ok != (r.err == nil) && !errors.Is(r.err, engine.ErrCommitUnknown) {
					t.Errorf("%s: %s: %s, whose Put returned %v: %v, %v", story, when, r.key, r.err, ok, err)
				}
			}
			wantValue(t, db, []byte("k0"), []byte("v"))
		}
		judge("while it is open", db)
		cut := sim.Image(sim.Ops(), faultfs.All)
		_ = db.Close() // the failure, if it was one
		for when, image := range map[string]vfs.FS{"after a power cut": cut, "closed": sim} {
			if err := checkDatabase(image, dbDir); err != nil && when == "closed" {
				t.Errorf("%s: %s: %v", story, when, err)
			}
			db := openOn(t, image)
			judge(when, db)
			closeDB(t, db)
		}
	})
	return struck
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
