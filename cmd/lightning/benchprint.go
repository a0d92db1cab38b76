package main

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"

	"github.com/lightning-db/lightning/internal/ui"
	"github.com/lightning-db/lightning/stress/workload"
)

// figures are what is printed of a result: under a name in JSON, in a column of
// the table, with a unit in the format of go test. Where one of these is empty
// the figure is not in that form.
var figures = [workload.Figures]struct {
	json, column, unit string
	scale              float64 // of the column; 0: a whole number; 1: not one
}{
	workload.Ops:        {"operations", "operations", "", 0},
	workload.Seconds:    {"seconds", "seconds", "", 1},
	workload.OpsRate:    {"ops_per_second", "ops/s", "", 0},
	workload.NsPerOp:    {"ns_per_op", "ns/op", "ns/op", 1},
	workload.MBRate:     {"mb_per_second", "MB/s", "MB/s", 1},
	workload.CPUPerOp:   {"cpu_ns_per_op", "CPU ns/op", "cpu-ns/op", 1},
	workload.Median:     {"p50_ns", "p50 µs", "p50-ns", 1e-3},
	workload.P99:        {"p99_ns", "p99 µs", "p99-ns", 1e-3},
	workload.P999:       {"p999_ns", "p99.9 µs", "p99.9-ns", 1e-3},
	workload.Longest:    {"max_ns", "max µs", "max-ns", 1e-3},
	workload.Found:      {"found", "found", "found", 0},
	workload.Missing:    {"missing", "missing", "", 0},
	workload.SettleTime: {"settle_seconds", "", "", 1},
}

// report takes the result of a workload that is done.
func (b *bench) report(r *workload.Result) error {
	if b.finished.Add(1) == 1 && b.form == formatGobench {
		b.gobenchHead()
	}
	if b.form == formatGobench {
		b.gobench(r)
		var err error
		b.app.Aside(func() { err = b.app.out.Flush() })
		return err
	}
	b.results = append(b.results, r)
	return nil
}

func (b *bench) print() error {
	if len(b.results) == 0 { // it failed before there was one
		return nil
	}
	switch b.form {
	case formatJSON:
		return b.app.printJSON(b.object())
	case formatTable:
		return b.table()
	}
	return nil
}

// machine is what the figures were measured on.
func machine() ui.Object {
	o := with(nil, "goos", runtime.GOOS)
	o = with(o, "goarch", runtime.GOARCH)
	o = with(o, "cpu", workload.CPUName())
	o = with(o, "processors", runtime.GOMAXPROCS(0))
	o = with(o, "go", runtime.Version())
	return with(o, "version", version)
}

// with returns o with another member.
//
//go:noinline // or it is compiled in ten places, none of them hot
func with(o ui.Object, name string, value any) ui.Object {
	return append(o, ui.Member{Name: name, Value: value})
}

// settings are the flags that the figures depend on.
func (b *bench) settings() ui.Object {
	var settings ui.Object
	add := func(name string) {
		text := b.cmd.Flags().Lookup(name).Value.String()
		var value any = text
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			value = n
		}
		settings = with(settings, strings.ReplaceAll(name, "-", "_"), value)
	}
	for _, name := range [...]string{"sync", "distribution", "compression", "duration"} {
		add(name)
	}
	for i := range benchFlags {
		if i != benchCount {
			add(benchFlags[i].name)
		}
	}
	return settings
}

func (b *bench) object() ui.Object {
	results := make([]ui.Object, len(b.results))
	for i, r := range b.results {
		v := with(nil, "workload", r.Workload.Name)
		if r.Writes() {
			v = with(v, "sync", r.Sync.String())
		}
		for i, f := range r.Figures {
			var value any = f
			if figures[i].scale != 1 {
				value = int64(f)
			}
			if f >= 0 {
				v = with(v, figures[i].json, value)
			}
		}
		results[i] = v
	}
	return with(with(with(nil, "machine", machine()), "options", b.settings()), "results", results)
}

// table prints what was measured under what it was measured on.
func (b *bench) table() error {
	b.members(machine(), "%s %v", ", ")
	b.members(b.settings(), "%s %v", ", ")
	rows := make([][]string, len(b.results)+1)
	rows[0] = []string{"workload", "sync"}
	for i, r := range b.results {
		rows[i+1] = []string{r.Workload.Name, ""}
		if r.Writes() {
			rows[i+1][1] = r.Sync.String()
		}
	}
	for i := range figures {
		b.column(rows, i)
	}
	return ui.Table(b.app.out, b.app.Width(), rows[0], rows[1:])
}

// column adds the column of a figure, its numbers one below the other.
func (b *bench) column(rows [][]string, figure int) {
	f := &figures[figure]
	if f.column == "" {
		return
	}
	width := 0
	for i := range rows {
		cell := f.column
		if i > 0 {
			cell = number(b.results[i-1].Figures[figure], f.scale)
		}
		rows[i] = append(rows[i], cell)
		width = max(width, ui.CellWidth(cell))
	}
	for _, row := range rows {
		last := &row[len(row)-1]
		*last = fmt.Sprintf("%*s", width, *last)
	}
}

// number says a number, where there is one, with as many digits as mean
// something.
func number(value, scale float64) string {
	if value < 0 {
		return ""
	}
	places := 0
	if scale > 0 {
		value *= scale
		switch {
		case value < 10:
			places = 2
		case value < 1000:
			places = 1
		}
	}
	if places == 0 {
		return ui.Count(int64(value + 0.5))
	}
	return strconv.FormatFloat(value, 'f', places, 64)
}

// gobenchHead prints what benchstat tells apart what cannot be compared by.
func (b *bench) gobenchHead() {
	b.app.out.WriteString("pkg: github.com/lightning-db/lightning\n")
	b.members(machine()[:3], "%s: %v", "\n")
	b.members(b.settings(), "%s: %v", "\n")
}

// members prints names and values, and a line end.
func (b *bench) members(o ui.Object, format, between string) {
	for i, m := range o {
		if i > 0 {
			b.app.out.WriteString(between)
		}
		fmt.Fprintf(b.app.out, format, m.Name, m.Value)
	}
	b.app.out.WriteByte('\n')
}

// gobench prints a result as go test -bench does.
func (b *bench) gobench(r *workload.Result) {
	name := r.Workload.Name
	fmt.Fprintf(b.app.out, "Benchmark%c%s/threads=%d", name[0]-'a'+'A', name[1:], b.numbers[benchThreads])
	if n := runtime.GOMAXPROCS(0); n > 1 {
		fmt.Fprintf(b.app.out, "-%d", n)
	}
	fmt.Fprintf(b.app.out, "\t%.0f", r.Figures[workload.Ops])
	for i, f := range r.Figures {
		if unit := figures[i].unit; unit != "" && f >= 0 {
			fmt.Fprintf(b.app.out, "\t%.2f %s", f, unit)
		}
	}
	b.app.out.WriteByte('\n')
}
