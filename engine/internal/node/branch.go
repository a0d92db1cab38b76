package node

import (
	"bytes"
	"encoding/binary"
)

// A branch's body (docs/FORMAT.md, "Branch body"):
//
//	references   24 bytes a child
//	heads        4 bytes a child: the first bytes of its separator's suffix,
//	             padded with zeros
//	slots        2 bytes a child: the offset of its separator's cell in the
//	             body, shifted right by the header's shift
//	prefix       shared by all separators but the first
//	cells        uvarint suffix length, suffix
//
// Child i holds the keys from separator i (inclusive) to separator i+1
// (exclusive). The first separator is empty and stands for the branch's own
// lower bound: its head and slot are 0 and it has no cell.

// branchChild is what a child takes in a branch besides its cell.
const branchChild = RefSize + 4 + 2

// BranchBuilder lays out branches, one after the other in the same memory.
// Begin, then Add every child in order, then Finish. The zero value is ready.
type BranchBuilder struct {
	buf           []byte
	count, prefix int
	shift         uint8
	added         int
}

// Begin starts a branch of count children, all of whose separators but the
// first begin with prefix. size is at least what BranchSize says.
func (b *BranchBuilder) Begin(count int, prefix []byte, size int) {
	b.shift = 0
	for size>>b.shift > 0xFFFF {
		size += count << b.shift // cells are padded to the next multiple
		b.shift++
	}
	cells := branchPrefix(count)
	b.buf = begin(b.buf, cells, max(size, cells+len(prefix)))
	b.buf = append(b.buf, prefix...)
	b.count, b.prefix, b.added = count, len(prefix), 0
}

// Add appends a child whose separator is the prefix and suffix, and whose
// encoded reference is ref. Of the first child the separator is not kept.
func (b *BranchBuilder) Add(suffix, ref []byte) {
	if b.added == b.count {
		panic("node: branch does not hold its children")
	}
	i := b.added
	b.added++
	copy(b.buf[HeaderSize+RefSize*i:][:RefSize], ref)
	if i == 0 {
		return
	}
	unit := 1 << b.shift
	for (len(b.buf)-HeaderSize)&(unit-1) != 0 {
		b.buf = append(b.buf, 0)
	}
	off := (len(b.buf) - HeaderSize) >> b.shift
	if off > 0xFFFF {
		panic("node: branch does not hold its separators")
	}
	copy(b.buf[branchHeads(b.count)+4*i:][:4], suffix)
	binary.LittleEndian.PutUint16(b.buf[branchSlots(b.count)+2*i:], uint16(off))
	b.buf = binary.AppendUvarint(b.buf, uint64(len(suffix)))
	b.buf = append(b.buf, suffix...)
}

// Finish returns the branch: room for the header, then the body. Of h it
// fills what the layout decides; the level is the caller's. The branch is valid
// until the next Begin.
func (b *BranchBuilder) Finish(h *Header) []byte {
	if b.added != b.count {
		panic("node: branch lacks children")
	}
	h.Kind, h.Shift = Branch, b.shift
	h.Count, h.Prefix = uint16(b.count), uint16(b.prefix)
	return b.buf
}

// BranchSize is the length of a branch, header included, of count children
// whose separators but the first share a prefix of that length and have cells
// that would take that many bytes (the sum of BranchCellSize) if they did not.
func BranchSize(count, prefix, cells int) int {
	return branchPrefix(count) + prefix + cells - (count-1)*prefix
}

// BranchCellSize is the length of the cell of a separator that is not
// shortened.
func BranchCellSize(separator int) int { return uvarintLen(separator) + separator }

// Ref returns the reference of child i.
func (n Node) Ref(i int) Ref { return GetRef(n.RefBytes(i)) }

// RefBytes returns the encoded reference of child i, lent from the node.
func (n Node) RefBytes(i int) []byte {
	off := HeaderSize + RefSize*i
	return n[off : off+RefSize : off+RefSize]
}

// Suffix returns separator i without the prefix, lent from the node. That of
// child 0 is empty.
func (n Node) Suffix(i int) []byte {
	if i == 0 {
		return nil
	}
	off := int(binary.LittleEndian.Uint16(n[branchSlots(n.Count())+2*i:])) << (n.Shift() & 15)
	b := n[HeaderSize+off:]
	if b[0] < 0x80 {
		return b[1 : 1+int(b[0])]
	}
	size, b := uvarint(b)
	return b[:size:size]
}

// AppendSeparator appends separator i to dst. That of child 0 is the branch's
// own lower bound, which the branch does not know: nothing is appended.
func (n Node) AppendSeparator(dst []byte, i int) []byte {
	if i == 0 {
		return dst
	}
	return append(append(dst, n.Prefix()...), n.Suffix(i)...)
}

// Search returns the index of the child whose range holds key, which is
// assumed to be at or after the branch's lower bound.
func (n Node) Search(key []byte) int {
	count := n.Count()
	if n.PrefixLen() > 0 {
		var c int
		if key, c = n.cutPrefix(key); c < 0 {
			return 0
		} else if c > 0 {
			return count - 1
		}
	}

	// The last separator whose head is at most key's, without a branch in
	// the loop: on random keys, half of the branches would be mispredicted
	// (25 ns for 120 children, instead of 42; on one hot key 19, not 11).
	h := head(key)
	at := branchHeads(count)
	heads := n[at : at+4*count]
	i, size := 0, count
	for size > 1 {
		half := size >> 1
		size -= half
		behind := int64(load32(heads, i+half)) - int64(h) - 1 // negative unless it is
		i += half & int(behind>>63)
	}
	if i == 0 || load32(heads, i) != h {
		return i
	}

	// Heads alike: compare the suffixes of those that have it.
	lo, hi := i, i+1
	for step := 1; lo > 1 && load32(heads, lo-1) == h; step *= 2 {
		lo = max(1, lo-step)
	}
	for lo < hi { // the first separator behind key
		mid := int(uint(lo+hi) >> 1)
		if bytes.Compare(n.Suffix(mid), key) <= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo - 1
}

func load32(heads []byte, i int) uint32 {
	return binary.BigEndian.Uint32(heads[4*i : 4*i+4])
}

// head is the first four bytes of suffix as a number.
func head(suffix []byte) uint32 {
	if len(suffix) >= 4 {
		return binary.BigEndian.Uint32(suffix)
	}
	var h uint32
	for i, c := range suffix {
		h |= uint32(c) << (24 - 8*i)
	}
	return h
}

// The offsets of the parts of a branch of count children.
func branchHeads(count int) int  { return HeaderSize + RefSize*count }
func branchSlots(count int) int  { return HeaderSize + (RefSize+4)*count }
func branchPrefix(count int) int { return HeaderSize + branchChild*count }
