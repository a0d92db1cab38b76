package pager

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
)

// Node returns the node of f, from memory or from the disk. It is verified and
// structurally sound (node.Check); it stays valid for as long as it is held.
func (p *Pager) Node(f *Frame) (node.Node, error) { return p.node(f, branch{}) }

func (p *Pager) node(f *Frame, in branch) (node.Node, error) {
	b := f.data.Load()
	if b == nil {
		return p.load(f, in, false)
	}
	if f.touched.Load() == 0 {
		f.touched.Store(1)
	}
	p.cache.hits.Add(1)
	return nodeAt(b), nil
}

// Root is Node where a descent begins, and how many hits are to be counted of
// it: it counts none.
func (p *Pager) Root(f *Frame) (n node.Node, hits int, err error) {
	if b := f.data.Load(); b != nil {
		if f.touched.Load() == 0 {
			f.touched.Store(1)
		}
		return nodeAt(b), 1, nil
	}
	n, err = p.load(f, branch{}, false)
	return n, 0, err
}

// ChildNode returns Child and the Node of it, and how many hits are to be counted
// of it: who descends tells CountHits at the end.
//
// With a loan a leaf that is not in memory may be read into it, if the cache
// does not want the leaf: it is valid until the loan is returned, and its frame
// is nil.
func (p *Pager) ChildNode(f *Frame, n node.Node, i int, loan *Loan) (c *Frame, child node.Node, hits int, err error) {
	if first := f.kids.Load(); first != nil && uint(i) < uint(n.Count()) {
		k := kidAt(first, i)
		b, c := k.data.Load(), k.frame.Load()
		if b != nil && c != nil { // c is nil when it has just left the cache
			if k.touched.Load() == 0 {
				k.touched.Store(1)
			}
			return c, nodeAt(b), 1, nil
		}
	}
	if loan != nil && n.Level() == 1 && !p.cache.wants(n.Ref(i)) {
		p.cache.misses.Add(1)
		child, err = p.lend(n.Ref(i), f.keyspace, loan)
		return nil, child, 0, err
	}
	c = p.Child(f, n, i)
	child, err = p.node(c, branch{f, n, i})
	return c, child, 0, err
}

// Loan is memory for a leaf that is read once; the next one takes its place. The
// zero value is ready. It belongs to one goroutine.
type Loan struct{ buf *[]byte }

// Return gives the memory back, if there is any.
func (l *Loan) Return() {
	if l.buf != nil {
		scratchPool.Put(l.buf)
		l.buf = nil
	}
}

// lend reads a leaf past the cache, into the memory of the loan where it is not
// compressed: a node that the cache keeps costs as much again, its memory being
// found, filled, and collected when it leaves.
func (p *Pager) lend(ref node.Ref, ks kv.Keyspace, loan *Loan) (node.Node, error) {
	if loan.buf == nil {
		loan.buf = scratchPool.Get().(*[]byte)
	}
	stored, h, err := p.readStored(ref, ks, 0, *loan.buf)
	if err != nil {
		return nil, err
	}
	*loan.buf = stored[:0]
	if h.Codec != uint8(compress.None) {
		return p.soundNode(ref, stored, &h)
	}
	if err := node.Check(stored); err != nil {
		return nil, p.corrupt(ref, "X3", Structure, "%v", err)
	}
	return stored, nil
}

// CountHits notes that a descent found n nodes in memory by ChildNode.
func (p *Pager) CountHits(n int) { p.cache.hits.Add(n) }

// Reserve takes n bytes of the cache's limit for another use, or gives them
// back when n is negative. There is no more reserved than half the limit.
func (p *Pager) Reserve(n int64) { p.cache.reserve(n) }

// NodeForScan is Node for a reader that will not come back: what it reads from
// the disk is the first to leave the cache, and what it finds there does not
// count as used.
func (p *Pager) NodeForScan(f *Frame) (node.Node, error) {
	if n := f.resident(); n != nil {
		p.cache.hits.Add(1)
		return n, nil
	}
	return p.load(f, branch{}, true)
}

// ChildNodeForScan is NodeForScan of child i of the branch n, which f holds. It
// does not touch the child's frame where the node is in memory, and returns nil
// for it then.
func (p *Pager) ChildNodeForScan(f *Frame, n node.Node, i int) (*Frame, node.Node, error) {
	if b := f.Ahead(n, i); b != nil {
		p.cache.hits.Add(1)
		return nil, nodeAt(b), nil
	}
	c := p.Child(f, n, i)
	child, err := p.load(c, branch{f, n, i}, true)
	return c, child, err
}

// LeafOnce is NodeForScan of a leaf that is not worth a place in the cache: it is
// read past it. It is valid until the loan is used again or returned.
func (p *Pager) LeafOnce(f *Frame, loan *Loan) (node.Node, error) {
	if n := f.resident(); n != nil {
		p.cache.hits.Add(1)
		return n, nil
	}
	p.cache.passed.Add(1)
	return p.lend(f.Ref(), f.keyspace, loan)
}

// ChildOnce is LeafOnce of child i of the branch n, which f holds.
func (p *Pager) ChildOnce(f *Frame, n node.Node, i int, loan *Loan) (node.Node, error) {
	if b := f.Ahead(n, i); b != nil {
		p.cache.hits.Add(1)
		return nodeAt(b), nil
	}
	p.cache.passed.Add(1)
	return p.lend(n.Ref(i), f.keyspace, loan)
}

// load reads the node of f, which is the child that in says, from the disk, once
// for all that ask at the time.
func (p *Pager) load(f *Frame, in branch, scan bool) (node.Node, error) {
	f.loading.Lock()
	defer f.loading.Unlock()
	if n := f.resident(); n != nil {
		p.cache.hits.Add(1)
		return n, nil
	}
	missed := &p.cache.misses
	if scan {
		missed = &p.cache.passed
	}
	missed.Add(1)
	if first, last := p.group(in); last-first > 1 {
		if n := p.loadGroup(in, first, last, f, scan); n != nil {
			return n, nil
		}
	}
	n, err := p.ReadNode(f.Ref(), f.keyspace, int(f.level))
	if err != nil {
		return nil, err
	}
	p.cache.admit(f, n, scan)
	return n, nil
}

// ReadNode reads a node past the cache. A level of -1 means any.
func (p *Pager) ReadNode(ref node.Ref, ks kv.Keyspace, level int) (node.Node, error) {
	scratch := scratchPool.Get().(*[]byte)
	defer scratchPool.Put(scratch)
	stored, h, err := p.readStored(ref, ks, level, *scratch)
	if err != nil {
		return nil, err
	}
	*scratch = stored[:0]
	return p.soundNode(ref, stored, &h)
}

// readStored reads the stored bytes of a node into buf, or into a larger one,
// and verifies them.
func (p *Pager) readStored(ref node.Ref, ks kv.Keyspace, level int, buf []byte) ([]byte, node.Header, error) {
	stored, err := p.readBytesOf(ref, node.MaxSize, buf)
	if err != nil {
		return nil, node.Header{}, err
	}
	h, err := p.judgeNode(ref, ks, level, stored, node.Sum(stored))
	return stored, h, err
}

// judgeNode is Judge for the stored bytes of a node.
func (p *Pager) judgeNode(ref node.Ref, ks kv.Keyspace, level int, stored []byte, sum uint64) (node.Header, error) {
	h, err := p.Judge(ref, Expect{node.Leaf, ks, level}, stored[:node.HeaderSize], sum)
	if err == nil && h.PlainLen > node.MaxSize-node.HeaderSize {
		err = p.corrupt(ref, "X3", Structure, "a node of %d bytes", h.PlainLen)
	}
	return h, err
}

// soundNode is a copy of a stored node with its body in plain, checked.
func (p *Pager) soundNode(ref node.Ref, stored []byte, h *node.Header) (node.Node, error) {
	n, err := plainNode(stored, h)
	if err == nil {
		err = node.Check(n)
	}
	if err != nil {
		return nil, p.corrupt(ref, "X3", Structure, "%v", err)
	}
	return n, nil
}

// plainNode is a copy of a stored node with its body in plain. Append and Grow,
// as against make, tell the capacity that the allocator really gives, which is
// what the cache counts; and append clears nothing that it then overwrites.
func plainNode(stored []byte, h *node.Header) (node.Node, error) {
	if h.Codec == uint8(compress.None) && int(h.PlainLen) == len(stored)-node.HeaderSize {
		return append([]byte(nil), stored...), nil
	}
	n := slices.Grow([]byte(nil), node.HeaderSize+int(h.PlainLen))
	n = append(n, stored[:node.HeaderSize]...)
	return compress.Decode(compress.Codec(h.Codec), n, stored[node.HeaderSize:], int(h.PlainLen))
}

// scratchPool holds buffers for stored bytes: they are copied or decompressed
// into one of the right size, which the cache may keep.
var scratchPool = sync.Pool{New: func() any { b := make([]byte, 0, 8<<10); return &b }}

// ReadOverflow appends the value in the overflow extent ref to dst, from memory
// or from the disk. It is verified when it comes from the disk, and may then
// stay in memory.
func (p *Pager) ReadOverflow(ref node.Ref, ks kv.Keyspace, dst []byte) ([]byte, error) {
	n := p.cache.value(ref, ks)
	switch {
	case n != nil:
		p.cache.hits.Add(1)
	case p.cache.wants(ref):
		p.cache.misses.Add(1)
		var err error
		if n, err = p.readValue(ref, ks); err != nil {
			return dst, err
		}
		p.cache.admitValue(ref, ks, n)
	default:
		p.cache.misses.Add(1)
		return p.readOverflow(ref, ks, dst)
	}
	return append(dst, n[node.HeaderSize:]...), nil
}

// ReadOverflowForScan is ReadOverflow for a reader that will not come back:
// what it reads from the disk is not kept.
func (p *Pager) ReadOverflowForScan(ref node.Ref, ks kv.Keyspace, dst []byte) ([]byte, error) {
	if n := p.cache.value(ref, ks); n != nil {
		p.cache.hits.Add(1)
		return append(dst, n[node.HeaderSize:]...), nil
	}
	p.cache.passed.Add(1)
	return p.readOverflow(ref, ks, dst)
}

// readValue reads an overflow extent into memory of its own, its body in plain.
func (p *Pager) readValue(ref node.Ref, ks kv.Keyspace) (node.Node, error) {
	stored, h, err := p.readExtent(ref, Expect{node.Overflow, ks, 0}, maxStored, nil)
	if err != nil {
		return nil, err
	}
	if h.Codec == uint8(compress.None) && int(h.PlainLen) == len(stored)-node.HeaderSize {
		return stored, nil
	}
	head := stored[:node.HeaderSize:node.HeaderSize]
	return p.appendBody(ref, h, stored[node.HeaderSize:], head)
}

// readOverflow reads an overflow extent past the cache.
func (p *Pager) readOverflow(ref node.Ref, ks kv.Keyspace, dst []byte) ([]byte, error) {
	if ref.Len > directBytes {
		return p.readLargeOverflow(ref, ks, dst)
	}
	scratch := scratchPool.Get().(*[]byte)
	defer scratchPool.Put(scratch)
	stored, h, err := p.readExtent(ref, Expect{node.Overflow, ks, 0}, maxStored, *scratch)
	if err != nil {
		return dst, err
	}
	*scratch = stored[:0]
	return p.appendBody(ref, h, stored[node.HeaderSize:], dst)
}

// directBytes is the stored length from which an overflow extent is read, and
// written, without a copy: below it, one call for header and body is cheaper.
const directBytes = 128 << 10

// readLargeOverflow reads the header by itself, and then the body: straight
// into dst when it is stored as it is.
func (p *Pager) readLargeOverflow(ref node.Ref, ks kv.Keyspace, dst []byte) ([]byte, error) {
	if err := p.checkPlace(ref, maxStored); err != nil {
		return dst, err
	}
	var head [node.HeaderSize]byte
	if err := p.readAt(ref, head[:], ref.Off); err != nil {
		return dst, err
	}
	plain := head[13] == uint8(compress.None)
	buf, n := dst, len(dst)
	if !plain {
		buf, n = nil, 0
	}
	size := int(ref.Len) - node.HeaderSize
	buf = slices.Grow(buf, size)[:n+size]
	if err := p.readAt(ref, buf[n:], ref.Off+node.HeaderSize); err != nil {
		return dst, err
	}
	h, err := p.judge(ref, Expect{node.Overflow, ks, 0}, head[:], buf[n:])
	switch {
	case err != nil:
		return dst, err
	case plain:
		return buf, nil
	}
	return p.appendBody(ref, h, buf, dst)
}

// appendBody appends the plain bytes of an overflow body. None that is longer than
// the writer compresses is unpacked: a few bytes could fill the memory.
func (p *Pager) appendBody(ref node.Ref, h node.Header, body, dst []byte) ([]byte, error) {
	if h.PlainLen > kv.MaxValueSize || h.Codec != uint8(compress.None) && h.PlainLen > maxCompressed {
		return dst, p.corrupt(ref, "X3", Structure, "a value of %d bytes", h.PlainLen)
	}
	out, err := compress.Decode(compress.Codec(h.Codec), dst, body, int(h.PlainLen))
	if err != nil {
		return dst, p.corrupt(ref, "X3", Structure, "%v", err)
	}
	return out, nil
}

// ReadPlain reads an overflow extent that must not be compressed: its length is
// that in the reference, so that it takes no more memory than the file has.
func (p *Pager) ReadPlain(ref node.Ref, ks kv.Keyspace) ([]byte, error) {
	stored, h, err := p.readExtent(ref, Expect{node.Overflow, ks, 0}, maxStored, nil)
	if err != nil {
		return nil, err
	}
	if h.Codec != uint8(compress.None) {
		return nil, p.corrupt(ref, "X3", Structure, "%v where no codec may be", compress.Codec(h.Codec))
	}
	return stored[node.HeaderSize:], nil
}

// readExtent reads the stored bytes of an extent, of at most maxLen, into buf,
// or into a larger one, and verifies them.
func (p *Pager) readExtent(ref node.Ref, want Expect, maxLen uint32, buf []byte) ([]byte, node.Header, error) {
	buf, err := p.readBytesOf(ref, maxLen, buf)
	if err != nil {
		return nil, node.Header{}, err
	}
	h, err := p.Judge(ref, want, buf[:node.HeaderSize], node.Sum(buf))
	return buf, h, err
}

// readBytesOf is readExtent without verifying.
func (p *Pager) readBytesOf(ref node.Ref, maxLen uint32, buf []byte) ([]byte, error) {
	if err := p.checkPlace(ref, maxLen); err != nil {
		return nil, err
	}
	buf = slices.Grow(buf[:0], int(ref.Len))[:ref.Len]
	return buf, p.readAt(ref, buf, ref.Off)
}

// checkPlace makes sure that the extent can be where ref says, before anything
// is allocated for it.
func (p *Pager) checkPlace(ref node.Ref, maxLen uint32) error {
	if ref.Off < firstExtent || ref.Len < node.HeaderSize || ref.Len > maxLen {
		return p.corrupt(ref, "X3", Structure, "a reference to %d bytes there", ref.Len)
	}
	if end := p.end.Load(); !within(ref, end) {
		return p.corrupt(ref, "M3", Truncated, "the extent of %d bytes reaches past the end at %d", ref.Len, end)
	}
	return nil
}

// readAt fills b, part of the extent of ref, from what is staged or the file.
func (p *Pager) readAt(ref node.Ref, b []byte, off uint64) error {
	if p.staged.read(b, off) {
		return nil
	}
	n, err := p.file.ReadAt(b, int64(off))
	p.readBytes.Add(uint64(n))
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return p.corrupt(ref, "R2", Truncated, "the file ends at %d", off+uint64(n))
	}
	return errorf("%s: read %d bytes at %d: %w", p.name, len(b), off, err)
}

// judge compares the stored bytes head and body with ref and with what the
// extent must be.
func (p *Pager) judge(ref node.Ref, want Expect, head, body []byte) (node.Header, error) {
	return p.Judge(ref, want, head, sumParts(head, body))
}

// sumParts is node.Sum over an extent in two parts.
func sumParts(head, body []byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	d.Write(head[8:])
	d.Write(body)
	return d.Sum64()
}

// maxStored is the largest stored length: a value's.
const maxStored = kv.MaxValueSize + node.HeaderSize

//go:noinline // called in dozens of places, none of them hot
func (p *Pager) corrupt(ref node.Ref, invariant string, kind Kind, format string, args ...any) error {
	return &CorruptError{p.name, ref.Off, kind, invariant, fmt.Sprintf(format, args...)}
}
