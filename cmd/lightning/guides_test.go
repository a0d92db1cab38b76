package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lightning-db/lightning/internal/ui"
)

// guides are the documents whose command blocks are run.
var guides = []string{
	"README.md", "docs/TUTORIAL.md", "docs/CLI.md", "docs/INSTALLATION.md", "docs/DEPLOYMENT.md", "docs/PERFORMANCE_TUNING.md", "docs/TROUBLESHOOTING.md", "docs/MIGRATING.md",
}

// TestGuides_CommandsRun runs every command block of the guides, those of one
// guide in their order, by one shell, in a directory that of the repository has
// testdata/cities, man, completions and bin/lightning, with an empty home. A
// block is
//
//	```sh       commands, one a line, or on several with \ at the end or a here
//	            document; so is a block that is indented by four spaces
//	```console  the same behind "$ ", and "> " where one goes on, with the output
//	            that they must have
//	```go       compiled: TestGuides_CodeCompiles
//	```ANY      of any other language: shown only
//
// and the line before it may be <!-- not run: why --> or <!-- needs: PROGRAM -->;
// of what is not run, flags and the number of arguments are right all the same.
// One inside <!-- and --> is run as the others are, but no reader sees it.
// A command must end with status 0, but in a console block where the next one is
// echo $?, whose output says what it must be. In the output shown, a line ...
// stands for any number of lines, and … for anything in a line; spaces count as
// one, and times, rates and percentages as equal to others of their unit.
func TestGuides_CommandsRun(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the guides are written for a POSIX shell")
	}
	for _, name := range guides {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var commands []command
			notRun := map[string]int{}
			for _, b := range readBlocks(t, name) {
				list, err := b.commands()
				if err != nil {
					t.Fatal(err)
				}
				why := b.notRun
				if _, err := exec.LookPath(b.needs); b.needs != "" && err != nil {
					why = "there is no " + b.needs
				}
				if why != "" {
					notRun[why] += len(list)
					for _, c := range list {
						if err := c.parse(t); err != nil {
							t.Errorf("%s: %s\n%v", c.at, c.text, err)
						}
					}
					continue
				}
				commands = append(commands, list...)
			}
			runCommands(t, commands)
			t.Logf("%s: %d commands run", name, len(commands))
			for why, n := range notRun {
				t.Logf("%s: %d not run: %s", name, n, why)
			}
		})
	}
}

// TestGuides_CodeCompiles: the Go blocks of the guides are in the examples of
// the engine, which its tests run.
func TestGuides_CodeCompiles(t *testing.T) {
	var examples strings.Builder
	files, err := filepath.Glob("../../engine/example*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no examples", err)
	}
	files = append(files, "../../engine/httpstatus/httpstatus_test.go")
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		examples.WriteString(unindented(string(text)))
	}
	for _, name := range guides {
		for _, b := range readBlocks(t, name) {
			if b.language == "go" && b.notRun == "" && !strings.Contains(examples.String(), unindented(b.text)) {
				t.Errorf("%s:%d: this is in no example of the engine:\n%s", name, b.line, b.text)
			}
		}
	}
}

// TestTroubleshooting_KnowsEveryStatus: docs/TROUBLESHOOTING.md has a row for
// each exit status, and no row for any other. (That it has one for each error is
// a test of the engine.)
func TestTroubleshooting_KnowsEveryStatus(t *testing.T) {
	text, err := os.ReadFile("../../docs/TROUBLESHOOTING.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \| .+ \| .+ \|$`).FindAllStringSubmatch(string(text), -1) {
		if rows[m[1]] {
			t.Errorf("%s has two rows", m[1])
		}
		rows[m[1]] = true
	}
	statuses := regexp.MustCompile(`(?m)^ +(\d+)  `).FindAllStringSubmatch(exitTopic, -1)
	if len(statuses) < 15 {
		t.Errorf("%d exit statuses in the help", len(statuses))
	}
	for _, m := range statuses {
		if !rows[m[1]] {
			t.Errorf("exit status %s has no row", m[1])
		}
		delete(rows, m[1])
	}
	for status := range rows {
		t.Errorf("there is no exit status %s", status)
	}
}

// TestTroubleshooting_KnowsEveryFinding: docs/TROUBLESHOOTING.md has a row for each
// check of Health, as engine/health.go makes them, and no row for any other.
func TestTroubleshooting_KnowsEveryFinding(t *testing.T) {
	checks := func(path, pattern string) (list []string) {
		text, err := os.ReadFile(filepath.FromSlash(path))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			list = append(list, m[1])
		}
		slices.Sort(list)
		return slices.Compact(list)
	}
	made, told := checks("../../engine/health.go", `\bfind\("(\w+)"`), checks("../../docs/TROUBLESHOOTING.md", "(?m)^\\| `(\\w+)` \\| .+ \\| (?:the program|both) \\| .+ \\|$")
	if len(made) < 7 || !slices.Equal(made, told) {
		t.Errorf("health finds %q, and the guide has %q", made, told)
	}
}

func unindented(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "\n")
}

// A block is a block of code of a guide.
type block struct {
	guide          string
	line           int // of the first line
	language, text string
	notRun, needs  string
}

var remark = regexp.MustCompile(`^<!-- (not run|needs): (.+) -->$`)

func readBlocks(t *testing.T, name string) []block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	var said block
	lines := strings.Split(string(text), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		fence, indented := strings.HasPrefix(line, "```"), strings.HasPrefix(line, "    ")
		if !fence && !indented {
			if m := remark.FindStringSubmatch(line); m != nil && m[1] == "needs" {
				said.needs = m[2]
			} else if m != nil {
				said.notRun = m[2]
			} else if line != "" {
				said = block{}
			}
			continue
		}
		b := said
		said = block{}
		b.guide, b.language, b.line = name, "sh", i+1
		if fence {
			b.language, b.line = line[3:], i+2
			i++
		}
		if b.language == "" {
			t.Errorf("%s:%d: a block of no language", name, i)
		}
		for ; i < len(lines) && (fence && lines[i] != "```" || !fence && strings.HasPrefix(lines[i], "    ")); i++ {
			line := lines[i]
			if !fence {
				line = line[4:]
			}
			b.text += line + "\n"
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// A command is one of a block, with what it must print, if that is shown.
type command struct {
	at, text string
	shown    bool
	output   []string
	mayFail  bool // the next one tells its status
}

// parse returns what is wrong with the flags of a command, or with how many arguments
// it has, if it is one of ours. Arguments with spaces in quotes are several here.
func (c *command) parse(t *testing.T) error {
	text, ours := strings.CutPrefix(c.text, "lightning ")
	if !ours {
		return nil
	}
	if end := strings.IndexAny(text, "|<>"); end >= 0 {
		text = text[:end]
	}
	cmd, args, err := newApp(t.Context(), &ui.Streams{Out: io.Discard, Err: io.Discard}).root().Find(strings.Fields(text))
	if err == nil {
		err = cmd.ParseFlags(args)
	}
	if err == nil {
		err = cmd.ValidateArgs(cmd.Flags().Args())
	}
	return err
}

var hereDocument = regexp.MustCompile(`<<'?([A-Z]+)'?`)

// commands are those of a block, if it holds any.
func (b *block) commands() ([]command, error) {
	if b.language != "sh" && b.language != "console" {
		return nil, nil
	}
	var list []command
	lines := strings.Split(strings.TrimSuffix(b.text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		c := command{at: fmt.Sprintf("%s:%d", b.guide, b.line+i), text: lines[i]}
		if b.language == "console" {
			text, prompt := strings.CutPrefix(lines[i], "$ ")
			switch {
			case prompt:
				c.text, c.shown = text, true
				for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "> ") {
					i++
					c.text += "\n" + lines[i][2:]
				}
			case len(list) == 0:
				return nil, fmt.Errorf("%s: output of no command", c.at)
			default:
				last := &list[len(list)-1]
				last.output = append(last.output, lines[i])
				continue
			}
		}
		end := func() bool { return !strings.HasSuffix(lines[i], `\`) }
		if m := hereDocument.FindStringSubmatch(c.text); m != nil {
			end = func() bool { return lines[i] == m[1] }
		}
		for !end() {
			if i++; i == len(lines) {
				return nil, fmt.Errorf("%s: the command has no end", c.at)
			}
			c.text += "\n" + lines[i]
		}
		if c.text == "echo $?" && len(list) > 0 {
			list[len(list)-1].mayFail = c.shown
		}
		list = append(list, c)
	}
	return list, nil
}

// runCommands runs the commands by one shell and checks what they print.
func runCommands(t *testing.T, commands []command) {
	t.Helper()
	const mark = "~~ end of command"
	var script strings.Builder
	script.WriteString("exec 2>&1\n")
	for i, c := range commands {
		fmt.Fprintf(&script, "%s\nstatus=$?; printf '\\n%s %d %%d\\n' $status; (exit $status)\n", c.text, mark, i)
	}
	dir, home := t.TempDir(), t.TempDir()
	path := filepath.Join(t.TempDir(), "script")
	lightning, err := exec.LookPath("lightning")
	if binary := os.Getenv("LIGHTNING_BINARY"); binary != "" {
		lightning, err = binary, nil
	}
	if err == nil {
		err = os.WriteFile(path, []byte(script.String()), 0o600)
	}
	for _, part := range []string{"testdata/cities", "man", "completions"} {
		if err == nil {
			err = os.CopyFS(filepath.Join(dir, part), os.DirFS("../../"+part))
		}
	}
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, "bin"), 0o777)
	}
	if err == nil {
		err = os.Symlink(lightning, filepath.Join(dir, "bin", "lightning"))
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	defer cancel()
	sh := exec.CommandContext(ctx, "sh", path)
	sh.Dir = dir
	sh.Env = []string{"PATH=" + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home, "LANG=C.UTF-8"}
	var out bytes.Buffer
	sh.Stdout, sh.WaitDelay = &out, 10*time.Second
	if err := sh.Run(); err != nil && ctx.Err() != nil {
		t.Errorf("the shell: %v", err)
	}
	rest := out.String()
	for i, c := range commands {
		var status int
		have, after, found := strings.Cut(rest, fmt.Sprintf("\n%s %d ", mark, i))
		if _, err := fmt.Sscanf(after, "%d\n", &status); !found || err != nil {
			t.Fatalf("%s: %s\ndid not end:\n%s", c.at, c.text, rest)
		}
		_, rest, _ = strings.Cut(after, "\n")
		want := strings.Join(c.output, "\n")
		have, ended := strings.CutSuffix(have, "\n")
		switch {
		case status != 0 && !c.mayFail:
			t.Errorf("%s: %s\nended with status %d:\n%s", c.at, c.text, status, have)
		case c.shown && !alike(c.output, strings.Split(have, "\n")) && have != want:
			t.Errorf("%s: %s\nprinted:\n%s\nshown is:\n%s", c.at, c.text, have, want)
		case c.shown && have != "" && !ended:
			t.Errorf("%s: %s\nprinted no newline at the end, and the guide shows one:\n%s", c.at, c.text, have)
		}
	}
}

var (
	measure = regexp.MustCompile(`\b\d[\d.,]*(h|m)?[\d.]*\s?((?:B|kB|MB|GB)/s|ns|µs|ms|s|%)(\W|$)`)
	spaces  = regexp.MustCompile(`[ \t]+`)
	border  = regexp.MustCompile(`-+`)
)

// alike reports whether output is what is shown.
func alike(shown, output []string) bool {
	if len(shown) == 0 {
		return len(output) == 0
	}
	if shown[0] == "..." {
		for i := range len(output) + 1 {
			if alike(shown[1:], output[i:]) {
				return true
			}
		}
		return false
	}
	return len(output) > 0 && likeLine(shown[0], output[0]) && alike(shown[1:], output[1:])
}

func likeLine(shown, line string) bool {
	parts := strings.Split(plainLine(shown), "…")
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	return regexp.MustCompile("^" + strings.Join(parts, ".*") + "$").MatchString(plainLine(line))
}

// plainLine is a line without what varies.
func plainLine(line string) string {
	line = measure.ReplaceAllString(line, "0 $2$3")
	return strings.TrimSpace(border.ReplaceAllString(spaces.ReplaceAllString(line, " "), "-"))
}
