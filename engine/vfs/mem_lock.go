package vfs

import (
	"io/fs"
	"sync"
)

// Lock emulates the kernel's lock: it is on the file, not on the name.
func (m *Mem) Lock(name, holder string) (Lock, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.openLocked(name, Create)
	if err != nil {
		return nil, &fs.PathError{Op: "lock", Path: name, Err: err}
	}
	if n.locked {
		f := &memFile{name: name, node: n}
		return nil, &LockedError{Name: name, Holder: ReadHolder(f)}
	}
	n.locked = true
	l := &memLock{fs: m, file: memFile{name: name, node: n}}
	return l, l.SetHolder(holder)
}

// memLock is a held lock of a Mem.
type memLock struct {
	fs   *Mem
	file memFile
	once sync.Once
}

func (l *memLock) SetHolder(holder string) error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(holder+"\n"), 0)
	return err
}

func (l *memLock) Close() error {
	l.once.Do(func() {
		l.fs.mu.Lock()
		l.file.node.locked = false
		l.fs.mu.Unlock()
	})
	return l.file.Close()
}
