package engine

import (
	"context"
	"encoding/binary"
	"io"
	"path/filepath"

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
// another one makes the tree of what it has returned: of keys out of order Load
// may learn a megabyte of entries later. As of Restore, the database gets its
// name when it is whole and durable, and only one may be under way: ErrLocked.
func Load(ctx context.Context, dir string, o *RestoreOptions, next func() (key, value []byte, err error)) (err error) {
	ctx = orBackground(ctx)
	l := loader{empty: make(chan []byte, 2), full: make(chan loaded), built: make(chan struct{})}
	go func() {
		defer close(l.built)
		err = wrap("load "+dir, assemble(o.fs(), filepath.Clean(dir), func(p *pager.Pager) error {
			return buildTrees(ctx, p, func(meta *pager.Meta, add func(*space, *entryReader) error) error {
				id := kv.DefaultKeyspace
				sp := &space{id: id, config: treeConfig(id, meta.PageSize, byte(CompressionNone))}
				l.empty <- nil // and the one that the first call of take gives back
				return add(sp, &entryReader{ctx: ctx, source: l.take})
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
	empty chan []byte
	full  chan loaded
	built chan struct{} // closed where the tree is done, or cannot be
	taken loaded        // by the one who builds
}

// loaded is entries, as they are in a block of a backup stream, and what ended
// them: nil where more follow.
type loaded struct {
	entries []byte
	err     error
}

// loadBytes is how many bytes of entries are handed over at a time.
const loadBytes = 1 << 20

// feed hands over all that next returns.
func (l *loader) feed(next func() (key, value []byte, err error)) {
	var b loaded
	for b.err == nil {
		select {
		case b.entries = <-l.empty:
		case <-l.built:
			return
		}
		b.fill(next, l.built)
		select {
		case l.full <- b:
		case <-l.built:
		}
	}
}

// fill fills a block, until built is closed.
func (b *loaded) fill(next func() (key, value []byte, err error), built <-chan struct{}) {
	for b.entries = b.entries[:0]; b.err == nil && len(b.entries) < loadBytes; {
		select {
		case <-built:
			return
		default:
		}
		key, value, err := next()
		if err == nil {
			err = checkSizes(key, value)
		}
		if b.err = err; err == nil {
			b.entries = binary.AppendUvarint(b.entries, uint64(len(key)))
			b.entries = append(b.entries, key...)
			b.entries = binary.AppendUvarint(b.entries, uint64(len(value)))
			b.entries = append(b.entries, value...)
		}
	}
}

// take returns the next block, lent until it is called again, and behind the
// last one what ended them.
func (l *loader) take() ([]byte, error) {
	if l.taken.err != nil {
		return nil, l.taken.err
	}
	if cap(l.taken.entries) > 4*loadBytes {
		l.taken.entries = nil
	}
	l.empty <- l.taken.entries
	var ok bool
	if l.taken, ok = <-l.full; !ok {
		l.taken.err = context.Canceled
	}
	if len(l.taken.entries) == 0 {
		return nil, l.taken.err
	}
	return l.taken.entries, nil
}

const errOrder = invalid("keys are out of order: each must be behind the one before it")

// load moves to the next block of source.
func (c *entryReader) load() bool {
	var err error
	if c.rest, err = c.source(); err == io.EOF {
		c.kind = blockEnd
		return false
	}
	return err == nil || c.fail(err)
}
