package faultfs

import (
	"io/fs"

	"github.com/lightning-db/lightning/engine/vfs"
)

// Lock takes a lock, which no image keeps: it goes with its process.
func (s *Sim) Lock(name, holder string) (vfs.Lock, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, err := s.openLocked(name, vfs.Create)
	if err != nil {
		return nil, pathError("lock", name, err)
	}
	if s.live.nodes[id].locked {
		return nil, &vfs.LockedError{Name: name, Holder: vfs.ReadHolder(open(s.live.seen, id.file()))}
	}
	l := &simLock{sim: s, id: id, name: name, held: true}
	if err := l.setHolderLocked(holder); err != nil {
		return nil, pathError("lock", name, err)
	}
	s.live.nodes[id].locked = true
	s.opened(name)
	return l, nil
}

// simLock is a held lock of a Sim.
type simLock struct {
	sim  *Sim
	id   inum
	name string
	held bool // guarded by sim.mu
}

func (l *simLock) SetHolder(holder string) error {
	l.sim.mu.Lock()
	defer l.sim.mu.Unlock()
	err := l.setHolderLocked(holder)
	return pathError("lock", l.name, err)
}

func (l *simLock) setHolderLocked(holder string) error {
	if !l.held {
		return fs.ErrClosed
	}
	text := []byte(holder + "\n")
	return l.sim.do(record{Op: Op{Kind: OpSetHolder, Name: l.name, Len: int64(len(text))}, id: l.id, data: text})
}

func (l *simLock) Close() error {
	l.sim.mu.Lock()
	defer l.sim.mu.Unlock()
	if !l.held {
		return pathError("close", l.name, fs.ErrClosed)
	}
	l.held = false
	l.sim.live.nodes[l.id].locked = false
	l.sim.closed(l.name)
	return nil
}
