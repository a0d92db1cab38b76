package dump

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
	"unicode/utf8"
)

// A csvReader reads CSV as RFC 4180 has it, and keeps every byte inside a
// quoted field: encoding/csv turns \r\n there into \n, and so cannot give back
// what was exported. A quote in the middle of a field without quotes stands
// for itself. Empty lines are passed over.
type csvReader struct {
	columns
	lines     *lines
	delimiter []byte

	free int    // so many bytes that come next are known to have no quote
	own  []byte // holds the fields of a row with quotes
	many []byte // bytes of a row of several lines
}

func newCSVReader(r io.Reader, o ReaderOptions) (*csvReader, error) {
	c := &csvReader{lines: newLines(r), delimiter: []byte(cmp.Or(o.Delimiter, ","))}
	c.split = c.next
	err := c.start(o.Columns)
	c.valid = c.valid && utf8.Valid(c.delimiter)
	return c, err
}

var (
	errUnclosed   = errors.New(`a quoted field is not closed: its last " is missing`)
	errAfterQuote = errors.New(`text after a closing quote: a " inside a quoted field is written ""`)
)

func (c *csvReader) next() error {
	line, free, err := c.row()
	for err == nil && len(chomp(line)) == 0 {
		line, free, err = c.row()
	}
	if err != nil {
		return err
	}
	r := &c.record
	r.Line, r.Source = c.lines.line, line
	if c.cut(chomp(line), c.delimiter); free {
		return nil
	}
	r.text, r.ends, r.gap, r.plain = c.own[:0], r.ends[:0], 0, false
	for more := true; more; {
		if len(line) > 0 && line[0] == '"' {
			line, more, err = c.quoted(line[1:])
			if err != nil {
				return err
			}
		} else {
			line, more = c.bare(line)
		}
		if len(r.ends) <= maxColumns {
			r.ends = append(r.ends, len(r.text))
		}
	}
	c.own = r.text
	return nil
}

// row reads a line, and reports whether it has no quote. The search for one goes
// on behind the line, so that it begins anew with a row that has one, and not
// with each.
func (c *csvReader) row() (line []byte, free bool, err error) {
	line, err = c.lines.next()
	if len(line) > c.free {
		ahead := c.lines.ahead(line)
		if c.free = bytes.IndexByte(ahead, '"'); c.free < 0 {
			c.free = len(ahead)
		}
	}
	if free = len(line) <= c.free; !free {
		c.free = 0
		return line, free, err
	}
	c.free -= len(line)
	return line, free, err
}

// bare reads a field without quotes, and reports whether another one follows.
func (c *csvReader) bare(line []byte) (rest []byte, more bool) {
	var value []byte
	if value, rest, more = bytes.Cut(line, c.delimiter); !more {
		value = chomp(line)
	}
	c.record.text = append(c.record.text, value...)
	return rest, more
}

// quoted reads a field behind its opening quote, over as many lines as it has.
func (c *csvReader) quoted(line []byte) (rest []byte, more bool, err error) {
	for {
		i := bytes.IndexByte(line, '"')
		if i < 0 {
			c.record.text = append(room(c.record.text, len(line)), line...)
			if line, err = c.extend(); err != nil {
				return nil, false, err
			}
			continue
		}
		c.record.text = append(c.record.text, line[:i]...)
		line = line[i+1:]
		switch {
		case len(line) > 0 && line[0] == '"':
			c.record.text = append(c.record.text, '"')
			line = line[1:]
		case bytes.HasPrefix(line, c.delimiter):
			return line[len(c.delimiter):], true, nil
		case len(chomp(line)) == 0:
			return nil, false, nil
		default:
			return nil, false, c.record.Bad(errAfterQuote)
		}
	}
}

// extend reads the next line of a row that goes on.
func (c *csvReader) extend() ([]byte, error) {
	r := &c.record
	if err := c.lines.fits(len(r.Source), r.Line); err != nil {
		return nil, err
	}
	if r.Line == c.lines.line {
		c.many = c.many[:0]
	}
	if len(c.many) == 0 {
		c.many = append(room(c.many, len(r.Source)), r.Source...)
	}
	r.Source = c.many
	line, err := c.lines.more(len(c.many))
	if err == io.EOF {
		return nil, r.Bad(errUnclosed)
	}
	c.many = append(room(c.many, len(line)), line...)
	r.Source = c.many
	return line, err
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
