package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/internal/ui"
	"github.com/lightning-db/lightning/stress/crash"
)

// failedCrashtest is the end of a crashtest that found something, and returns its
// status.
func failedCrashtest(out, said io.Writer, asJSON bool) int {
	a := &app{Streams: &ui.Streams{Out: out, Err: said}, ctx: context.Background(), out: bufio.NewWriter(out)}
	c := &crashRun{stressRun: stressRun{app: a, asJSON: asJSON}, mode: "kill", Options: crash.Options{Seed: 17}}
	return a.finish(c.verdict(&crash.Report{States: 3}, &crash.Failure{
		Err: errors.New("a key is missing"), Repeat: "lightning crashtest --mode kill --seed 17", Dir: "kept/here",
	}))
}

// Of a failure there are the status, what was wrong, the line that repeats it,
// the seed, and where it is kept.
func TestCrashtest_Failure(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		var out, said bytes.Buffer
		if status := failedCrashtest(&out, &said, asJSON); status != exitTest {
			t.Errorf("status %d", status)
		}
		for _, want := range []string{"a key is missing", "repeat: lightning crashtest --mode kill --seed 17", "kept: kept/here"} {
			if !strings.Contains(said.String(), want) {
				t.Errorf("%q is not in %s", want, said.String())
			}
		}
		want := "kill FAIL: "
		if asJSON {
			want = `"error":"a key is missing","repeat":"lightning crashtest --mode kill --seed 17","kept":"kept/here","seed":"17"}`
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %s", want, out.String())
		}
	}
}

// A writer does not go on when who started it is gone, and its end of the pipe.
func TestWriter_EndsWithItsParent(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("lightning", "stress-writer", filepath.Join(dir, "db"), filepath.Join(dir, "expected"), "1", "1", "100", "2", "off", "65536")
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
