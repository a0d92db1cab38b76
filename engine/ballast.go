package engine

import (
	"errors"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/wal"
	"github.com/lightning-db/lightning/engine/vfs"
)

// What makes room on a full disk needs some first: a delete a place in the log,
// a checkpoint its extents, and recovery a log to go on in. So a directory that
// is open for writing holds a file which only takes space, the ballast.
//
//  1. It is given up, and with it the log's spare segments, when a full disk
//     stops a checkpoint, a commit that only deletes, or the recovery of the log;
//     and then the kept log, the older half of what there is at a time.
//  2. It is made again behind every checkpoint, once there is room.
//  3. What is in it means nothing, and that it is missing is no error.
const (
	ballastName  = "ballast"
	ballastBytes = 256 << 10 // 64 pages
)

// takeBallast makes the ballast, unless it is there or there is no room for it.
func (db *DB) takeBallast() {
	if db.ballast.Load() {
		return
	}
	f, err := db.fs.Open(db.path(ballastName), vfs.Create)
	if err != nil {
		db.notice(err)
		return
	}
	err = f.Allocate(0, ballastBytes)
	if e := f.Close(); err != nil || e != nil {
		db.notice(err)
		_ = db.fs.Remove(db.path(ballastName))
		return
	}
	db.ballast.Store(true)
}

// releaseBallast gives the ballast up, and reports whether there was one. It
// takes no descriptor, of which there may be none left.
func (db *DB) releaseBallast() bool {
	db.ballast.Store(false)
	return db.fs.Remove(db.path(ballastName)) == nil
}

// makeRoom gives space back after a full disk was met, and reports whether that
// was any. The caller holds checkpointMu.
func (db *DB) makeRoom() bool {
	spares := db.log.DropSpares()
	return db.releaseBallast() || spares > 0 || db.log.DropKept()
}

// diskFree is how much the file system of the database has left, in bytes.
func (db *DB) diskFree() (int64, error) {
	if f, ok := db.fs.(vfs.FreeSpacer); ok {
		return f.FreeSpace(db.dir)
	}
	return 0, errors.ErrUnsupported
}

// isFull tells the error of a commit or checkpoint that met a full disk, was
// not made, and can be made again.
func isFull(err error) bool {
	return err != nil && vfs.IsNoSpace(err) && !errors.Is(err, ErrFailed) && !errors.Is(err, wal.ErrFailed)
}

// commitOnFullDisk commits operations that only delete, where the disk has no
// room for the log or the memtables are full because it has none for the tree.
func (db *DB) commitOnFullDisk(o *ops, check func(*version) error) error {
	db.checkpointMu.Lock() // a checkpoint under way could take the room
	defer db.checkpointMu.Unlock()
	err := db.commitOnce(o, check, true)
	for isFull(err) {
		switch e := db.log.PrepareSmall(len(o.payload)); {
		case e == nil:
			return db.commitOnce(o, check, true)
		case errors.Is(e, wal.ErrFailed):
			return db.fail(errorf("next log segment: %w", e))
		case !isFull(e) || !db.makeRoom():
			return err
		}
	}
	return err
}

// onlyDeletes reports whether the operations need no space but in the log.
func (o *ops) onlyDeletes() bool {
	return o.each(func(op *wal.Op) error {
		if op.Kind == kv.Set || op.Kind == kv.CreateKeyspace {
			return ErrNoSpace
		}
		return nil
	}) == nil
}
