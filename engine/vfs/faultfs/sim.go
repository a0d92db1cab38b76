package faultfs

import (
	"errors"
	"io/fs"
	"os"
	"sync"

	"github.com/lightning-db/lightning/engine/vfs"
)

// ErrStopped is wrapped by the errors of a Sim that has come to StopAt.
var ErrStopped = errors.New("simulated process has stopped")

// ErrIO is wrapped by injected failures of a device.
var ErrIO = errors.New("input/output error")

// Sim is a file system in memory that knows what of it a disk would keep.
//
//  1. An operation that changes the disk is one record in the journal; a call
//     that failed without effect is none.
//  2. Image(n, d) depends on the first n records, on d, and on nothing else.
//  3. What was written to a file before a Sync of it that returned nil is in
//     every later image in which the file has a name, until it is overwritten
//     or cut off. A Sync of one file says nothing of another, nor of names.
//  4. A name made, renamed or removed before a SyncDir of its directory that
//     returned nil is so in every later image that holds the directory.
//
// It may be used by many goroutines at once, also Image while others write.
type Sim struct {
	// Before, if not nil, is called before each call that changes the disk, but
	// for Lock and SetHolder: by the caller's goroutine, and without a lock. A
	// sync of which it returns true does nothing. It is set before the first call.
	Before func(Op) (skip bool)

	watch

	mu         sync.Mutex // lock order: mu, then watch.mu
	live       *disk
	journal    []record
	stopAt     int // 0: never
	failSyncIn int // 0: not
	failSyncAs SyncFailure

	history history
}

// record is one operation as the journal holds it.
type record struct {
	Op
	id     inum  // the file or directory written or synced
	at     place // the name made, removed or renamed to
	moved  place // the name renamed from
	data   []byte
	failed SyncFailure // of a sync
}

// SyncFailure is what becomes of data whose sync fails. The file systems of
// Linux differ in it (Rebello et al., "Can Applications Recover from fsync
// Failures?", 2020).
type SyncFailure uint8

const (
	// SyncKeeps leaves what was unsynced readable and marks it clean: no later
	// sync makes it durable, although it returns nil.
	SyncKeeps SyncFailure = iota + 1
	// SyncDrops takes it out of the cache: the file reads as it is on the disk.
	SyncDrops
	// SyncLate is SyncKeeps, but the sync returns nil, and the next sync of the
	// file the error: until then the disk lies, and point 3 of Sim does not hold.
	SyncLate
)

// NewSim returns an empty disk.
func NewSim() *Sim { return newSim(newDisk()) }

// NewSimFrom returns a disk that holds m, all of it durable. It shares m's
// bytes until one of them writes. A file with two names becomes two files.
func NewSimFrom(m *vfs.Mem) *Sim { return newSim(diskFrom(m)) }

func newSim(base *disk) *Sim {
	return &Sim{live: base.clone(), history: history{marks: []*disk{base}}}
}

// Ops returns how many operations have changed the disk.
func (s *Sim) Ops() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.journal)
}

// StopAt makes the n-th operation, counted from 1 as Ops counts, and every
// later one fail with ErrStopped and without effect, as though the process
// had died; reads go on. 0 takes it back.
func (s *Sim) StopAt(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopAt = n
}

// FailSync is FailSyncAs with SyncKeeps.
func (s *Sim) FailSync(n int) { s.FailSyncAs(n, SyncKeeps) }

// FailSyncAs makes the n-th call of File.Sync from now, counted from 1, fail
// with ErrIO. 0 takes it back.
func (s *Sim) FailSyncAs(n int, how SyncFailure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failSyncIn, s.failSyncAs = n, how
}

// Image returns what the disk holds after a crash that comes when n
// operations have been completed, 0 to Ops. It panics on another n.
func (s *Sim) Image(n int, d Damage) *vfs.Mem {
	s.mu.Lock()
	journal := s.journal
	s.mu.Unlock()
	return s.history.image(journal, n, d)
}

// Losses is what the images have lost together since it was called last.
func (s *Sim) Losses() Losses {
	s.history.mu.Lock()
	defer s.history.mu.Unlock()
	lost := s.history.lost
	s.history.lost = Losses{}
	return lost
}

// Trace returns the journal as text, one operation a line.
func (s *Sim) Trace() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := make([]string, len(s.journal))
	for i, r := range s.journal {
		lines[i] = r.String()
		if r.failed > 0 {
			lines[i] += " failed"
		}
	}
	return lines
}

// before calls Before.
func (s *Sim) before(op Op) (skip bool) { return s.Before != nil && s.Before(op) }

func (s *Sim) Open(name string, mode vfs.Mode) (vfs.File, error) {
	if mode >= vfs.Create {
		s.before(Op{Kind: OpCreate, Name: name})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id, err := s.openLocked(name, mode)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	inner, err := s.live.seen.Open(id.file(), min(mode, vfs.ReadWrite))
	if err != nil {
		return nil, err
	}
	s.opened(name)
	return &simFile{sim: s, id: id, name: name, readOnly: mode == vfs.ReadOnly, inner: inner}, nil
}

// openLocked returns the file at name, made if mode asks for it.
func (s *Sim) openLocked(name string, mode vfs.Mode) (inum, error) {
	at, err := s.live.resolve(name)
	if err != nil {
		return 0, err
	}
	id, ok := s.live.lookup(at)
	switch {
	case mode > vfs.CreateNew:
		return 0, fs.ErrInvalid
	case ok && mode == vfs.CreateNew:
		return 0, fs.ErrExist
	case ok && s.live.nodes[id].isDir():
		return 0, errNotRegular
	case !ok && mode < vfs.Create:
		return 0, fs.ErrNotExist
	case ok:
		return id, nil
	}
	if err := s.do(record{Op: Op{Kind: OpCreate, Name: name}, at: at}); err != nil {
		return 0, err
	}
	id, _ = s.live.lookup(at)
	return id, nil
}

func (s *Sim) Mkdir(name string) error {
	s.before(Op{Kind: OpMkdir, Name: name})
	s.mu.Lock()
	defer s.mu.Unlock()
	at, err := s.live.resolve(name)
	if _, taken := s.live.lookup(at); err == nil && taken {
		err = fs.ErrExist
	}
	if err == nil {
		err = s.do(record{Op: Op{Kind: OpMkdir, Name: name}, at: at})
	}
	return pathError("mkdir", name, err)
}

func (s *Sim) Remove(name string) error {
	s.before(Op{Kind: OpRemove, Name: name})
	s.mu.Lock()
	defer s.mu.Unlock()
	at, err := s.live.resolve(name)
	if err == nil {
		err = s.live.mayRemove(at)
	}
	if err == nil {
		err = s.do(record{Op: Op{Kind: OpRemove, Name: name}, at: at})
	}
	return pathError("remove", name, err)
}

func (s *Sim) Rename(oldname, newname string) error {
	s.before(Op{Kind: OpRename, Name: oldname, NewName: newname})
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.renameLocked(oldname, newname)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	return nil
}

func (s *Sim) renameLocked(oldname, newname string) error {
	from, err := s.live.resolve(oldname)
	if err != nil {
		return err
	}
	to, err := s.live.resolve(newname)
	if err != nil {
		return err
	}
	if err := s.live.mayRename(from, to); err != nil || from == to {
		return err
	}
	return s.do(record{Op: Op{Kind: OpRename, Name: oldname, NewName: newname}, at: to, moved: from})
}

func (s *Sim) List(dir string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, err := s.live.find(dir)
	if err == nil && !s.live.nodes[id].isDir() {
		err = errNotDir
	}
	if err != nil {
		return nil, pathError("list", dir, err)
	}
	return sorted(s.live.nodes[id].seen), nil
}

func (s *Sim) Stat(name string) (vfs.Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, err := s.live.find(name)
	if err != nil {
		return vfs.Info{}, pathError("stat", name, err)
	}
	if s.live.nodes[id].isDir() {
		return vfs.Info{IsDir: true}, nil
	}
	return vfs.Info{Size: s.live.size(id), Regular: true}, nil
}

func (s *Sim) SyncDir(dir string) error {
	if s.before(Op{Kind: OpSyncDir, Name: dir}) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id, err := s.live.find(dir)
	if err == nil && !s.live.nodes[id].isDir() {
		err = errNotDir
	}
	if err == nil {
		err = s.do(record{Op: Op{Kind: OpSyncDir, Name: dir}, id: id})
	}
	return pathError("syncdir", dir, err)
}

// do writes an operation that cannot fail into the journal and carries it
// out.
func (s *Sim) do(r record) error {
	r.N = len(s.journal) + 1
	if s.stopAt > 0 && r.N >= s.stopAt {
		return ErrStopped
	}
	s.journal = append(s.journal, r)
	s.live.apply(&r)
	return nil
}

// syncFails counts a sync, and tells how it is to fail, if it is.
func (s *Sim) syncFails() SyncFailure {
	if s.failSyncIn == 0 {
		return 0
	}
	if s.failSyncIn--; s.failSyncIn > 0 {
		return 0
	}
	return s.failSyncAs
}

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}
