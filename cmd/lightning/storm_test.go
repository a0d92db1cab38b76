package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lightning-db/lightning/internal/figure"
)

const (
	stormProcesses = 8
	stormOpens     = 13 // of each, at the usual scale: about a hundred in all
)

// Processes open one database at once, again and again: writers that wait for
// one another, writers that do not, readers, and writers that are killed.
//
//  1. A write that was acknowledged stays, and is what every later reader sees:
//     each writer counts up a key of its own.
//  2. Who does not wait is told that the database is locked, and by nothing else.
//     Nobody is told of damage.
//  3. A killed writer leaves no lock behind.
func TestOpenStorm(t *testing.T) {
	db := filepath.Join(t.TempDir(), "my.db")
	if out, err := exec.Command("lightning", "put", db, "made", "1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var opens, locked, kills atomic.Int64
	var work sync.WaitGroup
	for p := range stormProcesses {
		s := &stormProcess{t: t, db: db, key: fmt.Sprint("writer ", p), rng: rand.New(rand.NewPCG(1, uint64(p))), locked: &locked, kills: &kills}
		work.Go(func() {
			for range figure.Times(stormOpens) {
				opens.Add(1)
				s.open(p)
			}
		})
	}
	work.Wait()
	if out, err := exec.Command("lightning", "verify", db).CombinedOutput(); err != nil {
		t.Errorf("verify: %v: %s", err, out)
	}
	figure.Log(t, "opens", int(opens.Load()))
	t.Logf("%d times locked, %d kills", locked.Load(), kills.Load())
}

// stormProcess is a process that opens the database, one after the other, with a
// key that nobody else writes.
type stormProcess struct {
	t             *testing.T
	db, key       string
	rng           *rand.Rand
	last          int // value that was acknowledged
	maybe         int // the highest that may be there
	locked, kills *atomic.Int64
}

// run runs the program and returns its exit status and standard output.
func (s *stormProcess) run(args ...string) (int, string) {
	var out, message strings.Builder
	cmd := exec.Command("lightning", args...)
	cmd.Stdout, cmd.Stderr = &out, &message
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return exitDone, strings.TrimSpace(out.String())
	case errors.As(err, &exit):
		return exit.ExitCode(), strings.TrimSpace(out.String() + message.String())
	}
	s.t.Error(err)
	return -1, ""
}

// open opens the database once, in the way of the process with this number.
func (s *stormProcess) open(process int) {
	next := fmt.Sprint(s.maybe + 1)
	switch {
	case process < 3: // waits
		status, text := s.run("put", s.db, s.key, next, "--timeout", "60s", "--sync", "normal")
		if status != exitDone {
			s.t.Errorf("put that waits: status %d: %s", status, text)
		}
		s.acknowledged(status)
	case process == 3: // does not wait
		status, text := s.run("put", s.db, s.key, next, "--sync", "normal")
		if status == exitLocked {
			s.locked.Add(1)
		} else if status != exitDone {
			s.t.Errorf("put: status %d: %s", status, text)
		}
		s.acknowledged(status)
	case process == 4: // is killed
		s.kill(next)
	default: // reads what is written by another
		status, text := s.run("get", s.db, "made")
		if status != exitDone || text != "1" {
			s.t.Errorf("get: status %d: %s", status, text)
		}
		return
	}
	s.read()
}

func (s *stormProcess) acknowledged(status int) {
	if status == exitDone {
		s.maybe++
		s.last = s.maybe
	}
}

// kill starts a put, and kills it at some time or other.
func (s *stormProcess) kill(value string) {
	cmd := exec.Command("lightning", "put", s.db, s.key, value, "--timeout", "60s", "--sync", "normal")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		s.t.Error(err)
		return
	}
	killer := time.AfterFunc(time.Duration(s.rng.IntN(40))*time.Millisecond, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	killer.Stop()
	s.maybe++
	switch code := cmd.ProcessState.ExitCode(); {
	case err == nil:
		s.last = s.maybe
	case code == -1: // by the signal
		s.kills.Add(1)
	default:
		s.t.Errorf("%s: put ended with status %d: %s", s.key, code, &said)
	}
}

// read sees what was acknowledged, or what may have been written since.
func (s *stormProcess) read() {
	status, text := s.run("get", s.db, s.key)
	if status == exitNo && s.last == 0 {
		return
	}
	var have int
	if _, err := fmt.Sscan(text, &have); status != exitDone || err != nil || have < s.last || have > s.maybe {
		s.t.Errorf("%s: status %d, %q; %d was acknowledged, and %d the last", s.key, status, text, s.last, s.maybe)
	}
}
