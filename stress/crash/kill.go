package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/stress"
	"github.com/lightning-db/lightning/stress/expect"
)

const (
	writerKeys = 2000
	killCycles = 25 // of one database
)

// Kill starts writers and kills them, after 2 to 256 ms, the shorter the more
// often; each time what is there is held against what they had been told, and
// verified. Databases are new from time to time, the options each time.
func Kill(ctx context.Context, o Options) (Report, error) {
	if o.Start == nil {
		return Report{}, errors.New("this program cannot start itself")
	}
	return tested(do(ctx, o, func(ctx context.Context, r *run, i uint64) error {
		rng := rand.New(rand.NewPCG(o.Seed, i))
		dir, err := r.newDir("kill", i)
		if err != nil {
			return err
		}
		c := newWriter(dir, rng)
		c.DB = filepath.Join(dir, "db")
		r.add(Report{Scenarios: 1})
		for cycle := range killCycles {
			c.Round, c.Threads = rng.Uint64(), 1+rng.IntN(8)
			c.Options.Sync = engine.SyncMode(rng.IntN(3))
			c.Options.MemtableBytes = 16 << 10 << (rng.IntN(4) * 3)
			wait := 2 * time.Millisecond << rng.IntN(7) // up to 128 ms, and the same again
			wait += time.Duration(rng.Int64N(int64(wait)))
			err := r.killAfter(&c, wait, cycle == 0)
			if err == nil {
				err = r.judgeWriter(ctx, dir, &c, Report{States: 1})
			}
			if err != nil {
				return r.keep(ctx, &Failure{
					Err:    fmt.Errorf("killed after %v: %w", wait, err),
					Repeat: fmt.Sprintf("lightning crashtest --mode kill --seed %d%s", o.Seed, o.Limits),
					Dir:    dir,
				}, fmt.Sprintf("writer: %+v\n", c))
			}
			if r.over() {
				break
			}
		}
		return stress.RemoveTree(dir)
	}))
}

// newWriter is the writer of a database in a directory.
func newWriter(dir string, rng *rand.Rand) stress.Child {
	return stress.Child{
		Expected: filepath.Join(dir, "expected"), Seed: rng.Uint64(), Keys: writerKeys,
		Options: engine.Options{Holder: "lightning crashtest"},
	}
}

// killAfter lets a writer write for so long.
func (r *run) killAfter(c *stress.Child, wait time.Duration, first bool) error {
	p, err := r.Start(*c, os.Stderr)
	if err != nil {
		return err
	}
	letWrite(c, wait, first)
	return c.Kill(p)
}

// letWrite returns after wait. The first writer of a database may be killed before
// there is one; behind it, as long as none was told that something is written,
// the wait begins when one is: a busy machine is a while about starting it.
func letWrite(c *stress.Child, wait time.Duration, first bool) {
	const longestStart = time.Second // of one that does write
	for end := time.Now().Add(longestStart); !first && !expect.Acknowledged(c.Expected) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(wait)
}

// judgeWriter opens the database that a writer left, of which the directory crashed
// in dir becomes a copy first, and adds what it found to the report.
func (r *run) judgeWriter(ctx context.Context, dir string, c *stress.Child, found Report) error {
	crashed := filepath.Join(dir, "crashed")
	err := stress.RemoveTree(crashed)
	if err == nil {
		err = copyTree(crashed, vfs.OS(), c.DB)
	}
	if err != nil {
		return err
	}
	stop := r.watch(func() string { return fmt.Sprintf("seed %d, %s", r.Seed, dir) })
	known, _, report, err := c.Judge(ctx)
	stop()
	if err != nil {
		return err
	}
	found.Promised = int64(known)
	found.opened(&report)
	r.add(found)
	return nil
}
