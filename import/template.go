package importer

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lightning-db/lightning/internal/dump"
)

// A Template makes keys: literal text with fields of the record between
// braces, such as city:{country}:{id}. {name} is a CSV column or a top-level
// JSON field, {.a.b} the field at a path; {{ and }} are braces.
type Template struct {
	parts []part
}

// A part is literal text, or the name of a field.
type part struct {
	text  string
	field bool
}

// ParseTemplate reads a template. Text without braces is the name of one
// field: a key that is the same for every record would be of no use.
func ParseTemplate(s string) (*Template, error) {
	if s == "" {
		return nil, errors.New("empty template: name a field, as in {id}")
	}
	t := &Template{}
	if !strings.ContainsAny(s, "{}") {
		t.parts = append(t.parts, part{s, true})
		return t, nil
	}
	fields := 0
	literal := ""
	for rest := s; rest != ""; {
		switch {
		case strings.HasPrefix(rest, "{{"), strings.HasPrefix(rest, "}}"):
			literal += rest[:1]
			rest = rest[2:]
		case rest[0] == '{':
			name, after, ok := strings.Cut(rest[1:], "}")
			if !ok || name == "" {
				return nil, fmt.Errorf("template %q: { without a field and }", s)
			}
			if literal != "" {
				t.parts = append(t.parts, part{literal, false})
				literal = ""
			}
			t.parts = append(t.parts, part{name, true})
			fields++
			rest = after
		case rest[0] == '}':
			return nil, fmt.Errorf("template %q: } without {; a brace itself is written }}", s)
		default:
			literal += rest[:1]
			rest = rest[1:]
		}
	}
	if literal != "" {
		t.parts = append(t.parts, part{literal, false})
	}
	if fields == 0 {
		return nil, fmt.Errorf("template %q names no field, so every record would get one key", s)
	}
	return t, nil
}

// Make makes the key of a record: one of its fields, lent as the record is, or
// what is put together in buf.
func (t *Template) Make(buf *[]byte, r *dump.Record) ([]byte, error) {
	dst := (*buf)[:0]
	for _, p := range t.parts {
		if !p.field {
			dst = append(dst, p.text...)
			continue
		}
		text, err := r.Field(p.text)
		if err != nil {
			return nil, err
		}
		if string(text) == "null" && r.IsNull(p.text) {
			return nil, fmt.Errorf("field %q of the key is null", p.text)
		}
		if len(t.parts) == 1 {
			return text, nil
		}
		dst = append(dst, text...)
	}
	*buf = dst
	return dst, nil
}
