package salvage

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/lightning-db/lightning/engine/inspect"
)

// bounds is a range of keys; nil has no bound.
type bounds struct{ start, end []byte }

func (b bounds) has(key []byte) bool {
	return bytes.Compare(key, b.start) >= 0 && (b.end == nil || bytes.Compare(key, b.end) < 0)
}

// one is the range of a single key.
func one(key []byte) bounds {
	return bounds{slices.Clone(key), append(slices.Clone(key), 0)}
}

// entry is what a leaf says of a key. value is lent; a tombstone has none.
type entry struct {
	key, value []byte
	tombstone  bool
}

// walker reads a tree beyond its damage, in the order of its keys.
type walker struct {
	ctx      context.Context
	reader   *inspect.Reader
	path     string
	keyspace uint32

	// entry is called with each entry, or is nil: then values are not read.
	entry func(entry) error
	// reached is called with each extent that can be read, and reports whether
	// it is the first reference to it.
	reached func(inspect.Ref) bool
	// lost is called with what cannot be read.
	lost func(Loss)
	// moved returns where else in the file an extent with the checksum of ref
	// is, or is nil.
	moved func(inspect.Ref) (inspect.Ref, bool)

	key, value []byte
}

// walk walks the tree of root. The error is that of entry or of the context.
func (w *walker) walk(root inspect.Ref) error {
	if root.IsZero() {
		return nil
	}
	return w.subtree(root, inspect.AnyLevel, bounds{})
}

func (w *walker) subtree(ref inspect.Ref, level int, b bounds) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	ref, n, err := w.node(ref, level, b)
	if err == nil && !w.reached(ref) {
		err = &inspect.Damage{
			Invariant: "M3", Path: w.path, Offset: int64(ref.Offset), Kind: inspect.Space, Reason: "another reference leads to this extent",
		}
	}
	if err != nil {
		w.lose(err, b, ref.Count, 0)
		return nil
	}
	if n.Kind == inspect.Leaf {
		return w.leaf(&n)
	}
	n = n.Clone() // the reader goes on
	for i := range n.Len() {
		child := b
		if i > 0 {
			child.start = n.AppendSeparator(nil, i)
		}
		if i+1 < n.Len() {
			child.end = n.AppendSeparator(nil, i+1)
		}
		if err := w.subtree(n.Child(i), int(n.Level)-1, child); err != nil {
			return err
		}
	}
	return nil
}

// node reads the node of ref, from another place if need be: its checksum
// proves that it is the one.
func (w *walker) node(ref inspect.Ref, level int, b bounds) (inspect.Ref, inspect.Node, error) {
	n, err := w.reader.Node(ref, w.keyspace, level)
	if err == nil || w.moved == nil {
		return ref, n, err
	}
	if other, ok := w.moved(ref); ok {
		if n, again := w.reader.Node(other, w.keyspace, level); again == nil {
			w.lose(err, b, ref.Count, ref.Count)
			return other, n, nil
		}
	}
	return ref, n, err
}

// leaf takes the entries of a leaf, also those beyond the bounds that the
// branches above it set: they are there.
func (w *walker) leaf(leaf *inspect.Node) error {
	n := *leaf
	for i := range n.Len() {
		if n.Entry(i).Overflow {
			n = n.Clone() // the reader goes on
			break
		}
	}
	for i := range n.Len() {
		e := n.Entry(i)
		w.key = n.AppendKey(w.key[:0], i)
		value := e.Value
		if e.Overflow && !e.Tombstone {
			var ok bool
			if value, ok = w.large(e.Ref(), e.Length); !ok {
				continue
			}
		}
		if w.entry == nil {
			continue
		}
		if err := w.entry(entry{w.key, value, e.Tombstone}); err != nil {
			return err
		}
	}
	return nil
}

// large reads the value of w.key in an extent of its own, from another place if
// need be.
func (w *walker) large(ref inspect.Ref, length int) (value []byte, ok bool) {
	err := w.extent(ref, length)
	if err != nil && w.moved != nil {
		if other, ok := w.moved(ref); ok && w.extent(other, length) == nil {
			w.lose(err, one(w.key), 1, 1)
			ref, err = other, nil
		}
	}
	if err != nil {
		w.lose(err, one(w.key), 1, 0)
		return nil, false
	}
	w.reached(ref)
	return w.value, true
}

// extent reads a value into w.value, or only verifies it where nobody asks for
// entries.
func (w *walker) extent(ref inspect.Ref, length int) error {
	var size int
	if w.entry == nil {
		h, err := w.reader.Value(ref, w.keyspace)
		if err != nil {
			return err
		}
		size = int(h.PlainLength)
	} else {
		value, err := w.reader.AppendValue(w.value[:0], ref, w.keyspace)
		if err != nil {
			return err
		}
		w.value, size = value, len(value)
	}
	if size != length {
		return &inspect.Damage{
			Invariant: "X3", Path: w.path, Offset: int64(ref.Offset), Kind: inspect.Structure,
			Reason: fmt.Sprintf("a value of %d bytes where its leaf tells %d", size, length),
		}
	}
	return nil
}

func (w *walker) lose(err error, b bounds, keys, found uint64) {
	d := inspect.AsDamage(err)
	if d == nil {
		d = &inspect.Damage{Path: w.path, Kind: inspect.IO, Reason: err.Error()}
	}
	l := lossOf(d)
	l.Start, l.End, l.Keys, l.Found, l.ranged = b.start, b.end, keys, found, true
	w.lost(l)
}
