// Package filter tells of a sorted run or a tree, in one cache line, that it does
// not have a key. It is a blocked Bloom filter (Putze, Sanders and Singler, "Cache-,
// Hash- and Space-Efficient Bloom Filters", 2007): a key sets six bits of one
// block of 512. At ten bits a key about one absent key in 75 passes; where half
// as many keys again were added, one in 20.
//
// The layout is part of the file format (docs/FORMAT.md, "Filter").
package filter

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
)

const (
	blockBytes = 64
	bitsPerKey = 10
	probes     = 6
)

// Filter is a set of key hashes (kv.Hash) that may claim to have one that it
// has not, but never the other way round. A nil Filter claims to have all.
type Filter struct{ blocks [][8]uint64 }

// Size returns the length in bytes, in memory and encoded, of a filter with room
// for so many keys.
func Size(keys uint64) uint64 {
	return max(1, (keys*bitsPerKey+blockBytes*8-1)/(blockBytes*8)) * blockBytes
}

// Sized returns an empty filter with room for so many keys.
func Sized(keys uint64) *Filter {
	return &Filter{blocks: make([][8]uint64, Size(keys)/blockBytes)}
}

// New returns the filter of the keys with these hashes.
func New(hashes []uint64) *Filter {
	f := Sized(uint64(len(hashes)))
	for _, h := range hashes {
		b := f.block(h)
		for g, p := stir(h), 0; p < probes; g, p = g>>9, p+1 {
			b[g>>6&7] |= 1 << (g & 63)
		}
	}
	return f
}

// Add adds the key of that hash, and reports whether the filter did not claim to
// have it already. Any number of goroutines may add and ask at once.
func (f *Filter) Add(h uint64) bool {
	if f.MayHave(h) { // then nobody's cache line is taken away
		return false
	}
	b := f.block(h)
	for g, p := stir(h), 0; p < probes; g, p = g>>9, p+1 {
		atomic.OrUint64(&b[g>>6&7], 1<<(g&63))
	}
	return true
}

// MayHave reports whether the filter claims to have the key of that hash. It
// makes all probes, without a branch: which one misses first cannot be
// predicted.
func (f *Filter) MayHave(h uint64) bool {
	if f == nil {
		return true
	}
	b := f.block(h)
	g := stir(h)
	all := atomic.LoadUint64(&b[g>>6&7]) >> (g & 63)
	all &= atomic.LoadUint64(&b[g>>15&7]) >> (g >> 9 & 63)
	all &= atomic.LoadUint64(&b[g>>24&7]) >> (g >> 18 & 63)
	all &= atomic.LoadUint64(&b[g>>33&7]) >> (g >> 27 & 63)
	all &= atomic.LoadUint64(&b[g>>42&7]) >> (g >> 36 & 63)
	all &= atomic.LoadUint64(&b[g>>51&7]) >> (g >> 45 & 63)
	return all&1 != 0
}

// block returns the block of a hash: its upper bits tell which.
func (f *Filter) block(h uint64) *[8]uint64 {
	i, _ := bits.Mul64(h, uint64(len(f.blocks)))
	return &f.blocks[i]
}

// stir makes the bits from which the probes are taken, nine bits each: the
// word of the block above, the bit of the word below. (The factor is Knuth's,
// for MMIX.)
func stir(h uint64) uint64 { return h * 6364136223846793005 >> 10 }

// Size is the length of the filter in bytes, in memory and encoded.
func (f *Filter) Size() int {
	if f == nil {
		return 0
	}
	return len(f.blocks) * blockBytes
}

// Encode returns the filter as it is stored.
func (f *Filter) Encode() []byte {
	b := make([]byte, 0, f.Size())
	for i := range f.blocks {
		for _, w := range f.blocks[i] {
			b = binary.LittleEndian.AppendUint64(b, w)
		}
	}
	return b
}

// Decode returns the filter that b is, and false when b is none.
func Decode(b []byte) (*Filter, bool) {
	if len(b) == 0 || len(b)%blockBytes != 0 {
		return nil, false
	}
	f := &Filter{blocks: make([][8]uint64, len(b)/blockBytes)}
	for i := range f.blocks {
		for j := range f.blocks[i] {
			f.blocks[i][j] = binary.LittleEndian.Uint64(b[i*blockBytes+j*8:])
		}
	}
	return f, true
}
