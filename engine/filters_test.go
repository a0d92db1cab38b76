package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// fillTree puts n entries into the tree of an empty database.
func fillTree(t *testing.T, db *engine.DB, n int) {
	t.Helper()
	for i := range n {
		mustPut(t, db, keyOf("k", i), valueOf("v", i, 100))
	}
	if _, err := db.Checkpoint(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// missUntil gets keys that are not there until enough says so.
func missUntil(t *testing.T, get func(key []byte) ([]byte, error), enough func() bool) {
	t.Helper()
	for i := 0; !enough(); i++ {
		if _, err := get(fmt.Appendf(nil, "k%05d none", i%1_000_000)); !errors.Is(err, engine.ErrNotFound) {
			t.Fatalf("get of a missing key: %v", err)
		}
		if i == 50_000_000 {
			t.Fatal("no filter came")
		}
	}
}

func hasFilter(db *engine.DB) func() bool {
	return func() bool { return db.Stats().FilterBytes > 0 }
}

// denies reports whether missing keys are answered by a filter: without a look
// into the tree.
func denies(db *engine.DB) func() bool {
	return func() bool {
		before := db.Stats().CacheHits
		for i := range 100 {
			_, _ = db.Get(fmt.Appendf(nil, "k%05d not there", i))
		}
		return db.Stats().CacheHits-before < 50
	}
}

// Readers that miss all the time make filters come and go, while writers put,
// delete and put again, checkpoints and merges of runs bring that into the
// trees, and keyspaces are dropped and made. Nobody misses what it wrote, now or
// in a snapshot.
func TestFilters_DenyNothing(t *testing.T) {
	ctx := context.Background()
	db := openMem(t, engine.Options{Sync: engine.SyncOff, MemtableBytes: 64 << 10, PageSize: 1 << 10, SegmentBytes: 1 << 20})
	fillTree(t, db, 5_000)
	const writers, rounds, keys = 2, 60, 2_000
	var writing, others sync.WaitGroup
	var built atomic.Int64
	stop := make(chan struct{})
	forever := func(f func(i int) error) {
		others.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := f(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	spaces := []*engine.Keyspace{nil, nil}
	for w := range writers {
		ks, err := db.CreateKeyspace(fmt.Sprint(w), nil)
		if err != nil {
			t.Fatal(err)
		}
		spaces[w] = ks
	}
	for w, ks := range spaces {
		writing.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			have := map[int]bool{}
			var old *engine.Snapshot
			var then map[int]bool
			check := func(what string, get func([]byte) ([]byte, error), want map[int]bool) {
				for range 300 {
					i := rng.IntN(keys)
					if _, err := get([]byte(keyOf("w", i))); (err == nil) != want[i] || err != nil && !errors.Is(err, engine.ErrNotFound) {
						t.Errorf("%s: key %d: %v, want it there: %v", what, i, err, want[i])
					}
				}
			}
			for round := range rounds {
				for range 200 {
					i := rng.IntN(keys)
					key := []byte(keyOf("w", i))
					var err error
					if rng.IntN(3) == 0 {
						err = ks.Delete(key)
						delete(have, i)
					} else {
						err = ks.Put(key, []byte(valueOf("v", round, 100)))
						have[i] = true
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
				if rng.IntN(10) == 0 {
					a := rng.IntN(keys)
					if err := ks.DeleteRange([]byte(keyOf("w", a)), []byte(keyOf("w", a+200))); err != nil {
						t.Error(err)
					}
					for i := range 200 {
						delete(have, a+i)
					}
				}
				check("now", ks.Get, have)
				if old != nil {
					check("in a snapshot", old.Get, then)
				}
				if round%7 == 0 {
					if old != nil {
						old.Close()
					}
					s, err := db.Snapshot()
					if err != nil {
						t.Error(err)
						return
					}
					old, then = s.In(ks), map[int]bool{}
					for i := range have {
						then[i] = true
					}
				}
			}
			if old != nil {
				old.Close()
			}
		})
	}
	for _, ks := range append(spaces, nil) {
		get := db.Get
		if ks != nil {
			get = ks.Get
		}
		forever(func(i int) error {
			for j := range 1000 {
				if _, err := get(fmt.Appendf(nil, "%s none", keyOf("w", i*1000+j))); !errors.Is(err, engine.ErrNotFound) {
					return err
				}
			}
			if hasFilter(db)() {
				built.Add(1)
			}
			return nil
		})
	}
	forever(func(i int) error {
		if i%10 == 9 {
			return second(db.Compact(ctx))
		}
		return second(db.Checkpoint(ctx))
	})
	writing.Wait()
	close(stop)
	others.Wait()
	if built.Load() == 0 {
		t.Error("there never was a filter")
	}
	// A filter that is being built has one.
	for until := time.Now().Add(caseTime); db.Stats().Views != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d views are still open", db.Stats().Views)
		}
	}
}

// coldTree returns a database whose cache holds next to nothing of its tree, and
// the injector that its file system is.
func coldTree(t *testing.T) (*engine.DB, *faultfs.Injector) {
	t.Helper()
	in := faultfs.Inject(vfs.NewMem())
	o := engine.Options{FS: in, PageSize: 1 << 10, Sync: engine.SyncOff}
	db := open(t, "db", o)
	fillTree(t, db, 10_000)
	closeDB(t, db)
	o.CacheBytes = 128 << 10
	return open(t, "db", o), in
}

// A filter that cannot be built is no loss: all is there that was, nothing that
// was not, and the next one may be built.
func TestFilters_ReadError(t *testing.T) {
	db, in := coldTree(t)
	defer closeDB(t, db)
	var failing atomic.Bool
	in.SetHook(func(op faultfs.Op) error {
		if op.Kind == faultfs.OpRead && strings.HasSuffix(op.Name, "btree.db") && hasFilter(db)() {
			failing.Store(true)
			return syscall.EIO
		}
		return nil
	})
	for i := 0; !failing.Load(); i++ {
		_, err := db.Get(fmt.Appendf(nil, "k%05d none", i%10_000))
		if !errors.Is(err, engine.ErrNotFound) && !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
	}
	for hasFilter(db)() {
		runtime.Gosched()
	}
	in.SetHook(nil)
	look := func() {
		t.Helper()
		for i := range 10_000 {
			if _, err := db.Get([]byte(keyOf("k", i))); err != nil {
				t.Fatalf("key %d: %v", i, err)
			}
		}
	}
	look()
	missUntil(t, db.Get, denies(db))
	look()
}

// Close waits for no filter.
func TestFilters_CloseWhileOneIsBuilt(t *testing.T) {
	db, in := coldTree(t)
	building, closing := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var reads atomic.Int64
	in.SetHook(func(op faultfs.Op) error {
		if op.Kind == faultfs.OpRead && strings.HasSuffix(op.Name, "btree.db") && hasFilter(db)() {
			once.Do(func() { close(building) })
			<-closing
			reads.Add(1)
		}
		return nil
	})
	go func() {
		for i := 0; ; i++ {
			select {
			case <-building:
				return
			default:
				_, _ = db.Get(fmt.Appendf(nil, "k%05d none", i%10_000))
			}
		}
	}()
	<-building
	closed := make(chan error)
	go func() { closed <- db.Close() }()
	for !errors.Is(db.Sync(), engine.ErrClosed) {
		runtime.Gosched()
	}
	close(closing)
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if n := reads.Load(); n > 100 {
		t.Errorf("%d reads went on", n)
	}
}

// A database that is open for reading has filters, too, each of one checkpoint.
func TestFilters_ReadOnly(t *testing.T) {
	fs := vfs.NewMem()
	w := open(t, "db", engine.Options{FS: fs, Sync: engine.SyncOff})
	defer closeDB(t, w)
	fillTree(t, w, 3_000)
	r := open(t, "db", engine.Options{FS: fs, ReadOnly: true})
	defer closeDB(t, r)
	for round := range 3 {
		missUntil(t, r.Get, denies(r))
		old, err := r.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		key := []byte(keyOf("new", round))
		mustPut(t, w, string(key), "value")
		if _, err := w.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := r.Refresh(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Get(key); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		if _, err := old.Get(key); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("round %d, in an older snapshot: %v", round, err)
		}
		old.Close()
	}
}

// All filters of trees together keep to their part of the cache's size.
func TestFilters_KeepTheirLimit(t *testing.T) {
	db := openMem(t, engine.Options{Sync: engine.SyncOff, CacheBytes: 128 << 10})
	fillTree(t, db, 10_000)
	ks, err := db.CreateKeyspace("other", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10_000 {
		if err := ks.Put([]byte(keyOf("k", i)), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Checkpoint(context.Background()); err != nil {
		t.Fatal(err)
	}
	missUntil(t, db.Get, denies(db))
	for i := range 100_000 {
		if _, err := ks.Get(fmt.Appendf(nil, "k%05d none", i)); !errors.Is(err, engine.ErrNotFound) {
			t.Fatal(err)
		}
	}
	if n := db.Stats().FilterBytes; n == 0 || n > 16<<10 {
		t.Errorf("filters take %d bytes", n)
	}
}
