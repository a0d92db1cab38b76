package engine

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/lightning-db/lightning/engine/internal/tally"
)

// counters are what is counted over the life of an open database, for Stats and
// WriteMetrics. Reads are counted by plain additions, and the clock is looked at
// for few of those that are fast: a get pays a nanosecond for all of it.
type counters struct {
	_      [0]func() // not compared
	opened time.Time

	gets, lookups, scans tally.Counter
	skipped              tally.Counter // entries, by iterators that were closed
	timing               tally.Counter // of commits, which of them are timed

	puts, deletes, rangeDeletes atomic.Uint64 // committed
	commits                     atomic.Uint64
	conflicts                   atomic.Uint64
	errors                      [len(errorKinds)]atomic.Uint64
	refused                     atomic.Uint64 // commits, and 1, when a full disk last kept one from being made; 0: there is room since
	failedCheckpoints           atomic.Uint64

	getTime, commitTime, syncTime tally.Histogram // nanoseconds
	checkpointTime, stallTime     tally.Histogram
	syncCommits                   tally.Histogram       // commits that one sync made durable
	synced                        uint64                // of the leader: commits that were durable after the last sync
	lastCheckpoint                atomic.Int64          // how long it took, in nanoseconds
	checkpointErr                 atomic.Pointer[error] // of the last one, unless it was stopped; nil when it succeeded
}

const (
	timedGets    = 1024 // one get in so many is timed
	timedCommits = 64   // one commit in so many is, where it does not wait for the disk
)

// errorKinds are the errors that are told apart, by their causes, with their
// classes. The first that matches counts.
var errorKinds = [...]struct {
	class Class
	name  string
	err   error // nil: any other of the class
}{
	{ClassReopen, "failed", ErrFailed},
	{ClassRestore, "corrupt", ErrCorrupt},
	{ClassEnvironment, "no_space", ErrNoSpace},
	{ClassInput, "too_large", ErrTooLarge},
	{ClassInput, "no_keyspace", ErrNoKeyspace},
	{ClassInput, "read_only", ErrReadOnly},
	{ClassUnknown, "callback", errCallback},
	{ClassInput, "other", nil},
	{ClassEnvironment, "other", nil}, // a file that cannot be read, for one
	{ClassUnknown, "other", nil},
}

var errCallback = errors.New("Options.Report or Options.Events panicked")

func (c *counters) init(opened time.Time) {
	c.opened = opened
	c.getTime.Init(6)         // 64 ns to 1 s
	c.commitTime.Init(10)     // 1 µs to 17 s
	c.syncTime.Init(14)       // 16 µs to 275 s
	c.checkpointTime.Init(20) // 1 ms to 5 h
	c.stallTime.Init(17)      // 131 µs to 37 min
}

// now is the time since the database was opened, never 0.
//
//go:noinline // called in many places, and where it is hot not often
func (c *counters) now() time.Duration { return time.Since(c.opened) + 1 }

// beginGet is when the get of this number begins, or 0 where it is not timed.
func (c *counters) beginGet(tick uint64) time.Duration {
	if tick%timedGets != 0 {
		return 0
	}
	return c.now()
}

func (c *counters) endGet(began time.Duration) {
	if began != 0 {
		c.timeGet(began)
	}
}

//go:noinline // one get in 1024
func (c *counters) timeGet(began time.Duration) { c.getTime.Observe(int64(c.now() - began)) }

// beginTimed is when a commit began, or 0 where it is not timed.
func (db *DB) beginTimed() time.Duration {
	if db.opts.Sync != SyncFull && db.counters.timing.Add(1)%timedCommits != 0 {
		return 0
	}
	return db.counters.now()
}

// endTimed counts how a commit went, and returns its error.
func (db *DB) endTimed(began time.Duration, err error) error {
	switch {
	case err != nil:
		if isFull(err) {
			db.counters.noteRefused()
		}
		return db.counters.noteError(err)
	case began != 0:
		db.counters.commitTime.Observe(int64(db.counters.now() - began))
	}
	return nil
}

// noteRefused notes that a full disk refused a commit, or would have, but for what
// is kept for those that delete.
func (c *counters) noteRefused() { c.refused.Store(c.commits.Load() + 1) }

// applied counts the operations of a commit.
func (c *counters) applied(puts, deletes, rangeDeletes uint64) {
	for _, n := range [...]struct {
		to  *atomic.Uint64
		add uint64
	}{{&c.puts, puts}, {&c.deletes, deletes}, {&c.rangeDeletes, rangeDeletes}} {
		if n.add > 0 {
			n.to.Add(n.add)
		}
	}
}

// noteGroup counts the commits that a sync has made durable. commits is how many
// there were in all when it began. The leader calls it.
func (c *counters) noteGroup(commits uint64) {
	if commits > c.synced {
		c.syncCommits.Observe(int64(commits - c.synced))
		c.synced = commits
	}
}

// noteError counts an error that a caller gets, unless it is an answer, and
// returns it.
func (c *counters) noteError(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrConflict), errors.Is(err, ErrClosed), errors.Is(err, ErrKeyspaceExists),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	for i := range errorKinds {
		k := &errorKinds[i]
		if k.err != nil && errors.Is(err, k.err) || k.err == nil && k.class == ClassOf(err) || i == len(errorKinds)-1 {
			c.errors[i].Add(1)
			break
		}
	}
	return err
}

// noteCheckpoint counts how a checkpoint ended. One that was stopped is as if
// there had been none.
func (c *counters) noteCheckpoint(err error) {
	switch {
	case err == nil:
		c.checkpointErr.Store(nil)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, ErrClosed):
	default:
		err = public(err)
		c.checkpointErr.Store(&err)
		c.failedCheckpoints.Add(1)
		_ = c.noteError(err)
	}
}

// reporter calls Options.Report until the database is closed, or it panics.
func (db *DB) reporter() {
	defer func() {
		if recover() != nil {
			_ = db.counters.noteError(errCallback)
		}
	}()
	tick := time.NewTicker(db.opts.ReportInterval)
	defer tick.Stop()
	for {
		select {
		case <-db.done:
			return
		case <-tick.C:
			if db.closing() { // both were ready
				return
			}
			db.opts.Report(db)
		}
	}
}
