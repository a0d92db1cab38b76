package engine

import (
	"errors"
	"fmt"

	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/internal/wal"
	"github.com/lightning-db/lightning/engine/vfs"
)

// Errors that callers test for with errors.Is. The class of each, which says
// what to do about it, stands behind it (ClassOf).
var (
	// ErrNotFound: the key has no value. It is returned as it is, without the key,
	// which the caller knows: to ask for what is not there costs no memory. (answer)
	ErrNotFound = errors.New("key not found")
	// ErrConflict: another transaction committed what this one had read (or,
	// under SnapshotIsolation, written) since it began. Nothing was written.
	// Update runs the function again by itself. (retry)
	ErrConflict = errors.New("transaction conflict")
	// ErrLocked: another process, or this one, has the database open for
	// writing. The error is a *LockedError. (retry)
	ErrLocked = errors.New("database is in use")
	// ErrReadOnly: a write on a database or transaction opened for reading.
	// (input)
	ErrReadOnly = errors.New("read-only")
	// ErrInvalid: an argument or option that is never right, or a call in a
	// place where it must not be. Nothing was done. (input)
	ErrInvalid = errors.New("invalid")
	// ErrTooLarge: a key, a value or a commit above its limit. Nothing was
	// written. (input)
	ErrTooLarge = errors.New("too large")
	// ErrClosed: the database, transaction, snapshot, iterator or reader of changes
	// is closed; the message says which.
	// (input)
	ErrClosed = errors.New("closed")
	// ErrNotExist: there is no database in the directory. (input)
	ErrNotExist = errors.New("no database here")
	// ErrExists: the directory to restore into is already there. (input)
	ErrExists = errors.New("already exists")
	// ErrFormat: the directory or stream holds something else than Lightning's
	// files; not a byte of it was changed. (input)
	ErrFormat = errors.New("not a Lightning database")
	// ErrNoKeyspace: no keyspace of that name (any more). (input)
	ErrNoKeyspace = errors.New("no such keyspace")
	// ErrKeyspaceExists: the name is taken. (input)
	ErrKeyspaceExists = errors.New("keyspace exists")
	// ErrGone: the changes asked for are no longer in the log. (input)
	ErrGone = errors.New("no longer in the log")
	// ErrChain: backups of different databases or histories, one that is missing
	// or out of order, or a sequence number that they do not have. (input)
	ErrChain = errors.New("the backups do not fit")
	// ErrVersion: the files are of a format that this version does not know.
	// (environment)
	ErrVersion = errors.New("unknown format version")
	// ErrNoSpace: the disk is full. The commit was not made and nothing
	// earlier is lost; when there is space again writing goes on. (environment)
	ErrNoSpace = errors.New("no space left on the disk")
	// ErrFailed: a write or sync failed earlier, and what the disk holds of
	// the newest commits is unknown. The database serves reads and takes no
	// more writes; closing and opening it again recovers what is on the disk.
	// (reopen)
	ErrFailed = errors.New("database failed")
	// ErrCommitUnknown: the commit met a failure after its record may have
	// reached the file. It may be there after the next open, whole, or not.
	// (reopen)
	ErrCommitUnknown = errors.New("outcome of the commit is unknown")
	// ErrCorrupt: bytes on disk are not what was written. The error is a
	// *CorruptError. What is not damaged stays readable. (restore)
	ErrCorrupt = errors.New("corrupt")
)

// What is closed or read-only, where it is known, and why there is no such
// keyspace. They are made once: some are returned where much is asked for.
var (
	errDBClosed       = &about{"the database is closed", ErrClosed}
	errTxClosed       = &about{"the transaction is over: it was committed or rolled back", ErrClosed}
	errSnapshotClosed = &about{"the snapshot is closed", ErrClosed}
	errIteratorClosed = &about{"the iterator is closed", ErrClosed}
	errChangesClosed  = &about{"the reader of changes is closed", ErrClosed}
	errDBReadOnly     = &about{"the database is open read-only", ErrReadOnly}
	errTxReadOnly     = &about{"the transaction is read-only", ErrReadOnly}
	errOtherKeyspace  = &about{"no such keyspace: it is one of another database", ErrNoKeyspace}
	errNoKeyspaceThen = &about{"no such keyspace: it was dropped, or was not there yet when the transaction or snapshot began", ErrNoKeyspace}
	errDropped        = &about{"no such keyspace: it was dropped", ErrNoKeyspace}
)

// Arguments that must be there.
const (
	errNoFunction = invalid("the function is nil")
	errNoKeyspace = invalid("the keyspace is nil")
	errNoWriter   = invalid("the writer is nil")
	errNoReader   = invalid("the reader is nil")
	errNoFS       = invalid("the file system is nil")
	errNoDatabase = invalid("the database is nil")
)

// about is an error that says what one of the errors above is about.
type about struct {
	text string
	err  error
}

func (e *about) Error() string { return e.text }

// Unwrap makes errors.Is hold.
func (e *about) Unwrap() error { return e.err }

// invalid is an ErrInvalid that says what is wrong.
type invalid string

func (e invalid) Error() string { return string(e) }

// Is makes errors.Is(err, ErrInvalid) hold.
func (e invalid) Is(target error) bool { return target == ErrInvalid }

//go:noinline // as errorf
func invalidf(format string, args ...any) error { return invalid(fmt.Sprintf(format, args...)) }

// CorruptError says where damage was met. errors.Is(err, ErrCorrupt) holds.
type CorruptError struct {
	Path   string // file
	Offset int64  // in the file, in bytes
	Kind   string // checksum, misdirected, stale, foreign, structure, truncated, log, or missing
	Reason string // what is wrong
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s is damaged at offset %d: %s", e.Path, e.Offset, e.Reason)
}

// Is makes errors.Is(err, ErrCorrupt) hold.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// LockedError names who holds the database. errors.Is(err, ErrLocked) holds.
type LockedError struct {
	Path   string // the database
	Holder string // what its lock says, such as "pid 4242 (lightning import)"
}

func (e *LockedError) Error() string {
	if e.Holder == "" {
		return e.Path + " is in use by another process"
	}
	return e.Path + " is in use by " + e.Holder
}

// Is makes errors.Is(err, ErrLocked) hold.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// public turns an error of the layers below into one of this package's.
func public(err error) error {
	if err == nil {
		return nil
	}
	if node, ok := errors.AsType[*pager.CorruptError](err); ok {
		return &CorruptError{Path: node.Path, Offset: int64(node.Offset), Kind: node.Kind.String(), Reason: node.Reason}
	}
	if log, ok := errors.AsType[*wal.CorruptError](err); ok {
		return &CorruptError{Path: log.Path, Offset: log.Offset, Kind: "log", Reason: log.Reason}
	}
	switch {
	case errors.Is(err, ErrNoSpace), errors.Is(err, ErrFormat):
		return err
	case errors.Is(err, pager.ErrVersion):
		return errorf("%w: %w", ErrVersion, err)
	case errors.Is(err, pager.ErrFormat):
		return errorf("%w: %w", ErrFormat, err)
	case vfs.IsNoSpace(err):
		return errorf("%w: %w", ErrNoSpace, err)
	case errors.Is(err, wal.ErrTooLarge):
		return errorf("%w: %w", ErrTooLarge, err)
	}
	return err
}

// errorf is fmt.Errorf, which the compiler inlines: 70 bytes in each place.
//
//go:noinline
func errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }
