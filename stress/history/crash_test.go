package history_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
	"github.com/lightning-db/lightning/internal/figure"
	"github.com/lightning-db/lightning/stress"
	"github.com/lightning-db/lightning/stress/history"
)

// A simulated machine loses its power while transactions are at work, again and
// again: their history goes on over that, for with SyncFull nothing that was
// seen or acknowledged may be lost.
func TestEngine_PowerCuts(t *testing.T) {
	const seed = 1
	rng := rand.New(rand.NewPCG(seed, 0))
	w := newWorkload()
	sim := faultfs.NewSim()
	o := engine.Options{Sync: engine.SyncFull, FS: sim, MemtableBytes: 64 << 10}
	db, err := engine.Open("db", &o)
	check(t, err)
	w.Use(db)
	check(t, w.Fill(context.Background()))
	cuts, unknown := 0, 0
	w.Judge = func(txs []*history.Tx) error {
		for _, tx := range txs {
			if tx.Outcome == history.Unknown {
				unknown++
			}
		}
		return history.CheckAll(txs)
	}
	for ; w.Checked < most(); cuts++ {
		at := sim.Ops() + 1 + rng.IntN(600)
		sim.StopAt(at)
		if err := work(w, 8, uint64(cuts), 1<<40); !errors.Is(err, faultfs.ErrStopped) || errors.Is(err, stress.ErrWrong) {
			t.Fatalf("cut %d: %v", cuts, err)
		}
		db.Close() // of a failed database: the failure
		damage := faultfs.Random(rng.Int64())
		sim = faultfs.NewSimFrom(sim.Image(sim.Ops(), damage))
		o.FS = sim
		if db, err = engine.Open("db", &o); err != nil {
			t.Fatalf("cut %d at operation %d, %s: open: %v", cuts, at, damage, err)
		}
		w.Use(db)
		if cuts%4 == 3 {
			if err := w.Check(db); err != nil {
				t.Fatalf("cut %d at operation %d, %s: %v", cuts, at, damage, err)
			}
		}
	}
	check(t, w.Check(db))
	check(t, db.Close())
	if unknown == 0 {
		t.Error("no commit was interrupted")
	}
	t.Logf("%d commits interrupted", unknown)
	figure.Log(t, "power cuts", cuts)
	figure.Log(t, "operations", int(w.Checked))
}

// child is a process of this program that works until it is killed.
type child struct {
	DB, Log     string
	Seed, Clock int64
	Sync        engine.SyncMode
}

const childEnv = "LIGHTNING_HISTORY_TEST_CHILD"

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		var c child
		err := json.Unmarshal([]byte(text), &c)
		if err == nil {
			err = c.run()
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func (c *child) run() error {
	stress.EndWithParent()
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	db, err := engine.Open(c.DB, &engine.Options{Sync: c.Sync, MemtableBytes: 256 << 10})
	if err != nil {
		return err
	}
	w := newWorkload()
	w.MostOps = 0
	w.Log = log
	w.SetClock(c.Clock)
	w.Use(db)
	if err := w.Fill(context.Background()); err != nil {
		return err
	}
	return work(w, 4, uint64(c.Seed), 1<<40)
}

// The process is killed while its transactions are at work. What was
// acknowledged is there, with SyncNormal too.
func TestEngine_Kills(t *testing.T) {
	self, err := os.Executable()
	check(t, err)
	leash, err := stress.Leash()
	check(t, err)
	const rounds = 4
	databases := figure.Times(1)
	ops, unknown := 0, 0
	for n := range databases {
		dir := t.TempDir()
		c := child{DB: filepath.Join(dir, "db"), Log: filepath.Join(dir, "log")}
		rng := rand.New(rand.NewPCG(1, uint64(n)))
		for round := range rounds {
			c.Seed, c.Sync = rng.Int64(), engine.SyncMode(round%2)
			text, err := json.Marshal(c)
			check(t, err)
			p, err := os.StartProcess(self, []string{self}, &os.ProcAttr{
				Env: append(os.Environ(), childEnv+"="+string(text)), Files: []*os.File{leash, nil, os.Stderr},
			})
			check(t, err)
			waitForLog(t, c.Log, int64(100_000*(round+1)+rng.IntN(100_000)))
			check(t, p.Kill())
			if state, err := p.Wait(); err != nil || state.Exited() {
				t.Fatalf("the child ended by itself: %v %v", state, err)
			}
			txs := c.history(t)
			r := history.Check(txs)
			if err := r.Err(history.Serializable); err != nil {
				t.Fatalf("database %d, round %d: %v", n, round, err)
			}
			c.Clock = txs[len(txs)-1].End
			if round < rounds-1 {
				continue
			}
			ops += r.Ops
			for _, tx := range txs {
				if tx.Outcome == history.Unknown {
					unknown++
				}
			}
		}
	}
	t.Logf("%d commits interrupted", unknown)
	figure.Log(t, "kills", databases*rounds)
	figure.Log(t, "operations", ops)
}

// waitForLog returns when the child has written so much.
func waitForLog(t *testing.T, name string, size int64) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		if info, err := os.Stat(name); err == nil && info.Size() >= size {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("the child does not get on")
}

// history is that of the children so far, and a last transaction that reads all
// of their lists.
func (c *child) history(t *testing.T) []*history.Tx {
	t.Helper()
	text, err := os.ReadFile(c.Log)
	check(t, err)
	check(t, os.Truncate(c.Log, int64(bytes.LastIndexByte(text, '\n')+1))) // half a line
	txs, err := history.Parse(string(text))
	check(t, err)
	now, appended := c.Clock, map[uint32]bool{}
	for _, tx := range txs {
		now = max(now, tx.Begin, tx.End)
		for i := range tx.Ops {
			if op := &tx.Ops[i]; op.Append {
				now, appended[op.Key] = max(now, int64(op.List[0])), true
			}
		}
	}
	db, err := engine.Open(c.DB, &engine.Options{Sync: c.Sync})
	check(t, err)
	defer db.Close()
	last := &history.Tx{Begin: now + 2, End: now + 3, Outcome: history.Committed}
	for _, tx := range txs {
		if tx.End == 0 {
			tx.End = now + 1
		}
	}
	for key := range appended {
		var list []uint32
		value, err := db.Get(append([]byte("list/"), byte(key>>24), byte(key>>16), byte(key>>8), byte(key)))
		if !errors.Is(err, engine.ErrNotFound) {
			check(t, err)
		}
		for ; len(value) >= 4; value = value[4:] {
			list = append(list, be32(value))
		}
		last.Read(key, list)
	}
	return append(txs, last)
}
