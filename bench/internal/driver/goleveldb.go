//go:build !alone

package driver

import (
	"errors"
	"time"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"
)

var goleveldb = Driver{
	Name:   "goleveldb",
	Module: "github.com/syndtr/goleveldb",
	Open:   openGoleveldb,
	Notes: Notes{
		Crash:   "`Sync: false`: the log is written to the file at each commit",
		Full:    "`Sync: true`",
		Options: "block cache; Bloom filters of 10 bits; write buffer of 64 MiB; no compression; seeks cause no compactions",
		Read:    "`DB.Get`, which makes a copy of its own; copied into the caller's buffer",
		Tx:      "its transactions lock the whole database and write a table each: the keys are locked by the driver instead (1,024 mutexes), read, and put in one batch",
	},
}

type goleveldbDB struct {
	db    *leveldb.DB
	write *opt.WriteOptions
	locks *stripes
}

func openGoleveldb(dir string, c Config) (DB, error) {
	o := &opt.Options{
		BlockCacheCapacity:     int(c.CacheBytes),
		Filter:                 filter.NewBloomFilter(10),
		WriteBuffer:            64 << 20,
		Compression:            opt.NoCompression,
		DisableSeeksCompaction: true,
	}
	if c.Unmerged {
		o.WriteBuffer = 256 << 20
	}
	db, err := leveldb.OpenFile(dir, o)
	if err != nil {
		return nil, err
	}
	return &goleveldbDB{db, &opt.WriteOptions{Sync: c.Durability == Full}, newStripes()}, nil
}

func (d *goleveldbDB) Settle() error {
	// goleveldb has no call that waits for its compactions: it is asked until
	// its levels no longer change.
	same := 0
	var before leveldb.DBStats
	for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
		var now leveldb.DBStats
		if err := d.db.Stats(&now); err != nil {
			tick.Stop()
			return err
		}
		if now.IOWrite == before.IOWrite && now.IORead == before.IORead {
			if same++; same == 5 {
				tick.Stop()
				return nil
			}
		} else {
			same = 0
		}
		before = now
	}
}

func (d *goleveldbDB) Compact() error {
	if err := d.db.CompactRange(util.Range{}); err != nil {
		return err
	}
	return d.Settle()
}

func (d *goleveldbDB) Close() error { return d.db.Close() }

func (d *goleveldbDB) Session() (Session, error) {
	return &goleveldbSession{d: d, batch: new(leveldb.Batch)}, nil
}

type goleveldbSession struct {
	d     *goleveldbDB
	batch *leveldb.Batch
	held  []int
	value []byte
}

func (s *goleveldbSession) Put(key, value []byte) error { return s.d.db.Put(key, value, s.d.write) }

func (s *goleveldbSession) PutBatch(keys, values [][]byte) error {
	s.batch.Reset()
	for i, key := range keys {
		s.batch.Put(key, values[i])
	}
	return s.d.db.Write(s.batch, s.d.write)
}

func (s *goleveldbSession) Get(dst, key []byte) ([]byte, bool, error) {
	value, err := s.d.db.Get(key, nil)
	if err != nil {
		if errors.Is(err, leveldb.ErrNotFound) {
			err = nil
		}
		return dst, false, err
	}
	return append(dst, value...), true, nil
}

func (s *goleveldbSession) Delete(key []byte) error { return s.d.db.Delete(key, s.d.write) }

func (s *goleveldbSession) Scan(from []byte, n int, reverse bool, fn func(key, value []byte)) (int, error) {
	it := s.d.db.NewIterator(nil, nil)
	defer it.Release()
	move, ok := it.Next, false
	switch {
	case !reverse && from == nil:
		ok = it.First()
	case !reverse:
		ok = it.Seek(from)
	case from == nil:
		move, ok = it.Prev, it.Last()
	default:
		s.value = append(append(s.value[:0], from...), 0)
		move = it.Prev
		if it.Seek(s.value) {
			ok = it.Prev()
		} else {
			ok = it.Last()
		}
	}
	seen := 0
	for ; ok && seen < n; ok = move() {
		fn(it.Key(), it.Value())
		seen++
	}
	return seen, it.Error()
}

func (s *goleveldbSession) Tx(keys, values [][]byte) (int, error) {
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

func (s *goleveldbSession) Close() error { return nil }
