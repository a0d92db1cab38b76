package pager

import (
	"errors"
	"fmt"
)

var (
	// ErrFormat is wrapped by the error for a file that is no btree.db.
	ErrFormat = errors.New("not a database")
	// ErrVersion is wrapped by the error for a btree.db of a format version that
	// this program does not know.
	ErrVersion = errors.New("unknown format version")
	// ErrNoRoom is returned when nothing fits below the ceiling that
	// Writer.SetBounds set. The writer goes on as before.
	ErrNoRoom = errors.New("no room below the ceiling")
	// ErrReadOnly is returned by Begin when the file was opened for reading.
	ErrReadOnly = errors.New("the database is open for reading only")
	// ErrBusy is returned by Begin while another Writer is at work.
	ErrBusy = errors.New("a writer is at work")
)

// Kind is what is wrong with bytes on the disk.
type Kind uint8

const (
	// Checksum: an extent's bytes disagree with its own checksum. They have
	// changed since they were written, or were never all written.
	Checksum Kind = iota + 1
	// Stale: a whole extent of this database and of the right sort, but not
	// the one that the reference means: a write was lost, and an older one
	// shows, or one of its kin was written over it.
	Stale
	// Misdirected: a whole extent of this database that belongs elsewhere.
	Misdirected
	// Foreign: a whole extent of another database.
	Foreign
	// Structure: the checksum holds, and yet the content breaks the format.
	Structure
	// Truncated: the file ends before the extent does.
	Truncated
)

func (k Kind) String() string {
	switch k {
	case Checksum:
		return "checksum"
	case Stale:
		return "stale"
	case Misdirected:
		return "misdirected"
	case Foreign:
		return "foreign"
	case Structure:
		return "structure"
	case Truncated:
		return "truncated"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// CorruptError says that bytes on the disk are not what they must be.
type CorruptError struct {
	Path   string // the file
	Offset uint64 // of the extent or meta in it
	Kind   Kind
	// Invariant is the number of the promise of docs/FORMAT.md that is broken.
	Invariant string
	Reason    string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s: corrupt at offset %d: %v: %s", e.Path, e.Offset, e.Kind, e.Reason)
}

// errorf is fmt.Errorf, which the compiler inlines: 70 bytes in each place.
//
//go:noinline
func errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }
