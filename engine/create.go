package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lightning-db/lightning/engine/internal/btree"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/internal/wal"
	"github.com/lightning-db/lightning/engine/vfs"
)

// What a directory holds.
type dirState int

const (
	absent  dirState = iota // nothing of that name
	empty                   // a directory with nothing in it, or what an interrupted creation left
	present                 // a database
)

// examine says what is at dir, changing nothing. Anything that is not ours is
// ErrFormat: it must never be written to.
func examine(fsys vfs.FS, dir string) (dirState, error) {
	if fsys == nil {
		return absent, errNoFS
	}
	info, err := fsys.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return absent, nil
	}
	if err != nil {
		return 0, err
	}
	if !info.IsDir {
		return 0, errorf("%w: it is a file; a database is a directory", ErrFormat)
	}
	names, err := fsys.List(dir)
	if err != nil {
		return 0, err
	}
	// Through a symbolic link the log would be written somewhere else.
	if info, err := fsys.Stat(filepath.Join(dir, walName)); err == nil && !info.IsDir {
		return 0, errorf("%w: %s in it is no directory", ErrFormat, walName)
	}
	foreign := ""
	for _, name := range names {
		if name == treeName {
			return present, isTree(fsys, filepath.Join(dir, treeName))
		}
		if !ours(name) {
			foreign = name
		}
	}
	if foreign != "" {
		return 0, errorf("%w: the directory has no %s but holds %s", ErrFormat, treeName, foreign)
	}
	used, err := wal.Used(fsys, filepath.Join(dir, walName))
	if errors.Is(err, wal.ErrForeign) {
		return 0, errorf("%w: the directory has no %s, and in %s %w", ErrFormat, treeName, walName, err)
	}
	if err != nil {
		return 0, err
	}
	if used {
		return 0, &CorruptError{Path: filepath.Join(dir, treeName), Kind: "missing", Reason: "the file is missing, and the log holds commits"}
	}
	return empty, nil
}

// isTree returns ErrFormat when the file name is nothing of ours. Damage is for
// whoever opens it to tell.
func isTree(fsys vfs.FS, name string) error {
	info, err := fsys.Stat(name)
	if err == nil && !info.Regular {
		return errorf("%w: %s is not a regular file", ErrFormat, treeName)
	}
	if _, err := pager.ReadMeta(fsys, name); errors.Is(err, pager.ErrFormat) {
		return err
	}
	return nil
}

func ours(name string) bool {
	return name == walName || name == keptName || name == lockName || name == ballastName || name == treeName+newSuffix || strings.HasPrefix(name, readerName)
}

// makeDir makes the directory of the database.
func (db *DB) makeDir() error {
	err := db.fs.Mkdir(db.dir)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	db.madeDir = err == nil
	return err
}

// unmake removes the lock's file, with files also the database, which this process
// has made and nobody needs, and the directory if it made that, too. It gives up
// the lock when there is nothing left that the next who takes it could find.
func (db *DB) unmake(files bool) (err error) {
	if files {
		_, err = clearDatabase(db.fs, db.dir)
	}
	if err == nil {
		err = db.fs.Remove(db.path(lockName))
	}
	if e := db.lock.Close(); err == nil {
		err = e
	}
	if err == nil && db.madeDir {
		err = db.fs.Remove(db.dir)
	}
	return err
}

// syncNames makes the names that lead to the database durable. A process that
// made them may have died, or met an error, before it had done so; and what is
// committed to a database must not vanish with its name. A parent that may
// not be opened was made by somebody else.
func (db *DB) syncNames() error {
	if err := db.fs.SyncDir(db.dir); err != nil {
		return err
	}
	err := db.fs.SyncDir(filepath.Dir(db.dir))
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// create makes an empty database in an empty directory. The tree gets its
// name last, so that a crash leaves either nothing or a database.
func (db *DB) create() error {
	if err := removeLog(db.fs, db.path(walName)); err != nil {
		return err
	}
	meta := pager.Meta{
		UUID:         newUUID(),
		PageSize:     uint32(db.opts.PageSize),
		LogStart:     firstLSN,
		LogSegment:   1,
		LogEnd:       firstLSN,
		NextKeyspace: 1,
		Created:      time.Now().Unix(),
	}
	tmp := db.path(treeName + newSuffix)
	if err := db.fs.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	p, err := pager.Create(db.fs, tmp, meta, pager.Options{CacheBytes: db.opts.CacheBytes})
	if err != nil {
		return err
	}
	if err := writeFirst(p, db.opts); err != nil {
		p.Close()
		return err
	}
	if err := p.Close(); err != nil {
		return err
	}
	log, err := wal.Create(db.walOptions(meta.UUID), firstLSN)
	if err != nil {
		return err
	}
	if err := log.Close(true); err != nil {
		return err
	}
	if err := db.fs.Rename(tmp, db.path(treeName)); err != nil {
		return err
	}
	return db.fs.SyncDir(db.dir)
}

// newUUID draws the UUID of a database. The generator is one that the operating
// system seeds at the start of the process: it need not be unguessable.
func newUUID() (u [16]byte) {
	binary.LittleEndian.PutUint64(u[:], rand.Uint64())
	binary.LittleEndian.PutUint64(u[8:], rand.Uint64())
	return u
}

// firstLSN is where a new log begins. It is not 0, which in a meta stands for
// "not closed".
const firstLSN = 8

// writeFirst writes the catalog of a new database, which lists the default
// keyspace.
func writeFirst(p *pager.Pager, o Options) error {
	id := kv.DefaultKeyspace
	sp := &space{id: id, config: treeConfig(id, uint32(o.PageSize), byte(o.Compression))}
	sp.tree = btree.Open(p, node.Ref{}, sp.config)
	w, err := p.Begin(p.Meta().Gen)
	if err != nil {
		return err
	}
	meta := p.Meta()
	catalog, err := writeCatalog(w, openCatalog(p, meta), []*space{sp}, nil)
	if err != nil {
		w.Abort()
		return err
	}
	meta.Gen = w.Gen()
	meta.Catalog = catalog.Root()
	return w.Commit(meta, false)
}

// removeLog removes the log of a creation that was interrupted, or the kept log.
// Of a link in its place it removes the link.
func removeLog(fsys vfs.FS, dir string) error {
	if info, err := fsys.Stat(dir); err == nil && !info.IsDir {
		return fsys.Remove(dir)
	}
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		if err == nil {
			err = fsys.Remove(filepath.Join(dir, name))
		}
	}
	if err != nil {
		return err
	}
	return fsys.Remove(dir)
}

// removeLeftovers removes what an interrupted creation may have left beside
// the finished files.
func (db *DB) removeLeftovers() error {
	err := db.fs.Remove(db.path(treeName + newSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// takeLock takes the place of the one writing process, waiting for it as long
// as the options say.
func (db *DB) takeLock() error {
	if db.lock != nil {
		return nil
	}
	holder := holderText(db.opts.Holder)
	deadline := time.Now().Add(db.opts.LockWait)
	for {
		lock, err := lockDir(db.fs, db.dir, holder)
		if err == nil {
			db.lock = lock
			return nil
		}
		if !errors.Is(err, ErrLocked) || !time.Now().Before(deadline) {
			return err
		}
		time.Sleep(min(20*time.Millisecond, time.Until(deadline)))
	}
}

// lockDir takes the lock of the database in dir, which somebody may hold: a
// *LockedError.
func lockDir(fsys vfs.FS, dir, holder string) (vfs.Lock, error) {
	lock, err := fsys.Lock(filepath.Join(dir, lockName), holder)
	if locked, ok := errors.AsType[*vfs.LockedError](err); ok {
		err = &LockedError{Path: dir, Holder: locked.Holder}
	}
	return lock, err
}

// holderText is what a lock says of this process.
func holderText(name string) string {
	text := fmt.Sprintf("pid %d", os.Getpid())
	if name != "" {
		text += " (" + name + ")"
	}
	return text
}
