package vfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
)

// Mem is a file system in memory, made for tests that build tens of thousands
// of them:
//
//  1. Clone and CopyFile cost the number of files, not their sizes: copies
//     share their bytes until one of them writes.
//  2. It behaves as a Unix file system does: a file stays readable and
//     writable through its handles after its name is gone.
//  3. Nothing is ever lost: Sync and SyncDir only check that they may be
//     called. What a crash leaves is faultfs.Sim's business.
//
// Every path begins at one root, whether it is written relative or absolute.
type Mem struct {
	mu   sync.RWMutex // lock order: mu, then memNode.mu
	root *memNode
}

// memNode is a directory, or a file under as many names as link to it.
type memNode struct {
	names  map[string]*memNode // of a directory, guarded by Mem.mu; nil in a file
	locked bool                // guarded by Mem.mu

	mu      sync.RWMutex
	content chunks // of a file
}

// maxMemFileBytes bounds a file in memory, so that a length read from a
// damaged file meets an error and not the end of memory.
const maxMemFileBytes = 1 << 36

var (
	errNotDir   = errors.New("not a directory")
	errIsDir    = errors.New("is a directory")
	errNotEmpty = errors.New("directory not empty")
)

// NewMem returns an empty file system.
func NewMem() *Mem {
	return &Mem{root: newMemDir()}
}

func newMemDir() *memNode { return &memNode{names: make(map[string]*memNode)} }

func (n *memNode) isDir() bool { return n.names != nil }

// Clone returns a copy that goes its own way from here. Nobody holds its
// locks.
func (m *Mem) Clone() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	copies := make(map[*memNode]*memNode)
	return &Mem{root: m.root.clone(copies)}
}

// clone copies a node once, so that a file under two names stays one file.
func (n *memNode) clone(copies map[*memNode]*memNode) *memNode {
	if done := copies[n]; done != nil {
		return done
	}
	out := new(memNode)
	copies[n] = out
	if !n.isDir() {
		n.mu.Lock()
		out.content = n.content.share()
		n.mu.Unlock()
		return out
	}
	out.names = make(map[string]*memNode, len(n.names))
	for name, child := range n.names {
		out.names[name] = child.clone(copies)
	}
	return out
}

func (m *Mem) Open(name string, mode Mode) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.openLocked(name, mode)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &memFile{name: name, node: n, readOnly: mode == ReadOnly}, nil
}

func (m *Mem) openLocked(name string, mode Mode) (*memNode, error) {
	dir, base, err := m.parent(name)
	if err != nil {
		return nil, err
	}
	n := dir.names[base]
	switch {
	case mode > CreateNew:
		return nil, fs.ErrInvalid
	case n == nil && mode < Create:
		return nil, fs.ErrNotExist
	case n != nil && mode == CreateNew:
		return nil, fs.ErrExist
	case n != nil && n.isDir():
		return nil, errNotRegular
	case n == nil:
		n = new(memNode)
		dir.names[base] = n
	}
	return n, nil
}

func (m *Mem) Mkdir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent(name)
	if err == nil && (base == "" || dir.names[base] != nil) {
		err = fs.ErrExist
	}
	if err != nil {
		return &fs.PathError{Op: "mkdir", Path: name, Err: err}
	}
	dir.names[base] = newMemDir()
	return nil
}

func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent(name)
	switch {
	case err != nil:
	case base == "":
		err = fs.ErrInvalid
	case dir.names[base] == nil:
		err = fs.ErrNotExist
	case len(dir.names[base].names) > 0:
		err = errNotEmpty
	}
	if err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	delete(dir.names, base)
	return nil
}

func (m *Mem) Rename(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.renameLocked(oldname, newname); err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	return nil
}

func (m *Mem) renameLocked(oldname, newname string) error {
	from, oldbase, err := m.parent(oldname)
	if err != nil {
		return err
	}
	to, newbase, err := m.parent(newname)
	if err != nil {
		return err
	}
	n, target := from.names[oldbase], to.names[newbase]
	switch {
	case n == nil:
		return fs.ErrNotExist
	case n == target:
		return nil // two names of one file, or one name twice
	case target != nil && (n.isDir() || target.isDir()):
		return fs.ErrExist
	case newbase == "" || n.isDir() && strings.HasPrefix(CleanMem(newname)+"/", CleanMem(oldname)+"/"):
		return fs.ErrInvalid
	}
	to.names[newbase] = n
	delete(from.names, oldbase)
	return nil
}

func (m *Mem) List(dir string) ([]string, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, err := m.lookup(dir)
	if err == nil && !n.isDir() {
		err = errNotDir
	}
	if err != nil {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: err}
	}
	names := make([]string, 0, len(n.names))
	for name := range n.names {
		names = append(names, name)
	}
	sort.StringSlice(names).Sort()
	return names, nil
}

func (m *Mem) Stat(name string) (Info, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, err := m.lookup(name)
	if err != nil {
		return Info{}, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	if n.isDir() {
		return Info{IsDir: true}, nil
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	return Info{Size: n.content.size, Regular: true}, nil
}

func (m *Mem) SyncDir(dir string) error {
	_, err := m.List(dir)
	return err
}

// lookup returns the node at name.
func (m *Mem) lookup(name string) (*memNode, error) {
	dir, base, err := m.parent(name)
	if err != nil {
		return nil, err
	}
	if base == "" {
		return dir, nil
	}
	if n := dir.names[base]; n != nil {
		return n, nil
	}
	return nil, fs.ErrNotExist
}

// parent returns the directory that name is in, and name's last element,
// which is empty for the root.
func (m *Mem) parent(name string) (*memNode, string, error) {
	if name == "" {
		return nil, "", fs.ErrNotExist
	}
	dir := m.root
	rest := CleanMem(name)
	for {
		element, after, more := strings.Cut(rest, "/")
		if !more {
			return dir, element, nil
		}
		next := dir.names[element]
		if next == nil {
			return nil, "", fs.ErrNotExist
		}
		if !next.isDir() {
			return nil, "", errNotDir
		}
		dir, rest = next, after
	}
}

// CleanMem returns the one spelling of name in a Mem: the elements below the
// root, with slashes between them.
func CleanMem(name string) string {
	name = strings.TrimLeft(filepath.ToSlash(name[len(filepath.VolumeName(name)):]), "/")
	return filepath.ToSlash(filepath.Clean("/" + name))[1:] // path.Clean would be another 4 kB of the program
}
