package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

func TestRefresh_ClosesWhatItReplaced(t *testing.T) {
	in := faultfs.Inject(vfs.NewMem())
	w, err := engine.Open("db", &engine.Options{FS: in, SegmentBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.Put([]byte("k"), []byte("v"))
	r, err := engine.Open("db", &engine.Options{FS: in, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	before := len(in.OpenFiles())
	for i := range 100 {
		w.Put([]byte("k"), fmt.Appendf(nil, "%d", i))
		if _, err := w.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := r.Refresh(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(in.OpenFiles()) - before; n > 10 {
		t.Errorf("100 Refreshes, no view open: %d more open files", n)
	}
}

func TestRefresh_BesideGets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	w, err := engine.Open(dir, &engine.Options{Sync: engine.SyncOff})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	write := func(i int) {
		for k := range 300 {
			w.Put(fmt.Appendf(nil, "key%05d", k), fmt.Appendf(make([]byte, 200), "%d", i))
		}
		if _, err := w.Checkpoint(context.Background()); err != nil {
			t.Error(err)
		}
	}
	write(0)
	r, err := engine.Open(dir, &engine.Options{ReadOnly: true, CacheBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	loop := func(f func(i int)) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					f(i)
				}
			}
		}()
	}
	loop(write)
	loop(func(i int) {
		if _, err := r.Get(fmt.Appendf(nil, "key%05d", i%300)); err != nil {
			t.Errorf("Get: %v", err)
			runtime.Goexit()
		}
	})
	loop(func(i int) {
		err := r.View(func(tx *engine.Tx) error {
			n := 0
			var first string
			for _, v := range tx.Scan(nil, nil) {
				if n++; n == 1 {
					first = string(v)
				}
				_ = first
			}
			if n != 300 && tx.Err() == nil {
				return fmt.Errorf("%d entries", n)
			}
			return nil
		})
		if err != nil {
			t.Errorf("View: %v", err)
			runtime.Goexit()
		}
	})
	loop(func(i int) { r.Stats(); r.OpenReport() })
	times := 200
	if testing.Short() {
		times = 20
	}
	for range times {
		if err := r.Refresh(); err != nil {
			t.Errorf("Refresh: %v", err)
			break
		}
	}
	close(stop)
	wg.Wait()
}

func TestRefresh_KeepsItsPlaceWhenItFails(t *testing.T) {
	mem := vfs.NewMem()
	w, err := engine.Open("db", &engine.Options{FS: mem, Sync: engine.SyncOff})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	write := func(i int) {
		for k := range 300 {
			w.Put(fmt.Appendf(nil, "key%05d", k), fmt.Appendf(make([]byte, 200), "%d", i))
		}
		if _, err := w.Checkpoint(context.Background()); err != nil {
			t.Error(err)
		}
	}
	write(0)
	in := faultfs.Inject(mem)
	r, err := engine.Open("db", &engine.Options{FS: in, ReadOnly: true, CacheBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	write(1)
	moved := false
	in.SetHook(func(op faultfs.Op) error {
		moved = moved || op.Kind == faultfs.OpSetHolder
		if moved && op.Kind == faultfs.OpOpen && strings.HasSuffix(op.Name, "btree.db") {
			return errors.New("too many open files")
		}
		return nil
	})
	if err := r.Refresh(); err == nil {
		t.Fatal("Refresh worked")
	}
	if n := r.Stats().Errors; n != 1 {
		t.Errorf("it is counted %d times", n)
	}
	for i := range 5 {
		write(2 + i)
	}
	for k := range 300 {
		v, err := r.Get(fmt.Appendf(nil, "key%05d", k))
		if err != nil {
			t.Fatalf("after a failed Refresh, which shows what it showed before: Get: %v", err)
		}
		if !bytes.HasSuffix(v, []byte("0")) {
			t.Fatalf("Get = %q", v)
		}
	}
	in.SetHook(nil)
	if err := r.Refresh(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Get([]byte("key00000")); err != nil {
		t.Fatal(err)
	}
}

// The writer does something between any two calls of a reader that opens the
// database, or refreshes it: the reader finds no damage in what was moved, cut, or
// used again meanwhile, and everything that was committed before it began.
func TestReader_WriterActsAtEveryCall(t *testing.T) {
	check := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fill := func(db *engine.DB, prefix string, n int) {
		for i := range n {
			check(nil, db.Put([]byte(keyOf(prefix, i)), []byte(valueOf(prefix, i, 1500))))
		}
	}
	writes := map[string]func(*engine.DB){
		"close":   func(db *engine.DB) { check(nil, db.Close()) },
		"compact": func(db *engine.DB) { check(db.Compact(t.Context())) },
		"recycle": func(db *engine.DB) {
			for range 3 {
				fill(db, "r", 30)
				check(db.Checkpoint(t.Context()))
			}
		},
	}
	for name, write := range writes {
		for kept := range 2 {
			for refresh := range 2 {
				for n, done := 0, true; done; n++ {
					disk := vfs.NewMem()
					o := small(engine.Options{FS: disk, SegmentBytes: 32 << 10})
					db, err := engine.Open(dbDir, &o)
					check(nil, err)
					check(nil, engine.KeepLog(disk, dbDir, kept == 1))
					fill(db, "a", 10)
					check(db.Checkpoint(t.Context()))
					in := faultfs.Inject(disk)
					ro := small(engine.Options{FS: in, ReadOnly: true})
					var r *engine.DB
					if refresh == 1 {
						r, err = engine.Open(dbDir, &ro)
						check(nil, err)
						fill(db, "b", 1)
						check(db.Checkpoint(t.Context()))
					}
					calls := 0
					done = false
					in.SetHook(func(faultfs.Op) error {
						if calls++; calls > n && !done {
							done = true
							write(db)
						}
						return nil
					})
					if refresh == 1 {
						err = r.Refresh()
					} else {
						r, err = engine.Open(dbDir, &ro)
					}
					if err != nil {
						t.Fatalf("%s at call %d, kept %d, refresh %d: %v", name, n, kept, refresh, err)
					}
					for i := range 10 {
						v, err := r.Get([]byte(keyOf("a", i)))
						if err != nil || string(v) != valueOf("a", i, 1500) {
							t.Fatalf("%s at call %d, kept %d, refresh %d: %.20q, %v", name, n, kept, refresh, v, err)
						}
					}
					check(nil, r.Close())
					_ = db.Close()
				}
			}
		}
	}
}

func TestSyncOff_RecyclesTheLog(t *testing.T) {
	fs := vfs.NewMem()
	db, err := engine.Open("db", &engine.Options{FS: fs, Sync: engine.SyncOff, SegmentBytes: 64 << 10, MemtableBytes: 64 << 10, MaxWALBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		if err := db.Put(fmt.Appendf(nil, "%d", i%100), make([]byte, 4000)); err != nil {
			t.Fatal(err)
		}
	}
	db.Checkpoint(context.Background())
	names, _ := fs.List("db/wal")
	if len(names) > 12 {
		t.Errorf("8 MB written with MaxWALBytes 256 KiB: %d log segments of 64 KiB on disk after a checkpoint", len(names))
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestF13_ForeignLogIsNotTouched(t *testing.T) {
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, "wal"), 0o700)
	file := filepath.Join(dir, "wal", "000000010000000000000001")
	os.WriteFile(file, []byte("somebody's log"), 0o600)
	db, err := engine.Open(dir, nil)
	if err == nil {
		db.Close()
	}
	if _, e := os.Stat(file); e != nil {
		t.Errorf("Open = %v, and the foreign file is gone: %v", err, e)
	}
}

func TestF13_ForeignTreeIsNotTouched(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "btree.db"), make([]byte, 20000), 0o600)
	os.WriteFile(filepath.Join(dir, "btree.db.new"), []byte("theirs"), 0o600)
	_, err := engine.Open(dir, nil)
	if !errors.Is(err, engine.ErrFormat) {
		t.Errorf("Open = %v", err)
	}
	names, _ := vfs.OS().List(dir)
	if !slices.Equal(names, []string{"btree.db", "btree.db.new"}) {
		t.Errorf("the foreign directory holds %v", names)
	}
}

func TestF13_TreeIsADirectory(t *testing.T) {
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, "btree.db"), 0o700)
	_, err := engine.Open(dir, nil)
	if !errors.Is(err, engine.ErrFormat) {
		t.Errorf("Open = %v", err)
	}
	names, _ := vfs.OS().List(dir)
	if !slices.Equal(names, []string{"btree.db"}) {
		t.Errorf("the foreign directory holds %v", names)
	}
}

// noRemovalFS is a file system that does not remove the file of a held lock, as
// Windows does not.
type noRemovalFS struct {
	vfs.FS
	mu   sync.Mutex
	held map[string]bool
}

type noRemovalLock struct {
	vfs.Lock
	fs   *noRemovalFS
	name string
}

func (f *noRemovalFS) hold(name string, held bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held[name] = held
}

func (f *noRemovalFS) Lock(name, holder string) (vfs.Lock, error) {
	l, err := f.FS.Lock(name, holder)
	if err != nil {
		return nil, err
	}
	f.hold(name, true)
	return &noRemovalLock{l, f, name}, nil
}

func (l *noRemovalLock) Close() error {
	l.fs.hold(l.name, false)
	return l.Lock.Close()
}

func (f *noRemovalFS) Remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held[name] {
		return &os.PathError{Op: "remove", Path: name, Err: errors.New("it is being used by another process")}
	}
	return f.FS.Remove(name)
}

func TestReader_WhereALockedFileStays(t *testing.T) {
	mem := vfs.NewMem()
	fs := &noRemovalFS{FS: mem, held: map[string]bool{}}
	w, err := engine.Open("db", &engine.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	r, err := engine.Open("db", &engine.Options{FS: fs, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("close of a reader: %v", err)
	}
	if err := mem.WriteFile("db/LOCK.reader-0000000000000001", []byte("a reader that died\n")); err != nil {
		t.Fatal(err)
	}
	w.Put([]byte("k"), nil)
	if _, err := w.Checkpoint(context.Background()); err != nil { // looks for readers
		t.Fatal(err)
	}
	names, err := mem.List("db")
	if err != nil || !slices.Equal(names, []string{"LOCK", "ballast", "btree.db", "wal"}) {
		t.Errorf("left are %v, %v", names, err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// A View never waits, nor does a snapshot that is made or closed, though another
// process has written much and a Refresh takes its time to read that: they show
// what was there before.
func TestRefresh_KeepsNobodyWaiting(t *testing.T) {
	mem := vfs.NewMem()
	w, err := engine.Open("db", &engine.Options{FS: mem, Sync: engine.SyncOff})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	put := func(value string) {
		t.Helper()
		if err := w.Put([]byte("k"), []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	in := faultfs.Inject(mem)
	put("0")
	r, err := engine.Open("db", &engine.Options{FS: in, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	show := func(want string) error {
		return r.View(func(tx *engine.Tx) error {
			if have, err := tx.Get([]byte("k")); err != nil || string(have) != want {
				return fmt.Errorf("%q, %w; want %q", have, err, want)
			}
			return nil
		})
	}
	for i, what := range []string{"the log goes on", "a checkpoint was made"} {
		before, after := fmt.Sprint(i), fmt.Sprint(i+1)
		put(after)
		if i == 1 {
			if _, err := w.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		old, err := r.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		arrived, goOn := make(chan struct{}), make(chan struct{})
		var once sync.Once
		in.SetHook(func(op faultfs.Op) error {
			if op.Kind == faultfs.OpRead && strings.HasSuffix(op.Name, ".log") {
				once.Do(func() { close(arrived) })
				<-goOn
			}
			return nil
		})
		refreshed, shown := make(chan error), make(chan error)
		go func() { refreshed <- r.Refresh() }()
		<-arrived
		go func() {
			err := show(before)
			r.Stats()
			old.Close()
			shown <- err
		}()
		select {
		case err := <-shown:
			if err != nil {
				t.Errorf("%s, beside Refresh: %v", what, err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: a View waits for Refresh", what)
			go func() { <-shown }()
		}
		close(goOn)
		if err := <-refreshed; err != nil {
			t.Errorf("%s: %v", what, err)
		}
		in.SetHook(nil)
		if err := show(after); err != nil {
			t.Errorf("%s, behind Refresh: %v", what, err)
		}
	}
}
