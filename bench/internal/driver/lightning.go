package driver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lightning-db/lightning/engine"
)

var lightning = Driver{
	Name:    "lightning",
	Version: func() string { return "this tree" },
	Open:    openLightning,
	Notes: Notes{
		Crash:   "`SyncNormal`, which besides syncs in the background",
		Full:    "`SyncFull`, its default",
		Options: "defaults, but for the cache's size",
		Read:    "`AppendValue` into the caller's buffer",
		Tx:      "`Update`, serializable",
	},
}

type lightningDB struct {
	db *engine.DB
}

func openLightning(dir string, c Config) (DB, error) {
	o := &engine.Options{CacheBytes: c.CacheBytes, Holder: "bench"}
	if c.Durability == Crash {
		o.Sync = engine.SyncNormal
	}
	if c.Unmerged {
		o.MemtableBytes = 256 << 20
	}
	db, err := engine.Open(dir, o)
	if err != nil {
		return nil, err
	}
	return &lightningDB{db}, nil
}

// Settle also waits until the sorted runs are merged into the tree, which the
// engine does by itself after a checkpoint that wrote one, and until it has
// given back what is free, which it does when it is left alone for a second.
func (d *lightningDB) Settle() error {
	if _, err := d.db.Checkpoint(context.Background()); err != nil {
		return err
	}
	const (
		longest = 5 * time.Minute // on a full disk runs may stay for ever
		quiet   = 1500 * time.Millisecond
	)
	start, since := time.Now(), time.Now()
	for last := uint64(0); ; time.Sleep(20 * time.Millisecond) {
		s := d.db.Stats()
		if s.Generation != last {
			last, since = s.Generation, time.Now()
		}
		if s.Runs == 0 && (time.Since(since) > quiet || s.FreeBytes+s.PendingBytes < 1<<20) {
			return nil
		}
		if time.Since(start) > longest {
			return fmt.Errorf("not settled in %v: %+v", longest, s)
		}
	}
}

func (d *lightningDB) Compact() error {
	_, err := d.db.Compact(context.Background())
	return err
}

func (d *lightningDB) Close() error { return d.db.Close() }

func (d *lightningDB) Session() (Session, error) {
	return &lightningSession{db: d.db, batch: d.db.NewBatch()}, nil
}

type lightningSession struct {
	db    *engine.DB
	batch *engine.Batch
	value []byte
}

func (s *lightningSession) Put(key, value []byte) error { return s.db.Put(key, value) }

func (s *lightningSession) PutBatch(keys, values [][]byte) error {
	s.batch.Reset()
	for i, key := range keys {
		if err := s.batch.Put(key, values[i]); err != nil {
			return err
		}
	}
	return s.db.Apply(context.Background(), s.batch)
}

func (s *lightningSession) Get(dst, key []byte) ([]byte, bool, error) {
	dst, err := s.db.AppendValue(dst, key)
	if err != nil {
		if errors.Is(err, engine.ErrNotFound) {
			err = nil
		}
		return dst, false, err
	}
	return dst, true, nil
}

func (s *lightningSession) Delete(key []byte) error { return s.db.Delete(key) }

func (s *lightningSession) Scan(from []byte, n int, reverse bool, fn func(key, value []byte)) (int, error) {
	snap, err := s.db.Snapshot()
	if err != nil {
		return 0, err
	}
	defer snap.Close()
	it := snap.NewIterator(engine.IterOptions{})
	seen, ok := 0, false
	switch {
	case !reverse:
		for ok = it.SeekGE(from); ok && seen < n; ok = it.Next() {
			fn(it.Key(), it.Value())
			seen++
		}
	case from == nil:
		ok = it.Last()
	default: // the last key at or before from
		s.value = append(append(s.value[:0], from...), 0)
		ok = it.SeekLT(s.value)
	}
	for ; reverse && ok && seen < n; ok = it.Prev() {
		fn(it.Key(), it.Value())
		seen++
	}
	return seen, it.Close()
}

func (s *lightningSession) Tx(keys, values [][]byte) (int, error) {
	runs := 0
	err := s.db.Update(context.Background(), func(tx *engine.Tx) error {
		runs++
		for _, key := range keys {
			value, err := tx.AppendValue(s.value[:0], key)
			if err != nil && !errors.Is(err, engine.ErrNotFound) {
				return err
			}
			s.value = value
		}
		for i, key := range keys {
			if err := tx.Put(key, values[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return runs - 1, err
}

func (s *lightningSession) Close() error { return nil }
