package ui

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/lightning-db/lightning/internal/dump"
)

// NewEntries returns a writer of entries in a form for people and shells:
// table, text, line, raw, null or md. width is that of the terminal, 0 where there
// is none.
func NewEntries(w io.Writer, format string, width int, o dump.WriterOptions) dump.Writer {
	e := entries{w: w, o: o, width: width}
	switch format {
	case "table":
		t := &tableEntries{entries: e}
		var header []string
		if o.Keys != dump.None {
			header = append(header, "key")
		}
		if o.Values != dump.None {
			header = append(header, "value")
		}
		t.grid = NewGrid(w, width, header...)
		return t
	case "md":
		return &markdownEntries{entries: e}
	case "line":
		return &lineEntries{entries: e}
	case "raw":
		e.o.Keys, e.o.Values = rawUnlessAsked(o.Keys), rawUnlessAsked(o.Values)
	case "null":
		e.o.Keys, e.o.Values = rawUnlessAsked(o.Keys), rawUnlessAsked(o.Values)
		e.end = 0
		return &textEntries{entries: e}
	}
	e.end = '\n'
	return &textEntries{entries: e}
}

func rawUnlessAsked(e dump.Encoding) dump.Encoding {
	if e.Plain() {
		return dump.Raw
	}
	return e
}

type entries struct {
	w     io.Writer
	o     dump.WriterOptions
	width int
	end   byte
	buf   []byte
}

// textEntries writes key TAB value, or one of them, and an end.
type textEntries struct{ entries }

func (t *textEntries) Write(key, value []byte) error {
	t.buf = t.buf[:0]
	if t.o.Keys != dump.None {
		t.buf = t.o.Keys.Append(t.buf, key)
	}
	if t.o.Keys != dump.None && t.o.Values != dump.None {
		t.buf = append(t.buf, '\t')
	}
	if t.o.Values != dump.None {
		t.buf = t.o.Values.Append(t.buf, value)
	}
	// Whoever reads up to each NUL would take the parts for keys of their own.
	if t.end == 0 && bytes.IndexByte(t.buf, 0) >= 0 {
		return &dump.InputError{Err: fmt.Errorf("%s has a NUL in it, which is what ends each here: use -K quoted (of values -V), on both sides", dump.Printable(t.buf))}
	}
	t.buf = append(t.buf, t.end)
	_, err := t.w.Write(t.buf)
	return err
}

func (t *textEntries) Close() error { return nil }

// tableEntries draws a table.
type tableEntries struct {
	entries
	grid *Grid
}

func (t *tableEntries) Write(key, value []byte) error {
	cells := make([]string, 0, 2)
	if t.o.Keys != dump.None {
		cells = append(cells, t.cell(key, t.o.Keys))
	}
	if t.o.Values != dump.None {
		cells = append(cells, t.cell(value, t.o.Values))
	}
	return t.grid.Append(cells...)
}

// cell is the text of a cell: of one line, and on a terminal not too long.
func (t *tableEntries) cell(b []byte, e dump.Encoding) string {
	const longest = 200
	if e == dump.Raw || e == dump.JSONText {
		e = dump.Auto
	}
	if t.width == 0 || len(b) <= longest || e == dump.Size {
		return string(e.Append(nil, b))
	}
	cut := b[:longest]
	for i := 0; i < utf8.UTFMax-1 && !utf8.Valid(cut); i++ {
		cut = cut[:len(cut)-1]
	}
	return string(e.Append(nil, cut)) + "…(" + Bytes(int64(len(b))) + ")"
}

func (t *tableEntries) Close() error { return t.grid.Close() }

// lineEntries writes one field a line, and an empty line between entries.
type lineEntries struct {
	entries
	started bool
}

func (l *lineEntries) Write(key, value []byte) error {
	var b bytes.Buffer
	if l.started {
		b.WriteByte('\n')
	}
	l.started = true
	if l.o.Keys != dump.None {
		b.WriteString("key    ")
		b.Write(append(l.o.Keys.Append(nil, key), '\n'))
	}
	if l.o.Values != dump.None {
		b.WriteString("value  ")
		b.Write(append(l.o.Values.Append(nil, value), '\n'))
	}
	_, err := l.w.Write(b.Bytes())
	return err
}

func (l *lineEntries) Close() error { return nil }

// markdownEntries writes rows of a Markdown table.
type markdownEntries struct {
	entries
	begun bool
}

func (m *markdownEntries) Write(key, value []byte) error {
	err := m.begin()
	if err == nil {
		m.buf = AppendMarkdown(m.buf[:0], m.cells(m.o.Keys.Append(nil, key), m.o.Values.Append(nil, value))...)
		_, err = m.w.Write(m.buf)
	}
	return err
}

// begin writes the header, unless it is there.
func (m *markdownEntries) begin() (err error) {
	if !m.begun {
		_, err = m.w.Write(AppendMarkdownHeader(nil, m.cells([]byte("key"), []byte("value"))...))
	}
	m.begun = true
	return err
}

// cells are those of key and value that are wanted.
func (m *markdownEntries) cells(key, value []byte) (cells [][]byte) {
	if m.o.Keys != dump.None {
		cells = append(cells, key)
	}
	if m.o.Values != dump.None {
		cells = append(cells, value)
	}
	return cells
}

func (m *markdownEntries) Close() error { return m.begin() }

// AppendMarkdownHeader appends what a Markdown table begins with.
func AppendMarkdownHeader(dst []byte, names ...[]byte) []byte {
	dst = AppendMarkdown(dst, names...)
	for range names {
		dst = append(dst, "| --- "...)
	}
	return append(dst, "|\n"...)
}

// AppendMarkdown appends a row of a Markdown table.
func AppendMarkdown(dst []byte, cells ...[]byte) []byte {
	for _, cell := range cells {
		dst = append(dst, "| "...)
		for _, c := range cell {
			switch c {
			case '|', '\\', '`', '*', '_', '<', '[':
				dst = append(dst, '\\')
			case '\n':
				dst = append(dst, "<br>"...)
				continue
			}
			dst = append(dst, c)
		}
		dst = append(dst, ' ')
	}
	return append(dst, "|\n"...)
}
