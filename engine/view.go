package engine

import (
	"iter"
	"sync/atomic"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// view is one moment of the database: what a snapshot or a transaction reads.
// While it is open, no extent that it can reach is used again.
type view struct {
	db     *DB
	v      *version
	seq    kv.Seq
	own    *writes // a transaction's writes, else nil
	closed atomic.Bool
	err    error // of a scan that ended early
}

// acquire opens a view of the newest moment.
func (db *DB) acquire() (*view, error) {
	w := new(view)
	return w, w.open(db)
}

// open makes w, which is zero, a view of the newest moment.
func (w *view) open(db *DB) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	v, err := db.pin()
	if err != nil {
		return err
	}
	db.counters.views.Add(1)
	w.db, w.v, w.seq = db, v, kv.Seq(db.visible.Load())
	return nil
}

// pin returns the newest version, whose extents are not used again before it is
// unpinned. The caller holds mu.
func (db *DB) pin() (*version, error) {
	v := db.version.Load()
	if v == nil || db.closing() {
		return nil, ErrClosed
	}
	db.pins[v.gen]++
	return v, nil
}

// unpin takes a pin back. The caller holds mu.
func (db *DB) unpin(v *version) {
	if db.pins[v.gen]--; db.pins[v.gen] == 0 {
		delete(db.pins, v.gen)
		if db.follow != nil {
			db.follow.closeOld(db.pins)
		}
	}
}

// release closes a view. It may be called again.
func (w *view) release() {
	if w.closed.Swap(true) {
		return
	}
	db := w.db
	db.counters.views.Add(-1)
	db.mu.Lock()
	defer db.mu.Unlock()
	db.unpin(w.v)
}

// over reports whether the view, or the database, is closed.
func (w *view) over() bool { return w.closed.Load() || w.db.version.Load() == nil }

// space returns a keyspace as of the view.
func (w *view) space(ks kv.Keyspace) (*space, error) {
	if w.over() {
		return nil, ErrClosed
	}
	return w.v.space(ks)
}

func (w *view) get(ks kv.Keyspace, key, dst []byte) ([]byte, error) {
	sp, err := w.space(ks)
	if err != nil {
		return dst, err
	}
	hash := kv.Hash(key)
	if w.own != nil {
		w.own.readKey(ks, key, hash)
		if e, done := w.own.get(ks, key, hash); done {
			if e.kind != kv.Set {
				return dst, ErrNotFound
			}
			return append(dst, e.value...), nil
		}
	}
	value, found, err := w.v.get(sp, key, hash, w.seq, dst)
	if err != nil {
		return dst, w.failed(err)
	}
	if !found {
		return dst, ErrNotFound
	}
	return value, nil
}

func (w *view) has(ks kv.Keyspace, key []byte) (bool, error) {
	sp, err := w.space(ks)
	if err != nil {
		return false, err
	}
	hash := kv.Hash(key)
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
	if err != nil && w.over() {
		return ErrClosed
	}
	return public(err)
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
