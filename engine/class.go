package engine

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"syscall"
)

// Class is what to do about an error.
type Class uint8

const (
	// ClassAnswer: nothing is wrong, but only nil says that the call did what it
	// was asked for. Else there is no such key, the stream has ended, or the context
	// was done first: Update, Apply and Commit have then written nothing.
	ClassAnswer Class = iota
	// ClassRetry: nothing was done, and the same call may succeed in a moment, as
	// it is. Retry makes it again.
	ClassRetry
	// ClassInput: nothing was done, and the call will fail in the same way until
	// the program, or what it was given, is changed: a key, a path, an option.
	ClassInput
	// ClassEnvironment: nothing was done, and the call may be made again when what
	// surrounds the database is mended: space, rights, a device, a version.
	ClassEnvironment
	// ClassReopen: the database takes no more writes. Mend the cause, close it and
	// open it again; then look whether the commit is there before it is made
	// again.
	ClassReopen
	// ClassRestore: bytes are damaged. Restore a backup, or save what can be read
	// with lightning repair.
	ClassRestore
	// ClassUnknown: the error is none of this package's, as that of a function
	// that was given to Update, or it is a bug, to be reported.
	ClassUnknown
)

var classNames = [...]string{"answer", "retry", "input", "environment", "reopen", "restore", "unknown"}

func (c Class) String() string { return classNames[min(int(c), len(classNames)-1)] }

// classes are in their order: an error may have several causes, and the one that
// asks for most counts. A failed database, say, can have met a full disk.
var classes = [...]struct {
	class  Class
	errors []error
}{
	{ClassRestore, []error{ErrCorrupt}},
	{ClassReopen, []error{ErrFailed, ErrCommitUnknown}},
	{ClassEnvironment, []error{ErrNoSpace, ErrVersion}},
	{ClassRetry, []error{ErrConflict, ErrLocked}},
	{ClassInput, []error{
		ErrReadOnly, ErrInvalid, ErrTooLarge, ErrClosed, ErrNotExist, ErrExists, ErrFormat, ErrNoKeyspace, ErrKeyspaceExists, ErrGone,
		ErrChain,
	}},
	{ClassAnswer, []error{ErrNotFound, context.Canceled, context.DeadlineExceeded, io.EOF}},
}

// ClassOf returns the class of an error of this package, or of one that wraps
// it. Errors of the file system are of ClassEnvironment, and nil of ClassAnswer.
func ClassOf(err error) Class {
	if err == nil {
		return ClassAnswer
	}
	for _, c := range classes {
		for _, target := range c.errors {
			if errors.Is(err, target) {
				return c.class
			}
		}
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return ClassEnvironment
	}
	if _, ok := errors.AsType[syscall.Errno](err); ok {
		return ClassEnvironment
	}
	return ClassUnknown
}
