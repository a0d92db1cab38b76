package btree

import (
	"bytes"
	"errors"
	"math"

	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
)

// Move says which extents move where, by offsets in the file: those that reach
// past From and begin before To, to places from Floor on, or at the end of the
// file, and below Ceiling, as long as there is room.
type Move struct{ From, To, Floor, Ceiling uint64 }

// Cut moves what reaches past limit to below it, so that the file can be cut.
func Cut(limit uint64) Move { return Move{limit, math.MaxUint64, 0, limit} }

// Vacate moves what is between the offsets to behind them, so that there is one
// place for all that Cut found too many small ones for.
func Vacate(from, to uint64) Move { return Move{from, to, to, 0} }

// Relocate moves extents of t. It returns the tree with the new references and
// the bytes that moved. The nodes above a moved extent are written again wherever
// there is room for them; a second pass moves those, too.
//
// It sets the bounds of w and lifts them before it returns. stop is called for each
// node; an error of it ends the pass and is returned. A nil stop never does.
func Relocate(stop func() error, w *pager.Writer, t *Tree, m Move) (*Tree, uint64, error) {
	if t.root == nil {
		return t, 0, nil
	}
	r := relocator{w: w, t: t, move: m, stop: stop, nodes: t.p.Meta().FileSize / node.Unit}
	w.SetBounds(m.Floor, m.Ceiling)
	defer w.SetBounds(0, 0)
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
	move  Move
	stop  func() error
	moved uint64
	nodes uint64 // that there can be, less those that were visited
	value []byte // buffer
}

func (r *relocator) moves(ref node.Ref) bool {
	return ref.Off+ref.Size() > r.move.From && ref.Off < r.move.To
}

// subtree moves what is below f, then f, and returns where f is now.
func (r *relocator) subtree(f *pager.Frame) (*pager.Frame, error) {
	if r.stop != nil {
		if err := r.stop(); err != nil {
			return nil, err
		}
	}
	if r.nodes == 0 {
		return nil, r.t.corrupt(f.Ref(), sharedBelow)
	}
	r.nodes--
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
	if err != nil || !changed && !r.moves(f.Ref()) {
		return f, err
	}
	return r.rewrite(f, buf, frames, changed, resident || frames != nil)
}

// values moves the overflow values of the leaf n and puts their new
// references into buf, a copy of it. It reports whether there were any.
func (r *relocator) values(n, buf node.Node) (bool, error) {
	changed := false
	for i := range n.Count() {
		cell := n.Cell(i)
		if !cell.Overflow || !r.moves(cell.Ref()) {
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
		if ref := n.Ref(i); n.Level() == 1 && !ref.Overflow && !r.moves(ref) {
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

// rewrite writes buf in place of f's node, of which it is a copy. A node that has
// not changed may stay where it is; one that has needs a place anywhere.
func (r *relocator) rewrite(f *pager.Frame, buf []byte, frames []*pager.Frame, changed, resident bool) (*pager.Frame, error) {
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
		r.w.SetBounds(0, 0)
		moved, err = r.w.Write(h, ref.Count, ref.Overflow, buf, frames, resident)
		r.w.SetBounds(r.move.Floor, r.move.Ceiling)
	}
	if err != nil {
		return nil, err
	}
	r.w.FreeFrame(f)
	r.moved += ref.Size()
	return moved, nil
}
