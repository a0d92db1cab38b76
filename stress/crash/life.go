package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// dbDir is where a scenario has its database.
const dbDir = "db"

// steps is how many a scenario has.
const steps = 40

// life is a scenario: a short life of a database in a simulated file system,
// and what each of its commits made. The same seed gives the same life, to the
// order of the operations on the file system.
type life struct {
	sim   *faultfs.Sim
	turns *turns
	disk  broken
	on    atomic.Bool // the fault of disk
	opts  engine.Options
	rng   *rand.Rand
	begun int // operations until it was there: the end of its making

	db      *engine.DB
	commits []commit
	marks   []mark
	views   []view
}

// commit is one of those made. Times are counted in operations of the file
// system.
type commit struct {
	contents
	seq   uint64 // of its last operation
	begun int
	acked int
}

// mark says that from an operation on the first n commits are durable, whatever
// the sync mode.
type mark struct{ at, n int }

// view is a snapshot that is held for a while.
type view struct {
	snapshot *engine.Snapshot
	then     contents
}

// newLife returns a scenario that the caller will play.
func newLife(seed uint64, f fault) *life {
	rng := rand.New(rand.NewPCG(seed, 1))
	pick := func(of ...int64) int64 { return of[rng.IntN(len(of))] }
	sim := faultfs.NewSim()
	l := &life{
		sim: sim, turns: takeTurns(), disk: broken{fault: f}, rng: rng,
		commits: []commit{{contents: contents{{}}}},
		opts: engine.Options{
			Sync:          engine.SyncMode(rng.IntN(3)),
			SyncInterval:  time.Hour, // steps sync, so that it can be repeated
			SegmentBytes:  pick(8<<10, 8<<10, 16<<10),
			MemtableBytes: pick(3<<10, 12<<10, 1<<20),
			MaxWALBytes:   pick(12<<10, 1<<20),
			CacheBytes:    pick(1, 64<<10),
			PageSize:      int(pick(1<<10, 1<<10, 4<<10)),
			Compression:   engine.Compression(pick(0, 0, 0, 1, 2)),
		},
	}
	sim.Before = func(op faultfs.Op) bool {
		l.turns.before(op)
		return l.on.Load() && l.disk.skips(&op)
	}
	return l
}

func (l *life) String() string {
	o := &l.opts
	return fmt.Sprintf("sync %s, segments %d, memtable %d, log %d, cache %d, page %d, compression %s",
		o.Sync, o.SegmentBytes, o.MemtableBytes, o.MaxWALBytes, o.CacheBytes, o.PageSize, o.Compression)
}

// play plays it to its end, where the process is killed. An error is what was
// wrong though nothing crashed.
func (l *life) play() (err error) {
	defer func() {
		if l.db != nil {
			l.sim.StopAt(l.sim.Ops() + 1)
			_ = l.db.Close()
		}
	}()
	if err := l.open(); err != nil {
		return err
	}
	l.begun = l.sim.Ops()
	l.on.Store(true)
	if l.rng.IntN(4) == 0 {
		l.begun = 0
	}
	for range steps {
		if err := l.step(); err != nil {
			return err
		}
		l.turns.settle()
	}
	return l.last().compare(l.db, true)
}

func (l *life) open() (err error) {
	o := l.opts
	o.FS = l.sim
	if l.db, err = engine.Open(dbDir, &o); err != nil {
		return err
	}
	l.turns.settle()
	l.promise() // what was shown once is there for ever
	return l.last().compare(l.db, true)
}

func (l *life) last() *commit { return &l.commits[len(l.commits)-1] }

// promise notes that all commits so far are durable from now on.
func (l *life) promise() { l.marks = append(l.marks, mark{l.sim.Ops(), len(l.commits) - 1}) }

// step does one thing.
func (l *life) step() error {
	rng, ctx := l.rng, context.Background()
	n := rng.IntN(100)
	take := func(part int) bool {
		n -= part
		return n < 0
	}
	switch {
	case take(20):
		return l.commit(l.write(set, l.size()))
	case take(6):
		return l.commit(l.write(remove, 0))
	case take(18):
		return l.commit(l.several(1 + rng.IntN(20))...)
	case take(10):
		return l.update(l.several(1 + rng.IntN(6)))
	case take(5): // a value outside its leaf
		return l.commit(l.write(set, 1500+rng.IntN(8000)))
	case take(2): // a record larger than a segment
		return l.commit(l.write(set, 9000+rng.IntN(9000)))
	case take(6): // a memtable full, and a segment
		for range 8 {
			if err := l.commit(l.write(set, 300+rng.IntN(500))); err != nil {
				return err
			}
			l.turns.settle()
		}
		return nil
	case take(5):
		return l.keyspace()
	case take(8):
		_, err := l.db.Checkpoint(ctx)
		l.promise()
		return err
	case take(4): // shrinks the log, too
		_, err := l.db.Compact(ctx)
		l.promise()
		return err
	case take(4):
		err := l.db.Sync()
		l.promise()
		return err
	case take(5):
		return l.look()
	}
	for len(l.views) > 0 {
		if err := l.look(); err != nil {
			return err
		}
	}
	if err := l.db.Close(); err != nil {
		return err
	}
	l.promise()
	return l.open()
}

// write is an operation on some key.
func (l *life) write(kind editKind, size int) edit {
	e := edit{kind: kind, key: l.key(), space: l.last().contents[l.rng.IntN(len(l.last().contents))].name}
	if kind == set {
		e.value = l.value(size)
	}
	return e
}

func (l *life) key() string {
	key := fmt.Sprintf("k%03d", l.rng.IntN(150))
	switch l.rng.IntN(60) {
	case 0:
		return ""
	case 1:
		return key + strings.Repeat("/long", l.rng.IntN(150))
	}
	return key
}

func (l *life) size() int { return l.rng.IntN(120) }

// value is one that compresses, or one that does not.
func (l *life) value(size int) string {
	b := make([]byte, size)
	word := l.rng.Uint64()
	plain := l.rng.IntN(2) == 0
	for i := range b {
		if i%8 == 0 && !plain {
			word = l.rng.Uint64()
		}
		b[i] = byte(word >> (i % 8 * 8))
	}
	return string(b)
}

// several are the operations of a batch, no two of them on the same key.
func (l *life) several(n int) []edit {
	var edits []edit
	used := map[string]bool{}
	for range n {
		e := l.write(set, l.size())
		switch l.rng.IntN(10) {
		case 0, 1, 2:
			e.kind, e.value = remove, ""
		case 3:
			e.kind, e.value = removeRange, e.key+"~"
			if i := l.rng.IntN(40); i > 0 {
				e.value = fmt.Sprintf("k%03d", l.rng.IntN(150))
			}
			if e.value < e.key {
				e.key, e.value = e.value, e.key
			}
			if e.value == e.key || e.key == "" {
				continue
			}
		}
		if id := e.space + "/" + e.key; !used[id] {
			used[id] = true
			edits = append(edits, e)
		}
	}
	if len(edits) == 0 {
		edits = append(edits, l.write(set, l.size()))
	}
	return edits
}

// commit commits, a single put or deletion by the method for it.
func (l *life) commit(edits ...edit) error {
	return l.done(edits, func() error {
		if len(edits) > 1 || edits[0].kind == removeRange {
			b := l.db.NewBatch()
			for _, e := range edits {
				ks, err := l.db.Keyspace(e.space)
				if err == nil {
					err = e.apply(b.In(ks))
				}
				if err != nil {
					return err
				}
			}
			return l.db.Apply(context.Background(), b)
		}
		ks, err := l.db.Keyspace(edits[0].space)
		if err != nil {
			return err
		}
		return edits[0].apply(ks)
	})
}

// writer is a keyspace, a batch or a transaction.
type writer interface {
	Put(key, value []byte) error
	Delete(key []byte) error
	DeleteRange(start, end []byte) error
}

func (e *edit) apply(w writer) error {
	switch e.kind {
	case set:
		return w.Put([]byte(e.key), []byte(e.value))
	case remove:
		return w.Delete([]byte(e.key))
	}
	return w.DeleteRange([]byte(e.key), []byte(e.value))
}

// done makes a commit by what, and notes it.
func (l *life) done(edits []edit, what func() error) error {
	c := commit{contents: l.last().with(edits), begun: l.sim.Ops()}
	if err := what(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	c.acked, c.seq = l.sim.Ops(), l.db.Stats().Seq
	if c.seq <= l.last().seq {
		return fmt.Errorf("a commit has sequence number %d, the one before it %d", c.seq, l.last().seq)
	}
	l.commits = append(l.commits, c)
	return nil
}

// update commits a transaction that reads what it replaces.
func (l *life) update(edits []edit) error {
	now := l.last().contents
	return l.done(edits, func() error {
		return l.db.Update(context.Background(), func(tx *engine.Tx) error {
			for _, e := range edits {
				ks, err := l.db.Keyspace(e.space)
				if err != nil {
					return err
				}
				have, err := tx.In(ks).Get([]byte(e.key))
				if err != nil && !errors.Is(err, engine.ErrNotFound) {
					return err
				}
				// What an earlier range of this transaction has deleted is gone.
				if want, there := now[now.index(e.space)].get(e.key); err == nil && (!there || string(have) != want) {
					return fmt.Errorf("a transaction reads %.40q of key %.40q, want %.40q", have, e.key, want)
				}
				if err := e.apply(tx.In(ks)); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// keyspace makes a keyspace, or drops one.
func (l *life) keyspace() error {
	name := []string{"one", "two"}[l.rng.IntN(2)]
	e := edit{kind: create, space: name}
	if c := l.last().contents; c.index(name) < len(c) && c[c.index(name)].name == name {
		e.kind = drop
	}
	return l.done([]edit{e}, func() error {
		if e.kind == drop {
			return l.db.DropKeyspace(name)
		}
		_, err := l.db.CreateKeyspace(name, &engine.KeyspaceOptions{PageSize: 1 << 10, Compression: engine.Compression(l.rng.IntN(3))})
		return err
	})
}

// look opens a snapshot to be held, or reads one again and closes it.
func (l *life) look() error {
	if len(l.views) == 0 || len(l.views) < 3 && l.rng.IntN(2) == 0 {
		s, err := l.db.Snapshot()
		if err == nil {
			l.views = append(l.views, view{s, l.last().contents})
		}
		return err
	}
	v := l.views[0]
	l.views = l.views[1:]
	defer v.snapshot.Close()
	s := &v.then[0]
	if err := s.compare(v.snapshot, true); err != nil {
		return fmt.Errorf("a snapshot of before: %w", err)
	}
	return nil
}

// bounds are the numbers of the oldest and the newest commit that may be the
// last after a crash when n operations were done.
func (l *life) bounds(n int, d faultfs.Damage) (least, most int) {
	for _, m := range l.marks {
		if m.at <= n {
			least = max(least, m.n)
		}
	}
	for i := range l.commits {
		c := &l.commits[i]
		if c.acked <= n && (d == faultfs.None || l.opts.Sync == engine.SyncFull) {
			least = max(least, i)
		}
		if c.begun < n {
			most = i
		}
	}
	return least, most
}

// find returns the number of the commit that left db as it is, one from least
// to most, and compares all that db holds with it.
func (l *life) find(db *engine.DB, least, most int, thorough bool) (int, error) {
	seq := db.Stats().Seq
	k := sort.Search(len(l.commits), func(i int) bool { return l.commits[i].seq >= seq })
	switch {
	case k == len(l.commits) || l.commits[k].seq != seq:
		return 0, fmt.Errorf("the newest operation is number %d, which is not the end of a commit", seq)
	case k < least:
		return k, fmt.Errorf("lost: commit %d is the newest, and %d had to stay", k, least)
	case k > most:
		return k, fmt.Errorf("commit %d is there, and only %d were begun", k, most)
	}
	if err := l.commits[k].compare(db, thorough); err != nil {
		return k, fmt.Errorf("as of commit %d of %d: %w", k, len(l.commits)-1, err)
	}
	return k, nil
}
