// Command bench compares Lightning with other embedded databases. `make
// bench-peers` in the folder above runs it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/lightning-db/lightning/bench/internal/cell"
	"github.com/lightning-db/lightning/bench/internal/driver"
	"github.com/lightning-db/lightning/bench/internal/report"
	"github.com/lightning-db/lightning/bench/internal/session"
	"github.com/lightning-db/lightning/bench/internal/workload"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// Where results go.
const (
	published    = "results.jsonl"
	tried        = "../bin/bench-trial.jsonl"
	standardKeys = 1_000_000
)

func run(ctx context.Context) error {
	var (
		peers      = flag.String("peers", "", "comma-separated peers (default: all that this program has)")
		workloads  = flag.String("workloads", "", "comma-separated workloads or groups (default: all but the large ones)")
		large      = flag.Bool("large", false, "also the workloads of ten times as many keys (20 minutes more)")
		rounds     = flag.Int("rounds", 3, "how often each cell is run; the tables show medians")
		keys       = flag.Int("keys", standardKeys, "keys of the databases")
		cache      = flag.Int64("cache", 256<<20, "cache of the databases in bytes")
		seconds    = flag.Float64("seconds", 1, "how long a cell that is not counted is measured; large ones 3 times as long")
		warm       = flag.Float64("warm", 0.3, "how long it gets each key, and then runs, before; large ones 8 times as long")
		capSeconds = flag.Float64("cap", 8, "after how many seconds a counted cell stops; large ones 12 times as long")
		dir        = flag.String("dir", "../bin/bench", "where databases are made, on the disk to be measured")
		out        = flag.String("out", published, "results are appended to this file (of a trial: "+tried+")")
		docs       = flag.String("docs", "../docs", "the folder of PERFORMANCE.md and charts/; empty, as of a trial: no report")
		reportOnly = flag.Bool("report-only", false, "draw the report from the results, run nothing")
		list       = flag.Bool("list", false, "list peers and workloads")
		one        = flag.String("cell", "", "run one cell in this process (what the program calls itself with)")
	)
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("what is %q? bench takes flags only", flag.Arg(0))
	}
	if *one != "" {
		return runCell(*one)
	}
	if *keys < 10 || *rounds < 1 || *seconds <= 0 || *warm < 0 || *capSeconds <= 0 || *cache < 1<<20 {
		return errors.New("-keys from 10, -rounds from 1, -cache from 1048576, and times above 0, please")
	}
	// What is measured otherwise than what is published is not put beside it.
	if trial := *keys != standardKeys || *rounds < 3 || *peers != ""; trial && !*reportOnly && !*list {
		given := map[string]bool{}
		flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
		if !given["out"] {
			*out = tried
		}
		if !given["docs"] {
			*docs = ""
		}
		fmt.Fprintf(os.Stderr, "a trial, with fewer rounds, peers or other keys than are published: results go to %s\n", *out)
	}
	all := workload.List(*keys)
	if *list {
		return printList(all)
	}
	if *reportOnly {
		return writeReport(*docs, *out, all)
	}
	chosen := make([]*workload.Workload, 0, len(all))
	for _, w := range all {
		if *large || !w.Long {
			chosen = append(chosen, w)
		}
	}
	var err error
	if *workloads != "" {
		if chosen, err = workload.Find(all, strings.Split(*workloads, ",")); err != nil {
			return err
		}
	}
	available := driver.Available()
	if *peers != "" {
		available = nil
		for name := range strings.SplitSeq(*peers, ",") {
			d, err := driver.Find(name)
			if err != nil {
				return err
			}
			available = append(available, d)
		}
	} else {
		for _, d := range driver.All() {
			if d.Missing != "" {
				fmt.Fprintf(os.Stderr, "%s is left out: %s\n", d.Name, d.Missing)
			}
		}
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if *dir, err = filepath.Abs(*dir); err != nil {
		return err
	}
	results, err := report.Append(*out, report.Run{
		ID: time.Now().UTC().Format("2006-01-02T15:04:05Z"), Machine: session.Machine(),
		Commit: commit(), Keys: *keys, Cache: *cache, Rounds: *rounds, Seconds: *seconds, Warm: *warm, Cap: *capSeconds,
	})
	if err != nil {
		return err
	}
	defer results.Close()
	err = session.Run(ctx, session.Options{
		Program:   []string{program, "-cell"},
		Bench:     ".",
		Lightning: "../cmd/lightning",
		Dir:       *dir, Peers: available, Workloads: chosen, Rounds: *rounds, Keys: *keys, Cache: *cache,
		Seconds: *seconds, Warm: *warm, Cap: *capSeconds,
		Progress: os.Stderr, Record: results.Add,
	})
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted; what was measured is in the results, -report-only draws it")
	}
	if err != nil {
		return err
	}
	return writeReport(*docs, *out, all)
}

// commit is that of the sources that this program was built from.
func commit() string {
	info, _ := debug.ReadBuildInfo()
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	id := settings["vcs.revision"]
	id = id[:min(len(id), 12)]
	if settings["vcs.modified"] == "true" {
		id += "-dirty"
	}
	return id
}

// runCell does what a spec says and prints the result.
func runCell(text string) error {
	var spec cell.Spec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return err
	}
	r, err := cell.Run(spec)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func printList(all []*workload.Workload) error {
	for _, d := range driver.All() {
		state := cell.Version(d)
		if d.Missing != "" {
			state = "left out: " + d.Missing
		}
		fmt.Printf("%-10s %s\n", d.Name, state)
	}
	fmt.Println()
	for _, w := range all {
		large := ""
		if w.Long {
			large = " (large)"
		}
		fmt.Printf("%-9s %-15s %s%s\n", w.Group, w.Name, w.Title, large)
	}
	return nil
}

func writeReport(docs, results string, all []*workload.Workload) error {
	if docs == "" {
		return nil
	}
	runs, err := report.Read(results)
	if err != nil {
		return err
	}
	return report.Write(docs, runs, all)
}
