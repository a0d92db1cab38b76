package verify_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/verify"
)

var shapes = map[string]shape{
	"empty":             {},
	"one key":           {rounds: 1, keys: 1},
	"usual":             usual,
	"none, 1 KiB pages": {options: engine.Options{PageSize: 1024}, rounds: 5, keys: 2000, longest: 3000},
	"s2, 4 KiB pages": {
		options: engine.Options{Compression: engine.CompressionS2}, rounds: 5, keys: 3000, longest: 30_000, deletes: 3,
	},
	"zstd, 64 KiB pages": {
		options: engine.Options{PageSize: 64 << 10, Compression: engine.CompressionZstd}, rounds: 3, keys: 5000, longest: 300_000,
	},
	"large values": {options: engine.Options{Compression: engine.CompressionZstd}, rounds: 1, keys: 60, longest: 5 << 20},
	"keyspaces": {
		keyspaces: make([]engine.KeyspaceOptions, 150), rounds: 2, keys: 20, longest: 5000, deletes: 1,
	},
}

// What the engine writes is sound, when it was closed as well as at every
// moment before that a process could have been killed.
func TestRun_FindsNothingInSoundDatabases(t *testing.T) {
	for name, s := range shapes {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			db := s.open(t, fs)
			s.write(t, db, rand.New(rand.NewPCG(7, 0)), func(round int) {
				if r := verifyFS(t, fs, verify.Options{}); !r.OK || len(r.Notes) > 0 {
					t.Fatalf("beside the writer, round %d: %s", round, show(r))
				}
				if r := verifyFS(t, fs.Clone(), verify.Options{}); !r.OK || len(r.Notes) > 0 {
					t.Fatalf("after a kill, round %d: %s", round, show(r))
				}
			})
			if err := db.Put([]byte("logged"), nil); err != nil {
				t.Fatal(err)
			}
			if r := verifyFS(t, fs.Clone(), verify.Options{}); !r.OK || r.LogRecords == 0 || r.LogOps < r.LogRecords {
				t.Fatalf("with a log: %s", show(r))
			}
			if _, err := db.Compact(context.Background()); err != nil {
				t.Fatal(err)
			}
			count := countKeys(t, db)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			for _, o := range []verify.Options{{}, {Quick: true}, {Workers: 1}, {Workers: 7}} {
				r := verifyFS(t, fs, o)
				if !r.OK || r.Keys != count || r.LogRecords != 0 || r.Quick != o.Quick || r.Bytes == 0 {
					t.Fatalf("with %+v have %s\nwant %d keys", o, show(r), count)
				}
			}
			names, err := fs.List(dbDir)
			if err != nil || fmt.Sprint(names) != "[LOCK ballast btree.db wal]" {
				t.Fatalf("have the files %v, %v", names, err)
			}
		})
	}
}

func countKeys(t *testing.T, db *engine.DB) uint64 {
	t.Helper()
	var n uint64
	list, err := db.Keyspaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range list {
		n += info.Entries
	}
	return n
}

// Beside a writer that checkpoints all the time, nothing looks damaged.
func TestRun_BesideAWriter(t *testing.T) {
	fs := vfs.NewMem()
	s := shape{options: engine.Options{PageSize: 1024, MemtableBytes: 64 << 10, MaxWALBytes: 128 << 10}, keys: 200, rounds: 1, longest: 3000}
	db := s.open(t, fs)
	var stop atomic.Bool
	done := make(chan error)
	go func() {
		rnd := rand.New(rand.NewPCG(3, 0))
		for !stop.Load() {
			if err := db.Put(someKey(rnd), someValue(rnd, 3000)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	var first, last uint64
	for i := 0; i < 60 || last < first+5; i++ {
		r := verifyFS(t, fs, verify.Options{})
		if !r.OK {
			t.Fatalf("round %d: %s", i, show(r))
		}
		if i == 0 {
			first = r.Generation
		}
		last = r.Generation
	}
	stop.Store(true)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// hookFS calls after when a part of a file was read that begins at or behind
// from. It is of files whose names end in suffix.
type hookFS struct {
	vfs.FS
	suffix string
	from   int64
	after  func()
}

func (fs *hookFS) Open(name string, mode vfs.Mode) (vfs.File, error) {
	f, err := fs.FS.Open(name, mode)
	if err == nil && strings.HasSuffix(name, fs.suffix) {
		f = &hookFile{f, fs}
	}
	return f, err
}

type hookFile struct {
	vfs.File
	fs *hookFS
}

func (f *hookFile) ReadAt(b []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(b, off)
	if off >= f.fs.from {
		f.fs.after()
	}
	return n, err
}

// A reader that cannot take a place among the readers, or whose place held back
// more log than the options allow, is overtaken by a writer and starts again:
// what it found was no damage.
func TestRun_Overtaken(t *testing.T) {
	for name, c := range map[string]struct {
		from   int64 // between the metas, behind them, or among the extents
		pinned bool
		times  int // that the writer goes on
	}{
		"between the metas": {4096, true, 5},
		"in the log":        {3 * 2048, true, 1}, "in the log, without a place": {3 * 2048, false, 1},
		"in the trees": {8192, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s := shape{options: engine.Options{PageSize: 1024, SegmentBytes: 8 << 10, MaxHeldBytes: 1}}
			db := s.open(t, fs)
			write := func() {
				for i := range 40 {
					if err := db.Put(fmt.Appendf(nil, "key %d", i), make([]byte, 400)); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := db.Checkpoint(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			write()
			hooks := 0
			under := vfs.FS(fs)
			if !c.pinned {
				under = readOnlyFS{fs}
			}
			r := verifyFS(t, &hookFS{under, "btree.db", c.from, func() {
				if hooks++; hooks <= c.times {
					for range 4 {
						write()
					}
				}
			}}, verify.Options{Workers: 1})
			if !r.OK || r.Keys != 40 || hooks < 2 {
				t.Fatalf("after %d hooks have %s", hooks, show(r))
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A record that is appended just after its place was read, and synced before
// what follows is read, is no damage.
func TestRun_BesideAnAppend(t *testing.T) {
	fs := vfs.NewMem()
	var s shape
	db := s.open(t, fs)
	put := func() {
		if err := db.Put([]byte("key"), []byte("value")); err != nil {
			t.Fatal(err)
		}
	}
	put()
	reads := 0
	r := verifyFS(t, &hookFS{fs, ".log", 4096, func() {
		if reads++; reads <= 6 {
			put()
			put()
		}
	}}, verify.Options{})
	if !r.OK || r.LogRecords < 13 || reads <= 6 {
		t.Fatalf("after %d reads have %s", reads, show(r))
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRun_StopsWhenTheContextIsDone(t *testing.T) {
	m := usual.build(t, 1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r, err := verify.Run(ctx, dbDir, verify.Options{FS: m.fs}); err == nil || r.OK {
		t.Fatalf("have %s, %v", show(r), err)
	}
}

func TestRun_ShowsProgress(t *testing.T) {
	s := shapes["large values"]
	m := s.build(t, 1)
	var calls []verify.Progress
	r := m.verify(verify.Options{Progress: func(p verify.Progress) { calls = append(calls, p) }})
	if !r.OK || len(calls) == 0 {
		t.Fatalf("have %d calls, %s", len(calls), show(r))
	}
	for i, p := range calls {
		if p.Bytes > p.Total || p.Bytes > r.Bytes || i > 0 && p.Bytes <= calls[i-1].Bytes {
			t.Fatalf("have %+v of %s", calls, show(r))
		}
	}
}
