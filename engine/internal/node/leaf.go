package node

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"unsafe"
)

// A leaf's body (docs/FORMAT.md, "Leaf body"):
//
//	fingerprints   one byte an entry, padded with zeros to a multiple of 8
//	slots          2 bytes an entry: the offset of its cell in the body
//	prefix         shared by all keys of the leaf; empty where there is one
//	cells          uvarint suffix length, uvarint value length·2+o, suffix,
//	               then the value (o=0) or the reference of its overflow
//	               extent (o=1); length 0 with o=1 is a tombstone, and nothing
//	               follows
//
// The fingerprints start 48 bytes into the node, so a lookup reads the header
// and the first 16 of them from one cache line, and the rest of them and the
// slots from the next two.

// Cell is one entry of a leaf, lent from the node.
type Cell struct {
	Suffix   []byte // the key without the leaf's prefix
	Value    []byte // with Overflow, the encoded Ref of the value's extent
	Len      int    // length of the value
	Overflow bool
	// Tombstone says that the key is deleted: there is no value. Only the
	// leaves of sorted runs have tombstones.
	Tombstone bool
}

// Ref is where the value of a cell with Overflow is.
func (c Cell) Ref() Ref { return GetRef(c.Value) }

// LeafBuilder lays out leaves, one after the other in the same memory. Begin,
// then Add every entry in order of key, then Finish. The zero value is ready.
type LeafBuilder struct {
	buf           []byte
	count, prefix int
	added         int
}

// Begin starts a leaf of count entries whose keys all begin with prefix. The
// memory for size bytes is taken at once; LeafSize tells how many it needs.
func (b *LeafBuilder) Begin(count int, prefix []byte, size int) {
	cells := leafSlots(count) + 2*count
	b.buf = begin(b.buf, cells, max(size, cells+len(prefix)))
	b.buf = append(b.buf, prefix...)
	b.count, b.prefix, b.added = count, len(prefix), 0
}

// begin returns buf with n zeros in it and room for size bytes in all.
func begin(buf []byte, n, size int) []byte {
	buf = slices.Grow(buf[:0], size)[:n]
	clear(buf)
	return buf
}

// Add appends an entry. fp is the low byte of its key's hash. With overflow,
// value is an encoded Ref and valueLen the length of the value it stands for;
// with neither value nor valueLen the entry is a tombstone.
func (b *LeafBuilder) Add(suffix []byte, fp uint8, value []byte, valueLen int, overflow bool) {
	buf := b.buf
	off := len(buf) - HeaderSize
	if b.added == b.count || off > 0xFFFF {
		panic("node: leaf does not hold its entries")
	}
	buf[HeaderSize+b.added] = fp
	binary.LittleEndian.PutUint16(buf[leafSlots(b.count)+2*b.added:], uint16(off))
	v := uint64(valueLen) << 1
	if overflow {
		v |= 1
	}
	buf = binary.AppendUvarint(buf, uint64(len(suffix)))
	buf = binary.AppendUvarint(buf, v)
	b.buf = append(append(buf, suffix...), value...)
	b.added++
}

// Finish returns the leaf: room for the header, then the body. Of h it fills
// what the layout decides. The leaf is valid until the next Begin.
func (b *LeafBuilder) Finish(h *Header) []byte {
	if b.added != b.count {
		panic("node: leaf lacks entries")
	}
	h.Kind, h.Level, h.Shift = Leaf, 0, 0
	h.Count, h.Prefix = uint16(b.count), uint16(b.prefix)
	return b.buf
}

// LeafSize is the length of a leaf, header included, of count entries whose
// keys share a prefix of that length and whose cells would take that many
// bytes (the sum of LeafCellSize) if they did not. It is exact but for suffix
// lengths whose uvarint is shorter than that of the whole key.
func LeafSize(count, prefix, cells int) int {
	return leafSlots(count) + 2*count + prefix + cells - count*prefix
}

// LeafCellSize is the length of the cell of an entry whose key is not
// shortened.
func LeafCellSize(key, value int, overflow bool) int {
	n := uvarintLen(key) + uvarintLen(value<<1) + key
	if overflow {
		return n + RefSize
	}
	return n + value
}

// Cell returns entry i.
func (n Node) Cell(i int) Cell {
	at, suffix, size, overflow := n.CellAt(i)
	end := at + suffix
	c := Cell{Suffix: n[at:end:end], Len: size, Overflow: overflow}
	switch {
	case overflow && size == 0:
		c.Overflow, c.Tombstone = false, true
	case overflow:
		size = RefSize
	}
	c.Value = n[end : end+size : end+size]
	return c
}

// CellAt returns what Cell does, as the offset in the node of the suffix,
// behind which the value stands, and the lengths of the two. A tombstone is an
// overflow value of length 0.
func (n Node) CellAt(i int) (at, suffix, size int, overflow bool) {
	at = HeaderSize + int(binary.LittleEndian.Uint16(n[leafSlots(n.Count())+2*i:]))
	suffix, size, at = cellLengths(n, at)
	return at, suffix, size >> 1, size&1 != 0
}

// cellLengths decodes the two numbers that open the cell at an offset of the
// node, and returns the offset behind them. Nearly every suffix is shorter
// than 128 bytes, and nearly every value than 8 KiB.
func cellLengths(n Node, at int) (suffix, value, end int) {
	if n[at] < 0x80 && n[at+1] < 0x80 {
		return int(n[at]), int(n[at+1]), at + 2
	}
	if n[at] < 0x80 && n[at+2] < 0x80 {
		return int(n[at]), int(n[at+1]&0x7F) | int(n[at+2])<<7, at + 3
	}
	s, b := uvarint(n[at:])
	v, b := uvarint(b)
	return int(s), int(v), len(n) - len(b)
}

// Fingerprint returns the low byte of the hash of entry i's key.
func (n Node) Fingerprint(i int) uint8 { return n[HeaderSize+i] }

// tombstone is the value number of a tombstone's cell: length 0, o=1.
const tombstone = 1

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// Find looks for key, whose hash ends in fp, and returns the Value, Len and
// Overflow of its cell; of a tombstone nil, 0 and true. It compares eight fingerprints at a time, and the key
// only where one matches. (It does not return the Cell, which the compiler
// would pass through memory: that took a third of the time.)
func (n Node) Find(key []byte, fp uint8) (value []byte, size int, overflow, found bool) {
	if len(n) > 2*line {
		touch(n[line], n[2*line]) // the other fingerprints, and slots
	}
	count, prefix := n.Count(), n.PrefixLen()
	slots := leafSlots(count)
	want := uint64(fp) * ones
	for g := 0; g < count; g += 8 {
		x := binary.LittleEndian.Uint64(n[HeaderSize+g:]) ^ want
		for m := (x - ones) &^ x & highs; m != 0; m &= m - 1 {
			i := g + bits.TrailingZeros64(m)>>3
			if i >= count { // padding
				break
			}
			at := HeaderSize + int(binary.LittleEndian.Uint16(n[slots+2*i:]))
			if at+2*line < len(n) {
				touch(n[at+line], n[at+2*line]) // the rest of the cell
			}
			suffix, value, at := cellLengths(n, at)
			if prefix+suffix != len(key) || string(n[at:at+suffix]) != string(key[prefix:]) {
				continue
			}
			if p := slots + 2*count; prefix > 0 && string(n[p:p+prefix]) != string(key[:prefix]) {
				continue
			}
			at += suffix
			if value == tombstone {
				return nil, 0, true, true
			}
			if value&1 != 0 {
				return n[at : at+RefSize : at+RefSize], value >> 1, true, true
			}
			size := value >> 1
			return n[at : at+size : at+size], size, false, true
		}
	}
	return nil, 0, false, false
}

// line is what the processor fetches from memory at once.
const line = 64

// touch does nothing. Its arguments are two bytes of lines that will be needed
// soon: the processor fetches them while it goes on, where it would wait for
// one after the other. (It takes a nanosecond, and half of the time of a get
// from a hundred megabytes is waiting for these lines.)
//
//go:noinline // the compiler would leave out the loads
func touch(_, _ byte) {}

// LowerBound returns the index of the first entry at or after key, which is
// the count where all are before it.
func (n Node) LowerBound(key []byte) int {
	count := n.Count()
	key, c := n.cutPrefix(key)
	if c < 0 {
		return 0
	}
	if c > 0 {
		return count
	}
	h := head(key)
	slots := n[leafSlots(count):]
	lo, hi := 0, count
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		at := HeaderSize + int(binary.LittleEndian.Uint16(slots[2*mid:]))
		if n.suffixLess(at, key, h) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// suffixLess reports whether the suffix of the cell at an offset of the node is
// before key, whose head is h. Most often the heads tell.
func (n Node) suffixLess(at int, key []byte, h uint32) bool {
	suffix, _, at := cellLengths(n, at)
	b := n[at : at+suffix]
	if len(b) >= 4 {
		if g := binary.BigEndian.Uint32(b); g != h {
			return g < h
		}
	}
	return bytes.Compare(b, key) < 0
}

// leafSlots is the offset of the slots in a leaf of count entries.
func leafSlots(count int) int { return HeaderSize + (count+7)&^7 }

// leafPrefix is the offset of the prefix in a leaf of count entries.
func leafPrefix(count int) int { return leafSlots(count) + 2*count }

func uvarintLen(n int) int { return (bits.Len64(uint64(n)|1) + 6) / 7 }

// uvarint decodes a uvarint and cuts it off. Check has found it sound.
func uvarint(b []byte) (uint64, []byte) {
	v, n := binary.Uvarint(b)
	return v, b[n:]
}

// Prefetched is how many bytes a Prefetch sees to, and PrefetchEvery about how
// many entries those are.
const (
	Prefetched    = 512
	PrefetchEvery = 4
)

// Prefetch tells the processor that what a node has at the offset off will be
// read soon. first is the node's first byte; the offset may be past its end.
// What is meant for the leaf behind the one that is walked, it does a little at
// a time: the processor takes only so many hints at once.
func Prefetch(first *byte, off int) { prefetch(uintptr(unsafe.Pointer(first)) + uintptr(off)) }
