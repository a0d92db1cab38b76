package crash

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
	"github.com/lightning-db/lightning/verify"
)

const (
	damages = 8 // at each operation
	deeper  = 8 // one state in so many has its recovery crashed, too
)

// Sim plays scenarios, those of o.Seed and of the numbers after it, and crashes
// each at every operation of its file system. States are numbered from 1 in
// each scenario.
func Sim(ctx context.Context, o Options) (Report, error) {
	return do(ctx, o, func(ctx context.Context, r *run, i uint64) error {
		c := &crasher{run: r, seed: o.Seed + i, life: newLife(o.Seed+i, o.fault)}
		return c.all()
	})
}

// crasher crashes a scenario that has been played.
type crasher struct {
	*run
	life  *life
	seed  uint64
	state int
	found Report // since the last state
	at    *spot  // that is judged; nil before the first
}

// spot is a crash, after so many operations of sim.
type spot struct {
	sim    *faultfs.Sim
	moment int
	damage faultfs.Damage
	// The oldest and the newest commit that may be the last.
	least, most int
	outer       *spot // whose recovery crashes here
}

func (s *spot) image() *vfs.Mem { return s.sim.Image(s.moment, s.damage) }

func (s *spot) String() string {
	where := ""
	if s.outer != nil {
		where = s.outer.String() + ", and its recovery "
	}
	return fmt.Sprintf("%safter operation %d with %v", where, s.moment, s.damage)
}

// turn is a number by which crashes take turns in what is done with them: each
// damage meets everything, at one moment or another, also in a recovery.
func (c *crasher) turn(s *spot) int {
	turn := c.state
	for ; s != nil; s = s.outer {
		turn += s.moment
	}
	return turn
}

// all plays the scenario, and judges all its states.
func (c *crasher) all() (err error) {
	defer func() {
		if p := recover(); p != nil {
			stack := make([]byte, 16<<10)
			stack = stack[:runtime.Stack(stack, false)]
			err = c.failed(c.spot(), fmt.Errorf("panic: %v\n%s", p, stack))
		}
	}()
	stop := c.watch(func() string { return "the scenario, before any crash; " + c.repeat() })
	err = c.life.play()
	stop()
	if err != nil {
		return c.failed(c.spot(), fmt.Errorf("before any crash: %w", err))
	}
	return c.states()
}

// states judges all states of a scenario that has been played.
func (c *crasher) states() error {
	l := c.life
	c.found.Scenarios = 1
	for n := l.begun; n <= l.sim.Ops(); n++ {
		c.found.Points++
		for _, d := range faultfs.Damages(damages, int64(c.seed)) {
			if c.state++; c.State > 0 && c.State != c.state {
				continue
			}
			if c.over() {
				return nil
			}
			s := spot{sim: l.sim, moment: n, damage: d}
			s.least, s.most = l.bounds(n, d)
			if err := c.crash(&s, c.Level); err != nil {
				return err
			}
			c.found.Losses = l.sim.Losses()
			c.add(c.found)
			c.found = Report{}
		}
	}
	return nil
}

// watched calls fn, which is to end soon, for a crash.
func (c *crasher) watched(s *spot, fn func() error) error {
	what := fmt.Sprintf("crash %s; %s", s, c.repeat())
	defer c.watch(func() string { return what })()
	return fn()
}

// spot is where the crasher is: before the first crash, behind all operations.
func (c *crasher) spot() *spot {
	if c.at != nil {
		return c.at
	}
	return &spot{sim: c.life.sim, moment: c.life.sim.Ops()}
}

// crash judges what a crash leaves, and on level 2 and 3 that of crashes in the
// recovery from it.
func (c *crasher) crash(s *spot, level int) error {
	c.at = s
	c.found.States++
	c.found.Promised += int64(s.least)
	if err := c.watched(s, func() error { return c.judge(s) }); err != nil {
		return c.failed(s, err)
	}
	if level < 2 || s.outer == nil && c.turn(s)%deeper != 0 && c.State == 0 {
		return nil
	}
	sim := faultfs.NewSimFrom(s.image())
	var shown, opened, ops int
	err := c.watched(s, func() error {
		turns := takeTurns()
		sim.Before = turns.before
		var db *engine.DB
		var err error
		if db, shown, err = c.open(sim, s); err != nil {
			return err
		}
		opened = sim.Ops()
		turns.settle()
		ops = sim.Ops()
		sim.StopAt(ops + 1)
		_ = db.Close()
		return nil
	})
	if err != nil {
		return c.failed(s, err)
	}
	step := 1
	if s.outer != nil {
		step = max(1, ops/4)
	}
	for m := 0; m <= ops; m += step {
		for _, d := range []faultfs.Damage{faultfs.All, faultfs.Random(int64(c.seed) + int64(m))} {
			inner := spot{sim, m, d, s.least, s.most, s}
			if m >= opened { // what the recovery has shown stays
				inner.least, inner.most = shown, shown
			}
			if err := c.crash(&inner, level-1); err != nil {
				return err
			}
		}
	}
	return nil
}

// open opens what a crash left.
func (c *crasher) open(disk vfs.FS, s *spot) (*engine.DB, int, error) {
	o := c.life.opts
	o.FS = disk
	db, err := engine.Open(dbDir, &o)
	if err != nil {
		return nil, 0, fmt.Errorf("it does not open: %w", err)
	}
	report := db.OpenReport()
	c.found.opened(&report)
	k, err := c.life.find(db, s.least, s.most, c.turn(s)%4 == 1)
	if err != nil {
		_ = db.Close()
	}
	return db, k, err
}

// judge opens what a crash left, writes to it, and opens it again after a kill
// or after a close.
func (c *crasher) judge(s *spot) error {
	disk := s.image()
	db, k, err := c.open(disk, s)
	if err != nil {
		return err
	}
	e := edit{key: "written after the crash", value: "1"}
	want := c.life.commits[k].with([]edit{e})
	err = db.Put([]byte(e.key), []byte(e.value))
	if c.turn(s)%2 == 0 {
		killed := disk.Clone()
		defer db.Close() // that of another life
		disk = killed
	} else if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("it takes no write: %w", err)
	}
	if c.turn(s)%4 == 3 {
		report, err := verify.Run(context.Background(), dbDir, verify.Options{FS: disk, Workers: 1})
		if err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		if !report.OK {
			return fmt.Errorf("verify: %d findings, the first: %+v", len(report.Findings), report.Findings[0])
		}
	}
	o := c.life.opts
	o.FS = disk
	if db, err = engine.Open(dbDir, &o); err != nil {
		return fmt.Errorf("it does not open again: %w", err)
	}
	if err := want.compare(db, false); err != nil {
		return fmt.Errorf("opened again: %w", err)
	}
	return db.Close()
}

// repeat is the command that meets the state again.
func (c *crasher) repeat() string {
	line := fmt.Sprintf("lightning crashtest --mode sim --seed %d --state %d", c.seed, max(c.state, 1))
	if c.Level > 1 {
		line += fmt.Sprintf(" --level %d", c.Level)
	}
	return line
}

// failed keeps what a crash left, as it was before anybody opened it.
func (c *crasher) failed(s *spot, err error) error {
	f := &Failure{
		Err:    fmt.Errorf("crash %s: %w", s, err),
		Repeat: c.repeat(),
	}
	if c.fault != 0 { // SelfTest wanted it
		return f
	}
	f.Dir = filepath.Join(c.Dir, fmt.Sprintf("lightning-crash-%d-%d", c.seed, c.state))
	if err := copyTree(f.Dir, s.image(), "/"); err != nil {
		f.Err = fmt.Errorf("%w (not kept: %w)", f.Err, err)
	}
	f.keep(fmt.Sprintf("options: %s\nlast commits allowed: %d to %d\noperations before the crash:\n%s\n", c.life, s.least, s.most, strings.Join(s.sim.Trace()[:s.moment], "\n")))
	return f
}
