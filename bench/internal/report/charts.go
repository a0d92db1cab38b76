package report

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/lightning-db/lightning/bench/internal/workload"
)

// Charts say the same as the tables: bars on a logarithmic scale, Lightning's
// in a colour of its own, each with its name and figure beside it, so that
// nothing depends on telling colours apart. They are legible on light and dark
// pages.
const style = `<style>
text { font: 11px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 14px; font-weight: 600 }
.row { font-weight: 600 }
.faint { fill: #656d76 }
.peer { fill: #8c959f }
.own { fill: #e36209 }
.grid { stroke: #d0d7de; stroke-width: 1 }
.line { stroke: #6e7781; stroke-width: 1.5; fill: none }
.dashed { stroke-dasharray: 4 3 }
.ownline { stroke: #e36209; stroke-width: 2.5; fill: none }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.faint { fill: #9198a1 }
.peer { fill: #6e7681 }
.own { fill: #f0883e }
.grid { stroke: #3d444d }
.line { stroke: #9198a1 }
.ownline { stroke: #f0883e }
}
</style>
`

// barGroups are the groups that get a chart of bars.
var barGroups = []string{"fill", "sync", "read", "scan", "ycsb2", "ycsb8", "mix", "put", "get", "large", "open"}

// chartOf is the name of a group's chart, or empty.
func chartOf(group string) string {
	if group == "growth" || slices.Contains(barGroups, group) {
		return group + ".svg"
	}
	return ""
}

// charts draws the charts, by file name.
func (r *report) charts() map[string][]byte {
	charts := map[string][]byte{}
	for _, g := range workload.Groups {
		rows := r.group(g.Name)
		switch {
		case len(rows) == 0:
		case g.Name == "growth":
			charts[chartOf(g.Name)] = r.growth(rows)
		case chartOf(g.Name) != "":
			charts[chartOf(g.Name)] = r.bars(g.Title, rows)
		}
	}
	return charts
}

// canvas is an SVG that is being drawn.
type canvas struct{ bytes.Buffer }

func (c *canvas) text(x, y float64, class, anchor, text string) {
	var escaped bytes.Buffer
	xml.EscapeText(&escaped, []byte(strings.ReplaceAll(text, "`", "")))
	fmt.Fprintf(c, `<text x="%.0f" y="%.0f" class="%s" text-anchor="%s">%s</text>`+"\n", x, y, class, anchor, escaped.Bytes())
}

func (c *canvas) line(x1, y1, x2, y2 float64) {
	fmt.Fprintf(c, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="grid"/>`+"\n", x1, y1, x2, y2)
}

// svg is the whole picture.
func (c *canvas) svg(width, height float64, title string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" aria-label="%s">`+"\n", width, height, width, height, title)
	b.WriteString(style)
	b.Write(c.Bytes())
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// Sizes of the charts of bars.
const (
	width    = 760.0
	barLeft  = 90.0
	barRight = 670.0
	barStep  = 14.0
	barSize  = 10.0
	rowHead  = 20.0
	rowGap   = 8.0
	top      = 44.0
)

// bars draws a bar for every figure of a group.
func (r *report) bars(title string, rows []*workload.Workload) []byte {
	low, high := math.Inf(1), 0.0
	for _, w := range rows {
		for _, f := range r.table[w.Name] {
			if f.Rounds > 0 && f.Value > 0 {
				low, high = min(low, f.Value), max(high, f.Value)
			}
		}
	}
	var c canvas
	unit := ", operations a second"
	if rows[0].Kind.Lower() {
		unit = ", shorter is better"
	}
	c.text(10, 20, "title", "start", title+unit)
	c.text(width-10, 20, "faint", "end", "logarithmic scale")
	if high == 0 {
		return c.svg(width, top, title)
	}
	// From the power of ten below the lowest figure, so that it has a bar too.
	from, to := math.Floor(math.Log10(low)-0.1), math.Log10(high)+0.1
	x := func(v float64) float64 {
		return barLeft + (barRight-barLeft)*(math.Log10(v)-from)/(to-from)
	}
	y := top
	for _, w := range rows {
		y += rowHead
		c.text(10, y-6, "row", "start", w.Title)
		for _, p := range r.peers {
			f := r.table[w.Name][p]
			if f == nil {
				continue
			}
			c.text(barLeft-6, y+barSize-1, "faint", "end", p)
			if f.Rounds == 0 || f.Value <= 0 {
				c.text(barLeft+4, y+barSize-1, "faint", "start", "failed")
				y += barStep
				continue
			}
			class := "peer"
			if p == own {
				class = "own"
			}
			fmt.Fprintf(&c, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.0f" class="%s"/>`+"\n", barLeft, y, x(f.Value)-barLeft, barSize, class)
			c.text(x(f.Value)+4, y+barSize-1, "", "start", figure(w, f))
			y += barStep
		}
		y += rowGap
	}
	var grid canvas
	for e := from; e <= to; e++ {
		at := x(math.Pow(10, e))
		grid.line(at, top-6, at, y)
		grid.text(at, top-10, "faint", "middle", scale(rows[0].Kind, e))
	}
	grid.Write(c.Bytes()) // the bars lie over the grid
	return grid.svg(width, y+4, title)
}

// scale writes a power of ten of the figures of a kind.
func scale(k workload.Kind, exponent float64) string {
	switch v := math.Pow(10, exponent); {
	case k.Lower(): // seconds
		return fmt.Sprintf("%g ms", v*1e3)
	case v >= 1e6:
		return grouped(v/1e6) + " M"
	default:
		return grouped(v)
	}
}

// label is a name beside the end of a line.
type label struct {
	y    float64
	name string
}

// spread moves labels apart that would cover one another.
func spread(labels []label) []label {
	const apart = 12
	slices.SortFunc(labels, func(a, b label) int { return cmp.Compare(a.y, b.y) })
	for i := 1; i < len(labels); i++ {
		labels[i].y = max(labels[i].y, labels[i-1].y+apart)
	}
	return labels
}

// growth draws what operations cost as the database grows.
func (r *report) growth(rows []*workload.Workload) []byte {
	const (
		height = 300.0
		bottom = height - 34
		panel  = width / 3
		left   = 48.0 // of a panel, for the scale
		right  = 58.0 // of a panel, for the names
	)
	panels := []struct{ prefix, title string }{
		{"growget", "a get"}, {"growput", "a put"}, {"growscan", "a scanned entry"},
	}
	smallest, largest, low, high := math.Inf(1), 0.0, math.Inf(1), 0.0
	for _, w := range rows {
		smallest, largest = min(smallest, float64(w.Set.Keys)), max(largest, float64(w.Set.Keys))
		for _, f := range r.table[w.Name] {
			if f.Rounds > 0 && f.Value > 0 {
				low, high = min(low, 1e9/f.Value), max(high, 1e9/f.Value)
			}
		}
	}
	var c canvas
	c.text(10, 20, "title", "start", "Nanoseconds for an operation as the database grows")
	c.text(width-10, 20, "faint", "end", "both scales logarithmic")
	if high == 0 || smallest == largest {
		return c.svg(width, top, "Growth")
	}
	from, to := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	for i, p := range panels {
		x0, x1 := float64(i)*panel+left, float64(i+1)*panel-right
		x := func(keys int) float64 {
			return x0 + (x1-x0)*math.Log(float64(keys)/smallest)/math.Log(largest/smallest)
		}
		y := func(ns float64) float64 {
			return bottom - (bottom-top-14)*(math.Log10(ns)-from)/(to-from)
		}
		c.text(x0, top, "row", "start", p.title)
		for e := from; e <= to; e++ {
			c.line(x0, y(math.Pow(10, e)), x1, y(math.Pow(10, e)))
			c.text(x0-4, y(math.Pow(10, e))+4, "faint", "end", grouped(math.Pow(10, e)))
		}
		var labels []label
		lines := 0
		for _, peer := range r.peers {
			var points []string
			lastY := 0.0
			for _, w := range rows {
				f := r.table[w.Name][peer]
				if f == nil || f.Rounds == 0 || f.Value <= 0 || !strings.HasPrefix(w.Name, p.prefix) {
					continue
				}
				lastY = y(1e9 / f.Value)
				points = append(points, fmt.Sprintf("%.1f,%.1f", x(w.Set.Keys), lastY))
			}
			if len(points) == 0 {
				continue
			}
			class := []string{"line", "line dashed"}[lines%2]
			if peer == own {
				class = "ownline"
			} else {
				lines++
			}
			fmt.Fprintf(&c, `<polyline points="%s" class="%s"/>`+"\n", strings.Join(points, " "), class)
			labels = append(labels, label{lastY, peer})
		}
		for _, l := range spread(labels) {
			c.text(x1+4, l.y+4, "", "start", l.name)
		}
		for _, w := range rows {
			if strings.HasPrefix(w.Name, p.prefix) {
				c.text(x(w.Set.Keys), bottom+16, "faint", "middle", tens(w.Set.Keys))
			}
		}
		c.text((x0+x1)/2, bottom+30, "faint", "middle", "keys")
	}
	return c.svg(width, height, "Growth")
}

// tens writes a number of keys shortly.
func tens(n int) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%dM", n/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%dk", n/1e3)
	}
	return fmt.Sprint(n)
}
