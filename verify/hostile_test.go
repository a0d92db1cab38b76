package verify_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/bits"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"
	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/verify"
	"github.com/lightning-db/lightning/verify/salvage"
)

// A branch that is its own child, with checksums that all hold: the checksum
// is not made to resist this, so the walk must.
func TestF27_Cycle(t *testing.T) {
	m := usual.build(t, 1)
	list := m.extents()
	e := root(list, 0)
	// Room for a stripe behind the body, of which 8 bytes are free to choose.
	grow := uint32(e.ref.Size()) - e.ref.Length
	if grow < 40 {
		t.Fatalf("%v has no room: choose another seed", e)
	}
	e.ref.Length += grow &^ 7
	b := m.bytes(e)
	le.PutUint32(b[28:], e.ref.Length)
	le.PutUint32(b[40:], e.ref.Length-48)
	const target = 0x0123456789ABCDEF
	self := e.ref
	self.Checksum, self.Overflow, self.Count = target, true, 1
	for i := range int(le.Uint16(b[44:])) {
		copy(b[48+24*i:], encodeRef(self))
	}
	free := len(b) - 8 - (len(b)-8)%8
	if (len(b)-8)%32 < 8 {
		free = len(b) - 8
	}
	steerXXH64(t, b[8:], free-8, target)
	le.PutUint64(b, target)
	copy(m.b[e.pos:], encodeRef(self))
	m.sealParent(e)

	r := m.verify(verify.Options{})
	if f, ok := find(r, "X1", inspect.Structure, e.ref.Offset); !ok || f.Keyspace != "" {
		t.Fatalf("have %s", show(r))
	}
}

// steerXXH64 changes the 8 bytes of b at the offset at, which are a whole word
// of what follows the last stripe of 32 bytes, so that XXH64(b) is target.
func steerXXH64(t *testing.T, b []byte, at int, target uint64) {
	t.Helper()
	const p1, p2, p3, p4, p5 = 11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579, 2870177450012600261
	inverse := func(p uint64) uint64 { // modulo 2^64, by Newton
		x := p
		for range 6 {
			x *= 2 - p*x
		}
		return x
	}
	round := func(k uint64) uint64 { return bits.RotateLeft64(k*p2, 31) * p1 }
	unshift := func(h uint64, n uint) uint64 {
		x := h
		for range 64 / n {
			x = h ^ x>>n
		}
		return x
	}
	tail := len(b) - len(b)%32
	if at < tail || at%8 != tail%8 || at+8 > len(b) {
		t.Fatalf("the word at %d of %d is in a stripe", at, len(b))
	}
	// Backwards from the end to behind the word.
	h := unshift(target, 32) * inverse(p3)
	h = unshift(h, 29) * inverse(p2)
	h = unshift(h, 33)
	words := tail + (len(b)-tail)/8*8
	rest := b[words:]
	for i := len(rest) - 1; i >= len(rest)/4*4; i-- {
		h = bits.RotateLeft64(h*inverse(p1), -11) ^ uint64(rest[i])*p5
	}
	if len(rest) >= 4 {
		h = bits.RotateLeft64((h-p3)*inverse(p2), -23) ^ uint64(le.Uint32(rest))*p1
	}
	for i := words - 8; i > at; i -= 8 {
		h = bits.RotateLeft64((h-p4)*inverse(p1), -27) ^ round(le.Uint64(b[i:]))
	}
	h = bits.RotateLeft64((h-p4)*inverse(p1), -27)
	// Forwards from the start to before it.
	v := [4]uint64{0, p2, 0, 0}
	v[0] = p1
	v[0] += p2
	v[3] -= p1
	for i := 0; i < tail; i += 8 {
		k := i / 8 % 4
		v[k] = bits.RotateLeft64(v[k]+le.Uint64(b[i:])*p2, 31) * p1
	}
	before := bits.RotateLeft64(v[0], 1) + bits.RotateLeft64(v[1], 7) + bits.RotateLeft64(v[2], 12) + bits.RotateLeft64(v[3], 18)
	for _, x := range v {
		before = (before^round(x))*p1 + p4
	}
	before += uint64(len(b))
	for i := tail; i < at; i += 8 {
		before = bits.RotateLeft64(before^round(le.Uint64(b[i:])), 27)*p1 + p4
	}
	word := bits.RotateLeft64((before^h)*inverse(p1), -31) * inverse(p2)
	le.PutUint64(b[at:], word)
	if have := xxhash.Sum64(b); have != target {
		t.Fatalf("have the checksum %x, want %x", have, uint64(target))
	}
}

// However much is damaged, the report stays of a bounded size, and tells what
// it leaves out.
func TestRun_BoundsItsReport(t *testing.T) {
	s := shape{options: engine.Options{PageSize: 1024}}
	fs := vfs.NewMem()
	db := s.open(t, fs)
	batch := db.NewBatch()
	for i := range 24_000 { // two to a leaf
		if err := batch.Put(fmt.Appendf(nil, "%06d", i), make([]byte, 400)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(db.Apply(t.Context(), batch), db.Close()); err != nil {
		t.Fatal(err)
	}
	m := newImage(t, fs)
	leaves := 0
	for _, e := range m.extents() {
		if e.kind == inspect.Leaf && e.keyspace == 0 {
			m.bytes(e)[50]++
			leaves++
		}
	}
	m.save()
	m.b = nil
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r := verifyFS(t, m.fs, verify.Options{})
	runtime.ReadMemStats(&after)
	if uint64(len(r.Findings))+r.Omitted != uint64(leaves) || leaves <= 10_000 || len(r.Findings) > 10_000 || r.OK || r.Keys != 0 {
		t.Fatalf("have %d findings and %d omitted of %d leaves, %d keys", len(r.Findings), r.Omitted, leaves, r.Keys)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Fatalf("allocated %d bytes", n)
	}
}

// A few bytes that unpack to many are not unpacked.
func TestF27_Bombs(t *testing.T) {
	s := shape{rounds: 1, keys: 300, longest: 60_000}
	base := s.build(t, 1)
	list := base.extents()
	values := pick(list, inspect.Overflow, 0)
	slices.SortFunc(values, func(a, b *extent) int { return cmp.Compare(b.ref.Length, a.ref.Length) })
	pack, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer pack.Close()
	for _, c := range []struct {
		e     *extent
		plain int
	}{{values[0], 80 << 20}, {pick(list, inspect.Leaf, 0)[0], 12 << 20}} {
		m := base.clone(t)
		b := m.bytes(c.e)
		body := pack.EncodeAll(make([]byte, c.plain), nil)
		if 48+len(body) > len(b) {
			t.Fatalf("%v has no room for %d bytes: choose another seed", c.e, len(body))
		}
		clear(b[48+copy(b[48:], body):])
		e := *c.e
		e.ref.Length = uint32(48 + len(body))
		m.b[e.ref.Offset+13] = 2
		le.PutUint32(b[28:], e.ref.Length)
		le.PutUint32(b[40:], uint32(c.plain))
		le.PutUint32(m.b[e.pos+12:], e.ref.Length|le.Uint32(m.b[e.pos+12:])&(1<<31))
		m.seal(&e)
		m.save()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := verifyFS(t, m.fs, verify.Options{Workers: 1})
		runtime.ReadMemStats(&after)
		if _, ok := find(r, "X3", inspect.Structure, e.ref.Offset); !ok {
			t.Errorf("%v: have %s", c.e, show(r))
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
			t.Errorf("%v: allocated %d bytes", c.e, n)
		}
	}
}

// A file of holes does not make it take memory for what is not there.
func TestF27_SparseFile(t *testing.T) {
	m := usual.build(t, 1)
	list := m.extents()
	at := m.meta()
	le.PutUint64(m.b[at+48:], 1<<35) // file size
	e := pick(list, inspect.Overflow, 0)[0]
	le.PutUint32(m.b[e.pos+12:], 1<<30)
	m.seal(e.parent)
	m.save()
	f, err := m.fs.Open(treePath, vfs.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(1 << 35); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := verifyFS(t, m.fs, verify.Options{})
	runtime.ReadMemStats(&after)
	if _, ok := find(r, "R2", inspect.Structure, e.ref.Offset); !ok {
		t.Fatalf("have %s", show(r))
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 128<<20 {
		t.Fatalf("allocated %d bytes", n)
	}
}

// So does an explanation of what is long.
func TestF27_ExplainsLittleOfAHole(t *testing.T) {
	m := usual.build(t, 1)
	e := pick(m.extents(), inspect.Overflow, 0)[0]
	le.PutUint64(m.b[m.meta()+48:], 1<<29) // file size
	m.bytes(e)[8]++
	le.PutUint32(m.b[e.pos+12:], 1<<28)
	m.seal(e.parent)
	m.save()
	f, err := m.fs.Open(treePath, vfs.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(1 << 29); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := verifyFS(t, m.fs, verify.Options{Explain: true})
	runtime.ReadMemStats(&after)
	if _, ok := find(r, "R2", inspect.Checksum, e.ref.Offset); !ok {
		t.Fatalf("have %s", show(r))
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 128<<20 {
		t.Fatalf("allocated %d bytes", n)
	}
}

// A log whose every record is damage is told of in part, and read in time that
// grows with its length, not with the square of that.
func TestF27_LogFullOfDamage(t *testing.T) {
	fs := vfs.NewMem()
	db, err := engine.Open(dbDir, &engine.Options{FS: fs, Sync: engine.SyncOff})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Put([]byte("a"), []byte("b")); err != nil {
		t.Fatal(err)
	}
	killed := fs.Clone()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := killed.List(dbDir + "/wal")
	if err != nil {
		t.Fatal(err)
	}
	name := dbDir + "/wal/" + names[0]
	b := readFile(t, killed, name)
	const size = 4 << 20
	b = append(b[:4096], make([]byte, size)...)
	table := crc32.MakeTable(crc32.Castagnoli)
	le.PutUint64(b[48:], size)
	le.PutUint32(b[124:], crc32.Checksum(b[:124], table))
	seed := crc32.Checksum(b[16:40], table) // UUID and number
	damages := -1                           // the first record is sound
	for at := 4096; at+48 <= len(b); at += 48 {
		r := b[at:][:48]
		damages++
		le.PutUint32(r[4:], 3)
		le.PutUint64(r[8:], le.Uint64(b[40:])+uint64(at-4096))
		le.PutUint64(r[16:], uint64(1+2*damages)) // one is missing before each
		le.PutUint32(r[32:], 1)
		le.PutUint32(r[36:], le.Uint32(b[32:]))
		r[40] = 2 // delete ""
		le.PutUint32(r, crc32.Update(seed, table, r[4:]))
	}
	writeFile(t, killed, name, b)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := verifyFS(t, killed, verify.Options{})
	runtime.ReadMemStats(&after)
	if len(r.Findings) > 10_000 || len(r.Findings)+int(r.Omitted) != damages || r.Findings[0].Invariant != "W2" {
		t.Fatalf("have %d findings, %d omitted of %d; the first: %+v", len(r.Findings), r.Omitted, damages, r.Findings[0])
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 128<<20 {
		t.Fatalf("allocated %d bytes", n)
	}
}

// A branch of long separators, none of whose children is there: the bounds of
// what is lost would take a thousand times the file.
func TestF27_LongSeparators(t *testing.T) {
	m := usual.build(t, 1)
	e := root(m.extents(), 0)
	const n, shift = 5000, 4
	prefix := bytes.Repeat([]byte{'p'}, 60_000)
	b := make([]byte, 48+(30*n+len(prefix)+1<<shift-1)&^(1<<shift-1))
	copy(b[8:], "LnEx")
	b[12], b[14], b[15] = inspect.Branch, 1, shift
	copy(b[16:24], m.b[16:])
	le.PutUint64(b[32:], 1)
	le.PutUint16(b[44:], n)
	le.PutUint16(b[46:], uint16(len(prefix)))
	copy(b[48+30*n:], prefix)
	for i := range n {
		copy(b[48+24*i:], encodeRef(inspect.Ref{Offset: 8192, Length: 512, Count: 3, Checksum: 5}))
		if i == 0 {
			continue
		}
		suffix := []byte{byte(i >> 8), byte(i)}
		copy(b[48+24*n+4*i:], suffix)
		le.PutUint16(b[48+28*n+2*i:], uint16((len(b)-48)>>shift))
		b = append(b, append([]byte{byte(len(suffix))}, append(suffix, make([]byte, 1<<shift-1-len(suffix))...)...)...)
	}
	le.PutUint32(b[28:], uint32(len(b)))
	le.PutUint32(b[40:], uint32(len(b)-48))
	ref := inspect.Ref{Offset: uint64(len(m.b)), Length: uint32(len(b)), Count: 3 * n}
	copy(m.b[e.pos:], encodeRef(ref))
	m.b = append(m.b, append(b, make([]byte, ref.Size()-uint64(len(b)))...)...)
	le.PutUint64(m.b[m.meta()+48:], uint64(len(m.b)))
	e.ref = ref
	m.seal(e)
	m.save()
	r, err := salvage.Run(context.Background(), dbDir, "new", salvage.Options{FS: m.fs})
	if err != nil {
		t.Fatal(err)
	}
	bounds := 0
	for _, l := range r.Losses {
		bounds += len(l.Start) + len(l.End)
	}
	if len(r.Losses)+int(r.Omitted) < n || r.Lossless() || bounds > 40<<20 {
		t.Fatalf("have %d losses, of %d bytes, and %d omitted of %d", len(r.Losses), bounds, r.Omitted, n)
	}
}

// badSectors is a file system whose disk does not give some bytes.
type badSectors struct {
	vfs.FS
	name     string
	from, to int64
}

var errBadSector = errors.New("bad sector")

func (fs *badSectors) Open(name string, mode vfs.Mode) (vfs.File, error) {
	f, err := fs.FS.Open(name, mode)
	if err == nil && name == fs.name {
		f = &badFile{f, fs}
	}
	return f, err
}

type badFile struct {
	vfs.File
	fs *badSectors
}

func (f *badFile) ReadAt(b []byte, off int64) (int, error) {
	if off < f.fs.to && off+int64(len(b)) > f.fs.from {
		n, _ := f.File.ReadAt(b[:max(0, f.fs.from-off)], off)
		return n, errBadSector
	}
	return f.File.ReadAt(b, off)
}

// What the disk does not give is a finding, and all the rest is read. Only
// when it gives nothing is there nothing to say.
func TestRun_UnreadableSectors(t *testing.T) {
	m := usual.build(t, 1)
	clean := m.verify(verify.Options{})
	list := m.extents()
	for _, e := range []*extent{
		pick(list, inspect.Leaf, 0)[7], pick(list, inspect.Branch, 1)[1],
		pick(list, inspect.Overflow, 2)[0], list[0], catalog(list),
	} {
		bad := &badSectors{m.fs, treePath, int64(e.ref.Offset), int64(e.ref.Offset) + 512}
		r := verifyFS(t, bad, verify.Options{})
		if _, ok := find(r, "R2", inspect.IO, e.ref.Offset); !ok || len(r.Findings) != 1 {
			t.Fatalf("%v: have %s", e, show(r))
		}
	}
	r := verifyFS(t, &badSectors{m.fs, treePath, 4096 - int64(m.meta()), 4096 - int64(m.meta()) + 100}, verify.Options{})
	if _, ok := find(r, "M1", inspect.IO, 4096-m.meta()); !ok || r.Keys != clean.Keys {
		t.Fatalf("have %s", show(r))
	}
	names, err := m.fs.List(dbDir + "/wal")
	if err != nil {
		t.Fatal(err)
	}
	segment := names[slices.IndexFunc(names, func(s string) bool { return s[0] == '0' })]
	r = verifyFS(t, &badSectors{m.fs, dbDir + "/wal/" + segment, 0, 100}, verify.Options{})
	if r.OK || r.Findings[0].Kind != inspect.IO || r.Keys != clean.Keys {
		t.Fatalf("have %s", show(r))
	}
	if r, err := verify.Run(context.Background(), dbDir, verify.Options{FS: &badSectors{m.fs, treePath, 0, 1 << 40}}); err == nil || r.OK {
		t.Fatalf("have %s, %v", show(r), err)
	}
}

// Verifying needs no right to write, and leaves no file.
type readOnlyFS struct{ vfs.FS }

func (readOnlyFS) Lock(string, string) (vfs.Lock, error) { return nil, errors.New("read-only") }

func (fs readOnlyFS) Open(name string, mode vfs.Mode) (vfs.File, error) {
	if mode != vfs.ReadOnly {
		return nil, errors.New("read-only")
	}
	return fs.FS.Open(name, mode)
}

func TestRun_OnAReadOnlyDirectory(t *testing.T) {
	m := usual.build(t, 1)
	if r := verifyFS(t, readOnlyFS{m.fs}, verify.Options{}); !r.OK {
		t.Fatalf("have %s", show(r))
	}
	m.bytes(m.extents()[5])[60]++
	m.save()
	if r := verifyFS(t, readOnlyFS{m.fs}, verify.Options{}); r.OK {
		t.Fatalf("have %s", show(r))
	}
}

// deniedFS gives nobody the files whose names end in what it says, for a reason.
type deniedFS struct {
	vfs.FS
	suffix string
	why    error
}

func (f deniedFS) Open(name string, mode vfs.Mode) (vfs.File, error) {
	if strings.HasSuffix(name, f.suffix) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: f.why}
	}
	return f.FS.Open(name, mode)
}

func (f deniedFS) List(dir string) ([]string, error) {
	if strings.HasSuffix(dir, f.suffix) {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: f.why}
	}
	return f.FS.List(dir)
}

// What this process may not do says nothing of the database.
func TestRun_WithoutPermission(t *testing.T) {
	m := usual.build(t, 1)
	for _, why := range []error{fs.ErrPermission, syscall.EMFILE} {
		for _, suffix := range []string{".log", "wal", "btree.db"} {
			for _, quick := range []bool{false, true} {
				_, err := verify.Run(context.Background(), dbDir, verify.Options{FS: deniedFS{m.fs, suffix, why}, Quick: quick})
				if !errors.Is(err, why) {
					t.Errorf("%s, quick %v: have error %v, want %v", suffix, quick, err, why)
				}
			}
		}
	}
}

func TestReport_JSON(t *testing.T) {
	r := verify.Report{Keys: 3, Findings: []verify.Finding{{
		Invariant: "L1", Kind: "order", Path: "db/btree.db", Offset: 8192, Reason: "why",
		Start: []byte{}, End: []byte{0xff, 0}, Keyspace: "k", Keys: 2,
	}, {Start: []byte("a\x00")}}}
	have, err := json.Marshal(r.JSON())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"ok":false,"keys":3,"findings":[{"invariant":"L1","kind":"order","path":"db/btree.db","offset":8192,"reason":"why","keyspace":"k","start":"","end_base64":"/wA=","keys":2},` +
		`{"invariant":"","kind":"","path":"","offset":0,"reason":"","start":"a\u0000"}],"notes":[],"lost_keys":2,"lost_unknown":false,`
	if !bytes.HasPrefix(have, []byte(want)) {
		t.Fatalf("have %s\nwant %s…", have, want)
	}
}
