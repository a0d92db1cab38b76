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
	"runtime/debug"
	"strings"
	"sync"
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
}

// Test is a test of the standard suite.
type Test struct {
	Name string
	Does string // in one line
	run  func(context.Context, *Env) (figure string, err error)
}

// Result is how a test ended.
type Result struct {
	Name     string
	Figure   string // what it did, and how fast
	Err      error  // nil: passed
	Duration time.Duration
}

// Run runs the test.
func (t *Test) Run(ctx context.Context, e *Env) Result {
	began := time.Now()
	figure, err := t.run(ctx, e)
	return Result{t.Name, figure, err, time.Since(began)}
}

// Tests is the standard suite, in its order.
var Tests = []Test{
	{"concurrent-writes", "8 threads put 10,000 keys each, and all are read back", concurrentWrites},
	{"mixed", "4 threads do 50,000 operations each, 70 % reads, 20 % writes, 10 % deletions", mixed},
	{"large-values", "values of 1 KB to 1 MB are put, read and read again after a reopen", largeValues},
	{"transactions", "4 threads commit 1,000 transactions of ten puts each, of which none is half there", transactions},
	{"recovery", "a writing process is killed, and all that it was told is there", recovery},
	{"edge-cases", "the least, the longest and the oddest keys and values, and those refused", edgeCases},
	{"hot-key", "8 threads update one key 10,000 times, and none is lost", hotKey},
	{"conflicts", "8 threads move money between a few accounts, and none is made or lost", conflicts},
	{"bulk", "range deletions beside bulk writes and scans of snapshots that must not change", bulk},
	{"memory", "a load of a quarter GB with 16 MB of cache stays below its limit", memoryLimit},
	{"checkpoints", "checkpoints and compactions one after the other under load", checkpoints},
}

// open opens the database of a test.
func (e *Env) open(o engine.Options) (*engine.DB, error) {
	o.Holder = "lightning stress"
	return engine.Open(e.db(), &o)
}

func (e *Env) db() string { return filepath.Join(e.Dir, "db") }

func (e *Env) threads(n int) int {
	if e.Threads > 0 {
		return e.Threads
	}
	return n
}

// finish closes db and verifies it.
func (e *Env) finish(ctx context.Context, db *engine.DB, err error) error {
	if closeErr := db.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("close: %w", closeErr)
	}
	if err != nil {
		return err
	}
	return Verify(ctx, e.db())
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
	db, err := e.open(engine.Options{Sync: engine.SyncNormal})
	if err != nil {
		return "", err
	}
	seed, began := expect.Seed(e.Seed), time.Now()
	err = parallel(threads, func(thread int) error {
		var value []byte
		for i := range each {
			key := thread*each + i
			value = seed.AppendValue(value[:0], key, 1, 100)
			if err := db.Put(appendKey(nil, key), value); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	took := time.Since(began)
	for key := 0; key < threads*each && err == nil; key++ {
		err = readBack(db, seed, key)
	}
	return rate(threads*each, took, "puts"), e.finish(ctx, db, err)
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
func (e *Env) newKV(db *engine.DB, keys int, mix Mix, most int) *KV {
	states, _ := expect.Open("", keys)
	w := &KV{Seed: expect.Seed(e.Seed), States: states, Sizes: [2]int{expect.MinValue, most}, Mix: mix}
	w.Use(db)
	return w
}

func (e *Env) rng(thread int) *rand.Rand { return rand.New(rand.NewPCG(e.Seed, uint64(thread))) }

func (w *KV) steps(ctx context.Context, e *Env, threads, each int) error {
	return parallel(threads, func(thread int) error {
		rng := e.rng(thread)
		for range each {
			if err := w.Step(ctx, rng); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

func mixed(ctx context.Context, e *Env) (string, error) {
	const each = 50_000
	db, err := e.open(engine.Options{Sync: engine.SyncNormal})
	if err != nil {
		return "", err
	}
	w := e.newKV(db, 20_000, Mix{Read: 70, Write: 20, Delete: 10}, 200)
	threads, began := e.threads(4), time.Now()
	err = w.steps(ctx, e, threads, each)
	took := time.Since(began)
	if err == nil {
		err = w.VerifyAll(db)
	}
	return rate(threads*each, took, "operations"), e.finish(ctx, db, err)
}

func largeValues(ctx context.Context, e *Env) (string, error) {
	db, err := e.open(engine.Options{Sync: engine.SyncNormal})
	if err != nil {
		return "", err
	}
	seed := expect.Seed(e.Seed)
	sizes := []int{1 << 10, 4 << 10, 10 << 10, 64 << 10, 100 << 10, 256 << 10, 1 << 20}
	const rounds = 10
	began, total := time.Now(), 0
	for key := 0; key < rounds*len(sizes) && err == nil; key++ {
		size := sizes[key%len(sizes)]
		total += size
		err = db.Put(appendKey(nil, key), seed.AppendValue(nil, key, 1, size))
	}
	took := time.Since(began)
	read := func() error {
		for key := range rounds * len(sizes) {
			if err := readBack(db, seed, key); err != nil {
				return err
			}
		}
		return ctx.Err()
	}
	if err == nil {
		err = read()
	}
	figure := fmt.Sprintf("%.0f MB, %.0f MB/s", float64(total)/1e6, float64(total)/1e6/took.Seconds())
	if err = e.finish(ctx, db, err); err != nil {
		return figure, err
	}
	if db, err = e.open(engine.Options{MustExist: true}); err != nil {
		return figure, err
	}
	return figure, e.finish(ctx, db, read())
}

func transactions(ctx context.Context, e *Env) (string, error) {
	const each, puts = 1000, 10
	threads := e.threads(4)
	db, err := e.open(engine.Options{Sync: engine.SyncNormal})
	if err != nil {
		return "", err
	}
	// Each transaction writes one number under ten keys of its own.
	key := func(thread, i, j int) []byte { return fmt.Appendf(nil, "%d/%d/%d", thread, i, j) }
	began := time.Now()
	err = parallel(threads, func(thread int) error {
		for i := range each {
			err := db.Update(ctx, func(tx *engine.Tx) error {
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
			err = db.View(func(tx *engine.Tx) error {
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
		err = count(db, threads*each*puts)
	}
	return rate(threads*each, took, "transactions"), e.finish(ctx, db, err)
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
	db, err := e.open(engine.Options{Sync: engine.SyncNormal})
	if err != nil {
		return "", err
	}
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
	checks := 0
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
	err = run()
	return fmt.Sprintf("%d checks", checks), e.finish(ctx, db, err)
}

func hotKey(ctx context.Context, e *Env) (string, error) {
	const updates = 10_000
	threads := e.threads(8)
	db, err := e.open(engine.Options{Sync: engine.SyncNormal})
	if err != nil {
		return "", err
	}
	key, began := []byte("n"), time.Now()
	each := updates / threads
	err = parallel(threads, func(int) error {
		for range each {
			err := db.Update(ctx, func(tx *engine.Tx) error {
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
		if n, err = number(db, key); err == nil && n != uint64(each*threads) {
			err = wrong(fmt.Errorf("%d updates were acknowledged, the key tells %d", each*threads, n))
		}
	}
	figure := fmt.Sprintf("%s, %d conflicts", rate(each*threads, took, "updates"), db.Stats().Conflicts)
	return figure, e.finish(ctx, db, err)
}

// number is the number under key, 0 where there is none.
func number(r interface{ Get([]byte) ([]byte, error) }, key []byte) (uint64, error) {
	value, err := r.Get(key)
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
	db, err := e.open(engine.Options{Sync: engine.SyncNormal})
	if err != nil {
		return "", err
	}
	b := &Bank{Accounts: 10, Each: 1000}
	b.Use(db)
	if err = b.Fill(ctx); err == nil {
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
		err = b.Check(db)
	}
	return fmt.Sprintf("%d transfers, %d sums, %d conflicts", b.Transfers.Load(), b.Sums.Load(), db.Stats().Conflicts), e.finish(ctx, db, err)
}

// bulk writes and deletes ranges beside snapshots, each of which must show to
// its end what it showed at first.
func bulk(ctx context.Context, e *Env) (string, error) {
	db, err := e.open(engine.Options{Sync: engine.SyncNormal, CacheBytes: 32 << 20})
	if err != nil {
		return "", err
	}
	w := e.newKV(db, 50_000, Mix{Read: 10, Scan: 10, Write: 30, Delete: 10, DeleteRange: 20, Tx: 20}, 300)
	var scanned int
	done := make(chan struct{})
	scanErr := make(chan error, 1)
	go func() {
		scanErr <- func() error {
			for {
				select {
				case <-done:
					return nil
				default:
				}
				if err := w.scan(0, w.States.Keys(), scanned%2 == 1); err != nil {
					return err
				}
				scanned++
			}
		}()
	}()
	began, threads := time.Now(), e.threads(4)
	err = w.steps(ctx, e, threads, 20_000)
	took := time.Since(began)
	close(done)
	if e := <-scanErr; err == nil {
		err = e
	}
	if err == nil {
		err = w.VerifyAll(db)
	}
	return fmt.Sprintf("%s, %d scans of all", rate(threads*20_000, took, "operations"), scanned), e.finish(ctx, db, err)
}

// memoryLimit loads much more than the cache holds, and watches what of the
// process is in memory, where the system tells.
func memoryLimit(ctx context.Context, e *Env) (string, error) {
	const keys, limit = 2_000_000, 192 << 20
	debug.FreeOSMemory()
	before := residentBytes()
	db, err := e.open(engine.Options{Sync: engine.SyncNormal, CacheBytes: 16 << 20})
	if err != nil {
		return "", err
	}
	seed, rng := expect.Seed(e.Seed), e.rng(0)
	peak := before
	look := func() { peak = max(peak, residentBytes()) }
	b := db.NewBatch()
	for i := 0; i < keys && err == nil; i++ {
		key := rng.IntN(keys)
		if err = b.Put(appendKey(nil, key), seed.AppendValue(nil, key, 1, 100)); err == nil && b.Len() == 1000 {
			err = db.Apply(ctx, b)
			b.Reset()
		}
		if i%50_000 == 0 {
			look()
		}
	}
	for i := 0; i < keys/10 && err == nil; i++ {
		if err = readBack(db, seed, rng.IntN(keys)); errors.Is(err, ErrWrong) && strings.HasSuffix(err.Error(), "is not there") {
			err = nil // by chance it was not drawn
		}
	}
	look()
	used := peak - before
	if err == nil && used > limit {
		err = fmt.Errorf("%d MB of memory were taken, the limit is %d", used>>20, limit>>20)
	}
	return fmt.Sprintf("%d MB of memory at most", used>>20), e.finish(ctx, db, err)
}

func checkpoints(ctx context.Context, e *Env) (string, error) {
	db, err := e.open(engine.Options{Sync: engine.SyncNormal, MemtableBytes: 1 << 20})
	if err != nil {
		return "", err
	}
	w := e.newKV(db, 20_000, StandardMix, 400)
	done := make(chan struct{})
	checkErr := make(chan error, 1)
	n := 0
	go func() {
		checkErr <- func() error {
			for ; ; n++ {
				select {
				case <-done:
					return nil
				default:
				}
				if _, err := db.Checkpoint(ctx); err != nil {
					return err
				}
				if n%8 == 7 {
					if _, err := db.Compact(ctx); err != nil {
						return err
					}
				}
			}
		}()
	}()
	began, threads := time.Now(), e.threads(4)
	err = w.steps(ctx, e, threads, 20_000)
	took := time.Since(began)
	close(done)
	if e := <-checkErr; err == nil {
		err = e
	}
	if err == nil {
		err = w.VerifyAll(db)
	}
	return fmt.Sprintf("%s, %d checkpoints", rate(threads*20_000, took, "operations"), n), e.finish(ctx, db, err)
}
