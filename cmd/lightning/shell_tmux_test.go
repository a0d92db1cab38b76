//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine"
)

// A screen is a terminal of tmux with the shell of a database on it.
type screen struct {
	t      *testing.T
	socket string
}

// openScreen starts lightning shell db in a terminal of that many columns. The
// environment has what env adds.
func openScreen(t *testing.T, columns int, env []string, args ...string) *screen {
	t.Helper()
	s := openProgram(t, columns, env, append([]string{"lightning", "shell"}, args...)...)
	s.until("> $")
	return s
}

// openProgram starts any program there.
func openProgram(t *testing.T, columns int, env []string, args ...string) *screen {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("no tmux: nobody can type into a terminal")
	}
	program, err := exec.LookPath(args[0])
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "tmux") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{t, filepath.Join(dir, "s")}
	t.Cleanup(func() {
		s.tmux("kill-server")
		os.RemoveAll(dir)
	})
	// tmux itself now and then forgets the status of what ends.
	line := []string{
		"-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(columns), "-y", "24",
		"sh", "-c", `trap : INT; "$@"; echo "left: $?"; exec sleep 1000`, "sh", "env", "PAGER=cat",
	}
	s.tmux(append(append(append(line, env...), program), args[1:]...)...)
	return s
}

func (s *screen) tmux(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-S", s.socket}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TMUX=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("tmux %q: %v: %s", args, err, out)
	}
	return string(out)
}

// typed sends keys: text as it is, names of keys as tmux has them.
func (s *screen) typed(keys ...string) {
	s.t.Helper()
	s.tmux(append([]string{"send-keys", "--"}, keys...)...)
}

func (s *screen) shown() string {
	s.t.Helper()
	var lines []string
	for line := range strings.Lines(s.tmux("capture-pane", "-p", "-S", "-")) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// until waits for a text on the screen; with $ at its end, it is the last there.
func (s *screen) until(want string) string {
	s.t.Helper()
	last := strings.HasSuffix(want, "$")
	want = strings.TrimRight(want, "$ ")
	deadline := time.Now().Add(20 * time.Second)
	for {
		shown := s.shown()
		if last && strings.HasSuffix(shown, want) || !last && strings.Contains(shown, want) {
			return shown
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the screen never has %q:\n%s", want, shown)
		}
		time.Sleep(10 * time.Millisecond) // between two looks at another process
	}
}

// left waits for the end of the shell, which is to have the status 0.
func (s *screen) left() {
	s.t.Helper()
	s.until("left: 0$")
}

// recorded waits until what tmux pipes to a file has the end of the shell, which
// the screen may show before, and returns it.
func (s *screen) recorded(file string) []byte {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(file)
		if bytes.Contains(text, []byte("left: 0")) {
			return text
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the end of the shell is not recorded: %v\n%q", err, text)
		}
	}
}

// testDatabase makes a database of n keys, row:000000 and so on.
func testDatabase(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "my.db")
	db, err := engine.Open(path, &engine.Options{Sync: engine.SyncOff})
	if err != nil {
		t.Fatal(err)
	}
	b := db.NewBatch()
	for i := range n {
		if err := b.Put(fmt.Appendf(nil, "row:%06d", i), fmt.Appendf(nil, "value %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Apply(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// A day at a terminal: completion, history, a paste, keys, transactions.
func TestShellTerminal(t *testing.T) {
	db, state := testDatabase(t, 300), filepath.Join(t.TempDir(), "state")
	env := []string{"XDG_STATE_HOME=" + state, "NO_COLOR=1"}
	s := openScreen(t, 100, env, db)
	if shown := s.shown(); !strings.Contains(shown, "my.db · 300 keys · read-only (.write on to change) · .help") {
		t.Errorf("no greeting:\n%s", shown)
	}

	// Tab completes commands, settings, flags, and keys in the data.
	s.typed("cou", "Tab")
	s.until("my.db> count$")
	s.typed("--pre", "Tab", "row:00000", "Enter")
	s.until("my.db> count --prefix row:00000\n10\nmy.db>$")
	s.typed(".wr", "Tab", "on", "Enter")
	s.until("my.db> .write on\nmy.db!>$")
	s.typed("get r", "Tab")
	s.until("my.db!> get row:000$")
	s.typed("12", "Tab")
	shown := s.until("row:000129")
	s.until("my.db!> get row:00012$")
	if !strings.Contains(shown, "row:000120  row:000122") {
		t.Errorf("the keys are not in columns:\n%s", shown)
	}
	s.typed("7", "Enter")
	s.until("my.db!> get row:000127\nvalue 127\nmy.db!>$")

	// Home, End, Delete and Ctrl with arrows, as tmux sends them.
	s.typed("xet row:000001y", "Home", "DC", "g", "End", "BSpace", "Enter")
	s.until("my.db!> get row:000001\nvalue 1\nmy.db!>$")
	s.typed("DC", "get wrong:row", "C-Left", "C-Left", "C-k", "row:000002", "Enter")
	s.until("my.db!> get row:000002\nvalue 2\nmy.db!>$")

	// A transaction, in which a statement goes over two lines; it is rolled back.
	s.typed("begin", "Enter")
	s.until("my.db!(tx)>$")
	s.typed(`put row:000001 "two`, "Enter")
	s.until("..>$")
	s.typed(`lines"`, "Enter")
	s.until("my.db!(tx 1)>$")
	s.typed("get row:000001", "Enter")
	s.until("two\nlines\nmy.db!(tx 1)>$")
	s.typed("rollback", "Enter", "get row:000001", "Enter")
	s.until("rollback\nmy.db!> get row:000001\nvalue 1\nmy.db!>$")
	// Another is committed. Up brings the two lines back as one item.
	s.typed("begin", "Enter")
	s.until("my.db!(tx)>$")
	s.typed("Up", "Up", "Up", "Up", "Up")
	s.until(`put row:000001 "two⤶lines"$`)
	s.typed("Enter", "commit", "Enter")
	s.until("commit\nmy.db!>$")
	if out, err := exec.Command("lightning", "get", db, "row:000001").Output(); err != nil || string(out) != "two\nlines" {
		t.Errorf("after commit: %q, %v", out, err)
	}

	// Ctrl-C clears the line; Ctrl-R finds what was typed.
	s.typed("never run", "C-c")
	s.until("never run^C\nmy.db!>$")
	s.typed("C-r", "000127")
	s.until("search `000127': get row:000127")
	s.typed("Enter")
	s.until("my.db!> get row:000127\nvalue 127\nmy.db!>$")
	s.typed("half", "C-r", "GET ROW")
	s.until("search `GET ROW': get row:000127$")
	s.typed("C-r")
	s.until("search `GET ROW': get row:000001$")
	s.typed("C-s")
	s.until("search `GET ROW': get row:000127$")
	s.typed("x")
	s.until("not found `GET ROWx': get row:000127$")
	s.typed("BSpace", "C-g")
	s.until("my.db!> half$")
	s.typed("Up", "Up")
	s.until("my.db!> commit$")
	s.typed("Down", "Down")
	s.until("my.db!> half$")
	s.typed("C-c")
	s.until("half^C\nmy.db!>$")

	// Twenty lines that are pasted land as text, run on Enter, and are one item.
	var paste strings.Builder
	for i := range 20 {
		fmt.Fprintf(&paste, "put p:%d %d\n", i, i)
	}
	load := exec.Command("tmux", "-S", s.socket, "load-buffer", "-")
	load.Stdin = strings.NewReader(paste.String())
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.typed("C-l")
	s.tmux("paste-buffer", "-p")
	s.until("put p:19 19$")
	if n := len(strings.Split(s.shown(), "⤶")); n < 20 {
		t.Errorf("%d lines are shown:\n%s", n, s.shown())
	}
	s.typed("Enter")
	s.until("my.db!>$")
	s.typed("count p:", "Enter")
	s.until("my.db!> count p:\n20\nmy.db!>$")

	// A question is asked on a line of its own, and Ctrl-C is no.
	s.typed("delete --prefix p:", "Enter")
	s.until("Delete 20 keys (100 B), p:0 … p:9? [y/N]$")
	s.typed("C-c")
	s.until("lightning: interrupted\nmy.db!>$")
	s.typed("keyspace create logs", "Enter", "keyspace drop logs", "Enter")
	s.until("all that is in it? [y/N]$")
	s.typed("C-c")
	s.until("it? [y/N] ^C\nlightning: interrupted\nmy.db!>$")
	s.typed("delete --prefix p:", "Enter", "y", "Enter")
	s.until("deleted 20 keys\nmy.db!>$")

	// Ctrl-D leaves. The next shell has the history, which is private.
	s.typed("C-d")
	s.left()
	info, err := os.Stat(filepath.Join(state, "lightning", "history"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("history: %v, %v", info, err)
	}
	s = openScreen(t, 100, env, db)
	s.typed("Up", "Up", "Up", "Up", "Up", "Up")
	s.until("put p:19 19$")
	s.typed("C-c", "quit", "Enter")
	s.left()
}

// Tab completes clauses, and in them functions and the fields of the values; and what
// help tells about.
func TestShellTerminal_Fields(t *testing.T) {
	db := filepath.Join(t.TempDir(), "my.db")
	values := `put a {"name":"A","pop":1,"geo":{"lat":2}}; put b {"population":3}`
	if out, err := exec.Command("lightning", "shell", db, "--write", "-c", values).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := openScreen(t, 80, []string{"NO_COLOR=1", "XDG_STATE_HOME=" + t.TempDir()}, db)
	s.typed("scan a wh", "Tab", ".po", "Tab", "== 1 sel", "Tab", ".n", "Tab", "Enter")
	s.until("my.db> scan a where .pop == 1 select .name\n") // b is no part of it
	s.until("| a   | A     |")
	s.until("my.db>$")
	s.typed("C-l", "scan where .po", "Tab")
	s.until("my.db> scan where .pop$")
	s.typed("Tab")
	s.until(".pop         .population\nmy.db> scan where .pop$")
	s.typed("C-c", "scan --count-by .g", "Tab", ".", "Tab", "Enter")
	s.until("my.db> scan --count-by .geo.lat\n")
	s.until("| .geo.lat | count |")
	s.until("my.db>$")
	s.typed("C-l", "count where .n", "Tab", "| sta", "Tab", `"A")`, " and $k", "Tab", `== "a"`, "Enter")
	s.until("my.db> count where .name | startswith(\"A\") and $key == \"a\"\n1\n")
	s.until("my.db>$")
	s.typed("C-l", "scan where .pop ", "Tab", "C-c")
	s.until("my.db> scan where .pop ^C")
	s.typed("C-l", "scan where ", "Tab")
	s.until("tostring")
	s.until("my.db> scan where$")
	s.typed("C-c", "C-l", "help for", "Tab", "Enter")
	s.until("my.db> help formats\n-o chooses")
	s.until("my.db>$")
	s.typed("C-d")
	s.left()
}

// JSON that is open at the end of a line goes on in the next, until Ctrl-C. In
// single quotes Tab completes keys, too.
func TestShellTerminal_JSON(t *testing.T) {
	s := openScreen(t, 80, []string{"NO_COLOR=1", "XDG_STATE_HOME=" + t.TempDir()}, testDatabase(t, 3), "--write")
	s.typed("put j {", "Enter")
	s.until("put j {\n    ..>$")
	s.typed(`"a": [1,`, "Enter")
	s.until(`"a": [1,` + "\n    ..>$")
	s.typed("2]}", "Enter")
	s.until("2]}\nmy.db!>$")
	s.typed("put j [1,", "Enter")
	s.until("put j [1,\n    ..>$")
	s.typed("C-c")
	s.until("^C\nmy.db!>$")
	s.typed("put j {", "Enter")
	s.until("put j {\n    ..>$")
	s.typed("count", "Enter")
	s.until("in quotes\nmy.db!>$")
	s.typed("get 'j", "Tab", "Enter")
	s.until("get 'j'\n{\n\"a\": [1,\n2]}\nmy.db!>$")
	s.typed("C-d")
	s.left()
}

// Ctrl-C stops what runs, and the shell goes on.
func TestShellTerminal_Interrupt(t *testing.T) {
	s := openScreen(t, 80, []string{"XDG_STATE_HOME=" + t.TempDir()}, testDatabase(t, 50_000))
	s.typed(".output /dev/null", "Enter", "get nope; 1000000 scan", "Enter")
	s.until("key not found: nope") // before they run, Ctrl-C is a key, or forgotten
	s.typed("C-c")
	s.until("lightning: interrupted") // in a scan it says how far that came
	s.until("\nmy.db>$")
	s.typed(".output", "Enter", ".watch 0.01 count row:0000", "Enter")
	s.until("100\n100\n")
	s.typed("C-c")
	s.until("my.db>$")
	s.typed("count", "Enter")
	s.until("count\n50000\nmy.db>$")
	s.typed("exit", "Enter")
	s.left()
}

// Keys that were mistaken for the end of the line, or broke it, and Ctrl-Z where
// nobody could continue what it stops.
func TestShellTerminal_Keys(t *testing.T) {
	s := openScreen(t, 80, []string{"NO_COLOR=1", "XDG_STATE_HOME=" + t.TempDir()}, testDatabase(t, 3))
	s.typed("C-t", "c", "C-t", "outn", "C-t", "C-Space", "C-o", "M-C-t", "C-z")
	s.until("my.db> count$")
	s.typed("Enter")
	s.until("count\n3\nmy.db>$")
	s.typed("never; put k 'never", "Enter")
	s.until("..>$")
	s.typed("C-Space", "C-d")
	s.until("..> ^D\nmy.db>$")
	s.typed("count", "Home", "C-z", "C-k", "count", "Enter")
	s.until("my.db> count\n3\nmy.db>$")

	// In a line that is much longer than the screen, too.
	load := exec.Command("tmux", "-S", s.socket, "load-buffer", "-")
	load.Stdin = strings.NewReader("put k " + strings.Repeat("long ", 50_000) + "end")
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.tmux("paste-buffer", "-p")
	s.until("long end$")
	s.typed("Home", "Right", "Left", "C-k", "C-l", "count", "Enter")
	s.until("my.db> count\n3\nmy.db>$")
	s.typed("C-d")
	s.left()
}

// Ctrl-Z stops the shell; when it goes on, what is pasted still lands as text.
func TestShellTerminal_Stopped(t *testing.T) {
	db := testDatabase(t, 3)
	s := openProgram(t, 80, []string{"NO_COLOR=1", "PS1=sh% ", "ENV=", "XDG_STATE_HOME=" + t.TempDir()}, "sh", "-i")
	s.until("sh%$")
	s.typed("lightning shell "+db, "Enter")
	s.until("my.db>$")
	s.typed("count ", "C-z")
	s.until("sh%$")
	s.typed("fg", "Enter")
	s.until("my.db> count$")
	s.tmux("set-buffer", "row\ncount\n")
	s.tmux("paste-buffer", "-p")
	s.until("my.db> count row⤶count")
	s.typed("Enter")
	s.until("count row⤶count\n3\n3\nmy.db>$")
	s.typed("C-d")
	s.until("sh%$")
	s.typed("exit", "Enter")
	s.left()
}

// A system without less has answers, too, if they do not fit.
func TestShellTerminal_NoPager(t *testing.T) {
	bin := t.TempDir()
	cat, err := exec.LookPath("cat")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(cat, filepath.Join(bin, "cat")); err != nil {
		t.Fatal(err)
	}
	s := openScreen(t, 80, []string{"PAGER=", "PATH=" + bin, "XDG_STATE_HOME=" + t.TempDir()}, testDatabase(t, 50))
	s.typed("scan", "Enter")
	shown := s.until("| row:000049 | value 49 |\n+------------+----------+\nmy.db>$")
	if !strings.Contains(shown, "| row:000000 | value 0  |") {
		t.Errorf("the first is lost:\n%s", shown)
	}
	s.typed("C-d")
	s.left()
}

// In 40 columns lines wrap, tables fit, and lists have fewer columns. What does
// not fit the height goes through the pager.
func TestShellTerminal_Narrow(t *testing.T) {
	s := openScreen(t, 40, []string{"XDG_STATE_HOME=" + t.TempDir(), "LIGHTNING_PAGER=sed s/^/page:/"}, testDatabase(t, 300))
	s.typed("put a-long-key-of-a-record 'and a value th", "Home", "DC", "P", "End", "at is long'")
	s.until("a-long-key-of-a-record '")
	s.typed("C-a", "DC", "p", "Enter")
	s.until("s with .write on\nmy.db>$")
	s.typed("C-l", "scan row:00001 limit 3", "Enter")
	shown := s.until("| row:000012 | value 12 |")
	s.typed("scan row:00001 where $key != \"x\" limit 2", "Enter")
	s.until("| row:000011 | value 11 |\n+------------+----------+\n2 rows, 2 examined")
	if strings.Contains(shown, "page:") {
		t.Errorf("what fits is paged:\n%s", shown)
	}
	s.typed("scan limit 30", "Enter")
	s.until("page:| row:000029 | value 29 |")
	s.typed("C-l", ".watch 0.01 scan limit 30", "Enter") // no pager waits between two answers
	s.until("\n| row:000029 | value 29 |\n+------------+----------+\n+------------+")
	s.typed("C-c")
	s.until("my.db>$")
	s.typed(".pager off", "Enter", ".help", "Enter") // between words
	s.until("\nput KEY [VALUE | - | @FILE]\n                    Set the value of a\n                    key\n")
	s.typed("C-l", "get row:00001", "Tab")
	shown = s.until("row:000010  row:000014  row:000018")
	for _, line := range strings.Split(shown, "\n") {
		if len([]rune(line)) > 40 {
			t.Errorf("a line is too long: %q", line)
		}
	}
	s.typed("C-c", "C-d")
	s.left()
}

// A terminal that can only print gets no escapes, and Ctrl-C clears there, too.
func TestShellTerminal_Dumb(t *testing.T) {
	record := filepath.Join(t.TempDir(), "record")
	s := openScreen(t, 80, []string{"TERM=dumb", "LIGHTNING_PAGER=sed s/^/page:/", "XDG_STATE_HOME=" + t.TempDir()}, testDatabase(t, 30))
	s.tmux("pipe-pane", "cat >"+record)
	s.typed("count", "Enter")
	s.until("count\n30\nmy.db>$")
	s.typed("never run")
	s.until("my.db> never run$")
	s.typed("C-c")
	s.until("never run^C\nmy.db>$")
	s.typed("get nope", "Enter")
	s.until("lightning: key not found: nope\nmy.db>$")
	s.typed("scan limit 1", "Enter")
	s.until("| row:000000 | value 0 |")
	s.typed("scan limit 28 --keys -o text; count", "Enter") // more than fits, and no pages
	if shown := s.until("\nrow:000027\n30\nmy.db>$"); strings.Contains(shown, "page:") {
		t.Errorf("a terminal that can only print is to turn pages:\n%s", shown)
	}
	s.typed(".write on", "Enter")
	s.until("\nmy.db!>$")
	s.typed("delete row:000000 row:000001", "Enter")
	s.until("row:000001\nDelete 2 keys (34 B), row:000000 … row:000001? [y/N]$") // once
	s.typed("n", "Enter")
	s.until("\nmy.db!>$")
	s.typed("C-d")
	s.left()
	if text := s.recorded(record); bytes.IndexByte(text, 0x1b) >= 0 || !bytes.Contains(text, []byte("count")) {
		t.Errorf("escapes:\n%q", text)
	}
}

// NO_COLOR and --color are respected: nothing but what moves the cursor is sent,
// for messages, for what is typed, and for what may follow.
func TestShellTerminal_NoColor(t *testing.T) {
	db := filepath.Join(t.TempDir(), "\x1b[31mmy.db") // nor from names
	if err := os.Rename(testDatabase(t, 3), db); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		env  string
		args []string
		want bool
	}{
		{"NO_COLOR=1", nil, false},
		{"NO_COLOR=", nil, true},
		{"NO_COLOR=", []string{"--color", "never"}, false},
	} {
		record := filepath.Join(t.TempDir(), "record")
		s := openScreen(t, 80, []string{test.env, "XDG_STATE_HOME=" + t.TempDir()}, append(test.args, db)...)
		s.tmux("pipe-pane", "cat >"+record)
		s.typed("get")
		s.until("> get")
		s.typed(" nope", "Enter")
		s.until("key not found: nope\n\"\\x1b[31mmy.db\">$")
		s.typed("C-d")
		s.left()
		text := s.recorded(record)
		for _, sent := range []string{"\x1b[31;1m", "\x1b[0;1mget", "\x1b[0;90m KEY..."} {
			if have := bytes.Contains(text, []byte(sent)); have != test.want {
				t.Errorf("%s %q: %q %v, want %v:\n%q", test.env, test.args, sent, have, test.want, text)
			}
		}
		if have := regexp.MustCompile("\x1b\\[[0-9;]*m").Find(text); !test.want && have != nil {
			t.Errorf("%s %q: %q is sent", test.env, test.args, have)
		}
	}
}

// look waits until the last line of the screen is this one, its colours and all:
// each change of them is in < and >.
func (s *screen) look(want string) {
	s.t.Helper()
	colour := regexp.MustCompile("\x1b\\[([0-9;]*)m")
	have := ""
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		lines := strings.Split(strings.TrimRight(s.tmux("capture-pane", "-p", "-e"), "\n"), "\n")
		have = strings.TrimRight(lines[len(lines)-1], " ")
		have = strings.ReplaceAll(colour.ReplaceAllString(have, "<$1>"), "<49>", "")
		if have = strings.TrimPrefix(strings.ReplaceAll(have, "<39>", "<0>"), "<0>"); strings.ReplaceAll(have, "<0><0>", "<0>") == want {
			return
		}
	}
	s.t.Fatalf("the line never is\n%q, but\n%q", want, have)
}

// cursor waits until the cursor is in this column and row, from 0.
func (s *screen) cursor(want string) {
	s.t.Helper()
	have := ""
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if have = strings.TrimSpace(s.tmux("display-message", "-p", "#{cursor_x},#{cursor_y}")); have == want {
			return
		}
	}
	s.t.Fatalf("the cursor is at %s, not at %s:\n%s", have, want, s.shown())
}

// A line has colours, and in grey what may follow.
func TestShellTerminal_Looks(t *testing.T) {
	s := openScreen(t, 80, []string{"NO_COLOR=", "XDG_STATE_HOME=" + t.TempDir()}, testDatabase(t, 3))
	for _, test := range []struct{ typed, want string }{
		{"ge", "ge"},
		{"get", "<1>get<0><90> KEY..."},
		{"gex", "<31>gex"},
		{"get row:1 --default 'a b' 7", "<1>get<0> row:1 <36>--default<0> <32>'a b'<0> <33>7"},
		{"put k", "<1>put<0> k<90> [VALUE | - | @FILE]"},
		{"put k 'open", "<1>put<0> k <31>'open"},
		{"get --defau", "<1>get<0> --defau"},
		{"get --wrong x", "<1>get<0> <31>--wrong<0> x"},
		{"scan ", "<1>scan<0> <90>[PREFIX] [where EXPR] [select FIELDS] [limit N] [reverse]"},
		{"scan a where .b > 1 limit ", "<1>scan<0> a <1>where<0> .b > <33>1<0> <1>limit<0> <90>N"},
		{"scan a limit 3 ", "<1>scan<0> a <1>limit<0> <33>3<0> <90>[where EXPR] [select FIELDS] [reverse]"},
		{"put --sync ", "<1>put<0> <36>--sync<0> <90>full|normal|off"},
		{"inspect ", "<1>inspect<0> <90>key|meta|node|tree|wal"},
		{"get a; ", "<1>get<0> a;"},
		{"verify bad", "<1>verify<0> bad"},
		{"shell x", "<31>shell<0> x"},
		{"# get", "# get"},
		{".timer ", "<1>.timer<0> <90>auto|on|off"},
		{".timer of", "<1>.timer<0> of"},
		{".timer off x", "<1>.timer<0> off x"},
		{".timer no", "<1>.timer<0> <31>no"},
	} {
		s.typed(test.typed)
		s.look("my.db> " + test.want)
		s.cursor(fmt.Sprint(len("my.db> "+test.typed), ",", s.row()))
		s.typed("C-c", "C-l")
		s.until("my.db>$")
	}
	// Behind what is typed no hint stays, nor where the cursor is inside.
	s.typed("get", "Left")
	s.look("my.db> <1>get")
	s.typed("End")
	s.look("my.db> <1>get<0><90> KEY...")
	s.typed(" row:000001", "Enter")
	s.until("my.db> get row:000001\nvalue 1\nmy.db>$")
	// The lines before are part of a statement.
	s.typed("put k 'two", "Enter")
	s.until("..>$")
	s.typed("lines' ")
	s.look("   ..> <32>lines'<0>")
	s.typed("C-c")
	s.until("my.db>$")
	s.typed(".write on", "Enter", "delete row:000001 row:000002", "Enter")
	s.until("[y/N]$") // an answer is no statement
	s.typed("get")
	s.until("[y/N] get$")
	s.typed("Enter", "C-d")
	s.left()
}

// row is that of the cursor.
func (s *screen) row() string {
	s.t.Helper()
	return strings.TrimSpace(s.tmux("display-message", "-p", "#{cursor_y}"))
}

// In 40 columns the cursor is where it should be: between wide characters, over
// the end of a row, in what was pasted; and a hint takes no row of its own.
func TestShellTerminal_NarrowCursor(t *testing.T) {
	s := openScreen(t, 40, []string{"NO_COLOR=", "XDG_STATE_HOME=" + t.TempDir()}, testDatabase(t, 3))
	s.typed("C-l", "scan ")
	s.until("my.db> scan [PREFIX] [where EXPR] [sel…$")
	s.cursor("12,0")
	// 12 columns and 14 wide characters are 40.
	s.typed("C-u", "put k"+strings.Repeat("漢", 14))
	s.cursor("0,1")
	s.typed("字x")
	s.cursor("3,1")
	s.typed("Left", "Left")
	s.cursor("0,1")
	s.typed("Left")
	s.cursor("38,0")
	s.typed("y") // now one does not fit into the last column
	s.cursor("0,1")
	s.until("漢y\n漢字x$")
	s.typed("Right", "Right")
	s.cursor("4,1")
	s.typed("BSpace", "BSpace")
	s.cursor("39,0")
	s.typed("Home")
	s.cursor("7,0")
	s.typed("End")
	s.cursor("0,1")
	s.typed("C-u", strings.Repeat("a", 33))
	s.cursor("0,1")
	s.typed("b", "BSpace", "BSpace")
	s.cursor("39,0")
	s.typed("C-c")
	s.until(") · .help\nmy.db>\nmy.db> " + strings.Repeat("a", 32) + "^\nC\nmy.db>$") // all that was before is gone
	s.typed("C-l", "put k '")
	s.tmux("set-buffer", "漢 b\nc\td\n"+strings.Repeat("漢字", 10))
	s.tmux("paste-buffer", "-p")
	s.until("my.db> put k '漢 b⤶c→d⤶漢字漢字漢字漢字\n漢字漢字漢字漢字漢字漢字$")
	s.cursor("24,1")
	s.typed("Home", "C-Right", "C-Right", "C-Right")
	s.cursor("19,0") // at the c
	s.typed("End", "'", "Home", "C-k", "count", "Enter")
	s.until("my.db> count\n3\nmy.db>$")
	s.typed("C-d")
	s.left()
}
