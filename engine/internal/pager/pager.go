package pager

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/lightning-db/lightning/engine/internal/invariant"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/vfs"
)

// Options configure a Pager.
type Options struct {
	CacheBytes int64 // limit on the nodes in memory
	ReadOnly   bool
}

// Pager is an open btree.db. Reading is for any goroutine; one Writer at a
// time changes it.
type Pager struct {
	file  vfs.File
	name  string
	ro    bool
	db    uint64 // database id
	cache cache

	meta   atomic.Pointer[Meta]
	end    atomic.Uint64 // no extent, committed or being written, reaches past it
	newest atomic.Uint64 // generation committed or being written

	staged       staging
	readBytes    atomic.Uint64
	writtenBytes atomic.Uint64

	mu      sync.Mutex // guards all below
	space   *space     // of the newest meta; nil until it is needed
	writer  *Writer
	failure error // why nothing is written any more
}

// Create makes the file name, which must not exist, with m as its first
// generation. It is durable when the caller has synced the directory.
func Create(fs vfs.FS, name string, m Meta, o Options) (*Pager, error) {
	m.Gen, m.FileSize, m.BytesUsed = 1, firstExtent, 0
	m.Catalog, m.FreeList = node.Ref{}, node.Ref{}
	if err := m.check(); err != nil {
		return nil, errorf("%s: create: %w", name, err)
	}
	f, err := fs.Open(name, vfs.CreateNew)
	if err != nil {
		return nil, err
	}
	if err := writeFirst(f, m); err != nil {
		err = closeAfter(f, errorf("%s: create: %w", name, err))
		return nil, errors.Join(err, fs.Remove(name))
	}
	return newPager(f, m, o), nil
}

// writeFirst fills both slots: the other one with a generation 0 that is the
// same, so that a slot without a valid meta always means a torn write.
func writeFirst(f vfs.File, m Meta) error {
	if err := f.Truncate(firstExtent); err != nil {
		return err
	}
	for gen := range uint64(2) {
		m.Gen = gen
		if _, err := writeMeta(f, &m); err != nil {
			return err
		}
	}
	return f.Sync()
}

func writeMeta(f vfs.File, m *Meta) (int, error) {
	b := EncodeMeta(m)
	return f.WriteAt(b[:], slotOffset(m.Gen))
}

// confirm makes m, which was found in f, durable in another place. The process
// that wrote it may have died, or met an error, before its sync: then the disk
// may have only the generation before, and nothing that depends on m may be
// done. Writing the slot again could tear it, and with it the only durable
// meta, so a copy is written beside it.
func confirm(f vfs.File, m *Meta) error {
	b := EncodeMeta(m)
	if _, err := f.WriteAt(b[:], slotOffset(m.Gen)+copyOffset); err != nil {
		return errorf("%s: confirm generation %d: %w", f.Name(), m.Gen, err)
	}
	if err := f.Sync(); err != nil {
		return errorf("%s: confirm generation %d: %w", f.Name(), m.Gen, err)
	}
	return nil
}

// Open opens the file name at its newest generation. To open it for writing
// takes a write and a sync: the generation is made durable before anything is
// built on it.
func Open(fs vfs.FS, name string, o Options) (*Pager, error) {
	mode := vfs.ReadWrite
	if o.ReadOnly {
		mode = vfs.ReadOnly
	}
	f, err := fs.Open(name, mode)
	if err != nil {
		return nil, err
	}
	if x, ok := f.(vfs.Excluder); ok && !o.ReadOnly {
		if err := x.Exclude(); err != nil {
			return nil, closeAfter(f, err)
		}
	}
	m, err := readState(f)
	if err == nil && !o.ReadOnly {
		err = confirm(f, &m)
	}
	if err != nil {
		return nil, closeAfter(f, err)
	}
	return newPager(f, m, o), nil
}

// readState reads the newest meta and makes sure that the file is as long as
// it says. It may be longer, when a crash met a writer.
func readState(f vfs.File) (Meta, error) {
	m, err := readMeta(f)
	if err != nil {
		return Meta{}, err
	}
	size, err := f.Size()
	if err != nil {
		return Meta{}, err
	}
	if uint64(size) < m.FileSize {
		return Meta{}, &CorruptError{f.Name(), uint64(size), Truncated, "M2", fmt.Sprintf("the file ends here, its meta tells a size of %d", m.FileSize)}
	}
	return m, nil
}

func newPager(f vfs.File, m Meta, o Options) *Pager {
	p := &Pager{file: f, name: f.Name(), ro: o.ReadOnly, db: m.DB()}
	p.staged.file, p.staged.written = f, &p.writtenBytes
	p.cache.init(o.CacheBytes)
	p.publish(m)
	return p
}

func (p *Pager) publish(m Meta) {
	p.meta.Store(&m)
	p.end.Store(m.FileSize)
	p.newest.Store(m.Gen)
}

// closeAfter closes f and returns err with what that met.
//
//go:noinline // errors.Join would be inlined: 400 bytes in each place
func closeAfter(f vfs.File, err error) error { return errors.Join(err, f.Close()) }

// ReadMeta reads the newest meta of the file name, without opening it further.
func ReadMeta(fs vfs.FS, name string) (Meta, error) {
	f, err := fs.Open(name, vfs.ReadOnly)
	if err != nil {
		return Meta{}, err
	}
	m, err := readMeta(f)
	return m, closeAfter(f, err)
}

// Meta is the newest committed meta.
//
//go:noinline // it copies many bytes, in dozens of places, none of them hot
func (p *Pager) Meta() Meta { return *p.meta.Load() }

// Path is the name of the file.
func (p *Pager) Path() string { return p.name }

// Failed returns why nothing is written any more, or nil.
func (p *Pager) Failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failure
}

// Close closes the file. No call may be under way or follow.
func (p *Pager) Close() error {
	if invariant.On {
		invariant.Hold(p.cache.check())
	}
	return p.file.Close()
}

// InPlace reports whether the file's name still leads to it, as far as that can
// be told.
func (p *Pager) InPlace() bool {
	f, ok := p.file.(vfs.Placer)
	if !ok {
		return true
	}
	there, err := f.InPlace()
	return there || err != nil
}

// Frame returns a frame for the root ref of a tree in keyspace ks. A level of
// -1 means that it is not known.
func (p *Pager) Frame(ref node.Ref, ks kv.Keyspace, level int) *Frame {
	return newFrame(ref, ks, level)
}

// Stats are counters since the pager was opened, and sizes at the moment.
type Stats struct {
	FileSize     uint64 // of the newest meta
	BytesUsed    uint64 // reachable from the newest meta
	FreeBytes    uint64 // usable by the next writer
	PendingBytes uint64 // usable when no reader pins an older generation
	CacheBytes   int64  // what Reserve took included
	CacheLimit   int64
	Hits         uint64 // nodes and values found in memory
	Misses       uint64 // of those that were not, but for Passed
	Passed       uint64 // those not found by who will not come back: merges, moves, long scans
	ReadBytes    uint64 // from the file
	WrittenBytes uint64 // to the file
	Frames       int    // nodes and values in memory
}

// Stats returns the counters.
func (p *Pager) Stats() Stats {
	m := p.Meta()
	s := Stats{
		FileSize:     m.FileSize,
		BytesUsed:    m.BytesUsed,
		CacheLimit:   p.cache.limit,
		Hits:         p.cache.hits.Sum(),
		Misses:       p.cache.misses.Load(),
		Passed:       p.cache.passed.Load(),
		ReadBytes:    p.readBytes.Load(),
		WrittenBytes: p.writtenBytes.Load(),
	}
	p.cache.mu.Lock()
	s.CacheBytes, s.Frames = p.cache.used+p.cache.reserved, p.cache.frames
	p.cache.mu.Unlock()

	p.mu.Lock()
	defer p.mu.Unlock()
	s.FreeBytes = m.FileSize - firstExtent - m.BytesUsed
	if p.space != nil {
		s.PendingBytes = p.space.pendingUnits() * node.Unit
		s.FreeBytes = p.space.free.units * node.Unit
	}
	return s
}
