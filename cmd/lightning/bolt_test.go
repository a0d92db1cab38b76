package main

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// TestImport_Bbolt imports a file that bbolt wrote: buckets as keyspaces, and
// in one.
func TestImport_Bbolt(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "old.db")
	old, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = old.Update(func(tx *bbolt.Tx) error {
		users, err := tx.CreateBucket([]byte("users"))
		if err != nil {
			return err
		}
		names, err := users.CreateBucket([]byte("names"))
		if err != nil {
			return err
		}
		for i := range 2000 {
			if err := users.Put(fmt.Appendf(nil, "%04d", i), []byte("user")); err != nil {
				return err
			}
		}
		odd, err := users.CreateBucket([]byte("\xff\n"))
		if err != nil {
			return err
		}
		return errors.Join(names.Put([]byte("ada"), []byte("0001")), odd.Put([]byte("k"), []byte("v")))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	run := func(want int, args ...string) string {
		t.Helper()
		cmd := exec.Command("lightning", args...)
		text, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != want {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, text)
		}
		return strings.TrimSpace(string(text))
	}
	db, one, none := filepath.Join(dir, "my.db"), filepath.Join(dir, "one.db"), filepath.Join(dir, "none.db")
	run(exitDone, "import", db, path, "--from", "bbolt", "--resume")
	if have := run(exitDone, "count", db, "-k", "users"); have != "2000" {
		t.Errorf("users: have %s, want 2000", have)
	}
	if have := run(exitDone, "get", db, "-k", "users/names", "ada"); have != "0001" {
		t.Errorf("ada: have %s", have)
	}
	if have := run(exitDone, "get", db, "-k", `users/\xff\n`, "k"); have != "v" {
		t.Errorf("a name that is no text: have %s", have)
	}
	run(exitDone, "keyspace", "create", one, "all")
	run(exitDone, "import", one, path, "--from", "bbolt", "-k", "all")
	if have := run(exitDone, "count", one, "-k", "all"); have != "2002" {
		t.Errorf("in one: have %s", have)
	}
	run(exitUsage, "import", none, path, "--from", "bbolt", "--rejects", filepath.Join(dir, "rejects"))
	run(exitUsage, "import", none, "-", "--from", "bbolt")
	if have := run(exitData, "import", none, "bolt_test.go", "--from", "bbolt"); !strings.Contains(have, "no file of bbolt: neither of its metas is whole") {
		t.Errorf("a text: have %s", have)
	}
	if have := run(exitNotFound, "count", none); !strings.Contains(have, "none.db") {
		t.Errorf("a database was made: %s", have)
	}
}
