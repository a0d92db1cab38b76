package faultfs

import (
	"math/rand/v2"

	"github.com/lightning-db/lightning/engine/vfs"
)

// sectorBytes is what a disk writes whole or not at all, at best.
const sectorBytes = 512

// image builds what a crash of d leaves. It does not change d.
type image struct {
	disk  *disk
	names []map[string]inum // the names in each directory that survived
	rand  *rand.Rand        // nil unless the damage is random
	kind  damageKind
	fates fates
	out   *vfs.Mem
	paths []string // where out has a file or directory already
	lost  *Losses  // of this and other images
}

// Losses is what damage took of what was not synced.
type Losses struct {
	Writes  int // writes and changes of length that were lost
	Sectors int // of writes that were torn: sectors old, garbage or zeros
	Names   int // changes of names that were lost
}

// fates are the chances of one crash. They differ from seed to seed, so that
// some crashes lose nearly all, some nearly nothing, some tear and some do
// not.
type fates struct{ lost, torn float64 }

func newImage(d *disk, damage Damage, n int, lost *Losses) *vfs.Mem {
	im := &image{disk: d, lost: lost, kind: damage.kind, out: vfs.NewMem(), paths: make([]string, len(d.nodes))}
	if damage.kind == damageRandom {
		im.rand = damage.rand(n)
		im.fates = fates{lost: im.rand.Float64(), torn: im.rand.Float64()}
	}
	im.names = im.survivingNames()
	im.copyDir(rootDir, "")
	return im.out
}

func (im *image) survivingNames() []map[string]inum {
	names := make([]map[string]inum, len(im.disk.nodes))
	for id, n := range im.disk.nodes {
		switch {
		case !n.isDir():
		case im.kind == damageNone:
			names[id] = n.seen
		case im.kind == damageAll:
			names[id] = n.durable
		default:
			names[id] = cloned(n.durable)
		}
	}
	switch im.kind {
	case damageAll:
		im.lost.Names += len(im.disk.names)
	case damageRandom:
		im.lost.Names += tossNames(im.disk, names, im.rand)
	}
	return names
}

// copyDir copies a directory in a fixed order, so that the same seed always
// meets the same files in turn.
func (im *image) copyDir(dir inum, at string) {
	for _, base := range sorted(im.names[dir]) {
		id := im.names[dir][base]
		name := at + "/" + base
		first := im.paths[id]
		again := first != ""
		isDir := im.disk.nodes[id].isDir()
		switch {
		case again && isDir: // it has one name, also when a rename left it two
		case again:
			must(im.out.Link(first, name))
		case isDir:
			im.paths[id] = name
			must(im.out.Mkdir(name))
			im.copyDir(id, name)
		default:
			im.paths[id] = name
			im.copyFile(id, name)
		}
	}
}

func (im *image) copyFile(id inum, name string) {
	if im.kind == damageNone {
		must(im.out.CopyFile(name, im.disk.seen, id.file()))
		return
	}
	must(im.out.CopyFile(name, im.disk.durable, id.file()))
	switch n := im.disk.nodes[id]; {
	case im.kind == damageAll:
		im.lost.Writes += len(n.changes)
	case len(n.changes) > 0:
		im.tossChanges(open(im.out, name), n.changes)
	}
}

// tossChanges carries out some of a file's unsynced changes in some order,
// and gives it one of the lengths that it had.
func (im *image) tossChanges(f vfs.File, changes []change) {
	size, err := f.Size()
	must(err)
	sizes := []int64{size}
	for _, c := range changes {
		sizes = append(sizes, c.size)
	}
	for _, i := range im.rand.Perm(len(changes)) {
		if im.rand.Float64() >= im.fates.lost {
			im.carryOut(f, changes[i])
		} else {
			im.lost.Writes++
		}
	}
	// The newest length is likelier than any other: most bugs hide in data
	// that is missing inside it.
	size = sizes[len(sizes)-1]
	if im.rand.IntN(2) == 0 {
		size = sizes[im.rand.IntN(len(sizes))]
	}
	must(f.Truncate(size))
}

// carryOut writes a change whole or torn, sector by sector. Of a change of
// length it only drops what lay beyond; the length itself has its own fate.
func (im *image) carryOut(f vfs.File, c change) {
	if c.data == nil {
		if size, err := f.Size(); err == nil && c.size < size {
			must(f.Truncate(c.size))
		}
		return
	}
	if im.rand.Float64() >= im.fates.torn {
		mustN(f.WriteAt(c.data, c.off))
		return
	}
	for at := c.off; at < c.off+int64(len(c.data)); {
		end := min(at/sectorBytes*sectorBytes+sectorBytes, c.off+int64(len(c.data)))
		im.tearSector(f, c.data[at-c.off:end-c.off], at)
		at = end
	}
}

func (im *image) tearSector(f vfs.File, data []byte, off int64) {
	how := im.rand.IntN(4)
	if how > 0 {
		im.lost.Sectors++
	}
	switch how {
	case 0:
		mustN(f.WriteAt(data, off))
	case 1: // as it was
	case 2:
		garbage := make([]byte, len(data))
		for i := range garbage {
			garbage[i] = byte(im.rand.Uint32())
		}
		mustN(f.WriteAt(garbage, off))
	case 3:
		mustN(f.WriteAt(make([]byte, len(data)), off))
	}
}
