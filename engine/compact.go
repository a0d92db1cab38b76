package engine

import (
	"context"
	"errors"
	"time"

	"github.com/lightning-db/lightning/engine/internal/btree"
	"github.com/lightning-db/lightning/engine/internal/pager"
)

// CompactInfo says what Compact did.
type CompactInfo struct {
	Before, After int64 // length of btree.db, in bytes
	Moved         int64 // bytes written to other places
	Duration      time.Duration
}

// maxCompactPasses bounds the passes of Compact. Each moves what lies past the
// mark to which the file could shrink; what the first leaves, because old and
// new must both exist until the new is durable, the next ones move.
const maxCompactPasses = 6

// Compact gives space back to the file system: it checkpoints, moves the
// extents at the end of btree.db into the free space before them, and cuts the
// file. Each pass is a checkpoint of its own, so a crash at any point loses
// nothing. Readers and writers go on meanwhile; what open snapshots can reach
// is not given back. When ctx is done it stops between passes or in one, and
// what was done stays done.
func (db *DB) Compact(ctx context.Context) (CompactInfo, error) {
	if err := db.checkWritable(); err != nil {
		return CompactInfo{}, err
	}
	began := time.Now()
	db.checkpointMu.Lock()
	defer db.checkpointMu.Unlock()
	info := CompactInfo{Before: db.fileBytes()}
	db.freezeAll()
	if _, err := db.checkpoint(ctx, false); err != nil {
		return info, wrap("compact", err)
	}
	for range maxCompactPasses {
		before := db.fileBytes()
		moved, err := db.compactPass(ctx)
		if err != nil {
			return info, wrap("compact", db.checkpointFailed(err))
		}
		info.Moved += moved
		if moved == 0 && db.fileBytes() >= before {
			break
		}
	}
	info.After = db.fileBytes()
	info.Duration = time.Since(began)
	return info, nil
}

// compactPass moves what lies past the bytes in use into free space before it.
func (db *DB) compactPass(ctx context.Context) (int64, error) {
	p := db.version.Load().pager
	used := p.Meta().BytesUsed
	ceiling := extentsStart + used + used/32 + 64<<10
	var moved int64
	wanted := &spaces{byID: db.disk, next: p.Meta().NextKeyspace}
	disk, err := db.writeTrees(wanted, wanted.next, true, func(w *pager.Writer, sp *space) (*space, error) {
		w.SetCeiling(ceiling)
		tree, n, err := btree.Relocate(w, sp.tree, ceiling)
		if errors.Is(err, pager.ErrNoRoom) {
			return sp, nil
		}
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		moved += int64(n)
		if n == 0 {
			return sp, nil
		}
		next := *sp
		next.tree = tree
		return &next, nil
	}, func(*pager.Meta) {})
	if err != nil {
		return 0, err
	}
	db.installTrees(disk, nil)
	return moved, nil
}

// extentsStart is where the first extent of btree.db may stand.
const extentsStart = 8192

func (db *DB) fileBytes() int64 { return int64(db.version.Load().pager.Meta().FileSize) }
