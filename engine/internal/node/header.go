package node

import (
	"encoding/binary"
	"errors"

	"github.com/cespare/xxhash/v2"
	"github.com/lightning-db/lightning/engine/internal/kv"
)

// Node is one whole extent in memory: its header as it is stored, then the
// body in plain, whatever codec the header names. It is immutable once it has
// been written or read.
type Node []byte

// HeaderSize is the size of an extent's header; the body follows it.
const HeaderSize = 48

// MaxSize bounds a leaf or branch in memory, header included. The largest
// legal one, a branch of three children with keys of 64 KiB, stays far below.
const MaxSize = 1 << 20

// Kinds of extent. The values are part of the file format.
const (
	Leaf     uint8 = 1
	Branch   uint8 = 2
	Overflow uint8 = 3
	FreeList uint8 = 4
)

const headerMagic = "LnEx"

var errMagic = errors.New("no extent starts here")

// Header is the decoded header of an extent.
type Header struct {
	Sum      uint64 // checksum of the stored bytes from 8 on
	Kind     uint8
	Codec    uint8 // of the body as stored
	Level    uint8 // 0 for a leaf, its height for a branch
	Shift    uint8 // cell offsets are stored shifted right by it
	DB       uint64
	Keyspace kv.Keyspace
	Len      uint32 // stored length, header included
	Gen      uint64 // generation of the checkpoint that wrote it
	PlainLen uint32 // of the body, before compression
	Count    uint16 // entries of a leaf, children of a branch
	Prefix   uint16 // length of the shared prefix
}

// Put encodes h into b, which holds HeaderSize bytes.
//
//	 0  8  checksum          24  4  keyspace
//	 8  4  magic             28  4  stored length
//	12  1  kind              32  8  generation
//	13  1  codec             40  4  plain length
//	14  1  level             44  2  count
//	15  1  shift             46  2  prefix length
//	16  8  database id
func (h *Header) Put(b []byte) {
	_ = b[HeaderSize-1]
	binary.LittleEndian.PutUint64(b[0:], h.Sum)
	copy(b[8:12], headerMagic)
	b[12] = h.Kind
	b[13] = h.Codec
	b[14] = h.Level
	b[15] = h.Shift
	binary.LittleEndian.PutUint64(b[16:], h.DB)
	binary.LittleEndian.PutUint32(b[24:], uint32(h.Keyspace))
	binary.LittleEndian.PutUint32(b[28:], h.Len)
	binary.LittleEndian.PutUint64(b[32:], h.Gen)
	binary.LittleEndian.PutUint32(b[40:], h.PlainLen)
	binary.LittleEndian.PutUint16(b[44:], h.Count)
	binary.LittleEndian.PutUint16(b[46:], h.Prefix)
}

// GetHeader decodes the header at the start of b. It fails when b is shorter
// than a header or does not carry the magic; the fields are not judged.
func GetHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize || string(b[8:12]) != headerMagic {
		return Header{}, errMagic
	}
	return Header{
		Sum:      binary.LittleEndian.Uint64(b[0:]),
		Kind:     b[12],
		Codec:    b[13],
		Level:    b[14],
		Shift:    b[15],
		DB:       binary.LittleEndian.Uint64(b[16:]),
		Keyspace: kv.Keyspace(binary.LittleEndian.Uint32(b[24:])),
		Len:      binary.LittleEndian.Uint32(b[28:]),
		Gen:      binary.LittleEndian.Uint64(b[32:]),
		PlainLen: binary.LittleEndian.Uint32(b[40:]),
		Count:    binary.LittleEndian.Uint16(b[44:]),
		Prefix:   binary.LittleEndian.Uint16(b[46:]),
	}, nil
}

// Sum is the checksum of an extent's stored bytes, which hold at least a
// header: of everything but the checksum's own place.
func Sum(stored []byte) uint64 { return xxhash.Sum64(stored[8:]) }
