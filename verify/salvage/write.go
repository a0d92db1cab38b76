package salvage

import (
	"context"
	"errors"
	"fmt"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
)

// writer writes to the new database.
type writer struct {
	ctx    context.Context
	db     *engine.DB
	batch  *engine.Batch
	spaces map[uint32]space // by the id in the source
}

// space is a keyspace of the new database, and the batch for it.
type space struct {
	name  string
	batch *engine.Batch
}

// batchBytes and batchOps are how much one commit takes.
const (
	batchBytes = 1 << 20
	batchOps   = 4096
)

func newWriter(ctx context.Context, db *engine.DB) *writer {
	w := &writer{ctx: ctx, db: db, batch: db.NewBatch()}
	w.spaces = map[uint32]space{0: {"", w.batch}}
	return w
}

// create makes the keyspace of an id of the source, if there is none yet.
func (w *writer) create(id uint32, name string, page uint32, codec uint8) error {
	if _, have := w.spaces[id]; have {
		return nil
	}
	if err := w.flush(); err != nil {
		return err
	}
	if name == "" {
		name = fmt.Sprintf("keyspace-%d", id)
	}
	o := &engine.KeyspaceOptions{PageSize: int(page), Compression: engine.Compression(codec)}
	ks, err := w.db.CreateKeyspace(name, o)
	for errors.Is(err, engine.ErrKeyspaceExists) { // of another id: an earlier or a later one
		name = fmt.Sprintf("%s-%d", name, id)
		ks, err = w.db.CreateKeyspace(name, o)
	}
	if err != nil {
		return err
	}
	w.spaces[id] = space{name, w.batch.In(ks)}
	return nil
}

// in returns the batch, for the keyspace of an id of the source.
func (w *writer) in(id uint32) (*engine.Batch, error) {
	if err := w.create(id, "", 0, 0); err != nil {
		return nil, err
	}
	return w.spaces[id].batch, nil
}

func (w *writer) put(id uint32, e entry) error {
	b, err := w.in(id)
	if err != nil {
		return err
	}
	if e.tombstone {
		err = b.Delete(e.key)
	} else {
		err = b.Put(e.key, e.value)
	}
	if err != nil {
		return err
	}
	return w.full()
}

// full commits the batch once it is large enough.
func (w *writer) full() error {
	if w.batch.Bytes() < batchBytes && w.batch.Len() < batchOps {
		return nil
	}
	return w.flush()
}

func (w *writer) flush() error {
	if w.batch.Len() == 0 {
		return w.ctx.Err()
	}
	err := w.db.Apply(w.ctx, w.batch)
	w.batch.Reset()
	return err
}

// write writes all sources, from the oldest to the newest.
func (s *salvage) write(w *writer) error {
	for i := range s.trees {
		k := &s.trees[i]
		if err := w.create(k.id, k.name, k.page, k.codec); err != nil {
			return err
		}
	}
	known := map[uint32]bool{}
	for i := range s.trees {
		known[s.trees[i].id] = true
		if err := s.writeKeyspace(w, &s.trees[i]); err != nil {
			return err
		}
	}
	for i := range s.leaves { // of keyspaces that the catalog lost
		if l := &s.leaves[i]; !known[l.keyspace] {
			if err := s.writeLeaf(w, l, func([]byte) bool { return true }); err != nil {
				return err
			}
		}
	}
	if err := s.writeLog(w); err != nil {
		return err
	}
	return w.flush()
}

// writeKeyspace writes the sources of k. What was found for a loss comes where
// the source that lost it has its place; where several have, before the first
// of them, so that it hides nothing that is newer.
func (s *salvage) writeKeyspace(w *writer, k *keyspace) error {
	found := false
	for i := range k.sources {
		if len(k.sources[i].lost) > 0 && !found {
			found = true
			if err := s.writeFound(w, k); err != nil {
				return err
			}
		}
		walk := s.walker(k.id)
		again := map[uint64]bool{}
		walk.reached = func(ref inspect.Ref) bool {
			first := !again[ref.Offset]
			again[ref.Offset] = true
			if len(again)%1024 == 0 {
				s.progress()
			}
			return first
		}
		walk.lost = func(Loss) {} // known from the survey
		walk.entry = func(e entry) error { return w.put(k.id, e) }
		if err := walk.walk(k.sources[i].root); err != nil {
			return err
		}
	}
	return nil
}

// writeFound writes what was found for the losses of k, and where it is proved
// to be what was lost, counts it.
func (s *salvage) writeFound(w *writer, k *keyspace) error {
	gaps := k.gaps()
	for i := range s.leaves {
		if s.leaves[i].keyspace != k.id {
			continue
		}
		err := s.writeLeaf(w, &s.leaves[i], func(key []byte) bool {
			g := gapOf(gaps, key)
			if g != nil && g.loss >= 0 && !s.report.Losses[g.loss].Stale {
				s.report.Losses[g.loss].Found++
			}
			return g != nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// writeLeaf writes the entries of l that are wanted.
func (s *salvage) writeLeaf(w *writer, l *leaf, wanted func(key []byte) bool) error {
	walk := s.walker(l.keyspace)
	walk.reached = func(inspect.Ref) bool { return true }
	walk.lost = func(Loss) {} // it was lost already
	walk.entry = func(e entry) error {
		if !wanted(e.key) {
			return nil
		}
		return w.put(l.keyspace, e)
	}
	return walk.walk(l.ref)
}

// writeLog writes what the log holds, beyond its damage too.
func (s *salvage) writeLog(w *writer) error {
	var failed error // not of the log
	report, damages, err := s.db.Log(func(r inspect.Record) error {
		for op := range r.All() {
			s.report.LogOps++
			if failed = w.apply(op); failed != nil {
				return failed
			}
		}
		failed = w.full()
		return failed
	})
	s.report.TornBytes = report.TornBytes
	s.report.Omitted += report.Omitted
	for _, d := range damages {
		if d.Kind == inspect.Missing && !s.report.Meta && d.Path != s.db.LogDir() {
			continue // the log is read from wherever it begins
		}
		l := lossOf(d)
		l.mended = report.Mended
		if d.Kind == inspect.Cut {
			s.report.TornBytes = 0
		}
		if !l.mended {
			l.Reason += "; what was saved of the log may be incomplete"
		}
		s.lose(l)
	}
	if err != nil && failed == nil {
		s.lose(Loss{Path: s.db.LogDir(), Kind: inspect.IO, Reason: err.Error()})
		return s.ctx.Err()
	}
	return err
}

// apply writes an operation of the log.
func (w *writer) apply(op inspect.Operation) error {
	switch op.Kind {
	case "create keyspace":
		return w.create(op.Keyspace, op.Name, op.PageSize, op.Codec)
	case "drop keyspace":
		ks, have := w.spaces[op.Keyspace]
		if !have {
			return nil
		}
		delete(w.spaces, op.Keyspace)
		if err := w.flush(); err != nil {
			return err
		}
		return w.db.DropKeyspace(ks.name)
	}
	b, err := w.in(op.Keyspace)
	if err != nil {
		return err
	}
	switch op.Kind {
	case "set":
		return b.Put(op.Key, op.Value)
	case "delete":
		return b.Delete(op.Key)
	}
	return b.DeleteRange(op.Key, op.Value)
}
