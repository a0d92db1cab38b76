package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lightning-db/lightning/internal/figure"
)

// step is one test of the programme: one command, or several.
type step struct {
	name  string // as "T6"
	does  string
	lines func(*runner, *step) ([][]string, error)
	scale float64 // of LIGHTNING_TEST_SCALE, for tests of ours; 0: they are not told
	env   []string

	// Figures are read where a test of ours prints them (internal/figure). Of
	// what else a command prints, pattern finds one more, of the name unit: the
	// number in its last match, or, without a group, the number of matches.
	pattern, unit string

	spurious string // finds in what a command that failed printed that it did not fail

	root  bool          // it can only run with all rights
	jobs  int           // commands at a time
	cores int           // that it keeps busy; 0: what the others leave of them
	limit time.Duration // of one command
	want  []want
}

// want is how much of a figure a step must reach.
type want struct {
	figure string
	least  int
	fixed  bool // whatever the scale
}

// row is what came of a step.
type row struct {
	*step
	line    string // the command, or the first of several
	figures map[string]int
	wanted  string
	took    time.Duration
	found   string // "nothing", or what
	bad     bool
}

type runner struct {
	dir   string
	scale float64
	cores int
	out   io.Writer
	now   func() time.Time

	mu sync.Mutex // guards out
}

func (r *runner) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, format+"\n", args...)
}

// output runs a small command and returns what it prints.
func (r *runner) output(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return string(out), nil
}

// run runs the steps: those that need no core of their own beside all others,
// then those that need one beside one another, the longest first so that no core
// waits at the end, then the others. It returns a row for each.
func (r *runner) run(ctx context.Context, steps []*step) []*row {
	rows := make([]*row, len(steps))
	order := make([]int, len(steps))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := steps[i], steps[j]
		if order := cmp.Compare(min(a.cores, 2), min(b.cores, 2)); order != 0 || a.cores > 1 {
			return order
		}
		return cmp.Compare(b.limit, a.limit)
	})
	free := make(chan struct{}, r.cores)
	var work sync.WaitGroup
	for _, i := range order {
		s := steps[i]
		takes := min(s.cores, r.cores)
		for range takes { // only this goroutine takes, so that nobody waits with a part
			free <- struct{}{}
		}
		work.Go(func() {
			rows[i] = r.step(ctx, s)
			r.say("%-4s %-8s %s", s.name, rows[i].took.Round(time.Second), rows[i].found)
			for range takes {
				<-free
			}
		})
	}
	work.Wait()
	return rows
}

// atScale is a figure wanted, at the scale.
func (r *runner) atScale(w want) int {
	if w.fixed {
		return w.least
	}
	return max(1, int(float64(w.least)*r.scale))
}

// wanted tells the figures of a step.
func (r *runner) wanted(s *step) string {
	var texts []string
	for _, w := range s.want {
		texts = append(texts, thousands(r.atScale(w))+" "+w.figure)
	}
	return strings.Join(texts, ", ")
}

// step runs one step.
func (r *runner) step(ctx context.Context, s *step) *row {
	out := &row{step: s, figures: map[string]int{}, wanted: r.wanted(s), found: "nothing"}
	began := r.now()
	defer func() { out.took = r.now().Sub(began) }()
	problem := func(format string, args ...any) *row {
		out.bad, out.found = true, fmt.Sprintf(format, args...)
		return out
	}
	if s.root && os.Geteuid() != 0 {
		out.found = "skipped: it needs root"
		return out
	}
	lines, err := s.lines(r, s)
	if err != nil {
		return problem("not run: %v", err)
	}
	if len(lines) == 0 {
		return problem("not run: there is nothing to run")
	}
	log, err := os.Create(filepath.Join(r.dir, s.name+".log"))
	if err != nil {
		return problem("not run: %v", err)
	}
	defer log.Close()
	out.line = r.shell(s, lines[0])

	var mu sync.Mutex
	var failures []string
	free := make(chan struct{}, max(1, s.jobs))
	var work sync.WaitGroup
	for _, line := range lines {
		free <- struct{}{}
		work.Go(func() {
			defer func() { <-free }()
			text, err := r.command(ctx, s, line)
			figures := s.figures(text)
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(log, "$ %s\n%s\n", r.shell(s, line), text)
			for name, n := range figures {
				out.figures[name] += n
			}
			if err != nil && !s.excuses(text) {
				failures = append(failures, fmt.Sprintf("%s: %v", failed(text, line), err))
				return
			}
			out.figures["commands"]++
		})
	}
	work.Wait()
	if len(failures) > 0 {
		return problem("%s (%s)", strings.Join(failures, "; "), log.Name())
	}
	for _, w := range s.want {
		if have, least := out.figures[w.figure], r.atScale(w); have < least {
			return problem("%s %s, want %s", thousands(have), w.figure, thousands(least))
		}
	}
	return out
}

// shell is a command line as one types it.
func (r *runner) shell(s *step, line []string) string {
	words := r.variables(s)
	for _, word := range line {
		if strings.ContainsAny(word, "^$()|*?[ ") {
			word = "'" + word + "'"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// variables are those that a step adds to the environment.
func (r *runner) variables(s *step) []string {
	if s.scale == 0 {
		return slices.Clone(s.env)
	}
	return append(slices.Clone(s.env), figure.Variable+"="+strconv.FormatFloat(s.scale*r.scale, 'g', 6, 64))
}

// command runs a command line and returns what it prints.
func (r *runner) command(ctx context.Context, s *step, line []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limit+time.Minute) // go test has the limit too, and says where it stood
	defer cancel()
	var text bytes.Buffer
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Stdout, cmd.Stderr = &text, &text
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(), r.variables(s)...)
	err := cmd.Run()
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("still running after %v", s.limit)
	}
	return text.String(), err
}

var (
	marked  = regexp.MustCompile(regexp.QuoteMeta(figure.Mark) + `([^=\n]+)=(\d+)`)
	passed  = regexp.MustCompile(`(?m)^--- PASS: `)
	failing = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)
)

// figures are the figures in what a command printed.
func (s *step) figures(text string) map[string]int {
	figures := map[string]int{"passed": len(passed.FindAllString(text, -1))}
	for _, m := range marked.FindAllStringSubmatch(text, -1) {
		n, _ := strconv.Atoi(m[2])
		figures[m[1]] += n
	}
	if s.pattern == "" {
		return figures
	}
	pattern := regexp.MustCompile(s.pattern)
	matches := pattern.FindAllStringSubmatch(text, -1)
	switch {
	case pattern.NumSubexp() == 0:
		figures[s.unit] = len(matches)
	case len(matches) > 0:
		figures[s.unit], _ = strconv.Atoi(strings.ReplaceAll(matches[len(matches)-1][1], ",", ""))
	}
	return figures
}

// excuses reports whether a command that failed did so for nothing.
func (s *step) excuses(text string) bool {
	return s.spurious != "" && regexp.MustCompile(s.spurious).MatchString(text)
}

// failed names what failed in what a command printed.
func failed(text string, line []string) string {
	last := ""
	for _, m := range failing.FindAllStringSubmatch(text, -1) {
		if len(m[1]) > len(last) {
			last = m[1]
		}
	}
	if last == "" {
		return strings.Join(line[:min(3, len(line))], " ")
	}
	return last
}

// thousands writes a number with commas.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// writeTable writes the rows as a table in Markdown, and reports whether all of
// them are good.
func writeTable(w io.Writer, rows []*row) bool {
	good := true
	fmt.Fprintln(w, "| test | what | done | wanted | time | found | command |")
	fmt.Fprintln(w, "| --- | --- | --- | --- | --- | --- | --- |")
	for _, row := range rows {
		var done []string
		for _, want := range row.want {
			done = append(done, thousands(row.figures[want.figure])+" "+want.figure)
		}
		command := ""
		if row.line != "" {
			command = "`" + strings.ReplaceAll(row.line, "|", `\|`) + "`"
		}
		found := strings.ReplaceAll(strings.ReplaceAll(row.found, "\n", " "), "|", `\|`)
		if row.bad {
			good = false
			found = "**" + found + "**"
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s |\n", row.name, row.does, strings.Join(done, ", "), row.wanted,
			row.took.Round(time.Second), found, command)
	}
	return good
}
