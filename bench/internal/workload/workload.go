package workload

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lightning-db/lightning/bench/internal/driver"
)

// Kind says how a cell is run.
type Kind uint8

const (
	// Ops: workers run operations; the figure is how many a second.
	Ops Kind = iota
	// CleanOpen: a settled database is opened and asked for one key; the figure
	// is the seconds until the answer.
	CleanOpen
	// CrashOpen: the same after the process that wrote it was killed.
	CrashOpen
	// Settled and Compacted: the figure is the bytes on disk of a database that
	// was loaded in random order, and closed after Settle, or after Compact.
	Settled
	Compacted
	// Memory: a database is loaded and read; the figure is the peak of the
	// process's memory in bytes.
	Memory
	// Command: `lightning get` of one key; the figure is the seconds that the
	// whole process takes.
	Command
)

// Lower reports whether a lower figure is the better one.
func (k Kind) Lower() bool { return k != Ops }

// Set is a database that is loaded once and copied for every cell that starts
// from it. The zero Set is an empty database.
type Set struct {
	Keys      int
	ValueSize int
}

// Bytes is the size of the keys and values.
func (s Set) Bytes() int64 { return int64(s.Keys) * int64(KeySize+s.ValueSize) }

// Workload is a row of the comparison.
type Workload struct {
	Name  string
	Group string
	Title string
	Kind  Kind
	// Target is the ratio to the best peer that Lightning wants to reach. With
	// Limit it is a figure of Lightning's own instead: at least for Ops, at
	// most for the others.
	Target float64
	Limit  float64
	// Peers are those that take part. Empty: all.
	Peers []string

	Durability driver.Durability
	Workers    int
	// Blind says that the workers do nothing but commit.
	Blind bool
	Set   Set
	// ValueSize is that of the values that are written.
	ValueSize int
	// Count is how many operations are made in all, unless the time runs out
	// first. 0: as many as the time allows, after a warm-up.
	Count int
	// Transactions says that Session.Tx is used.
	Transactions bool
	// CacheShare divides the cache; 0 and 1 leave it whole.
	CacheShare int64
	// Long says that the cell gets more time, and is only run when large ones are
	// asked for.
	Long bool

	step func(*Worker) func() (int, error)
}

// Once reports whether the workload is only run in the first round, since its
// figure does not vary.
func (w *Workload) Once() bool { return w.Kind == Settled || w.Kind == Compacted }

// DataBytes is more than the workload will ever store.
func (w *Workload) DataBytes() int64 {
	written := int64(max(w.Count, 4<<20)) * int64(KeySize+w.ValueSize)
	if w.ValueSize > 200 { // puts of large values are counted
		written = int64(w.Count) * int64(KeySize+w.ValueSize)
	}
	return 2*w.Set.Bytes() + 4*written + 64<<20
}

// Groups are the groups in the order of the report, and their titles.
var Groups = []struct{ Name, Title string }{
	{"fill", "Writing"},
	{"sync", "Writing, fsync a commit"},
	{"read", "Reading"},
	{"scan", "Scanning"},
	{"ycsb2", "YCSB, 2 workers"},
	{"ycsb8", "YCSB, 8 workers"},
	{"mix", "Mixed work and transactions"},
	{"put", "Large values: put"},
	{"get", "Large values: get"},
	{"large", "Larger than the cache"},
	{"open", "Opening"},
	{"space", "Memory and disk"},
	{"headline", "Headline figures"},
	{"growth", "Growth"},
}

// List lists the workloads for databases of n keys.
func List(n int) []*Workload {
	base := Set{Keys: n, ValueSize: 100}
	ten := Set{Keys: 10 * n, ValueSize: 100}
	var all []*Workload
	add := func(w Workload) {
		if w.ValueSize == 0 {
			w.ValueSize = 100
		}
		w.Workers = max(w.Workers, 1)
		all = append(all, &w)
	}

	add(Workload{Group: "fill", Name: "fillseq", Title: "in order, one put a commit", Target: 2, Count: n, Blind: true, step: puts(OrderedKey)})
	add(Workload{Group: "fill", Name: "fillrandom", Title: "random, one put a commit", Target: 3, Count: n, Blind: true, step: puts(RandomKey)})
	add(Workload{Group: "fill", Name: "fillbatch", Title: "random, 1,000 puts a commit", Target: 3, Count: n, Blind: true, step: batches(1000)})
	add(Workload{Group: "fill", Name: "fill8short", Title: fmt.Sprintf("8 writers, %s random puts in all", count(n*8/100)), Target: 3, Workers: 8, Count: n * 8 / 100, Blind: true, step: puts(RandomKey)})
	add(Workload{Group: "fill", Name: "fill8", Title: fmt.Sprintf("8 writers, %s random puts in all", count(n)), Target: 3, Workers: 8, Count: n, Blind: true, step: puts(RandomKey)})

	for _, s := range []struct {
		workers int
		target  float64
	}{{1, 1.25}, {8, 1.5}, {64, 1.5}} {
		add(Workload{
			Group: "sync", Name: fmt.Sprintf("fillsync%d", s.workers), Title: plural(s.workers, "writer") + ", random, one put a commit",
			Target: s.target, Workers: s.workers, Durability: driver.Full, Blind: true, step: puts(RandomKey),
		})
	}

	for _, workers := range []int{1, 2, 8} {
		add(Workload{Group: "read", Name: fmt.Sprintf("readrandom%d", workers), Title: fmt.Sprintf("random of %s, %s", count(n), plural(workers, "reader")), Target: 2, Workers: workers, Set: base, step: gets(n)})
	}
	for _, workers := range []int{1, 2} {
		add(Workload{Group: "read", Name: fmt.Sprintf("readhot%d", workers), Title: fmt.Sprintf("%s hot keys, %s", count(n/100), plural(workers, "reader")), Target: 4, Workers: workers, Set: base, step: gets(n / 100)})
	}
	add(Workload{Group: "read", Name: "readmissing", Title: "missing keys, 1 reader", Target: 3, Set: base, step: misses})
	add(Workload{Group: "read", Name: "readzipf", Title: "zipf 0.99, 1 reader", Target: 2, Set: base, step: zipfGets})

	add(Workload{Group: "scan", Name: "scan100", Title: "100 entries from a random key, in entries", Target: 2, Set: base, step: scans(100, false)})
	add(Workload{Group: "scan", Name: "scanforward", Title: "the whole database forward, in entries", Target: 2, Set: base, step: scans(0, false)})
	add(Workload{Group: "scan", Name: "scanbackward", Title: "the whole database backward, in entries", Target: 2, Set: base, step: scans(0, true)})

	for _, workers := range []int{2, 8} {
		for _, m := range ycsb {
			add(Workload{
				Group: fmt.Sprintf("ycsb%d", workers), Name: fmt.Sprintf("ycsb-%s-%d", m.name, workers), Title: m.title,
				Target: 2, Workers: workers, Set: base, step: m.step,
			})
		}
	}

	add(Workload{Group: "mix", Name: "mixed", Title: "70 % get, 20 % put, 10 % delete, 8 workers", Target: 3, Workers: 8, Set: base, step: mixed})
	add(Workload{Group: "mix", Name: "tx", Title: "transactions of 2 gets and 2 puts, zipf 0.99, 4 workers", Target: 3, Workers: 4, Set: base, Transactions: true, step: transactions})

	for _, v := range []struct {
		size, keys int
		name       string
	}{{1 << 10, n / 10, "1 KiB"}, {10 << 10, n / 50, "10 KiB"}, {100 << 10, n / 500, "100 KiB"}, {1 << 20, n / 3333, "1 MiB"}} {
		keys := max(v.keys, 10)
		name := strings.ToLower(strings.ReplaceAll(strings.TrimSuffix(v.name, "iB"), " ", ""))
		add(Workload{Group: "put", Name: "put" + name, Title: v.name + ", one put a commit", Target: 1.5, Count: keys, Blind: true, ValueSize: v.size, step: puts(RandomKey)})
		add(Workload{Group: "get", Name: "get" + name, Title: v.name + fmt.Sprintf(" of %s keys, 1 reader", count(keys)), Target: 1.5, Set: Set{keys, v.size}, ValueSize: v.size, step: gets(keys)})
	}

	for _, workers := range []int{1, 8} {
		add(Workload{Group: "large", Name: fmt.Sprintf("readlarge%d", workers), Title: fmt.Sprintf("get, random of %s, %s", count(ten.Keys), plural(workers, "reader")), Target: 1.3, Workers: workers, Set: ten, Long: true, step: gets(ten.Keys)})
	}
	add(Workload{Group: "large", Name: "filllarge", Title: fmt.Sprintf("%s random puts, one a commit", count(ten.Keys)), Target: 1, Count: ten.Keys, Blind: true, Long: true, step: puts(RandomKey)})

	add(Workload{Group: "open", Name: "crashopen", Kind: CrashOpen, Title: fmt.Sprintf("after kill -9 with %s unmerged keys, to the first answer", count(n/2)), Limit: 0.150, Count: n / 2, Blind: true, step: puts(RandomKey)})
	add(Workload{Group: "open", Name: "cleanopen", Kind: CleanOpen, Title: fmt.Sprintf("clean, %s keys, to the first answer", count(n)), Limit: 0.005, Set: base})
	add(Workload{Group: "open", Name: "cleanopenlarge", Kind: CleanOpen, Title: fmt.Sprintf("clean, %s keys, to the first answer", count(ten.Keys)), Limit: 0.005, Set: ten, Long: true})
	add(Workload{Group: "open", Name: "command", Kind: Command, Title: fmt.Sprintf("`lightning get` of one of %s keys, whole process", count(ten.Keys)), Limit: 0.015, Set: ten, Long: true, Peers: []string{"lightning"}})

	add(Workload{Group: "space", Name: "disk", Kind: Settled, Title: fmt.Sprintf("disk: %s random keys, settled", count(n)), Limit: 1.1 * float64(base.Bytes()), Set: base})
	add(Workload{Group: "space", Name: "diskcompact", Kind: Compacted, Title: "disk: the same, compacted by its own means", Set: base})
	add(Workload{Group: "space", Name: "memory", Kind: Memory, Title: fmt.Sprintf("peak memory, a quarter of the cache: load and read %s keys", count(ten.Keys)), Limit: 256e6, Count: ten.Keys, CacheShare: 4, Long: true, step: gets(ten.Keys)})

	own := []string{"lightning"}
	add(Workload{Group: "headline", Name: "hotkey", Title: "gets of one hot key, one goroutine", Limit: 14.4e6, Peers: own, Set: base, step: gets(1)})
	add(Workload{Group: "headline", Name: "putseq", Title: "puts in order, one goroutine", Limit: 356e3, Peers: own, Count: n / 10, Blind: true, step: puts(OrderedKey)})
	add(Workload{Group: "headline", Name: "put8", Title: fmt.Sprintf("8 writers of %s puts each", count(n/100)), Limit: 1.06e6, Peers: own, Workers: 8, Count: n * 8 / 100, Blind: true, step: puts(RandomKey)})
	add(Workload{Group: "headline", Name: "mixed4", Title: fmt.Sprintf("70 %% get, 20 %% put, 10 %% delete, 4 workers of %s", count(n/20)), Limit: 4390, Peers: own, Workers: 4, Count: n / 5, Set: base, step: mixed})
	add(Workload{Group: "headline", Name: "tx10", Title: "transactions of ten puts, 4 workers", Limit: 168, Peers: own, Workers: 4, Set: base, Transactions: true, step: tenPuts})
	add(Workload{Group: "headline", Name: "put1mone", Title: "puts of 1 MB (17 ms each)", Limit: 1 / 0.017, Peers: own, Count: max(n/10000, 10), Blind: true, ValueSize: 1 << 20, step: puts(RandomKey)})
	add(Workload{Group: "headline", Name: "get1mone", Title: "gets of 1 MB (1.4 ms each)", Limit: 1 / 0.0014, Peers: own, Set: Set{max(n/3333, 10), 1 << 20}, ValueSize: 1 << 20, step: gets(max(n/3333, 10))})

	few := []string{"lightning", "lmdb", "pebble"}
	for _, g := range []struct {
		name string
		keys int
	}{{"1", n / 100}, {"2", n / 10}, {"3", n}, {"4", 10 * n}} {
		set := Set{Keys: g.keys, ValueSize: 100}
		long := g.keys > n
		add(Workload{Group: "growth", Name: "growget" + g.name, Title: "get, " + count(g.keys) + " keys", Peers: few, Set: set, Long: long, step: gets(g.keys)})
		add(Workload{Group: "growth", Name: "growput" + g.name, Title: "put over " + count(g.keys) + " keys", Peers: few, Set: set, Long: long, Blind: true, step: overwrites(g.keys)})
		add(Workload{Group: "growth", Name: "growscan" + g.name, Title: "scan of 100, " + count(g.keys) + " keys", Peers: few, Set: set, Long: long, step: scans(100, false)})
	}
	return all
}

// Find returns the workloads of the names; a name is a workload's or a group's.
func Find(all []*Workload, names []string) ([]*Workload, error) {
	var found []*Workload
	for _, name := range names {
		known := false
		for _, w := range all {
			if w.Name != name && w.Group != name {
				continue
			}
			known = true
			if !slices.Contains(found, w) {
				found = append(found, w)
			}
		}
		if !known {
			return nil, fmt.Errorf("no workload or group %q", name)
		}
	}
	return found, nil
}

// count writes a number with commas.
func count(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
