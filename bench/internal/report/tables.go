package report

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lightning-db/lightning/bench/internal/driver"
	"github.com/lightning-db/lightning/bench/internal/workload"
)

const (
	begin = "<!-- bench:begin -->"
	end   = "<!-- bench:end -->"
	own   = "lightning"
)

// Write writes the report into the folder docs.
func Write(docs string, runs []*Run, all []*workload.Workload) error {
	if len(runs) == 0 {
		return fmt.Errorf("no run in the results")
	}
	r := &report{table: Summarize(runs, keysOf(all)), all: all}
	r.peers = r.present()
	if len(r.peers) == 0 {
		return fmt.Errorf("no run of %d keys in the results", keysOf(all))
	}
	page := filepath.Join(docs, "PERFORMANCE.md")
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	text, err = between(text, r.overview())
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	if err := os.WriteFile(page, text, 0o666); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(docs, "BENCHMARKS.md"), r.details(), 0o666); err != nil {
		return err
	}
	charts := filepath.Join(docs, "charts")
	if err := os.MkdirAll(charts, 0o777); err != nil {
		return err
	}
	for name, svg := range r.charts() {
		if err := os.WriteFile(filepath.Join(charts, name), svg, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// keysOf is how many keys the workloads are for.
func keysOf(all []*workload.Workload) int {
	for _, w := range all {
		if w.Name == "fillseq" {
			return w.Count
		}
	}
	return 0
}

// between puts body between the marks of a page.
func between(page, body []byte) ([]byte, error) {
	before, rest, ok := bytes.Cut(page, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		return nil, fmt.Errorf("it has no %s and %s", begin, end)
	}
	return slices.Concat(before, []byte(begin), []byte("\n\n"), body, []byte("\n"), []byte(end), after), nil
}

type report struct {
	table Table
	all   []*workload.Workload
	peers []string // that have results, Lightning first
}

// present lists the peers that have results.
func (r *report) present() []string {
	var names []string
	for _, d := range driver.All() {
		for _, cells := range r.table {
			if cells[d.Name] != nil {
				names = append(names, d.Name)
				break
			}
		}
	}
	return names
}

// group lists the workloads of a group that have results.
func (r *report) group(name string) []*workload.Workload {
	var rows []*workload.Workload
	for _, w := range r.all {
		if w.Group == name && len(r.table[w.Name]) > 0 {
			rows = append(rows, w)
		}
	}
	return rows
}

// runs lists the runs that the table's figures are from.
func (r *report) runs() []*Run {
	var runs []*Run
	for _, cells := range r.table {
		for _, f := range cells {
			if !slices.Contains(runs, f.Run) {
				runs = append(runs, f.Run)
			}
		}
	}
	slices.SortFunc(runs, func(a, b *Run) int { return strings.Compare(a.ID, b.ID) })
	return runs
}

// measuredIn lists the names of the workloads whose figures are from a run.
func (r *report) measuredIn(run *Run) []string {
	var names []string
	for _, w := range r.all {
		for _, f := range r.table[w.Name] {
			if f.Run == run {
				names = append(names, "`"+w.Name+"`")
				break
			}
		}
	}
	return names
}

// overview is what PERFORMANCE.md shows.
func (r *report) overview() []byte {
	var b bytes.Buffer
	runs := r.runs()
	for _, run := range runs {
		fmt.Fprintf(&b, "Run of %s", run.ID)
		if run.Commit != "" {
			fmt.Fprintf(&b, ", commit %s", run.Commit)
		}
		fmt.Fprintf(&b, ": %s; rounds: %d; %s keys of %d bytes, cache %d MiB; %g s a cell, counted ones at most %g s",
			run.Machine, run.Rounds, grouped(float64(run.Keys)), workload.KeySize, run.Cache>>20, run.Seconds, run.Cap)
		if len(runs) > 1 {
			fmt.Fprintf(&b, "; of it %s", strings.Join(r.measuredIn(run), ", "))
		}
		b.WriteString(".\n\n")
	}
	b.WriteString("Operations a second, but where a unit is given; medians of the rounds; the best of a row is bold. The ratio is that of Lightning to the best peer, more than 1 being better; in brackets what it is to be, ✓ where it is. ⏱ stands where time ran out before the count, so that the rate is of what was done, on a database that did not grow as large. ")
	b.WriteString("Reads, scans, mixed work and transactions start from a copy of a database that was loaded in random order, many keys a commit, and compacted by its own means; all keys, or as many as the time allows, are read once and compared with what was put, and then the work itself runs for a while, before the clock starts. Writes start from an empty database, or where they say over how many keys, from such a copy. Latencies, CPU, memory and disk of each cell are in [BENCHMARKS.md](BENCHMARKS.md).\n\n")
	for _, g := range workload.Groups {
		rows := r.group(g.Name)
		if len(rows) == 0 {
			continue
		}
		fmt.Fprintf(&b, "### %s\n\n", g.Title)
		if chart := chartOf(g.Name); chart != "" {
			fmt.Fprintf(&b, "![%s](charts/%s)\n\n", g.Title, chart)
		}
		switch g.Name {
		case "headline":
			r.headline(&b, rows)
		case "growth": // the chart says it
		default:
			r.rows(&b, rows)
		}
	}
	b.WriteString("### How each peer was configured\n\n")
	b.WriteString("| | version | a commit survives a process crash | fsync a commit | besides | a get | a transaction |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, d := range driver.All() {
		if !slices.Contains(r.peers, d.Name) {
			continue
		}
		n := d.Notes
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", d.Name, r.version(d.Name), n.Crash, n.Full, n.Options, n.Read, n.Tx)
	}
	return b.Bytes()
}

func (r *report) version(peer string) string {
	version, newest := "", ""
	for _, cells := range r.table {
		if f := cells[peer]; f != nil && f.Run.ID >= newest && f.Version != "" {
			version, newest = f.Version, f.Run.ID
		}
	}
	return version
}

// rows writes a table of workloads by peers.
func (r *report) rows(b *bytes.Buffer, rows []*workload.Workload) {
	var peers []string
	for _, p := range r.peers {
		if slices.ContainsFunc(rows, func(w *workload.Workload) bool { return r.table[w.Name][p] != nil }) {
			peers = append(peers, p)
		}
	}
	fmt.Fprintf(b, "| | %s | ratio (to reach) |\n| --- |%s --: |\n", strings.Join(peers, " | "), strings.Repeat(" --: |", len(peers)))
	for _, w := range rows {
		fmt.Fprintf(b, "| %s |", w.Title)
		best := r.best(w, func(string) bool { return true })
		for _, p := range peers {
			text := figure(w, r.table[w.Name][p])
			if p == best {
				text = "**" + text + "**"
			}
			fmt.Fprintf(b, " %s |", text)
		}
		fmt.Fprintf(b, " %s |\n", r.verdict(w))
	}
	b.WriteString("\n")
	for _, w := range rows {
		for _, p := range peers {
			f := r.table[w.Name][p]
			if f != nil && f.First > 0 && w.Group == "large" {
				fmt.Fprintf(b, "%s, %s: %s/s in the first million, %s/s in the last full one.\n\n", w.Title, p, short(f.First), short(f.Last))
			}
		}
	}
}

// best is the peer with the best figure among those that may be it.
func (r *report) best(w *workload.Workload, may func(peer string) bool) string {
	best, bestValue := "", 0.0
	for _, p := range r.peers {
		f := r.table[w.Name][p]
		if f == nil || f.Rounds == 0 || !may(p) {
			continue
		}
		if best == "" || (f.Value > bestValue) != w.Kind.Lower() {
			best, bestValue = p, f.Value
		}
	}
	return best
}

// ratio is Lightning's figure by the best peer's, turned round where lower is
// better; 0 when there is no such ratio.
func (r *report) ratio(w *workload.Workload) float64 {
	f := r.table[w.Name][own]
	best := r.best(w, func(p string) bool { return p != own })
	if f == nil || f.Rounds == 0 || best == "" {
		return 0
	}
	ratio := f.Value / r.table[w.Name][best].Value
	if w.Kind.Lower() {
		ratio = 1 / ratio
	}
	return ratio
}

// verdict writes the ratio, the target, and whether it is reached.
func (r *report) verdict(w *workload.Workload) string {
	var parts []string
	ratio := r.ratio(w)
	if ratio > 0 {
		parts = append(parts, decimals(ratio))
	}
	switch f := r.table[w.Name][own]; {
	case w.Target > 0:
		parts = append(parts, "("+decimals(w.Target)+")")
		if ratio >= w.Target {
			parts = append(parts, "✓")
		}
	case w.Limit > 0:
		parts = append(parts, "("+value(w.Kind, w.Limit)+")")
		if f != nil && f.Rounds > 0 && (f.Value >= w.Limit) != w.Kind.Lower() {
			parts = append(parts, "✓")
		}
	}
	return strings.Join(parts, " ")
}

// headline writes Lightning's own figures.
func (r *report) headline(b *bytes.Buffer, rows []*workload.Workload) {
	b.WriteString("| Lightning | a second | to reach | times that |\n| --- | --: | --: | --: |\n")
	for _, w := range rows {
		f := r.table[w.Name][own]
		if f == nil {
			continue
		}
		times := ""
		if f.Rounds > 0 {
			times = decimals(f.Value / w.Limit)
			if f.Value >= w.Limit {
				times += " ✓"
			}
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", w.Title, figure(w, f), value(w.Kind, w.Limit), times)
	}
	b.WriteString("\n")
}

// figure writes the figure of a cell, and what there is to know about it.
func figure(w *workload.Workload, f *Figures) string {
	if f == nil {
		return ""
	}
	if f.Rounds == 0 {
		return "failed"
	}
	text := value(w.Kind, f.Value)
	if f.Capped {
		text += " ⏱"
	}
	if f.Failed > 0 {
		text += fmt.Sprintf(" (%d of %d failed)", f.Failed, f.Failed+f.Rounds)
	}
	if n := f.Failed + f.Rounds; n < f.Run.Rounds && !w.Once() {
		text += fmt.Sprintf(" (%d of %d rounds)", n, f.Run.Rounds)
	}
	return text
}

func value(k workload.Kind, v float64) string {
	switch k {
	case workload.CleanOpen, workload.CrashOpen, workload.Command:
		return short(v*1e3) + " ms"
	case workload.Settled, workload.Compacted, workload.Memory:
		return short(v/1e6) + " MB"
	}
	return short(v)
}

// short writes a number with three digits that count.
func short(v float64) string {
	switch {
	case v >= 1e7:
		return fmt.Sprintf("%.1f M", v/1e6)
	case v >= 1e6:
		return fmt.Sprintf("%.2f M", v/1e6)
	case v >= 1000:
		digits := math.Pow(10, math.Floor(math.Log10(v))-2)
		return grouped(math.Round(v/digits) * digits)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// grouped writes a whole number with commas.
func grouped(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func decimals(ratio float64) string {
	if ratio >= 10 {
		return fmt.Sprintf("%.0f×", ratio)
	}
	if ratio < 0.1 {
		return fmt.Sprintf("%.1g×", ratio)
	}
	return fmt.Sprintf("%.2f×", ratio)
}
