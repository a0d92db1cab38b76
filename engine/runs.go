package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/lightning-db/lightning/engine/internal/btree"
	"github.com/lightning-db/lightning/engine/internal/filter"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/merge"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/internal/wal"
)

// Merging a memtable of random keys straight into a large tree writes a whole
// leaf anew for every few entries. So where that is so, a checkpoint writes
// the memtable as a sorted run in front of the tree, and the runs are merged
// into it together, when there are several. That happens a slice at a time (as
// in the rolling merge of O'Neil et al., "The Log-Structured Merge-Tree",
// 1996): each checkpoint merges the runs' next smallest keys, and frees them
// in the runs, so that no checkpoint takes long.
//
// Invariants:
//
//  1. Runs are newer than the tree, and the first of them is the newest: of
//     the versions of a key, the first that is met counts.
//  2. Only the oldest runs are merged into the tree, all of them over one
//     range of keys, and in one generation these keys leave the runs.
//  3. While there are runs, a memtable becomes a run, too, or is merged into
//     the tree together with all of them.
//  4. Range tombstones are in no run: a memtable that has any is merged.

const (
	// mostRuns is how many runs there may be: those that are being merged and
	// those that gather meanwhile. With as many, an entry of the catalog is not
	// longer than half its page, whatever the name: never in an overflow extent.
	mostRuns = 30
	// How many runs gather before they are merged: so many that an entry that
	// is merged has about two of the tree's written with it, within these
	// bounds. More runs make writes cheaper and reads dearer.
	minGathered, maxGathered = 4, 16
	// fewTimes is how many times the entries of a memtable may be in runs that
	// are merged together with it, when it is not scattered.
	fewTimes = 4
	// scatter is from how many bytes of leaves for one of entries on a run is
	// written.
	scatter = 4
)

// run is a sorted run. Immutable.
type run struct {
	tree      *btree.Tree
	filter    *filter.Filter // nil, which lets every key pass, where it cannot be read
	filterRef node.Ref       // the extent that it is stored in
	bytes     uint64         // of keys and values, about
	merging   bool           // it has begun to be merged into the tree
}

// openRun opens the run that b describes, a part of an entry of the catalog.
// Without its filter it can be read all the same.
func openRun(p *pager.Pager, sp *space, b []byte) (*run, error) {
	r := &run{
		tree:      btree.Open(p, node.GetRef(b), sp.config),
		filterRef: node.GetRef(b[node.RefSize:]),
		bytes:     binary.LittleEndian.Uint64(b[2*node.RefSize:]),
	}
	if r.tree.Len() == 0 || r.filterRef.IsZero() {
		return nil, errors.New("an empty run")
	}
	if stored, err := p.ReadPlain(r.filterRef, sp.id); err == nil {
		r.filter, _ = filter.Decode(stored)
	}
	return r, nil
}

// size returns how many entries the tree and the runs have, and their bytes.
func (sp *space) size() (entries, bytes uint64) {
	entries, bytes = sp.tree.Len(), sp.bytes
	for _, r := range sp.runs {
		entries += r.tree.Len()
		bytes += r.bytes
	}
	return entries, bytes
}

// freeSpace frees all that a keyspace has in the file.
func freeSpace(w *pager.Writer, sp *space) error {
	for _, r := range sp.runs {
		if err := freeRun(w, r); err != nil {
			return err
		}
	}
	return btree.FreeAll(w, sp.tree)
}

func freeRun(w *pager.Writer, r *run) error {
	w.Free(r.filterRef)
	return btree.FreeAll(w, r.tree)
}

// writeSpace writes what the memtables hold of a keyspace.
func (db *DB) writeSpace(ctx context.Context, w *pager.Writer, sp *space, frozen []*mem) (*space, error) {
	var sources []merge.Source
	var deletes []kv.RangeDeletes
	var ranges kv.RangeDeletes
	for _, m := range frozen {
		if m.table.Empty(sp.id) {
			continue
		}
		sources = append(sources, m.table.NewCursor(sp.id, kv.MaxSeq))
		if d := m.table.RangeDeletes(sp.id, kv.MaxSeq); d != nil {
			deletes = append(deletes, d)
			ranges = append(ranges, d...)
		}
	}
	if len(sources) == 0 {
		return sp, nil
	}
	edits := merged(sources, deletes)
	if len(ranges) == 0 {
		most := uint64(0) // that there can be of them
		for _, m := range frozen {
			most += uint64(m.table.Len())
		}
		scattered, entries, err := db.scattered(sp, edits, most)
		if err != nil {
			return nil, err
		}
		if scattered || sp.inRuns() > fewTimes*entries {
			return db.writeRun(ctx, w, sp, edits, scattered)
		}
	}
	for _, r := range sp.runs {
		sources = append(sources, r.tree.NewCursorOnce())
	}
	next, err := mergeIntoTree(ctx, w, sp, merged(sources, deletes), union(ranges))
	if err != nil {
		return nil, err
	}
	for _, r := range sp.runs {
		if err := freeRun(w, r); err != nil {
			return nil, err
		}
	}
	next.runs = nil
	return next, nil
}

// merged returns a cursor of the newest entries of the sources, tombstones
// included.
func merged(sources []merge.Source, deletes []kv.RangeDeletes) kv.Cursor {
	if len(sources) == 1 && len(deletes) == 0 {
		return sources[0]
	}
	c := new(merge.Cursor)
	c.Reset(sources, deletes, true)
	return c
}

// scattered reports whether the edits would touch many leaves for their size:
// whether it pays to write them as a run. It returns about how many there are,
// at most most.
func (db *DB) scattered(sp *space, edits kv.Cursor, most uint64) (yes bool, entries uint64, err error) {
	least := uint64(db.opts.MemtableBytes) // to write less than that is no pain
	if sp.bytes < least && len(sp.runs) == 0 {
		return false, most, nil
	}
	f, err := measure(sp.tree, edits)
	if err != nil {
		return false, 0, err
	}
	if entries = f.entries; f.part {
		entries = most
	}
	page := uint64(sp.config.PageSize)
	cost := f.leaves * page
	all := cost / max(f.entries, 1) * entries
	return cost > scatter*f.bytes && (all > least || len(sp.runs) > 0), entries, nil
}

// inRuns returns how many entries are in runs.
func (sp *space) inRuns() (entries uint64) {
	for _, r := range sp.runs {
		entries += r.tree.Len()
	}
	return entries
}

// footprint is what the first of some edits would touch in a tree.
type footprint struct {
	entries uint64 // edits that were looked at
	part    bool   // there are more
	bytes   uint64 // of their keys and values
	leaves  uint64 // about how many they belong in
}

// measure looks at the first edits.
func measure(t *btree.Tree, edits kv.Cursor) (f footprint, err error) {
	const every = 32 // entries, a pair of neighbours is looked up
	const maxLook = 1 << 14
	var before []byte
	pairs, apart := uint64(0), uint64(0)
	for ok := edits.First(); ok; ok = edits.Next() {
		if f.entries == maxLook {
			f.part = true
			break
		}
		key := edits.Key()
		value, err := edits.Value()
		if err != nil {
			return f, err
		}
		f.bytes += uint64(len(key) + len(value))
		if f.entries%every == 1 {
			same, err := t.SameLeaf(before, key)
			if err != nil {
				return f, err
			}
			if pairs++; !same {
				apart++
			}
		}
		if f.entries%every == 0 {
			before = append(before[:0], key...)
		}
		f.entries++
	}
	if f.leaves = f.entries; pairs > 0 {
		f.leaves = 1 + f.entries*apart/pairs
	}
	return f, edits.Err()
}

// writeRun writes the edits as the newest run, and merges a slice of the
// oldest ones into the tree when it is time: at once where the edits are not
// scattered, so that later ones can go straight into the tree.
func (db *DB) writeRun(ctx context.Context, w *pager.Writer, sp *space, edits kv.Cursor, scattered bool) (*space, error) {
	tree, keys, stats, err := btree.BuildRun(ctx.Err, w, db.version.Load().pager, sp.config, edits)
	if err != nil {
		return nil, err
	}
	next := *sp
	next.runs = nil
	if tree.Len() > 0 {
		ref, err := w.WriteOverflow(sp.id, keys.Encode(), 0)
		if err != nil {
			return nil, err
		}
		next.runs = append(next.runs, &run{tree: tree, filter: keys, filterRef: ref, bytes: uint64(stats.KeyBytes + stats.ValueBytes)})
	}
	next.runs = append(next.runs, sp.runs...)
	slice := 3 * int(tree.Len()) / 2 // so that they are merged before as many have gathered again
	switch {
	case len(sp.runs) >= mostRuns-1:
		slice = math.MaxInt
	case !scattered:
		return mergeRuns(ctx, w, &next, len(next.runs)-len(sp.runs), 2*slice)
	}
	return mergeSlice(ctx, w, &next, len(sp.runs), slice)
}

// mergeSlice merges about so many entries, the smallest keys of the oldest
// runs, into the tree: of those that have begun to be merged, else of the
// oldest, once enough have gathered.
func mergeSlice(ctx context.Context, w *pager.Writer, sp *space, oldest, entries int) (*space, error) {
	first := len(sp.runs) - oldest
	switch last := len(sp.runs) - 1; {
	case sp.runs[last].merging:
		for first = last; first > 0 && sp.runs[first-1].merging; first-- {
		}
	case oldest < gathered(sp, oldest):
		return sp, nil
	}
	return mergeRuns(ctx, w, sp, first, entries)
}

// gathered is how many runs are to be merged at once, given the oldest ones.
func gathered(sp *space, oldest int) int {
	entries := uint64(0)
	for _, r := range sp.runs[len(sp.runs)-oldest:] {
		entries += r.tree.Len()
	}
	if entries == 0 {
		return minGathered
	}
	n := sp.tree.Len() * uint64(oldest) / (2 * entries)
	return int(min(max(n, minGathered), maxGathered))
}

// mergeRuns merges about so many entries, the smallest keys, of the runs from
// the one of that index on, into the tree.
func mergeRuns(ctx context.Context, w *pager.Writer, sp *space, from, entries int) (*space, error) {
	old := sp.runs[from:]
	sources := make([]merge.Source, len(old))
	for i, r := range old {
		sources[i] = r.tree.NewCursorOnce()
	}
	edits := &slice{left: entries}
	edits.Reset(sources, nil, true)
	next, err := mergeIntoTree(ctx, w, sp, edits, nil)
	if err != nil {
		return nil, err
	}
	next.runs = append([]*run(nil), sp.runs[:from]...)
	for _, r := range old {
		if edits.end == nil {
			if err := freeRun(w, r); err != nil {
				return nil, err
			}
			continue
		}
		rest := *r
		rest.merging = true
		if rest.tree, err = btree.Trim(ctx.Err, w, r.tree, edits.end); err != nil {
			return nil, err
		}
		if rest.tree.Len() == 0 {
			w.Free(r.filterRef)
			continue
		}
		rest.bytes = uint64(float64(r.bytes) * float64(rest.tree.Len()) / float64(r.tree.Len()))
		next.runs = append(next.runs, &rest)
	}
	return next, nil
}

// slice is a merge.Cursor that ends early, and remembers where. It is walked
// forward only.
type slice struct {
	merge.Cursor
	left int
	end  []byte // the first key that was not shown; nil: all were
}

func (s *slice) Next() bool {
	if !s.Cursor.Next() {
		return false
	}
	if s.left--; s.left <= 0 {
		s.end = append([]byte{}, s.Key()...)
		return false
	}
	return true
}

// mergeIntoTree merges the edits into the tree of a keyspace.
func mergeIntoTree(ctx context.Context, w *pager.Writer, sp *space, edits kv.Cursor, ranges kv.RangeDeletes) (*space, error) {
	tree, stats, err := btree.Merge(ctx.Err, w, sp.tree, edits, ranges)
	if err != nil {
		return nil, err
	}
	next := *sp
	next.tree = tree
	next.bytes = uint64(max(0, int64(sp.bytes)+stats.KeyBytes+stats.ValueBytes)) // it may have been an estimate
	switch {
	case tree.Len() == 0:
		next.bytes = 0
	case stats.Unread > 0: // how long those were is not known
		next.bytes = uint64(float64(next.bytes) * float64(tree.Len()) / float64(tree.Len()+stats.Unread))
	}
	return &next, nil
}

// How runs are merged while little is written: so many entries at a time, when
// no more than so many bytes were logged in that time.
const (
	quietTime    = time.Second
	quietBytes   = 1 << 20
	settledSlice = 1 << 18
)

// settle merges all runs into the trees. The caller holds checkpointMu.
func (db *DB) settle(ctx context.Context) error {
	for {
		more, err := db.settleSome(ctx)
		if err != nil || !more {
			return err
		}
	}
}

// settleQuietly merges runs until there are none, or the log has reached until.
// It returns an error of the last try: nobody waits for it, so only a listener is told.
func (db *DB) settleQuietly(ctx context.Context, until wal.LSN) error {
	for more := true; more && db.log.End() <= until; {
		var err error
		db.checkpointMu.Lock()
		more, err = db.settleSome(ctx)
		db.checkpointMu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// settleSome merges a slice of the runs of every keyspace that has any, and
// reports whether there are more. The caller holds checkpointMu.
func (db *DB) settleSome(ctx context.Context) (more bool, err error) {
	idle := true
	for _, sp := range db.disk {
		idle = idle && len(sp.runs) == 0
	}
	if idle {
		return false, nil
	}
	meta := db.version.Load().pager.Meta()
	disk, err := db.writeTrees(generation{
		kind:   CheckpointRuns,
		wanted: &spaces{byID: db.disk, next: meta.NextKeyspace},
		change: func(w *pager.Writer, sp *space) (*space, error) {
			if len(sp.runs) == 0 {
				return sp, nil
			}
			return mergeRuns(ctx, w, sp, 0, settledSlice)
		},
		meta: func(m *pager.Meta) { m.LogEnd = 0 },
	})
	if err != nil {
		return false, db.checkpointFailed(err)
	}
	db.installTrees(disk, nil)
	return true, nil
}
