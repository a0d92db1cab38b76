package engine

import (
	"bytes"
	"context"
	"errors"
	"sort"
	"time"

	"github.com/lightning-db/lightning/engine/internal/btree"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/internal/wal"
	"github.com/lightning-db/lightning/engine/vfs"
)

// A checkpoint writes the frozen memtables to btree.db, into the trees or as
// sorted runs in front of them (runs.go):
//
//  1. Only new extents are written, into space that neither the newest durable
//     meta nor any open view can reach.
//  2. Everything in them is durable in the log, and visible, before the meta is
//     written.
//  3. The new meta is written when all it names is durable; then the version
//     with the new trees is published, and the log before it is released.
//
// A failure before the meta is written leaves nothing behind: the memtables
// stay, and the next checkpoint merges them.

// CheckpointInfo says what a checkpoint did.
type CheckpointInfo struct {
	Operations int    // written from memtables
	Segments   int    // of the log, recycled
	Seq        uint64 // newest operation that is in btree.db now
	Duration   time.Duration
}

// Checkpoint writes what is in memory to btree.db, makes it durable, and
// recycles the log before it. The engine does so by itself when a memtable is
// full or the log is long. Readers and writers go on meanwhile. When ctx is
// done, or the database is closed, it stops and nothing has changed.
func (db *DB) Checkpoint(ctx context.Context) (CheckpointInfo, error) {
	if err := db.checkWritable(); err != nil {
		return CheckpointInfo{}, err
	}
	db.checkpointMu.Lock()
	defer db.checkpointMu.Unlock()
	info, err := db.checkpointAll(whileOpen{orBackground(ctx), db}, false)
	return info, wrap("checkpoint", err)
}

// whileOpen is a context that ends when Close is called, too: its Err is then
// ErrClosed. What merges in the background, or for somebody who did not wait for
// it, does not keep Close waiting.
type whileOpen struct {
	context.Context
	db *DB
}

// Err implements context.Context.
func (c whileOpen) Err() error {
	if c.db.closing() {
		return errDBClosed
	}
	return c.Context.Err()
}

// checkpointAll checkpoints everything that was committed before it was
// called. The caller holds checkpointMu.
func (db *DB) checkpointAll(ctx context.Context, closing bool) (CheckpointInfo, error) {
	v := db.version.Load()
	if v == nil {
		return CheckpointInfo{}, errDBClosed
	}
	if len(v.frozen) >= maxFrozen { // no more of them, should it fail
		info, err := db.checkpoint(ctx, false)
		// On a full disk what was deleted since can make the difference.
		if err != nil && (!isFull(err) || len(v.frozen) >= maxReplayed) {
			return info, err
		}
	}
	db.freezeAll()
	return db.checkpoint(ctx, closing)
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return errorf("%s: %w", doing, public(err))
}

// freezeAll freezes the active memtable if anything was committed since it
// became active.
func (db *DB) freezeAll() {
	db.commitMu.Lock()
	defer db.commitMu.Unlock()
	if v := db.version.Load(); db.log.End() > v.active.start {
		db.freeze(v)
	}
}

// checkpointer checkpoints whenever a memtable has been frozen.
func (db *DB) checkpointer() {
	defer db.workers.Done()
	ctx := whileOpen{context.Background(), db}
	quiet := time.NewTicker(max(quietTime, db.opts.SyncInterval))
	defer quiet.Stop()
	var logged wal.LSN // at the last tick
	var stuck uint64   // generation with which nothing more can be done
	for {
		select {
		case <-db.done:
			return
		case <-quiet.C:
			end := db.log.End()
			if end-logged <= quietBytes && stuck != db.version.Load().gen {
				err := db.settleQuietly(ctx, end+quietBytes)
				if err == nil {
					err = db.shrinkQuietly(ctx, end+quietBytes)
				}
				if err != nil {
					stuck = db.version.Load().gen
				}
				if err != errStill {
					db.background("merge sorted runs and shrink the file", err)
				}
			}
			logged = end
			continue
		case <-db.wake:
		}
		db.checkpointMu.Lock()
		if v := db.version.Load(); len(v.frozen) == 0 && db.ripe(v) {
			db.freezeAll()
		}
		_, err := db.checkpoint(ctx, false)
		db.checkpointMu.Unlock()
		db.background("checkpoint", err)
		db.noteCheckpoint(err)
	}
}

// noteCheckpoint tells those that wait for room why there is none.
func (db *DB) noteCheckpoint(err error) {
	if err != nil && !db.closing() {
		db.mu.Lock()
		db.ckptErr = errorf("checkpoint: %w", public(err))
		db.room.Broadcast()
		db.mu.Unlock()
	}
}

// checkpointForClose merges everything, so that the next open has nothing to
// recover, unless ctx is done before.
func (db *DB) checkpointForClose(ctx context.Context) error {
	db.commitMu.Lock() // behind the last commit: none begins once done is closed
	end := db.log.End()
	db.commitMu.Unlock()
	if err := db.waitDurable(end); err != nil {
		return err
	}
	db.checkpointMu.Lock()
	defer db.checkpointMu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := db.shrinkLog(); err != nil {
		return err
	}
	if _, err := db.checkpointAll(ctx, true); err != nil {
		return err
	}
	return db.dropLog()
}

// shrinkLog makes the log go on in a small segment, so that the checkpoint that
// follows leaves no other. The caller holds checkpointMu.
func (db *DB) shrinkLog() error {
	db.commitMu.Lock()
	defer db.commitMu.Unlock()
	err := db.log.Shrink()
	if vfs.IsNoSpace(err) && !errors.Is(err, wal.ErrFailed) {
		return nil // it stays as long as it is
	}
	return err
}

// dropLog gives back what the log keeps for later use.
func (db *DB) dropLog() error {
	if err := db.releaseLog(); err != nil {
		return err
	}
	db.log.DropSpares()
	return nil
}

// checkpoint merges the frozen memtables, also on a full disk, if what can be
// given back there is enough. The caller holds checkpointMu.
func (db *DB) checkpoint(ctx context.Context, closing bool) (CheckpointInfo, error) {
	info, err := db.tryCheckpoint(ctx, closing)
	for isFull(err) && db.makeRoom() {
		info, err = db.tryCheckpoint(ctx, closing)
	}
	if !db.ballast.Load() && (err == nil || isFull(err)) {
		db.log.DropSpares()
		db.takeBallast()
	}
	if err == nil {
		db.lookForSpace()
	}
	db.counters.noteCheckpoint(err)
	return info, err
}

// checkPlace ends writing when the directory has been moved, removed or replaced.
// Files that are open would go on, but new ones be made at the old place, where
// another database may be now.
func (db *DB) checkPlace() error {
	if db.version.Load().pager.InPlace() {
		return nil
	}
	return db.fail(errorf("%s was moved, removed or replaced", db.dir))
}

func (db *DB) tryCheckpoint(ctx context.Context, closing bool) (CheckpointInfo, error) {
	began := time.Now()
	if err := db.checkPlace(); err != nil {
		return CheckpointInfo{}, err
	}
	frozen := db.version.Load().frozen
	if meta := db.version.Load().pager.Meta(); len(frozen) == 0 && closing && meta.LogEnd != meta.LogStart {
		_, err := db.writeTrees(generation{
			kind:   CheckpointClose,
			wanted: &spaces{byID: db.disk, next: meta.NextKeyspace},
			change: func(_ *pager.Writer, sp *space) (*space, error) { return sp, nil },
			meta:   func(m *pager.Meta) { m.LogEnd = m.LogStart },
		})
		return CheckpointInfo{Seq: uint64(meta.Seq)}, err
	}
	if len(frozen) == 0 {
		return CheckpointInfo{Seq: uint64(db.version.Load().pager.Meta().Seq)}, nil
	}
	if err := db.failed(); err != nil {
		return CheckpointInfo{}, err
	}
	newest := frozen[0]
	info := CheckpointInfo{Seq: uint64(newest.seq)}
	for _, m := range frozen {
		info.Operations += m.table.Len()
	}
	disk, err := db.writeTrees(generation{
		kind:       CheckpointMemtables,
		operations: info.Operations,

		wanted: newest.spaces,
		change: func(w *pager.Writer, sp *space) (*space, error) { return db.writeSpace(ctx, w, sp, frozen) },
		// Under SyncFull nothing may be in a tree that is not visible yet; in every
		// mode only what is durable of the log is recycled. While the extents were
		// written, most of it became durable by itself.
		ready: func() error { return db.waitDurable(newest.end) },
		meta: func(m *pager.Meta) {
			m.Seq, m.LogStart, m.LogSegment = newest.seq, uint64(newest.end), newest.segment
			if m.LogEnd = 0; closing {
				m.LogEnd = m.LogStart
			}
		},
	})
	if err != nil {
		return CheckpointInfo{}, db.checkpointFailed(err)
	}
	db.installTrees(disk, newest)
	before := db.log.Segments()
	if err := db.releaseLog(); err != nil {
		return info, db.checkpointFailed(err)
	}
	info.Segments = before - db.log.Segments()
	info.Duration = time.Since(began)
	db.counters.checkpointTime.Observe(int64(info.Duration))
	db.counters.lastCheckpoint.Store(int64(info.Duration))
	return info, nil
}

// checkpointFailed sorts out what a failed checkpoint means: a full disk, a
// damaged node, and the end of its context or of the database leave everything
// as it was; anything else ends writing.
func (db *DB) checkpointFailed(err error) error {
	db.notice(err)
	_, damaged := errors.AsType[*pager.CorruptError](err)
	switch {
	case db.failed() != nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, ErrClosed), damaged:
		return err
	case vfs.IsNoSpace(err) && db.version.Load().pager.Failed() == nil:
		return err
	}
	return db.fail(err)
}

// generation is what writeTrees writes.
type generation struct {
	kind       CheckpointKind
	operations int // of memtables that become part of it

	wanted *spaces // the keyspaces in it; those that are on disk and not in it are freed
	// change brings one keyspace up to date.
	change func(*pager.Writer, *space) (*space, error)
	// meta completes the meta: the place in the log.
	meta func(*pager.Meta)
	// ready, when not nil, is called between the writing of the extents and that
	// of the meta; an error of it leaves the old generation.
	ready func() error
	// move, when not nil, moves extents of the catalog, and cuts the file.
	move *btree.Move
}

// writeTrees writes the next generation and returns the keyspaces as they are
// on disk then. The caller holds checkpointMu.
func (db *DB) writeTrees(g generation) (disk map[kv.Keyspace]*space, err error) {
	ended := db.tellCheckpoint(g.kind, g.operations)
	defer func() { ended(err) }()
	p := db.version.Load().pager
	w, err := p.Begin(db.oldestPin())
	if err != nil {
		return nil, err
	}
	disk, meta, err := db.writeSpaces(w, p, g)
	if err == nil && g.ready != nil {
		err = g.ready()
	}
	if err != nil {
		w.Abort()
		return nil, err
	}
	meta.Gen, meta.NextKeyspace = w.Gen(), g.wanted.next
	g.meta(&meta)
	if err := w.Commit(meta, g.move != nil); err != nil {
		return nil, err
	}
	db.disk = disk
	return disk, nil
}

func (db *DB) writeSpaces(w *pager.Writer, p *pager.Pager, g generation) (map[kv.Keyspace]*space, pager.Meta, error) {
	meta := p.Meta()
	disk := make(map[kv.Keyspace]*space, len(g.wanted.byID))
	var changed []*space
	// In their order: the same commits make the same file.
	for _, sp := range g.wanted.list() {
		id := sp.id
		old := db.disk[id]
		if old != nil {
			sp = old
		}
		next, err := g.change(w, sp)
		if err != nil {
			return nil, meta, err
		}
		if next != old {
			changed = append(changed, next)
		}
		disk[id] = next
	}
	var dropped []kv.Keyspace
	for _, sp := range (&spaces{byID: db.disk}).list() {
		if g.wanted.byID[sp.id] != nil {
			continue
		}
		if err := freeSpace(w, sp); err != nil {
			return nil, meta, err
		}
		dropped = append(dropped, sp.id)
	}
	catalog, err := writeCatalog(w, openCatalog(p, meta), changed, dropped)
	if err == nil && g.move != nil {
		catalog, _, err = btree.Relocate(nil, w, catalog, *g.move)
	}
	if err != nil {
		return nil, meta, err
	}
	meta.Catalog = catalog.Root()
	return disk, meta, nil
}

// union returns the ranges that d covers, sorted and apart from each other, for
// a tree whose entries are all older.
func union(d kv.RangeDeletes) kv.RangeDeletes {
	sort.Slice(d, func(i, j int) bool { return bytes.Compare(d[i].Start, d[j].Start) < 0 })
	var out kv.RangeDeletes
	for _, r := range d {
		last := len(out) - 1
		switch {
		case last < 0 || out[last].End != nil && bytes.Compare(out[last].End, r.Start) < 0:
			out = append(out, r)
		case out[last].End != nil && (r.End == nil || bytes.Compare(r.End, out[last].End) > 0):
			out[last].End = r.End
		}
	}
	return out
}

// installTrees publishes the trees that were just written, without the
// memtables that are merged in them: newest and those before it.
func (db *DB) installTrees(disk map[kv.Keyspace]*space, newest *mem) {
	db.mu.Lock()
	defer db.mu.Unlock()
	next := *db.version.Load()
	next.gen = next.pager.Meta().Gen
	next.spaces = next.spaces.clone()
	for id := range next.spaces.byID {
		if sp := disk[id]; sp != nil { // else it was created since
			next.spaces.put(sp)
		}
	}
	for i, m := range next.frozen {
		if m == newest {
			next.frozen = append([]*mem(nil), next.frozen[:i]...)
			break
		}
	}
	if newest != nil {
		db.ckptErr = nil
	}
	db.publish(&next)
	db.room.Broadcast()
}

// oldestPin is the oldest generation that anyone may still read: a view of
// this process, a reader in another, or else the newest.
func (db *DB) oldestPin() uint64 {
	db.mu.Lock()
	oldest := db.version.Load().gen
	for _, gen := range db.pinned() {
		oldest = min(oldest, gen)
	}
	db.mu.Unlock()
	for _, r := range db.readers() {
		oldest = min(oldest, r.gen)
	}
	return oldest
}

// releaseLog recycles the log that neither recovery nor a reader needs.
func (db *DB) releaseLog() error {
	before := wal.LSN(db.version.Load().pager.Meta().LogStart)
	for _, r := range db.readers() {
		if int64(before-r.lsn) <= db.opts.MaxHeldBytes {
			before = min(before, r.lsn)
		}
	}
	return db.log.Release(before)
}

// memtableBytes is the memory that the version's memtables take.
func (v *version) memtableBytes() int64 {
	n := v.active.table.Bytes()
	for _, m := range v.frozen {
		n += m.table.Bytes()
	}
	return n
}
