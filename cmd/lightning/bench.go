package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
	"github.com/lightning-db/lightning/stress/workload"
)

// The flags of bench that are whole numbers.
const (
	benchNum = iota
	benchOps
	benchThreads
	benchKeySize
	benchValueSize
	benchBatch
	benchNexts
	benchReads
	benchSeed
	benchCache
	benchCompressible
	benchCount
	benchNumbers
)

var benchFlags = [benchNumbers]struct {
	name, usage           string
	standard, least, most int64
}{
	benchNum:          {"num", "keys of the database, and operations of a workload at most", 1_000_000, 1, 1 << 60},
	benchOps:          {"ops", "operations of a workload that does not fill (default as --num)", 0, 0, 1 << 60},
	benchThreads:      {"threads", "goroutines that share the operations", 1, 1, 1024},
	benchKeySize:      {"key-size", "`BYTES` of a key", 16, 1, engine.MaxKeySize},
	benchValueSize:    {"value-size", "`BYTES` of a value", 100, 0, engine.MaxValueSize},
	benchBatch:        {"batch", "keys that a fill commits together (default 1; 1000 in fillbatch)", 0, 0, 1 << 24},
	benchNexts:        {"nexts", "entries that seekrandom reads behind the one it seeks", 10, 0, 1 << 60},
	benchReads:        {"reads", "percentage of reads in readrandomwriterandom", 90, 0, 100},
	benchSeed:         {"seed", "what keys, values and their order are made from", 1, 0, 1 << 60},
	benchCache:        {"cache", "`MIB` of the node cache", 256, 1, 1 << 20},
	benchCompressible: {"compressible", "percentage of a value that compression can save", 0, 0, 99},
	benchCount:        {"count", "how often to run the whole list", 1, 1, 1 << 20},
}

const benchLong = `
With no name: fillseq, fillbatch, fillsync, fillrandom, overwrite, readrandom,
readmissing, readseq, seekrandom.

The database is made in a new directory and removed at the end; --db keeps it.
Workloads that begin with fill start over with an empty one. A list that begins
with another is run on --num keys written before, which is not measured.

A workload ends with --num operations or after --duration, whichever is first.
Its rate is that of the wall clock. What it leaves to be merged into the tree is
merged before the next one, outside the figures (settle_seconds in JSON).
Latencies are of single operations, in fillbatch and with --batch of commits.
CPU time is that of the whole process. Keys are random hexadecimal digits.

The figures of a write have the durability of --sync: normal, unless you say.`

func benchCommand(a *app) *cobra.Command {
	b := &bench{app: a}
	long := "Measure a database of its own under the workloads named, one after the other.\nTheir names are those of LevelDB's and RocksDB's db_bench:\n\n"
	names := make([]string, len(workload.All))
	for i := range workload.All {
		w := &workload.All[i]
		long += "    " + w.Name + strings.Repeat(" ", 23-len(w.Name)) + w.Does + "\n"
		names[i] = w.Name
	}
	cmd := &cobra.Command{
		Use:       "bench [WORKLOAD...]",
		GroupID:   groupTest,
		Short:     "Measure a database on this machine",
		Long:      long + benchLong,
		ValidArgs: names,
		Example: `  lightning bench
  lightning bench fillrandom readrandom --num 10000000 --duration 30s --dir /mnt/disk
  lightning bench readrandom --threads 4 --distribution zipf
  lightning bench fillseq --sync full -o gobench --count 10 >new.txt`,
	}
	f := cmd.Flags()
	short := [benchNumbers]string{benchNum: "n", benchThreads: "j"}
	for i := range benchFlags {
		n := &benchFlags[i]
		f.Int64VarP(&b.numbers[i], n.name, short[i], n.standard, n.usage)
	}
	f.DurationVar(&b.duration, "duration", 3*time.Second, "how long a workload runs at most")
	f.StringVar(&b.distribution, "distribution", "uniform", "how likely keys are: uniform, zipf (exponent 0.99)")
	f.StringVar(&b.compression, "compression", "none", "none, s2 (fast) or zstd (small)")
	f.StringVar(&b.parent, "dir", "", "make the database in a new directory in `DIR` (default the system's for temporary files)")
	f.StringVar(&b.db, "db", "", "make the database in `DIR`, which must be new or empty, and keep it")
	f.StringVar(&b.progress, "progress", "auto", "progress on standard error: auto (on a terminal), json (one object a second), none")
	syncMode := syncFlag(cmd, engine.SyncNormal)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if b.sync, err = syncMode(); err != nil {
			return err
		}
		b.cmd = cmd
		return b.run(cmd.Context(), args)
	}
	return cmd
}

type bench struct {
	app                       *app
	cmd                       *cobra.Command
	numbers                   [benchNumbers]int64
	duration                  time.Duration
	distribution, compression string
	parent, db, progress      string
	sync                      engine.SyncMode

	form     string       // of output
	finished atomic.Int64 // workloads
	results  []*workload.Result
}

func (b *bench) run(ctx context.Context, args []string) (err error) {
	if b.form, err = b.app.format(formatTable, formatTable, formatJSON, formatGobench); err != nil {
		return err
	}
	list, err := workloads(args)
	if err != nil {
		return err
	}
	o, err := b.options()
	if err != nil {
		return err
	}
	dir := b.db
	if dir != "" {
		dir, err = b.vacant()
	} else if dir, err = scratch("bench", b.parent); err == nil {
		defer func() {
			if removeErr := workload.Remove(dir); err == nil {
				err = removeErr
			}
		}()
	}
	if err != nil {
		return err
	}
	if parent := filepath.Dir(dir); workload.InMemory(parent) {
		b.app.Note("%s is kept in memory, where a sync costs nothing: --dir names a directory on a disk", parent)
	}
	return b.measure(ctx, workload.NewRunner(dir, o), list)
}

// workloads returns those that the arguments name, with blanks or commas
// between.
func workloads(args []string) ([]*workload.Workload, error) {
	names := workload.Default
	if len(args) > 0 {
		names = strings.Split(strings.Join(args, ","), ",")
	}
	list := make([]*workload.Workload, len(names))
	for i, name := range names {
		if list[i] = workload.Find(name); list[i] == nil {
			return nil, usagef("unknown workload %s; %s", dump.Printable([]byte(name)), nearWorkload(name))
		}
	}
	return list, nil
}

// nearWorkload says what to do about a name that is none.
func nearWorkload(name string) string {
	all := cobra.Command{SuggestionsMinimumDistance: 3}
	for i := range workload.All {
		all.AddCommand(&cobra.Command{Use: workload.All[i].Name, Run: func(*cobra.Command, []string) {}})
	}
	if near := all.SuggestionsFor(name); name != "" && len(near) > 0 {
		return "did you mean: " + strings.Join(near, ", ")
	}
	if _, err := os.Stat(name); err == nil {
		return "bench makes a database of its own, where --db says"
	}
	return "see: lightning bench --help"
}

// options reads the flags.
func (b *bench) options() (*workload.Options, error) {
	for i, n := range b.numbers {
		if f := &benchFlags[i]; n < f.least || n > f.most {
			return nil, usagef("--%s %d: use %d to %d", f.name, n, f.least, f.most)
		}
	}
	n := &b.numbers
	if n[benchOps] == 0 {
		n[benchOps] = n[benchNum]
	}
	compression, err := engine.ParseCompression(b.compression)
	keys := workload.MaxKeys(int(n[benchKeySize]))
	// Half of the largest commit: its log record is a little longer than this.
	commit := max(n[benchBatch], 1) * (n[benchKeySize] + n[benchValueSize])
	switch {
	case err != nil:
		return nil, usagef("--compression: %v", err)
	case uint64(n[benchNum]) > keys:
		return nil, usagef("--num %d: there are %d keys of --key-size %d", n[benchNum], keys, n[benchKeySize])
	case commit > engine.MaxCommitSize/2:
		return nil, usagef("--batch %d: a commit of such keys and values is too large", n[benchBatch])
	case b.duration <= 0:
		return nil, usagef("--duration %v: use more than 0", b.duration)
	case b.distribution != "uniform" && b.distribution != "zipf":
		return nil, usagef("--distribution %s: use uniform, zipf", b.distribution)
	case b.db != "" && b.parent != "":
		return nil, usagef("--db and --dir: choose one")
	case b.parent == "" && b.cmd.Flags().Changed("dir"):
		return nil, usagef("--dir is empty: name a directory")
	case b.db == "" && b.cmd.Flags().Changed("db"):
		return nil, usagef("--db is empty: name a directory")
	}
	return &workload.Options{
		Keys: uint64(n[benchNum]), Ops: uint64(n[benchOps]), Duration: b.duration, Threads: int(n[benchThreads]),
		KeySize: int(n[benchKeySize]), ValueSize: int(n[benchValueSize]), Compressible: int(n[benchCompressible]),
		Batch: int(n[benchBatch]), Nexts: int(n[benchNexts]), Reads: int(n[benchReads]),
		Zipf: b.distribution == "zipf", Seed: uint64(n[benchSeed]),
		Sync: b.sync, CacheBytes: n[benchCache] << 20, Compression: compression,
		Filling: func() {
			b.app.Note("writing %s before the first workload, not measured", ui.Plural(n[benchNum], "key"))
		},
	}, nil
}

// vacant returns the directory that --db names, where there is nothing in it.
func (b *bench) vacant() (string, error) {
	dir, err := b.app.path(b.db)
	if err != nil {
		return "", err
	}
	names, err := vfs.OS().List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if len(names) > 0 {
		err = hinted(fmt.Errorf("%s is not empty: %w", dir, fs.ErrExist), "bench writes only where nothing is")
	}
	if err == nil {
		err = outside(dir)
	}
	return dir, err
}

// measure runs the workloads and prints what was measured, also where an error
// or a signal ends them.
func (b *bench) measure(ctx context.Context, runner *workload.Runner, list []*workload.Workload) error {
	count := int(b.numbers[benchCount])
	bar, err := b.app.StartProgress(b.progress, func() ui.State {
		name, ops := runner.State()
		done, of := b.finished.Load(), len(list)*count
		return ui.State{
			Text: fmt.Sprintf("%s  %d operations  (%d of %d finished)", name, ops, done, of),
			JSON: fmt.Sprintf(`{"message_type":"status","workload":"%s","operations":%d,"finished":%d,"workloads":%d}`, name, ops, done, of),
		}
	})
	if err != nil {
		return usageError{err.Error()}
	}
	err = runner.Run(ctx, list, count, b.report)
	if closeErr := runner.Close(); err == nil {
		err = closeErr
	}
	bar.Stop()
	if printErr := b.print(); err == nil {
		err = printErr
	}
	return err
}
