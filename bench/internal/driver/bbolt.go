//go:build !alone

package driver

import (
	"bytes"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

var bbolt = Driver{
	Name:   "bbolt",
	Module: "go.etcd.io/bbolt",
	Open:   openBbolt,
	Notes: Notes{
		Crash:   "`NoSync` and `NoGrowSync`, without which it syncs whenever the file grows",
		Full:    "its default: two fdatasync a commit",
		Options: "`NoFreelistSync`, `NoStatistics` (a lock that all readers take), the free list as a map, the file mapped whole from the start. Where several writers do nothing but put, `Batch` gathers them, `MaxBatchSize` being their number and `MaxBatchDelay` 1 ms; else `Update`",
		Read:    "`View` and `Bucket.Get`, copied inside the transaction",
		Tx:      "`Update`: one writer at a time",
	},
}

var bboltBucket = []byte("b")

type bboltDB struct {
	db   *bolt.DB
	path string
	opts *bolt.Options
	c    Config
}

func openBbolt(dir string, c Config) (DB, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	d := &bboltDB{path: filepath.Join(dir, "bbolt.db"), c: c}
	d.opts = &bolt.Options{
		NoSync:          c.Durability == Crash,
		NoFreelistSync:  true,
		NoGrowSync:      c.Durability == Crash, // or it syncs every 16 MB all the same
		NoStatistics:    true,
		FreelistType:    bolt.FreelistMapType,
		InitialMmapSize: int(c.DataBytes),
	}
	return d, d.open()
}

func (d *bboltDB) open() error {
	db, err := bolt.Open(d.path, 0o666, d.opts)
	if err != nil {
		return err
	}
	if d.c.Writers > 1 {
		db.MaxBatchSize = d.c.Writers
		db.MaxBatchDelay = time.Millisecond
	}
	d.db = db
	return db.Update(func(tx *bolt.Tx) error {
		if tx.Bucket(bboltBucket) != nil {
			return nil
		}
		_, err := tx.CreateBucket(bboltBucket)
		return err
	})
}

func (d *bboltDB) Settle() error { return d.db.Sync() }

// Compact writes the file anew, as `bbolt compact` does.
func (d *bboltDB) Compact() error {
	smaller := d.path + ".compact"
	dst, err := bolt.Open(smaller, 0o666, d.opts)
	if err != nil {
		return err
	}
	if err := bolt.Compact(dst, d.db, 64<<10); err != nil {
		dst.Close()
		return err
	}
	if err := dst.Close(); err != nil {
		return err
	}
	if err := d.db.Close(); err != nil {
		return err
	}
	if err := os.Rename(smaller, d.path); err != nil {
		return err
	}
	return d.open()
}

func (d *bboltDB) Close() error { return d.db.Close() }

func (d *bboltDB) Session() (Session, error) {
	s := &bboltSession{db: d.db, update: d.db.Update}
	if d.c.Writers > 1 {
		s.update = d.db.Batch
	}
	return s, nil
}

type bboltSession struct {
	db     *bolt.DB
	update func(func(*bolt.Tx) error) error
	value  []byte
}

func (s *bboltSession) Put(key, value []byte) error {
	return s.update(func(tx *bolt.Tx) error {
		return tx.Bucket(bboltBucket).Put(key, value)
	})
}

func (s *bboltSession) PutBatch(keys, values [][]byte) error {
	return s.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bboltBucket)
		for i, key := range keys {
			// Until the commit bbolt keeps the value that it is given, and a
			// key only while it is called.
			if err := b.Put(key, values[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *bboltSession) Get(dst, key []byte) ([]byte, bool, error) {
	found := false
	err := s.db.View(func(tx *bolt.Tx) error {
		if value := tx.Bucket(bboltBucket).Get(key); value != nil {
			dst, found = append(dst, value...), true
		}
		return nil
	})
	return dst, found, err
}

func (s *bboltSession) Delete(key []byte) error {
	return s.update(func(tx *bolt.Tx) error {
		return tx.Bucket(bboltBucket).Delete(key)
	})
}

func (s *bboltSession) Scan(from []byte, n int, reverse bool, fn func(key, value []byte)) (int, error) {
	seen := 0
	err := s.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bboltBucket).Cursor()
		move, key, value := c.Next, []byte(nil), []byte(nil)
		switch {
		case !reverse && from == nil:
			key, value = c.First()
		case !reverse:
			key, value = c.Seek(from)
		default:
			move = c.Prev
			if from != nil {
				key, value = c.Seek(from)
			}
			if key == nil {
				key, value = c.Last()
			} else if !bytes.Equal(key, from) {
				key, value = c.Prev()
			}
		}
		for ; key != nil && seen < n; key, value = move() {
			fn(key, value)
			seen++
		}
		return nil
	})
	return seen, err
}

func (s *bboltSession) Tx(keys, values [][]byte) (int, error) {
	return 0, s.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bboltBucket)
		for _, key := range keys {
			s.value = append(s.value[:0], b.Get(key)...)
		}
		for i, key := range keys {
			if err := b.Put(key, values[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *bboltSession) Close() error { return nil }
