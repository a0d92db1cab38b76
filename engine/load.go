package engine

import (
	"context"
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
// is done end the load and are returned. As of Restore, the database gets its
// name when it is whole and durable, and only one may be under way: ErrLocked.
func Load(ctx context.Context, dir string, o *RestoreOptions, next func() (key, value []byte, err error)) error {
	ctx = orBackground(ctx)
	return wrap("load "+dir, assemble(o.fs(), filepath.Clean(dir), func(p *pager.Pager) error {
		return buildTrees(ctx, p, func(meta *pager.Meta, add func(*space, *entryReader) error) error {
			id := kv.DefaultKeyspace
			sp := &space{id: id, config: treeConfig(id, meta.PageSize, byte(CompressionNone))}
			return add(sp, &entryReader{ctx: ctx, source: next})
		})
	}, nil))
}

const errOrder = invalid("keys are out of order: each must be behind the one before it")

// load moves to the next entry of source.
func (c *entryReader) load() bool {
	var err error
	c.key, c.value, err = c.source()
	switch {
	case err == io.EOF:
		c.kind = blockEnd
		return false
	case err == nil:
		err = checkSizes(c.key, c.value)
	}
	if err == nil && c.begun && kv.Compare(c.last, c.key) >= 0 {
		err = errOrder
	}
	if err != nil {
		return c.fail(err)
	}
	c.begun = true
	c.count++
	return true
}
