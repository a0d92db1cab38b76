//go:build cgo && rocksdb

package driver

/*
#cgo LDFLAGS: -lrocksdb
#cgo noescape bench_rocks_put
#cgo nocallback bench_rocks_put
#cgo noescape bench_rocks_batch
#cgo nocallback bench_rocks_batch
#cgo noescape bench_rocks_del
#cgo nocallback bench_rocks_del
#cgo noescape bench_rocks_get
#cgo nocallback bench_rocks_get
#cgo noescape bench_rocks_scan
#cgo nocallback bench_rocks_scan
#cgo noescape bench_rocks_tx
#cgo nocallback bench_rocks_tx

#include <rocksdb/c.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// bench_rocks is a database and what its operations need. Of two databases
// that are one, txdb is NULL unless transactions were asked for.
typedef struct {
	rocksdb_t *db;
	rocksdb_optimistictransactiondb_t *txdb;
	rocksdb_optimistictransaction_options_t *tx;
	rocksdb_options_t *options;
	rocksdb_block_based_table_options_t *table;
	rocksdb_cache_t *cache;
	rocksdb_writeoptions_t *write;
	rocksdb_readoptions_t *read;
} bench_rocks;

static char *bench_rocks_open(bench_rocks *r, const char *dir, size_t cache, size_t memtable, int sync, int transactions, int yield) {
	char *err = NULL;
	r->options = rocksdb_options_create();
	rocksdb_options_set_create_if_missing(r->options, 1);
	rocksdb_options_set_write_buffer_size(r->options, memtable);
	rocksdb_options_set_max_background_jobs(r->options, 2);
	rocksdb_options_set_bytes_per_sync(r->options, 1 << 20);
	rocksdb_options_set_enable_write_thread_adaptive_yield(r->options, yield);
	rocksdb_options_set_level_compaction_dynamic_level_bytes(r->options, 1);
	rocksdb_options_set_compression(r->options, rocksdb_no_compression);
	r->table = rocksdb_block_based_options_create();
	r->cache = rocksdb_cache_create_lru(cache);
	rocksdb_block_based_options_set_block_cache(r->table, r->cache);
	rocksdb_block_based_options_set_filter_policy(r->table, rocksdb_filterpolicy_create_bloom_full(10));
	rocksdb_block_based_options_set_data_block_index_type(r->table, rocksdb_block_based_table_data_block_index_type_binary_search_and_hash);
	rocksdb_options_set_block_based_table_factory(r->options, r->table);
	r->write = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(r->write, sync);
	r->read = rocksdb_readoptions_create();
	r->tx = rocksdb_optimistictransaction_options_create();
	if (transactions) {
		r->txdb = rocksdb_optimistictransactiondb_open(r->options, dir, &err);
		if (!err) r->db = rocksdb_optimistictransactiondb_get_base_db(r->txdb);
	} else {
		r->db = rocksdb_open(r->options, dir, &err);
	}
	return err;
}

static void bench_rocks_close(bench_rocks *r) {
	if (r->txdb) {
		rocksdb_optimistictransactiondb_close_base_db(r->db);
		rocksdb_optimistictransactiondb_close(r->txdb);
	} else if (r->db) {
		rocksdb_close(r->db);
	}
	rocksdb_optimistictransaction_options_destroy(r->tx);
	rocksdb_readoptions_destroy(r->read);
	rocksdb_writeoptions_destroy(r->write);
	rocksdb_cache_destroy(r->cache);
	rocksdb_block_based_options_destroy(r->table);
	rocksdb_options_destroy(r->options);
}

static char *bench_rocks_flush(bench_rocks *r) {
	char *err = NULL;
	rocksdb_flushoptions_t *o = rocksdb_flushoptions_create();
	rocksdb_flushoptions_set_wait(o, 1);
	rocksdb_flush(r->db, o, &err);
	rocksdb_flushoptions_destroy(o);
	return err;
}

// bench_rocks_busy says whether compactions run or are due.
static int bench_rocks_busy(bench_rocks *r) {
	uint64_t running = 0, pending = 0, flushes = 0;
	rocksdb_property_int(r->db, "rocksdb.num-running-compactions", &running);
	rocksdb_property_int(r->db, "rocksdb.compaction-pending", &pending);
	rocksdb_property_int(r->db, "rocksdb.num-running-flushes", &flushes);
	return running || pending || flushes;
}

static char *bench_rocks_put(bench_rocks *r, const char *k, size_t kl, const char *v, size_t vl) {
	char *err = NULL;
	rocksdb_put(r->db, r->write, k, kl, v, vl, &err);
	return err;
}

static char *bench_rocks_batch(bench_rocks *r, rocksdb_writebatch_t *b, const char *p, size_t len) {
	char *err = NULL;
	rocksdb_writebatch_clear(b);
	for (const char *end = p + len; p < end;) {
		uint32_t n[2];
		memcpy(n, p, 8);
		rocksdb_writebatch_put(b, p + 8, n[0], p + 8 + n[0], n[1]);
		p += 8 + n[0] + n[1];
	}
	rocksdb_write(r->db, r->write, b, &err);
	return err;
}

static char *bench_rocks_del(bench_rocks *r, const char *k, size_t kl) {
	char *err = NULL;
	rocksdb_delete(r->db, r->write, k, kl, &err);
	return err;
}

// bench_rocks_get copies the value to dst if it has room, and sets its length:
// -1 when there is none.
static char *bench_rocks_get(bench_rocks *r, const char *k, size_t kl, char *dst, size_t room, int64_t *len) {
	char *err = NULL;
	rocksdb_pinnableslice_t *s = rocksdb_get_pinned(r->db, r->read, k, kl, &err);
	*len = -1;
	if (s) {
		size_t vl;
		const char *v = rocksdb_pinnableslice_value(s, &vl);
		if (v) {
			*len = vl;
			if (vl <= room) memcpy(dst, v, vl);
		}
		rocksdb_pinnableslice_destroy(s);
	}
	return err;
}

// bench_rocks_scan packs up to *n entries into buf and says in *n how many are
// still wanted: 0 at the end. *it is the iterator until then; with one it goes
// on where that stands. *len is how much of buf is used; when not even one
// entry fits, it is the room that one needs, and *full is set.
static char *bench_rocks_scan(bench_rocks *r, rocksdb_iterator_t **it, const char *from, size_t fl, int has_from,
                              int reverse, char *buf, size_t room, size_t *len, size_t *n, int *full) {
	char *err = NULL;
	*len = 0;
	*full = 0;
	rocksdb_iterator_t *i = *it;
	if (!i) {
		i = rocksdb_create_iterator(r->db, r->read);
		if (has_from && reverse) rocksdb_iter_seek_for_prev(i, from, fl);
		else if (has_from) rocksdb_iter_seek(i, from, fl);
		else if (reverse) rocksdb_iter_seek_to_last(i);
		else rocksdb_iter_seek_to_first(i);
	}
	while (*n > 0 && rocksdb_iter_valid(i)) {
		size_t kl, vl;
		const char *k = rocksdb_iter_key(i, &kl), *v = rocksdb_iter_value(i, &vl);
		size_t need = 8 + kl + vl;
		if (need > room - *len) {
			if (*len == 0) { *len = need; *full = 1; }
			*it = i;
			return NULL;
		}
		uint32_t h[2] = {kl, vl};
		char *p = buf + *len;
		memcpy(p, h, 8);
		memcpy(p + 8, k, kl);
		memcpy(p + 8 + kl, v, vl);
		*len += need;
		if (--*n == 0) break;
		if (reverse) rocksdb_iter_prev(i);
		else rocksdb_iter_next(i);
	}
	*n = 0;
	rocksdb_iter_get_error(i, &err);
	rocksdb_iter_destroy(i);
	*it = NULL;
	return err;
}

// bench_rocks_conflict frees an error that says to try again.
static int bench_rocks_conflict(char *err) {
	if (strncmp(err, "Resource busy", 13) != 0 && strncmp(err, "Operation failed. Try again", 27) != 0) return 0;
	rocksdb_free(err);
	return 1;
}

// bench_rocks_tx reads the keys of the packed entries, then puts the entries,
// until there is no conflict.
static char *bench_rocks_tx(bench_rocks *r, rocksdb_transaction_t **t, const char *p, size_t len, char *dst, size_t room, int *conflicts) {
	for (*conflicts = 0;; ++*conflicts) {
		char *err = NULL;
		*t = rocksdb_optimistictransaction_begin(r->txdb, r->write, r->tx, *t);
		for (const char *e = p; e < p + len && !err;) {
			uint32_t n[2];
			memcpy(n, e, 8);
			rocksdb_pinnableslice_t *s = rocksdb_transaction_get_pinned_for_update(*t, r->read, e + 8, n[0], 1, &err);
			if (s) {
				size_t vl;
				const char *v = rocksdb_pinnableslice_value(s, &vl);
				if (v && vl <= room) memcpy(dst, v, vl);
				rocksdb_pinnableslice_destroy(s);
			}
			e += 8 + n[0] + n[1];
		}
		for (const char *e = p; e < p + len && !err;) {
			uint32_t n[2];
			memcpy(n, e, 8);
			rocksdb_transaction_put(*t, e + 8, n[0], e + 8 + n[0], n[1], &err);
			e += 8 + n[0] + n[1];
		}
		if (!err) rocksdb_transaction_commit(*t, &err);
		if (!err || !bench_rocks_conflict(err)) return err;
	}
}
*/
import "C"

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"
)

func init() {
	rocksdb.Missing = ""
	rocksdb.Open = openRocksDB
	rocksdb.Version = sync.OnceValue(rocksVersion)
}

// rocksVersion reads the version from the options file of a database made for
// that: the C API does not tell it.
func rocksVersion() string {
	const unknown = "RocksDB"
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return unknown
	}
	defer os.RemoveAll(dir)
	db, err := openRocksDB(dir, Config{CacheBytes: 1 << 20})
	if err != nil {
		return unknown
	}
	defer db.Close()
	names, err := filepath.Glob(filepath.Join(dir, "OPTIONS-*"))
	if err != nil || len(names) == 0 {
		return unknown
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		return unknown
	}
	for line := range strings.Lines(string(text)) {
		if version, ok := strings.CutPrefix(strings.TrimSpace(line), "rocksdb_version="); ok {
			return unknown + " " + version
		}
	}
	return unknown
}

type rocksDB struct {
	r *C.bench_rocks // in C's memory
}

func openRocksDB(dir string, c Config) (DB, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	name := C.CString(dir)
	defer C.free(unsafe.Pointer(name))
	memtable := 64 << 20
	if c.Unmerged {
		memtable = 256 << 20
	}
	// Writers that wait for their group's leader turn in a loop for a while. With
	// more of them than processors they take the leader's: a tenth of the speed.
	yield := c.Workers <= runtime.NumCPU()
	d := &rocksDB{(*C.bench_rocks)(C.calloc(1, C.sizeof_bench_rocks))}
	err := rocksError(C.bench_rocks_open(d.r, name, C.size_t(c.CacheBytes), C.size_t(memtable), cbool(c.Durability == Full), cbool(c.Transactions), cbool(yield)))
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// rocksError makes an error of RocksDB's message, and frees that.
func rocksError(message *C.char) error {
	if message == nil {
		return nil
	}
	err := errors.New("rocksdb: " + C.GoString(message))
	C.rocksdb_free(unsafe.Pointer(message))
	return err
}

func (d *rocksDB) Settle() error {
	if err := rocksError(C.bench_rocks_flush(d.r)); err != nil {
		return err
	}
	// The C API has no call that waits for compactions: it is asked until none
	// runs and none is due.
	idle := 0
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		if C.bench_rocks_busy(d.r) != 0 {
			idle = 0
			continue
		}
		if idle++; idle == 5 {
			tick.Stop()
			return nil
		}
	}
}

func (d *rocksDB) Compact() error {
	C.rocksdb_compact_range(d.r.db, nil, 0, nil, 0)
	return nil
}

func (d *rocksDB) Close() error {
	C.bench_rocks_close(d.r)
	C.free(unsafe.Pointer(d.r))
	return nil
}

func (d *rocksDB) Session() (Session, error) {
	return &rocksSession{r: d.r, batch: C.rocksdb_writebatch_create(), buf: make([]byte, 64<<10)}, nil
}

type rocksSession struct {
	r         *C.bench_rocks
	batch     *C.rocksdb_writebatch_t
	tx        *C.rocksdb_transaction_t // to be used again
	iterator  *C.rocksdb_iterator_t    // of a scan that is not at its end
	packed    []byte
	buf       []byte
	length    C.int64_t
	used      C.size_t
	n         C.size_t
	full      C.int
	conflicts C.int
}

func (s *rocksSession) Put(key, value []byte) error {
	return rocksError(C.bench_rocks_put(s.r, ptr(key), C.size_t(len(key)), ptr(value), C.size_t(len(value))))
}

func (s *rocksSession) PutBatch(keys, values [][]byte) error {
	s.packed = packAll(s.packed[:0], keys, values)
	return rocksError(C.bench_rocks_batch(s.r, s.batch, ptr(s.packed), C.size_t(len(s.packed))))
}

func (s *rocksSession) Get(dst, key []byte) ([]byte, bool, error) {
	for {
		free := dst[len(dst):cap(dst)]
		message := C.bench_rocks_get(s.r, ptr(key), C.size_t(len(key)), ptr(free), C.size_t(len(free)), &s.length)
		if message != nil {
			return dst, false, rocksError(message)
		}
		n := int(s.length)
		if n < 0 {
			return dst, false, nil
		}
		if n <= len(free) {
			return dst[:len(dst)+n], true, nil
		}
		dst = append(make([]byte, 0, len(dst)+n), dst...)
	}
}

func (s *rocksSession) Delete(key []byte) error {
	return rocksError(C.bench_rocks_del(s.r, ptr(key), C.size_t(len(key))))
}

func (s *rocksSession) Scan(from []byte, n int, reverse bool, fn func(key, value []byte)) (int, error) {
	seen := 0
	for s.n = C.size_t(n); s.n > 0; {
		message := C.bench_rocks_scan(s.r, &s.iterator, ptr(from), C.size_t(len(from)), cbool(from != nil), cbool(reverse),
			ptr(s.buf), C.size_t(len(s.buf)), &s.used, &s.n, &s.full)
		if message != nil {
			return seen, rocksError(message)
		}
		if s.full != 0 {
			s.buf = make([]byte, s.used)
			continue
		}
		walkPacked(s.buf[:s.used], func(key, value []byte) {
			fn(key, value)
			seen++
		})
	}
	return seen, nil
}

func (s *rocksSession) Tx(keys, values [][]byte) (int, error) {
	s.packed = packAll(s.packed[:0], keys, values)
	message := C.bench_rocks_tx(s.r, &s.tx, ptr(s.packed), C.size_t(len(s.packed)), ptr(s.buf), C.size_t(len(s.buf)), &s.conflicts)
	return int(s.conflicts), rocksError(message)
}

func (s *rocksSession) Close() error {
	C.rocksdb_writebatch_destroy(s.batch)
	if s.tx != nil {
		C.rocksdb_transaction_destroy(s.tx)
	}
	return nil
}
