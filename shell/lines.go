package shell

import (
	"bufio"
	"context"
	"io"
	"strings"

	"github.com/lightning-db/lightning/internal/ui"
)

// A LineSource is where lines come from: a file, or somebody who types.
type LineSource interface {
	// ReadLine shows the prompt and returns the next line, without its end. It
	// may hold more than one, when they were pasted. io.EOF is the end, and
	// errCleared that the line was given up.
	ReadLine(prompt string) (string, error)
	// Save adds what was read, of however many lines, to the history.
	Save(text string)
	Close() error
}

// errCleared says that Ctrl-C was typed instead of a line.
var errCleared = ui.ErrStopped

// fileLines reads lines of a file or a pipe, and shows nothing; or those that
// somebody types on a terminal that can only print (TERM=dumb), and shows a
// prompt. What edits the line there is the terminal itself.
type fileLines struct {
	r        *bufio.Reader
	out      io.Writer // for prompts, or nil
	name     string    // that a line is named by, with the number
	numbered bool      // lines are named
}

func newFileLines(ctx context.Context, r io.Reader, out io.Writer, interrupts <-chan struct{}) *fileLines {
	return &fileLines{r: bufio.NewReaderSize(ui.Stoppable(ctx, r, interrupts), 64<<10), out: out}
}

func (f *fileLines) ReadLine(prompt string) (string, error) {
	if f.out != nil {
		if _, err := io.WriteString(f.out, prompt); err != nil {
			return "", err
		}
	}
	line, err := f.r.ReadString('\n')
	if err != nil && f.out != nil {
		_, _ = io.WriteString(f.out, "\n")
	}
	if err == io.EOF && line != "" {
		err = nil
	}
	return strings.TrimRight(line, "\r\n"), err
}

func (*fileLines) Save(string) {}

func (*fileLines) Close() error { return nil }
