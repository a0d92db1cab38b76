package main

import (
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/query"
	"github.com/lightning-db/lightning/internal/ui"
)

// columnFormats are what columns can be printed as.
var columnFormats = []string{formatTable, formatText, formatJSON, formatJSONL, formatCSV, formatTSV, formatLine, formatRaw, formatMD}

// A table prints rows of named columns in a format. A cell is there as text
// and as JSON.
type table struct {
	app     *app
	w       io.Writer
	format  string
	names   []string
	grid    *ui.Grid
	rows    *dump.Rows
	started bool
	buf     []byte
	cells   [][]byte
}

// newTable begins a table. titles are the names for people, names those in data.
func (a *app) newTable(format string, titles, names []string) (*table, error) {
	t := &table{app: a, w: a.out, format: format, names: names, cells: make([][]byte, len(names))}
	if a.OutTerminal && format != formatTable {
		t.w = ui.SafeWriter(t.w)
	}
	switch format {
	case formatTable:
		t.grid = ui.NewGrid(t.w, a.Width(), titles...)
	case formatLine:
		width := 0
		for _, name := range titles {
			width = max(width, ui.CellWidth(name))
		}
		for i, name := range titles {
			t.names[i] = name + strings.Repeat(" ", width-ui.CellWidth(name)+2)
		}
	case formatCSV, formatTSV:
		t.rows = dump.NewRows(t.w, dump.Format(format))
		for i, name := range names {
			t.cells[i] = []byte(name)
		}
		return t, t.rows.Write(t.cells)
	case formatMD:
		header := make([][]byte, len(titles))
		for i, name := range titles {
			header[i] = []byte(name)
		}
		_, err := t.w.Write(ui.AppendMarkdownHeader(nil, header...))
		return t, err
	}
	return t, nil
}

// asJSON reports whether cells are wanted as JSON.
func (t *table) asJSON() bool { return t.format == formatJSON || t.format == formatJSONL }

// row prints t.cells.
func (t *table) row() error {
	b := t.buf[:0]
	switch t.format {
	case formatTable:
		texts := make([]string, len(t.cells))
		for i, cell := range t.cells {
			texts[i] = string(cell)
		}
		return t.grid.Append(texts...)
	case formatCSV, formatTSV:
		return t.rows.Write(t.cells)
	case formatJSON, formatJSONL:
		if t.format == formatJSON {
			open := ",\n"
			if !t.started {
				open = "[\n"
			}
			b = append(b, open...)
		}
		for i, cell := range t.cells {
			b = append(b, "{,"[min(i, 1)])
			if t.names[i] != "" {
				b = append(dump.AppendJSONString(b, []byte(t.names[i])), ':')
			}
			b = append(b, cell...)
		}
		if b = append(b, '}'); t.format == formatJSONL {
			b = append(b, '\n')
		}
	case formatLine:
		if t.started {
			b = append(b, '\n')
		}
		for i, cell := range t.cells {
			b = append(append(append(b, t.names[i]...), cell...), '\n')
		}
	case formatMD:
		b = ui.AppendMarkdown(b, t.cells...)
	default:
		for _, cell := range t.cells {
			b = append(append(b, cell...), '\t')
		}
		b[len(b)-1] = '\n'
	}
	t.started, t.buf = true, b
	_, err := t.w.Write(b)
	return err
}

func (t *table) Close() error {
	switch {
	case t.format == formatTable:
		return t.grid.Close()
	case t.format == formatJSON:
		end := "\n]\n"
		if !t.started {
			end = "[]\n"
		}
		_, err := io.WriteString(t.w, end)
		return err
	}
	return nil
}

// text is a cell for the format: of text, or of what has no other form.
func (t *table) text(dst, text []byte, isNull bool) []byte {
	switch t.format {
	case formatCSV, formatTSV:
		if isNull {
			return dst // as @csv of jq has it
		}
		return append(dst, text...)
	case formatRaw:
		return append(dst, text...)
	case formatTable:
		if t.app.values == dump.Raw {
			return dump.Auto.Append(dst, text)
		}
	}
	return t.app.values.Append(dst, text)
}

// keyColumn is the name of a column of keys in data: it says their encoding.
func keyColumn(name string, e dump.Encoding) string {
	if !e.Plain() {
		name += "_" + string(e)
	}
	return name
}

// key sets a cell to a key. In JSON its name says the encoding of each: it is
// part of the cell.
func (t *table) key(i int, name string, key []byte) {
	b := t.cells[i][:0]
	switch {
	case t.asJSON():
		t.names[i] = ""
		b = dump.AppendMember(b, name, key, t.app.keys)
	case t.format == formatRaw, (t.format == formatCSV || t.format == formatTSV) && t.app.keys.Plain():
		b = append(b, key...)
	case t.format == formatTable && t.app.keys == dump.Raw: // a cell is one line
		b = dump.Auto.Append(b, key)
	default:
		b = t.app.keys.Append(b, key)
	}
	t.cells[i] = b
}

// A selector prints the columns of --select.
type selector struct {
	*table
	where *where
	sel   *query.Selection
	keys  bool
}

// newSelector begins to print the columns that --select names, behind the key
// if that is wanted.
func (a *app) newSelector(w *where, sel *query.Selection, format string, keys bool) (*selector, error) {
	var titles, names []string
	if keys {
		titles, names = []string{"key"}, []string{"key"}
	}
	titles = append(titles, sel.Columns...)
	names = append(names, sel.Names(names...)...)
	for i, name := range names {
		for _, other := range names[:i] {
			if other == name {
				return nil, usagef("--select: two columns %s", name)
			}
		}
	}
	if keys {
		names[0] = keyColumn("key", a.keys)
	}
	t, err := a.newTable(format, titles, names)
	return &selector{table: t, where: w, sel: sel, keys: keys}, err
}

func (s *selector) Write(key, value []byte) error {
	if err := s.sel.Run(key, value); err != nil && !s.where.bad {
		if err := s.where.judge(key, err); err != nil {
			return err
		}
	}
	cells := s.cells
	if s.keys {
		cells = cells[1:]
		s.key(0, "key", key)
	}
	for i := range cells {
		if s.asJSON() {
			cells[i] = s.sel.AppendJSON(cells[i][:0], i)
			continue
		}
		text, isNull := s.sel.AppendText(nil, i)
		cells[i] = s.text(cells[i][:0], text, isNull)
	}
	return s.row()
}

// groupBytes bounds the memory of --count-by: of a million values, or fewer
// long ones.
const groupBytes = 96 << 20

// groups count entries, and add up their sizes, by the value of an expression or
// a prefix.
type groups struct {
	index map[string]int
	list  []group
	bytes int
}

type group struct {
	value       string // of an expression, as AppendGroup has it
	size, count int64
}

func (g *groups) Len() int { return len(g.list) }

func (g *groups) Less(i, j int) bool {
	a, b := g.list[i], g.list[j]
	if a.size == b.size && a.count == b.count {
		return a.value < b.value
	}
	return a.size > b.size || a.size == b.size && a.count > b.count
}

func (g *groups) Swap(i, j int) { g.list[i], g.list[j] = g.list[j], g.list[i] }

var errGroups = errors.New("too many different values or prefixes: choose what has fewer, or a smaller range")

func (g *groups) add(value []byte, size int64) error {
	i, ok := g.index[string(value)]
	if !ok {
		i = len(g.list)
		if err := g.keep(group{value: string(value)}); err != nil {
			return err
		}
		if g.index == nil {
			g.index = map[string]int{}
		}
		g.index[g.list[i].value] = i
	}
	g.list[i].count++
	g.list[i].size += size
	return nil
}

// memory is about what a group takes, with its place in the index.
func (one *group) memory() int { return len(one.value) + 96 }

// keep adds a group that is not there, unless they take too much memory.
func (g *groups) keep(one group) error {
	if g.bytes+one.memory() > groupBytes {
		return fmt.Errorf("%w: %w (there are %s so far)", errData, errGroups, ui.Count(len(g.list)))
	}
	g.bytes += one.memory()
	g.list = append(g.list, one)
	return nil
}

// drop drops all but the first n.
func (g *groups) drop(n int) {
	for ; len(g.list) > n; g.list = g.list[:len(g.list)-1] {
		g.bytes -= g.list[len(g.list)-1].memory()
	}
}

// countBy prints how many entries there are for each value of an expression,
// the most frequent first.
func (s *scan) countBy(snapshot engine.Reader) (int64, error) {
	var g groups
	var value []byte
	n, err := s.where.each(snapshot, s.start, s.end, true, func(it *engine.Iterator, v []byte) error {
		if err := s.columns.Run(it.Key(), v); err != nil && !s.where.bad {
			if err := s.where.judge(it.Key(), err); err != nil {
				return err
			}
		}
		value = s.columns.AppendGroup(value[:0], 0)
		return g.add(value, 0)
	})
	if err != nil {
		return n, err
	}
	sort.Sort(&g)
	titles, names := []string{s.columns.Columns[0], "count"}, append(s.columns.Names("count"), "count")
	t, err := s.app.newTable(s.form, titles, names)
	if err != nil {
		return n, err
	}
	plain, err := query.CompileSelect(".")
	if err != nil {
		return n, err
	}
	shown := len(g.list)
	if s.limit > 0 {
		shown = int(min(int64(shown), s.limit))
	}
	for i := range shown {
		one := &g.list[i]
		if s.reverse {
			one = &g.list[len(g.list)-1-i]
		}
		if err := plain.Run(nil, []byte(one.value)); err != nil {
			return n, err
		}
		if t.asJSON() {
			t.cells[0] = plain.AppendJSON(nil, 0)
		} else {
			text, isNull := plain.AppendText(nil, 0)
			t.cells[0] = t.text(nil, text, isNull)
		}
		t.cells[1] = fmt.Append(nil, one.count)
		if err := t.row(); err != nil {
			return n, err
		}
	}
	return n, t.Close()
}
