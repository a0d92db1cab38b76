package wal

import (
	"encoding/binary"
	"errors"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// Op is an operation in a record's payload. Which fields count depends on
// the kind:
//
//	Set             Key, Value
//	Delete          Key
//	DeleteRange     Key (start), Value (end) unless EndUnbounded
//	CreateKeyspace  Codec, PageSize, Name
//	DropKeyspace    none
type Op struct {
	Kind         kv.Kind
	Keyspace     kv.Keyspace
	Key, Value   []byte
	EndUnbounded bool
	Codec        byte
	PageSize     uint32
	Name         string
}

// AppendOp appends the encoding of op to dst. Its kind must be a known one.
//
//	1        kind
//	uvarint  keyspace id
//	1 set              uvarint key length, key, uvarint value length, value
//	2 delete           uvarint key length, key
//	3 delete range     uvarint start length, start, uvarint (end length + 1, or 0 for no end), end
//	4 create keyspace  codec (1 byte), uvarint page size, uvarint name length, name
//	5 drop keyspace    nothing
func AppendOp(dst []byte, op Op) []byte {
	switch op.Kind {
	case kv.Set:
		return AppendSet(dst, op.Keyspace, op.Key, op.Value)
	case kv.Delete:
		return AppendDelete(dst, op.Keyspace, op.Key)
	}
	dst = appendKind(dst, op.Kind, op.Keyspace)
	switch op.Kind {
	case kv.DeleteRange:
		dst = appendBytes(dst, op.Key)
		if op.EndUnbounded {
			return append(dst, 0)
		}
		dst = binary.AppendUvarint(dst, uint64(len(op.Value))+1)
		return append(dst, op.Value...)
	case kv.CreateKeyspace:
		dst = append(dst, op.Codec)
		dst = binary.AppendUvarint(dst, uint64(op.PageSize))
		dst = binary.AppendUvarint(dst, uint64(len(op.Name)))
		return append(dst, op.Name...)
	case kv.DropKeyspace:
		return dst
	}
	panic("wal: operation of unknown kind")
}

// AppendSet appends a set operation to dst.
func AppendSet(dst []byte, ks kv.Keyspace, key, value []byte) []byte {
	dst = appendKind(dst, kv.Set, ks)
	dst = appendBytes(dst, key)
	return appendBytes(dst, value)
}

// AppendDelete appends a delete operation to dst.
func AppendDelete(dst []byte, ks kv.Keyspace, key []byte) []byte {
	dst = appendKind(dst, kv.Delete, ks)
	return appendBytes(dst, key)
}

func appendKind(dst []byte, kind kv.Kind, ks kv.Keyspace) []byte {
	if ks < 0x80 {
		return append(dst, byte(kind), byte(ks))
	}
	return binary.AppendUvarint(append(dst, byte(kind)), uint64(ks))
}

func appendBytes(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// maxBoundSize is the size of the longest bound of a range: the successor of
// the longest key.
const maxBoundSize = kv.MaxKeySize + 1

var errBadOp = errors.New("bad operation in a log record")

// NextOp decodes the first operation of p and returns it with what follows.
// Key and Value point into p. Anything that AppendOp would not write within
// the limits of the data model is an error.
func NextOp(p []byte) (op Op, rest []byte, err error) {
	if len(p) == 0 {
		return Op{}, nil, errBadOp
	}
	op.Kind = kv.Kind(p[0])
	ks, p, ok := nextUvarint(p[1:], uint64(kv.CatalogKeyspace)-1)
	if !ok {
		return Op{}, nil, errBadOp
	}
	op.Keyspace = kv.Keyspace(ks)
	switch op.Kind {
	case kv.Set:
		if op.Key, p, ok = nextBytes(p, kv.MaxKeySize); ok {
			op.Value, p, ok = nextBytes(p, kv.MaxValueSize)
		}
	case kv.Delete:
		op.Key, p, ok = nextBytes(p, kv.MaxKeySize)
	case kv.DeleteRange:
		if op.Key, p, ok = nextBytes(p, maxBoundSize); ok {
			op.Value, op.EndUnbounded, p, ok = nextEnd(p)
		}
	case kv.CreateKeyspace:
		op.Codec, op.PageSize, op.Name, p, ok = nextKeyspace(p)
	case kv.DropKeyspace:
	default:
		ok = false
	}
	if !ok {
		return Op{}, nil, errBadOp
	}
	return op, p, nil
}

func nextUvarint(p []byte, limit uint64) (uint64, []byte, bool) {
	if len(p) > 0 && p[0] < 0x80 {
		return uint64(p[0]), p[1:], uint64(p[0]) <= limit
	}
	v, n := binary.Uvarint(p)
	if n <= 0 || v > limit {
		return 0, nil, false
	}
	return v, p[n:], true
}

func nextBytes(p []byte, limit uint64) (b, rest []byte, ok bool) {
	n, p, ok := nextUvarint(p, limit)
	if !ok || n > uint64(len(p)) {
		return nil, nil, false
	}
	return p[:n:n], p[n:], true
}

func nextEnd(p []byte) (end []byte, unbounded bool, rest []byte, ok bool) {
	n, p, ok := nextUvarint(p, maxBoundSize+1)
	if !ok || n > uint64(len(p))+1 {
		return nil, false, nil, false
	}
	if n == 0 {
		return nil, true, p, true
	}
	return p[: n-1 : n-1], false, p[n-1:], true
}

func nextKeyspace(p []byte) (codec byte, pageSize uint32, name string, rest []byte, ok bool) {
	if len(p) == 0 {
		return 0, 0, "", nil, false
	}
	codec = p[0]
	size, p, ok := nextUvarint(p[1:], 1<<31)
	if !ok {
		return 0, 0, "", nil, false
	}
	b, p, ok := nextBytes(p, kv.MaxKeySize)
	return codec, uint32(size), string(b), p, ok
}

// AppendSetHead appends a set operation to dst up to its value, which the
// caller puts behind it.
func AppendSetHead(dst []byte, ks kv.Keyspace, key []byte, valueLen int) []byte {
	dst = appendKind(dst, kv.Set, ks)
	dst = appendBytes(dst, key)
	return binary.AppendUvarint(dst, uint64(valueLen))
}
