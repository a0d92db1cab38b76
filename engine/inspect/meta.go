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
	Unit          = node.Unit // of allocation
	FirstExtent   = 8192
	metaSize      = 512
	metaMagic     = "LGTNGDB1"
	metaVersion   = FormatVersion
	placeDistance = 2048
)

// FormatVersion is the version of btree.db that this program reads and writes.
const FormatVersion = 2

// MaxSeq is the first sequence number that no commit has.
const MaxSeq = 1 << 61

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

// Slot is one of the four places of a meta: a slot, or the copy behind it.
type Slot struct {
	Offset int64
	Copy   bool
	Meta   Meta    // zero where there is none
	Damage *Damage // why it cannot be used, or nil
	Empty  bool    // of a copy: it was never written

	meta pager.Meta // Meta as the engine has it
}

// Valid reports whether a meta stands there.
func (s *Slot) Valid() bool { return s.Damage == nil && !s.Empty }

// Slots are the places of metas by offset: slot 0, its copy, slot 1, its copy.
type Slots [4]Slot

// readSlots reads all places as they stand at one moment: until the first is the
// same before the others and behind them, for a writer goes from slot to slot. The
// error is engine.ErrVersion.
func readSlots(f vfs.File, path string) (slots *Slots, err error) {
	for range maxSlotReads {
		slots = new(Slots)
		for i := range slots {
			if err := slots[i].read(f, path, i); err != nil {
				return slots, err
			}
		}
		var again Slot
		if err := again.read(f, path, 0); err != nil || again.Meta == slots[0].Meta {
			return slots, err
		}
	}
	return slots, nil
}

// read reads place i until it reads the same twice, as a writer may be at work
// in it.
func (s *Slot) read(f vfs.File, path string, i int) error {
	s.Offset, s.Copy = int64(i)*placeDistance, i%2 != 0
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
	if err != nil {
		s.wrong(path, i, IO, err.Error())
		return nil
	}
	if s.Copy && allZero(b[:]) {
		s.Empty = true
		return nil
	}
	m, err := pager.DecodeMeta(b[:n])
	switch {
	case err == nil && m.Gen%2 != uint64(i/2):
		s.wrong(path, i, Misdirected, fmt.Sprintf("generation %d does not belong here", m.Gen))
	case err == nil:
		s.meta = m
		s.Meta.set(&m)
	case n < metaSize:
		s.wrong(path, i, Truncated, fmt.Sprintf("the file ends at %d", endOf(f, s.Offset+int64(n))))
	case string(b[:8]) != metaMagic || xxhash.Sum64(b[:504]) != binary.LittleEndian.Uint64(b[504:]):
		s.wrong(path, i, Checksum, err.Error())
	case errors.Is(err, pager.ErrVersion):
		return fmt.Errorf("%s: format version %d, this program knows %d: %w",
			path, binary.LittleEndian.Uint32(b[8:]), metaVersion, engine.ErrVersion)
	default:
		s.wrong(path, i, Structure, err.Error())
	}
	return nil
}

// wrong says why there is no meta at place i.
//
//go:noinline // called in many places, none of them hot
func (s *Slot) wrong(path string, i int, kind, reason string) {
	what := fmt.Sprintf("meta slot %d: ", i/2)
	if s.Copy {
		what = "the copy in " + what
	}
	s.Damage = &Damage{"M1", path, s.Offset, kind, what + reason}
}

const maxSlotReads = 8

func (m *Meta) set(p *pager.Meta) {
	*m = Meta{
		UUID: p.UUID, Generation: p.Gen, PageSize: p.PageSize, FileSize: p.FileSize, Seq: uint64(p.Seq),
		LogStart: p.LogStart, LogSegment: p.LogSegment, LogEnd: p.LogEnd,
		Catalog: refOf(p.Catalog), FreeList: refOf(p.FreeList),
		NextKeyspace: p.NextKeyspace, BytesUsed: p.BytesUsed, Created: p.Created,
	}
}

// newest returns the place of the meta that is the state of the database (M1),
// or -1.
func (slots *Slots) newest() int {
	best := -1
	for i := range slots {
		if slots[i].Valid() && (best < 0 || slots[i].Meta.Generation > slots[best].Meta.Generation) {
			best = i
		}
	}
	return best
}

// endOf is where f ends, of which nothing could be read at an offset.
func endOf(f vfs.File, at int64) int64 {
	if size, err := f.Size(); err == nil {
		at = min(at, size)
	}
	return at
}

// readFull reads b at off, or less at the end of the file.
func readFull(f vfs.File, b []byte, off int64) (int, error) {
	n, err := f.ReadAt(b, off)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}
