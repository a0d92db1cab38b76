package wal

import (
	"errors"
	"fmt"
)

var (
	// ErrCorrupt is wrapped by every *CorruptError.
	ErrCorrupt = errors.New("the log is damaged")
	// ErrMissing says that a segment that is needed is not there. It comes in
	// a *CorruptError. Beside a live writer it may only mean that the meta
	// which was read has been replaced since.
	ErrMissing = errors.New("log segment is missing")
	// ErrMismatch says that a segment belongs to another database. It comes
	// in a *CorruptError.
	ErrMismatch = errors.New("log segment of another database")
	// ErrCut says that records are whole behind the end of the log, from which
	// Open cuts them off. A power cut may leave that. It comes in a
	// *CorruptError of Check.
	ErrCut = errors.New("the log goes on behind its end")
	// ErrFailed is wrapped by every error after which the log takes no more
	// records, because it can no longer know what is on the disk.
	ErrFailed = errors.New("the log has failed")
	// ErrTooLarge says that a record is too large for the format. Nothing was
	// written.
	ErrTooLarge = errors.New("record is too large")
	// ErrGone says that the part of the log that a reader needs is no longer
	// there, because a checkpoint made it superfluous.
	ErrGone = errors.New("that part of the log is gone")
	// ErrHoldBroken says that a hold kept more than Options.MaxHeld bytes.
	ErrHoldBroken = errors.New("the hold on the log kept too much and was broken")
	// ErrForeign says that a directory holds a file that is not a log's.
	ErrForeign = errors.New("not a file of a log")
	// ErrClosed is returned by every method after Close.
	ErrClosed = errors.New("the log is closed")
)

// CorruptError is one damage: where it is and what is wrong there.
type CorruptError struct {
	Path      string
	Offset    int64
	LSN       LSN    // the position that Offset stands for; 0 in a segment header
	Invariant string // the promise of docs/FORMAT.md that is broken
	Reason    string
	Cause     error // ErrMissing, ErrMismatch, ErrCut, io.ErrUnexpectedEOF in the header, why it cannot be read, or nil
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s at offset %d: %s", e.Path, e.Offset, e.Reason)
}

// Unwrap returns ErrCorrupt and the cause.
func (e *CorruptError) Unwrap() []error {
	if e.Cause == nil {
		return []error{ErrCorrupt}
	}
	return []error{ErrCorrupt, e.Cause}
}

// join is errors.Join, which would be inlined: 400 bytes in each place.
//
//go:noinline
func join(err, other error) error { return errors.Join(err, other) }

// errorf is fmt.Errorf, which the compiler inlines: 70 bytes in each place.
//
//go:noinline
func errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }
