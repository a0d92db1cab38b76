package verify_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/verify"
)

// want is a finding that a test waits for.
type want struct {
	invariant, kind string
	offset          uint64
}

// damages are what can be wrong with a database that is not only flipped bits:
// each changes the image, with valid checksums where it seals, and returns
// what must be found.
var damages = map[string]func(m *image, list []*extent) []want{
	"a sector of a leaf is zeros": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Leaf, 1)[3]
		clear(m.bytes(e)[:512])
		return []want{{"R2", inspect.Checksum, e.ref.Offset}}
	},
	"two leaves of a keyspace are swapped": func(m *image, list []*extent) []want {
		a, b := alike(pick(list, inspect.Leaf, 1), pick(list, inspect.Leaf, 1))
		m.swap(a, b)
		return []want{{"R2", inspect.Stale, a.ref.Offset}, {"R2", inspect.Stale, b.ref.Offset}}
	},
	"two leaves of different keyspaces are swapped": func(m *image, list []*extent) []want {
		a, b := alike(pick(list, inspect.Leaf, 0), pick(list, inspect.Leaf, 1))
		m.swap(a, b)
		return []want{{"R2", inspect.Misdirected, a.ref.Offset}, {"R2", inspect.Misdirected, b.ref.Offset}}
	},
	"an older leaf stands there": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Leaf, 0)[5]
		b := m.bytes(e)
		le.PutUint64(b[32:], le.Uint64(b[32:])-1)
		m.sealAlone(e)
		return []want{{"R2", inspect.Stale, e.ref.Offset}}
	},
	"an extent of another database stands there": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Branch, 0)[1]
		m.bytes(e)[16]++
		m.sealAlone(e)
		return []want{{"R2", inspect.Foreign, e.ref.Offset}}
	},
	"the file is cut": func(m *image, list []*extent) []want {
		sortByOffset(list)
		e := list[len(list)-1]
		m.b = m.b[:e.ref.Offset+100]
		return []want{{"M2", inspect.Truncated, e.ref.Offset + 100}, {"R2", inspect.Truncated, e.ref.Offset}}
	},
	"a reference tells too many entries": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Leaf, 0)[2]
		m.b[e.pos+6]++
		m.sealParent(e)
		return []want{{"R3", inspect.Count, e.ref.Offset}, {"R3", inspect.Count, e.parent.ref.Offset}}
	},
	"a reference tells no overflow values": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Overflow, 0)[0].parent
		m.b[e.pos+15] &^= 0x80
		m.sealParent(e)
		return []want{{"R3", inspect.Count, e.ref.Offset}}
	},
	"a value's reference tells two": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Overflow, 1)[0]
		m.b[e.pos+6] = 2
		m.sealParent(e)
		return []want{{"R3", inspect.Count, e.ref.Offset}}
	},
	"the free list's reference tells one more": func(m *image, list []*extent) []want {
		m.b[list[0].pos+6]++
		m.sealMeta()
		return []want{{"R3", inspect.Count, list[0].ref.Offset}}
	},
	"a reference to nothing tells a length": func(m *image, list []*extent) []want {
		e := root(list, 1)
		clear(m.b[e.pos : e.pos+6])
		m.sealParent(e)
		return []want{{"R1", inspect.Structure, e.parent.ref.Offset}}
	},
	"two keys of a leaf change places": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Leaf, 0)[1]
		slots := leafSlots(m.bytes(e))
		swapBytes(slots[0:2], slots[2:4])
		m.seal(e)
		return []want{{"L1", inspect.Order, e.ref.Offset}}
	},
	"two leaves change places in their branch": func(m *image, list []*extent) []want {
		leaves := pick(list, inspect.Leaf, 0)
		a, b := leaves[1], leaves[2]
		swapBytes(m.b[a.pos:a.pos+24], m.b[b.pos:b.pos+24])
		m.sealParent(a)
		return []want{{"L1", inspect.Order, a.ref.Offset}, {"L1", inspect.Order, b.ref.Offset}}
	},
	"two branches change places in theirs": func(m *image, list []*extent) []want {
		var a, b *extent
		for _, e := range pick(list, inspect.Branch, 0) {
			switch {
			case e.level != 1:
			case a == nil:
				a = e
			case b == nil && e.parent == a.parent:
				b = e
			}
		}
		swapBytes(m.b[a.pos:a.pos+24], m.b[b.pos:b.pos+24])
		m.sealParent(a)
		return []want{{"B1", inspect.Order, a.ref.Offset}, {"B1", inspect.Order, b.ref.Offset}}
	},
	"two separators change places": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Branch, 0)[1]
		b := m.bytes(e)
		count := uint64(le.Uint16(b[44:]))
		heads, slots := b[48+24*count:], b[48+28*count:]
		swapBytes(heads[4:8], heads[8:12])
		swapBytes(slots[2:4], slots[4:6])
		m.seal(e)
		return []want{{"B1", inspect.Order, e.ref.Offset}}
	},
	"a branch of one child": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Branch, 0)[1]
		le.PutUint16(m.bytes(e)[44:], 1)
		m.seal(e)
		return []want{{"B2", inspect.Structure, e.ref.Offset}}
	},
	"a leaf without entries": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Leaf, 0)[4]
		le.PutUint16(m.bytes(e)[44:], 0)
		m.seal(e)
		return []want{{"L2", inspect.Structure, e.ref.Offset}}
	},
	"the catalog tells too small a page": func(m *image, list []*extent) []want {
		e := root(list, 2)
		le.PutUint32(m.b[e.pos-4:], 1024)
		m.sealParent(e)
		leaf := pick(list, inspect.Leaf, 2)[0]
		return []want{{"L2", inspect.Structure, leaf.ref.Offset}}
	},
	"the catalog tells too large a page": func(m *image, list []*extent) []want {
		e := root(list, 2)
		le.PutUint32(m.b[e.pos-4:], 16<<10)
		m.sealParent(e)
		leaf := pick(list, inspect.Overflow, 2)[0].parent
		return []want{{"L3", inspect.Structure, leaf.ref.Offset}}
	},
	"a fingerprint of another key": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Leaf, 1)[0]
		m.bytes(e)[48]++
		m.seal(e)
		return []want{{"L4", inspect.Structure, e.ref.Offset}}
	},
	"a node of another keyspace": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Leaf, 1)[0]
		m.bytes(e)[24]++
		m.seal(e)
		return []want{{"X1", inspect.Structure, e.ref.Offset}}
	},
	"a node of another database": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Leaf, 1)[0]
		m.bytes(e)[20]++
		m.seal(e)
		return []want{{"X1", inspect.Foreign, e.ref.Offset}}
	},
	"a branch of another level": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Branch, 1)[1]
		m.bytes(e)[14]++
		m.seal(e)
		return []want{{"X1", inspect.Structure, e.ref.Offset}}
	},
	"a root higher than any tree": func(m *image, list []*extent) []want {
		e := root(list, 0)
		m.bytes(e)[14] = 200
		m.seal(e)
		return []want{{"X1", inspect.Structure, e.ref.Offset}}
	},
	"a leaf where a value should be": func(m *image, list []*extent) []want {
		e, leaf := pick(list, inspect.Overflow, 0)[0], pick(list, inspect.Leaf, 0)[0]
		copy(m.b[e.pos:], m.b[leaf.pos:][:24])
		m.seal(e.parent)
		return []want{{"X1", inspect.Structure, leaf.ref.Offset}}
	},
	"a generation of the future": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Overflow, 0)[0]
		le.PutUint64(m.bytes(e)[32:], 1<<40)
		m.seal(e)
		return []want{{"X2", inspect.Structure, e.ref.Offset}}
	},
	"an unknown codec": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Leaf, 0)[0]
		m.bytes(e)[13] = 9
		m.seal(e)
		return []want{{"X3", inspect.Structure, e.ref.Offset}}
	},
	"a plain length of gigabytes": func(m *image, list []*extent) []want {
		var all []want
		for _, e := range []*extent{pick(list, inspect.Leaf, 0)[0], pick(list, inspect.Overflow, 1)[0]} {
			m.bytes(e)[13] = 2
			le.PutUint32(m.bytes(e)[40:], 0xFFFFFFF0)
			m.seal(e)
			all = append(all, want{"X3", inspect.Structure, e.ref.Offset})
		}
		return all
	},
	"a value shorter than its leaf tells": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Overflow, 0)[0]
		b := m.bytes(e)
		le.PutUint32(b[28:], e.ref.Length-1)
		le.PutUint32(b[40:], e.ref.Length-49)
		le.PutUint32(m.b[e.pos+12:], e.ref.Length-1)
		b[len(b)-1] = 0
		e.ref.Length--
		m.seal(e)
		return []want{{"X3", inspect.Structure, e.ref.Offset}}
	},
	"a slot past the end of the leaf": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Leaf, 0)[0]
		le.PutUint16(leafSlots(m.bytes(e)), 0xFFF0)
		m.seal(e)
		return []want{{"X3", inspect.Structure, e.ref.Offset}}
	},
	"something in the last unit": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Leaf, 0)[0]
		m.b[e.ref.Offset+e.ref.Size()-1] = 1
		return []want{{"X3", inspect.Structure, e.ref.Offset}}
	},
	"an absurd length": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Leaf, 0)[0]
		le.PutUint32(m.b[e.pos+12:], 0x7FFFFFFF)
		m.sealParent(e)
		return []want{{"X3", inspect.Structure, e.ref.Offset}}
	},
	"a value that reaches past the end": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Overflow, 0)[0]
		le.PutUint32(m.b[e.pos+12:], 1<<30)
		m.sealParent(e)
		return []want{{"M3", inspect.Structure, e.ref.Offset}}
	},
	"an offset past the end": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Leaf, 0)[0]
		copy(m.b[e.pos:], "\xff\xff\xff\xff\xff\xff")
		m.sealParent(e)
		return []want{{"M3", inspect.Structure, 0xffffffffffff * 512}}
	},
	"an offset among the metas": func(m *image, list []*extent) []want {
		e := pick(list, inspect.Overflow, 1)[0]
		copy(m.b[e.pos:], "\x08\x00\x00\x00\x00\x00")
		m.sealParent(e)
		return []want{{"M3", inspect.Structure, 8 * 512}}
	},
	"two references to one leaf": func(m *image, list []*extent) []want {
		leaves := pick(list, inspect.Leaf, 0)
		a, b := leaves[1], leaves[2]
		copy(m.b[b.pos:], m.b[a.pos:][:24])
		m.sealParent(b)
		return []want{{"M3", inspect.Space, a.ref.Offset}, {"M3", inspect.Space, b.ref.Offset}}
	},
	"two references to one value": func(m *image, list []*extent) []want {
		values := pick(list, inspect.Overflow, 0)
		copy(m.b[values[1].pos:], m.b[values[0].pos:][:24])
		m.sealParent(values[1])
		return []want{{"M3", inspect.Space, values[0].ref.Offset}}
	},
	"two keyspaces with one tree": func(m *image, list []*extent) []want {
		a, b := root(list, 0), root(list, 1)
		copy(m.b[b.pos:], m.b[a.pos:][:24])
		m.sealParent(b)
		return []want{{"X1", inspect.Structure, a.ref.Offset}}
	},
	"a used unit that is free": func(m *image, list []*extent) []want {
		start, _ := m.moveFree(list[0], -1, +1)
		return []want{{"M3", inspect.Space, start - 512}, {"M3", inspect.Count, list[0].ref.Offset}}
	},
	"a unit that nobody has": func(m *image, list []*extent) []want {
		_, end := m.moveFree(list[0], 0, -1)
		return []want{{"M3", inspect.Space, end - 512}, {"M3", inspect.Count, list[0].ref.Offset}}
	},
	"a unit that the meta counts and nobody has": func(m *image, list []*extent) []want {
		_, end := m.moveFree(list[0], 0, -1)
		le.PutUint64(m.b[m.meta()+144:], le.Uint64(m.b[m.meta()+144:])+512)
		m.sealMeta()
		return []want{{"M3", inspect.Space, end - 512}, {"M3", inspect.Count, list[0].ref.Offset}}
	},
	"an empty extent that is free": func(m *image, list []*extent) []want {
		body := m.bytes(list[0])[48:]
		_, a := binary.Uvarint(body)
		_, b := binary.Uvarint(body[a:])
		_, c := binary.Uvarint(body[a+b:])
		for i := range c { // of as many bytes
			body[a+b+i] &= 0x80
		}
		m.seal(list[0])
		return []want{{"F1", inspect.Structure, list[0].ref.Offset}}
	},
	"wrong bytes in use": func(m *image, list []*extent) []want {
		le.PutUint64(m.b[m.meta()+144:], le.Uint64(m.b[m.meta()+144:])-512)
		m.sealMeta()
		return []want{{"M3", inspect.Count, list[0].ref.Offset}}
	},
	"no free list": func(m *image, list []*extent) []want {
		clear(m.b[m.meta()+112:][:24])
		m.sealMeta()
		return []want{{"M3", inspect.Count, 0}}
	},
	"a keyspace past the next id": func(m *image, list []*extent) []want {
		le.PutUint32(m.b[m.meta()+136:], 2)
		m.sealMeta()
		return []want{{"C1", inspect.Structure, catalog(list).ref.Offset}}
	},
	"two keyspaces of one name": func(m *image, list []*extent) []want {
		e := catalog(list)
		b := m.bytes(e)
		copy(b[bytes.Index(b, []byte("space 1")):], "space 0")
		m.seal(e)
		return []want{{"C1", inspect.Structure, e.ref.Offset}}
	},
	"no catalog": func(m *image, list []*extent) []want {
		e := catalog(list)
		clear(m.b[e.pos:][:24])
		m.sealMeta()
		return []want{{"C1", inspect.Structure, 0}}
	},
	"a catalog entry of another version": func(m *image, list []*extent) []want {
		e := root(list, 1)
		m.b[e.pos-8] = 3
		m.sealParent(e)
		return []want{{"C2", inspect.Structure, e.parent.ref.Offset}}
	},
	"the catalog's root is damaged": func(m *image, list []*extent) []want {
		m.bytes(catalog(list))[100]++
		return []want{{"R2", inspect.Checksum, catalog(list).ref.Offset}}
	},
	"a meta in the wrong slot": func(m *image, list []*extent) []want {
		at := 4096 - m.meta()
		le.PutUint64(m.b[at+32:], le.Uint64(m.b[at+32:])-1)
		m.sealSlot(at)
		return []want{{"M1", inspect.Misdirected, at}}
	},
	"a lost write of a meta": func(m *image, list []*extent) []want {
		at := 4096 - m.meta()
		le.PutUint64(m.b[at+32:], le.Uint64(m.b[at+32:])-2)
		m.sealSlot(at)
		return []want{{"M1", inspect.Stale, at}}
	},
	"a meta with an absurd page size": func(m *image, list []*extent) []want {
		at := 4096 - m.meta()
		le.PutUint32(m.b[at+44:], 7)
		m.sealSlot(at)
		return []want{{"M1", inspect.Structure, at}}
	},
	"a sequence number that no commit has": func(m *image, list []*extent) []want {
		le.PutUint64(m.b[m.meta()+56:], 1<<62)
		m.sealMeta()
		return []want{{"M1", inspect.Structure, m.meta()}}
	},
	"metas of two databases": func(m *image, list []*extent) []want {
		at := 4096 - m.meta()
		m.b[at+20]++
		m.sealSlot(at)
		return []want{{"M1", inspect.Foreign, at}}
	},
	"no meta": func(m *image, list []*extent) []want {
		clear(m.b[:8192])
		return []want{{"M1", inspect.Checksum, 0}}
	},
}

// moveFree adds to the gap before and to the length of the first free extent
// that allows it, and returns where it was.
func (m *image) moveFree(e *extent, gap, length int8) (start, end uint64) {
	body := m.bytes(e)[48:]
	_, i := binary.Uvarint(body)
	at := uint64(8192)
	for i < len(body) {
		g, n := binary.Uvarint(body[i:])
		size, k := binary.Uvarint(body[i+n:])
		at += g * 512
		if low, next := int8(body[i]&0x7F)+gap, int8(body[i+n]&0x7F)+length; low > 0 && next > 0 && g > 1 && size > 1 {
			body[i] += byte(gap)
			body[i+n] += byte(length)
			m.seal(e)
			return at, at + size*512
		}
		at += size * 512
		i += n + k
	}
	m.t.Fatal("no free extent that can be moved")
	return 0, 0
}

func catalog(list []*extent) *extent { return pick(list, inspect.Leaf, inspect.CatalogKeyspace)[0] }

func root(list []*extent, keyspace uint32) *extent { return pick(list, inspect.Branch, keyspace)[0] }

func leafSlots(b []byte) []byte { return b[48+(int(le.Uint16(b[44:]))+7)&^7:] }

func swapBytes(a, b []byte) {
	t := bytes.Clone(a)
	copy(a, b)
	copy(b, t)
}

// swap makes each of two extents stand where the other did.
func (m *image) swap(a, b *extent) {
	swapBytes(m.b[a.ref.Offset:][:a.ref.Size()], m.b[b.ref.Offset:][:b.ref.Size()])
}

// alike returns an extent of either list, not the same, of one length.
func alike(a, b []*extent) (x, y *extent) {
	for _, x := range a {
		for _, y := range b {
			if x != y && x.ref.Length == y.ref.Length {
				return x, y
			}
		}
	}
	return nil, nil
}

// sealAlone corrects the checksum of e in its own header only.
func (m *image) sealAlone(e *extent) {
	parent := m.clone(m.t)
	parent.seal(&extent{ref: e.ref, pos: e.pos})
	copy(m.bytes(e)[:8], parent.b[e.ref.Offset:][:8])
}

func TestRun_FindsEachDamage(t *testing.T) {
	base := usual.build(t, 1)
	clean := base.verify(verify.Options{})
	if !clean.OK {
		t.Fatal(show(clean))
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			m := base.clone(t)
			wanted := damage(m, m.extents())
			m.save()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r := verifyFS(t, m.fs, verify.Options{})
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
				t.Errorf("allocated %d bytes", n)
			}
			for _, w := range wanted {
				if _, ok := find(r, w.invariant, w.kind, w.offset); !ok {
					t.Errorf("want %+v, have %s", w, show(r))
				}
			}
			if r.OK || r.Keys+r.Lost() > 2*clean.Keys {
				t.Errorf("have %s", show(r))
			}
		})
	}
}

func TestRun_FindsTooLargeABranch(t *testing.T) {
	s := shape{rounds: 2, keys: 5000}
	m := s.build(t, 1)
	list := m.extents()
	e := root(list, 0)
	le.PutUint32(m.b[e.pos-4:], 1024)
	m.sealParent(e)
	r := m.verify(verify.Options{})
	if _, ok := find(r, "B3", inspect.Structure, e.ref.Offset); !ok {
		t.Fatalf("have %s", show(r))
	}
}

// An extent that cannot be read is one finding, with the range of its keys and
// their number; everything else is read.
func TestRun_TellsWhatIsLost(t *testing.T) {
	base := usual.build(t, 2)
	clean := base.verify(verify.Options{})
	names := []string{"", "space 0", "space 1"}
	for _, e := range base.extents() {
		if e.keyspace == inspect.CatalogKeyspace {
			continue
		}
		m := base.clone(t)
		m.bytes(e)[e.ref.Length-1] ^= 0x10
		r := m.verify(verify.Options{})
		if len(r.Findings) != 1 {
			t.Fatalf("%v: have %s", e, show(r))
		}
		want := verify.Finding{
			Invariant: "R2", Path: treePath, Offset: int64(e.ref.Offset), Kind: inspect.Checksum, Reason: r.Findings[0].Reason,
			Start: e.start, End: e.end, Keyspace: names[e.keyspace], Keys: e.ref.Count,
		}
		if have := r.Findings[0]; fmt.Sprintf("%+v", have) != fmt.Sprintf("%+v", want) {
			t.Fatalf("%v: have %+v\nwant %+v", e, have, want)
		}
		left := clean.Keys - e.ref.Count
		if e.kind == inspect.Overflow {
			left = clean.Keys // its key is there
		}
		if r.Keys != left {
			t.Fatalf("%v: have %d keys, want %d", e, r.Keys, left)
		}
	}
}

// All damage is found, not only the first.
func TestRun_FindsAllDamage(t *testing.T) {
	m := usual.build(t, 3)
	var wanted []uint64
	for i, e := range m.extents() {
		if e.kind != inspect.Branch && e.keyspace != inspect.CatalogKeyspace && i%3 == 0 && (e.kind == inspect.Leaf || !slices.Contains(wanted, e.parent.ref.Offset)) {
			m.bytes(e)[60]++
			wanted = append(wanted, e.ref.Offset)
		}
	}
	slices.Sort(wanted)
	var have []uint64
	for _, f := range m.verify(verify.Options{}).Findings {
		have = append(have, uint64(f.Offset))
	}
	if !slices.Equal(have, wanted) {
		t.Fatalf("have findings at %d\nwant %d", have, wanted)
	}
}

// Every single byte of what the newest state is made of: the metas, all
// extents to the end of their last unit, and the log.
func TestRun_FindsEveryFlippedByte(t *testing.T) {
	s := shape{options: engine.Options{PageSize: 1024, SegmentBytes: 8 << 10}, keyspaces: make([]engine.KeyspaceOptions, 1), rounds: 2, keys: 30, longest: 700}
	base := s.build(t, 5)
	flips := 0
	flip := func(at, offset uint64) {
		m := base.clone(t)
		m.b[at] ^= 1 << (at % 8)
		r := m.verify(verify.Options{Workers: 1})
		all := append(slices.Clone(r.Findings), r.Notes...)
		if !slices.ContainsFunc(all, func(f verify.Finding) bool { return f.Path == treePath && uint64(f.Offset) == offset }) {
			t.Fatalf("byte %d, of what stands at %d: have %s", at, offset, show(r))
		}
		if offset >= 8192 && r.OK {
			t.Fatalf("byte %d, of what stands at %d, is only a note: %s", at, offset, show(r))
		}
		flips++
	}
	for _, e := range base.extents() {
		for at := e.ref.Offset; at < e.ref.Offset+e.ref.Size(); at++ {
			flip(at, e.ref.Offset)
		}
	}
	for _, place := range []uint64{0, 2048, 4096, 6144} {
		if b := base.b[place:][:512]; place%4096 != 0 && bytes.Equal(b, make([]byte, 512)) {
			continue // a copy that was never written
		}
		for at := range uint64(512) {
			flip(place+at, place)
		}
	}
	t.Logf("%d bytes of btree.db flipped", flips)
}

func TestRun_FindsEveryFlippedByteOfTheLog(t *testing.T) {
	fs := vfs.NewMem()
	s := shape{options: engine.Options{SegmentBytes: 8 << 10}}
	db := s.open(t, fs)
	for i := range 20 {
		if err := db.Put(fmt.Appendf(nil, "key %d", i), []byte("value")); err != nil {
			t.Fatal(err)
		}
	}
	base := fs.Clone()
	clean := verifyFS(t, base, verify.Options{})
	if !clean.OK || clean.LogRecords != 20 {
		t.Fatal(show(clean))
	}
	name := dbDir + "/wal/0000000000000001.log"
	bytesOf := readFile(t, base, name)
	used := bytes.LastIndex(bytesOf, []byte("value")) + len("value")
	last := bytes.LastIndex(bytesOf, []byte("key 19")) - 44
	torn := 0
	for at := 0; at < used; at++ {
		if at == 128 {
			at = 4096
		}
		fs := base.Clone()
		b := bytes.Clone(bytesOf)
		b[at] ^= 1 << (at % 8)
		writeFile(t, fs, name, b)
		r := verifyFS(t, fs, verify.Options{})
		switch {
		case len(r.Findings) > 0 && r.Findings[0].Path == name:
		case at >= last && r.TornBytes > 0: // what a crash leaves, and nothing tells it apart
			torn++
		default:
			t.Fatalf("byte %d: have %s", at, show(r))
		}
	}
	t.Logf("%d bytes of the log flipped, %d of them in the last record", used-4096+128, torn)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRun_Log(t *testing.T) {
	fs := vfs.NewMem()
	s := shape{options: engine.Options{SegmentBytes: 8 << 10}}
	db := s.open(t, fs)
	for i := range 40 {
		if err := db.Put(fmt.Appendf(nil, "key %d", i), make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	base := fs.Clone()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	other := shape{rounds: 1, keys: 3}
	strange := other.build(t, 1)
	path := func(n int) string { return fmt.Sprintf("%s/wal/%016x.log", dbDir, n) }
	for name, c := range map[string]struct {
		damage func(fs *vfs.Mem) error
		want   want
		path   string
	}{
		"the first segment is missing": {
			func(fs *vfs.Mem) error { return fs.Remove(path(1)) },
			want{"W4", inspect.Missing, 0},
			path(1),
		},
		"a segment is missing": {
			func(fs *vfs.Mem) error { return fs.Remove(path(3)) },
			want{"W1", inspect.Missing, 8192},
			path(2),
		},
		"the log is missing": {
			func(fs *vfs.Mem) error {
				names, err := fs.List(dbDir + "/wal")
				for _, name := range names {
					err = errors.Join(err, fs.Remove(dbDir+"/wal/"+name))
				}
				return errors.Join(err, fs.Remove(dbDir+"/wal"))
			},
			want{"W4", inspect.Missing, 0},
			dbDir + "/wal",
		},
		"a segment of another database": {
			func(fs *vfs.Mem) error {
				writeFile(t, fs, path(2), readFile(t, strange.fs, path(1)))
				return nil
			},
			want{"W4", inspect.Foreign, 0},
			path(2),
		},
		"a segment is cut short": {
			func(fs *vfs.Mem) error {
				writeFile(t, fs, path(2), readFile(t, fs, path(2))[:6000])
				return nil
			},
			want{"W4", inspect.Log, 6000},
			path(2),
		},
		"a sector of records is zeros": {
			func(fs *vfs.Mem) error {
				b := readFile(t, fs, path(1))
				clear(b[4096:4608])
				writeFile(t, fs, path(1), b)
				return nil
			},
			want{"W3", inspect.Log, 4096},
			path(1),
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := base.Clone()
			if err := c.damage(fs); err != nil {
				t.Fatal(err)
			}
			r := verifyFS(t, fs, verify.Options{})
			if !slices.ContainsFunc(r.Findings, func(f verify.Finding) bool {
				return f.Invariant == c.want.invariant && f.Kind == c.want.kind && uint64(f.Offset) == c.want.offset && f.Path == c.path
			}) {
				t.Fatalf("want %+v in %s, have %s", c.want, c.path, show(r))
			}
			if strings.Contains(name, "segment") && name != "a sector of records is zeros" {
				if r := verifyFS(t, fs, verify.Options{Quick: true}); r.OK {
					t.Fatalf("quick: have %s", show(r))
				}
			}
		})
	}
}

// A slot that a crash tore while a meta was written is no damage, and not
// silent either. Where the log that the other meta needs is gone, it was not
// torn by a crash; where it is there, all keys are.
func TestRun_TornMeta(t *testing.T) {
	m := usual.build(t, 1)
	keys := m.verify(verify.Options{}).Keys
	for _, c := range []struct {
		at  uint64
		was string
	}{{4096 - m.meta(), "older"}, {m.meta(), "newest"}} {
		d := m.clone(t)
		clear(d.b[c.at+100 : c.at+512])
		r := d.verify(verify.Options{})
		if _, found := find(r, "M1", inspect.Checksum, c.at); found && c.was == "newest" {
			continue
		}
		if !r.OK || r.Keys != keys || len(r.Notes) != 1 || uint64(r.Notes[0].Offset) != c.at {
			t.Fatalf("%s: have %s", c.was, show(r))
		}
	}
}

// A meta that no crash can have torn, as the log that the other one needs is
// gone, is a finding.
func TestRun_LostNewestMeta(t *testing.T) {
	m := usual.build(t, 1)
	at := m.meta()
	clear(m.b[at : at+512])
	clear(m.b[at+2048 : at+2560])
	names, err := m.fs.List(dbDir + "/wal")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := m.fs.Remove(dbDir + "/wal/" + name); err != nil {
			t.Fatal(err)
		}
	}
	r := m.verify(verify.Options{})
	if _, ok := find(r, "M1", inspect.Checksum, at); !ok || len(r.Notes) > 0 {
		t.Fatalf("have %s", show(r))
	}
}

// The bytes in the catalog are an estimate once a range was deleted, so they
// are a note when they are wrong, and no damage.
func TestRun_OtherBytesInTheCatalogAreANote(t *testing.T) {
	m := usual.build(t, 1)
	e := root(m.extents(), 1)
	m.b[e.pos+24]++
	m.sealParent(e)
	r := m.verify(verify.Options{})
	if !r.OK || len(r.Notes) != 1 || r.Notes[0].Invariant != "C2" || r.Notes[0].Keyspace != "space 0" {
		t.Fatalf("have %s", show(r))
	}
}

func TestRun_AfterADeletedRange(t *testing.T) {
	fs := vfs.NewMem()
	var s shape
	db := s.open(t, fs)
	for i := range 10_000 {
		if err := db.Put(fmt.Appendf(nil, "%06d", i), make([]byte, 50)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.DeleteRange([]byte("001000"), []byte("008000")), db.Close()); err != nil {
		t.Fatal(err)
	}
	if r := verifyFS(t, fs, verify.Options{}); !r.OK || r.Keys != 3000 {
		t.Fatalf("have %s", show(r))
	}
}

func TestRun_Errors(t *testing.T) {
	text := func(fs *vfs.Mem, name string) {
		if err := fs.Mkdir(dbDir); err != nil {
			t.Fatal(err)
		}
		writeFile(t, fs, name, bytes.Repeat([]byte("hello "), 3000))
	}
	for name, c := range map[string]struct {
		make func(fs *vfs.Mem)
		want error
	}{
		"nothing there":    {func(*vfs.Mem) {}, engine.ErrNotExist},
		"empty directory":  {func(fs *vfs.Mem) { _ = fs.Mkdir(dbDir) }, engine.ErrNotExist},
		"other files":      {func(fs *vfs.Mem) { text(fs, dbDir+"/notes.txt") }, engine.ErrFormat},
		"a file":           {func(fs *vfs.Mem) { writeFile(t, fs, dbDir, nil) }, engine.ErrFormat},
		"text in btree.db": {func(fs *vfs.Mem) { text(fs, treePath) }, engine.ErrFormat},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			c.make(fs)
			if r, err := verify.Run(t.Context(), dbDir, verify.Options{FS: fs}); !errors.Is(err, c.want) || r.OK {
				t.Fatalf("have %+v, %v, want %v", r, err, c.want)
			}
		})
	}
	m := usual.build(t, 1)
	for _, at := range []uint64{0, 4096} {
		le.PutUint32(m.b[at+8:], 3)
		m.sealSlot(at)
	}
	m.save()
	if _, err := verify.Run(t.Context(), dbDir, verify.Options{FS: m.fs}); !errors.Is(err, engine.ErrVersion) {
		t.Fatalf("have %v, want %v", err, engine.ErrVersion)
	}
}
