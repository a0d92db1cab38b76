//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lightning-db/lightning/engine"
)

// stats --watch beside the program that writes: each line says what was committed
// since the one before, and what the files hold now. A signal ends it, and no
// reader is left behind.
func TestStats_WatchBesideAWriter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "my.db")
	db, err := engine.Open(dir, &engine.Options{Sync: engine.SyncOff})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	cmd := exec.Command("lightning", "stats", dir, "--watch", "10ms", "--json")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var seq, entries, checkpoints uint64 // of the lines until now
	next := func() {
		t.Helper()
		var line struct {
			Seq, Checkpoints, Entries uint64
			Rate                      float64 `json:"operations_per_second"`
		}
		if !lines.Scan() {
			t.Fatalf("no more lines: %v; it said:\n%s", lines.Err(), &said)
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		if line.Seq < seq || (line.Seq > seq) != (line.Rate > 0) {
			t.Errorf("behind seq %d: %s", seq, lines.Text())
		}
		seq, entries = line.Seq, line.Entries
		checkpoints += line.Checkpoints
	}
	next()
	for round := uint64(1); round <= 3; round++ {
		for i := range 100 {
			if err := db.Put(fmt.Appendf(nil, "%d:%d", round, i), nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := db.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		for n := 0; entries < 100*round; n++ {
			if next(); n > 1000 {
				t.Fatalf("seq %d and %d entries after %d puts", seq, entries, 100*round)
			}
		}
		if seq != 100*round || checkpoints < round {
			t.Errorf("seq %d and %d checkpoints after %d puts and %d checkpoints", seq, checkpoints, 100*round, round)
		}
		next() // of nothing that was committed
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	err = cmd.Wait()
	if exit, _ := errors.AsType[*exec.ExitError](err); exit == nil || exit.ExitCode() != 143 || !strings.Contains(said.String(), "interrupted") {
		t.Errorf("%v; it said:\n%s", err, &said)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "LOCK.reader-*")); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}

// A database that is put back to an older state meanwhile has done nothing: not
// as many operations as fit into 64 bits.
func TestStats_WatchOfAnOlderState(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, puts := range map[string]int{"my.db": 5, "older.db": 1} {
		for i := range puts {
			if err := exec.Command("lightning", "put", name, fmt.Sprint(i), "v").Run(); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd := exec.Command("lightning", "stats", "my.db", "--watch", "10ms", "--json")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	lines := bufio.NewScanner(out)
	for replaced := false; lines.Scan(); {
		var line struct {
			Seq, Checkpoints uint64
			Rate             float64 `json:"operations_per_second"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line.Rate != 0 || line.Checkpoints != 0 {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		if line.Seq == 1 {
			return
		}
		if replaced {
			continue
		}
		// It does not look while none of the two is there.
		replaced = true
		err := cmd.Process.Signal(syscall.SIGSTOP)
		err = errors.Join(err, os.Rename("my.db", "newer.db"), os.Rename("older.db", "my.db"), cmd.Process.Signal(syscall.SIGCONT))
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("no line of the older state: %v", lines.Err())
}
