package faultfs

import (
	"errors"
	"path/filepath"
	"sync/atomic"

	"github.com/lightning-db/lightning/engine/vfs"
)

// injectedFile is an open file of an Injector.
type injectedFile struct {
	in     *Injector
	inner  vfs.File
	name   string
	used   *usage
	closed atomic.Bool
}

func (f *injectedFile) Name() string { return f.name }

func (f *injectedFile) ReadAt(p []byte, off int64) (int, error) {
	p, fault := f.beforeData(OpRead, p, off)
	if fault != nil && len(p) == 0 {
		return 0, fault
	}
	n, err := f.inner.ReadAt(p, off)
	f.in.flipBits(f.name, p[:n], off)
	if err == nil {
		err = fault
	}
	return n, err
}

func (f *injectedFile) WriteAt(p []byte, off int64) (int, error) {
	p, fault := f.beforeData(OpWrite, p, off)
	if fault != nil && len(p) == 0 {
		return 0, fault
	}
	n, err := f.writeAt(p, off)
	if err == nil {
		err = fault
	}
	return n, err
}

// beforeData is before, for a call that moves p. It returns what of p is moved.
func (f *injectedFile) beforeData(kind Kind, p []byte, off int64) ([]byte, error) {
	err := f.before(kind, off, int64(len(p)))
	if short, ok := errors.AsType[*Short](err); ok {
		return p[:min(max(short.Bytes, 0), len(p))], err
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// writeAt writes what the disk has room for.
func (f *injectedFile) writeAt(p []byte, off int64) (int, error) {
	room := f.in.space.grow(f.used, off+int64(len(p)))
	fits := int64(len(p))
	if end := off + fits; room < end {
		fits = max(room-off, 0)
	}
	n, err := 0, error(nil)
	if fits > 0 || len(p) == 0 {
		n, err = f.inner.WriteAt(p[:fits], off)
	}
	if err == nil && fits < int64(len(p)) {
		err = pathError("write", f.name, vfs.ErrNoSpace)
	}
	return n, f.giveBack(err)
}

func (f *injectedFile) Size() (int64, error) {
	if err := f.before(OpSize, 0, 0); err != nil {
		return 0, err
	}
	return f.inner.Size()
}

func (f *injectedFile) Truncate(size int64) error {
	if err := f.before(OpTruncate, size, 0); err != nil {
		return err
	}
	if f.in.space.grow(f.used, size) < size {
		return f.giveBack(pathError("truncate", f.name, vfs.ErrNoSpace))
	}
	if err := f.inner.Truncate(size); err != nil {
		return f.giveBack(err)
	}
	f.in.space.shrink(f.used, size)
	return nil
}

func (f *injectedFile) Allocate(off, n int64) error {
	if err := f.before(OpAllocate, off, n); err != nil {
		return err
	}
	if f.in.space.grow(f.used, off+n) < off+n {
		return f.giveBack(pathError("allocate", f.name, vfs.ErrNoSpace))
	}
	return f.giveBack(f.inner.Allocate(off, n))
}

// giveBack returns err, after giving back the space that a call took and,
// failing, did not use.
func (f *injectedFile) giveBack(err error) error {
	if err != nil {
		if size, sizeErr := f.inner.Size(); sizeErr == nil {
			f.in.space.shrink(f.used, size)
		}
	}
	return err
}

// Map implements vfs.Mapper if the file below does.
func (f *injectedFile) Map(n int64) error {
	if err := f.before(OpMap, 0, n); err != nil {
		return err
	}
	if m, ok := f.inner.(vfs.Mapper); ok {
		return m.Map(n)
	}
	return pathError("mmap", f.name, errors.ErrUnsupported)
}

func (f *injectedFile) Sync() error {
	err := f.before(OpSync, 0, 0)
	if err == nil {
		err = f.inner.Sync()
	}
	f.in.synced(f.name, err)
	return err
}

func (f *injectedFile) Close() error {
	fault := f.before(OpClose, 0, 0)
	err := f.inner.Close()
	if !f.closed.Swap(true) {
		f.in.closed(f.name)
	}
	return errors.Join(fault, err)
}

func (f *injectedFile) before(kind Kind, off, n int64) error {
	return pathError(kind.String(), f.name, f.in.before(Op{Kind: kind, Name: f.name, Off: off, Len: n}))
}

// flipBits turns over the bits of p, read at off, that read wrong.
func (in *Injector) flipBits(name string, p []byte, off int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	name = filepath.Clean(name)
	for f := range in.flips {
		at := f.bit/8 - off
		if f.name == name && at >= 0 && at < int64(len(p)) {
			p[at] ^= 1 << (f.bit % 8)
		}
	}
}
