package engine

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"unsafe"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/memtable"
	"github.com/lightning-db/lightning/engine/internal/wal"
)

// Isolation is what a read-write transaction is protected from.
type Isolation uint8

const (
	// Serializable: the outcome is as if the transactions had run one after
	// the other. What a transaction read, key by key or as a range, must not
	// have changed when it commits.
	Serializable Isolation = iota
	// SnapshotIsolation: only what a transaction wrote must not have been
	// written by another since it began. It allows write skew.
	SnapshotIsolation
)

// TxOptions are the settings of Begin.
type TxOptions struct {
	ReadOnly  bool
	Isolation Isolation // of a read-write transaction
}

// Tx is a transaction: reads from one moment, its own writes over it, and a
// commit that takes effect at one moment or not at all. It never waits and
// holds no locks; a conflict is found when it commits. A Tx is used by one
// goroutine at a time.
type Tx struct {
	view *view
	ks   kv.Keyspace
}

// ownSeq is larger than every sequence number of the database, so that a
// transaction's own writes lie over everything else.
const ownSeq kv.Seq = 1 << 62

// maxDiskSeq bounds the sequence numbers that files may name: from there to
// ownSeq there are enough for any future.
const maxDiskSeq kv.Seq = 1 << 61

// writes are a transaction's writes, in the order they were made, and what it
// must find unchanged when it commits.
type writes struct {
	ops       ops
	few       [8]write        // the writes, while they are few and on single keys
	table     *memtable.Table // the writes, when not, or to iterate over; else nil
	isolation Isolation

	keys     []keyRead
	keyBytes []byte // the keys, one behind the other
	ranges   []rangeRead
}

// spareWrites holds the memory of transactions that are over, empty: to make it
// anew costs as much as a read. A transaction that is over does not look at its
// writes any more, since its view, which is never used again, is closed.
var spareWrites = sync.Pool{New: func() any { return new(writes) }}

// maxKeptWrites is the largest memory of a transaction that is used again, in
// bytes.
const maxKeptWrites = 64 << 10

// leave gives the memory of w to another transaction.
func (w *writes) leave() {
	if cap(w.ops.payload)+cap(w.keyBytes)+cap(w.keys)*int(unsafe.Sizeof(keyRead{})) > maxKeptWrites {
		return
	}
	*w = writes{ops: ops{payload: w.ops.payload[:0]}, keys: w.keys[:0], keyBytes: w.keyBytes[:0]}
	spareWrites.Put(w)
}

// write is where a write on a key stands in the payload. Most transactions
// write to a few keys: it costs less to look at these than to keep a memtable.
type write struct {
	hash uint64
	at   int
}

type keyRead struct {
	hash uint64
	ks   kv.Keyspace
	at   int // where the key begins in keyBytes; it ends where the next one begins
}

type rangeRead struct {
	ks kv.Keyspace
	kv.Range
}

// Begin starts a transaction. End it with Commit or Rollback. View and Update
// do that by themselves.
func (db *DB) Begin(o TxOptions) (*Tx, error) {
	if !o.ReadOnly {
		if err := db.checkWritable(); err != nil {
			return nil, err
		}
	}
	t := new(struct { // one allocation
		Tx
		own view
	})
	if err := t.own.open(db); err != nil {
		return nil, err
	}
	if !o.ReadOnly {
		t.own.own = spareWrites.Get().(*writes)
		t.own.own.isolation = o.Isolation
	}
	t.own.tx = true
	t.Tx.view = &t.own
	return &t.Tx, nil
}

// errManaged is what Commit returns to a function of View or Update.
const errManaged = invalid("View and Update end the transaction themselves: return nil to commit, an error to roll back")

// View calls fn with a read-only transaction, which fn must not end. It never
// waits and never conflicts. It returns fn's error, or that of a scan that
// ended early.
func (db *DB) View(fn func(*Tx) error) error {
	if fn == nil {
		return errNoFunction
	}
	tx, err := db.Begin(TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.view.release()
	return tx.run(fn)
}

// run calls the function of View or Update.
func (tx *Tx) run(fn func(*Tx) error) error {
	tx.view.managed = true
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Err()
}

// Update calls fn with a serializable read-write transaction and commits it
// when fn returns nil. When another transaction got in its way, it calls fn
// again, on a newer moment: fn must have no effects but on its transaction,
// which it must not end. An error of fn, or of a scan that ended early, rolls
// back and is returned.
//
// Between the calls it pauses as Retry does, and gives up as that does, with
// ErrConflict: at the deadline of ctx, or without one after 1,000 conflicts in a
// row. A nil ctx is never done.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	if fn == nil {
		return errNoFunction
	}
	ctx = orBackground(ctx)
	var met wal.LSN // the log, up to what was in the way last
	return retry(ctx, func() (again bool, err error) {
		if db.opts.Sync == SyncFull {
			// It may not be visible yet: a new moment would meet it again.
			if err := db.waitDurable(met); err != nil {
				return false, err
			}
		}
		if err = db.tryUpdate(ctx, fn); !errors.Is(err, ErrConflict) {
			return false, err
		}
		met = db.log.End()
		return true, err
	})
}

func (db *DB) tryUpdate(ctx context.Context, fn func(*Tx) error) error {
	tx, err := db.Begin(TxOptions{})
	if err != nil {
		return err
	}
	defer tx.view.release()
	if err := tx.run(fn); err != nil {
		return err
	}
	tx.view.managed = false
	return tx.Commit(ctx)
}

// orBackground makes a context of none.
func orBackground(ctx context.Context) context.Context {
	if ctx == nil {
		return context.Background()
	}
	return ctx
}

// In returns the same transaction on another keyspace. On one of another
// database, or one that was created later, every call is ErrNoKeyspace, on nil
// ErrInvalid.
func (tx *Tx) In(ks *Keyspace) *Tx { return &Tx{view: tx.view, ks: ks.in(tx.view.db)} }

// writable returns the transaction's writes, if it may write.
func (tx *Tx) writable() (*writes, error) {
	if tx.view.closed.Load() {
		return nil, errTxClosed
	}
	if tx.view.own == nil {
		return nil, errTxReadOnly
	}
	if _, err := tx.view.space(tx.ks); err != nil {
		return nil, tx.view.refused(tx.ks, err)
	}
	return tx.view.own, nil
}

// Put sets the value of key. Iterators that are already open do not show it.
func (tx *Tx) Put(key, value []byte) error {
	w, err := tx.writable()
	if err != nil {
		return err
	}
	if err := checkSizes(key, value); err != nil {
		return err
	}
	at := len(w.ops.payload)
	w.ops.payload = append(wal.AppendSetHead(w.ops.payload, tx.ks, key, len(value)), value...)
	w.add(wal.Op{Kind: kv.Set, Keyspace: tx.ks, Key: key, Value: value}, at)
	return nil
}

// Delete removes key, if it is there.
func (tx *Tx) Delete(key []byte) error {
	w, err := tx.writable()
	if err != nil {
		return err
	}
	if err := checkSizes(key, nil); err != nil {
		return err
	}
	at := len(w.ops.payload)
	w.ops.payload = wal.AppendDelete(w.ops.payload, tx.ks, key)
	w.add(wal.Op{Kind: kv.Delete, Keyspace: tx.ks, Key: key}, at)
	return nil
}

// DeleteRange removes the keys from start (inclusive) to end (exclusive); a
// nil end has no bound. Its cost does not depend on how many there are.
func (tx *Tx) DeleteRange(start, end []byte) error {
	w, err := tx.writable()
	if err != nil {
		return err
	}
	if err := checkBounds(start, end); err != nil {
		return err
	}
	r := kv.Range{Start: start, End: end}
	if r.Empty() {
		return nil
	}
	table := w.sorted()
	w.ops.payload = appendDeleteRange(w.ops.payload, tx.ks, start, end)
	w.ops.add(tx.ks)
	table.DeleteRange(tx.ks, r, w.seq())
	return nil
}

// seq is the sequence number of the last write, as the transaction sees it.
func (w *writes) seq() kv.Seq { return ownSeq + kv.Seq(w.ops.count) }

// add notes a write on a key that was put into the payload at the offset at.
func (w *writes) add(op wal.Op, at int) {
	hash := kv.Hash(op.Key)
	if w.table == nil && int(w.ops.count) == len(w.few) {
		w.sorted()
	}
	w.ops.add(op.Keyspace)
	if w.table == nil {
		w.few[w.ops.count-1] = write{hash, at}
		return
	}
	w.table.Put(op.Keyspace, op.Key, hash, op.Value, op.Kind, w.seq())
}

// sorted returns the writes as a memtable, which they are kept in from then on.
func (w *writes) sorted() *memtable.Table {
	if w.table == nil {
		w.table = memtable.New()
		for i := range w.few[:w.ops.count] {
			op := w.op(i)
			w.table.Put(op.Keyspace, op.Key, w.few[i].hash, op.Value, op.Kind, ownSeq+kv.Seq(i+1))
		}
	}
	return w.table
}

// op returns one of the few writes. It points into the payload.
func (w *writes) op(i int) wal.Op {
	op, _, err := wal.NextOp(w.ops.payload[w.few[i].at:])
	if err != nil {
		panic("engine: a transaction's own write: " + err.Error()) // we encoded it
	}
	return op
}

// get looks a key up among the writes. done says that one of them decides.
func (w *writes) get(ks kv.Keyspace, key []byte, hash uint64) (e entry, done bool) {
	if w.table != nil {
		return lookup(w.table, ks, key, hash, kv.MaxSeq)
	}
	for i := int(w.ops.count) - 1; i >= 0; i-- {
		if w.few[i].hash != hash {
			continue
		}
		if op := w.op(i); op.Keyspace == ks && string(op.Key) == string(key) {
			return entry{op.Value, op.Kind}, true
		}
	}
	return entry{}, false
}

// Commit makes the transaction's writes durable and visible as the sync mode
// says. The transaction is over, whatever it returns.
//
// Errors: ErrConflict, ErrTooLarge, ErrNoKeyspace, ErrNoSpace (nothing was
// written); ErrFailed and ErrCommitUnknown; ErrClosed after an earlier Commit
// or Rollback, and once the database is closed. A context that is done before the commit begins is its error; a
// nil one never is. In a function of View or Update it is an error that leaves
// the transaction as it was.
func (tx *Tx) Commit(ctx context.Context) error {
	w := tx.view
	if w.closed.Load() {
		return errTxClosed
	}
	if w.managed {
		return errManaged
	}
	defer w.release()
	if err := orBackground(ctx).Err(); err != nil {
		return err
	}
	if w.own == nil || w.own.ops.count == 0 {
		if w.over() {
			return errDBClosed // it may be why there are no writes
		}
		return nil
	}
	return w.db.commitOps(&w.own.ops, w.conflicts)
}

// Rollback ends the transaction without writing anything. After Commit it does
// nothing. In a function of View or Update it is an error, which they return,
// though nothing is written either.
func (tx *Tx) Rollback() {
	if w := tx.view; w.managed && !w.closed.Load() {
		w.err = errManaged
	}
	tx.view.release()
}

// conflicts is called under commitMu, when nobody else commits: it compares
// what the transaction relies on with what was committed since it began.
func (w *view) conflicts(*version) error {
	if w.own.dropped(w.db.spaces) {
		w.db.counters.conflicts.Add(1)
		return ErrConflict
	}
	for _, m := range w.v.frozen {
		// It may have been frozen before all in it was visible.
		if w.own.changedIn(m.table, w.seq) {
			w.db.counters.conflicts.Add(1)
			return ErrConflict
		}
	}
	recent := *w.db.recent.Load()
	first := slices.Index(recent, w.v.active)
	if first < 0 {
		w.db.counters.conflicts.Add(1)
		return errorf("%w: it took too long", ErrConflict)
	}
	for _, m := range recent[first:] {
		if w.own.changedIn(m.table, w.seq) {
			w.db.counters.conflicts.Add(1)
			return ErrConflict
		}
	}
	return nil
}

// dropped reports whether a keyspace that the transaction read has gone since.
func (w *writes) dropped(now *spaces) bool {
	for _, k := range w.keys {
		if now.byID[k.ks] == nil {
			return true
		}
	}
	for _, r := range w.ranges {
		if now.byID[r.ks] == nil {
			return true
		}
	}
	return false
}

func (w *writes) changedIn(t *memtable.Table, since kv.Seq) bool {
	if t.LastSeq() <= since {
		return false
	}
	if w.isolation == SnapshotIsolation {
		return w.overwritten(t, since)
	}
	end := len(w.keyBytes)
	for _, k := range slices.Backward(w.keys) {
		if t.ChangedKey(k.ks, w.keyBytes[k.at:end], k.hash, since) {
			return true
		}
		end = k.at
	}
	for _, r := range w.ranges {
		if t.Changed(r.ks, r.Range, since) {
			return true
		}
	}
	return false
}

// overwritten reports whether a key or range that the transaction wrote has
// been written since.
func (w *writes) overwritten(t *memtable.Table, since kv.Seq) bool {
	found := errors.New("found")
	return w.ops.each(func(op *wal.Op) error {
		if op.Kind == kv.DeleteRange {
			if t.Changed(op.Keyspace, opRange(op), since) {
				return found
			}
		} else if t.ChangedKey(op.Keyspace, op.Key, kv.Hash(op.Key), since) {
			return found
		}
		return nil
	}) != nil
}

// readKey notes that the commit depends on key.
func (w *writes) readKey(ks kv.Keyspace, key []byte, hash uint64) {
	if w.isolation != Serializable {
		return
	}
	if n := len(w.keys); n > 0 {
		if k := &w.keys[n-1]; k.hash == hash && k.ks == ks && string(w.keyBytes[k.at:]) == string(key) {
			return
		}
	}
	w.keys = append(w.keys, keyRead{hash, ks, len(w.keyBytes)})
	w.keyBytes = append(w.keyBytes, key...)
}

// Get implements Reader.
func (tx *Tx) Get(key []byte) ([]byte, error) { return owned(tx.view.get(tx.ks, key, nil)) }

// AppendValue implements Reader.
func (tx *Tx) AppendValue(dst, key []byte) ([]byte, error) { return tx.view.get(tx.ks, key, dst) }

// Has implements Reader.
func (tx *Tx) Has(key []byte) (bool, error) { return tx.view.has(tx.ks, key) }

// MultiGet implements Reader.
func (tx *Tx) MultiGet(keys ...[]byte) ([][]byte, error) { return tx.view.multiGet(tx.ks, keys) }

// Scan implements Reader. It shows the transaction's own writes as they were
// when the scan began.
func (tx *Tx) Scan(start, end []byte) iter.Seq2[[]byte, []byte] {
	return tx.view.scan(tx.ks, IterOptions{Start: start, End: end}, false)
}

// ScanBackward implements Reader.
func (tx *Tx) ScanBackward(start, end []byte) iter.Seq2[[]byte, []byte] {
	return tx.view.scan(tx.ks, IterOptions{Start: start, End: end}, true)
}

// ScanPrefix implements Reader.
func (tx *Tx) ScanPrefix(prefix []byte) iter.Seq2[[]byte, []byte] {
	return tx.view.scan(tx.ks, IterOptions{Start: prefix, End: prefixEnd(prefix)}, false)
}

// NewIterator implements Reader. It shows the transaction's own writes as they
// were when it was made.
func (tx *Tx) NewIterator(o IterOptions) *Iterator { return tx.view.iterator(tx.ks, o) }

// Split implements Reader.
func (tx *Tx) Split(start, end []byte, n int) ([][]byte, error) {
	return tx.view.split(tx.ks, start, end, n)
}

// Err implements Reader.
func (tx *Tx) Err() error { return tx.view.err }
