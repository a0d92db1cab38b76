package pager

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/vfs"
)

// damaged returns p's database with its bytes changed, opened anew.
func damaged(t *testing.T, mem *vfs.Mem, change func(b []byte)) *Pager {
	t.Helper()
	b, err := mem.ReadFile(testName)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Clone(b)
	change(b)
	other := vfs.NewMem()
	if err := other.WriteFile(testName, b); err != nil {
		t.Fatal(err)
	}
	return open(t, other)
}

func kindOf(err error) Kind {
	var c *CorruptError
	if errors.As(err, &c) {
		return c.Kind
	}
	return 0
}

func extentBytes(b []byte, r node.Ref) []byte { return b[r.Off : r.Off+uint64(r.Len)] }

// reseal makes an extent agree with its own checksum again.
func reseal(ext []byte) { binary.LittleEndian.PutUint64(ext, node.Sum(ext)) }

// build makes a database of the values and returns its tree and the refs of
// leaf 0 and of leaf 1, and of leaf 1's overflow extent.
func build(t *testing.T, mem *vfs.Mem, codec compress.Codec, values []uint64) (*tree, []node.Ref, node.Ref) {
	t.Helper()
	tr := attach(create(t, mem, Options{CacheBytes: 1 << 20}), nil)
	tr.codec = codec
	tr, err := tr.commit(1, values, false)
	if err != nil {
		t.Fatal(err)
	}
	var refs []node.Ref
	var overflow node.Ref
	for i := range values {
		f, c, err := tr.leaf(i)
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, f.Ref())
		if c.Overflow {
			overflow = c.Ref()
		}
	}
	return tr, refs, overflow
}

// numberOf finds a number whose value has a length in [from, to).
func numberOf(from, to int) uint64 {
	for v := uint64(1); ; v++ {
		if n := len(valueOf(v)); n >= from && n < to {
			return v
		}
	}
}

// Each byte of a leaf, a branch and an overflow extent, changed, is found and
// called by its name; so is each byte of the free list.
func TestRead_FindsEachChangedByte(t *testing.T) {
	for _, codec := range []compress.Codec{compress.None, compress.S2, compress.Zstd} {
		mem := vfs.NewMem()
		tr, refs, overflow := build(t, mem, codec, []uint64{numberOf(300, 500), numberOf(2000, 6000), 3})
		m := tr.p.Meta()
		reads := map[string]struct {
			ref  node.Ref
			read func(p *Pager) error
		}{
			"leaf": {refs[0], func(p *Pager) error {
				_, err := p.ReadNode(refs[0], kv.CatalogKeyspace, 0)
				return err
			}},
			"branch": {m.Catalog, func(p *Pager) error {
				_, err := p.Node(p.Frame(m.Catalog, kv.CatalogKeyspace, -1))
				return err
			}},
			"overflow": {overflow, func(p *Pager) error {
				_, err := p.ReadOverflow(overflow, kv.CatalogKeyspace, nil)
				return err
			}},
		}
		for name, c := range reads {
			if err := c.read(damaged(t, mem, func([]byte) {})); err != nil {
				t.Fatalf("%v %s undamaged: %v", codec, name, err)
			}
			p := damaged(t, mem, func([]byte) {}) // that has nothing of it in memory
			for i := range int(c.ref.Len) {
				f := p.file
				var old [1]byte
				f.ReadAt(old[:], int64(c.ref.Off)+int64(i))
				for _, mask := range []byte{1, 0x80, 0xff} {
					f.WriteAt([]byte{old[0] ^ mask}, int64(c.ref.Off)+int64(i))
					if err := c.read(p); kindOf(err) != Checksum {
						t.Fatalf("%v %s byte %d changed: %v", codec, name, i, err)
					}
				}
				f.WriteAt(old[:], int64(c.ref.Off)+int64(i))
				if name == "branch" {
					p.cache.abort(2) // nothing of it may be kept
				}
			}
		}
	}
}

// The free list is read by the first writer alone.
func TestBegin_FindsADamagedFreeList(t *testing.T) {
	mem := vfs.NewMem()
	tr, _, _ := build(t, mem, compress.None, []uint64{1, 2, 3})
	tr, err := tr.commit(2, []uint64{4, 5, 6}, false)
	if err != nil {
		t.Fatal(err)
	}
	ref := tr.p.Meta().FreeList
	for i := range int(ref.Len) {
		p := damaged(t, mem, func(b []byte) { b[int(ref.Off)+i] ^= 0x10 })
		if _, err := p.Begin(p.Meta().Gen); kindOf(err) != Checksum {
			t.Fatalf("byte %d changed: %v", i, err)
		}
		if err := attach(p, tr.values).check(); err != nil {
			t.Fatalf("byte %d changed: reading: %v", i, err)
		}
	}
}

func TestRead_TellsWhatStandsThere(t *testing.T) {
	short, long := numberOf(300, 460), numberOf(2000, 6000)
	mem := vfs.NewMem()
	tr, refs, overflow := build(t, mem, compress.None, []uint64{short, long, short, short})
	m := tr.p.Meta()
	other := vfs.NewMem()
	om := testMeta()
	om.UUID[0]++
	op, err := Create(other, testName, om, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := attach(op, nil).commit(1, tr.values, false); err != nil {
		t.Fatal(err)
	}
	foreign, _ := other.ReadFile(testName)
	readLeaf := func(p *Pager) error { _, err := p.ReadNode(refs[0], kv.CatalogKeyspace, 0); return err }

	for name, c := range map[string]struct {
		change func(b []byte)
		read   func(p *Pager) error
		want   Kind
	}{
		"an older version of the leaf": {func(b []byte) {
			e := extentBytes(b, refs[0])
			e[len(e)-1] ^= 1 // another value
			binary.LittleEndian.PutUint64(e[32:], 1)
			reseal(e)
		}, readLeaf, Stale},
		"a shorter older version": {func(b []byte) {
			e := extentBytes(b, refs[0])[:refs[0].Len-20]
			binary.LittleEndian.PutUint32(e[28:], uint32(len(e)))
			reseal(e)
		}, readLeaf, Stale},
		"the other leaf": {func(b []byte) {
			x, y := bytes.Clone(extentBytes(b, refs[0])), bytes.Clone(extentBytes(b, refs[2]))
			copy(b[refs[0].Off:], y)
			copy(b[refs[2].Off:], x)
		}, readLeaf, Stale},
		"the overflow extent": {func(b []byte) {
			copy(b[refs[0].Off:], extentBytes(b, overflow))
		}, readLeaf, Misdirected},
		"the branch": {func(b []byte) {
			copy(b[refs[0].Off:], extentBytes(b, m.Catalog))
		}, readLeaf, Misdirected},
		"another keyspace's leaf": {func(b []byte) {
			e := extentBytes(b, refs[0])
			binary.LittleEndian.PutUint32(e[24:], 77)
			reseal(e)
		}, readLeaf, Misdirected},
		"another database's leaf": {func(b []byte) {
			copy(extentBytes(b, refs[0]), foreign[refs[0].Off:])
		}, readLeaf, Foreign},
		"zeros": {func(b []byte) {
			clear(extentBytes(b, refs[0]))
		}, readLeaf, Checksum},
		"half of it": {func(b []byte) {
			clear(extentBytes(b, refs[0])[100:])
		}, readLeaf, Checksum},
	} {
		if err := c.read(damaged(t, mem, c.change)); kindOf(err) != c.want {
			t.Errorf("%s: have %v, want %v", name, err, c.want)
		}
	}
}

// A reference that vouches for bytes which break the format: a hostile file.
func TestRead_RefusesWhatBreaksTheFormat(t *testing.T) {
	mem := vfs.NewMem()
	tr, refs, overflow := build(t, mem, compress.S2, []uint64{numberOf(700, 900), numberOf(2000, 6000), 3})
	for name, c := range map[string]struct {
		change func(e []byte)
		want   Kind
	}{
		"kind":            {func(e []byte) { e[12] = 9 }, Structure},
		"codec":           {func(e []byte) { e[13] = 3 }, Structure},
		"other codec":     {func(e []byte) { e[13] = 2 }, Structure},
		"no codec":        {func(e []byte) { e[13] = 0 }, Structure},
		"level":           {func(e []byte) { e[14] = 1 }, Structure},
		"shift":           {func(e []byte) { e[15] = 3 }, Structure},
		"database":        {func(e []byte) { e[16]++ }, Foreign},
		"keyspace":        {func(e []byte) { e[24]++ }, Structure},
		"stored length":   {func(e []byte) { e[28]++ }, Structure},
		"generation":      {func(e []byte) { e[32] = 99 }, Structure},
		"plain length":    {func(e []byte) { e[40]++ }, Structure},
		"huge plain":      {func(e []byte) { e[43] = 0xff }, Structure},
		"count":           {func(e []byte) { e[44] = 200 }, Structure},
		"prefix":          {func(e []byte) { e[47] = 200 }, Structure},
		"compressed body": {func(e []byte) { e[60] ^= 0xff; e[61] ^= 0xff; e[49] ^= 0xff }, Structure},
	} {
		for what, ref := range map[string]node.Ref{"leaf": refs[0], "overflow": overflow} {
			if what == "overflow" && (name == "shift" || name == "count" || name == "prefix" || name == "compressed body") {
				continue // means nothing there, or may decode to another value
			}
			p := damaged(t, mem, func(b []byte) {
				e := extentBytes(b, ref)
				c.change(e)
				reseal(e)
				ref.Sum = binary.LittleEndian.Uint64(e)
			})
			var err error
			if what == "leaf" {
				_, err = p.ReadNode(ref, kv.CatalogKeyspace, 0)
			} else {
				_, err = p.ReadOverflow(ref, kv.CatalogKeyspace, nil)
			}
			if kindOf(err) != c.want {
				t.Errorf("%s of the %s: have %v, want %v", name, what, err, c.want)
			}
		}
	}
	for name, c := range map[string]struct {
		ref  node.Ref
		want Kind
	}{
		"no header":    {node.Ref{Off: 8192, Len: 47}, Structure},
		"the meta":     {node.Ref{Off: 4096, Len: 500}, Structure},
		"past the end": {node.Ref{Off: tr.p.Meta().FileSize, Len: 500}, Truncated},
		"over the end": {node.Ref{Off: 8192, Len: 1 << 20}, Truncated},
		"a huge node":  {node.Ref{Off: 8192, Len: 1<<31 - 1}, Structure},
	} {
		if _, err := tr.p.ReadNode(c.ref, kv.CatalogKeyspace, 0); kindOf(err) != c.want {
			t.Errorf("reference to %s: have %v, want %v", name, err, c.want)
		}
	}
}

// A reference to a level that is not the node's.
func TestReadNode_AnotherLevel(t *testing.T) {
	mem := vfs.NewMem()
	tr, refs, _ := build(t, mem, compress.None, []uint64{1, 2, 3})
	for level, ref := range map[int]node.Ref{2: tr.root.Ref(), 0: tr.root.Ref(), 1: refs[0]} {
		if _, err := tr.p.ReadNode(ref, kv.CatalogKeyspace, level); kindOf(err) != Structure {
			t.Errorf("level %d: have %v", level, err)
		}
	}
}

// What stands behind the end that the meta tells is nobody's, even if a crash
// left something there.
func TestRead_NothingBehindTheEnd(t *testing.T) {
	mem := vfs.NewMem()
	tr, _, _ := build(t, mem, compress.None, []uint64{1, 2, 3})
	end := tr.p.Meta().FileSize
	if _, err := tr.p.file.WriteAt(make([]byte, 4096), int64(end)); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.p.ReadNode(node.Ref{Off: end, Len: 500}, kv.CatalogKeyspace, 0); kindOf(err) != Truncated {
		t.Errorf("have %v", err)
	}
}

// A large value that is stored as it is has no codec to notice that its plain
// length is another.
func TestReadOverflow_LargeWithAnotherPlainLength(t *testing.T) {
	mem := vfs.NewMem()
	_, _, overflow := build(t, mem, compress.None, []uint64{numberOf(directBytes, directBytes+9000), 2})
	p := damaged(t, mem, func(b []byte) {
		e := extentBytes(b, overflow)
		e[40] ^= 1
		reseal(e)
		overflow.Sum = binary.LittleEndian.Uint64(e)
	})
	if _, err := p.ReadOverflow(overflow, kv.CatalogKeyspace, nil); kindOf(err) != Structure {
		t.Errorf("have %v", err)
	}
}

// Lengths that a hostile file tells are judged before memory is taken for them.
func TestRead_TakesNoMemoryForALie(t *testing.T) {
	mem := vfs.NewMem()
	_, refs, overflow := build(t, mem, compress.S2, []uint64{numberOf(700, 900), numberOf(2000, 6000), 3})
	for name, ref := range map[string]node.Ref{"leaf": refs[0], "overflow": overflow} {
		plain := uint32(1 << 30)
		if name == "overflow" {
			plain = 3 << 30
		}
		p := damaged(t, mem, func(b []byte) {
			e := extentBytes(b, ref)
			binary.LittleEndian.PutUint32(e[40:], plain)
			binary.PutUvarint(e[48:], uint64(plain)) // what the s2 block itself tells
			reseal(e)
			ref.Sum = binary.LittleEndian.Uint64(e)
		})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var err error
		if name == "leaf" {
			_, err = p.ReadNode(ref, kv.CatalogKeyspace, 0)
		} else {
			_, err = p.ReadOverflow(ref, kv.CatalogKeyspace, nil)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; kindOf(err) != Structure || took > 1<<20 {
			t.Errorf("%s: have %v, took %d bytes", name, err, took)
		}
	}
}

// Random damage anywhere never gives a wrong value, nor a panic.
func TestRead_RandomDamageIsFoundOrHarmless(t *testing.T) {
	mem := vfs.NewMem()
	values := make([]uint64, 40)
	for i := range values {
		values[i] = uint64(i)
	}
	tr, _, _ := build(t, mem, compress.Zstd, values)
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 20))
		p := damaged(t, mem, func(b []byte) {
			for range 3 {
				at := firstExtent + r.IntN(len(b)-firstExtent)
				n := min(1+r.IntN(2000), len(b)-at)
				from := firstExtent + r.IntN(len(b)-firstExtent-n+1)
				switch r.IntN(3) {
				case 0:
					clear(b[at : at+n])
				case 1:
					copy(b[at:at+n], bytes.Clone(b[from:from+n]))
				case 2:
					b[at] ^= 1 << r.IntN(8)
				}
			}
		})
		re := attach(p, tr.values)
		for i, v := range tr.values {
			have, err := re.get(i)
			if err != nil && kindOf(err) == 0 {
				t.Fatalf("seed %d leaf %d: %v", seed, i, err)
			}
			if err == nil && !bytes.Equal(have, valueOf(v)) {
				t.Fatalf("seed %d leaf %d: wrong value", seed, i)
			}
		}
	}
}

// A large value is read straight into the caller's buffer, behind what is in
// it, and written without a copy: lengths around the borders of units.
func TestOverflow_AllLengths(t *testing.T) {
	mem := vfs.NewMem()
	p := create(t, mem, Options{})
	r := rand.New(rand.NewPCG(1, 21))
	var refs []node.Ref
	var values [][]byte
	w, err := p.Begin(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 463, 464, 465, 976, directBytes - 49, directBytes - 48, directBytes - 47, directBytes + 464, 3 << 20} {
		for _, codec := range []compress.Codec{compress.None, compress.S2, compress.Zstd} {
			v := make([]byte, n)
			for i := range v {
				v[i] = byte(i * i >> 8)
				if i%8 < 3 {
					v[i] = byte(r.Uint32()) // so that it stays large when compressed
				}
			}
			ref, err := w.WriteOverflow(5, v, codec)
			if err != nil {
				t.Fatal(err)
			}
			refs, values = append(refs, ref), append(values, v)
		}
	}
	check := func(p *Pager) {
		t.Helper()
		for i, ref := range refs {
			dst := append(make([]byte, 0, 6+i%2*(4<<20)), "before"...) // with and without room
			have, err := p.ReadOverflow(ref, 5, dst)
			if err != nil || !bytes.Equal(have, append([]byte("before"), values[i]...)) {
				t.Errorf("value of %d bytes: have %d bytes, %v", len(values[i]), len(have)-6, err)
			}
		}
	}
	check(p) // while some are still staged
	if err := w.Commit(p.Meta(), false); err != nil {
		t.Fatal(err)
	}
	check(open(t, mem))
}
