package pager

import (
	"sync"
	"sync/atomic"

	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/vfs"
)

// staging gathers what one writer writes to adjoining extents into large
// sequential writes. Until they reach the file, readers find the bytes here.
type staging struct {
	file    vfs.File
	written *atomic.Uint64 // bytes
	live    atomic.Bool    // there may be bytes in buf

	mu  sync.RWMutex // held to change buf; the writer alone does
	off uint64       // where buf goes
	buf []byte       // whole units
}

// stagingBytes is the length of a write. Longer ones are no faster.
const stagingBytes = 1 << 20

// put stages the parts, one after the other and padded to whole units, for off.
func (s *staging) put(off uint64, parts ...[]byte) error {
	var n int
	for _, p := range parts {
		n += len(p)
	}
	size := int(unitsOf(n)) * node.Unit
	if off != s.off+uint64(len(s.buf)) || len(s.buf)+size > stagingBytes {
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.buf) == 0 {
		s.off = off
	}
	if s.buf == nil {
		if b, ok := stagingPool.Get().(*[]byte); ok {
			s.buf = *b
		}
	}
	for _, p := range parts {
		s.buf = append(s.buf, p...)
	}
	s.buf = append(s.buf, zeros[:size-n]...)
	s.live.Store(true)
	return nil
}

var zeros [node.Unit]byte

// flush writes what is staged.
func (s *staging) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	if err := s.write(s.buf, s.off); err != nil {
		return err
	}
	s.drop()
	return nil
}

// write writes b to the file at once.
func (s *staging) write(b []byte, off uint64) error {
	if _, err := s.file.WriteAt(b, int64(off)); err != nil {
		return errorf("%s: write %d bytes at %d: %w", s.file.Name(), len(b), off, err)
	}
	s.written.Add(uint64(len(b)))
	if w, ok := s.file.(vfs.WriteBacker); ok && len(b) >= writeBackBytes {
		if err := w.WriteBack(int64(off), int64(len(b))); err != nil {
			return errorf("%s: write back %d bytes at %d: %w", s.file.Name(), len(b), off, err)
		}
	}
	return nil
}

// writeBackBytes is the length from which a write is sent to the disk at once:
// the disk then works while the next ones are made, and the sync that ends the
// generation finds little left to do.
const writeBackBytes = 256 << 10

// drop forgets what is staged.
func (s *staging) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf = s.buf[:0]
	s.live.Store(false)
}

// read fills b with the bytes staged for off and reports whether there are.
func (s *staging) read(b []byte, off uint64) bool {
	if !s.live.Load() {
		return false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if off < s.off || off-s.off > uint64(len(s.buf)) || uint64(len(s.buf))-(off-s.off) < uint64(len(b)) {
		return false
	}
	copy(b, s.buf[off-s.off:])
	return true
}

// release drops what is staged and gives the memory for it to the next writer.
func (s *staging) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.buf[:0]; b != nil {
		stagingPool.Put(&b)
	}
	s.buf = nil
	s.live.Store(false)
}

// stagingPool holds memory for buf: grown anew by each writer, it would be a
// third of the garbage that random puts make.
var stagingPool sync.Pool // of *[]byte
