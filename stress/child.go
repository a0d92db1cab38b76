package stress

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/stress/expect"
)

// Child is a process that writes until it is killed, and what it works on.
type Child struct {
	DB       string // the database
	Expected string // the file of its expect.States
	Seed     uint64 // of the values: the same for all children of one database
	Round    uint64 // of what is done, different for each
	Keys     int
	Threads  int
	Options  engine.Options
}

// leash is a pipe to the children, which end when ours does: with this process.
var leash struct {
	sync.Once
	theirs, ours *os.File
	err          error
}

// Leash returns what a child must have for its standard input, so that it does
// not live on when this process has gone.
func Leash() (*os.File, error) {
	leash.Do(func() { leash.theirs, leash.ours, leash.err = os.Pipe() })
	return leash.theirs, leash.err
}

// EndWithParent ends this process, with status 0, when its standard input ends.
func EndWithParent() {
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}()
}

// RunChild is what the process does, until its standard input ends (Leash). It
// returns only with an error, or when ctx is done.
func RunChild(ctx context.Context, c Child) error {
	EndWithParent()
	states, err := expect.Open(c.Expected, c.Keys)
	if err != nil {
		return err
	}
	db, err := engine.Open(c.DB, &c.Options)
	if err != nil {
		return err
	}
	w := c.workload(states)
	w.Use(db)
	err = parallel(c.Threads, func(thread int) error {
		rng := rand.New(rand.NewPCG(c.Seed^c.Round, uint64(thread)))
		for ctx.Err() == nil {
			if err := w.Step(ctx, rng); err != nil {
				return err
			}
			if rng.IntN(2000) == 0 {
				if _, err := db.Checkpoint(ctx); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return errors.Join(err, db.Close())
}

func (c *Child) workload(states *expect.States) *KV {
	return &KV{Seed: expect.Seed(c.Seed), States: states, Sizes: [2]int{expect.MinValue, 600}, Mix: StandardMix}
}

// Judge opens the database that a killed child leaves, as c says, and holds it
// against what is expected. It returns how many keys children have been told to
// be written, how many bytes were compared, and what recovery did.
func (c *Child) Judge(ctx context.Context) (known int, checked int64, report engine.OpenReport, err error) {
	states, err := expect.Open(c.Expected, c.Keys)
	if err != nil {
		return 0, 0, report, err
	}
	defer states.Close()
	for key := range c.Keys {
		if states.Newest(key).Generation > 0 {
			known++
		}
	}
	db, err := engine.Open(c.DB, &c.Options)
	if err != nil {
		err = fmt.Errorf("it does not open: %w", err)
		if !DiskFull(err) {
			err = wrong(err)
		}
		return 0, 0, report, err
	}
	w := c.workload(states)
	err = w.VerifyAll(db)
	report = db.OpenReport()
	if err = errors.Join(err, db.Close()); err != nil {
		return 0, 0, report, err
	}
	return known, w.Checked.Load(), report, Verify(ctx, c.DB)
}

// recovery kills a writer a few times.
func recovery(ctx context.Context, e *Env) (string, error) {
	if e.Start == nil {
		return "", errors.New("this program cannot start itself")
	}
	rng := e.rng(0)
	c := Child{
		DB: e.path(), Expected: filepath.Join(e.Dir, "expected"), Seed: e.Seed, Keys: 20_000, Threads: e.threads(4),
		Options: engine.Options{Sync: engine.SyncNormal, Holder: "lightning stress"},
	}
	const kills = 5
	known, checked := 0, int64(0)
	var commits uint64
	var longest time.Duration
	for range kills {
		c.Round = rng.Uint64()
		p, err := e.Start(c, os.Stderr)
		if err != nil {
			return "", err
		}
		time.Sleep(300*time.Millisecond + time.Duration(rng.IntN(500))*time.Millisecond)
		if err := c.Kill(p); err != nil {
			return "", err
		}
		var n int64
		var report engine.OpenReport
		if known, n, report, err = c.Judge(ctx); err != nil {
			return "", err
		}
		checked += n
		commits += report.Commits
		longest = max(longest, report.Duration)
	}
	if known == 0 {
		e.missed = "no write was acknowledged before a kill"
	}
	return fmt.Sprintf("killed %d times, %d commits recovered, %d MB compared, longest recovery %d ms", kills, commits, checked>>20, longest.Milliseconds()), nil
}

// DiskFull reports whether an error says nothing of the database: the disk of the
// test is full.
func DiskFull(err error) bool {
	return (errors.Is(err, engine.ErrNoSpace) || vfs.IsNoSpace(err)) && !errors.Is(err, ErrWrong)
}

// IOError is the exit status of lightning where the disk is full, too.
const IOError = 7

// NoRoom returns engine.ErrNoSpace where lightning ended with status IOError, and
// the disk of dir has less room than a segment of the log may want. What it said
// cannot tell: there may have been no room for it.
func NoRoom(status int, dir string) error {
	const wanted = 64 << 20
	disk, _ := vfs.OS().(vfs.FreeSpacer)
	if disk == nil || status != IOError {
		return nil
	}
	free, err := disk.FreeSpace(dir)
	if err == nil && free < wanted {
		err = fmt.Errorf("%w: %d bytes are free in %s", engine.ErrNoSpace, free, dir)
	}
	return err
}

// Kill kills a child, p, that must still be running.
func (c *Child) Kill(p *os.Process) error {
	if err := p.Kill(); err != nil {
		return fmt.Errorf("the writer ended by itself: %w", err)
	}
	state, err := p.Wait()
	if err == nil && state.Exited() && runtime.GOOS != "windows" { // where who is killed exits
		err = fmt.Errorf("the writer ended by itself: %s", state)
		if full := NoRoom(state.ExitCode(), filepath.Dir(c.Expected)); full != nil {
			err = full
		}
	}
	return err
}

// RemoveTree removes a directory of ours, if it is there, and what is in it.
// (os.RemoveAll would be 30 kB of the program.)
func RemoveTree(dir string) error {
	names, err := vfs.OS().List(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		if info, statErr := os.Lstat(path); statErr == nil && info.IsDir() {
			err = errors.Join(err, RemoveTree(path))
		} else {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return errors.Join(err, os.Remove(dir))
}
