package engine

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"

	"github.com/lightning-db/lightning/engine/internal/btree"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/pager"
)

// Load makes the database dir of entries that come in the order of their keys.
// Each node is written once, full, and there is no log: that is several times
// as fast as writing to a database. dir must not exist: ErrExists.
//
// next returns the next entry, lent until it is called again, and io.EOF behind
// the last one; any other error of it, keys that do not increase, and a ctx that
// is done end the load and are returned. The caller's goroutine calls it, while
// another one makes the tree of what it has returned: of keys out of order, or
// of a disk that is full, Load may learn a megabyte of entries later. As of
// Restore, the database gets its name when it is whole and durable, and only one
// may be under way: ErrLocked.
func Load(ctx context.Context, dir string, o *RestoreOptions, next func() (key, value []byte, err error)) (err error) {
	if next == nil {
		return errNoFunction
	}
	ctx = orBackground(ctx)
	l := &loader{empty: make(chan block, 2), full: make(chan block), built: make(chan struct{})}
	go func() {
		defer close(l.built)
		err = wrap("load "+dir, assemble(o.fs(), filepath.Clean(dir), func(p *pager.Pager) error {
			return buildTrees(p, func(w *pager.Writer, meta *pager.Meta, add func(*space, *btree.Tree, uint64)) error {
				id := kv.DefaultKeyspace
				sp := &space{id: id, config: treeConfig(id, meta.PageSize, byte(CompressionNone))}
				l.empty <- block{} // and the one that take gives back first
				tree, bytes, err := btree.Build(w, p, sp.config, func() (btree.Block, error) { return l.take(ctx) })
				if errors.Is(err, btree.ErrOrder) {
					err = errOrder
				}
				if err == nil {
					add(sp, tree, bytes)
				}
				return err
			})
		}, nil))
	}()
	defer func() {
		close(l.full) // so that all ends where next panics, too
		<-l.built
	}()
	l.feed(next)
	<-l.built
	return err
}

// A loader hands entries from the one who has them to the one who builds. There
// are two blocks: while one is filled the entries of the other go into the tree.
type loader struct {
	empty chan block
	full  chan block
	built chan struct{} // closed where the tree is done, or cannot be
	taken block         // by the one who builds
}

// A block is entries and what ended them: nil where more follow.
type block struct {
	btree.Block
	err error
}

// loadBytes is how many bytes a block has, but for a large entry.
const loadBytes = 1 << 20

// feed hands over all that next returns.
func (l *loader) feed(next func() (key, value []byte, err error)) {
	var b block
	for b.err == nil {
		select {
		case b = <-l.empty:
		case <-l.built:
			return
		}
		b.fill(next)
		select {
		case l.full <- b:
		case <-l.built:
		}
	}
}

// fill fills a block.
func (b *block) fill(next func() (key, value []byte, err error)) {
	bytes, ends := b.Bytes[:0], b.Ends[:0]
	var err error
	for err == nil && len(bytes)+4*len(ends) < loadBytes {
		var key, value []byte
		if key, value, err = next(); err == nil {
			err = checkSizes(key, value)
		}
		if err == nil {
			bytes = append(append(bytes, key...), value...)
			ends = append(ends, uint32(len(bytes)-len(value)), uint32(len(bytes)))
		}
	}
	b.Bytes, b.Ends, b.err = bytes, ends, err
}

const errOrder = invalid("keys are out of order: each must be behind the one before it")

// take returns the next block, lent until it is called again, and behind the
// last one what ended them.
func (l *loader) take(ctx context.Context) (btree.Block, error) {
	if err := cmp.Or(ctx.Err(), l.taken.err); err != nil {
		return btree.Block{}, err
	}
	if cap(l.taken.Bytes) > 4*loadBytes {
		l.taken.Bytes = nil
	}
	l.empty <- l.taken
	var ok bool
	if l.taken, ok = <-l.full; !ok {
		l.taken.err = context.Canceled
	}
	return l.taken.Block, nil
}
