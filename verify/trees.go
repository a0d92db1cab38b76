package verify

import (
	"fmt"
	"sort"
	"sync"

	"github.com/lightning-db/lightning/engine/inspect"
)

// checkTrees judges the catalog, the trees, the free list, and that together
// they cover the file.
func (v *verifier) checkTrees() error {
	spaces, err := v.checkCatalog()
	if err == nil {
		err = v.checkOperations(spaces)
	}
	if err != nil {
		return err
	}
	if v.quick {
		for _, k := range spaces {
			v.keys.Add(k.Root.Count)
			for _, run := range k.Runs {
				v.keys.Add(run.Root.Count)
			}
		}
	} else if err := v.checkKeyspaces(spaces); err != nil {
		return err
	}
	return v.run(func(r *reader) { v.checkSpace(r) })
}

// checkCatalog walks the catalog and returns the keyspaces that it lists.
func (v *verifier) checkCatalog() ([]inspect.Keyspace, error) {
	var mu sync.Mutex
	var spaces []inspect.Keyspace
	t := &tree{v: v, id: inspect.CatalogKeyspace, page: inspect.CatalogPageSize, catalog: true}
	t.entry = func(leaf uint64, key []byte, e inspect.Entry) {
		k, err := inspect.DecodeKeyspace(key, e.Value)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			v.addAt(leaf, "C2", inspect.Structure, "catalog: %v", err)
			t.broken.Store(true)
			v.incomplete.Store(true)
			return
		case k.ID >= v.db.Meta.NextKeyspace:
			v.addAt(leaf, "C1", inspect.Structure, "catalog: keyspace %d, the next id is %d", k.ID, v.db.Meta.NextKeyspace)
		case k.Root.IsZero() && k.Root != inspect.Ref{}:
			v.addAt(leaf, "R1", inspect.Structure, "catalog: the reference of keyspace %d to nothing tells something", k.ID)
		}
		spaces = append(spaces, k)
	}
	root := v.db.Meta.Catalog
	err := v.run(func(r *reader) { t.root(r, root) })
	sort.Slice(spaces, func(i, j int) bool { return spaces[i].ID < spaces[j].ID })
	names := make(map[string]uint32)
	for _, k := range spaces {
		if other, ok := names[k.Name]; ok {
			v.addAt(root.Offset, "C1", inspect.Structure, "catalog: keyspaces %d and %d have the same name %q", other, k.ID, k.Name)
		}
		names[k.Name] = k.ID
	}
	v.catalogLost = t.broken.Load()
	if !v.catalogLost && (len(spaces) == 0 || spaces[0].ID != 0) {
		v.addAt(root.Offset, "C1", inspect.Structure, "catalog: keyspace 0 is not listed")
	}
	return spaces, err
}

// checkKeyspaces walks the trees of all keyspaces. That a keyspace has other
// bytes than the catalog tells is a note: the engine drops whole subtrees of a
// deleted range without reading them, and then only estimates what they held.
func (v *verifier) checkKeyspaces(spaces []inspect.Keyspace) error {
	trees := make([]*tree, len(spaces))
	err := v.run(func(r *reader) {
		for i, k := range spaces {
			trees[i] = &tree{v: v, id: k.ID, name: k.Name, page: int(k.PageSize)}
			v.fork(r, func(r *reader) { trees[i].root(r, k.Root) })
			for _, run := range k.Runs {
				v.fork(r, func(r *reader) { v.checkRun(r, &k, run) })
			}
		}
	})
	if err != nil {
		return err
	}
	for i, k := range spaces {
		if t := trees[i]; !t.broken.Load() && !t.sampled.Load() && t.bytes.Load() != k.Bytes {
			f := Finding{Invariant: "C2", Path: v.db.Path(), Offset: int64(v.db.Meta.Catalog.Offset), Kind: inspect.Count, Keyspace: k.Name}
			f.Reason = fmt.Sprintf("catalog: keyspace %d has %d bytes of keys and values, the catalog tells about %d, as it may after a range was deleted", k.ID, t.bytes.Load(), k.Bytes)
			v.notes.add(func() Finding { return f })
		}
	}
	return nil
}

// checkRun walks a sorted run and holds its keys to its filter (U1, U2).
func (v *verifier) checkRun(r *reader, k *inspect.Keyspace, run inspect.Run) {
	t := &tree{v: v, id: k.ID, name: k.Name, page: int(k.PageSize), run: true}
	t.passes = t.filter(r, run.Filter)
	t.root(r, run.Root)
}

// filter judges the filter of a run, and returns whether it lets the key of a
// hash pass: nil where it cannot be told. No key is lost with a filter.
func (t *tree) filter(r *reader, ref inspect.Ref) func(hash uint64) bool {
	s := new(spot)
	passes, h, err := r.Filter(ref, t.id)
	if err != nil {
		t.v.incomplete.Store(true)
		d := *inspect.AsDamage(err)
		d.Reason = "filter of a sorted run, without which reads are slower: " + d.Reason
		t.find(s, 0, &d)
		return nil
	}
	t.v.checkPadding(ref, h, t.name)
	if ref.Count != 1 || ref.Overflow {
		t.findf(ref, s, 0, "R3", inspect.Count, "one filter, the reference tells %d", ref.Count)
	}
	if !t.v.used.take(spanOf(ref.Offset, ref.Size())) {
		t.findf(ref, s, 0, "M3", inspect.Space, "the filter of a sorted run stands where another extent is")
		return nil
	}
	t.v.nodes.Add(1)
	return passes
}

// checkSpace judges the free list (F1) and who has which unit (M3).
func (v *verifier) checkSpace(r *reader) {
	m := &v.db.Meta
	free, ok := v.checkFreeList(r)
	if !ok {
		v.incomplete.Store(true)
	}
	var list []span
	var freeBytes uint64
	for _, e := range free {
		list = append(list, spanOf(e.Offset, e.Size))
		freeBytes += e.Size
	}
	if ok && freeBytes+m.BytesUsed != m.FileSize-inspect.FirstExtent {
		v.addAt(m.FreeList.Offset, "M3", inspect.Count, "%d bytes are free and %d in use in a file of %d", freeBytes, m.BytesUsed, m.FileSize)
	}
	whole := !v.incomplete.Load() && !v.quick
	if used := v.used.count * inspect.Unit; whole && used != m.BytesUsed {
		v.addAt(m.FreeList.Offset, "M3", inspect.Count, "the extents take %d bytes, the meta tells %d", used, m.BytesUsed)
	}
	at := uint64(inspect.FirstExtent / inspect.Unit)
	gap := func(end uint64) {
		if whole && at < end {
			v.addAt(at*inspect.Unit, "M3", inspect.Space, "%d bytes are neither in use nor free", (end-at)*inspect.Unit)
		}
	}
	for s := range merge(v.used.spans(), list) {
		gap(s.start)
		if s.start < at {
			v.addAt(s.start*inspect.Unit, "M3", inspect.Space, "%d bytes are in use and free", (min(at, s.end)-s.start)*inspect.Unit)
		}
		at = max(at, s.end)
	}
	gap(m.FileSize / inspect.Unit)
}

func (v *verifier) checkFreeList(r *reader) (list []inspect.FreeExtent, ok bool) {
	ref := v.db.Meta.FreeList
	if ref.IsZero() {
		return nil, true
	}
	list, h, err := r.FreeList()
	if err != nil {
		v.add(findingOf(inspect.AsDamage(err)))
		return nil, false
	}
	v.nodes.Add(1)
	if uint64(len(list)) != ref.Count {
		v.addAt(ref.Offset, "R3", inspect.Count, "%d free extents, the reference tells %d", len(list), ref.Count)
	}
	v.checkPadding(ref, h, "")
	if !v.used.take(spanOf(ref.Offset, ref.Size())) {
		v.addAt(ref.Offset, "M3", inspect.Space, "the free list stands where another extent is")
	}
	return list, true
}

// checkPadding judges what follows an extent in its last unit.
func (v *verifier) checkPadding(ref inspect.Ref, h inspect.Header, keyspace string) {
	if h.Padded {
		return
	}
	f := Finding{Invariant: "X3", Path: v.db.Path(), Offset: int64(ref.Offset), Kind: inspect.Structure, Keyspace: keyspace}
	f.Reason = "something else than zeros follows in the last unit of the extent"
	v.add(f)
}
