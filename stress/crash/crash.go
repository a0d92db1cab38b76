// Package crash crashes databases and holds what is left against what they had
// promised: lightning crashtest is its command.
//
// Sim, Kill, Syscall and Power are the ways to crash. In each, a database is
// opened after the crash as any other, and
//
//  1. no commit that the sync mode had made durable is lost; without damage to
//     the disk, none that was acknowledged is;
//  2. what is there is what whole commits made, in their order, without holes;
//  3. it takes writes again, and keeps them.
//
// They return what was done, and of what was wrong a *Failure; any other error
// says that the test itself could not go on.
package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
	"github.com/lightning-db/lightning/internal/regex"
	"github.com/lightning-db/lightning/stress"
)

// ErrUnavailable is wrapped by the error of a mode that cannot run here, which
// says why. It is no failure.
var ErrUnavailable = errors.New("not available here")

// ErrNoChoice is wrapped by the error of Options of which nothing is left to do.
var ErrNoChoice = errors.New("nothing to do")

// Options say what is done and for how long: until the first of the limits that
// are set is reached, or for a minute if none is.
type Options struct {
	Seed     uint64 // what is done is made from it
	Duration time.Duration
	Count    int // of states or cycles
	Jobs     int // goroutines; 0: one
	// Level is how many crashes follow one another: 2 and 3 crash the recovery
	// of every eighth state, too.
	Level int
	// State is the only one to try, of the scenario that Seed gives; 0: all.
	State int
	Dir   string // an existing directory for databases, and for what is kept of a failure
	// Start starts this program as a writer (stress.RunChild), for Kill and Power.
	Start func(c stress.Child, stderr *os.File) (*os.Process, error)
	// Program is the path of this program, and Run, unless nil, chooses command
	// lines by their names: for Syscall.
	Program    string
	Run        *regex.Regex
	FileSystem string // for Power: ext4 or xfs; "": both, in turn
	// Limits are the flags of lightning crashtest that say how much and where:
	// what repeats a failure has them.
	Limits string
	// Tick, if not nil, is called about once a second, by one goroutine at a time.
	Tick func(Report)
	// Hung is called, if not nil, when a crash is not judged within a minute, with
	// what there is to know. It does not return; without it the program panics.
	Hung func(string)

	fault fault // of the file system: SelfTests
}

// Report is what was done.
type Report struct {
	Scenarios  int // or databases
	States     int // crashes, each of which was judged
	Points     int // different operations that were crashed at
	Losses     faultfs.Losses
	Recoveries int           // opens that had something to recover
	Longest    time.Duration // of them
	Recovered  uint64        // commits that were read from the log
	// Promised is how many acknowledged commits had to be there, counted anew
	// in each state; of the processes that are killed, how many keys had to be
	// as acknowledged.
	Promised int64
	// Unmountable is how many file systems did not survive themselves: Power.
	Unmountable int
	Elapsed     time.Duration
}

func (r *Report) add(o Report) {
	r.Scenarios += o.Scenarios
	r.States += o.States
	r.Points += o.Points
	r.Losses.Writes += o.Losses.Writes
	r.Losses.Sectors += o.Losses.Sectors
	r.Losses.Names += o.Losses.Names
	r.Recoveries += o.Recoveries
	r.Longest = max(r.Longest, o.Longest)
	r.Recovered += o.Recovered
	r.Promised += o.Promised
	r.Unmountable += o.Unmountable
}

// opened adds what an open had to recover.
func (r *Report) opened(o *engine.OpenReport) {
	if !o.Clean && !o.Created {
		r.Recoveries++
		r.Recovered += o.Commits
		r.Longest = max(r.Longest, o.Duration)
	}
}

// Failure is a promise that was not kept.
type Failure struct {
	Err    error
	Repeat string // the command that meets it again
	Dir    string // where the database is kept, and what there is to know
}

func (f *Failure) Error() string { return f.Err.Error() }

func (f *Failure) Unwrap() error { return f.Err }

// keep writes what is known of a failure beside its database.
func (f *Failure) keep(more string) {
	text := fmt.Sprintf("%v\n\nrepeat: %s\n\n%s", f.Err, f.Repeat, more)
	if err := os.WriteFile(filepath.Join(f.Dir, "failure.txt"), []byte(text), 0o600); err != nil {
		f.Err = fmt.Errorf("%w (not kept: %w)", f.Err, err)
	}
}

// run is a run of a mode.
type run struct {
	Options
	began time.Time

	mu      sync.Mutex
	report  Report    // guarded by mu
	failure error     // guarded by mu: the first
	ticked  time.Time // guarded by mu
	limit   context.Context
	stop    context.CancelFunc
}

// over reports whether nothing new is to be begun. What is under way goes on to
// its end, since it may find something.
func (r *run) over() bool { return r.limit.Err() != nil }

// longest is how long a database may take to be judged, and a command to run.
const longest = time.Minute

// watch ends the program when the function that it returns is not called in
// time. what tells what was done, and how to do it again.
func (r *run) watch(what func() string) (stop func() bool) {
	return time.AfterFunc(longest, func() {
		text := fmt.Sprintf("not judged after %v: %s\n\n%s", longest, what(), dump())
		if r.Hung != nil {
			r.Hung(text)
		}
		panic(text)
	}).Stop
}

// do calls work with 0, 1, 2 and so on, from several goroutines, until the run
// is over or one fails. A run without a crash is an error: it shows nothing.
func do(ctx context.Context, o Options, work func(ctx context.Context, r *run, i uint64) error) (Report, error) {
	r := &run{Options: o, began: time.Now()}
	if r.Duration == 0 && r.Count == 0 {
		r.Duration = time.Minute
	}
	r.limit, r.stop = context.WithCancel(ctx)
	defer r.stop()
	if r.Duration > 0 { // context.WithTimeout would be another 4 kB
		defer time.AfterFunc(r.Duration, r.stop).Stop()
	}
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range max(r.Jobs, 1) {
		wg.Go(func() {
			for !r.over() {
				if err := work(ctx, r, next.Add(1)-1); err != nil {
					r.fail(err)
				}
				if r.State > 0 {
					r.stop()
				}
			}
		})
	}
	wg.Wait()
	r.report.Elapsed = time.Since(r.began)
	if r.failure == nil {
		r.failure = ctx.Err()
	}
	if r.failure == nil && r.report.States == 0 {
		r.failure = errors.New("no crash was tried: give it more time")
		if r.State > 0 {
			r.failure = fmt.Errorf("%w: the scenario of seed %d has fewer than %d states", ErrNoChoice, r.Seed, r.State)
		}
	}
	return r.report, r.failure
}

// tested is how a run ends in which processes write until they are killed: where
// none had anything to lose it shows nothing.
func tested(report Report, err error) (Report, error) {
	if err == nil && report.Promised == 0 {
		err = errors.New("nothing was acknowledged before a crash, so that nothing could be lost: give it more time or cycles")
	}
	return report, err
}

// newDir makes a directory for what is done with i.
func (r *run) newDir(mode string, i uint64) (string, error) {
	dir := filepath.Join(r.Dir, fmt.Sprintf("lightning-%s-%d-%d", mode, r.Seed, i))
	return dir, os.Mkdir(dir, 0o700)
}

// keep returns what is wrong, and keeps it; or only what is wrong, where that is
// not the database; or nothing, where the run was interrupted and that may be why.
func (r *run) keep(ctx context.Context, f *Failure, more string) error {
	full := stress.DiskFull(f.Err)
	if full {
		if why := stress.NoRoom(stress.IOError, f.Dir); why != nil {
			f.Err = why // and not what met it, and all that failed behind that
		}
	}
	switch {
	case full || errors.Is(f.Err, ErrUnavailable):
		return errors.Join(f.Err, stress.RemoveTree(f.Dir))
	case ctx.Err() != nil && !errors.Is(f.Err, stress.ErrWrong):
		return stress.RemoveTree(f.Dir)
	}
	f.keep(more)
	return f
}

func (r *run) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure == nil {
		r.failure = err
	}
	r.stop()
}

// add adds to the report, and ends the run when it is enough.
func (r *run) add(o Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.add(o)
	r.report.Elapsed = time.Since(r.began)
	if r.Count > 0 && r.report.States >= r.Count {
		r.stop()
	}
	if r.Tick != nil && time.Since(r.ticked) >= time.Second {
		r.ticked = time.Now()
		r.Tick(r.report)
	}
}
