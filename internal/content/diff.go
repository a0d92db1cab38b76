// Package content looks at what databases hold, whatever their layout: it
// compares two, digests one, and counts sizes.
package content

import (
	"bytes"
	"context"

	"github.com/lightning-db/lightning/engine"
)

// A Change is what Diff has found about a key.
type Change int

const (
	Removed Change = iota // only the first has it
	Added                 // only the second has it
	Changed               // it has another value in the second
	Same
)

// Diff walks over a range of two snapshots, nil for one that holds nothing, in
// the order of the keys, and calls fn for each, with the iterators that stand on
// it: nil where it is not. Values that are stored outside the tree are read only
// where both are equally long, or by fn, which looks for their errors.
func Diff(ctx context.Context, a, b engine.Reader, o engine.IterOptions, fn func(c Change, key []byte, a, b *engine.Iterator) error) (err error) {
	var sides [2]*engine.Iterator
	var here [2]bool
	for i, s := range []engine.Reader{a, b} {
		if s != nil {
			sides[i] = s.NewIterator(o)
			here[i] = sides[i].First()
		}
	}
	left, right := sides[0], sides[1]
	for n := 1; err == nil && (here[0] || here[1]); n++ {
		if left != nil && left.Err() != nil || right != nil && right.Err() != nil {
			break // Close tells
		}
		if n%1024 == 0 && ctx.Err() != nil {
			err = ctx.Err()
			break
		}
		order := 1
		if here[0] {
			order = -1
			if here[1] {
				order = bytes.Compare(left.Key(), right.Key())
			}
		}
		switch {
		case order < 0:
			err = fn(Removed, left.Key(), left, nil)
		case order > 0:
			err = fn(Added, right.Key(), nil, right)
		default:
			c, key := Changed, left.Key()
			if left.ValueSize() == right.ValueSize() && bytes.Equal(left.Value(), right.Value()) {
				c = Same
			}
			if left.Err() != nil || right.Err() != nil {
				continue
			}
			err = fn(c, key, left, right)
		}
		if order <= 0 {
			here[0] = left.Next()
		}
		if order >= 0 {
			here[1] = right.Next()
		}
	}
	for _, it := range sides {
		if it == nil {
			continue
		}
		if closeErr := it.Close(); err == nil {
			err = closeErr
		}
	}
	return err
}
