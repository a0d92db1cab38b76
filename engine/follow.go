package engine

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"sync"

	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/internal/wal"
)

// follower is the state of a read-only database: what it replayed, and where
// it can go on. A Refresh takes its time: it holds mu only while it shows what it
// has read, so that views begin and end beside it.
type follower struct {
	refreshing sync.Mutex // comes before mu
	tail       *wal.Tail  // guarded by refreshing
	place      *place     // guarded by refreshing

	// Guarded by mu.
	replay *replay                 // what it points to is for who refreshes
	end    wal.LSN                 // of what is shown of the log
	old    map[uint64]*pager.Pager // of generations that views still read
}

// closeOld closes the pagers of generations that no view reads any more. A get
// without a view that still uses one fails, and looks again (DB.outdated). The
// caller holds mu.
func (f *follower) closeOld(pinned []uint64) {
	for gen, p := range f.old {
		if !slices.Contains(pinned, gen) {
			delete(f.old, gen)
			_ = p.Close() // it was only read
		}
	}
}

// maxOpenTries bounds how often a reader starts again because the writer made
// a checkpoint while it was reading.
const maxOpenTries = 20

func (db *DB) openReadOnly() error {
	state, err := examine(db.fs, db.dir)
	if err != nil {
		return err
	}
	if state != present {
		return ErrNotExist
	}
	db.follow = &follower{old: map[uint64]*pager.Pager{}}
	if err := db.reload(); err != nil {
		_ = db.follow.close()
		return err
	}
	return nil
}

// reload reads the newest checkpoint and the log after it, and publishes them.
// The caller refreshes, or is alone.
func (db *DB) reload() error {
	var err error
	for range maxOpenTries {
		if err = db.tryReload(); err == nil || !overtaken(err) {
			return err
		}
	}
	return err
}

// overtaken reports whether an error may come from a writer that replaced what
// was being read.
func overtaken(err error) bool {
	_, damaged := errors.AsType[*pager.CorruptError](err)
	return errors.Is(err, wal.ErrGone) || errors.Is(err, wal.ErrMissing) || errors.Is(err, errMoved) ||
		errors.Is(err, fs.ErrNotExist) || damaged
}

var errMoved = errors.New("the writer made a checkpoint")

func (db *DB) tryReload() error {
	f := db.follow
	meta, err := pager.ReadMeta(db.fs, db.path(treeName))
	if err != nil {
		return err
	}
	at := db.needed(meta)
	if v := db.version.Load(); v != nil { // shown until there is another
		at.gen = min(at.gen, v.gen)
	}
	if f.place == nil {
		f.place, err = db.takePlace(at)
	} else {
		err = f.place.move(at)
	}
	if err != nil {
		return err
	}
	p, err := pager.Open(db.fs, db.path(treeName), pager.Options{CacheBytes: db.opts.CacheBytes, ReadOnly: true})
	if err != nil {
		return err
	}
	if err := db.replayReadOnly(p, meta); err != nil {
		p.Close()
		return err
	}
	_ = f.place.move(db.needed(meta)) // the next Refresh tries again
	return nil
}

// needed is what a reader that shows the generation of meta needs, with its
// views.
func (db *DB) needed(meta pager.Meta) readerPlace {
	at := readerPlace{gen: meta.Gen, lsn: wal.LSN(meta.LogStart)}
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, gen := range db.pinned() {
		at.gen = min(at.gen, gen)
	}
	return at
}

func (db *DB) replayReadOnly(p *pager.Pager, meta pager.Meta) error {
	if p.Meta().Gen != meta.Gen {
		return errMoved
	}
	sp, err := loadSpaces(p, meta)
	if err != nil {
		return err
	}
	r := newReplay(p, sp, db.opts.MemtableBytes)
	tail, report, err := wal.OpenReadOnly(db.walOptions(meta.UUID), logStart(meta), r.apply)
	r.finish()
	if err != nil {
		return err
	}
	f := db.follow
	if f.tail != nil {
		f.tail.Close()
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if v := db.version.Load(); v != nil {
		f.old[v.gen] = v.pager
	} else {
		db.noteReplay(meta, report)
	}
	f.replay, f.tail, f.end = r, tail, r.lsn
	// In this order. A get without a view loads the version first: with the new
	// one and the old number it would read in the middle of the replay, of which
	// only the newest version of each key is kept.
	db.visible.Store(uint64(r.seq))
	db.publish(r.version())
	f.closeOld(db.pinned())
	return nil
}

// Refresh makes a database that was opened read-only show what another process
// has committed since. Open snapshots and transactions are not disturbed, and
// others begin meanwhile as of what is shown. On an error it shows what it showed
// before.
func (db *DB) Refresh() error {
	if !db.opts.ReadOnly {
		return invalid("refresh: the database is open for writing")
	}
	db.follow.refreshing.Lock()
	defer db.follow.refreshing.Unlock()
	if db.closing() {
		return errDBClosed
	}
	meta, err := pager.ReadMeta(db.fs, db.path(treeName))
	if err == nil && meta.Gen == db.version.Load().gen {
		err = db.catchUp()
	} else if err == nil {
		err = errMoved
	}
	if err != nil && overtaken(err) {
		err = db.reload()
	}
	if err != nil {
		return errorf("refresh: %w", db.readError(err))
	}
	return nil
}

// catchUp replays what has been logged since. The caller refreshes.
func (db *DB) catchUp() error {
	f := db.follow
	r := f.replay // which only who refreshes replaces
	for {
		rec, err := f.tail.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = r.apply(rec)
		}
		if err != nil {
			return err
		}
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if r.spaces != db.version.Load().spaces {
		db.publish(r.version())
	}
	f.end = r.lsn
	db.visible.Store(uint64(r.seq))
	return nil
}

func (db *DB) closeReadOnly() error {
	db.follow.refreshing.Lock()
	defer db.follow.refreshing.Unlock()
	db.mu.Lock()
	defer db.mu.Unlock()
	v := db.version.Swap(nil)
	db.recent.Store(nil)
	db.follow.old[v.gen] = v.pager
	return db.follow.close()
}

func (f *follower) close() error {
	var errs []error
	if f.tail != nil {
		errs = append(errs, f.tail.Close())
	}
	for _, p := range f.old {
		errs = append(errs, p.Close())
	}
	return errors.Join(append(errs, f.place.leave())...)
}
