package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

func open(t testing.TB, dir string, o engine.Options) *engine.DB {
	t.Helper()
	db, err := engine.Open(dir, &o)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func closeDB(t testing.TB, db *engine.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func wantValue(t testing.TB, r getter, key, want []byte) {
	t.Helper()
	have, err := r.Get(key)
	if err != nil || !bytes.Equal(have, want) || have == nil {
		t.Fatalf("get %.40q: have %d bytes, %v; want %d bytes", key, len(have), err, len(want))
	}
}

// edgeEntries are entries at the edges of the data model.
func edgeEntries() map[string][]byte {
	big := make([]byte, 10<<20)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range big {
		big[i] = byte(rng.Uint32())
	}
	return map[string][]byte{
		"":                              []byte("value of the empty key"),
		"empty value":                   {},
		"\x00":                          []byte("NUL"),
		"\x00\x00\xFF":                  []byte("NUL\x00inside"),
		"a\x00b":                        {0},
		"\xFF\xFE invalid UTF-8 \xC3":   {0xFF, 0xFE},
		"🚀🌩️":                           []byte("⚡"),
		"مرحبا":                         []byte("العالم"),
		"中文鍵":                           []byte("值"),
		strings.Repeat("k", 10<<10):     []byte("a key of 10 KiB"),
		strings.Repeat("K", 64<<10):     []byte("the longest key"),
		strings.Repeat("K", 64<<10-1):   []byte("nearly the longest key"),
		strings.Repeat("\xFF", 64<<10):  []byte("the last key of all"),
		"10 MB":                         big,
		"10 MB that compress":           bytes.Repeat([]byte("lightning "), 1<<20),
		"values around the page size 1": make([]byte, 2047),
		"values around the page size 2": make([]byte, 2048),
		"values around the page size 3": make([]byte, 2049),
		"values around the page size 4": make([]byte, 4096),
	}
}

// Every edge of the data model survives a reopen, a checkpoint, a backup, in
// every sync mode.
func TestDB_EdgeEntries(t *testing.T) {
	entries := edgeEntries()
	for mode := range engine.SyncMode(3) {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "db")
			o := engine.Options{Sync: mode, Compression: engine.Compression(mode)}
			db := open(t, dir, o)
			for k, v := range entries {
				if err := db.Put([]byte(k), []byte("overwritten")); err != nil {
					t.Fatal(err)
				}
				if err := db.Put([]byte(k), v); err != nil {
					t.Fatal(err)
				}
			}
			wantEntries(t, db, entries)
			if _, err := db.Checkpoint(context.Background()); err != nil {
				t.Fatal(err)
			}
			wantEntries(t, db, entries)
			var stream bytes.Buffer
			if _, err := db.Backup(context.Background(), &stream, nil); err != nil {
				t.Fatal(err)
			}
			closeDB(t, db)
			db = open(t, dir, o)
			wantEntries(t, db, entries)
			for k := range entries { // twice: deleting is idempotent
				for range 2 {
					if err := db.Delete([]byte(k)); err != nil {
						t.Fatal(err)
					}
				}
			}
			wantEntries(t, db, nil)
			closeDB(t, db)
			copied := filepath.Join(t.TempDir(), "copy")
			if _, err := engine.Restore(context.Background(), &stream, copied, nil); err != nil {
				t.Fatal(err)
			}
			db = open(t, copied, o)
			wantEntries(t, db, entries)
			closeDB(t, db)
		})
	}
}

func wantEntries(t *testing.T, db *engine.DB, entries map[string][]byte) {
	t.Helper()
	n := 0
	if err := db.View(func(tx *engine.Tx) error {
		for k, v := range tx.Scan(nil, nil) {
			if want, there := entries[string(k)]; !there || !bytes.Equal(v, want) {
				return fmt.Errorf("scan: %.40q has %d bytes, want %d, there: %v", k, len(v), len(want), there)
			}
			n++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n != len(entries) {
		t.Fatalf("scan: have %d entries, want %d", n, len(entries))
	}
	for k, v := range entries {
		wantValue(t, db, []byte(k), v)
	}
}

// A value of 100 MB is ordinary.
func TestDB_HundredMegabytes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	value := make([]byte, 100<<20)
	for i := range value {
		value[i] = byte(i * i >> 8)
	}
	db := open(t, dir, engine.Options{Sync: engine.SyncNormal})
	if err := db.Put([]byte("k"), value); err != nil {
		t.Fatal(err)
	}
	wantValue(t, db, []byte("k"), value)
	closeDB(t, db)
	db = open(t, dir, engine.Options{})
	wantValue(t, db, []byte("k"), value)
	closeDB(t, db)
}

func TestDB_TooLarge(t *testing.T) {
	db := openMem(t, engine.Options{})
	key := make([]byte, engine.MaxKeySize+1)
	value := make([]byte, engine.MaxValueSize+1) // never touched, so it takes no memory
	tx := begin(t, db, engine.Serializable)
	defer tx.Rollback()
	b := db.NewBatch()
	for name, err := range map[string]error{
		"put, key":          db.Put(key, nil),
		"put, value":        db.Put(nil, value),
		"delete":            db.Delete(key),
		"batch put, key":    b.Put(key, nil),
		"batch put, value":  b.Put(nil, value),
		"batch delete":      b.Delete(key),
		"tx put, key":       tx.Put(key, nil),
		"tx put, value":     tx.Put(nil, value),
		"tx delete":         tx.Delete(key),
		"range, start":      db.DeleteRange(make([]byte, engine.MaxKeySize+2), nil),
		"tx range, the end": tx.DeleteRange(nil, make([]byte, engine.MaxKeySize+2)),
	} {
		if !errors.Is(err, engine.ErrTooLarge) {
			t.Errorf("%s: have %v, want ErrTooLarge", name, err)
		}
	}
	if b.Len() != 0 {
		t.Errorf("the batch has %d operations", b.Len())
	}
	if s := db.Stats(); s.Seq != 0 || s.LogBytes != 0 {
		t.Errorf("something was written: %+v", s)
	}
}

func TestDB_GetIsTheCallers(t *testing.T) {
	db := openMem(t, engine.Options{})
	key, value := []byte("key"), []byte("value")
	if err := db.Put(key, value); err != nil {
		t.Fatal(err)
	}
	copy(value, "other") // Put copied
	have, err := db.Get(key)
	if err != nil || string(have) != "value" {
		t.Fatalf("have %q, %v", have, err)
	}
	copy(have, "YYYYY")
	wantValue(t, db, key, []byte("value"))
}

func TestDB_AppendValue_AllocatesNothing(t *testing.T) {
	db := openMem(t, engine.Options{})
	for i := range 1000 {
		mustPut(t, db, fmt.Sprint(i), strings.Repeat("v", 100))
	}
	buf := make([]byte, 0, 200)
	key := []byte("500")
	read := func() {
		if _, err := db.AppendValue(buf, key); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100, read); n != 0 {
		t.Errorf("from the memtable: %v allocations", n)
	}
	if _, err := db.Checkpoint(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, read); n != 0 {
		t.Errorf("from the tree: %v allocations", n)
	}
}

// The node cache keeps its limit under random reads.
func TestDB_CacheKeepsItsLimit(t *testing.T) {
	db := openMem(t, engine.Options{Sync: engine.SyncOff, CacheBytes: 128 << 10})
	for i := range 20_000 {
		mustPut(t, db, fmt.Sprintf("%06d", i), strings.Repeat("v", 100))
	}
	if _, err := db.Checkpoint(context.Background()); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(4, 4))
	for range 20_000 {
		if _, err := db.Get(fmt.Appendf(nil, "%06d", rng.IntN(20_000))); err != nil {
			t.Fatal(err)
		}
		if s := db.Stats(); s.CacheBytes > s.CacheLimit {
			t.Fatalf("the cache has %d bytes, its limit is %d", s.CacheBytes, s.CacheLimit)
		}
	}
	if s := db.Stats(); s.CacheHits == 0 || s.CacheMisses == 0 {
		t.Errorf("counters: %d hits, %d misses", s.CacheHits, s.CacheMisses)
	}
}

// tree reads all files below dir.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		b, err := os.ReadFile(path)
		files[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestKeyspaces(t *testing.T) {
	fs := vfs.NewMem()
	o := engine.Options{FS: fs}
	db := open(t, "db", o)
	a, err := db.CreateKeyspace("a", &engine.KeyspaceOptions{PageSize: 1024, Compression: engine.CompressionZstd})
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("k")
	if err := errors.Join(db.Put(key, []byte("default")), a.Put(key, []byte("a"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "x\x00", "\xFF", strings.Repeat("n", 256)} {
		if _, err := db.CreateKeyspace(name, nil); err == nil {
			t.Errorf("created %q", name)
		}
	}
	if err := db.DropKeyspace(""); err == nil {
		t.Error("dropped the default keyspace")
	}
	if err := db.DropKeyspace("b"); !errors.Is(err, engine.ErrNoKeyspace) {
		t.Errorf("drop of nothing: %v", err)
	}
	closeDB(t, db)
	db = open(t, "db", o)
	a, err = db.Keyspace("a")
	if err != nil {
		t.Fatal(err)
	}
	wantValue(t, a, key, []byte("a"))
	s, err := db.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := db.DropKeyspace("a"); err != nil {
		t.Fatal(err)
	}
	wantValue(t, s.In(a), key, []byte("a")) // the snapshot still has it
	s.Close()
	if _, err := a.Get(key); !errors.Is(err, engine.ErrNoKeyspace) {
		t.Errorf("get: %v", err)
	}
	if err := a.Put(key, nil); !errors.Is(err, engine.ErrNoKeyspace) {
		t.Errorf("put: %v", err)
	}
	a, err = db.CreateKeyspace("a", nil) // another one of the same name
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Get(key); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("the new one has the old one's key: %v", err)
	}
	closeDB(t, db)
}

// A closed database answers every call with ErrClosed.
func TestDB_AfterClose(t *testing.T) {
	db := open(t, "db", engine.Options{FS: vfs.NewMem()})
	mustPut(t, db, "k", "v")
	s, err := db.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	tx := begin(t, db, engine.Serializable)
	if err := tx.Put([]byte("k"), nil); err != nil {
		t.Fatal(err)
	}
	closeDB(t, db)
	ctx := context.Background()
	for name, err := range map[string]error{
		"get":        second(db.Get([]byte("k"))),
		"put":        db.Put([]byte("k"), nil),
		"delete":     db.Delete([]byte("k")),
		"apply":      db.Apply(ctx, db.NewBatch()),
		"snapshot":   second(db.Snapshot()),
		"commit":     tx.Commit(ctx),
		"view":       db.View(func(*engine.Tx) error { return nil }),
		"sync":       db.Sync(),
		"checkpoint": second(db.Checkpoint(ctx)),
		"compact":    second(db.Compact(ctx)),
		"keyspace":   second(db.Keyspace("")),
		"close":      db.Close(),
	} {
		if !errors.Is(err, engine.ErrClosed) {
			t.Errorf("%s: have %v, want ErrClosed", name, err)
		}
	}
	s.Close()
	_ = db.Stats()
}

// Readers, writers, checkpoints, compactions and backups at once: every value
// read is one that was written for its key, and counts never go back.
func TestDB_AllAtOnce(t *testing.T) {
	db := openMem(t, engine.Options{Sync: engine.SyncNormal, MemtableBytes: 64 << 10, CacheBytes: 64 << 10, SegmentBytes: 64 << 10})
	const keys, writers, rounds = 500, 3, 30
	ctx := context.Background()
	var writing, others sync.WaitGroup
	stop := make(chan struct{})
	forever := func(f func() error) {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := f(); err != nil {
					t.Error(err)
					return
				}
				runtime.Gosched()
			}
		})
	}
	for w := range writers {
		writing.Go(func() {
			for round := range rounds {
				for i := range keys {
					mustPut(t, db, fmt.Sprintf("%d/%04d", w, i), fmt.Sprintf("%d/%04d %06d %s", w, i, round, strings.Repeat("x", i%300)))
				}
			}
		})
	}
	check := func(k, v []byte) error {
		if len(v) < 13 || string(v[:len(k)]) != string(k) {
			return fmt.Errorf("%s has the value %.20q", k, v)
		}
		return nil
	}
	last := map[string]string{}
	forever(func() error {
		for i := range keys {
			k := fmt.Appendf(nil, "%d/%04d", i%writers, i)
			v, err := db.Get(k)
			if errors.Is(err, engine.ErrNotFound) {
				continue
			}
			if err == nil {
				err = check(k, v)
			}
			if err != nil {
				return err
			}
			if round := string(v[7:13]); round < last[string(k)] {
				return fmt.Errorf("%s went back from %s to %s", k, last[string(k)], round)
			} else {
				last[string(k)] = round
			}
		}
		return nil
	})
	forever(func() error {
		return db.View(func(tx *engine.Tx) error {
			for k, v := range tx.Scan(nil, nil) {
				if err := check(k, v); err != nil {
					return err
				}
			}
			return nil
		})
	})
	forever(func() error { _, err := db.Checkpoint(ctx); return err })
	forever(func() error { _, err := db.Compact(ctx); return err })
	forever(func() error { _, err := db.Backup(ctx, io.Discard, nil); return err })
	writing.Wait()
	close(stop)
	others.Wait()
	if s := db.Stats(); s.Views != 0 {
		t.Errorf("%d views are still open", s.Views)
	}
}

// writeTree is the other way round of tree.
func writeTree(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err == nil {
			err = os.WriteFile(path, []byte(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A checkpoint that keeps failing leaves everything readable, and its
// memtables do not pile up.
func TestCheckpoint_FailsAgainAndAgain(t *testing.T) {
	in := faultfs.Inject(vfs.NewMem())
	db := open(t, "db", engine.Options{FS: in, Sync: engine.SyncOff})
	in.SetHook(func(op faultfs.Op) error {
		if op.Kind == faultfs.OpWrite && strings.HasSuffix(op.Name, "btree.db") {
			return vfs.ErrNoSpace
		}
		return nil
	})
	ctx := context.Background()
	for i := range 80 {
		mustPut(t, db, fmt.Sprintf("%03d", i), "v")
		if _, err := db.Checkpoint(ctx); !errors.Is(err, engine.ErrNoSpace) {
			t.Fatalf("checkpoint on a full disk: %v", err)
		}
	}
	if n := db.Stats().Frozen; n > 24 { // as many as a recovery makes
		t.Errorf("%d frozen memtables", n)
	}
	in.SetHook(nil)
	n := 0
	if err := db.View(func(tx *engine.Tx) error {
		for range tx.Scan(nil, nil) {
			n++
		}
		return nil
	}); err != nil || n != 80 {
		t.Errorf("have %d entries, %v; want 80", n, err)
	}
	if info, err := db.Checkpoint(ctx); err != nil || info.Operations == 0 {
		t.Errorf("checkpoint with space again: %+v, %v", info, err)
	}
	closeDB(t, db)
}

// Close beside everything else: each call works or says ErrClosed.
func TestClose_BesideEverything(t *testing.T) {
	for i := range 30 {
		db := open(t, "db", engine.Options{FS: vfs.NewMem(), MemtableBytes: 4 << 10, SegmentBytes: 16 << 10, Sync: engine.SyncMode(i % 3)})
		ctx := context.Background()
		var wg sync.WaitGroup
		for name, call := range map[string]func(j int) error{
			"put":        func(j int) error { return db.Put(fmt.Appendf(nil, "%d", j), make([]byte, 100)) },
			"update":     func(int) error { return increment(db, []byte("n")) },
			"checkpoint": func(int) error { return second(db.Checkpoint(ctx)) },
			"compact":    func(int) error { return second(db.Compact(ctx)) },
			"sync":       func(int) error { return db.Sync() },
			"keyspaces":  func(int) error { db.Stats(); return second(db.Keyspaces()) },
		} {
			wg.Go(func() {
				for j := 0; ; j++ {
					if err := call(j); err != nil {
						if !errors.Is(err, engine.ErrClosed) {
							t.Errorf("%s beside Close: %v", name, err)
						}
						return
					}
				}
			})
		}
		for db.Stats().Commits < uint64(i) {
			runtime.Gosched()
		}
		closeDB(t, db)
		wg.Wait()
	}
}

// A checkpoint writes its extents while the log is still on its way to the
// disk. Its meta must wait: what it names as the start of the log is durable.
func TestCheckpoint_TheMetaWaitsForTheLog(t *testing.T) {
	disk := vfs.NewMem()
	in := faultfs.Inject(disk)
	db := open(t, "db", engine.Options{FS: in, Sync: engine.SyncOff})
	var mu sync.Mutex
	dirty, metas, extents := map[string]bool{}, 0, 0
	broken := false
	in.SetHook(func(op faultfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		inLog := strings.HasSuffix(op.Name, ".log") || strings.HasSuffix(op.Name, ".tmp")
		switch {
		case inLog && op.Kind == faultfs.OpWrite && op.Off > 0: // of a record
			dirty[op.Name] = true
		case inLog && op.Kind == faultfs.OpSync && broken:
			return faultfs.ErrIO
		case inLog && op.Kind == faultfs.OpSync:
			delete(dirty, op.Name)
		case op.Kind == faultfs.OpWrite && strings.HasSuffix(op.Name, "btree.db") && op.Off < 8192:
			metas++
			if len(dirty) > 0 {
				t.Errorf("a meta is written before %d segments of the log are synced", len(dirty))
			}
		case op.Kind == faultfs.OpWrite && strings.HasSuffix(op.Name, "btree.db"):
			extents++
		}
		return nil
	})
	for i := range 3 {
		mustPut(t, db, fmt.Sprintf("%03d", i), "v")
		if _, err := db.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if metas != 3 {
		t.Errorf("%d metas written, want 3", metas)
	}
	mustPut(t, db, "last", "v")
	mu.Lock()
	broken = true
	mu.Unlock()
	if _, err := db.Checkpoint(context.Background()); !errors.Is(err, engine.ErrFailed) {
		t.Errorf("checkpoint when the log cannot be synced: %v", err)
	}
	mu.Lock()
	extents = 0
	mu.Unlock()
	if _, err := db.Checkpoint(context.Background()); !errors.Is(err, engine.ErrFailed) || extents > 0 || metas != 3 {
		t.Errorf("afterwards: %v, %d extents and %d metas written", err, extents, metas-3)
	}
	if err := db.Close(); !errors.Is(err, engine.ErrFailed) {
		t.Errorf("close: %v", err)
	}
	db = open(t, "db", engine.Options{FS: disk})
	wantValue(t, db, []byte("last"), []byte("v"))
	closeDB(t, db)
}

// A log that is written as fast as it can be goes round in the segments that it
// has: making one costs as much as filling it.
func TestLog_IsUsedAgain(t *testing.T) {
	in := faultfs.Inject(vfs.NewMem())
	db := open(t, "db", engine.Options{FS: in, Sync: engine.SyncOff, MemtableBytes: 256 << 10, SegmentBytes: 64 << 10})
	var segments, again atomic.Int64
	in.SetHook(func(op faultfs.Op) error {
		if op.Kind == faultfs.OpRename {
			if strings.HasSuffix(op.NewName, ".log") {
				segments.Add(1)
			}
			if strings.Contains(op.Name, "spare-") {
				again.Add(1)
			}
		}
		return nil
	})
	value := strings.Repeat("v", 10<<10)
	for i := range 1000 {
		mustPut(t, db, fmt.Sprintf("%03d", i), value)
	}
	in.SetHook(nil)
	if n := segments.Load(); n < 100 || again.Load() < n*2/3 {
		t.Errorf("of %d segments %d were used before", n, again.Load())
	}
	closeDB(t, db)
}
