package pager

import (
	"errors"
	"fmt"
	"slices"

	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/invariant"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
)

// Writer makes the next generation. Extents go into space that neither the
// newest meta nor a pinned generation reaches; Commit makes them durable and
// then the meta that reaches them; Abort, or a crash, leaves what was.
//
// A writer belongs to one goroutine. The frames that it returns are readable
// at once, by anybody.
type Writer struct {
	p       *Pager
	gen     uint64
	space   *space   // as the new generation will have it
	freed   []extent // of the old generation, unreachable from the new
	given   uint64   // units in them
	floor   uint64   // in units
	ceiling uint64   // in units
	written uint64   // bytes of extents
	err     error    // the first failure: nothing can be committed any more
	done    bool

	scratch []byte // for compressed bodies
}

// Begin starts the next generation. What generations up to oldestPinned freed
// may be used again: no reader reads an older one, and none ever will.
func (p *Pager) Begin(oldestPinned uint64) (*Writer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.ro:
		return nil, ErrReadOnly
	case p.failure != nil:
		return nil, p.failure
	case p.writer != nil:
		return nil, ErrBusy
	}
	if p.space == nil {
		s, err := p.loadSpace()
		if err != nil {
			return nil, err
		}
		p.space = s
	}
	w := &Writer{p: p, gen: p.Meta().Gen + 1, space: p.space.clone(), ceiling: noCeiling}
	w.space.cursor = 0
	if err := w.space.reclaim(oldestPinned); err != nil {
		return nil, p.corrupt(p.Meta().FreeList, "M3", Structure, "%v", err)
	}
	p.writer = w
	p.newest.Store(w.gen)
	return w, nil
}

// Gen is the generation being written.
func (w *Writer) Gen() uint64 { return w.gen }

// WrittenBytes is the sum of the extents written so far.
func (w *Writer) WrittenBytes() uint64 { return w.written }

// SetBounds allows extents only from the offset floor on, or at the end of the
// file, and below the offset ceiling, for moving things about: what does not fit
// fails with ErrNoRoom and leaves the writer usable. A ceiling of zero is none.
func (w *Writer) SetBounds(floor, ceiling uint64) {
	w.floor, w.ceiling = floor/node.Unit, ceiling/node.Unit
	if ceiling == 0 {
		w.ceiling = noCeiling
	}
}

// Write writes a node. buf is room for the header and the plain body; of h the
// caller fills Kind, Level, Shift, Keyspace, Count, Prefix and the Codec it
// wants. below is the number of entries below, and overflow says whether any
// of them is in an overflow extent. children are the frames of a branch's
// children, one a child, nil where there is none.
//
// With resident the node stays in memory, otherwise only while there is room:
// a copy of it does, and buf remains the caller's.
func (w *Writer) Write(h node.Header, below uint64, overflow bool, buf []byte, children []*Frame, resident bool) (*Frame, error) {
	if w.err != nil {
		return nil, w.err
	}
	if len(buf) < node.HeaderSize || len(buf) > node.MaxSize {
		return nil, errorf("write a node of %d bytes", len(buf))
	}
	stored := w.encode(&h, buf)
	off, err := w.place(len(stored))
	if err != nil {
		return nil, err
	}
	w.seal(&h, stored[:node.HeaderSize], stored[node.HeaderSize:], len(buf)-node.HeaderSize)
	if err := w.fail(w.p.staged.put(off, stored)); err != nil {
		return nil, err
	}
	h.Put(buf)
	ref := node.Ref{Off: off, Len: h.Len, Count: below, Sum: h.Sum, Overflow: overflow}
	f := newFrame(ref, h.Keyspace, int(h.Level))
	checkChildren(buf, children)
	if invariant.On {
		invariant.Hold(node.Check(buf)) // what readers and verify will ask of it
	}
	w.p.cache.admitWritten(f, buf, children, resident)
	return f, nil
}

// checkChildren catches a bug of ours that would make readers of a cached
// branch descend into the wrong child.
func checkChildren(n node.Node, children []*Frame) {
	if len(children) == 0 {
		return
	}
	if n.Kind() != node.Branch || len(children) != n.Count() {
		panic(fmt.Sprintf("pager: %d frames for a node of kind %d with %d children", len(children), n.Kind(), n.Count()))
	}
	for i, k := range children {
		if k != nil && string(k.ref[:]) != string(n.RefBytes(i)) {
			panic(fmt.Sprintf("pager: the frame of child %d is another node's", i))
		}
	}
}

// WriteOverflow writes a value into an extent of its own, compressed by codec
// where that pays.
func (w *Writer) WriteOverflow(ks kv.Keyspace, value []byte, codec compress.Codec) (node.Ref, error) {
	if w.err != nil {
		return node.Ref{}, w.err
	}
	if len(value) > kv.MaxValueSize {
		return node.Ref{}, errorf("write a value of %d bytes", len(value))
	}
	h := node.Header{Kind: node.Overflow, Codec: uint8(compress.None), Keyspace: ks}
	body := value
	if codec != compress.None && len(value) <= maxCompressed {
		w.scratch = compress.Encode(codec, w.scratch[:0], value)
		if pays(node.HeaderSize+len(w.scratch), node.HeaderSize+len(value)) {
			h.Codec, body = uint8(codec), w.scratch
		}
	}
	off, err := w.place(node.HeaderSize + len(body))
	if err != nil {
		return node.Ref{}, err
	}
	var head [node.HeaderSize]byte
	w.seal(&h, head[:], body, len(value))
	if err := w.fail(w.stage(off, head[:], body)); err != nil {
		return node.Ref{}, err
	}
	if cap(w.scratch) > maxScratch {
		w.scratch = nil
	}
	return node.Ref{Off: off, Len: h.Len, Count: 1, Sum: h.Sum}, nil
}

const (
	// maxCompressed is the longest value that is compressed. Beyond it the
	// memory for a second copy is worth more than the space on the disk.
	maxCompressed = 64 << 20
	// maxScratch is what a writer keeps between values.
	maxScratch = 4 << 20
)

// stage stages head and body. A long body is written from where it is: only
// its ends, where units are shared with head and padding, are copied.
func (w *Writer) stage(off uint64, head, body []byte) error {
	s := &w.p.staged
	if len(head)+len(body) < directBytes {
		return s.put(off, head, body)
	}
	lead := node.Unit - len(head)
	if err := s.put(off, head, body[:lead]); err != nil {
		return err
	}
	if err := s.flush(); err != nil {
		return err
	}
	middle := (len(body) - lead) / node.Unit * node.Unit
	if err := s.write(body[lead:lead+middle], off+node.Unit); err != nil {
		return err
	}
	if lead+middle == len(body) {
		return nil
	}
	if err := s.put(off+node.Unit+uint64(middle), body[lead+middle:]); err != nil {
		return err
	}
	return s.flush() // a reader finds all of it in the file
}

// encode returns what is stored of the node in buf, with room for the header,
// and sets the codec to the one that it used.
func (w *Writer) encode(h *node.Header, buf []byte) []byte {
	if h.Codec != uint8(compress.None) {
		w.scratch = slices.Grow(w.scratch[:0], node.HeaderSize)[:node.HeaderSize]
		w.scratch = compress.Encode(compress.Codec(h.Codec), w.scratch, buf[node.HeaderSize:])
		if pays(len(w.scratch), len(buf)) {
			return w.scratch
		}
		h.Codec = uint8(compress.None)
	}
	return buf
}

// pays reports whether storing n bytes takes an eighth less than plain ones.
func pays(n, plain int) bool { return unitsOf(n)*8 <= unitsOf(plain)*7 }

// place allocates an extent for n bytes.
func (w *Writer) place(n int) (uint64, error) {
	units := unitsOf(n)
	off, ok := w.space.alloc(units, w.floor, w.ceiling)
	if !ok {
		return 0, ErrNoRoom
	}
	w.written += units * node.Unit
	if end := w.space.end * node.Unit; end > w.p.end.Load() {
		w.p.end.Store(end)
	}
	return off * node.Unit, nil
}

// seal fills in the rest of h and encodes it into head.
func (w *Writer) seal(h *node.Header, head, body []byte, plainLen int) {
	h.DB = w.p.db
	h.Gen = w.gen
	h.Len = uint32(len(head) + len(body))
	h.PlainLen = uint32(plainLen)
	h.Put(head)
	h.Sum = sumParts(head, body)
	h.Put(head)
}

// Free says that an extent is not reachable from the new generation: one of the
// old, or one that this writer wrote. It keeps its content until no reader can
// reach it. A value's memory goes first.
func (w *Writer) Free(ref node.Ref) {
	if !within(ref, w.space.end*node.Unit) {
		w.fail(w.p.corrupt(ref, "M3", Structure, "freed an extent of %d bytes that is not inside the file", ref.Len))
		return
	}
	w.p.cache.releaseValue(ref)
	e := extentOf(ref)
	if w.given += e.n; w.given > w.space.end {
		w.fail(w.p.corrupt(ref, "M3", Structure, "freed more than the file has: branches share what is below them"))
		return
	}
	if k := len(w.freed) - 1; k >= 0 && w.freed[k].end() == e.off {
		w.freed[k].n += e.n
		return
	}
	w.freed = append(w.freed, e)
}

// Err is the first failure: who frees a whole tree asks for it, since one that
// was made to do harm may lead to the same extents without end.
func (w *Writer) Err() error { return w.err }

// FreeFrame is Free for a node; its memory goes first.
func (w *Writer) FreeFrame(f *Frame) {
	w.Free(f.Ref())
	w.p.cache.release(f)
}

// Discard gives back an extent that this writer wrote and does not need.
func (w *Writer) Discard(ref node.Ref) {
	e := extentOf(ref)
	w.written -= e.n * node.Unit
	if err := w.space.free.add(e); err != nil {
		w.fail(w.p.corrupt(ref, "M3", Structure, "%v", err))
	}
}

// fail notes the first failure and returns err.
func (w *Writer) fail(err error) error {
	if w.err == nil {
		w.err = err
	}
	return err
}

// Abort gives up: what the writer allocated is free again, and what it freed
// is in use. After Commit it does nothing.
func (w *Writer) Abort() {
	if w.done {
		return
	}
	p := w.p
	p.cache.abort(w.gen)
	p.mu.Lock()
	defer p.mu.Unlock()
	w.end()
	if p.failure == nil {
		p.cut(p.Meta().FileSize)
	}
	p.publish(p.Meta())
}

// end releases what the writer holds. The caller holds p.mu.
func (w *Writer) end() {
	w.done = true
	w.err = errors.New("the writer is done")
	w.p.staged.release()
	w.p.writer = nil
}
