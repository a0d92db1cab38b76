package engine

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/kv"
)

// The backup stream: a header and blocks, each with a checksum over itself and
// the checksum before it, so that a block that is changed, missing, repeated
// or out of place is found at once, and a stream that was cut lacks its
// trailer. It names no files. Its layout is in docs/FORMAT.md.

const (
	streamMagic      = "LGTNGBAK"
	incrementMagic   = "LGTNGINC" // of an incremental one
	streamVersion    = 1
	streamHeaderSize = 64
	blockHeaderSize  = 16

	blockKeyspace = 1
	blockEntries  = 2
	blockEnd      = 3
	blockFollows  = 4
	blockCommits  = 5

	// blockTarget is how many bytes of entries are gathered before a block is
	// written. A block is larger when a single entry is.
	blockTarget = 256 << 10
	// maxBlockSize bounds the plain size of a block.
	maxBlockSize = MaxValueSize + MaxKeySize + blockTarget + 64
	// maxPacked is the largest block that is stored compressed.
	maxPacked = 4 << 20
	// stepBytes is how much of a block is written between looks at the context: a
	// block may be large, and whoever compresses the stream slow.
	stepBytes = 1 << 20
)

// streamHeader opens a stream.
//
//	0   8  magic
//	8   4  version
//	12  4  size of the header
//	16 16  UUID of the database that was backed up
//	32  8  sequence number of the newest operation in it
//	40  8  Unix time in seconds
//	48  8  link: digest of the newest commit in it; 0: not known
//	56  8  checksum of what is before
type streamHeader struct {
	incremental bool // told by the magic
	uuid        [16]byte
	seq         uint64
	time        int64
	link        uint64
}

func (h *streamHeader) encode() []byte {
	b := make([]byte, streamHeaderSize)
	copy(b, streamMagic)
	if h.incremental {
		copy(b, incrementMagic)
	}
	binary.LittleEndian.PutUint32(b[8:], streamVersion)
	binary.LittleEndian.PutUint32(b[12:], streamHeaderSize)
	copy(b[16:], h.uuid[:])
	binary.LittleEndian.PutUint64(b[32:], h.seq)
	binary.LittleEndian.PutUint64(b[40:], uint64(h.time))
	binary.LittleEndian.PutUint64(b[48:], h.link)
	binary.LittleEndian.PutUint64(b[56:], xxhash.Sum64(b[:56]))
	return b
}

func (h *streamHeader) decode(b []byte) error {
	h.incremental = string(b[:8]) == incrementMagic
	if !h.incremental && string(b[:8]) != streamMagic {
		return errNoStream
	}
	if binary.LittleEndian.Uint64(b[56:]) != xxhash.Sum64(b[:56]) {
		return streamDamage(0, "the header's checksum does not match")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != streamVersion || binary.LittleEndian.Uint32(b[12:]) != streamHeaderSize {
		return errorf("backup stream of version %d: %w", v, ErrVersion)
	}
	copy(h.uuid[:], b[16:32])
	h.seq = binary.LittleEndian.Uint64(b[32:])
	if kv.Seq(h.seq) >= maxDiskSeq {
		return streamDamage(32, "the sequence number is out of range")
	}
	h.time = int64(binary.LittleEndian.Uint64(b[40:]))
	h.link = binary.LittleEndian.Uint64(b[48:])
	return nil
}

// errNoStream says that something else than a backup was given.
var errNoStream = errorf("the input is not a backup stream: %w", ErrFormat)

// What is wrong with the end of a stream of either kind.
const (
	errStreamEnd  = "the stream's end does not agree with what came before"
	errStreamTail = "more bytes follow the stream's end"
)

//go:noinline // called in many places, none of them hot
func streamDamage(offset int64, reason string) error {
	return &CorruptError{Path: "backup", Offset: offset, Kind: "structure", Reason: reason}
}

// blockHeader precedes a block's bytes; the chained checksum, 8 bytes, follows
// them.
//
//	0  1  type: 1 keyspace, 2 entries, 3 end, 4 follows, 5 commits
//	1  1  codec of the bytes
//	2  6  zeros
//	8  4  stored size
//	12 4  plain size
type blockHeader struct {
	kind, codec   byte
	stored, plain uint32
}

func (h *blockHeader) encode(b []byte) {
	clear(b[:blockHeaderSize])
	b[0], b[1] = h.kind, h.codec
	binary.LittleEndian.PutUint32(b[8:], h.stored)
	binary.LittleEndian.PutUint32(b[12:], h.plain)
}

func (h *blockHeader) decode(b []byte) error {
	h.kind, h.codec = b[0], b[1]
	h.stored, h.plain = binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])
	switch {
	case h.kind < blockKeyspace || h.kind > blockCommits, h.codec > byte(compress.Zstd), !bytes.Equal(b[2:8], make([]byte, 6)):
		return errorf("no block starts here")
	case h.plain > maxBlockSize, h.codec == byte(compress.None) && h.stored != h.plain, h.codec != byte(compress.None) && (h.plain > maxPacked || h.stored >= h.plain):
		return errorf("a block of an impossible size")
	}
	return nil
}

// streamWriter writes a stream.
type streamWriter struct {
	w       *bufio.Writer
	step    func() error // called before each stepBytes of a block; an error of it is an end
	sum     uint64
	written int64
	commits uint64 // bytes of commits
	block   []byte // entries or commits that wait to be written
	packed  []byte
}

//go:noinline // called in many places, none of them hot
func newStreamWriter(w io.Writer, h streamHeader) (*streamWriter, error) {
	// A buffer of its own, also where w is one: what fails at once writes nothing.
	s := &streamWriter{w: bufio.NewWriterSize(struct{ io.Writer }{w}, 1<<16)}
	head := h.encode()
	s.sum = binary.LittleEndian.Uint64(head[56:])
	return s, s.write(head)
}

func (s *streamWriter) write(b []byte) error {
	n, err := s.w.Write(b)
	s.written += int64(n)
	return err
}

// entry adds an entry to the current block.
func (s *streamWriter) entry(key, value []byte) error {
	s.block = binary.AppendUvarint(s.block, uint64(len(key)))
	s.block = append(s.block, key...)
	s.block = binary.AppendUvarint(s.block, uint64(len(value)))
	s.block = append(s.block, value...)
	if len(s.block) < blockTarget {
		return nil
	}
	return s.endEntries()
}

func (s *streamWriter) endEntries() error {
	if len(s.block) == 0 {
		return nil
	}
	err := s.put(blockEntries, s.block)
	s.block = s.block[:0]
	if cap(s.block) > 4*blockTarget {
		s.block = nil
	}
	return err
}

// commit adds a commit: how many operations it has, the length of their bytes,
// both uvarints, and these. It may lie in several blocks.
func (s *streamWriter) commit(count uint32, payload []byte) error {
	head := binary.AppendUvarint(nil, uint64(count))
	head = binary.AppendUvarint(head, uint64(len(payload)))
	s.commits += uint64(len(head) + len(payload))
	s.block = append(s.block, head...)
	size := blockTarget
	if len(payload) > maxPacked {
		size = maxPacked + 1 // put packs no such block: who reads it holds all of the commit
	}
	for len(payload) > 0 {
		n := min(len(payload), max(size-len(s.block), 0))
		s.block = append(s.block, payload[:n]...)
		payload = payload[n:]
		if len(s.block) >= size {
			if err := s.put(blockCommits, s.block); err != nil {
				return err
			}
			s.block = s.block[:0]
		}
	}
	return nil
}

// finish writes what waits, and the end with its two numbers.
func (s *streamWriter) finish(a, b uint64) error {
	if len(s.block) > 0 {
		if err := s.put(blockCommits, s.block); err != nil {
			return err
		}
	}
	end := binary.LittleEndian.AppendUint64(nil, a)
	if err := s.put(blockEnd, binary.LittleEndian.AppendUint64(end, b)); err != nil {
		return err
	}
	return s.w.Flush()
}

// put writes a block.
func (s *streamWriter) put(kind byte, plain []byte) error {
	h := blockHeader{kind: kind, plain: uint32(len(plain)), stored: uint32(len(plain))}
	body := plain
	if len(plain) <= maxPacked {
		s.packed = compress.Encode(compress.S2, s.packed[:0], plain)
		if len(s.packed) < len(plain)-len(plain)/8 {
			h.codec, h.stored, body = byte(compress.S2), uint32(len(s.packed)), s.packed
		}
	}
	var head [blockHeaderSize]byte
	h.encode(head[:])
	s.sum = chain(s.sum, head[:], body)
	if err := s.write(head[:]); err != nil {
		return err
	}
	for len(body) > 0 {
		if err := s.step(); err != nil {
			return err
		}
		n := min(len(body), stepBytes)
		if err := s.write(body[:n]); err != nil {
			return err
		}
		body = body[n:]
	}
	return s.write(binary.LittleEndian.AppendUint64(nil, s.sum))
}

// chain is the checksum of a block, which depends on all before it.
func chain(before uint64, head, body []byte) uint64 {
	d := xxhash.New()
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], before)
	_, _ = d.Write(b[:])
	_, _ = d.Write(head)
	_, _ = d.Write(body)
	return d.Sum64()
}

// streamReader reads a stream, block by block. It holds no more memory than
// the bytes that really came, and the plain size of one block.
type streamReader struct {
	r      *bufio.Reader
	sum    uint64
	offset int64
	stored bytes.Buffer
	plain  []byte
	packed bool // the block was
}

func newStreamReader(r io.Reader) (*streamReader, streamHeader, error) {
	s := &streamReader{r: bufio.NewReaderSize(r, 1<<16)}
	var h streamHeader
	magic, err := s.r.Peek(len(streamMagic))
	if err != nil && err != io.EOF {
		return nil, h, err
	}
	if len(magic) == 0 || !strings.HasPrefix(streamMagic, string(magic)) && !strings.HasPrefix(incrementMagic, string(magic)) {
		return nil, h, errNoStream
	}
	head := make([]byte, streamHeaderSize)
	if err := s.read(head); err != nil {
		return nil, h, err
	}
	if err := h.decode(head); err != nil {
		return nil, h, err
	}
	s.sum = binary.LittleEndian.Uint64(head[56:])
	return s, h, nil
}

func (s *streamReader) read(b []byte) error {
	n, err := io.ReadFull(s.r, b)
	s.offset += int64(n)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return streamDamage(s.offset, "the stream ends early")
	}
	return err
}

// next returns the type and the plain bytes of the next block, valid until the
// one after.
func (s *streamReader) next() (kind byte, plain []byte, err error) {
	at := s.offset
	var head [blockHeaderSize]byte
	if err := s.read(head[:]); err != nil {
		return 0, nil, err
	}
	var h blockHeader
	if err := h.decode(head[:]); err != nil {
		return 0, nil, streamDamage(at, err.Error())
	}
	s.stored.Reset()
	n, err := io.CopyN(&s.stored, s.r, int64(h.stored)) // grows as bytes come
	s.offset += n
	if err == io.EOF {
		return 0, nil, streamDamage(s.offset, "the stream ends early")
	}
	if err != nil {
		return 0, nil, err
	}
	var tail [8]byte
	if err := s.read(tail[:]); err != nil {
		return 0, nil, err
	}
	s.sum = chain(s.sum, head[:], s.stored.Bytes())
	if binary.LittleEndian.Uint64(tail[:]) != s.sum {
		return 0, nil, streamDamage(at, "a block's checksum does not match")
	}
	s.packed = h.codec != byte(compress.None)
	if !s.packed {
		return h.kind, s.stored.Bytes(), nil
	}
	s.plain, err = compress.Decode(compress.Codec(h.codec), s.plain[:0], s.stored.Bytes(), int(h.plain))
	if err != nil {
		return 0, nil, streamDamage(at, "a block cannot be decompressed")
	}
	return h.kind, s.plain, nil
}

// atEnd reports whether nothing follows.
func (s *streamReader) atEnd() bool {
	_, err := s.r.ReadByte()
	return err == io.EOF
}

// nextEntry decodes the first entry of a block's bytes.
func nextEntry(b []byte) (key, value, rest []byte, ok bool) {
	if key, b, ok = nextField(b, kv.MaxKeySize); !ok {
		return nil, nil, nil, false
	}
	value, b, ok = nextField(b, kv.MaxValueSize)
	return key, value, b, ok
}

func nextField(b []byte, limit uint64) (field, rest []byte, ok bool) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > limit || n > uint64(len(b)-w) {
		return nil, nil, false
	}
	b = b[w:]
	return b[:n:n], b[n:], true
}
