package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/bench/internal/cell"
	"github.com/lightning-db/lightning/bench/internal/workload"
)

var update = flag.Bool("update", false, "write the golden files anew")

const keys = 1000

// record writes runs whose figures are made up: of two runs the newer counts,
// of its rounds the median.
func record(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "results.jsonl")
	for _, id := range []string{"2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"} {
		results, err := Append(path, Run{ID: id, Machine: "processors: 2 of a test", Commit: "0123456789ab", Keys: keys, Cache: 256 << 20, Rounds: 3, Seconds: 1, Cap: 8})
		if err != nil {
			t.Fatal(err)
		}
		add := func(r cell.Result) {
			if err := results.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		scale := 1.0
		if strings.HasPrefix(id, "2026-01") {
			scale = 7 // all of it is replaced, but for growth
			for i, name := range []string{"growget1", "growget2", "growget3", "growput1", "growput2", "growscan1"} {
				for _, peer := range []string{"lightning", "lmdb", "pebble"} {
					add(cell.Result{Peer: peer, Workload: name, Round: 1, Value: 1e6 / float64(i+1) / float64(len(peer))})
				}
			}
		}
		for round := 1; round <= 3; round++ {
			v := scale * []float64{100_000, 90_000, 2_000_000}[round-1]
			add(cell.Result{Peer: "lightning", Version: "this tree", Workload: "fillrandom", Round: round, Value: 3.5 * v, Ops: 1000, P50: 250, P99: 5500, P999: 2.5e6, CPU: 1234, PeakRSS: 50e6, PeakAnon: 20e6, Disk: 46e6, Settle: 0.35})
			add(cell.Result{Peer: "pebble", Version: "v0.0.1", Workload: "fillrandom", Round: round, Value: v, Ops: 1000, P50: 400, Capped: true})
			add(cell.Result{Peer: "bbolt", Version: "v0.0.2", Workload: "fillrandom", Round: round, Error: "open: no | such file"})
			add(cell.Result{Peer: "lightning", Workload: "tx", Round: round, Value: 50_000, Ops: 1000, Conflicts: 123})
			add(cell.Result{Peer: "pebble", Workload: "tx", Round: round, Value: 75_000, Ops: 1000})
			add(cell.Result{Peer: "lightning", Workload: "cleanopen", Round: round, Value: 0.004})
			add(cell.Result{Peer: "pebble", Workload: "cleanopen", Round: round, Value: 0.002})
			add(cell.Result{Peer: "lightning", Workload: "hotkey", Round: round, Value: 15e6})
		}
		if err := results.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// A run on another number of keys is none of this.
	results, err := Append(path, Run{ID: "2026-03-01T00:00:00Z", Keys: 5})
	if err == nil {
		err = errors.Join(results.Add(cell.Result{Peer: "lightning", Workload: "tx", Value: 1}), results.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWrite_Golden: the pages and charts are those in testdata; `go test
// -update` writes them anew.
func TestWrite_Golden(t *testing.T) {
	runs, err := Read(record(t))
	if err != nil {
		t.Fatal(err)
	}
	docs := t.TempDir()
	page := filepath.Join(docs, "PERFORMANCE.md")
	before := "# Performance\n\nKept.\n\n" + begin + "\nreplaced\n" + end + "\n\nKept too.\n"
	if err := os.WriteFile(page, []byte(before), 0o666); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it must change nothing
		if err := Write(docs, runs, workload.List(keys)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"PERFORMANCE.md", "BENCHMARKS.md", "charts/fill.svg", "charts/growth.svg", "charts/open.svg"} {
		have, err := os.ReadFile(filepath.Join(docs, name))
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", filepath.Base(name)+".golden")
		if *update {
			if err := os.WriteFile(golden, have, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, want) {
			t.Errorf("%s is not %s:\n%s", name, golden, have)
		}
		if strings.HasSuffix(name, ".svg") {
			wellFormed(t, name, have)
		}
	}
}

// TestSummarize_ARowIsFromOneRun: a newer run of some peers does not put their
// figures beside older ones of others.
func TestSummarize_ARowIsFromOneRun(t *testing.T) {
	runs := []*Run{
		{ID: "1", Keys: keys, Rounds: 3, Results: []cell.Result{{Peer: "lightning", Workload: "tx", Value: 1}, {Peer: "lmdb", Workload: "tx", Value: 2}, {Peer: "lmdb", Workload: "mixed", Value: 3}}},
		{ID: "2", Keys: keys, Rounds: 3, Results: []cell.Result{{Peer: "lightning", Workload: "tx", Value: 5}}},
	}
	table := Summarize(runs, keys)
	if tx := table["tx"]; len(tx) != 1 || tx["lightning"].Value != 5 {
		t.Errorf("of tx there are %d figures, want the newer one of lightning alone", len(tx))
	}
	if f := table["mixed"]["lmdb"]; f == nil || f.Value != 3 {
		t.Error("a workload that is in the older run only is missing")
	}
}

// TestFigure_SaysWhatIsMissing: rounds that were not run, and those that failed.
func TestFigure_SaysWhatIsMissing(t *testing.T) {
	w := workload.List(keys)[0]
	run := &Run{Rounds: 3}
	for want, results := range map[string][]cell.Result{
		"2.00":                   {{Value: 1}, {Value: 3}, {Value: 2}},
		"2.00 (2 of 3 rounds)":   {{Value: 1}, {Value: 3}},
		"1.00 (1 of 3 failed)":   {{Value: 1}, {Value: 1}, {Error: "x"}},
		"3.00 ⏱ (1 of 3 rounds)": {{Value: 3, Capped: true}},
		"failed":                 {{Error: "x"}},
	} {
		if have := figure(w, medians(run, results)); have != want {
			t.Errorf("the figure is %q, want %q", have, want)
		}
	}
}

func wellFormed(t *testing.T, name string, svg []byte) {
	t.Helper()
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

func TestWrite_WantsTheMarks(t *testing.T) {
	runs, err := Read(record(t))
	if err != nil {
		t.Fatal(err)
	}
	docs := t.TempDir()
	page := filepath.Join(docs, "PERFORMANCE.md")
	if err := os.WriteFile(page, []byte("# Performance\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := Write(docs, runs, workload.List(keys)); err == nil {
		t.Error("Write wrote to a page without the marks")
	}
	if text, err := os.ReadFile(page); err != nil || string(text) != "# Performance\n" {
		t.Errorf("the page is %q now, %v", text, err)
	}
}

func TestRead_NamesTheBadLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.jsonl")
	if err := os.WriteFile(path, []byte("{\"Run\":{\"ID\":\"1\"}}\n{\"Result\":\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "results.jsonl:2") {
		t.Errorf("Read returns %v: want an error that names line 2", err)
	}
}

// TestAppend_AfterATornLine: a result that did not fit on the disk is none, and
// the next run follows those before it.
func TestAppend_AfterATornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.jsonl")
	for _, id := range []string{"1", "2"} {
		results, err := Append(path, Run{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(results.Add(cell.Result{Peer: "lmdb"}), results.Close()); err != nil {
			t.Fatal(err)
		}
		file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = file.WriteString(`{"Result":{"Peer":"p`)
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
	}
	runs, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(runs) != 2 || len(runs[0].Results) != 1 || len(runs[1].Results) != 1 {
		t.Errorf("there are %d runs, want 2 of a result each", len(runs))
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{
		0.004: "0.00", 1.234: "1.23", 12.34: "12.3", 999: "999", 1234: "1,230", 99_960: "100,000", 123_456: "123,000", 1_234_567: "1.23 M", 12_345_678: "12.3 M",
	} {
		if have := short(v); have != want {
			t.Errorf("short(%v) is %q, want %q", v, have, want)
		}
	}
}
