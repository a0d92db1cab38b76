package pager

import (
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/vfs"
)

// Commit makes the new generation the database's state. Of m it takes what the
// pager does not know: the catalog, the sequence number, the log's place, the
// next keyspace and the page size. With shrink the file is cut behind the last
// extent that the new generation or a pinned one reaches.
//
// A commit goes through these steps, and a crash between any two leaves the
// old generation or the new one:
//
//  1. write what is staged and the new free list
//  2. sync: all that the new meta names is durable (M2)
//  3. write the meta into the slot of the generation before the last
//  4. sync: the new generation is durable
//  5. publish it in memory, and cut the file
//
// A failure in step 1 aborts the writer, and the next can begin. A failure
// later leaves it unknown what the disk holds: from then on nothing is
// written, and every Begin returns that error.
func (w *Writer) Commit(m Meta, shrink bool) error {
	p := w.p
	m, err := w.prepare(m, shrink)
	if err != nil {
		w.Abort()
		return err
	}
	if known, err := w.persist(&m); err != nil {
		err = errorf("%s: commit generation %d: %w", p.name, w.gen, err)
		if !known {
			p.mu.Lock()
			p.failure = err
			p.mu.Unlock()
		}
		w.Abort()
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	w.end()
	p.space = w.space
	p.publish(m)
	if shrink {
		p.cut(m.FileSize)
	}
	return nil
}

// prepare is step 1. It returns the meta to write.
func (w *Writer) prepare(m Meta, shrink bool) (Meta, error) {
	p := w.p
	if w.err != nil {
		return m, w.err
	}
	old := p.Meta()
	m.UUID, m.Created, m.Gen = old.UUID, old.Created, w.gen
	unused, err := w.placeFreeList(&m, shrink)
	if err != nil {
		return m, err
	}
	m.FileSize = w.space.end * node.Unit
	m.BytesUsed = m.FileSize - firstExtent - unused*node.Unit
	if err := m.check(); err != nil {
		return m, errorf("%s: commit: %w", p.name, err)
	}
	return m, p.staged.flush()
}

// placeFreeList adds what this writer freed to the space, writes the free list
// and refers to it from m. It returns how many units the list holds.
//
// The list's own extent is taken out of what it lists, so it is allocated
// first, for a length that it cannot exceed: taking the extent changes one gap
// and one length, and zeros fill the body up.
func (w *Writer) placeFreeList(m *Meta, shrink bool) (uint64, error) {
	p := w.p
	old := p.Meta().FreeList
	if shrink && w.cutAllFree(old) {
		m.FreeList = node.Ref{}
		return 0, nil
	}
	if !old.IsZero() {
		w.Free(old)
	}
	w.release()
	pending := w.space.pendingExtents()
	m.FreeList = node.Ref{}
	list, err := w.space.unused(pending)
	if err != nil {
		return 0, p.corrupt(m.FreeList, "F1", Structure, "%v", err)
	}
	if len(list) == 0 {
		return 0, nil
	}
	body := appendFreeList(make([]byte, node.HeaderSize), list)
	units := unitsOf(len(body) + freeListSlack)
	w.SetBounds(0, 0)
	w.space.cursor = 0
	off, err := w.place(int(units * node.Unit))
	if err != nil {
		return 0, err
	}
	if shrink {
		w.space.trim()
	}
	list, _ = w.space.unused(pending)
	body = appendFreeList(body[:node.HeaderSize], list)
	for unitsOf(len(body)) < units {
		body = append(body, 0)
	}
	h := node.Header{Kind: node.FreeList, Keyspace: kv.CatalogKeyspace}
	w.seal(&h, body[:node.HeaderSize], body[node.HeaderSize:], len(body)-node.HeaderSize)
	m.FreeList = node.Ref{Off: off, Len: h.Len, Count: uint64(len(list)), Sum: h.Sum}
	return w.space.free.units + w.space.pendingUnits(), p.staged.put(off, body)
}

// cutAllFree ends the space before the old free list and the free extents
// beside it, where nothing else is unused: then no list is needed. The old
// list is cut off only when the new meta is durable, and no view reads it.
func (w *Writer) cutAllFree(old node.Ref) bool {
	if len(w.freed) > 0 || len(w.space.pending) > 0 {
		return false
	}
	s := w.space.clone()
	if !old.IsZero() && s.free.add(extentOf(old)) != nil {
		return false
	}
	s.trim()
	if s.free.count > 0 {
		return false
	}
	w.space = s
	return true
}

// freeListSlack bounds how much longer an encoded free list can get by one
// allocation.
const freeListSlack = 16

// release turns what this writer freed into pending extents.
func (w *Writer) release() {
	if len(w.freed) == 0 {
		return
	}
	sortExtents(w.freed)
	w.space.pending = append(w.space.pending, released{w.gen, w.freed})
	w.freed = nil
}

// persist is steps 2 to 4. known says of an error that what the disk holds is
// known all the same: a full disk took only a part of the meta, which cannot be
// valid without its end.
func (w *Writer) persist(m *Meta) (known bool, err error) {
	f := w.p.file
	if err := f.Sync(); err != nil {
		return false, errorf("sync extents: %w", err)
	}
	if n, err := writeMeta(f, m); err != nil {
		return n < metaSize && vfs.IsNoSpace(err), errorf("write meta: %w", err)
	}
	if err := f.Sync(); err != nil {
		return false, errorf("sync meta: %w", err)
	}
	return false, nil
}

// cut cuts the file to size. A failure leaves it longer than it need be, which
// harms nothing: the next cut tries again.
func (p *Pager) cut(size uint64) {
	if n, err := p.file.Size(); err == nil && uint64(n) > size {
		_ = p.file.Truncate(int64(size))
	}
}

// Window returns the offset from which on, until mark, there is as much space
// unused as is used behind mark, and somewhat more: once that part of the file
// is empty (btree.Vacate), everything behind mark has room in it.
func (p *Pager) Window(mark uint64) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.space == nil {
		return mark
	}
	return p.space.window(mark/node.Unit) * node.Unit
}

// loadSpace reads the free list of the newest meta. All of it counts as
// released by that generation: which extents an older one still reaches is not
// written down.
func (p *Pager) loadSpace() (*space, error) {
	m := p.Meta()
	s := &space{end: m.FileSize / node.Unit, free: extentSetOf(nil)}
	if m.FreeList.IsZero() {
		if m.BytesUsed != m.FileSize-firstExtent {
			return nil, p.corrupt(m.FreeList, "F1", Structure, "no free list, and %d bytes in use of %d", m.BytesUsed, m.FileSize)
		}
		return s, nil
	}
	stored, _, err := p.readExtent(m.FreeList, Expect{node.FreeList, kv.CatalogKeyspace, 0}, maxStored, nil)
	if err != nil {
		return nil, err
	}
	list, err := decodeFreeList(stored[node.HeaderSize:], s.end)
	if err != nil {
		return nil, p.corrupt(m.FreeList, "F1", Structure, "%v", err)
	}
	if err := checkFreeList(list, &m); err != nil {
		return nil, p.corrupt(m.FreeList, "F1", Structure, "%v", err)
	}
	s.pending = []released{{m.Gen, list}}
	return s, nil
}

// checkFreeList compares a free list with the meta that names it.
func checkFreeList(list []extent, m *Meta) error {
	if uint64(len(list)) != m.FreeList.Count {
		return errorf("%d free extents, the reference tells %d", len(list), m.FreeList.Count)
	}
	own := extentOf(m.FreeList)
	free := uint64(0)
	for _, e := range list {
		if e.off < own.end() && own.off < e.end() {
			return &overlapError{e, own}
		}
		free += e.n * node.Unit
	}
	if free+m.BytesUsed != m.FileSize-firstExtent {
		return errorf("%d bytes free and %d in use in a file of %d", free, m.BytesUsed, m.FileSize)
	}
	return nil
}
