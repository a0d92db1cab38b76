package verify

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/lightning-db/lightning/engine/inspect"
)

// verifier is one reading of one generation. Its parts are judged in this
// order: the log, the metas, the catalog, the trees that it lists, and what
// space they leave.
type verifier struct {
	ctx      context.Context
	db       *inspect.DB
	quick    bool
	sample   float64
	explain  atomic.Int64 // how many more extents are to be explained
	progress func(Progress)

	found, notes findings
	used         units
	// incomplete says that there are extents which are not known, because
	// what leads to them cannot be read.
	incomplete atomic.Bool

	nodes, keys atomic.Uint64
	bytes       atomic.Int64 // read
	total       int64        // about what there is to read
	segments    []inspect.Segment
	log         inspect.LogReport
	spaced      bool // the log is whole, and has operations on other keyspaces than the default one
	catalogLost bool // a part of the catalog cannot be read

	tokens  chan struct{} // one for each goroutine that works
	workers sync.WaitGroup
	readers sync.Pool

	showing sync.Mutex // held while progress is called
	shown   int64      // guarded by showing: bytes at the last time
	step    int64      // bytes between two calls of it
}

func newVerifier(ctx context.Context, db *inspect.DB, o Options) *verifier {
	v := &verifier{ctx: ctx, db: db, quick: o.Quick, sample: o.Sample, progress: o.Progress, tokens: make(chan struct{}, o.Workers)}
	v.used.chunks = make(map[uint64]*[chunkWords]uint64)
	v.readers.New = func() any { return &reader{Reader: db.NewReader(), key: make([]byte, 0, 128)} }
	v.total = int64(db.Meta.BytesUsed)
	v.step = progressStep
	if o.BytesPerSecond > 0 {
		v.step = min(v.step, o.BytesPerSecond/4)
	}
	if v.progress != nil {
		v.progress(Progress{Total: v.total})
	}
	if o.Explain {
		v.explain.Store(maxExplained)
	}
	if o.Sample > 0 {
		v.incomplete.Store(true)
	}
	v.log.Seq = db.Meta.Seq
	return v
}

func (v *verifier) report() Report {
	return Report{
		Keys: v.keys.Load(), Nodes: v.nodes.Load(), Bytes: v.bytes.Load(), FileBytes: v.db.Size,
		Segments: len(v.segments), LogRecords: v.log.Records, LogOps: v.log.Operations, TornBytes: v.log.TornBytes,
		Generation: v.db.Meta.Generation, Seq: v.log.Seq, Quick: v.quick, Sample: v.sample,
		Findings: v.found.sorted(), Notes: v.notes.sorted(), Omitted: v.found.omitted, CatalogLost: v.catalogLost,
	}
}

func (v *verifier) add(f Finding) { v.found.add(func() Finding { return f }) }

// addAt adds a finding about the trees' file that concerns no keys.
func (v *verifier) addAt(off uint64, invariant, kind, format string, args ...any) {
	v.add(Finding{Invariant: invariant, Path: v.db.Path(), Offset: int64(off), Kind: kind, Reason: fmt.Sprintf(format, args...)})
}

// checkSlots judges the metas. A place that holds no meta is what a crash
// leaves which met the writing of one: nothing is lost by it, as another place
// names a whole state and the log holds all that came after. Where the log
// does not, the meta that is gone was the newest. Anything else that is wrong
// with a place no crash can do.
func (v *verifier) checkSlots() {
	torn := v.found.count() == 0 // what was found until now is of the log
	for _, s := range v.db.Slots {
		switch {
		case s.Damage == nil:
		case s.Damage.Kind == inspect.Checksum && torn:
			f := findingOf(s.Damage)
			f.Reason += "; a crash that meets the writing of a meta leaves this"
			v.notes.add(func() Finding { return f })
		default:
			v.add(findingOf(s.Damage))
		}
	}
	// A generation is made from the one before, which stands in the other
	// slot, or as its copy.
	other := v.db.Slots[(v.db.Meta.Generation+1)%2*2:][:2]
	older := max(other[0].Meta.Generation, other[1].Meta.Generation)
	if other[0].Damage == nil && older+1 < v.db.Meta.Generation {
		v.addAt(uint64(other[0].Offset), "M1", inspect.Stale, "generation %d stands beside generation %d: a write was lost",
			older, v.db.Meta.Generation)
	}
	if m := &v.db.Meta; m.Seq >= inspect.MaxSeq || m.NextKeyspace == 0 {
		v.addAt(m.Generation%2*4096, "M1", inspect.Structure, "the meta tells sequence number %d and next keyspace %d", m.Seq, m.NextKeyspace)
	}
	if m := &v.db.Meta; uint64(v.db.Size) < m.FileSize {
		v.addAt(uint64(v.db.Size), "M2", inspect.Truncated, "the file ends here, its meta tells a size of %d", m.FileSize)
	}
}

// maxExplained is how many extents are explained.
const maxExplained = 100

// skips reports whether a leaf is left out of the sample.
func (v *verifier) skips() bool { return v.sample > 0 && rand.Float64() >= v.sample }

// reader is what one goroutine reads with.
type reader struct {
	*inspect.Reader
	lower, upper, key []byte
}

// fork runs job on a goroutine of its own if there is one to spare, and else
// at once, with r.
func (v *verifier) fork(r *reader, job func(r *reader)) {
	select {
	case v.tokens <- struct{}{}:
		v.workers.Go(func() {
			r := v.readers.Get().(*reader)
			job(r)
			v.account(r)
			v.readers.Put(r)
			<-v.tokens
		})
	default:
		job(r)
	}
}

// run runs job and waits for all that it forked.
func (v *verifier) run(job func(r *reader)) error {
	r := v.readers.Get().(*reader)
	v.tokens <- struct{}{}
	job(r)
	<-v.tokens // from here it only waits
	v.account(r)
	v.readers.Put(r)
	v.workers.Wait()
	return v.ctx.Err()
}

// progressStep is how many bytes are read between two calls of progress, at most.
const progressStep = 8 << 20

// account adds what r has read, and shows it.
func (v *verifier) account(r *reader) {
	bytes := v.bytes.Add(r.Bytes)
	r.Bytes = 0
	if v.progress == nil || !v.showing.TryLock() {
		return
	}
	defer v.showing.Unlock()
	if bytes < v.shown+v.step {
		return
	}
	v.shown = bytes
	v.progress(Progress{Nodes: v.nodes.Load(), Bytes: bytes, Total: max(v.total, bytes), Findings: v.found.count()})
}
