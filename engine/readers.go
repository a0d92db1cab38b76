package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

	"github.com/lightning-db/lightning/engine/internal/wal"
	"github.com/lightning-db/lightning/engine/vfs"
)

// Readers of other processes. Each holds the lock of a file of its own in the
// database's directory, whose text says which generation of the trees and
// which part of the log it still needs. The kernel releases the lock of a
// process that dies, and the writer, which looks at these files before it uses
// any space again, removes a file whose lock nobody holds.
//
// A reader takes its place before it relies on what it read: it reads the
// meta, writes its place, and reads the meta again until it is the same. The
// writer looks for readers after a new meta is durable, and before it writes
// over anything that only an older one names; so either the reader sees the
// new meta, or the writer sees the reader.

// readerPlace is what a reader needs.
type readerPlace struct {
	gen uint64
	lsn wal.LSN
}

func (r readerPlace) text() string {
	return fmt.Sprintf("reader gen %d lsn %d pid %d", r.gen, uint64(r.lsn), os.Getpid())
}

// parsePlace reads what text wrote. A text that cannot be read needs everything.
func parsePlace(text string) readerPlace {
	f := strings.Fields(text)
	if len(f) < 5 || f[1] != "gen" || f[3] != "lsn" {
		return readerPlace{}
	}
	gen, errGen := strconv.ParseUint(f[2], 10, 64)
	lsn, errLSN := strconv.ParseUint(f[4], 10, 64)
	if errGen != nil || errLSN != nil {
		return readerPlace{}
	}
	return readerPlace{gen, wal.LSN(lsn)}
}

// place is a reader's own place in the table.
type place struct {
	fs   vfs.FS
	name string
	lock vfs.Lock
}

// takePlace takes a place. In a directory that cannot be written there is
// none, and nil is returned: such a reader may find that what it reads has
// been replaced, which its checksums tell.
func (db *DB) takePlace(r readerPlace) (*place, error) {
	for {
		name := db.path(fmt.Sprintf("%s%016x", readerName, rand.Uint64()))
		lock, err := db.fs.Lock(name, r.text())
		if err != nil {
			if _, ok := errors.AsType[*vfs.LockedError](err); ok {
				continue // the writer looked just then
			}
			return nil, nil //nolint:nilerr // a directory that only can be read
		}
		if _, err := db.fs.Stat(name); err == nil {
			return &place{fs: db.fs, name: name, lock: lock}, nil
		}
		lock.Close() // the writer removed it before it was locked
	}
}

func (p *place) move(r readerPlace) error {
	if p == nil {
		return nil
	}
	err := p.lock.SetHolder(r.text())
	if vfs.IsNoSpace(err) {
		return nil // the old text needs more than this one, and none needs everything
	}
	return err
}

func (p *place) leave() error {
	if p == nil {
		return nil
	}
	err := removeUnlocked(p.fs, p.name, p.lock)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// removeUnlocked removes the file of a place and gives up its lock: in this
// order, so that nobody takes the place between. Where the file of a lock cannot
// be removed while it is open (Windows), whoever takes it has it open, too.
func removeUnlocked(fsys vfs.FS, name string, lock vfs.Lock) error {
	err := fsys.Remove(name)
	closed := lock.Close()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		err = fsys.Remove(name)
	}
	if err == nil {
		err = closed
	}
	return err
}

// readers lists what readers of other processes need, and clears away the
// places of those that died. A place that cannot be read counts as needing
// everything.
func (db *DB) readers() []readerPlace {
	names, err := db.fs.List(db.dir)
	if err != nil {
		return []readerPlace{{}}
	}
	var list []readerPlace
	for _, name := range names {
		if !strings.HasPrefix(name, readerName) {
			continue
		}
		lock, err := db.fs.Lock(db.path(name), "")
		if err == nil {
			_ = removeUnlocked(db.fs, db.path(name), lock)
			continue
		}
		var r readerPlace
		if locked, ok := errors.AsType[*vfs.LockedError](err); ok {
			r = parsePlace(locked.Holder)
		}
		list = append(list, r)
	}
	return list
}
