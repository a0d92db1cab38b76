package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/engine"
)

// TestTop_Limit: what is held meanwhile, beside the keys that were asked for, is
// no reason to refuse; that they are too many themselves is one.
func TestTop_Limit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "my.db")
	db, err := engine.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	const keys = 14_000
	b := db.NewBatch()
	for i := range keys {
		if err := b.Put(fmt.Appendf(nil, "%0*d", 8000, i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Apply(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int]string{7000: "", 13_000: "choose a smaller --limit"} {
		var errs strings.Builder
		cmd := exec.Command("lightning", "top", path, "-n", strconv.Itoa(limit))
		cmd.Stderr = &errs
		out, _ := cmd.Output() // the status is looked at
		lines, status := strings.Count(string(out), "\n"), 0
		if want != "" {
			limit, status = 0, exitData
		}
		if cmd.ProcessState.ExitCode() != status || lines != limit || !strings.Contains(errs.String(), want) {
			t.Errorf("top: %d keys and status %d, want %d and %d: %s", lines, cmd.ProcessState.ExitCode(), limit, status, errs.String())
		}
	}
}
