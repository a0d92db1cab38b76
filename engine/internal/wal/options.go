package wal

import (
	"math"
	"path/filepath"
	"time"

	"github.com/lightning-db/lightning/engine/vfs"
)

// Options say where the log is and how it is kept.
type Options struct {
	FS   vfs.FS
	Dir  string   // the log's own directory; Create makes it
	UUID [16]byte // of the database
	// SegmentSize is the length of a segment file in bytes; 0 stands for
	// 16 MiB. A record that does not fit gets a larger one.
	SegmentSize int64
	// Mapped asks for writes through a shared mapping where files have one.
	Mapped bool
	// Spares is how many segments are kept to be used again; 0 stands for 2,
	// and less for none.
	Spares int
	// Replayed, when not nil, is called by Open once it has called apply for the
	// last time, before it writes anything.
	Replayed func()
	// Rotated, when not nil, is called when the log goes on in another segment,
	// with its number and the length of its file, and how long an Append waited for
	// it. It is called by that, or by Shrink, and must not wait.
	Rotated func(segment uint64, bytes int64, waited time.Duration)
	// MaxHeld is how many bytes holds may keep from being released before the
	// oldest is broken, and how many bytes the kept log may have; 0 stands for
	// 1 GiB.
	MaxHeld int64
	// Kept is a directory for segments that are released: see keep.go. Where it
	// is not there they are used again or removed.
	Kept string
}

const (
	defaultSegmentSize = 16 << 20
	minSegmentSize     = 2 * dataOffset
	smallSegmentSize   = 8 * dataOffset
	defaultSpares      = 2
	defaultMaxHeld     = 1 << 30
)

// firstCapacity is the number of LSNs that the first segment of a log holds: a
// sixty-fourth of an ordinary one, so that a database with little in it stays
// small. A growing one soon has ordinary segments, as each is up to sixteen
// times as long as the one before.
func (o *Options) firstCapacity() int64 {
	return max((o.capacity()+dataOffset)/64&^(alignment-1), minSegmentSize) - dataOffset
}

// capacityAfter is the number of LSNs that the segment after s holds.
func (o *Options) capacityAfter(s *segment) int64 {
	return min(o.capacity(), 16*(s.capacity+dataOffset)-dataOffset)
}

// capacity is the number of LSNs that an ordinary segment holds.
func (o *Options) capacity() int64 {
	size := o.SegmentSize
	if size == 0 {
		size = defaultSegmentSize
	}
	return max(size, minSegmentSize)&^(alignment-1) - dataOffset
}

// smallCapacity is the number of LSNs that a segment holds where the disk has no
// room for an ordinary one, and a record of size bytes has to go in.
func (o *Options) smallCapacity(size int64) int64 {
	return max(min(o.capacity(), smallSegmentSize-dataOffset), (size+dataOffset-1)&^(dataOffset-1))
}

// maxCapacity stands for any capacity.
const maxCapacity = math.MaxInt64

func (o *Options) spares() int {
	if o.Spares == 0 {
		return defaultSpares
	}
	return max(o.Spares, 0)
}

func (o *Options) maxHeld() int64 {
	if o.MaxHeld == 0 {
		return defaultMaxHeld
	}
	return o.MaxHeld
}

// rotated tells of a segment that has become the active one.
func (o *Options) rotated(s *segment, waited time.Duration) {
	if o.Rotated != nil {
		o.Rotated(s.number, dataOffset+s.capacity, waited)
	}
}

//go:noinline // filepath.Join in all that names a file
func (o *Options) path(name string) string { return filepath.Join(o.Dir, name) }
