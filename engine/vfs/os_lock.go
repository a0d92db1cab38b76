package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode"
)

// maxHolderBytes bounds what is read of a lock's file, which anyone may have
// written.
const maxHolderBytes = 4 << 10

var errHeld = errors.New("lock is held")

// Lock takes a lock of the kernel on the open file (flock, LockFileEx), not a
// POSIX record lock: a process loses all of those on a file when it closes any
// descriptor of it, and they do not keep a process from locking twice.
func (osFS) Lock(name, holder string) (Lock, error) {
	for attempt := 1; ; attempt++ {
		f, err := openRegular(name, Create, os.OpenFile)
		if err != nil {
			return nil, err
		}
		l, err := lockFile(f, name, holder)
		if err == nil {
			return l, nil
		}
		f.Close()
		if !errors.Is(err, errMoved) || attempt == createAttempts {
			return nil, err
		}
	}
}

// errMoved says that the file which was locked is no longer the one that its
// name leads to: somebody removed it, and another process can lock a new one.
var errMoved = errors.New("the lock's file was replaced while it was taken")

func lockFile(f *os.File, name, holder string) (*osLock, error) {
	err := lockHandle(f)
	if errors.Is(err, errHeld) {
		return nil, &LockedError{Name: name, Holder: ReadHolder(f)}
	}
	if err != nil {
		return nil, err
	}
	locked, err := f.Stat()
	if err != nil {
		return nil, err
	}
	named, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(locked, named) {
		return nil, &fs.PathError{Op: "lock", Path: name, Err: errMoved}
	}
	if err != nil {
		return nil, err
	}
	l := &osLock{file: f}
	// The text is a help for whoever comes second. A full disk, which can be
	// the reason for opening the database, does not make the lock less held.
	if err := l.SetHolder(holder); err != nil && !IsNoSpace(err) {
		return nil, err
	}
	return l, nil
}

// ReadHolder returns what a lock's file says of its holder: its first line,
// made fit to print, and nothing when it cannot be read. It is for
// implementations of FS; their users find the text in a LockedError.
func ReadHolder(r io.ReaderAt) string {
	buf := make([]byte, maxHolderBytes)
	n, err := r.ReadAt(buf, 0)
	if err != nil && err != io.EOF {
		return ""
	}
	return holderLine(buf[:n])
}

// holderLine returns the first line of text without control characters.
func holderLine(text []byte) string {
	line, _, _ := bytes.Cut(text[:min(len(text), maxHolderBytes)], []byte("\n"))
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, string(line))
}

// osLock is a held lock of the operating system.
type osLock struct{ file *os.File }

func (l *osLock) SetHolder(holder string) error {
	n, err := l.file.WriteAt([]byte(holder+"\n"), 0)
	if err != nil {
		return err
	}
	return l.file.Truncate(int64(n))
}

// Close releases the lock, and does not leave that to the closing of the file:
// a program that is being started has it open, too, between fork and exec.
func (l *osLock) Close() error { return errors.Join(unlockHandle(l.file), l.file.Close()) }
