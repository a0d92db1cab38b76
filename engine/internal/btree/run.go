package btree

import (
	"github.com/lightning-db/lightning/engine/internal/filter"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/pager"
)

// A sorted run is a Tree that stands in front of another: it was built in one
// go, has tombstones, and never takes an edit. It only becomes shorter, as what
// it holds is merged into the tree behind it.

// BuildRun writes the edits, which are entries of the kinds Set and Delete, as
// a sorted run, and returns it with the filter of its keys. stop, and the
// edits' Stable, are those of Merge.
func BuildRun(stop func() error, w *pager.Writer, p *pager.Pager, cfg Config, edits kv.Cursor) (*Tree, *filter.Filter, MergeStats, error) {
	var hashes []uint64
	m := merger{builder: builder{w: w, t: newTree(p, nil, cfg)}, stop: stop, edits: edits, tombstones: true}
	m.hashes = func(h uint64) { hashes = append(hashes, h) }
	t, stats, err := m.merge()
	if err != nil {
		return nil, nil, stats, err
	}
	return t, filter.New(hashes), stats, nil
}

// Trim frees the entries of the run t before key, and returns the run without
// them. A nil key is behind all. stop is that of Merge.
func Trim(stop func() error, w *pager.Writer, t *Tree, key []byte) (*Tree, error) {
	trimmed, _, err := Merge(stop, w, t, new(Tree).NewCursor(), kv.RangeDeletes{{Range: kv.Range{End: key}}})
	return trimmed, err
}
