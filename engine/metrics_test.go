package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// samples are metrics by name and labels, as they were written.
type samples map[string]float64

var (
	sampleLine = regexp.MustCompile(`^([a-z_]+)(\{((?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)$`)
	labelPart  = regexp.MustCompile(`([a-z]+)="((?:[^"\\\n]|\\["\\n])*)"`)
)

// metricsOf reads what WriteMetrics wrote, without the label db of a database in
// dbDir, and holds it to the rules of the format.
func metricsOf(t testing.TB, text string) samples {
	t.Helper()
	have := samples{}
	seen := map[string]bool{}
	var name, kind string
	buckets := map[string]float64{} // the last one's value, by the other labels
	for line := range strings.Lines(text) {
		line, ended := strings.CutSuffix(line, "\n")
		if !ended {
			t.Fatalf("a line without an end: %q", line)
		}
		if help, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, _, _ = strings.Cut(help, " ")
			if seen[name] || !strings.HasPrefix(name, "lightning_") {
				t.Fatalf("%s: there twice, or not of ours", name)
			}
			seen[name], kind = true, ""
			continue
		}
		if typed, ok := strings.CutPrefix(line, "# TYPE "); ok {
			if kind, ok = strings.CutPrefix(typed, name+" "); !ok {
				t.Fatalf("%q behind the help of %s", line, name)
			}
			if strings.HasSuffix(name, "_total") != (kind == "counter") {
				t.Errorf("%s is a %s", name, kind)
			}
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil || kind == "" {
			t.Fatalf("no sample: %q", line)
		}
		suffix, ok := strings.CutPrefix(m[1], name)
		if !ok || (suffix != "") != (kind == "histogram") {
			t.Fatalf("%q below the type %s of %s", line, kind, name)
		}
		value, err := strconv.ParseFloat(m[4], 64)
		if err != nil {
			t.Fatal(err)
		}
		var labels []string
		bound := ""
		for _, l := range labelPart.FindAllStringSubmatch(m[3], -1) {
			switch {
			case l[1] == "le":
				bound = l[2]
			case l[1] != "db" || l[2] != dbDir:
				labels = append(labels, l[0])
			}
		}
		key := m[1]
		if len(labels) > 0 {
			key += "{" + strings.Join(labels, ",") + "}"
		}
		switch {
		case suffix == "_bucket":
			if value < buckets[key] {
				t.Errorf("%q: less than the bucket before", line)
			}
			if buckets[key] = value; bound != "+Inf" {
				continue
			}
		case suffix == "_count":
			if b := strings.Replace(key, "_count", "_bucket", 1); value != have[b] {
				t.Errorf("%q, but the bucket +Inf has %v", line, have[b])
			}
		}
		if _, twice := have[key]; twice {
			t.Fatalf("%q is there twice", key)
		}
		have[key] = value
	}
	return have
}

func writeMetrics(t testing.TB, dbs ...*engine.DB) string {
	t.Helper()
	var b bytes.Buffer
	if err := engine.WriteMetrics(&b, dbs...); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// change is what a cause does to one metric: by exactly so much, or, where that
// is 0, it grows (up) or shrinks (down).
type change struct {
	metric string
	by     float64
	dir    int
}

func by(n float64, metrics ...string) (list []change) {
	for _, m := range metrics {
		list = append(list, change{"lightning_" + m, n, 0})
	}
	return list
}

func up(metrics ...string) (list []change) {
	for _, m := range metrics {
		list = append(list, change{"lightning_" + m, 0, +1})
	}
	return list
}

func down(metrics ...string) (list []change) {
	for _, m := range metrics {
		list = append(list, change{"lightning_" + m, 0, -1})
	}
	return list
}

// metricsRig is a database whose metrics are looked at before and after a cause.
type metricsRig struct {
	t     *testing.T
	disk  *vfs.Mem
	in    *faultfs.Injector
	db    *engine.DB
	moved map[string]bool // metrics that were seen to change, without labels
}

func (r *metricsRig) open(o engine.Options) {
	r.disk = vfs.NewMem()
	r.in = faultfs.Inject(r.disk)
	r.in.SetCapacity(1 << 30)
	o.FS = r.in
	r.db = open(r.t, dbDir, small(o))
}

// sees makes sure that cause changes the metrics so.
func (r *metricsRig) sees(what string, cause func(), want ...[]change) {
	r.t.Helper()
	before := metricsOf(r.t, writeMetrics(r.t, r.db))
	cause()
	after := metricsOf(r.t, writeMetrics(r.t, r.db))
	for _, c := range slices.Concat(want...) {
		moved := after[c.metric] - before[c.metric]
		if _, there := after[c.metric]; !there {
			r.t.Errorf("%s: there is no %s", what, c.metric)
		}
		if c.dir == 0 && moved != c.by || c.dir > 0 && moved <= 0 || c.dir < 0 && moved >= 0 {
			r.t.Errorf("%s: %s moved from %v to %v, want %+v", what, c.metric, before[c.metric], after[c.metric], c)
		}
		name, _, _ := strings.Cut(c.metric, "{")
		for _, suffix := range []string{"_sum", "_count", "_bucket"} {
			name = strings.TrimSuffix(name, suffix)
		}
		r.moved[name] = r.moved[name] || c.by != 0 || c.dir != 0
	}
}

func (r *metricsRig) do(what string, err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatalf("%s: %v", what, err)
	}
}

// TestMetrics_EachForItsCause: every metric is seen to change for what it says
// that it measures.
func TestMetrics_EachForItsCause(t *testing.T) {
	warmUp()
	moved := map[string]bool{}
	all := map[string]bool{}
	for name, play := range map[string]func(*metricsRig){
		"commits": playCommits, "reads": playReads, "trees": playTrees, "runs": playSortedRuns, "snapshots": playOldSnapshot,
		"stall": playStall, "errors": playErrors, "damage": playDamage, "failure": playFailure, "log": playLog, "events": playEvents, "limits": playLimits,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &metricsRig{t: t, moved: moved}
				defer func() {
					if r.db != nil {
						_ = r.db.Close()
					}
				}()
				play(r)
				for line := range strings.Lines(writeMetrics(t, r.db)) {
					if help, ok := strings.CutPrefix(line, "# HELP "); ok {
						name, _, _ := strings.Cut(help, " ")
						all[name] = true
					}
				}
			})
		})
	}
	for name := range all {
		if !moved[name] && !t.Failed() {
			t.Errorf("%s: nothing was seen to change it", name)
		}
	}
	if len(all) < 35 {
		t.Errorf("only %d metrics", len(all))
	}
}

func playCommits(r *metricsRig) {
	r.open(full)
	db := r.db
	oneCommit := by(1, "commits_total", "commit_duration_seconds_count", "sync_duration_seconds_count", "sync_commits_count", "sync_commits_sum")
	grown := up("log_bytes", "log_used_ratio", "log_end_bytes", "seq")
	r.sees("put", func() { mustPut(r.t, db, "a", "1") }, oneCommit, grown, by(1, `operations_total{op="put"}`))
	r.sees("delete", func() { r.do("delete", db.Delete([]byte("a"))) }, oneCommit, grown, by(1, `operations_total{op="delete"}`))
	r.sees("delete of a range", func() { r.do("delete", db.DeleteRange([]byte("a"), nil)) }, oneCommit, grown, by(1, `operations_total{op="delete_range"}`))
	r.sees("large put", func() { mustPut(r.t, db, "large", strings.Repeat("x", 9000)) }, oneCommit, grown, by(1, `operations_total{op="put"}`),
		up("log_segments", "memtable_bytes"))
	r.sees("batch", func() {
		b := db.NewBatch()
		r.do("batch", errors.Join(b.Put([]byte("b"), nil), b.Put([]byte("c"), nil), b.Delete([]byte("d"))))
		r.do("apply", db.Apply(context.Background(), b))
	}, oneCommit, by(3, "seq"), by(2, `operations_total{op="put"}`), by(1, `operations_total{op="delete"}`))
	r.sees("conflict", func() {
		tx := begin(r.t, db, engine.Serializable)
		_, err := tx.Get([]byte("b"))
		r.do("get", err)
		r.do("put", tx.Put([]byte("x"), nil))
		mustPut(r.t, db, "b", "2")
		if err := tx.Commit(context.Background()); !errors.Is(err, engine.ErrConflict) {
			r.t.Fatal(err)
		}
	}, by(1, "conflicts_total", "commits_total", `operations_total{op="put"}`), by(0, `errors_total{class="unknown",error="other"}`, `errors_total{class="input",error="other"}`))
	r.sees("100 commits that one sync makes durable", func() {
		// The one sync that goes first holds up the others, who gather behind it.
		release := make(chan struct{})
		r.in.SetHook(func(op faultfs.Op) error {
			if op.Kind == faultfs.OpSync {
				<-release
			}
			return nil
		})
		for i := range 101 {
			go mustPut(r.t, db, fmt.Sprint("group", i), "")
			synctest.Wait()
		}
		close(release)
		synctest.Wait()
		r.in.SetHook(nil)
	}, by(101, "commits_total", "sync_commits_sum"), by(2, "sync_commits_count"))
}

func playReads(r *metricsRig) {
	r.open(off)
	db := r.db
	for i := range 300 {
		mustPut(r.t, db, keyOf("k", i), valueOf("k", i, 100))
	}
	r.do("close", db.Close())
	o := small(off)
	o.FS = r.in
	r.db = open(r.t, dbDir, o)
	db = r.db
	r.sees("get from the disk", func() { wantValue(r.t, db, []byte(keyOf("k", 7)), []byte(valueOf("k", 7, 100))) },
		by(1, `operations_total{op="get"}`), up("cache_misses_total", "cache_bytes", "cache_nodes", "tree_read_bytes_total"))
	r.sees("2048 gets", func() {
		for range 2048 {
			wantValue(r.t, db, []byte(keyOf("k", 7)), []byte(valueOf("k", 7, 100)))
		}
	}, by(2048, `operations_total{op="get"}`), up("get_duration_seconds_count", "cache_hits_total"))
	r.sees("has", func() {
		if ok, err := db.Has([]byte("none")); ok || err != nil {
			r.t.Fatal(ok, err)
		}
	}, by(1, `operations_total{op="has"}`), by(0, `operations_total{op="get"}`))
	r.sees("transaction that reads", func() {
		r.do("view", db.View(func(tx *engine.Tx) error {
			_, err := tx.MultiGet([]byte("a"), []byte("b"), []byte("c"))
			_, has := tx.Has([]byte("a"))
			for range tx.Scan(nil, nil) {
			}
			return errors.Join(err, has)
		}))
	}, by(3, `operations_total{op="get"}`), by(1, `operations_total{op="has"}`, `operations_total{op="scan"}`))
	r.sees("2048 gets of a transaction", func() {
		r.do("view", db.View(func(tx *engine.Tx) error {
			for range 2048 {
				if _, err := tx.Get([]byte(keyOf("k", 7))); err != nil {
					return err
				}
			}
			return nil
		}))
	}, by(2048, `operations_total{op="get"}`), up("get_duration_seconds_count"))
}

func playTrees(r *metricsRig) {
	r.open(full)
	db := r.db
	checkpoint := func() {
		_, err := db.Checkpoint(context.Background())
		r.do("checkpoint", err)
	}
	for i := range 500 {
		mustPut(r.t, db, keyOf("k", i), valueOf("k", i, 100))
	}
	r.sees("checkpoint", checkpoint, by(1, "checkpoint_duration_seconds_count", "generation"), by(500, `entries{keyspace=""}`),
		by(500*106, `data_bytes{keyspace=""}`), up(`tree_depth{keyspace=""}`, `tree_nodes{keyspace=""}`),
		up("tree_file_bytes", "tree_used_bytes", "tree_written_bytes_total"), down("memtable_bytes", "log_bytes", "log_used_ratio", "log_segments"))
	r.do("delete", db.DeleteRange(nil, []byte(keyOf("k", 250))))
	r.sees("checkpoint of a deleted range", func() {
		checkpoint()
		mustPut(r.t, db, keyOf("k", 499), "")
		checkpoint()
	},
		up("tree_free_bytes"), down("tree_used_bytes", `tree_nodes{keyspace=""}`, `entries{keyspace=""}`))
	r.sees("keyspace", func() {
		ks, err := db.CreateKeyspace(`a "b" \c`, nil)
		r.do("create", err)
		r.do("put", ks.Put([]byte("a"), []byte("b")))
		checkpoint()
	}, by(1, `entries{keyspace="a \"b\" \\c"}`, `tree_depth{keyspace="a \"b\" \\c"}`, `tree_nodes{keyspace="a \"b\" \\c"}`), by(2, `data_bytes{keyspace="a \"b\" \\c"}`))
	r.sees("reader", func() {
		reader := open(r.t, dbDir, engine.Options{FS: r.in, ReadOnly: true})
		defer closeDB(r.t, reader)
		if n := metricsOf(r.t, writeMetrics(r.t, db))["lightning_readers"]; n != 1 {
			r.t.Errorf("%v readers, want 1", n)
		}
		only := metricsOf(r.t, writeMetrics(r.t, reader))
		for _, name := range []string{"commits_total", "readers", "failed", "log_limit_bytes", "sync_duration_seconds_count"} {
			if v, there := only["lightning_"+name]; there {
				r.t.Errorf("a reader says %s %v, which it cannot know", name, v)
			}
		}
		if n := only[`lightning_entries{keyspace=""}`]; n != 250 {
			r.t.Errorf("a reader sees %v entries, want 250", n)
		}
		r.moved["lightning_readers"] = true
	}, by(0, "readers"))
}

func playSortedRuns(r *metricsRig) {
	r.open(runOptions)
	s := &session{t: r.t, fs: r.in, db: r.db, hist: newHistory()}
	s.apply(entriesOf("k", spread, 100)...)
	s.checkpoint()
	r.sees("runs", func() { s.addRuns(0, 2, 12) }, by(2, `sorted_runs{keyspace=""}`), up("filter_bytes"))
}

func playOldSnapshot(r *metricsRig) {
	r.open(full)
	db := r.db
	change := func() {
		mustPut(r.t, db, "k", strings.Repeat("v", 700))
		_, err := db.Checkpoint(context.Background())
		r.do("checkpoint", err)
	}
	change()
	var s *engine.Snapshot
	r.sees("snapshot", func() {
		var err error
		s, err = db.Snapshot()
		r.do("snapshot", err)
		time.Sleep(2 * time.Hour)
	}, by(1, "snapshots"), by(0, "snapshot_age_seconds")) // it holds nothing that is not the newest
	r.sees("what it holds is replaced", func() {
		change()
		time.Sleep(time.Hour)
		change()
	}, by(0, "snapshots"), by(3600, "snapshot_age_seconds"), up("tree_pending_bytes"))
	r.sees("it is closed", func() { s.Close(); change() }, by(-1, "snapshots"), by(-3600, "snapshot_age_seconds"), down("tree_pending_bytes"))
}

func playStall(r *metricsRig) {
	r.open(engine.Options{Sync: engine.SyncOff, MemtableBytes: 16 << 10})
	db := r.db
	release := make(chan struct{})
	r.in.SetHook(func(op faultfs.Op) error {
		if op.Kind == faultfs.OpSync && strings.HasSuffix(op.Name, "btree.db") {
			<-release
		}
		return nil
	})
	var done atomic.Bool
	r.sees("commits while no checkpoint can end", func() {
		go func() {
			for i := range 2000 {
				if db.Stats().Stalls > 0 {
					break
				}
				mustPut(r.t, db, keyOf("k", i), valueOf("k", i, 100))
			}
			done.Store(true)
		}()
		synctest.Wait()
		time.Sleep(3 * time.Second)
	}, by(2, "memtables_frozen"), up("memtable_bytes"))
	if done.Load() {
		r.t.Fatal("nobody waits for the checkpoint")
	}
	r.sees("the checkpoint ends", func() {
		close(release)
		synctest.Wait()
		r.in.SetHook(nil)
	}, by(1, "stall_duration_seconds_count"), by(3, "stall_duration_seconds_sum"), down("memtables_frozen"))
}

func playErrors(r *metricsRig) {
	r.open(engine.Options{})
	db := r.db
	wrong := func(err, want error) {
		r.t.Helper()
		if !errors.Is(err, want) {
			r.t.Fatalf("have %v, want %v", err, want)
		}
	}
	r.sees("a large key", func() { wrong(db.Put(make([]byte, engine.MaxKeySize+1), nil), engine.ErrTooLarge) }, by(1, `errors_total{class="input",error="too_large"}`))
	r.sees("a keyspace that is gone", func() {
		ks, err := db.CreateKeyspace("gone", nil)
		r.do("create", err)
		r.do("drop", db.DropKeyspace("gone"))
		wrong(ks.Put([]byte("a"), nil), engine.ErrNoKeyspace)
	}, by(1, `errors_total{class="input",error="no_keyspace"}`))
	r.sees("answers", func() {
		_, err := db.Get([]byte("none"))
		wrong(err, engine.ErrNotFound)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		wrong(db.Apply(ctx, db.NewBatch()), context.Canceled)
	}, by(0, `errors_total{class="unknown",error="other"}`, `errors_total{class="input",error="other"}`))
	other := open(r.t, "other.db", engine.Options{FS: vfs.NewMem()})
	defer closeDB(r.t, other)
	ks, err := other.CreateKeyspace("a", nil)
	r.do("create", err)
	batch := other.NewBatch()
	r.do("batch", batch.In(ks).Put([]byte("a"), nil))
	large := make([]byte, engine.MaxKeySize+2) // a bound may be a byte longer than a key
	for what, tc := range map[string]struct {
		call  func() error
		class string
		want  error
	}{
		"no batch":                    {func() error { return db.Apply(context.Background(), nil) }, "other", engine.ErrInvalid},
		"a batch of another database": {func() error { return db.Apply(context.Background(), batch) }, "no_keyspace", engine.ErrNoKeyspace},
		"a large bound":               {func() error { return db.DeleteRange(nil, large) }, "too_large", engine.ErrTooLarge},
		"a name that cannot be":       {func() error { _, err := db.CreateKeyspace("\n", nil); return err }, "other", engine.ErrInvalid},
		"an option that cannot be": {func() error {
			_, err := db.CreateKeyspace("a", &engine.KeyspaceOptions{PageSize: 7})
			return err
		}, "other", engine.ErrInvalid},
		"the default keyspace":         {func() error { return db.DropKeyspace("") }, "other", engine.ErrInvalid},
		"a keyspace that is not there": {func() error { return db.DropKeyspace("none") }, "no_keyspace", engine.ErrNoKeyspace},
	} {
		r.sees(what, func() { wrong(tc.call(), tc.want) }, by(1, `errors_total{class="input",error="`+tc.class+`"}`))
	}
	reader := open(r.t, dbDir, engine.Options{FS: r.in, ReadOnly: true})
	defer closeDB(r.t, reader)
	wrong(reader.Put([]byte("a"), nil), engine.ErrReadOnly)
	if n := metricsOf(r.t, writeMetrics(r.t, reader))[`lightning_errors_total{class="input",error="read_only"}`]; n != 1 {
		r.t.Errorf("%v errors of a write to a reader, want 1", n)
	}
	// A checkpoint, which the engine tries by itself, makes room, sooner or later:
	// it is not for the log, and then not for the tree. Who looks has the engine
	// look whether there is room: what gives it is part of the cause.
	r.in.FailNth(1, vfs.ErrNoSpace, true, faultfs.OpAllocate)
	r.sees("a full disk", func() {
		fillDisk(r.t, r.in, db)
		synctest.Wait()
	}, by(1, "disk_full", `errors_total{class="environment",error="no_space"}`), down("disk_free_bytes"))
	r.sees("a checkpoint on a full disk", func() {
		r.in.SetHook(noTree)
		r.in.FailNth(0, nil, false)
		r.do("delete", db.Delete([]byte("fill")))
		_, err := db.Checkpoint(context.Background())
		wrong(err, engine.ErrNoSpace)
		synctest.Wait()
	}, by(0, "disk_full"), up("checkpoint_failures_total", `errors_total{class="environment",error="no_space"}`)) // the engine tries, too
	r.sees("room, found because somebody asks", func() {
		r.in.SetHook(nil)
		r.in.SetCapacity(1 << 30)
		writeMetrics(r.t, db)
		synctest.Wait()
	}, by(-1, "disk_full"))
}

func playDamage(r *metricsRig) {
	r.open(off)
	for i := range 300 {
		mustPut(r.t, r.db, keyOf("k", i), valueOf("k", i, 100))
	}
	closeDB(r.t, r.db)
	o := small(off)
	o.FS = r.in
	r.db = open(r.t, dbDir, o)
	r.sees("a read that fails", func() {
		r.in.SetHook(func(op faultfs.Op) error {
			if op.Kind == faultfs.OpRead {
				return syscall.EIO
			}
			return nil
		})
		if _, err := r.db.Get([]byte(keyOf("k", 299))); !errors.Is(err, syscall.EIO) {
			r.t.Fatal(err)
		}
		r.in.SetHook(nil)
	}, by(1, `errors_total{class="environment",error="other"}`))
	tree := treeBytes(r.t, r.disk)
	for i := 8192; i < len(tree); i++ {
		tree[i] ^= 1
	}
	setTreeBytes(r.t, r.disk, tree)
	r.sees("a damaged node", func() {
		if _, err := r.db.Get([]byte(keyOf("k", 299))); !errors.Is(err, engine.ErrCorrupt) {
			r.t.Fatal(err)
		}
	}, by(1, `errors_total{class="restore",error="corrupt"}`))
}

func playFailure(r *metricsRig) {
	r.open(full)
	r.sees("a sync that fails", func() {
		r.in.FailNth(1, syscall.EIO, false, faultfs.OpSync)
		if err := r.db.Put([]byte("a"), nil); !errors.Is(err, engine.ErrFailed) {
			r.t.Fatal(err)
		}
	}, by(1, "failed", `errors_total{class="reopen",error="failed"}`))
}

// playLog sees what readers of the log meet: that it is gone, or damaged.
func playLog(r *metricsRig) {
	events := 0 // of damage
	r.open(engine.Options{SegmentBytes: 8 << 10, MaxHeldBytes: 16 << 10, Events: func(e engine.Event) {
		if _, ok := e.(*engine.Corruption); ok {
			events++
		}
	}})
	mustPut(r.t, r.db, "a", "1")
	slow, err := r.db.Changes(1)
	r.do("changes", err)
	defer slow.Close()
	for i := range 1000 {
		mustPut(r.t, r.db, keyOf("k", i), valueOf("k", i, 50))
	}
	_, err = r.db.Checkpoint(context.Background())
	r.do("checkpoint", err)
	gone := func(err error) {
		r.t.Helper()
		if !errors.Is(err, engine.ErrGone) {
			r.t.Fatal(err)
		}
	}
	r.sees("changes that are gone", func() { _, err := r.db.Changes(1); gone(err) }, by(1, `errors_total{class="input",error="other"}`))
	r.sees("changes that are gone meanwhile", func() { _, err := slow.Next(); gone(err) }, by(1, `errors_total{class="input",error="other"}`))

	_, since := backup(r.t, r.db, nil)
	mustPut(r.t, r.db, "b", strings.Repeat("v", 1000))
	for i := range 100 { // so many that a backup of them is written before it is whole
		mustPut(r.t, r.db, keyOf("k", i), valueOf("k", i, 4000))
	}
	changes, err := r.db.Changes(since.Seq + 1)
	r.do("changes", err)
	defer changes.Close()
	damaged := func(err error) {
		r.t.Helper()
		if !errors.Is(err, engine.ErrCorrupt) {
			r.t.Fatal(err)
		}
		synctest.Wait()
	}
	flip := func() {
		synctest.Wait() // no segment is being made
		for _, name := range filesOf(r.t, r.disk, dbDir) {
			text, err := r.disk.ReadFile(name)
			r.do("read", err)
			if at := bytes.Index(text, []byte("vvvv")); at >= 0 {
				r.in.FlipOnRead(name, int64(at)*8)
			}
		}
	}
	flip()
	const corrupt = `errors_total{class="restore",error="corrupt"}`
	r.sees("changes of a damaged log", func() { _, err := changes.Next(); damaged(err) }, by(1, corrupt))
	r.sees("an incremental backup of it", func() {
		_, err := r.db.Backup(context.Background(), io.Discard, &engine.BackupOptions{Since: &since})
		damaged(err)
	}, by(1, corrupt))
	if events != 1 { // it is one place
		r.t.Errorf("told of damage %d times", events)
	}
	flip()
	r.sees("a backup that cannot be written", func() {
		if _, err := r.db.Backup(context.Background(), &breakingPipe{}, &engine.BackupOptions{Since: &since}); !errors.Is(err, syscall.EPIPE) {
			r.t.Fatal(err)
		}
	}, by(0, corrupt, `errors_total{class="environment",error="other"}`, `errors_total{class="unknown",error="other"}`))
}

// playEvents sees what a listener misses that does not return.
func playEvents(r *metricsRig) {
	goOn := make(chan struct{})
	defer close(goOn)
	r.open(engine.Options{SegmentBytes: 4 << 20, Events: func(engine.Event) { <-goOn }}) // no LogRotated
	synctest.Wait()                                                                      // it has got the first
	checkpoints := func(n int) {
		for range n { // two events each
			mustPut(r.t, r.db, "k", "v")
			_, err := r.db.Checkpoint(context.Background())
			r.do("checkpoint", err)
		}
	}
	r.sees("256 events that wait", func() { checkpoints(128) }, by(0, "events_lost_total"))
	r.sees("ten more", func() { checkpoints(5) }, by(10, "events_lost_total"))
}

// playLimits sees what an option says in the metric of it.
func playLimits(r *metricsRig) {
	r.open(engine.Options{CacheBytes: 1 << 20, MaxWALBytes: 1 << 20})
	first := r.db
	r.sees("other options", func() {
		closeDB(r.t, first)
		r.open(engine.Options{CacheBytes: 3 << 20, MaxWALBytes: 7 << 20, MemtableBytes: 9 << 20, SegmentBytes: 1 << 20})
	}, by(2<<20, "cache_limit_bytes"), by(6<<20, "log_limit_bytes"), by(4<<20+1<<20-8<<10, "checkpoint_need_bytes"))
}

// TestMetrics_SeveralDatabases: one text has the metrics of several databases,
// each by its path, whatever is in that.
func TestMetrics_SeveralDatabases(t *testing.T) {
	dirs := []string{"a", "b\"\\\n\xff"}
	var dbs []*engine.DB
	for _, dir := range dirs {
		db := open(t, dir, engine.Options{FS: vfs.NewMem()})
		defer closeDB(t, db)
		dbs = append(dbs, db)
	}
	mustPut(t, dbs[1], "k", "v")
	have := metricsOf(t, writeMetrics(t, dbs...))
	for key, want := range map[string]float64{
		`lightning_commits_total{db="a"}`:                    0,
		"lightning_commits_total{db=\"b\\\"\\\\\\n\uFFFD\"}": 1,
	} {
		if n, there := have[key]; n != want || !there {
			t.Errorf("%s is %v, want %v; there are %q", key, n, want, slices.Sorted(maps.Keys(have))[:5])
		}
	}
}

func TestMetrics_Errors(t *testing.T) {
	db := open(t, dbDir, engine.Options{FS: vfs.NewMem()})
	if err := db.WriteMetrics(brokenPipe{}); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("of a writer that fails: %v", err)
	}
	closeDB(t, db)
	var b bytes.Buffer
	if err := db.WriteMetrics(&b); !errors.Is(err, engine.ErrClosed) || b.Len() > 0 {
		t.Errorf("of a closed database: %v, and %d bytes", err, b.Len())
	}
}

// breakingPipe takes one write.
type breakingPipe struct{ written bool }

func (p *breakingPipe) Write(b []byte) (int, error) {
	if p.written {
		return 0, syscall.EPIPE
	}
	p.written = true
	return len(b), nil
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// TestReport: Options.Report is called at its interval; one that is slow keeps
// nobody waiting, Close neither, and one that panics is called no more.
func TestReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls, gets atomic.Int64
		release := make(chan struct{})
		o := engine.Options{FS: vfs.NewMem(), ReportInterval: time.Second, Report: func(db *engine.DB) {
			gets.Store(int64(db.Stats().Gets))
			if calls.Add(1) == 3 {
				<-release
			}
		}}
		db := open(t, dbDir, o)
		_, _ = db.Get([]byte("k"))
		time.Sleep(2500 * time.Millisecond)
		if calls.Load() != 2 || gets.Load() != 1 {
			t.Errorf("%d calls in 2.5 s, %d gets; want 2 and 1", calls.Load(), gets.Load())
		}
		time.Sleep(time.Minute)
		mustPut(t, db, "k", "v")
		closeDB(t, db)
		if calls.Load() != 3 {
			t.Errorf("%d calls, want 3: the third does not end", calls.Load())
		}
		close(release)
		synctest.Wait()

		calls.Store(0)
		o.Report = func(*engine.DB) { calls.Add(1); panic("a bug of the program") }
		db = open(t, dbDir, o)
		time.Sleep(time.Minute)
		n := metricsOf(t, writeMetrics(t, db))[`lightning_errors_total{class="unknown",error="callback"}`]
		if calls.Load() != 1 || n != 1 || db.Stats().Errors != 1 {
			t.Errorf("%d calls of one that panics, counted %v times of %d errors; want 1 of each", calls.Load(), n, db.Stats().Errors)
		}
		closeDB(t, db)
	})
}
