package inspect

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/vfs"
)

// OpenDamaged opens the files of a database that Open may refuse: one with
// damaged metas, or without a file of trees, or without a log. It writes
// nothing and takes no place among the readers: nobody may write to the
// database meanwhile (Moved tells).
//
// Where no meta is valid, Meta.Generation is 0 until Assume is called with what
// Identify found.
//
// Errors: engine.ErrNotExist, engine.ErrFormat, engine.ErrVersion; those of the
// file system.
func OpenDamaged(fsys vfs.FS, dir string) (*DB, error) {
	switch info, err := fsys.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: %w", dir, engine.ErrNotExist)
	case err != nil:
		return nil, err
	case !info.IsDir:
		return nil, fmt.Errorf("%s: %w: it is a file; a database is a directory", dir, engine.ErrFormat)
	}
	db := &DB{fs: fsys, dir: dir, pin: &engine.Pin{}}
	// Through a symbolic link another's log would be read.
	if info, err := fsys.Stat(db.LogDir()); err == nil && !info.IsDir {
		return nil, fmt.Errorf("%s: %w: %s in it is no directory", dir, engine.ErrFormat, walName)
	}
	err := db.open()
	if errors.Is(err, fs.ErrNotExist) {
		if used, walErr := hasLog(fsys, db.LogDir()); !used || walErr != nil {
			return nil, fmt.Errorf("%s: %w", dir, engine.ErrNotExist)
		}
		db.file = noFile{name: db.Path()}
		slots, _ := readSlots(db.file, db.Path())
		db.Slots, err = *slots, nil
	}
	if err != nil && AsDamage(err) == nil {
		return nil, errors.Join(err, db.Close())
	}
	var m pager.Meta
	if i := db.Slots.newest(); i >= 0 {
		m = db.Slots[i].meta
		m.FileSize = max(m.FileSize, uint64(db.Size)&^(Unit-1)) // extents may have moved
		db.Meta.set(&m)
	}
	db.judge = pager.NewJudge(db.file, &m)
	return db, nil
}

// hasLog reports whether dir holds segments of a log.
func hasLog(fsys vfs.FS, dir string) (bool, error) {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	for _, name := range names {
		if strings.HasSuffix(name, logSuffix) {
			return true, err
		}
	}
	return false, err
}

const (
	logSuffix = ".log"
	logMagic  = "LGTNGWAL"
)

// noFile stands for a file of trees that is missing.
type noFile struct {
	vfs.File
	name string
}

func (noFile) ReadAt([]byte, int64) (int, error) { return 0, io.EOF }
func (noFile) Size() (int64, error)              { return 0, nil }
func (noFile) Close() error                      { return nil }
func (f noFile) Name() string                    { return f.name }

// Identity is what the extents and the log of a database tell of it where no
// meta does.
type Identity struct {
	UUID       [16]byte // of a segment of the log; else its first eight bytes, of the extents, and zeros
	Generation uint64   // the largest in an extent
	Extents    int
}

// Identify finds out whose extents the file holds: those of the database that
// has most. The error is that of ctx.
func (db *DB) Identify(ctx context.Context) (Identity, error) {
	type sum struct {
		extents    int
		generation uint64
	}
	owners := map[uint64]*sum{}
	err := db.Extents(ctx, func(_ Ref, h Header) {
		s := owners[h.DatabaseID]
		if s == nil {
			if len(owners) == maxOwners {
				return
			}
			s = new(sum)
			owners[h.DatabaseID] = s
		}
		s.extents++
		s.generation = max(s.generation, h.Generation)
	})
	var id Identity
	for owner, s := range owners {
		if s.extents > id.Extents {
			id = Identity{Generation: s.generation, Extents: s.extents}
			binary.LittleEndian.PutUint64(id.UUID[:], owner)
		}
	}
	db.identifyLog(&id)
	return id, err
}

// maxOwners bounds how many databases may have left extents in one file.
const maxOwners = 64

// identifyLog takes the UUID from the first segment that has that of the
// extents, or from the first if there are none.
func (db *DB) identifyLog(id *Identity) {
	names, _ := db.fs.List(db.LogDir())
	for _, name := range names {
		if !strings.HasSuffix(name, logSuffix) {
			continue
		}
		f, err := db.fs.Open(filepath.Join(db.LogDir(), name), vfs.ReadOnly)
		if err != nil {
			continue
		}
		var head [32]byte
		n, err := readFull(f, head[:], 0)
		_ = f.Close()
		uuid := [16]byte(head[16:])
		switch {
		case err != nil || n < len(head) || string(head[:8]) != logMagic:
		case id.Extents == 0 || [8]byte(uuid[:8]) == [8]byte(id.UUID[:8]):
			id.UUID = uuid
			return
		}
	}
}

// Assume makes db one of the identity, with a catalog, as if a meta said so.
// The log is then read from its oldest segment on.
func (db *DB) Assume(id Identity, catalog Ref) {
	m := pager.Meta{UUID: id.UUID, Gen: id.Generation, FileSize: uint64(db.Size) &^ (Unit - 1), Seq: math.MaxUint64}
	db.Meta.set(&m)
	db.Meta.Catalog = catalog
	db.judge = pager.NewJudge(db.file, &m)
}

// Found reports whether a meta was found.
func (db *DB) Found() bool { return db.Slots.newest() >= 0 }

// Extents looks at every unit of the file for an extent, and calls visit with
// each that agrees with its checksum: whether it is reachable, free or another
// database's is not asked. What lies inside of one is not visited. The
// reference has all but the overflow bit, and 1 for the entries below a branch
// or a value. The error is that of ctx; what the disk does not give is left out.
func (db *DB) Extents(ctx context.Context, visit func(Ref, Header)) error {
	w := scanWindow{file: db.file, buf: make([]byte, scanBytes)}
	end := uint64(db.Size)
	at := uint64(FirstExtent)
	for i := 0; at+node.HeaderSize <= end; i++ {
		if i%256 == 0 && ctx.Err() != nil {
			break
		}
		next := at + Unit
		if h, ok := w.header(at); ok && extentPossible(&h, end-at) && w.sum(at, h.Len) == h.Sum {
			ref := Ref{Offset: at, Length: h.Len, Count: 1, Checksum: h.Sum}
			if h.Kind == Leaf {
				ref.Count = uint64(h.Count)
			}
			visit(ref, headerOf(h))
			next = at + ref.Size()
		}
		at = next
	}
	return ctx.Err()
}

// extentPossible holds a header to what every extent is, before its bytes are
// read: room is what the file has from its start on.
func extentPossible(h *node.Header, room uint64) bool {
	limit := uint64(maxStored)
	if h.Kind == Leaf || h.Kind == Branch {
		limit = node.MaxSize
	}
	return h.Kind >= Leaf && h.Kind <= FreeList && compress.Codec(h.Codec).Valid() &&
		h.Len >= node.HeaderSize && uint64(h.Len) <= limit && (uint64(h.Len)+Unit-1)&^(Unit-1) <= room
}

// scanBytes is how much of the file is read at once.
const scanBytes = 1 << 20

// scanWindow reads a file from its start to its end.
type scanWindow struct {
	file vfs.File
	buf  []byte
	from uint64 // of what buf[:n] holds
	n    uint64
}

// at returns n bytes at off, n being at most scanBytes, or nil where the disk
// does not give them.
func (w *scanWindow) at(off, n uint64) []byte {
	if off < w.from || off+n > w.from+w.n {
		got, err := readFull(w.file, w.buf, int64(off))
		if err != nil { // a bad sector: only what is asked for
			got, err = readFull(w.file, w.buf[:n], int64(off))
		}
		if w.from, w.n = off, uint64(got); err != nil || w.n < n {
			w.n = 0
			return nil
		}
	}
	return w.buf[off-w.from:][:n]
}

func (w *scanWindow) header(off uint64) (node.Header, bool) {
	h, err := node.GetHeader(w.at(off, node.HeaderSize))
	return h, err == nil
}

// sum is the checksum of an extent of n bytes at off.
func (w *scanWindow) sum(off uint64, n uint32) uint64 {
	var d xxhash.Digest
	d.Reset()
	for at, end := off+8, off+uint64(n); at < end; {
		b := w.at(at, min(end-at, scanBytes/4))
		if b == nil {
			return 0
		}
		d.Write(b)
		at += uint64(len(b))
	}
	return d.Sum64()
}

// AppendValue is Value, and appends the value itself to dst.
func (r *Reader) AppendValue(dst []byte, ref Ref, keyspace uint32) ([]byte, error) {
	if _, err := r.Value(ref, keyspace); err != nil {
		return dst, err
	}
	at := node.Ref{Off: ref.Offset, Len: ref.Length, Count: ref.Count, Sum: ref.Checksum}
	value, err := r.db.judge.ReadOverflowForScan(at, kv.Keyspace(keyspace), dst)
	if err != nil {
		if d := damageOf(err); d != nil {
			return dst, d
		}
		return dst, r.damage(ref, "R2", IO, "%v", err)
	}
	return value, nil
}

// At returns the header of the extent that begins at off, and a reference to
// it, as Extents does. The error is a *Damage, of kind Missing where there is
// none.
func (r *Reader) At(off uint64) (Ref, Header, error) {
	w := scanWindow{file: r.db.file, buf: make([]byte, scanBytes)}
	end := uint64(r.db.Size)
	ref := Ref{Offset: off}
	if off < FirstExtent || off%Unit != 0 || off+node.HeaderSize > end {
		return ref, Header{}, r.damage(ref, "X3", Structure, "no extent can begin at %d: it is a multiple of %d, from %d to the end of the file at %d", off, Unit, FirstExtent, end)
	}
	if w.at(off, node.HeaderSize) == nil {
		return ref, Header{}, r.damage(ref, "X3", IO, "it cannot be read")
	}
	h, ok := w.header(off)
	if !ok || !extentPossible(&h, end-off) {
		return ref, Header{}, r.damage(ref, "X3", Missing, "no extent begins here")
	}
	ref = Ref{Offset: off, Length: h.Len, Count: 1, Checksum: h.Sum}
	if h.Kind == Leaf {
		ref.Count = uint64(h.Count)
	}
	if w.sum(off, h.Len) != h.Sum {
		return ref, headerOf(h), r.damage(ref, "R2", Checksum, "its header tells the checksum %016x, its bytes give another", h.Sum)
	}
	return ref, headerOf(h), nil
}
