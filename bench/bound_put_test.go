//go:build unix

package main

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/lightning-db/lightning/bench/internal/workload"
)

// A put of a store with a log and a memtable, without all that makes it one: an
// entry of 116 bytes goes with its checksum into a mapped file that was written
// before, and is copied into new memory, of which the last 32 MiB are kept. At
// random its key is besides compared with that of one of these entries, and its
// place written down at random in an index: less than it takes to find it. By eight
// it is that by eight goroutines, one after the other, as the log has them.
func BenchmarkBound_Put(b *testing.B) {
	const (
		log    = 64 << 20
		chunk  = 2 << 20
		chunks = 16
		header = 16
		entry  = header + workload.KeySize + 100
	)
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	for _, name := range []string{"in-order", "at-random", "by-eight"} {
		b.Run(name, func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "file"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			if _, err := f.Write(make([]byte, log)); err != nil {
				b.Fatal(err)
			}
			mapped, err := syscall.Mmap(int(f.Fd()), 0, log, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
			if err != nil {
				b.Fatal(err)
			}
			defer syscall.Munmap(mapped)
			values := workload.NewValues(100)
			var memory [chunks][]byte
			for i := range memory {
				memory[i] = make([]byte, chunk)
			}
			index := make([]uint64, chunks*chunk/entry)
			current, used, at, larger := 0, 0, 0, 0
			put := func(key, value []byte, i uint64) {
				if at+entry > log {
					at = 0
				}
				record := mapped[at : at+entry]
				at += entry
				copy(record[header:], key)
				copy(record[header+len(key):], value)
				binary.LittleEndian.PutUint64(record[8:], i)
				binary.LittleEndian.PutUint32(record, crc32.Checksum(record[8:], castagnoli))
				if used+entry > chunk {
					current, used = (current+1)%chunks, 0
					memory[current] = make([]byte, chunk)
				}
				copy(memory[current][used:used+entry], record)
				if name != "in-order" {
					off := rand.IntN(chunk/entry) * entry
					if bytes.Compare(memory[rand.IntN(chunks)][off+header:off+header+len(key)], key) > 0 {
						larger++
					}
					index[rand.IntN(len(index))] = uint64(current)<<32 | uint64(used)
				}
				used += entry
			}
			b.SetBytes(entry - header)
			if name == "by-eight" {
				var mu sync.Mutex
				var next atomic.Uint64
				b.SetParallelism(max(8/runtime.GOMAXPROCS(0), 1))
				b.RunParallel(func(pb *testing.PB) {
					var key [workload.KeySize]byte
					for pb.Next() {
						i := next.Add(1)
						workload.RandomKey(key[:], i)
						value := values.At(i)
						mu.Lock()
						put(key[:], value, i)
						mu.Unlock()
					}
				})
				sink = uint32(larger)
				return
			}
			var key [workload.KeySize]byte
			for i := uint64(0); b.Loop(); i++ {
				if name == "in-order" {
					workload.OrderedKey(key[:], i)
				} else {
					workload.RandomKey(key[:], i)
				}
				put(key[:], values.At(i), i)
			}
			sink = uint32(larger)
		})
	}
}
