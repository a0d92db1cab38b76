package stress

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/stress/expect"
)

// KV is a workload of reads, writes, deletions, scans and transactions on keys
// that are numbers, each of whose results is held against expect.States. Its
// methods may be called by many goroutines at once.
//
// A key is locked while it is worked on, so that it is known what its read must
// show; the database sees different keys at once. So the workload finds what is
// lost, torn, stale or mixed up; for the isolation of transactions there are
// others.
type KV struct {
	Seed   expect.Seed
	States *expect.States
	Sizes  [2]int // of values, the least and the most
	Mix    Mix

	locks [256]sync.RWMutex
	db    atomic.Pointer[engine.DB]

	// Counts of what was done.
	Ops, Commits, Conflicts, Checked atomic.Int64
}

// Mix is how often the operations are: parts of their sum.
type Mix struct{ Read, Scan, Write, Delete, DeleteRange, Tx int }

// StandardMix is that of lightning stress.
var StandardMix = Mix{Read: 45, Scan: 10, Write: 35, Delete: 5, DeleteRange: 1, Tx: 4}

func (m *Mix) sum() int { return m.Read + m.Scan + m.Write + m.Delete + m.DeleteRange + m.Tx }

// Use says which database is worked on from now on.
func (w *KV) Use(db *engine.DB) { w.db.Store(db) }

// appendKey is the key of a number: in their order, and of different lengths.
func appendKey(dst []byte, key int) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, 'k'), uint32(key))
	for range key % 7 {
		dst = append(dst, byte(key))
	}
	return dst
}

func (w *KV) lockOf(key int) *sync.RWMutex { return &w.locks[key%len(w.locks)] }

// lock locks several keys, in an order in which nobody waits for nobody.
func (w *KV) lock(keys []int) (unlock func()) {
	var held [len(w.locks)]bool
	for _, k := range keys {
		held[k%len(w.locks)] = true
	}
	for i := range held {
		if held[i] {
			w.locks[i].Lock()
		}
	}
	return func() {
		for i := range held {
			if held[i] {
				w.locks[i].Unlock()
			}
		}
	}
}

// Step does one operation. An error that wraps ErrWrong says that the database
// has shown what it must not; any other is of the database, and then what was
// begun may be pending.
func (w *KV) Step(ctx context.Context, rng *rand.Rand) error {
	w.Ops.Add(1)
	key := rng.IntN(w.States.Keys())
	n := rng.IntN(w.Mix.sum())
	take := func(part int) bool {
		n -= part
		return n < 0
	}
	switch {
	case take(w.Mix.Read):
		return w.read(key)
	case take(w.Mix.Scan):
		return w.scan(key, rng.IntN(64), rng.IntN(2) == 0)
	case take(w.Mix.Write):
		return w.change(ctx, rng, []int{key}, false)
	case take(w.Mix.Delete):
		return w.change(ctx, rng, []int{key}, true)
	case take(w.Mix.DeleteRange):
		return w.deleteRange(ctx, key, 1+rng.IntN(16))
	}
	keys := []int{key}
	for range 1 + rng.IntN(4) {
		if k := rng.IntN(w.States.Keys()); !contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return w.change(ctx, rng, keys, rng.IntN(8) == 0)
}

func contains(keys []int, key int) bool {
	for _, k := range keys {
		if k == key {
			return true
		}
	}
	return false
}

// ErrWrong is wrapped by what a database must not show.
var ErrWrong = errors.New("wrong answer")

func wrong(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrWrong, err)
}

// shown is the generation of what a read returned: 0 of nothing.
func (w *KV) shown(key int, value []byte, err error) (uint32, error) {
	if errors.Is(err, engine.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	w.Checked.Add(int64(len(value)))
	g, err := w.Seed.ParseValue(value, key)
	return g, wrong(err)
}

func (w *KV) read(key int) error {
	mu := w.lockOf(key)
	mu.RLock()
	defer mu.RUnlock()
	value, err := w.db.Load().Get(appendKey(nil, key))
	g, err := w.shown(key, value, err)
	if err != nil {
		return err
	}
	return wrong(w.States.Check(key, g))
}

// scan reads entries of one moment twice: they are in order, whole, not newer
// than what was begun, and the same.
func (w *KV) scan(from, n int, backward bool) error {
	s, err := w.db.Load().Snapshot()
	if err != nil {
		return err
	}
	defer s.Close()
	var sums [2]uint64
	for i := range sums {
		entries := s.Scan(appendKey(nil, from), nil)
		if backward {
			entries = s.ScanBackward(nil, appendKey(nil, from))
		}
		last, left := -1, n
		for k, value := range entries {
			if left--; left < 0 {
				break
			}
			key, err := keyOf(k)
			if err == nil && last >= 0 && (key <= last) != backward {
				err = fmt.Errorf("key %d comes after key %d", key, last)
			}
			if err != nil {
				return wrong(err)
			}
			g, err := w.shown(key, value, nil)
			if err != nil {
				return err
			}
			if newest := w.States.Newest(key); g > newest.Generation {
				return wrong(fmt.Errorf("key %d has generation %d, begun was %s", key, g, newest))
			}
			last, sums[i] = key, sums[i]*31+uint64(key)<<32+uint64(g)
		}
		if err := s.Err(); err != nil {
			return err
		}
	}
	if sums[0] != sums[1] {
		return wrong(fmt.Errorf("a snapshot shows different entries from key %d on when it is read again", from))
	}
	return nil
}

// keyOf is the number of a key.
func keyOf(k []byte) (int, error) {
	if len(k) < 5 || k[0] != 'k' {
		return 0, fmt.Errorf("a key that was never written: %q", k)
	}
	key := int(binary.BigEndian.Uint32(k[1:]))
	if string(appendKey(nil, key)) != string(k) {
		return 0, fmt.Errorf("a key that was never written: %q", k)
	}
	return key, nil
}

// change writes or deletes keys in one commit: of a single key by itself, of
// several as a batch or a transaction, which checks what it replaces.
func (w *KV) change(ctx context.Context, rng *rand.Rand, keys []int, deletion bool) error {
	defer w.lock(keys)()
	db := w.db.Load()
	values := make([][]byte, len(keys))
	for i, key := range keys {
		g, err := w.States.Begin(key, deletion)
		if err != nil {
			return err
		}
		if !deletion {
			values[i] = w.Seed.AppendValue(nil, key, g, w.Sizes[0]+rng.IntN(w.Sizes[1]-w.Sizes[0]+1))
		}
	}
	var err error
	switch {
	case len(keys) > 1 && rng.IntN(2) == 0:
		return w.transact(ctx, db, keys, values)
	case len(keys) > 1:
		b := db.NewBatch()
		for i, key := range keys {
			if err == nil {
				err = set(b, appendKey(nil, key), values[i])
			}
		}
		if err == nil {
			err = db.Apply(ctx, b)
		}
	case deletion:
		err = db.Delete(appendKey(nil, keys[0]))
	default:
		err = db.Put(appendKey(nil, keys[0]), values[0])
	}
	return w.ended(keys, err, refused(err))
}

// setter is a batch or a transaction.
type setter interface {
	Put(key, value []byte) error
	Delete(key []byte) error
}

func set(s setter, key, value []byte) error {
	if value == nil {
		return s.Delete(key)
	}
	return s.Put(key, value)
}

func (w *KV) transact(ctx context.Context, db *engine.DB, keys []int, values [][]byte) error {
	tries, left := int64(-1), false // left before it came to a commit
	err := db.Update(ctx, func(tx *engine.Tx) (err error) {
		tries++
		defer func() { left = err != nil }()
		for i, key := range keys {
			k := appendKey(nil, key)
			value, err := tx.Get(k)
			g, err := w.shown(key, value, err)
			if err != nil {
				return err
			}
			if err := w.States.Check(key, g); err != nil {
				return wrong(err)
			}
			if err := set(tx, k, values[i]); err != nil {
				return err
			}
			again, err := tx.Get(k)
			if err != nil && !errors.Is(err, engine.ErrNotFound) {
				return err
			}
			if string(again) != string(values[i]) {
				return wrong(fmt.Errorf("key %d: a transaction does not see its own write", key))
			}
		}
		return nil
	})
	w.Conflicts.Add(max(tries, 0))
	return w.ended(keys, err, left || refused(err))
}

func (w *KV) deleteRange(ctx context.Context, from, n int) error {
	to := min(from+n, w.States.Keys())
	keys := make([]int, 0, n)
	for key := from; key < to; key++ {
		keys = append(keys, key)
	}
	defer w.lock(keys)()
	for _, key := range keys {
		if _, err := w.States.Begin(key, true); err != nil {
			return err
		}
	}
	b := w.db.Load().NewBatch()
	err := b.DeleteRange(appendKey(nil, from), appendKey(nil, to))
	if err == nil {
		err = w.db.Load().Apply(ctx, b)
	}
	return w.ended(keys, err, refused(err))
}

// ended notes what became of the writes that were begun: with an error that
// left nothing written, nothing; with any other they stay pending.
func (w *KV) ended(keys []int, err error, nothing bool) error {
	for _, key := range keys {
		var noteErr error
		switch {
		case err == nil:
			noteErr = w.States.End(key)
		case nothing:
			noteErr = w.States.Undo(key)
		}
		if noteErr != nil {
			return errors.Join(err, noteErr)
		}
	}
	if err == nil {
		w.Commits.Add(1)
	}
	return err
}

// refused reports whether a commit cannot have happened.
func refused(err error) bool {
	if errors.Is(err, engine.ErrCommitUnknown) {
		return false
	}
	for _, e := range []error{engine.ErrConflict, engine.ErrNoSpace, engine.ErrFailed, engine.ErrClosed, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// VerifyAll holds every key of the database against what is expected, and
// settles what was pending. Nobody may be at work.
func (w *KV) VerifyAll(db *engine.DB) error {
	s, err := db.Snapshot()
	if err != nil {
		return err
	}
	defer s.Close()
	at := 0
	absent := func(to int) error {
		for ; at < to; at++ {
			if err := w.States.Settle(at, 0); err != nil {
				return wrong(err)
			}
		}
		return nil
	}
	for k, value := range s.Scan(nil, nil) {
		key, err := keyOf(k)
		if err == nil && (key < at || key >= w.States.Keys()) {
			err = fmt.Errorf("key %d comes where %d or a later one must", key, at)
		}
		if err != nil {
			return wrong(err)
		}
		if err := absent(key); err != nil {
			return err
		}
		g, err := w.shown(key, value, nil)
		if err != nil {
			return err
		}
		if err := w.States.Settle(key, g); err != nil {
			return wrong(err)
		}
		at++
	}
	if err := s.Err(); err != nil {
		return err
	}
	return absent(w.States.Keys())
}
