package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"
)

// runner runs the tests of the module in root.
type runner struct {
	root    string
	jobs    int           // that run at a time
	limit   time.Duration // of a test; one that hangs has noticed nothing
	verbose bool
	out     io.Writer
}

// verdict is what became of a planted bug.
type verdict struct {
	caught  bool
	test    string  // that failed
	seconds float64 // that the tests ran
	word    string  // of what is not caught: survived, late, or broken, when it could not be planted
	why     string
	said    []byte // by go test
}

// control runs the tests that must notice the canaries without any of them.
// What passed before and has not changed since, the go command does not run
// again.
func (r *runner) control(ctx context.Context, chosen []canary) error {
	tests := map[string]map[string]bool{}
	for i := range chosen {
		in := chosen[i].in
		if tests[in] == nil {
			tests[in] = map[string]bool{}
		}
		tests[in][pattern(chosen[i].test)] = true
	}
	packages := make([]string, 0, len(tests))
	for in := range tests {
		packages = append(packages, in)
	}
	sort.Strings(packages)
	for _, in := range packages {
		for _, run := range together(tests[in]) {
			out, err := r.goTest(ctx, in, run, "-timeout=10m")
			if err != nil {
				return fmt.Errorf("without a bug, go test ./%s -short -run '%s': %w\n%s", in, run, err, out)
			}
		}
		fmt.Fprintf(r.out, "passes    ./%s without a bug\n", in)
	}
	return nil
}

// together joins the patterns of whole tests in one; those with a subtest stay
// by themselves.
func together(patterns map[string]bool) []string {
	var whole, all []string
	for p := range patterns {
		if strings.Contains(p, "/") {
			all = append(all, p)
		} else {
			whole = append(whole, p)
		}
	}
	sort.Strings(whole)
	sort.Strings(all)
	if len(whole) > 0 {
		all = append(all, strings.Join(whole, "|"))
	}
	return all
}

// plant plants c and runs its test.
func (r *runner) plant(ctx context.Context, c *canary) verdict {
	dir, err := os.MkdirTemp("", "canary")
	if err != nil {
		return verdict{word: "broken", why: err.Error()}
	}
	defer os.RemoveAll(dir)
	overlay, err := r.overlay(dir, c)
	if err != nil {
		return verdict{word: "broken", why: err.Error()}
	}
	out, err := r.goTest(ctx, c.in, pattern(c.test), "-overlay="+overlay, "-count=1", "-failfast", "-timeout="+r.limit.String())
	v := r.judge(string(out), err, c.test)
	v.said = out
	return v
}

// overlay writes into dir the file that c edits, and what tells the go command
// to take it. It returns the name of that.
func (r *runner) overlay(dir string, c *canary) (string, error) {
	file, err := filepath.Abs(filepath.Join(r.root, filepath.FromSlash(c.file)))
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	edited, err := c.apply(string(text))
	if err != nil {
		return "", err
	}
	planted := filepath.Join(dir, path.Base(c.file))
	if err := os.WriteFile(planted, []byte(edited), 0o600); err != nil {
		return "", err
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {file: planted}})
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "overlay.json")
	return name, os.WriteFile(name, replace, 0o600)
}

func (r *runner) goTest(ctx context.Context, in, run string, args ...string) ([]byte, error) {
	args = append([]string{"test", "-p=1", "-vet=off", "-ldflags=-w", "-short", "-run=" + run}, args...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./"+in)...)
	cmd.Dir = r.root
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.Bytes(), err
}

// pattern is what selects a test, as the table writes it, and no other.
func pattern(test string) string {
	parts := strings.Split(strings.ReplaceAll(test, " ", "_"), "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

var (
	failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)
	complains  = regexp.MustCompile(`(?m)^\s*--- FAIL: |^(panic|fatal error): |^WARNING: DATA RACE`)
	failedIn   = regexp.MustCompile(`(?m)^FAIL\t\S+\t([0-9.]+)s$`)
	passedIn   = regexp.MustCompile(`(?m)^ok  \t\S+\t([0-9.]+)s`)
)

// judge tells from what go test said whether the test noticed the bug.
func (r *runner) judge(out string, err error, test string) verdict {
	var v verdict
	var exit *exec.ExitError
	ran := failedIn.FindStringSubmatch(out)
	switch {
	case err == nil && strings.Contains(out, "[no tests to run]"):
		return verdict{word: "broken", why: "there is no test " + test}
	case err == nil:
		v = verdict{word: "survived", why: test + " does not fail"}
		ran = passedIn.FindStringSubmatch(out)
	case !errors.As(err, &exit):
		return verdict{word: "broken", why: err.Error()}
	case strings.Contains(out, "[build failed]") || strings.Contains(out, "[setup failed]"):
		return verdict{word: "broken", why: "with it the program does not compile\n" + out}
	case ran == nil:
		return verdict{word: "broken", why: "the test did not run\n" + out}
	case strings.Contains(out, "panic: test timed out after"):
		v = verdict{word: "late", why: test + " says nothing within " + r.limit.String()}
	case !complains.MatchString(out): // the system has killed it
		return verdict{word: "broken", why: "the test was ended from outside\n" + out}
	default:
		v = verdict{caught: true, test: test}
		if failed := failedTest.FindAllStringSubmatch(out, -1); len(failed) > 0 {
			v.test = failed[len(failed)-1][1] // a subtest is told behind its test
		}
	}
	if ran != nil {
		v.seconds, _ = strconv.ParseFloat(ran[1], 64)
	}
	return v
}
