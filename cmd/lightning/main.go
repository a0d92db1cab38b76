// Lightning is the command line of Lightning DB, an embedded ordered key-value
// database. Each file beside this one holds one command: its flags and what it
// prints. What a command means is in the packages below.
package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/internal/ui"
	"github.com/lightning-db/lightning/shell"
)

func main() { os.Exit(run(os.Args[1:], ui.Std())) }

// run runs one command and returns the exit status.
func run(args []string, s *ui.Streams) int {
	ctx, stop := interruptible()
	defer stop()
	a := newApp(ctx, s)
	if len(args) > 0 {
		a.only = args[0]
	}
	return a.execute(func() error {
		root := a.root()
		if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
			a.completable(root)
		}
		root.SetArgs(beforeNumber(args))
		return root.ExecuteContext(ctx)
	})
}

func newApp(ctx context.Context, s *ui.Streams) *app {
	to := &target{s.Out}
	if f, ok := s.Out.(*os.File); ok {
		to.w = ui.Patient(ctx, f)
	}
	return &app{Streams: s, ctx: ctx, to: to, out: bufio.NewWriterSize(to, 64<<10)}
}

// execute runs a command and returns the exit status.
func (a *app) execute(command func() error) (status int) {
	defer func() {
		if p := recover(); p != nil {
			a.trace = trace()
			status = a.finish(fmt.Errorf("%w: %v", errInternal, p))
		}
	}()
	a.noHelp = nil
	err := command()
	return a.finish(cmp.Or(err, a.noHelp))
}

// typedTo is the shell that somebody types to, if there is one: Ctrl-C is for
// what it runs, not for the process.
var typedTo atomic.Pointer[shell.Session]

// An interrupted error is the cause of a context that a signal ended.
type interrupted struct{ signal syscall.Signal }

func (i interrupted) Error() string { return "interrupted" }

// sameSignal is how far apart two signals of one sender may be.
const sameSignal = 100 * time.Millisecond

// interruptible returns a context that the first SIGINT, SIGTERM, SIGHUP or
// SIGQUIT ends, so that the command can leave things in order; the second ends the
// process, unless it is the same one: timeout(1) signals a process, and then its
// group.
// Those that whoever started the process had ignored, as nohup(1) does, stay so.
//
// A closed pipe on standard output is an error of the write, not the end of
// the process: the database is closed first.
func interruptible() (context.Context, func()) {
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	go func() {
		first, _ := (<-signals).(syscall.Signal)
		for s := typedTo.Load(); s != nil && first == syscall.SIGINT; s = typedTo.Load() {
			s.Interrupt()
			first, _ = (<-signals).(syscall.Signal)
		}
		cancel(interrupted{first})
		began := time.Now()
		for second := range signals {
			if n, _ := second.(syscall.Signal); time.Since(began) > sameSignal {
				os.Exit(128 + int(n))
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}
