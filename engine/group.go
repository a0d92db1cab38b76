package engine

import (
	"errors"
	"runtime"
	"sync"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/wal"
)

// Group commit. Of all that wait for the log to be durable one, the leader,
// syncs for as many as it can: while it does, others gather for the next sync,
// whose leader is one of them. When a sync ends, those it was for are woken, and
// of the others only one.
//
// Under SyncFull a small Put or Delete leaves the writing, too, to the leader: it
// joins the group that gathers, and the leader writes the records of all with one
// write, and puts them into the memtable.
//
//  1. Each of them is a commit of its own, with a record of its own. Where the
//     write of all is refused each is tried alone.
//  2. Nobody joins a group once its leader has begun to write it, and what was
//     logged before that is in the same sync.
//  3. The leader waits for nothing but the log: not for room in the memtables,
//     since a checkpoint waits for leaders. Who joins has waited before.

// maxGrouped is the size of a key and value, in bytes, up to which a commit joins
// a group. What is larger is written while others sync.
const maxGrouped = 4 << 10

// A group is commits of one operation each.
type group struct {
	ops     ops
	ends    []int   // where each operation ends in the payload
	refused []error // what kept each from being committed; nil while nothing did
	done    bool    // guarded by durable.mu: and err and refused are known
	err     error   // of those that were not refused
}

// durable is who waits for the log, and how far it is.
type durable struct {
	mu        sync.Mutex
	syncing   bool
	target    wal.LSN    // the sync under way is for all that was logged up to here, and for its group
	riders    *sync.Cond // those that it is for
	next      *sync.Cond // those that came too late for it
	gathering *group     // for the next sync
	spare     *group     // whose memory the next one takes
	waiting   int        // how many wait
	company   bool       // somebody waited when the last sync ended
	synced    wal.LSN
}

func (d *durable) init() {
	d.riders, d.next = sync.NewCond(&d.mu), sync.NewCond(&d.mu)
	d.gathering = new(group)
}

// settle returns when nobody syncs. Nobody begins to where all is durable, or
// the database has failed or is closed.
func (d *durable) settle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.syncing {
		d.wait(d.next)
	}
	d.next.Signal() // the one who was woken in its place
}

func (d *durable) wait(c *sync.Cond) {
	d.waiting++
	c.Wait()
	d.waiting--
}

// waitDurable returns when the log is durable up to end.
func (db *DB) waitDurable(end wal.LSN) error {
	d := &db.durable
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.synced < end {
		if err := db.failed(); err != nil {
			d.next.Broadcast() // nobody leads them any more
			return err
		}
		switch {
		case !d.syncing:
			db.lead()
		case end <= d.target:
			d.wait(d.riders)
		default:
			d.wait(d.next)
			if d.synced >= end {
				d.next.Signal() // what the leader itself had written: another leads
			}
		}
	}
	return nil
}

// commitInGroup commits a Put or Delete together with those of others.
func (db *DB) commitInGroup(ks kv.Keyspace, kind kv.Kind, key, value []byte) error {
	if err := db.awaitRoom(); err != nil {
		return err
	}
	d := &db.durable
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.gathering
	i := g.add(ks, kind, key, value)
	for !g.done {
		switch {
		case !d.syncing:
			db.lead()
		case g != d.gathering:
			d.wait(d.riders)
		default:
			d.wait(d.next)
		}
	}
	if g.refused != nil && g.refused[i] != nil {
		return g.refused[i]
	}
	return g.err
}

// awaitRoom returns when the memtables have room for a commit. They need not
// have it any more when it is made: it is small.
func (db *DB) awaitRoom() error {
	for {
		if err := db.checkWritable(); err != nil {
			return err
		}
		if v := db.version.Load(); v == nil || db.hasRoom(v) {
			return nil
		}
		if err := db.waitForRoom(); err != nil {
			return err
		}
	}
}

// add adds a commit and returns its number in the group.
func (g *group) add(ks kv.Keyspace, kind kv.Kind, key, value []byte) int {
	if kind == kv.Set {
		g.ops.payload = wal.AppendSet(g.ops.payload, ks, key, value)
	} else {
		g.ops.payload = wal.AppendDelete(g.ops.payload, ks, key)
	}
	g.ops.add(ks)
	g.ends = append(g.ends, len(g.ops.payload))
	return len(g.ends) - 1
}

// lead commits the group that has gathered, and syncs the log for all whose
// records are in it. The caller holds durable.mu, which is free meanwhile.
func (db *DB) lead() {
	d := &db.durable
	company := d.company
	d.syncing = true
	d.mu.Unlock()
	if company {
		// Those that the last sync was for are about to commit again. They take
		// microseconds to get here; without them they, and those that came
		// during the last sync, would take turns for ever.
		runtime.Gosched()
	}
	db.lockCommit()
	g, synced := d.begin(db.log.End())
	db.commitGroup(g)
	seq, spaces, end := db.lastSeq, db.spaces, db.log.End()
	commits := db.counters.commits.Load()
	db.commitMu.Unlock()
	err := db.failed()
	if err == nil && end > synced {
		if err = db.syncLog(seq, spaces); err == nil {
			synced = end
			db.counters.noteGroup(commits)
		}
	}
	if err != nil {
		g.err = errorf("%w: %w", ErrCommitUnknown, err)
	}
	d.mu.Lock()
	d.end(g, synced)
}

// begin ends the gathering of a group, for a sync of it and of what was logged up
// to target. It returns how far the log is durable.
func (d *durable) begin(target wal.LSN) (*group, wal.LSN) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.gathering
	d.gathering = new(group)
	if s := d.spare; s != nil {
		d.gathering.ops.payload, d.gathering.ends = s.ops.payload[:0], s.ends[:0]
		d.spare = nil
	}
	d.target = target
	d.riders, d.next = d.next, d.riders
	return g, d.synced
}

// end tells all that the sync is over.
func (d *durable) end(g *group, synced wal.LSN) {
	d.syncing, d.target, d.company = false, 0, d.waiting > 0
	d.synced = synced
	g.done = true
	if cap(g.ops.payload) <= maxKeptGroup {
		d.spare = g
	}
	d.riders.Broadcast()
	d.next.Signal()
}

// maxKeptGroup is the largest memory of a group that is used again, in bytes.
const maxKeptGroup = 1 << 20

// commitGroup logs the commits of a group and puts them into the memtable, or
// notes why not. The caller holds commitMu.
func (db *DB) commitGroup(g *group) {
	if len(g.ends) == 0 {
		return
	}
	err := db.commitEach(&g.ops, g.ends)
	if err == nil {
		return
	}
	g.refused = make([]error, len(g.ends))
	start := 0
	for i, end := range g.ends {
		if len(g.ends) > 1 && !errors.Is(err, ErrFailed) {
			one := ops{payload: g.ops.payload[start:end], count: 1, named: g.ops.named}
			g.refused[i] = db.commitEach(&one, []int{end - start})
		} else {
			g.refused[i] = err
		}
		start = end
	}
}

// commitEach logs each of the operations, which end at ends, as a commit of its
// own, and puts them into the memtable: all of them, or none.
func (db *DB) commitEach(o *ops, ends []int) error {
	if err := db.checkWritable(); err != nil {
		return err
	}
	db.freezeFull()
	if err := db.checkSpaces(o); err != nil {
		return err
	}
	first := db.lastSeq + 1
	if _, err := db.log.AppendEach(first, o.payload, ends); err != nil {
		return db.appendFailed(err)
	}
	if err := db.apply(db.version.Load(), o, first); err != nil {
		return db.fail(err)
	}
	db.lastSeq += kv.Seq(o.count)
	db.counters.commits.Add(uint64(o.count))
	if db.log.WantsSegment() {
		signal(db.prepare)
	}
	return nil
}

// syncLog makes durable all that is logged, and visible the operations up to
// seq, which were logged before. One caller at a time: the leader.
func (db *DB) syncLog(seq kv.Seq, spaces *spaces) error {
	began := db.counters.now()
	if _, err := db.log.Sync(); err != nil {
		return db.fail(errorf("sync of the log: %w", err))
	}
	db.counters.syncTime.Observe(int64(db.counters.now() - began))
	if db.opts.Sync == SyncFull {
		db.show(seq, spaces)
	}
	return nil
}
