package engine

import (
	"context"
	"errors"
	"time"

	"github.com/lightning-db/lightning/engine/internal/invariant"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/memtable"
	"github.com/lightning-db/lightning/engine/internal/wal"
)

// The path of a commit. Under commitMu it gets its sequence numbers, is
// checked for conflicts, is appended to the log and put into the active
// memtable: so the order of sequence numbers, of the log and of the memtable
// is one order. Under SyncNormal and SyncOff it is then visible. Under
// SyncFull it leaves commitMu and waits until the log is durable past it; one
// of those that wait syncs for all (group.go), and only then are they
// visible. A commit that failed before its record was written leaves nothing
// behind; a failure after that ends writing (DB.fail).

// commitOne is the commit of one Put or Delete.
func (db *DB) commitOne(ks kv.Keyspace, kind kv.Kind, key, value []byte) error {
	if err := checkSizes(key, value); err != nil {
		return err
	}
	if db.opts.Sync == SyncFull && len(key)+len(value) <= maxGrouped {
		return db.commitInGroup(ks, kind, key, value)
	}
	hash := kv.Hash(key)
	if err := db.beginCommit(false); err != nil {
		return err
	}
	v := db.version.Load()
	if ks != kv.DefaultKeyspace && db.spaces.byID[ks] == nil {
		db.commitMu.Unlock()
		return ErrNoKeyspace
	}
	v.active.table.Ask(ks, hash)
	var end wal.LSN
	var err error
	if kind == kv.Set {
		db.scratch = wal.AppendSetHead(db.scratch[:0], ks, key, len(value))
		end, err = db.log.Append(db.lastSeq+1, 1, db.scratch, value)
	} else {
		db.scratch = wal.AppendDelete(db.scratch[:0], ks, key)
		end, err = db.log.Append(db.lastSeq+1, 1, db.scratch)
	}
	if err != nil {
		defer db.commitMu.Unlock()
		return db.appendFailed(err)
	}
	v.active.table.Put(ks, key, hash, value, kind, db.lastSeq+1)
	if kind == kv.Set {
		db.counters.puts.Add(1)
	} else {
		db.counters.deletes.Add(1)
	}
	return db.endCommit(1, end)
}

// ops are the operations of a commit as the log holds them.
type ops struct {
	payload []byte
	count   uint32
	named   bool // one of them is in another keyspace than the default one
}

// add counts an operation on ks that was put into the payload.
func (o *ops) add(ks kv.Keyspace) {
	o.count++
	o.named = o.named || ks != kv.DefaultKeyspace
}

// commitOps is the commit of a batch, a transaction or a range delete. check,
// when not nil, is called under commitMu and may refuse it or complete it; it
// may be called again.
func (db *DB) commitOps(o *ops, check func(*version) error) error {
	began, timed := db.begin(), db.beginTimed()
	err := db.commitOnce(o, check, false)
	if isFull(err) && o.onlyDeletes() {
		err = db.commitOnFullDisk(o, check)
		db.counters.noteRefused()
	}
	db.took(began, "commit", "", int(o.count), len(o.payload), err)
	return db.endTimed(timed, err)
}

// commitOnce is commitOps; with anyway it does not wait for room in memory.
func (db *DB) commitOnce(o *ops, check func(*version) error, anyway bool) error {
	if o.count == 0 {
		return db.checkWritable()
	}
	if len(o.payload) > MaxCommitSize {
		return errorf("commit of %d bytes, the limit is %d: %w", len(o.payload), int64(MaxCommitSize), ErrTooLarge)
	}
	if err := db.beginCommit(anyway); err != nil {
		return err
	}
	v := db.version.Load()
	err := db.checkSpaces(o)
	if err == nil && check != nil {
		err = check(v)
	}
	if err != nil {
		db.commitMu.Unlock()
		return err
	}
	first := db.lastSeq + 1
	end, err := db.log.Append(first, o.count, o.payload)
	if err != nil {
		defer db.commitMu.Unlock()
		return db.appendFailed(err)
	}
	if err := db.apply(v, o, first); err != nil {
		db.commitMu.Unlock()
		return db.fail(err)
	}
	return db.endCommit(kv.Seq(o.count), end)
}

// checkSpaces refuses operations on keyspaces that are not there. The default
// one always is.
func (db *DB) checkSpaces(o *ops) error {
	if !o.named {
		return nil
	}
	return o.each(func(op *wal.Op) error {
		if db.spaces.byID[op.Keyspace] == nil && op.Kind != kv.CreateKeyspace {
			return noSpace(op.Keyspace, errDropped)
		}
		return nil
	})
}

// each visits the operations. What visit is given is its until it returns.
func (o *ops) each(visit func(*wal.Op) error) error {
	var op wal.Op // one allocation for all of them
	p := o.payload
	for range o.count {
		var err error
		if op, p, err = wal.NextOp(p); err != nil {
			return err
		}
		if err := visit(&op); err != nil {
			return err
		}
	}
	return nil
}

// apply puts the operations into the active memtable, neighbours on single keys
// of one keyspace together.
func (db *DB) apply(v *version, o *ops, seq kv.Seq) error {
	edits, in := db.edits[:0], kv.DefaultKeyspace
	put := func() {
		if len(edits) > 0 {
			v.active.table.PutAll(in, edits, seq)
			seq += kv.Seq(len(edits))
			clear(edits) // they point into the payload
			edits = edits[:0]
		}
	}
	var kinds [kv.DeleteRange + 1]uint64
	p := o.payload
	for range o.count {
		op, rest, err := wal.NextOp(p)
		if err != nil {
			return err
		}
		p = rest
		if op.Kind <= kv.DeleteRange {
			kinds[op.Kind]++
		}
		if len(edits) == len(db.edits) || op.Keyspace != in {
			put()
			in = op.Keyspace
		}
		switch op.Kind {
		case kv.Set, kv.Delete:
			edits = append(edits, memtable.Edit{Key: op.Key, Value: op.Value, Hash: kv.Hash(op.Key), Kind: op.Kind})
			continue
		}
		put()
		switch op.Kind {
		case kv.CreateKeyspace, kv.DropKeyspace:
			db.changeSpaces(v, &op)
		default:
			applyOp(v.active, &op, seq)
		}
		seq++
	}
	put()
	db.counters.applied(kinds[kv.Set], kinds[kv.Delete], kinds[kv.DeleteRange])
	return nil
}

// beginCommit takes commitMu for a commit that the memtables have room for, or
// anyway.
func (db *DB) beginCommit(anyway bool) error {
	for {
		db.lockCommit()
		if err := db.checkWritable(); err != nil {
			db.commitMu.Unlock()
			return err
		}
		if anyway || db.hasRoom(db.version.Load()) {
			db.freezeFull()
			return nil
		}
		db.commitMu.Unlock()
		if err := db.waitForRoom(); err != nil {
			return err
		}
	}
}

// commitSpins is for how long a commit tries to get commitMu before it sleeps:
// some twenty microseconds, which is longer than a few others hold it. Once one
// sleeps, others find it taken by those that are woken, and all sleep in turn:
// with 500, four workers used three quarters of two cores.
const commitSpins = 5000

func (db *DB) lockCommit() {
	for range commitSpins {
		if db.commitMu.TryLock() {
			return
		}
	}
	db.commitMu.Lock()
}

// full reports whether the active memtable is due to be frozen.
func (db *DB) full(v *version) bool {
	return v.active.table.Bytes() >= db.opts.MemtableBytes ||
		int64(db.log.End()-v.active.start) >= db.opts.MaxWALBytes/maxFrozen
}

// hasRoom reports whether a commit need not wait for a checkpoint.
func (db *DB) hasRoom(v *version) bool { return len(v.frozen) < maxFrozen || !db.full(v) }

// freezeFull freezes the active memtable if it is due and not too many are
// frozen. The caller holds commitMu.
func (db *DB) freezeFull() {
	if v := db.version.Load(); db.full(v) && len(v.frozen) < maxFrozen {
		db.freeze(v)
	}
}

// freeze gives the version a new active memtable. The caller holds commitMu.
func (db *DB) freeze(v *version) {
	old := v.active
	if invariant.On {
		invariant.That(!db.commitMu.TryLock(), "freeze: nobody holds commitMu")
		invariant.Hold(old.table.Check())
	}
	end, segment := db.log.Position()
	old.end, old.segment, old.seq, old.spaces = end, segment, db.lastSeq, db.spaces
	next := *v
	next.active = &mem{table: old.table.Next(), start: end}
	next.frozen = append([]*mem{old}, v.frozen...)
	db.mu.Lock()
	cur := db.version.Load() // a checkpoint may have published meanwhile
	if cur != v {
		next.pager, next.gen = cur.pager, cur.gen
		next.spaces, next.since = cur.spaces, cur.since
		next.frozen = append([]*mem{old}, cur.frozen...)
	}
	db.publish(&next)
	db.marks = append(db.marks, mark{db.lastSeq, end})
	for len(db.marks) > 1 {
		if _, there := db.log.SegmentOf(db.marks[0].lsn); there {
			break
		}
		db.marks = db.marks[1:]
	}
	db.mu.Unlock()
	signal(db.wake)
}

// waitForRoom waits until a checkpoint has merged a frozen memtable. Where
// checkpoints fail, it returns why.
func (db *DB) waitForRoom() (err error) {
	began := time.Now()
	db.mu.Lock()
	defer db.mu.Unlock()
	db.beginStall()
	defer func() { db.endStall(err) }()
	db.ckptErr = nil
	signal(db.wake)
	for len(db.version.Load().frozenOrNil()) >= maxFrozen && db.ckptErr == nil {
		if db.closing() {
			return errDBClosed
		}
		if err := db.failed(); err != nil {
			return err
		}
		db.room.Wait()
	}
	db.counters.stallTime.Observe(int64(time.Since(began)))
	return db.ckptErr
}

func (v *version) frozenOrNil() []*mem {
	if v == nil {
		return nil
	}
	return v.frozen
}

// appendFailed is the error of a commit that the log did not take. Where the disk
// is full a checkpoint may make room, by the log that it lets go. The caller
// holds commitMu.
func (db *DB) appendFailed(err error) error {
	db.notice(err)
	if v := db.version.Load(); isFull(err) && len(v.frozen) < maxFrozen && db.log.End() > v.active.start {
		db.freeze(v)
	}
	if errors.Is(err, wal.ErrFailed) {
		return errorf("%w: %w", ErrCommitUnknown, db.fail(err))
	}
	return errorf("commit: %w", public(err))
}

// endCommit makes the operations visible, now or when they are durable, and
// releases commitMu.
func (db *DB) endCommit(count kv.Seq, end wal.LSN) error {
	db.lastSeq += count
	seq := db.lastSeq
	db.counters.commits.Add(1)
	wanted := db.log.WantsSegment()
	if db.opts.Sync != SyncFull {
		db.show(seq, db.spaces)
		db.commitMu.Unlock()
		if wanted {
			signal(db.prepare)
		}
		if db.opts.Sync == SyncNormal {
			signal(db.dirty)
		}
		return nil
	}
	db.commitMu.Unlock()
	if wanted {
		signal(db.prepare)
	}
	if err := db.waitDurable(end); err != nil {
		return errorf("%w: %w", ErrCommitUnknown, err)
	}
	return nil
}

// Sync returns when every commit that was acknowledged before it was called
// is on stable storage, whatever the sync mode.
func (db *DB) Sync() error {
	if err := db.checkWritable(); err != nil {
		return err
	}
	began := db.begin()
	err := db.waitDurable(db.log.End())
	db.took(began, "sync", "", 0, 0, err)
	return err
}

// syncer syncs the log in SyncNormal within the interval of a commit.
func (db *DB) syncer() {
	defer db.workers.Done()
	for {
		select {
		case <-db.done:
			return
		case <-db.dirty:
		}
		timer := time.NewTimer(db.opts.SyncInterval / 2)
		select {
		case <-db.done:
			timer.Stop()
			return
		case <-timer.C:
		}
		if db.waitDurable(db.log.End()) != nil {
			return // no more writes: nothing to sync
		}
	}
}

// preparer makes the next log segment ready before a commit needs it.
func (db *DB) preparer() {
	defer db.workers.Done()
	for {
		select {
		case <-db.done:
			return
		case <-db.prepare:
		}
		if db.checkPlace() != nil {
			return
		}
		refused := db.counters.refused.Load()
		err := db.log.Prepare()
		if errors.Is(err, wal.ErrFailed) {
			db.fail(errorf("next log segment: %w", err))
			return
		}
		// Any other error left the log as it was: the commit that needs the
		// segment tries again, and reports it.
		db.background("prepare the next log segment", err)
		if err == nil {
			// A delete that comes between takes the segment that was made for it.
			db.counters.refused.CompareAndSwap(refused, 0)
			db.noticeSpace()
		}
	}
}

// Apply commits a batch: all of its operations become visible at one moment,
// and survive a crash together or not at all. A batch may be applied again.
//
// Errors: ErrTooLarge, ErrNoKeyspace, ErrNoSpace (nothing was committed);
// ErrFailed and ErrCommitUnknown. A context that is done before the commit
// begins is its error; it does not interrupt a commit.
func (db *DB) Apply(ctx context.Context, b *Batch) error {
	if err := orBackground(ctx).Err(); err != nil {
		return err
	}
	if b == nil {
		return db.counters.noteError(invalid("the batch is nil"))
	}
	if b.db == nil && b.collected().named {
		return db.counters.noteError(errNoKeyspace) // In got nil: any other gives the batch a database
	}
	if b.db != db && b.collected().named {
		return db.counters.noteError(errorf("a batch of another database: %w", ErrNoKeyspace))
	}
	return db.commitOps(b.collected(), nil)
}
