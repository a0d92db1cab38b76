package btree

import (
	"sync/atomic"

	"github.com/lightning-db/lightning/engine/internal/filter"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/pager"
)

// A tree can have a filter of its keys, in memory only, so that a get of a key
// that is not there ends at one cache line of it, mostly, and not in a leaf. It
// is made by a scan of the tree, once gets of missing keys have cost more than
// that. (The filters of sorted runs are stored, and asked before the runs.)
//
// Invariants:
//
//  1. A filter that is ready has every key of every tree that has it.
//  2. A merge adds its edits to the filter that the old tree had when it began,
//     and the new tree has that one or none. So a merge may begin and end at any
//     moment of the scan, which adds the keys of the tree that got the filter;
//     all others come from edits.
//  3. A tree that was there before the filter does not get it.

// keyFilter is the filter of a tree and of the trees that merges made of it.
type keyFilter struct {
	filter.Filter
	room  uint64        // keys that it was made for
	added atomic.Uint64 // keys that it has, also of those that the tree has lost
	state atomic.Uint32

	// worth tells whether asking pays, since a key that is there must be looked
	// for all the same: it rises with each get of a missing key that is sampled
	// and falls with each of another, between 0, where nobody asks, and mostWorth.
	worth atomic.Int32
}

// What a missing key adds to worth, where one that is there takes 1: an answer
// of the filter saves about three times what asking in vain costs.
const (
	missWorth = 3
	mostWorth = 64
)

// The states of a keyFilter.
const (
	filling uint32 = iota // it may lack keys: only to be added to
	ready
	dropped // it will never be ready
)

// add adds the key of that hash.
func (f *keyFilter) add(hash uint64) {
	if f.Filter.Add(hash) {
		f.added.Add(1)
	}
}

// blunt reports whether so many other keys are in the filter of a tree with
// that many entries, or it is so full, that a new one is better.
func (f *keyFilter) blunt(entries uint64) bool {
	n := f.added.Load()
	return n > f.room+f.room/2 || n > 2*entries
}

// denies reports whether a tree with that filter, which may be nil, certainly
// lacks the key of that hash.
func (f *keyFilter) denies(hash uint64) bool {
	return f != nil && f.worth.Load() > 0 && !f.MayHave(hash)
}

// found notes that the key of that hash was there. f may be nil.
func (f *keyFilter) found(hash uint64) {
	if f != nil && sampled(hash) {
		if w := f.worth.Load(); w > 0 {
			f.worth.Store(w - 1) // a count that gets lost does no harm
		}
	}
}

// missed notes that a key was not there.
func (f *keyFilter) missed() {
	if w := f.worth.Load(); w < mostWorth && f.state.Load() == ready {
		f.worth.Store(min(w+missWorth, mostWorth))
	}
}

// One get in sampleEvery is counted. A filter is wanted after as many gets of
// missing keys as one in missShare of the entries, but at least minMisses.
// Building one takes a tenth of a miss for each entry of a tree in memory. Of a
// tree that is not, the misses have read all leaves several times by then.
const (
	sampleEvery = 32
	missShare   = 8
	minMisses   = 4096
)

func sampled(hash uint64) bool { return hash>>8%sampleEvery == 0 }

// Missed notes that a get of the key with that hash found no entry. It reports
// whether there have been so many that BeginFilter should be called.
func (t *Tree) Missed(hash uint64) bool { return sampled(hash) && t.countMiss() }

//go:noinline // Missed, which is inlined, seldom comes to it
func (t *Tree) countMiss() bool {
	if f := t.keyFilter(); f != nil {
		f.missed()
		return false
	}
	return t.missed.Add(1)*sampleEvery >= max(t.Len()/missShare, minMisses)
}

// keyFilter returns the filter that t has or will have, or nil.
func (t *Tree) keyFilter() *keyFilter {
	if f := t.filter.Load(); f != nil && f.state.Load() != dropped {
		return f
	}
	return nil
}

// FilterBytes returns what the filter of t takes in memory.
func (t *Tree) FilterBytes() uint64 {
	if f := t.keyFilter(); f != nil {
		return uint64(f.Size())
	}
	return 0
}

// BeginFilter gives t a filter, which nobody asks before FillFilter has returned
// nil, and reports whether it did: not where there is one, or it would take more
// than limit bytes. Merges that are under way make trees without it.
func (t *Tree) BeginFilter(limit uint64) bool {
	t.missed.Store(0)
	n := t.Len()
	if n == 0 || t.keyFilter() != nil || filter.Size(n) > limit {
		return false
	}
	t.filter.Store(&keyFilter{Filter: *filter.Sized(n), room: n})
	return true
}

// FillFilter puts the keys of t into the filter that BeginFilter has given it.
// It calls stop at every leaf; with an error of it, or of reading, the filter is
// of no use, and returned is that error. t must stay readable.
func (t *Tree) FillFilter(stop func() error) error {
	f := t.filter.Load()
	err := t.eachKey(stop, func(key []byte) { f.add(kv.Hash(key)) })
	if err != nil {
		f.state.Store(dropped)
		return err
	}
	f.state.Store(ready)
	f.worth.Store(mostWorth)
	return nil
}

func (t *Tree) eachKey(stop func() error, visit func(key []byte)) error {
	c := t.NewCursorOnce()
	for ok := c.First(); ok; ok = c.Next() {
		if c.i == 0 {
			if err := stop(); err != nil {
				return err
			}
		}
		visit(c.Key())
	}
	return c.Err()
}

// heir returns the tree below root, which takes the place of t. It has no filter.
func (t *Tree) heir(root *pager.Frame) *Tree {
	h := newTree(t.p, root, t.cfg)
	h.missed.Store(t.missed.Load())
	return h
}
