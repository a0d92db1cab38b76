package engine

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine/internal/btree"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/vfs"
)

// shareSubtrees makes a database of one leaf, and of so many levels of branches
// above it, all of whose children are the one below, with checksums that fit.
// overflow is what the references say of the leaf.
func shareSubtrees(t *testing.T, fs vfs.FS, levels, children int, overflow bool) {
	t.Helper()
	err := assemble(fs, "db", func(p *pager.Pager) error {
		return buildTrees(p, func(w *pager.Writer, meta *pager.Meta, add func(*space, *btree.Tree, uint64)) error {
			sp := &space{config: treeConfig(kv.DefaultKeyspace, meta.PageSize, 0)}
			var leaf node.LeafBuilder
			leaf.Begin(1, nil, 200)
			leaf.Add([]byte("z"), uint8(kv.Hash([]byte("z"))), []byte("1"), 1, false)
			var h node.Header
			f, err := w.Write(h, 1, overflow, leaf.Finish(&h), nil, false)
			for level := 1; err == nil && level <= levels; level++ {
				var branch node.BranchBuilder
				var ref [node.RefSize]byte
				f.Ref().Put(ref[:])
				branch.Begin(children, nil, node.BranchSize(children, 0, children*node.BranchCellSize(3)))
				for i := range children {
					branch.Add([]byte{byte(level), byte(i >> 8), byte(i)}, ref[:])
				}
				h = node.Header{Level: uint8(level)}
				f, err = w.Write(h, 1<<min(level, 47), overflow, branch.Finish(&h), nil, false)
			}
			if err == nil {
				add(sp, btree.Open(p, f.Ref(), sp.config), 1)
			}
			return err
		})
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// F27: in a file made to do harm all children of all branches may be one, so that
// 40 KB have 2^60 ways to a leaf. Who walks along all of them, or frees or moves
// what they lead to, once did so for ever.
func TestF27_SharedSubtrees(t *testing.T) {
	for _, overflow := range []bool{false, true} {
		fs := vfs.NewMem()
		shareSubtrees(t, fs, 60, 2, overflow)
		for what, do := range map[string]func(db *DB) error{
			"scan": func(db *DB) error {
				return db.View(func(tx *Tx) error {
					for range tx.Scan(nil, nil) {
					}
					return nil
				})
			},
			"scan backward": func(db *DB) error {
				return db.View(func(tx *Tx) error {
					for range tx.ScanBackward(nil, nil) {
					}
					return nil
				})
			},
			"compact": func(db *DB) error {
				_, err := db.Compact(context.Background())
				return err
			},
			"delete all": func(db *DB) error {
				if err := db.DeleteRange(nil, nil); err != nil {
					return err
				}
				_, err := db.Checkpoint(context.Background())
				return err
			},
		} {
			db, err := Open("db", &Options{FS: fs.Clone()})
			if err != nil {
				t.Fatal(err)
			}
			if value, err := db.Get([]byte("z")); err != nil || string(value) != "1" {
				t.Fatalf("get: %q, %v", value, err)
			}
			done := make(chan error, 1)
			go func() { done <- do(db) }()
			select {
			case err := <-done:
				if !errors.Is(err, ErrCorrupt) {
					t.Errorf("%s: %v, want ErrCorrupt", what, err)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%s goes on for ever", what)
			}
			_ = db.Close()
		}
	}
}

// Who only asks where the branches would be cut takes no memory for more of them
// than the file has room for: 100 KB can tell of a million.
func TestF27_SharedSubtrees_Split(t *testing.T) {
	fs := vfs.NewMem()
	shareSubtrees(t, fs, 2, 1000, false)
	db, err := Open("db", &Options{FS: fs, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err = db.View(func(tx *Tx) error {
		_, err := tx.Split(nil, nil, 1000)
		return err
	})
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, ErrCorrupt) || n > 16<<20 {
		t.Errorf("split: %v, and %d bytes were allocated", err, n)
	}
}
