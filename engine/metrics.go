package engine

import (
	"io"
	"sort"
	"strconv"
	"strings"

	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/internal/tally"
)

// A metric is one of those that WriteMetrics writes. metrics is the only place
// where they are declared.
type metric struct {
	name, kind, help string
	// write adds the samples of one database.
	write func(*samples, *reading)
	of    scope
}

// scope is whose a metric is.
type scope uint8

const (
	ofProcess scope = iota // of this process and its open database
	ofFiles                // of the files: any process says the same
	ofWriter               // of the process that writes
)

const (
	counter   = "counter"
	gauge     = "gauge"
	histogram = "histogram"
)

var metrics = [...]metric{
	{"operations_total", counter, "Operations: reads that were asked for, and writes that were committed.", func(s *samples, r *reading) {
		s.count(r.Gets, "op", "get")
		s.count(r.Lookups, "op", "has")
		s.count(r.Scans, "op", "scan")
		s.count(r.Puts, "op", "put")
		s.count(r.Deletes, "op", "delete")
		s.count(r.RangeDeletes, "op", "delete_range")
	}, ofProcess},
	{"errors_total", counter, "Errors of reads, commits and checkpoints, by class and cause; not those that are answers.", func(s *samples, r *reading) {
		for i := range errorKinds {
			s.count(r.db.counters.errors[i].Load(), "class", errorKinds[i].class.String(), "error", errorKinds[i].name)
		}
	}, ofProcess},
	{"events_lost_total", counter, "Events that Options.Events was too slow for.", func(s *samples, r *reading) { s.count(r.EventsLost) }, ofProcess},
	{"get_duration_seconds", histogram, "Time that gets took, of one in 1024.", func(s *samples, r *reading) {
		s.times(&r.db.counters.getTime)
	}, ofProcess},

	{"commits_total", counter, "Commits.", func(s *samples, r *reading) { s.count(r.Commits) }, ofWriter},
	{"conflicts_total", counter, "Commits that were refused since another had come between.", func(s *samples, r *reading) {
		s.count(r.Conflicts)
	}, ofWriter},
	{"commit_duration_seconds", histogram, "Time that commits took with all waiting; where they do not wait for the disk, of one in 64.", func(s *samples, r *reading) {
		s.times(&r.db.counters.commitTime)
	}, ofWriter},
	{"sync_duration_seconds", histogram, "Time that syncs of the log took.", func(s *samples, r *reading) {
		s.times(&r.db.counters.syncTime)
	}, ofWriter},
	{"sync_commits", histogram, "Commits that one sync of the log made durable.", func(s *samples, r *reading) {
		s.histogram(&r.db.counters.syncCommits, 1)
	}, ofWriter},
	{"stall_duration_seconds", histogram, "Time that commits waited for a checkpoint to make room.", func(s *samples, r *reading) {
		s.times(&r.db.counters.stallTime)
	}, ofWriter},
	{"checkpoint_duration_seconds", histogram, "Time that checkpoints took.", func(s *samples, r *reading) {
		s.times(&r.db.counters.checkpointTime)
	}, ofWriter},
	{"checkpoint_failures_total", counter, "Checkpoints that failed.", func(s *samples, r *reading) {
		s.count(r.FailedCheckpoints)
	}, ofWriter},
	{"failed", gauge, "1 after a write or sync failed: the database takes no more writes until it is opened again.", func(s *samples, r *reading) {
		s.flag(r.db.failed() != nil)
	}, ofWriter},
	{"disk_full", gauge, "1 after a full disk kept a commit or a checkpoint from being made, until there is room.", func(s *samples, r *reading) {
		s.flag(r.db.logFull(r.Commits) || r.db.treeFull())
	}, ofWriter},

	{"memtable_bytes", gauge, "Memory of the memtables.", func(s *samples, r *reading) { s.count(r.MemtableBytes) }, ofProcess},
	{"memtables_frozen", gauge, "Memtables that wait for a checkpoint.", func(s *samples, r *reading) { s.count(uint64(r.Frozen)) }, ofProcess},
	{"log_bytes", gauge, "Log that a recovery would read.", func(s *samples, r *reading) { s.count(r.LogBytes) }, ofFiles},
	{"log_limit_bytes", gauge, "Log that may gather before a checkpoint: Options.MaxWALBytes.", func(s *samples, r *reading) {
		s.count(r.LogLimit)
	}, ofWriter},
	{"log_used_ratio", gauge, "Log that a recovery would read, as a part of the limit.", func(s *samples, r *reading) {
		s.add(float64(r.LogBytes) / float64(r.LogLimit))
	}, ofWriter},
	{"log_segments", gauge, "Segments of the log, those that readers hold included.", func(s *samples, r *reading) {
		s.count(uint64(r.db.log.Segments()))
	}, ofWriter},
	{"log_end_bytes", gauge, "Position in the log of its end: what has ever been logged.", func(s *samples, r *reading) {
		s.count(uint64(r.db.log.End()))
	}, ofWriter},
	{"seq", gauge, "Sequence number of the newest operation that readers see.", func(s *samples, r *reading) { s.count(r.Seq) }, ofFiles},
	{"generation", gauge, "Generation of the trees: one more with each checkpoint.", func(s *samples, r *reading) {
		s.count(r.Generation)
	}, ofFiles},

	{"cache_hits_total", counter, "Nodes and large values that were found in the cache.", func(s *samples, r *reading) {
		s.count(r.CacheHits)
	}, ofProcess},
	{"cache_misses_total", counter, "Nodes and large values that were not, but for those of merges, backups and long scans.", func(s *samples, r *reading) {
		s.count(r.CacheMisses)
	}, ofProcess},
	{"cache_bytes", gauge, "Memory of the cache.", func(s *samples, r *reading) { s.count(r.CacheBytes) }, ofProcess},
	{"cache_limit_bytes", gauge, "Limit of the cache: Options.CacheBytes.", func(s *samples, r *reading) { s.count(r.CacheLimit) }, ofProcess},
	{"cache_nodes", gauge, "Nodes and large values in the cache.", func(s *samples, r *reading) { s.count(uint64(r.CacheNodes)) }, ofProcess},
	{"filter_bytes", gauge, "Memory of the filters, beside the cache.", func(s *samples, r *reading) { s.count(r.FilterBytes) }, ofProcess},

	{"tree_read_bytes_total", counter, "Bytes read from btree.db.", func(s *samples, r *reading) { s.count(r.pager.ReadBytes) }, ofProcess},
	{"tree_written_bytes_total", counter, "Bytes written to btree.db.", func(s *samples, r *reading) {
		s.count(r.pager.WrittenBytes)
	}, ofWriter},
	{"tree_file_bytes", gauge, "Length of btree.db.", func(s *samples, r *reading) { s.count(r.FileBytes) }, ofFiles},
	{"tree_used_bytes", gauge, "Part of btree.db that the newest generation reaches.", func(s *samples, r *reading) {
		s.count(r.UsedBytes)
	}, ofFiles},
	{"tree_free_bytes", gauge, "Part of btree.db that can be used again.", func(s *samples, r *reading) { s.count(r.FreeBytes) }, ofFiles},
	{"tree_pending_bytes", gauge, "Part of btree.db that can be used again when snapshots are closed.", func(s *samples, r *reading) {
		s.count(r.PendingBytes)
	}, ofWriter},
	{"disk_free_bytes", gauge, "Space that the file system has left.", func(s *samples, r *reading) {
		if free, err := r.db.diskFree(); err == nil {
			s.count(uint64(free))
		}
	}, ofFiles},

	{"checkpoint_need_bytes", gauge, "Space of the disk that the next checkpoint may need.", func(s *samples, r *reading) { s.count(r.need) }, ofWriter},

	{"entries", gauge, "Entries in the tree and the runs of a keyspace as of the last checkpoint, about.", func(s *samples, r *reading) {
		s.each(r, func(k *keyspaceReading) uint64 { return k.entries })
	}, ofFiles},
	{"data_bytes", gauge, "Keys and values of these entries, about.", func(s *samples, r *reading) {
		s.each(r, func(k *keyspaceReading) uint64 { return k.bytes })
	}, ofFiles},
	{"sorted_runs", gauge, "Sorted runs that wait to be merged into the tree of a keyspace.", func(s *samples, r *reading) {
		s.each(r, func(k *keyspaceReading) uint64 { return uint64(k.runs) })
	}, ofFiles},
	{"tree_depth", gauge, "Nodes of the tree of a keyspace from its root to a leaf.", func(s *samples, r *reading) {
		s.each(r, func(k *keyspaceReading) uint64 { return uint64(k.depth) })
	}, ofFiles},
	{"tree_nodes", gauge, "Nodes of the tree of a keyspace, estimated from those on one way through it.", func(s *samples, r *reading) {
		s.each(r, func(k *keyspaceReading) uint64 { return k.nodes })
	}, ofFiles},

	{"snapshots", gauge, "Open snapshots, transactions and scans.", func(s *samples, r *reading) { s.count(uint64(r.Views)) }, ofProcess},
	{"snapshot_age_seconds", gauge, "For how long the oldest of them has kept space from being used again: it is that old at least.", func(s *samples, r *reading) {
		s.add(r.OldestView.Seconds())
	}, ofProcess},
	{"readers", gauge, "Other processes that have the database open for reading.", func(s *samples, r *reading) {
		s.count(uint64(len(r.db.readers())))
	}, ofWriter},
}

// reading is what the metrics of one database are made of.
type reading struct {
	db *DB
	Stats
	pager  pager.Stats
	need   uint64 // DB.checkpointNeed
	spaces []keyspaceReading
}

type keyspaceReading struct {
	name           string
	entries, bytes uint64
	runs, depth    int
	nodes          uint64
}

// read takes a reading.
func (db *DB) read() (*reading, error) {
	view, err := db.acquire() // so that the nodes of its trees are not used again
	if err != nil {
		return nil, err
	}
	defer view.release()
	r := &reading{db: db, Stats: db.Stats(), pager: view.v.pager.Stats()}
	r.Views = max(r.Views-1, 0) // without this one
	r.need = db.checkpointNeed(view.v, &r.Stats)
	for _, sp := range view.v.spaces.byID {
		k := keyspaceReading{name: sp.name, runs: len(sp.runs)}
		k.entries, k.bytes = sp.size()
		if k.depth, k.nodes, err = sp.tree.Shape(); err != nil {
			_ = view.failed(err) // it is counted
		}
		r.spaces = append(r.spaces, k)
	}
	sort.Slice(r.spaces, func(i, j int) bool { return r.spaces[i].name < r.spaces[j].name })
	return r, nil
}

// WriteMetrics writes the metrics of the database, in the text format of
// Prometheus, to w. It may be called as often as somebody looks: it takes no
// lock for long, and reads of each keyspace a few nodes. What only the process
// knows that writes is left out where the database is open read-only.
//
// Errors: ErrClosed, and those of w.
func (db *DB) WriteMetrics(w io.Writer) error { return WriteMetrics(w, db) }

// WriteFileMetrics is WriteMetrics of what is in the files, and of nothing that
// this process did: for one that looks at the database of another, and counts
// nothing that anybody asks for.
func (db *DB) WriteFileMetrics(w io.Writer) error {
	return writeMetrics(w, []*DB{db}, func(m *metric) bool { return m.of == ofFiles })
}

// WriteMetrics writes the metrics of several databases, of different paths: each
// sample has the label db, the path.
func WriteMetrics(w io.Writer, dbs ...*DB) error {
	return writeMetrics(w, dbs, func(*metric) bool { return true })
}

func writeMetrics(w io.Writer, dbs []*DB, wanted func(*metric) bool) error {
	if w == nil {
		return errNoWriter
	}
	readings := make([]*reading, len(dbs))
	for i, db := range dbs {
		if db == nil {
			return errNoDatabase
		}
		var err error
		if readings[i], err = db.read(); err != nil {
			return err
		}
	}
	var s samples
	for i := range metrics {
		s.begin(&metrics[i])
		for _, r := range readings {
			if !wanted(&metrics[i]) || r.db.opts.ReadOnly && metrics[i].of == ofWriter {
				continue
			}
			s.db = label("db", r.db.dir)
			metrics[i].write(&s, r)
		}
	}
	_, err := w.Write(s.text)
	return err
}

// samples is the text that grows.
type samples struct {
	text   []byte
	metric *metric
	headed bool   // HELP and TYPE are there
	db     string // label of the database
}

func (s *samples) begin(m *metric) { s.metric, s.headed = m, false }

// label is a label as it is written.
func label(name, value string) string {
	value = strings.ReplaceAll(strings.ToValidUTF8(value, "\uFFFD"), `\`, `\\`)
	value = strings.ReplaceAll(strings.ReplaceAll(value, `"`, `\"`), "\n", `\n`)
	return name + `="` + value + `"`
}

// add adds a sample of the metric, with labels: a name, a value, a name, ...
//
//go:noinline // called in dozens of places, none of them hot
func (s *samples) add(value float64, labels ...string) { s.sample("", value, labels...) }

func (s *samples) sample(suffix string, value float64, labels ...string) {
	const prefix = "lightning_"
	m := s.metric
	if !s.headed {
		s.text = append(s.text, "# HELP "+prefix+m.name+" "+m.help+"\n# TYPE "+prefix+m.name+" "+m.kind+"\n"...)
		s.headed = true
	}
	s.text = append(s.text, prefix+m.name+suffix+"{"+s.db...)
	for i := 0; i < len(labels); i += 2 {
		s.text = append(s.text, ","+label(labels[i], labels[i+1])...)
	}
	s.text = append(s.text, "} "...)
	s.text = append(strconv.AppendFloat(s.text, value, 'f', -1, 64), '\n')
}

// count is add of what is counted.
//
//go:noinline // as add; and a conversion is as long as a call
func (s *samples) count(n uint64, labels ...string) { s.add(float64(n), labels...) }

// flag adds 1 where something is so, else 0.
func (s *samples) flag(is bool) {
	value := 0.0
	if is {
		value = 1
	}
	s.add(value)
}

// each adds a sample for each keyspace.
func (s *samples) each(r *reading, value func(*keyspaceReading) uint64) {
	for i := range r.spaces {
		s.count(value(&r.spaces[i]), "keyspace", r.spaces[i].name)
	}
}

// times adds a histogram of nanoseconds, in seconds.
func (s *samples) times(h *tally.Histogram) { s.histogram(h, 1e9) }

// histogram adds the samples of a histogram, whose values are divided by unit.
func (s *samples) histogram(h *tally.Histogram, unit float64) {
	snap := h.Snapshot()
	n := uint64(0)
	for i := range snap.Counts {
		n += snap.Counts[i]
		bound := "+Inf"
		if i < tally.HistogramBounds {
			bound = strconv.FormatFloat(float64(snap.Bound(i))/unit, 'f', -1, 64)
		}
		s.sample("_bucket", float64(n), "le", bound)
	}
	s.sample("_sum", float64(snap.Sum)/unit)
	s.sample("_count", float64(n))
}
