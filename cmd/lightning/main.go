// Lightning is the command line of Lightning DB, an embedded ordered key-value
// database. Each file beside this one holds one command: its flags and what it
// prints. What a command means is in the packages below.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/lightning-db/lightning/internal/ui"
)

func main() { os.Exit(run(os.Args[1:], ui.Std())) }

// run runs one command and returns the exit status.
func run(args []string, s *ui.Streams) (status int) {
	ctx, stop := interruptible()
	defer stop()
	a := &app{Streams: s, ctx: ctx, out: bufio.NewWriterSize(s.Out, 64<<10)}
	defer func() {
		if p := recover(); p != nil {
			status = a.finish(fmt.Errorf("%w: %v", errInternal, p))
		}
	}()
	root := a.root()
	root.SetArgs(args)
	return a.finish(root.ExecuteContext(ctx))
}

// An interrupted error is the cause of a context that a signal ended.
type interrupted struct{ signal syscall.Signal }

func (i interrupted) Error() string { return "interrupted" }

// interruptible returns a context that the first SIGINT or SIGTERM ends, so
// that the command can leave things in order; the second ends the process.
//
// A closed pipe on standard output is an error of the write, not the end of
// the process: the database is closed first.
func interruptible() (context.Context, func()) {
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		first, _ := (<-signals).(syscall.Signal)
		cancel(interrupted{first})
		second, _ := (<-signals).(syscall.Signal)
		os.Exit(128 + int(second))
	}()
	return ctx, func() { cancel(nil) }
}
