//go:build cgo && sqlite

package driver

/*
#cgo LDFLAGS: -lsqlite3
#cgo noescape bench_sqlite_put
#cgo nocallback bench_sqlite_put
#cgo noescape bench_sqlite_batch
#cgo nocallback bench_sqlite_batch
#cgo noescape bench_sqlite_del
#cgo nocallback bench_sqlite_del
#cgo noescape bench_sqlite_get
#cgo nocallback bench_sqlite_get
#cgo noescape bench_sqlite_scan
#cgo nocallback bench_sqlite_scan
#cgo noescape bench_sqlite_tx
#cgo nocallback bench_sqlite_tx

#include <sqlite3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { GET, PUT, DEL, BEGIN, COMMIT, ROLLBACK, FORWARD, FORWARD_FROM, BACKWARD, BACKWARD_FROM, STATEMENTS };

static const char *bench_sqlite_text[STATEMENTS] = {
	"SELECT v FROM kv WHERE k = ?1",
	"INSERT INTO kv VALUES (?1, ?2) ON CONFLICT DO UPDATE SET v = excluded.v",
	"DELETE FROM kv WHERE k = ?1",
	"BEGIN IMMEDIATE",
	"COMMIT",
	"ROLLBACK",
	"SELECT k, v FROM kv ORDER BY k",
	"SELECT k, v FROM kv WHERE k >= ?1 ORDER BY k",
	"SELECT k, v FROM kv ORDER BY k DESC",
	"SELECT k, v FROM kv WHERE k <= ?1 ORDER BY k DESC",
};

// bench_sqlite is a connection with its statements, prepared.
typedef struct {
	sqlite3 *db;
	sqlite3_stmt *s[STATEMENTS];
} bench_sqlite;

// bench_sqlite_quiet turns off the statistics of memory, which are a lock that
// all connections share. It does nothing after the first connection.
static void bench_sqlite_quiet(void) { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }

static int bench_sqlite_open(bench_sqlite *c, const char *path, const char *setup) {
	int rc = sqlite3_open_v2(path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc) return rc;
	sqlite3_busy_timeout(c->db, 60000);
	if ((rc = sqlite3_exec(c->db, setup, NULL, NULL, NULL))) return rc;
	for (int i = 0; i < STATEMENTS; i++)
		if ((rc = sqlite3_prepare_v3(c->db, bench_sqlite_text[i], -1, SQLITE_PREPARE_PERSISTENT, &c->s[i], NULL))) return rc;
	return 0;
}

static int bench_sqlite_close(bench_sqlite *c) {
	for (int i = 0; i < STATEMENTS; i++) sqlite3_finalize(c->s[i]);
	return sqlite3_close(c->db);
}

// bench_sqlite_step runs a statement that returns no rows.
static int bench_sqlite_step(sqlite3_stmt *s) {
	sqlite3_step(s);
	return sqlite3_reset(s);
}

static int bench_sqlite_put(bench_sqlite *c, const char *k, size_t kl, const char *v, size_t vl) {
	sqlite3_bind_blob64(c->s[PUT], 1, k, kl, SQLITE_STATIC);
	sqlite3_bind_blob64(c->s[PUT], 2, v, vl, SQLITE_STATIC);
	return bench_sqlite_step(c->s[PUT]);
}

static int bench_sqlite_del(bench_sqlite *c, const char *k, size_t kl) {
	sqlite3_bind_blob64(c->s[DEL], 1, k, kl, SQLITE_STATIC);
	return bench_sqlite_step(c->s[DEL]);
}

// bench_sqlite_get copies the value to dst if it has room, and sets its length:
// -1 when there is none.
static int bench_sqlite_get(bench_sqlite *c, const char *k, size_t kl, char *dst, size_t room, int64_t *len) {
	sqlite3_stmt *s = c->s[GET];
	sqlite3_bind_blob64(s, 1, k, kl, SQLITE_STATIC);
	*len = -1;
	if (sqlite3_step(s) == SQLITE_ROW) {
		const void *v = sqlite3_column_blob(s, 0);
		size_t vl = sqlite3_column_bytes(s, 0);
		*len = vl;
		if (vl > 0 && vl <= room) memcpy(dst, v, vl);
	}
	return sqlite3_reset(s);
}

// bench_sqlite_finish commits, or rolls back when rc is an error.
static int bench_sqlite_finish(bench_sqlite *c, int rc) {
	if (rc == 0) rc = bench_sqlite_step(c->s[COMMIT]);
	if (rc) bench_sqlite_step(c->s[ROLLBACK]);
	return rc;
}

// bench_sqlite_puts puts packed entries.
static int bench_sqlite_puts(bench_sqlite *c, const char *p, const char *end) {
	int rc = 0;
	while (p < end && rc == 0) {
		uint32_t n[2];
		memcpy(n, p, 8);
		rc = bench_sqlite_put(c, p + 8, n[0], p + 8 + n[0], n[1]);
		p += 8 + n[0] + n[1];
	}
	return rc;
}

static int bench_sqlite_batch(bench_sqlite *c, const char *p, size_t len) {
	int rc = bench_sqlite_step(c->s[BEGIN]);
	if (rc) return rc;
	return bench_sqlite_finish(c, bench_sqlite_puts(c, p, p + len));
}

// bench_sqlite_tx reads the keys of the packed entries, then puts the entries.
static int bench_sqlite_tx(bench_sqlite *c, const char *p, size_t len, char *dst, size_t room) {
	int64_t vl;
	int rc = bench_sqlite_step(c->s[BEGIN]);
	if (rc) return rc;
	for (const char *e = p; e < p + len && rc == 0;) {
		uint32_t n[2];
		memcpy(n, e, 8);
		rc = bench_sqlite_get(c, e + 8, n[0], dst, room, &vl);
		e += 8 + n[0] + n[1];
	}
	if (rc == 0) rc = bench_sqlite_puts(c, p, p + len);
	return bench_sqlite_finish(c, rc);
}

// bench_sqlite_scan packs up to *n entries into buf and says in *n how many are
// still wanted: 0 at the end. With resume it goes on with the row where the
// statement stands. *len is how much of buf is used; when not even one entry
// fits, it is the room that one needs, and *full is set.
static int bench_sqlite_scan(bench_sqlite *c, int resume, const char *from, size_t fl, int has_from, int reverse,
                             char *buf, size_t room, size_t *len, size_t *n, int *full) {
	sqlite3_stmt *s = c->s[reverse ? (has_from ? BACKWARD_FROM : BACKWARD) : (has_from ? FORWARD_FROM : FORWARD)];
	*len = 0;
	*full = 0;
	int rc = SQLITE_ROW;
	if (!resume) {
		if (has_from) sqlite3_bind_blob64(s, 1, from, fl, SQLITE_TRANSIENT);
		rc = sqlite3_step(s);
	}
	while (rc == SQLITE_ROW && *n > 0) {
		const void *k = sqlite3_column_blob(s, 0), *v = sqlite3_column_blob(s, 1);
		uint32_t h[2] = {sqlite3_column_bytes(s, 0), sqlite3_column_bytes(s, 1)};
		size_t need = 8 + (size_t)h[0] + h[1];
		if (need > room - *len) {
			if (*len == 0) { *len = need; *full = 1; }
			return 0;
		}
		char *p = buf + *len;
		memcpy(p, h, 8);
		if (h[0]) memcpy(p + 8, k, h[0]);
		if (h[1]) memcpy(p + 8 + h[0], v, h[1]);
		*len += need;
		if (--*n == 0) break;
		rc = sqlite3_step(s);
	}
	*n = 0;
	return sqlite3_reset(s);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"unsafe"
)

func init() {
	sqlite.Missing = ""
	sqlite.Open = openSQLite
	sqlite.Version = func() string { return "SQLite " + C.GoString(C.sqlite3_libversion()) }
}

type sqliteDB struct {
	path  string
	setup string     // of a connection
	write sync.Mutex // held by the session that writes
	// first is the connection that opened the database, until a session takes it:
	// to close it would be to merge the log into the file, as the last one does.
	first *sqliteSession
}

func openSQLite(dir string, c Config) (DB, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	sync, locking, checkpoint, rowid := "OFF", "NORMAL", 10_000, "WITHOUT ROWID"
	if c.Durability == Full {
		sync = "FULL"
	}
	if c.Workers <= 1 {
		locking = "EXCLUSIVE"
	}
	if c.Unmerged {
		checkpoint = 0
	}
	// Larger than a twentieth of a page, rows are better stored under a rowid.
	if c.ValueBytes > 200 {
		rowid = ""
	}
	d := &sqliteDB{path: filepath.Join(dir, "sqlite.db")}
	d.setup = fmt.Sprintf(`PRAGMA locking_mode=%s; PRAGMA journal_mode=WAL; PRAGMA synchronous=%s;
		PRAGMA cache_size=-%d; PRAGMA mmap_size=%d; PRAGMA wal_autocheckpoint=%d;
		CREATE TABLE IF NOT EXISTS kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) %s;`,
		locking, sync, c.CacheBytes>>10/int64(max(c.Workers, 1)), c.DataBytes, checkpoint, rowid)
	C.bench_sqlite_quiet()
	var err error
	if d.first, err = d.connect(); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *sqliteDB) connect() (*sqliteSession, error) {
	path, setup := C.CString(d.path), C.CString(d.setup)
	defer C.free(unsafe.Pointer(path))
	defer C.free(unsafe.Pointer(setup))
	s := &sqliteSession{d: d, c: (*C.bench_sqlite)(C.calloc(1, C.sizeof_bench_sqlite)), buf: make([]byte, 64<<10)}
	if err := s.error(C.bench_sqlite_open(s.c, path, setup)); err != nil {
		return nil, errors.Join(fmt.Errorf("connect: %w", err), s.Close())
	}
	return s, nil
}

// run runs statements on a connection, and closes that.
func (d *sqliteDB) run(statements string) error {
	s, err := d.session()
	if err != nil {
		return err
	}
	text := C.CString(statements)
	defer C.free(unsafe.Pointer(text))
	return errors.Join(s.error(C.sqlite3_exec(s.c.db, text, nil, nil, nil)), s.Close())
}

func (d *sqliteDB) Settle() error { return d.run("PRAGMA wal_checkpoint(TRUNCATE)") }

func (d *sqliteDB) Compact() error { return d.run("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)") }

func (d *sqliteDB) Close() error {
	if d.first == nil {
		return nil
	}
	return d.first.Close()
}

func (d *sqliteDB) Session() (Session, error) {
	s, err := d.session()
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (d *sqliteDB) session() (*sqliteSession, error) {
	if s := d.first; s != nil {
		d.first = nil
		return s, nil
	}
	return d.connect()
}

type sqliteSession struct {
	d      *sqliteDB
	c      *C.bench_sqlite // in C's memory
	packed []byte
	buf    []byte
	length C.int64_t
	used   C.size_t
	n      C.size_t
	full   C.int
}

func (s *sqliteSession) error(rc C.int) error {
	if rc == C.SQLITE_OK {
		return nil
	}
	return fmt.Errorf("sqlite: %s (%d)", C.GoString(C.sqlite3_errmsg(s.c.db)), rc)
}

func (s *sqliteSession) Put(key, value []byte) error {
	s.d.write.Lock()
	rc := C.bench_sqlite_put(s.c, ptr(key), C.size_t(len(key)), ptr(value), C.size_t(len(value)))
	s.d.write.Unlock()
	return s.error(rc)
}

func (s *sqliteSession) PutBatch(keys, values [][]byte) error {
	s.packed = packAll(s.packed[:0], keys, values)
	s.d.write.Lock()
	rc := C.bench_sqlite_batch(s.c, ptr(s.packed), C.size_t(len(s.packed)))
	s.d.write.Unlock()
	return s.error(rc)
}

func (s *sqliteSession) Get(dst, key []byte) ([]byte, bool, error) {
	for {
		free := dst[len(dst):cap(dst)]
		rc := C.bench_sqlite_get(s.c, ptr(key), C.size_t(len(key)), ptr(free), C.size_t(len(free)), &s.length)
		if rc != 0 {
			return dst, false, s.error(rc)
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

func (s *sqliteSession) Delete(key []byte) error {
	s.d.write.Lock()
	rc := C.bench_sqlite_del(s.c, ptr(key), C.size_t(len(key)))
	s.d.write.Unlock()
	return s.error(rc)
}

func (s *sqliteSession) Scan(from []byte, n int, reverse bool, fn func(key, value []byte)) (int, error) {
	seen, resume := 0, C.int(0)
	for s.n = C.size_t(n); s.n > 0; resume = 1 {
		rc := C.bench_sqlite_scan(s.c, resume, ptr(from), C.size_t(len(from)), cbool(from != nil), cbool(reverse),
			ptr(s.buf), C.size_t(len(s.buf)), &s.used, &s.n, &s.full)
		if rc != 0 {
			return seen, s.error(rc)
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

func (s *sqliteSession) Tx(keys, values [][]byte) (int, error) {
	s.packed = packAll(s.packed[:0], keys, values)
	s.d.write.Lock()
	rc := C.bench_sqlite_tx(s.c, ptr(s.packed), C.size_t(len(s.packed)), ptr(s.buf), C.size_t(len(s.buf)))
	s.d.write.Unlock()
	return 0, s.error(rc)
}

func (s *sqliteSession) Close() error {
	rc := C.bench_sqlite_close(s.c)
	C.free(unsafe.Pointer(s.c))
	if rc != 0 {
		return fmt.Errorf("sqlite: close: code %d", rc)
	}
	return nil
}
