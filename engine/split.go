package engine

import (
	"bytes"
	"sort"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/memtable"
)

// split implements Reader's Split. Each source is cut by itself, so that what is
// new and not in the tree yet is cut, too.
func (w *view) split(ks kv.Keyspace, start, end []byte, n int) ([][]byte, error) {
	sp, err := w.space(ks)
	if err != nil {
		return nil, w.refused(ks, err)
	}
	if end != nil && bytes.Compare(start, end) >= 0 {
		return nil, nil
	}
	var cuts [][]byte
	// How many entries of a memtable are in the range only a walk tells: every
	// second cut is left out again whenever there are more than enough.
	table := func(t *memtable.Table, seq kv.Seq) {
		first, every, i := len(cuts), 1, 0
		c := t.NewCursor(ks, seq)
		for ok := c.SeekGE(start); ok && (end == nil || bytes.Compare(c.Key(), end) < 0); ok = c.Next() {
			if i++; i%every != 0 {
				continue
			}
			cuts = append(cuts, c.Key()) // stays valid
			if found := cuts[first:]; len(found) > 2*max(n, 1)+1 {
				for j := range len(found) / 2 {
					found[j] = found[2*j+1]
				}
				cuts, every = cuts[:first+len(found)/2], 2*every
			}
		}
	}
	if w.own != nil {
		table(w.own.sorted(), w.own.seq())
	}
	table(w.v.active.table, w.seq)
	for _, m := range w.v.frozen {
		table(m.table, w.seq)
	}
	tree := sp.tree
	for i := 0; ; i++ {
		if cuts, err = tree.Split(cuts, kv.Range{Start: start, End: end}, n); err != nil {
			return nil, w.failed(err)
		}
		if i == len(sp.runs) {
			break
		}
		tree = sp.runs[i].tree
	}
	sort.Slice(cuts, func(i, j int) bool { return bytes.Compare(cuts[i], cuts[j]) < 0 })
	n, before := 0, start
	for _, cut := range cuts {
		if !bytes.Equal(cut, before) {
			cuts[n], before = cut, cut
			n++
		}
	}
	return cuts[:n], nil
}
