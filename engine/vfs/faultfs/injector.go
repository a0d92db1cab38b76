package faultfs

import (
	"errors"
	"path/filepath"
	"slices"
	"sync"

	"github.com/lightning-db/lightning/engine/vfs"
)

// Injector wraps a file system and makes it fail.
//
//  1. Every call is counted, and shown to the hook before it is made. When
//     the hook returns an error the call is not made and returns that error,
//     but for two: Close closes all the same, as the kernel does, and a read or
//     write that meets a *Short does that much.
//  2. Without a fault it behaves as what it wraps, and adds nothing.
//
// It may be used by many goroutines at once; faults may be changed meanwhile.
// A hook is called without any lock, by whoever calls, and may not assume an
// order between goroutines.
type Injector struct {
	watch
	inner vfs.FS

	mu    sync.Mutex
	calls int
	hook  func(Op) error
	fail  failure
	flips map[flip]bool
	trace []string
	// tracing keeps the trace from growing through long runs that nobody
	// reads it of.
	tracing bool

	space space
}

// Short is what a hook, or FailNth, gives to a read or a write for it to do its
// first Bytes bytes and fail with Err. For any other call it is an error like
// any other.
type Short struct {
	Bytes int
	Err   error
}

func (e *Short) Error() string { return "cut short: " + e.Err.Error() }

func (e *Short) Unwrap() error { return e.Err }

// failure is a planned fault: the n-th call from now, of some kinds.
type failure struct {
	in      int // calls until it strikes, 0: never
	err     error
	forever bool
	kinds   []Kind // nil: all
}

// flip is a bit of a file that reads wrong.
type flip struct {
	name string
	bit  int64
}

// Inject returns an Injector that does no harm yet.
func Inject(fs vfs.FS) *Injector {
	return &Injector{inner: fs, flips: make(map[flip]bool), space: newSpace()}
}

// SetHook makes hook decide about every call; nil takes it back. It is asked
// before a fault planned by FailNth.
func (in *Injector) SetHook(hook func(Op) error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.hook = hook
}

// FailNth makes the n-th call from now, counted from 1 and among the given
// kinds (all when there are none), fail with err, and when forever is set
// every later one of them too. It replaces what an earlier FailNth planned; 0
// only takes that back.
func (in *Injector) FailNth(n int, err error, forever bool, kinds ...Kind) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.fail = failure{in: n, err: err, forever: forever, kinds: slices.Clone(kinds)}
}

// FlipOnRead makes the given bit of a file (bit b of byte n is 8n+b) read
// wrong. The second call for a bit makes it read right again.
func (in *Injector) FlipOnRead(name string, bit int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := flip{filepath.Clean(name), bit}
	if in.flips[f] {
		delete(in.flips, f)
	} else {
		in.flips[f] = true
	}
}

// SetCapacity sets how large all files together may become, in bytes,
// negative for no limit. Only files count that were opened through the
// Injector. Growing past it writes what there is room for and fails with
// vfs.ErrNoSpace; removing and truncating files gives room.
func (in *Injector) SetCapacity(bytes int64) { in.space.setLimit(bytes) }

// Fill sets the capacity to what all files together take at this moment, and
// returns how much that is.
func (in *Injector) Fill() (bytes int64) {
	s := &in.space
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = s.used
	return s.used
}

// Calls returns how many calls of all kinds there have been.
func (in *Injector) Calls() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.calls
}

// StartTrace forgets the trace and records from now on.
func (in *Injector) StartTrace() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.trace, in.tracing = nil, true
}

// Trace returns the calls since StartTrace as text, one a line, in order.
func (in *Injector) Trace() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.trace)
}

// before counts a call and returns the fault that it is to meet.
func (in *Injector) before(op Op) error {
	hook, planned := in.count(&op)
	if hook != nil {
		if err := hook(op); err != nil {
			return err
		}
	}
	return planned
}

func (in *Injector) count(op *Op) (hook func(Op) error, planned error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.calls++
	op.N = in.calls
	if in.tracing {
		in.trace = append(in.trace, op.String())
	}
	return in.hook, in.fail.strike(op.Kind)
}

// strike counts a call towards the planned failure.
func (f *failure) strike(kind Kind) error {
	if f.in == 0 || f.kinds != nil && !slices.Contains(f.kinds, kind) {
		return nil
	}
	if f.in > 1 {
		f.in--
		return nil
	}
	if !f.forever {
		f.in = 0
	}
	return f.err
}

func (in *Injector) Open(name string, mode vfs.Mode) (vfs.File, error) {
	op := Op{Kind: OpOpen, Name: name}
	if mode >= vfs.Create {
		op.Kind = OpCreate
	}
	if err := in.before(op); err != nil {
		return nil, pathError("open", name, err)
	}
	f, err := in.inner.Open(name, mode)
	if err != nil {
		return nil, err
	}
	used, err := in.space.opened(name, f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	in.opened(name)
	return &injectedFile{in: in, inner: f, name: name, used: used}, nil
}

func (in *Injector) Mkdir(name string) error {
	if err := in.before(Op{Kind: OpMkdir, Name: name}); err != nil {
		return pathError("mkdir", name, err)
	}
	return in.inner.Mkdir(name)
}

func (in *Injector) Remove(name string) error {
	if err := in.before(Op{Kind: OpRemove, Name: name}); err != nil {
		return pathError("remove", name, err)
	}
	err := in.inner.Remove(name)
	if err == nil {
		in.space.removed(name)
	}
	return err
}

func (in *Injector) Rename(oldname, newname string) error {
	if err := in.before(Op{Kind: OpRename, Name: oldname, NewName: newname}); err != nil {
		return pathError("rename", oldname, err)
	}
	err := in.inner.Rename(oldname, newname)
	if err == nil {
		in.space.renamed(oldname, newname)
	}
	return err
}

func (in *Injector) List(dir string) ([]string, error) {
	if err := in.before(Op{Kind: OpList, Name: dir}); err != nil {
		return nil, pathError("list", dir, err)
	}
	return in.inner.List(dir)
}

func (in *Injector) Stat(name string) (vfs.Info, error) {
	if err := in.before(Op{Kind: OpStat, Name: name}); err != nil {
		return vfs.Info{}, pathError("stat", name, err)
	}
	return in.inner.Stat(name)
}

func (in *Injector) SyncDir(dir string) error {
	if err := in.before(Op{Kind: OpSyncDir, Name: dir}); err != nil {
		return pathError("syncdir", dir, err)
	}
	return in.inner.SyncDir(dir)
}

func (in *Injector) Lock(name, holder string) (vfs.Lock, error) {
	if err := in.before(Op{Kind: OpLock, Name: name}); err != nil {
		return nil, pathError("lock", name, err)
	}
	l, err := in.inner.Lock(name, holder)
	if err != nil {
		return nil, err
	}
	in.opened(name)
	return &injectedLock{in: in, inner: l, name: name}, nil
}
