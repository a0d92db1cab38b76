package main

import (
	"bytes"
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

const fromHere = "../.."

// leastCanaries is how many there must be.
const leastCanaries = 40

// The table stays true: each edit stands where it says, once, and makes another
// file of Go; and the test that must notice it is there.
func TestCanaries_CanBePlanted(t *testing.T) {
	names, tests := map[string]bool{}, map[string]map[string]bool{}
	for _, c := range canaries() {
		if names[c.name] {
			t.Errorf("%s: there are two", c.name)
		}
		names[c.name] = true
		text, err := os.ReadFile(filepath.Join(fromHere, c.file))
		if err != nil {
			t.Error(err)
			continue
		}
		edited, err := c.apply(string(text))
		if err != nil {
			t.Error(err)
			continue
		}
		if edited == string(text) {
			t.Errorf("%s changes nothing", c.name)
		}
		if _, err := parser.ParseFile(token.NewFileSet(), c.file, edited, parser.SkipObjectResolution); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if tests[c.in] == nil {
			tests[c.in] = testsIn(t, c.in)
		}
		if test, _, _ := strings.Cut(c.test, "/"); !tests[c.in][test] {
			t.Errorf("%s: there is no %s in %s", c.name, test, c.in)
		}
	}
	if len(names) < leastCanaries {
		t.Errorf("%d canaries, want at least %d", len(names), leastCanaries)
	}
}

// testsIn returns the names of the tests in a folder.
func testsIn(t *testing.T, folder string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(fromHere, folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				found[f.Name.Name] = true
			}
		}
	}
	return found
}

// What is planted in a module of two functions is caught, or not, as its tests
// have it; and the module stays as it is.
func TestRunner_TellsWhatBecomesOfThem(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const code = "package sum\n\nfunc Add(a, b int) int { return a + b }\n\nfunc Sub(a, b int) int { return a - b }\n"
	write("go.mod", "module example.com/sum\n\ngo 1.26\n")
	write("sum/sum.go", code)
	write("sum/sum_test.go", `package sum

import (
	"testing"
	"time"
)

func TestAdd(t *testing.T) {
	t.Run("small numbers", func(t *testing.T) {
		if n := Add(1, 2); n != 3 {
			t.Error(n)
		}
	})
}

func TestSub(t *testing.T) {
	for Sub(1, 1) != 0 {
		time.Sleep(time.Second)
	}
}
`)
	plant := func(name, old, new, test string) canary {
		return in("sum", canary{name: name, breaks: "sums", file: "sum.go", old: old, new: new, test: test})[0]
	}
	var out bytes.Buffer
	r := runner{root: root, jobs: 2, limit: limit, out: &out}
	good := []canary{plant("caught", "a + b", "a * b", "TestAdd"), plant("in a subtest", "a + b", "b", "TestAdd/small numbers")}
	if err := r.control(context.Background(), good); err != nil {
		t.Fatal(err)
	}
	if err := r.plantAll(context.Background(), good); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	for _, word := range []string{"caught    sum/caught", "by TestAdd/small_numbers: sums", "2 of 2 caught"} {
		if !strings.Contains(out.String(), word) {
			t.Errorf("%q is not in\n%s", word, &out)
		}
	}
	r.limit = 2 * time.Second
	for _, bad := range []struct {
		c    canary
		word string
	}{
		{plant("survivor", "a - b", "b - a", "TestAdd"), "survived"},
		{plant("not Go", "a + b", "a +", "TestAdd"), "does not compile"},
		{plant("moved", "a / b", "a", "TestAdd"), "found 0 times"},
		{plant("twice", "a, b int", "b, a int", "TestAdd"), "found 2 times"},
		{plant("hangs", "a - b", "a + b", "TestSub"), "says nothing within 2s"},
		{plant("no test", "a + b", "a", "TestNone"), "there is no test"},
	} {
		out.Reset()
		if err := r.plantAll(context.Background(), []canary{bad.c}); err == nil || !strings.Contains(out.String(), bad.word) {
			t.Errorf("%s: %v, and %q is not in\n%s", bad.c.name, err, bad.word, &out)
		}
	}
	if text, err := os.ReadFile(filepath.Join(root, "sum", "sum.go")); err != nil || string(text) != code {
		t.Errorf("the module has changed: %v\n%s", err, text)
	}
	write("sum/sum.go", strings.Replace(code, "a + b", "a", 1))
	if err := r.control(context.Background(), good); err == nil {
		t.Error("tests that fail anyway pass for good ones")
	}
}

// Ten of them are planted whenever the tests run; make canaries plants all.
func TestCanaries_TenAreCaught(t *testing.T) {
	ten := map[string]bool{
		"wal/recovery-stops-one-record-early": true, "wal/torn-tail-kept": true,
		"pager/meta-in-the-wrong-slot": true, "pager/freed-extents-used-too-early": true,
		"btree/fingerprint-of-another-key": true, "node/find-ignores-the-prefix": true,
		"memtable/load-drops-the-newest": true, "kv/range-with-its-end": true,
		"merge/scan-skips-after-an-error": true, "dump/tsv-backslash-not-escaped": true,
	}
	var out bytes.Buffer
	r := runner{root: fromHere, jobs: runtime.GOMAXPROCS(0), limit: limit, out: &out}
	var chosen []canary
	for _, c := range canaries() {
		if ten[c.name] && (!testing.Short() || strings.HasPrefix(c.name, "wal/")) {
			chosen = append(chosen, c)
		}
		delete(ten, c.name)
	}
	if len(ten) > 0 {
		t.Errorf("not in the table: %v", ten)
	}
	if err := r.plantAll(t.Context(), chosen); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
}

// What is killed from outside has noticed nothing.
func TestJudge_NeedsAComplaint(t *testing.T) {
	r := &runner{limit: time.Second}
	for out, want := range map[string]bool{
		"signal: killed\nFAIL\tx\t0.1s\n":                    false,
		"--- FAIL: TestX (0.00s)\nFAIL\nFAIL\tx\t0.1s\n":     true,
		"panic: index out of range\nFAIL\tx\t0.1s\n":         true,
		"fatal error: all goroutines sleep\nFAIL\tx\t0.1s\n": true,
	} {
		if v := r.judge(out, new(exec.ExitError), "TestX"); v.caught != want || v.word == "" != want {
			t.Errorf("%q: %+v", out, v)
		}
	}
}
