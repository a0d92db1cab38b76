package stress_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/stress"
	"github.com/lightning-db/lightning/stress/expect"
)

const (
	childEnv  = "LIGHTNING_STRESS_TEST_CHILD"
	idleChild = "idle" // one that writes nothing
)

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text == idleChild {
		stress.EndWithParent()
		select {}
	} else if text != "" {
		var c stress.Child
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			panic(err)
		}
		fmt.Fprintln(os.Stderr, stress.RunChild(context.Background(), c))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// start starts this test program as a writer.
func start(c stress.Child, stderr *os.File) (*os.Process, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return startWith(string(text), stderr)
}

func startWith(text string, stderr *os.File) (*os.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	leash, err := stress.Leash()
	if err != nil {
		return nil, err
	}
	return os.StartProcess(self, []string{self}, &os.ProcAttr{
		Env: append(os.Environ(), childEnv+"="+text), Files: []*os.File{leash, nil, stderr},
	})
}

func TestTests(t *testing.T) {
	for i := range stress.Tests {
		test := &stress.Tests[i]
		t.Run(test.Name, func(t *testing.T) {
			if testing.Short() && (test.Name == "memory" || test.Name == "bulk" || test.Name == "checkpoints") {
				t.Skip("it takes seconds: without -short")
			}
			r := test.Run(context.Background(), &stress.Env{Dir: t.TempDir(), Seed: 1, Threads: 2, Start: start})
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			if r.Figure == "" || test.Does == "" {
				t.Error("it says nothing of itself")
			}
			t.Log(r.Figure)
		})
	}
}

// A test that met nothing of what it is there for has not passed.
func TestTests_MetNothing(t *testing.T) {
	for _, test := range stress.Tests {
		switch test.Name {
		case "hot-key", "conflicts", "recovery":
		default:
			continue
		}
		r := test.Run(context.Background(), &stress.Env{
			Dir: t.TempDir(), Seed: 1, Threads: 1,
			Start: func(_ stress.Child, stderr *os.File) (*os.Process, error) { return startWith(idleChild, stderr) },
		})
		if !errors.Is(r.Err, stress.ErrNothing) || r.Figure == "" {
			t.Errorf("%s: %q, %v", r.Name, r.Figure, r.Err)
		}
	}
}

// The workload must find what a database gets wrong.
func TestKV_FindsWhatIsWrong(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, db *engine.DB, w *stress.KV){
		"a write is lost": func(t *testing.T, db *engine.DB, _ *stress.KV) { check(t, db.Delete(someKey(t, db))) },
		"a value is another's": func(t *testing.T, db *engine.DB, _ *stress.KV) {
			other := expect.Seed(1).AppendValue(nil, 1_000_000, 1, 50)
			check(t, db.Put(someKey(t, db), other))
		},
		"a value is torn": func(t *testing.T, db *engine.DB, _ *stress.KV) {
			key := someKey(t, db)
			value, err := db.Get(key)
			check(t, err)
			check(t, db.Put(key, append(value[:len(value)-1], value[len(value)-1]+1)))
		},
		"a value is cut": func(t *testing.T, db *engine.DB, _ *stress.KV) {
			key := someKey(t, db)
			value, err := db.Get(key)
			check(t, err)
			check(t, db.Put(key, value[:len(value)-1]))
		},
		"a key is back": func(t *testing.T, db *engine.DB, w *stress.KV) {
			key := someKey(t, db)
			value, err := db.Get(key)
			check(t, err)
			for n := range w.States.Keys() {
				if w.States.Check(n, 0) != nil {
					continue
				}
				_ = value
				check(t, db.Put([]byte(fmt.Sprintf("k%c", n)), nil))
				return
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := engine.Open(t.TempDir()+"/db", &engine.Options{Sync: engine.SyncOff})
			check(t, err)
			defer db.Close()
			states, err := expect.Open("", 500)
			check(t, err)
			w := &stress.KV{Seed: 1, States: states, Sizes: [2]int{expect.MinValue, 100}, Mix: stress.StandardMix}
			w.Use(db)
			rng := rand.New(rand.NewPCG(1, 1))
			for range 5000 {
				check(t, w.Step(context.Background(), rng))
			}
			check(t, w.VerifyAll(db))
			spoil(t, db, w)
			if err := w.VerifyAll(db); !errors.Is(err, stress.ErrWrong) {
				t.Errorf("VerifyAll: %v", err)
			}
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func someKey(t *testing.T, db *engine.DB) []byte {
	t.Helper()
	s, err := db.Snapshot()
	check(t, err)
	defer s.Close()
	for key := range s.Scan([]byte{'k', 0, 0, 0, 100}, nil) {
		return append([]byte(nil), key...)
	}
	t.Fatal("no key")
	return nil
}

func TestSoak(t *testing.T) {
	for name, s := range map[string]*stress.Soak{
		"kv":            {Options: engine.Options{Sync: engine.SyncNormal}},
		"kv with fault": {Options: engine.Options{Sync: engine.SyncFull}, Faults: stress.Faults{Read: 0.01, Write: 0.01, Sync: 0.02}},
		"kv with read faults": {
			Options: engine.Options{Sync: engine.SyncNormal, MemtableBytes: 64 << 10, CacheBytes: 64 << 10},
			Faults:  stress.Faults{Read: 0.02},
		},
		"bank":        {Workload: &stress.Bank{Accounts: 50, Each: 100}},
		"list-append": {Workload: &stress.ListAppend{Lists: 8, Length: 32, MostOps: 100_000}},
		"list-append with fault": {
			Workload: &stress.ListAppend{Lists: 8, Length: 32, MostOps: 100_000},
			Options:  engine.Options{Sync: engine.SyncFull, MemtableBytes: 256 << 10, CacheBytes: 1 << 20},
			Faults:   stress.Faults{Read: 0.01, Write: 0.01, Sync: 0.02},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s.Dir, s.Threads, s.Seed = t.TempDir(), 4, 1
			s.Duration, s.CheckEvery = 800*time.Millisecond, 150*time.Millisecond
			if s.Workload == nil {
				w, err := stress.NewKV(s.Dir, 1, 2000, 0, 500)
				check(t, err)
				defer w.States.Close()
				s.Workload = w
			}
			tick, err := s.Run(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if tick.Ops == 0 || tick.Checks == 0 || tick.Reopens == 0 || (strings.Contains(name, "fault") && tick.Faults == 0) {
				t.Errorf("%+v", tick)
			}
			t.Logf("%+v", tick)
		})
	}
}

// A writer does not go on when who started it is gone.
func TestRunChild_EndsWithItsParent(t *testing.T) {
	dir := t.TempDir()
	text, err := json.Marshal(stress.Child{DB: filepath.Join(dir, "db"), Expected: filepath.Join(dir, "expected"), Keys: 100, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	pipe, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		err = pipe.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
