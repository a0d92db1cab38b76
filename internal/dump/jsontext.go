package dump

import (
	"bytes"
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// split takes the fields of the object that text is, and reports whether it is
// one. That a name is no text is an error, and that there are more than so many.
func (r *Record) split(text []byte, most int) (ok bool, err error) {
	r.fields = r.fields[:0]
	begin := Space(text, 0)
	if begin >= len(text) || text[begin] != '{' {
		return false, nil
	}
	i := Space(text, begin+1)
	length, spaced := len("{}"), false // without insignificant space, and whether there is any in a field
	for i < len(text) && (text[i] != '}' || len(r.fields) > 0) {
		if len(r.fields) > 0 {
			length += len(",")
		}
		if text[i] != '"' {
			return false, nil
		}
		quote := i
		end, escaped := StringEnd(text, i+1)
		if end < 0 {
			return false, nil
		}
		name := text[quote+1 : end]
		if escaped {
			if name, err = jsonText(text[quote : end+1]); err != nil {
				return false, err
			}
		}
		if i = Space(text, end+1); i >= len(text) || text[i] != ':' {
			return false, nil
		}
		at := Space(text, i+1)
		if i = ValueEnd(text, at, maxDepth-1); i < 0 {
			return false, nil
		}
		value := text[at:i:i]
		if value[0] == '{' || value[0] == '[' {
			r.compact = AppendCompact(r.compact[:0], value)
			spaced = spaced || len(r.compact) < len(value)
		}
		if len(r.fields) == most {
			return false, errFields
		}
		r.fields = append(r.fields, field{name: name, value: value})
		length += end + 1 - quote + len(":") + len(value)
		if i = Space(text, i); i >= len(text) {
			return false, nil
		}
		if text[i] == '}' {
			break
		}
		if text[i] != ',' {
			return false, nil
		}
		i = Space(text, i+1)
	}
	if i >= len(text) || Space(text, i+1) < len(text) {
		return false, nil
	}
	r.exact = text[begin : i+1]
	if r.object = r.exact; spaced || length < len(r.exact) {
		r.compact = AppendCompact(r.compact[:0], r.exact)
		r.object = r.compact
	}
	return true, nil
}

// jsonPath finds the value at a path of field names in an object.
func jsonPath(object []byte, path []string) ([]byte, bool) {
	for _, name := range path {
		var r Record
		if ok, err := r.split(object, len(object)); !ok || err != nil {
			return nil, false
		}
		value, ok := r.Find(name)
		if !ok {
			return nil, false
		}
		object = value
	}
	return object, true
}

// jsonText returns the content of a JSON string, and the JSON of any other
// value as it is.
func jsonText(value []byte) ([]byte, error) {
	if len(value) < 2 || value[0] != '"' {
		return value, nil
	}
	s := value[1 : len(value)-1]
	if bytes.IndexByte(s, '\\') < 0 {
		return s, nil
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case 'n':
			out = append(out, '\n')
		case 't':
			out = append(out, '\t')
		case 'r':
			out = append(out, '\r')
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'u':
			r, n, err := jsonRune(s[i+1:])
			if err != nil {
				return nil, err
			}
			out = utf8.AppendRune(out, r)
			i += n
		default: // " \ /
			out = append(out, c)
		}
	}
	return out, nil
}

var errSurrogate = errors.New(`half of a surrogate pair (\ud800 to \udfff) stands for no character`)

// jsonRune reads what follows \u, and the second half of a pair.
func jsonRune(s []byte) (r rune, n int, err error) {
	first, err := strconv.ParseUint(string(s[:4]), 16, 16)
	if err != nil {
		return 0, 0, err
	}
	r = rune(first)
	if !utf16.IsSurrogate(r) {
		return r, 4, nil
	}
	if len(s) < 10 || s[4] != '\\' || s[5] != 'u' {
		return 0, 0, errSurrogate
	}
	second, err := strconv.ParseUint(string(s[6:10]), 16, 16)
	if err != nil {
		return 0, 0, err
	}
	if r = utf16.DecodeRune(r, rune(second)); r == utf8.RuneError {
		return 0, 0, errSurrogate
	}
	return r, 10, nil
}

const hexDigits = "0123456789abcdef"

// AppendJSONString appends text in quotes. Control characters, those of the
// second block too, are escaped, so that the line is safe on a terminal;
// nothing else is.
func AppendJSONString(dst, text []byte) []byte {
	return append(appendJSONText(append(dst, '"'), text), '"')
}

// secondControl reports whether one of U+0080 to U+009F begins at b[i].
func secondControl(b []byte, i int) bool {
	return b[i] == 0xc2 && i+1 < len(b) && b[i+1]&0xe0 == 0x80
}

// appendJSONText appends what stands between the quotes.
func appendJSONText(dst, text []byte) []byte {
	plain := 0
	for i := asciiEnd(text, 0); i < len(text); i = asciiEnd(text, i+1) {
		c := text[i]
		second := secondControl(text, i)
		if c >= ' ' && c != '"' && c != '\\' && c != 0x7f && !second {
			continue
		}
		dst = append(dst, text[plain:i]...)
		switch {
		case second:
			i++
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[text[i]>>4], hexDigits[text[i]&15])
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		plain = i + 1
	}
	return append(dst, text[plain:]...)
}
