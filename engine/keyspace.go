package engine

import (
	"errors"
	"sort"
	"unicode"
	"unicode/utf8"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/wal"
)

// Keyspace is a named, separate ordered map inside a database, with settings
// of its own. One commit may write to several. It may be used by many
// goroutines at once. Once it is dropped its methods return ErrNoKeyspace.
type Keyspace struct {
	db   *DB
	id   kv.Keyspace
	name string
}

// Ids that no keyspace has: they are given from 1 on.
const (
	otherKeyspace = kv.CatalogKeyspace - 1 // of a keyspace of another database
	nilKeyspace   = kv.CatalogKeyspace - 2 // of none
)

// in is the id of ks in db, or otherKeyspace if it is another database's: its id
// may well be that of an unrelated keyspace here.
func (ks *Keyspace) in(db *DB) kv.Keyspace {
	if ks == nil {
		return nilKeyspace
	}
	if ks.db != db {
		return otherKeyspace
	}
	return ks.id
}

// noSpace is the error of an id that is not there, which is otherwise unless the
// id itself says why.
func noSpace(id kv.Keyspace, otherwise error) error {
	switch id {
	case nilKeyspace:
		return errNoKeyspace
	case otherKeyspace:
		return errOtherKeyspace
	}
	return otherwise
}

// refused says more of an error of latest, or of a commit.
//
//go:noinline // called in many places, none of them hot
func (ks *Keyspace) refused(err error) error {
	switch {
	case err == ErrClosed:
		return errDBClosed
	case errors.Is(err, ErrNoKeyspace):
		return errorf("%w: %q", ErrNoKeyspace, ks.name)
	}
	return err
}

// KeyspaceInfo describes a keyspace.
type KeyspaceInfo struct {
	Name        string // empty for the default keyspace
	ID          uint32
	PageSize    int
	Compression Compression
	Entries     uint64 // as of the last checkpoint; see Stats.Entries
	Bytes       uint64 // of their keys and values
}

// Keyspace returns the keyspace of that name; "" is the default one.
// ErrNoKeyspace when there is none.
func (db *DB) Keyspace(name string) (*Keyspace, error) {
	v := db.version.Load()
	if v == nil {
		return nil, errDBClosed
	}
	sp := v.spaces.byName[name]
	if sp == nil {
		return nil, errorf("%w: %q", ErrNoKeyspace, name)
	}
	return &Keyspace{db: db, id: sp.id, name: name}, nil
}

// Keyspaces lists the keyspaces by name, the default one first.
func (db *DB) Keyspaces() ([]KeyspaceInfo, error) {
	v := db.version.Load()
	if v == nil {
		return nil, errDBClosed
	}
	var list []KeyspaceInfo
	for _, sp := range v.spaces.byID {
		entries, bytes := sp.size()
		list = append(list, KeyspaceInfo{
			Name:        sp.name,
			ID:          uint32(sp.id),
			PageSize:    int(sp.config.PageSize),
			Compression: Compression(sp.config.Codec),
			Entries:     entries,
			Bytes:       bytes,
		})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list, nil
}

// CreateKeyspace makes a keyspace. Its name is 1 to 255 bytes of UTF-8 without
// control characters. nil options are good defaults. It is a commit of its
// own. ErrKeyspaceExists when the name is taken.
func (db *DB) CreateKeyspace(name string, o *KeyspaceOptions) (*Keyspace, error) {
	var opts KeyspaceOptions
	if o != nil {
		opts = *o
	}
	err := opts.check()
	if err == nil {
		err = checkName(name)
	}
	if err != nil {
		return nil, db.counters.noteError(err)
	}
	op := wal.Op{Kind: kv.CreateKeyspace, Name: name, Codec: byte(opts.Compression), PageSize: uint32(opts.PageSize)}
	create := ops{payload: wal.AppendOp(nil, op), count: 1}
	err = db.commitOps(&create, func(*version) error {
		if db.spaces.byName[name] != nil {
			return errorf("%w: %q", ErrKeyspaceExists, name)
		}
		if db.spaces.next >= uint32(nilKeyspace) {
			return errorf("no more keyspaces can be made: %w", ErrTooLarge)
		}
		op.Keyspace = kv.Keyspace(db.spaces.next) // known only now
		create.payload = wal.AppendOp(create.payload[:0], op)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &Keyspace{db: db, id: op.Keyspace, name: name}, nil
}

// DropKeyspace removes a keyspace and all that is in it. Snapshots that are
// open still read it. The default keyspace cannot be dropped. ErrNoKeyspace
// when there is none of that name.
func (db *DB) DropKeyspace(name string) error {
	if name == "" {
		return db.counters.noteError(invalid("the default keyspace cannot be dropped"))
	}
	op := wal.Op{Kind: kv.DropKeyspace}
	drop := ops{payload: wal.AppendOp(nil, op), count: 1}
	return db.commitOps(&drop, func(*version) error {
		sp := db.spaces.byName[name]
		if sp == nil {
			return errorf("%w: %q", ErrNoKeyspace, name)
		}
		op.Keyspace = sp.id
		drop.payload = wal.AppendOp(drop.payload[:0], op)
		return nil
	})
}

func checkName(name string) error {
	if name == "" || len(name) > maxNameSize {
		return invalidf("keyspace name of %d bytes: use 1 to %d", len(name), maxNameSize)
	}
	if !utf8.ValidString(name) {
		return invalidf("keyspace name %q is not valid UTF-8", name)
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return invalidf("keyspace name %q holds a control character", name)
		}
	}
	return nil
}

// changeSpaces adds or removes a keyspace for the commits that follow. Readers
// see it when the commit is visible. The caller holds commitMu.
func (db *DB) changeSpaces(v *version, op *wal.Op) {
	db.spaces = db.spaces.clone()
	if op.Kind == kv.CreateKeyspace {
		db.spaces.put(newSpace(v.pager, op))
	} else {
		db.spaces.remove(db.spaces.byID[op.Keyspace])
	}
}

// show makes the operations up to seq visible, and with them the keyspaces
// that there were after it.
func (db *DB) show(seq kv.Seq, after *spaces) {
	if db.shown.Load() != after {
		db.mu.Lock()
		defer db.mu.Unlock()
		v := db.version.Load()
		if v == nil {
			return // closed, after a failure
		}
		next := *v
		next.spaces, next.since = after.withTrees(next.spaces), seq
		db.publish(&next)
		db.shown.Store(after)
	}
	db.visible.Store(uint64(seq))
}

// withTrees returns the keyspaces of s with their trees as they are in newer.
func (s *spaces) withTrees(newer *spaces) *spaces {
	c := newer.clone()
	for id, sp := range newer.byID {
		if s.byID[id] == nil {
			c.remove(sp)
		}
	}
	for id, sp := range s.byID {
		if newer.byID[id] == nil {
			c.put(sp)
		}
	}
	return c
}

// Name is the keyspace's name; empty for the default one.
func (ks *Keyspace) Name() string { return ks.name }

// Get returns the value of key: a copy, which is the caller's. ErrNotFound
// when there is none.
func (ks *Keyspace) Get(key []byte) ([]byte, error) { return owned(ks.AppendValue(nil, key)) }

// AppendValue appends the value of key to dst, and makes no garbage when dst
// has room. On an error it returns dst as it was.
func (ks *Keyspace) AppendValue(dst, key []byte) ([]byte, error) {
	hash := kv.Hash(key)
	c := &ks.db.counters
	tick := c.gets.Add(1)
	began := c.beginGet(tick)
	for {
		v, sp, err := ks.latest()
		if err != nil {
			return dst, ks.refused(err)
		}
		value, found, err := v.get(tick, sp, key, hash, kv.Seq(ks.db.visible.Load()), dst)
		if err != nil {
			if ks.db.outdated(v, err) {
				continue
			}
			return dst, ks.db.readFailed(err)
		}
		c.endGet(began)
		if !found {
			return dst, ErrNotFound
		}
		return value, nil
	}
}

// Has reports whether key has a value.
func (ks *Keyspace) Has(key []byte) (bool, error) {
	ks.db.counters.lookups.Add(1)
	hash := kv.Hash(key)
	for {
		v, sp, err := ks.latest()
		if err != nil {
			return false, ks.refused(err)
		}
		ok, err := v.has(sp, key, hash, kv.Seq(ks.db.visible.Load()))
		if err != nil && ks.db.outdated(v, err) {
			continue
		}
		return ok, ks.db.readFailed(err)
	}
}

// latest returns the newest version and the keyspace in it.
func (ks *Keyspace) latest() (*version, *space, error) {
	v := ks.db.version.Load()
	if v == nil {
		return nil, nil, ErrClosed
	}
	sp, err := v.space(ks.id)
	return v, sp, err
}

// outdated reports whether a read that failed may only have been too slow: it
// had no pin, so an extent of its version may have been used again, or, when
// read-only, its file closed. It then looks again in the newest version.
func (db *DB) outdated(v *version, err error) bool {
	return err != nil && db.version.Load() != v
}

func (db *DB) readFailed(err error) error {
	if err == nil {
		return nil
	}
	if db.version.Load() == nil {
		return errDBClosed
	}
	return db.readError(err)
}

// MultiGet returns the values of several keys as of one moment; nil where
// there is none, and an empty slice that is not nil for an empty value.
func (ks *Keyspace) MultiGet(keys ...[]byte) ([][]byte, error) {
	w, err := ks.db.acquire()
	if err != nil {
		return nil, err
	}
	defer w.release()
	values, err := w.multiGet(ks.id, keys)
	if err != nil {
		return nil, ks.refused(err)
	}
	return values, nil
}

// Put sets the value of key. It copies both.
//
// Errors: ErrTooLarge, ErrReadOnly, ErrNoSpace (nothing was written);
// ErrFailed and ErrCommitUnknown.
func (ks *Keyspace) Put(key, value []byte) error {
	began, timed := ks.db.begin(), ks.db.beginTimed()
	err := ks.db.commitOne(ks.id, kv.Set, key, value)
	if err != nil {
		err = ks.refused(err)
	}
	ks.db.took(began, "put", ks.name, 1, len(key)+len(value), err)
	return ks.db.endTimed(timed, err)
}

// Delete removes key, if it is there. Errors as Put.
func (ks *Keyspace) Delete(key []byte) error {
	began, timed := ks.db.begin(), ks.db.beginTimed()
	err := ks.db.commitOne(ks.id, kv.Delete, key, nil)
	if err != nil {
		err = ks.refused(err)
	}
	ks.db.took(began, "delete", ks.name, 1, len(key), err)
	if isFull(err) {
		return ks.db.commitOps(&ops{payload: wal.AppendDelete(nil, ks.id, key), count: 1, named: true}, nil)
	}
	return ks.db.endTimed(timed, err)
}

// DeleteRange removes the keys from start (inclusive) to end (exclusive); a
// nil end has no bound. Its cost does not depend on how many there are. Errors
// as Put.
func (ks *Keyspace) DeleteRange(start, end []byte) error {
	b := ks.db.NewBatch().In(ks)
	if err := b.DeleteRange(start, end); err != nil {
		return ks.db.counters.noteError(err)
	}
	return ks.refused(ks.db.commitOps(b.ops, nil))
}
