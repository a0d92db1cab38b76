package memtable

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"sync/atomic"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

const (
	firstChunkSize = 512
	maxChunkSize   = 2 << 20
	lastChunkSize  = 64 << 10
	ownChunkSize   = 64 << 10 // an entry of this size and more gets a chunk of its own

	// The allocator rounds what is larger than its largest class to pages.
	maxSizeClass = 32 << 10
	pageSize     = 8 << 10
)

// A ref says where an entry is: the number of its chunk and the offset in it.
// Its upper bits hold a tag, bits of the key's hash, so that a reader can
// tell most other keys apart without touching the entry. It is an integer,
// and chunks hold no pointers, so the garbage collector never looks at
// entries.
//
//	63      48 47        21 20       0
//	[ tag     | chunk      | offset  ]
type ref uint64

const (
	offsetBits = 21 // entries start below maxChunkSize
	chunkBits  = 27
	tagMask    = ref(0xFFFF) << (offsetBits + chunkBits)
)

func tagOf(hash uint64) ref { return ref(hash) & tagMask }

func (r ref) chunk() int  { return int(r >> offsetBits & (1<<chunkBits - 1)) }
func (r ref) offset() int { return int(r & (1<<offsetBits - 1)) }

// An arena holds entries. It only grows: what was written is immutable and
// lives as long as something refers to its chunk. One writer appends; readers
// may read any entry whose ref they got through an atomic load.
type arena struct {
	chunks atomic.Pointer[[][]byte]

	// The writer's.
	current int // the chunk being filled
	used    int // bytes of it that are taken
	size    int // of the chunk being filled
	held    atomic.Int64
	limit   int64 // what held should end at; 0: none

	// The list of a small arena, so that it costs no allocation.
	firstList   [][]byte
	firstChunks [2][]byte
}

// at returns the entry at r, with whatever follows it in its chunk.
func (a *arena) at(r ref) entry {
	return entry((*a.chunks.Load())[r.chunk()][r.offset():])
}

// append writes an entry. older is the version of the key that it replaces
// as the newest, if there is one.
func (a *arena) append(key, value []byte, kind kv.Kind, seq kv.Seq, older ref, hasOlder bool) ref {
	size := headerSize + len(key) + len(value)
	if hasOlder {
		size += linksSize
	}
	r, e := a.reserve(size)
	binary.LittleEndian.PutUint64(e, uint64(seq))
	meta := uint32(len(key)) | uint32(kind)<<kindShift
	start := headerSize
	if hasOlder {
		meta |= olderFlag
		jump, depth := a.jumpFor(older)
		binary.LittleEndian.PutUint64(e[16:], uint64(older))
		binary.LittleEndian.PutUint64(e[24:], uint64(jump))
		binary.LittleEndian.PutUint32(e[32:], depth)
		start += linksSize
	}
	binary.LittleEndian.PutUint32(e[8:], meta)
	binary.LittleEndian.PutUint32(e[12:], uint32(len(value)))
	copy(e[start:], key)
	copy(e[start+len(key):], value)
	return r
}

// reserve takes size bytes at the end of the arena.
func (a *arena) reserve(size int) (ref, []byte) {
	if size >= ownChunkSize {
		own := a.grow(size)
		return ref(own) << offsetBits, (*a.chunks.Load())[own]
	}
	if a.size-a.used < size {
		next := max(firstChunkSize, min(2*a.size, maxChunkSize))
		if left := a.limit - a.held.Load(); left > 0 { // all of it, but for a small chunk, which reaches the limit
			next = min(next, max(int(left)-lastChunkSize, lastChunkSize))
		}
		for next < size {
			next *= 2
		}
		a.current, a.used, a.size = a.grow(next), 0, next
	}
	start := a.used
	a.used += size
	return ref(a.current)<<offsetBits | ref(start), (*a.chunks.Load())[a.current][start:a.used]
}

// grow adds a chunk and returns its number. Readers go on with the list they
// loaded; a ref into the new chunk is published after the new list.
func (a *arena) grow(size int) int {
	chunk := make([]byte, size)
	if size == maxChunkSize {
		adviseHuge(chunk)
	}
	if size > maxSizeClass {
		size = (size + pageSize - 1) &^ (pageSize - 1)
	}
	a.held.Add(int64(size))
	list := a.chunks.Load()
	if list == nil {
		a.firstList = append(a.firstChunks[:0], chunk)
		a.chunks.Store(&a.firstList)
		return 0
	}
	longer := append(*list, chunk)
	a.chunks.Store(&longer)
	return len(longer) - 1
}

// jumpFor chooses the jump and depth of an entry whose older version is at r
// (Myers, "An applicative random-access stack", 1983): as far back as the
// skew-binary number of its depth allows, so that any version is reached in
// O(log n) steps. Every other time that is to r, which is known without a look at
// versions that may be long out of the processor's cache.
func (a *arena) jumpFor(r ref) (jump ref, depth uint32) {
	older := a.at(r)
	depth = older.depth() + 1
	if leastDigit(depth) == 1 {
		return r, depth
	}
	mid := older.jump(r)
	return a.at(mid).jump(mid), depth
}

// leastDigit is the weight, 2^k-1, of the lowest digit of n > 0 as a skew-binary
// number that is not zero.
func leastDigit(n uint32) uint32 {
	for {
		weight := uint32(1)<<(bits.Len64(uint64(n)+1)-1) - 1
		if n == weight {
			return weight
		}
		n -= weight
	}
}

// visible returns the newest version of e's key with a sequence number of at
// most seq, or nil. e is the newest of all.
func (a *arena) visible(e entry, seq kv.Seq) entry {
	for e != nil && e.seq() > seq {
		e = a.back(e, seq)
	}
	return e
}

// back goes from e, which is newer than seq, a step towards the newest version
// that is not: as far as no such version is passed. Without older versions it
// returns nil.
func (a *arena) back(e entry, seq kv.Seq) entry {
	if !e.hasOlder() {
		return nil
	}
	if jump := a.at(e.jump(0)); jump.seq() >= seq {
		return jump
	}
	return a.at(e.prev())
}

// An entry as it lies in the arena. The links are there only when the key has
// an older version.
//
//	0   sequence number  8
//	8   key length       3
//	11  kind and flags   1
//	12  value length     4
//	16  prev             8   ref of the next older version
//	24  jump             8   ref of a version further back
//	32  depth            4   number of older versions
//	    key, value
type entry []byte

const (
	headerSize = 16
	linksSize  = 20

	keyLenMask = 1<<24 - 1
	kindShift  = 24
	kindMask   = 0x7F
	olderFlag  = 1 << 31
)

func (e entry) seq() kv.Seq    { return kv.Seq(binary.LittleEndian.Uint64(e)) }
func (e entry) meta() uint32   { return binary.LittleEndian.Uint32(e[8:]) }
func (e entry) kind() kv.Kind  { return kv.Kind(e.meta() >> kindShift & kindMask) }
func (e entry) hasOlder() bool { return e.meta()&olderFlag != 0 }
func (e entry) prev() ref      { return ref(binary.LittleEndian.Uint64(e[16:])) }

// jump returns the jump of the entry, which is at self: the oldest version
// jumps to itself.
func (e entry) jump(self ref) ref {
	if !e.hasOlder() {
		return self
	}
	return ref(binary.LittleEndian.Uint64(e[24:]))
}

func (e entry) depth() uint32 {
	if !e.hasOlder() {
		return 0
	}
	return binary.LittleEndian.Uint32(e[32:])
}

// bounds returns where the key starts and ends.
func (e entry) bounds() (start, end int) {
	meta := e.meta()
	start = headerSize + int(meta>>31)*linksSize
	return start, start + int(meta&keyLenMask)
}

func (e entry) key() []byte {
	start, end := e.bounds()
	return e[start:end:end]
}

// value returns the value, nil for a tombstone.
func (e entry) value() []byte {
	if e.kind() == kv.Delete {
		return nil
	}
	_, start := e.bounds()
	end := start + int(binary.LittleEndian.Uint32(e[12:]))
	return e[start:end:end]
}

// headOf returns the eight bytes of key after skip as a number that orders
// like them. A key that ends earlier counts as followed by zeros, so equal
// heads decide nothing.
func headOf(key []byte, skip int) uint64 {
	rest := key[skip:]
	if len(rest) >= 8 {
		return binary.BigEndian.Uint64(rest)
	}
	var head uint64
	for i, b := range rest {
		head |= uint64(b) << (56 - 8*i)
	}
	return head
}

// commonPrefix returns the length of the longest common prefix of a and b.
func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// compareFrom orders two keys that share their first skip bytes.
func compareFrom(a, b []byte, skip int) int { return bytes.Compare(a[skip:], b[skip:]) }
