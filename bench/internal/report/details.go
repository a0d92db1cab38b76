package report

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/lightning-db/lightning/bench/internal/workload"
)

// details is BENCHMARKS.md: all that was measured.
func (r *report) details() []byte {
	var b bytes.Buffer
	b.WriteString("# Every cell of the comparison\n\n")
	b.WriteString("Written by `make bench-peers`; [PERFORMANCE.md](PERFORMANCE.md) has the overview, and how each peer was configured. Medians of the rounds. Latencies are of single operations, of a commit where many puts are one, and of a whole scan; the histogram is exact to 1.6 %. Where one takes less than 2 µs only one in 16 is timed, and where there are fewer than a thousand, p99.9 is about the longest. CPU is user and system time of the whole process for an operation, where workers do nothing but write with the background work that they left for later. Peak memory is the resident set, some 35 MB of it the benchmark's own, which for databases that map their files (LMDB, bbolt, Badger, SQLite) holds pages of the page cache; of it, anonymous memory was sampled. Disk is what is allocated after closing.\n\n")
	for _, g := range workload.Groups {
		rows := r.group(g.Name)
		if len(rows) == 0 {
			continue
		}
		fmt.Fprintf(&b, "## %s\n\n", g.Title)
		for _, w := range rows {
			fmt.Fprintf(&b, "### %s\n\n`%s`, %s, %s\n\n", w.Title, w.Name, w.Durability, writers(w.Workers))
			b.WriteString("| | figure | p50 | p99 | p99.9 | CPU | peak memory | of it anonymous | disk | |\n| --- | --: | --: | --: | --: | --: | --: | --: | --: | --- |\n")
			for _, p := range r.peers {
				if f := r.table[w.Name][p]; f != nil {
					fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", p, figure(w, f),
						duration(f.P50), duration(f.P99), duration(f.P999), duration(f.CPU),
						megabytes(f.PeakRSS), megabytes(f.PeakAnon), megabytes(f.Disk), remarks(f))
				}
			}
			b.WriteString("\n")
		}
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

func writers(n int) string {
	if n == 1 {
		return "1 worker"
	}
	return fmt.Sprintf("%d workers", n)
}

func remarks(f *Figures) string {
	var said []string
	if f.Error != "" {
		said = append(said, "failed: "+strings.ReplaceAll(f.Error, "|", "/"))
	}
	if f.Settle >= 0.1 {
		said = append(said, fmt.Sprintf("then %.1f s to settle and close", f.Settle))
	}
	if f.Conflicts > 0 {
		said = append(said, fmt.Sprintf("%.1f %% conflicts", 100*float64(f.Conflicts)/float64(f.Ops)))
	}
	return strings.Join(said, "; ")
}

// duration writes nanoseconds.
func duration(ns float64) string {
	switch {
	case ns == 0:
		return ""
	case ns < 1e3:
		return fmt.Sprintf("%.0f ns", ns)
	case ns < 1e6:
		return short(ns/1e3) + " µs"
	case ns < 1e9:
		return short(ns/1e6) + " ms"
	}
	return short(ns/1e9) + " s"
}

func megabytes(n int64) string {
	if n == 0 {
		return ""
	}
	return short(float64(n)/1e6) + " MB"
}
