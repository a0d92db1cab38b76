package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

func hotKey(i int) []byte { return fmt.Appendf(nil, "%08x", uint32(i)*2654435761) }

// hotReader is what the database and a snapshot have in common.
type hotReader interface {
	AppendValue(dst, key []byte) ([]byte, error)
}

// hotOptions make a small database have sorted runs, and its cache a set of
// entries that are read often.
func hotOptions() engine.Options {
	return engine.Options{FS: vfs.NewMem(), Sync: engine.SyncOff, CacheBytes: 16 << 20, MemtableBytes: 256 << 10, SegmentBytes: 1 << 20}
}

// heat reads those of the first keys that are there until most are answered
// without a descent, which would count two hits at least.
func heat(t *testing.T, db *engine.DB, keys int, want map[int]string) {
	t.Helper()
	var value []byte
	var hits, reads uint64
	for range 400 {
		reads = 0
		before := db.Stats().CacheHits
		for i := range 10_000 {
			w, there := want[i%keys]
			if !there {
				continue
			}
			reads++
			var err error
			if value, err = db.AppendValue(value[:0], hotKey(i%keys)); err != nil || string(value) != w {
				t.Fatalf("key %d: %.20q, %v; want %.20q", i%keys, value, err, w)
			}
		}
		if hits = db.Stats().CacheHits - before; hits < reads*5/4 {
			return
		}
	}
	t.Fatalf("keys that are read again and again still cost a descent: %d hits in %d reads", hits, reads)
}

// What is read again and again is what the version that is read has, through
// updates, deletes, checkpoints, runs, their merging, compaction, and reopening;
// and an old snapshot shows what it showed, while newer ones are read.
func TestHot_Model(t *testing.T) {
	const n, hot = 20_000, 300
	o := hotOptions()
	db := open(t, dbDir, o)
	defer func() { db.Close() }()
	r := rand.New(rand.NewPCG(1, 1))
	model := map[int]string{}
	step := 0
	put := func(i int) {
		step++
		model[i] = fmt.Sprintf("%d of step %d %080d", i, step, i)
		if err := db.Put(hotKey(i), []byte(model[i])); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		put(i)
	}
	type moment struct {
		*engine.Snapshot
		want map[int]string
	}
	var old []moment
	leave := func() {
		for _, m := range old {
			m.Close()
		}
		old = nil
	}
	ctx := context.Background()
	runs := 0
	rounds := 30
	if testing.Short() {
		rounds = 12
	}
	for round := range rounds {
		switch round % 6 {
		case 0:
			if _, err := db.Compact(ctx); err != nil {
				t.Fatal(err)
			}
		case 5:
			leave()
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = open(t, dbDir, o)
		default:
			if _, err := db.Checkpoint(ctx); err != nil {
				t.Fatal(err)
			}
		}
		runs = max(runs, db.Stats().Runs)
		heat(t, db, hot, model)
		s, err := db.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		old = append(old, moment{s, maps.Clone(model)})
		for range 3 {
			for _, m := range old {
				checkHot(t, m, hot, m.want)
			}
			checkHot(t, db, hot, model)
		}
		for range 4000 { // most of them elsewhere, so that they make a run
			put(r.IntN(n))
		}
		for range 100 {
			i := r.IntN(hot)
			if r.IntN(3) > 0 {
				put(i)
				continue
			}
			delete(model, i)
			if err := db.Delete(hotKey(i)); err != nil {
				t.Fatal(err)
			}
		}
		if round%6 == 3 {
			if err := db.DeleteRange([]byte("7"), []byte("8")); err != nil {
				t.Fatal(err)
			}
			maps.DeleteFunc(model, func(i int, _ string) bool { return hotKey(i)[0] == '7' })
		}
		checkHot(t, db, hot, model)
	}
	leave()
	if runs == 0 {
		t.Error("there was no sorted run")
	}
}

// checkHot compares the first keys with what they are to be.
func checkHot(t *testing.T, g hotReader, keys int, want map[int]string) {
	t.Helper()
	for i := range keys {
		value, err := g.AppendValue(nil, hotKey(i))
		w, there := want[i]
		if err != nil && !errors.Is(err, engine.ErrNotFound) || there != (err == nil) || !bytes.Equal(value, []byte(w)) {
			t.Fatalf("key %d: %.20q, %v; want %.20q, %v", i, value, err, w, there)
		}
	}
}

// A key that is put again and again, and checkpointed meanwhile, never goes
// back for those who read it all the time.
func TestHot_NeverGoesBack(t *testing.T) {
	db := open(t, dbDir, hotOptions())
	defer db.Close()
	const keys = 8
	for i := range keys {
		if err := db.Put(hotKey(i), []byte("0")); err != nil {
			t.Fatal(err)
		}
	}
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			var newest [keys]int
			var value []byte
			for i := 0; !done.Load(); i = (i + 1) % keys {
				var err error
				if value, err = db.AppendValue(value[:0], hotKey(i)); err != nil {
					t.Error(err)
					return
				}
				n, err := strconv.Atoi(string(value))
				if err != nil || n < newest[i] {
					t.Errorf("key %d: %q after %d", i, value, newest[i])
					return
				}
				newest[i] = n
			}
		})
	}
	for n := range 200 {
		for i := range keys {
			if err := db.Put(hotKey(i), strconv.AppendInt(nil, int64(n), 10)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := db.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
		for i := range 1000 {
			value, err := db.AppendValue(nil, hotKey(i%keys))
			if err != nil || string(value) != strconv.Itoa(n) {
				t.Fatalf("key %d: %q, %v; want %d", i%keys, value, err, n)
			}
		}
	}
	done.Store(true)
	wg.Wait()
}
