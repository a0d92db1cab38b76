package ui

import (
	"errors"
	"io"
	"strings"
)

// Fields prints names and values in two columns, without borders. What is wider
// than a terminal breaks between words, and a name that would take more than half of
// it has a line of its own; width 0 is no terminal.
func Fields(w io.Writer, width int, rows [][2]string) error {
	narrow, all := 0, 0 // the widest name that leaves room, and of all
	for _, r := range rows {
		n := CellWidth(r[0])
		if all = max(all, n); width == 0 || n+2 <= width/2 {
			narrow = max(narrow, n)
		}
	}
	if narrow == 0 {
		narrow = all
	}
	var b strings.Builder
	for _, r := range rows {
		head := r[0]
		if CellWidth(head) > narrow {
			b.WriteString(head + "\n")
			head = ""
		}
		writeWrapped(&b, head+strings.Repeat(" ", narrow-CellWidth(head)+2), r[1], width)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Table prints a small table, of two columns or more. Where that is wider than the terminal, whose
// width is 0 for no limit, it comes in parts, each with the first column and as
// many of the others as fit.
func Table(w io.Writer, width int, header []string, rows [][]string) error {
	widths := make([]int, len(header))
	for _, row := range append([][]string{header}, rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], CellWidth(cell))
		}
	}
	for begin := 1; begin < len(header); {
		total, end := 1+widths[0]+3, begin
		for end < len(header) && (end == begin || width == 0 || total+widths[end]+3 <= width) {
			total += widths[end] + 3
			end++
		}
		part := func(row []string) []string { return append([]string{row[0]}, row[begin:end]...) }
		g := NewGrid(w, 0, part(header)...)
		for _, row := range rows {
			if err := g.Append(part(row)...); err != nil {
				return err
			}
		}
		if err := g.Close(); err != nil {
			return err
		}
		begin = end
	}
	return nil
}

// A Grid prints a table of any length: the widths of its columns come from the
// first rows, and later ones are cut to them. Where there are more columns than fit
// the terminal, each field has a line, behind its name. It is forty thousand bytes
// of the program smaller than tablewriter, which also keeps all rows in memory.
type Grid struct {
	w      io.Writer
	width  int // of the terminal; 0: no limit
	header []string
	first  [][]string
	widths []int  // nil until the first rows are seen
	right  uint64 // a bit for each of the first columns, of numbers, that end in line
	list   bool   // of fields: their names and what is in them are the columns
}

// gridSample is how many rows the widths are taken from.
const gridSample = 200

// NewGrid starts a table. width is that of the terminal, 0 for no limit.
func NewGrid(w io.Writer, width int, header ...string) *Grid {
	return &Grid{w: w, width: width, header: header}
}

// Append adds a row.
func (g *Grid) Append(cells ...string) error {
	if g.widths != nil {
		return g.record(cells)
	}
	g.first = append(g.first, cells)
	if len(g.first) < gridSample {
		return nil
	}
	return g.begin()
}

// Close prints what is left and the last border. On a terminal a table of no rows
// is nothing.
func (g *Grid) Close() error {
	if g.widths == nil {
		if g.width > 0 && len(g.first) == 0 {
			return nil
		}
		if err := g.begin(); err != nil {
			return err
		}
	}
	if g.list {
		return nil
	}
	return g.border()
}

func (g *Grid) begin() error {
	g.widths = make([]int, len(g.header))
	if len(g.first) > 0 {
		g.right = ^uint64(0)
	}
	for n, row := range append([][]string{g.header}, g.first...) {
		for i, cell := range row {
			g.widths[i] = max(g.widths[i], CellWidth(cell))
			if n > 0 && !isNumber(cell) {
				g.right &^= 1 << i
			}
		}
	}
	if g.list = !g.fit(); g.list {
		g.widths, g.right = []int{0, g.width}, 0
		for _, name := range g.header {
			g.widths[0] = max(g.widths[0], CellWidth(name))
		}
		g.fit()
	} else if err := errors.Join(g.border(), g.row(g.header)); err != nil {
		return err
	}
	if err := g.border(); err != nil {
		return err
	}
	for _, row := range g.first {
		if err := g.record(row); err != nil {
			return err
		}
	}
	g.first = nil
	return nil
}

// fit narrows the widest columns until the table fits the terminal, if it can.
func (g *Grid) fit() bool {
	const narrowest = 8
	for g.width > 0 {
		total, widest := 1, 0
		for i, w := range g.widths {
			total += w + 3
			if w > g.widths[widest] {
				widest = i
			}
		}
		if total <= g.width || g.widths[widest] <= narrowest {
			return total <= g.width
		}
		g.widths[widest] = max(narrowest, g.widths[widest]-(total-g.width))
	}
	return true
}

// record prints a row of a table, or a list of its fields.
func (g *Grid) record(cells []string) error {
	if !g.list {
		return g.row(cells)
	}
	for i, cell := range cells {
		if err := g.row([]string{g.header[i], cell}); err != nil {
			return err
		}
	}
	return g.border()
}

func (g *Grid) border() error {
	var b strings.Builder
	for _, w := range g.widths {
		b.WriteString("+" + strings.Repeat("-", w+2))
	}
	_, err := io.WriteString(g.w, b.String()+"+\n")
	return err
}

func (g *Grid) row(cells []string) error {
	var b strings.Builder
	for i, cell := range cells {
		if g.width > 0 && CellWidth(cell) > g.widths[i] { // elsewhere nothing is cut
			// How long a value is that was cut before stays.
			tail := cell[max(0, strings.LastIndex(cell, "…(")):]
			if CellWidth(tail) >= min(g.widths[i], 16) {
				tail = "…"
			}
			cell = cut(cell, g.widths[i], tail)
		}
		if space := strings.Repeat(" ", max(0, g.widths[i]-CellWidth(cell))); g.right>>i&1 != 0 {
			cell = space + cell
		} else {
			cell += space
		}
		b.WriteString("| " + cell + " ")
	}
	_, err := io.WriteString(g.w, b.String()+"|\n")
	return err
}

// isNumber reports whether a cell is a number, perhaps with a unit: 12, -1.5, 1,024,
// ±3, 1.2 MB.
func isNumber(cell string) bool {
	digits, unit, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(cell, "±"), "-"), " ")
	return digits != "" && digits[0]-'0' <= 9 && strings.Trim(digits, "0123456789,.") == "" && len(unit) <= len("µs") && strings.IndexByte(unit, ' ') < 0
}
