// Package vfs is the file system as the engine sees it: every byte that the
// engine reads or writes goes through an FS, so that the same code runs on the
// operating system, in memory, and in a simulator that loses, reorders and
// tears whatever was not synced.
//
// # What an implementation promises
//
//  1. Names are paths in the style of path/filepath; an implementation may be
//     used by many goroutines at once.
//  2. Files are created with mode 0600 and directories with 0700, whatever the
//     umask. The last element of a file's name is never followed as a
//     symbolic link.
//  3. Data written is durable when File.Sync on that file has returned nil. A
//     name made, renamed or removed is durable when SyncDir on its directory
//     has returned nil.
//  4. Errors wrap those of io/fs (fs.ErrNotExist, fs.ErrExist,
//     fs.ErrPermission) where they apply. IsNoSpace tells a full disk.
package vfs

import (
	"errors"
	"io"
)

// Mode says how Open opens a file.
type Mode uint8

const (
	// ReadOnly opens an existing file for reading.
	ReadOnly Mode = iota
	// ReadWrite opens an existing file for reading and writing.
	ReadWrite
	// Create opens a file for reading and writing and makes it when missing.
	Create
	// CreateNew makes a file for reading and writing; it fails with
	// fs.ErrExist when the name is taken.
	CreateNew
)

// FS is a file system.
type FS interface {
	// Open opens the file name. It never follows a symbolic link at name, and
	// fails on anything but a regular file.
	Open(name string, mode Mode) (File, error)
	// Mkdir makes one directory. It fails with fs.ErrExist when name is taken.
	Mkdir(name string) error
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// Rename moves a file or a directory. A file at newname is replaced.
	Rename(oldname, newname string) error
	// List returns the names in a directory, without the directory, sorted.
	List(dir string) ([]string, error)
	// Stat describes name without following a symbolic link.
	Stat(name string) (Info, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
	// Lock takes the exclusive lock of the file name, made when missing, and
	// writes holder (one line of text) into it. It never waits: a lock held
	// elsewhere, also by this process, gives a *LockedError. The kernel
	// releases the lock when the process dies. The file stays when the lock
	// is closed.
	Lock(name, holder string) (Lock, error)
}

// Info describes a file or directory.
type Info struct {
	Size  int64
	IsDir bool
	// Regular is true of an ordinary file: no link, device, pipe or directory.
	Regular bool
}

// File is an open file. ReadAt and WriteAt may be called at once by many
// goroutines; ReadAt follows io.ReaderAt (io.EOF on a short read at the end),
// WriteAt extends the file as needed.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Name is the name that the file was opened with.
	Name() string
	// Size is the file's length in bytes.
	Size() (int64, error)
	// Truncate sets the file's length; bytes gained read as zero.
	Truncate(size int64) error
	// Sync makes the data and the length durable. After an error the file's
	// unsynced data is in an unknown state for ever: never call Sync again.
	Sync() error
	// Allocate makes sure that the bytes off to off+n exist in the file and
	// own space on the disk, so that writing them later cannot meet a full
	// disk. Bytes that exist already keep their content; new ones are zero and
	// have been written, so that a Sync after writing them again needs no
	// metadata. After an error the length is what it was. It must not run at
	// once with a Truncate or a WriteAt past the end.
	Allocate(off, n int64) error
}

// Excluder is a File that can be held against all others who call Exclude on
// it, until it is closed: a *LockedError says that one of them has. It is for
// a file whose name cannot be taken away from its content, as that of a lock's
// file can. Those who only read are not kept out. Where the file of a held lock
// cannot be removed anyway, it does nothing.
type Excluder interface {
	Exclude() error
}

// Placer is a File that can tell whether its name still leads to it: the file,
// or a directory above it, may have been moved, removed or replaced.
type Placer interface {
	InPlace() (bool, error)
}

// Mapper is a File that can take writes through a shared memory mapping,
// which spares a system call for each. After Map has returned nil, a WriteAt
// within the first n bytes may store into the file's pages through a window
// that moves along with the writes; ReadAt, Sync and Close work as before. The
// caller has allocated those bytes (Allocate). After a fault while storing (the
// disk failed to read the page back, or is full and copies on write) WriteAt
// writes as without a mapping, and returns the error of that. A second
// Map replaces the first, Map(0) ends it. The caller sees to it that Map,
// Close, and other calls of WriteAt do not run at once with WriteAt, which
// takes no lock. An implementation without mappings does not have the method,
// or returns errors.ErrUnsupported.
type Mapper interface {
	Map(n int64) error
}

// WriteBacker is a File that can begin to move what was written to the disk, so
// that a later Sync has less to wait for. WriteBack does not wait for the disk,
// and makes nothing durable. After an error what was written there may be lost
// though a Sync succeeds: it must be written again, or be of no use to anybody.
// Where the system has no such call it does nothing.
type WriteBacker interface {
	WriteBack(off, n int64) error
}

// FreeSpacer is an FS that can tell how much a process without privileges may
// still write to the file system that dir is on, in bytes.
type FreeSpacer interface {
	FreeSpace(dir string) (int64, error)
}

// Lock is a held lock. SetHolder replaces the text in the lock's file.
// Close releases the lock and leaves the file.
type Lock interface {
	SetHolder(holder string) error
	io.Closer
}

// LockedError says that a lock is held, and what its file says of the holder.
type LockedError struct {
	Name   string
	Holder string
}

func (e *LockedError) Error() string {
	if e.Holder == "" {
		return e.Name + " is locked"
	}
	return e.Name + " is locked by " + e.Holder
}

// ErrNoSpace is wrapped by every error of a simulated file system that stands
// for a full disk. Use IsNoSpace to test an error of any implementation.
var ErrNoSpace = errors.New("no space left on device")
