package engine

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/vfs"
)

// Limits, in bytes.
const (
	MaxKeySize   = kv.MaxKeySize   // 64 KiB
	MaxValueSize = kv.MaxValueSize // 1 GiB
	// MaxCommitSize bounds the log record of one commit: its keys and values
	// and a few bytes for each operation.
	MaxCommitSize = 3 << 30
	MinPageSize   = 1 << 10
	MaxPageSize   = 64 << 10
)

// SyncMode says what a commit waits for, and so what a crash can take.
type SyncMode uint8

const (
	// SyncFull: a commit returns when it and all before it are on stable
	// storage. Neither a process crash nor a power cut loses it.
	SyncFull SyncMode = iota
	// SyncNormal: a commit returns when the operating system has it; a
	// background sync follows within Options.SyncInterval. A process crash
	// loses nothing; a power cut loses at most that interval, and leaves a
	// consistent prefix of the commits.
	SyncNormal
	// SyncOff: nobody syncs but checkpoints, Sync and Close. A power cut
	// leaves a consistent prefix.
	SyncOff
)

var syncModes = [...]string{"full", "normal", "off"}

func (m SyncMode) String() string {
	if int(m) < len(syncModes) {
		return syncModes[m]
	}
	return fmt.Sprintf("SyncMode(%d)", m)
}

// ParseSyncMode reads "full", "normal" or "off".
func ParseSyncMode(s string) (SyncMode, error) {
	for i, name := range syncModes {
		if s == name {
			return SyncMode(i), nil
		}
	}
	return 0, invalidf("unknown sync mode %q: use full, normal or off", s)
}

// Compression is how a keyspace's nodes and large values are stored. Each is
// stored compressed only where that saves at least an eighth.
type Compression uint8

const (
	CompressionNone = Compression(compress.None)
	CompressionS2   = Compression(compress.S2)   // fast
	CompressionZstd = Compression(compress.Zstd) // small
)

var compressions = [...]string{"none", "s2", "zstd"}

func (c Compression) String() string {
	if int(c) < len(compressions) {
		return compressions[c]
	}
	return fmt.Sprintf("Compression(%d)", c)
}

// ParseCompression reads "none", "s2" or "zstd".
func ParseCompression(s string) (Compression, error) {
	for i, name := range compressions {
		if s == name {
			return Compression(i), nil
		}
	}
	return 0, invalidf("unknown compression %q: use none, s2 or zstd", s)
}

// Options are the settings of Open. Their zero value is a good default. A size,
// a time or a limit below 0 is ErrInvalid.
type Options struct {
	// ReadOnly opens an existing database for reading. It creates nothing,
	// works on a read-only directory, and may be used while another process
	// writes: it shows what was committed when it opened, until Refresh.
	ReadOnly bool
	// MustExist makes Open fail with ErrNotExist where there is no database,
	// instead of creating one.
	MustExist bool
	// Sync is what a commit waits for. Default: SyncFull.
	Sync SyncMode
	// SyncInterval is the longest time that SyncNormal leaves a commit
	// unsynced. What is done while little is written, to settle and to shrink
	// the file, begins after as long, and after a second at least. Default:
	// 100 ms.
	SyncInterval time.Duration
	// CacheBytes is the limit of the cache of nodes and large values, and of
	// copies of the entries that are read often, which take up to a
	// thirty-second of it. One value takes at most a sixteenth of it. Default:
	// 64 MiB.
	CacheBytes int64
	// MemtableBytes is the size at which the active memtable is frozen and
	// merged into the tree in the background. Two frozen ones may wait beside it
	// before writers do, so memtables take up to three times this, and what the
	// last commit made them larger. Recovery, and a read-only database, hold in
	// memtables all of the log that is not in the tree: what those of the process
	// that wrote it held, whatever this says here. Default: an eighth of
	// CacheBytes, from 8 to 32 MiB, so that the memory of the whole process
	// follows CacheBytes: with 64 MiB, putting and reading 10,000,000 keys took
	// some 230 MiB. Larger ones make random writes into a large database
	// faster.
	//
	// A memtable that took its keys in no order has no order until somebody asks:
	// the first Scan or Iterator over it sorts it, and the next put makes a tree of
	// it, while all who write wait. Both take a time that grows with this: about
	// 50 ms each for 32 MiB.
	MemtableBytes int64
	// MaxWALBytes is how much log may gather before a checkpoint. It bounds
	// the time that recovery takes. Default: 256 MiB.
	MaxWALBytes int64
	// MaxHeldBytes is how much log may be held back from recycling for
	// readers of changes, and how much KeepLog keeps beside that, less on a disk
	// that was full. Default: 1 GiB.
	MaxHeldBytes int64
	// SegmentBytes is the size of a log segment. Default: 16 MiB.
	SegmentBytes int64
	// PageSize and Compression are those of the default keyspace of a database
	// that Open creates. PageSize is the size in bytes, before compression,
	// that a node of the tree aims for: a power of two from 1 KiB to 64 KiB.
	// Defaults: 4096, none.
	PageSize    int
	Compression Compression
	// LockWait is how long Open waits for another writer to leave. Default:
	// not at all.
	LockWait time.Duration
	// Holder is what the lock says of this process beside its pid.
	Holder string
	// Events, when not nil, is called with what happens to the database: see
	// Event. The calls come one after the other, in the order in which it
	// happened, from a goroutine of their own, beside all other work and outside
	// all locks: the first may come before Open returns. So it may take its time,
	// and call methods of the database; but 256 events at most wait for it, and
	// those that do not fit are lost, and counted (EventHead.Lost,
	// Stats.EventsLost). Close waits a second at most for it to take what waits,
	// in vain where it is called by the listener itself, and no call begins once
	// Close has returned. A listener that panics is called no more
	// (Stats.EventsPanic), and is counted (Stats.Errors). engine/eventlog has one that logs.
	Events func(Event) `json:"-"`
	// SlowOperation is how long a get, a Has, a commit or a Sync must take for Events
	// to be told of it; a scan takes as long as its caller. Default: nobody is told,
	// and no clock is read.
	SlowOperation time.Duration
	// Health says from when on DB.Health finds fault.
	Health HealthLimits
	// Report, when not nil, is called every ReportInterval with the database, one
	// call at a time, by a goroutine that nothing waits for, Close neither: to
	// hand on Stats or WriteMetrics. It may call whatever it likes. One that
	// panics is not called again, and is counted (Stats.Errors). After Close none
	// begins.
	Report func(*DB) `json:"-"`
	// ReportInterval is how often. Default: a minute.
	ReportInterval time.Duration
	// FS is the file system. Default: vfs.OS().
	FS vfs.FS
}

func (o *Options) withDefaults() (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	if err := c.checkSigns(); err != nil {
		return c, err
	}
	set(&c.CacheBytes, 64<<20)
	set(&c.MemtableBytes, min(max(c.CacheBytes/8, 8<<20), 32<<20))
	set(&c.MaxWALBytes, 256<<20)
	set(&c.MaxHeldBytes, 1<<30)
	set(&c.SegmentBytes, 16<<20)
	set(&c.SyncInterval, 100*time.Millisecond)
	set(&c.ReportInterval, time.Minute)
	c.Health.setDefaults()
	if c.FS == nil {
		c.FS = vfs.OS()
	}
	if c.Events == nil {
		c.SlowOperation = 0
	}
	if int(c.Sync) >= len(syncModes) {
		return c, invalidf("unknown sync mode %d", c.Sync)
	}
	space := KeyspaceOptions{PageSize: c.PageSize, Compression: c.Compression}
	err := space.check()
	c.PageSize = space.PageSize
	return c, err
}

// checkSigns refuses what is below 0, or no number: a mistake, which would else be the
// default. It says times in seconds.
func (o *Options) checkSigns() error {
	h := &o.Health
	for _, f := range [...]struct {
		name  string
		value float64
	}{
		{"CacheBytes", float64(o.CacheBytes)},
		{"MemtableBytes", float64(o.MemtableBytes)},
		{"MaxWALBytes", float64(o.MaxWALBytes)},
		{"MaxHeldBytes", float64(o.MaxHeldBytes)},
		{"SegmentBytes", float64(o.SegmentBytes)},
		{"SyncInterval", o.SyncInterval.Seconds()},
		{"LockWait", o.LockWait.Seconds()},
		{"SlowOperation", o.SlowOperation.Seconds()},
		{"ReportInterval", o.ReportInterval.Seconds()},
		{"Health.CheckpointTime", h.CheckpointTime.Seconds()},
		{"Health.SnapshotAge", h.SnapshotAge.Seconds()},
		{"Health.LogShare", h.LogShare},
		{"Health.CacheHits", h.CacheHits},
		{"Health.Errors", h.Errors},
		{"Health.DiskCheckpoints", h.DiskCheckpoints},
	} {
		if !(f.value >= 0) {
			return invalidf("%s is %v: use 0 for the default, or more", f.name, f.value)
		}
	}
	return nil
}

// set sets a field that has no value yet.
func set[N ~int64 | ~float64](field *N, value N) {
	if *field == 0 {
		*field = value
	}
}

// KeyspaceOptions are the settings of a keyspace, fixed when it is created.
type KeyspaceOptions struct {
	PageSize    int // as Options.PageSize
	Compression Compression
}

func (o *KeyspaceOptions) check() error {
	if o.PageSize == 0 {
		o.PageSize = 4096
	}
	if o.PageSize < MinPageSize || o.PageSize > MaxPageSize || bits.OnesCount(uint(o.PageSize)) != 1 {
		return invalidf("page size %d: use a power of two from %d to %d", o.PageSize, MinPageSize, MaxPageSize)
	}
	if int(o.Compression) >= len(compressions) {
		return invalidf("unknown compression %d", o.Compression)
	}
	return nil
}
