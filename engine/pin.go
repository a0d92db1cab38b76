package engine

import (
	"github.com/lightning-db/lightning/engine/internal/wal"
	"github.com/lightning-db/lightning/engine/vfs"
)

// Pin is the place of a reader that reads the files of a database itself,
// without opening it: engine/inspect, which must read what Open refuses.
type Pin struct{ place *place }

// NewPin takes a place among the readers of the database in dir, for
// everything in it. A writer that goes on meanwhile lets no generation and no
// log go until Move says what of them is needed.
//
// Errors: ErrNotExist, ErrFormat, ErrCorrupt, and those of the file system.
func NewPin(fsys vfs.FS, dir string) (*Pin, error) {
	state, err := examine(fsys, dir)
	if err != nil {
		return nil, public(err)
	}
	if state != present {
		return nil, ErrNotExist
	}
	db := &DB{fs: fsys, dir: dir}
	p, err := db.takePlace(readerPlace{})
	if err != nil {
		return nil, err
	}
	return &Pin{p}, nil
}

// Held reports whether there is a place. In a directory that cannot be written
// there is none, and what is read may have been replaced.
func (p *Pin) Held() bool { return p.place != nil }

// Move says that only what generation gen reaches is needed, and the log from
// the position lsn on.
func (p *Pin) Move(gen, lsn uint64) error {
	return p.place.move(readerPlace{gen: gen, lsn: wal.LSN(lsn)})
}

// Release gives the place up.
func (p *Pin) Release() error { return p.place.leave() }
