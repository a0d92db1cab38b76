package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

func TestOpen_SecondWriterIsTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	db := open(t, dir, engine.Options{Holder: "the first"})
	defer closeDB(t, db)
	_, err := engine.Open(dir, nil)
	var locked *engine.LockedError
	if !errors.Is(err, engine.ErrLocked) || !errors.As(err, &locked) {
		t.Fatalf("have %v, want ErrLocked", err)
	}
	if want := fmt.Sprintf("pid %d (the first)", os.Getpid()); locked.Holder != want {
		t.Errorf("holder: have %q, want %q", locked.Holder, want)
	}
}

func TestOpen_WaitsForTheLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	db := open(t, dir, engine.Options{})
	closed := make(chan error, 1)
	time.AfterFunc(50*time.Millisecond, func() { closed <- db.Close() })
	second := open(t, dir, engine.Options{LockWait: time.Minute})
	if err := <-closed; err != nil {
		t.Error(err)
	}
	closeDB(t, second)
}

func TestOpen_RefusesWhatIsNotOurs(t *testing.T) {
	for name, build := range map[string]func(dir string) error{
		"a file": func(dir string) error { return os.WriteFile(dir, []byte("text"), 0o600) },
		"a directory of files": func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600))
		},
		"another btree.db": func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "btree.db"), bytes.Repeat([]byte("x"), 9000), 0o600))
		},
		"an empty btree.db": func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "btree.db"), nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "db")
			if err := build(dir); err != nil {
				t.Fatal(err)
			}
			before := tree(t, dir)
			for _, o := range []engine.Options{{}, {ReadOnly: true}, {MustExist: true}} {
				if db, err := engine.Open(dir, &o); err == nil {
					db.Close()
					t.Errorf("%+v: opened", o)
				} else if !errors.Is(err, engine.ErrFormat) && !errors.Is(err, engine.ErrCorrupt) {
					t.Errorf("%+v: %v", o, err)
				}
			}
			after := tree(t, dir)
			delete(after, "LOCK")
			if fmt.Sprint(before) != fmt.Sprint(after) {
				t.Errorf("changed from %v to %v", before, after)
			}
		})
	}
}

func TestOpen_ReadOnlyCreatesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	for _, o := range []engine.Options{{ReadOnly: true}, {MustExist: true}} {
		if _, err := engine.Open(dir, &o); !errors.Is(err, engine.ErrNotExist) {
			t.Errorf("%+v: have %v, want ErrNotExist", o, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is there: %v", err)
	}
}

// A read-only open works where nothing can be written, and leaves no trace.
func TestOpen_ReadOnlyDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	db := open(t, dir, engine.Options{})
	mustPut(t, db, "k", "v")
	closeDB(t, db)
	before := tree(t, dir)
	ro := open(t, dir, engine.Options{ReadOnly: true, FS: readOnlyFS{vfs.OS()}})
	wantValue(t, ro, []byte("k"), []byte("v"))
	if err := ro.Put([]byte("k"), nil); !errors.Is(err, engine.ErrReadOnly) {
		t.Errorf("put: have %v, want ErrReadOnly", err)
	}
	closeDB(t, ro)
	ro = open(t, dir, engine.Options{ReadOnly: true})
	closeDB(t, ro)
	if after := tree(t, dir); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Error("reading changed the files")
	}
}

// readOnlyFS refuses every change.
type readOnlyFS struct{ vfs.FS }

func (f readOnlyFS) Open(name string, mode vfs.Mode) (vfs.File, error) {
	if mode != vfs.ReadOnly {
		return nil, os.ErrPermission
	}
	return f.FS.Open(name, mode)
}
func (f readOnlyFS) Mkdir(string) error                    { return os.ErrPermission }
func (f readOnlyFS) Remove(string) error                   { return os.ErrPermission }
func (f readOnlyFS) Rename(string, string) error           { return os.ErrPermission }
func (f readOnlyFS) Lock(string, string) (vfs.Lock, error) { return nil, os.ErrPermission }

// A reader beside a writer sees what was committed when it opened, catches up
// on request, and keeps the writer from using again what it still reads.
func TestOpen_ReaderBesideAWriter(t *testing.T) {
	fs := vfs.NewMem()
	ctx := context.Background()
	db, err := engine.Open("db", &engine.Options{FS: fs, SegmentBytes: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer closeDB(t, db)
	fill := func(value string) {
		for i := range 500 {
			mustPut(t, db, fmt.Sprintf("%04d", i), value+strings.Repeat(".", 100))
		}
	}
	fill("one")
	ro, err := engine.Open("db", &engine.Options{FS: fs, ReadOnly: true, CacheBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer closeDB(t, ro)
	want := func(r engine.Reader, value string) {
		t.Helper()
		n := 0
		for k, v := range r.Scan(nil, nil) {
			if !strings.HasPrefix(string(v), value) {
				t.Fatalf("%s is %.10q, want %q", k, v, value)
			}
			n++
		}
		if n != 500 || r.Err() != nil {
			t.Fatalf("%d entries, %v", n, r.Err())
		}
	}
	for round, value := range []string{"two", "three", "four", "five"} {
		old, err := ro.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		before := []string{"one", "two", "three", "four"}[round]
		for range 3 { // each reuses what the one before freed, if it may
			fill(value)
			if round%2 == 0 {
				if _, err := db.Checkpoint(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		want(old, before)
		if err := ro.Refresh(); err != nil {
			t.Fatal(err)
		}
		want(old, before)
		old.Close()
		now, err := ro.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		want(now, value)
		now.Close()
	}
}

// The place of a reader that died is taken away.
func TestOpen_DeadReaderFreesItsPlace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	db := open(t, dir, engine.Options{})
	defer closeDB(t, db)
	left := filepath.Join(dir, "LOCK.reader-0123456789abcdef")
	if err := os.WriteFile(left, []byte("reader gen 1 lsn 8 pid 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustPut(t, db, "k", "v")
	if _, err := db.Checkpoint(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the place is still there: %v", err)
	}
}

func TestChanges(t *testing.T) {
	db := openMem(t, engine.Options{SegmentBytes: 8 << 10, MemtableBytes: 4 << 10})
	ctx := context.Background()
	mustPut(t, db, "a", "1")
	changes, err := db.Changes(1)
	if err != nil {
		t.Fatal(err)
	}
	defer changes.Close()
	b := db.NewBatch()
	ks, err := db.CreateKeyspace("other", nil)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(b.Put([]byte("b"), []byte("2")), b.In(ks).Delete([]byte("c")), b.DeleteRange([]byte("x"), nil), db.Apply(ctx, b))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`1 [{1 0 "a" "1" "" ""}]`,
		`2 [{4 1 "" "" "" "other"}]`,
		`5 [{1 0 "b" "2" "" ""} {2 1 "c" "" "" ""} {3 0 "x" "" "" ""}]`,
	}
	for i := range 500 {
		mustPut(t, db, fmt.Sprint(i), strings.Repeat("v", 50))
		want = append(want, fmt.Sprintf(`%d [{1 0 "%d" "%s" "" ""}]`, 6+i, i, strings.Repeat("v", 50)))
	}
	if _, err := db.Checkpoint(ctx); err != nil { // recycles all that is not held
		t.Fatal(err)
	}
	for i, w := range want {
		c, err := changes.Next()
		if have := describe(c); err != nil || have != w {
			t.Fatalf("change %d: have %s, %v; want %s", i, have, err, w)
		}
	}
	if _, err := changes.Next(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	mustPut(t, db, "later", "")
	if c, err := changes.Next(); err != nil || c.Seq != 506 {
		t.Errorf("after the end: %+v, %v", c, err)
	}
	if _, err := db.Changes(1); !errors.Is(err, engine.ErrGone) {
		// The reader that is open holds the log, so it may still be there.
		t.Logf("from 1 again: %v", err)
	}
}

// Compact goes on in a new segment of the log, behind which a reader of changes
// once saw damage that was none.
func TestChanges_AcrossCompact(t *testing.T) {
	db := openMem(t, engine.Options{SegmentBytes: 64 << 10})
	changes, err := db.Changes(1)
	if err != nil {
		t.Fatal(err)
	}
	defer changes.Close()
	for seq := uint64(0); seq < 100; {
		for range 20 {
			mustPut(t, db, "k", strings.Repeat("v", 1000))
			seq++
			if c, err := changes.Next(); err != nil || c.Seq != seq {
				t.Fatalf("change %d: %+v, %v", seq, c.Seq, err)
			}
		}
		if _, err := db.Compact(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, err := changes.Next(); err != io.EOF {
			t.Errorf("after Compact: %v, want io.EOF", err)
		}
	}
}

func describe(c engine.Change) string {
	var ops []string
	for _, op := range c.Ops {
		ops = append(ops, fmt.Sprintf("{%d %d %q %q %q %q}", op.Kind, op.Keyspace, op.Key, op.Value, op.End, op.Name))
	}
	return fmt.Sprintf("%d %v", c.Seq, ops)
}

func TestChanges_Gone(t *testing.T) {
	db := openMem(t, engine.Options{SegmentBytes: 8 << 10, MaxHeldBytes: 16 << 10})
	mustPut(t, db, "a", "1")
	slow, err := db.Changes(1)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	for i := range 1000 {
		mustPut(t, db, fmt.Sprint(i), strings.Repeat("v", 50))
		if i%100 == 0 {
			if _, err := db.Checkpoint(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := slow.Next(); !errors.Is(err, engine.ErrGone) {
		t.Errorf("a reader that fell behind: %v", err)
	}
	if _, err := db.Changes(1); !errors.Is(err, engine.ErrGone) {
		t.Errorf("changes from long ago: %v", err)
	}
}

func TestBackup_DamageIsFound(t *testing.T) {
	db := openMem(t, engine.Options{})
	if _, err := db.CreateKeyspace("more", nil); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		mustPut(t, db, fmt.Sprint(i), strings.Repeat(fmt.Sprint(i), i))
	}
	var b bytes.Buffer
	info, err := db.Backup(context.Background(), &b, nil)
	if err != nil || info.Entries != 50 || info.Bytes != int64(b.Len()) || info.Keyspaces != 2 {
		t.Fatalf("backup: %+v, %v", info, err)
	}
	stream := b.Bytes()
	ctx := context.Background()
	if _, err := engine.VerifyBackup(ctx, bytes.NewReader(stream)); err != nil {
		t.Fatal(err)
	}
	bad := func(what string, s []byte) {
		t.Helper()
		fs := vfs.NewMem()
		if _, err := engine.Restore(ctx, bytes.NewReader(s), "copy", &engine.RestoreOptions{FS: fs}); err == nil {
			t.Errorf("%s: restored", what)
		}
		if names := fs.Names(); len(names) != 0 {
			t.Errorf("%s: left %v", what, names)
		}
	}
	for i := range stream {
		s := bytes.Clone(stream)
		s[i] ^= 1 << (i % 8)
		if _, err := engine.VerifyBackup(ctx, bytes.NewReader(s)); err == nil {
			t.Errorf("byte %d flipped: not found", i)
		}
		if _, err := engine.VerifyBackup(ctx, bytes.NewReader(stream[:i])); err == nil {
			t.Errorf("cut at %d: not found", i)
		}
	}
	bad("empty", nil)
	bad("cut in half", stream[:len(stream)/2])
	bad("cut at the end", stream[:len(stream)-1])
	bad("a byte more", append(bytes.Clone(stream), 0))
}

func TestRestore_NeverOverwrites(t *testing.T) {
	fs := vfs.NewMem()
	db := open(t, "db", engine.Options{FS: fs})
	mustPut(t, db, "k", "v")
	var b bytes.Buffer
	if _, err := db.Backup(context.Background(), &b, nil); err != nil {
		t.Fatal(err)
	}
	closeDB(t, db)
	if _, err := engine.Restore(context.Background(), &b, "db", &engine.RestoreOptions{FS: fs}); !errors.Is(err, engine.ErrExists) {
		t.Fatalf("have %v, want ErrExists", err)
	}
}

// A log that is longer than a memtable is replayed into several, each with the
// keyspaces and the place in the log as of its end.
func TestOpen_ReplaysIntoMemtablesOfTheirSize(t *testing.T) {
	const memtable = 1 << 20
	disk := vfs.NewMem()
	db := open(t, "db", engine.Options{FS: disk, Sync: engine.SyncOff, SegmentBytes: 1 << 20, MemtableBytes: 64 << 20})
	want := map[string]string{}
	put := func(ks *engine.Keyspace, i, round int) {
		key, value := fmt.Sprintf("%s/%06d", ks.Name(), i*7919%20_000), fmt.Sprintf("%0200d", round)
		if err := ks.Put([]byte(key), []byte(value)); err != nil {
			t.Fatal(err)
		}
		want[key] = value
	}
	create := func(name string) *engine.Keyspace {
		ks, err := db.CreateKeyspace(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		return ks
	}
	spaces := []*engine.Keyspace{create("a"), create("dropped")}
	for i := range 30_000 {
		switch i {
		case 10_000:
			spaces = append(spaces, create("late"))
		case 15_000:
			if err := spaces[0].DeleteRange([]byte("a/005"), []byte("a/010")); err != nil {
				t.Fatal(err)
			}
			for key := range want {
				if "a/005" <= key && key < "a/010" {
					delete(want, key)
				}
			}
		case 20_000:
			if err := db.DropKeyspace("dropped"); err != nil {
				t.Fatal(err)
			}
			spaces = append(spaces[:1:1], spaces[2:]...)
			for key := range want {
				if strings.HasPrefix(key, "dropped/") {
					delete(want, key)
				}
			}
		}
		put(spaces[i%len(spaces)], i, i)
	}
	check := func(db *engine.DB) {
		t.Helper()
		n := 0
		for _, name := range []string{"a", "late"} {
			ks, err := db.Keyspace(name)
			if err != nil {
				t.Fatal(err)
			}
			err = db.View(func(tx *engine.Tx) error {
				for key, value := range tx.In(ks).Scan(nil, nil) {
					if want[string(key)] != string(value) {
						return fmt.Errorf("key %s: have %s, want %s", key, value, want[string(key)])
					}
					n++
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if n != len(want) {
			t.Fatalf("%d entries, want %d", n, len(want))
		}
		if _, err := db.Keyspace("dropped"); !errors.Is(err, engine.ErrNoKeyspace) {
			t.Fatalf("the dropped keyspace: %v", err)
		}
	}
	for crash := range 2 {
		killed := disk.Clone()
		reader := open(t, "db", engine.Options{FS: killed, ReadOnly: true, MemtableBytes: memtable})
		check(reader)
		if s := reader.Stats(); s.Frozen < 3 || s.MemtableBytes > uint64(s.Frozen+1)*2*memtable {
			t.Errorf("crash %d: %d frozen memtables, %d bytes in all", crash, s.Frozen, s.MemtableBytes)
		}
		closeDB(t, reader)
		db := open(t, "db", engine.Options{FS: killed, Sync: engine.SyncOff, SegmentBytes: 1 << 20, MemtableBytes: memtable})
		check(db)
		ks, err := db.Keyspace("late")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5000 {
			put(ks, i, crash)
		}
		check(db)
		if _, err := db.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
		check(db)
		closeDB(t, db)
		db = open(t, "db", engine.Options{FS: killed})
		check(db)
		closeDB(t, db)
		if err := checkDatabase(killed, "db"); err != nil {
			t.Fatal(err)
		}
		for i := range 5000 { // so that the first database has them, too
			put(spaces[len(spaces)-1], i, crash)
		}
	}
	closeDB(t, db)
}

// A negative CacheBytes was the default, and nobody was told.
func TestOpen_RefusesNegativeOptions(t *testing.T) {
	for name, o := range map[string]engine.Options{
		"CacheBytes":             {CacheBytes: -1},
		"MemtableBytes":          {MemtableBytes: -1},
		"MaxWALBytes":            {MaxWALBytes: -1},
		"MaxHeldBytes":           {MaxHeldBytes: -1},
		"SegmentBytes":           {SegmentBytes: -1},
		"page size":              {PageSize: -4096},
		"SyncInterval":           {SyncInterval: -time.Second},
		"LockWait":               {LockWait: -1},
		"SlowOperation":          {SlowOperation: -1},
		"ReportInterval":         {ReportInterval: -1},
		"Health.CheckpointTime":  {Health: engine.HealthLimits{CheckpointTime: -1}},
		"Health.SnapshotAge":     {Health: engine.HealthLimits{SnapshotAge: -1}},
		"Health.LogShare":        {Health: engine.HealthLimits{LogShare: -0.5}},
		"Health.CacheHits":       {Health: engine.HealthLimits{CacheHits: math.NaN()}},
		"Health.Errors":          {Health: engine.HealthLimits{Errors: -1}},
		"Health.DiskCheckpoints": {Health: engine.HealthLimits{DiskCheckpoints: -1}},
	} {
		disk := vfs.NewMem()
		o.FS = disk
		db, err := engine.Open("db", &o)
		if err == nil {
			_ = db.Close()
		}
		if !errors.Is(err, engine.ErrInvalid) || !strings.Contains(err.Error(), name+" ") {
			t.Errorf("Open with a wrong %s = %v, want an ErrInvalid that names it", name, err)
		}
		if _, err := disk.Stat("db"); err == nil {
			t.Errorf("Open with a wrong %s made the directory", name)
		}
	}
}
