package btree

import (
	"bytes"
	"errors"

	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
)

// Relocate moves the extents of t that reach past limit, an offset in the
// file, to below it, as long as there is room, so that the file can be cut.
// It returns the tree with the new references and the bytes that moved. The
// nodes above a moved extent are written again wherever there is room for
// them; a second pass moves those down, too.
//
// It sets the ceiling of w and lifts it before it returns. stop is called for each
// node; an error of it ends the pass and is returned. A nil stop never does.
func Relocate(stop func() error, w *pager.Writer, t *Tree, limit uint64) (*Tree, uint64, error) {
	if t.root == nil {
		return t, 0, nil
	}
	r := relocator{w: w, t: t, limit: limit, stop: stop}
	w.SetCeiling(limit)
	defer w.SetCeiling(0)
	root, err := r.subtree(t.root)
	if err != nil {
		return nil, 0, err
	}
	if root == t.root {
		return t, 0, nil
	}
	moved := t.heir(root)
	moved.filter.Store(t.keyFilter())
	return moved, r.moved, nil
}

type relocator struct {
	w     *pager.Writer
	t     *Tree
	limit uint64
	stop  func() error
	moved uint64
	value []byte // buffer
}

func (r *relocator) past(ref node.Ref) bool { return ref.Off+ref.Size() > r.limit }

// subtree moves what is below f, then f, and returns where f is now.
func (r *relocator) subtree(f *pager.Frame) (*pager.Frame, error) {
	if r.stop != nil {
		if err := r.stop(); err != nil {
			return nil, err
		}
	}
	resident := f.Resident()
	n, err := r.t.p.NodeForScan(f)
	if err != nil {
		return nil, err
	}
	buf := bytes.Clone(n)
	var changed bool
	var frames []*pager.Frame
	if n.Kind() == node.Leaf {
		changed, err = r.values(n, buf)
	} else {
		changed, frames, err = r.children(f, n, buf)
	}
	if err != nil || !changed && !r.past(f.Ref()) {
		return f, err
	}
	return r.move(f, buf, frames, changed, resident || frames != nil)
}

// values moves the overflow values of the leaf n and puts their new
// references into buf, a copy of it. It reports whether there were any.
func (r *relocator) values(n, buf node.Node) (bool, error) {
	changed := false
	for i := range n.Count() {
		cell := n.Cell(i)
		if !cell.Overflow || !r.past(cell.Ref()) {
			continue
		}
		value, err := r.t.readOverflow(cell.Ref(), cell.Len, r.value[:0], true)
		if err != nil {
			return false, err
		}
		r.value = value
		ref, err := r.w.WriteOverflow(r.t.cfg.Keyspace, value, r.t.cfg.Codec)
		if errors.Is(err, pager.ErrNoRoom) {
			continue
		} else if err != nil {
			return false, err
		}
		ref.Put(buf.Cell(i).Value)
		r.w.Free(cell.Ref())
		r.moved += cell.Ref().Size()
		changed = true
	}
	return changed, nil
}

// children moves what is below the branch n of f and puts the new references
// into buf, a copy of n. It reports whether there were any, and returns the
// children's frames.
func (r *relocator) children(f *pager.Frame, n, buf node.Node) (bool, []*pager.Frame, error) {
	changed := false
	frames := make([]*pager.Frame, n.Count())
	for i := range frames {
		if ref := n.Ref(i); n.Level() == 1 && !ref.Overflow && !r.past(ref) {
			frames[i] = f.Peek(n, i)
			continue
		}
		old := r.t.p.Child(f, n, i)
		c, err := r.subtree(old)
		if err != nil {
			return false, nil, err
		}
		frames[i] = c
		if c != old {
			c.Ref().Put(buf.RefBytes(i))
			changed = true
		}
	}
	return changed, frames, nil
}

// move writes buf in place of f's node, of which it is a copy. A node that has
// not changed may stay where it is; one that has needs a place anywhere.
func (r *relocator) move(f *pager.Frame, buf []byte, frames []*pager.Frame, changed, resident bool) (*pager.Frame, error) {
	h, err := node.GetHeader(buf)
	if err != nil {
		return nil, err
	}
	h.Codec = uint8(r.t.cfg.Codec)
	ref := f.Ref()
	moved, err := r.w.Write(h, ref.Count, ref.Overflow, buf, frames, resident)
	if errors.Is(err, pager.ErrNoRoom) {
		if !changed {
			return f, nil
		}
		r.w.SetCeiling(0)
		moved, err = r.w.Write(h, ref.Count, ref.Overflow, buf, frames, resident)
		r.w.SetCeiling(r.limit)
	}
	if err != nil {
		return nil, err
	}
	r.w.FreeFrame(f)
	r.moved += ref.Size()
	return moved, nil
}
