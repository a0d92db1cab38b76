package dump

import (
	"bytes"
	"io"
)

// A tsvReader reads lines of fields with tabs between them. \t, \n, \r, \0 and
// \\ are escapes; a backslash before anything else stands for itself.
type tsvReader struct {
	columns
	lines *lines
	text  []byte
}

func newTSVReader(r io.Reader, names []string) (*tsvReader, error) {
	t := &tsvReader{lines: newLines(r)}
	t.split = t.next
	return t, t.start(names)
}

func (t *tsvReader) next() error {
	line, err := t.lines.next()
	for err == nil && len(chomp(line)) == 0 {
		line, err = t.lines.next()
	}
	if err != nil {
		return err
	}
	t.line, t.source = t.lines.line, line
	rest := chomp(line)
	if bytes.IndexByte(rest, '\\') >= 0 && cap(t.text) < len(rest) {
		t.text = make([]byte, 0, len(rest)) // fields below stay where they are
	}
	t.text, t.values = t.text[:0], t.values[:0]
	for more := true; more; {
		var value []byte
		value, rest, more = bytes.Cut(rest, []byte{'\t'})
		if len(t.values) <= maxColumns {
			t.values = append(t.values, t.unescape(value))
		}
	}
	return nil
}

func (t *tsvReader) unescape(field []byte) []byte {
	if bytes.IndexByte(field, '\\') < 0 {
		return field
	}
	begin := len(t.text)
	for len(field) > 0 {
		c := field[0]
		if c == '\\' && len(field) > 1 {
			if plain := tsvEscapes[field[1]]; plain != 0 || field[1] == '0' {
				t.text = append(t.text, plain)
				field = field[2:]
				continue
			}
		}
		t.text = append(t.text, c)
		field = field[1:]
	}
	return t.text[begin:len(t.text):len(t.text)]
}

var tsvEscapes = [256]byte{'t': '\t', 'n': '\n', 'r': '\r', '\\': '\\'}

// appendTSV appends a field with its tabs, line ends, NULs and backslashes
// escaped.
func appendTSV(dst, field []byte) []byte {
	for _, c := range field {
		switch c {
		case '\t':
			dst = append(dst, `\t`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case 0:
			dst = append(dst, `\0`...)
		case '\\':
			dst = append(dst, `\\`...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
