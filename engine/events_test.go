package engine_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// watch is a listener that keeps the events of one database after the other, and
// holds them against what is promised of their order.
type watch struct {
	mu     sync.Mutex
	events []engine.Event
	wrong  []string

	open                      bool
	time                      time.Time
	checkpoint, stalled, full bool // begun, and not ended
	failed                    bool
}

func (w *watch) listen(e engine.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
	// turn notes that something is so now, and was not.
	turn := func(state *bool, now bool) {
		if *state == now {
			w.wrong = append(w.wrong, fmt.Sprintf("%T out of its turn", e))
		}
		*state = now
	}
	if _, first := e.(*engine.Opened); !first && !w.open {
		w.wrong = append(w.wrong, fmt.Sprintf("%T of a database that is not open", e))
	}
	switch e.(type) {
	case *engine.Opened:
		turn(&w.open, true)
	case *engine.Closed:
		turn(&w.open, false)
		if w.checkpoint || w.stalled {
			w.wrong = append(w.wrong, "closed in the middle of a checkpoint or a stall")
		}
		w.full, w.failed = false, false
	case *engine.CheckpointBegun:
		turn(&w.checkpoint, true)
	case *engine.CheckpointEnded:
		turn(&w.checkpoint, false)
	case *engine.StallBegun:
		turn(&w.stalled, true)
	case *engine.StallEnded:
		turn(&w.stalled, false)
	case *engine.DiskFull:
		turn(&w.full, true)
	case *engine.SpaceRegained:
		turn(&w.full, false)
	case *engine.Failed:
		turn(&w.failed, true)
	}
	h := e.Head()
	if h.Time.Before(w.time) || h.Lost > 0 {
		w.wrong = append(w.wrong, fmt.Sprintf("%T at %v, after %v, with %d lost", e, h.Time, w.time, h.Lost))
	}
	w.time = h.Time
}

// check fails the test if anything was out of order, or the last database was
// not closed.
func (w *watch) check(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.wrong) > 0 || w.open {
		t.Errorf("open: %v; wrong: %q; all: %v", w.open, w.wrong, names(w.events))
	}
}

// told returns the events of one kind so far, of a database in a bubble, or one
// that is closed.
func told[E engine.Event](w *watch) (list []E) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e, ok := e.(E); ok {
			list = append(list, e)
		}
	}
	return list
}

// names are the kinds of events, in their order.
func names(events []engine.Event) (list []string) {
	for _, e := range events {
		list = append(list, strings.TrimPrefix(fmt.Sprintf("%T", e), "*engine."))
	}
	return list
}

// inBubble runs a test with a listener, where synctest.Wait waits until it has
// been told all, and with a clock that stands still while anything goes on.
func inBubble(t *testing.T, test func(t *testing.T, w *watch)) {
	t.Helper()
	warmUp()
	synctest.Test(t, func(t *testing.T) {
		w := new(watch)
		test(t, w)
		w.check(t)
	})
}

// one returns the only event of a kind.
func one[E engine.Event](t *testing.T, w *watch) (e E) {
	t.Helper()
	list := told[E](w)
	if len(list) != 1 {
		t.Fatalf("%d events %T, want 1; all: %v", len(list), e, names(w.events))
	}
	return list[0]
}

// slow makes calls of a kind on files of a name that ends so take that long. Time
// stands still in a bubble while anybody waits for a mutex: what holds one then
// must be alone, as it is without the work of quiet seconds (SyncInterval).
func slow(in *faultfs.Injector, kind faultfs.Kind, suffix string, d time.Duration) {
	in.SetHook(func(op faultfs.Op) error {
		if op.Kind == kind && strings.HasSuffix(op.Name, suffix) {
			time.Sleep(d)
		}
		return nil
	})
}

func TestEvents_OpenedAndClosed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *watch) {
		sp := uncleanSpecimen(t)
		f, err := sp.disk.Open(sp.lastLog, vfs.ReadWrite)
		if err == nil {
			_, err = f.WriteAt(make([]byte, 100), sp.lastOff+100) // a sector that did not get there
		}
		if err != nil {
			t.Fatal(err)
		}
		o := small(full)
		o.FS, o.Events = sp.disk, w.listen
		for i, open := range []func(){func() {}, func() { o.ReadOnly = true }} {
			open()
			db, err := engine.Open(dbDir, &o)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			e := told[*engine.Opened](w)[i]
			if e.Path != dbDir || e.Report != db.OpenReport() {
				t.Errorf("told of %s: %+v, want %+v", e.Path, e.Report, db.OpenReport())
			}
			if i == 0 && (e.Report.Commits == 0 || e.Report.TornBytes == 0) {
				t.Errorf("told of nothing that was recovered, or cut off: %+v", e.Report)
			}
			closeDB(t, db)
			if e := told[*engine.Closed](w); len(e) != i+1 || e[i].Err != nil {
				t.Errorf("closed: %+v", e)
			}
		}
		o.MustExist = true
		if _, err := engine.Open("elsewhere", &o); err == nil {
			t.Error("opened what is not there")
		}

		in := faultfs.Inject(sp.disk)
		o.FS, o.ReadOnly = in, false
		db := open(t, dbDir, o)
		mustPut(t, db, "k", "v")
		slow(in, faultfs.OpSync, "btree.db", time.Second)
		closeDB(t, db)
		in.SetHook(nil)
		if e := told[*engine.Closed](w); len(e) != 3 || e[0].Duration >= time.Second || e[2].Duration < time.Second {
			t.Errorf("closed, the last slowly: %+v", e)
		}
	})
}

func TestEvents_Checkpoint(t *testing.T) {
	inBubble(t, func(t *testing.T, w *watch) {
		disk := vfs.NewMem()
		in := faultfs.Inject(disk)
		db := open(t, dbDir, engine.Options{FS: in, Events: w.listen})
		for i := range 100 {
			mustPut(t, db, keyOf("k", i), valueOf("k", i, 100))
		}
		before := db.Stats()
		if _, err := db.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		begun, ended := one[*engine.CheckpointBegun](t, w), one[*engine.CheckpointEnded](t, w)
		if begun.Kind != engine.CheckpointMemtables || begun.Operations != 100 || begun.LogBytes != int64(before.LogBytes) {
			t.Errorf("begun: %+v, want 100 operations and a log of %d bytes", begun, before.LogBytes)
		}
		if ended.Kind != begun.Kind || ended.Operations != 100 || ended.LogBefore != begun.LogBytes || ended.LogAfter != 0 ||
			ended.Bytes < 10_000 || ended.Err != nil {
			t.Errorf("ended: %+v", ended)
		}

		mustPut(t, db, "k", "v")
		in.FailNth(1, vfs.ErrNoSpace, true, faultfs.OpWrite)
		_, err := db.Checkpoint(t.Context())
		in.FailNth(0, nil, false)
		synctest.Wait()
		list := told[*engine.CheckpointEnded](w)
		if e := list[1]; !errors.Is(err, engine.ErrNoSpace) || !errors.Is(e.Err, engine.ErrNoSpace) || e.LogBefore == 0 || e.LogAfter != e.LogBefore {
			t.Errorf("of a checkpoint that met a full disk, %v: %+v", err, e)
		}
		if _, err := db.Compact(t.Context()); err != nil {
			t.Fatal(err)
		}
		closeDB(t, db)
		kinds := map[engine.CheckpointKind]int{}
		for _, e := range told[*engine.CheckpointEnded](w) {
			kinds[e.Kind]++
		}
		if kinds[engine.CheckpointCompact] == 0 || kinds[engine.CheckpointClose] != 1 {
			t.Errorf("kinds: %v", kinds)
		}
	})
}

// The runs that are merged while little is written are told of, too.
func TestEvents_CheckpointOfRuns(t *testing.T) {
	warmUp()
	w := new(watch)
	o := runOptions
	o.Events = w.listen
	runSession(t, o, func(s *session, _ *vfs.Mem) {
		withRuns(3)(s)
		s.pass(3 * time.Second)
		s.wantRuns(0, 0)
		s.close()
	})
	w.check(t)
	if !slices.ContainsFunc(told[*engine.CheckpointEnded](w), func(e *engine.CheckpointEnded) bool {
		return e.Kind == engine.CheckpointRuns && e.Err == nil
	}) {
		t.Error("nobody was told that runs were merged")
	}
}

func TestEvents_LogRotated(t *testing.T) {
	inBubble(t, func(t *testing.T, w *watch) {
		in := faultfs.Inject(vfs.NewMem())
		db := open(t, dbDir, engine.Options{FS: in, SegmentBytes: 64 << 10, Events: w.listen})
		put := func(n int) {
			for i := range n {
				mustPut(t, db, keyOf("k", i), valueOf("k", i, 1000))
				synctest.Wait() // for the one who prepares the next segment
			}
		}
		put(200)
		list := told[*engine.LogRotated](w)
		if len(list) < 3 {
			t.Fatalf("told of %d segments", len(list))
		}
		for i, e := range list {
			if e.Waited != 0 || i > 0 && e.Segment <= list[i-1].Segment {
				t.Errorf("%d: segment %d, for which commits waited %v", i, e.Segment, e.Waited)
			}
			if _, err := in.Stat(fmt.Sprintf("%s/wal/%016x.log", dbDir, e.Segment)); e.Segment == list[len(list)-1].Segment && err != nil {
				t.Error(err)
			}
		}
		if last := list[len(list)-1]; last.Bytes != 64<<10 {
			t.Errorf("the last has %d bytes", last.Bytes)
		}
		slow(in, faultfs.OpSync, ".tmp", time.Minute)     // of a segment that is made
		mustPut(t, db, "large", valueOf("v", 1, 100<<10)) // the one that is ready is too small
		synctest.Wait()
		list = told[*engine.LogRotated](w)
		if last := list[len(list)-1]; last.Waited < time.Minute || last.Bytes < 100<<10 {
			t.Errorf("of a segment for a large commit: %+v", last)
		}
		in.SetHook(nil)
		closeDB(t, db)
	})
}

func TestEvents_Stall(t *testing.T) {
	for _, cause := range []engine.StallCause{engine.StallMemtables, engine.StallLog} {
		t.Run(string(cause), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *watch) {
				in := faultfs.Inject(vfs.NewMem())
				o := engine.Options{FS: in, Sync: engine.SyncOff, SegmentBytes: 64 << 10, Events: w.listen}
				if o.MemtableBytes = 32 << 10; cause == engine.StallLog {
					o.MemtableBytes, o.MaxWALBytes = 1<<20, 32<<10
				}
				db := open(t, dbDir, o)
				slow(in, faultfs.OpSync, "btree.db", time.Second)
				var wg sync.WaitGroup
				const writers = 3
				for range writers {
					wg.Go(func() {
						for i := range 100 {
							if err := db.Put([]byte(keyOf("k", i)), []byte(valueOf("k", i, 1000))); err != nil {
								t.Error(err)
							}
						}
					})
				}
				wg.Wait()
				synctest.Wait()
				ended := told[*engine.StallEnded](w)
				if len(ended) == 0 {
					t.Fatal("told of no stall")
				}
				if begun := told[*engine.StallBegun](w); len(begun) != len(ended) || begun[0].Cause != cause {
					t.Errorf("%d stalls have ended, and of those that began: %+v", len(ended), begun)
				}
				waited, together := 0, false
				for _, e := range ended {
					waited += e.Commits
					together = together || e.Commits >= writers
					if e.Cause != cause || e.Err != nil {
						t.Errorf("a stall: %+v", e)
					}
				}
				for i, e := range told[*engine.CheckpointEnded](w) {
					if e.Duration < time.Second || e.LogBefore == 0 {
						t.Errorf("checkpoint %d, behind which commits wait: %+v", i, e)
					}
				}
				if s := db.Stats(); uint64(waited) != s.Stalls || !together || ended[0].Duration == 0 {
					t.Errorf("%d commits waited, of which %d were told; the first for %v", s.Stalls, waited, ended[0].Duration)
				}
				in.SetHook(nil)
				closeDB(t, db)
			})
		})
	}
}

// A stall that ends because no checkpoint can be made is told with the error that
// the commit is refused with.
func TestEvents_Stall_Refused(t *testing.T) {
	inBubble(t, func(t *testing.T, w *watch) {
		in := faultfs.Inject(vfs.NewMem())
		db := open(t, dbDir, engine.Options{FS: in, Sync: engine.SyncOff, MemtableBytes: 32 << 10, Events: w.listen})
		in.SetHook(func(op faultfs.Op) error {
			if op.Kind == faultfs.OpWrite && strings.HasSuffix(op.Name, "btree.db") {
				time.Sleep(time.Second)
				return vfs.ErrNoSpace
			}
			return nil
		})
		var err error
		for i := 0; err == nil && i < 1000; i++ {
			err = db.Put([]byte(keyOf("k", i)), []byte(valueOf("k", i, 1000)))
		}
		if !errors.Is(err, engine.ErrNoSpace) {
			t.Fatal(err)
		}
		synctest.Wait()
		ended := told[*engine.StallEnded](w)
		if len(ended) == 0 {
			t.Fatal("told of no stall")
		}
		if e := ended[len(ended)-1]; !errors.Is(e.Err, engine.ErrNoSpace) || e.Commits != 1 || e.Duration < time.Second {
			t.Errorf("the last stall: %+v", e)
		}
		in.SetHook(nil)
		closeDB(t, db)
	})
}

func TestEvents_SlowOperation(t *testing.T) {
	inBubble(t, func(t *testing.T, w *watch) {
		in := faultfs.Inject(vfs.NewMem())
		o := engine.Options{FS: in, Events: w.listen, SlowOperation: time.Second, SyncInterval: time.Hour}
		db := open(t, dbDir, o)
		users, err := db.CreateKeyspace("users", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := users.Put([]byte("k"), []byte("value")); err != nil {
			t.Fatal(err)
		}
		closeDB(t, db)
		if list := told[*engine.SlowOperation](w); len(list) > 0 {
			t.Errorf("slow: %+v", list[0])
		}
		key := []byte("k")
		view := func(fn func(*engine.Tx) error) func() error { return func() error { return db.View(fn) } }
		for _, c := range []struct {
			want engine.SlowOperation
			call func() error
		}{
			{engine.SlowOperation{Operation: "get", Keyspace: "users", Bytes: 5}, func() error { return second(users.Get(key)) }},
			{engine.SlowOperation{Operation: "get", Keyspace: "users"}, func() error {
				_, err := users.Get([]byte("a"))
				if !errors.Is(err, engine.ErrNotFound) {
					return fmt.Errorf("of a missing key: %w", err)
				}
				return nil
			}},
			{engine.SlowOperation{Operation: "get", Keyspace: "users", Bytes: 5}, view(func(tx *engine.Tx) error {
				return second(tx.In(users).MultiGet(key))
			})},
			{engine.SlowOperation{Operation: "has", Keyspace: "users"}, func() error { return second(users.Has(key)) }},
			{engine.SlowOperation{Operation: "put", Keyspace: "users", Operations: 1, Bytes: 3}, func() error { return users.Put(key, []byte("xx")) }},
			{engine.SlowOperation{Operation: "delete", Operations: 1, Bytes: 1}, func() error { return db.Delete(key) }},
			{engine.SlowOperation{Operation: "commit", Operations: 2}, func() error { return applyEdits(db, []edit{put("a", "1"), put("b", "2")}) }},
			{engine.SlowOperation{Operation: "commit", Operations: 1}, func() error {
				return db.Update(t.Context(), func(tx *engine.Tx) error { return tx.Put(key, nil) })
			}},
			{engine.SlowOperation{Operation: "commit", Operations: 1}, func() error { return db.DeleteRange(key, nil) }},
			{engine.SlowOperation{Operation: "commit", Operations: 1}, func() error { return second(db.CreateKeyspace("more", nil)) }},
			{engine.SlowOperation{Operation: "commit", Operations: 1}, func() error { return db.DropKeyspace("more") }},
		} {
			in.SetHook(nil)
			db = open(t, dbDir, o) // nothing of the tree is in memory
			if users, err = db.Keyspace("users"); err != nil {
				t.Fatal(err)
			}
			before := len(told[*engine.SlowOperation](w))
			in.SetHook(func(op faultfs.Op) error {
				if op.Kind == faultfs.OpRead || op.Kind == faultfs.OpSync {
					time.Sleep(3 * time.Second)
				}
				return nil
			})
			if err := c.call(); err != nil {
				t.Fatal(err)
			}
			in.SetHook(nil)
			synctest.Wait()
			list := told[*engine.SlowOperation](w)[before:]
			if len(list) != 1 {
				t.Errorf("%s: told %d times", c.want.Operation, len(list))
				continue
			}
			have := *list[0]
			if have.Duration < 3*time.Second || have.Err != nil {
				t.Errorf("took %v: %v", have.Duration, have.Err)
			}
			have.Duration, have.EventHead = 0, engine.EventHead{}
			if c.want.Operation == "commit" {
				have.Bytes = 0
			}
			if have != c.want {
				t.Errorf("told %+v, want %+v", have, c.want)
			}
			closeDB(t, db)
		}

		// One that fails is told with what it returned; scans and backups are not told.
		db = open(t, dbDir, o)
		before := len(told[*engine.SlowOperation](w))
		slow(in, faultfs.OpRead, "btree.db", 2*time.Second)
		if _, err := db.Backup(t.Context(), io.Discard, nil); err != nil {
			t.Fatal(err)
		}
		closeDB(t, db)
		db = open(t, dbDir, o)
		if err := db.View(func(tx *engine.Tx) error {
			for range tx.Scan(nil, nil) {
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		closeDB(t, db)
		in.SetHook(nil)
		db = open(t, dbDir, o)
		in.SetHook(func(op faultfs.Op) error {
			if op.Kind == faultfs.OpRead {
				time.Sleep(2 * time.Second)
				return faultfs.ErrIO
			}
			return nil
		})
		_, err = db.Get([]byte("none"))
		in.SetHook(nil)
		synctest.Wait()
		if list := told[*engine.SlowOperation](w)[before:]; len(list) != 1 || !errors.Is(err, faultfs.ErrIO) || !errors.Is(list[0].Err, faultfs.ErrIO) || list[0].Duration != 2*time.Second {
			t.Errorf("of a get that fails, with %v: %+v", err, list)
		}
		closeDB(t, db)

		o.Sync = engine.SyncNormal
		db = open(t, dbDir, o)
		mustPut(t, db, "k", "v")
		before = len(told[*engine.SlowOperation](w))
		slow(in, faultfs.OpSync, ".log", 2*time.Second)
		if err := db.Sync(); err != nil {
			t.Fatal(err)
		}
		in.SetHook(nil)
		synctest.Wait()
		if list := told[*engine.SlowOperation](w)[before:]; len(list) != 1 || list[0].Operation != "sync" {
			t.Errorf("of a sync: %+v", list)
		}
		closeDB(t, db)
	})
}

func TestEvents_CachePressure(t *testing.T) {
	inBubble(t, func(t *testing.T, w *watch) {
		const n = 20_000
		o := engine.Options{FS: vfs.NewMem(), Sync: engine.SyncOff, CacheBytes: 256 << 10, Events: w.listen}
		db := open(t, dbDir, o)
		b := db.NewBatch()
		for i := range n {
			if err := b.Put(hotKey(i), []byte(valueOf("v", i, 100))); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(db.Apply(t.Context(), b), second(db.Compact(t.Context()))); err != nil {
			t.Fatal(err)
		}
		get := func(keys int) {
			t.Helper()
			for i := range 3 * n {
				if _, err := db.Get(hotKey(i * 7 % keys)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(10 * time.Second)
			synctest.Wait()
		}
		want := func(times int, when string) {
			t.Helper()
			if list := told[*engine.CachePressure](w); len(list) != times {
				t.Errorf("told %d times after %s, want %d", len(list), when, times)
			}
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		w.mu.Lock()
		w.events = nil
		w.mu.Unlock()
		get(n)
		want(1, "reads of more than the cache holds")
		if e := told[*engine.CachePressure](w); len(e) > 0 {
			if e := e[0]; e.CacheLimit != 256<<10 || e.CacheBytes < e.CacheLimit*9/10 || e.Misses < 1000 || e.Hits*100 >= 80*(e.Hits+e.Misses) {
				t.Errorf("%+v", e)
			}
		}
		get(n)
		want(1, "more of them")
		get(20)
		want(1, "reads that the cache holds")
		get(n)
		want(2, "more than it holds, again")
		closeDB(t, db)
	})
}

func TestEvents_Corruption(t *testing.T) {
	inBubble(t, func(t *testing.T, w *watch) {
		disk := vfs.NewMem()
		in := faultfs.Inject(disk)
		o := small(full)
		o.FS, o.Events, o.MemtableBytes = in, w.listen, 4<<10
		db := open(t, dbDir, o)
		if err := applyEdits(db, entriesOf("k", 500, 40)); err != nil {
			t.Fatal(err)
		}
		closeDB(t, db)
		first, _, at := someLeaf(t, disk)
		in.FlipOnRead(treeFile, int64(at+100)*8)
		db = open(t, dbDir, o)
		for range 3 {
			_, err := db.Get(first)
			damage, ok := errors.AsType[*engine.CorruptError](err)
			if !ok {
				t.Fatalf("get: %v", err)
			}
			synctest.Wait()
			if e := one[*engine.Corruption](t, w); *e.Err != *damage || uint64(e.Err.Offset) != at {
				t.Errorf("told of %+v, want %+v", e.Err, damage)
			}
		}
		if err := db.View(func(tx *engine.Tx) error {
			for range tx.Scan(nil, nil) {
			}
			return nil
		}); !errors.Is(err, engine.ErrCorrupt) {
			t.Errorf("scan: %v", err)
		}
		// The checkpoint that would write that leaf anew fails, again and again.
		for i := range 60 {
			if err := db.Put(fmt.Appendf(nil, "%s%d", first, i), make([]byte, 100)); err != nil && !errors.Is(err, engine.ErrCorrupt) {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		one[*engine.Corruption](t, w)
		if list := told[*engine.BackgroundError](w); len(list) == 0 || list[0].Doing != "checkpoint" || !errors.Is(list[0].Err, engine.ErrCorrupt) {
			t.Errorf("of a checkpoint in the background: %+v", list)
		}
		in.FlipOnRead(treeFile, int64(at+100)*8)
		closeDB(t, db)
	})
}

// The filter of a run that cannot be read, which reads do without.
func TestEvents_CorruptionOfAFilter(t *testing.T) {
	warmUp()
	w := new(watch)
	runSession(t, runOptions, func(s *session, disk *vfs.Mem) {
		withRuns(3)(s)
		s.close()
		filters := filtersOf(t, disk)
		if err := xorByte(disk, "/"+treeFile, int64(filters[1].Offset)+48, 0xFF); err != nil {
			t.Fatal(err)
		}
		for _, s.opts.Events = range []func(engine.Event){nil, w.listen} {
			s.open()
			if n := s.db.Stats().Errors; n != 1 {
				t.Errorf("%d errors are counted, want that of the filter", n)
			}
			s.read()
			s.close()
		}
		if e := one[*engine.Corruption](t, w); uint64(e.Err.Offset) != filters[1].Offset {
			t.Errorf("told of %+v, want the filter at %d", e.Err, filters[1].Offset)
		}
	})
	w.check(t)
}

// The disk has no room for the log: that is told once, and then that it has some
// again, and once more.
func TestEvents_DiskFullAndSpaceRegained(t *testing.T) {
	inBubble(t, func(t *testing.T, w *watch) {
		in := faultfs.Inject(vfs.NewMem())
		db := open(t, dbDir, engine.Options{FS: in, SegmentBytes: 64 << 10, Events: w.listen})
		want := func(when string, full, regained int) {
			t.Helper()
			synctest.Wait()
			f, r := told[*engine.DiskFull](w), told[*engine.SpaceRegained](w)
			if len(f) != full || len(r) != regained {
				t.Fatalf("%s: told of a full disk %d times and of space %d times, want %d and %d", when, len(f), len(r), full, regained)
			}
			if full > 0 && !errors.Is(f[full-1].Err, engine.ErrNoSpace) {
				t.Errorf("full: %v", f[full-1].Err)
			}
		}
		for round := range 2 {
			want("before", round, round)
			in.FailNth(1, vfs.ErrNoSpace, true, faultfs.OpAllocate)
			refused := 0
			for i := 0; refused < 3; i++ {
				switch err := db.Put([]byte(keyOf("k", i)), make([]byte, 1000)); {
				case errors.Is(err, engine.ErrNoSpace):
					refused++
				case err != nil || i > 1000:
					t.Fatalf("put %d: %v", i, err)
				}
			}
			want("on a full disk", round+1, round)
			if _, err := db.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			want("still on a full disk", round+1, round)
			in.FailNth(0, nil, false)
			for i := range 200 {
				mustPut(t, db, keyOf("k", i), valueOf("k", i, 1000))
			}
			want("with space again", round+1, round+1)
			if d := told[*engine.SpaceRegained](w)[round].Duration; d < time.Minute {
				t.Errorf("full for %v", d)
			}
		}
		closeDB(t, db)
	})
}

// As long as what is kept for a full disk is given up, nobody is told that there
// is space.
func TestEvents_SpaceRegained_WithTheReserve(t *testing.T) {
	inBubble(t, func(t *testing.T, w *watch) {
		in := faultfs.Inject(vfs.NewMem())
		db := open(t, dbDir, engine.Options{FS: in, SegmentBytes: 64 << 10, Events: w.listen})
		fillDisk(t, in, db)
		for i := range 100 {
			if err := db.Delete([]byte(keyOf("k", i))); err != nil {
				t.Fatal(err)
			}
			if i%20 == 0 {
				if _, err := db.Checkpoint(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			full := len(told[*engine.DiskFull](w)) > len(told[*engine.SpaceRegained](w))
			if kept := fileSize(in, dbDir+"/ballast") == ballastBytes; !full && !kept {
				t.Fatalf("after %d deletes: told that there is space, while the reserve is given up", i+1)
			} else if i == 50 && kept {
				t.Fatal("the reserve was not needed")
			}
		}
		in.SetCapacity(-1)
		mustPut(t, db, "space", "again")
		if _, err := db.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if f, r := told[*engine.DiskFull](w), told[*engine.SpaceRegained](w); len(f) == 0 || len(f) != len(r) {
			t.Errorf("with space again: told of a full disk %d times, and of space %d times", len(f), len(r))
		}
		closeDB(t, db)
	})
}

// A disk that has room for the log, but not for what is kept for a full one, has
// no space again; it has when that is there too, which nobody needs to ask for.
func TestEvents_SpaceRegained_RoomForTheLogAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, w *watch) {
		in := faultfs.Inject(vfs.NewMem())
		in.SetHook(func(op faultfs.Op) error {
			if op.Kind == faultfs.OpAllocate && strings.HasSuffix(op.Name, "/ballast") {
				return vfs.ErrNoSpace
			}
			return nil
		})
		db := open(t, dbDir, engine.Options{FS: in, SegmentBytes: 64 << 10, Events: w.listen})
		segments := func() {
			t.Helper()
			before := len(told[*engine.LogRotated](w))
			for i := range 200 { // enough for three segments, each made ready before
				mustPut(t, db, keyOf("k", i), valueOf("k", i, 1000))
				synctest.Wait()
			}
			if n := len(told[*engine.LogRotated](w)) - before; n < 2 {
				t.Fatalf("the log has gone on in %d segments", n)
			}
		}
		segments()
		one[*engine.DiskFull](t, w)
		if len(told[*engine.SpaceRegained](w)) > 0 {
			t.Fatal("told that there is space, without the reserve")
		}
		in.SetHook(nil)
		segments()
		one[*engine.SpaceRegained](t, w)
		if fileSize(in, dbDir+"/ballast") != ballastBytes {
			t.Error("told that there is space, and the reserve is not there")
		}
		closeDB(t, db)
	})
}

// A disk without room for what is kept for a full one is as good as full.
func TestEvents_DiskFullWhenOpened(t *testing.T) {
	inBubble(t, func(t *testing.T, w *watch) {
		in := faultfs.Inject(vfs.NewMem())
		in.SetCapacity(100 << 10)
		o := small(full)
		o.FS, o.Events = in, w.listen
		db := open(t, dbDir, o)
		synctest.Wait()
		if have := names(w.events); !slices.Equal(have, []string{"Opened", "DiskFull"}) {
			t.Errorf("told %v", have)
		}
		in.SetCapacity(-1)
		mustPut(t, db, "k", "v")
		if _, err := db.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		one[*engine.SpaceRegained](t, w)
		closeDB(t, db)
	})
}

func TestEvents_Failed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *watch) {
		in := faultfs.Inject(vfs.NewMem())
		db := open(t, dbDir, engine.Options{FS: in, Events: w.listen})
		mustPut(t, db, "k", "v")
		in.FailNth(1, faultfs.ErrIO, false, faultfs.OpSync)
		for range 3 {
			if err := db.Put([]byte("k"), nil); !errors.Is(err, engine.ErrFailed) {
				t.Fatalf("put: %v", err)
			}
		}
		err := db.Close()
		if e := one[*engine.Failed](t, w); !errors.Is(e.Err, engine.ErrFailed) || !errors.Is(e.Err, faultfs.ErrIO) {
			t.Errorf("failed: %v", e.Err)
		}
		if e := one[*engine.Closed](t, w); err == nil || e.Err != err {
			t.Errorf("closed with %v, told %v", err, e.Err)
		}
	})
}

func TestEvents_BackgroundError(t *testing.T) {
	inBubble(t, func(t *testing.T, w *watch) {
		in := faultfs.Inject(vfs.NewMem())
		db := open(t, dbDir, engine.Options{FS: in, SegmentBytes: 64 << 10, Events: w.listen})
		in.FailNth(1, faultfs.ErrIO, false, faultfs.OpCreate)
		for i := range 200 { // the commit that needs the segment makes it itself
			mustPut(t, db, keyOf("k", i), valueOf("k", i, 1000))
			synctest.Wait()
		}
		if e := one[*engine.BackgroundError](t, w); e.Doing != "prepare the next log segment" || !errors.Is(e.Err, faultfs.ErrIO) {
			t.Errorf("%+v", e)
		}
		closeDB(t, db)
	})
}

// Whatever fails in the scenarios of TestIOError: the events come in an order
// that makes sense, and everything else is as without a listener.
func TestEvents_AnyFailure(t *testing.T) {
	alone := func(sc *scenario) bool { return tellsOrder(sc) && !strings.Contains(sc.name, "reader") }
	eachScenario(t, "cases", "input/output errors", 800, alone, func(t *testing.T, sc *scenario) int {
		w := new(watch)
		heard := *sc
		heard.opts.Events, heard.opts.SlowOperation = w.listen, 1
		disk, hist := sc.prepare(t)
		kinds := (&faultRun{sc: &heard, disk: disk, hist: hist.fork()}).play(t)
		n := 0
		for i := 0; i < len(kinds) && !t.Failed(); i += 25 {
			for _, f := range faultsAt(i+1, kinds[i]) {
				n++
				*w = watch{}
				(&faultRun{sc: &heard, disk: disk, hist: hist.fork(), fault: f}).play(t)
				w.check(t)
			}
		}
		return n
	})
}

// Many goroutines at work, for the race detector: all is told in order.
func TestEvents_AllAtOnce(t *testing.T) {
	for mode := range engine.SyncMode(3) {
		w := new(watch)
		db := open(t, dbDir, engine.Options{
			FS: vfs.NewMem(), Sync: mode, MemtableBytes: 16 << 10, SegmentBytes: 32 << 10,
			Events: w.listen, SlowOperation: time.Hour,
		})
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range 300 {
					key := []byte(keyOf(fmt.Sprint(g, "."), i))
					if err := db.Put(key, make([]byte, 200)); err != nil {
						t.Error(err)
					}
					wantValue(t, db, key, make([]byte, 200))
					db.Stats()
					if i%100 == 99 {
						if _, err := db.Checkpoint(context.Background()); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		closeDB(t, db)
		if lost := db.Stats().EventsLost; lost == 0 {
			w.check(t)
		}
	}
}

// Each event that the engine has is asked for by a test of this file, which
// brings about its cause.
func TestEvents_EachForItsCause(t *testing.T) {
	parse := func(name string) *ast.File {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	asked := map[string]bool{} // one[*engine.Closed], told[*engine.Closed]
	ast.Inspect(parse("events_test.go"), func(n ast.Node) bool {
		if x, ok := n.(*ast.IndexExpr); ok {
			if f, ok := x.X.(*ast.Ident); ok && (f.Name == "one" || f.Name == "told") {
				if event, ok := x.Index.(*ast.StarExpr); ok {
					asked[event.X.(*ast.SelectorExpr).Sel.Name] = true
				}
			}
		}
		return true
	})
	events := 0
	ast.Inspect(parse("events.go"), func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			fields, ok := spec.Type.(*ast.StructType)
			if ok && len(fields.Fields.List[0].Names) == 0 { // EventHead is embedded
				if events++; !asked[spec.Name.Name] {
					t.Errorf("no test asks for %s", spec.Name.Name)
				}
			}
		}
		return true
	})
	if events < 14 {
		t.Errorf("only %d events in events.go", events)
	}
}
