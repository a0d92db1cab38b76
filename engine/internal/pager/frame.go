package pager

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
)

// Frame is the place of one node in memory. Its reference never changes; the
// node's bytes come when it is read and go when the cache needs their room.
// A frame of a branch points at the frames of its children, and at their nodes
// themselves, so that a warm descent looks nothing up and does not even touch
// the frame of the leaf, which would cost it a cache miss.
//
// Frames of old versions and new ones are the same where the node is the same.
// A frame that nothing points at any more is left to the garbage collector;
// its bytes leave the cache in their turn.
//
// The cache holds the value of an overflow extent in a frame too, as the extent
// with its body in plain. Nothing points at such a frame: see cache.values.
type Frame struct {
	// What a reader touches stands first, within one cache line: a frame is
	// 96 bytes, and the allocator aligns those to 32.

	data    atomic.Pointer[byte] // first byte of the node; nil when not resident
	kids    atomic.Pointer[kid]  // first of a resident branch's children
	touched atomic.Uint32        // 1 when read through the frame since the clock's hand last passed

	keyspace kv.Keyspace
	level    int8 // -1: unknown

	// Guarded by cache.mu.
	place place // which list the frame is in
	lives uint8 // how often the hand passes before it takes the frame
	flags uint8

	ref [node.RefSize]byte

	// loading is held while the node is read, so that one goroutine reads and
	// the others wait for it. It comes before cache.mu.
	loading sync.Mutex

	// Guarded by cache.mu, but parent and slot are set before a frame is
	// first shared.
	parent     *Frame // of the newest branch that holds the frame
	prev, next *Frame // in its list
	bytes      uint32 // what it counts for in the cache
	kidsHere   uint16 // resident frames whose parent this is
	slot       uint16 // index among parent's children
}

const (
	flagLinked uint8 = 1 << iota // counted in parent.kidsHere
	flagFreed                    // its extent is free in the version being written or the newest
	flagValue                    // it is in cache.values
)

const frameBytes = int(unsafe.Sizeof(Frame{}))

func newFrame(ref node.Ref, ks kv.Keyspace, level int) *Frame {
	f := &Frame{keyspace: ks, level: int8(level)}
	ref.Put(f.ref[:])
	return f
}

// Ref is the reference of the frame's node.
func (f *Frame) Ref() node.Ref { return node.GetRef(f.ref[:]) }

// Level is the level of the frame's node, -1 when that is not known.
func (f *Frame) Level() int { return int(f.level) }

// Resident reports whether the node is in memory at the moment.
func (f *Frame) Resident() bool { return f.data.Load() != nil }

// resident returns the node if it is in memory, else nil.
func (f *Frame) resident() node.Node {
	if b := f.data.Load(); b != nil {
		return nodeAt(b)
	}
	return nil
}

// nodeAt is the node that begins at b. Its header tells the length truly: Check
// or the Writer has seen to that before anybody could find b.
func nodeAt(b *byte) node.Node {
	head := (*[node.HeaderSize]byte)(unsafe.Pointer(b))
	return unsafe.Slice(b, node.SizeOf(head))
}

// kid is a child of a branch in memory.
type kid struct {
	// data is the first byte of the child's node while the child is resident
	// and linked to this branch, else nil: a copy of frame's.
	data    atomic.Pointer[byte]
	frame   atomic.Pointer[Frame]
	touched atomic.Uint32 // 1 when read from here since the clock's hand last passed
}

const kidBytes = int(unsafe.Sizeof(kid{}))

// kidAt is element i of the array of children that begins at first.
func kidAt(first *kid, i int) *kid {
	return (*kid)(unsafe.Add(unsafe.Pointer(first), i*kidBytes))
}

// kidsOf is the array of children that begins at first. It belongs to a branch
// of n children.
func kidsOf(first *kid, n int) []kid { return unsafe.Slice(first, n) }

// Peek returns the frame of child i of the branch n, which f holds, if there
// is one already, else nil.
func (f *Frame) Peek(n node.Node, i int) *Frame {
	if first := f.kids.Load(); first != nil {
		return kidsOf(first, n.Count())[i].frame.Load()
	}
	return nil
}

// Ahead returns the first byte of child i of the branch n, which f holds, if the
// child is in memory and there is one, else nil. It is for a prefetch only.
func (f *Frame) Ahead(n node.Node, i int) *byte {
	first := f.kids.Load()
	if first == nil || uint(i) >= uint(n.Count()) {
		return nil
	}
	return kidAt(first, i).data.Load()
}

// Child returns the frame of child i of the branch n, which f holds.
func (p *Pager) Child(f *Frame, n node.Node, i int) *Frame {
	first := f.kids.Load()
	if first == nil { // f has left the cache since n was fetched
		return f.newChild(n, i)
	}
	slot := &kidsOf(first, n.Count())[i].frame
	if c := slot.Load(); c != nil {
		return c
	}
	c := f.newChild(n, i)
	if !slot.CompareAndSwap(nil, c) {
		if other := slot.Load(); other != nil {
			return other
		}
	}
	return c
}

func (f *Frame) newChild(n node.Node, i int) *Frame {
	c := newFrame(n.Ref(i), f.keyspace, n.Level()-1)
	c.parent, c.slot = f, uint16(i)
	return c
}
