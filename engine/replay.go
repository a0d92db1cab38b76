package engine

import (
	"fmt"
	"sync"

	"github.com/lightning-db/lightning/engine/internal/hot"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/memtable"
	"github.com/lightning-db/lightning/engine/internal/merge"
	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/internal/wal"
)

// replay builds the first version from the log: memtables of at most about
// limit bytes, of which all but the newest are frozen. Records are taken down
// in their order; a memtable that is full is sorted beside the reading of the
// records after it. Nobody may read before finish. A replay of a read-only
// database then goes on, into memtables that are being read.
type replay struct {
	pager  *pager.Pager
	limit  int64
	mem    *mem
	frozen []*mem // newest first
	spaces *spaces
	shared bool // others have spaces, too
	hot    *hot.Set
	seq    kv.Seq
	lsn    wal.LSN

	loader   *memtable.Loader // of mem; nil after finish
	building sync.WaitGroup
}

// maxReplayed is how many frozen memtables a replay makes at most. The log may
// have been written with much larger ones than the limit: it doubles after each
// sixth part of them, and there is none behind the last. They hold the log
// together, whatever their number.
const maxReplayed = 24

// A scan merges them with a transaction's own writes, the active memtable,
// those that are frozen later, the runs and the tree.
const _ = uint(merge.MaxSources - (maxReplayed + 1 + 1 + maxFrozen + mostRuns + 1))

// newReplay begins a replay over the keyspaces of p's meta, which become its own.
func newReplay(p *pager.Pager, spaces *spaces, limit int64) *replay {
	meta := p.Meta()
	r := &replay{pager: p, limit: limit, spaces: spaces, hot: hot.New(p), seq: meta.Seq}
	r.begin(wal.LSN(meta.LogStart))
	return r
}

// begin begins the next memtable.
func (r *replay) begin(start wal.LSN) {
	r.mem = newMem(start, r.limit)
	r.loader = memtable.NewLoader(r.mem.table)
}

// apply is called with each record of the log.
func (r *replay) apply(rec wal.Record) error {
	if r.loader != nil && r.loader.Bytes() >= r.limit && len(r.frozen) < maxReplayed {
		r.freeze()
	}
	p := rec.Payload
	seq := rec.Seq
	for range rec.Count {
		op, rest, err := wal.NextOp(p)
		if err != nil {
			return &CorruptError{Path: walName, Offset: int64(rec.LSN), Kind: "log", Reason: err.Error()}
		}
		if reason := impossible(&op, r.spaces); reason != "" {
			return &CorruptError{Path: walName, Offset: int64(rec.LSN), Kind: "log", Reason: reason}
		}
		r.applyOp(&op, seq)
		p = rest
		seq++
	}
	if seq > maxDiskSeq {
		return &CorruptError{Path: walName, Offset: int64(rec.LSN), Kind: "log", Reason: "the sequence number is out of range"}
	}
	r.seq = seq - 1
	r.lsn = rec.End
	return nil
}

// freeze ends a memtable at the end of the last record.
func (r *replay) freeze() {
	r.mem.end, r.mem.seq, r.mem.spaces, r.shared = r.lsn, r.seq, r.spaces, true
	r.frozen = append([]*mem{r.mem}, r.frozen...)
	if len(r.frozen)%(maxReplayed/6) == 0 {
		r.limit *= 2
	}
	r.build()
	r.begin(r.lsn)
}

// build makes the memtable one that can be read, in the background.
func (r *replay) build() {
	r.building.Go(r.loader.Finish)
	r.loader = nil
}

// finish returns when the memtables can be read. It must be called, also when
// the replay failed.
func (r *replay) finish() {
	if r.loader != nil {
		r.build()
	}
	r.building.Wait()
}

// impossible says why no engine has logged op where there are those keyspaces
// (W6), or "": what a checkpoint
// would write of it is held to the same when it is read back.
func impossible(op *wal.Op, in *spaces) string {
	switch {
	case op.Kind == kv.CreateKeyspace:
		o := KeyspaceOptions{PageSize: int(op.PageSize), Compression: Compression(op.Codec)}
		switch {
		case op.PageSize == 0 || o.check() != nil || checkName(op.Name) != nil:
			return fmt.Sprintf("keyspace %d with codec %d, page size %d and name %q", op.Keyspace, op.Codec, op.PageSize, op.Name)
		case uint32(op.Keyspace) < in.next || in.byName[op.Name] != nil:
			return fmt.Sprintf("keyspace %d with name %q, which another has", op.Keyspace, op.Name)
		}
	case op.Keyspace == kv.DefaultKeyspace: // it is always there
		if op.Kind == kv.DropKeyspace {
			return "the default keyspace is dropped"
		}
	case in.byID[op.Keyspace] == nil:
		return fmt.Sprintf("an operation on keyspace %d, which is not there", op.Keyspace)
	}
	return ""
}

func (r *replay) applyOp(op *wal.Op, seq kv.Seq) {
	switch op.Kind {
	case kv.CreateKeyspace:
		r.ownSpaces().put(newSpace(r.pager, op))
	case kv.DropKeyspace:
		r.ownSpaces().remove(r.spaces.byID[op.Keyspace])
	case kv.DeleteRange:
		if r.loader != nil {
			r.loader.DeleteRange(op.Keyspace, opRange(op), seq)
			return
		}
		applyOp(r.mem, op, seq)
	default:
		if r.loader != nil {
			r.loader.Put(op.Keyspace, op.Key, op.Value, op.Kind, seq)
			return
		}
		applyOp(r.mem, op, seq)
	}
}

// ownSpaces returns the keyspaces to be changed. They are copied only where
// others have them: a log can make thousands.
func (r *replay) ownSpaces() *spaces {
	if r.shared {
		r.spaces, r.shared = r.spaces.clone(), false
	}
	return r.spaces
}

// applyOp puts an operation on a key or a range into a memtable.
func applyOp(m *mem, op *wal.Op, seq kv.Seq) {
	if op.Kind == kv.DeleteRange {
		m.table.DeleteRange(op.Keyspace, opRange(op), seq)
		return
	}
	m.table.Put(op.Keyspace, op.Key, kv.Hash(op.Key), op.Value, op.Kind, seq)
}

// version is what there is to read now.
func (r *replay) version() *version {
	r.shared = true
	return &version{pager: r.pager, gen: r.pager.Meta().Gen, active: r.mem, frozen: r.frozen, spaces: r.spaces, hot: r.hot}
}
