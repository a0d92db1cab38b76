package faultfs

import "math/rand/v2"

// tossNames carries out some of a disk's unsynced changes of names on the
// durable ones, and returns how many were lost.
//
// A rename that is lost leaves the file at its old place. When a later change
// that is kept gives that place to another, the rename has to have happened
// after all: otherwise the file would have no name, which no file system's
// rename allows.
func tossNames(d *disk, durable []map[string]inum, rand *rand.Rand) (lostNames int) {
	t := &nameToss{names: durable, waiting: make([]place, len(d.nodes))}
	lost := rand.Float64()
	for _, c := range d.names {
		kept := rand.Float64() >= lost
		both := rand.IntN(3) == 0
		if !kept {
			lostNames++
		}
		switch {
		case !kept && c.kind == nameMoved:
			t.waiting[c.id] = c.at
		case !kept:
		case c.kind == nameMade:
			t.bind(c.at, c.id)
		case c.kind == nameRemoved:
			t.drop(c.at, c.id)
		case c.kind == nameMoved:
			t.bind(c.at, c.id)
			if !both {
				t.drop(c.moved, c.id)
			}
		}
	}
	return lostNames
}

// nameToss is the state of the names while changes are carried out.
type nameToss struct {
	names   []map[string]inum
	waiting []place // where a lost rename would have brought a file, or nothing
}

// bind gives the name at p to id.
func (t *nameToss) bind(p place, id inum) {
	if before, ok := t.names[p.dir][p.base]; ok && before != id {
		t.rescue(before, p)
	}
	t.replaced(p)
	t.names[p.dir][p.base] = id
}

// drop removes the name at p if it is one of id's.
func (t *nameToss) drop(p place, id inum) {
	if t.names[p.dir][p.base] == id {
		delete(t.names[p.dir], p.base)
	}
}

// rescue carries out the lost rename of id, whose name at p goes to another.
func (t *nameToss) rescue(id inum, p place) {
	to := t.waiting[id]
	if to.base != "" && to != p {
		t.waiting[id] = place{}
		t.bind(to, id)
	}
}

// replaced forgets lost renames to p: what they would have brought there has
// been replaced since.
func (t *nameToss) replaced(p place) {
	for id, to := range t.waiting {
		if to == p {
			t.waiting[id] = place{}
		}
	}
}
