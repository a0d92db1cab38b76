package engine_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// Close does not wait for what merges: a Compact that is under way ends with
// ErrClosed, before its pass does, and leaves the generation that there was.
func TestClose_EndsWhatMerges(t *testing.T) {
	var compacting atomic.Pointer[engine.DB]
	var passing atomic.Bool
	var ended error // of the last pass
	closed := make(chan error, 1)
	events := func(e engine.Event) {
		switch e := e.(type) {
		case *engine.CheckpointBegun:
			passing.Store(e.Kind == engine.CheckpointCompact)
		case *engine.CheckpointEnded:
			if e.Kind == engine.CheckpointCompact {
				ended = e.Err
			}
		}
	}
	disk := faultfs.NewSim()
	disk.Before = func(op faultfs.Op) (skip bool) {
		if !strings.HasSuffix(op.Name, "btree.db") || op.Kind != faultfs.OpWrite || compacting.Load() == nil {
			return false
		}
		if !passing.Load() {
			time.Sleep(time.Millisecond) // events come when they have been delivered
		}
		if !passing.Load() {
			return false
		}
		if db := compacting.Swap(nil); db != nil {
			go func() { closed <- db.Close() }()
			for { // until it has begun
				s, err := db.Snapshot()
				if errors.Is(err, engine.ErrClosed) {
					break
				}
				s.Close()
				runtime.Gosched()
			}
		}
		return false
	}
	db := open(t, "db", engine.Options{FS: disk, Events: events})
	const entries = 40_000
	for from := 0; from < entries; from += entries / 8 { // in several generations
		batch := db.NewBatch()
		for i := range entries / 8 {
			if err := batch.Put(fmt.Appendf(nil, "%06d", i*8+from*8/entries), make([]byte, 300)); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Apply(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	compacting.Store(db)
	info, err := db.Compact(t.Context())
	if !errors.Is(err, engine.ErrClosed) || errors.Is(err, engine.ErrFailed) {
		t.Errorf("Compact: %+v, %v", info, err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
	if !errors.Is(ended, engine.ErrClosed) {
		t.Errorf("the pass that was under way ended with %v", ended)
	}
	opened := open(t, "db", engine.Options{FS: disk})
	defer closeDB(t, opened)
	if !opened.OpenReport().Clean {
		t.Errorf("%+v", opened.OpenReport())
	}
}

// A deadline of CloseContext may pass before anything was merged, in the middle,
// or not at all. In each case the database is closed and its lock given up, and
// no commit is lost, in no sync mode, even by a power cut right after. Only
// where it did not pass is there nothing to recover.
func TestCloseContext(t *testing.T) {
	const entries = 3000
	for _, mode := range []engine.SyncMode{engine.SyncFull, engine.SyncNormal, engine.SyncOff} {
		for _, when := range []string{"before", "while it merges", "never"} {
			t.Run(fmt.Sprintf("%v/%s", mode, when), func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				var closing atomic.Bool
				var metas, extents atomic.Int64
				disk := faultfs.NewSim()
				disk.Before = func(op faultfs.Op) (skip bool) {
					if closing.Load() && op.Kind == faultfs.OpWrite && strings.HasSuffix(op.Name, "btree.db") {
						if op.Off < 8192 {
							metas.Add(1)
						} else if extents.Add(1); when == "while it merges" {
							cancel()
						}
					}
					return false
				}
				db := open(t, "db", engine.Options{FS: disk, Sync: mode})
				batch := db.NewBatch()
				for i := range entries {
					if err := batch.Put(fmt.Appendf(nil, "%06d", i), make([]byte, 500)); err != nil {
						t.Fatal(err)
					}
				}
				if err := db.Apply(ctx, batch); err != nil {
					t.Fatal(err)
				}
				closing.Store(true)
				if when == "before" {
					cancel()
				}
				err := db.CloseContext(ctx)
				if passed := when != "never"; passed != errors.Is(err, context.Canceled) || !passed && err != nil {
					t.Fatalf("CloseContext: %v", err)
				}
				if err != nil && engine.ClassOf(err) != engine.ClassAnswer {
					t.Errorf("%v is of class %v", err, engine.ClassOf(err))
				}
				if (metas.Load() > 0) != (when == "never") || (extents.Load() > 0) == (when == "before") {
					t.Errorf("%d metas and %d extents were written", metas.Load(), extents.Load())
				}
				if err := db.Put([]byte("k"), nil); !errors.Is(err, engine.ErrClosed) {
					t.Errorf("Put: %v", err)
				}
				if err := db.CloseContext(ctx); !errors.Is(err, engine.ErrClosed) {
					t.Errorf("the second CloseContext: %v", err)
				}

				left := disk.Image(disk.Ops(), faultfs.All)
				opened := open(t, "db", engine.Options{FS: left, MustExist: true})
				defer closeDB(t, opened)
				if r := opened.OpenReport(); r.Clean != (when == "never") || r.TornBytes != 0 {
					t.Errorf("%+v", r)
				}
				n := 0
				if err := opened.View(func(tx *engine.Tx) error {
					for range tx.Scan(nil, nil) {
						n++
					}
					return nil
				}); err != nil || n != entries {
					t.Errorf("%d of %d entries, %v", n, entries, err)
				}
			})
		}
	}
}
