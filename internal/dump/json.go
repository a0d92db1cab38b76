package dump

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"
)

var (
	errNotObject = errors.New("not a JSON object")
	errNoJSON    = &InputError{errors.New("no JSON value is in it, and [] has no records")}
	errFields    = errorf("the object has more than %d fields", maxColumns)
	errNotUTF8   = errors.New("not UTF-8 text: convert the file first, for example with iconv")
)

// jsonRecord takes the bytes of one object apart.
type jsonRecord struct {
	record Record
}

func (j *jsonRecord) parse(source []byte, line int64) (*Record, error) {
	r := &j.record
	r.Line, r.Source = line, source
	if !utf8.Valid(source) {
		return nil, r.Bad(errNotUTF8)
	}
	ok, err := r.split(source, maxColumns)
	if !ok && err == nil {
		s := jsonScanner{src: source}
		if err = s.document(); err == nil {
			err = errNotObject
		}
	}
	if err != nil {
		return nil, r.Bad(err)
	}
	return r, nil
}

// A jsonlReader reads one object a line. Empty lines are passed over. Of
// statements, the lines that are no object are records without fields.
type jsonlReader struct {
	bare
	lines      *lines
	statements bool
	exported   exported
	jsonRecord
}

func (j *jsonlReader) Read() (*Record, error) {
	if !j.statements && j.exported.next(j.lines) {
		return &j.exported.record, nil
	}
	return j.any()
}

// any is Read of a line that holds any JSON.
func (j *jsonlReader) any() (*Record, error) {
	for {
		line, err := j.lines.next()
		if err != nil {
			return nil, err
		}
		text := bytes.TrimSpace(line)
		switch {
		case len(text) == 0 || j.statements && text[0] == '#':
		case j.statements && text[0] != '{':
			return &Record{Line: j.lines.line, Source: text}, nil
		case j.statements:
			line = text
			fallthrough
		default:
			return j.parse(line, j.lines.line)
		}
	}
}

// A jsonReader reads an array of objects, or objects one after another.
type jsonReader struct {
	bare
	*lines
	jsonRecord

	source  []byte
	array   bool // inside the array
	ended   bool // behind it
	objects int
}

func newJSONReader(r io.Reader) *jsonReader {
	l := newLines(r)
	l.line = 1
	for len(l.rest) < 3 && l.fill() == nil {
	}
	l.rest = trimBOM(l.rest)
	return &jsonReader{lines: l}
}

func (j *jsonReader) Read() (*Record, error) {
	c, err := j.separator()
	if err != nil {
		return nil, err
	}
	line := j.line
	j.source = append(j.source[:0], c)
	switch {
	case c >= utf8.RuneSelf:
		return nil, inputError("line %d: %w", line, errNotUTF8)
	case c != '{':
		return nil, inputError("line %d: expected a JSON object, found %q", line, c)
	}
	if err := j.object(line); err != nil {
		return nil, err
	}
	j.objects++
	return j.parse(j.source, line)
}

// separator reads up to the first byte of the next value.
func (j *jsonReader) separator() (byte, error) {
	comma := false
	for {
		c, err := j.ReadByte()
		switch {
		case err == io.EOF && j.array && !j.ended:
			return 0, inputError("line %d: the array is not closed: ] is missing", j.line)
		case err == io.EOF && !j.array && j.objects == 0:
			return 0, errNoJSON
		case err != nil:
			return 0, err
		}
		switch {
		case c == '\n':
			j.line++
		case c == ' ' || c == '\t' || c == '\r':
		case j.ended:
			return 0, inputError("line %d: text behind the end of the array", j.line)
		case c == '[' && !j.array && j.objects == 0:
			j.array = true
		case c == ']' && j.array && !comma:
			j.ended = true
		case c == ',' && j.array && j.objects > 0 && !comma:
			comma = true
		case j.array && j.objects > 0 && !comma:
			return 0, inputError("line %d: a comma is missing before %q", j.line, c)
		default:
			return c, nil
		}
	}
}

// object reads to the brace that closes the object that has begun.
func (j *jsonReader) object(line int64) error {
	depth := 1
	quoted, escaped := false, false
	for depth > 0 {
		c, err := j.ReadByte()
		if err == io.EOF {
			return inputError("line %d: the object is not closed: } is missing", line)
		}
		if err != nil {
			return err
		}
		if n := len(j.source); n%4096 == 0 {
			if err := j.fits(n, line); err != nil {
				return err
			}
			j.source = room(j.source, 4096)
		}
		j.source = append(j.source, c)
		switch {
		case c == '\n':
			j.line++
			escaped = false
		case escaped:
			escaped = false
		case quoted:
			quoted, escaped = c != '"', c == '\\'
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// A jsonWriter writes entries as objects with a key and a value.
type jsonWriter struct {
	w     io.Writer
	o     WriterOptions
	array bool

	row     []byte
	started bool
}

func (w *jsonWriter) Write(key, value []byte) error {
	w.row = w.row[:0]
	switch {
	case w.array && !w.started:
		w.row = append(w.row, "[\n"...)
	case w.array:
		w.row = append(w.row, ",\n"...)
	}
	w.started = true
	w.row = AppendEntry(w.row, key, value, w.o)
	if !w.array {
		w.row = append(w.row, '\n')
	}
	_, err := w.w.Write(w.row)
	return err
}

func (w *jsonWriter) Close() error {
	end := ""
	switch {
	case w.array && !w.started:
		end = "[]\n"
	case w.array:
		end = "\n]\n"
	}
	_, err := io.WriteString(w.w, end)
	return err
}

// AppendEntry appends an entry as a JSON object.
func AppendEntry(dst, key, value []byte, o WriterOptions) []byte {
	dst = append(dst, '{')
	if o.Keys != None {
		dst = AppendMember(dst, "key", key, o.Keys)
	}
	if o.Keys != None && o.Values != None {
		dst = append(dst, ',')
	}
	if o.Values != None {
		dst = AppendMember(dst, "value", value, o.Values)
	}
	return append(dst, '}')
}

// AppendMember appends the name and the text of b, in the encoding asked for
// where b fits it, else as text or base64.
func AppendMember(dst []byte, name string, b []byte, e Encoding) []byte {
	plain := e == Auto || e == Raw || e == JSONText || e == "" || e == U64 && len(b) != 8
	switch {
	case e == JSONText && embeds(b):
		dst = append(append(append(dst, '"'), name...), `":`...)
		return append(dst, b...)
	case plain && utf8.Valid(b):
		dst = append(append(append(dst, '"'), name...), `":`...)
		return AppendJSONString(dst, b)
	case plain:
		e = Base64
	}
	dst = append(append(append(dst, '"'), name...), suffixOf(e)...)
	dst = append(dst, `":`...)
	if e == U64 || e == Size {
		return e.Append(dst, b)
	}
	return AppendJSONString(dst, e.Append(nil, b))
}

// embeds reports whether b can stand in a file as the JSON that it is, and be
// read back with the same bytes. A JSON string cannot: its content would be
// taken for the value.
func embeds(b []byte) bool {
	if len(b) == 0 || b[0] == '"' || b[0] <= ' ' || b[len(b)-1] <= ' ' {
		return false
	}
	return bytes.IndexByte(b, '\n') < 0 && bytes.IndexByte(b, '\r') < 0 && utf8.Valid(b) && validJSON(b, maxDepth-1) // for it will stand in an object
}
