package wal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// damaged is a small log, and what may be done to it.
type damaged struct {
	*model
	mem   *vfs.Mem
	files map[string][]byte
	known LSN // the log says of itself that it was synced so far
}

// newDamaged makes a log of three segments, the last of which is a recycled
// one with bytes of its earlier use, and leaves it as a process that died
// does, or closed.
func newDamaged(t *testing.T, closed bool) *damaged {
	t.Helper()
	mem := vfs.NewMem()
	d := &damaged{model: create(t, small(mem)), mem: mem, files: make(map[string][]byte)}
	d.mustAppend(t, 3000, 3000, 3000)
	d.mustSync(t)
	d.checkpoint()
	if err := d.log.Release(d.meta.LSN); err != nil {
		t.Fatal(err)
	}
	d.mustAppend(t, 500, 800, 20)
	d.mustSync(t)
	d.mustAppend(t, 3, 200, 31)
	d.mustSync(t)
	d.mustAppend(t, 60, 0, 70)
	d.known = d.entries[len(d.entries)-4].end
	if closed {
		d.close(t)
		d.known = d.log.End()
	}
	for _, name := range names(t, d.o) {
		if _, ok := parseSegmentName(name); ok {
			data, err := mem.ReadFile(d.o.path(name))
			if err != nil {
				t.Fatal(err)
			}
			d.files[name] = data
		}
	}
	if len(d.files) != 2 {
		t.Fatalf("%d segments, want 2", len(d.files))
	}
	return d
}

// try opens the log with the file name replaced by data. It reports how many
// records were lost, or that damage was reported.
func (d *damaged) try(name string, data []byte) (lost int, torn int64, corrupt bool, err error) {
	image := d.mem.Clone()
	if err := image.WriteFile(d.o.path(name), data); err != nil {
		return 0, 0, false, err
	}
	before := fileContents(image)
	o := d.o
	o.FS = image
	want := d.after()
	n := 0
	l, r, err := Open(o, d.meta, matcher(want, &n))
	if errors.Is(err, ErrCorrupt) {
		if !slices.Equal(before, fileContents(image)) {
			return 0, 0, true, errors.New("Open reported damage, and changed a file")
		}
		_, damages, err := Check(o, d.meta, func(Record) error { return nil })
		if err == nil && len(damages) == 0 {
			err = errors.New("Check finds nothing")
		}
		return 0, 0, true, err
	} else if err != nil {
		return 0, 0, false, err
	}
	if n < len(want) && l.End() < d.known {
		return 0, 0, false, fmt.Errorf("lost what was synced: log ends at %d of %d", l.End(), d.known)
	}
	return len(want) - n, r.TornBytes, false, nil
}

func fileContents(m *vfs.Mem) []string {
	var all []string
	for _, name := range m.Names() {
		data, err := m.ReadFile(name)
		all = append(all, name, string(data), fmt.Sprint(err))
	}
	return all
}

// Change every byte of a small log. Either that is reported as damage, or what
// is read is a prefix that holds all that the log knows to be synced, and the
// loss is reported.
func TestF09_EveryByteChanged(t *testing.T) {
	for _, closed := range []bool{false, true} {
		d := newDamaged(t, closed)
		var corrupt, torn, harmless int
		for name, data := range d.files {
			for i := range data {
				flip := byte(1) << (i % 8)
				data[i] ^= flip
				lost, bytes, found, err := d.try(name, data)
				data[i] ^= flip
				switch {
				case err != nil:
					t.Fatalf("closed %v, byte %d of %s ^ %#x: %v", closed, i, name, flip, err)
				case found:
					corrupt++
				case lost > 0 && bytes == 0:
					t.Fatalf("closed %v, byte %d of %s ^ %#x: lost %d records without a word", closed, i, name, flip, lost)
				case lost > 0:
					torn++
				default:
					harmless++
				}
			}
		}
		if closed && torn > 0 {
			t.Fatalf("%d changes to a closed log passed for a torn tail", torn)
		}
		// All of the live header and records counts but for the last, unsynced ones.
		live := 2*headerSize + recordSize // that ends the first segment
		for _, e := range d.after() {
			if e.end <= d.known {
				live += int(align(recordSize + int64(len(e.payload))))
			}
		}
		if corrupt < live {
			t.Errorf("closed %v: %d changes reported, want at least %d", closed, corrupt, live)
		}
		t.Logf("closed %v: %d reported as damage, %d as a torn tail, %d without effect", closed, corrupt, torn, harmless)
	}
}

// Cut the log at every byte of what it does not know to be synced: an
// ordinary torn tail. Cut a closed log anywhere, and that is damage.
func TestOpen_TornAtEveryByte(t *testing.T) {
	closed := newDamaged(t, true)
	name := segmentName(closed.log.active.number)
	data := closed.files[name]
	for i := closed.log.active.offset(closed.log.End()) - 1; i >= dataOffset; i-- {
		if data[i] == 0 {
			continue
		}
		data[i] = 0
		if _, _, corrupt, err := closed.try(name, data); !corrupt || err != nil {
			t.Fatalf("closed log cut at %d: corrupt %v, %v", i, corrupt, err)
		}
	}

	d := newDamaged(t, false)
	name = segmentName(d.log.active.number)
	data = d.files[name]
	end := d.log.active.offset(d.log.End())
	for i := d.log.active.offset(d.known); i < end; i++ {
		for _, fill := range []byte{0, 0xA5} {
			cut := slices.Clone(data)
			for j := i; j < end; j++ {
				cut[j] = fill
			}
			lost, torn, corrupt, err := d.try(name, cut)
			if err != nil {
				t.Fatalf("cut at %d: %v", i, err)
			}
			if corrupt {
				t.Fatalf("cut at %d: reported as damage, though no record is left that says so", i)
			}
			if lost == 0 && !slices.Equal(cut[:end], data[:end]) {
				t.Fatalf("cut at %d: nothing lost", i)
			}
			if fill != 0 && !corrupt && torn == 0 {
				t.Fatalf("cut at %d: %d lost, no torn bytes", i, lost)
			}
		}
	}
}

// Damage one byte in front of a record that says it was synced.
func TestF09_DamageBeforeSyncedMark(t *testing.T) {
	d := newDamaged(t, false)
	name := segmentName(d.log.active.number)
	data := d.files[name]
	for i := int64(dataOffset); i < d.log.active.offset(d.known); i++ {
		data[i] ^= 0x10
		_, _, corrupt, err := d.try(name, data)
		data[i] ^= 0x10
		if !corrupt || err != nil {
			t.Fatalf("byte %d: corrupt %v, %v", i, corrupt, err)
		}
	}
}

// The next segment's header may be all that knows the last records synced.
func TestF09_SegmentHeaderSaysSynced(t *testing.T) {
	mem := vfs.NewMem()
	m := create(t, small(mem))
	m.mustAppend(t, 100)
	m.mustSync(t)
	if err := m.log.Prepare(); err != nil {
		t.Fatal(err)
	}
	path := m.o.path(segmentName(1))
	data, err := mem.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[dataOffset+50] ^= 1
	if err := mem.WriteFile(path, data); err != nil {
		t.Fatal(err)
	}
	_, _, err = Open(m.o, m.meta, func(Record) error { return nil })
	wantCorrupt(t, err)
}

// A gap in the sequence numbers is damage, whatever the checksums say.
func TestOpen_SequenceGap(t *testing.T) {
	for _, last := range []kv.Seq{1, 3} { // 2 is right: a hole, and one twice
		m := create(t, small(vfs.NewMem()))
		m.mustAppend(t, 100)
		m.checkpoint()
		m.mustAppend(t, 100)
		m.meta.Seq = last
		_, _, err := Open(m.o, m.meta, func(Record) error { return nil })
		wantCorrupt(t, err)
		var seen int
		_, damages, err := Check(m.o, m.meta, func(Record) error { seen++; return nil })
		if err != nil || len(damages) == 0 || damages[0].Invariant != "W2" || seen != 1 {
			t.Fatalf("behind %d, Check: %d records, %v, %v", last, seen, damages, err)
		}
	}
}

// A segment made to keep recovery busy: each place looks like a record that
// reaches to the end of the segment and says that the log was synced past it.
func TestF27_ScanIsLinear(t *testing.T) {
	mem := vfs.NewMem()
	o := small(mem)
	o.SegmentSize = 4 << 20
	m := create(t, o)
	m.mustAppend(t, 100)
	path := m.o.path(segmentName(1))
	data, err := mem.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	end := m.log.active.end
	for p := m.log.End(); p+recordSize <= end; p += recordSize {
		h := recordHeader{length: uint32(end - p - recordSize), lsn: p, seq: 9, synced: p, count: 1, number: 1}
		h.put(data[m.log.active.offset(p):])
	}
	if err := mem.WriteFile(path, data); err != nil {
		t.Fatal(err)
	}
	// Without the limit this takes a hundred gigabytes of checksums.
	_, _, err = Open(m.o, m.meta, func(Record) error { return nil })
	wantCorrupt(t, err)
}

func TestF12_EveryLength(t *testing.T) {
	d := newDamaged(t, false)
	for name, data := range d.files {
		number, _ := parseSegmentName(name)
		for n := 0; n < len(data)+9; n++ {
			if n == len(data) {
				continue
			}
			cut := append(slices.Clone(data), make([]byte, 9)...)[:n]
			_, _, corrupt, err := d.try(name, cut)
			if err != nil || corrupt != (number >= d.meta.Segment) {
				t.Fatalf("%s with %d bytes: corrupt %v, %v", name, n, corrupt, err)
			}
		}
	}
}

func TestF14_MissingOrForeignSegment(t *testing.T) {
	mem := vfs.NewMem()
	m := create(t, small(mem))
	m.mustAppend(t, 3000, 3000, 3000)
	m.mustSync(t)
	open := func(o Options) error {
		_, _, err := Open(o, m.meta, func(Record) error { return nil })
		if err != nil {
			wantCorrupt(t, err)
		}
		_, damages, cerr := Check(o, m.meta, func(Record) error { return nil })
		if cerr != nil || (len(damages) == 0) != (err == nil) {
			t.Fatalf("Check finds %v, %v; Open: %v", damages, cerr, err)
		}
		return err
	}
	for number := uint64(1); number <= 3; number++ {
		o := m.o
		image := mem.Clone()
		o.FS = image
		if err := image.Remove(o.path(segmentName(number))); err != nil {
			t.Fatal(err)
		}
		if err := open(o); !errors.Is(err, ErrMissing) {
			t.Errorf("without segment %d: %v, want ErrMissing", number, err)
		}
	}
	o := m.o
	o.UUID[3] ^= 1
	if err := open(o); !errors.Is(err, ErrMismatch) {
		t.Errorf("another UUID: %v, want ErrMismatch", err)
	}
	// One segment's file under the name of another.
	o = m.o
	image := mem.Clone()
	o.FS = image
	if err := image.Rename(o.path(segmentName(2)), o.path(segmentName(3))); err != nil {
		t.Fatal(err)
	}
	if err := open(o); !errors.Is(err, ErrCorrupt) {
		t.Errorf("swapped segments: %v, want ErrCorrupt", err)
	}
}

func TestOpen_ApplyFails(t *testing.T) {
	mem := vfs.NewMem()
	m := create(t, small(mem))
	m.mustAppend(t, 3000, 3000, 10)
	before := fileContents(mem)
	want := errors.New("no")
	if _, _, err := Open(m.o, m.meta, func(Record) error { return want }); !errors.Is(err, want) {
		t.Fatalf("Open: %v, want the error of apply", err)
	}
	if !slices.Equal(before, fileContents(mem)) {
		t.Fatal("Open changed a file although apply failed")
	}
}

// Check goes on behind damage, and says where each is.
func TestCheck_ReportsEveryDamage(t *testing.T) {
	mem := vfs.NewMem()
	m := create(t, small(mem))
	for range 9 {
		p := AppendSet(nil, 0, []byte("key"), make([]byte, 900))
		seq := m.lastSeq() + 1
		end, err := m.log.Append(seq, 1, p)
		if err != nil {
			t.Fatal(err)
		}
		m.entries = append(m.entries, entry{seq: seq, count: 1, end: end, payload: p})
	}
	m.close(t)
	if _, damages, err := Check(m.o, m.meta, func(Record) error { return nil }); err != nil || len(damages) > 0 {
		t.Fatalf("a sound log: %v, %v", damages, err)
	}
	var want []int64
	for _, i := range []int{1, 3, 6, 8} { // the last has nothing but the meta's word behind it
		s := m.log.segments[slices.IndexFunc(m.log.segments, func(s *segment) bool { return m.entries[i].end <= s.end })]
		off := s.offset(m.entries[i].end) - 952
		data, err := mem.ReadFile(m.o.path(segmentName(s.number)))
		if err != nil {
			t.Fatal(err)
		}
		data[off+100] ^= 4
		if err := mem.WriteFile(m.o.path(segmentName(s.number)), data); err != nil {
			t.Fatal(err)
		}
		want = append(want, off)
	}
	var seen []int
	_, damages, err := Check(m.o, m.meta, func(r Record) error {
		seen = append(seen, int(r.Seq))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, d := range damages {
		got = append(got, d.Offset)
	}
	if !slices.Equal(got, want) || !slices.Equal(seen, []int{1, 3, 5, 6, 8}) {
		t.Fatalf("damage at %v, want %v; records %v", got, want, seen)
	}
}

// A segment that the disk does not give behind its last record is told of once,
// whether or not the next one has been made ready.
func TestCheck_UnreadableBehindTheEnd(t *testing.T) {
	mem := vfs.NewMem()
	m := create(t, small(mem))
	if _, err := m.log.Append(1, 1, AppendSet(nil, 0, []byte("key"), []byte("value"))); err != nil {
		t.Fatal(err)
	}
	end := m.log.active.offset(m.log.End())
	path := m.log.active.path
	for _, ready := range []bool{false, true} {
		if ready {
			if err := m.log.Prepare(); err != nil {
				t.Fatal(err)
			}
		}
		in := faultfs.Inject(mem.Clone())
		in.SetHook(func(op faultfs.Op) error {
			if op.Kind == faultfs.OpRead && strings.TrimPrefix(op.Name, "/") == path && op.Off+op.Len > end+100 {
				return &faultfs.Short{Bytes: int(max(end+100-op.Off, 0)), Err: syscall.EIO}
			}
			return nil
		})
		o := m.o
		o.FS = in
		records := 0
		_, damages, err := Check(o, m.meta, func(Record) error { records++; return nil })
		if err != nil || records != 1 || len(damages) != 1 || damages[0].Path != path || damages[0].Offset != end {
			t.Errorf("the next one ready: %v: %d records, damage %v, %v", ready, records, damages, err)
		}
	}
}

// Behind a missing segment Check begins anew: what the records there say of
// each other counts.
func TestCheck_BehindAMissingSegment(t *testing.T) {
	mem := vfs.NewMem()
	m := create(t, small(mem))
	for range 3 {
		for range 4 { // a segment
			m.mustAppend(t, 1024-recordSize)
			m.mustSync(t)
		}
	}
	for _, number := range []uint64{1, 3} {
		path := m.o.path(segmentName(number))
		data, err := mem.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[dataOffset+1024+100] ^= 1
		if err := mem.WriteFile(path, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := mem.Remove(m.o.path(segmentName(2))); err != nil {
		t.Fatal(err)
	}
	_, damages, err := Check(m.o, m.meta, func(Record) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range damages {
		if d.Invariant != "W5" { // these payloads are no operations
			got = append(got, fmt.Sprint(d.Invariant, " ", d.LSN, " ", errors.Is(d, ErrMissing)))
		}
	}
	want := []string{"W3 1024 false", "W1 4096 true", "W3 9216 false"}
	if !slices.Equal(got, want) {
		t.Fatalf("damages %q, want %q", got, want)
	}
}

// A segment that a recovery has put an end to stays dead where one behind the one
// that did so is missing: its records were cut, and others have their place.
func TestCheck_DeadSegmentBeforeAMissingOne(t *testing.T) {
	o := small(vfs.NewMem())
	if err := o.FS.Mkdir(o.Dir); err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		number uint64
		start  LSN
		seqs   []kv.Seq
	}{
		{1, 0, []kv.Seq{1, 2}},
		{2, 8192, []kv.Seq{3, 4}}, // dead by the third, where a recovery went on
		{3, 96, []kv.Seq{3}},
		// The fourth, from 4192 on, is missing.
		{5, 12288, []kv.Seq{7}},
	} {
		h := header{uuid: o.UUID, number: s.number, start: s.start, capacity: 4096}
		made, err := o.build(h, "")
		if err == nil {
			err = o.put(made)
		}
		if err != nil {
			t.Fatal(err)
		}
		at := s.start
		for _, seq := range s.seqs {
			b := make([]byte, 44, 48)
			r := recordHeader{length: 4, lsn: at, seq: seq, count: 1, number: uint32(s.number)}
			r.put(b)
			b = b[:r.size()]
			seal(b, made.crc)
			if _, err := made.file.WriteAt(b, made.offset(at)); err != nil {
				t.Fatal(err)
			}
			at += LSN(len(b))
		}
		if err := made.close(); err != nil {
			t.Fatal(err)
		}
	}
	var seen []kv.Seq
	_, _, err := Check(o, Start{Segment: 1}, func(r Record) error {
		seen = append(seen, r.Seq)
		return nil
	})
	if want := []kv.Seq{1, 2, 3, 7}; err != nil || !slices.Equal(seen, want) {
		t.Fatalf("records %d, %v, want %d", seen, err, want)
	}
}
