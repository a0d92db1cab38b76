package main

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/lightning-db/lightning/bench/internal/workload"
)

// The benchmarks of bounds do the least that any store must do here, and
// nothing else: docs/PERFORMANCE.md holds figures against them.
//
//	go test -run '^$' -bench Bound -benchtime 2s

var valueSizes = []int{1 << 10, 10 << 10, 100 << 10, 1 << 20}

// A value written once, by a call, with a checksum: into a file that grows, and
// over what was written before and is in memory.
func BenchmarkBound_PutLarge(b *testing.B) {
	const region = 1 << 30
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	for _, size := range valueSizes {
		values := randomBytes(size + 64)
		for _, reused := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d/reused=%v", size, reused), func(b *testing.B) {
				f, err := os.Create(filepath.Join(b.TempDir(), "file"))
				if err != nil {
					b.Fatal(err)
				}
				defer f.Close()
				if reused {
					for off := int64(0); off < region; off += 1 << 20 {
						if _, err := f.WriteAt(make([]byte, 1<<20), off); err != nil {
							b.Fatal(err)
						}
					}
					if err := f.Sync(); err != nil {
						b.Fatal(err)
					}
				}
				b.SetBytes(int64(size))
				sum, off := uint32(0), int64(0)
				for i := 0; b.Loop(); i++ {
					value := values[i%64:][:size]
					sum ^= crc32.Checksum(value, castagnoli)
					if _, err := f.WriteAt(value, off); err != nil {
						b.Fatal(err)
					}
					if off += int64(size); reused && off+int64(size) > region {
						off = 0
					}
				}
				sink = sum
			})
		}
	}
}

// A value copied out of 250 MiB of them in memory.
func BenchmarkBound_GetLarge(b *testing.B) {
	values := randomBytes(250 << 20)
	for _, size := range valueSizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			into := make([]byte, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				copy(into, values[rand.IntN(len(values)/size)*size:])
			}
		})
	}
}

// 4,000 bytes, a leaf, at a random place of 1 GiB of a file that is in memory,
// by a call.
func BenchmarkBound_GetFromFile(b *testing.B) {
	const size = 1 << 30
	f, err := os.Create(filepath.Join(b.TempDir(), "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for off := int64(0); off < size; off += 16 << 20 {
		if _, err := f.WriteAt(randomBytes(16<<20), off); err != nil {
			b.Fatal(err)
		}
	}
	leaf := make([]byte, 4000)
	b.SetBytes(int64(len(leaf)))
	for b.Loop() {
		if _, err := f.ReadAt(leaf, rand.Int64N(size/4096)*4096); err != nil {
			b.Fatal(err)
		}
	}
}

// 100 values of 100 bytes copied out of four blocks of 4 KiB, 33 in each, that
// lie anywhere in memory: a short scan, the descent to its first leaf left out.
func BenchmarkBound_ScanShort(b *testing.B) {
	const length = 100
	blocks := randomBytes(128 << 20)
	order := rand.Perm(len(blocks) / 4096)
	var into [100]byte
	b.SetBytes(length * int64(len(into)))
	for b.Loop() {
		block, entry := rand.IntN(len(order)), rand.IntN(33)
		for range length {
			copy(into[:], blocks[order[block]*4096+entry*120+20:])
			if entry++; entry == 33 {
				entry, block = 0, (block+1)%len(order)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/length, "ns/entry")
	sink = uint32(into[0])
}

// Values of 100 bytes copied out of blocks of 4 KiB, 33 in each: a full scan
// that does nothing but that. Blocks lie in memory in their order, or, as leaves
// come into memory by random gets, in none.
func BenchmarkBound_Scan(b *testing.B) {
	const size, each = 4096, 33
	blocks := randomBytes(128 << 20)
	inOrder := make([]int, len(blocks)/size)
	for i := range inOrder {
		inOrder[i] = i
	}
	for at, order := range map[string][]int{"in-order": inOrder, "at-random": rand.Perm(len(inOrder))} {
		for to, step := range map[string]int{"forward": 1, "backward": -1} {
			b.Run(at+"/"+to, func(b *testing.B) {
				var into [100]byte
				first := 0
				if step < 0 {
					first = each - 1
				}
				block, entry := 0, first
				b.SetBytes(int64(len(into)))
				for b.Loop() {
					copy(into[:], blocks[order[block]*size+entry*120+20:])
					if entry += step; entry < 0 || entry == each {
						entry, block = first, (block+step+len(order))%len(order)
					}
				}
				sink = uint32(into[0])
			})
		}
	}
}

// A transaction that reads two of a million keys and puts both, some of them much
// more often than others, where nothing is kept in order, no version is kept,
// nobody else is there, and nothing is ever merged: a hash table tells where an
// entry lies, its value is copied out, a record with a checksum is appended to a
// log in memory, and the values are replaced where they lie.
func BenchmarkBound_Tx(b *testing.B) {
	const keys, keySize, entrySize, header = 1_000_000, workload.KeySize, workload.KeySize + 100, 40
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	entries := randomBytes(keys * entrySize)
	places := make([]uint32, 1<<21) // of entries, by the hash of their keys; 0: none
	place := func(key []byte) *uint32 {
		for h := binary.LittleEndian.Uint64(key) * 0x9E3779B97F4A7C15 >> (64 - 21); ; h = (h + 1) % uint64(len(places)) {
			at := places[h]
			if at == 0 || string(entries[at:][:keySize]) == string(key) {
				return &places[h]
			}
		}
	}
	for i := range keys - 1 {
		at := (i + 1) * entrySize
		workload.RandomKey(entries[at:], uint64(i))
		*place(entries[at:][:keySize]) = uint32(at)
	}
	var random workload.Rand
	ranks := workload.NewZipf(keys-1, workload.Theta).Ranks(&random, 1<<18)
	values := workload.NewValues(entrySize - keySize)
	log, end := randomBytes(64<<20), 0
	var key [keySize]byte
	var into [entrySize - keySize]byte
	i := 0
	for b.Loop() {
		if len(log)-end < header+2*entrySize {
			end = 0
		}
		record := log[end:][:header+2*entrySize]
		end += len(record)
		var at [2]uint32
		for k := range at {
			workload.RandomKey(key[:], uint64(ranks[i%len(ranks)]))
			at[k] = *place(key[:])
			copy(into[:], entries[at[k]+keySize:])
			copy(record[header+k*entrySize:], key[:])
			copy(record[header+k*entrySize+keySize:], values.At(random.Uint64()))
			i++
		}
		binary.LittleEndian.PutUint64(record[8:], uint64(i))
		binary.LittleEndian.PutUint32(record, crc32.Checksum(record[4:], castagnoli))
		for k, at := range at {
			copy(entries[at:], record[header+k*entrySize:][:entrySize])
		}
	}
	sink = uint32(into[0])
}

// sink keeps what is measured from being left out.
var sink uint32

func randomBytes(n int) []byte {
	random := rand.NewChaCha8([32]byte{1})
	all := make([]byte, n)
	random.Read(all)
	return all
}
