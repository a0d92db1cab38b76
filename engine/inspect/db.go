package inspect

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/internal/wal"
	"github.com/lightning-db/lightning/engine/vfs"
)

const (
	treeName = "btree.db"
	walName  = "wal"
)

// DB is the files of a database at the generation that was the newest when it
// was opened. It may be used by many goroutines at once.
type DB struct {
	_     [0]func() // not compared
	Slots Slots
	Meta  Meta  // the newest valid one
	Size  int64 // of btree.db as it is: it may be longer than the meta says, never shorter

	fs    vfs.FS
	dir   string
	file  vfs.File
	pin   *engine.Pin
	judge *pager.Pager // of extents; it has no cache

	large sync.Mutex // held by who has a large value in memory
}

// Open opens the files of the database in dir. It looks at the metas and at
// nothing else.
//
// Errors: engine.ErrNotExist, engine.ErrFormat, engine.ErrVersion; *Damage when
// this is a database and has no valid meta; those of the file system.
func Open(fsys vfs.FS, dir string) (*DB, error) {
	pin, err := engine.NewPin(fsys, dir)
	damage, damaged := errors.AsType[*engine.CorruptError](err)
	switch {
	case damaged:
		return nil, &Damage{"M1", damage.Path, damage.Offset, damage.Kind, damage.Reason}
	case errors.Is(err, engine.ErrFormat):
		return nil, lostMetas(fsys, dir, err)
	case err != nil:
		return nil, err
	}
	db := &DB{fs: fsys, dir: dir, pin: pin}
	if err := db.open(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// lostMetas tells a database that lost its metas, which is damage, from a
// directory that holds none, of which err speaks.
func lostMetas(fsys vfs.FS, dir string, err error) error {
	db := &DB{fs: fsys, dir: dir, pin: &engine.Pin{}}
	openErr := db.open()
	_ = db.Close()
	if AsDamage(openErr) != nil || errors.Is(openErr, engine.ErrVersion) {
		return openErr
	}
	return err
}

// Path is the name of the file of the trees.
//
//go:noinline // called in many places, none of them hot
func (db *DB) Path() string { return filepath.Join(db.dir, treeName) }

func (db *DB) open() (err error) {
	if db.file, err = db.fs.Open(db.Path(), vfs.ReadOnly); err != nil {
		return err
	}
	slots, err := readSlots(db.file, db.Path())
	if err != nil {
		return err
	}
	db.Slots = *slots
	if db.Size, err = db.file.Size(); err != nil {
		return err
	}
	i := db.Slots.newest()
	if i < 0 {
		return db.noMeta()
	}
	db.Meta = db.Slots[i].Meta
	db.judge = pager.NewJudge(db.file, &db.Slots[i].meta)
	for i := range db.Slots {
		s := &db.Slots[i]
		if s.Valid() && s.Meta.UUID != db.Meta.UUID {
			return &Damage{"M1", db.Path(), s.Offset, Foreign, "the metas belong to different databases"}
		}
	}
	return db.pin.Move(db.Meta.Generation, db.Meta.LogStart)
}

// noMeta tells a database that lost its metas from a file that is none.
func (db *DB) noMeta() error {
	a, b := db.Slots[0].Damage, db.Slots[2].Damage
	if a.Kind == IO && b.Kind == IO {
		return errors.New(a.Reason)
	}
	var head [node.HeaderSize]byte
	n, err := readFull(db.file, head[:], FirstExtent)
	if err == nil {
		_, err = node.GetHeader(head[:n])
	}
	if used, walErr := wal.Used(db.fs, db.LogDir()); err != nil && !db.magic() && !used && walErr == nil {
		return fmt.Errorf("%s: %w", db.Path(), engine.ErrFormat)
	}
	return &Damage{"M1", db.Path(), 0, a.Kind, a.Reason + "; " + b.Reason}
}

// magic reports whether any place begins as a meta does.
func (db *DB) magic() bool {
	for i := range db.Slots {
		s := &db.Slots[i]
		var b [len(metaMagic)]byte
		if n, _ := readFull(db.file, b[:], s.Offset); string(b[:n]) == metaMagic {
			return true
		}
	}
	return false
}

// LogDir is the directory of the log.
//
//go:noinline // called in many places, none of them hot
func (db *DB) LogDir() string { return filepath.Join(db.dir, walName) }

// Moved reports whether the database has a newer generation by now.
func (db *DB) Moved() (bool, error) {
	slots, err := readSlots(db.file, db.Path())
	if err != nil {
		return false, err
	}
	i := slots.newest()
	return i >= 0 && slots[i].Meta.Generation != db.Meta.Generation, nil
}

// Exclude keeps out who would open the database for writing, until Close, and
// reports whether one has it open already. Where the system has no such lock it
// does nothing.
func (db *DB) Exclude() (held bool) {
	x, ok := db.file.(vfs.Excluder)
	if ok {
		_, held = errors.AsType[*vfs.LockedError](x.Exclude())
	}
	return held
}

// Pinned reports whether a writer is kept from replacing what is being read.
func (db *DB) Pinned() bool { return db.pin.Held() }

// Close closes the files and gives up the place among the readers.
func (db *DB) Close() error {
	var err error
	if db.file != nil {
		err = db.file.Close()
	}
	if e := db.pin.Release(); e != nil && !errors.Is(e, fs.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}
