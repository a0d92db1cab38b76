package engine

import (
	"errors"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/tally"
)

// view is one moment of the database: what a snapshot or a transaction reads.
// While it is open, no extent that it can reach is used again.
type view struct {
	db     *DB
	v      *version
	pin    *atomic.Int64 // where v.pins counts it
	seq    kv.Seq
	own    *writes // a transaction's writes, else nil
	closed atomic.Bool
	err    error // of a scan that ended early

	managed bool // View or Update ends it
	tx      bool // it is a transaction's
}

// acquire opens a view of the newest moment.
func (db *DB) acquire() (*view, error) {
	w := new(view)
	return w, w.open(db)
}

// pins counts the views of one generation, each where its goroutine found
// itself: every view of every goroutine writes to its counter, twice, and so they
// have cache lines of their own.
type pins struct {
	gen      uint64
	first    uint64        // number of the oldest memtable that was active in a version of the generation
	replaced time.Duration // guarded by mu: when a newer generation was published, counters.now; 0: it is the newest
	last     uint64        // guarded by mu: number of the newest memtable that was active in one, once it is replaced
	counts   [8]struct {
		_     [56]byte
		views atomic.Int64
	}
}

// views is how many views there are. One that is open all the while is counted.
func (p *pins) views() (n int64) {
	for i := range p.counts {
		n += p.counts[i].views.Load()
	}
	return n
}

// open makes w, which is zero, a view of the newest moment. It seldom waits for
// mu: a version that is still the newest after it was pinned had its pin before
// a newer one could take its place, and so before anybody asked whether its
// generation is still read. By then it also holds what the sequence number,
// which was loaded meanwhile, makes visible.
func (w *view) open(db *DB) error {
	if db.follow == nil && w.tryOpen(db) == nil {
		return nil
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	for {
		if err := w.tryOpen(db); err != errRetry { // again only when the database is being closed
			return err
		}
	}
}

// errRetry says that the version changed while it was pinned, or that its
// keyspaces are not visible yet.
var errRetry = errors.New("the version has changed")

// tryOpen is open, but may fail with errRetry.
func (w *view) tryOpen(db *DB) error {
	v := db.version.Load()
	if v == nil || db.closing() {
		return errDBClosed
	}
	w.pin = &v.pins.counts[tally.Stripe()%uintptr(len(v.pins.counts))].views
	w.pin.Add(1)
	w.db, w.v, w.seq = db, v, kv.Seq(db.visible.Load())
	if db.version.Load() != v || w.seq < v.since {
		w.pin.Add(-1)
		return errRetry
	}
	return nil
}

// release closes a view. It may be called again.
func (w *view) release() {
	if w.closed.Swap(true) {
		return
	}
	if w.own != nil {
		w.own.leave()
		w.own = nil
	}
	db := w.db
	if w.pin.Add(-1) > 0 {
		return
	}
	if v := db.version.Load(); db.follow == nil && (v == nil || v.pins == w.v.pins) {
		return
	}
	db.mu.Lock() // it may be the last view of an older generation
	defer db.mu.Unlock()
	if db.follow != nil {
		db.follow.closeOld(db.pinned())
	}
	if v := db.version.Load(); v != nil {
		db.keepRecent(v)
	}
}

// pinned returns the generations that views read, oldest first. The caller
// holds mu.
func (db *DB) pinned() []uint64 {
	var gens []uint64
	newest := db.version.Load()
	db.pins = slices.DeleteFunc(db.pins, func(p *pins) bool {
		read := p.views() > 0
		if read {
			gens = append(gens, p.gen)
		}
		return !read && (newest == nil || p != newest.pins)
	})
	return gens
}

// views is how many views are open. The caller holds mu.
func (db *DB) views() int64 {
	n := int64(0)
	for _, p := range db.pins {
		n += p.views()
	}
	return n
}

// oldestView is how long ago the generation was replaced that the oldest open
// view reads: it is that old at least. Not its own age counts, which nobody
// notes, but for how long it has kept space from being used again. The caller
// holds mu.
func (db *DB) oldestView() time.Duration {
	for _, p := range db.pins {
		if p.views() > 0 && p.replaced > 0 {
			return db.counters.now() - p.replaced
		}
	}
	return 0
}

// over reports whether the view, or the database, is closed.
func (w *view) over() bool { return w.closed.Load() || w.db.version.Load() == nil }

// space returns a keyspace as of the view. It is inlined where it is hot: what
// its errors say, refused adds.
func (w *view) space(ks kv.Keyspace) (*space, error) {
	if w.over() {
		return nil, ErrClosed
	}
	return w.v.space(ks)
}

// refused says more of an error of space.
//
//go:noinline // called in many places, none of them hot
func (w *view) refused(ks kv.Keyspace, err error) error {
	switch {
	case err == ErrNoKeyspace:
		return noSpace(ks, errNoKeyspaceThen)
	case err != ErrClosed:
		return err
	case !w.closed.Load():
		return errDBClosed
	case w.tx:
		return errTxClosed
	}
	return errSnapshotClosed
}

func (w *view) get(ks kv.Keyspace, key, dst []byte) ([]byte, error) {
	sp, err := w.space(ks)
	if err != nil {
		return dst, w.refused(ks, err)
	}
	hash := kv.Hash(key)
	tick := w.db.counters.gets.Add(1)
	if w.own != nil {
		w.own.readKey(ks, key, hash)
		if e, done := w.own.get(ks, key, hash); done {
			if e.kind != kv.Set {
				return dst, ErrNotFound
			}
			return append(dst, e.value...), nil
		}
	}
	began := w.db.counters.beginGet(tick)
	value, found, err := w.v.get(tick, sp, key, hash, w.seq, dst)
	if err != nil {
		return dst, w.failed(err)
	}
	w.db.counters.endGet(began)
	if !found {
		return dst, ErrNotFound
	}
	return value, nil
}

func (w *view) has(ks kv.Keyspace, key []byte) (bool, error) {
	sp, err := w.space(ks)
	if err != nil {
		return false, w.refused(ks, err)
	}
	hash := kv.Hash(key)
	w.db.counters.lookups.Add(1)
	if w.own != nil {
		w.own.readKey(ks, key, hash)
		if e, done := w.own.get(ks, key, hash); done {
			return e.kind == kv.Set, nil
		}
	}
	ok, err := w.v.has(sp, key, hash, w.seq)
	return ok, w.failed(err)
}

func (w *view) multiGet(ks kv.Keyspace, keys [][]byte) ([][]byte, error) {
	values := make([][]byte, len(keys))
	for i, key := range keys {
		value, err := w.get(ks, key, nil)
		switch {
		case err == ErrNotFound:
		case err != nil:
			return nil, err
		case value == nil:
			values[i] = []byte{}
		default:
			values[i] = value
		}
	}
	return values, nil
}

// failed turns an error of reading into a public one.
func (w *view) failed(err error) error {
	if err == nil {
		return nil
	}
	if w.over() {
		return w.refused(kv.DefaultKeyspace, ErrClosed)
	}
	return w.db.readError(err)
}

// scan makes an iterator over the entries in a range.
func (w *view) scan(ks kv.Keyspace, o IterOptions, backward bool) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		it := w.iterator(ks, o)
		defer func() {
			if err := it.Close(); err != nil && w.err == nil {
				w.err = err
			}
		}()
		start, step := it.First, it.Next
		if backward {
			start, step = it.Last, it.Prev
		}
		for ok := start(); ok; ok = step() {
			value := it.Value()
			if it.Err() != nil || !yield(it.Key(), value) {
				return
			}
		}
	}
}

// prefixEnd is the first key after all those with the prefix: nil when there
// is no such key.
func prefixEnd(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xFF {
			end := append([]byte(nil), prefix[:i+1]...)
			end[i]++
			return end
		}
	}
	return nil
}
