package pager

import (
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/tally"
)

// cache decides which nodes, and which values of overflow extents, stay in
// memory. Its invariants:
//
//  1. used, the sum over the frames in the lists of their buffers' capacity,
//     child pointers and the frame itself, never exceeds limit less reserved.
//  2. A frame's data is not nil exactly when it is in a list.
//  3. f.kidsHere is the number of resident frames linked to f as parent.
//  4. A kid's data is not nil exactly when the kid's frame is resident and
//     linked there, and then is that frame's: what left the cache, readers of
//     no version find any more.
//  5. values holds a frame of an overflow extent exactly while it is in a list,
//     by its offset. An extent that took the place of another has a frame of
//     its own, since the whole reference is compared.
//
// There are three lists. A node that a scan read, or that came with another
// (group.go), waits in the scan list, and leaves before all others. Any other node starts on probation, a tenth of the cache,
// and moves to main when it is read again: what is read once cannot push out
// what is read often. A node that comes back soon after it left goes to main
// at once, so that a new working set larger than the probation takes over.
// Main is a clock: the hand passes over what was read since it came by last.
// A branch is passed over twice more, and as long as a child of it is here.
// A value, or a leaf that a get asks for, comes into memory while there is room
// for it without evicting, and else only now and then: see wants.
type cache struct {
	limit int64

	hits   tally.Counter
	misses atomic.Uint64
	passed atomic.Uint64 // see Stats.Passed
	huge   hugePages

	mu     sync.Mutex // guards all below, and what Frame says
	used   int64
	frames int

	reserved int64 // of limit, for others
	lists    [places]frameList
	ghosts   []ghost // who left lately, by hash of offset
	left     uint32  // how many left in all

	refused, refusedLarge uint32 // values and leaves for which there was no room

	// valuesMu guards values. Both are held to change it, cache.mu first.
	valuesMu sync.RWMutex
	values   map[uint64]kept // of overflow extents, by offset
}

// kept is a value in memory. Its first byte is where the frame says, too; but a
// reader asks for it while the frame, which says whether it is the right one, is
// still on its way to the processor.
type kept struct {
	frame *Frame
	first *byte
}

// place is a list of the cache.
type place uint8

const (
	nowhere       place = iota
	scanList            // what scans read and what is no longer current
	probationList       // what was read once
	mainList            // what was read again
	places
)

// ghost remembers a frame that left.
type ghost struct {
	key  uint32 // hash of its offset
	left uint32 // value of cache.left then
}

const branchLives = 2

func (c *cache) init(limit int64) {
	c.limit = limit
	c.huge.init(limit)
	n := min(max(limit/4096, 16), 1<<20)
	c.ghosts = make([]ghost, 1<<bits.Len64(uint64(n-1)))
	c.values = map[uint64]kept{}
}

// admit makes n the data of f, which its loader has read, if the limit allows.
// A frame that no reader can find is not worth more than a scan's.
func (c *cache) admit(f *Frame, n node.Node, scan bool) {
	cost := frameCost(n)
	if cost > c.limit {
		return
	}
	c.huge.cover(n)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.makeRoom(cost) {
		return
	}
	switch {
	case !c.link(f), scan:
		c.insert(f, n, cost, scanList, nil)
	case c.leftLately(f.Ref().Off):
		c.insert(f, n, cost, mainList, nil)
	default:
		c.insert(f, n, cost, probationList, nil)
	}
}

// admitWritten makes a copy of n the data of the new frame f, whose children
// frames are children. Without keep it does so only while there is room or when
// a child is here, since a child without its parent cannot be found.
func (c *cache) admitWritten(f *Frame, n node.Node, children []*Frame, keep bool) {
	where := scanList
	c.mu.Lock()
	for _, k := range children {
		keep = keep || k != nil && k.place != nowhere
	}
	if keep {
		where = mainList
	}
	room := c.hasRoom(frameCost(slices.Clip(n)))
	c.mu.Unlock()
	if !keep && !room {
		return
	}
	n = append(node.Node(nil), n...)
	cost := frameCost(n)
	if cost > c.limit {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.makeRoom(cost) {
		c.insert(f, n, cost, where, children)
	}
}

const (
	largestValue = 16 // a value takes at most this part of the cache
	admitOneOf   = 8
	// admitLargeOneOf is admitOneOf for a value that past the cache is read
	// without a copy: to admit it costs several times as much, the pages of its
	// memory being found, cleared, and made huge.
	admitLargeOneOf = 32
)

// value returns the overflow extent of ref, its body in plain, if it is in
// memory, else nil.
func (c *cache) value(ref node.Ref, ks kv.Keyspace) node.Node {
	c.valuesMu.RLock()
	k := c.values[ref.Off]
	c.valuesMu.RUnlock()
	f := k.frame
	if f == nil {
		return nil
	}
	node.Prefetch(k.first, 0)
	if !f.holdsValue(ref) || f.keyspace != ks {
		return nil
	}
	n := f.resident()
	if n != nil && f.touched.Load() == 0 {
		f.touched.Store(1)
	}
	return n
}

// holdsValue reports whether f is of the extent ref and no other that was
// before it, or came after it, in the same place.
func (f *Frame) holdsValue(ref node.Ref) bool {
	own := f.Ref()
	return own.Off == ref.Off && own.Len == ref.Len && own.Sum == ref.Sum
}

// wants reports whether the value or the leaf of ref, which is not in memory,
// should be kept once it has been read: always while there is room, and where others
// must leave for it one time in admitOneOf, or in admitLargeOneOf. Its memory
// must be found and filled for that, which costs more than to read it past the
// cache: what is read often comes in soon, and the rest does not pay for a place
// that it will lose.
func (c *cache) wants(ref node.Ref) bool {
	if int64(ref.Len) > c.limit/largestValue {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hasRoom(int64(ref.Len) + int64(ref.Len)/8 + int64(frameBytes)) {
		return true
	}
	if ref.Len > directBytes {
		c.refusedLarge++
		return c.refusedLarge%admitLargeOneOf == 0
	}
	c.refused++
	return c.refused%admitOneOf == 0
}

// admitValue keeps n, the overflow extent of ref with its body in plain.
func (c *cache) admitValue(ref node.Ref, ks kv.Keyspace, n node.Node) {
	cost := frameCost(n)
	if cost > c.limit/largestValue {
		return
	}
	f := newFrame(ref, ks, 0)
	f.flags = flagValue
	c.huge.cover(n)
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.values[ref.Off].frame; old != nil {
		if old.holdsValue(ref) {
			return // another reader was first
		}
		c.evict(old)
	}
	if !c.makeRoom(cost) {
		return
	}
	where := probationList
	if c.leftLately(ref.Off) {
		where = mainList
	}
	c.insert(f, n, cost, where, nil)
	c.valuesMu.Lock()
	c.values[ref.Off] = kept{f, unsafe.SliceData(n)}
	c.valuesMu.Unlock()
}

// releaseValue is release for the extent of ref, if it is a value in memory.
func (c *cache) releaseValue(ref node.Ref) {
	c.valuesMu.RLock()
	f := c.values[ref.Off].frame
	c.valuesMu.RUnlock()
	if f != nil && f.holdsValue(ref) {
		c.release(f)
	}
}

// insert puts f into a list and publishes its data.
func (c *cache) insert(f *Frame, n node.Node, cost int64, where place, children []*Frame) {
	if n.Kind() == node.Branch {
		kids := make([]kid, n.Count())
		c.adopt(f, kids, children)
		f.kids.Store(unsafe.SliceData(kids))
		f.lives = branchLives
	}
	f.bytes = uint32(cost)
	c.used += cost
	c.frames++
	c.lists[where].push(f, where)
	f.touched.Store(0)
	f.data.Store(unsafe.SliceData(n))
	f.show()
}

// adopt makes f the parent of those children that are here. The others are
// found again through f's references.
func (c *cache) adopt(f *Frame, kids []kid, children []*Frame) {
	for i, k := range children {
		if k == nil || k.place == nowhere {
			continue
		}
		c.unlink(k)
		k.parent, k.slot = f, uint16(i)
		k.flags |= flagLinked
		f.kidsHere++
		kids[i].frame.Store(k)
		kids[i].data.Store(k.data.Load())
	}
}

// link makes sure that f can be reached from its parent. A root needs none.
func (c *cache) link(f *Frame) bool {
	if f.parent == nil {
		return true
	}
	kids := f.parent.kids.Load()
	if kids == nil {
		return false
	}
	slot := &kidAt(kids, int(f.slot)).frame
	if slot.Load() != f && !slot.CompareAndSwap(nil, f) {
		return false
	}
	f.flags |= flagLinked
	f.parent.kidsHere++
	return true
}

// unlink takes f off the count of its parent, and its data off its place there.
func (c *cache) unlink(f *Frame) {
	if k := f.kid(); k != nil {
		k.data.Store(nil)
		if k.touched.Load() != 0 {
			f.touched.Store(1)
		}
	}
	if f.flags&flagLinked != 0 {
		f.flags &^= flagLinked
		f.parent.kidsHere--
	}
}

// kid is the place of f among its parent's children, nil if it has none.
func (f *Frame) kid() *kid {
	if f.flags&flagLinked == 0 {
		return nil
	}
	first := f.parent.kids.Load()
	if first == nil { // the parent has left
		return nil
	}
	if k := kidAt(first, int(f.slot)); k.frame.Load() == f {
		return k
	}
	return nil
}

// show lets readers find the data of f, which is resident, from its parent.
func (f *Frame) show() {
	if k := f.kid(); k != nil {
		k.touched.Store(0)
		k.data.Store(f.data.Load())
	}
}

// wasRead reports whether f has been read since it was last asked.
func (f *Frame) wasRead() bool {
	read := f.touched.Load() != 0
	if read {
		f.touched.Store(0)
	}
	if k := f.kid(); k != nil && k.touched.Load() != 0 {
		k.touched.Store(0)
		read = true
	}
	return read
}

// frameCost is what a frame with node n counts for.
func frameCost(n node.Node) int64 {
	cost := frameBytes + cap(n)
	if n.Kind() == node.Branch {
		cost += n.Count() * kidBytes
	}
	return int64(cost)
}

func (c *cache) hasRoom(cost int64) bool { return c.used+cost <= c.limit-c.reserved }

// makeRoom evicts frames until there is room, and reports whether there is.
func (c *cache) makeRoom(cost int64) bool {
	if cost > c.limit-c.reserved {
		return false
	}
	for !c.hasRoom(cost) {
		c.evictOne()
	}
	return true
}

// reserve takes n bytes of the limit for others, or gives them back when n is
// negative.
func (c *cache) reserve(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reserved += n
	c.makeRoom(0)
}

// evictOne evicts one frame. There is one.
func (c *cache) evictOne() {
	f := c.victim(&c.lists[scanList])
	if p := &c.lists[probationList]; f == nil && (p.bytes > c.limit/10 || c.lists[mainList].head == nil) {
		f = c.victim(p)
	}
	if f == nil {
		f = c.hand()
	}
	c.evict(f)
}

// victim returns the oldest frame of a queue that was not read again; those
// before it move to main, and a scan's branch waits once more for its children.
// It returns nil when none is left.
func (c *cache) victim(l *frameList) *Frame {
	for f := l.head; f != nil; f = l.head {
		to := mainList
		switch {
		case f.flags&flagFreed != 0:
			return f
		case f.wasRead():
		case f.kidsHere == 0:
			return f
		case f.place == scanList && f.lives == 0:
			return f
		case f.place == scanList:
			f.lives--
			to = scanList
		}
		l.remove(f)
		c.lists[to].push(f, to)
	}
	return nil
}

// maxSteps bounds how far the hand looks, so that no reader waits long where
// everything has been read since it came by.
const maxSteps = 128

// hand moves the clock's hand on to a frame to evict. Main is not empty: when
// the queues were, all frames are in it.
func (c *cache) hand() *Frame {
	l := &c.lists[mainList]
	for range maxSteps {
		f := l.head
		switch {
		case f.wasRead():
			if f.kids.Load() != nil {
				f.lives = branchLives
			}
		case f.kidsHere > 0:
		case f.lives > 0:
			f.lives--
		default:
			return f
		}
		l.remove(f)
		l.push(f, mainList)
	}
	for f := l.head; f != nil; f = f.next {
		if f.kidsHere == 0 {
			return f
		}
	}
	return l.head
}

func (c *cache) evict(f *Frame) {
	from := f.place
	c.lists[from].remove(f)
	c.used -= int64(f.bytes)
	c.frames--
	if f.flags&flagValue != 0 {
		c.valuesMu.Lock()
		delete(c.values, f.Ref().Off)
		c.valuesMu.Unlock()
	}
	f.data.Store(nil)
	f.kids.Store(nil)
	f.lives = 0
	f.flags &^= flagFreed
	k := f.kid()
	c.unlink(f)
	if k != nil {
		k.frame.Store(nil)
	}
	if from != scanList {
		c.noteLeft(f.Ref().Off)
	}
}

// release says that f's extent is free in the next version: it goes first.
func (c *cache) release(f *Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.place != nowhere {
		f.flags |= flagFreed
		c.lists[f.place].remove(f)
		c.lists[scanList].pushFront(f, scanList)
	}
}

// abort undoes what the writer of generation gen did to the cache: its nodes
// leave, what it released stays, and what its branches adopted goes back.
func (c *cache) abort(gen uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.each(func(f *Frame) {
		f.flags &^= flagFreed
		if f.resident().Gen() == gen {
			c.evict(f)
		}
	})
	c.each(func(f *Frame) {
		if first := f.kids.Load(); first != nil {
			c.takeBack(f, kidsOf(first, f.resident().Count()))
		}
	})
}

// takeBack makes f the parent of those of its children that lost theirs.
func (c *cache) takeBack(f *Frame, kids []kid) {
	for i := range kids {
		k := kids[i].frame.Load()
		if k == nil || k.parent.kids.Load() != nil {
			continue
		}
		c.unlink(k)
		k.parent, k.slot = f, uint16(i)
		if k.place != nowhere && c.link(k) {
			k.show()
		}
	}
}

// each calls fn for every frame in the cache; fn may evict it.
func (c *cache) each(fn func(*Frame)) {
	for i := range c.lists {
		for f := c.lists[i].head; f != nil; {
			next := f.next
			fn(f)
			f = next
		}
	}
}

func (c *cache) noteLeft(off uint64) {
	i, key := c.ghostOf(off)
	c.left++
	c.ghosts[i] = ghost{key, c.left}
}

// leftLately reports whether what is at the offset off left not longer ago than
// the cache takes to turn over once.
func (c *cache) leftLately(off uint64) bool {
	i, key := c.ghostOf(off)
	g := c.ghosts[i]
	return g.key == key && g.left != 0 && c.left-g.left < uint32(c.frames)
}

func (c *cache) ghostOf(off uint64) (int, uint32) {
	h := off * 0x9E3779B97F4A7C15
	return int(h>>40) & (len(c.ghosts) - 1), uint32(h >> 8)
}

// frameList is a doubly linked list of frames.
type frameList struct {
	head, tail *Frame
	bytes      int64
}

func (l *frameList) push(f *Frame, where place) {
	f.place, f.prev, f.next = where, l.tail, nil
	if l.tail == nil {
		l.head = f
	} else {
		l.tail.next = f
	}
	l.tail = f
	l.bytes += int64(f.bytes)
}

func (l *frameList) pushFront(f *Frame, where place) {
	f.place, f.prev, f.next = where, nil, l.head
	if l.head == nil {
		l.tail = f
	} else {
		l.head.prev = f
	}
	l.head = f
	l.bytes += int64(f.bytes)
}

func (l *frameList) remove(f *Frame) {
	if f.prev == nil {
		l.head = f.next
	} else {
		f.prev.next = f.next
	}
	if f.next == nil {
		l.tail = f.prev
	} else {
		f.next.prev = f.prev
	}
	f.place, f.prev, f.next = nowhere, nil, nil
	l.bytes -= int64(f.bytes)
}
