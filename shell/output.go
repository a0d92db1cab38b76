package shell

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lightning-db/lightning/internal/ui"
)

// An Output is where the data of a statement goes.
type Output struct {
	To io.Writer
	// Err is standard error, behind what of To is not yet shown.
	Err      io.Writer
	Terminal bool // somebody reads it: tables, and nothing that moves the cursor
	pager    *pager
	file     io.Closer // that ends with the statement
	open     *bool     // what is there ends with a value that has no end of line
	lasting  bool      // it is that of .output
	instead  bool      // it is shown, since .output takes nothing of it
}

// Apart returns w, which is To or writes to it, with an end of line before what is
// written next if the answer there has none.
func (o *Output) Apart(w io.Writer) io.Writer { return &apart{w, o.open} }

// Unended says that the answer is a value, maybe an empty one, with no end of line:
// nothing is added to it until there is another.
func (o *Output) Unended() {
	_, _ = o.Apart(o.To).Write(nil)
	if *o.open = true; o.instead { // it was not made for a terminal
		_, _ = o.Apart(o.To).Write(nil)
	}
}

type apart struct {
	w    io.Writer
	open *bool
}

func (a *apart) Write(b []byte) (int, error) {
	if *a.open {
		*a.open = false
		if _, err := io.WriteString(a.w, "\n"); err != nil {
			return 0, err
		}
	}
	return a.w.Write(b)
}

// paged reports whether a pager shows it.
func (o *Output) paged() bool { return o.pager != nil && o.pager.pipe != nil }

func (o *Output) close() error {
	if o.file != nil {
		return o.file.Close()
	}
	return nil
}

// out opens the output of one statement.
func (s *Session) out() (*Output, error) {
	s.aside = &aside{session: s}
	o := &Output{Err: s.aside}
	switch {
	case s.once != "":
		file, err := s.open(s.once)
		s.once = ""
		if err != nil {
			return nil, err
		}
		o.To, o.file, o.open = file, file, new(bool)
	case s.file != nil:
		if o.To, o.open, o.lasting = s.file, &s.fileOpen, true; s.Interactive {
			o.To = &offered{session: s, out: o, file: s.file}
		}
	default:
		s.show(o)
	}
	return o, nil
}

// show has an output go to standard output, through a pager where that is wanted.
func (s *Session) show(o *Output) {
	o.To, o.open, o.lasting, o.Terminal = s.Out, &s.outOpen, false, s.OutTerminal
	if f, ok := s.Out.(*os.File); ok && s.OutTerminal && s.Interactive && s.pages() {
		o.pager = &pager{session: s, out: f, height: s.Height(), width: s.Width()}
		o.To, o.file, s.aside.pager = o.pager, o.pager, o.pager
	}
}

// An offered is the .output of one who types. Where its command takes nothing of an
// answer, since it has read enough before, the answer is shown: nobody else has it.
type offered struct {
	session *Session
	out     *Output
	file    io.Writer
	taken   bool      // some of the answer
	shown   io.Writer // it is shown instead
}

func (o *offered) Write(b []byte) (int, error) {
	if o.shown == nil {
		n, err := o.file.Write(b)
		if o.taken = o.taken || n > 0; o.taken || !errors.Is(err, syscall.EPIPE) {
			return n, err
		}
		o.session.takeBack()
		o.session.show(o.out)
		o.out.instead = true
		if o.shown = o.out.Apart(o.out.To); o.out.Terminal {
			o.shown = ui.SafeWriter(o.shown)
		}
	}
	return o.shown.Write(b)
}

// open opens a file, or a command behind |.
func (s *Session) open(name string) (io.WriteCloser, error) {
	if command, ok := strings.CutPrefix(name, "|"); ok {
		return s.command(strings.TrimSpace(command))
	}
	return s.Host.Create(name)
}

// setOutput has the data of all that follows go to a file or a command, "" to
// standard output again.
func (s *Session) setOutput(name string) error {
	if s.file != nil {
		err := s.file.Close()
		s.file, s.fileOpen, s.fileLeft, s.Settings["output"] = nil, false, false, ""
		if err != nil {
			return err
		}
	}
	if name == "" {
		return nil
	}
	f, err := s.open(name)
	if err == nil {
		s.file, s.Settings["output"] = f, name
	}
	return err
}

// unread returns the status of a statement whose answer nobody reads any more: a
// file or a command may have read enough. An .output of which that is so is taken
// back where somebody types, who would get no answers, and not be told.
func (s *Session) unread(out *Output) int {
	if out.To == s.Out {
		return exitPipe
	}
	if !out.lasting {
		return 0
	}
	if s.fileLeft = true; s.Interactive {
		s.takeBack()
	}
	return 0
}

// takeBack takes an .output back that reads no more.
func (s *Session) takeBack() {
	s.Note("%s reads no more: answers go to standard output again", s.Settings["output"])
	_ = s.setOutput("") // how it ended is its own affair
}

// command starts a command of the system's shell that reads what is written.
func (s *Session) command(line string) (io.WriteCloser, error) {
	if line == "" {
		return nil, s.Host.Usage("no command behind |")
	}
	out, ok := s.Out.(*os.File)
	errs, ok2 := s.Err.(*os.File)
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if !ok || !ok2 {
		out, errs = os.Stdout, os.Stderr
	}
	env := os.Environ()
	if os.Getenv("LESS") == "" {
		env = append(env, "LESS=FRX")
	}
	said := ""
	for _, name := range [...]string{"LESSCHARSET", "LC_ALL", "LC_CTYPE", "LANG"} {
		said += os.Getenv(name)
	}
	if said == "" {
		env = append(env, "LESSCHARSET=utf-8") // or less shows the bytes of an ellipsis
	}
	p, err := os.StartProcess("/bin/sh", []string{"sh", "-c", line}, &os.ProcAttr{
		Env: env, Files: []*os.File{r, out, errs},
	})
	if err != nil {
		w.Close()
		return nil, err
	}
	return &child{w, p, line}, nil
}

// A child is a command that reads from a pipe. Close waits for its end.
type child struct {
	in      *os.File
	process *os.Process
	line    string
}

func (c *child) Write(b []byte) (int, error) { return c.in.Write(b) }

func (c *child) Close() error {
	_ = c.in.Close()
	state, err := c.process.Wait()
	if err == nil && !state.Success() {
		err = errors.New(c.line + ": " + state.String())
	}
	return err
}

// A pager shows what does not fit the terminal with a command that turns pages,
// and what does as it is.
type pager struct {
	session       *Session
	out           *os.File
	height, width int
	held          []byte // until it is known whether it fits
	rows, column  int
	direct        bool // there is no pager
	pipe          io.WriteCloser
	late          []byte // for standard error, behind all that
}

// Terminal tells the width of tables.
func (p *pager) Terminal() io.Writer { return p.out }

func (p *pager) Write(b []byte) (int, error) {
	switch {
	case p.pipe != nil:
		return p.pipe.Write(b)
	case p.direct:
		return p.out.Write(b)
	}
	p.held = append(p.held, b...)
	for rest, more := string(b), true; more; {
		var line string
		line, rest, more = strings.Cut(rest, "\n")
		if p.column += ui.CellWidth(line); more {
			p.rows += 1 + max(p.column-1, 0)/p.width
			p.column = 0
		}
	}
	if p.rows+max(p.column-1, 0)/p.width < p.height { // a line may have no end
		return len(b), nil
	}
	pipe, err := p.session.command(p.session.pagerCommand())
	held := p.held
	p.held = nil
	if err != nil {
		p.direct = true
		_, err = p.out.Write(held)
		return len(b), err
	}
	p.pipe = pipe
	_, err = pipe.Write(held)
	return len(b), err
}

func (p *pager) Close() error {
	if p.pipe != nil {
		_ = p.pipe.Close() // it was left: how is its own affair
		_, err := p.session.Err.Write(p.late)
		return err
	}
	_, err := p.out.Write(p.held)
	if errors.Is(err, syscall.EPIPE) {
		err = nil
	}
	if err == nil {
		_, err = p.session.Err.Write(p.late)
	}
	return err
}

// An aside is standard error beside a statement: it comes behind what a pager has
// before it, and it knows what question it ended with.
type aside struct {
	session *Session
	pager   *pager // nil: none

	mu       sync.Mutex    // a statement that was stopped goes on while its answer is waited for
	question string        // what was written behind the last line, or progress
	waited   time.Duration // for answers
}

func (w *aside) Write(b []byte) (int, error) {
	if w.pager != nil && (w.pager.pipe != nil || len(w.pager.held) > 0) {
		w.pager.late = append(w.pager.late, b...)
		return len(b), nil
	}
	w.mu.Lock()
	w.question += string(b)
	w.question = w.question[strings.LastIndexAny(w.question, "\r\n")+1:]
	w.mu.Unlock()
	return w.session.Err.Write(b)
}

// ask takes the question, for which an answer is waited for now.
func (w *aside) ask() (question string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	question, w.question = w.question, ""
	return question
}

// answered says how long an answer was waited for, and returns how long all were.
func (w *aside) answered(waited time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waited += waited
	return w.waited
}

// Terminal tells the width of a line of progress.
func (w *aside) Terminal() io.Writer { return w.session.Err }

// pages reports whether a pager is wanted. A terminal that can only print turns
// no pages, and who watches wants to see the next answer.
func (s *Session) pages() bool {
	pager := s.Settings["pager"]
	return !s.watching && pager != "off" && (pager != "auto" || os.Getenv("TERM") != "dumb")
}

// pagerCommand is .pager, or what the environment says.
func (s *Session) pagerCommand() string {
	line := s.Settings["pager"]
	if line == "auto" || line == "on" {
		if line = os.Getenv("LIGHTNING_PAGER"); line == "" {
			line = os.Getenv("PAGER")
		}
		if line == "" { // not every system has it
			return "command -v less >/dev/null || exec cat; exec less"
		}
	}
	// The answer is not lost with a program that is not there.
	name, _, _ := strings.Cut(line, " ")
	if name == "" || name[0] == '-' || strings.Trim(name, "-_./+0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return line
	}
	return "command -v " + name + " >/dev/null || { echo 'there is no pager " + name + "' >&2; exec cat; }; " + line
}
