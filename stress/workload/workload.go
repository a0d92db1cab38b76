// Package workload measures one database under the workloads of LevelDB's and
// RocksDB's db_bench, by their names, where they mean the same: lightning bench
// is its command.
//
// A Runner fills a database of its own, of N keys, and runs workloads on it one
// after the other. A workload ends after a number of operations or after a
// time, whichever is first; its rate is that of the wall clock. What a workload
// leaves to be merged into the tree is merged before the next one begins, outside
// both.
//
// What makes the figures is the same in each run: keys and values come from a
// seed, and the keys that are asked for are keys that were written.
package workload

import (
	"time"

	"github.com/lightning-db/lightning/engine"
)

// Options are the settings of a Runner. All numbers are above 0 unless it says
// otherwise.
type Options struct {
	Keys     uint64        // how many keys a fill writes
	Ops      uint64        // how many operations a workload does that does not fill
	Duration time.Duration // how long a workload runs at most
	Threads  int           // goroutines that share the operations

	KeySize   int // in bytes; see MaxKeys
	ValueSize int // in bytes; 0 is allowed
	// Compressible is the percentage of a value that compression can save, 0
	// to 99.
	Compressible int

	// Batch is how many keys a fill commits together; 0: 1, and 1000 in
	// fillbatch.
	Batch int
	Nexts int // entries that a seek reads; 0 is allowed
	Reads int // percentage of reads where a workload mixes
	// Zipf makes some keys much more likely than others to be asked for or
	// changed, as YCSB does with its exponent of 0.99. They are equally likely
	// otherwise.
	Zipf bool
	Seed uint64

	Sync        engine.SyncMode // fillsync is SyncFull whatever it is here
	CacheBytes  int64
	Compression engine.Compression

	// Filling, when not nil, is called before keys are written that no
	// workload of the list writes.
	Filling func()
}

// A Workload is one of those that can be run.
type Workload struct {
	Name string
	Does string // in one line

	op     func(*worker, uint64) error
	fills  bool // starts with an empty database
	random bool // a fill that writes the keys in random order
	batch  int  // keys a commit, in a fill, unless the options say
	sync   bool // every commit waits for the disk
	reads  bool // says what was found
	writes bool
	spoils bool // takes keys away
	once   bool // is one operation
}

// All are the workloads, in the order of their description.
var All = []Workload{
	{Name: "fillseq", Does: "write all keys in their order", op: (*worker).putNext, fills: true, writes: true},
	{Name: "fillrandom", Does: "write all keys in random order", op: (*worker).putNext, fills: true, random: true, writes: true},
	{Name: "fillbatch", Does: "write all keys in their order, 1000 a commit", op: (*worker).putNext, fills: true, batch: 1000, writes: true},
	{Name: "fillsync", Does: "fillrandom, each commit waiting for the disk", op: (*worker).putNext, fills: true, random: true, sync: true, writes: true},
	{Name: "overwrite", Does: "write random keys that are there", op: (*worker).overwrite, writes: true},
	{Name: "readrandom", Does: "read random keys", op: (*worker).readRandom, reads: true},
	{Name: "readhot", Does: "read random keys of the first hundredth", op: (*worker).readHot, reads: true},
	{Name: "readmissing", Does: "read random keys that are not there", op: (*worker).readMissing, reads: true},
	{Name: "readseq", Does: "read all entries in their order", op: (*worker).readSeq, reads: true},
	{Name: "readreverse", Does: "read all entries backwards", op: (*worker).readReverse, reads: true},
	{Name: "seekrandom", Does: "seek a random key and read the entries behind it (--nexts)", op: (*worker).seekRandom, reads: true},
	{Name: "readrandomwriterandom", Does: "read random keys, and write some (--reads)", op: (*worker).readWrite, reads: true, writes: true},
	{Name: "updaterandom", Does: "read a random key and write it, in one transaction", op: (*worker).update, reads: true, writes: true},
	{Name: "deleteseq", Does: "delete the keys in their order", op: (*worker).deleteSeq, writes: true, spoils: true},
	{Name: "deleterandom", Does: "delete the keys in random order", op: (*worker).deleteRandom, writes: true, spoils: true},
	{Name: "compact", Does: "give free space back to the file system, once", op: (*worker).compact, once: true},
}

// Default are the workloads that say most about a database in a few seconds.
var Default = []string{"fillseq", "fillbatch", "fillsync", "fillrandom", "overwrite", "readrandom", "readmissing", "readseq", "seekrandom"}

// Find returns the workload of that name, or nil.
func Find(name string) *Workload {
	for i := range All {
		if All[i].Name == name {
			return &All[i]
		}
	}
	return nil
}

// A Result is what one run of a workload was measured to take.
type Result struct {
	Workload *Workload
	Sync     engine.SyncMode
	Figures  [Figures]float64 // negative: means nothing here, or is not known
}

// What was measured.
const (
	Ops        = iota // keys written or deleted, read, or sought
	Seconds           // by the clock of the wall
	OpsRate           // operations a second
	NsPerOp           // wall time of an operation: with several threads less than its latency
	MBRate            // millions of bytes, of the keys and values written and read, a second
	CPUPerOp          // time on a processor, in ns, of all threads of the process: the engine's work in the background too
	Median            // latency of an operation, in a fill of a commit, in ns
	P99               // the latency that 99 % do not exceed, in ns
	P999              // 99.9 %
	Longest           // the longest, in ns
	Found             // lookups that found something
	Missing           // and those that did not
	SettleTime        // seconds that it took afterwards until all was in the tree
	Figures
)

// Writes reports whether the workload writes: its sync mode means something.
func (r *Result) Writes() bool { return r.Workload.writes }
