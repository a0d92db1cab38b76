package pager

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/vfs"
)

const testName = "btree.db"

var testUUID = [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}

func testMeta() Meta {
	return Meta{UUID: testUUID, PageSize: 4096, NextKeyspace: 1, Created: 1}
}

func create(t testing.TB, fs vfs.FS, o Options) *Pager {
	t.Helper()
	p, err := Create(fs, testName, testMeta(), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func open(t testing.TB, fs vfs.FS) *Pager {
	t.Helper()
	p, err := Open(fs, testName, Options{CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// tree is the smallest thing that a pager can hold: a branch over leaves of
// one entry each, whose values are long enough now and then for an overflow
// extent. Its branch stands in the meta as the catalog.
type tree struct {
	p      *Pager
	root   *Frame // nil: empty
	values []uint64
	codec  compress.Codec
}

// valueOf makes the value of leaf i from the number that stands for it.
func valueOf(v uint64) []byte {
	r := rand.New(rand.NewPCG(v, v))
	n := 1 + r.IntN(900)
	switch r.IntN(20) {
	case 0:
		n = 2000 + r.IntN(20_000)
	case 1:
		n = directBytes - node.HeaderSize + r.IntN(3)*r.IntN(3000)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(v >> (i % 5 * 8))
	}
	for range n / 16 {
		b[r.IntN(n)] = byte(r.Uint32())
	}
	return b
}

const longValue = 1000

func leafKey(i int) []byte { return fmt.Appendf(nil, "key%05d", i) }

func leafOf(key, value []byte, valueLen int, overflow bool) (node.Header, []byte) {
	var b node.LeafBuilder
	b.Begin(1, nil, node.LeafSize(1, 0, node.LeafCellSize(len(key), len(value), overflow)))
	b.Add(key, uint8(kv.Hash(key)), value, valueLen, overflow)
	var h node.Header
	buf := b.Finish(&h)
	h.Keyspace = kv.CatalogKeyspace
	return h, buf
}

// branchOf lays out a branch over leaves.
func branchOf(refs []node.Ref) (node.Header, []byte) {
	n := len(refs)
	buf := make([]byte, node.HeaderSize+n*(node.RefSize+4+2))
	heads, slots := node.HeaderSize+n*node.RefSize, node.HeaderSize+n*(node.RefSize+4)
	for i, r := range refs {
		r.Put(buf[node.HeaderSize+i*node.RefSize:])
		if i > 0 {
			key := leafKey(i)
			copy(buf[heads+4*i:][:4], key)
			binary.LittleEndian.PutUint16(buf[slots+2*i:], uint16(len(buf)-node.HeaderSize))
			buf = append(append(buf, byte(len(key))), key...)
		}
	}
	return node.Header{Kind: node.Branch, Level: 1, Keyspace: kv.CatalogKeyspace, Count: uint16(n)}, buf
}

// attach opens the tree that p's meta names.
func attach(p *Pager, values []uint64) *tree {
	t := &tree{p: p, values: values}
	if ref := p.Meta().Catalog; !ref.IsZero() {
		t.root = p.Frame(ref, kv.CatalogKeyspace, 1)
	}
	return t
}

// leaf returns the frame and the entry of leaf i.
func (t *tree) leaf(i int) (*Frame, node.Cell, error) {
	n, err := t.p.Node(t.root)
	if err != nil {
		return nil, node.Cell{}, err
	}
	f := t.p.Child(t.root, n, i)
	n, err = t.p.Node(f)
	if err != nil {
		return nil, node.Cell{}, err
	}
	return f, n.Cell(0), nil
}

func (t *tree) get(i int) ([]byte, error) {
	_, c, err := t.leaf(i)
	if err != nil {
		return nil, err
	}
	if c.Overflow {
		return t.p.ReadOverflow(c.Ref(), kv.CatalogKeyspace, nil)
	}
	return c.Value, nil
}

// check compares all values with what they must be.
func (t *tree) check() error {
	for i, v := range t.values {
		have, err := t.get(i)
		if err != nil {
			return fmt.Errorf("leaf %d: %w", i, err)
		}
		if !bytes.Equal(have, valueOf(v)) {
			return fmt.Errorf("leaf %d: another value than number %d", i, v)
		}
	}
	return nil
}

// change writes the leaves whose numbers change, and the branch. It returns
// the tree as it will be.
func (t *tree) change(w *Writer, values []uint64) (*tree, error) {
	next := &tree{p: t.p, values: values, codec: t.codec}
	frames := make([]*Frame, len(values))
	refs := make([]node.Ref, len(values))
	for i, v := range values {
		if i < len(t.values) {
			old, c, err := t.leaf(i)
			if err != nil {
				return nil, err
			}
			if t.values[i] == v {
				frames[i], refs[i] = old, old.Ref()
				continue
			}
			w.FreeFrame(old)
			if c.Overflow {
				w.Free(c.Ref())
			}
		}
		f, err := t.writeLeaf(w, i, v)
		if err != nil {
			return nil, err
		}
		frames[i], refs[i] = f, f.Ref()
	}
	if t.root != nil {
		w.FreeFrame(t.root)
	}
	h, buf := branchOf(refs)
	h.Codec = uint8(t.codec)
	var err error
	next.root, err = w.Write(h, uint64(len(values)), false, buf, frames, true)
	return next, err
}

func (t *tree) writeLeaf(w *Writer, i int, v uint64) (*Frame, error) {
	value := valueOf(v)
	stored, overflow := value, len(value) > longValue
	if overflow {
		ref, err := w.WriteOverflow(kv.CatalogKeyspace, value, t.codec)
		if err != nil {
			return nil, err
		}
		stored = make([]byte, node.RefSize)
		ref.Put(stored)
	}
	h, buf := leafOf(leafKey(i), stored, len(value), overflow)
	h.Codec = uint8(t.codec)
	return w.Write(h, 1, overflow, buf, nil, i%2 == 0)
}

// commit changes the tree in a generation of its own.
func (t *tree) commit(pinned uint64, values []uint64, shrink bool) (*tree, error) {
	w, err := t.p.Begin(pinned)
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	next, err := t.change(w, values)
	if err != nil {
		return nil, err
	}
	m := t.p.Meta()
	m.Catalog, m.Seq = next.root.Ref(), kv.Seq(w.Gen())
	return next, w.Commit(m, shrink)
}

// mutate changes about one number in n, and adds grow more.
func mutate(r *rand.Rand, values []uint64, n, grow int) []uint64 {
	out := slices.Clone(values)
	for i := range out {
		if r.IntN(n) == 0 {
			out[i] = r.Uint64()
		}
	}
	for range grow {
		out = append(out, r.Uint64())
	}
	return out
}

// extents are all that the tree reaches, by offset.
func (t *tree) extents() (map[uint64]node.Ref, error) {
	all := map[uint64]node.Ref{}
	add := func(r node.Ref) error {
		if _, taken := all[r.Off]; taken {
			return fmt.Errorf("two extents at %d", r.Off)
		}
		all[r.Off] = r
		return nil
	}
	if t.root == nil {
		return all, nil
	}
	err := add(t.root.Ref())
	for i := range t.values {
		f, c, lerr := t.leaf(i)
		err = errors.Join(err, lerr)
		if lerr == nil {
			err = errors.Join(err, add(f.Ref()))
			if c.Overflow {
				err = errors.Join(err, add(c.Ref()))
			}
		}
	}
	return all, err
}

// checkM3 holds the file of the tree to M3.
func (t *tree) checkM3() error {
	reached, err := t.extents()
	if err != nil {
		return err
	}
	return checkCover(t.p, slices.Collect(maps.Values(reached)))
}

// checkCover makes sure that each unit of the file belongs to one of the refs,
// to the free list or to what it lists, and to one of them only.
func checkCover(p *Pager, reached []node.Ref) error {
	m := p.Meta()
	if !m.FreeList.IsZero() {
		reached = append(reached, m.FreeList)
	}
	s, err := p.loadSpace() // from the disk
	if err != nil {
		return err
	}
	all := s.pendingExtents()
	var used uint64
	for _, r := range reached {
		all = append(all, extentOf(r))
		used += r.Size()
	}
	sortExtents(all)
	at := uint64(firstUnit)
	for _, e := range all {
		if e.off != at {
			return fmt.Errorf("M3: an extent at unit %d, want one at %d", e.off, at)
		}
		at = e.end()
	}
	if at*node.Unit != m.FileSize {
		return fmt.Errorf("M3: covered up to %d, the file size is %d", at*node.Unit, m.FileSize)
	}
	if used != m.BytesUsed {
		return fmt.Errorf("%d bytes in use, the meta tells %d", used, m.BytesUsed)
	}
	return nil
}
