package engine

import (
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/wal"
)

// Batch collects writes that are committed together by DB.Apply. It copies
// what it is given. The zero value is an empty batch on the default keyspace of
// whatever database it is applied to. It is not safe for use by several goroutines
// at once.
type Batch struct {
	db  *DB  // nil: any, as long as nothing is for a keyspace that has a name
	ops *ops // nil: none yet; collected makes them
	ks  kv.Keyspace
}

// NewBatch returns an empty batch on the default keyspace.
func (db *DB) NewBatch() *Batch { return &Batch{db: db, ops: new(ops)} }

// In returns the same batch, writing to another keyspace: one of the database
// that made the batch, or Apply returns ErrNoKeyspace, and ErrInvalid of nil. Of a batch that none has
// made it makes one of that database.
func (b *Batch) In(ks *Keyspace) *Batch {
	if b.db == nil && ks != nil {
		b.db = ks.db
	}
	return &Batch{b.db, b.collected(), ks.in(b.db)}
}

// collected returns the operations, which are those of all that In made of the
// batch.
func (b *Batch) collected() *ops {
	if b.ops == nil {
		b.ops = new(ops)
	}
	return b.ops
}

// Put sets the value of key. ErrTooLarge leaves the batch as it was.
func (b *Batch) Put(key, value []byte) error {
	if err := checkSizes(key, value); err != nil {
		return err
	}
	o := b.collected()
	o.payload = append(wal.AppendSetHead(o.payload, b.ks, key, len(value)), value...)
	o.add(b.ks)
	return nil
}

// Delete removes key, if it is there.
func (b *Batch) Delete(key []byte) error {
	if err := checkSizes(key, nil); err != nil {
		return err
	}
	o := b.collected()
	o.payload = wal.AppendDelete(o.payload, b.ks, key)
	o.add(b.ks)
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
	o := b.collected()
	o.payload = appendDeleteRange(o.payload, b.ks, start, end)
	o.add(b.ks)
	return nil
}

// Len is the number of operations.
func (b *Batch) Len() int { return int(b.collected().count) }

// Bytes is the size of the batch in memory and, nearly, in the log.
func (b *Batch) Bytes() int { return len(b.collected().payload) }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	o := b.collected()
	*o = ops{payload: o.payload[:0]}
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
