package node

import "encoding/binary"

// RefSize is the size of an encoded Ref.
const RefSize = 24

// Unit is the allocation unit of btree.db in bytes: extents begin and end at
// multiples of it.
const Unit = 512

// Ref is where an extent is and what it must be: the parent vouches for the
// child. (WiredTiger's address cookies and ZFS's block pointers do the same.)
type Ref struct {
	Off      uint64 // offset in the file, a multiple of Unit; 0 for no extent
	Len      uint32 // stored length, header included
	Count    uint64 // entries below
	Sum      uint64 // checksum of the stored bytes from 8 on
	Overflow bool   // some value below lives in an overflow extent
}

// IsZero reports whether r refers to nothing.
func (r Ref) IsZero() bool { return r.Off == 0 }

// Size is the size of the extent: the stored length in whole units.
func (r Ref) Size() uint64 { return (uint64(r.Len) + Unit - 1) &^ (Unit - 1) }

const overflowBit = 1 << 31

// Put encodes r into b, which holds RefSize bytes.
func (r Ref) Put(b []byte) {
	_ = b[RefSize-1]
	u := r.Off / Unit
	binary.LittleEndian.PutUint32(b[0:], uint32(u))
	binary.LittleEndian.PutUint16(b[4:], uint16(u>>32))
	binary.LittleEndian.PutUint32(b[6:], uint32(r.Count))
	binary.LittleEndian.PutUint16(b[10:], uint16(r.Count>>32))
	n := r.Len
	if r.Overflow {
		n |= overflowBit
	}
	binary.LittleEndian.PutUint32(b[12:], n)
	binary.LittleEndian.PutUint64(b[16:], r.Sum)
}

// GetRef decodes a Ref from b, which holds RefSize bytes.
func GetRef(b []byte) Ref {
	_ = b[RefSize-1]
	n := binary.LittleEndian.Uint32(b[12:])
	return Ref{
		Off:      (uint64(binary.LittleEndian.Uint32(b[0:])) | uint64(binary.LittleEndian.Uint16(b[4:]))<<32) * Unit,
		Count:    uint64(binary.LittleEndian.Uint32(b[6:])) | uint64(binary.LittleEndian.Uint16(b[10:]))<<32,
		Len:      n &^ overflowBit,
		Sum:      binary.LittleEndian.Uint64(b[16:]),
		Overflow: n&overflowBit != 0,
	}
}
