package engine

import (
	"errors"
	"io"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/wal"
)

// OpKind is what an operation of a Change does.
type OpKind uint8

const (
	OpSet            = OpKind(kv.Set)            // Key gets Value
	OpDelete         = OpKind(kv.Delete)         // Key loses its value
	OpDeleteRange    = OpKind(kv.DeleteRange)    // keys from Key to End (nil: no bound) lose theirs
	OpCreateKeyspace = OpKind(kv.CreateKeyspace) // Name gets the id Keyspace
	OpDropKeyspace   = OpKind(kv.DropKeyspace)
)

// Op is one operation of a commit.
type Op struct {
	Kind     OpKind
	Keyspace uint32 // id, as in KeyspaceInfo
	Key      []byte
	Value    []byte
	End      []byte
	Name     string
}

// Change is one commit: operations that took effect together. Seq is the
// sequence number of the last, by which the commit is known.
type Change struct {
	Seq uint64
	Ops []Op
}

// Changes reads commits from the log, in their order. While it is open it
// holds the log back from being recycled, up to Options.MaxHeldBytes; one that
// falls further behind gets ErrGone. It is used by one goroutine.
type Changes struct {
	db     *DB
	reader *wal.Reader
	hold   *wal.Hold
	from   kv.Seq
	read   kv.Seq // newest operation read
	closed bool
}

// Changes returns a reader of the commits whose sequence number is from or
// more. Pass 1 more than that of the last commit you have, or than
// Snapshot.Seq. ErrGone when the log no longer reaches back so far.
func (db *DB) Changes(from uint64) (*Changes, error) {
	if db.opts.ReadOnly {
		return nil, errorf("changes: %w", errDBReadOnly)
	}
	from = max(from, 1) // that of the first operation
	if db.closing() {
		return nil, errDBClosed
	}
	c := &Changes{db: db, from: kv.Seq(from)}
	db.checkpointMu.Lock() // nothing is released meanwhile
	defer db.checkpointMu.Unlock()
	start, ok := db.logBefore(kv.Seq(from))
	c.read = start.seq
	if !ok {
		return nil, errorf("changes from %d: %w", from, db.counters.noteError(ErrGone))
	}
	var err error
	c.hold = db.log.Hold(start.lsn)
	if c.reader, err = db.log.NewReader(start.lsn); err != nil {
		c.hold.Close()
		return nil, errorf("changes from %d: %w", from, db.readError(err))
	}
	return c, nil
}

// mark is a place in the log where a memtable began.
type mark struct {
	seq kv.Seq // newest operation before it
	lsn wal.LSN
}

// logBefore finds a place in the log from which all commits from seq on can be
// read.
func (db *DB) logBefore(seq kv.Seq) (mark, bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for i := len(db.marks) - 1; i >= 0; i-- {
		if m := db.marks[i]; m.seq < seq {
			_, there := db.log.SegmentOf(m.lsn)
			return m, there
		}
	}
	return mark{}, false
}

// Next returns the next commit. It is the caller's until the next call.
// io.EOF means that there is none yet; later there may be.
func (c *Changes) Next() (Change, error) {
	if c.closed {
		return Change{}, errChangesClosed
	}
	for {
		if c.db.version.Load() == nil {
			return Change{}, errDBClosed
		}
		if err := c.hold.Err(); err != nil {
			return Change{}, errorf("changes: %w", c.db.counters.noteError(ErrGone))
		}
		if c.read >= kv.Seq(c.db.visible.Load()) {
			return Change{}, io.EOF
		}
		rec, err := c.reader.Next()
		switch {
		case errors.Is(err, io.EOF):
			return Change{}, io.EOF
		case errors.Is(err, wal.ErrGone):
			return Change{}, errorf("changes: %w", c.db.counters.noteError(ErrGone))
		case err != nil:
			return Change{}, errorf("changes: %w", c.db.readError(err))
		}
		c.hold.Advance(rec.End)
		c.read = rec.Seq + kv.Seq(rec.Count) - 1
		if c.read >= c.from {
			return decodeChange(rec, c.read)
		}
	}
}

// Close lets the log be recycled. It may be called again; Next is ErrClosed from
// then on.
func (c *Changes) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	c.hold.Close()
	return c.reader.Close()
}

func decodeChange(rec wal.Record, seq kv.Seq) (Change, error) {
	change := Change{Seq: uint64(seq)}
	o := ops{payload: rec.Payload, count: rec.Count}
	err := o.each(func(op *wal.Op) error {
		out := Op{Kind: OpKind(op.Kind), Keyspace: uint32(op.Keyspace), Key: op.Key, Value: op.Value, Name: op.Name}
		if op.Kind == kv.DeleteRange {
			out.Value, out.End = nil, opRange(op).End
		}
		change.Ops = append(change.Ops, out)
		return nil
	})
	return change, err
}
