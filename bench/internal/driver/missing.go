//go:build !alone

package driver

import "fmt"

// These peers are reached through cgo. Each is in the program when it is built
// with the tag of its name; `make bench-peers` sets the tags of those whose
// library it finds.
var (
	lmdb = Driver{
		Name:    "lmdb",
		Missing: fmt.Sprintf(missing, "liblmdb-dev", "lmdb"),
		Notes: Notes{
			Crash:   "`MDB_NOSYNC` and `MDB_WRITEMAP`: commits are stores into a mapped file, which the death of the process does not undo",
			Full:    "its default: a commit is an fdatasync and a meta page written with `O_DSYNC`; no `MDB_WRITEMAP`",
			Options: "`MDB_NOTLS`; `MDB_NORDAHEAD` where 2 GiB are mapped or more, as for 1,000,000 keys, which makes no difference to what is in the page cache; the file is mapped whole, and what of it is in memory is not limited; writers take turns by a mutex in Go; it is not told that keys come in order (`MDB_APPEND`)",
			Read:    "one read transaction a session, renewed and reset for each get, copied inside it; one cgo call an operation, a batch, or 1,024 entries of a scan, which are shown where they lie in the map",
			Tx:      "a write transaction: one writer at a time; one cgo call",
		},
	}
	rocksdb = Driver{
		Name:    "rocksdb",
		Missing: fmt.Sprintf(missing, "librocksdb-dev", "rocksdb"),
		Notes: Notes{
			Crash:   "`sync=0`, log on: the log is written to the file at each commit",
			Full:    "`sync=1`",
			Options: "LRU block cache; full Bloom filters of 10 bits; a hash index in data blocks; blocks of 4 KiB (the tuning guide's 16 KiB are slower from memory); write buffers of 64 MiB; dynamic level sizes; `max_background_jobs` 2; `bytes_per_sync` 1 MiB; no compression; `enable_write_thread_adaptive_yield` off where there are more workers than processors, which is ten times as fast there. Blob files for large values were tried: puts and gets were not faster",
			Read:    "`rocksdb_get_pinned`, copied; one cgo call an operation, a batch, or 64 KiB of a scan",
			Tx:      "`OptimisticTransactionDB`, `GetForUpdate`, again on a conflict; one cgo call",
		},
	}
	sqlite = Driver{
		Name:    "sqlite",
		Missing: fmt.Sprintf(missing, "libsqlite3-dev", "sqlite"),
		Notes: Notes{
			Crash:   "WAL mode, `synchronous=OFF`",
			Full:    "WAL mode, `synchronous=FULL`",
			Options: "`WITHOUT ROWID`, but for values of 1 KiB and more, as its documentation advises; a BLOB key; statements prepared once a connection, one connection a session; the cache's size is shared out among the connections, and the file is mapped besides (`mmap_size`); `locking_mode=EXCLUSIVE` where there is one session; a checkpoint every 10,000 pages, and none where keys are to stay unmerged: its log is then 2 GB; writers take turns by a mutex in Go",
			Read:    "a prepared SELECT, copied; one cgo call an operation, a batch, or 64 KiB of a scan",
			Tx:      "`BEGIN IMMEDIATE`: one writer at a time; one cgo call",
		},
	}
)

const missing = "it needs cgo, Debian's %s, and the build tag %q"
