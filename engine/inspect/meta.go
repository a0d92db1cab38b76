package inspect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/vfs"
)

// Where things are in btree.db, in bytes.
const (
	Unit         = node.Unit // of allocation
	FirstExtent  = 8192
	metaSize     = 512
	metaMagic    = "LGTNGDB1"
	metaVersion  = 1
	slotDistance = 4096
)

// Ref says where an extent is and what it must be. Its fields are those of
// docs/FORMAT.md, section Reference, in bytes.
type Ref struct {
	Offset   uint64
	Length   uint32 // stored, header included
	Count    uint64 // entries below
	Checksum uint64
	Overflow bool // some value below is in an overflow extent
}

// IsZero reports whether r refers to nothing (R1).
func (r Ref) IsZero() bool { return r.Offset == 0 }

// Size is the size of the extent: the length in whole units.
func (r Ref) Size() uint64 { return (uint64(r.Length) + Unit - 1) &^ (Unit - 1) }

func refOf(r node.Ref) Ref { return Ref{r.Off, r.Len, r.Count, r.Sum, r.Overflow} }

// Meta is the state of the database at one generation. Its fields are those of
// docs/FORMAT.md, section Meta.
type Meta struct {
	UUID         [16]byte
	Generation   uint64
	PageSize     uint32
	FileSize     uint64
	Seq          uint64
	LogStart     uint64
	LogSegment   uint64
	LogEnd       uint64
	Catalog      Ref
	FreeList     Ref
	NextKeyspace uint32
	BytesUsed    uint64
	Created      int64
}

// DatabaseID is what every extent of the database carries.
func (m *Meta) DatabaseID() uint64 { return binary.LittleEndian.Uint64(m.UUID[:8]) }

// Slot is one of the two places of a meta.
type Slot struct {
	Offset int64
	Meta   Meta    // zero where there is none
	Damage *Damage // why it cannot be used, or nil
}

// readSlots reads both slots. The error is engine.ErrVersion.
func readSlots(f vfs.File, path string) ([2]Slot, error) {
	var slots [2]Slot
	for i := range slots {
		var err error
		if slots[i], err = readSlot(f, path, i); err != nil {
			return slots, err
		}
	}
	return slots, nil
}

// readSlot reads slot i until it reads the same twice, as a writer may be at
// work in it.
func readSlot(f vfs.File, path string, i int) (Slot, error) {
	s := Slot{Offset: int64(i) * slotDistance}
	var b, again [metaSize]byte
	n, err := readFull(f, b[:], s.Offset)
	for range maxSlotReads {
		if again = b; err != nil {
			break
		}
		if n, err = readFull(f, b[:], s.Offset); b == again {
			break
		}
	}
	wrong := func(kind, reason string) (Slot, error) {
		s.Damage = &Damage{"M1", path, s.Offset, kind, fmt.Sprintf("meta slot %d: %s", i, reason)}
		return s, nil
	}
	if err != nil {
		return wrong(IO, err.Error())
	}
	m, err := pager.DecodeMeta(b[:n])
	switch {
	case err == nil && m.Gen%2 != uint64(i):
		return wrong(Misdirected, fmt.Sprintf("generation %d does not belong here", m.Gen))
	case err == nil:
		s.Meta = metaOf(m)
		return s, nil
	case n < metaSize:
		return wrong(Truncated, fmt.Sprintf("the file ends at %d", s.Offset+int64(n)))
	case string(b[:8]) != metaMagic || xxhash.Sum64(b[:504]) != binary.LittleEndian.Uint64(b[504:]):
		return wrong(Checksum, err.Error())
	case errors.Is(err, pager.ErrFormat):
		return s, fmt.Errorf("%s: format version %d, this program knows %d: %w",
			path, binary.LittleEndian.Uint32(b[8:]), metaVersion, engine.ErrVersion)
	}
	return wrong(Structure, err.Error())
}

const maxSlotReads = 8

func metaOf(m pager.Meta) Meta {
	return Meta{
		UUID: m.UUID, Generation: m.Gen, PageSize: m.PageSize, FileSize: m.FileSize, Seq: uint64(m.Seq),
		LogStart: m.LogStart, LogSegment: m.LogSegment, LogEnd: m.LogEnd,
		Catalog: refOf(m.Catalog), FreeList: refOf(m.FreeList),
		NextKeyspace: m.NextKeyspace, BytesUsed: m.BytesUsed, Created: m.Created,
	}
}

// newest returns the slot that is the state of the database (M1), or -1.
func newest(slots [2]Slot) int {
	best := -1
	for i := range slots {
		if slots[i].Damage == nil && (best < 0 || slots[i].Meta.Generation > slots[best].Meta.Generation) {
			best = i
		}
	}
	return best
}

// readFull reads b at off, or less at the end of the file.
func readFull(f vfs.File, b []byte, off int64) (int, error) {
	n, err := f.ReadAt(b, off)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}
