package vfs

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// What tests do to a Mem behind the back of whoever uses it.

// Names returns the paths of all files, sorted, each beginning at the root.
func (m *Mem) Names() []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var names []string
	var walk func(dir string, n *memNode)
	walk = func(dir string, n *memNode) {
		for base, child := range n.names {
			if child.isDir() {
				walk(dir+base+"/", child)
			} else {
				names = append(names, filepath.FromSlash(dir+base))
			}
		}
	}
	walk("/", m.root)
	slices.Sort(names)
	return names
}

// ReadFile returns a copy of a file's bytes.
func (m *Mem) ReadFile(name string) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, err := m.lookupFile(name)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	data := make([]byte, n.content.size)
	n.content.readAt(data, 0)
	return data, nil
}

// WriteFile gives a file new content, and makes the file and the directories
// above it when missing. Open handles see the change.
func (m *Mem) WriteFile(name string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.makeFile(name)
	if err != nil {
		return &fs.PathError{Op: "write", Path: name, Err: err}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.content.truncate(0)
	n.content.writeAt(data, 0)
	return nil
}

// CopyFile gives the file name the content that from has at fromName, and
// makes it as WriteFile does. The two share the bytes until one of them
// writes. from may be m.
func (m *Mem) CopyFile(name string, from *Mem, fromName string) error {
	content, err := from.shareFile(fromName)
	if err != nil {
		return &os.LinkError{Op: "copy", Old: fromName, New: name, Err: err}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.makeFile(name)
	if err != nil {
		return &os.LinkError{Op: "copy", Old: fromName, New: name, Err: err}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.content = content
	return nil
}

// Link gives the file oldname a second name, as an unsynced rename can leave
// it after a crash.
func (m *Mem) Link(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.lookupFile(oldname)
	if err == nil {
		var dir *memNode
		var base string
		dir, base, err = m.parent(newname)
		if err == nil && (base == "" || dir.names[base] != nil) {
			err = fs.ErrExist
		}
		if err == nil {
			dir.names[base] = n
			return nil
		}
	}
	return &os.LinkError{Op: "link", Old: oldname, New: newname, Err: err}
}

func (m *Mem) shareFile(name string) (chunks, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, err := m.lookupFile(name)
	if err != nil {
		return chunks{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.content.share(), nil
}

func (m *Mem) lookupFile(name string) (*memNode, error) {
	n, err := m.lookup(name)
	if err == nil && n.isDir() {
		err = errIsDir
	}
	return n, err
}

func (m *Mem) makeFile(name string) (*memNode, error) {
	if err := m.makeParents(filepath.Dir(name)); err != nil {
		return nil, err
	}
	return m.openLocked(name, Create)
}

// makeParents makes dir and what is missing above it.
func (m *Mem) makeParents(dir string) error {
	n, err := m.lookup(dir)
	if err == nil {
		if !n.isDir() {
			return errNotDir
		}
		return nil
	}
	if err := m.makeParents(filepath.Dir(dir)); err != nil {
		return err
	}
	parent, base, err := m.parent(dir)
	if err != nil {
		return err
	}
	parent.names[base] = newMemDir()
	return nil
}
