package faultfs

import (
	"slices"
	"sort"
	"strconv"

	"github.com/lightning-db/lightning/engine/vfs"
)

// disk is the state of the simulated disk after a prefix of the journal: what
// programs see, what is durable, and the changes that lead from the one to
// the other.
//
//  1. It changes only through apply, so that replaying the journal's first n
//     records always gives the same disk.
//  2. A file's durable content with all its changes is what programs see,
//     unless a sync of it has failed.
//  3. The durable names with all name changes are the names programs see.
type disk struct {
	seen    *vfs.Mem // content of each file by its number
	durable *vfs.Mem
	nodes   []*node      // by their numbers
	names   []nameChange // not synced, in the order made
}

// inum is the number of a file or directory, never used twice.
type inum int

const rootDir inum = 0

func (i inum) file() string { return strconv.Itoa(int(i)) }

// node is a file or a directory.
type node struct {
	seen, durable map[string]inum // of a directory; nil in a file

	changes []change // of a file: since its last sync, in the order made
	// astray is set when a sync failed that keeps: the changes of then are visible
	// and marked clean, and no later sync writes them.
	astray bool
	// Of the live disk: the lock is held, and a sync has failed and nobody was told.
	locked, late bool
}

func (n *node) isDir() bool { return n.seen != nil }

// change is a write, or with nil data a new length, of a file.
type change struct {
	off  int64
	data []byte
	size int64 // the file's length afterwards
}

// nameChange is an unsynced change of names.
type nameChange struct {
	kind  nameChangeKind
	id    inum
	at    place // where the name is made, or removed
	moved place // of a rename: where it was
}

type nameChangeKind uint8

const (
	nameMade nameChangeKind = iota + 1
	nameRemoved
	nameMoved
)

// place is a name in a directory.
type place struct {
	dir  inum
	base string
}

func newDisk() *disk {
	return &disk{
		seen:    vfs.NewMem(),
		durable: vfs.NewMem(),
		nodes:   []*node{newDirNode()},
	}
}

// cloned returns a copy of a directory's names; of a file's there are none.
// (maps.Clone, and maps.Keys below, would be another 5 kB of the program.)
func cloned(names map[string]inum) map[string]inum {
	if names == nil {
		return nil
	}
	out := make(map[string]inum, len(names))
	for base, id := range names {
		out[base] = id
	}
	return out
}

func sorted(names map[string]inum) []string {
	bases := make([]string, 0, len(names))
	for base := range names {
		bases = append(bases, base)
	}
	sort.StringSlice(bases).Sort()
	return bases
}

func newDirNode() *node {
	return &node{seen: make(map[string]inum), durable: make(map[string]inum)}
}

// diskFrom returns a disk that holds m, durable.
func diskFrom(m *vfs.Mem) *disk {
	d := newDisk()
	d.adopt(m, "", rootDir)
	d.names = nil
	for _, n := range d.nodes {
		n.durable = cloned(n.seen)
	}
	return d
}

// adopt makes what m holds in a directory. The root is "", since a name that
// begins with two slashes is one of another machine to Windows.
func (d *disk) adopt(m *vfs.Mem, name string, dir inum) {
	bases, err := m.List(name + "/")
	must(err)
	for _, base := range bases {
		child := name + "/" + base
		info, err := m.Stat(child)
		must(err)
		id := d.make(place{dir, base}, info.IsDir)
		if info.IsDir {
			d.adopt(m, child, id)
			continue
		}
		must(d.seen.CopyFile(id.file(), m, child))
		must(d.durable.CopyFile(id.file(), m, child))
	}
}

// clone returns a disk that goes its own way. Changes already made are
// shared: they are never altered, and a clipped slice is copied by append.
func (d *disk) clone() *disk {
	out := &disk{
		seen:    d.seen.Clone(),
		durable: d.durable.Clone(),
		nodes:   make([]*node, len(d.nodes)),
		names:   slices.Clip(d.names),
	}
	for id, n := range d.nodes {
		c := *n
		c.seen, c.durable = cloned(n.seen), cloned(n.durable)
		c.changes = slices.Clip(n.changes)
		out.nodes[id] = &c
	}
	return out
}

// apply carries out one record of the journal.
func (d *disk) apply(r *record) {
	switch r.Kind {
	case OpCreate, OpMkdir:
		d.make(r.at, r.Kind == OpMkdir)
	case OpRemove:
		id := d.nodes[r.at.dir].seen[r.at.base]
		delete(d.nodes[r.at.dir].seen, r.at.base)
		d.names = append(d.names, nameChange{kind: nameRemoved, id: id, at: r.at})
	case OpRename:
		id := d.nodes[r.moved.dir].seen[r.moved.base]
		delete(d.nodes[r.moved.dir].seen, r.moved.base)
		d.nodes[r.at.dir].seen[r.at.base] = id
		d.names = append(d.names, nameChange{kind: nameMoved, id: id, at: r.at, moved: r.moved})
	case OpSyncDir:
		d.syncNames(r.id)
	case OpWrite:
		d.write(r.id, r.Off, r.data)
	case OpTruncate:
		d.resize(r.id, r.Off)
	case OpSetHolder:
		d.resize(r.id, 0)
		d.write(r.id, 0, r.data)
	case OpAllocate:
		if end := r.Off + r.Len; end > d.size(r.id) {
			d.resize(r.id, end)
		}
	case OpSync:
		d.sync(r.id, r.failed)
	}
}

func (d *disk) make(at place, dir bool) inum {
	id := inum(len(d.nodes))
	if dir {
		d.nodes = append(d.nodes, newDirNode())
	} else {
		d.nodes = append(d.nodes, &node{})
		open(d.seen, id.file())
		open(d.durable, id.file())
	}
	d.nodes[at.dir].seen[at.base] = id
	d.names = append(d.names, nameChange{kind: nameMade, id: id, at: at})
	return id
}

func (d *disk) write(id inum, off int64, data []byte) {
	if len(data) == 0 {
		return
	}
	f := open(d.seen, id.file())
	mustN(f.WriteAt(data, off))
	d.changed(id, change{off: off, data: data})
}

func (d *disk) resize(id inum, size int64) {
	f := open(d.seen, id.file())
	must(f.Truncate(size))
	d.changed(id, change{})
}

func (d *disk) changed(id inum, c change) {
	c.size = d.size(id)
	n := d.nodes[id]
	n.changes = append(n.changes, c)
}

func (d *disk) size(id inum) int64 {
	info, err := d.seen.Stat(id.file())
	must(err)
	return info.Size
}

// sync makes a file's changes durable. A failed one marks them clean and forgets
// them; whether they stay visible the failure says.
func (d *disk) sync(id inum, failed SyncFailure) {
	n := d.nodes[id]
	switch {
	case failed == SyncDrops:
		must(d.seen.CopyFile(id.file(), d.durable, id.file()))
		n.astray = false
	case failed > 0:
		n.astray = true
	case !n.astray:
		must(d.durable.CopyFile(id.file(), d.seen, id.file()))
	default:
		f := open(d.durable, id.file())
		for _, c := range n.changes {
			c.replay(f)
		}
	}
	n.changes = nil
}

// replay carries out a change whole.
func (c change) replay(f vfs.File) {
	if c.data != nil {
		mustN(f.WriteAt(c.data, c.off))
	} else {
		must(f.Truncate(c.size))
	}
}

// syncNames makes the names in a directory durable. A rename out of it is
// durable as a whole; of one into it only the new name, so that at no time
// the file has none.
func (d *disk) syncNames(dir inum) {
	var rest []nameChange
	for _, c := range d.names {
		switch {
		case c.kind == nameMoved && c.moved.dir == dir, c.at.dir == dir && c.kind != nameMoved:
			d.settle(c)
		case c.kind == nameMoved && c.at.dir == dir:
			d.settle(nameChange{kind: nameMade, id: c.id, at: c.at})
			rest = append(rest, nameChange{kind: nameRemoved, id: c.id, at: c.moved})
		default:
			rest = append(rest, c)
		}
	}
	d.names = rest
}

// settle makes one change of names durable.
func (d *disk) settle(c nameChange) {
	gone := c.at
	if c.kind == nameMoved {
		gone = c.moved
	}
	if c.kind != nameMade && d.nodes[gone.dir].durable[gone.base] == c.id {
		delete(d.nodes[gone.dir].durable, gone.base)
	}
	if c.kind != nameRemoved {
		d.nodes[c.at.dir].durable[c.at.base] = c.id
	}
}

// open opens one of the disk's own files, and makes it first.
func open(m *vfs.Mem, name string) vfs.File {
	f, err := m.Open(name, vfs.Create)
	must(err)
	return f
}

// must and mustN stand where only a bug of the simulator gives an error: the
// Sim has checked every operation before it reached the journal.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func mustN(_ int, err error) { must(err) }
