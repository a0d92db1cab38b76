package dump

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// The text of Berkeley DB's db_dump, which LMDB's mdb_dump writes and mdb_load
// reads. A file holds databases one after another:
//
//	VERSION=3
//	format=bytevalue     or print
//	database=NAME        where it has a name: here that of a keyspace
//	type=btree
//	HEADER=END
//	 6b6579              a key behind a space, in hexadecimal digits
//	 76616c7565          its value
//	DATA=END
//
// In the format print a byte that is printable stands for itself, any other is
// \ and two digits, and \\ is a backslash too: which of the two the versions of
// mdb_dump write has changed. Lines of the header that are not listed here are
// passed over.
//
// Pairs are such lines alone, in print and without the space: what mdb_load -T
// reads.

// A dumpReader reads db_dump text or pairs.
type dumpReader struct {
	bare
	lines *lines
	pairs bool

	head   []byte // of the database that is read
	print  bool
	dups   bool // the database may hold several values for a key
	inside bool // between its header and its end

	text   []byte // key and value
	last   []byte // the key before, with dups
	any    bool   // there was one
	source []byte
	record Record
}

func newDumpReader(r io.Reader, pairs bool) (*dumpReader, error) {
	d := &dumpReader{lines: newLines(r), pairs: pairs, print: pairs}
	d.record.fields = fieldsNamed("key", "value")
	if pairs {
		return d, nil
	}
	err := d.header()
	if err == io.EOF {
		err = errNoDump
	}
	return d, err
}

func (d *dumpReader) Head() []byte { return d.head }

const (
	dumpBegin     = "VERSION=3"
	dumpHeaderEnd = "HEADER=END"
	dumpEnd       = "DATA=END"
	maxDumpHead   = 64 << 10
)

// DumpEnd is the last line of db_dump text.
const DumpEnd = dumpEnd + "\n"

// fail is an error in the line that was read last.
func (d *dumpReader) fail(what string, text []byte) error {
	if text != nil {
		what += Printable(text)
	}
	return inputError("line %d: %s", d.lines.line, what)
}

// header reads the header of the next database, io.EOF if there is none.
func (d *dumpReader) header() error {
	d.head, d.print, d.dups, d.any, d.record.Space = d.head[:0], false, false, false, ""
	for {
		line, err := d.lines.next()
		text := chomp(line)
		begun := len(d.head) > 0
		switch {
		case err == io.EOF && !begun:
			return err
		case err == io.EOF:
			return d.fail("the header has no end: HEADER=END is missing", nil)
		case err != nil:
			return err
		case !begun && len(text) == 0:
			continue
		case !begun && string(text) != dumpBegin:
			return d.fail("db_dump text begins with VERSION=3; lines of keys and values without a header are --from pairs; this begins with ", text)
		case len(d.head) > maxDumpHead:
			return d.fail("the header is too long", nil)
		}
		d.head = append(append(d.head, text...), '\n')
		name, value, _ := bytes.Cut(text, []byte{'='})
		switch v := string(value); string(name) {
		case "HEADER":
			d.inside = true
			return nil
		case "format":
			if v != "print" && v != "bytevalue" {
				return d.fail("bytevalue and print are known, no format ", value)
			}
			d.print = v == "print"
		case "type":
			if v != "btree" && v != "hash" {
				return d.fail("no keys that are bytes are in a database of type ", value)
			}
		case "keys":
			if v == "0" {
				return d.fail("a dump without keys", nil)
			}
		case "database":
			d.record.Space = v
		case "dupsort", "duplicates":
			d.dups = v == "1"
		}
	}
}

var (
	errNoDump   = &InputError{errors.New("db_dump text begins with VERSION=3, and here is none; mdb_dump without -a dumps the main database")}
	errDumpHex  = errors.New("bad line: db_dump's format bytevalue has two hexadecimal digits for each byte")
	errDumpLine = errors.New(`bad line: db_dump's format print has \ only before two hexadecimal digits or another \`)
	errDumpKey  = errors.New("the key is there more than once: the database holds several values for a key (dupsort)")
)

func (d *dumpReader) Read() (*Record, error) {
	var key []byte
	for {
		if !d.pairs && !d.inside {
			if err := d.header(); err != nil {
				return nil, err
			}
		}
		line, err := d.line(0)
		if err != nil {
			return nil, err
		}
		if line != nil {
			key = line
			break
		}
		d.inside = false
	}
	r := &d.record
	r.Line = d.lines.line
	d.source = append(d.source[:0], key...)
	cut := len(key)
	value, err := d.line(cut)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if value == nil || err == io.EOF {
		return nil, d.fail("a key without a value", nil)
	}
	d.source = append(d.source, value...)
	r.Source = d.source
	d.text = d.text[:0]
	if d.text, err = d.decode(d.text, d.source[:cut]); err != nil {
		return nil, r.Bad(err)
	}
	n := len(d.text)
	if d.text, err = d.decode(d.text, d.source[cut:]); err != nil {
		return nil, r.Bad(err)
	}
	r.fields[0].value, r.fields[1].value = d.text[:n:n], d.text[n:]
	if d.dups {
		again := d.any && bytes.Equal(d.last, d.text[:n])
		d.last, d.any = append(d.last[:0], d.text[:n]...), true
		if again {
			return nil, r.Bad(errDumpKey)
		}
	}
	return r, nil
}

// line reads a key, or the value behind one of so many bytes; nil is the end of
// the database.
func (d *dumpReader) line(key int) ([]byte, error) {
	line, err := d.lines.more(key)
	switch {
	case d.pairs || err != nil && err != io.EOF:
		return line, err
	case err == io.EOF:
		return nil, d.fail("the dump has no end: DATA=END is missing", nil)
	case line[0] == ' ':
		return line, nil
	case string(chomp(line)) == dumpEnd:
		return nil, nil
	}
	return nil, d.fail("a key or value begins with a space, and a database ends with DATA=END", nil)
}

// decode appends the bytes that a line stands for.
func (d *dumpReader) decode(dst, line []byte) ([]byte, error) {
	line = chomp(line)
	if !d.pairs {
		line = line[1:]
	}
	if !d.print {
		out, err := hex.AppendDecode(dst, line)
		if err != nil {
			err = errDumpHex
		}
		return out, err
	}
	for {
		i := bytes.IndexByte(line, '\\')
		if i < 0 {
			return append(dst, line...), nil
		}
		dst, line = append(dst, line[:i]...), line[i+1:]
		if len(line) > 0 && line[0] == '\\' {
			dst, line = append(dst, '\\'), line[1:]
			continue
		}
		if len(line) < 2 {
			return dst, errDumpLine
		}
		var err error
		if dst, err = hex.AppendDecode(dst, line[:2]); err != nil {
			return dst, errDumpLine
		}
		line = line[2:]
	}
}

// A dumpWriter writes one database as db_dump text, or pairs.
type dumpWriter struct {
	w            io.Writer
	head         []byte // until it is written
	pairs, print bool
	row          []byte
}

func newDumpWriter(w io.Writer, o WriterOptions, pairs bool) (Writer, error) {
	d := &dumpWriter{w: w, pairs: pairs, print: pairs}
	for _, e := range []Encoding{o.Keys, o.Values} {
		switch {
		case e == Quoted:
			d.print = true
		case e != Auto && e != "" && e != Hex || e == Hex && pairs:
			return nil, errorf("db_dump text is hex (format=bytevalue) or quoted (format=print), and pairs are quoted: not %s", e)
		}
	}
	if pairs {
		return d, nil
	}
	form, name := "bytevalue", ""
	if d.print {
		form = "print"
	}
	if o.Space != "" {
		name = "database=" + o.Space + "\n"
	}
	d.head = fmt.Appendf(nil, "VERSION=3\nformat=%s\n%stype=btree\nmapsize=%d\nHEADER=END\n", form, name, max(o.Room, 1<<20))
	return d, nil
}

func (d *dumpWriter) Write(key, value []byte) error {
	row := append(d.row[:0], d.head...)
	d.head = nil
	for _, b := range [][]byte{key, value} {
		if !d.pairs {
			row = append(row, ' ')
		}
		for _, c := range b {
			switch {
			case d.print && c >= ' ' && c <= '~' && c != '\\':
				row = append(row, c)
				continue
			case d.print:
				row = append(row, '\\')
			}
			row = append(row, hexDigits[c>>4], hexDigits[c&15])
		}
		row = append(row, '\n')
	}
	d.row = row
	_, err := d.w.Write(row)
	return err
}

func (d *dumpWriter) Close() error {
	if d.pairs {
		return nil
	}
	_, err := d.w.Write(append(d.head, DumpEnd...))
	return err
}
