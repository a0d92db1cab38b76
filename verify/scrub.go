package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/engine/vfs"
)

// Pass is one reading of all of a database by Scrub, in as many calls as it was
// stopped.
//
//  1. It goes by keyspace, and in a keyspace by key, through the tree and the
//     sorted runs at once. What hangs at the keys before its place was read:
//     leaves, values, and the branches above. Before the first keyspace the log,
//     the metas and the free list were, and before the keys of each the filters
//     of its runs. The catalog is read in each part.
//  2. A key stays where it is, whatever checkpoints write meanwhile. So a byte
//     that is in use from the beginning of a pass to its end is read in it. What
//     is written during the pass may be left to the next one.
type Pass struct {
	Database [16]byte // UUID
	Began    time.Time
	Ended    time.Time // zero: there is more to read
	Keyspace uint64    // its place: what is next, the number of a keyspace
	Key      []byte    // and in it a key
	Parts    uint64    // in which it was read until now
	Keys     uint64    // until now, as in Report, and so are these; the ends of runs are read twice
	Nodes    uint64
	Bytes    int64
	Findings []Finding // in the order in which they were found
	Omitted  uint64
	Earlier  int // of Findings, how many Found was not called with: those of earlier calls
}

// What is kept of findings in a file that is written every few seconds.
const (
	maxKept      = 1000
	maxKeptBytes = 1 << 20
)

// A part is so much of one generation, which is held meanwhile. After a power
// cut it is read again.
const (
	partBytes   = 32 << 20
	partSeconds = 10
)

// Scrub verifies the database in dir as Run does, but in parts of a few
// seconds, each of the newest generation, so that reading for hours keeps no
// space from being used again; and it keeps in file how far it came. It returns
// when a pass is complete, or Options.Duration is over: each call that is left to
// end comes further. After a pass that was stopped, by that, ctx or a power cut,
// the next call goes on with it; after a complete one it begins another. A file is
// for one call at a time.
//
// A program calls it beside its own open database, in a goroutine, with
// BytesPerSecond and Found; what is appended to the database each second has to
// be less, or the pass does not come to its end. Quick and Sample are not for it.
// Whether all space of btree.db is in use once or free (M3) only Run tells.
//
// Errors: those of Run; engine.ErrInvalid when something else is in file, or the
// pass of another database; those of writing it. The pass is returned as far as
// it came.
func Scrub(ctx context.Context, dir, file string, o Options) (*Pass, error) {
	s := &scrub{ctx: ctx, dir: dir, file: passFile{o.FS, file}, o: o}
	if s.file.fs == nil {
		s.file.fs = vfs.OS()
	}
	s.o.defaults(ctx)
	if o.Duration > 0 {
		s.end = time.Now().Add(o.Duration)
	}
	if err := s.run(); err != nil {
		return &s.pass, fmt.Errorf("verify %s: %w", dir, err)
	}
	return &s.pass, nil
}

// scrub is a call of Scrub.
type scrub struct {
	ctx  context.Context
	dir  string
	file passFile
	o    Options
	pass Pass      // as it is in the file, but for what part adds
	end  time.Time // zero: none
}

// late reports whether the time is over.
func (s *scrub) late() bool { return !s.end.IsZero() && time.Now().After(s.end) }

func (s *scrub) run() error {
	if s.o.Quick || s.o.Sample > 0 {
		return fmt.Errorf("%w: a scrub with Quick or Sample", engine.ErrInvalid)
	}
	switch p, err := s.file.read(); {
	case err != nil:
		return err
	case p != nil && p.Ended.IsZero():
		s.pass = *p
		s.pass.Earlier = len(p.Findings)
	case p != nil:
		s.pass = Pass{Database: p.Database, Began: time.Now()}
	default:
		s.pass = Pass{Began: time.Now()}
	}
	for {
		if err := s.part(); err != nil || s.late() || !s.pass.Ended.IsZero() {
			return err
		}
	}
}

// part reads the next part and writes the file.
func (s *scrub) part() error {
	for try := 1; ; try++ {
		next := s.pass
		v, overtaken, err := s.read(&next, try == maxTries)
		switch {
		case overtaken:
			continue
		case err != nil && s.ctx.Err() == nil, v == nil:
			return err
		}
		next.add(v, s.o.Found)
		s.pass = next
		if s.o.Progress != nil {
			s.o.Progress(Progress{Nodes: next.Nodes, Bytes: next.Bytes, Total: max(v.total, next.Bytes), Findings: int(next.Count())})
		}
		if fileErr := s.file.write(&next); fileErr != nil {
			return fileErr
		}
		return err
	}
}

// read reads on from where next is, until it was a part or ctx is done, and
// moves next. Unless it is the last try, it reports whether what was found may
// have been replaced meanwhile, and be no damage. Without a verifier it is as if
// nothing had been read.
func (s *scrub) read(next *Pass, last bool) (v *verifier, overtaken bool, err error) {
	db, err := inspect.Open(s.o.FS, s.dir)
	if d := inspect.AsDamage(err); d != nil { // there is nothing that could be read on
		next.Ended = time.Now()
		return lost(d), false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	switch {
	case next.Database == [16]byte{}:
		next.Database = db.Meta.UUID
	case next.Database != db.Meta.UUID:
		return nil, false, s.file.invalid(fmt.Sprintf("it is of database %x, and %s is %x", next.Database, s.dir, db.Meta.UUID))
	}
	o := s.o
	if o.Progress != nil {
		o.Progress = func(p Progress) {
			p.Nodes, p.Bytes, p.Findings = p.Nodes+next.Nodes, p.Bytes+next.Bytes, p.Findings+int(next.Count())
			p.Total = max(p.Total, p.Bytes)
			s.o.Progress(p)
		}
	}
	v = newVerifier(s.ctx, db, o)
	v.incomplete.Store(true)
	first := next.Parts == 0
	if first {
		if err := s.file.write(next); err != nil { // before hours are spent
			return nil, false, err
		}
		if overtaken, err := v.checkHead(); overtaken && !last || err != nil {
			return nil, overtaken, err
		}
	}
	spaces, err := v.checkCatalog()
	if err == nil && first {
		err = v.checkOperations(spaces)
	}
	if err == nil && first {
		err = v.run(func(r *reader) { v.checkFreeList(r) })
	}
	if err != nil {
		return nil, false, err
	}
	limit := int64(partBytes)
	if s.o.BytesPerSecond > 0 {
		limit = min(limit, partSeconds*s.o.BytesPerSecond)
	}
	err = v.walk(spaces, next, func() bool { return v.bytes.Load() >= limit || s.late() })
	if v.found.count() > 0 && !db.Pinned() && !last {
		moved, movedErr := db.Moved()
		return v, moved, errors.Join(err, movedErr)
	}
	return v, false, err
}

// lost is a verifier that could read nothing.
func lost(d *inspect.Damage) *verifier {
	v := new(verifier)
	v.add(findingOf(d))
	return v
}

// Count is how many findings there were.
func (p *Pass) Count() uint64 { return uint64(len(p.Findings)) + p.Omitted }

// add adds what a part read, and tells of the findings that are new: what is
// above many keys is read in many parts.
func (p *Pass) add(v *verifier, tell func(Finding)) {
	p.Parts++
	p.Keys += v.keys.Load()
	p.Nodes += v.nodes.Load()
	p.Bytes += v.bytes.Load()
	p.Omitted += v.found.omitted
	for _, f := range v.found.sorted() {
		if p.has(&f) {
			continue
		}
		if tell != nil {
			tell(f)
		}
		size := 0
		for i := range p.Findings {
			size += p.Findings[i].size()
		}
		if len(p.Findings) >= maxKept || size >= maxKeptBytes {
			p.Omitted++
			continue
		}
		p.Findings = append(p.Findings, f)
	}
}

func (p *Pass) has(f *Finding) bool {
	for i := range p.Findings {
		k := &p.Findings[i]
		if k.Offset == f.Offset && k.Invariant == f.Invariant && k.Kind == f.Kind && k.Path == f.Path &&
			k.Keyspace == f.Keyspace && bytes.Equal(k.Start, f.Start) {
			return true
		}
	}
	return false
}

// walk walks the keyspaces from where next is, and as soon as it has come further
// asks whether that is enough.
func (v *verifier) walk(spaces []inspect.Keyspace, next *Pass, enough func() bool) error {
	for i := range spaces {
		k := &spaces[i]
		switch id := uint64(k.ID); {
		case id < next.Keyspace:
			continue
		case id > next.Keyspace:
			next.Keyspace, next.Key = id, nil
		}
		if more, err := v.walkKeyspace(k, next, enough); more || err != nil {
			return err
		}
	}
	next.Ended = time.Now()
	return nil
}

// walkKeyspace walks the tree and the runs of a keyspace together, from the key
// where next is. It reports whether the part ended before there was no more.
func (v *verifier) walkKeyspace(k *inspect.Keyspace, next *Pass, enough func() bool) (more bool, err error) {
	from := next.Key
	walkers := []*walker{newWalker(v, k, k.Root, false)}
	for _, run := range k.Runs {
		w := newWalker(v, k, run.Root, true)
		walkers = append(walkers, w)
		if len(from) == 0 {
			if err := v.run(func(r *reader) { w.t.filter(r, run.Filter) }); err != nil {
				return true, err
			}
		}
	}
	for {
		var least *walker
		for _, w := range walkers {
			if !w.done && (least == nil || bytes.Compare(w.at, least.at) < 0) {
				least = w
			}
		}
		if least == nil {
			next.Keyspace, next.Key = next.Keyspace+1, nil
			return enough(), nil
		}
		if bytes.Compare(least.at, next.Key) > 0 {
			next.Key = least.at
			if enough() {
				return true, nil
			}
		}
		keys := v.keys.Load()
		if err := v.run(func(r *reader) { least.next(r, from) }); err != nil {
			v.keys.Store(keys) // they are read again
			return true, err
		}
	}
}
