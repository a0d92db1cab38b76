package workload

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine"
)

func small() *Options {
	return &Options{
		Keys: 3001, Ops: 3001, Duration: time.Minute, Threads: 3, KeySize: 16, ValueSize: 20,
		Nexts: 3, Reads: 50, Seed: 9, Sync: engine.SyncOff, CacheBytes: 1 << 20,
	}
}

// run runs workloads and returns their results, and how many entries there are
// afterwards.
func run(t *testing.T, o *Options, names ...string) ([]*Result, int) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "db")
	r := NewRunner(dir, o)
	var list []*Workload
	for _, name := range names {
		list = append(list, Find(name))
	}
	var results []*Result
	err := r.Run(t.Context(), list, 1, func(r *Result) error {
		results = append(results, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	entries := 0
	err = r.db.View(func(tx *engine.Tx) error {
		for range tx.Scan(nil, nil) {
			entries++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return results, entries
}

// Every workload does all of its operations; a fill of N has made N keys; what
// is asked for is there, and what should be missing is not.
func TestRunner_DoesWhatItSays(t *testing.T) {
	for _, zipf := range []bool{false, true} {
		for i := range All {
			w := &All[i]
			t.Run(w.Name, func(t *testing.T) {
				o := small()
				o.Zipf = zipf
				results, entries := run(t, o, w.Name)
				f := results[0].Figures
				wantOps, wantFound, wantMissing, wantEntries := 3001., 3001., 0., 3001
				switch {
				case w.once:
					wantOps = 1
				case w.spoils:
					wantEntries = 0
				case w.Name == "readmissing":
					wantFound, wantMissing = 0, 3001
				case w.Name == "readrandomwriterandom":
					wantFound = f[Found]
					if wantFound < 1300 || wantFound > 1700 {
						t.Errorf("%v reads, want half of 3001", wantFound)
					}
				}
				if !w.reads {
					wantFound, wantMissing = -1, -1
				}
				if f[Ops] != wantOps || entries != wantEntries || f[Found] != wantFound || f[Missing] != wantMissing {
					t.Errorf("%v operations, %d entries, %v found, %v missing; want %v, %d, %v, %v",
						f[Ops], entries, f[Found], f[Missing], wantOps, wantEntries, wantFound, wantMissing)
				}
				if f[Median] > f[P99] || f[P99] > f[P999] || f[P999] > f[Longest] || f[Seconds] <= 0 {
					t.Errorf("figures %v", f)
				}
			})
		}
	}
}

// A fill that its time cuts short has written the first keys of its order, and
// what is asked for afterwards is one of them.
func TestRunner_ReadsWhatAFillLeft(t *testing.T) {
	for _, fill := range []string{"fillseq", "fillrandom", "fillbatch"} {
		o := small()
		o.Keys, o.Ops, o.Duration = 1<<40, 500, time.Millisecond
		results, entries := run(t, o, fill, "readrandom", "readhot", "readmissing", "seekrandom")
		if n := int(results[0].Figures[Ops]); n != entries || n == 0 {
			t.Errorf("%s: %d operations, %d entries", fill, n, entries)
		}
		for _, r := range results[1:] {
			name := r.Workload.Name
			if have, want := r.Figures[Found], r.Figures[Ops]; name == "readmissing" && have > 0 || name != "readmissing" && have != want {
				t.Errorf("%s: %s found %v of %v", fill, name, have, want)
			}
		}
	}
}

// Batches may not divide the keys.
func TestRunner_FillsInBatches(t *testing.T) {
	o := small()
	o.Batch = 64
	if results, entries := run(t, o, "fillrandom"); entries != 3001 || results[0].Figures[Ops] != 3001 {
		t.Errorf("%d entries, %v operations", entries, results[0].Figures[Ops])
	}
}

// fillsync is in sync mode full, and what follows in the mode asked for.
func TestRunner_SyncModes(t *testing.T) {
	o := small()
	o.Keys, o.Ops = 50, 50
	results, _ := run(t, o, "fillsync", "overwrite", "fillseq")
	for i, want := range []engine.SyncMode{engine.SyncFull, engine.SyncOff, engine.SyncOff} {
		if have := results[i].Sync; have != want {
			t.Errorf("%s in mode %v, want %v", results[i].Workload.Name, have, want)
		}
	}
}

// A later round that finds keys deleted gets them again.
func TestRunner_FillsAgainForALaterRound(t *testing.T) {
	o := small()
	filled := 0
	o.Filling = func() { filled++ }
	r := NewRunner(filepath.Join(t.TempDir(), "db"), o)
	defer r.Close()
	list := []*Workload{Find("readrandom"), Find("deleteseq"), Find("readseq")}
	var found []float64
	err := r.Run(t.Context(), list, 2, func(r *Result) error {
		found = append(found, r.Figures[Found])
		return nil
	})
	if err != nil || filled != 2 || found[0] != 3001 || found[3] != 3001 || found[2] != 0 {
		t.Errorf("error %v, filled %d times, found %v", err, filled, found)
	}
}

func TestRunner_EndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := NewRunner(filepath.Join(t.TempDir(), "db"), small())
	defer r.Close()
	done := 0
	err := r.Run(ctx, []*Workload{Find("fillseq"), Find("readrandom")}, 1, func(*Result) error {
		done++
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || done != 1 {
		t.Errorf("error %v after %d workloads", err, done)
	}
}

func TestRemove_RemovesAllAndFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	kept := filepath.Join(dir, "kept")
	inner := filepath.Join(dir, "gone", "a", "b")
	for _, d := range []string{kept, inner} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d, "file"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(kept, filepath.Join(inner, "link")); err != nil {
		t.Logf("no links here: %v", err)
	}
	if err := Remove(filepath.Join(dir, "gone")); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(kept, "file")); err != nil {
		t.Error(err)
	}
}
