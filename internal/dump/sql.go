package dump

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// A sqlWriter writes INSERTs into a table of two columns, in one transaction,
// as SQLite reads them. With Auto a key or value that is UTF-8 is of the type
// TEXT, and any other a BLOB; with Raw all are BLOBs; any other encoding is
// text, and in the name of the column.
type sqlWriter struct {
	w     io.Writer
	o     WriterOptions
	row   []byte // begins with what stands before the rows, until that is written
	begin string // of an INSERT
}

func newSQLWriter(w io.Writer, o WriterOptions) Writer {
	table := o.Space
	if table == "" {
		table = "lightning"
	}
	table = `"` + strings.ReplaceAll(table, `"`, `""`) + `"`
	key, value := `"key`+suffixOf(o.Keys)+`" PRIMARY KEY`, `"value`+suffixOf(o.Values)+`"`
	switch None {
	case o.Keys:
		key = value
	case o.Values:
	default:
		key += ", " + value
	}
	return &sqlWriter{
		w: w, o: o,
		row:   []byte("BEGIN;\nCREATE TABLE IF NOT EXISTS " + table + " (" + key + ");\n"),
		begin: "INSERT INTO " + table + " VALUES (",
	}
}

func (s *sqlWriter) Write(key, value []byte) error {
	row, before := s.row, s.begin
	for i, b := range [][]byte{key, value} {
		e := s.o.Keys
		if i > 0 {
			e = s.o.Values
		}
		if e == None {
			continue
		}
		if suffixOf(e) != "" {
			b = e.Append(nil, b)
		}
		form := "'%s'"
		for _, c := range b {
			// What the sqlite3 shell would change at the end of a line, and what does
			// something to a terminal.
			if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
				form = "CAST(x'%x' AS TEXT)"
			}
		}
		switch {
		case e == Raw || !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0:
			form = "x'%x'"
		case form == "'%s'":
			b = bytes.ReplaceAll(b, []byte{'\''}, []byte("''"))
		}
		row = fmt.Appendf(append(row, before...), form, b)
		before = ", "
	}
	row = append(row, ");\n"...)
	s.row = row[:0]
	_, err := s.w.Write(row)
	return err
}

func (s *sqlWriter) Close() error {
	_, err := s.w.Write(append(s.row, "COMMIT;\n"...))
	return err
}
