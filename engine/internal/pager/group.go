package pager

import (
	"sync"

	"github.com/lightning-db/lightning/engine/internal/node"
)

// A leaf that is read from the disk brings those beside it that lie together
// with it in the file, where there is room for them without anything having to
// leave. One read of sixteen leaves costs little more than one of a single one,
// and a database that the cache has room for is soon in memory whole. More than
// that: leaves that come together lie in memory in their order, as far as the
// allocator goes, and a processor that is shown a walk through memory runs ahead
// of it: a scan then takes six sevenths of the time, and backwards three quarters.
const (
	groupLeaves = 16
	groupBytes  = 64 << 10
)

var groupPool = sync.Pool{New: func() any { return new([groupBytes]byte) }}

// A branch is one whose leaf is asked for: its frame, its node, and which of its
// children that leaf is. The zero value says that it has none or does not matter.
type branch struct {
	frame *Frame
	node  node.Node
	i     int
}

// group returns the children of b from the first to before the last that come
// with the one that is asked for: itself alone where that is all.
func (p *Pager) group(b branch) (first, last int) {
	first, last = b.i, b.i+1
	if b.frame == nil || b.node.Level() != 1 || !p.cache.mayGroup(b.frame) {
		return first, last
	}
	begin := b.i &^ (groupLeaves - 1)
	end := min(begin+groupLeaves, b.node.Count())
	ref := b.node.Ref(b.i)
	low, high := ref.Off, ref.Off+ref.Size()
	for first > begin {
		ref = b.node.Ref(first - 1)
		if ref.Off+ref.Size() != low || high-ref.Off > groupBytes {
			break
		}
		first, low = first-1, ref.Off
	}
	for last < end {
		ref = b.node.Ref(last)
		if ref.Off != high || high+ref.Size()-low > groupBytes {
			break
		}
		last, high = last+1, high+ref.Size()
	}
	return first, last
}

// mayGroup reports whether leaves below the branch of f may come before anyone
// has asked for them: while there is room but for a quarter of the cache, which
// is kept for what is asked for. A leaf of the branch is here already then, so
// that this is not the only place where somebody looks.
func (c *cache) mayGroup(f *Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return f.kidsHere > 0 && f.kids.Load() != nil && c.used+groupBytes <= (c.limit-c.reserved)/4*3
}

// loadGroup reads the children of b from first to before last, where asked is
// the frame of the one that is wanted and is being loaded. It returns that one,
// or nil: then it has to be read by itself, which tells what is wrong. What is
// wrong with the others, who asks for them will be told.
func (p *Pager) loadGroup(b branch, first, last int, asked *Frame, scan bool) (found node.Node) {
	low, end := b.node.Ref(first), b.node.Ref(last-1)
	if p.checkPlace(end, node.MaxSize) != nil {
		return nil
	}
	buf := groupPool.Get().(*[groupBytes]byte)
	defer groupPool.Put(buf)
	stored := buf[:end.Off+uint64(end.Len)-low.Off]
	if p.readAt(low, stored, low.Off) != nil {
		return nil
	}
	for i := first; i < last; i++ {
		ref, f := b.node.Ref(i), asked
		if i != b.i {
			f = p.Child(b.frame, b.node, i)
			if !f.loading.TryLock() {
				continue // somebody else reads it
			}
		}
		n := f.resident()
		if n == nil {
			if n = p.sound(ref, f, stored[ref.Off-low.Off:][:ref.Len]); n != nil {
				p.cache.admit(f, n, scan || i != b.i)
			}
		}
		if i == b.i {
			found = n
		} else {
			f.loading.Unlock()
		}
	}
	return found
}

// sound is a copy of the stored node of f in plain, or nil where it is not what
// ref means. What stands there instead nobody has asked for: to find out may take
// a read of as many bytes as its header tells of.
func (p *Pager) sound(ref node.Ref, f *Frame, stored []byte) node.Node {
	sum := node.Sum(stored)
	if sum != ref.Sum {
		return nil
	}
	h, err := p.judgeNode(ref, f.keyspace, int(f.level), stored, sum)
	if err != nil {
		return nil
	}
	n, err := p.soundNode(ref, stored, &h)
	if err != nil {
		return nil
	}
	return n
}
