package dump

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
)

// A csvReader reads CSV as RFC 4180 has it, and keeps every byte inside a
// quoted field: encoding/csv turns \r\n there into \n, and so cannot give back
// what was exported. A quote in the middle of a field without quotes stands
// for itself. Empty lines are passed over.
type csvReader struct {
	columns
	lines     *lines
	delimiter byte

	text []byte // contents of the row's fields, one after another
	ends []int  // where each field ends in text
	many []byte // bytes of a row of several lines
}

func newCSVReader(r io.Reader, o ReaderOptions) (*csvReader, error) {
	c := &csvReader{lines: newLines(r), delimiter: cmp.Or(o.Delimiter, ',')}
	c.split = c.next
	return c, c.start(o.Columns)
}

var (
	errUnclosed   = errors.New(`a quoted field is not closed: its last " is missing`)
	errAfterQuote = errors.New(`text after a closing quote: a " inside a quoted field is written ""`)
)

func (c *csvReader) next() error {
	line, err := c.lines.next()
	for err == nil && len(chomp(line)) == 0 {
		line, err = c.lines.next()
	}
	if err != nil {
		return err
	}
	c.line, c.source = c.lines.line, line
	row := chomp(line)
	c.record.plain = c.valid && asciiEnd(row, 0) == len(row)
	if c.record.plain || bytes.IndexByte(line, '"') < 0 {
		c.cut(row)
		return nil
	}
	c.text, c.ends = c.text[:0], c.ends[:0]
	for more := true; more; {
		if len(line) > 0 && line[0] == '"' {
			line, more, err = c.quoted(line[1:])
			if err != nil {
				return err
			}
		} else {
			line, more = c.bare(line)
		}
		if len(c.ends) <= maxColumns {
			c.ends = append(c.ends, len(c.text))
		}
	}
	c.values = c.values[:0]
	begin := 0
	for _, end := range c.ends {
		c.values = append(c.values, c.text[begin:end:end])
		begin = end
	}
	return nil
}

// cut takes the fields of a row without quotes, which stay where they are.
func (c *csvReader) cut(row []byte) {
	c.values = c.values[:0]
	for more := true; more && len(c.values) <= maxColumns; {
		value := row
		i := bytes.IndexByte(row, c.delimiter)
		if more = i >= 0; more {
			value, row = row[:i:i], row[i+1:]
		}
		c.values = append(c.values, value)
	}
}

// bare reads a field without quotes, and reports whether another one follows.
func (c *csvReader) bare(line []byte) (rest []byte, more bool) {
	value := line
	if i := bytes.IndexByte(line, c.delimiter); i >= 0 {
		value, rest, more = line[:i], line[i+1:], true
	} else {
		value = chomp(line)
	}
	c.text = append(c.text, value...)
	return rest, more
}

// quoted reads a field behind its opening quote, over as many lines as it has.
func (c *csvReader) quoted(line []byte) (rest []byte, more bool, err error) {
	for {
		i := bytes.IndexByte(line, '"')
		if i < 0 {
			c.text = append(c.text, line...)
			if line, err = c.extend(); err != nil {
				return nil, false, err
			}
			continue
		}
		c.text = append(c.text, line[:i]...)
		line = line[i+1:]
		switch {
		case len(line) > 0 && line[0] == '"':
			c.text = append(c.text, '"')
			line = line[1:]
		case len(line) > 0 && line[0] == c.delimiter:
			return line[1:], true, nil
		case len(chomp(line)) == 0:
			return nil, false, nil
		default:
			return nil, false, c.bad(errAfterQuote)
		}
	}
}

// extend reads the next line of a row that goes on.
func (c *csvReader) extend() ([]byte, error) {
	if err := c.lines.fits(len(c.source), c.line); err != nil {
		return nil, err
	}
	if c.line == c.lines.line {
		c.many = c.many[:0]
	}
	if len(c.many) == 0 {
		c.many = append(c.many, c.source...)
	}
	c.source = c.many
	line, err := c.lines.next()
	if err == io.EOF {
		return nil, c.bad(errUnclosed)
	}
	c.many = append(c.many, line...)
	c.source = c.many
	return line, err
}

func (c *csvReader) bad(err error) *RowError {
	return &RowError{Line: c.line, Source: c.source, Err: err}
}

// appendCSV appends a field, in quotes where it needs them.
func appendCSV(dst, field []byte) []byte {
	if !needsQuotes(field) {
		return append(dst, field...)
	}
	dst = append(dst, '"')
	for {
		i := bytes.IndexByte(field, '"')
		if i < 0 {
			break
		}
		dst = append(append(dst, field[:i]...), `""`...)
		field = field[i+1:]
	}
	return append(append(dst, field...), '"')
}

// needsQuotes holds for what has a meaning of its own, and for space at the
// ends, which some readers trim.
func needsQuotes(field []byte) bool {
	if len(field) == 0 {
		return false
	}
	first, last := field[0], field[len(field)-1]
	return first <= ' ' || last <= ' ' || slices.ContainsFunc(field, func(c byte) bool {
		return c == ',' || c == '"' || c == '\r' || c == '\n'
	})
}
