//go:build !alone

package driver

import (
	"context"
	"errors"
	"io"
	"time"

	pebbledb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable/block"
)

var pebble = Driver{
	Name:   "pebble",
	Module: "github.com/cockroachdb/pebble/v2",
	Open:   openPebble,
	Notes: Notes{
		Crash:   "`NoSync`, which is less than the others promise: its log passes through a buffer of the process, so that a crash may take the newest commits",
		Full:    "`Sync`",
		Options: "newest format; memtables of 64 MiB, 4 before writers wait; Bloom filters of 10 bits on every level, of which a get does not ask those of the lowest; no compression; L0 as CockroachDB sets it (compaction from 2 sublevels, stop at 1000); at most 2 compactions at once. Its value separation, which is experimental, was tried for large values: not faster",
		Read:    "`DB.Get`, copied, closed",
		Tx:      "it has none: the keys are locked by the driver (1,024 mutexes), read, and put in one batch",
	},
}

type pebbleDB struct {
	db    *pebbledb.DB
	cache *pebbledb.Cache
	write *pebbledb.WriteOptions
	locks *stripes
}

func openPebble(dir string, c Config) (DB, error) {
	cache := pebbledb.NewCache(c.CacheBytes)
	o := &pebbledb.Options{
		Cache:                       cache,
		FormatMajorVersion:          pebbledb.FormatNewest,
		MemTableSize:                64 << 20,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       1000,
		LBaseMaxBytes:               64 << 20,
		Logger:                      quiet{},
	}
	o.CompactionConcurrencyRange = func() (int, int) { return 1, 2 }
	if c.Unmerged {
		o.MemTableSize = 256 << 20
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		o.Levels[i].Compression = func() *block.CompressionProfile { return block.NoCompression }
	}
	db, err := pebbledb.Open(dir, o)
	if err != nil {
		cache.Unref()
		return nil, err
	}
	d := &pebbleDB{db: db, cache: cache, write: pebbledb.NoSync, locks: newStripes()}
	if c.Durability == Full {
		d.write = pebbledb.Sync
	}
	return d, nil
}

// quiet is a logger of Pebble's that tells errors only.
type quiet struct{}

func (quiet) Infof(string, ...any) {}

// Errorf tells why a flush is tried for ever, as on a full disk.
func (quiet) Errorf(format string, args ...any) {
	pebbledb.DefaultLogger.Errorf(format, args...)
}

func (quiet) Fatalf(format string, args ...any) {
	pebbledb.DefaultLogger.Fatalf(format, args...)
}

func (d *pebbleDB) Settle() error {
	if err := d.db.Flush(); err != nil {
		return err
	}
	// Pebble has no call that waits for its compactions: its metrics are asked
	// until none runs and none is due.
	idle := 0
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		m := d.db.Metrics()
		if m.Compact.NumInProgress == 0 && m.Flush.NumInProgress == 0 {
			if idle++; idle == 5 {
				tick.Stop()
				return nil
			}
			continue
		}
		idle = 0
	}
}

// FlushLog implements LogFlusher.
func (d *pebbleDB) FlushLog() error { return d.db.LogData(nil, pebbledb.Sync) }

func (d *pebbleDB) Compact() error {
	return d.db.Compact(context.Background(), []byte{0}, []byte{0xff, 0xff, 0xff, 0xff}, true)
}

func (d *pebbleDB) Close() error {
	err := d.db.Close()
	d.cache.Unref()
	return err
}

func (d *pebbleDB) Session() (Session, error) {
	return &pebbleSession{d: d}, nil
}

type pebbleSession struct {
	d     *pebbleDB
	held  []int
	value []byte
}

func (s *pebbleSession) Put(key, value []byte) error { return s.d.db.Set(key, value, s.d.write) }

func (s *pebbleSession) PutBatch(keys, values [][]byte) error {
	b := s.d.db.NewBatch()
	defer b.Close()
	for i, key := range keys {
		if err := b.Set(key, values[i], nil); err != nil {
			return err
		}
	}
	return b.Commit(s.d.write)
}

func (s *pebbleSession) Get(dst, key []byte) ([]byte, bool, error) {
	value, closer, err := s.d.db.Get(key)
	if err != nil {
		if errors.Is(err, pebbledb.ErrNotFound) {
			err = nil
		}
		return dst, false, err
	}
	dst = append(dst, value...)
	return dst, true, closer.Close()
}

func (s *pebbleSession) Delete(key []byte) error { return s.d.db.Delete(key, s.d.write) }

func (s *pebbleSession) Scan(from []byte, n int, reverse bool, fn func(key, value []byte)) (seen int, err error) {
	it, err := s.d.db.NewIter(nil)
	if err != nil {
		return 0, err
	}
	defer closeInto(it, &err)
	move, ok := it.Next, false
	switch {
	case !reverse && from == nil:
		ok = it.First()
	case !reverse:
		ok = it.SeekGE(from)
	case from == nil:
		move, ok = it.Prev, it.Last()
	default:
		s.value = append(append(s.value[:0], from...), 0)
		move, ok = it.Prev, it.SeekLT(s.value)
	}
	for ; ok && seen < n; ok = move() {
		value, err := it.ValueAndErr()
		if err != nil {
			return seen, err
		}
		fn(it.Key(), value)
		seen++
	}
	return seen, nil
}

func (s *pebbleSession) Tx(keys, values [][]byte) (int, error) {
	s.held = s.d.locks.lock(s.held, keys)
	defer s.d.locks.unlock(s.held)
	for _, key := range keys {
		value, _, err := s.Get(s.value[:0], key)
		if err != nil {
			return 0, err
		}
		s.value = value
	}
	return 0, s.PutBatch(keys, values)
}

func (s *pebbleSession) Close() error { return nil }

// closeInto closes c and keeps the first error.
func closeInto(c io.Closer, err *error) {
	if e := c.Close(); *err == nil {
		*err = e
	}
}
