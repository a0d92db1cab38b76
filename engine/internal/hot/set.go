// Package hot keeps copies of the entries that are read again and again, so
// that a get of one of them neither descends a tree nor searches a leaf.
//
// # What it promises
//
//  1. An entry is found only for the state it was read from and by its whole
//     key. A state of a keyspace never changes, and has a number that no other
//     has. So a copy cannot be out of date: the reader of another state, older
//     or newer, does not find it.
//  2. The entries take no more memory than a thirty-second of the cache, which
//     gives up as much while the set is on.
//  3. A reader takes no lock, and stores nothing that others read, but for one
//     read in many. Where two of those meet, one leaves it at that.
//  4. It holds no node: what leaves the cache, leaves memory.
//
// # When it is on
//
// Where reads are spread over many keys it would only cost: a cache miss a get,
// and memory that nodes make better use of. So one read in 64 is noted in a
// table of fingerprints, about as many as there is room for entries. When that
// table has seen many of them before, the set goes on; when few, off. These
// reads go to the tree even where the set has the entry: so the cache knows
// that the leaf is in use, which the next state will read.
//
// At first the table knows few, whatever is read: of reads spread evenly over so
// many keys, as many are known as were noted before. Until a quarter of its size
// was noted, it is asked for as much as a quarter of its keys would show: 10,000
// keys are found after 65,000 reads then, not 400,000.
package hot

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/lightning-db/lightning/engine/internal/pager"
)

const (
	sampleBits = 6 // one read in 64 is noted
	fillBits   = 3 // one read in 8 that misses is kept, while the set is on

	window = 1024 // reads that are noted between two decisions
	onFrom = window * 2 / 5
	offTo  = window / 4

	budgetShare  = 32      // part of the cache that the entries may take
	cacheOfEntry = 4 << 10 // bytes of the cache for one entry
	leastCache   = 4 << 20 // that has a set
	largestRow   = 1 << 10 // bytes
)

// Set is a set of entries. Its methods may be called at once by many
// goroutines.
type Set struct {
	pager *pager.Pager
	table atomic.Pointer[table] // nil: off

	slots  int   // of seen
	budget int64 // bytes

	mu    sync.Mutex // guards all below, and what changes the table
	seen  []uint16   // fingerprints of reads that were noted; nil before the first
	total int        // reads noted before this window, no more than fill a quarter of seen
	notes int        // of this window
	known int        // of them seen before
	bytes int64      // that the table and its rows take
	hand  int        // which row of a full bucket goes next
}

// New returns a set that takes its memory from the cache of p.
func New(p *pager.Pager) *Set {
	limit := p.Stats().CacheLimit
	s := &Set{pager: p}
	if limit >= leastCache {
		s.slots = 1 << (bits.Len64(uint64(limit/cacheOfEntry)) - 1)
		s.budget = limit / budgetShare
	}
	return s
}

// table is a hash table of rows. A bucket is a cache line: the rows of its
// keys, and a byte of each key's hash, which are compared all at once.
type table struct {
	mask    uint64
	buckets []bucket
}

const perBucket = 7

type bucket struct {
	tags atomic.Uint64
	rows [perBucket]atomic.Pointer[byte] // first bytes of rows
}

// A row is an entry: its state (8 bytes), what it takes of memory (4), the
// lengths of key and value (2 each), key, value. It never changes. It is one
// piece of memory without pointers, so that it is one cache miss to the reader
// and nothing to the garbage collector.
const rowHead = 16

func newRow(state uint64, key, value []byte) (row *byte, cost int64) {
	n := rowHead + len(key) + len(value)
	b := slices.Grow([]byte(nil), n)[:rowHead]
	binary.LittleEndian.PutUint64(b, state)
	binary.LittleEndian.PutUint32(b[8:], uint32(cap(b)))
	binary.LittleEndian.PutUint16(b[12:], uint16(len(key)))
	binary.LittleEndian.PutUint16(b[14:], uint16(len(value)))
	b = append(append(b, key...), value...)
	return unsafe.SliceData(b), int64(cap(b))
}

// rowAt is the row that begins at first, which newRow has made.
func rowAt(first *byte) (state uint64, cost int64, key, value []byte) {
	head := (*[rowHead]byte)(unsafe.Pointer(first))
	k := int(binary.LittleEndian.Uint16(head[12:]))
	v := int(binary.LittleEndian.Uint16(head[14:]))
	row := unsafe.Slice(first, rowHead+k+v)
	return binary.LittleEndian.Uint64(head[:]), int64(binary.LittleEndian.Uint32(head[8:])), row[rowHead : rowHead+k], row[rowHead+k:]
}

// Turn is what is to be done with a read.
type Turn uint8

const (
	Pass   Turn = iota // nothing: the set is off
	Look               // look in the set
	Fill               // look in the set, and Note what was found elsewhere
	Sample             // do not look in the set, and Note what was found
)

// Turn is what is to be done with a read, by its number: one that is one more
// with every read, about.
func (s *Set) Turn(tick uint64) Turn {
	x := tick * 0x9E3779B97F4A7C15
	switch {
	case x>>(64-sampleBits) == 0:
		return Sample
	case s.table.Load() == nil:
		return Pass
	case x>>(64-fillBits) == 0:
		return Fill
	}
	return Look
}

const (
	ones  = 0x0101010101010101
	highs = 0x0080808080808080 // of the bytes that are tags
)

// Get appends the value of key in the state to dst, if it is in the set.
func (s *Set) Get(state uint64, key []byte, hash uint64, dst []byte) (value []byte, found bool) {
	t := s.table.Load()
	if t == nil {
		return dst, false
	}
	b := t.bucket(hash)
	for m := b.match(hash); m != 0; m &= m - 1 {
		r := b.rows[bits.TrailingZeros64(m)>>3].Load()
		if r == nil {
			continue
		}
		if from, _, k, v := rowAt(r); from == state && string(k) == string(key) {
			s.pager.CountHits(1)
			return append(dst, v...), true
		}
	}
	return dst, false
}

func (t *table) bucket(hash uint64) *bucket { return &t.buckets[hash>>8&t.mask] }

// match returns a number in whose byte i the highest bit is set where the tag
// of row i is that of hash; it may be, too, in a byte above such a one.
func (b *bucket) match(hash uint64) uint64 {
	x := b.tags.Load() ^ hash>>56*ones
	return (x - ones) &^ x & highs
}

// Note tells of a read in its turn, Fill or Sample: the key was found with that
// value, or it has none that the set would keep.
func (s *Set) Note(turn Turn, state uint64, key []byte, hash uint64, value []byte, found bool) {
	found = found && rowHead+len(key)+len(value) <= largestRow
	if turn == Fill && (s.table.Load() == nil || !found) || s.slots == 0 || !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	if turn == Sample {
		s.judge(hash, found)
	}
	if t := s.table.Load(); t != nil && found {
		s.keep(t, state, key, hash, value)
	}
}

// judge notes a read and, at the end of a window, decides. The caller holds mu.
func (s *Set) judge(hash uint64, found bool) {
	if s.seen == nil {
		s.seen = make([]uint16, s.slots)
	}
	s.notes++
	if found {
		seen := &s.seen[hash>>8%uint64(len(s.seen))]
		if *seen == uint16(hash>>48) {
			s.known++
		}
		*seen = uint16(hash >> 48)
	}
	if s.notes < window {
		return
	}
	on, early := s.table.Load() != nil, s.slots/4
	expected := min(window*(s.total+window/2)/early, onFrom)
	switch {
	case !on && s.known >= expected:
		s.turnOn()
	case on && s.known < expected*offTo/onFrom:
		s.turnOff()
	}
	s.total = min(s.total+window, early)
	s.notes, s.known = 0, 0
}

func (s *Set) turnOn() {
	s.pager.Reserve(s.budget)
	n := s.slots / 8
	s.bytes = int64(n) * int64(unsafe.Sizeof(bucket{}))
	s.table.Store(&table{uint64(n - 1), make([]bucket, n)})
}

func (s *Set) turnOff() {
	s.table.Store(nil)
	s.pager.Reserve(-s.budget)
}

// keep puts an entry into the table, unless it is there: in the place of one of
// the same key from another state, else in a free one, else of another. The
// caller holds mu.
func (s *Set) keep(t *table, state uint64, key []byte, hash uint64, value []byte) {
	b := t.bucket(hash)
	place := -1
	for m := b.match(hash); m != 0; m &= m - 1 {
		i := bits.TrailingZeros64(m) >> 3
		r := b.rows[i].Load()
		if r == nil {
			continue
		}
		from, _, k, _ := rowAt(r)
		if string(k) != string(key) {
			continue
		}
		if from == state {
			return
		}
		place = i
		break
	}
	for i := 0; place < 0 && i < perBucket; i++ {
		if b.rows[i].Load() == nil {
			place = i
		}
	}
	if place < 0 {
		s.hand = (s.hand + 1) % perBucket
		place = s.hand
	}
	freed := int64(0)
	if r := b.rows[place].Load(); r != nil {
		_, freed, _, _ = rowAt(r)
	}
	row, cost := newRow(state, key, value)
	if s.bytes+cost-freed > s.budget {
		return
	}
	s.bytes += cost - freed
	b.rows[place].Store(row)
	shift := 8 * place
	b.tags.Store(b.tags.Load()&^(0xFF<<shift) | hash>>56<<shift)
}
