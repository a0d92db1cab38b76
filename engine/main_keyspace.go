package engine

// The default keyspace, which every database has, by the database's own
// methods.

// Get returns the value of key: a copy, which is the caller's. ErrNotFound
// when there is none.
func (db *DB) Get(key []byte) ([]byte, error) { return db.main.Get(key) }

// AppendValue appends the value of key to dst, and makes no garbage when dst
// has room. On an error it returns dst as it was.
func (db *DB) AppendValue(dst, key []byte) ([]byte, error) { return db.main.AppendValue(dst, key) }

// Has reports whether key has a value.
func (db *DB) Has(key []byte) (bool, error) { return db.main.Has(key) }

// MultiGet returns the values of several keys as of one moment; nil where
// there is none, and an empty slice that is not nil for an empty value.
func (db *DB) MultiGet(keys ...[]byte) ([][]byte, error) { return db.main.MultiGet(keys...) }

// Put sets the value of key. It copies both.
//
// Errors: ErrTooLarge, ErrReadOnly, ErrNoSpace (nothing was written);
// ErrFailed and ErrCommitUnknown.
func (db *DB) Put(key, value []byte) error { return db.main.Put(key, value) }

// Delete removes key, if it is there. Errors as Put.
func (db *DB) Delete(key []byte) error { return db.main.Delete(key) }

// DeleteRange removes the keys from start (inclusive) to end (exclusive); a
// nil end has no bound. Its cost does not depend on how many there are. Errors
// as Put.
func (db *DB) DeleteRange(start, end []byte) error { return db.main.DeleteRange(start, end) }
