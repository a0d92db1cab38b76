package faultfs

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/lightning-db/lightning/engine/vfs"
)

// How a disk understands paths, and what it refuses to do with them.

var (
	errNotDir     = errors.New("not a directory")
	errNotEmpty   = errors.New("directory not empty")
	errNotRegular = errors.New("not a regular file")
)

// resolve returns the place that name means, which may be empty; its
// directory is there. Every path begins at the one root.
func (d *disk) resolve(name string) (place, error) {
	if name == "" {
		return place{}, fs.ErrNotExist
	}
	at := place{dir: rootDir}
	rest := vfs.CleanMem(name)
	for {
		element, after, more := strings.Cut(rest, "/")
		at.base = element
		if !more {
			return at, nil
		}
		id, ok := d.nodes[at.dir].seen[element]
		if !ok {
			return place{}, fs.ErrNotExist
		}
		if !d.nodes[id].isDir() {
			return place{}, errNotDir
		}
		at.dir, rest = id, after
	}
}

// find returns what is at name.
func (d *disk) find(name string) (inum, error) {
	at, err := d.resolve(name)
	if err != nil {
		return 0, err
	}
	id, ok := d.lookup(at)
	if !ok {
		return 0, fs.ErrNotExist
	}
	return id, nil
}

// lookup returns what programs see at p; the root is at the place without a
// name.
func (d *disk) lookup(p place) (inum, bool) {
	if p.base == "" {
		return p.dir, true
	}
	id, ok := d.nodes[p.dir].seen[p.base]
	return id, ok
}

func (d *disk) mayRemove(p place) error {
	id, ok := d.lookup(p)
	switch {
	case !ok:
		return fs.ErrNotExist
	case id == rootDir:
		return fs.ErrInvalid
	case len(d.nodes[id].seen) > 0:
		return errNotEmpty
	}
	return nil
}

func (d *disk) mayRename(from, to place) error {
	id, ok := d.lookup(from)
	if !ok {
		return fs.ErrNotExist
	}
	target, taken := d.lookup(to)
	isDir := d.nodes[id].isDir()
	switch {
	case id == rootDir || isDir && d.inside(to.dir, id):
		return fs.ErrInvalid
	case taken && target != id && (isDir || d.nodes[target].isDir()):
		return fs.ErrExist
	}
	return nil
}

// inside reports whether dir is the directory outer or somewhere below it.
func (d *disk) inside(dir, outer inum) bool {
	if dir == outer {
		return true
	}
	for _, id := range d.nodes[outer].seen {
		if d.nodes[id].isDir() && d.inside(dir, id) {
			return true
		}
	}
	return false
}
