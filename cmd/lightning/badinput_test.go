//go:build unix

package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/engine"
)

// These hold a line: x.
const (
	packedGzip = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xe0\x02\x00\x1f\x08\xea\x46\x02\x00\x00\x00"
	packedZstd = "\x28\xb5\x2f\xfd\x04\x58\x11\x00\x00\x78\x0a\xae\xfd\xe9\x22"
)

// badFiles are what the commands of testdata/bad-input.txt find.
var badFiles = map[string]string{
	"plain":        "no database\n",
	"dir/file":     "",
	"short.csv":    "id,name\n1\n",
	"good.csv":     "id\n1\n",
	"packed.gz":    packedGzip,
	"packed.zst":   packedZstd,
	"behind.gz":    packedGzip + "junk",
	"behind.zst":   packedZstd + "junk",
	"open.csv":     `"a`,
	"cut.jsonl":    `{"key":"a"`,
	"pretty.jsonl": "{\n  \"id\": 1\n}\n",
	"half.jsonl":   `{"key":"\ud800","value":"x"}`,
	"b64.jsonl":    `{"key_base64":"!","value":"x"}`,
	"list.json":    `[1,2]`,
	"other.dump":   "VERSION=2\nHEADER=END\n",
	"odd.dump":     "VERSION=3\nHEADER=END\n 616\n 62\nDATA=END\n",
	"zz.dump":      "VERSION=3\nHEADER=END\n 61\n zz\nDATA=END\n",
	"cut.resp":     "*3\r\n$3\r\nSET",
	"bad.gz":       "\x1f\x8bxx",
	"flip.gz":      "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff\xff",
	"bad.zst":      "\x28\xb5\x2f\xfdxxxx",
	"cut.gz":       "\x1f",
	"cut.zst":      "\x28\xb5\x2f",
	"none.gz":      "",
	"none.zst":     "",
	"space.json":   " \n",
	"sqlite":       "SQLite format 3\x00\x10\x00\x01\x01\x00\x40\x20\x20",
	"mdb":          "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00\x00\x00\xde\xc0\xef\xbe\x01\x00\x00\x00",

	"lmdb/data.mdb": "",
	"space.dump":    "\n",
}

// Bad input is told in one clear line on standard error, without the names of
// Go's functions in it, with the right exit status, and nothing else happens: no
// file is made or changed, and no entry is written.
func TestBadInput(t *testing.T) {
	cases := badInputs(t)
	t.Chdir(t.TempDir())
	t.Setenv("LIGHTNING_DB", "")
	for name, content := range badFiles {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for dir, value := range map[string]string{"my.db": "v", "other.db": "w"} {
		db, err := engine.Open(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Put([]byte("k"), []byte(value)), db.Put([]byte("l"), []byte("x")), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", "dangling"); err != nil {
		t.Fatal(err)
	}
	before := files(t)
	leak := regexp.MustCompile(`goroutine|strconv\.|encoding/|flate|%!|0x[0-9a-f]{6}`)
	if len(cases) < 100 {
		t.Errorf("%d cases", len(cases))
	}
	for _, c := range cases {
		cmd := exec.Command("sh", "-c", c.command+" "+c.input)
		var out, said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &said
		if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if have := cmd.ProcessState.ExitCode(); have != c.status {
			t.Errorf("%s: exit status %d, want %d", c.command, have, c.status)
		}
		if !c.says.MatchString(said.String()) || leak.MatchString(said.String()) {
			t.Errorf("%s: it says %q, want %s", c.command, said.String(), c.says)
		}
		if out.Len() > 0 {
			t.Errorf("%s: on standard output is %q", c.command, out.String())
		}
		after := files(t)
		for name, content := range after {
			if was, ok := before[name]; !ok || was != content {
				t.Errorf("%s: %s was made or changed", c.command, name)
			}
		}
		if len(after) < len(before) {
			t.Errorf("%s: a file is gone", c.command)
		}
		before = after
	}
}

// files returns what all files hold, and of the databases the entries.
func files(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Name() == "my.db" || d.Name() == "other.db":
			found[path] = entries(t, path)
			return fs.SkipDir
		case !d.Type().IsRegular():
			found[path] = ""
			return nil
		}
		content, err := os.ReadFile(path)
		found[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// entries returns the entries of the default keyspace, and the names of all.
func entries(t *testing.T, path string) string {
	t.Helper()
	db, err := engine.Open(path, &engine.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var all strings.Builder
	err = db.View(func(tx *engine.Tx) error {
		for key, value := range tx.Scan(nil, nil) {
			all.WriteString(strconv.Quote(string(key)) + strconv.Quote(string(value)))
		}
		return nil
	})
	spaces, spacesErr := db.Keyspaces()
	if err := errors.Join(err, spacesErr); err != nil {
		t.Fatal(err)
	}
	for _, s := range spaces {
		all.WriteString(" " + s.Name)
	}
	return all.String()
}

// A badInput is a line of testdata/bad-input.txt.
type badInput struct {
	status         int
	command, input string
	says           *regexp.Regexp
}

func badInputs(t *testing.T) (all []badInput) {
	t.Helper()
	text, err := os.ReadFile("testdata/bad-input.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		command, says, _ := strings.Cut(line, "=>")
		number, command, _ := strings.Cut(strings.TrimSpace(command), " ")
		status, err := strconv.Atoi(number)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		c := badInput{status: status, command: strings.TrimSpace(command)}
		if !strings.Contains(c.command, "|") {
			c.input = "</dev/null"
		}
		c.says = regexp.MustCompile(`^lightning: (.*[:;] )?(` + strings.TrimSpace(says) + `)\n$`)
		all = append(all, c)
	}
	return all
}

// The name of a directory does nothing to the terminal, where damage is told too.
func TestDamage_PathIsShown(t *testing.T) {
	db := filepath.Join(t.TempDir(), "a\x1b[2Jb")
	if out, err := exec.Command("lightning", "put", db, "key", "value").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Truncate(filepath.Join(db, "btree.db"), 8192); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", db}, {"verify", db, "--json"}, {"verify", db, "--quick"}, {"repair", db, db + ".new"}, {"inspect", "meta", db}, {"inspect", "tree", db}, {"get", db, "key"}} {
		out, _ := exec.Command("lightning", args...).CombinedOutput()
		if bytes.IndexByte(out, 0x1b) >= 0 || !bytes.Contains(out, []byte("damage")) && args[0] == "verify" {
			t.Errorf("%q: %q", args, out)
		}
	}
}
