// Package report keeps the results of the comparison and draws them: tables
// in docs/PERFORMANCE.md and docs/BENCHMARKS.md, charts in docs/charts.
package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/lightning-db/lightning/bench/internal/cell"
)

// Run is one run of the comparison.
type Run struct {
	ID      string // when it began
	Commit  string // of the sources, with "-dirty" behind it where they differ; empty: unknown
	Machine string
	Keys    int
	Cache   int64
	Rounds  int
	Seconds float64
	Warm    float64
	Cap     float64
	Results []cell.Result `json:",omitempty"`
}

// line is a line of the file of results: a run, or a result of the run before.
type line struct {
	Run    *Run         `json:",omitempty"`
	Result *cell.Result `json:",omitempty"`
}

// Results is a file that results are appended to.
type Results struct {
	file *os.File
}

// whole is text without a line at its end that was not written to its end: the
// disk was full, or the machine went down.
func whole(text []byte) []byte { return text[:bytes.LastIndexByte(text, '\n')+1] }

// Append opens a file of results for the results of a run.
func Append(path string, run Run) (*Results, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, err
	}
	if n := len(whole(text)); n < len(text) {
		if err := file.Truncate(int64(n)); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
	r := &Results{file}
	if err := json.NewEncoder(file).Encode(line{Run: &run}); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return r, nil
}

// Add appends a result.
func (r *Results) Add(result cell.Result) error {
	return json.NewEncoder(r.file).Encode(line{Result: &result})
}

// Close closes the file.
func (r *Results) Close() error { return r.file.Close() }

// Read reads the runs of a file of results, in their order.
func Read(path string) ([]*Run, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: there are no results yet", path)
	}
	if err != nil {
		return nil, err
	}
	var runs []*Run
	n := 0
	for text := range bytes.Lines(whole(text)) {
		n++
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		switch {
		case l.Run != nil:
			runs = append(runs, l.Run)
		case l.Result != nil && len(runs) > 0:
			run := runs[len(runs)-1]
			run.Results = append(run.Results, *l.Result)
		default:
			return nil, fmt.Errorf("%s:%d: neither a run nor a result of one", path, n)
		}
	}
	return runs, nil
}

// Figures are the medians of a cell over the rounds of a run.
type Figures struct {
	cell.Result
	Run    *Run
	Rounds int // that did not fail
	Failed int
}

// Table is the figures by workload and peer.
type Table map[string]map[string]*Figures

// Summarize takes for each workload the medians of the newest run that has it,
// for all peers: what stands in a row was measured in turns. Only runs on that
// many keys count.
func Summarize(runs []*Run, keys int) Table {
	table := Table{}
	for _, run := range runs {
		if run.Keys != keys {
			continue
		}
		cells := map[[2]string][]cell.Result{}
		for _, r := range run.Results {
			id := [2]string{r.Workload, r.Peer}
			cells[id] = append(cells[id], r)
		}
		for id := range cells {
			table[id[0]] = map[string]*Figures{}
		}
		for id, results := range cells {
			table[id[0]][id[1]] = medians(run, results)
		}
	}
	return table
}

func medians(run *Run, results []cell.Result) *Figures {
	f := &Figures{Run: run, Result: results[0]}
	var good []cell.Result
	for _, r := range results {
		if r.Error == "" {
			good = append(good, r)
		} else {
			f.Error = r.Error
		}
	}
	f.Rounds, f.Failed = len(good), len(results)-len(good)
	if len(good) == 0 {
		return f
	}
	of := func(field func(cell.Result) float64) float64 {
		values := make([]float64, len(good))
		for i, r := range good {
			values[i] = field(r)
		}
		return median(values)
	}
	f.Version = good[0].Version
	f.Value = of(func(r cell.Result) float64 { return r.Value })
	f.Ops = int(of(func(r cell.Result) float64 { return float64(r.Ops) }))
	f.Seconds = of(func(r cell.Result) float64 { return r.Seconds })
	f.P50 = of(func(r cell.Result) float64 { return r.P50 })
	f.P99 = of(func(r cell.Result) float64 { return r.P99 })
	f.P999 = of(func(r cell.Result) float64 { return r.P999 })
	f.CPU = of(func(r cell.Result) float64 { return r.CPU })
	f.Settle = of(func(r cell.Result) float64 { return r.Settle })
	f.First = of(func(r cell.Result) float64 { return r.First })
	f.Last = of(func(r cell.Result) float64 { return r.Last })
	f.PeakRSS = int64(of(func(r cell.Result) float64 { return float64(r.PeakRSS) }))
	f.PeakAnon = int64(of(func(r cell.Result) float64 { return float64(r.PeakAnon) }))
	f.Disk = int64(of(func(r cell.Result) float64 { return float64(r.Disk) }))
	f.Conflicts = int(of(func(r cell.Result) float64 { return float64(r.Conflicts) }))
	f.Capped = slices.ContainsFunc(good, func(r cell.Result) bool { return r.Capped })
	return f
}

// median sorts values and returns the middle one, or the mean of both.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
