package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightning-db/lightning/internal/ui"
)

var errStopped = errors.New("stopped")

// A fakeHost echoes statements, and keeps what it was told.
type fakeHost struct {
	of    *Session
	errs  strings.Builder
	state State
	stop  func() // by the statements "stop" and "late"
}

func (h *fakeHost) Run(ctx context.Context, st Statement, in io.Reader, out *Output) int {
	var words []string
	for _, w := range st.Words {
		words = append(words, w.Text)
	}
	switch words[0] {
	case "fail":
		return h.Fail(errors.New(strings.Join(words, " ")))
	case "stop":
		h.stop()
		<-ctx.Done()
		return h.Fail(context.Cause(ctx))
	case "late": // it was as good as done
		h.stop()
	case "input":
		text, err := io.ReadAll(io.LimitReader(in, 4))
		if err != nil {
			return h.Fail(err)
		}
		words = append(words, string(text))
	case "closed":
		return exitPipe
	}
	if _, err := fmt.Fprintf(out.To, "%s\n", strings.Join(words, "|")); errors.Is(err, syscall.EPIPE) {
		return exitPipe
	}
	return 0
}

func (h *fakeHost) Fail(err error) int {
	fmt.Fprintln(&h.errs, h.of.Complaint(err.Error()))
	switch {
	case errors.Is(err, errStopped):
		return 130
	case errors.Is(err, os.ErrNotExist):
		return 7
	}
	if _, ok := err.(usageError); ok {
		return 2
	}
	return 1
}

type usageError string

func (e usageError) Error() string { return string(e) }

func (h *fakeHost) Usage(message string) error { return usageError(message) }

func (h *fakeHost) Create(path string) (io.WriteCloser, error) { return os.Create(path) }

func (h *fakeHost) Set(name, argument string) error {
	if argument == "no" {
		return errors.New("no such " + name)
	}
	return nil
}

func (h *fakeHost) State() State { return h.state }

func (h *fakeHost) Commands() [][2]string {
	return [][2]string{{"get KEY...", "Print values"}, {"put KEY [VALUE]", "Set the value of a key"}, {"begin", "Begin"}}
}

func (h *fakeHost) Complete(words []Word, typed string) (names []string, keys Keys) {
	switch {
	case len(words) == 0:
		return []string{"get", "put", "scan"}, nil
	case words[0].Text == "":
		return nil, nil
	case words[0].Plain("help") && len(words) == 1:
		return []string{"get", "topic", "begin"}, nil
	case words[0].Plain(".keyspace"):
		return []string{"logs", "users"}, nil
	case words[0].Text == "many":
		for i := range 2000 {
			names = append(names, fmt.Sprintf(".field%04d", i/2)) // each twice
		}
		return names, nil
	case words[0].Text == "get":
		keys = h.keys
	}
	return []string{"--default", "user"}, keys
}

// Look knows get and put, and help of them and of a topic, and takes words that begin with a dash for wrong.
func (h *fakeHost) Look(words []Word) (looks []Look, hint string) {
	looks = make([]Look, len(words))
	looks[0] = Wrong
	if words[0].Text == "help" {
		if In(words[len(words)-1].Text, " get put topic") {
			looks[len(words)-1] = Command
		}
		return looks, ""
	}
	if In(words[0].Text, " get put") {
		looks[0], hint = Command, strings.Repeat("KEY ", 3-min(len(words), 3))
	}
	for i, w := range words {
		if w.Literal < 0 && strings.HasPrefix(w.Text, "-") {
			looks[i] = Wrong
		}
	}
	return looks, strings.TrimSpace(hint)
}

func (h *fakeHost) keys(prefix []byte, most int) (keys [][]byte, more bool) {
	for i := range 1000 {
		key := fmt.Appendf(nil, "row:%03d", i)
		if bytes.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	for _, other := range []string{"it's", "two words", "user:1"} {
		if strings.HasPrefix(other, string(prefix)) {
			keys = append(keys, []byte(other))
		}
	}
	if len(keys) > most {
		return append(keys[:most:most], keys[len(keys)-1]), true
	}
	return keys, false
}

func newSession(t *testing.T) (*Session, *fakeHost, *bytes.Buffer) {
	t.Helper()
	h, out := &fakeHost{state: State{Database: "my.db"}}, new(bytes.Buffer)
	s := &Session{Streams: &ui.Streams{In: strings.NewReader(""), Out: out, Err: &h.errs}, Host: h, Bail: true, Interrupted: errStopped}
	h.of = s
	s.Start()
	return s, h, out
}

func TestSession_Text(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write("file", "one\nfail in file\ntwo")
	self := filepath.Join(dir, "self")
	write("self", ".read "+self)
	for _, test := range []struct {
		text      string
		goOn      bool
		status    int
		out, errs string
	}{
		{text: "a b; c 'd e'", out: "a|b\nc|d e\n"},
		{text: "a; fail; b", status: 1, out: "a\n", errs: "fail\n"},
		{text: "a\nfail\nb", goOn: true, status: 1, out: "a\nb\n", errs: "line 2: fail\n"},
		{text: "a; get x'0'; never\nb", goOn: true, status: 2, out: "a\nb\n", errs: "line 1: x'...' holds pairs of hexadecimal digits\n"},
		{text: "3 a b", out: "a|b\na|b\na|b\n"},
		{text: "3 fail", status: 1, errs: "fail\n"},
		{text: "0 a", status: 2, errs: "0 is no number of times\n"},
		{text: "99999999999999999999 a", status: 2, errs: "99999999999999999999 is no number of times\n"},
		{text: "42", out: "42\n"},
		{text: "a; exit; b", out: "a\n"},
		{text: "a; quit\nb", out: "a\n"},
		{text: `a; \q; b`, out: "a\n"},
		{text: "a; .quit; b", out: "a\n"},
		{text: "a; .exit; b", out: "a\n"},
		{text: "\ufeffa\n\ufeffb", out: "a\n\ufeffb\n"}, // only the first is a mark
		{text: "'exit'; b", out: "exit\nb\n"},
		{text: "exit 3; b", errs: "exit takes no argument\n", status: 2},
		{text: `\q now; .quit now; quit 0; b`, goOn: true, errs: "\\q takes no argument\n.quit takes no argument\nquit takes no argument\n", out: "b\n", status: 2},
		{text: "a \"open", status: 2, errs: errOpenQuote.Error() + "\n"},
		{text: "a\nb {\nc\nd", goOn: true, status: 2, out: "a\nd\n", errs: "line 2: the value is bad JSON: unexpected 'c' where a name begins, at byte 3: put text in quotes\n"},
		{text: "a {\n\"b\": 1\n}\nc [1,\n2]; d", out: "a|{\n\"b\": 1\n}\nc|[1,\n2]\nd\n"},
		{text: "a\nb {\n", status: 2, out: "a\n", errs: "line 2: " + errOpenJSON.Error() + "\n"},
		{text: "a\nb [1,\n2", goOn: true, status: 2, out: "a\n", errs: "line 2: " + errOpenJSON.Error() + "\n"},
		{text: "a\n\"b\nc\"\nd", out: "a\nb\nc\nd\n"},
		{text: ".mode table; .show", out: ".mode      table\n.keys      auto\n.values    auto\n.keyspace  -\n.write     off\n.timer     auto\n.pager     auto\n.output    -\n"},
		{text: ".mode wrong", status: 2, errs: ".mode: use auto, table, text, json, jsonl, csv, tsv, line, raw, null, db_dump, sql, md\n"},
		{text: ".tiemr on", status: 2, errs: "no setting .tiemr; did you mean: .timer\n"},
		{text: ".o", status: 2, errs: "no setting .o; did you mean: .output, .once\n"},
		{text: ".", status: 2, errs: "no setting .; see .help\n"},
		{text: ".nothing", status: 2, errs: "no setting .nothing; see .help\n"},
		{text: ".show it", status: 2, errs: ".show takes no argument\n"},
		{text: ".timer x", status: 2, errs: ".timer: use auto, on, off\n"},
		{text: ".mode csv; .mode; .write; .pager", out: ".mode  csv\n.write  off\n.pager  auto\n"},
		{text: ".once", status: 2, errs: ".once: use FILE | |COMMAND\n"},
		{text: ".help put", out: "help|put\n"},
		{text: ".help topic", out: "help|topic\n"},
		{text: "help", out: helpText},
		{text: ".help; 'help'", out: helpText + "help\n"},
		{text: "?", out: helpText},
		{text: ".help begin; help begin; ? begin", out: "begin  Begin\nbegin  Begin\nbegin  Begin\n"},
		{text: "help topic; 2 help put", out: "help|topic\nhelp|put\nhelp|put\n"},
		{text: "help mode; help .mode", out: ".mode FORMAT  form of answers; auto: table on a terminal, else text\n.mode FORMAT  form of answers; auto: table on a terminal, else text\n"},
		{text: "help nothing-like-it", out: "help|nothing-like-it\n"},
		{text: ".help '\"'", status: 2, errs: errOpenQuote.Error() + "\n"},
		{text: ".keyspace no", status: 1, errs: "no such keyspace\n"},
		{text: ".keyspace a; .keyspace; .write 'on off'", status: 2, errs: ".write: use on, off\n"},
		{text: ".read", status: 2, errs: ".read: use FILE\n"},
		{text: ".help mode", out: ".mode FORMAT  form of answers; auto: table on a terminal, else text\n"},
		{text: ".help nothing-like-it", out: "help|nothing-like-it\n"}, // the host says that there is none
		{text: ".watch", status: 2, errs: ".watch: use SECONDS STATEMENT\n"},
		{text: ".watch -1 a", status: 2, errs: ".watch: use a number of seconds and a statement\n"},
		{text: ".watch 1e-300 fail", status: 1, errs: "fail\n"},
		{text: ".watch 1 fail", status: 1, errs: "fail\n"},
		{text: ".read " + file + "; three", status: 1, out: "one\n", errs: file + ": line 2: fail in file\n"},
		{text: ".read '" + file + "'; three", goOn: true, status: 1, out: "one\ntwo\nthree\n", errs: file + ": line 2: fail in file\n"},
		{text: ".read " + dir + "/none", status: 7, errs: "open " + dir + "/none: no such file or directory\n"},
		{text: ".read " + self, status: 2, errs: self + ": line 1: .read of a file that reads files, 16 deep: does one read itself?\n"},
		{text: "a; closed; b", goOn: true, status: exitPipe, out: "a\nb\n"},
		{text: "closed\nb", goOn: true, status: exitPipe},
	} {
		s, h, out := newSession(t)
		s.Bail = !test.goOn
		status := s.Text(t.Context(), test.text)
		if err := s.Close(); err != nil {
			t.Errorf("%q: close: %v", test.text, err)
		}
		if status != test.status || out.String() != test.out || h.errs.String() != test.errs {
			t.Errorf("%q\nhave %d\n%s%s\nwant %d\n%s%s", test.text, status, out, h.errs.String(), test.status, test.out, test.errs)
		}
	}
}

func TestSession_Output(t *testing.T) {
	dir := t.TempDir()
	s, h, out := newSession(t)
	a, b, c, d := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c"), filepath.Join(dir, "d")
	text := strings.Join([]string{
		"to screen", ".output " + a, "one", "two", ".once '" + b + "'", "three", "four", ".output", "screen again",
		".once |cat >" + c, "through a pipe", "last", ".once " + d, "replaced", ".once " + d, "new", ".once |cat >>" + d, "and more",
	}, "\n")
	if status := s.Text(t.Context(), text); status != 0 {
		t.Fatalf("status %d: %s", status, h.errs.String())
	}
	if want := "to|screen\nscreen|again\nlast\n"; out.String() != want {
		t.Errorf("standard output %q, want %q", out, want)
	}
	for path, want := range map[string]string{a: "one\ntwo\nfour\n", b: "three\n", c: "through|a|pipe\n", d: "new\nand|more\n"} {
		have, err := os.ReadFile(path)
		if err != nil || string(have) != want {
			t.Errorf("%s: %q, %v; want %q", path, have, err, want)
		}
	}
	if status := s.Text(t.Context(), ".once |cat >'"+c+"' && exit 3\na"); status != 1 || !strings.Contains(h.errs.String(), "exit 3: exit status 3") {
		t.Errorf("a command that fails: status %d, %s", status, h.errs.String())
	}
	if status := s.Text(t.Context(), ".output "+dir+"/no/such"); status != 7 {
		t.Errorf("a file that cannot be: status %d, %s", status, h.errs.String())
	}
}

// Whoever types is told when nobody reads the answers any more, once, and sees
// those that come then.
func TestSession_OutputIsUnread(t *testing.T) {
	s, h, out := newSession(t)
	long := strings.Repeat("x", 1<<20) // more than a pipe takes
	s.typing(t.Context(), &scripted{lines: []string{".output |exec head -c 1 >/dev/null", long, "a", ".output |exec head -c 1 >/dev/null", ".read " + filepath.Join(t.TempDir(), "none"), long, ".show"}})
	want := "|exec head -c 1 >/dev/null reads no more: answers go to standard output again\n"
	if !strings.HasPrefix(h.errs.String(), want) || strings.Count(h.errs.String(), "reads no more") != 2 {
		t.Errorf("standard error %q", h.errs.String())
	}
	if !strings.HasPrefix(out.String(), "a\n.mode ") || !strings.Contains(out.String(), ".output    -\n") {
		t.Errorf("standard output %q", out)
	}
}

// The first answer of which a command takes nothing, since it has read enough before,
// is shown: it was lost.
func TestSession_OutputTakesNothing(t *testing.T) {
	left := filepath.Join(t.TempDir(), "left")
	if err := exec.Command("mkfifo", left).Run(); err != nil {
		t.Skip(err)
	}
	s, h, out := newSession(t)
	h.stop = func() { _, _ = os.ReadFile(left) } // until the command reads no more
	s.typing(t.Context(), &scripted{lines: []string{".output |exec <&- && echo >'" + left + "'", "late a", "b", ".show"}})
	if !strings.HasPrefix(out.String(), "late|a\nb\n.mode ") || strings.Count(h.errs.String(), "reads no more: answers go to standard output again\n") != 1 {
		t.Errorf("standard output %q, standard error %q", out, h.errs.String())
	}
}

// How long an answer is waited for is no time of the statement.
func TestSession_TimerLeavesWaitingOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // whose clock goes on where it waits
		s, h, out := newSession(t)
		s.typing(t.Context(), &scripted{lines: []string{".timer on", "input", "slow", ".timer auto", "input", "slow"}})
		if out.String() != "input|slow\ninput|slow\n" || h.errs.String() != "time: 0s\n" {
			t.Errorf("standard output %q, standard error %q", out, h.errs.String())
		}
	})
}

// A command that has read enough ends no script: once the writes behind it were
// never committed. One that fails is an error of its statement, or of the one that
// takes the .output back. Standard output that nobody reads still ends all.
func TestSession_ScriptGoesOnUnread(t *testing.T) {
	long := strings.Repeat("x", 1<<20) // more than a pipe takes
	for _, test := range []struct {
		text      string
		goOn      bool
		status    int
		out, errs string
	}{
		{text: ".once |exec head -c 1 >/dev/null\n" + long + "\nb", out: "b\n"},
		{text: ".output |exit 0; " + long + "; " + long + "; .output; b", out: "b\n"},
		{text: ".output |exit 0\n.watch 0.001 " + long + "\n.output\nb", out: "b\n"},
		{text: ".once |exit 3; " + long + "; b", status: 1, errs: "exit 3: exit status 3\n"},
		{text: ".once |exit 3\n" + long + "\nb", goOn: true, status: 1, out: "b\n", errs: "line 2: exit 3: exit status 3\n"},
		{text: ".output |exit 3\n" + long + "\n.output\nb", goOn: true, status: 1, out: "b\n", errs: "line 3: exit 3: exit status 3\n"},
	} {
		s, h, out := newSession(t)
		s.Bail = !test.goOn
		if status := s.Text(t.Context(), test.text); status != test.status || out.String() != test.out || h.errs.String() != test.errs {
			t.Errorf("%.40q: have %d, %.40q, %q\nwant %d, %q, %q", test.text, status, out, h.errs.String(), test.status, test.out, test.errs)
		}
	}
}

// scripted is a line source that types.
type scripted struct {
	lines   []string // "^C" and "^D" give the line up
	prompts []string
	saved   []string
}

func (l *scripted) ReadLine(prompt string) (string, error) {
	l.prompts = append(l.prompts, prompt)
	if len(l.lines) == 0 {
		return "", io.EOF
	}
	line := l.lines[0]
	l.lines = l.lines[1:]
	switch line {
	case "^C":
		return "", errCleared
	case "^D":
		return "", io.EOF
	case "slow":
		time.Sleep(10 * time.Second) // of the clock of synctest
	}
	return line, nil
}

func (l *scripted) Save(text string) { l.saved = append(l.saved, text) }
func (l *scripted) Close() error     { return nil }

func (s *Session) typing(ctx context.Context, lines *scripted) int {
	s.Interactive, s.Bail, s.lines = true, false, lines
	return s.read(ctx, lines)
}

// Somebody types: a failure ends nothing, Ctrl-C gives up the line or stops what
// runs, what has several lines is one item of the history.
func TestSession_Typing(t *testing.T) {
	s, h, out := newSession(t)
	h.stop = s.Interrupt
	lines := &scripted{lines: []string{
		"fail", `put k "a`, `b"`, `put k "given up`, "^C", `never; put k "given up, too`, "^D", "5 stop", "a; stop; b", "one\ntwo", "input", "yes", "input", "^C", "", "last", "exit", "never",
	}}
	s.typing(t.Context(), lines)
	if want := "put|k|a\nb\na\none\ntwo\ninput|yes\n\nlast\n"; out.String() != want {
		t.Errorf("standard output %q, want %q", out, want)
	}
	if want := "fail\nstopped\nstopped\ncontext canceled\n"; h.errs.String() != want {
		t.Errorf("standard error %q, want %q", h.errs.String(), want)
	}
	want := []string{"fail", "put k \"a\nb\"", "5 stop", "a; stop; b", "one\ntwo", "input", "input", "", "last", "exit"}
	if !slices.Equal(lines.saved, want) {
		t.Errorf("history %q, want %q", lines.saved, want)
	}
	if have := lines.prompts[:4]; !slices.Equal(have, []string{"my.db> ", "my.db> ", "   ..> ", "my.db> "}) {
		t.Errorf("prompts %q", have)
	}
}

func TestSession_Prompt(t *testing.T) {
	s, h, _ := newSession(t)
	for want, state := range map[string]State{
		"my.db> ":                {Database: "my.db"},
		"my.db(tx)> ":            {Database: "my.db", InTx: true},
		"my.db(tx 2)> ":          {Database: "my.db", InTx: true, Writes: 2},
		"…a-very-long-name.db> ": {Database: "a-database-with-a-very-long-name.db"},
	} {
		h.state = state
		if have := s.prompt(false); have != want {
			t.Errorf("have %q, want %q", have, want)
		}
	}
	h.state = State{Database: "my.db"}
	s.Settings["keyspace"], s.Settings["write"] = "logs", "on"
	if have := s.prompt(false); have != "my.db/logs!> " {
		t.Errorf("have %q", have)
	}
}

func TestSession_InputIsTaken(t *testing.T) {
	s, h, out := newSession(t)
	s.In, s.Taken = strings.NewReader("a\ninput\nb\n"), true
	if status := s.Input(t.Context()); status != 2 || out.String() != "a\n" || !strings.HasPrefix(h.errs.String(), "standard input: line 2: standard input holds the statements") {
		t.Errorf("status %d, %q, %q", status, out, h.errs.String())
	}
}

// A session whose process is told to end stops where it is, and runs nothing more.
func TestSession_Ended(t *testing.T) {
	s, h, out := newSession(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	h.stop = func() { cancel(errStopped) }
	if status := s.Text(ctx, "a; stop; b\nc"); status != 130 || out.String() != "a\n" || h.errs.String() != "line 1: stopped\n" {
		t.Errorf("status %d, %q, %q", status, out, h.errs.String())
	}
}

// What is interrupted is the statement that does not begin any more, not the one
// that was done: it had said "deleted 171,075 keys", and then "interrupted".
func TestSession_InterruptedBehindStatement(t *testing.T) {
	for text, want := range map[string]string{
		"late":            "",
		"late; b":         "stopped before b\n",
		"late; b; c":      "stopped before b\n",
		"late\n# note\nb": "stopped before b\n",
		"2 late":          "stopped before late\n",
		"late; .show":     "stopped before .show\n",
	} {
		s, h, out := newSession(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		h.stop = func() { cancel(errStopped) }
		status := s.Text(ctx, text)
		said := strings.TrimPrefix(h.errs.String(), "line 3: ")
		if out.String() != "late\n" || said != want || (status == 130) != (want != "") {
			t.Errorf("%q: status %d, %q, %q, want %q", text, status, out, h.errs.String(), want)
		}
		s, h, out = newSession(t)
		h.stop = s.Interrupt
		s.typing(t.Context(), &scripted{lines: []string{text, "next"}})
		if out.String() != "late\nnext\n" || h.errs.String() != want {
			t.Errorf("%q, typed: %q, %q, want %q", text, out, h.errs.String(), want)
		}
	}
}

func TestSession_Completes(t *testing.T) {
	s, _, _ := newSession(t)
	for text, want := range map[string]string{
		"":            "get put scan",
		"g":           "get",
		"put a b; sc": "scan",
		"5 ge":        "get",
		".mo":         ".mode",
		".mode t":     "table text tsv",
		".keyspace l": "logs",
		".help ge":    "get",
		".help .ti":   ".timer",
		".help to":    "topic",
		"help ge":     "get",
		"help .ti":    ".timer",
		"help ":       "get topic begin",
		"? ge":        "get",
		"help get .":  "",
		".mode .":     "",
		".watch 2 ge": "get",
		"get --d":     "--default",
		"get us":      "user user:1",
		"get row:00":  "row:000 row:001 row:002 row:003 row:004 row:005 row:006 row:007 row:008 row:009",
		"put us":      "user",
		"get tw":      `"two words"`, // instead of what was typed
		"get t":       `"two words"`,
		"get 'tw":     "'two words'",
		"get 'us":     "'user:1'",
		"get 'it''":   "'it''s'",
		"get 'us'":    "",
		"put k {\n":   "",
		"put k {\nge": "",
		"put k [1,ge": "",
		`get "tw`:     `"two words"`,
		`get "us`:     `"user:1"`,
		`get "us"`:    "",
		`put "a b" `:  "--default user",
	} {
		c := s.complete(text)
		if have := strings.Join(c.candidates, " "); have != want {
			t.Errorf("%q: have %q, want %q", text, have, want)
		}
	}
	s.Settings["keys"] = "hex" // what is not in quotes is hexadecimal
	for text, want := range map[string]string{"get us": "user", `get "us`: `"user:1"`, "get 75": ""} {
		if have := strings.Join(s.complete(text).candidates, " "); have != want {
			t.Errorf("%q with .keys hex: have %q, want %q", text, have, want)
		}
	}
	s.Settings["keys"] = "auto"
	c := s.complete("get r")
	if len(c.candidates) != mostKeys+1 || !c.more || c.common() != "row:" {
		t.Errorf("%d candidates, more %v, common %q", len(c.candidates), c.more, c.common())
	}
	if many := s.complete("many ."); len(many.candidates) != mostKeys+1 || !many.more || many.common() != ".field0" || many.candidates[1] != ".field0001" {
		t.Errorf("%d candidates, more %v, common %q", len(many.candidates), many.more, many.common())
	}
	if have := listed(c, 40); strings.Count(have, "\n") != 16 || !strings.Contains(have, "…\nrow:013") || !strings.Contains(have, "row:999\n") {
		t.Errorf("listed as\n%s", have)
	}
}

const helpText = `get KEY...                 Print values
put KEY [VALUE]            Set the value of a key
begin                      Begin
.mode FORMAT               form of answers; auto: table on a terminal, else text
.keys ENCODING             how keys are written and shown
.values ENCODING           how values are written and shown
.keyspace [NAME]           keyspace to use; alone, the default one
.write on|off              allow writes
.timer auto|on|off         say how long statements take: auto, from 0.5 s on
.pager auto|off|COMMAND    what shows an answer that does not fit: $LIGHTNING_PAGER, $PAGER or less
.output [FILE | |COMMAND]  where answers go, a file that is there is replaced; alone, to standard output again
.once FILE | |COMMAND      where the next answer goes; a file that is there is replaced (|cat >>FILE adds to one)
.read FILE                 run the statements of a file
.show                      show the settings
.watch SECONDS STATEMENT   run a statement again and again, until Ctrl-C
.help [WORD]               what there is, or about one command or setting
.quit                      leave; so do exit, quit, \q and Ctrl-D
N STATEMENT                run a statement N times
`
