package dump

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Encoding is how a key or a value stands as text: in an argument, on a
// terminal, in a file.
type Encoding string

const (
	Auto     Encoding = "auto"     // arguments as they are; printed as text where that is printable and begins with no quote, else quoted
	Raw      Encoding = "raw"      // the bytes as they are
	Quoted   Encoding = "quoted"   // "a\x00b", with the escapes of Go and C
	Hex      Encoding = "hex"      // 610062
	Base64   Encoding = "base64"   // YQBi, as in RFC 4648, padded
	U64      Encoding = "u64"      // 8 bytes, big-endian, as a decimal number
	JSONText Encoding = "json"     // values only: a JSON document
	Size     Encoding = "size"     // output only: the number of bytes
	Redacted Encoding = "redacted" // output only: a placeholder
	None     Encoding = "none"     // output only: left out
)

// ParseEncoding reads the name of an encoding.
func ParseEncoding(name string) (Encoding, error) {
	switch e := Encoding(name); e {
	case Auto, Raw, Quoted, Hex, Base64, U64, JSONText, Size, Redacted, None:
		return e, nil
	}
	return "", errorf("unknown encoding %q: use auto, raw, quoted, hex, base64, u64, json (values), or for output size, redacted, none", name)
}

// Lossy reports whether the bytes cannot be had back from the text.
func (e Encoding) Lossy() bool { return e == Size || e == Redacted || e == None }

// Plain reports whether the text is the bytes themselves.
func (e Encoding) Plain() bool { return e == Auto || e == Raw || e == JSONText }

// Decode reads text in this encoding.
func (e Encoding) Decode(text []byte) ([]byte, error) {
	switch e {
	case Auto, Raw:
		return text, nil
	case Quoted:
		return unquote(string(text))
	case Hex:
		b, err := hex.DecodeString(string(text))
		if err != nil {
			return nil, errorf("%s is not hexadecimal: two digits for each byte, as in 00ff", Printable(text))
		}
		return b, nil
	case Base64:
		s := string(text)
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			b, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
		}
		if err != nil {
			return nil, errorf("%s is not base64", Printable(text))
		}
		return b, nil
	case U64:
		if bytes.HasPrefix(text, []byte{'"'}) { // printed of what has not 8 bytes
			return unquote(string(text))
		}
		n, err := strconv.ParseUint(string(text), 10, 64)
		if err != nil {
			return nil, errorf("%s is not a number from 0 to 18446744073709551615", Printable(text))
		}
		return binary.BigEndian.AppendUint64(nil, n), nil
	case JSONText:
		if !ValidJSON(text) {
			return nil, errorf("%s is not JSON", Printable(text))
		}
		return text, nil
	}
	return nil, errorf("%s is an encoding for output only", e)
}

// Append appends b as text in this encoding. Bytes that do not fit the
// encoding come out quoted (u64 of anything but 8 bytes), or as by Auto (json of
// what is none). JSON comes on one line, without tabs.
func (e Encoding) Append(dst, b []byte) []byte {
	switch e {
	case Raw:
		return append(dst, b...)
	case JSONText:
		switch {
		case !utf8.Valid(b) || !ValidJSON(b):
			return Auto.Append(dst, b)
		case slices.ContainsFunc(b, func(c byte) bool { return c < ' ' }): // as space only
			return AppendCompact(dst, b)
		}
		return append(dst, b...)
	case Hex:
		return hex.AppendEncode(dst, b)
	case Base64:
		return base64.StdEncoding.AppendEncode(dst, b)
	case U64:
		if len(b) == 8 {
			return strconv.AppendUint(dst, binary.BigEndian.Uint64(b), 10)
		}
	case Size:
		return strconv.AppendInt(dst, int64(len(b)), 10)
	case Redacted:
		return append(dst, "‹×›"...)
	case None:
		return dst
	case Auto:
		// Text that begins with a quote would look like other text, quoted.
		if isPrintable(b) && (len(b) == 0 || b[0] != '"') {
			return append(dst, b...)
		}
	}
	return strconv.AppendQuote(dst, string(b))
}

// Printable shows bytes in a message: as they are where that is safe on a
// terminal, else quoted; long ones are cut.
func Printable(b []byte) string {
	const longest = 80
	if len(b) == 0 {
		return `""` // or a message ends where it should say what
	}
	rest := ""
	if len(b) > longest {
		rest = fmt.Sprintf("…(%d bytes)", len(b))
		b = b[:longest]
		for cut := 0; cut < utf8.UTFMax-1 && !utf8.Valid(b); cut++ {
			b = b[:len(b)-1]
		}
	}
	return string(Auto.Append(nil, b)) + rest
}

// isPrintable reports whether b is UTF-8 text of one line that does nothing to
// a terminal. What joins letters or chooses an emoji's look is printable; what
// turns the direction of the whole line is not.
func isPrintable(b []byte) bool { return printable(b, false) }

// printable is isPrintable, or allows tabs too.
func printable(b []byte, tabs bool) bool {
	for i := 0; i < len(b); {
		if c := b[i]; c < utf8.RuneSelf {
			if (c < ' ' && (c != '\t' || !tabs)) || c == 0x7f {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 || unsafeRune(r) {
			return false
		}
		i += n
	}
	return true
}

// IsText reports whether b is text, of any number of lines, that does nothing
// to a terminal.
func IsText(b []byte) bool {
	for line := range bytes.Lines(b) {
		if !printable(chomp(line), true) {
			return false
		}
	}
	return true
}

func unsafeRune(r rune) bool {
	switch {
	case unicode.IsControl(r), r == '\u2028', r == '\u2029', r == '\ufeff':
		return true
	case r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
		return true
	}
	return false
}

var errQuote = errors.New("a quoted string needs its closing quote and knows the escapes \\n \\t \\r \\\\ \\\" \\0 \\xFF \\u00e9")

// unquote reads escapes, with or without the quotes around.
func unquote(s string) ([]byte, error) {
	if strings.HasPrefix(s, `"`) {
		if len(s) < 2 || !strings.HasSuffix(s, `"`) {
			return nil, errQuote
		}
		s = s[1 : len(s)-1]
	}
	out := make([]byte, 0, len(s))
	for len(s) > 0 {
		if s[0] != '\\' {
			out = append(out, s[0])
			s = s[1:]
			continue
		}
		if len(s) == 1 {
			return nil, errQuote
		}
		if s[1] == '"' || s[1] == '\'' {
			out = append(out, s[1])
			s = s[2:]
			continue
		}
		r, multibyte, tail, err := strconv.UnquoteChar(s, 0)
		switch {
		case err == nil && multibyte:
			out = utf8.AppendRune(out, r)
		case err == nil:
			out = append(out, byte(r))
		case s[1] == '0':
			out = append(out, 0)
			tail = s[2:]
		default:
			return nil, errQuote
		}
		s = tail
	}
	return out, nil
}
