package pager

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/vfs"
)

const (
	metaSize    = 512
	metaMagic   = "LGTNGDB1"
	metaVersion = 2
	slotStride  = 4096 // from one meta slot to the other
	copyOffset  = 2048 // from a slot to its copy
	metaPlaces  = 4    // two slots and their copies

	// firstExtent is where extents begin.
	firstExtent = 8192

	minPageSize = 1 << 10
	maxPageSize = 64 << 10
	maxFileSize = 1 << 48 * node.Unit
)

// Meta is the state of the database at one generation: what a slot holds.
type Meta struct {
	UUID         [16]byte
	Gen          uint64 // 1 for a new database, one more at each checkpoint
	PageSize     uint32 // that new keyspaces get
	FileSize     uint64 // no extent reaches past it
	Seq          kv.Seq // of the newest operation in the trees
	LogStart     uint64 // LSN from which recovery replays
	LogSegment   uint64 // number of the segment that holds it
	LogEnd       uint64 // LSN at which the log ended on closing; 0 while open
	Catalog      node.Ref
	FreeList     node.Ref
	NextKeyspace uint32
	BytesUsed    uint64 // sum of the reachable extents, the free list's included
	Created      int64  // Unix seconds
}

// DB is the database id that every extent carries.
func (m *Meta) DB() uint64 { return binary.LittleEndian.Uint64(m.UUID[:8]) }

// EncodeMeta lays m out as docs/FORMAT.md, section Meta, says.
func EncodeMeta(m *Meta) [metaSize]byte {
	var b [metaSize]byte
	copy(b[0:8], metaMagic)
	binary.LittleEndian.PutUint32(b[8:], metaVersion)
	binary.LittleEndian.PutUint32(b[12:], metaSize)
	copy(b[16:32], m.UUID[:])
	binary.LittleEndian.PutUint64(b[32:], m.Gen)
	binary.LittleEndian.PutUint32(b[40:], node.Unit)
	binary.LittleEndian.PutUint32(b[44:], m.PageSize)
	binary.LittleEndian.PutUint64(b[48:], m.FileSize)
	binary.LittleEndian.PutUint64(b[56:], uint64(m.Seq))
	binary.LittleEndian.PutUint64(b[64:], m.LogStart)
	binary.LittleEndian.PutUint64(b[72:], m.LogSegment)
	binary.LittleEndian.PutUint64(b[80:], m.LogEnd)
	m.Catalog.Put(b[88:112])
	m.FreeList.Put(b[112:136])
	binary.LittleEndian.PutUint32(b[136:], m.NextKeyspace)
	binary.LittleEndian.PutUint64(b[144:], m.BytesUsed)
	binary.LittleEndian.PutUint64(b[152:], uint64(m.Created))
	binary.LittleEndian.PutUint64(b[504:], xxhash.Sum64(b[:504]))
	return b
}

// DecodeMeta decodes a slot. An error that wraps ErrFormat means that the slot
// holds no meta, ErrVersion that it holds one of another format version; any
// other that it is one and damaged.
func DecodeMeta(b []byte) (Meta, error) {
	if len(b) < metaSize || string(b[:8]) != metaMagic {
		return Meta{}, errorf("no meta here: %w", ErrFormat)
	}
	if have, want := xxhash.Sum64(b[:504]), binary.LittleEndian.Uint64(b[504:]); have != want {
		return Meta{}, errorf("its checksum is %016x, its bytes give %016x", want, have)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != metaVersion {
		return Meta{}, errorf("format version %d, this program knows %d: %w", v, metaVersion, ErrVersion)
	}
	m := Meta{
		UUID:         [16]byte(b[16:32]),
		Gen:          binary.LittleEndian.Uint64(b[32:]),
		PageSize:     binary.LittleEndian.Uint32(b[44:]),
		FileSize:     binary.LittleEndian.Uint64(b[48:]),
		Seq:          kv.Seq(binary.LittleEndian.Uint64(b[56:])),
		LogStart:     binary.LittleEndian.Uint64(b[64:]),
		LogSegment:   binary.LittleEndian.Uint64(b[72:]),
		LogEnd:       binary.LittleEndian.Uint64(b[80:]),
		Catalog:      node.GetRef(b[88:112]),
		FreeList:     node.GetRef(b[112:136]),
		NextKeyspace: binary.LittleEndian.Uint32(b[136:]),
		BytesUsed:    binary.LittleEndian.Uint64(b[144:]),
		Created:      int64(binary.LittleEndian.Uint64(b[152:])),
	}
	if n := binary.LittleEndian.Uint32(b[12:]); n != metaSize {
		return Meta{}, errorf("it tells a size of %d, want %d", n, metaSize)
	}
	if u := binary.LittleEndian.Uint32(b[40:]); u != node.Unit {
		return Meta{}, errorf("allocation unit %d, want %d", u, node.Unit)
	}
	return m, m.check()
}

// check judges the fields that the pager itself relies on.
func (m *Meta) check() error {
	switch {
	case m.PageSize < minPageSize || m.PageSize > maxPageSize:
		return errorf("page size %d", m.PageSize)
	case m.FileSize < firstExtent || m.FileSize > maxFileSize || m.FileSize%node.Unit != 0:
		return errorf("file size %d", m.FileSize)
	case m.BytesUsed > m.FileSize-firstExtent:
		return errorf("%d bytes in use in a file of %d", m.BytesUsed, m.FileSize)
	}
	for _, r := range []node.Ref{m.Catalog, m.FreeList} {
		if !r.IsZero() && !within(r, m.FileSize) {
			return errorf("the extent at %d of %d bytes is not inside the file of %d", r.Off, r.Len, m.FileSize)
		}
	}
	return nil
}

// within reports whether the extent of r has a header and lies between the
// metas and fileSize.
func within(r node.Ref, fileSize uint64) bool {
	return r.Len >= node.HeaderSize && r.Off >= firstExtent && r.Off <= fileSize && r.Size() <= fileSize-r.Off
}

// slotOffset is where the meta of generation gen stands (M1).
func slotOffset(gen uint64) int64 { return int64(gen%2) * slotStride }

// readMeta reads both slots of f, and their copies, and returns the newest
// valid meta (M1). A place in which a crash tore the write is passed over.
func readMeta(f vfs.File) (Meta, error) {
	var best Meta
	var found bool
	var errs [metaPlaces]error
	for place := range uint64(metaPlaces) {
		m, err := readPlace(f, place)
		errs[place] = err
		if err != nil {
			if !passable(err) {
				return Meta{}, errorf("%s: %w", f.Name(), err)
			}
			continue
		}
		if found && m.UUID != best.UUID {
			return Meta{}, &CorruptError{f.Name(), place * copyOffset, Foreign, "M1", "the metas belong to different databases"}
		}
		if !found || m.Gen > best.Gen {
			best, found = m, true
		}
	}
	if found {
		return best, nil
	}
	return Meta{}, noMeta(f, errs)
}

// slotError marks a slot that may hold the newest meta although it cannot be
// used: the disk failed to read it, or it is of another format version. The
// other slot must not be taken for the state of the database then.
type slotError struct{ err error }

func (e *slotError) Error() string { return e.err.Error() }
func (e *slotError) Unwrap() error { return e.err }

func passable(err error) bool {
	_, ok := errors.AsType[*slotError](err)
	return !ok
}

// readPlace reads the meta in a place: slot 0, its copy, slot 1, its copy.
func readPlace(f vfs.File, place uint64) (Meta, error) {
	var b [metaSize]byte
	n, err := f.ReadAt(b[:], int64(place)*copyOffset)
	if err != nil && !errors.Is(err, io.EOF) {
		return Meta{}, &slotError{errorf("read meta: %w", err)}
	}
	m, err := DecodeMeta(b[:n])
	if err != nil {
		if errors.Is(err, ErrVersion) {
			return Meta{}, &slotError{err}
		}
		return Meta{}, err
	}
	if slot := place / 2; m.Gen%2 != slot {
		return Meta{}, errorf("generation %d in slot %d", m.Gen, slot)
	}
	return m, nil
}

// noMeta says why no slot could be used.
func noMeta(f vfs.File, errs [metaPlaces]error) error {
	if errors.Is(errs[0], ErrFormat) && errors.Is(errs[2], ErrFormat) {
		return errorf("%s: %w", f.Name(), errs[0])
	}
	return &CorruptError{f.Name(), 0, Structure, "M1", fmt.Sprintf("no valid meta (slot 0: %v; slot 1: %v)", errs[0], errs[2])}
}
