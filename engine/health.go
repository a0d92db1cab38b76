package engine

import (
	"fmt"
	"sync"
	"time"
)

// HealthLimits say from when on Health finds fault. Their zero value is a good
// default.
type HealthLimits struct {
	// CheckpointTime is how long a checkpoint may take. Default: 1 s.
	CheckpointTime time.Duration
	// LogShare is how much log may wait for a checkpoint, as a part of
	// Options.MaxWALBytes. Default: 0.8.
	LogShare float64
	// CacheHits is which part of the nodes that are read must be in the cache,
	// but for what goes past it: see Stats.CacheMisses. Default: 0.8.
	CacheHits float64
	// Errors is which part of the operations may fail (Stats.Errors). Default:
	// 0.001.
	Errors float64
	// DiskCheckpoints is how many checkpoints the disk must have room for.
	// Default: 2.
	DiskCheckpoints float64
	// SnapshotAge is for how long a snapshot may keep space from being used
	// again (Stats.OldestView). Default: an hour.
	SnapshotAge time.Duration
}

func (l *HealthLimits) setDefaults() {
	set(&l.CheckpointTime, time.Second)
	set(&l.LogShare, 0.8)
	set(&l.CacheHits, 0.8)
	set(&l.Errors, 0.001)
	set(&l.DiskCheckpoints, 2)
	set(&l.SnapshotAge, time.Hour)
}

// Health is what is wrong with a database, if anything is.
type Health struct {
	Findings []HealthFinding // none: it is healthy
	// Unknown are the checks that say nothing of the process that writes, for only
	// that knows: where the database is open read-only.
	Unknown []string
}

// HealthFinding is one thing that is wrong.
type HealthFinding struct {
	Check  string // failed, checkpoint, log, cache, errors, disk or snapshot
	Reason string // what was found, and the limit
	Remedy string // what to do
	// Stops is true of what stops writes, now or as soon as the memtables are
	// full.
	Stops bool
}

// makeRoom is the remedy of a full disk.
const makeRoom = "make room: the database goes on by itself where there is some"

// leastRead is of how many nodes must have been read for the cache to be judged.
const leastRead = 10_000

// healthWindow is over how long errors and the cache are judged: this to twice
// this, where somebody asks that often, else since they were asked for the last
// time but one.
const healthWindow = time.Minute

// healthMarks are the figures of two moments, the older of which rates count
// from.
type healthMarks struct {
	mu           sync.Mutex
	older, newer healthMark
}

type healthMark struct {
	at                               time.Duration
	hits, misses, operations, errors uint64
}

// since returns the growth since the older mark, and moves the marks on.
func (h *healthMarks) since(now healthMark) healthMark {
	h.mu.Lock()
	defer h.mu.Unlock()
	from := h.older
	if now.at-h.newer.at >= healthWindow {
		h.older, h.newer = h.newer, now
	}
	return healthMark{now.at - from.at, now.hits - from.hits, now.misses - from.misses, now.operations - from.operations, now.errors - from.errors}
}

// Health looks for what an operator should know of, by Options.Health. It costs
// about as much as Stats, and a look at the file system. Errors and the cache
// are judged by the last minutes. Where a full disk kept the last commit or
// checkpoint from being made, the database is told to try, in the background,
// whether there is room: so a later Health knows, though nobody commits.
//
// Errors: ErrClosed.
func (db *DB) Health() (Health, error) {
	v := db.version.Load()
	if v == nil || db.closing() {
		return Health{}, errDBClosed
	}
	var h Health
	s := db.Stats()
	find := func(check string, stops bool, remedy, reason string, args ...any) {
		h.Findings = append(h.Findings, HealthFinding{check, fmt.Sprintf(reason, args...), remedy, stops})
	}
	limits := &db.opts.Health
	if db.opts.ReadOnly {
		h.Unknown = []string{"failed", "checkpoint", "cache", "errors", "snapshot"}
	} else {
		db.checkWriting(find)
	}
	if share := float64(s.LogBytes) / float64(s.LogLimit); share > limits.LogShare {
		find("log", false, "if checkpoints keep failing or are slow, mend that; else raise Options.MaxWALBytes; a recovery now would read it all",
			"%s of log wait for a checkpoint, %.0f %% of the limit of %s; at most %s are wanted",
			size(s.LogBytes), 100*share, size(s.LogLimit), percent(limits.LogShare))
	}
	lately := db.health.since(healthMark{
		db.counters.now(), s.CacheHits, s.CacheMisses,
		s.Gets + s.Lookups + s.Scans + s.Commits + s.Conflicts + s.Errors, s.Errors,
	})
	// A Refresh may have begun the counts of a read-only database anew.
	if read := lately.hits + lately.misses; !db.opts.ReadOnly && read >= leastRead && float64(lately.hits) < limits.CacheHits*float64(read) {
		find("cache", false, "raise Options.CacheBytes, if there is memory",
			"%s of the nodes that were read in the last %v were in the cache of %s; at least %s are wanted",
			percent(float64(lately.hits)/float64(read)), lately.at.Round(time.Second), size(s.CacheLimit), percent(limits.CacheHits))
	}
	if n := lately.errors; n > 0 && float64(n) > limits.Errors*float64(lately.operations) {
		find("errors", false, "lightning_errors_total of WriteMetrics tells them by class and cause",
			"%d of %d operations failed in the last %v; at most %s are to be expected",
			n, lately.operations, lately.at.Round(time.Second), percent(limits.Errors))
	}
	need := db.checkpointNeed(v, &s)
	free, err := db.diskFree()
	switch {
	case db.logFull(s.Commits):
		find("disk", true, makeRoom, "the disk is full: the last commit was refused")
	case err == nil && float64(free) < limits.DiskCheckpoints*float64(need):
		find("disk", false, makeRoom, "%s are free on the disk, and the next checkpoint may need %s; %g times that is wanted",
			size(uint64(free)), size(need), limits.DiskCheckpoints)
	}
	if s.OldestView > limits.SnapshotAge {
		find("snapshot", false, "close snapshots, transactions and iterators when they are done with",
			"a snapshot has kept %s from being used again for %v, and more as long as it is open; at most %v are wanted",
			size(s.PendingBytes), s.OldestView.Round(time.Second), limits.SnapshotAge)
	}
	return h, nil
}

// checkWriting finds what only the process knows that writes.
func (db *DB) checkWriting(find func(check string, stops bool, remedy, reason string, args ...any)) {
	if err := db.failed(); err != nil {
		find("failed", true, "close the database and open it again, which finds out what the disk holds; if that fails, restore a backup",
			"%v; it takes no more writes", err)
		return // all else follows from it
	}
	if err := db.counters.checkpointErr.Load(); err != nil {
		remedy := "see what the disk and lightning verify say"
		if db.treeFull() {
			remedy = makeRoom
		}
		find("checkpoint", true, remedy, "the last checkpoint failed: %v; once the memtables are full, commits fail", *err)
		return
	}
	limit := db.opts.Health.CheckpointTime
	if took := time.Duration(db.counters.lastCheckpoint.Load()); took > limit {
		find("checkpoint", false, "a smaller Options.MemtableBytes makes less work for each; or the disk is busy or slow",
			"the last checkpoint took %v; at most %v is wanted", took.Round(time.Millisecond), limit)
	}
}

// logFull reports whether a full disk kept the last commit, behind so many, from
// being made. It has the database try whether there is room again.
func (db *DB) logFull(commits uint64) bool {
	full := db.counters.refused.Load() == commits+1
	if full {
		signal(db.prepare)
	}
	return full
}

// treeFull is logFull of the last checkpoint.
func (db *DB) treeFull() bool {
	err := db.counters.checkpointErr.Load()
	full := err != nil && isFull(*err)
	if full {
		signal(db.wake)
	}
	return full
}

// checkpointNeed is how many bytes the next checkpoint may want of the disk: for
// the leaves that the memtables' entries belong in, which are at most four times
// as much (else it writes a sorted run), less what is free in btree.db, and for a
// segment of the log. A reader does not know whether anybody writes, nor how much:
// it counts on no more than would double what the database holds.
func (db *DB) checkpointNeed(v *version, s *Stats) uint64 {
	entries, segment := uint64(db.opts.MemtableBytes), uint64(db.opts.SegmentBytes)
	if db.opts.ReadOnly {
		entries, segment = min(entries, s.UsedBytes), min(segment, s.UsedBytes+firstSegmentBytes)
	}
	tree := scatter * max(uint64(v.memtableBytes()), entries)
	return max(tree, s.FreeBytes) - s.FreeBytes + segment
}

// firstSegmentBytes is how large the log of a database begins.
const firstSegmentBytes = 256 << 10

// size says a size as the options have them: 512 B, 1.5 KiB, 64 MiB.
func size(n uint64) string {
	f, unit := float64(n), 0
	for ; f >= 1000 && unit < len(units)-1; unit++ {
		f /= 1 << 10
	}
	return fmt.Sprintf("%.3g %s", f, units[unit])
}

var units = [...]string{"B", "KiB", "MiB", "GiB", "TiB"}

func percent(part float64) string { return fmt.Sprintf("%.3g %%", 100*part) }
