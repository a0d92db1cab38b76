package faultfs

import (
	"bytes"
	"errors"
	"io/fs"
	"sync/atomic"

	"github.com/lightning-db/lightning/engine/vfs"
)

// simFile is an open file of a Sim. It reads what programs see; what changes
// the disk goes through the journal.
type simFile struct {
	sim      *Sim
	id       inum
	name     string
	readOnly bool
	inner    vfs.File // of disk.seen, named by the file's number
	closed   atomic.Bool
}

// maxFileBytes is the limit of the memory files below.
const maxFileBytes = 1 << 36

func (f *simFile) Name() string { return f.name }

func (f *simFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.inner.ReadAt(p, off)
	return n, f.named(err)
}

func (f *simFile) WriteAt(p []byte, off int64) (int, error) {
	op := Op{Kind: OpWrite, Off: off, Len: int64(len(p))}
	if err := f.change(op, bytes.Clone(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *simFile) Size() (int64, error) {
	size, err := f.inner.Size()
	return size, f.named(err)
}

func (f *simFile) Truncate(size int64) error {
	return f.change(Op{Kind: OpTruncate, Off: size}, nil)
}

func (f *simFile) Allocate(off, n int64) error {
	return f.change(Op{Kind: OpAllocate, Off: off, Len: n}, nil)
}

// Map implements vfs.Mapper: a store into a mapping is as unsynced as a write.
func (f *simFile) Map(n int64) error {
	return f.check("mmap", 0, n)
}

func (f *simFile) Sync() error {
	if f.sim.before(Op{Kind: OpSync, Name: f.name}) {
		return nil
	}
	f.sim.mu.Lock()
	defer f.sim.mu.Unlock()
	err := f.syncLocked()
	f.sim.synced(f.name, err)
	return pathError("sync", f.name, err)
}

func (f *simFile) syncLocked() error {
	if f.closed.Load() {
		return fs.ErrClosed
	}
	r := record{Op: Op{Kind: OpSync, Name: f.name}, id: f.id, failed: f.sim.syncFails()}
	if err := f.sim.do(r); err != nil {
		return err
	}
	n := f.sim.live.nodes[f.id]
	told := n.late
	n.late = r.failed == SyncLate
	if told || r.failed > 0 && r.failed != SyncLate {
		return ErrIO
	}
	return nil
}

func (f *simFile) Close() error {
	if f.closed.Swap(true) {
		return pathError("close", f.name, fs.ErrClosed)
	}
	f.sim.closed(f.name)
	return f.named(f.inner.Close())
}

// change journals an operation on the file's data.
func (f *simFile) change(op Op, data []byte) error {
	op.Name = f.name
	f.sim.before(op)
	f.sim.mu.Lock()
	defer f.sim.mu.Unlock()
	if err := f.check(op.Kind.String(), op.Off, op.Len); err != nil {
		return err
	}
	return pathError(op.Kind.String(), f.name, f.sim.do(record{Op: op, id: f.id, data: data}))
}

// check refuses what the memory files below would, so that what reaches the
// journal cannot fail.
func (f *simFile) check(op string, off, n int64) error {
	var err error
	switch {
	case f.closed.Load():
		err = fs.ErrClosed
	case f.readOnly:
		err = fs.ErrPermission
	case off < 0 || n < 0:
		err = fs.ErrInvalid
	case off > maxFileBytes || n > maxFileBytes-off:
		err = vfs.ErrNoSpace
	}
	return pathError(op, f.name, err)
}

// named puts the file's own name into an error of the file below.
func (f *simFile) named(err error) error {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError(inner.Op, f.name, inner.Err)
	}
	return err
}
