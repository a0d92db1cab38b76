// Package ui is what the commands and the shell share at a terminal: streams,
// colour, progress, tables, and the words for sizes and counts.
//
// Data goes to standard output and nothing else does: messages, progress and
// questions go to standard error.
package ui

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/fatih/color"
	"golang.org/x/term"
)

// Streams are the three streams of a program and what is known of them.
type Streams struct {
	_        [0]func() // not compared
	In       io.Reader
	Out, Err io.Writer

	InTerminal, OutTerminal, ErrTerminal bool

	Quiet bool // Note prints nothing
	// Colour of standard output and of standard error.
	OutColor, ErrColor bool

	lineMu sync.Mutex
	drawn  int // guarded by lineMu: width of the progress line that is shown
}

// Std returns the streams of this process.
func Std() *Streams {
	return &Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		InTerminal:  isTerminal(os.Stdin),
		OutTerminal: isTerminal(os.Stdout),
		ErrTerminal: isTerminal(os.Stderr),
	}
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// SetColor chooses colour: always, never, or auto (on a terminal that has it,
// unless NO_COLOR is set).
func (s *Streams) SetColor(mode string) error {
	switch mode {
	case "always":
		s.OutColor, s.ErrColor = true, true
	case "never":
		s.OutColor, s.ErrColor = false, false
	case "auto":
		plain := os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb"
		s.OutColor, s.ErrColor = s.OutTerminal && !plain, s.ErrTerminal && !plain
	default:
		return fmt.Errorf("unknown colour mode %q: use auto, always or never", mode)
	}
	return nil
}

// paint colours text, or not.
func paint(on bool, text string, attributes ...color.Attribute) string {
	if !on {
		return text
	}
	c := color.New(attributes...)
	c.EnableColor()
	return c.Sprint(text)
}

// Bold and Red are for standard error.
func (s *Streams) Bold(text string) string { return paint(s.ErrColor, text, color.Bold) }

func (s *Streams) Red(text string) string { return paint(s.ErrColor, text, color.FgRed, color.Bold) }

// Together reports whether what Note prints is seen beside standard output, in one
// place: on a terminal, or in a log.
func (s *Streams) Together() bool {
	var at [2]os.FileInfo
	for i, w := range []io.Writer{s.Out, s.Err} {
		f, _ := w.(*os.File)
		at[i], _ = f.Stat() // nil of what is no file, which is none of the same
	}
	return !s.Quiet && os.SameFile(at[0], at[1])
}

// Note prints one line on standard error, unless the user asked for quiet.
//
//go:noinline // called in dozens of places, none of them hot
func (s *Streams) Note(format string, args ...any) {
	if !s.Quiet {
		s.Aside(func() { fmt.Fprintf(s.Err, format+"\n", args...) })
	}
}

// Aside calls print, which prints to the terminal, while no progress line is
// there that it could stand behind.
func (s *Streams) Aside(print func()) {
	s.lineMu.Lock()
	defer s.lineMu.Unlock()
	if s.drawn > 0 {
		fmt.Fprint(s.Err, "\x1b[2K\r") // also the ^C that the terminal put behind it
		s.drawn = 0
	}
	print()
}

// Width is the width of the terminal on standard output, or 0 if there is none.
func (s *Streams) Width() int { return widthOf(s.Out, s.OutTerminal) }

// ErrWidth is the width of the terminal on standard error, or 0 if there is none.
func (s *Streams) ErrWidth() int { return widthOf(s.Err, s.ErrTerminal) }

// Height is how many lines the terminal on standard output has, or 0 if there is
// none.
func (s *Streams) Height() int {
	_, height := sizeOf(s.Out, s.OutTerminal)
	return height
}

func widthOf(w io.Writer, terminal bool) int {
	width, _ := sizeOf(w, terminal)
	return width
}

// sizeOf is the size of a terminal, or 0 where w is none. What writes to one in
// the end may say to which.
func sizeOf(w io.Writer, terminal bool) (width, height int) {
	if to, ok := w.(interface{ Terminal() io.Writer }); ok {
		w = to.Terminal()
	}
	f, ok := w.(*os.File)
	if !ok || !terminal {
		return 0, 0
	}
	width, height, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}

// ErrNoAnswer is what Confirm returns where nobody is there to be asked.
var ErrNoAnswer = errors.New("nobody to ask")

// Confirm asks a question on the terminal and waits for yes or no.
func (s *Streams) Confirm(ctx context.Context, question string) (bool, error) {
	if !s.InTerminal || !s.ErrTerminal {
		return false, ErrNoAnswer
	}
	fmt.Fprintf(s.Err, "%s [y/N] ", question)
	answer, err := bufio.NewReader(Interruptible(ctx, s.In)).ReadString('\n')
	if err != nil && err != io.EOF {
		return false, err
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", nil
}
