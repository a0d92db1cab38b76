package stress

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
	"github.com/lightning-db/lightning/stress/expect"
)

// Workload is what a Soak does. KV and Bank are.
type Workload interface {
	// Use says which database is worked on from now on.
	Use(db *engine.DB)
	// Fill makes what the workload begins with, where it is missing.
	Fill(ctx context.Context) error
	// Step does one operation. An error that wraps ErrWrong is a finding.
	Step(ctx context.Context, rng *rand.Rand) error
	// Check holds all of the database against what it must hold, when nobody
	// is at work.
	Check(db *engine.DB) error
}

// Fill implements Workload: there is nothing to make.
func (w *KV) Fill(context.Context) error { return nil }

// Check implements Workload.
func (w *KV) Check(db *engine.DB) error { return w.VerifyAll(db) }

// Faults are the parts of the calls of the file system that fail, as 0.001.
type Faults struct{ Read, Write, Sync float64 }

func (f *Faults) any() bool { return f.Read > 0 || f.Write > 0 || f.Sync > 0 }

// Soak is a run of any length under one workload, with checks of everything
// now and then.
type Soak struct {
	Dir      string // for the database, and the file of what is expected
	Workload Workload
	Duration time.Duration // 0: until there were Ops
	Ops      int64         // 0: as many as Duration allows
	Threads  int
	Seed     uint64
	Options  engine.Options
	Faults   Faults
	// CheckEvery is how often everything is checked, the database being closed
	// and opened again each second time. Default: a tenth of Duration, from 2 s
	// to a minute, or a minute where there is none.
	CheckEvery time.Duration
	// Tick is called once a second.
	Tick func(Tick)

	armed                        atomic.Bool // the file system fails
	ops, faults, reopens, checks atomic.Int64
	usage                        []usage
}

// Tick is how far a Soak has come.
type Tick struct {
	Elapsed             time.Duration
	Ops                 int64   // in all
	Rate                float64 // operations a second, since the last tick
	Faults, Reopens     int64
	Checks              int64 // of everything
	Memory, Files, Disk int64 // resident bytes, descriptors, bytes of the database
}

// usage is what the process has of the machine.
type usage struct {
	memory, files, goroutines, disk int64
}

// Run runs to the last of the operations, the end of the duration or of ctx,
// whichever is first, and ends with a check of everything. The error is what was
// wrong first.
func (s *Soak) Run(ctx context.Context) (Tick, error) {
	if s.Duration <= 0 {
		s.Duration = math.MaxInt64
	}
	if s.CheckEvery <= 0 {
		s.CheckEvery = min(max(s.Duration/10, 2*time.Second), time.Minute)
	}
	began := time.Now()
	deadline := began.Add(s.Duration)
	db, err := s.open()
	if err != nil {
		return Tick{}, err
	}
	if err = s.Workload.Fill(ctx); err != nil {
		return Tick{}, errors.Join(err, db.Close())
	}
	stop := s.watch(began)
	for round := 0; err == nil && time.Now().Before(deadline) && !s.enough() && ctx.Err() == nil; round++ {
		until := time.Now().Add(s.CheckEvery)
		if until.After(deadline) {
			until = deadline
		}
		s.armed.Store(true)
		err = s.work(ctx, until, uint64(round))
		s.armed.Store(false)
		if err != nil && !s.injected(err) {
			break
		}
		if err != nil || round%2 == 1 {
			if db, err = s.reopen(db, err); err != nil {
				break
			}
		}
		if err = s.Workload.Check(db); err != nil && s.injected(err) {
			// The database had failed, and nobody had noticed.
			if db, err = s.reopen(db, err); err == nil {
				err = s.Workload.Check(db)
			}
		}
		if err == nil {
			s.checks.Add(1)
		}
	}
	ticks := stop()
	if db != nil {
		closeErr := db.Close()
		if err == nil && closeErr != nil && !s.injected(closeErr) {
			err = fmt.Errorf("close: %w", closeErr)
		}
	}
	if err == nil {
		err = Verify(context.WithoutCancel(ctx), s.db())
	}
	if err == nil {
		err = s.leaks()
	}
	return ticks, err
}

func (s *Soak) db() string { return filepath.Join(s.Dir, "db") }

// reopen closes the database, which has failed with failed unless that is nil,
// and opens it again. It returns no database with an error.
func (s *Soak) reopen(db *engine.DB, failed error) (*engine.DB, error) {
	s.reopens.Add(1)
	err := db.Close() // of a failed database, the failure
	if failed == nil && err != nil && !s.injected(err) {
		return nil, fmt.Errorf("close: %w", err)
	}
	if db, err = s.open(); err != nil {
		return nil, wrong(fmt.Errorf("it does not open again: %w", err))
	}
	return db, nil
}

// open opens the database, on a file system that fails as it is told while the
// threads work: a failure in an open, or in a check, says nothing.
func (s *Soak) open() (*engine.DB, error) {
	o := s.Options
	o.Holder = "lightning stress"
	if s.Faults.any() {
		fs := faultfs.Inject(vfs.OS())
		fs.SetHook(func(op faultfs.Op) error {
			if !s.armed.Load() || !s.draw(op.Kind) {
				return nil
			}
			s.faults.Add(1)
			return faultfs.ErrIO
		})
		o.FS = fs
	}
	db, err := engine.Open(s.db(), &o)
	if err == nil {
		s.Workload.Use(db)
	}
	return db, err
}

func (s *Soak) draw(kind faultfs.Kind) bool {
	part := 0.0
	switch kind {
	case faultfs.OpRead:
		part = s.Faults.Read
	case faultfs.OpWrite:
		part = s.Faults.Write
	case faultfs.OpSync:
		part = s.Faults.Sync
	}
	return part > 0 && rand.Float64() < part
}

// injected reports whether an error is one that was asked for.
func (s *Soak) injected(err error) bool {
	return s.Faults.any() && !errors.Is(err, ErrWrong) && (errors.Is(err, faultfs.ErrIO) || errors.Is(err, engine.ErrFailed) ||
		errors.Is(err, engine.ErrCommitUnknown))
}

// enough reports whether there were as many operations as are wanted; threads that
// ask at once may do one more each.
func (s *Soak) enough() bool { return s.Ops > 0 && s.ops.Load() >= s.Ops }

// work lets the threads work until a time, or until the database has failed. It
// returns the first error that is not one of a single read.
func (s *Soak) work(ctx context.Context, until time.Time, round uint64) error {
	var stop atomic.Bool
	return parallel(s.Threads, func(thread int) error {
		rng := rand.New(rand.NewPCG(s.Seed+round, uint64(thread)))
		for n := 0; !stop.Load() && ctx.Err() == nil; n++ {
			if n%64 == 0 && time.Now().After(until) || s.enough() {
				return nil
			}
			s.ops.Add(1)
			err := s.Workload.Step(ctx, rng)
			if err == nil || errors.Is(err, context.Canceled) {
				continue
			}
			if s.injected(err) && !errors.Is(err, engine.ErrFailed) && !errors.Is(err, engine.ErrCommitUnknown) {
				continue // a read
			}
			stop.Store(true)
			return err
		}
		return nil
	})
}

// watch calls Tick once a second until the function that it returns is called,
// which returns the last tick.
func (s *Soak) watch(began time.Time) (stop func() Tick) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	last := Tick{}
	tick := func() {
		u := s.look()
		s.usage = append(s.usage, u)
		now := Tick{
			Elapsed: time.Since(began), Ops: s.ops.Load(), Faults: s.faults.Load(), Reopens: s.reopens.Load(), Checks: s.checks.Load(),
			Memory: u.memory, Files: u.files, Disk: u.disk,
		}
		now.Rate = float64(now.Ops-last.Ops) / (now.Elapsed - last.Elapsed).Seconds()
		last = now
	}
	wg.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				if tick(); s.Tick != nil {
					s.Tick(last)
				}
			}
		}
	})
	return func() Tick {
		close(done)
		wg.Wait()
		tick()
		last.Rate = float64(last.Ops) / last.Elapsed.Seconds()
		return last
	}
}

func (s *Soak) look() usage {
	u := usage{memory: residentBytes(), goroutines: int64(runtime.NumGoroutine())}
	files, _ := vfs.OS().List("/proc/self/fd") // nothing where there is none
	u.files = int64(len(files))
	for _, dir := range []string{s.db(), filepath.Join(s.db(), "wal")} {
		names, _ := vfs.OS().List(dir)
		for _, name := range names {
			if info, err := vfs.OS().Stat(filepath.Join(dir, name)); err == nil && info.Regular {
				u.disk += info.Size
			}
		}
	}
	return u
}

// residentBytes is how much of the process is in memory; 0 where that cannot be
// told.
func residentBytes() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// leastWatched is how many seconds a run must have to tell a leak from the
// growth at its beginning.
const leastWatched = 60

// leaks compares the last quarter of the run with the second one: what goes on
// growing is a leak. A quarter more, and something, is allowed.
func (s *Soak) leaks() error {
	n := len(s.usage)
	if n < leastWatched {
		return nil
	}
	for _, w := range []struct {
		what   string
		of     func(*usage) int64
		slack  int64
		factor int64 // of a quarter
	}{
		{"bytes of memory", func(u *usage) int64 { return u.memory }, 32 << 20, 1},
		{"descriptors", func(u *usage) int64 { return u.files }, 8, 1},
		{"goroutines", func(u *usage) int64 { return u.goroutines }, 8, 1},
		{"bytes on the disk", func(u *usage) int64 { return u.disk }, 64 << 20, 4},
	} {
		early, late := mean(s.usage[n/4:n/2], w.of), mean(s.usage[3*n/4:], w.of)
		if late > early+early*w.factor/4+w.slack {
			return fmt.Errorf("%w: a leak: %d %s at first, %d at the end", ErrWrong, early, w.what, late)
		}
	}
	return nil
}

func mean(list []usage, of func(*usage) int64) int64 {
	sum := int64(0)
	for i := range list {
		sum += of(&list[i])
	}
	return sum / int64(len(list))
}

// NewKV returns the workload of so many keys, whose expected state is in a file
// beside the database in dir.
func NewKV(dir string, seed uint64, keys, least, most int) (*KV, error) {
	states, err := expect.Open(filepath.Join(dir, "expected"), keys)
	if err != nil {
		return nil, err
	}
	return &KV{Seed: expect.Seed(seed), States: states, Sizes: [2]int{max(least, expect.MinValue), max(most, expect.MinValue)}, Mix: StandardMix}, nil
}
