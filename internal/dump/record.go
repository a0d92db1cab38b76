package dump

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Reader reads the records of one file.
type Reader interface {
	// Read returns the next record, and io.EOF after the last one. The record
	// is lent until the next call. A *RowError is about one record only:
	// reading goes on behind it.
	Read() (*Record, error)
	// Head returns the bytes that must stand before the records of a file of
	// the same shape: the header of a CSV file. It may be another one behind
	// each record.
	Head() []byte
	// Sample returns a record with the fields that all have, where the file
	// says before its first record which these are, or else nil. Their value
	// is one that any encoding of a field takes.
	Sample() *Record
}

// bare is a file of records and nothing else.
type bare struct{}

func (bare) Head() []byte { return nil }

func (bare) Sample() *Record { return nil }

// A RowError says which record of a file is bad, and why.
type RowError struct {
	Line   int64  // where the record begins, from 1; 0 in a file without lines
	Source []byte // its bytes
	Err    error
}

func (e *RowError) Error() string {
	if e.Line == 0 {
		return e.Err.Error()
	}
	return fmt.Sprintf("line %d: %v", e.Line, e.Err)
}

func (e *RowError) Unwrap() error { return e.Err }

// An InputError says that a file as a whole is not what it should be: reading
// cannot go on.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }

func (e *InputError) Unwrap() error { return e.Err }

//go:noinline // called in many places, none of them hot
func inputError(format string, args ...any) error {
	return &InputError{errorf(format, args...)}
}

// errorf is fmt.Errorf, which the compiler inlines: 70 bytes in each place.
//
//go:noinline
func errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }

// A Record is one record of a file: named fields in the order of the file.
type Record struct {
	Line   int64  // where it begins, from 1
	Source []byte // its bytes in the file
	Space  string // the keyspace that the file says; empty where it does not

	fields []field

	// The values of CSV, TSV, and what exported reads, where ends is not nil.
	text  []byte // one behind the other
	ends  []int  // where in text each ends
	gap   int    // bytes between two
	plain bool   // text is the row as it stands, and the names and what is between two are UTF-8
	seen  int    // so many bytes of it stand in a JSON string as they are
	room  int    // bytes of all labels, and some more

	keys, values int // the columns that are named key and value, from 1

	asked string // the name that number was last asked for,
	place int    // and what it said, which of columns stays true

	object  []byte // JSON: the whole record without insignificant space
	exact   []byte // JSON: the whole record as it stands
	compact []byte // holds object where that is not exact
}

// A field's value is text, and JSON in an object that exported does not read.
type field struct {
	name  []byte
	label []byte // of a column: what a JSON object of all fields has before value
	value []byte // but of a column: see Record.value
}

func fieldsNamed(names ...string) []field {
	fields := make([]field, len(names))
	for i, name := range names {
		fields[i].name = []byte(name)
		label := []byte(`",`)
		if i == 0 {
			label = []byte("{")
		}
		label = append(AppendJSONString(label, fields[i].name), `:"`...)
		fields[i].label = slices.Grow(label, shortBytes)
	}
	return fields
}

// Bad makes the RowError of this record.
//
//go:noinline // called in many places, none of them hot
func (r *Record) Bad(err error) *RowError {
	return &RowError{Line: r.Line, Source: r.Source, Err: err}
}

// Find returns the bytes of a top-level field; of several with one name, the last.
func (r *Record) Find(name string) ([]byte, bool) {
	if n := r.number(name); n > 0 {
		return r.value(n - 1), true
	}
	return nil, false
}

// number is the place of the field that Find finds, from 1, and 0 if there is none.
func (r *Record) number(name string) int {
	if name == r.asked && r.ends != nil {
		return r.place
	}
	n := len(r.fields)
	for n > 0 && string(r.fields[n-1].name) != name {
		n--
	}
	r.asked, r.place = name, n
	return n
}

// value returns the value of a field.
func (r *Record) value(i int) []byte {
	if r.ends == nil {
		return r.fields[i].value
	}
	begin, end := 0, r.ends[i]
	if i > 0 {
		begin = r.ends[i-1] + r.gap
	}
	return r.text[begin:end:end]
}

// Field returns the text of a field: a CSV column, a top-level JSON field, or,
// where name begins with a dot, what stands at such a path (.a.b). A JSON
// string gives its content, anything else its JSON text.
func (r *Record) Field(name string) ([]byte, error) {
	value, isText, ok := r.find(name)
	if !ok {
		return nil, errorf("no field %q; there are: %s", name, r.names())
	}
	if isText {
		return value, nil
	}
	text, err := jsonText(value)
	if err != nil {
		return nil, errorf("field %q: %w", name, err)
	}
	return text, nil
}

// find returns a field, or what stands at a path, and whether that is text or JSON.
func (r *Record) find(name string) (value []byte, isText, ok bool) {
	value, ok = r.Find(name)
	if !ok && r.object != nil && strings.HasPrefix(name, ".") {
		value, ok = jsonPath(r.exact, strings.Split(name[1:], "."))
		return value, false, ok
	}
	return value, r.object == nil || r.ends != nil, ok
}

// IsNull reports whether a field is a JSON null.
func (r *Record) IsNull(name string) bool {
	value, isText, ok := r.find(name)
	return ok && !isText && string(value) == "null"
}

func (r *Record) names() string {
	const most = 12
	var names []string
	for i, f := range r.fields {
		if i == most {
			names = append(names, "…")
			break
		}
		names = append(names, Printable(f.name))
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// Object returns the whole record as a JSON object: its own bytes without
// insignificant space, lent as the record is, or, in buf, the columns as strings.
func (r *Record) Object(buf *[]byte) ([]byte, error) {
	if r.object != nil {
		return r.object, nil
	}
	dst := (*buf)[:0]
	if r.plain && r.verbatim() {
		dst = slices.Grow(dst, r.room+len(r.text))
		begin := 0
		for i, end := range r.ends {
			dst = appendShort(appendShort(dst, r.fields[i].label), r.text[begin:end])
			begin = end + r.gap
		}
		*buf = append(dst, `"}`...)
		return *buf, nil
	}
	for i := range r.fields {
		dst = appendJSONText(append(dst, r.fields[i].label...), r.value(i))
	}
	dst = append(dst, `"}`...)
	*buf = dst
	if utf8.Valid(dst) { // which is faster than to ask of each field
		return dst, nil
	}
	i := 0
	for utf8.Valid(r.fields[i].name) && utf8.Valid(r.value(i)) {
		i++
	}
	return nil, errorf("column %s is not UTF-8 text: convert the file first, for example with iconv", Printable(r.fields[i].name))
}

// verbatim reports whether text stands in a JSON string as it is.
func (r *Record) verbatim() bool {
	i := asciiEnd(r.text, r.seen)
	if i == len(r.text) {
		return true
	}
	for i < len(r.text) && r.text[i] >= utf8.RuneSelf && !secondControl(r.text, i) {
		i = asciiEnd(r.text, i+1)
	}
	return i == len(r.text) && utf8.Valid(r.text)
}

// shortBytes is what appendShort copies at a time.
const shortBytes = 16

// appendShort is append for what is short most often: one move of a fixed length
// takes a third of the time of one whose length is not known.
func appendShort(dst, b []byte) []byte {
	n := len(dst)
	if len(b) > shortBytes || cap(b) < shortBytes || cap(dst)-n < shortBytes {
		return append(dst, b...)
	}
	*(*[shortBytes]byte)(dst[n : n+shortBytes]) = [shortBytes]byte(b[:shortBytes])
	return dst[:n+len(b)]
}

// encodings are those of a field key or value, whose name says which: Raw is
// just that, others are key_base64 and so on.
var encodings = [...]Encoding{Raw, Base64, Hex, Quoted, U64}

// errNoKey is what a record without a key of its own meets.
var errNoKey = errors.New(`no field "key": name one, as in --key '{id}' or --key 'city:{country}:{id}'`)

// Key returns the key of a record that Lightning exported.
func (r *Record) Key() ([]byte, error) {
	if r.keys > 0 {
		return r.value(r.keys - 1), nil
	}
	b, ok, err := r.encoded("key")
	if err == nil && !ok {
		err = errNoKey
	}
	return b, err
}

// Value returns the value of a record that Lightning exported. ok says whether
// it has one.
func (r *Record) Value() (value []byte, ok bool, err error) {
	if r.values > 0 {
		return r.value(r.values - 1), true, nil
	}
	return r.encoded("value")
}

func (r *Record) encoded(name string) ([]byte, bool, error) {
	for _, enc := range encodings {
		full := name
		if enc != Raw {
			full += "_" + string(enc)
		}
		text, ok := r.Find(full)
		if !ok {
			continue
		}
		var err error
		switch {
		case r.object == nil:
		case enc != Raw && enc != U64 && text[0] != '"', enc == Raw && name == "key" && string(text) == "null":
			err = errorf("%s is no string", Printable(text))
		default:
			text, err = jsonText(text)
		}
		if err == nil {
			text, err = enc.Decode(text)
		}
		if err != nil {
			return nil, true, errorf("field %q: %w", full, err)
		}
		return text, true, nil
	}
	return nil, false, nil
}

// Other returns the name of a field that is none of these.
func (r *Record) Other(names []string) (name []byte, ok bool) {
	for i := range r.fields {
		if name = r.fields[i].name; !slices.Contains(names, string(name)) {
			return name, true
		}
	}
	return nil, false
}

// Repeated returns a name that more than one field has.
func (r *Record) Repeated() (name string, ok bool) {
	for i, f := range r.fields {
		for _, other := range r.fields[:i] {
			if string(f.name) == string(other.name) {
				return string(f.name), true
			}
		}
	}
	return "", false
}

// Len returns the number of fields.
func (r *Record) Len() int { return len(r.fields) }

// trimBOM cuts the mark that some programs put before UTF-8.
func trimBOM(b []byte) []byte { return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) }
