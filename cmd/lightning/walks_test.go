//go:build unix

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/lightning-db/lightning/internal/dump"
)

// Ctrl-C during a walk: the status is 130. What was counted until then is
// printed; a copy commits what it has, and says how much that is.
func TestWalks_Interrupted(t *testing.T) {
	dir := database(t, 3000)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(interrupted{syscall.SIGINT})
	for _, c := range []struct{ args, out, message string }{
		{"du %s -o csv -q", "1023,13299,", "interrupted; counted until before key:1023, where --from goes on"},
		{"du %s -o csv -q -K hex --sep 3a", "1023,13299,", "interrupted; counted until before 6b65793a31303233, where --from goes on"},
		{"top %s -n 1", "5\tkey:0000\n", "interrupted; 1,023 keys read, and more to read"},
		{"stats %s --histogram -o csv", "8-15,1023,0\n", "interrupted; 1,023 keys read, and more to read"},
		{"diff %[1]s %[1]s", "", "interrupted; of 1,023 keys compared, 0 differ"},
		{"hash %s", "", "interrupted; 1,023 keys read, and more to read"},
		{"copy %[1]s %[1]s.copy", "", "interrupted; 1,023 entries copied"},
	} {
		args := strings.Fields(fmt.Sprintf(strings.ReplaceAll(c.args, "%s", "%[1]s"), dir))
		status, out, message := runHere(ctx, nil, args...)
		if status != 130 || !strings.Contains(out, c.out) || c.out == "" && out != "" || !strings.HasSuffix(message, "lightning: "+c.message+"\n") {
			t.Errorf("%s: status %d, %q, %q", c.args, status, out, message)
		}
	}
}

// What du was stopped at is an argument, whatever key it is: of a long one in
// bytes only the beginning was said.
func TestDu_StoppedAtAnyKey(t *testing.T) {
	for _, key := range []string{"user:1", strings.Repeat("ä", 100), strings.Repeat("\x00", 100)} {
		e := dump.Auto
		text, quoted := strings.CutSuffix((&app{keys: e}).argument([]byte(key)), " (-K quoted)")
		if quoted {
			e = dump.Quoted
		}
		if got, err := e.Decode([]byte(text)); string(got) != key || err != nil {
			t.Errorf("%q is %q, which is %q: %v", key, text, got, err)
		}
	}
}

// Nobody reads what is printed: status 141, and not a word.
func TestWalks_ClosedPipe(t *testing.T) {
	dir := database(t, 9000)
	empty := database(t, 0)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	for _, args := range []string{
		"diff " + empty + " " + dir, "diff -o jsonl " + empty + " " + dir, "hash " + dir, "du --sep 0 -q -n 0 " + dir, "top -n 5 " + dir, "stats --histogram " + dir,
	} {
		status, _, message := runHere(t.Context(), w, strings.Fields(args)...)
		if status != exitPipe || message != "" {
			t.Errorf("%s: status %d, %q", args, status, message)
		}
	}
}

// A database of another format is named as such, with what can be done.
func TestUpgrade_OtherVersion(t *testing.T) {
	dir := database(t, 10)
	path := filepath.Join(dir, "btree.db")
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < 8192; at += 2048 {
		if meta := file[at : at+512]; string(meta[:8]) == "LGTNGDB1" {
			binary.LittleEndian.PutUint32(meta[8:], 1)
			binary.LittleEndian.PutUint64(meta[504:], xxhash.Sum64(meta[:504]))
		}
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, message := runHere(t.Context(), nil, "upgrade", dir)
	if status != exitVersion || out != "" || !strings.Contains(message, "format version 1, this program knows 2") || !strings.Contains(message, "; lightning export") || strings.Count(message, "\n") != 1 {
		t.Errorf("status %d, %q, %q", status, out, message)
	}
}

// Ctrl-C during a backup, of either kind: it says what was stopped, and
// that nothing was written; nor is anything.
func TestBackup_Interrupted(t *testing.T) {
	dir := database(t, 10)
	parent := filepath.Dir(dir)
	file := func(name string) string { return filepath.Join(parent, name) }
	status, _, message := runHere(t.Context(), nil, "backup", dir, file("full"), "--keep-log", "-q")
	if status != exitDone {
		t.Fatalf("status %d, %q", status, message)
	}
	before, err := os.ReadDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(interrupted{syscall.SIGINT})
	for _, since := range [][]string{nil, {"--since", file("full")}} {
		status, out, message := runHere(ctx, nil, append([]string{"backup", dir, file("new")}, since...)...)
		if status != 130 || out != "" || message != "lightning: backup: interrupted; "+file("new")+" was not written\n" {
			t.Errorf("%v: status %d, %q, %q", since, status, out, message)
		}
		if now, err := os.ReadDir(parent); err != nil || len(now) != len(before) {
			t.Errorf("%v: left behind: %v, %v", since, now, err)
		}
	}
}
