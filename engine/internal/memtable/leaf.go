package memtable

import (
	"bytes"
	"math/bits"
	"sync/atomic"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

const leafSlots = 64

// A leaf holds up to 64 keys in the order in which they came.
//
//  1. Slots below the count never change, but for the ref of a slot, which
//     moves on to newer versions of the same key.
//  2. The fingerprint of a used slot is not zero, and is stored last: who
//     loads it sees the slot whole. The count is the number of fingerprints.
//  3. All keys that belong in the leaf share their first skip bytes; a slot's
//     head is the eight bytes after them.
//  4. A leaf that was replaced by a split never changes again.
//
// The fields are laid out for the allocator's size class of 1152 bytes: with
// the 8 bytes that the runtime puts in front, the fingerprints are exactly
// one cache line, which is all that most lookups of an absent key touch.
type leaf struct {
	sorted  atomic.Pointer[order]
	newest  atomic.Uint64 // no entry has a sequence number above this one
	skip    int32
	ordered int32 // this many slots at the front are in key order
	used    int32 // the writer's count
	_       [28]byte

	prints [leafSlots / 8]atomic.Uint64 // a fingerprint a slot, eight a word
	slots  [leafSlots]slot
}

type slot struct {
	head uint64
	at   uint64 // the ref of the key's newest version, used atomically once published
}

func (s *slot) ref() ref { return ref(atomic.LoadUint64(&s.at)) }

// An order lists the first n slots of a leaf by key. It is immutable.
type order struct {
	n     int
	slots [leafSlots]uint8
}

// leafBytes is what a leaf is counted as: with the order that it may carry.
const leafBytes = 1152 + 80

// identity is the order of a full leaf whose keys came in order.
var identity = func() (o order) {
	o.n = leafSlots
	for i := range o.slots {
		o.slots[i] = uint8(i)
	}
	return
}()

const everyByte = 0x0101010101010101

// printOf is the fingerprint of a key: the low byte of its tag, never zero.
func printOf(tag ref) uint64 { return max(uint64(tag>>(offsetBits+chunkBits))&0xFF, 1) }

// find returns the slot of key, or -1.
func (l *leaf) find(a *arena, key []byte, hash uint64) (int, entry) {
	tag := tagOf(hash)
	want := printOf(tag) * everyByte
	for w := range l.prints {
		// A byte of x is zero where a fingerprint matches, and then alone is
		// its high bit set in hits. The shorter formula, (x-0x01…)&^x&0x80…,
		// may also set the bit above a match, and so lead to a slot that is
		// being written.
		x := l.prints[w].Load() ^ want
		hits := ^(x&(everyByte*0x7F) + everyByte*0x7F | x) & (everyByte * 0x80)
		for ; hits != 0; hits &= hits - 1 {
			i := w*8 + bits.TrailingZeros64(hits)>>3
			r := l.slots[i].ref()
			if r&tagMask != tag {
				continue
			}
			if e := a.at(r); bytes.Equal(e.key(), key) {
				return i, e
			}
		}
	}
	return -1, nil
}

// add publishes a key that the leaf does not have yet. There must be room.
func (l *leaf) add(head uint64, hash uint64, r ref, seq kv.Seq) {
	i := int(l.used)
	l.used++
	l.newest.Store(uint64(seq))
	r |= tagOf(hash)
	l.slots[i] = slot{head, uint64(r)}
	w := &l.prints[i/8]
	w.Store(w.Load() | printOf(r)<<(i%8*8))
}

// update makes r the newest version of the key of slot i.
func (l *leaf) update(i int, hash uint64, r ref, seq kv.Seq) {
	l.newest.Store(uint64(seq))
	atomic.StoreUint64(&l.slots[i].at, uint64(r|tagOf(hash)))
}

// count returns the number of published slots.
func (l *leaf) count() int {
	for w := len(l.prints) - 1; w >= 0; w-- {
		if v := l.prints[w].Load(); v != 0 {
			return w*8 + (bits.Len64(v)+7)/8
		}
	}
	return 0
}

// entry returns the newest version in slot i.
func (l *leaf) entry(a *arena, i uint8) entry {
	return a.at(l.slots[i&(leafSlots-1)].ref())
}

// inOrder returns the published slots by key and how many there are. What it
// had to sort it leaves on the leaf for the next one who asks.
func (l *leaf) inOrder(a *arena) (*[leafSlots]uint8, int) {
	n := l.count()
	from, done := &identity, int(l.ordered)
	cached := l.sorted.Load()
	if cached != nil {
		from, done = cached, cached.n
	}
	if done >= n { // a reader that saw more slots may have been here meanwhile
		return &from.slots, done
	}
	o := &order{n: n}
	copy(o.slots[:done], from.slots[:done])
	for i := done; i < n; i++ {
		l.insert(a, o, uint8(i), i)
	}
	l.sorted.CompareAndSwap(cached, o)
	return &o.slots, n
}

// insert puts slot i where it belongs among the first n of o. Most heads
// differ, so that it seldom touches a key.
func (l *leaf) insert(a *arena, o *order, i uint8, n int) {
	at := n
	for lo := 0; lo < at; {
		mid := at - 1
		if at < n { // the last one was tried first: keys often come in order
			mid = int(uint(lo+at) >> 1)
		}
		if l.less(a, o.slots[mid], i) {
			lo = mid + 1
		} else {
			at = mid
		}
	}
	copy(o.slots[at+1:n+1], o.slots[at:n])
	o.slots[at] = i
}

// less orders the keys in two slots.
func (l *leaf) less(a *arena, i, j uint8) bool {
	x, y := l.slots[i].head, l.slots[j].head
	if x != y {
		return x < y
	}
	return compareFrom(l.entry(a, i).key(), l.entry(a, j).key(), int(l.skip)) < 0
}

// search returns how many of the n keys in order are less than key. One pass
// over all heads, in whatever order they lie, beats a binary search: its
// cache misses do not wait for each other. Only keys with the same head are
// looked at.
func (l *leaf) search(a *arena, slots *[leafSlots]uint8, n int, key []byte) int {
	head := headOf(key, int(l.skip))
	var less, greater uint64
	for i := range l.slots[:n] {
		_, below := bits.Sub64(l.slots[i].head, head, 0)
		_, above := bits.Sub64(head, l.slots[i].head, 0)
		less += below
		greater += above
	}
	lo, hi := int(less), n-int(greater)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if compareFrom(l.entry(a, slots[mid]).key(), key, int(l.skip)) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// A cell is a slot on its way from one leaf to another.
type cell struct {
	head uint64
	at   ref // with the tag
}

const cellBytes = 16

// cells appends the leaf's slots in key order to dst.
func (l *leaf) cells(dst []cell, slots *[leafSlots]uint8, n int) []cell {
	for _, i := range slots[:n] {
		s := &l.slots[i]
		dst = append(dst, cell{s.head, s.ref()})
	}
	return dst
}

// moreTelling is how many bytes longer what all keys share must be for their heads
// to be taken anew, which reads all of them.
const moreTelling = 4

// newLeaf builds a leaf from cells in key order, whose heads were taken after
// oldSkip bytes. They may be taken after skip bytes now.
func newLeaf(a *arena, cells []cell, oldSkip, skip int, newest uint64) *leaf {
	if skip <= oldSkip+moreTelling {
		skip = oldSkip
	}
	l := &leaf{skip: int32(skip), ordered: int32(len(cells)), used: int32(len(cells))}
	l.newest.Store(newest)
	var prints [leafSlots / 8]uint64
	for i, c := range cells {
		if skip != oldSkip {
			c.head = headOf(a.at(c.at).key(), skip)
		}
		l.slots[i] = slot{c.head, uint64(c.at)}
		prints[i/8] |= printOf(c.at) << (i % 8 * 8)
	}
	for w, v := range prints {
		l.prints[w].Store(v)
	}
	return l
}

// changed reports whether a key in r has a version newer than since.
func (l *leaf) changed(a *arena, r kv.Range, since kv.Seq) bool {
	if kv.Seq(l.newest.Load()) <= since {
		return false
	}
	for i := range l.count() {
		if e := l.entry(a, uint8(i)); e.seq() > since && r.Contains(e.key()) {
			return true
		}
	}
	return false
}
