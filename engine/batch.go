package engine

import (
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/wal"
)

// Batch collects writes that are committed together by DB.Apply. It copies
// what it is given. It is not safe for use by several goroutines at once.
type Batch struct {
	db  *DB
	ops *ops
	ks  kv.Keyspace
}

// NewBatch returns an empty batch on the default keyspace.
func (db *DB) NewBatch() *Batch { return &Batch{db: db, ops: new(ops)} }

// In returns the same batch, writing to another keyspace: one of the database
// that made the batch, or Apply returns ErrNoKeyspace.
func (b *Batch) In(ks *Keyspace) *Batch { return &Batch{b.db, b.ops, ks.in(b.db)} }

// Put sets the value of key. ErrTooLarge leaves the batch as it was.
func (b *Batch) Put(key, value []byte) error {
	if err := checkSizes(key, value); err != nil {
		return err
	}
	b.ops.payload = append(wal.AppendSetHead(b.ops.payload, b.ks, key, len(value)), value...)
	b.ops.add(b.ks)
	return nil
}

// Delete removes key, if it is there.
func (b *Batch) Delete(key []byte) error {
	if err := checkSizes(key, nil); err != nil {
		return err
	}
	b.ops.payload = wal.AppendDelete(b.ops.payload, b.ks, key)
	b.ops.add(b.ks)
	return nil
}

// DeleteRange removes the keys from start (inclusive) to end (exclusive); a
// nil end has no bound. Its cost does not depend on how many there are.
func (b *Batch) DeleteRange(start, end []byte) error {
	if err := checkBounds(start, end); err != nil {
		return err
	}
	if (kv.Range{Start: start, End: end}).Empty() {
		return nil
	}
	b.ops.payload = appendDeleteRange(b.ops.payload, b.ks, start, end)
	b.ops.add(b.ks)
	return nil
}

// Len is the number of operations.
func (b *Batch) Len() int { return int(b.ops.count) }

// Bytes is the size of the batch in memory and, nearly, in the log.
func (b *Batch) Bytes() int { return len(b.ops.payload) }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	*b.ops = ops{payload: b.ops.payload[:0]}
}

// checkSizes refuses a key and a value over their limits.
func checkSizes(key, value []byte) error {
	if len(key) > MaxKeySize {
		return errorf("key of %d bytes, the limit is %d: %w", len(key), MaxKeySize, ErrTooLarge)
	}
	if len(value) > MaxValueSize {
		return errorf("value of %d bytes, the limit is %d: %w", len(value), MaxValueSize, ErrTooLarge)
	}
	return nil
}

// checkBounds refuses the bounds of a range over the limit: that of a key, and
// one byte for the bound that follows the longest key.
func checkBounds(start, end []byte) error {
	if n := max(len(start), len(end)); n > MaxKeySize+1 {
		return errorf("bound of %d bytes, the limit is %d: %w", n, MaxKeySize, ErrTooLarge)
	}
	return nil
}

// opRange is the range of a DeleteRange operation.
func opRange(op *wal.Op) kv.Range {
	if op.EndUnbounded {
		return kv.Range{Start: op.Key}
	}
	return kv.Range{Start: op.Key, End: op.Value}
}

func appendDeleteRange(dst []byte, ks kv.Keyspace, start, end []byte) []byte {
	return wal.AppendOp(dst, wal.Op{Kind: kv.DeleteRange, Keyspace: ks, Key: start, Value: end, EndUnbounded: end == nil})
}
