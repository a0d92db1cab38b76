package engine

import "time"

// Event is something that happened to a database: what Options.Events is
// called with. It is one of the pointers to the types of this file, to be told
// apart by a type switch; later versions may have more of them. It is the
// listener's to keep.
type Event interface {
	Head() *EventHead
	event() // nobody else has any
}

// EventHead is what all events have.
type EventHead struct {
	Time time.Time // when it happened
	// Lost is how many events between the one before and this one were not
	// delivered, because too many waited.
	Lost uint64
}

// Head is what all events have.
func (h *EventHead) Head() *EventHead { return h }

func (h *EventHead) event() {}

// Opened is the first event: Open has recovered the database. An Open that
// returns an error delivers nothing.
type Opened struct {
	EventHead
	Path   string
	Report OpenReport // what was replayed of the log, and what was cut off it
}

// Closed is the last event: Close has closed the files.
type Closed struct {
	EventHead
	Duration time.Duration // of Close so far
	Err      error         // what Close returns
}

// CheckpointKind is what a checkpoint is for.
type CheckpointKind string

const (
	CheckpointMemtables CheckpointKind = "memtables" // writes what was committed since the last one
	CheckpointRuns      CheckpointKind = "runs"      // merges sorted runs into the trees
	CheckpointCompact   CheckpointKind = "compact"   // moves what is at the end of btree.db, to cut it
	CheckpointClose     CheckpointKind = "close"     // notes that the database was closed
)

// CheckpointBegun says that btree.db is about to be written: by the engine, by
// itself or for Close, or for Checkpoint or Compact, which make one or several.
// CheckpointEnded follows.
type CheckpointBegun struct {
	EventHead
	Kind       CheckpointKind
	Operations int   // in the memtables that it writes
	LogBytes   int64 // from where recovery would start to the end of the log
}

// CheckpointEnded says what a checkpoint did. One that meets a full disk may be
// tried again at once, by what can be given up for that.
type CheckpointEnded struct {
	EventHead
	Kind       CheckpointKind
	Operations int   // in the memtables that it was to write
	Bytes      int64 // of extents that were written to btree.db
	LogBefore  int64 // CheckpointBegun.LogBytes
	LogAfter   int64 // the same, now
	Duration   time.Duration
	Err        error // why all is as it was before; nil: it is durable
}

// LogRotated says that the log goes on in another segment.
type LogRotated struct {
	EventHead
	Segment uint64 // its number
	Bytes   int64  // length of its file
	// Waited is how long commits waited for it. It is next to nothing when it was
	// ready, which it is unless the log grows faster than files can be made.
	Waited time.Duration
}

// StallCause is why commits wait.
type StallCause string

const (
	StallMemtables StallCause = "memtables" // Options.MemtableBytes is reached
	StallLog       StallCause = "log"       // Options.MaxWALBytes is reached
)

// StallBegun says that a commit waits for a checkpoint, because everything that
// may wait for one is full. Others may join it.
type StallBegun struct {
	EventHead
	Cause StallCause
}

// StallEnded says that no commit waits any more. Where writers are always ahead
// of the checkpoints, so that one waits at any time, that is one long stall.
type StallEnded struct {
	EventHead
	Cause    StallCause
	Commits  int           // that waited
	Duration time.Duration // since StallBegun
	Err      error         // what the last of them is refused with; nil: it goes on
}

// SlowOperation is a call that took Options.SlowOperation or longer. Of scans and
// backups nobody is told: they take as long as who asks for them takes what they
// bring. Checkpoints have events of their own.
type SlowOperation struct {
	EventHead
	// Operation is "get" or "has", of a key that had to be looked for in the
	// tree, by whatever call; "put" or "delete"; "commit", of a transaction, a
	// batch, a range that is deleted, or a keyspace that is created or dropped;
	// or "sync", by Sync.
	Operation  string
	Keyspace   string // name; of a "commit" and a "sync" empty
	Operations int    // that are committed; of any other 0
	Bytes      int    // of keys and values, about: those that are committed, or the value that was got
	Duration   time.Duration
	Err        error // what it returned; a key that is not there is no error
}

// CachePressure says that the cache is full and too small for what is read: in
// ten seconds less than 80 % of the nodes and values that were asked for were in
// memory, and 1000 or more had to be read. It is told again only after it was
// not so. Merges, backups and long scans do not count (Stats.CacheMisses).
type CachePressure struct {
	EventHead
	Hits, Misses uint64 // in that time
	CacheBytes   int64
	CacheLimit   int64 // Options.CacheBytes
}

// Corruption says that damage was met, by a call, which returned Err too, or by
// the engine's own work. A place that is met again is not told again, as long as
// there are not hundreds of them.
type Corruption struct {
	EventHead
	Err *CorruptError
}

// DiskFull says that the disk is full: a commit was refused, or a checkpoint
// not made, or there is no room for the next segment of the log, or for what is
// kept for a full disk. It is told again only after SpaceRegained.
type DiskFull struct {
	EventHead
	Err error
}

// SpaceRegained says that after DiskFull there is room again for the log, and
// what is kept for a full disk is there. A commit or a checkpoint notices that.
type SpaceRegained struct {
	EventHead
	Duration time.Duration // since DiskFull
}

// BackgroundError is an error of the engine's own work, which no call returns.
// Those of a full disk are DiskFull, and one that ends all writing is Failed.
type BackgroundError struct {
	EventHead
	Doing string // "checkpoint", for example
	Err   error
}

// Failed says that the database takes no more writes (ErrFailed). Closing and
// opening it again recovers what is on the disk.
type Failed struct {
	EventHead
	Err error
}
