package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
	"github.com/lightning-db/lightning/internal/figure"
)

const (
	crashDamages = 8      // at each operation
	moreDamages  = 12     // at a larger scale
	leastCrashes = 20_000 // states in one run of TestCrash
	leastSecond  = 2_000  // in one run of TestCrash_InRecovery
	leastKills   = 750    // in one run of TestCrash_KillThenPowerCut
	crashLevels  = 2      // recoveries of recoveries that are crashed, at a larger scale
)

// Crash every scenario at every file operation, with several damages to what
// was not synced, and open what is left.
//
//  1. No commit that the sync mode made durable is lost; without damage to the
//     disk, none that was acknowledged is.
//  2. What is there is what whole commits made, in their order, without holes.
//  3. The database takes writes again and keeps them.
func TestCrash(t *testing.T) {
	damages := crashDamages
	if figure.Scale() > 1 {
		damages = moreDamages
	}
	crashEach(t, "states", "crash states", leastCrashes, everyScenario, func(c *crashRun) {
		for n := c.first; n <= c.sim.Ops(); n++ {
			for i, d := range faultfs.Damages(damages, *faultSeed) {
				switch {
				case testing.Short() && i >= 3:
					continue
				case figure.Scale() <= 1 && i >= 2 && (n+i)%3 == 0: // the next operation has it
					continue
				}
				c.moment, c.damage = n, d
				c.reopen(c.sim.Image(n, d), (n+i)%2 == 0)
			}
		}
	})
}

// Crash the recovery from a crash at each of its operations, and recover from
// that. What the first recovery showed must be there for ever after.
func TestCrash_InRecovery(t *testing.T) {
	crashEach(t, "states", "crashes in a recovery", leastSecond, everyScenario, func(c *crashRun) {
		step := max(1, c.sim.Ops()-c.first)
		if figure.Scale() > 1 {
			step = max(1, (c.sim.Ops()-c.first)/3)
		}
		for n := c.first + 1; n <= c.sim.Ops(); n += step {
			for _, d := range []faultfs.Damage{faultfs.None, faultfs.Random(*faultSeed + int64(n))} {
				c.moment, c.damage = n, d
				least, most := c.bounds()
				c.crashRecovery(c.sim.Image(n, d), least, most, 1)
			}
		}
	})
}

// Kill the process at every operation, let the next one go on where the kernel
// still has everything, and cut the power then: what the second shows and what
// it acknowledges must be there, although the first had left it unsynced.
func TestCrash_KillThenPowerCut(t *testing.T) {
	crashEach(t, "kills", "kills before a power cut", leastKills, tellsOrder, func(c *crashRun) {
		step := 4
		if figure.Scale() > 1 {
			step = 1
		}
		for n := c.first; n < c.sim.Ops(); n += step {
			c.states++
			c.killThenCut(n)
		}
	})
}

// crashEach plays the scenarios and has each crashed by crash.
func crashEach(t *testing.T, figureName, what string, least int, wanted func(*scenario) bool, crash func(*crashRun)) {
	eachScenario(t, figureName, what, least, wanted, func(t *testing.T, sc *scenario) int {
		c := playForCrash(t, sc)
		crash(c)
		return c.states
	})
}

// killThenCut plays the scenario again, up to an operation, and goes on from
// there in another process.
func (c *crashRun) killThenCut(n int) {
	c.t.Helper()
	disk, hist := c.disk, c.start.fork()
	r := &faultRun{t: c.t, sc: c.sc, disk: disk, hist: hist, fault: fault{call: n + 1, err: faultfs.ErrStopped, forever: true}}
	r.stop(c.t)
}

// crashRun is a scenario that has been played, and the crash that is looked at.
type crashRun struct {
	t     *testing.T
	sc    *scenario
	disk  *vfs.Mem // before
	start *history // then
	sim   *faultfs.Sim
	hist  *history
	first int // the first moment worth a crash

	moment int
	damage faultfs.Damage
	inside string // the crash in the recovery, if that is looked at
	states int

	written map[int]*moment // by commit: that, and what reopen writes
}

// playForCrash plays a scenario to its end. What it leaves open is killed.
func playForCrash(t *testing.T, sc *scenario) *crashRun {
	disk, hist := sc.prepare(t)
	c := &crashRun{t: t, sc: sc, disk: disk, start: hist.fork(), sim: faultfs.NewSimFrom(disk), hist: hist, written: map[int]*moment{}}
	synctest.Test(t, func(t *testing.T) {
		s := &session{t: t, fs: c.sim, now: c.sim.Ops, opts: small(sc.opts), hist: hist}
		sc.play(s)
		s.settle()
		s.kill(c.sim)
		if s.lied != nil {
			t.Fatal(s.lied)
		}
	})
	if open := c.sim.OpenFiles(); len(open) > 0 {
		t.Errorf("files left open: %v", open)
	}
	if v := c.sim.Violations(); len(v) > 0 {
		t.Errorf("%v", v)
	}
	return c
}

// bounds are how many commits must and may be there after the crash.
func (c *crashRun) bounds() (least, most int) {
	least = c.hist.durableBy(c.moment, c.sc.opts.Sync)
	if c.damage == faultfs.None {
		least = c.hist.ackedBy(c.moment)
	}
	return least, c.hist.begunBy(c.moment)
}

// fail says what was found, and how to find it again.
func (c *crashRun) fail(doing string, err error) {
	c.t.Helper()
	trace := c.sim.Trace()
	from := max(0, c.moment-12)
	c.t.Fatalf("crash after operation %d with %v%s: %s: %v\nthe operations before it:\n  %s\nrepeat: %s",
		c.moment, c.damage, c.inside, doing, err, strings.Join(trace[from:c.moment], "\n  "), again(c.t))
}

// opts are those of the scenario, on the disk.
func (c *crashRun) opts(disk vfs.FS) *engine.Options {
	o := small(c.sc.opts)
	o.FS = disk
	return &o
}

// open opens what the crash left, and returns the number of the commit that is
// the newest in it.
func (c *crashRun) open(disk vfs.FS, least, most int) (*engine.DB, int) {
	c.t.Helper()
	db, err := engine.Open(dbDir, c.opts(disk))
	if err != nil {
		c.fail("open", err)
	}
	k, err := c.hist.find(db, least, most)
	if err != nil {
		c.fail("read", err)
	}
	return db, k
}

// reopen opens what the crash left, checks it, writes to it, and opens it
// again after a kill or after a close.
func (c *crashRun) reopen(disk *vfs.Mem, kill bool) {
	c.t.Helper()
	c.states++
	least, most := c.bounds()
	db, k := c.open(disk, least, most)
	e := put("written after the crash", "1")
	want := c.written[k]
	if want == nil {
		want = &moment{contents: c.hist.commits[k].with([]edit{e})}
		c.written[k] = want
	}
	if err := db.Put([]byte(e.key), []byte(e.value)); err != nil {
		c.fail("write", err)
	}
	after := disk
	if kill {
		after = disk.Clone()
	}
	if err := db.Close(); err != nil {
		c.fail("close", err)
	}
	if err := checkDatabase(after, dbDir); err != nil {
		c.fail("check", err)
	}
	db, err := engine.Open(dbDir, c.opts(after))
	if err != nil {
		c.fail("open again", err)
	}
	if err := want.compare(db, c.hist.used); err != nil {
		c.fail("read again", err)
	}
	if err := db.Close(); err != nil {
		c.fail("close again", err)
	}
}

// crashRecovery opens what the crash left on a disk of its own, and crashes
// that at every operation. At a larger scale it goes on from one of those
// crashes, in the middle, to crash the recovery from it too: the second level.
func (c *crashRun) crashRecovery(disk *vfs.Mem, least, most, level int) {
	c.t.Helper()
	sim := faultfs.NewSimFrom(disk)
	db, shown := c.open(sim, least, most)
	ops := sim.Ops()
	sim.StopAt(ops + 1)
	_ = db.Close()
	before := c.inside
	for m := range ops + 1 {
		for _, d := range []faultfs.Damage{faultfs.All, faultfs.Random(*faultSeed + int64(m))} {
			c.states++
			c.inside = fmt.Sprintf("%s, and its recovery after operation %d with %v", before, m, d)
			least, most := least, most
			if m == ops {
				least, most = shown, shown
			}
			again, _ := c.open(sim.Image(m, d), least, most)
			if err := again.Close(); err != nil {
				c.fail("close", err)
			}
			if figure.Scale() > 1 && level < crashLevels && m == ops/2 {
				c.crashRecovery(sim.Image(m, d), least, most, level+1)
			}
		}
	}
	c.inside = before
}
