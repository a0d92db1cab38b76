package engine

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
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
}

// restoreSuffix marks a database that is being restored. It gets its name when
// it is whole and durable.
const restoreSuffix = ".restoring"

// Restore makes the database dir from a backup stream. dir must not exist:
// ErrExists. The database is made beside it, under another name, checked
// against the stream's checksums to its end, made durable, and only then gets
// its name: a restore that fails or is killed leaves no database there. What
// such a restore left behind is replaced by the next one.
func Restore(ctx context.Context, r io.Reader, dir string, o *RestoreOptions) (BackupInfo, error) {
	fsys := vfs.FS(nil)
	if o != nil {
		fsys = o.FS
	}
	if fsys == nil {
		fsys = vfs.OS()
	}
	info, err := restore(orBackground(ctx), fsys, r, filepath.Clean(dir))
	return info, wrap("restore "+dir, err)
}

func restore(ctx context.Context, fsys vfs.FS, r io.Reader, dir string) (BackupInfo, error) {
	if _, err := fsys.Stat(dir); err == nil {
		return BackupInfo{}, ErrExists
	} else if !errors.Is(err, fs.ErrNotExist) {
		return BackupInfo{}, err
	}
	tmp := dir + restoreSuffix
	if err := removeDatabase(fsys, tmp); err != nil {
		return BackupInfo{}, err
	}
	if err := fsys.Mkdir(tmp); err != nil {
		return BackupInfo{}, err
	}
	info, err := restoreInto(ctx, fsys, r, tmp)
	if err == nil {
		err = fsys.Rename(tmp, dir)
	}
	if err != nil {
		_ = removeDatabase(fsys, tmp)
		return info, err
	}
	return info, fsys.SyncDir(filepath.Dir(dir))
}

func restoreInto(ctx context.Context, fsys vfs.FS, r io.Reader, dir string) (BackupInfo, error) {
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
		return BackupInfo{}, err
	}
	info, err := restoreTrees(ctx, p, r)
	if e := p.Close(); err == nil {
		err = e
	}
	if err != nil {
		return info, err
	}
	log, err := wal.Create(wal.Options{FS: fsys, Dir: filepath.Join(dir, walName), UUID: meta.UUID}, firstLSN)
	if err != nil {
		return info, err
	}
	if err := log.Close(true); err != nil {
		return info, err
	}
	return info, fsys.SyncDir(dir)
}

// restoreTrees writes the keyspaces of a stream as one generation.
func restoreTrees(ctx context.Context, p *pager.Pager, r io.Reader) (BackupInfo, error) {
	w, err := p.Begin(p.Meta().Gen)
	if err != nil {
		return BackupInfo{}, err
	}
	meta := p.Meta()
	meta.Gen = w.Gen()
	var list []*space
	info, err := readStream(ctx, r, func(h streamHeader) error {
		meta.Seq = kv.Seq(h.seq)
		return nil
	}, func(sp *space, entries *entryReader) error {
		tree, stats, err := btree.Merge(ctx.Err, w, btree.Open(p, node.Ref{}, sp.config), entries, nil)
		if err != nil {
			return err
		}
		sp.tree, sp.bytes = tree, uint64(stats.KeyBytes+stats.ValueBytes)
		list = append(list, sp)
		meta.NextKeyspace = max(meta.NextKeyspace, uint32(sp.id)+1)
		return nil
	})
	var catalog *btree.Tree
	if err == nil {
		catalog, err = writeCatalog(w, openCatalog(p, meta), list, nil)
	}
	if err != nil {
		w.Abort()
		return info, err
	}
	meta.Catalog = catalog.Root()
	return info, w.Commit(meta, false)
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
	if c.count%stepEntries == 0 && c.ctx.Err() != nil {
		return c.fail(c.ctx.Err())
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
