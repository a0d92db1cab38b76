//go:build cgo && lmdb

package driver

/*
#cgo LDFLAGS: -llmdb
#cgo noescape bench_lmdb_put
#cgo nocallback bench_lmdb_put
#cgo noescape bench_lmdb_batch
#cgo nocallback bench_lmdb_batch
#cgo noescape bench_lmdb_del
#cgo nocallback bench_lmdb_del
#cgo noescape bench_lmdb_get
#cgo nocallback bench_lmdb_get
#cgo noescape bench_lmdb_scan
#cgo nocallback bench_lmdb_scan
#cgo noescape bench_lmdb_tx
#cgo nocallback bench_lmdb_tx

#include <lmdb.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int bench_lmdb_open(const char *dir, unsigned flags, size_t map, MDB_env **env, MDB_dbi *dbi) {
	int rc = mdb_env_create(env);
	if (rc) return rc;
	mdb_env_set_maxreaders(*env, 1024);
	MDB_txn *txn;
	if ((rc = mdb_env_set_mapsize(*env, map)) || (rc = mdb_env_open(*env, dir, flags, 0666)) ||
	    (rc = mdb_txn_begin(*env, NULL, 0, &txn))) {
		mdb_env_close(*env);
		return rc;
	}
	if ((rc = mdb_dbi_open(txn, NULL, 0, dbi)) == 0) return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	mdb_env_close(*env);
	return rc;
}

static int bench_lmdb_put(MDB_env *env, MDB_dbi dbi, const char *k, size_t kl, const char *v, size_t vl) {
	MDB_txn *txn;
	int rc = mdb_txn_begin(env, NULL, 0, &txn);
	if (rc) return rc;
	MDB_val key = {kl, (void *)k}, value = {vl, (void *)v};
	rc = mdb_put(txn, dbi, &key, &value, 0);
	if (rc) { mdb_txn_abort(txn); return rc; }
	return mdb_txn_commit(txn);
}

// bench_lmdb_puts puts packed entries in a transaction.
static int bench_lmdb_puts(MDB_txn *txn, MDB_dbi dbi, const char *p, const char *end) {
	while (p < end) {
		uint32_t n[2];
		memcpy(n, p, 8);
		MDB_val key = {n[0], (void *)(p + 8)}, value = {n[1], (void *)(p + 8 + n[0])};
		int rc = mdb_put(txn, dbi, &key, &value, 0);
		if (rc) return rc;
		p += 8 + n[0] + n[1];
	}
	return 0;
}

static int bench_lmdb_batch(MDB_env *env, MDB_dbi dbi, const char *p, size_t len) {
	MDB_txn *txn;
	int rc = mdb_txn_begin(env, NULL, 0, &txn);
	if (rc) return rc;
	rc = bench_lmdb_puts(txn, dbi, p, p + len);
	if (rc) { mdb_txn_abort(txn); return rc; }
	return mdb_txn_commit(txn);
}

static int bench_lmdb_del(MDB_env *env, MDB_dbi dbi, const char *k, size_t kl) {
	MDB_txn *txn;
	int rc = mdb_txn_begin(env, NULL, 0, &txn);
	if (rc) return rc;
	MDB_val key = {kl, (void *)k};
	rc = mdb_del(txn, dbi, &key, NULL);
	if (rc) { mdb_txn_abort(txn); return rc == MDB_NOTFOUND ? 0 : rc; }
	return mdb_txn_commit(txn);
}

// bench_lmdb_get copies the value to dst if it has room, and sets its length.
static int bench_lmdb_get(MDB_txn *txn, MDB_dbi dbi, const char *k, size_t kl, char *dst, size_t room, size_t *len) {
	int rc = mdb_txn_renew(txn);
	if (rc) return rc;
	MDB_val key = {kl, (void *)k}, value;
	rc = mdb_get(txn, dbi, &key, &value);
	if (rc == 0) {
		*len = value.mv_size;
		if (value.mv_size <= room) memcpy(dst, value.mv_data, value.mv_size);
	}
	mdb_txn_reset(txn);
	return rc;
}

// bench_lmdb_entry is where an entry lies in the map while its transaction is
// open.
typedef struct {
	MDB_val key, value;
} bench_lmdb_entry;

// bench_lmdb_scan lists up to room of *n entries. *n becomes how many are
// still wanted: 0 at the end. With resume it goes on where it stopped. The
// transaction is open afterwards, whatever is returned.
static int bench_lmdb_scan(MDB_txn *txn, MDB_cursor *c, int resume, const char *from, size_t fl, int has_from,
                           int reverse, bench_lmdb_entry *e, size_t room, size_t *used, size_t *n) {
	MDB_val key, value;
	MDB_cursor_op move = reverse ? MDB_PREV : MDB_NEXT;
	int rc;
	*used = 0;
	if (resume) {
		rc = mdb_cursor_get(c, &key, &value, move);
	} else {
		if ((rc = mdb_txn_renew(txn)) || (rc = mdb_cursor_renew(txn, c))) return rc;
		if (!has_from) {
			rc = mdb_cursor_get(c, &key, &value, reverse ? MDB_LAST : MDB_FIRST);
		} else {
			key.mv_size = fl;
			key.mv_data = (void *)from;
			rc = mdb_cursor_get(c, &key, &value, MDB_SET_RANGE);
			if (reverse && rc == MDB_NOTFOUND)
				rc = mdb_cursor_get(c, &key, &value, MDB_LAST);
			else if (reverse && rc == 0 && (key.mv_size != fl || memcmp(key.mv_data, from, fl) != 0))
				rc = mdb_cursor_get(c, &key, &value, MDB_PREV);
		}
	}
	while (rc == 0 && *n > 0) {
		e[*used].key = key;
		e[*used].value = value;
		--*n;
		if (++*used == room || *n == 0) return 0;
		rc = mdb_cursor_get(c, &key, &value, move);
	}
	*n = 0;
	return rc == MDB_NOTFOUND ? 0 : rc;
}

// bench_lmdb_tx reads the keys of the packed entries, then puts the entries.
static int bench_lmdb_tx(MDB_env *env, MDB_dbi dbi, const char *p, size_t len, char *dst, size_t room) {
	MDB_txn *txn;
	int rc = mdb_txn_begin(env, NULL, 0, &txn);
	if (rc) return rc;
	for (const char *e = p; e < p + len;) {
		uint32_t n[2];
		memcpy(n, e, 8);
		MDB_val key = {n[0], (void *)(e + 8)}, value;
		rc = mdb_get(txn, dbi, &key, &value);
		if (rc == 0 && value.mv_size <= room) memcpy(dst, value.mv_data, value.mv_size);
		if (rc && rc != MDB_NOTFOUND) { mdb_txn_abort(txn); return rc; }
		e += 8 + n[0] + n[1];
	}
	rc = bench_lmdb_puts(txn, dbi, p, p + len);
	if (rc) { mdb_txn_abort(txn); return rc; }
	return mdb_txn_commit(txn);
}
*/
import "C"

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unsafe"
)

func init() {
	lmdb.Missing = ""
	lmdb.Open = openLMDB
	lmdb.Version = func() string {
		version, _, _ := strings.Cut(C.GoString(C.mdb_version(nil, nil, nil)), ":") // the date
		return version
	}
}

type lmdbDB struct {
	dir   string
	flags C.uint
	size  C.size_t
	write sync.Mutex // held by the session that writes
	env   *C.MDB_env
	dbi   C.MDB_dbi
}

func openLMDB(dir string, c Config) (DB, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	d := &lmdbDB{dir: dir, flags: C.MDB_NOTLS, size: C.size_t(c.DataBytes)}
	if c.Durability == Crash {
		d.flags |= C.MDB_NOSYNC | C.MDB_WRITEMAP
	}
	if c.DataBytes > 8*c.CacheBytes {
		d.flags |= C.MDB_NORDAHEAD
	}
	return d, d.open()
}

func (d *lmdbDB) open() error {
	dir := C.CString(d.dir)
	defer C.free(unsafe.Pointer(dir))
	return lmdbError(C.bench_lmdb_open(dir, d.flags, d.size, &d.env, &d.dbi))
}

func lmdbError(rc C.int) error {
	if rc == 0 {
		return nil
	}
	return errors.New("lmdb: " + C.GoString(C.mdb_strerror(rc)))
}

func (d *lmdbDB) Settle() error { return lmdbError(C.mdb_env_sync(d.env, 1)) }

// Compact writes the file anew, as `mdb_copy -c` does.
func (d *lmdbDB) Compact() error {
	dir := filepath.Join(d.dir, "compact")
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	name := C.CString(dir)
	defer C.free(unsafe.Pointer(name))
	if err := lmdbError(C.mdb_env_copy2(d.env, name, C.MDB_CP_COMPACT)); err != nil {
		return err
	}
	C.mdb_env_close(d.env)
	if err := os.Rename(filepath.Join(dir, "data.mdb"), filepath.Join(d.dir, "data.mdb")); err != nil {
		return err
	}
	if err := os.Remove(dir); err != nil {
		return err
	}
	return d.open()
}

func (d *lmdbDB) Close() error {
	C.mdb_env_close(d.env)
	return nil
}

func (d *lmdbDB) Session() (Session, error) {
	s := &lmdbSession{d: d, buf: make([]byte, 64<<10)}
	if err := lmdbError(C.mdb_txn_begin(d.env, nil, C.MDB_RDONLY, &s.txn)); err != nil {
		return nil, err
	}
	if err := lmdbError(C.mdb_cursor_open(s.txn, d.dbi, &s.cursor)); err != nil {
		C.mdb_txn_abort(s.txn)
		return nil, err
	}
	C.mdb_txn_reset(s.txn)
	s.entries = (*C.bench_lmdb_entry)(C.malloc(lmdbEntries * C.sizeof_bench_lmdb_entry))
	return s, nil
}

type lmdbSession struct {
	d       *lmdbDB
	txn     *C.MDB_txn // read-only, reset between operations
	cursor  *C.MDB_cursor
	entries *C.bench_lmdb_entry // in C's memory: room for lmdbEntries
	packed  []byte
	buf     []byte
	len     C.size_t
	used    C.size_t
	n       C.size_t
}

// lmdbEntries is how many entries of a scan cross from C at once.
const lmdbEntries = 1024

func (s *lmdbSession) Put(key, value []byte) error {
	s.d.write.Lock()
	rc := C.bench_lmdb_put(s.d.env, s.d.dbi, ptr(key), C.size_t(len(key)), ptr(value), C.size_t(len(value)))
	s.d.write.Unlock()
	return lmdbError(rc)
}

func (s *lmdbSession) PutBatch(keys, values [][]byte) error {
	s.packed = packAll(s.packed[:0], keys, values)
	s.d.write.Lock()
	rc := C.bench_lmdb_batch(s.d.env, s.d.dbi, ptr(s.packed), C.size_t(len(s.packed)))
	s.d.write.Unlock()
	return lmdbError(rc)
}

func (s *lmdbSession) Get(dst, key []byte) ([]byte, bool, error) {
	for {
		free := dst[len(dst):cap(dst)]
		rc := C.bench_lmdb_get(s.txn, s.d.dbi, ptr(key), C.size_t(len(key)), ptr(free), C.size_t(len(free)), &s.len)
		if rc == C.MDB_NOTFOUND {
			return dst, false, nil
		}
		if rc != 0 {
			return dst, false, lmdbError(rc)
		}
		n := int(s.len)
		if n <= len(free) {
			return dst[:len(dst)+n], true, nil
		}
		dst = append(make([]byte, 0, len(dst)+n), dst...)
	}
}

func (s *lmdbSession) Delete(key []byte) error {
	s.d.write.Lock()
	rc := C.bench_lmdb_del(s.d.env, s.d.dbi, ptr(key), C.size_t(len(key)))
	s.d.write.Unlock()
	return lmdbError(rc)
}

func (s *lmdbSession) Scan(from []byte, n int, reverse bool, fn func(key, value []byte)) (int, error) {
	if n <= 0 {
		return 0, nil
	}
	defer C.mdb_txn_reset(s.txn)
	seen, resume := 0, C.int(0)
	for s.n = C.size_t(n); s.n > 0; resume = 1 {
		rc := C.bench_lmdb_scan(s.txn, s.cursor, resume, ptr(from), C.size_t(len(from)), cbool(from != nil), cbool(reverse),
			s.entries, lmdbEntries, &s.used, &s.n)
		if rc != 0 {
			return seen, lmdbError(rc)
		}
		for _, e := range unsafe.Slice(s.entries, int(s.used)) {
			fn(mapped(e.key), mapped(e.value))
		}
		seen += int(s.used)
	}
	return seen, nil
}

// mapped is the bytes of v, in the map.
func mapped(v C.MDB_val) []byte { return unsafe.Slice((*byte)(v.mv_data), int(v.mv_size)) }

func (s *lmdbSession) Tx(keys, values [][]byte) (int, error) {
	s.packed = packAll(s.packed[:0], keys, values)
	s.d.write.Lock()
	rc := C.bench_lmdb_tx(s.d.env, s.d.dbi, ptr(s.packed), C.size_t(len(s.packed)), ptr(s.buf), C.size_t(len(s.buf)))
	s.d.write.Unlock()
	return 0, lmdbError(rc)
}

func (s *lmdbSession) Close() error {
	C.mdb_cursor_close(s.cursor)
	C.mdb_txn_abort(s.txn)
	C.free(unsafe.Pointer(s.entries))
	return nil
}
