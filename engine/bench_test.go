package engine_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine"
)

// The shape of the benchmarks: 16-byte keys, 100-byte values that do not
// compress.

func benchKey(dst []byte, i uint64) []byte {
	x := i * 0x9E3779B97F4A7C15 // a permutation: no two alike, in no order
	x ^= x >> 29
	return fmt.Appendf(dst[:0], "%016x", x*0xBF58476D1CE4E5B9)
}

func benchValue(rng *rand.Rand, dst []byte) []byte {
	dst = dst[:0]
	for len(dst) < 104 {
		dst = binary.LittleEndian.AppendUint64(dst, rng.Uint64())
	}
	return dst[:100]
}

func benchDB(b *testing.B, o engine.Options, entries int) *engine.DB {
	b.Helper()
	mode := o.Sync
	o.Sync = engine.SyncOff
	dir := filepath.Join(b.TempDir(), "db")
	db := open(b, dir, o)
	rng := rand.New(rand.NewPCG(1, 2))
	batch := db.NewBatch()
	var key, value []byte
	for i := range entries {
		key, value = benchKey(key, uint64(i)), benchValue(rng, value)
		if err := batch.Put(key, value); err != nil {
			b.Fatal(err)
		}
		if batch.Len() == 1000 || i == entries-1 {
			if err := db.Apply(context.Background(), batch); err != nil {
				b.Fatal(err)
			}
			batch.Reset()
		}
	}
	if _, err := db.Compact(context.Background()); err != nil {
		b.Fatal(err)
	}
	closeDB(b, db)
	o.Sync = mode
	db = open(b, dir, o)
	b.Cleanup(func() { closeDB(b, db) })
	return db
}

func BenchmarkGet(b *testing.B) {
	for _, n := range []int{1, 10_000, 1_000_000} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			db := benchDB(b, engine.Options{CacheBytes: 256 << 20}, n)
			keys := make([][]byte, n)
			rng := rand.New(rand.NewPCG(3, 4))
			for i := range keys {
				keys[i] = benchKey(nil, uint64(i))
			}
			rng.Shuffle(n, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
			value := make([]byte, 0, 100)
			for _, k := range keys { // warm
				if _, err := db.AppendValue(value, k); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i == n {
					i = 0
				}
				if _, err := db.AppendValue(value, keys[i]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGetMissing(b *testing.B) {
	db := benchDB(b, engine.Options{CacheBytes: 256 << 20}, 1_000_000)
	var key []byte
	i := uint64(1_000_000)
	for b.Loop() {
		key = benchKey(key, i)
		if ok, err := db.Has(key); ok || err != nil {
			b.Fatal(ok, err)
		}
		i++
	}
}

func BenchmarkPut(b *testing.B) {
	for mode := range engine.SyncMode(3) {
		for _, order := range []string{"seq", "random"} {
			for _, writers := range []int{1, 8} {
				b.Run(fmt.Sprintf("sync=%v/order=%s/writers=%d", mode, order, writers), func(b *testing.B) {
					db := open(b, filepath.Join(b.TempDir(), "db"), engine.Options{Sync: mode, CacheBytes: 256 << 20})
					defer closeDB(b, db)
					benchPut(b, db, order == "random", writers)
				})
			}
		}
	}
}

func benchPut(b *testing.B, db *engine.DB, random bool, writers int) {
	var next atomic.Uint64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for w := range writers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 5))
			value := benchValue(rng, nil)
			key := make([]byte, 16)
			for {
				i := next.Add(1)
				if i > uint64(b.N) {
					return
				}
				if random {
					binary.BigEndian.PutUint64(key, i*0x9E3779B97F4A7C15)
				} else {
					binary.BigEndian.PutUint64(key, i)
				}
				if err := db.Put(key, value); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkTx: transactions that read two keys of a million and put both, some
// keys much more often than others (zipf 0.99), by goroutines that take turns.
func BenchmarkTx(b *testing.B) {
	const n, exponent = 1_000_000, 1 - 0.99
	db := benchDB(b, engine.Options{Sync: engine.SyncNormal, CacheBytes: 256 << 20}, n)
	if _, err := db.Compact(context.Background()); err != nil {
		b.Fatal(err)
	}
	for i := range uint64(n) { // warm
		if _, err := db.Has(benchKey(nil, i)); err != nil {
			b.Fatal(err)
		}
	}
	least, most := math.Pow(0.5, exponent), math.Pow(n+0.5, exponent)
	for _, workers := range []int{1, 4} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(6, 7))
			keys := make([][]byte, 1<<18)
			for i := range keys {
				rank := math.Pow(least+rng.Float64()*(most-least), 1/exponent) - 0.5
				keys[i] = benchKey(nil, uint64(rank))
			}
			b.ReportAllocs()
			b.ResetTimer()
			var next atomic.Uint64
			var wg sync.WaitGroup
			for range workers {
				value := benchValue(rng, nil)
				wg.Go(func() {
					for buf := []byte(nil); ; {
						i := next.Add(1)
						if i > uint64(b.N) {
							return
						}
						two := keys[2*i%uint64(len(keys)):][:2]
						err := db.Update(context.Background(), func(tx *engine.Tx) (err error) {
							for _, key := range two {
								if buf, err = tx.AppendValue(buf[:0], key); err != nil {
									return err
								}
							}
							return errors.Join(tx.Put(two[0], value), tx.Put(two[1], value))
						})
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

func BenchmarkBatch(b *testing.B) {
	db := open(b, filepath.Join(b.TempDir(), "db"), engine.Options{Sync: engine.SyncNormal, CacheBytes: 256 << 20})
	defer closeDB(b, db)
	batch := db.NewBatch()
	key, value := make([]byte, 16), make([]byte, 100)
	for i := range b.N {
		binary.BigEndian.PutUint64(key, uint64(i)*0x9E3779B97F4A7C15)
		if err := batch.Put(key, value); err != nil {
			b.Fatal(err)
		}
		if batch.Len() == 1000 || i == b.N-1 {
			if err := db.Apply(context.Background(), batch); err != nil {
				b.Fatal(err)
			}
			batch.Reset()
		}
	}
}

// BenchmarkScan scans leaves that gets at random have brought into memory.
func BenchmarkScan(b *testing.B) {
	const n = 1_000_000
	db := benchDB(b, engine.Options{CacheBytes: 256 << 20}, n)
	var key, value []byte
	for i := range uint64(n) {
		var err error
		key = benchKey(key, i)
		if value, err = db.AppendValue(value[:0], key); err != nil {
			b.Fatal(err)
		}
	}
	for _, backward := range []bool{false, true} {
		b.Run(fmt.Sprintf("backward=%v", backward), func(b *testing.B) {
			for b.Loop() {
				count := 0
				err := db.View(func(tx *engine.Tx) error {
					scan := tx.Scan(nil, nil)
					if backward {
						scan = tx.ScanBackward(nil, nil)
					}
					for range scan {
						count++
					}
					return nil
				})
				if err != nil || count != n {
					b.Fatal(count, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/entry")
		})
	}
	b.Run("100", func(b *testing.B) {
		var key []byte
		for i := uint64(0); b.Loop(); i++ {
			key = benchKey(key, i%n)
			count := 0
			err := db.View(func(tx *engine.Tx) error {
				for range tx.Scan(key, nil) {
					if count++; count == 100 {
						break
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/entry")
	})
}

// BenchmarkRecover opens a database whose log holds 500,000 entries that are
// in no tree, as after a kill.
func BenchmarkRecover(b *testing.B) {
	const n = 500_000
	dir := filepath.Join(b.TempDir(), "db")
	o := engine.Options{Sync: engine.SyncNormal, MemtableBytes: 1 << 30, MaxWALBytes: 1 << 30}
	db := open(b, dir, o)
	var key, value []byte
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		key, value = benchKey(key, uint64(i)), benchValue(rng, value)
		if err := db.Put(key, value); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Sync(); err != nil {
		b.Fatal(err)
	}
	// What a kill leaves is a copy of the files as they are now.
	files := tree(b, dir)
	closeDB(b, db)
	for b.Loop() {
		b.StopTimer()
		copied := filepath.Join(b.TempDir(), "copy")
		writeTree(b, copied, files)
		b.StartTimer()
		db := open(b, copied, o)
		if _, err := db.Get(key); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if r := db.OpenReport(); r.Operations != n {
			b.Fatalf("%+v", r)
		}
		closeDB(b, db)
		b.StartTimer()
	}
}

// BenchmarkEvents: what a listener costs those who read and write, who tell it of
// nothing here: without one, with one, and with the time taken of each call.
func BenchmarkEvents(b *testing.B) {
	const n = 10_000
	for name, o := range map[string]engine.Options{
		"none": {}, "listener": {Events: func(engine.Event) {}},
		"slow": {Events: func(engine.Event) {}, SlowOperation: time.Hour},
	} {
		o.Sync, o.CacheBytes = engine.SyncOff, 256<<20
		b.Run("get/"+name, func(b *testing.B) {
			db := benchDB(b, o, n)
			keys := make([][]byte, n)
			for i := range keys {
				keys[i] = benchKey(nil, uint64(i))
			}
			value := make([]byte, 0, 100)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := db.AppendValue(value, keys[i%n]); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("put/"+name, func(b *testing.B) {
			db := open(b, filepath.Join(b.TempDir(), "db"), o)
			defer closeDB(b, db)
			benchPut(b, db, false, 1)
		})
	}
}
