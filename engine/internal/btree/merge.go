package btree

import (
	"bytes"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
)

// MergeStats says what a merge did.
type MergeStats struct {
	Entries uint64 // in the new tree

	Added    uint64 // entries with a key that the old tree lacked
	Replaced uint64 // entries that took the place of an old one
	Removed  uint64 // entries of the old tree without one in the new

	// How the bytes of keys and values grew, without those of the Unread
	// entries among the Removed: entries that went with whole subtrees, which
	// were not read for it.
	KeyBytes   int64
	ValueBytes int64
	Unread     uint64

	Nodes uint64 // written
}

// Merge applies edits to t and returns the tree that results. edits are
// entries of the kinds Set and Delete; they win over ranges, which remove
// entries of t alone. ranges are sorted and do not overlap; their sequence
// numbers do not matter.
//
// The new nodes are written through w and what only t needs is freed through
// it. t can still be read. After an error nothing of the merge is of use: the
// caller aborts w. stop is called now and then; an error of it ends the merge
// and is returned. A nil stop never does.
//
// Where edits has a method Stable() bool that returns true, its keys and
// values stay as they are during the whole merge, and are not copied.
func Merge(stop func() error, w *pager.Writer, t *Tree, edits kv.Cursor, ranges kv.RangeDeletes) (*Tree, MergeStats, error) {
	m := merger{builder: builder{w: w, t: t}, stop: stop, edits: edits, ranges: coalesce(ranges)}
	f := t.keyFilter()
	if f != nil {
		m.hashes = f.add
	}
	merged, stats, err := m.merge()
	if err == nil && merged != t && f != nil && !f.blunt(merged.Len()) {
		merged.filter.Store(f)
	}
	return merged, stats, err
}

// merge does what Merge says.
func (m *merger) merge() (*Tree, MergeStats, error) {
	defer m.loan.Return()
	t := m.t
	m.key = make([]byte, 0, 256) // not nil, which would be behind all keys
	if s, ok := m.edits.(interface{ Stable() bool }); ok && s.Stable() {
		m.stable = stable{key: true, value: true}
	}
	root, err := m.run()
	if err != nil {
		return nil, MergeStats{}, err
	}
	if root == t.root {
		m.stats.Entries = t.Len()
		return t, m.stats, nil
	}
	merged := t.heir(root)
	m.stats.Entries = merged.Len()
	m.stats.Nodes = m.nodes
	return merged, m.stats, nil
}

// merger walks the old tree and the edits together, in order of key, and hands
// what the new tree consists of to its builder. A subtree that no edit touches
// is carried over by reference, one that a range covers is dropped unread.
type merger struct {
	builder
	stop  func() error
	stats MergeStats

	edits     kv.Cursor
	head      []byte // key of the first edit not yet applied
	more      bool   // there is one
	seen      int    // edits
	effective bool   // it is known to change something
	stable    stable // what the edits promise

	tombstones bool // keep those of the edits: this is a run

	ranges []kv.Range // those that reach past what has been merged

	probe Cursor
	key   []byte // buffer
}

func (m *merger) run() (*pager.Frame, error) {
	m.more = m.edits.First()
	if err := m.next(); err != nil {
		return nil, err
	}
	if f := m.t.root; f != nil {
		n, err := m.t.p.Node(f)
		if err != nil {
			return nil, err
		}
		if err := m.subtree(n.Level(), item{value: encode(f.Ref()), frame: f}, nil); err != nil {
			return nil, err
		}
	} else if err := m.insertBefore(nil); err != nil {
		return nil, err
	}
	return m.finish()
}

// next looks at the edit that the cursor has moved to.
func (m *merger) next() error {
	if m.seen++; m.seen%1024 == 0 && m.stop != nil {
		if err := m.stop(); err != nil {
			return err
		}
	}
	if !m.more {
		m.head = nil
		return m.edits.Err()
	}
	m.head, m.effective = m.edits.Key(), false
	return nil
}

// advance moves to the next edit.
func (m *merger) advance() error {
	m.more = m.edits.Next()
	return m.next()
}

// subtree merges the subtree it, whose root is of level k. Its keys are from
// it.key on and before upper; a nil upper is no bound.
func (m *merger) subtree(k int, it item, upper []byte) error {
	f := m.frame(k, it)
	m.passRanges(it.key)
	edited, err := m.edited(f, it.key, upper)
	if err != nil {
		return err
	}
	if !edited {
		if m.covers(it.key, upper) {
			return m.drop(k, f)
		}
		ranged, err := m.ranged(f, it.key, upper)
		if err != nil {
			return err
		}
		if !ranged {
			return m.carry(k, it)
		}
	}
	if k == 0 {
		return m.mergeLeaf(f, it.key, upper)
	}
	return m.mergeBranch(k, f, it.key, upper)
}

// mergeBranch merges each child of the branch f.
func (m *merger) mergeBranch(k int, f *pager.Frame, lower, upper []byte) error {
	n, err := m.t.p.Node(f)
	if err != nil {
		return err
	}
	m.w.FreeFrame(f)
	count := n.Count()
	var next []byte
	lower = bytes.Clone(lower)
	for i := range count {
		end := upper
		if i+1 < count {
			next = n.AppendSeparator(next[:0], i+1)
			end = next
		}
		it := item{key: lower, value: n.RefBytes(i), frame: m.t.p.Child(f, n, i)}
		if err := m.subtree(k-1, it, end); err != nil {
			return err
		}
		lower, next = next, lower
	}
	return nil
}

// mergeLeaf merges the entries of the leaf f with the edits before upper.
func (m *merger) mergeLeaf(f *pager.Frame, lower, upper []byte) error {
	if m.stop != nil {
		if err := m.stop(); err != nil {
			return err
		}
	}
	m.hot = f.Resident()
	n, err := m.t.p.LeafOnce(f, &m.loan)
	if err != nil {
		return err
	}
	m.w.FreeFrame(f)
	m.below(lower)
	prefix, count := n.PrefixLen(), n.Count()
	key := append(m.key[:0], n.Prefix()...)
	for i := range count {
		cell := n.Cell(i)
		key = append(key[:prefix], cell.Suffix...)
		if i == 0 && bytes.Compare(key, lower) < 0 || i == count-1 && upper != nil && bytes.Compare(key, upper) >= 0 {
			return m.t.corrupt(f.Ref(), "keys outside the bounds that the branches above set")
		}
		if err := m.insertBefore(key); err != nil {
			return err
		}
		switch {
		case m.more && bytes.Equal(m.head, key):
			err = m.replace(cell)
		case m.removed(key):
			m.remove(len(key), cell)
		default:
			err = m.keep(n, i, key, cell, m.hot)
		}
		if err != nil {
			return err
		}
	}
	m.key = key
	err = m.insertBefore(upper)
	m.hot = false
	return err
}

// insertBefore applies the edits before key, none of which has an old entry.
// A nil key is behind all.
func (m *merger) insertBefore(key []byte) error {
	for m.more && (key == nil || bytes.Compare(m.head, key) < 0) {
		if kind := m.edits.Kind(); kind == kv.Set || m.tombstones {
			value, err := m.edits.Value()
			if err != nil {
				return err
			}
			m.stats.Added++
			m.stats.KeyBytes += int64(len(m.head))
			m.stats.ValueBytes += int64(len(value))
			if err := m.entry(m.head, value, kind, m.stable); err != nil {
				return err
			}
		}
		if err := m.advance(); err != nil {
			return err
		}
	}
	return nil
}

// replace applies the edit at hand to the old entry with its key.
func (m *merger) replace(old node.Cell) error {
	if m.edits.Kind() == kv.Set {
		value, err := m.edits.Value()
		if err != nil {
			return err
		}
		m.stats.Replaced++
		m.stats.ValueBytes += int64(len(value)) - int64(old.Len)
		m.freeOverflow(old)
		if err := m.entry(m.head, value, kv.Set, m.stable); err != nil {
			return err
		}
	} else {
		m.remove(len(m.head), old)
	}
	return m.advance()
}

// remove counts an old entry that the new tree does not have.
func (m *merger) remove(keyLen int, old node.Cell) {
	m.stats.Removed++
	m.stats.KeyBytes -= int64(keyLen)
	m.stats.ValueBytes -= int64(old.Len)
	m.freeOverflow(old)
}

func (m *merger) freeOverflow(old node.Cell) {
	if old.Overflow {
		m.w.Free(old.Ref())
	}
}

// drop frees the subtree f, whose root is of level k and whose entries a range
// removes.
func (m *merger) drop(k int, f *pager.Frame) error {
	ref := f.Ref()
	m.stats.Removed += ref.Count
	m.stats.Unread += ref.Count
	if k == 0 && !ref.Overflow {
		m.w.FreeFrame(f)
		return nil
	}
	return freeSubtree(m.w, m.t, f)
}

// edited reports whether an edit changes an entry of the subtree f, whose keys
// are from lower on and before upper. It passes over the edits that change
// nothing: tombstones of keys that f lacks, or that a range removes anyway.
func (m *merger) edited(f *pager.Frame, lower, upper []byte) (bool, error) {
	for m.more && (upper == nil || bytes.Compare(m.head, upper) < 0) {
		if m.effective || m.edits.Kind() == kv.Set {
			return true, nil
		}
		if !m.covers(lower, upper) {
			_, _, _, found, err := m.t.find(f, m.head, uint8(kv.Hash(m.head)), nil)
			if err != nil {
				return false, err
			}
			if found {
				m.effective = true
				return true, nil
			}
		}
		if err := m.advance(); err != nil {
			return false, err
		}
	}
	return false, nil
}

// ranged reports whether a range removes an entry of the subtree f, whose keys
// are from lower on and before upper. It passes over ranges that end in it and
// remove nothing.
func (m *merger) ranged(f *pager.Frame, lower, upper []byte) (bool, error) {
	for len(m.ranges) > 0 {
		r := m.ranges[0]
		if upper != nil && bytes.Compare(r.Start, upper) >= 0 {
			return false, nil
		}
		m.probe.Reset(&Tree{p: m.t.p, root: f, cfg: m.t.cfg})
		if m.probe.SeekGE(r.Start) && r.Contains(m.probe.Key()) {
			return true, nil
		}
		if err := m.probe.Err(); err != nil {
			return false, err
		}
		if r.End == nil || upper != nil && bytes.Compare(r.End, upper) > 0 {
			return false, nil // it goes on in the next subtree
		}
		m.ranges = m.ranges[1:]
	}
	return false, nil
}

// covers reports whether a range removes all old keys from lower on and before
// upper.
func (m *merger) covers(lower, upper []byte) bool {
	if len(m.ranges) == 0 || bytes.Compare(m.ranges[0].Start, lower) > 0 {
		return false
	}
	end := m.ranges[0].End
	return end == nil || upper != nil && bytes.Compare(upper, end) <= 0
}

// removed reports whether a range removes the old key.
func (m *merger) removed(key []byte) bool {
	m.passRanges(key)
	return len(m.ranges) > 0 && bytes.Compare(m.ranges[0].Start, key) <= 0
}

// passRanges drops the ranges that end at or before key, which merging has
// reached.
func (m *merger) passRanges(key []byte) {
	for len(m.ranges) > 0 && m.ranges[0].End != nil && bytes.Compare(m.ranges[0].End, key) <= 0 {
		m.ranges = m.ranges[1:]
	}
}

// coalesce joins the fragments that touch.
func coalesce(deletes kv.RangeDeletes) []kv.Range {
	var out []kv.Range
	for _, d := range deletes {
		if n := len(out); n > 0 && out[n-1].End != nil && bytes.Equal(out[n-1].End, d.Start) {
			out[n-1].End = d.End
		} else {
			out = append(out, d.Range)
		}
	}
	return out
}
