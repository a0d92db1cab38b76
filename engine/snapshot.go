package engine

import (
	"iter"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// Reader is what a Snapshot and a Tx have in common.
type Reader interface {
	// Get returns the value of key: a copy, which is the caller's.
	// ErrNotFound when there is none.
	Get(key []byte) ([]byte, error)
	// AppendValue appends the value of key to dst, without garbage when dst
	// has room. On an error it returns dst as it was.
	AppendValue(dst, key []byte) ([]byte, error)
	// Has reports whether key has a value.
	Has(key []byte) (bool, error)
	// MultiGet returns the values of several keys; nil where there is none,
	// and an empty slice that is not nil for an empty value.
	MultiGet(keys ...[]byte) ([][]byte, error)
	// Scan goes through the entries from start (inclusive) to end (exclusive)
	// in the order of their keys. A nil end has no bound. The key and value
	// are lent until the next step. An error ends the loop early; Err returns
	// it then, and so do DB.View and DB.Update by themselves.
	Scan(start, end []byte) iter.Seq2[[]byte, []byte]
	// ScanBackward is Scan from the last entry to the first.
	ScanBackward(start, end []byte) iter.Seq2[[]byte, []byte]
	// ScanPrefix is Scan over the keys that begin with prefix.
	ScanPrefix(prefix []byte) iter.Seq2[[]byte, []byte]
	// NewIterator returns a cursor to move about with. Close it.
	NewIterator(IterOptions) *Iterator
	// Split returns keys between start and end, in order, that cut the range into
	// pieces with few entries each: n of them or more where there are enough
	// entries in memtables, or leaves, for that. It is for goroutines that share a
	// scan, or for who looks at a part. It reads what the branches of the tree say,
	// and no leaf.
	Split(start, end []byte, n int) ([][]byte, error)
	// Err is the first error that ended a scan early, or nil.
	Err() error
}

var (
	_ Reader = (*Snapshot)(nil)
	_ Reader = (*Tx)(nil)
)

// Snapshot is the database at one moment, for ever: no later commit shows in
// it. It takes next to nothing to make. While it is open, the space of what
// has been replaced since is not used again, so close it. Several goroutines
// may read from it at once; Err and Scan's errors are for one at a time.
type Snapshot struct {
	view *view
	ks   kv.Keyspace
}

// Snapshot opens a snapshot of the newest moment.
func (db *DB) Snapshot() (*Snapshot, error) {
	s := new(struct { // one allocation
		Snapshot
		own view
	})
	if err := s.own.open(db); err != nil {
		return nil, err
	}
	s.view = &s.own
	return &s.Snapshot, nil
}

// In returns the same snapshot, reading from another keyspace. A keyspace that
// was created later, or is another database's, is ErrNoKeyspace on the first
// read, and nil ErrInvalid. Closing either closes both.
func (s *Snapshot) In(ks *Keyspace) *Snapshot { return &Snapshot{view: s.view, ks: ks.in(s.view.db)} }

// Seq is the sequence number of the newest operation in it.
func (s *Snapshot) Seq() uint64 { return uint64(s.view.seq) }

// Close lets the database use the space again that only this snapshot still
// needed. It may be called again.
func (s *Snapshot) Close() { s.view.release() }

// Get implements Reader.
func (s *Snapshot) Get(key []byte) ([]byte, error) { return owned(s.view.get(s.ks, key, nil)) }

// AppendValue implements Reader.
func (s *Snapshot) AppendValue(dst, key []byte) ([]byte, error) { return s.view.get(s.ks, key, dst) }

// Has implements Reader.
func (s *Snapshot) Has(key []byte) (bool, error) { return s.view.has(s.ks, key) }

// MultiGet implements Reader.
func (s *Snapshot) MultiGet(keys ...[]byte) ([][]byte, error) { return s.view.multiGet(s.ks, keys) }

// Scan implements Reader.
func (s *Snapshot) Scan(start, end []byte) iter.Seq2[[]byte, []byte] {
	return s.view.scan(s.ks, IterOptions{Start: start, End: end}, false)
}

// ScanBackward implements Reader.
func (s *Snapshot) ScanBackward(start, end []byte) iter.Seq2[[]byte, []byte] {
	return s.view.scan(s.ks, IterOptions{Start: start, End: end}, true)
}

// ScanPrefix implements Reader.
func (s *Snapshot) ScanPrefix(prefix []byte) iter.Seq2[[]byte, []byte] {
	return s.view.scan(s.ks, IterOptions{Start: prefix, End: prefixEnd(prefix)}, false)
}

// NewIterator implements Reader.
func (s *Snapshot) NewIterator(o IterOptions) *Iterator { return s.view.iterator(s.ks, o) }

// Split implements Reader.
func (s *Snapshot) Split(start, end []byte, n int) ([][]byte, error) {
	return s.view.split(s.ks, start, end, n)
}

// Err implements Reader.
func (s *Snapshot) Err() error { return s.view.err }

// owned makes the value of a Get never nil when the key is there.
func owned(value []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	if value == nil {
		value = []byte{}
	}
	return value, nil
}
