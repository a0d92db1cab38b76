package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestMain makes this program the commands of the tests' steps.
func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv("TORTURE_PRINTS"); ok {
		fmt.Println(text)
		if os.Getenv("TORTURE_FAILS") != "" {
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// prints is a step whose command prints a text.
func prints(t *testing.T, name, text string, more ...string) step {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return step{
		name: name, does: "print", pattern: `([\d,]+) kills`, unit: "kills", cores: 1, limit: time.Minute, env: append(more, "TORTURE_PRINTS="+text),
		lines: commands([]string{self}), want: []want{{figure: "kills", least: 1000}},
	}
}

func tortureText(t *testing.T, scale float64, steps ...step) (string, bool) {
	t.Helper()
	var text strings.Builder
	r := &runner{dir: filepath.Join(t.TempDir(), "logs"), scale: scale, cores: 2, out: &text, now: time.Now}
	ok, err := torture(context.Background(), r, steps, "", false)
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(r.dir, "table.md"))
	if err != nil || !strings.Contains(text.String(), string(table)) {
		t.Errorf("table.md is not what was printed: %v", err)
	}
	return string(table), ok
}

// seconds is how long a step took, which is more on a busy machine.
var seconds = regexp.MustCompile(`\| \d+s \|`)

// It goes on behind a step that fails, and behind one that did too little.
func TestTorture_GoesOn(t *testing.T) {
	missing := prints(t, "T4", "")
	missing.lines = commands([]string{"no-such-program"})
	table, ok := tortureText(t, 1,
		prints(t, "T1", "999 kills; 1,200 kills"), prints(t, "T2", "1,200 kills", "TORTURE_FAILS=1"),
		prints(t, "T3", "999 kills"), missing, prints(t, "T5", "1000 kills"))
	if ok {
		t.Error("all is said to be well")
	}
	for _, want := range []string{
		"| T1 | print | 1,200 kills | 1,000 kills | 0s | nothing |", "exit status 3", "**999 kills, want 1,000**",
		"no-such-program", "| T5 | print | 1,000 kills | 1,000 kills | 0s | nothing |", "5 tests in ",
	} {
		if !strings.Contains(seconds.ReplaceAllString(table, "| 0s |"), want) {
			t.Errorf("the table is without %q:\n%s", want, table)
		}
	}
	if table, ok := tortureText(t, 0.5, prints(t, "T1", "500 kills")); !ok {
		t.Errorf("half of it is not enough at half the scale:\n%s", table)
	}
}

// The end of the time of a fuzz target is none of its failures; what it finds is.
func TestTorture_OutOfTime(t *testing.T) {
	const end = "--- FAIL: FuzzX (60.09s)\n    context deadline exceeded\nFAIL\nexit status 1\n1,000 kills"
	const found = "--- FAIL: FuzzX (0.09s)\n    --- FAIL: FuzzX (0.00s)\n        x_test.go:1: context deadline exceeded\n    \n    Failing input written to testdata/fuzz/FuzzX/1\nFAIL\n1,000 kills"
	for text, want := range map[string]bool{end: true, found: false} {
		s := prints(t, "T10", text, "TORTURE_FAILS=1")
		s.spurious = outOfTime
		if table, ok := tortureText(t, 1, s); ok != want {
			t.Errorf("%q: have %v, want %v:\n%s", text, ok, want, table)
		}
	}
}

func TestTorture_Errors(t *testing.T) {
	r := &runner{dir: t.TempDir(), scale: 1, cores: 1, out: new(strings.Builder), now: time.Now}
	if _, err := torture(context.Background(), r, programme, "T99", false); err == nil {
		t.Error("a name that no test has is taken")
	}
	if _, err := torture(context.Background(), r, programme, "(", false); err == nil {
		t.Error("what is no expression is taken")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := torture(ctx, r, []step{prints(t, "T1", "1000 kills")}, "", false); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestFigures(t *testing.T) {
	var test step
	text := "=== RUN   TestA\n    a_test.go:7: figure: states=12\n--- PASS: TestA (0.00s)\n    b_test.go:9: figure: states=30\n    b_test.go:9: figure: power cuts=1\n--- PASS: TestB (1.00s)\n"
	if have := fmt.Sprint(test.figures(text)); have != "map[passed:2 power cuts:1 states:42]" {
		t.Errorf("have %s", have)
	}
	fuzz := step{unit: "executions", pattern: `fuzz: elapsed: .*execs: (\d+)`}
	text = "fuzz: elapsed: 3s, execs: 100 (3/sec), new interesting: 0\nfuzz: elapsed: 6s, execs: 250 (3/sec)\n"
	if have := fmt.Sprint(fuzz.figures(text)); have != "map[executions:250 passed:0]" {
		t.Errorf("have %s", have)
	}
	lines := step{unit: "packages", pattern: `(?m)^ok  `}
	if have := fmt.Sprint(lines.figures("ok  \ta\nFAIL\tb\nok  \tc\n")); have != "map[packages:2 passed:0]" {
		t.Errorf("have %s", have)
	}
}

// Every test of the programme is there once, with a figure, a way to run it and
// a limit, and in docs/RELIABILITY.md.
func TestProgramme(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "..", "docs", "RELIABILITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, s := range programme {
		if s.lines == nil || len(s.want) == 0 || s.limit == 0 || seen[s.name] {
			t.Errorf("%s: %d figures, limit %v, twice: %v", s.name, len(s.want), s.limit, seen[s.name])
		}
		seen[s.name] = true
		if !strings.Contains(string(document), "\n| "+s.name+" |") {
			t.Errorf("%s is not in docs/RELIABILITY.md", s.name)
		}
	}
	for _, n := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 17, 18, 19, 20, 21, 22} {
		if !seen[fmt.Sprint("T", n)] {
			t.Errorf("T%d is not there", n)
		}
	}
}

func TestLightning_Scales(t *testing.T) {
	have, err := lightning("crashtest", "--cycles", "1000", "--duration", "5m")(&runner{scale: 0.1}, nil)
	if want := "[[bin/lightning crashtest --cycles 100 --duration 30s]]"; err != nil || fmt.Sprint(have) != want {
		t.Errorf("have %s, %v, want %s", have, err, want)
	}
}
