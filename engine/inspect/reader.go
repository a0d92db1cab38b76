package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/filter"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
)

// Reader reads extents. It belongs to one goroutine; what it returns is valid
// until its next call.
type Reader struct {
	// Bytes is how much it has read from the file.
	Bytes int64

	db     *DB
	window []byte // of the file, from the offset from on
	from   uint64
	stored []byte
	plain  []byte // of a node
	chunk  []byte // for values
	value  []byte // in plain
}

// chunkSize is how much of a value is read at once.
const chunkSize = 256 << 10

const (
	maxStored = kv.MaxValueSize + node.HeaderSize
	// maxCompressed is the longest value that is stored compressed.
	maxCompressed = 64 << 20
)

// NewReader returns a reader of extents.
func (db *DB) NewReader() *Reader { return &Reader{db: db} }

// AnyLevel as a level lets a node be of any.
const AnyLevel = -1

// MaxPrefetch is how much Prefetch reads.
const MaxPrefetch = 1 << 20

// Prefetch reads n bytes at off in one piece, or MaxPrefetch, from which nodes
// are then taken. What cannot be read is left to those who need it.
func (r *Reader) Prefetch(off, n uint64) {
	n = min(n, MaxPrefetch)
	if uint64(cap(r.window)) < n {
		r.window = make([]byte, n)
	}
	got, _ := r.db.file.ReadAt(r.window[:n], int64(off))
	r.window, r.from = r.window[:got], off
	r.Bytes += int64(got)
}

// Node returns the node of ref, which is at that level of the tree of that
// keyspace. The error is a *Damage.
func (r *Reader) Node(ref Ref, keyspace uint32, level int) (Node, error) {
	stored, h, err := r.extent(ref, pager.Expect{Kind: Leaf, Keyspace: kv.Keyspace(keyspace), Level: level}, node.MaxSize)
	if err != nil {
		return Node{}, err
	}
	n := node.Node(stored)
	if h.Codec != uint8(compress.None) {
		if h.PlainLength > node.MaxSize-node.HeaderSize {
			return Node{}, r.damage(ref, "X3", Structure, "a node of %d bytes", h.PlainLength)
		}
		plain := append(r.plain[:0], stored[:node.HeaderSize]...)
		plain, err = compress.Decode(compress.Codec(h.Codec), plain, stored[node.HeaderSize:], int(h.PlainLength))
		if err != nil {
			return Node{}, r.damage(ref, "X3", Structure, "%v", err)
		}
		r.plain = plain
		n = node.Node(plain)
	}
	if err := node.Check(n); err != nil {
		return Node{}, r.unsound(ref, h, err)
	}
	return Node{h, n}, nil
}

// unsound says which promise a node breaks that node.Check rejects.
func (r *Reader) unsound(ref Ref, h Header, err error) *Damage {
	order := strings.HasSuffix(err.Error(), "is not behind the one before")
	invariant, kind := "X3", Structure
	switch {
	case order && h.Kind == Leaf:
		invariant, kind = "L1", Order
	case order:
		invariant, kind = "B1", Order
	case h.Kind == Leaf && h.Count == 0:
		invariant = "L2"
	case h.Kind == Branch && h.Count < 2:
		invariant = "B2"
	}
	return r.damage(ref, invariant, kind, "%v", err)
}

// FreeExtent is a part of the file that is free, in bytes.
type FreeExtent struct{ Offset, Size uint64 }

// FreeList returns the free list and its header. The error is a *Damage.
func (r *Reader) FreeList() ([]FreeExtent, Header, error) {
	ref := r.db.Meta.FreeList
	stored, h, err := r.extent(ref, pager.Expect{Kind: FreeList, Keyspace: kv.CatalogKeyspace}, maxStored)
	if err != nil {
		return nil, h, err
	}
	if h.Codec != uint8(compress.None) {
		return nil, h, r.damage(ref, "X3", Structure, "a free list with %v", compress.Codec(h.Codec))
	}
	var list []FreeExtent
	err = pager.FreeExtents(stored[node.HeaderSize:], r.db.Meta.FileSize/Unit, func(off, n uint64) {
		list = append(list, FreeExtent{off * Unit, n * Unit})
	})
	if err != nil {
		return nil, h, r.damage(ref, "F1", Structure, "%v", err)
	}
	return list, h, nil
}

// Filter verifies the filter of a sorted run, and returns whether it lets the
// key of a hash (XXH64) pass, with its header. The error is a *Damage.
func (r *Reader) Filter(ref Ref, keyspace uint32) (passes func(hash uint64) bool, h Header, err error) {
	stored, h, err := r.extent(ref, pager.Expect{Kind: Overflow, Keyspace: kv.Keyspace(keyspace)}, maxStored)
	if err != nil {
		return nil, h, err
	}
	f, ok := filter.Decode(stored[node.HeaderSize:])
	if !ok || h.Codec != uint8(compress.None) {
		return nil, h, r.damage(ref, "X3", Structure, "a filter of %d bytes", h.PlainLength)
	}
	return f.MayHave, h, nil
}

// Value verifies the overflow extent of ref and the value in it, and returns
// its header, whose PlainLength is the value's length. The error is a *Damage.
func (r *Reader) Value(ref Ref, keyspace uint32) (Header, error) {
	if d := r.checkPlace(ref, maxStored); d != nil {
		return Header{}, d
	}
	size := ref.Size()
	if n := int(min(size, chunkSize)); len(r.chunk) < n {
		r.chunk = make([]byte, n)
	}
	first := r.chunk[:min(size, chunkSize)]
	padded := true
	var head [node.HeaderSize]byte
	var sum xxhash.Digest
	sum.Reset()
	for at := uint64(0); at < size; at += chunkSize {
		b := r.chunk[:min(size-at, chunkSize)]
		if d := r.readAt(ref, b, ref.Offset+at); d != nil {
			return Header{}, d
		}
		if left := uint64(ref.Length) - at; left < uint64(len(b)) {
			padded = allZero(b[left:])
			b = b[:left]
		}
		if at == 0 {
			copy(head[:], b)
			b = b[8:]
		}
		sum.Write(b)
	}
	h, d := r.judge(ref, pager.Expect{Kind: Overflow, Keyspace: kv.Keyspace(keyspace)}, head[:], sum.Sum64())
	h.Padded = padded
	if d != nil {
		return h, d
	}
	if h.PlainLength > kv.MaxValueSize {
		return h, r.damage(ref, "X3", Structure, "a value of %d bytes", h.PlainLength)
	}
	if h.Codec != uint8(compress.None) {
		if d := r.decodeValue(ref, h, first); d != nil {
			return h, d
		}
	}
	return h, nil
}

// decodeValue makes sure that a compressed value can be had back. first is all
// of the extent, if it is short.
func (r *Reader) decodeValue(ref Ref, h Header, first []byte) *Damage {
	if h.PlainLength > maxCompressed || h.Length > maxCompressed {
		return r.damage(ref, "X3", Structure, "a compressed value of %d bytes", h.PlainLength)
	}
	stored, plain := first, r.value
	if h.PlainLength > node.MaxSize || len(first) < int(h.Length) {
		r.db.large.Lock()
		defer r.db.large.Unlock()
		stored, plain = make([]byte, h.Length), nil
		if d := r.readAt(ref, stored, ref.Offset); d != nil {
			return d
		}
	}
	plain, err := compress.Decode(compress.Codec(h.Codec), plain[:0], stored[node.HeaderSize:h.Length], int(h.PlainLength))
	if err != nil {
		return r.damage(ref, "X3", Structure, "%v", err)
	}
	if len(plain) <= node.MaxSize {
		r.value = plain
	}
	return nil
}

// extent returns the verified bytes of an extent of at most limit.
func (r *Reader) extent(ref Ref, want pager.Expect, limit uint32) ([]byte, Header, error) {
	if d := r.checkPlace(ref, limit); d != nil {
		return nil, Header{}, d
	}
	size := ref.Size()
	var b []byte
	if ref.Offset >= r.from && ref.Offset-r.from+size <= uint64(len(r.window)) {
		b = r.window[ref.Offset-r.from:][:size]
	} else {
		if uint64(cap(r.stored)) < size {
			r.stored = make([]byte, size)
		}
		b = r.stored[:size]
		if d := r.readAt(ref, b, ref.Offset); d != nil {
			return nil, Header{}, d
		}
	}
	padding := b[ref.Length:]
	b = b[:ref.Length:ref.Length]
	h, d := r.judge(ref, want, b[:node.HeaderSize], node.Sum(b))
	h.Padded = allZero(padding)
	if d != nil {
		return nil, h, d
	}
	return b, h, nil
}

// readAt fills b, part of the extent of ref, from the file.
func (r *Reader) readAt(ref Ref, b []byte, off uint64) *Damage {
	n, err := readFull(r.db.file, b, int64(off))
	r.Bytes += int64(n)
	if err != nil {
		return r.damage(ref, "R2", IO, "%v", err)
	}
	if n < len(b) {
		return r.damage(ref, "R2", Truncated, "the file ends at %d", endOf(r.db.file, int64(off)+int64(n)))
	}
	return nil
}

func (r *Reader) damage(ref Ref, invariant, kind, format string, args ...any) *Damage {
	return &Damage{invariant, r.db.Path(), int64(ref.Offset), kind, fmt.Sprintf(format, args...)}
}

func allZero(b []byte) bool {
	for len(b) > 0 {
		n := min(len(b), len(zeros))
		if !bytes.Equal(b[:n], zeros[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}

var zeros [Unit]byte

// AsDamage returns err as the damage that it is, or nil.
func AsDamage(err error) *Damage {
	d, _ := errors.AsType[*Damage](err)
	return d
}
