package vfs

import (
	"io"
	"io/fs"
	"sync/atomic"
)

// memFile is an open file of a Mem.
type memFile struct {
	name     string
	node     *memNode
	readOnly bool
	closed   atomic.Bool
}

func (f *memFile) Name() string { return f.name }

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.check("read", off, 0, false); err != nil {
		return 0, err
	}
	f.node.mu.RLock()
	n := f.node.content.readAt(p, off)
	f.node.mu.RUnlock()
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.check("write", off, int64(len(p)), true); err != nil {
		return 0, err
	}
	f.node.mu.Lock()
	f.node.content.writeAt(p, off)
	f.node.mu.Unlock()
	return len(p), nil
}

func (f *memFile) Size() (int64, error) {
	if err := f.check("stat", 0, 0, false); err != nil {
		return 0, err
	}
	f.node.mu.RLock()
	defer f.node.mu.RUnlock()
	return f.node.content.size, nil
}

func (f *memFile) Truncate(size int64) error {
	if err := f.check("truncate", size, 0, true); err != nil {
		return err
	}
	f.node.mu.Lock()
	f.node.content.truncate(size)
	f.node.mu.Unlock()
	return nil
}

func (f *memFile) Sync() error { return f.check("sync", 0, 0, false) }

func (f *memFile) Allocate(off, n int64) error {
	if err := f.check("allocate", off, n, true); err != nil {
		return err
	}
	f.node.mu.Lock()
	if off+n > f.node.content.size {
		f.node.content.truncate(off + n)
	}
	f.node.mu.Unlock()
	return nil
}

// Map implements Mapper: in memory every write is a store already, and taking
// part lets tests run the code that a mapping is for.
func (f *memFile) Map(n int64) error { return f.check("mmap", 0, n, true) }

func (f *memFile) Close() error {
	if f.closed.Swap(true) {
		return &fs.PathError{Op: "close", Path: f.name, Err: fs.ErrClosed}
	}
	return nil
}

// check refuses what an operating system would: a closed file, a write to a
// file that is open for reading, a range that no file can have.
func (f *memFile) check(op string, off, n int64, write bool) error {
	var err error
	switch {
	case f.closed.Load():
		err = fs.ErrClosed
	case write && f.readOnly:
		err = fs.ErrPermission
	case off < 0 || n < 0:
		err = fs.ErrInvalid
	case write && (off > maxMemFileBytes || n > maxMemFileBytes-off):
		err = ErrNoSpace
	default:
		return nil
	}
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}
