//go:build amd64 || arm64

package crash

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A byte of what is only read that has changed is found.
func TestSyscall_SourceChanged_IsFound(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "base", "db", "tree")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	s := &victim{line: &line{args: "put db new 1"}, dir: dir}
	for _, text := range []string{"as it was", "as it wax"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s.base == "" {
			s.base, _ = fingerprint(filepath.Join(dir, "base"))
		}
		if err := s.lookAtSources(); (err == nil) != (text == "as it was") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Of a program that hangs there is where.
func TestSyscall_HungProgram_TellsWhere(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // nor does it hang itself then
	t.Setenv(hangVar, "1")
	c, err := newCounter()
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	c.limit = 2 * time.Second
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := &victim{run: &run{Options: Options{Program: self}}, counter: c, dir: dir}
	if _, err = s.start("", dir, 0, 0); err == nil || !strings.Contains(err.Error(), "not done after 2s") || !strings.Contains(err.Error(), "crash.hang") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "printed")); err != nil {
		t.Error(err)
	}
}
