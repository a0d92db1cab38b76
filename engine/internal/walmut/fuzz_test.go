package wal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/lightning-db/lightning/engine/vfs"
)

// fuzzLog is a log of two segments, the second of which is synced up to its
// fourth record, for FuzzReplay to patch.
func fuzzLog(t testing.TB) *model {
	m := create(t, small(vfs.NewMem()))
	m.mustAppend(t, 100, 3800)
	m.mustAppend(t, 0, 8, 40, 100)
	m.mustSync(t)
	m.mustAppend(t, 9, 120, 1)
	return m
}

// FuzzReplay patches a log and reads it in every way. The input is a list of
// patches: 1 byte says which segment, whether the checksums are made right
// again, and what s is; 2 bytes the offset; 1 byte the length n; n bytes.
// Whatever is found, nothing panics, a second look finds the same, and what
// Open has shown is there when it is opened again.
func FuzzReplay(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 0x00, 0x10, 4, 1, 2, 3, 4})
	f.Add([]byte{3, 0x04, 0x10, 4, 0xFF, 0xFF, 0xFF, 0xFF})                  // a length, sealed
	f.Add([]byte{2, 0x30, 0x00, 8, 0, 0, 0, 0, 0, 0, 0, 0x40})               // a capacity, sealed
	f.Add([]byte{3, 0x28, 0x00, 8, 0, 0, 0, 0, 0, 0, 0, 0})                  // a start LSN
	f.Add([]byte{3, 0x18, 0x10, 8, 255, 0, 0, 0, 0, 0, 0, 0})                // a synced mark
	f.Add([]byte{3, 0x10, 0x10, 8, 255, 255, 255, 255, 255, 255, 255, 0x7F}) // a sequence number
	base := fuzzLog(f)
	f.Fuzz(func(t *testing.T, patches []byte) {
		if len(patches) > 4096 {
			return
		}
		mem := base.o.FS.(*vfs.Mem).Clone()
		o := base.o
		o.FS = mem
		for len(patches) >= 4 {
			patches = patchSegment(t, o, mem, patches)
		}
		count := func(n *int) func(Record) error {
			return func(r Record) error {
				*n++
				p := r.Payload
				for len(p) > 0 {
					var err error
					if _, p, err = NextOp(p); err != nil {
						break
					}
				}
				return nil
			}
		}
		var tailed, checked, opened, again int
		tail, _, terr := OpenReadOnly(o, base.meta, count(&tailed))
		_, damages, cerr := Check(o, base.meta, count(&checked))
		if cerr != nil {
			t.Fatalf("Check: %v", cerr)
		}
		l, _, err := Open(o, base.meta, count(&opened))
		if (err == nil) != (terr == nil) || err == nil && opened != tailed {
			t.Fatalf("Open: %d records, %v; OpenReadOnly: %d, %v", opened, err, tailed, terr)
		}
		if err != nil {
			if !errors.Is(err, ErrCorrupt) || len(damages) == 0 {
				t.Fatalf("Open: %v; Check finds %v", err, damages)
			}
			return
		}
		if checked < opened {
			t.Fatalf("Check: %d records, Open: %d", checked, opened)
		}
		if err := errors.Join(tail.Close(), l.Close(false)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(o, base.meta, count(&again)); err != nil || again != opened {
			t.Fatalf("second Open: %d records, %v; the first had %d", again, err, opened)
		}
	})
}

// patchSegment applies the first patch, and returns the others.
func patchSegment(t *testing.T, o Options, mem *vfs.Mem, p []byte) []byte {
	path := o.path(segmentName(uint64(1 + p[0]&1)))
	data, err := mem.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	off, n := int(binary.LittleEndian.Uint16(p[1:])), min(int(p[3]), len(p)-4)
	if off < len(data) {
		copy(data[off:], p[4:4+n])
	}
	if p[0]&2 != 0 {
		reseal(data)
	}
	if err := mem.WriteFile(path, data); err != nil {
		t.Fatal(err)
	}
	return p[4+n:]
}

// reseal makes the checksums of a segment's header and records right, as far
// as the records lie one behind the other.
func reseal(data []byte) {
	binary.LittleEndian.PutUint32(data[124:], crc32.Checksum(data[:124], castagnoli))
	var h header
	h.get(data)
	for off := int64(dataOffset); off+recordSize <= int64(len(data)); {
		var r recordHeader
		r.get(data[off:])
		if off+r.size() > int64(len(data)) {
			return
		}
		seal(data[off:off+r.size()], h.seed())
		off += r.size()
	}
}
