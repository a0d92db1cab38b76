package engine

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/lightning-db/lightning/engine/internal/btree"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/internal/wal"
	"github.com/lightning-db/lightning/engine/vfs"
)

// RestoreOptions are the settings of Restore.
type RestoreOptions struct {
	FS vfs.FS // Default: vfs.OS()
	// Apply is the incremental backups that follow the stream, in their order:
	// each follows the one before it, and the first one the stream. They are read
	// one behind the other.
	Apply []io.Reader
	// Log, when not "", is the directory of the database that the backups are of:
	// what was committed behind them is taken from its log. Nothing else of it is
	// needed. It is only read, and locked meanwhile, where its file system lets it,
	// so that nobody opens it for writing: ErrLocked where somebody has.
	Log string
	// ToSeq, when not 0, is the sequence number to end at: that of the stream, or
	// that of a commit in what is applied. Nothing behind it is read.
	ToSeq uint64
}

// partialSuffix marks a database that is being made. It gets its name when
// it is whole and durable.
const partialSuffix = ".partial"

// Restore makes the database dir from a backup stream. dir must not exist:
// ErrExists. The database is made beside it, under another name, checked
// against the stream's checksums to its end, made durable, and only then gets
// its name: a restore that fails or is killed leaves no database there. What
// such a restore left behind is replaced by the next one; while one is under way
// another of the same dir gets ErrLocked. ErrChain when the backups do not follow
// each other, the log does not go on where they end, or no commit ends at ToSeq.
// Where the log ends in a commit that was not written whole, that is left out, with
// all behind it, as a recovery does: BackupInfo.Torn. A segment that was cut short is read as far as it goes.
//
// Where an incremental one or the log is damaged, or the log lacks something, all up
// to the Seq that is returned was whole: BackupInfo.Whole. That the log goes on where
// the stream ends is checked before more than the beginning of that is read, or,
// where others come between, that it is of the same database.
func Restore(ctx context.Context, r io.Reader, dir string, o *RestoreOptions) (BackupInfo, error) {
	if o == nil {
		o = &RestoreOptions{}
	}
	if r == nil || slices.Contains(o.Apply, nil) {
		return BackupInfo{}, wrap("restore "+dir, errNoReader)
	}
	began := time.Now()
	info, err := restore(orBackground(ctx), r, filepath.Clean(dir), o)
	info.Duration = time.Since(began)
	return info, wrap("restore "+dir, err)
}

func (o *RestoreOptions) fs() vfs.FS {
	if o == nil || o.FS == nil {
		return vfs.OS()
	}
	return o.FS
}

func restore(ctx context.Context, r io.Reader, dir string, o *RestoreOptions) (info BackupInfo, err error) {
	fill := func(p *pager.Pager) error {
		info, err = restoreTrees(ctx, p, r, o)
		return err
	}
	if o.Log != "" {
		lock, err := lockLog(o.fs(), o.Log)
		if err != nil {
			return info, err
		}
		defer lock.Close()
	}
	err = assemble(o.fs(), dir, fill, func(dir string, lock vfs.Lock) error {
		if o.ToSeq != 0 && info.Seq >= o.ToSeq || len(o.Apply) == 0 && o.Log == "" {
			return info.endsAt(o.ToSeq)
		}
		db, err := openUnder(lock, dir, &Options{FS: o.fs(), Sync: SyncOff})
		if err != nil {
			return err
		}
		if err = db.applyAll(ctx, &info, o.Apply, o.ToSeq); err == nil && o.Log != "" {
			err = db.applyLog(ctx, &info, o.Log, o.ToSeq)
		}
		if err == nil {
			err = info.endsAt(o.ToSeq)
		}
		if err == nil {
			_, err = db.Checkpoint(ctx)
			s := db.Stats()
			info.Keyspaces, info.Entries, info.Runs = s.Keyspaces, s.Entries, s.Runs
		}
		if e := db.CloseContext(ctx); err == nil { // where it is stopped, nothing is merged
			err = e
		}
		return err
	})
	return info, err
}

// lockLog takes the lock of a database whose log is to be read.
func lockLog(fsys vfs.FS, dir string) (vfs.Lock, error) {
	info, err := fsys.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errorf("%s: %w: no such directory", dir, ErrNotExist)
	case err == nil && !info.IsDir:
		return nil, errorf("%s: %w: it is not a directory", dir, ErrNotExist)
	}
	if info, err := fsys.Stat(filepath.Join(dir, walName)); err != nil || !info.IsDir {
		return nil, errorf("%s: %w: it has no directory wal", dir, ErrNotExist)
	}
	lock, err := lockDir(fsys, dir, holderText(""))
	if err == nil || errors.Is(err, ErrLocked) {
		return lock, err
	}
	return heldLock{}, nil // nobody can write there, neither
}

// heldLock is a lock that whoever uses it does not give up.
type heldLock struct{ vfs.Lock }

// Close implements vfs.Lock.
func (heldLock) Close() error { return nil }

// assemble makes the database dir, which must not exist, of the generation that
// fill commits, and of what finish, if it is not nil, does to that database. It
// has another name until it is whole and durable, and is locked so long: of two
// who make the same one the second gets a *LockedError.
func assemble(fsys vfs.FS, dir string, fill func(*pager.Pager) error, finish func(dir string, lock vfs.Lock) error) error {
	if _, err := fsys.Stat(dir); err == nil {
		return ErrExists
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	tmp := dir + partialSuffix
	if err := fsys.Mkdir(tmp); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	lock, err := lockDir(fsys, tmp, holderText(""))
	if err != nil {
		return err
	}
	foreign, err := clearDatabase(fsys, tmp)
	if err == nil && len(foreign) > 0 {
		err = &fs.PathError{Op: "replace", Path: filepath.Join(tmp, foreign[0]), Err: fs.ErrExist}
	}
	if err == nil {
		err = assembleIn(fsys, tmp, fill)
	}
	if err == nil && finish != nil {
		err = finish(tmp, heldLock{lock})
	}
	if err == nil {
		if err = fsys.Rename(tmp, dir); errors.Is(err, fs.ErrPermission) {
			_ = lock.Close() // Windows renames no directory in which a file is open
			err = fsys.Rename(tmp, dir)
		}
	}
	if err != nil {
		_, _ = clearDatabase(fsys, tmp)
	}
	_ = lock.Close()
	if err != nil {
		_ = removeDatabase(fsys, tmp)
		return err
	}
	return fsys.SyncDir(filepath.Dir(dir))
}

func assembleIn(fsys vfs.FS, dir string, fill func(*pager.Pager) error) error {
	meta := pager.Meta{
		UUID:         newUUID(),
		PageSize:     4096,
		LogStart:     firstLSN,
		LogSegment:   1,
		LogEnd:       firstLSN,
		NextKeyspace: 1,
		Created:      time.Now().Unix(),
	}
	p, err := pager.Create(fsys, filepath.Join(dir, treeName), meta, pager.Options{CacheBytes: 1 << 20})
	if err != nil {
		return err
	}
	err = fill(p)
	if e := p.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	log, err := wal.Create(wal.Options{FS: fsys, Dir: filepath.Join(dir, walName), UUID: meta.UUID}, firstLSN)
	if err != nil {
		return err
	}
	if err := log.Close(true); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}

// restoreTrees writes the keyspaces of a stream as one generation, unless the log
// does not fit.
func restoreTrees(ctx context.Context, p *pager.Pager, r io.Reader, o *RestoreOptions) (info BackupInfo, err error) {
	return info, buildTrees(p, func(w *pager.Writer, meta *pager.Meta, add func(*space, *btree.Tree, uint64)) error {
		s, head, err := openStream(r)
		if err != nil {
			return err
		}
		if head.Incremental {
			return errorf("%w: it is an incremental one, which follows that of sequence number %d: begin with a full one", ErrChain, head.Since)
		}
		if info, err = head.fits(ctx, o); err != nil {
			return err
		}
		meta.Seq = kv.Seq(head.Seq)
		info, err = readStream(ctx, s, head, func(sp *space, entries *entryReader) error {
			tree, stats, err := btree.Merge(ctx.Err, w, btree.Open(p, node.Ref{}, sp.config), entries, nil)
			if err == nil {
				add(sp, tree, uint64(stats.KeyBytes+stats.ValueBytes))
			}
			return err
		})
		return err
	})
}

// buildTrees writes the keyspaces that fill adds, each with its tree and the
// bytes of its keys and values, as one generation.
func buildTrees(p *pager.Pager, fill func(w *pager.Writer, meta *pager.Meta, add func(*space, *btree.Tree, uint64)) error) error {
	w, err := p.Begin(p.Meta().Gen)
	if err != nil {
		return err
	}
	meta := p.Meta()
	meta.Gen = w.Gen()
	var list []*space
	err = fill(w, &meta, func(sp *space, tree *btree.Tree, bytes uint64) {
		sp.tree, sp.bytes = tree, bytes
		list = append(list, sp)
		meta.NextKeyspace = max(meta.NextKeyspace, uint32(sp.id)+1)
	})
	var catalog *btree.Tree
	if err == nil {
		catalog, err = writeCatalog(w, openCatalog(p, meta), list, nil)
	}
	if err != nil {
		w.Abort()
		return err
	}
	meta.Catalog = catalog.Root()
	return w.Commit(meta, false)
}

// entryReader is the cursor over the entries of one keyspace in a stream. It
// only goes forward. It checks that keys increase.
type entryReader struct {
	ctx    context.Context
	stream *streamReader
	count  uint64

	rest       []byte // of the current block
	key, value []byte
	last       []byte // the key before
	begun      bool

	// What ended it: the next block that is not entries, or an error.
	kind  byte
	block []byte
	err   error
}

// First implements kv.Cursor.
func (c *entryReader) First() bool { return c.Next() }

// Next implements kv.Cursor.
func (c *entryReader) Next() bool {
	if c.err != nil || c.kind != 0 {
		return false
	}
	c.last = append(c.last[:0], c.key...)
	if len(c.rest) == 0 && !c.nextBlock() {
		return false
	}
	var ok bool
	if c.key, c.value, c.rest, ok = nextEntry(c.rest); !ok {
		return c.fail(streamDamage(c.stream.offset, "an entry is longer than its block"))
	}
	if c.begun && kv.Compare(c.last, c.key) >= 0 {
		return c.fail(streamDamage(c.stream.offset, "keys are out of order"))
	}
	c.begun = true
	c.count++
	return true
}

func (c *entryReader) nextBlock() bool {
	if err := c.ctx.Err(); err != nil {
		return c.fail(err)
	}
	kind, block, err := c.stream.next()
	switch {
	case err != nil:
		return c.fail(err)
	case kind != blockEntries:
		c.kind, c.block = kind, block
		return false
	case len(block) == 0:
		return c.fail(streamDamage(c.stream.offset, "an empty block"))
	}
	c.rest = block
	return true
}

func (c *entryReader) fail(err error) bool {
	c.err = err
	return false
}

// Key implements kv.Cursor.
func (c *entryReader) Key() []byte { return c.key }

// Value implements kv.Cursor.
func (c *entryReader) Value() ([]byte, error) { return c.value, nil }

// Kind implements kv.Cursor.
func (c *entryReader) Kind() kv.Kind { return kv.Set }

// Seq implements kv.Cursor.
func (c *entryReader) Seq() kv.Seq { return 0 }

// Err implements kv.Cursor.
func (c *entryReader) Err() error { return c.err }

// Last, Prev, SeekGE and SeekLT are part of kv.Cursor; a stream has no way
// back.
func (c *entryReader) Last() bool         { return c.fail(errOneWay) }
func (c *entryReader) Prev() bool         { return c.fail(errOneWay) }
func (c *entryReader) SeekGE([]byte) bool { return c.fail(errOneWay) }
func (c *entryReader) SeekLT([]byte) bool { return c.fail(errOneWay) }

var errOneWay = errorf("a backup stream is read from its start to its end")
