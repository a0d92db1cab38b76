// Package shell is the session of lightning shell: it reads statements, runs
// them one after the other, and keeps the settings that hold between them.
//
// What a statement means is for the Host, which is the command line with a
// database kept open. The session knows words, settings, and what goes where:
// prompts, times and errors to standard error, data to standard output, a file, a
// command or a pager.
package shell

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lightning-db/lightning/internal/ui"
)

// A Host runs what the session is told to, and says what there is to complete.
// It is called by one goroutine at a time.
type Host interface {
	// Run runs a statement and returns its exit status. It says itself what went
	// wrong. in is where a statement that asks gets an answer.
	Run(ctx context.Context, st Statement, in io.Reader, out *Output) int
	// Fail says what is wrong, and returns the exit status of that; Usage makes an
	// error of not being told what to do in a way that is understood.
	Fail(err error) int
	Usage(message string) error
	// Create opens a file to write to, empty.
	Create(path string) (io.WriteCloser, error)
	// Set is called before a setting of the host is set.
	Set(name, argument string) error
	// State is what the prompt shows.
	State() State

	// Commands are those a statement may begin with, with their arguments, and
	// what each is for; and behind them the topics of help, in the same way.
	Commands() [][2]string
	// Complete returns what may stand behind words where typed stands, among it
	// what does not begin with typed; and, if that may be a key, what finds keys.
	Complete(words []Word, typed string) (names []string, keys Keys)
	// Look says of each word of a statement what it is, and what may follow.
	Look(words []Word) (looks []Look, hint string)
}

// Keys returns the first keys that begin with prefix, at most most of them, and
// behind them the last one, if there are more.
type Keys func(prefix []byte, most int) (keys [][]byte, more bool)

// NoCommands are what a statement may begin with that is no command.
const NoCommands = " begin commit rollback exit"

// A State is what the prompt shows.
type State struct {
	Database string
	InTx     bool
	Writes   int // statements of the transaction that wrote
}

// exitPipe is the status of a statement whose output nobody reads any more, and of
// a session whose standard output that is.
const exitPipe = 141

// A Session is one run of the shell.
type Session struct {
	*ui.Streams
	Host Host
	// Interactive says that somebody types: statements are asked for with a
	// prompt, and a failed one ends nothing.
	Interactive bool
	// Bail ends the session with the first statement that fails.
	Bail bool
	// Interrupted is what Ctrl-C ends a statement with.
	Interrupted error
	// History is the path of its file; "" is none.
	History string
	// Taken says that standard input holds statements: they cannot read it.
	Taken bool

	// Settings are what .show shows, by their names without the dot.
	Settings map[string]string

	once     string
	file     io.WriteCloser // of output
	outOpen  bool           // of Out, as in Output
	fileOpen bool           // of file
	fileLeft bool           // nobody reads file any more
	lines    LineSource     // of the one who types
	depth    int            // of files that read files
	where    string         // the statement that runs stands, where nobody types
	told     bool           // Complaint was asked for
	aside    *aside         // of the statement that runs
	quit     bool

	watching bool // what runs will run again: no pager waits in between

	asked  bool    // for a statement, not for an answer
	before string  // lines of it that were typed
	waits  opening // behind them

	interrupts chan struct{} // Ctrl-C, for the line that is read
	mu         sync.Mutex
	running    context.Context         // guarded by mu, as all below: of what runs
	cancel     context.CancelCauseFunc // of running; nil: nothing runs
	answering  bool                    // it waits for a line
}

// Start is called before anything else.
func (s *Session) Start() {
	s.Settings, s.interrupts = map[string]string{}, make(chan struct{}, 1)
	for _, t := range settings {
		if t.Standard != "-" {
			s.Settings[t.Name] = t.Standard
		}
	}
}

// Interrupt is Ctrl-C: it ends what runs, or clears the line. A line that is an
// answer ends what runs when it was cleared, so that nobody waits for it any more
// when the next is read. Others may call Interrupt at any time.
func (s *Session) Interrupt() {
	s.mu.Lock()
	if s.cancel != nil && !s.answering {
		s.cancel(s.Interrupted)
	}
	s.mu.Unlock()
	select {
	case s.interrupts <- struct{}{}:
	default: // there is one
	}
}

// runs says what Interrupt ends; nil is nothing. What came before is forgotten.
func (s *Session) runs(ctx context.Context, cancel context.CancelCauseFunc) {
	s.mu.Lock()
	s.running, s.cancel = ctx, cancel
	s.mu.Unlock()
	for len(s.interrupts) > 0 {
		<-s.interrupts
	}
}

// interruptible runs what Interrupt ends, where somebody types; but what another
// such thing runs ends with that.
func (s *Session) interruptible(ctx context.Context, run func(context.Context) int) int {
	if !s.Interactive || s.cancel != nil {
		return run(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	s.runs(ctx, cancel)
	status := run(ctx)
	cancel(nil)
	s.runs(ctx, nil)
	return status
}

// Close ends the session: what goes to a file is all there.
func (s *Session) Close() error { return s.setOutput("") }

// Done reports that the session was told to end.
func (s *Session) Done() bool { return s.quit }

// Text runs statements, and returns the status of the first that failed.
func (s *Session) Text(ctx context.Context, text string) int {
	lines := &fileLines{r: bufio.NewReader(strings.NewReader(text))} // it waits for nobody
	if lines.numbered = strings.Contains(text, "\n"); !lines.numbered {
		s.where = ""
	}
	return s.read(ctx, lines)
}

// Complaint is the message of an error as it is shown: behind the place of the
// statement that it is about, in a script.
func (s *Session) Complaint(message string) string {
	s.told = true
	return s.where + message
}

// File runs the statements of a file.
func (s *Session) File(ctx context.Context, path string) int {
	const deepest = 16
	if s.depth == deepest {
		return s.usage(".read of a file that reads files, " + strconv.Itoa(deepest) + " deep: does one read itself?")
	}
	s.depth++
	defer func() { s.depth-- }()
	return s.interruptible(ctx, func(ctx context.Context) int {
		f, err := ui.Open(ctx, path)
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return s.Host.Fail(err)
		}
		defer f.Close()
		lines := newFileLines(ctx, f, nil, nil)
		lines.name, lines.numbered = path+": ", true
		return s.read(ctx, lines)
	})
}

// Input runs the statements of standard input: typed by somebody, or not. The
// status of a session that somebody had is 0, whatever failed in it.
func (s *Session) Input(ctx context.Context) int {
	if !s.Interactive {
		lines := newFileLines(ctx, s.In, nil, nil)
		lines.name, lines.numbered = "standard input: ", true
		return s.read(ctx, lines)
	}
	lines, err := s.typed(ctx)
	if err != nil {
		return s.Host.Fail(err)
	}
	s.lines = lines
	defer lines.Close()
	if status := s.read(ctx, lines); ctx.Err() != nil {
		return status
	}
	return 0
}

func (s *Session) typed(ctx context.Context) (LineSource, error) {
	if os.Getenv("TERM") == "dumb" {
		return newFileLines(ctx, s.In, s.Err, s.interrupts), nil
	}
	return newEditor(ctx, s)
}

// read runs the statements of a source until it ends, and returns the status of
// the first that failed.
func (s *Session) read(ctx context.Context, lines LineSource) (status int) {
	typed := s.lines != nil && lines == s.lines
	var text pending
	next, begin := 1, 1 // the numbers of the next line, and of the first of text
	outer := s.where
	defer func() { s.where = outer }()
	place := func(line int) {
		s.told = false
		if file, ok := lines.(*fileLines); ok && file.numbered {
			s.where = file.name + "line " + strconv.Itoa(line) + ": "
		}
	}
	for !s.quit {
		place(next)
		s.before, s.waits, s.asked = text.String(), text.waits, typed
		line, err := lines.ReadLine(s.prompt(s.before != ""))
		s.asked = false
		if ctx.Err() != nil && (typed || err != nil && err != io.EOF) {
			return s.Host.Fail(context.Cause(ctx))
		}
		if err == errCleared || err == io.EOF && typed && s.before != "" {
			text = pending{} // a statement that was given up is none
			continue
		}
		if err != nil && (err != io.EOF || s.before+line == "") {
			if err == io.EOF {
				return status
			}
			return first(status, s.Host.Fail(err))
		}
		if next == 1 && !typed {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		next += 1 + strings.Count(line, "\n")
		statements, complete := text.add(line, err != nil)
		if !complete {
			continue
		}
		whole := text.String()
		lines.Save(whole)
		text = pending{}
		failed := s.all(ctx, statements, func(st Statement) { place(begin + strings.Count(whole[:st.at], "\n")) })
		begin = next
		status = first(status, failed)
		switch {
		case ctx.Err() != nil && failed != 0:
			return failed // it said that it was interrupted
		case failed != 0 && (s.Bail || failed == exitPipe && !typed):
			if !s.told && s.where != "" && failed != exitPipe {
				s.Note("%sthe statement has status %d, which ends the script (--bail=false goes on)", s.where, failed)
				s.told = true
			}
			return status
		}
	}
	return status
}

func first(status, next int) int {
	if status != 0 {
		return status
	}
	return next
}

func (s *Session) prompt(more bool) string {
	st := s.Host.State()
	name := st.Database
	if keyspace := s.Settings["keyspace"]; keyspace != "" {
		name += "/" + keyspace
	}
	const widest = 20
	if r := []rune(name); len(r) > widest {
		name = "…" + string(r[len(r)-widest+1:])
	}
	if s.Settings["write"] == "on" {
		name += "!"
	}
	switch {
	case st.InTx && st.Writes > 0:
		name += "(tx " + strconv.Itoa(st.Writes) + ")"
	case st.InTx:
		name += "(tx)"
	}
	if more {
		name = strings.Repeat(" ", max(ui.CellWidth(name)-2, 0)) + ".."
	}
	return name + "> "
}

// all runs statements that came together, and says before of which. Ctrl-C ends all
// of them.
func (s *Session) all(ctx context.Context, statements []Statement, place func(Statement)) int {
	return s.interruptible(ctx, func(ctx context.Context) (status int) {
		for _, st := range statements {
			place(st)
			failed := s.times(ctx, st)
			status = first(status, failed)
			if s.quit || failed != 0 && (s.Bail || ctx.Err() != nil) {
				break
			}
		}
		return status
	})
}

// times runs a statement, as often as the number says that it begins with.
func (s *Session) times(ctx context.Context, st Statement) int {
	n := 1
	if len(st.Words) > 1 && st.Words[0].isNumber() {
		var err error
		if n, err = strconv.Atoi(st.Words[0].Text); err != nil || n < 1 {
			return s.usage(st.Words[0].Text + " is no number of times")
		}
		st.Words = st.Words[1:]
	}
	for range n {
		if status := s.one(ctx, st); status != 0 || s.quit {
			return status
		}
	}
	return 0
}

func (s *Session) one(ctx context.Context, st Statement) int {
	if st.Err != nil {
		return s.usage(st.Err.Error())
	}
	word := st.Words[0]
	switch {
	case ctx.Err() != nil: // what came before was done
		return s.Host.Fail(fmt.Errorf("%w before %s", context.Cause(ctx), word.Text))
	case word.Literal >= 0:
	case In(word.Text, ` exit quit \q .exit`):
		if len(st.Words) > 1 {
			return s.usage(word.Text + " takes no argument")
		}
		s.quit = true
		return 0
	case word.Text[0] == '.':
		return s.set(ctx, st)
	case In(word.Text, " help ?"):
		return s.help(ctx, strings.TrimSpace(st.Text[word.End:]))
	}
	return s.run(ctx, st)
}

// run has the host run a statement, with its output where it is to go.
func (s *Session) run(ctx context.Context, st Statement) int {
	out, err := s.out()
	if err != nil {
		return s.Host.Fail(err)
	}
	begin := time.Now()
	status := s.Host.Run(ctx, st, s.input(), out)
	elapsed := time.Since(begin) - s.aside.answered(0)
	if status == exitPipe {
		status = s.unread(out)
	}
	if err := out.close(); err != nil {
		return first(status, s.Host.Fail(err))
	}
	// How long somebody reads is no time of ours, as is how long one takes to answer.
	if timer := s.Settings["timer"]; timer == "on" || timer == "auto" && s.Interactive && !out.paged() && elapsed >= time.Second/2 {
		s.Note("time: %s", ui.Duration(elapsed))
	}
	return status
}

// input is what statements read as standard input.
func (s *Session) input() io.Reader {
	switch {
	case s.lines != nil:
		return &answers{session: s, aside: s.aside}
	case s.Taken:
		return taken{s.Host}
	}
	return s.In
}

// answers is a standard input that is typed line by line.
type answers struct {
	session *Session
	aside   *aside // of the statement that reads
	rest    string
}

func (a *answers) Read(p []byte) (int, error) {
	if a.rest == "" {
		question := a.aside.ask()
		if _, shown := a.session.lines.(*fileLines); shown { // only an editor draws it anew
			question = ""
		}
		begin := time.Now()
		line, err := a.line(question)
		a.aside.answered(time.Since(begin))
		if err != nil {
			return 0, err
		}
		a.rest = line + "\n"
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// line reads a line for what runs, and ends that where the line is given up.
func (a *answers) line(question string) (string, error) {
	s := a.session
	s.mu.Lock()
	running, cancel := s.running, s.cancel
	s.answering = running.Err() == nil
	s.mu.Unlock()
	if running.Err() != nil {
		return "", running.Err()
	}
	line, err := s.lines.ReadLine(question)
	s.mu.Lock()
	s.answering = false
	s.mu.Unlock()
	if err == errCleared {
		cancel(s.Interrupted)
		err = context.Canceled
	}
	return line, err
}

// taken is a standard input that holds the statements themselves.
type taken struct{ host Host }

func (t taken) Read([]byte) (int, error) {
	return 0, t.host.Usage("standard input holds the statements: give a value, or @FILE")
}
