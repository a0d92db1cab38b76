package memtable

import (
	"bytes"
	"sync/atomic"
	"unsafe"
)

const fanout = 63

// A branch leads to up to 63 children: separator i is greater than every key
// below child i and at most any key below child i+1.
//
//  1. Separators never change. A split below copies the branch, unless it only
//     adds a child behind all others, which is published by the count.
//  2. A child may be replaced by its copy, which covers the same keys; a leaf only
//     where a child was added behind it before: what all keys in the copy share, one
//     that belongs below that child need not.
//  3. All separators share prefix; a head is the eight bytes after it.
//
// Whether the children are branches or leaves is known from the height at
// which one stands. The fields fill the size class of 1536 bytes.
type branch struct {
	children [fanout]unsafe.Pointer // *branch or *leaf, loaded atomically
	prefix   []byte
	n        atomic.Int64 // children
	heads    [fanout - 1]uint64
	seps     [fanout - 1]ref // entries whose keys are the separators
}

const branchBytes = 1536

func (b *branch) count() int { return int(b.n.Load()) }

func (b *branch) child(i int) unsafe.Pointer { return atomic.LoadPointer(&b.children[i]) }

func (b *branch) setChild(i int, node unsafe.Pointer) { atomic.StorePointer(&b.children[i], node) }

// search returns the child that key belongs below.
func (b *branch) search(a *arena, key []byte) int {
	n := b.count() - 1
	skip := len(b.prefix)
	if skip > 0 {
		switch bytes.Compare(key[:min(skip, len(key))], b.prefix) {
		case -1:
			return 0
		case 1:
			return n
		}
	}
	head := headOf(key, skip)
	lo := lowerBound(b.heads[:n], head)
	if lo == n || b.heads[lo] != head {
		return lo
	}
	hi := n
	if head+1 != 0 {
		hi = lo + lowerBound(b.heads[lo:n], head+1)
	}
	for lo < hi { // the heads do not tell
		mid := int(uint(lo+hi) >> 1)
		if compareFrom(a.at(b.seps[mid]).key(), key, skip) <= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// lowerBound returns how many of the sorted heads are less than head. The
// loop compiles to conditional moves.
func lowerBound(heads []uint64, head uint64) int {
	lo, n := 0, len(heads)
	for n > 1 {
		half := n / 2
		if heads[lo+half-1] < head {
			lo += half
		}
		n -= half
	}
	if n == 1 && heads[lo] < head {
		lo++
	}
	return lo
}

// extend adds a child behind all others, which sep parts from them, if there is
// room and sep has the prefix. Nothing in child is published yet.
func (b *branch) extend(a *arena, child unsafe.Pointer, sep ref) bool {
	n := b.count()
	key := a.at(sep).key()
	if n == fanout || !bytes.HasPrefix(key, b.prefix) {
		return false
	}
	b.heads[n-1], b.seps[n-1] = headOf(key, len(b.prefix)), sep
	b.setChild(n, child)
	b.n.Store(int64(n + 1))
	return true
}

// A family is what branches are built from: children and the separators
// between them. There is room for one more than a branch holds, so that a
// split is laid out before it is cut.
type family struct {
	children [fanout + 1]unsafe.Pointer
	seps     [fanout]ref
	heads    [fanout]uint64 // after skip bytes, right if all separators share that many
	skip     int
	n        int // children
}

// withSplit fills f with the children of b, but left and right, which sep
// separates, in the place of child i.
func (f *family) withSplit(a *arena, b *branch, i int, left, right unsafe.Pointer, sep ref) {
	n := b.count()
	f.n, f.skip = n+1, len(b.prefix)
	copy(f.children[:], b.children[:i])
	f.children[i], f.children[i+1] = left, right
	copy(f.children[i+2:], b.children[i+1:n])

	key := a.at(sep).key()
	copy(f.seps[:], b.seps[:i])
	copy(f.heads[:], b.heads[:i])
	f.seps[i], f.heads[i] = sep, headOf(key, min(f.skip, len(key)))
	copy(f.seps[i+1:], b.seps[i:n-1])
	copy(f.heads[i+1:], b.heads[i:n-1])
}

// branch builds a branch of the children from start to end.
func (f *family) branch(a *arena, start, end int) *branch {
	b := new(branch)
	b.n.Store(int64(end - start))
	copy(b.children[:], f.children[start:end])
	seps := f.seps[start : end-1]
	if len(seps) == 0 {
		return b
	}
	copy(b.seps[:], seps)
	first := a.at(seps[0]).key()
	b.prefix = first[:commonPrefix(first, a.at(seps[len(seps)-1]).key())]
	if len(b.prefix) == f.skip {
		copy(b.heads[:], f.heads[start:end-1])
		return b
	}
	for i, sep := range seps {
		b.heads[i] = headOf(a.at(sep).key(), len(b.prefix))
	}
	return b
}
