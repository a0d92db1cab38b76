// Package stress holds tests that a user runs on the machine that the database
// is to live on: lightning stress is their command.
//
// Tests is the standard suite, Soak a run of any length under one workload.
// Each test makes databases of its own, knows what they must hold, and ends
// with the verification of every byte.
package stress

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/stress/expect"
	"github.com/lightning-db/lightning/verify"
)

// Env is what a test is run with.
type Env struct {
	Dir     string // an empty directory for its databases
	Seed    uint64
	Threads int // goroutines of the tests that say "threads"; 0: what each is for
	// Start starts this program as a writer that goes on until it is killed
	// (RunChild); nil where it cannot.
	Start func(c Child, stderr *os.File) (*os.Process, error)

	db     *engine.DB // that the test has open
	missed string     // what it was to meet, and did not
}

// ErrNothing is wrapped by the error of a test in which nothing was wrong, and
// nothing happened of what it is there for. It says what.
var ErrNothing = errors.New("met nothing")

// Test is a test of the standard suite.
type Test struct {
	Name string
	Does string // in one line
	// run does it with the open database of e, which is closed and verified after
	// it; where there is no cache, with none.
	run             func(ctx context.Context, e *Env) (figure string, err error)
	cache, memtable int64 // MB, of the database
}

// Result is how a test ended.
type Result struct {
	Name     string
	Figure   string // what it did, and how fast
	Err      error  // nil: passed; it may wrap ErrNothing, or errors.ErrUnsupported
	Duration time.Duration
}

// Run runs the test.
func (t *Test) Run(ctx context.Context, e *Env) Result {
	began, figure := time.Now(), ""
	var err error
	if t.cache > 0 {
		err = e.open(engine.Options{CacheBytes: t.cache << 20, MemtableBytes: t.memtable << 20})
	}
	if err == nil {
		figure, err = t.run(ctx, e)
	}
	if e.db != nil {
		err = e.finish(ctx, err)
	}
	if err == nil && e.missed != "" {
		err = fmt.Errorf("%w: %s", ErrNothing, e.missed)
	}
	return Result{t.Name, figure, err, time.Since(began)}
}

// Tests is the standard suite, in its order.
var Tests = []Test{
	{"concurrent-writes", "8 threads put 10,000 keys each, and all are read back", concurrentWrites, 64, 0},
	{"mixed", "4 threads do 50,000 operations each, 70 % reads, 20 % writes, 10 % deletions", mixed, 64, 0},
	{"large-values", "values of 1 KB to 1 MB are put, read and read again after a reopen", largeValues, 64, 0},
	{"transactions", "4 threads commit 1,000 transactions of ten puts each, of which none is half there", transactions, 64, 0},
	{"recovery", "a writing process is killed, and all that it was told is there", recovery, 0, 0},
	{"edge-cases", "the least, the longest and the oddest keys and values, and those refused", edgeCases, 64, 0},
	{"hot-key", "8 threads update one key 10,000 times, and none is lost", hotKey, 64, 0},
	{"conflicts", "8 threads move money between a few accounts, and none is made or lost", conflicts, 64, 0},
	{"bulk", "range deletions beside bulk writes and scans of snapshots that must not change", bulk, 32, 0},
	{"memory", "a load of a quarter GB with 16 MB of cache stays below its limit", memoryLimit, 16, 0},
	{"checkpoints", "checkpoints and compactions one after the other under load", checkpoints, 64, 1},
}

// open opens the database of a test.
func (e *Env) open(o engine.Options) (err error) {
	o.Sync, o.Holder = engine.SyncNormal, "lightning stress"
	e.db, err = engine.Open(e.path(), &o)
	return err
}

func (e *Env) path() string { return filepath.Join(e.Dir, "db") }

func (e *Env) threads(n int) int {
	if e.Threads > 0 {
		return e.Threads
	}
	return n
}

// finish closes the database and, where nothing is wrong, verifies it.
func (e *Env) finish(ctx context.Context, err error) error {
	if closeErr := e.db.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("close: %w", closeErr)
	}
	if err != nil {
		return err
	}
	return Verify(ctx, e.path())
}

// Verify verifies every byte of the database in dir.
func Verify(ctx context.Context, dir string) error {
	report, err := verify.Run(ctx, dir, verify.Options{})
	if err == nil && !report.OK {
		f := &report.Findings[0]
		err = wrong(fmt.Errorf("%d findings: %s at offset %d: %s (%s): %s", len(report.Findings), f.Path, f.Offset, f.Kind, f.Invariant, f.Reason))
	}
	return err
}

// parallel runs n goroutines to their end and returns the first error.
func parallel(n int, run func(thread int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = run(i) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func rate(n int, d time.Duration, what string) string {
	return fmt.Sprintf("%d %s, %.0f/s", n, what, float64(n)/d.Seconds())
}

func concurrentWrites(ctx context.Context, e *Env) (string, error) {
	const each = 10_000
	threads := e.threads(8)
	seed, began := expect.Seed(e.Seed), time.Now()
	err := parallel(threads, func(thread int) error {
		var value []byte
		for i := range each {
			key := thread*each + i
			value = seed.AppendValue(value[:0], key, 1, 100)
			if err := e.db.Put(appendKey(nil, key), value); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	took := time.Since(began)
	for key := 0; key < threads*each && err == nil; key++ {
		err = readBack(e.db, seed, key)
	}
	return rate(threads*each, took, "puts"), err
}

// readBack makes sure that key has the value of generation 1.
func readBack(r interface{ Get([]byte) ([]byte, error) }, seed expect.Seed, key int) error {
	value, err := r.Get(appendKey(nil, key))
	if errors.Is(err, engine.ErrNotFound) {
		return wrong(fmt.Errorf("key %d is not there", key))
	}
	if err != nil {
		return err
	}
	g, err := seed.ParseValue(value, key)
	if err == nil && g != 1 {
		err = fmt.Errorf("key %d has generation %d, want 1", key, g)
	}
	return wrong(err)
}

// newKV returns a workload in memory.
func (e *Env) newKV(keys int, mix Mix, most int) *KV {
	states, _ := expect.Open("", keys)
	w := &KV{Seed: expect.Seed(e.Seed), States: states, Sizes: [2]int{expect.MinValue, most}, Mix: mix}
	w.Use(e.db)
	return w
}

func (e *Env) rng(thread int) *rand.Rand { return rand.New(rand.NewPCG(e.Seed, uint64(thread))) }

// steps lets threads do so many operations each.
func (w *KV) steps(ctx context.Context, e *Env, each int) (figure string, err error) {
	threads, began := e.threads(4), time.Now()
	err = parallel(threads, func(thread int) error {
		rng := e.rng(thread)
		for range each {
			if err := w.Step(ctx, rng); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	return rate(threads*each, time.Since(began), "operations"), err
}

func mixed(ctx context.Context, e *Env) (string, error) {
	const each = 50_000
	w := e.newKV(20_000, Mix{Read: 70, Write: 20, Delete: 10}, 200)
	figure, err := w.steps(ctx, e, each)
	if err == nil {
		err = w.VerifyAll(e.db)
	}
	return figure, err
}

func largeValues(ctx context.Context, e *Env) (string, error) {
	seed := expect.Seed(e.Seed)
	sizes := []int{1 << 10, 4 << 10, 10 << 10, 64 << 10, 100 << 10, 256 << 10, 1 << 20}
	const rounds = 10
	began, total := time.Now(), 0
	var err error
	for key := 0; key < rounds*len(sizes) && err == nil; key++ {
		size := sizes[key%len(sizes)]
		total += size
		err = e.db.Put(appendKey(nil, key), seed.AppendValue(nil, key, 1, size))
	}
	took := time.Since(began)
	for again := range 2 {
		for key := 0; key < rounds*len(sizes) && err == nil; key++ {
			if err = readBack(e.db, seed, key); err == nil {
				err = ctx.Err()
			}
		}
		if again == 0 {
			if err = e.finish(ctx, err); err == nil {
				err = e.open(engine.Options{MustExist: true})
			}
		}
	}
	return fmt.Sprintf("%.0f MB, %.0f MB/s", float64(total)/1e6, float64(total)/1e6/took.Seconds()), err
}

func transactions(ctx context.Context, e *Env) (string, error) {
	const each, puts = 1000, 10
	threads := e.threads(4)
	// Each transaction writes one number under ten keys of its own.
	key := func(thread, i, j int) []byte { return fmt.Appendf(nil, "%d/%d/%d", thread, i, j) }
	began := time.Now()
	err := parallel(threads, func(thread int) error {
		for i := range each {
			err := e.db.Update(ctx, func(tx *engine.Tx) error {
				for j := range puts {
					if err := tx.Put(key(thread, i, j), fmt.Appendf(nil, "%d", i)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			// Another's is there whole, or not at all.
			other, n := (thread+1)%threads, i
			err = e.db.View(func(tx *engine.Tx) error {
				found := 0
				for j := range puts {
					switch value, err := tx.Get(key(other, n, j)); {
					case err == nil && string(value) == fmt.Sprint(n):
						found++
					case err == nil:
						return wrong(fmt.Errorf("transaction %d of thread %d shows %q", n, other, value))
					case !errors.Is(err, engine.ErrNotFound):
						return err
					}
				}
				if found != 0 && found != puts {
					return wrong(fmt.Errorf("%d of the %d puts of a transaction are there", found, puts))
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	took := time.Since(began)
	if err == nil {
		err = count(e.db, threads*each*puts)
	}
	return rate(threads*each, took, "transactions"), err
}

// count makes sure how many keys there are.
func count(db *engine.DB, want int) error {
	s, err := db.Snapshot()
	if err != nil {
		return err
	}
	defer s.Close()
	have := 0
	for range s.Scan(nil, nil) {
		have++
	}
	if have != want && s.Err() == nil {
		return wrong(fmt.Errorf("%d keys are there, want %d", have, want))
	}
	return s.Err()
}

// edgeCases puts what is unusual and reads it in order, and what is too much.
func edgeCases(ctx context.Context, e *Env) (string, error) {
	keys := [][]byte{
		{},
		{0},
		{0, 0},
		{0, 0xff},
		{'a'},
		[]byte("a\x00"), []byte("a\x00b"), []byte("ab"), []byte("é"),
		{0xff},
		{0xff, 0xff},
		bytes.Repeat([]byte{'k'}, engine.MaxKeySize-1), bytes.Repeat([]byte{'k'}, engine.MaxKeySize), bytes.Repeat([]byte{0xff}, engine.MaxKeySize),
	}
	values := [][]byte{{}, {0}, bytes.Repeat([]byte{0}, 4096), bytes.Repeat([]byte("v"), 100_000)}
	fail := func(format string, args ...any) error { return wrong(fmt.Errorf(format, args...)) }
	checks, db := 0, e.db
	run := func() error {
		for round, value := range values {
			for _, key := range keys {
				if err := db.Put(key, value); err != nil {
					return err
				}
				got, err := db.Get(key)
				if err != nil || !bytes.Equal(got, value) {
					return fail("a key of %d bytes has a value of %d bytes, %v; put were %d", len(key), len(got), err, len(value))
				}
				checks++
			}
			if round%2 == 1 {
				if _, err := db.Checkpoint(ctx); err != nil {
					return err
				}
			}
			if err := count(db, len(keys)); err != nil {
				return err
			}
		}
		s, err := db.Snapshot()
		if err != nil {
			return err
		}
		defer s.Close()
		at := 0
		var last []byte
		for key := range s.Scan(nil, nil) {
			if at > 0 && bytes.Compare(last, key) >= 0 {
				return fail("key %d of the scan, of %d bytes, is not behind the one before", at, len(key))
			}
			last = append(last[:0], key...)
			at++
		}
		tooLong := make([]byte, engine.MaxKeySize+1)
		if err := db.Put(tooLong, nil); !errors.Is(err, engine.ErrTooLarge) {
			return fail("a key of %d bytes was not refused: %v", len(tooLong), err)
		}
		for i, key := range keys {
			if err := db.Delete(key); err != nil {
				return err
			}
			if ok, err := db.Has(key); ok || err != nil {
				return fail("a key of %d bytes is there after it was deleted: %v", len(key), err)
			}
			if err := count(db, len(keys)-i-1); err != nil {
				return err
			}
			checks++
		}
		if at != len(keys) {
			return fail("the scan had %d keys, want %d", at, len(keys))
		}
		return s.Err()
	}
	err := run()
	return fmt.Sprintf("%d checks", checks), err
}

func hotKey(ctx context.Context, e *Env) (string, error) {
	const updates = 10_000
	threads := e.threads(8)
	key, began := []byte("n"), time.Now()
	each := updates / threads
	err := parallel(threads, func(int) error {
		for range each {
			err := e.db.Update(ctx, func(tx *engine.Tx) error {
				n, err := number(tx, key)
				if err != nil {
					return err
				}
				return tx.Put(key, binary.BigEndian.AppendUint64(nil, n+1))
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	took := time.Since(began)
	if err == nil {
		var n uint64
		if n, err = number(e.db, key); err == nil && n != uint64(each*threads) {
			err = wrong(fmt.Errorf("%d updates were acknowledged, the key tells %d", each*threads, n))
		}
	}
	return e.conflicts(rate(each*threads, took, "updates")), err
}

// conflicts adds to a figure how many there were.
func (e *Env) conflicts(figure string) string {
	n := e.db.Stats().Conflicts
	if n == 0 {
		e.missed = "no transaction had a conflict"
	}
	return fmt.Sprintf("%s, %d conflicts", figure, n)
}

// number is the number under key, 0 where there is none. Others may get between,
// also where there is one processor: or no transaction would have a conflict.
func number(r interface{ Get([]byte) ([]byte, error) }, key []byte) (uint64, error) {
	value, err := r.Get(key)
	runtime.Gosched()
	switch {
	case errors.Is(err, engine.ErrNotFound):
		return 0, nil
	case err != nil:
		return 0, err
	case len(value) != 8:
		return 0, wrong(fmt.Errorf("key %q has a value of %d bytes, written were 8", key, len(value)))
	}
	return binary.BigEndian.Uint64(value), nil
}

func conflicts(ctx context.Context, e *Env) (string, error) {
	b := &Bank{Accounts: 10, Each: 1000}
	b.Use(e.db)
	err := b.Fill(ctx)
	if err == nil {
		err = parallel(e.threads(8), func(thread int) error {
			rng := e.rng(thread)
			for range 2000 {
				if err := b.Step(ctx, rng); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err == nil {
		err = b.Check(e.db)
	}
	return e.conflicts(fmt.Sprintf("%d transfers, %d sums", b.Transfers.Load(), b.Sums.Load())), err
}

// bulk writes and deletes ranges beside snapshots, each of which must show to
// its end what it showed at first.
func bulk(ctx context.Context, e *Env) (string, error) {
	w := e.newKV(50_000, Mix{Read: 10, Scan: 10, Write: 30, Delete: 10, DeleteRange: 20, Tx: 20}, 300)
	return w.beside(ctx, e, "scans of all", func(n int) error { return w.scan(0, w.States.Keys(), n%2 == 1) })
}

// beside lets threads do operations, does something else meanwhile again and
// again, and holds all against what is expected.
func (w *KV) beside(ctx context.Context, e *Env, what string, do func(n int) error) (string, error) {
	var wg sync.WaitGroup
	var ended atomic.Bool
	var failed error
	n := 0
	wg.Go(func() {
		for ; !ended.Load() && failed == nil; n++ {
			failed = do(n)
		}
	})
	figure, err := w.steps(ctx, e, 20_000)
	ended.Store(true)
	wg.Wait()
	if err == nil {
		err = failed
	}
	if err == nil {
		err = w.VerifyAll(e.db)
	}
	return fmt.Sprintf("%s, %d %s", figure, n, what), err
}

// memoryLimit loads much more than the cache holds, and watches what of the
// process is in memory.
func memoryLimit(ctx context.Context, e *Env) (string, error) {
	const keys, limit = 2_000_000, 192 << 20
	debug.FreeOSMemory()
	before := residentBytes()
	if before == 0 {
		return "", fmt.Errorf("%w: the system does not tell how much memory a process has", errors.ErrUnsupported)
	}
	seed, rng := expect.Seed(e.Seed), e.rng(0)
	peak := before
	look := func() { peak = max(peak, residentBytes()) }
	var err error
	b := e.db.NewBatch()
	for i := 0; i < keys && err == nil; i++ {
		key := rng.IntN(keys)
		if err = b.Put(appendKey(nil, key), seed.AppendValue(nil, key, 1, 100)); err == nil && b.Len() == 1000 {
			err = e.db.Apply(ctx, b)
			b.Reset()
		}
		if i%50_000 == 0 {
			look()
		}
	}
	for i := 0; i < keys/10 && err == nil; i++ {
		if err = readBack(e.db, seed, rng.IntN(keys)); errors.Is(err, ErrWrong) && strings.HasSuffix(err.Error(), "is not there") {
			err = nil // by chance it was not drawn
		}
	}
	look()
	used := peak - before
	if err == nil && used > limit {
		err = fmt.Errorf("%d MB of memory were taken, the limit is %d", used>>20, limit>>20)
	}
	return fmt.Sprintf("%d MB of memory at most", used>>20), err
}

func checkpoints(ctx context.Context, e *Env) (string, error) {
	w := e.newKV(20_000, StandardMix, 400)
	return w.beside(ctx, e, "checkpoints", func(n int) error {
		_, err := e.db.Checkpoint(ctx)
		if err == nil && n%8 == 7 {
			_, err = e.db.Compact(ctx)
		}
		return err
	})
}
