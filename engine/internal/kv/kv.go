// Package kv holds the few words that every layer of the engine shares:
// sequence numbers, kinds of entry, key hashing and the cursor.
package kv

import (
	"bytes"

	"github.com/cespare/xxhash/v2"
)

// Limits of the data model, in bytes.
const (
	MaxKeySize   = 64 << 10
	MaxValueSize = 1 << 30
)

// Seq is a sequence number: the order in which operations become visible.
// Each operation of a commit has one; a commit is known by its last. The
// first is 1.
type Seq uint64

// MaxSeq reads the newest version of everything.
const MaxSeq Seq = 1<<63 - 1

// Kind is the kind of an entry or of an operation in the log. The values are
// part of the file format.
type Kind uint8

const (
	Set            Kind = 1 // key has a value
	Delete         Kind = 2 // key has none: a tombstone
	DeleteRange    Kind = 3 // no key from start (inclusive) to end (exclusive) has a value
	CreateKeyspace Kind = 4
	DropKeyspace   Kind = 5
)

// Keyspace identifies an ordered map inside a database.
type Keyspace uint32

const (
	// DefaultKeyspace exists in every database.
	DefaultKeyspace Keyspace = 0
	// CatalogKeyspace marks the nodes of the tree that lists the keyspaces.
	CatalogKeyspace Keyspace = 0xFFFFFFFF
)

// Hash is the hash of a key whose low byte is stored beside the key in leaves
// as its fingerprint. It is part of the file format.
func Hash(key []byte) uint64 { return xxhash.Sum64(key) }

// Compare orders keys by their bytes.
func Compare(a, b []byte) int { return bytes.Compare(a, b) }

// Cursor walks entries in key order, at most one entry a key. A new cursor
// stands nowhere. The positioning methods report whether the cursor stands on
// an entry; when they return false, Err tells an end (nil) from a failure,
// and after a failure every later move returns false too. Key and Value are
// valid until the next move. A cursor belongs to one goroutine.
type Cursor interface {
	First() bool
	Last() bool
	SeekGE(key []byte) bool // the first entry at or after key
	SeekLT(key []byte) bool // the last entry before key
	Next() bool
	Prev() bool

	Key() []byte
	// Value returns the entry's value, read from its overflow extent where it
	// lives in one. It is nil or empty for a tombstone.
	Value() ([]byte, error)
	Kind() Kind
	// Seq is the entry's sequence number; 0 for entries of the tree, which
	// are older than anything in a memtable.
	Seq() Seq
	Err() error
}

// Entry is where a cursor stands, for those who look at every entry and would
// rather not call for each part of it. It is lent as Key and Value are.
type Entry struct {
	Key      []byte
	Value    []byte // not with Overflow
	Seq      Seq
	Kind     Kind
	Overflow bool // only the cursor's Value reads the value
}

// Range is a set of keys: from Start (inclusive) to End (exclusive). A nil
// End has no bound. A nil Start is the same as an empty one: from the first.
type Range struct{ Start, End []byte }

// Contains reports whether key is in the range.
func (r Range) Contains(key []byte) bool {
	return bytes.Compare(key, r.Start) >= 0 && (r.End == nil || bytes.Compare(key, r.End) < 0)
}

// Empty reports whether no key can be in the range.
func (r Range) Empty() bool { return r.End != nil && bytes.Compare(r.Start, r.End) >= 0 }

// RangeDelete is a range tombstone: it hides every entry in its range with a
// smaller sequence number.
type RangeDelete struct {
	Range
	Seq Seq
}

// RangeDeletes is a set of range tombstones as fragments: sorted by Start,
// not overlapping, each with the newest sequence number that covers it.
// It is immutable.
type RangeDeletes []RangeDelete

// Find returns the fragment that covers key, or nil.
func (d RangeDeletes) Find(key []byte) *RangeDelete {
	lo, hi := 0, len(d)
	for lo < hi { // first fragment whose Start is past key
		mid := int(uint(lo+hi) >> 1)
		if bytes.Compare(d[mid].Start, key) <= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return nil
	}
	if f := &d[lo-1]; f.End == nil || bytes.Compare(key, f.End) < 0 {
		return f
	}
	return nil
}

// Covering returns the sequence number of the newest tombstone that covers
// key, or 0.
func (d RangeDeletes) Covering(key []byte) Seq {
	if f := d.Find(key); f != nil {
		return f.Seq
	}
	return 0
}
