package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sort"
)

// The operating system's files. Beyond what every FS promises:
//
//  1. Opening a name that holds a pipe, a device, a socket, a directory or a
//     symbolic link fails at once; it neither waits nor follows.
//  2. A short write or an interrupted system call is carried on until it is
//     complete or fails for another reason.
//  3. A file that could not be allocated to the end has its old length.
//  4. On Unix, a file that root makes is of whoever owns its directory, if the
//     file system allows that.
//
// What differs between systems is in os_linux.go, os_darwin.go, os_unix.go
// and os_windows.go.
type osFS struct{}

// OS returns the operating system's file system.
func OS() FS { return osFS{} }

var errNotRegular = errors.New("not a regular file")

// createAttempts bounds how often Create starts again because the file was
// made or removed between its two system calls.
const createAttempts = 10

func (osFS) Open(name string, mode Mode) (File, error) {
	f, err := openRegular(name, mode, openShared)
	if err != nil {
		return nil, err
	}
	return &osFile{name: name, file: f}, nil
}

func (osFS) Mkdir(name string) error {
	if err := os.Mkdir(name, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(name)
	if err != nil {
		return err
	}
	// A umask only takes permissions away, and the path is touched again only
	// in the odd case that it took the owner's.
	if info.Mode().Perm()&0o700 == 0o700 {
		return nil
	}
	return os.Chmod(name, 0o700)
}

func (osFS) Remove(name string) error { return os.Remove(name) }

func (osFS) Rename(oldname, newname string) error { return rename(oldname, newname) }

func (osFS) List(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	sort.StringSlice(names).Sort()
	return names, err
}

func (osFS) Stat(name string) (Info, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return Info{}, err
	}
	out := Info{IsDir: info.IsDir(), Regular: info.Mode().IsRegular()}
	if out.Regular {
		out.Size = info.Size()
	}
	return out, nil
}

func (osFS) SyncDir(dir string) error { return syncDir(dir) }

// opener is os.OpenFile, or openShared.
type opener func(name string, flag int, perm fs.FileMode) (*os.File, error)

// openRegular opens name, and makes it with mode 0600 when mode says so.
func openRegular(name string, mode Mode, open opener) (*os.File, error) {
	switch mode {
	case ReadOnly:
		return open.existing(name, os.O_RDONLY)
	case ReadWrite:
		return open.existing(name, os.O_RDWR)
	case Create:
		return open.existingOrNew(name)
	case CreateNew:
		return open.new(name)
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("mode %d: %w", mode, fs.ErrInvalid)}
}

// existingOrNew tells a file it made from one it found, so that only its own
// gets its permissions set.
func (open opener) existingOrNew(name string) (*os.File, error) {
	for attempt := 1; ; attempt++ {
		f, err := open.existing(name, os.O_RDWR)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
		f, err = open.new(name)
		if err == nil || !errors.Is(err, fs.ErrExist) || attempt == createAttempts {
			return f, err
		}
	}
}

func (open opener) new(name string) (*os.File, error) {
	f, err := open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|openFlags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(0o600); err != nil {
		f.Close()
		os.Remove(name)
		return nil, err
	}
	giveAway(f)
	return f, nil
}

func (open opener) existing(name string, flag int) (*os.File, error) {
	f, err := open(name, flag|openFlags, 0)
	if isNotRegular(err) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errNotRegular}
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if !info.Mode().IsRegular() {
		f.Close()
		return nil, &fs.PathError{Op: "open", Path: name, Err: errNotRegular}
	}
	return f, nil
}
