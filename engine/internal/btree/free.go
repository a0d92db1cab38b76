package btree

import (
	"errors"

	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
)

// FreeAll frees every extent of t, whose keyspace is dropped.
func FreeAll(w *pager.Writer, t *Tree) error {
	if t.root == nil {
		return nil
	}
	return freeSubtree(w, t, t.root)
}

// freeSubtree frees the extents below f. It reads the branches, and of the
// leaves those that have values in overflow extents.
func freeSubtree(w *pager.Writer, t *Tree, f *pager.Frame) error {
	n, err := t.p.NodeForScan(f)
	if _, damaged := errors.AsType[*pager.CorruptError](err); damaged {
		return nil // what is below cannot be told: it stays in use, and verify says so (M3)
	} else if err != nil {
		return err
	}
	w.FreeFrame(f)
	if err := w.Err(); err != nil {
		return err
	}
	for i := range n.Count() {
		if n.Kind() == node.Leaf {
			if cell := n.Cell(i); cell.Overflow {
				w.Free(cell.Ref())
			}
		} else if c := t.p.Child(f, n, i); n.Level() == 1 && !n.Ref(i).Overflow {
			w.FreeFrame(c)
		} else if err := freeSubtree(w, t, c); err != nil {
			return err
		}
	}
	return nil
}
