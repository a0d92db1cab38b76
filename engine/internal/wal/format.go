package wal

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"strconv"
	"strings"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// LSN is a position in the log in bytes, counted over its whole life.
type LSN uint64

const (
	formatVersion = 1
	headerSize    = 128     // the segment header
	dataOffset    = 4096    // where the records of a segment begin
	recordSize    = 40      // a record without its payload
	alignment     = 8       // of records and of everything counted in LSNs
	maxLSN        = 1 << 62 // so that sums of positions and sizes stay in range
)

const magic = "LGTNGWAL"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var le = binary.LittleEndian

func align(n int64) int64 { return (n + alignment - 1) &^ (alignment - 1) }

// header is a segment header.
//
//	0   8  magic
//	8   4  format version
//	12  4  size of the header
//	16  16 UUID
//	32  8  segment number
//	40  8  start LSN
//	48  8  capacity
//	56  8  synced
//	64  8  first sequence number, or 0
//	72  52 zeros
//	124 4  CRC-32C of bytes 0 to 124
type header struct {
	uuid     [16]byte
	number   uint64
	start    LSN
	capacity int64
	synced   LSN
	firstSeq kv.Seq
}

func (h *header) put(b []byte) {
	clear(b[:headerSize])
	copy(b, magic)
	le.PutUint32(b[8:], formatVersion)
	le.PutUint32(b[12:], headerSize)
	copy(b[16:], h.uuid[:])
	le.PutUint64(b[32:], h.number)
	le.PutUint64(b[40:], uint64(h.start))
	le.PutUint64(b[48:], uint64(h.capacity))
	le.PutUint64(b[56:], uint64(h.synced))
	le.PutUint64(b[64:], uint64(h.firstSeq))
	le.PutUint32(b[124:], crc32.Checksum(b[:124], castagnoli))
}

// get decodes a header from b, which holds headerSize bytes, and returns what
// is wrong with it, or "".
func (h *header) get(b []byte) (wrong string) {
	switch {
	case string(b[:8]) != magic:
		return "no segment header"
	case crc32.Checksum(b[:124], castagnoli) != le.Uint32(b[124:]):
		return "checksum of the segment header does not match"
	case le.Uint32(b[8:]) != formatVersion:
		return "unknown format version " + strconv.FormatUint(uint64(le.Uint32(b[8:])), 10)
	case le.Uint32(b[12:]) != headerSize:
		return "unknown size of the segment header"
	}
	copy(h.uuid[:], b[16:])
	h.number = le.Uint64(b[32:])
	h.start = LSN(le.Uint64(b[40:]))
	h.capacity = int64(le.Uint64(b[48:]))
	h.synced = LSN(le.Uint64(b[56:]))
	h.firstSeq = kv.Seq(le.Uint64(b[64:]))
	switch {
	case h.start > maxLSN || h.start%alignment != 0:
		return "start LSN out of range"
	case h.capacity < 0 || h.capacity > maxLSN || h.capacity%alignment != 0:
		return "capacity out of range"
	}
	return ""
}

// seed is the state of a record's checksum after the UUID and the number, so
// that a record of another database or of an earlier use never holds.
func (h *header) seed() uint32 {
	var b [24]byte
	copy(b[:], h.uuid[:])
	le.PutUint64(b[16:], h.number)
	return crc32.Checksum(b[:], castagnoli)
}

// recordHeader is what stands before a record's payload.
//
//	0  4 CRC-32C of the UUID, the segment number, and the record from 4 to its
//	     end, zeros after the payload included
//	4  4 length of the payload
//	8  8 LSN
//	16 8 sequence number of the first operation
//	24 8 synced
//	32 4 number of operations; 0 marks the end of the segment
//	36 4 low 32 bits of the segment number
type recordHeader struct {
	length uint32
	lsn    LSN
	seq    kv.Seq
	synced LSN
	count  uint32
	number uint32
}

func (r *recordHeader) put(b []byte) {
	_ = b[recordSize-1]
	le.PutUint32(b[4:], r.length)
	le.PutUint64(b[8:], uint64(r.lsn))
	le.PutUint64(b[16:], uint64(r.seq))
	le.PutUint64(b[24:], uint64(r.synced))
	le.PutUint32(b[32:], r.count)
	le.PutUint32(b[36:], r.number)
}

func (r *recordHeader) get(b []byte) {
	_ = b[recordSize-1]
	r.length = le.Uint32(b[4:])
	r.lsn = LSN(le.Uint64(b[8:]))
	r.seq = kv.Seq(le.Uint64(b[16:]))
	r.synced = LSN(le.Uint64(b[24:]))
	r.count = le.Uint32(b[32:])
	r.number = le.Uint32(b[36:])
}

// size is the record's size with its payload and the zeros behind it.
func (r *recordHeader) size() int64 { return align(recordSize + int64(r.length)) }

// belongs reports whether r was written at lsn by this use of segment h and
// ends within the rest bytes that the segment has from there. Only the
// checksum then says whether the record is whole.
func (r *recordHeader) belongs(h *header, lsn LSN, rest int64) bool {
	return r.lsn == lsn && r.number == uint32(h.number) && r.size() <= rest && (r.count != 0 || r.length == 0)
}

// seal writes its checksum into the record that begins with head, which holds
// its header, and goes on with the other parts.
func seal(head []byte, seed uint32, parts ...[]byte) {
	sum := crc32.Update(seed, castagnoli, head[4:])
	for _, p := range parts {
		sum = crc32.Update(sum, castagnoli, p)
	}
	le.PutUint32(head, sum)
}

// sealed reports whether the checksum of the whole record b holds.
func sealed(b []byte, seed uint32) bool {
	return le.Uint32(b) == crc32.Update(seed, castagnoli, b[4:])
}

// followedBy returns the sequence number after count operations from seq, and
// whether there is one.
func followedBy(seq kv.Seq, count uint32) (kv.Seq, bool) {
	if seq == 0 || seq > kv.MaxSeq-math.MaxUint32 {
		return 0, false
	}
	return seq + kv.Seq(count), true
}

const (
	segmentSuffix = ".log"
	tempSuffix    = ".tmp"
	sparePrefix   = "spare-"
)

// segmentName is the name of segment number in the log's directory.
func segmentName(number uint64) string {
	s := strconv.FormatUint(number, 16)
	return strings.Repeat("0", 16-len(s)) + s + segmentSuffix
}

// parseSegmentName returns the number in a segment's name.
func parseSegmentName(name string) (uint64, bool) {
	s, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 16, 64)
	return n, err == nil && n != 0 && segmentName(n) == name
}
