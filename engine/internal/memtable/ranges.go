package memtable

import (
	"bytes"
	"slices"
	"sync/atomic"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// ranges holds the range tombstones of a keyspace. It is immutable but for
// the cache; a new tombstone makes a new one.
//
// The fragments of all tombstones are kept ready, at a cost of O(fragments)
// for each DeleteRange. Those of an older moment are built when a reader asks,
// from the nearest ones at hand, and kept: readers of one snapshot ask again
// and again.
type ranges struct {
	tombstones []kv.RangeDelete // by sequence number
	newest     kv.RangeDeletes
	cache      *[rangesCached]atomic.Pointer[fragments] // as of n tombstones, at n modulo its length
}

const (
	rangesCached = 4
	rangeBytes   = 56 // of a kv.RangeDelete
)

// fragments are those of the first n tombstones.
type fragments struct {
	n    int
	list kv.RangeDeletes
}

// deleteRange adds a tombstone. One writer at a time.
func (t *tree) deleteRange(a *arena, d kv.RangeDelete) {
	d.Start, d.End = bytes.Clone(d.Start), bytes.Clone(d.End)
	old := t.ranges.Load()
	if old == nil {
		old = &ranges{cache: new([rangesCached]atomic.Pointer[fragments])}
	} else {
		old.keep(&fragments{len(old.tombstones), old.newest})
	}
	r := &ranges{
		tombstones: append(old.tombstones, d),
		newest:     overlay(old.newest, d),
		cache:      old.cache,
	}
	// Counted as though the cache were full of lists as long as the newest.
	lists := (len(r.newest) - len(old.newest)) * (1 + rangesCached)
	a.held.Add(int64(len(d.Start) + len(d.End) + (1+lists)*rangeBytes))
	t.ranges.Store(r)
}

// asOf returns the fragments of the tombstones up to seq.
func (r *ranges) asOf(seq kv.Seq) kv.RangeDeletes {
	n := len(r.tombstones)
	if r.tombstones[n-1].Seq <= seq {
		return r.newest
	}
	n, _ = slices.BinarySearchFunc(r.tombstones, seq+1, func(d kv.RangeDelete, seq kv.Seq) int {
		return int(min(max(int64(d.Seq)-int64(seq), -1), 1))
	})
	if n == 0 {
		return nil
	}
	var from fragments
	for i := range r.cache {
		if f := r.cache[i].Load(); f != nil && f.n <= n && f.n > from.n {
			from = *f
		}
	}
	if from.n == n {
		return from.list
	}
	for _, d := range r.tombstones[from.n:n] {
		from.list = overlay(from.list, d)
	}
	from.n = n
	r.keep(&from)
	return from.list
}

func (r *ranges) keep(f *fragments) { r.cache[f.n%len(r.cache)].Store(f) }

// overlay returns list with d, which is newer than all of it, laid over it.
func overlay(list kv.RangeDeletes, d kv.RangeDelete) kv.RangeDeletes {
	// The fragments from i to j overlap d.
	i, _ := slices.BinarySearchFunc(list, d.Start, func(f kv.RangeDelete, start []byte) int {
		if f.End != nil && bytes.Compare(f.End, start) <= 0 {
			return -1
		}
		return 1
	})
	j := len(list)
	if d.End != nil {
		j, _ = slices.BinarySearchFunc(list, d.End, func(f kv.RangeDelete, end []byte) int {
			return bytes.Compare(f.Start, end)
		})
	}
	out := make(kv.RangeDeletes, 0, len(list)+2)
	out = append(out, list[:i]...)
	if i < j && bytes.Compare(list[i].Start, d.Start) < 0 {
		before := list[i]
		before.End = d.Start
		out = append(out, before)
	}
	out = append(out, d)
	if i < j && d.End != nil {
		if after := list[j-1]; after.End == nil || bytes.Compare(after.End, d.End) > 0 {
			after.Start = d.End
			out = append(out, after)
		}
	}
	return append(out, list[j:]...)
}

// changed reports whether a tombstone that overlaps r is newer than since.
func (r *ranges) changed(in kv.Range, since kv.Seq) bool {
	for _, f := range r.newest {
		if in.End != nil && bytes.Compare(f.Start, in.End) >= 0 {
			break
		}
		if f.Seq > since && (f.End == nil || bytes.Compare(f.End, in.Start) > 0) {
			return true
		}
	}
	return false
}
