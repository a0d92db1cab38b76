package engine

import (
	"context"
	"time"

	"github.com/lightning-db/lightning/engine/internal/btree"
	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/internal/wal"
	"github.com/lightning-db/lightning/engine/vfs"
)

// CompactInfo says what Compact did.
type CompactInfo struct {
	Before, After int64 // length of btree.db, in bytes
	Moved         int64 // bytes written to other places
	Duration      time.Duration
}

// Compact gives space back to the file system: it checkpoints, merges all
// sorted runs into the trees, makes the log short, moves the
// extents at the end of btree.db into the free space before them, and cuts the
// file. It takes several passes, since old and new must both exist until the
// new is durable; each is a checkpoint of its own, so a crash at any point loses
// nothing. Readers and writers go on meanwhile; what open snapshots can reach
// is not given back.
//
// Where what is free lies in places that are too small, some of what stands
// between them moves out of the way first, once. The file grows by as much, until
// that is back, in this call or in the next; so it is left out where the disk has
// no room for it, or anybody reads.
//
// When ctx is done, or the database is closed, it stops between passes or in one,
// and what was done stays done; Before and After then say so.
func (db *DB) Compact(ctx context.Context) (info CompactInfo, err error) {
	if err := db.checkWritable(); err != nil {
		return CompactInfo{}, err
	}
	ctx = whileOpen{orBackground(ctx), db}
	began := time.Now()
	db.checkpointMu.Lock()
	defer db.checkpointMu.Unlock()
	if db.version.Load() == nil {
		return CompactInfo{}, errDBClosed
	}
	info.Before = db.fileBytes()
	defer func() { info.After, info.Duration = db.fileBytes(), time.Since(began) }()
	if err := db.shrinkLog(); err != nil {
		return info, wrap("compact", db.checkpointFailed(err))
	}
	if _, err := db.checkpointAll(ctx, false); err != nil {
		return info, wrap("compact", err)
	}
	if err := db.dropLog(); err != nil {
		return info, wrap("compact", db.checkpointFailed(err))
	}
	if err := db.settle(ctx); err != nil {
		return info, wrap("compact", err)
	}
	vacated := false
	for _, part := range marks {
		moved, err := db.compactTo(ctx, part, &vacated)
		info.Moved += moved
		if err != nil {
			return info, wrap("compact", db.checkpointFailed(err))
		}
	}
	return info, nil
}

// compactTo moves what is past the mark to before it, pass after pass. Where it
// finds only holes that are too small, it makes a large one, unless it has
// already: if that is worth writing twice what stands there, the disk has room
// for that and as much again, and nobody reads, whose view would keep the old
// place from being used. The caller holds checkpointMu.
func (db *DB) compactTo(ctx context.Context, part uint64, vacated *bool) (moved int64, err error) {
	for still := 0; still < 2; { // passes that gave nothing back
		before := db.fileBytes()
		n, err := db.compactPass(ctx, btree.Cut(db.mark(part)), nil)
		moved += n
		if err != nil {
			return moved, err
		}
		if still++; db.fileBytes() < before {
			still = 0
		}
		mark, p := db.mark(part), db.version.Load().pager
		gain := p.Meta().FileSize - min(mark, p.Meta().FileSize)
		if still < 2 || *vacated || gain < leastGain || db.unread() != nil {
			continue
		}
		from := p.Window(mark)
		free, err := db.diskFree()
		if mark-from > max(cheapWindow, gain*worthWindow) || err == nil && uint64(free)/2 < mark-from {
			continue
		}
		still, *vacated = 0, true
		n, err = db.compactPass(ctx, btree.Vacate(from, mark), db.unread)
		moved += n
		if err == errStill || vfs.IsNoSpace(err) && p.Failed() == nil {
			still = 1 // another pass cuts off what was written of it
		} else if err != nil {
			return moved, err
		}
	}
	return moved, nil
}

// unread returns errStill while a view is open, or a reader in another process.
func (db *DB) unread() error {
	db.mu.Lock()
	views := db.views()
	db.mu.Unlock()
	if views > 0 || len(db.readers()) > 0 {
		return errStill
	}
	return nil
}

// What must be given back at least for a part of the file to be emptied, and how
// long that may be: cheapWindow, or so many times what is given back.
const (
	leastGain   = 256 << 10
	cheapWindow = 64 << 20
	worthWindow = 32
)

// marks are the parts of the bytes in use that may be free when compaction has
// moved what is past a mark to before it, and then comes to the next. A hole is
// often too small for what should move, so the first marks leave more room; one
// that left none would leave what stands behind it there for ever.
var marks = [...]uint64{16, 256, leastFree}

const leastFree = 1024

// mark is where btree.db would end if it held the bytes in use, and one part of
// them more.
func (db *DB) mark(part uint64) uint64 {
	meta := db.version.Load().pager.Meta()
	// At best no free list is left.
	return extentsStart + meta.BytesUsed - meta.FreeList.Size() + meta.BytesUsed/part
}

// quietFree and quietPart say how much of btree.db must be free before it is
// given back in quiet: less will be used again soon. Once begun, it goes on to
// the end.
const (
	quietFree = 16 << 20
	quietPart = 4 // of the bytes in use
)

// shrinkQuietly does what Compact does with btree.db when more of it is free
// than is worth keeping, a slice of the file at a time, until the log has
// reached until. It returns an error, which nobody is told, when nothing more
// can be given back, as while a snapshot is open.
func (db *DB) shrinkQuietly(ctx context.Context, until wal.LSN) error {
	for begun, still := false, 0; db.log.End() <= until; begun = true {
		db.checkpointMu.Lock()
		meta := db.version.Load().pager.Meta()
		free := meta.FileSize - extentsStart - meta.BytesUsed
		if !begun && (free < quietFree || free < meta.BytesUsed/quietPart) || free < meta.BytesUsed/leastFree {
			db.checkpointMu.Unlock()
			return nil
		}
		ceiling := meta.FileSize - min(max(quietFree, meta.FileSize/16), meta.FileSize)
		for _, part := range marks {
			if m := db.mark(part); m < meta.FileSize {
				ceiling = max(ceiling, m)
				break
			}
		}
		_, err := db.compactPass(ctx, btree.Cut(ceiling), nil)
		if err != nil {
			err = db.checkpointFailed(err)
		} else if still++; uint64(db.fileBytes()) < meta.FileSize {
			still = 0
		} else if still == 3 {
			err = errStill
		}
		db.checkpointMu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

var errStill = errorf("nothing can be given back")

// compactPass makes a generation in which extents have other places, if ready, where
// it is not nil, agrees at the end. The caller holds checkpointMu.
func (db *DB) compactPass(ctx context.Context, move btree.Move, ready func() error) (int64, error) {
	meta := db.version.Load().pager.Meta()
	var moved int64
	disk, err := db.writeTrees(generation{
		kind:   CheckpointCompact,
		wanted: &spaces{byID: db.disk, next: meta.NextKeyspace},
		change: func(w *pager.Writer, sp *space) (*space, error) {
			tree, n, err := btree.Relocate(ctx.Err, w, sp.tree, move)
			if err != nil || n == 0 {
				return sp, err
			}
			moved += int64(n)
			next := *sp
			next.tree = tree
			return &next, nil
		},
		meta:  func(m *pager.Meta) { m.LogEnd = 0 },
		ready: ready,
		move:  &move,
	})
	if err != nil {
		return 0, err
	}
	db.installTrees(disk, nil)
	return moved, nil
}

// extentsStart is where the first extent of btree.db may stand.
const extentsStart = 8192

//go:noinline // called in many places, none of them hot
func (db *DB) fileBytes() int64 { return int64(db.version.Load().pager.Meta().FileSize) }
