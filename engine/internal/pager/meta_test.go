package pager

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

func fullMeta() Meta {
	return Meta{
		UUID: testUUID, Gen: 7, PageSize: 8192, FileSize: 1 << 20, Seq: 9, LogStart: 10,
		LogSegment: 11, LogEnd: 12, NextKeyspace: 13, BytesUsed: 14 * 512, Created: 15,
		Catalog:  node.Ref{Off: 8192, Len: 500, Count: 3, Sum: 16},
		FreeList: node.Ref{Off: 9216, Len: 600, Count: 4, Sum: 17},
	}
}

// The offsets are those of docs/FORMAT.md.
func TestMeta_Layout(t *testing.T) {
	m := fullMeta()
	b := EncodeMeta(&m)
	if string(b[:8]) != "LGTNGDB1" || !bytes.Equal(b[16:32], m.UUID[:]) {
		t.Error("magic or UUID")
	}
	for off, want := range map[int]uint64{
		32: 7, 48: 1 << 20, 56: 9, 64: 10, 72: 11, 80: 12, 104: 16, 128: 17,
		144: 14 * 512, 152: 15, 504: xxhash.Sum64(b[:504]),
	} {
		if have := binary.LittleEndian.Uint64(b[off:]); have != want {
			t.Errorf("8 bytes at %d: have %d, want %d", off, have, want)
		}
	}
	for off, want := range map[int]uint32{8: 2, 12: 512, 40: 512, 44: 8192, 88: 16, 112: 18, 136: 13, 140: 0} {
		if have := binary.LittleEndian.Uint32(b[off:]); have != want {
			t.Errorf("4 bytes at %d: have %d, want %d", off, have, want)
		}
	}
	if have, err := DecodeMeta(b[:]); err != nil || have != m {
		t.Errorf("have %+v, %v\nwant %+v", have, err, m)
	}
}

func TestDecodeMeta_FindsEachChangedByte(t *testing.T) {
	m := fullMeta()
	b := EncodeMeta(&m)
	for i := range b {
		b[i] ^= 0x40
		if _, err := DecodeMeta(b[:]); err == nil {
			t.Errorf("byte %d changed: no error", i)
		}
		b[i] ^= 0x40
	}
}

func FuzzMeta(f *testing.F) {
	m := fullMeta()
	b := EncodeMeta(&m)
	f.Add(b[:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= metaSize { // make the checksum pass
			binary.LittleEndian.PutUint64(b[504:], xxhash.Sum64(b[:504]))
		}
		m, err := DecodeMeta(b)
		if err != nil {
			return
		}
		again := EncodeMeta(&m)
		if m2, err := DecodeMeta(again[:]); err != nil || m2 != m {
			t.Fatalf("decoded %+v, encoded and decoded again %+v, %v", m, m2, err)
		}
		if m.FileSize < firstExtent || m.BytesUsed > m.FileSize {
			t.Fatalf("accepted %+v", m)
		}
	})
}

func slotsFile(t *testing.T, slot0, slot1 []byte) *vfs.Mem {
	t.Helper()
	b := make([]byte, 1<<20)
	copy(b, slot0)
	copy(b[slotStride:], slot1)
	fs := vfs.NewMem()
	if err := fs.WriteFile(testName, b); err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestReadMeta_ChoosesTheSlot(t *testing.T) {
	enc := func(gen uint64, change func(*Meta)) []byte {
		m := fullMeta()
		m.Gen = gen
		if change != nil {
			change(&m)
		}
		b := EncodeMeta(&m)
		return b[:]
	}
	torn := func(b []byte) []byte { b[200] ^= 1; return b }
	newer := func(b []byte) []byte {
		b[8] = 3
		binary.LittleEndian.PutUint64(b[504:], xxhash.Sum64(b[:504]))
		return b
	}
	corrupt := func(kind Kind) func(error) bool {
		return func(err error) bool {
			var c *CorruptError
			return errors.As(err, &c) && c.Kind == kind
		}
	}
	format := func(err error) bool { return errors.Is(err, ErrFormat) }
	version := func(err error) bool { return errors.Is(err, ErrVersion) }
	for name, c := range map[string]struct {
		slot0, slot1 []byte
		gen          uint64
		fails        func(error) bool
	}{
		"newer in slot 0":        {enc(8, nil), enc(7, nil), 8, nil},
		"newer in slot 1":        {enc(6, nil), enc(7, nil), 7, nil},
		"newer torn":             {torn(enc(8, nil)), enc(7, nil), 7, nil},
		"older torn":             {enc(8, nil), torn(enc(7, nil)), 8, nil},
		"other never written":    {enc(8, nil), nil, 8, nil},
		"wrong slot":             {enc(9, nil), enc(7, nil), 7, nil},
		"both torn":              {torn(enc(8, nil)), torn(enc(7, nil)), 0, corrupt(Structure)},
		"no database":            {[]byte("something else"), nil, 0, format},
		"newer version":          {newer(enc(8, nil)), enc(7, nil), 0, version},
		"two databases":          {enc(8, func(m *Meta) { m.UUID[3]++ }), enc(7, nil), 0, corrupt(Foreign)},
		"extent past the file":   {enc(8, func(m *Meta) { m.Catalog.Off = 1 << 30 }), nil, 0, corrupt(Structure)},
		"length past the file":   {enc(8, func(m *Meta) { m.Catalog.Len = 1 << 30 }), nil, 0, corrupt(Structure)},
		"more in use than there": {enc(8, func(m *Meta) { m.BytesUsed = 1 << 30 }), nil, 0, corrupt(Structure)},
	} {
		m, err := ReadMeta(slotsFile(t, c.slot0, c.slot1), testName)
		switch {
		case c.fails == nil && (err != nil || m.Gen != c.gen):
			t.Errorf("%s: have generation %d, %v; want %d", name, m.Gen, err, c.gen)
		case c.fails != nil && (err == nil || !c.fails(err)):
			t.Errorf("%s: have error %v", name, err)
		}
	}
}

// A slot that cannot be read may hold the newest state: the older one must not
// be shown in its place.
func TestOpen_FailsWhenASlotCannotBeRead(t *testing.T) {
	for n := range 2 {
		mem := vfs.NewMem()
		create(t, mem, Options{}).Close()
		fs := faultfs.Inject(mem)
		fs.FailNth(n+1, faultfs.ErrIO, false, faultfs.OpRead)
		if _, err := Open(fs, testName, Options{}); !errors.Is(err, faultfs.ErrIO) {
			t.Errorf("read %d failed: have %v, want %v", n, err, faultfs.ErrIO)
		}
		if files := fs.OpenFiles(); len(files) > 0 {
			t.Errorf("left open: %v", files)
		}
	}
}

func TestOpen_RefusesAShortFile(t *testing.T) {
	mem := vfs.NewMem()
	p := create(t, mem, Options{})
	if _, err := attach(p, nil).commit(1, []uint64{1, 2, 3}, false); err != nil {
		t.Fatal(err)
	}
	b, _ := mem.ReadFile(testName)
	if err := mem.WriteFile(testName, b[:len(b)-1]); err != nil {
		t.Fatal(err)
	}
	var c *CorruptError
	if _, err := Open(mem, testName, Options{}); !errors.As(err, &c) || c.Kind != Truncated {
		t.Errorf("have %v, want a truncated file", err)
	}
}

func TestCreate_MakesGenerationOne(t *testing.T) {
	mem := vfs.NewMem()
	create(t, mem, Options{}).Close()
	p := open(t, mem)
	want := testMeta()
	want.Gen, want.FileSize = 1, firstExtent
	if have := p.Meta(); have != want {
		t.Errorf("have %+v\nwant %+v", have, want)
	}
	if _, err := Create(mem, testName, testMeta(), Options{}); err == nil {
		t.Error("created over an existing file")
	}
	fs := faultfs.Inject(vfs.NewMem())
	fs.FailNth(1, faultfs.ErrIO, false, faultfs.OpSync)
	if _, err := Create(fs, testName, testMeta(), Options{}); err == nil {
		t.Error("no error from a failed sync")
	}
	if names, _ := fs.List("."); len(names) > 0 || len(fs.OpenFiles()) > 0 {
		t.Errorf("left %v, open %v", names, fs.OpenFiles())
	}
}
