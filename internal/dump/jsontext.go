package dump

import (
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// The functions below walk over JSON that has been found valid. They keep what
// encoding/json loses: the order and the exact bytes of fields.

// jsonFields appends the fields of an object, each with its exact bytes.
func jsonFields(dst []field, object []byte) ([]field, error) {
	i := skipSpace(object, 1)
	for object[i] != '}' {
		end := valueEnd(object, i)
		name, err := jsonText(object[i:end])
		if err != nil {
			return dst, err
		}
		i = skipSpace(object, end)
		i = skipSpace(object, i+1) // the colon
		end = valueEnd(object, i)
		dst = append(dst, field{name: name, value: object[i:end:end]})
		i = skipSpace(object, end)
		if object[i] == ',' {
			i = skipSpace(object, i+1)
		}
	}
	return dst, nil
}

// jsonPath finds the value at a path of field names.
func jsonPath(object []byte, path []string) ([]byte, bool) {
	for _, name := range path {
		if len(object) == 0 || object[0] != '{' {
			return nil, false
		}
		fields, err := jsonFields(nil, object)
		if err != nil {
			return nil, false
		}
		r := Record{fields: fields}
		value, ok := r.Find(name)
		if !ok {
			return nil, false
		}
		object = value
	}
	return object, true
}

func skipSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r' {
		i++
	}
	return i
}

// valueEnd returns where the value that begins at i ends.
func valueEnd(b []byte, i int) int {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // behind a number, true, false or null
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ':', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}

// jsonText returns the content of a JSON string, and the JSON of any other
// value as it is.
func jsonText(value []byte) ([]byte, error) {
	if len(value) < 2 || value[0] != '"' {
		return value, nil
	}
	s := value[1 : len(value)-1]
	escaped := false
	for _, c := range s {
		escaped = escaped || c == '\\'
	}
	if !escaped {
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
	dst = append(dst, '"')
	plain := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		second := c == 0xc2 && i+1 < len(text) && text[i+1] < 0xa0 // U+0080 to U+009F
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
	return append(append(dst, text[plain:]...), '"')
}
