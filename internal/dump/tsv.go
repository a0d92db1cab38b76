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
	own   []byte // holds the fields of a row with escapes
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
	t.record.Line, t.record.Source = t.lines.line, line
	t.cut(chomp(line), tab)
	if bytes.IndexByte(line, '\\') >= 0 {
		t.unescape()
	}
	return nil
}

var tab = []byte{'\t'}

// unescape copies the fields to where no escapes are left.
func (t *tsvReader) unescape() {
	r := &t.record
	text := t.own[:0]
	begin := 0
	for i, end := range r.ends {
		field := r.text[begin:end]
		begin = end + 1
		for len(field) > 0 {
			c := field[0]
			if c == '\\' && len(field) > 1 {
				if plain := tsvEscapes[field[1]]; plain != 0 || field[1] == '0' {
					text = append(text, plain)
					field = field[2:]
					continue
				}
			}
			text = append(text, c)
			field = field[1:]
		}
		r.ends[i] = len(text)
	}
	r.text, r.gap, r.plain, t.own = text, 0, false, text
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
