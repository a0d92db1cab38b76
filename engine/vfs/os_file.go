package vfs

import (
	"errors"
	"io/fs"
	"os"
)

// osFile is an open file of the operating system. os.File carries on after
// short writes and interrupted calls, and makes calls on a closed file fail
// rather than reach another file's descriptor.
type osFile struct {
	name   string
	file   *os.File
	mapped mapping // only on Linux; see Map
	held   bool    // by Exclude
}

func (f *osFile) Name() string { return f.name }

func (f *osFile) ReadAt(p []byte, off int64) (int, error) { return f.file.ReadAt(p, off) }

func (f *osFile) WriteAt(p []byte, off int64) (int, error) {
	if !f.mapped.takes(len(p), off) {
		return f.file.WriteAt(p, off)
	}
	done := 0
	for done < len(p) {
		at := off + int64(done)
		window := f.mapped.covered(at)
		if window == nil {
			if f.slide(at) != nil {
				n, err := f.file.WriteAt(p[done:], at)
				return done + n, err
			}
			window = f.mapped.covered(at)
		}
		n, err := store(window, p[done:])
		if err != nil {
			n, err = f.writeAfterFault(p[done:], at, err)
			return done + n, err
		}
		done += n
	}
	return done, nil
}

// writeAfterFault writes what met a fault when it was stored. A file system that
// copies on write finds new blocks for what is overwritten; where the disk is
// full it has none for the page, and only a write can say that this is why. A
// file that was cut short is not made longer.
func (f *osFile) writeAfterFault(p []byte, off int64, fault error) (int, error) {
	if size, err := f.Size(); err != nil || size < off+int64(len(p)) {
		return 0, &fs.PathError{Op: "store", Path: f.name, Err: fault}
	}
	return f.file.WriteAt(p, off)
}

func (f *osFile) Size() (int64, error) {
	info, err := f.file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f *osFile) Truncate(size int64) error { return f.file.Truncate(size) }

func (f *osFile) Sync() error { return datasync(f.file) }

// allocateChunkBytes is how much Allocate writes in one call. The page cache
// holds it as one piece, if it can, which a store into a mapping then gets by
// one fault and a sync writes as a whole: larger pieces would save faults, and
// make the sync of a small record write more than it has to.
const allocateChunkBytes = 64 << 10

var zeros [allocateChunkBytes]byte

// Allocate writes zeros, and does not only reserve blocks: a reserved block
// that was never written costs metadata in the first sync after its first
// write, which on ext4 makes that sync half as slow again.
func (f *osFile) Allocate(off, n int64) error {
	if off < 0 || n < 0 || off+n < 0 {
		return &fs.PathError{Op: "allocate", Path: f.name, Err: fs.ErrInvalid}
	}
	size, err := f.Size()
	if err != nil {
		return err
	}
	err = reserve(f.file, off, n)
	for at := size; err == nil && at < off+n; {
		chunk := min(off+n-at, allocateChunkBytes)
		_, err = f.file.WriteAt(zeros[:chunk], at)
		at += chunk
	}
	if err == nil {
		return nil
	}
	return errors.Join(err, f.shrinkTo(size))
}

// shrinkTo takes back what a failed Allocate added.
func (f *osFile) shrinkTo(size int64) error {
	now, err := f.Size()
	if err != nil || now <= size {
		return err
	}
	return f.file.Truncate(size)
}

// InPlace implements Placer.
func (f *osFile) InPlace() (bool, error) {
	named, err := os.Lstat(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	open, err := f.file.Stat()
	return os.SameFile(open, named), err
}

// Exclude implements Excluder.
func (f *osFile) Exclude() error {
	err := excludeHandle(f.file)
	if errors.Is(err, errHeld) {
		return &LockedError{Name: f.name}
	}
	f.held = err == nil
	return err
}

func (f *osFile) Close() error {
	err := f.mapped.unmap()
	if f.held { // as osLock.Close does
		err = errors.Join(err, unlockHandle(f.file))
	}
	return errors.Join(err, f.file.Close())
}
