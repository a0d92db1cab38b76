package engine

import "time"

// Stats describes a database at one moment. Sizes are in bytes; counts are
// since Open.
type Stats struct {
	Keyspaces int
	// Entries is their number in the trees and runs, as of the last checkpoint.
	// A key that is in several of them, or deleted in a run, counts each time.
	Entries   uint64
	DataBytes uint64 // of keys and values, counted likewise
	Runs      int    // sorted runs that wait to be merged into the trees

	FileBytes    uint64 // length of btree.db
	UsedBytes    uint64 // of it, reachable from the newest generation
	FreeBytes    uint64 // of it, free to be used again
	PendingBytes uint64 // of it, free when the open views are closed
	LogBytes     uint64 // from where recovery would start to the end of the log
	LogLimit     uint64 // Options.MaxWALBytes

	MemtableBytes uint64
	Frozen        int // memtables that wait for a checkpoint

	CacheBytes uint64
	CacheLimit uint64
	CacheHits  uint64
	// CacheMisses are the nodes and large values that a larger cache might have
	// had: not those of merges, backups, and scans of more than a few leaves,
	// which are read past it.
	CacheMisses uint64
	CachePassed uint64 // those that were read past it
	CacheNodes  int    // nodes and large values in it
	ReadBytes   uint64 // from btree.db, for all of these
	FilterBytes uint64 // of filters in memory, beside the cache: those of runs, and of trees

	Generation uint64 // of the trees
	Seq        uint64 // newest operation that a new reader sees
	Views      int64  // open snapshots and transactions
	// OldestView is for how long the oldest of them has kept space from being
	// used again: since the trees that it reads were replaced. It is that old at
	// least; 0 while all read the newest trees.
	OldestView time.Duration

	// Operations. Gets, Lookups and Scans are counted in passing: where several
	// processors count at one moment, one may be lost.
	Gets         uint64 // of a key's value, whether it has one or not
	Lookups      uint64 // by Has
	Scans        uint64 // iterators made
	Skipped      uint64 // entries that these, now closed, went past: tombstones, what they hide, and what is replaced in a newer tree, run or memtable
	Puts         uint64 // committed, those of batches and transactions too
	Deletes      uint64
	RangeDeletes uint64

	Commits           uint64
	Conflicts         uint64
	Checkpoints       uint64
	FailedCheckpoints uint64
	Stalls            uint64 // commits that waited for a checkpoint
	StallTime         time.Duration
	Syncs             uint64 // of the log that commits waited for
	// Errors of reads, Changes and Refresh among them, of commits and checkpoints,
	// damage that an incremental backup meets, and panics of Options.Report and
	// Options.Events: not those that are answers, as ErrNotFound and ErrConflict, nor
	// those of other calls, as a Put into a batch of a key that is too large.
	Errors uint64

	EventsLost  uint64 // that Options.Events was too slow for
	EventsPanic string // what Options.Events panicked with: it is called no more
}

// Stats returns the figures of this moment. It costs little.
func (db *DB) Stats() Stats {
	c := &db.counters
	s := Stats{
		Seq:               db.visible.Load(),
		Gets:              c.gets.Sum(),
		Lookups:           c.lookups.Sum(),
		Scans:             c.scans.Sum(),
		Skipped:           c.skipped.Sum(),
		Puts:              c.puts.Load(),
		Deletes:           c.deletes.Load(),
		RangeDeletes:      c.rangeDeletes.Load(),
		Commits:           c.commits.Load(),
		Conflicts:         c.conflicts.Load(),
		Checkpoints:       c.checkpointTime.Count(),
		FailedCheckpoints: c.failedCheckpoints.Load(),
		Stalls:            c.stallTime.Count(),
		StallTime:         time.Duration(c.stallTime.Sum()),
		Syncs:             c.syncTime.Count(),
	}
	for i := range c.errors {
		s.Errors += c.errors[i].Load()
	}
	if l := db.listener; l != nil {
		l.mu.Lock()
		s.EventsLost, s.EventsPanic = l.allLost, l.panicked
		l.mu.Unlock()
	}
	db.mu.Lock()
	s.Views, s.OldestView = db.views(), db.oldestView()
	db.mu.Unlock()
	v := db.version.Load()
	if v == nil {
		return s
	}
	for _, sp := range v.spaces.byID {
		s.Keyspaces++
		entries, bytes := sp.size()
		s.Entries += entries
		s.DataBytes += bytes
		s.Runs += len(sp.runs)
		s.FilterBytes += sp.filterBytes()
	}
	p := v.pager.Stats()
	s.FileBytes, s.UsedBytes, s.FreeBytes, s.PendingBytes = uint64(p.FileSize), uint64(p.BytesUsed), uint64(p.FreeBytes), uint64(p.PendingBytes)
	s.CacheBytes, s.CacheLimit, s.CacheHits, s.CacheMisses = uint64(p.CacheBytes), uint64(p.CacheLimit), uint64(p.Hits), uint64(p.Misses)
	s.CacheNodes, s.CachePassed, s.ReadBytes = p.Frames, p.Passed, p.ReadBytes
	s.MemtableBytes, s.Frozen = uint64(v.memtableBytes()), len(v.frozen)
	s.Generation, s.LogLimit = v.gen, uint64(db.opts.MaxWALBytes)
	if db.log != nil {
		start := v.pager.Meta().LogStart // first: it grows, too
		s.LogBytes = uint64(db.log.End()) - start
	} else {
		db.mu.Lock()
		if f := db.follow; f.end > 0 {
			s.LogBytes = uint64(f.end) - f.replay.pager.Meta().LogStart
		}
		db.mu.Unlock()
	}
	return s
}
