package stress

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/stress/history"
)

// ListAppend is a workload of transactions that read lists of numbers, by key
// and by range, and append numbers to them, whose history is checked. Its
// methods may be called by many goroutines at once.
type ListAppend struct {
	Lists     int // in use at once: few make conflicts
	Length    int // of a list, about, when others take the place of all
	Isolation engine.Isolation
	// MostOps is how many operations are recorded before Step itself checks
	// them: memory for as many is taken.
	MostOps int64
	// Judge checks a history; when nil, whether it is serializable.
	Judge func([]*history.Tx) error
	// Dir is where Check leaves a history that is wrong, in a file "history".
	Dir string

	history.Recorder
	Checked int64 // operations; guarded by mu

	mu   sync.RWMutex // for Step, read-locked; for Check, locked
	db   atomic.Pointer[engine.DB]
	from uint32 // guarded by mu: the first list since the last check
}

// Use says which database is worked on from now on. What was unknown of the one
// before is decided.
func (w *ListAppend) Use(db *engine.DB) {
	w.Settle()
	w.db.Store(db)
}

// Fill implements Workload. There is nothing to make, for lists that nobody
// appended to are empty.
func (w *ListAppend) Fill(context.Context) error { return nil }

// ticks is how often the clock is asked for each append, about.
const ticks = 4

// lists is the first of the lists in use.
func (w *ListAppend) lists() uint32 {
	return uint32(w.Now()/int64(ticks*w.Lists*w.Length)) * uint32(w.Lists)
}

func listKey(key uint32) []byte { return binary.BigEndian.AppendUint32([]byte("list/"), key) }

// note notes what was read of a list, in which a number has 4 bytes.
func note(t *history.Tx, key uint32, value []byte) error {
	if len(value)%4 != 0 {
		return wrong(fmt.Errorf("list %d has %d bytes", key, len(value)))
	}
	list := make([]uint32, len(value)/4)
	for i := range list {
		list[i] = binary.BigEndian.Uint32(value[4*i:])
	}
	t.Read(key, list)
	return nil
}

// Step runs a transaction of a few reads and appends, one time in four only
// reads, one time in sixteen to be rolled back. Errors are those of KV.Step.
func (w *ListAppend) Step(ctx context.Context, rng *rand.Rand) error {
	w.mu.RLock()
	err := w.transact(ctx, rng)
	full := w.MostOps > 0 && w.Ops() >= w.MostOps
	w.mu.RUnlock()
	if err == nil && full {
		err = w.check(w.db.Load(), w.MostOps)
	}
	return err
}

func (w *ListAppend) transact(ctx context.Context, rng *rand.Rand) error {
	only := rng.IntN(4) == 0
	t := w.Begin()
	tx, err := w.db.Load().Begin(engine.TxOptions{ReadOnly: only, Isolation: w.Isolation})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for n := 1 + rng.IntN(5); n > 0; n-- {
		if rng.IntN(4) == 0 {
			runtime.Gosched() // for others to get between, also where there is one processor
		}
		key := w.lists() + uint32(rng.IntN(w.Lists))
		if rng.IntN(8) == 0 {
			err = scan(tx, t, key, key+nearby)
		} else {
			err = w.touch(tx, t, key, !only && rng.IntN(2) == 0)
		}
		if err != nil {
			return err // nothing of it may be seen, and nothing is known of it
		}
	}
	if rng.IntN(16) == 0 {
		tx.Rollback()
		w.End(t, history.Aborted)
		return nil
	}
	w.Commits(t)
	err = tx.Commit(ctx)
	outcome := history.Unknown
	if err == nil {
		outcome = history.Committed
	} else if refused(err) {
		outcome = history.Aborted
	}
	w.End(t, outcome)
	if errors.Is(err, engine.ErrConflict) {
		return nil
	}
	return err
}

// touch reads a list and perhaps appends to it.
func (w *ListAppend) touch(tx *engine.Tx, t *history.Tx, key uint32, appends bool) error {
	value, err := tx.Get(listKey(key))
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	if err := note(t, key, value); err != nil || !appends {
		return err
	}
	n := uint32(w.Now())
	t.Append(key, n)
	return tx.Put(listKey(key), binary.BigEndian.AppendUint32(value, n))
}

// nearby is how many lists a scan reads.
const nearby = 4

// scan reads lists as a range, to end: those that it does not show are empty.
func scan(r engine.Reader, t *history.Tx, key, end uint32) error {
	it := r.NewIterator(engine.IterOptions{Start: listKey(key), End: listKey(end)})
	defer it.Close()
	for ok := it.First(); key < end; key++ {
		var value []byte
		here := ok && string(it.Key()) == string(listKey(key))
		if here {
			value = it.Value()
		}
		if err := note(t, key, value); err != nil {
			return err
		}
		if here {
			ok = it.Next()
		}
	}
	return it.Err()
}

// Check implements Workload: it reads all lists once more, checks the history
// since the last check, and begins a new one, with other lists.
func (w *ListAppend) Check(db *engine.DB) error { return w.check(db, 0) }

func (w *ListAppend) check(db *engine.DB, least int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.Ops() < least {
		return nil // somebody else has checked it
	}
	t, end := w.Begin(), w.lists()+uint32(w.Lists)
	s, err := db.Snapshot()
	if err != nil {
		return err
	}
	err = scan(s, t, w.from, end)
	s.Close()
	if err != nil {
		return err
	}
	w.End(t, history.Committed)
	w.Checked += w.Ops()
	txs := w.Take()
	for w.from = end; w.lists() < end; {
	}
	if err := w.judge(txs); err != nil {
		return wrong(err)
	}
	b := db.NewBatch()
	if err := b.DeleteRange(listKey(0), listKey(end)); err != nil {
		return err
	}
	return db.Apply(context.Background(), b)
}

func (w *ListAppend) judge(txs []*history.Tx) error {
	judge := w.Judge
	if judge == nil {
		judge = history.CheckAll
	}
	err := judge(txs)
	if err == nil || w.Dir == "" {
		return err
	}
	var text []byte
	for _, t := range txs {
		text = append(append(text, t.String()...), '\n')
	}
	return errors.Join(err, os.WriteFile(filepath.Join(w.Dir, "history"), text, 0o600))
}
