package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// openMem opens a new database in memory.
func openMem(t testing.TB, o engine.Options) *engine.DB {
	t.Helper()
	o.FS = vfs.NewMem()
	db, err := engine.Open("db", &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil && !errors.Is(err, engine.ErrClosed) {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

func mustPut(t testing.TB, db *engine.DB, key, value string) {
	t.Helper()
	if err := db.Put([]byte(key), []byte(value)); err != nil {
		t.Fatal(err)
	}
}

func begin(t testing.TB, db *engine.DB, i engine.Isolation) *engine.Tx {
	t.Helper()
	tx, err := db.Begin(engine.TxOptions{Isolation: i})
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// ten thousand increments of one key by eight goroutines lose none.
func TestUpdate_CountsExactly(t *testing.T) {
	for _, mode := range []engine.SyncMode{engine.SyncFull, engine.SyncNormal} {
		t.Run(mode.String(), func(t *testing.T) {
			db := openMem(t, engine.Options{Sync: mode, MemtableBytes: 100 << 10})
			const workers, each = 8, 1250
			var wg sync.WaitGroup
			for range workers {
				wg.Go(func() {
					for range each {
						if err := increment(db, []byte("n")); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			value, err := db.Get([]byte("n"))
			if err != nil || binary.BigEndian.Uint64(value) != workers*each {
				t.Fatalf("have %x, %v; want %d", value, err, workers*each)
			}
		})
	}
}

func increment(db *engine.DB, key []byte) error {
	return db.Update(context.Background(), func(tx *engine.Tx) error {
		value, err := tx.Get(key)
		if errors.Is(err, engine.ErrNotFound) {
			value = make([]byte, 8)
		} else if err != nil {
			return err
		}
		return tx.Put(key, binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(value)+1))
	})
}

// Each case is two transactions that both began before either committed; the
// first commits first. want is what the second's commit returns.
func TestTx_Conflicts(t *testing.T) {
	read := func(k string) func(*engine.Tx) error {
		return func(tx *engine.Tx) error { _, err := tx.Has([]byte(k)); return err }
	}
	scan := func(start, end string, limit int) func(*engine.Tx) error {
		return func(tx *engine.Tx) error {
			n := 0
			for range tx.Scan([]byte(start), []byte(end)) {
				if n++; n == limit {
					break
				}
			}
			return nil
		}
	}
	scanBack := func(start, end string) func(*engine.Tx) error {
		return func(tx *engine.Tx) error {
			for range tx.ScanBackward([]byte(start), []byte(end)) {
				break
			}
			return nil
		}
	}
	put := func(k string) func(*engine.Tx) error {
		return func(tx *engine.Tx) error { return tx.Put([]byte(k), []byte("new")) }
	}
	del := func(k string) func(*engine.Tx) error {
		return func(tx *engine.Tx) error { return tx.Delete([]byte(k)) }
	}
	delRange := func(a, b string) func(*engine.Tx) error {
		return func(tx *engine.Tx) error { return tx.DeleteRange([]byte(a), []byte(b)) }
	}
	do := func(steps ...func(*engine.Tx) error) []func(*engine.Tx) error { return steps }
	type steps = []func(*engine.Tx) error
	cases := []struct {
		name          string
		first, second steps
		serializable  bool // does the second conflict
		snapshot      bool
	}{
		{"blind writes of one key", do(put("b")), do(put("b")), false, true},
		{"lost update", do(read("b"), put("b")), do(read("b"), put("b")), true, true},
		{"write skew", do(read("b"), read("d"), put("b")), do(read("b"), read("d"), put("d")), true, false},
		{"read of what was not there", do(put("c")), do(read("c"), put("z")), true, false},
		{"read of another key", do(put("c")), do(read("b"), put("z")), false, false},
		{"phantom put", do(put("c")), do(scan("a", "e", -1), put("z")), true, false},
		{"phantom delete", do(del("b")), do(scan("a", "e", -1), put("z")), true, false},
		{"write past a scan that stopped", do(put("e")), do(scan("a", "z", 2), put("z")), false, false},
		{"write inside a scan that stopped", do(put("c")), do(scan("a", "z", 2), put("z")), true, false},
		{"write to the last entry that a scan saw", do(put("d")), do(scan("a", "z", 2), put("z")), true, false},
		{"write to what a seek found", do(put("b")), do(scan("a", "z", 1), put("z")), true, false},
		{"write after the last entry of a scan", do(put("y")), do(scan("a", "z", -1), put("zz")), true, false},
		{"write before what a backward scan saw", do(put("c")), do(scanBack("a", "e"), put("z")), false, false},
		{"write behind what a backward scan saw", do(put("dd")), do(scanBack("a", "e"), put("z")), true, false},
		{"range delete over a key read", do(delRange("a", "c")), do(read("b"), put("z")), true, false},
		{"range delete beside a key read", do(delRange("c", "z")), do(read("b"), put("zz")), false, false},
		{"range delete over a range read", do(delRange("a", "c")), do(scan("b", "e", -1), put("z")), true, false},
		{"range delete over a key written", do(delRange("a", "c")), do(put("b")), false, true},
		{"key written in a deleted range", do(put("b")), do(delRange("a", "c")), false, true},
		{"no writes", do(put("b")), do(read("b")), false, false},
	}
	for _, c := range cases {
		for _, checkpoint := range []bool{false, true} {
			for i, wantConflict := range []bool{c.serializable, c.snapshot} {
				isolation := engine.Isolation(i)
				t.Run(fmt.Sprintf("%s/isolation=%d/checkpoint=%v", c.name, i, checkpoint), func(t *testing.T) {
					db := openMem(t, engine.Options{})
					mustPut(t, db, "b", "old")
					mustPut(t, db, "d", "old")
					one, two := begin(t, db, isolation), begin(t, db, isolation)
					for _, s := range c.first {
						if err := s(one); err != nil {
							t.Fatal(err)
						}
					}
					for _, s := range c.second {
						if err := s(two); err != nil {
							t.Fatal(err)
						}
					}
					if err := one.Commit(context.Background()); err != nil {
						t.Fatalf("first: %v", err)
					}
					if checkpoint { // the memtable that shows the conflict is merged
						if _, err := db.Checkpoint(context.Background()); err != nil {
							t.Fatal(err)
						}
					}
					err := two.Commit(context.Background())
					if conflict := errors.Is(err, engine.ErrConflict); conflict != wantConflict || err != nil && !conflict {
						t.Errorf("second: have %v, want a conflict: %v", err, wantConflict)
					}
				})
			}
		}
	}
}

// A transaction that is older than the memtables that are remembered cannot
// know what it missed: it conflicts, and does not commit blindly.
func TestTx_TooOldConflicts(t *testing.T) {
	db := openMem(t, engine.Options{MemtableBytes: 1})
	tx := begin(t, db, engine.Serializable)
	if _, err := tx.Has([]byte("k")); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		mustPut(t, db, fmt.Sprint(i), "v")
		if _, err := db.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Put([]byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(context.Background()); !errors.Is(err, engine.ErrConflict) {
		t.Fatalf("have %v, want ErrConflict", err)
	}
}

// A transaction finds what was committed in any of the memtables that took over
// since, merged ones too, and conflicts with nothing else.
func TestTx_ConflictInALaterMemtable(t *testing.T) {
	for merged := range 6 {
		for key, conflict := range map[string]bool{"k": true, "other": false} {
			db := openMem(t, engine.Options{})
			tx := begin(t, db, engine.Serializable)
			if _, err := tx.Has([]byte("k")); err != nil {
				t.Fatal(err)
			}
			put := func(key string) {
				mustPut(t, db, key, "v")
				if _, err := db.Checkpoint(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			for i := range merged {
				put(fmt.Sprint(i))
			}
			put(key)
			if err := tx.Put([]byte("x"), nil); err != nil {
				t.Fatal(err)
			}
			if err := tx.Commit(t.Context()); errors.Is(err, engine.ErrConflict) != conflict || err != nil && !conflict {
				t.Errorf("%q put %d memtables later: %v, expected a conflict: %v", key, merged, err, conflict)
			}
		}
	}
}

// A commit that lies in a memtable which was frozen before it was durable is
// not visible, and conflicts all the same. (The check once looked only at the
// memtables that were active since.)
func TestTx_ConflictAcrossAFreeze(t *testing.T) {
	in := faultfs.Inject(vfs.NewMem())
	db := open(t, "db", engine.Options{FS: in, MemtableBytes: 1 << 10})
	defer closeDB(t, db)
	gate := make(chan struct{})
	in.SetHook(func(op faultfs.Op) error {
		if op.Kind == faultfs.OpSync && strings.Contains(op.Name, "wal") {
			<-gate
		}
		return nil
	})
	var wg sync.WaitGroup
	put := func(key string, size int) {
		n := db.Stats().Commits
		wg.Go(func() {
			b := db.NewBatch() // which is logged at once, when a Put waits for a leader
			if err := errors.Join(b.Put([]byte(key), make([]byte, size)), db.Apply(context.Background(), b)); err != nil {
				t.Error(err)
			}
		})
		for db.Stats().Commits == n { // until it is logged
			runtime.Gosched()
		}
	}
	put("k", 2000)   // fills the memtable, and waits for its sync
	put("other", 10) // freezes it
	tx := begin(t, db, engine.Serializable)
	if _, err := tx.Get([]byte("k")); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("k shows before it is durable: %v", err)
	}
	close(gate)
	wg.Wait()
	if err := tx.Put([]byte("k"), []byte("k was not there")); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(context.Background()); !errors.Is(err, engine.ErrConflict) {
		t.Errorf("commit: have %v, want ErrConflict", err)
	}
}

func TestTx_AfterTheEnd(t *testing.T) {
	db := openMem(t, engine.Options{})
	tx := begin(t, db, engine.Serializable)
	it := tx.NewIterator(engine.IterOptions{})
	if err := tx.Put([]byte("k"), []byte("v")); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"put":    tx.Put([]byte("k"), nil),
		"delete": tx.Delete([]byte("k")),
		"commit": tx.Commit(context.Background()),
		"get":    second(tx.Get([]byte("k"))),
	} {
		if !errors.Is(err, engine.ErrClosed) {
			t.Errorf("%s: have %v, want ErrClosed", name, err)
		}
	}
	if it.First() || !errors.Is(it.Err(), engine.ErrClosed) {
		t.Errorf("iterator: have %v, want ErrClosed", it.Err())
	}
	tx.Rollback() // harmless
}

func second[A any](_ A, err error) error { return err }

// A transaction takes over the memory of those that are over. Who still holds one
// of them cannot reach it, and nothing of theirs is in it.
func TestTx_AfterTheEnd_LeavesOthersAlone(t *testing.T) {
	db := openMem(t, engine.Options{Sync: engine.SyncNormal})
	for i, end := range []func(*engine.Tx) error{
		func(tx *engine.Tx) error { return tx.Commit(context.Background()) },
		func(tx *engine.Tx) error { tx.Rollback(); return nil },
	} {
		old := begin(t, db, engine.Serializable)
		for _, key := range []string{"a", "b"} {
			if _, err := old.Get([]byte(key)); err != nil && !errors.Is(err, engine.ErrNotFound) {
				t.Fatal(err)
			}
		}
		walk := old.NewIterator(engine.IterOptions{})
		walk.First()
		if err := errors.Join(old.Put([]byte("a"), []byte{byte(i)}), end(old)); err != nil {
			t.Fatal(err)
		}

		next := begin(t, db, engine.Serializable)
		for name, err := range map[string]error{
			"put":          old.Put([]byte("stray"), nil),
			"delete":       old.Delete([]byte("stray")),
			"range delete": old.DeleteRange(nil, nil),
			"commit":       old.Commit(context.Background()),
		} {
			if !errors.Is(err, engine.ErrClosed) {
				t.Errorf("%s after the end: %v", name, err)
			}
		}
		if _, err := old.Get([]byte("b")); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("get after the end: %v", err)
		}
		if walk.SeekGE([]byte("b")) || walk.Next() || !errors.Is(walk.Err(), engine.ErrClosed) {
			t.Errorf("walk after the end: %v", walk.Err())
		}
		old.Rollback()
		mustPut(t, db, "b", "of another") // what the old one read, and the next one did not
		if err := errors.Join(next.Put([]byte("c"), []byte{byte(i)}), next.Commit(context.Background())); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Get([]byte("stray")); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("what was put after the end: %v", err)
		}
		if value, err := db.Get([]byte("c")); err != nil || string(value) != string([]byte{byte(i)}) {
			t.Errorf("c is %q, %v", value, err)
		}
	}
}

func TestView_CannotWrite(t *testing.T) {
	db := openMem(t, engine.Options{})
	err := db.View(func(tx *engine.Tx) error { return tx.Put([]byte("k"), nil) })
	if !errors.Is(err, engine.ErrReadOnly) {
		t.Fatalf("have %v, want ErrReadOnly", err)
	}
}

func TestUpdate_StopsWhenTheContextIsDone(t *testing.T) {
	db := openMem(t, engine.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	calls := 0
	err := db.Update(ctx, func(tx *engine.Tx) error {
		if calls++; calls == 3 {
			cancel()
		}
		if _, err := tx.Has([]byte("k")); err != nil {
			return err
		}
		mustPut(t, db, "k", fmt.Sprint(calls)) // always in the way
		return tx.Put([]byte("other"), nil)
	})
	if !errors.Is(err, context.Canceled) || calls != 3 {
		t.Fatalf("have %v after %d calls", err, calls)
	}
	if ok, _ := db.Has([]byte("other")); ok {
		t.Error("the transaction was committed")
	}
}

// Money moves between accounts while readers add it all up: every sum is the
// same, under both isolation levels, through checkpoints.
func TestTx_BankKeepsItsMoney(t *testing.T) {
	const accounts, money, workers, transfers = 20, 100, 4, 500
	db := openMem(t, engine.Options{MemtableBytes: 30 << 10, Sync: engine.SyncNormal, CacheBytes: 16 << 10})
	for i := range accounts {
		mustPut(t, db, fmt.Sprintf("a%02d", i), string(binary.BigEndian.AppendUint64(nil, money)))
	}
	sum := func(r engine.Reader) (total uint64) {
		for _, v := range r.Scan([]byte("a"), []byte("b")) {
			total += binary.BigEndian.Uint64(v)
		}
		return total
	}
	var wg, readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := db.View(func(tx *engine.Tx) error {
					if s := sum(tx); s != accounts*money {
						return fmt.Errorf("a reader sees %d in all, want %d", s, accounts*money)
					}
					return nil
				}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for w := range workers {
		wg.Go(func() {
			for i := range transfers {
				from, to := fmt.Appendf(nil, "a%02d", (w*7+i)%accounts), fmt.Appendf(nil, "a%02d", (w*3+i*5+1)%accounts)
				if string(from) == string(to) {
					continue
				}
				if err := db.Update(context.Background(), func(tx *engine.Tx) error { return transfer(tx, from, to, 1) }); err != nil {
					t.Error(err)
					return
				}
				if i%100 == 0 {
					if _, err := db.Checkpoint(context.Background()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	readers.Wait()
}

func transfer(tx *engine.Tx, from, to []byte, n uint64) error {
	a, err := tx.Get(from)
	if err != nil {
		return err
	}
	b, err := tx.Get(to)
	if err != nil {
		return err
	}
	have := binary.BigEndian.Uint64(a)
	if have < n {
		return nil
	}
	if err := tx.Put(from, binary.BigEndian.AppendUint64(nil, have-n)); err != nil {
		return err
	}
	return tx.Put(to, binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(b)+n))
}

// A transaction sees each of its own writes at once, in the keyspace where it
// made it, whether they are few or many.
func TestTx_SeesItsOwnWrites(t *testing.T) {
	db := openMem(t, engine.Options{})
	other, err := db.CreateKeyspace("other", nil)
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, db, "k0", "old")
	for _, scanAt := range []int{-1, 3} { // a scan puts them in order
		tx, err := db.Begin(engine.TxOptions{})
		if err != nil {
			t.Fatal(err)
		}
		spaces := []*engine.Tx{tx, tx.In(other)}
		want := []map[string]string{{"k0": "old"}, {}}
		for i := range 40 {
			key, space := fmt.Sprintf("k%d", i%5), i/5%2
			if i%7 == 3 {
				delete(want[space], key)
				err = spaces[space].Delete([]byte(key))
			} else {
				want[space][key] = fmt.Sprint(i)
				err = spaces[space].Put([]byte(key), fmt.Append(nil, i))
			}
			if err != nil {
				t.Fatal(err)
			}
			if i == scanAt {
				n := 0
				for range spaces[0].Scan(nil, nil) {
					n++
				}
				if n != len(want[0]) {
					t.Errorf("a scan after write %d shows %d keys, want %d", i, n, len(want[0]))
				}
			}
			for s, values := range want {
				for k := range 5 {
					key := fmt.Sprintf("k%d", k)
					value, there := values[key]
					have, err := spaces[s].Get([]byte(key))
					if string(have) != value || there != (err == nil) {
						t.Fatalf("after write %d, keyspace %d: %s = %q, %v, want %q", i, s, key, have, err, value)
					}
				}
			}
		}
		tx.Rollback()
	}
	closeDB(t, db)
}

// Of several writes on one key the last one shows, also while there are few.
func TestTx_SeesItsLastWrite(t *testing.T) {
	db := openMem(t, engine.Options{})
	tx := begin(t, db, engine.Serializable)
	defer tx.Rollback()
	for _, value := range []string{"1", "2", "", "3"} { // "": deleted
		err := tx.Put([]byte("k"), []byte(value))
		if value == "" {
			err = tx.Delete([]byte("k"))
		}
		if err != nil {
			t.Fatal(err)
		}
		have, err := tx.Get([]byte("k"))
		if string(have) != value || (err == nil) != (value != "") {
			t.Errorf("%q, %v; want %q", have, err, value)
		}
	}
}

// No commit writes to a keyspace that is gone, whatever the operation and
// whatever it writes to the default keyspace beside it.
func TestCommit_ToDroppedKeyspace(t *testing.T) {
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db := openMem(t, engine.Options{})
	ks, err := db.CreateKeyspace("gone", nil)
	must(t, err)
	key := []byte("key")
	batches := map[string]func(*engine.Batch) error{
		"put":          func(b *engine.Batch) error { return b.In(ks).Put(key, nil) },
		"delete":       func(b *engine.Batch) error { return b.In(ks).Delete(key) },
		"range delete": func(b *engine.Batch) error { return b.In(ks).DeleteRange(key, nil) },
	}
	transactions := map[string]func(*engine.Tx) error{
		"put":          func(tx *engine.Tx) error { return tx.In(ks).Put(key, nil) },
		"delete":       func(tx *engine.Tx) error { return tx.In(ks).Delete(key) },
		"range delete": func(tx *engine.Tx) error { return tx.In(ks).DeleteRange(key, nil) },
	}
	var begun []*engine.Tx
	for _, write := range transactions {
		tx, err := db.Begin(engine.TxOptions{})
		must(t, err)
		must(t, tx.Put(key, nil))
		must(t, write(tx))
		begun = append(begun, tx)
	}
	must(t, db.DropKeyspace("gone"))
	for name, write := range batches {
		b := db.NewBatch()
		must(t, b.Put(key, nil))
		must(t, write(b))
		if err := db.Apply(t.Context(), b); !errors.Is(err, engine.ErrNoKeyspace) {
			t.Errorf("batch with a %s: %v, want ErrNoKeyspace", name, err)
		}
	}
	for _, tx := range begun {
		if err := tx.Commit(t.Context()); !errors.Is(err, engine.ErrNoKeyspace) {
			t.Errorf("transaction: %v, want ErrNoKeyspace", err)
		}
	}
	if ok, err := db.Has(key); ok || err != nil {
		t.Errorf("a refused commit left something: %v, %v", ok, err)
	}
}

// Under SyncFull an update can meet a commit that is logged and not yet
// durable, so not yet visible. To run again before it is would be to meet it
// again, and again.
func TestUpdate_WaitsForWhatItMet(t *testing.T) {
	var armed atomic.Bool
	syncing, release := make(chan struct{}), make(chan struct{})
	fs := faultfs.Inject(vfs.NewMem())
	fs.SetHook(func(op faultfs.Op) error {
		if op.Kind == faultfs.OpSync && armed.CompareAndSwap(true, false) {
			close(syncing)
			<-release
		}
		return nil
	})
	db := open(t, "db", engine.Options{FS: fs})
	armed.Store(true)
	var put, update error
	var wg sync.WaitGroup
	wg.Go(func() { put = db.Put([]byte("n"), []byte{1}) })
	<-syncing
	calls := 0
	wg.Go(func() {
		update = db.Update(context.Background(), func(tx *engine.Tx) error {
			calls++
			value, err := tx.Get([]byte("n"))
			if err != nil && !errors.Is(err, engine.ErrNotFound) {
				return err
			}
			return tx.Put([]byte("n"), append(value, 2))
		})
	})
	for db.Stats().Conflicts == 0 {
		runtime.Gosched()
	}
	for range 1000 {
		runtime.Gosched()
	}
	close(release)
	wg.Wait()
	if put != nil || update != nil {
		t.Fatal(put, update)
	}
	if calls != 2 {
		t.Errorf("the function was called %d times, want 2", calls)
	}
	wantValue(t, db, []byte("n"), []byte{1, 2})
	closeDB(t, db)
}

// Keyspaces of two databases may have one id.
func TestKeyspace_OfAnotherDatabase(t *testing.T) {
	a, b := openMem(t, engine.Options{}), openMem(t, engine.Options{})
	ours, err := a.CreateKeyspace("ours", nil)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := b.CreateKeyspace("theirs", nil)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, engine.ErrNoKeyspace) {
			t.Errorf("%s: %v, want ErrNoKeyspace", what, err)
		}
	}
	ctx, key := context.Background(), []byte("k")
	batch := a.NewBatch()
	if err := batch.In(theirs).Put(key, key); err != nil {
		t.Fatal(err)
	}
	refused("a batch in it", a.Apply(ctx, batch))
	batch = b.NewBatch()
	if err := batch.In(theirs).Put(key, key); err != nil {
		t.Fatal(err)
	}
	refused("a batch of the other database", a.Apply(ctx, batch))
	refused("a transaction in it", a.Update(ctx, func(tx *engine.Tx) error { return tx.In(theirs).Put(key, key) }))
	snapshot, err := a.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	_, err = snapshot.In(theirs).Get(key)
	refused("a snapshot in it", err)
	if ok, err := ours.Has(key); ok || err != nil {
		t.Errorf("a write arrived: %v, %v", ok, err)
	}
}

// The function of Update and View does not end its transaction. A Commit there
// once made Update return ErrClosed after it had committed.
func TestUpdate_EndsItsTransactionItself(t *testing.T) {
	db := openMem(t, engine.Options{})
	key, value := []byte("k"), []byte("v")

	err := db.Update(t.Context(), func(tx *engine.Tx) error {
		if err := tx.Put(key, value); err != nil {
			return err
		}
		return tx.Commit(t.Context())
	})
	if err == nil || errors.Is(err, engine.ErrClosed) {
		t.Errorf("Commit in Update: have %v, want an error that says why", err)
	}
	if ok, err := db.Has(key); ok || err != nil {
		t.Errorf("the write of an Update that failed is there: %v, %v", ok, err)
	}

	err = db.Update(t.Context(), func(tx *engine.Tx) error {
		if err := tx.Put(key, value); err != nil {
			return err
		}
		tx.Rollback()
		return nil
	})
	if err == nil || errors.Is(err, engine.ErrClosed) {
		t.Errorf("Rollback in Update: have %v, want an error that says why", err)
	}
	if ok, err := db.Has(key); ok || err != nil {
		t.Errorf("a write that was rolled back is there: %v, %v", ok, err)
	}

	err = db.Update(t.Context(), func(tx *engine.Tx) error {
		if tx.Commit(t.Context()) == nil {
			t.Error("Commit in Update: want an error")
		}
		return tx.Put(key, value) // it goes on
	})
	if ok, hasErr := db.Has(key); !ok || err != nil || hasErr != nil {
		t.Errorf("the transaction did not go on: %v, %v, %v", ok, err, hasErr)
	}

	if err := db.View(func(tx *engine.Tx) error { return tx.Commit(t.Context()) }); err == nil {
		t.Error("Commit in View: want an error")
	}
	if err := db.View(func(tx *engine.Tx) error { tx.Rollback(); return nil }); err == nil {
		t.Error("Rollback in View: want an error")
	}
	if n := db.Stats().Views; n != 0 {
		t.Errorf("%d views are open, want 0", n)
	}
}

// A function or a batch that is nil is an error, a context that is nil is never
// done: they were panics.
func TestDB_NilArguments(t *testing.T) {
	db := openMem(t, engine.Options{})
	var none context.Context
	var backup bytes.Buffer
	if err := db.Update(t.Context(), nil); err == nil {
		t.Error("Update of no function: want an error")
	}
	if err := db.View(nil); err == nil {
		t.Error("View of no function: want an error")
	}
	if err := db.Apply(t.Context(), nil); err == nil {
		t.Error("Apply of no batch: want an error")
	}
	batch := db.NewBatch()
	if err := batch.Put([]byte("k"), []byte("v")); err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin(engine.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"Update":     func() error { return db.Update(none, func(*engine.Tx) error { return nil }) },
		"Apply":      func() error { return db.Apply(none, batch) },
		"Commit":     func() error { return tx.Commit(none) },
		"Checkpoint": func() error { _, err := db.Checkpoint(none); return err },
		"Compact":    func() error { _, err := db.Compact(none); return err },
		"Backup":     func() error { _, err := db.Backup(none, &backup, nil); return err },
	} {
		if err := call(); err != nil {
			t.Errorf("%s without a context: %v", name, err)
		}
	}
	if _, err := engine.VerifyBackup(none, bytes.NewReader(backup.Bytes())); err != nil {
		t.Errorf("VerifyBackup without a context: %v", err)
	}
	if _, err := engine.Restore(none, &backup, "restored", &engine.RestoreOptions{FS: vfs.NewMem()}); err != nil {
		t.Errorf("Restore without a context: %v", err)
	}
}

// What an iterator showed a serializable transaction, and what it showed not to
// be there, must still be so when the transaction commits: whatever its moves,
// if the same ones would show anything else after another's commit, it conflicts.
// (One that turned back on its way from the first entry of a keyspace once forgot
// that nothing had been before that.)
func TestTx_ConflictsWithWhatItsMovesWouldShow(t *testing.T) {
	rnd := rand.New(rand.NewPCG(uint64(*faultSeed), 31))
	key := func() []byte { return []byte{byte('a' + rnd.IntN(12))} }
	bound := func() []byte {
		switch rnd.IntN(4) {
		case 0:
			return key()
		case 1:
			return []byte{}
		}
		return nil
	}
	type move struct {
		kind int
		key  []byte
	}
	// show makes the moves and returns all that they showed.
	show := func(tx *engine.Tx, o engine.IterOptions, moves []move) string {
		it := tx.NewIterator(o)
		defer it.Close()
		var seen strings.Builder
		for _, m := range moves {
			ok := [...]func() bool{
				it.First, it.Last, it.Next, it.Prev,
				func() bool { return it.SeekGE(m.key) }, func() bool { return it.SeekLT(m.key) },
			}[m.kind]()
			fmt.Fprintf(&seen, "%v %s=%s, ", ok, it.Key(), it.Value())
		}
		return seen.String()
	}
	for round := range 3000 {
		db := openMem(t, engine.Options{Sync: engine.SyncOff})
		for range rnd.IntN(6) {
			if err := db.Put(key(), []byte("old")); err != nil {
				t.Fatal(err)
			}
		}
		o := engine.IterOptions{Start: bound(), End: bound()}
		if o.End != nil && len(o.End) == 0 && rnd.IntN(4) > 0 {
			o.End = nil
		}
		var moves []move
		for range 1 + rnd.IntN(6) {
			m := move{rnd.IntN(6), bound()}
			if len(moves) > 0 && rnd.IntN(2) == 0 {
				m.kind = 2 + rnd.IntN(2)
			}
			moves = append(moves, m)
		}
		tx, err := db.Begin(engine.TxOptions{})
		if err != nil {
			t.Fatal(err)
		}
		before := show(tx, o, moves)
		if err := tx.Put([]byte("zz"), nil); err != nil {
			t.Fatal(err)
		}
		other := key()
		if rnd.IntN(3) == 0 {
			err = db.Delete(other)
		} else {
			err = db.Put(other, []byte("new"))
		}
		if err != nil {
			t.Fatal(err)
		}
		var after string
		if err := db.View(func(tx *engine.Tx) error { after = show(tx, o, moves); return nil }); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(t.Context()); before != after && !errors.Is(err, engine.ErrConflict) {
			t.Fatalf("seed %d, round %d: commit: %v; the moves %v in [%q, %q) showed %s and show %s after a write of %q",
				*faultSeed, round, err, moves, o.Start, o.End, before, after, other)
		}
		closeDB(t, db)
	}
}
