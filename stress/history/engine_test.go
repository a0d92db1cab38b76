package history_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/internal/figure"
	"github.com/lightning-db/lightning/stress"
	"github.com/lightning-db/lightning/stress/history"
)

// most is how many operations a test of the engine records.
func most() int64 { return int64(figure.Times(50_000)) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorkload() *stress.ListAppend {
	return &stress.ListAppend{Lists: 8, Length: 24, MostOps: 500_000}
}

// work lets threads step until there are ops, or one returns an error.
func work(w *stress.ListAppend, threads int, seed uint64, ops int64) error {
	before := w.Checked
	var left sync.WaitGroup
	errs := make([]error, threads)
	for thread := range threads {
		left.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(thread)))
			// A check in between takes what Ops counts; each thread does its part.
			for did := int64(0); did < ops/int64(threads) && errs[thread] == nil; did += 4 {
				errs[thread] = w.Step(context.Background(), rng)
			}
		})
	}
	left.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if w.Checked-before+w.Ops() < ops/2 {
		return fmt.Errorf("only %d operations of %d were recorded", w.Checked-before+w.Ops(), ops)
	}
	return nil
}

// place is where a test may make a database.
func place(t *testing.T, o *engine.Options) string {
	if o.FS != nil {
		return "db" // in memory
	}
	return t.TempDir() + "/db"
}

// run works on a database, and checks the history.
func run(t *testing.T, w *stress.ListAppend, o engine.Options) {
	t.Helper()
	db, err := engine.Open(place(t, &o), &o)
	check(t, err)
	t.Cleanup(func() { db.Close() })
	w.Use(db)
	check(t, w.Fill(context.Background()))
	check(t, work(w, 8, 1, most()))
	check(t, w.Check(db))
	if n := db.Stats().Conflicts; n == 0 {
		t.Error("no conflicts: the history says little")
	}
	t.Logf("%d conflicts", db.Stats().Conflicts)
	figure.Log(t, "operations", int(w.Checked))
}

func TestEngine_Serializable(t *testing.T) {
	for name, o := range map[string]engine.Options{
		"normal":          {Sync: engine.SyncNormal},
		"full":            {Sync: engine.SyncFull, FS: vfs.NewMem()},
		"small memtables": {Sync: engine.SyncNormal, MemtableBytes: 64 << 10, CacheBytes: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkload()
			w.Judge = func(txs []*history.Tx) error {
				if err := history.CheckLists(txs); err != nil {
					return err
				}
				return history.CheckAll(txs)
			}
			run(t, w, o)
		})
	}
}

// Under snapshot isolation there must be write skew, and nothing worse: by this
// it also shows that the histories are not trivial.
func TestEngine_SnapshotIsolation(t *testing.T) {
	found := map[history.Kind]int{}
	w := newWorkload()
	w.Isolation = engine.SnapshotIsolation
	w.Judge = func(txs []*history.Tx) error {
		r := history.Check(txs)
		for _, a := range r.Anomalies {
			found[a.Kind]++
		}
		return errors.Join(history.CheckLists(txs), r.Err(history.SnapshotIsolation))
	}
	run(t, w, engine.Options{Sync: engine.SyncNormal})
	if len(found) != 1 || found[history.G2Item] == 0 {
		t.Errorf("anomalies, by kind: %v; want write skew only", found)
	}
}

// The log has the order of the commits, by which a history is checked without
// inference.
func TestEngine_Order(t *testing.T) {
	for _, isolation := range []engine.Isolation{engine.Serializable, engine.SnapshotIsolation} {
		t.Run(fmt.Sprint(isolation), func(t *testing.T) {
			db, err := engine.Open(t.TempDir()+"/db", &engine.Options{Sync: engine.SyncNormal, MaxHeldBytes: 1 << 30})
			check(t, err)
			defer db.Close()
			changes, err := db.Changes(1)
			check(t, err)
			defer changes.Close()
			w := newWorkload()
			w.Isolation, w.MostOps = isolation, 100_000
			w.Judge = func(txs []*history.Tx) error {
				number(t, txs, changes)
				if err := history.CheckOrder(txs, isolation == engine.SnapshotIsolation); err != nil {
					return err
				}
				if isolation == engine.SnapshotIsolation && history.CheckOrder(txs, false) == nil {
					t.Error("what snapshot isolation allows passes for serializable")
				}
				return nil
			}
			w.Use(db)
			check(t, w.Fill(context.Background()))
			check(t, work(w, 8, 1, most()))
			check(t, w.Check(db))
			figure.Log(t, "operations", int(w.Checked))
		})
	}
}

// number gives transactions their places in the log. A commit is known by the
// last number of a list that it wrote.
func number(t *testing.T, txs []*history.Tx, changes *engine.Changes) {
	t.Helper()
	by := map[[2]uint32]*history.Tx{}
	for _, tx := range txs {
		for i := range tx.Ops {
			if op := &tx.Ops[i]; op.Append {
				by[[2]uint32{op.Key, op.List[0]}] = tx
			}
		}
	}
	for {
		change, err := changes.Next()
		if err == io.EOF {
			return
		}
		check(t, err)
		for i := range change.Ops {
			op := &change.Ops[i]
			if op.Kind != engine.OpSet {
				continue // lists that are no longer used
			}
			key, v := op.Key[len(op.Key)-4:], op.Value[len(op.Value)-4:]
			tx := by[[2]uint32{be32(key), be32(v)}]
			if tx == nil {
				t.Fatalf("commit %d is in the log, of which nobody knows", change.Seq)
			}
			if tx.Seq != 0 && tx.Seq != change.Seq {
				t.Fatalf("a transaction is two commits, %d and %d: %s", tx.Seq, change.Seq, tx)
			}
			tx.Seq = change.Seq
		}
	}
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// What is done behind the workload's back must be found.
func TestEngine_FindsWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name, want string
		spoil      func(value []byte) []byte
	}{
		{"an append is lost", " as G", func(v []byte) []byte { return v[:len(v)-4] }},
		{"a list is gone", " as G", func([]byte) []byte { return nil }},
		{"a number is another", "garbage", func(v []byte) []byte { v[0] ^= 0x80; return v }},
		{"two numbers are exchanged", "", func(v []byte) []byte { copy(v, append(append([]byte{}, v[4:8]...), v[:4]...)); return v }},
		{"a number is there twice", "duplicate", func(v []byte) []byte { return append(v, v[:4]...) }},
		{"a list is torn", "bytes", func(v []byte) []byte { return v[:len(v)-1] }},
	} {
		t.Run(c.name, func(t *testing.T) {
			db, err := engine.Open(t.TempDir()+"/db", &engine.Options{Sync: engine.SyncOff})
			check(t, err)
			defer db.Close()
			w := newWorkload()
			w.Dir = t.TempDir()
			w.Use(db)
			check(t, w.Fill(context.Background()))
			check(t, work(w, 2, 1, 2000))
			var key, value []byte
			check(t, db.View(func(tx *engine.Tx) error {
				for k, v := range tx.Scan(nil, nil) {
					if len(v) >= 8 {
						key, value = append([]byte{}, k...), append([]byte{}, v...)
					}
				}
				return nil
			}))
			if value = c.spoil(value); value == nil {
				check(t, db.Delete(key))
			} else {
				check(t, db.Put(key, value))
			}
			err = w.Check(db)
			if !errors.Is(err, stress.ErrWrong) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("Check: %v", err)
			}
			if c.want == "bytes" {
				return
			}
			text, err := os.ReadFile(w.Dir + "/history")
			check(t, err)
			if txs, err := history.Parse(string(text)); err != nil || history.Check(txs).Err(history.Serializable) == nil {
				t.Errorf("the history that was kept shows nothing: %v", err)
			}
		})
	}
}
