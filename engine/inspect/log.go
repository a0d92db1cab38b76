package inspect

import (
	"errors"
	"io/fs"
	"iter"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/wal"
)

// Segment is the header of a log segment that is alive. Its fields are those
// of docs/FORMAT.md, section Segment header; End is where it ends by W1.
type Segment struct {
	Path       string
	Number     uint64
	Start, End uint64
	Capacity   int64
	Synced     uint64
	FirstSeq   uint64
}

// Record is one commit in the log.
type Record struct {
	Start, End uint64 // LSN
	Segment    uint64
	Seq        uint64 // of its first operation
	Operations uint32
	Cut        bool // it stands behind the end of the log (Damage of kind Cut)
	payload    []byte
}

// Operation is one operation of a commit. Which fields count depends on Kind.
type Operation struct {
	Kind     string // set, delete, delete range, create keyspace, drop keyspace
	Keyspace uint32
	Key      []byte // of a range, its start
	Value    []byte // of a range, its end; nil for none
	Name     string
	Codec    uint8
	PageSize uint32
}

var operationKinds = map[kv.Kind]string{
	kv.Set: "set", kv.Delete: "delete", kv.DeleteRange: "delete range",
	kv.CreateKeyspace: "create keyspace", kv.DropKeyspace: "drop keyspace",
}

// All yields the operations, as far as they can be read. They are valid until
// the next record is read.
func (r *Record) All() iter.Seq[Operation] {
	return func(yield func(Operation) bool) {
		p := r.payload
		for range r.Operations {
			op, rest, err := wal.NextOp(p)
			if err != nil {
				return
			}
			o := Operation{operationKinds[op.Kind], uint32(op.Keyspace), op.Key, op.Value, op.Name, op.Codec, op.PageSize}
			if op.EndUnbounded {
				o.Value = nil
			}
			if !yield(o) {
				return
			}
			p = rest
		}
	}
}

// LogReport says what is in the log from the meta's log start on.
type LogReport struct {
	Records    uint64
	Operations uint64
	Bytes      int64  // of the records' payloads
	End        uint64 // LSN
	Seq        uint64 // of the newest operation, in the trees where the log has none
	TornBytes  int64  // an unfinished end, which recovery cuts
	Mended     bool   // what is damaged is not needed to read all records
	Omitted    uint64 // damages beyond those that are told
}

// Segments returns the segments of the log that the meta needs, and every
// damage of their headers.
func (db *DB) Segments() ([]Segment, []*Damage, error) {
	infos, damages, err := wal.Headers(db.walOptions(), db.logStart())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, wal.ErrMissing) {
		return nil, []*Damage{db.noLog()}, nil
	}
	list := make([]Segment, len(infos))
	for i, s := range infos {
		list[i] = Segment{s.Path, s.Number, uint64(s.Start), uint64(s.End), s.Capacity, uint64(s.Synced), uint64(s.FirstSeq)}
	}
	return list, damagesOf(damages), err
}

// Log reads the log from the meta's log start on, calls visit for each record,
// and returns every damage (W1 to W5). The error is that of listing the
// segments or of visit.
//
// Records that stand behind the end of the log are visited last, marked as Cut.
//
// Beside a writer, a place that was read just before it was written can look
// damaged. Damage that a second reading finds again is real.
func (db *DB) Log(visit func(Record) error) (LogReport, []*Damage, error) {
	report, damages, err := wal.Check(db.walOptions(), db.logStart(), func(r wal.Record) error {
		return visit(Record{uint64(r.LSN), uint64(r.End), r.Segment, uint64(r.Seq), r.Count, r.Cut, r.Payload})
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, wal.ErrMissing) {
		return LogReport{}, []*Damage{db.noLog()}, nil
	}
	return LogReport{
		Records: report.Records, Operations: report.Operations, Bytes: int64(report.Bytes),
		End: uint64(report.To), Seq: uint64(report.Seq), TornBytes: report.TornBytes, Mended: report.Mended, Omitted: uint64(report.Omitted),
	}, damagesOf(damages), err
}

func (db *DB) noLog() *Damage {
	return &Damage{"W4", db.LogDir(), 0, Missing, "the directory of the log is missing"}
}

func (db *DB) walOptions() wal.Options {
	return wal.Options{FS: db.fs, Dir: db.LogDir(), UUID: db.Meta.UUID}
}

func (db *DB) logStart() wal.Start {
	m := &db.Meta
	return wal.Start{LSN: wal.LSN(m.LogStart), Segment: m.LogSegment, Seq: kv.Seq(m.Seq), End: wal.LSN(m.LogEnd)}
}

func damagesOf(list []*wal.CorruptError) []*Damage {
	var out []*Damage
	for _, e := range list {
		kind := Log
		switch {
		case errors.Is(e, wal.ErrMissing):
			kind = Missing
		case errors.Is(e, wal.ErrMismatch):
			kind = Foreign
		case errors.Is(e, wal.ErrCut):
			kind = Cut
		case errors.Is(e, fs.ErrPermission):
			kind = Denied
		case e.Cause != nil:
			kind = IO
		}
		out = append(out, &Damage{e.Invariant, e.Path, e.Offset, kind, e.Reason})
	}
	return out
}
