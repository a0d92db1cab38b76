package engine

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightning-db/lightning/engine/internal/btree"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/memtable"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/internal/wal"
	"github.com/lightning-db/lightning/engine/vfs"
)

// Names in the directory of a database.
const (
	treeName   = "btree.db"
	walName    = "wal"
	lockName   = "LOCK"
	newSuffix  = ".new" // a file that has not got its name yet
	readerName = lockName + ".reader-"
)

// maxFrozen is how many frozen memtables may wait for a checkpoint before
// writers wait for it.
const maxFrozen = 2

// DB is an open database. All its methods may be called at once by many
// goroutines.
type DB struct {
	// Lock order: checkpointMu, then commitMu, then mu.

	dir  string
	opts Options
	fs   vfs.FS
	main Keyspace // the default one

	version atomic.Pointer[version] // nil once closed
	visible atomic.Uint64           // sequence number that a new reader sees
	shown   atomic.Pointer[spaces]  // the keyspaces as of visible; stored by the one who may show
	recent  atomic.Pointer[[]*mem]  // keepRecent; stored under mu, nil once closed

	report  OpenReport
	madeDir bool        // by Open
	discard atomic.Bool // by Close

	commitMu sync.Mutex        // the order of commits
	log      *wal.Log          // nil when read-only
	lastSeq  kv.Seq            // guarded by commitMu: newest operation logged
	spaces   *spaces           // guarded by commitMu: the keyspaces as of lastSeq; their trees are not up to date
	scratch  []byte            // guarded by commitMu
	edits    [16]memtable.Edit // guarded by commitMu

	durable durable

	checkpointMu sync.Mutex
	disk         map[kv.Keyspace]*space // guarded by checkpointMu: the keyspaces of the newest generation

	mu      sync.Mutex
	pins    []*pins    // guarded by mu: of generations that views may read, oldest first
	room    *sync.Cond // on mu: a frozen memtable was merged, or cannot be
	ckptErr error      // guarded by mu: what the last checkpoint in the background met
	follow  *follower  // guarded by mu: when read-only
	marks   []mark     // guarded by mu: where commits stand in the log
	stall   stall      // guarded by mu

	failure atomic.Pointer[error] // set once: no more writes
	ballast atomic.Bool           // it is there
	lock    vfs.Lock

	wake    chan struct{}    // there is something to checkpoint
	prepare chan struct{}    // the next log segment is wanted
	dirty   chan struct{}    // SyncNormal: something to sync
	missed  chan kv.Keyspace // its tree wants a filter
	done    chan struct{}    // closed by Close
	workers sync.WaitGroup

	counters counters
	listener *listener // nil: nobody listens
	health   healthMarks
}

// OpenReport says what Open found and did.
type OpenReport struct {
	Created    bool   // there was no database before
	Clean      bool   // it had been closed in order: nothing to recover
	Commits    uint64 // recovered from the log
	Operations uint64 // in those commits
	LogBytes   int64  // read to recover them
	// TornBytes is how much unfinished log was cut off the end: what a crash
	// leaves of commits that were never acknowledged as durable.
	TornBytes int64
	Duration  time.Duration
}

// Open opens the database in the directory dir and recovers what a crash left
// in its log. It creates the database, and the directory itself, where there
// is none, unless the options say otherwise.
//
// Errors: ErrInvalid, ErrLocked, ErrNotExist, ErrFormat, ErrVersion, ErrCorrupt,
// ErrNoSpace, and those of the file system.
func Open(dir string, o *Options) (*DB, error) { return openUnder(nil, dir, o) }

// openUnder is Open by who has the lock of the database already, if it is not nil.
func openUnder(lock vfs.Lock, dir string, o *Options) (*DB, error) {
	if dir == "" {
		return nil, invalid("open: the name of the directory is empty")
	}
	began := time.Now()
	opts, err := o.withDefaults()
	if err != nil {
		return nil, errorf("open %s: %w", dir, err)
	}
	db := &DB{
		dir:     dir,
		opts:    opts,
		fs:      opts.FS,
		lock:    lock,
		wake:    make(chan struct{}, 1),
		prepare: make(chan struct{}, 1),
		dirty:   make(chan struct{}, 1),
		missed:  make(chan kv.Keyspace, 1),
		done:    make(chan struct{}),
	}
	db.counters.init(began)
	db.room = sync.NewCond(&db.mu)
	db.durable.init()
	db.main = Keyspace{db: db, id: kv.DefaultKeyspace}
	if opts.ReadOnly {
		err = db.openReadOnly()
	} else {
		err = db.openForWriting()
	}
	if err != nil {
		return nil, errorf("open %s: %w", dir, public(err))
	}
	db.report.Duration = time.Since(began)
	db.listen()
	db.start()
	if opts.Report != nil {
		go db.reporter()
	}
	return db, nil
}

//go:noinline // filepath.Join in all that names a file
func (db *DB) path(name string) string { return filepath.Join(db.dir, name) }

func (db *DB) openForWriting() (err error) {
	state, err := examine(db.fs, db.dir)
	if err != nil {
		return err
	}
	if state != present && db.opts.MustExist {
		return ErrNotExist
	}
	if state == absent {
		if err := db.makeDir(); err != nil {
			return err
		}
	}
	found, made := state == present, false
	defer func() {
		switch {
		case err == nil:
		case db.lock != nil && found:
			db.lock.Close()
		case db.lock != nil:
			_ = db.unmake(made) // err says more
		case db.madeDir:
			_ = db.fs.Remove(db.dir) // not if somebody else has begun one in it
		}
	}()
	if err := db.takeLock(); err != nil {
		return err
	}
	// What was seen before the lock was taken may have changed since.
	if state, err = examine(db.fs, db.dir); err != nil {
		return err
	}
	if found = state == present; !found {
		made = true
		if err := db.create(); err != nil {
			return errorf("create: %w", err)
		}
		db.report.Created = true
	}
	if err := db.removeLeftovers(); err != nil {
		return err
	}
	if err := db.syncNames(); err != nil {
		return err
	}
	p, err := pager.Open(db.fs, db.path(treeName), pager.Options{CacheBytes: db.opts.CacheBytes})
	if _, ok := errors.AsType[*vfs.LockedError](err); ok { // somebody removed the file LOCK under its holder
		return &LockedError{Path: db.dir}
	}
	if err != nil {
		return err
	}
	err = db.recover(p)
	o := db.walOptions(p.Meta().UUID)
	for isFull(err) && (db.releaseBallast() || o.DropKept()) {
		err = db.recover(p)
	}
	if err != nil {
		p.Close()
		return err
	}
	return nil
}

// recover reads the keyspaces from the tree, replays the log over them, and
// publishes the first version.
func (db *DB) recover(p *pager.Pager) error {
	meta := p.Meta()
	sp, err := loadSpaces(p, meta)
	if err != nil {
		return err
	}
	db.disk = sp.clone().byID
	r := newReplay(p, sp, db.opts.MemtableBytes)
	o := db.walOptions(meta.UUID)
	o.Replayed = r.build // while the log's end is made durable
	log, report, err := wal.Open(o, logStart(meta), r.apply)
	r.finish()
	if err != nil {
		return err
	}
	db.log = log
	db.lastSeq = r.seq
	db.marks = []mark{{meta.Seq, wal.LSN(meta.LogStart)}}
	for _, m := range slices.Backward(r.frozen) {
		m.segment, _ = log.SegmentOf(m.end)
		db.marks = append(db.marks, mark{m.seq, m.end})
	}
	v := r.version()
	db.spaces = v.spaces
	db.publish(v)
	db.show(r.seq, v.spaces)
	db.durable.synced = log.Synced()
	db.noteReplay(meta, report)
	return nil
}

func (db *DB) noteReplay(meta pager.Meta, report wal.Report) {
	db.report.Commits = report.Records
	db.report.Operations = report.Operations
	db.report.LogBytes = int64(report.Bytes)
	db.report.TornBytes = report.TornBytes
	db.report.Clean = report.Records == 0 && report.TornBytes == 0 && meta.LogEnd != 0
}

func logStart(m pager.Meta) wal.Start {
	return wal.Start{LSN: wal.LSN(m.LogStart), Segment: m.LogSegment, Seq: m.Seq, End: wal.LSN(m.LogEnd)}
}

func (db *DB) walOptions(uuid [16]byte) wal.Options {
	return wal.Options{
		FS:          db.fs,
		Dir:         db.path(walName),
		UUID:        uuid,
		SegmentSize: db.opts.SegmentBytes,
		Mapped:      db.opts.Sync != SyncFull,
		MaxHeld:     db.opts.MaxHeldBytes,
		Rotated:     db.tellRotated,
		Kept:        db.path(keptName),
		// As many as the memtables have in the log when all are full: checkpoints
		// release them faster or slower than the writers need them again.
		Spares: int(min((maxFrozen+1)*db.opts.MemtableBytes, db.opts.MaxWALBytes)/db.opts.SegmentBytes) + 1,
	}
}

// publish makes v what readers see. The caller holds mu, or is alone.
func (db *DB) publish(v *version) {
	old := db.version.Load()
	if old != nil && old.active != v.active {
		v.active.number = old.active.number + 1
	}
	v.wanted = db.missed
	if db.opts.SlowOperation > 0 {
		v.timed = db
	}
	if old != nil && old.gen == v.gen {
		v.pins = old.pins
	} else {
		v.pins = &pins{gen: v.gen, first: v.active.number}
		if old != nil {
			old.pins.replaced, old.pins.last = db.counters.now(), old.active.number
		}
		db.pins = append(db.pins, v.pins)
	}
	db.version.Store(v)
	db.keepRecent(v)
}

// keepRecent brings recent up to date: the active memtable of the version v, the
// newest, and those before it, oldest first, in which a transaction that is open
// may have to look for conflicts: no more than maxRecent. The caller holds mu.
//
// (Links from each memtable to the next, cut by way of a weak pointer to the one
// that became too old, kept eight dead memtables in memory whenever the cut fell
// into a garbage collection: it marks what a weak pointer returns, and what a
// link is cut from.)
func (db *DB) keepRecent(v *version) {
	oldest := v.active.number
	for _, p := range db.pins {
		if p.views() > 0 && (p == v.pins || p.last+maxRecent > v.active.number) { // else all of them conflict
			oldest = min(oldest, p.first)
		}
	}
	var kept []*mem
	if before := db.recent.Load(); before != nil {
		for _, m := range *before {
			if m != v.active && m.number >= oldest && m.number+maxRecent > v.active.number {
				kept = append(kept, m)
			}
		}
	}
	kept = append(kept, v.active)
	db.recent.Store(&kept)
}

// maxRecent is how many memtables back a transaction can look for conflicts;
// one that began before them conflicts.
const maxRecent = maxFrozen + 6

// start starts the goroutines that Close waits for.
func (db *DB) start() {
	db.workers.Add(1)
	go db.filterer()
	if db.opts.ReadOnly {
		return
	}
	db.takeBallast()
	db.workers.Add(2)
	go db.checkpointer()
	go db.preparer()
	if db.opts.Sync == SyncNormal {
		db.workers.Add(1)
		go db.syncer()
	}
	if v := db.version.Load(); len(v.frozen) > 0 || db.ripe(v) {
		signal(db.wake)
	}
}

// ripe reports whether recovery left what a checkpoint is to be made of though
// nothing is frozen: a full memtable, or a log of more segments than one fills, of
// which each kill leaves one.
func (db *DB) ripe(v *version) bool {
	return v.active.table.Bytes() >= db.opts.MemtableBytes || int64(db.log.Segments()-3)*db.opts.SegmentBytes > db.opts.MemtableBytes
}

// signal wakes the owner of a channel of capacity one, if it is not awake.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Close merges what is in memory into the tree, so that the next Open has
// nothing to recover, and closes the files. Snapshots, iterators, transactions
// and readers of changes that are still open fail from then on. It returns the
// first failure that the database met in its life, or that closing met;
// whatever it returns, the database is closed, and nothing that was
// acknowledged as durable is lost.
func (db *DB) Close() error { return db.CloseContext(context.Background()) }

// CloseContext is Close for a program that has only so much time: when ctx is
// done it stops merging, and what was not merged stays in the log, which the
// next Open recovers. The database is closed all the same, all commits are on
// stable storage, whatever the sync mode, and the error is that of ctx. What is
// not cut short is a read, write or sync that is under way, and that of the log.
func (db *DB) CloseContext(ctx context.Context) (err error) {
	db.mu.Lock()
	select {
	case <-db.done:
		db.mu.Unlock()
		return errDBClosed
	default:
	}
	close(db.done)
	db.room.Broadcast()
	db.mu.Unlock()
	began := time.Now()
	defer func() { db.tellClosed(began, err) }() // outside the locks
	db.workers.Wait()

	if db.opts.ReadOnly {
		return public(db.closeReadOnly())
	}
	err = db.failed()
	if err == nil {
		err = db.checkpointForClose(orBackground(ctx))
	}
	db.checkpointMu.Lock() // no checkpoint is under way, and none begins
	defer db.checkpointMu.Unlock()
	db.commitMu.Lock() // after the last commit
	db.mu.Lock()       // a sync that began before a failure may be about to show what it made durable
	v := db.version.Swap(nil)
	db.recent.Store(nil)
	db.mu.Unlock()
	db.commitMu.Unlock()
	db.durable.settle()
	if e := db.log.Close(err == nil); err == nil {
		err = e
	}
	if e := v.pager.Close(); err == nil {
		err = e
	}
	release := db.lock.Close
	if db.discard.Load() && db.report.Created {
		release = func() error { return db.unmake(true) }
	}
	if e := release(); err == nil {
		err = e
	}
	if err != nil {
		return errorf("close %s: %w", db.dir, public(err))
	}
	return nil
}

// Discard is Close, and removes the database if this Open has made it: for who
// fails before there is anything in it that somebody needs.
func (db *DB) Discard() error {
	db.discard.Store(true)
	return db.Close()
}

func (db *DB) closing() bool {
	select {
	case <-db.done:
		return true
	default:
		return false
	}
}

// fail stops all further writes: what the disk holds is no longer known.
func (db *DB) fail(cause error) error {
	err := errorf("%w: %w", ErrFailed, public(cause))
	if db.failure.CompareAndSwap(nil, &err) {
		db.tell(&Failed{Err: err})
	}
	db.mu.Lock()
	db.room.Broadcast()
	db.mu.Unlock()
	return *db.failure.Load()
}

// failed returns the failure that ended writing, or nil.
func (db *DB) failed() error {
	if e := db.failure.Load(); e != nil {
		return *e
	}
	return nil
}

// OpenReport says what Open found and did.
func (db *DB) OpenReport() OpenReport { return db.report }

// Path is the directory of the database.
func (db *DB) Path() string { return db.dir }

// checkWritable is the first question of every write.
func (db *DB) checkWritable() error {
	if db.opts.ReadOnly {
		return errDBReadOnly
	}
	if db.closing() {
		return errDBClosed
	}
	return db.failed()
}

// newSpace is a keyspace with nothing in it.
func newSpace(p *pager.Pager, op *wal.Op) *space {
	sp := &space{id: op.Keyspace, name: op.Name, config: treeConfig(op.Keyspace, op.PageSize, op.Codec)}
	sp.tree = btree.Open(p, node.Ref{}, sp.config)
	return sp
}
