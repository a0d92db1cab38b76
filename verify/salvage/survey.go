package salvage

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/lightning-db/lightning/engine/inspect"
)

// salvage is one run.
type salvage struct {
	ctx    context.Context
	db     *inspect.DB
	o      *Options
	reader *inspect.Reader
	report Report

	trees   []keyspace
	reached map[uint64]uint64 // extents of the trees: offset and size
	// catalogLost says that keyspaces may be missing from trees.
	catalogLost bool

	lostBytes int // of the bounds of what is lost

	// What lies in the file, once something is lost: where each checksum is,
	// and the leaves, which become only those that nothing leads to.
	places map[uint64]inspect.Ref
	leaves []leaf
	// proved says that the leaves are what was lost, and nothing older.
	proved bool
}

// leaf is a leaf that was found in the file.
type leaf struct {
	ref        inspect.Ref
	keyspace   uint32
	generation uint64
}

// keyspace is an entry of the catalog: what is written of it, in this order.
type keyspace struct {
	id      uint32
	name    string
	codec   uint8
	page    uint32
	sources []source // from the oldest to the newest
}

// source is a tree or a sorted run.
type source struct {
	root inspect.Ref
	lost []gap // in the order of their keys, apart from each other
}

// gap is a range of keys that a source lost.
type gap struct {
	bounds
	loss int // in the report; -1 of what it omits
}

// losses is how many sources have lost something.
func (k *keyspace) losses() int {
	n := 0
	for i := range k.sources {
		n += min(len(k.sources[i].lost), 1)
	}
	return n
}

// gaps is what any source lost, in the order of the keys and apart.
func (k *keyspace) gaps() []gap {
	var all []gap
	for i := range k.sources {
		all = append(all, k.sources[i].lost...)
	}
	if k.losses() < 2 {
		return all
	}
	sort.Slice(all, func(i, j int) bool { return bytes.Compare(all[i].start, all[j].start) < 0 })
	merged := all[:1]
	for _, g := range all[1:] {
		last := &merged[len(merged)-1]
		switch {
		case last.end != nil && bytes.Compare(last.end, g.start) < 0:
			merged = append(merged, g)
		case g.end == nil || last.end != nil && bytes.Compare(last.end, g.end) < 0:
			last.end = g.end
		}
		last.loss = -1
	}
	return merged
}

// gapOf returns the gap that has key, or nil.
func gapOf(gaps []gap, key []byte) *gap {
	i := sort.Search(len(gaps), func(i int) bool { return bytes.Compare(gaps[i].start, key) > 0 }) - 1
	if i < 0 || !gaps[i].has(key) {
		return nil
	}
	return &gaps[i]
}

// maxLostBytes bounds the memory of the bounds: long ones may be many. A source
// that loses more counts as lost from its first key to its last.
const maxLostBytes = 32 << 20

// lose reports a loss, and returns its place in the report, or -1.
func (s *salvage) lose(l Loss) int {
	if len(s.report.Losses) >= maxLosses || s.lostBytes > maxLostBytes {
		s.report.Omitted++
		return -1
	}
	s.report.Losses = append(s.report.Losses, l)
	return len(s.report.Losses) - 1
}

func (s *salvage) progress() {
	if s.o.Progress != nil {
		s.o.Progress(Progress{s.reader.Bytes, 2 * s.db.Size, s.report.Keys, len(s.report.Losses)})
	}
}

// survey finds the trees and what is lost of them, and where something is,
// what else the file holds.
func (s *salvage) survey() error {
	if s.report.Meta = s.db.Found() && !s.behind(); !s.report.Meta {
		if err := s.assume(); err != nil {
			return err
		}
	}
	s.report.Generation = s.db.Meta.Generation
	if err := s.walkAll(); err != nil {
		return err
	}
	if s.lost() && s.places == nil {
		if err := s.index(); err != nil {
			return err
		}
		if err := s.walkAll(); err != nil {
			return err
		}
	}
	if s.lost() {
		s.search()
	} else {
		s.leaves = nil
	}
	return nil
}

// behind reports whether the meta that was found is an older one: the other slot
// is damaged, and the log does not begin where this one needs it, as once a newer
// one was written. Nodes of its trees may have been written over.
func (s *salvage) behind() bool {
	other := s.db.Slots[2-s.db.Meta.Generation%2*2:]
	if other[0].Valid() || other[1].Valid() {
		return false
	}
	_, damages, _ := s.db.Segments()
	return slices.ContainsFunc(damages, func(d *inspect.Damage) bool { return d.Kind == inspect.Missing })
}

// lost reports whether some of the trees cannot be read.
func (s *salvage) lost() bool {
	lost := s.catalogLost
	for i := range s.trees {
		lost = lost || s.trees[i].losses() > 0
	}
	return lost
}

// index finds out what lies in the file.
func (s *salvage) index() error {
	s.places = map[uint64]inspect.Ref{}
	owner := s.db.Meta.DatabaseID()
	return s.db.Extents(s.ctx, func(ref inspect.Ref, h inspect.Header) {
		if h.DatabaseID != owner {
			return
		}
		s.places[h.Checksum] = ref
		if h.Kind == inspect.Leaf && h.Generation <= s.db.Meta.Generation {
			s.leaves = append(s.leaves, leaf{ref, h.Keyspace, h.Generation})
		}
	})
}

// moved returns where in the file an extent with the checksum of ref is.
func (s *salvage) moved(ref inspect.Ref) (inspect.Ref, bool) {
	other, ok := s.places[ref.Checksum]
	ok = ok && other.Length == ref.Length && other.Offset != ref.Offset
	other.Count, other.Overflow = ref.Count, ref.Overflow
	return other, ok
}

// assume takes the newest catalog that the file holds for the one that a meta
// would have named: of the candidates, the first that has lost nothing, or the
// least.
func (s *salvage) assume() error {
	id, err := s.db.Identify(s.ctx)
	if err != nil {
		return err
	}
	s.db.Assume(id, inspect.Ref{})
	if err := s.index(); err != nil {
		return err
	}
	roots, err := s.catalogRoots()
	if err != nil {
		return err
	}
	best, least := inspect.Ref{}, uint64(math.MaxUint64)
	for i := range roots {
		trial := &salvage{ctx: s.ctx, db: s.db, o: s.o, reader: s.reader, places: s.places}
		s.db.Assume(id, roots[i])
		if err := trial.walkAll(); err != nil {
			return err
		}
		var lost uint64
		for i := range trial.report.Losses {
			if l := &trial.report.Losses[i]; i > 0 && !l.Good() { // the first is that of the meta
				lost += max(l.Keys, 1)
			}
		}
		if lost += trial.report.Omitted; lost < least {
			best, least = roots[i], lost
		}
		if lost == 0 {
			break
		}
	}
	s.db.Assume(id, best)
	return nil
}

// maxRoots is how many catalogs are tried.
const maxRoots = 8

// catalogRoots returns the roots of catalogs that lie in the file, the newest
// first: of each generation the highest node.
func (s *salvage) catalogRoots() ([]inspect.Ref, error) {
	type root struct {
		ref        inspect.Ref
		generation uint64
		level      uint8
	}
	var roots []root // of each generation one
	place := map[uint64]int{}
	for _, ref := range s.places {
		n, err := s.reader.Node(ref, inspect.CatalogKeyspace, inspect.AnyLevel)
		if err != nil {
			continue // no catalog's
		}
		found := root{ref, n.Generation, n.Level}
		if i, ok := place[n.Generation]; !ok {
			place[n.Generation] = len(roots)
			roots = append(roots, found)
		} else if n.Level > roots[i].level {
			roots[i] = found
		}
	}
	sort.Slice(roots, func(i, j int) bool { return roots[i].generation > roots[j].generation })
	var refs []inspect.Ref
	for i := range roots[:min(len(roots), maxRoots)] {
		refs = append(refs, roots[i].ref)
	}
	return refs, s.ctx.Err()
}

// walkAll reads the catalog and walks all trees, to know what is lost.
func (s *salvage) walkAll() error {
	s.reached, s.trees, s.catalogLost = map[uint64]uint64{}, nil, false
	s.report.Losses, s.report.Omitted, s.lostBytes = nil, 0, 0
	if !s.report.Meta {
		s.lose(lossOf(cmp.Or(s.db.Slots[0].Damage, s.db.Slots[2].Damage)))
	}
	if err := s.readCatalog(); err != nil {
		return err
	}
	for i := range s.trees {
		k := &s.trees[i]
		for j := range k.sources {
			src := &k.sources[j]
			w := s.walker(k.id)
			w.reached = s.reach
			w.lost = func(l Loss) {
				l.Keyspace = k.name
				full := s.lostBytes > maxLostBytes
				i := s.lose(l)
				s.lostBytes += len(l.Start) + len(l.End)
				switch {
				case l.Good():
				case full:
					src.lost = []gap{{loss: -1}}
				default:
					src.lost = append(src.lost, gap{bounds{l.Start, l.End}, i})
				}
			}
			if err := w.walk(src.root); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *salvage) walker(keyspace uint32) *walker {
	w := &walker{ctx: s.ctx, reader: s.reader, path: s.db.Path(), keyspace: keyspace}
	if s.places != nil {
		w.moved = s.moved
	}
	return w
}

// reach notes an extent that something leads to.
func (s *salvage) reach(ref inspect.Ref) bool {
	if _, again := s.reached[ref.Offset]; again {
		return false
	}
	s.reached[ref.Offset] = ref.Size()
	if len(s.reached)%1024 == 0 {
		s.progress()
	}
	return true
}

// catalogGone is what is lost with a part of the catalog.
const catalogGone = "; keyspaces may be missing, and how much is lost cannot be told"

func (s *salvage) readCatalog() error {
	root := s.db.Meta.Catalog
	if root.IsZero() {
		if s.catalogLost = !s.report.Meta; s.catalogLost {
			s.report.Losses[0].Reason += "; no catalog" + catalogGone
		}
		return nil
	}
	w := s.walker(inspect.CatalogKeyspace)
	w.reached = s.reach
	w.lost = func(l Loss) {
		l.Reason = "catalog: " + l.Reason
		l.Start, l.End = nil, nil
		if !l.Good() {
			s.catalogLost = true
			l.Reason += catalogGone
			l.Keys, l.Found, l.ranged = 0, 0, false
		}
		s.lose(l)
	}
	w.entry = func(e entry) error {
		c, err := inspect.DecodeKeyspace(e.key, e.value)
		if err != nil {
			s.catalogLost = true
			s.lose(Loss{Path: s.db.Path(), Offset: int64(root.Offset), Kind: inspect.Structure, Reason: fmt.Sprintf("catalog: %v", err) + catalogGone})
			return nil
		}
		k := keyspace{id: c.ID, name: c.Name, codec: c.Codec, page: c.PageSize, sources: []source{{root: c.Root}}}
		for _, run := range slices.Backward(c.Runs) {
			k.sources = append(k.sources, source{root: run.Root})
			if !run.Filter.IsZero() {
				s.reached[run.Filter.Offset] = run.Filter.Size()
			}
		}
		s.trees = append(s.trees, k)
		return nil
	}
	err := w.walk(root)
	s.report.Catalog = len(s.trees) > 0
	return err
}

// search keeps those of the leaves that nothing leads to and that are not known
// to be free, in the order in which they are to be written.
func (s *salvage) search() {
	var free []inspect.FreeExtent
	free, s.proved = s.free()
	known := map[uint32]bool{}
	for i := range s.trees {
		k := &s.trees[i]
		if known[k.id] = true; k.losses() > 1 || !s.proved || s.catalogLost {
			s.stale(k)
		}
	}
	s.leaves = slices.DeleteFunc(s.leaves, func(l leaf) bool {
		_, used := s.reached[l.ref.Offset]
		return used || l.keyspace == inspect.CatalogKeyspace || s.proved && isFree(free, l.ref.Offset) ||
			!known[l.keyspace] && !s.catalogLost
	})
	sort.Slice(s.leaves, func(i, j int) bool {
		a, b := &s.leaves[i], &s.leaves[j]
		return a.generation < b.generation || a.generation == b.generation && a.ref.Offset < b.ref.Offset
	})
}

// stale marks the losses of a keyspace: what is found in their place may be
// old.
func (s *salvage) stale(k *keyspace) {
	for i := range s.report.Losses {
		if l := &s.report.Losses[i]; l.ranged && !l.Good() && l.Keyspace == k.name {
			l.Stale = true
		}
	}
}

// free returns what is free, and whether that is told by the generation itself.
func (s *salvage) free() (list []inspect.FreeExtent, ok bool) {
	if !s.report.Meta {
		return nil, false
	}
	var err error
	if !s.db.Meta.FreeList.IsZero() {
		list, _, err = s.reader.FreeList()
	}
	if err != nil {
		if d := inspect.AsDamage(err); d != nil {
			l := lossOf(d)
			l.Reason = "free list: " + l.Reason
			s.lose(l)
		}
		return nil, false
	}
	// A crash before a file is cut leaves what is older behind its end (M3).
	var end uint64
	for i := range s.db.Slots {
		if m := &s.db.Slots[i].Meta; m.Generation == s.db.Meta.Generation {
			end = max(end, m.FileSize)
		}
	}
	return append(list, inspect.FreeExtent{Offset: end, Size: math.MaxUint64 - end}), true
}

func isFree(list []inspect.FreeExtent, off uint64) bool {
	i := sort.Search(len(list), func(i int) bool { return list[i].Offset > off })
	return i > 0 && off < list[i-1].Offset+list[i-1].Size
}
