package engine

import (
	"sync/atomic"
	"time"
)

// counters are what Stats counts over the life of an open database.
type counters struct {
	commits     atomic.Uint64
	conflicts   atomic.Uint64
	checkpoints atomic.Uint64
	stalls      atomic.Uint64
	stallTime   atomic.Int64
}

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

	MemtableBytes uint64
	Frozen        int // memtables that wait for a checkpoint

	CacheBytes  uint64
	CacheLimit  uint64
	CacheHits   uint64
	CacheMisses uint64
	FilterBytes uint64 // of filters in memory, beside the cache: those of runs, and of trees

	Generation uint64 // of the trees
	Seq        uint64 // newest operation that a new reader sees
	Views      int64  // open snapshots and transactions

	Commits     uint64
	Conflicts   uint64
	Checkpoints uint64
	Stalls      uint64 // commits that waited for a checkpoint
	StallTime   time.Duration

	EventsLost  uint64 // that Options.Events was too slow for
	EventsPanic string // what Options.Events panicked with: it is called no more
}

// Stats returns the figures of this moment. It costs little.
func (db *DB) Stats() Stats {
	s := Stats{
		Seq:         db.visible.Load(),
		Commits:     db.counters.commits.Load(),
		Conflicts:   db.counters.conflicts.Load(),
		Checkpoints: db.counters.checkpoints.Load(),
		Stalls:      db.counters.stalls.Load(),
		StallTime:   time.Duration(db.counters.stallTime.Load()),
	}
	if l := db.listener; l != nil {
		l.mu.Lock()
		s.EventsLost, s.EventsPanic = l.allLost, l.panicked
		l.mu.Unlock()
	}
	db.mu.Lock()
	s.Views = db.views()
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
	s.MemtableBytes, s.Frozen = uint64(v.memtableBytes()), len(v.frozen)
	s.Generation = v.gen
	if db.log != nil {
		s.LogBytes = uint64(db.log.End()) - v.pager.Meta().LogStart
	} else {
		db.mu.Lock()
		if r := db.follow.replay; r.lsn > 0 {
			s.LogBytes = uint64(r.lsn) - r.pager.Meta().LogStart
		}
		db.mu.Unlock()
	}
	return s
}
