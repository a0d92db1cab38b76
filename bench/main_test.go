package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/lightning-db/lightning/bench/internal/cell"
	"github.com/lightning-db/lightning/bench/internal/driver"
	"github.com/lightning-db/lightning/bench/internal/session"
	"github.com/lightning-db/lightning/bench/internal/workload"
)

// TestMain is also the program that runs a cell, as bench itself is.
func TestMain(m *testing.M) {
	if spec := os.Getenv("BENCH_TEST_CELL"); spec == "1" {
		if err := runCell(os.Args[len(os.Args)-1]); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// small are settings under which a cell takes a moment.
func small(t *testing.T) session.Options {
	t.Setenv("BENCH_TEST_CELL", "1")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return session.Options{
		Program: []string{program, "-cell"}, Bench: ".", Lightning: "../cmd/lightning", Dir: t.TempDir(), Peers: driver.Available(),
		Rounds: 1, Keys: 1000, Cache: 8 << 20, Seconds: 0.01, Warm: 0.005, Cap: 0.05, Progress: io.Discard,
	}
}

// TestRun_EveryWorkloadOfEveryPeer: no cell fails, each says what it measured,
// and nothing is left behind. In short, peers run one workload of each group,
// and Lightning all but the large.
func TestRun_EveryWorkloadOfEveryPeer(t *testing.T) {
	o := small(t)
	o.Workloads = workload.List(o.Keys)
	if testing.Short() {
		o.Workloads = slices.DeleteFunc(o.Workloads, func(w *workload.Workload) bool { return w.Long })
		groups := map[string]bool{}
		for _, w := range o.Workloads {
			if groups[w.Group] && len(w.Peers) == 0 {
				w.Peers = []string{"lightning"}
			}
			groups[w.Group] = true
		}
	}
	cells := 0
	o.Record = func(r cell.Result) error {
		cells++
		if r.Error != "" || r.Value <= 0 || r.Version == "" {
			t.Errorf("%s of %s: %+v", r.Workload, r.Peer, r)
		}
		return nil
	}
	if err := session.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if least := len(o.Workloads); cells < least {
		t.Errorf("%d cells ran, want %d or more", cells, least)
	}
	empty(t, o.Dir)
}

func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("there are left: %q, %v", left, err)
	}
}

// TestRun_GoesOnAfterAFailure: a peer that cannot run is recorded, and the
// others go on.
func TestRun_GoesOnAfterAFailure(t *testing.T) {
	o := small(t)
	o.Peers = []*driver.Driver{{Name: "nobody", Version: func() string { return "0" }}, o.Peers[0]}
	var err error
	if o.Workloads, err = workload.Find(workload.List(o.Keys), []string{"fillseq", "readrandom1"}); err != nil {
		t.Fatal(err)
	}
	var failed, good []string
	o.Record = func(r cell.Result) error {
		if r.Error != "" {
			failed = append(failed, r.Peer)
		} else {
			good = append(good, r.Peer)
		}
		return nil
	}
	if err := session.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if want := []string{"nobody", "nobody"}; !slices.Equal(failed, want) {
		t.Errorf("failed are %q, want %q", failed, want)
	}
	if want := []string{"lightning", "lightning"}; !slices.Equal(good, want) {
		t.Errorf("good are %q, want %q", good, want)
	}
}

// TestRun_PeersTakeTurnsAtBeingFirst: in each round another one is, and each
// runs once.
func TestRun_PeersTakeTurnsAtBeingFirst(t *testing.T) {
	o := small(t)
	o.Rounds = 3
	o.Peers = []*driver.Driver{o.Peers[0], {Name: "nobody", Version: func() string { return "0" }}}
	var err error
	if o.Workloads, err = workload.Find(workload.List(o.Keys), []string{"fillseq"}); err != nil {
		t.Fatal(err)
	}
	var have []string
	o.Record = func(r cell.Result) error {
		have = append(have, r.Peer)
		return nil
	}
	if err := session.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if want := []string{"lightning", "nobody", "nobody", "lightning", "lightning", "nobody"}; !slices.Equal(have, want) {
		t.Errorf("there ran %q, want %q", have, want)
	}
}

// TestRun_StopsWhenInterrupted: nothing more is run or recorded, and nothing is
// left behind.
func TestRun_StopsWhenInterrupted(t *testing.T) {
	o := small(t)
	o.Workloads = workload.List(o.Keys)
	ctx, cancel := context.WithCancel(t.Context())
	cells := 0
	o.Record = func(cell.Result) error {
		if cells++; cells == 3 {
			cancel()
		}
		return nil
	}
	if err := session.Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("Run returns %v, want that it was canceled", err)
	}
	if cells != 3 {
		t.Errorf("%d cells were recorded, want 3", cells)
	}
	empty(t, o.Dir)
}
