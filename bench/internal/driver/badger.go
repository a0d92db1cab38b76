//go:build !alone

package driver

import (
	"errors"

	badgerdb "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

var badger = Driver{
	Name:   "badger",
	Module: "github.com/dgraph-io/badger/v4",
	Open:   openBadger,
	Notes: Notes{
		Crash:   "`SyncWrites(false)`, its default: its logs are mapped files",
		Full:    "`SyncWrites(true)`",
		Options: "no compression, and so no block cache, as its documentation advises: tables are mapped, and what it may map is not limited; indexes all in memory; values of 4 KiB and more in the value log (by default those of 1 MiB and more); conflicts looked for only in the transactions cells",
		Read:    "a read transaction for each get, `Item.Value` copied; iterators do not prefetch, since values lie beside their keys",
		Tx:      "its transactions, serializable, again on a conflict",
	},
}

type badgerDB struct {
	db *badgerdb.DB
}

func openBadger(dir string, c Config) (DB, error) {
	o := badgerdb.DefaultOptions(dir).
		WithSyncWrites(c.Durability == Full).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithValueThreshold(4 << 10).
		WithDetectConflicts(c.Transactions).
		WithLogger(nil)
	if c.Unmerged {
		o = o.WithMemTableSize(256 << 20)
	}
	db, err := badgerdb.Open(o)
	if err != nil {
		return nil, err
	}
	return &badgerDB{db}, nil
}

// Settle runs the compactions that are due. What is in memtables is written
// when the database closes.
func (d *badgerDB) Settle() error { return d.db.Flatten(2) }

func (d *badgerDB) Compact() error {
	if err := d.db.Flatten(2); err != nil {
		return err
	}
	err := d.db.RunValueLogGC(0.5)
	if errors.Is(err, badgerdb.ErrNoRewrite) {
		return nil
	}
	return err
}

func (d *badgerDB) Close() error { return d.db.Close() }

func (d *badgerDB) Session() (Session, error) { return &badgerSession{db: d.db}, nil }

type badgerSession struct {
	db    *badgerdb.DB
	value []byte
}

func (s *badgerSession) update(fn func(tx *badgerdb.Txn) error) error {
	tx := s.db.NewTransaction(true)
	defer tx.Discard()
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func (s *badgerSession) Put(key, value []byte) error {
	return s.update(func(tx *badgerdb.Txn) error { return tx.Set(key, value) })
}

func (s *badgerSession) PutBatch(keys, values [][]byte) error {
	return s.update(func(tx *badgerdb.Txn) error { return setAll(tx, keys, values) })
}

func setAll(tx *badgerdb.Txn, keys, values [][]byte) error {
	for i, key := range keys {
		if err := tx.Set(key, values[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *badgerSession) Get(dst, key []byte) ([]byte, bool, error) {
	tx := s.db.NewTransaction(false)
	defer tx.Discard()
	return appendBadger(tx, dst, key)
}

// appendBadger appends the value of key to dst.
func appendBadger(tx *badgerdb.Txn, dst, key []byte) ([]byte, bool, error) {
	item, err := tx.Get(key)
	if err != nil {
		if errors.Is(err, badgerdb.ErrKeyNotFound) {
			err = nil
		}
		return dst, false, err
	}
	err = item.Value(func(value []byte) error {
		dst = append(dst, value...)
		return nil
	})
	return dst, err == nil, err
}

func (s *badgerSession) Delete(key []byte) error {
	return s.update(func(tx *badgerdb.Txn) error { return tx.Delete(key) })
}

func (s *badgerSession) Scan(from []byte, n int, reverse bool, fn func(key, value []byte)) (int, error) {
	tx := s.db.NewTransaction(false)
	defer tx.Discard()
	it := tx.NewIterator(badgerdb.IteratorOptions{Reverse: reverse})
	defer it.Close()
	if from == nil {
		it.Rewind()
	} else {
		it.Seek(from)
	}
	seen := 0
	for ; it.Valid() && seen < n; it.Next() {
		item := it.Item()
		err := item.Value(func(value []byte) error {
			fn(item.Key(), value)
			return nil
		})
		if err != nil {
			return seen, err
		}
		seen++
	}
	return seen, nil
}

func (s *badgerSession) Tx(keys, values [][]byte) (int, error) {
	for conflicts := 0; ; conflicts++ {
		err := s.update(func(tx *badgerdb.Txn) error {
			for _, key := range keys {
				value, _, err := appendBadger(tx, s.value[:0], key)
				if err != nil {
					return err
				}
				s.value = value
			}
			return setAll(tx, keys, values)
		})
		if !errors.Is(err, badgerdb.ErrConflict) {
			return conflicts, err
		}
	}
}

func (s *badgerSession) Close() error { return nil }
