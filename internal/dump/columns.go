package dump

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"
)

// columns is what CSV and TSV share: a header that names the fields of each
// row behind it.
type columns struct {
	split  func() error // reads the next row into record
	record Record
	head   []byte // bytes of the header
	valid  bool   // the names of the columns, and what is between two, are UTF-8
}

// maxColumns bounds what a row takes beyond its bytes.
const maxColumns = 100_000

var (
	errColumns = errorf("there are more than %d", maxColumns)
	errUTF16   = errorf("the file is UTF-16: iconv -f UTF-16 -t UTF-8 makes it one that can be read")
	errCR      = errorf("a carriage return is in a name: where they end lines, tr '\\r' '\\n' makes them those of a text")
)

// start takes the names of the columns, from the first row unless they are
// given.
func (c *columns) start(names []string) error {
	if names == nil {
		switch err := c.split(); {
		case err == io.EOF:
			return nil
		case err != nil:
			return inputError("header: %w", err)
		}
		c.head = append([]byte(nil), c.record.Source...)
		for i := range c.record.ends {
			names = append(names, string(c.record.value(i)))
		}
		switch {
		case bytes.HasPrefix(c.head, []byte{0xff, 0xfe}), bytes.HasPrefix(c.head, []byte{0xfe, 0xff}):
			return inputError("header: %w", errUTF16)
		case bytes.IndexByte(chomp(c.head), '\r') >= 0 && bytes.IndexByte(c.head, '"') < 0:
			return inputError("header: %w", errCR)
		}
	}
	if len(names) > maxColumns {
		return inputError("columns: %w", errColumns)
	}
	c.record.fields = fieldsNamed(names...)
	c.record.keys, c.record.values = c.record.number("key"), c.record.number("value")
	c.record.room = shortBytes
	for _, f := range c.record.fields {
		c.record.room += len(f.label)
	}
	c.valid = utf8.ValidString(strings.Join(names, ","))
	return nil
}

func (c *columns) Head() []byte { return c.head }

func (c *columns) Sample() *Record {
	if len(c.record.fields) == 0 {
		return nil
	}
	r := &Record{Line: 1, fields: slices.Clone(c.record.fields)}
	for i := range r.fields {
		r.fields[i].value = []byte("00")
	}
	return r
}

func (c *columns) Read() (*Record, error) {
	if err := c.split(); err != nil {
		return nil, err
	}
	r := &c.record
	if len(r.ends) != len(r.fields) {
		return nil, r.Bad(c.otherNumber())
	}
	return r, nil
}

// cut finds the fields of a row in which nothing has a meaning of its own but
// the delimiter between them: they stay where they are. Where they are short it
// looks at eight bytes at a time, and sees on the way whether these are plain.
func (c *columns) cut(row, delimiter []byte) {
	r := &c.record
	r.text, r.gap, r.plain, r.seen = row, len(delimiter), c.valid, 0
	ends, i := r.ends[:0], 0
	first, one := delimiter[0], len(delimiter) == 1
	if one && len(row) < shortField*len(r.fields) {
		odd, between := uint64(0), ones*uint64(first)
		for ; i+8 <= len(row); i += 8 {
			x := binary.LittleEndian.Uint64(row[i:])
			odd |= marks(x) | (x + ones) | x
			x ^= between
			for hits := ^(x&^tops + ^uint64(tops) | x) & tops; hits != 0 && len(ends) < maxColumns; hits &= hits - 1 {
				ends = append(ends, i+bits.TrailingZeros64(hits)/8)
			}
		}
		if odd&tops == 0 {
			r.seen = i
		}
	}
	for len(ends) < maxColumns {
		n := bytes.IndexByte(row[i:], first)
		if !one {
			n = bytes.Index(row[i:], delimiter)
		}
		if n < 0 {
			break
		}
		ends = append(ends, i+n)
		i += n + len(delimiter)
	}
	r.ends = append(ends, len(row))
}

// shortField is the average length of a field up to which it pays to look for
// the delimiters of a row, eight bytes at a time, and not for one after another.
const shortField = 16

// otherNumber is the error for a row that has not as many fields as there are
// columns.
func (c *columns) otherNumber() error {
	fields, where := "fields", "the header has %d"
	if len(c.record.ends) == 1 {
		fields = "field"
	}
	if len(c.record.ends) > maxColumns {
		fields = "fields or more"
	}
	if c.head == nil {
		where = "%d columns are named"
	}
	return errorf("%d %s, where "+where, len(c.record.ends), fields, len(c.record.fields))
}

// A rowWriter writes entries as rows of two columns.
type rowWriter struct {
	rows *Rows
	o    WriterOptions

	fields  [2][]byte
	text    []byte
	started bool
}

// begin writes the header, once: an export of nothing has one too.
func (w *rowWriter) begin() error {
	if w.started {
		return nil
	}
	w.started = true
	key := "key" + suffixOf(w.o.Keys)
	value := "value" + suffixOf(w.o.Values)
	return w.write([]byte(key), []byte(value))
}

func (w *rowWriter) Write(key, value []byte) error {
	if err := w.begin(); err != nil {
		return err
	}
	if w.o.Keys == U64 && len(key) != 8 || w.o.Values == U64 && len(value) != 8 {
		return inputError("entry %s: u64 is for 8 bytes only", Printable(key))
	}
	w.text = fileEncoding(w.o.Keys).Append(w.text[:0], key)
	n := len(w.text)
	w.text = fileEncoding(w.o.Values).Append(w.text, value)
	return w.write(w.text[:n], w.text[n:])
}

func (w *rowWriter) write(key, value []byte) error {
	w.fields = [2][]byte{key, value}
	fields := w.fields[:]
	if w.o.Keys == None {
		fields = fields[1:]
	}
	if w.o.Values == None {
		fields = fields[:len(fields)-1]
	}
	return w.rows.Write(fields)
}

func (w *rowWriter) Close() error { return w.begin() }
