package dump

import (
	"encoding/binary"
	"math/bits"
)

// The functions below step over JSON as RFC 8259 has it: each returns where
// what begins at b[i] ends, or -1 where there is no such thing. Of the time of
// an import, and of a query, they are most, so they look at eight bytes at a
// time, and do not say what is wrong; a jsonScanner does.

// maxDepth bounds how deep arrays and objects of a document may be nested.
const maxDepth = 10_000

// ValidJSON reports whether b is one JSON document.
func ValidJSON(b []byte) bool { return validJSON(b, maxDepth) }

func validJSON(b []byte, depth int) bool {
	end := ValueEnd(b, 0, depth)
	return end >= 0 && Space(b, end) == len(b)
}

// Space steps over space, of which there may be none.
func Space(b []byte, i int) int {
	// One comparison where there is none, as almost everywhere.
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// ValueEnd steps over space and a value that is nested at most depth deep.
func ValueEnd(b []byte, i, depth int) int {
	if i = Space(b, i); i >= len(b) {
		return -1
	}
	switch c := b[i]; {
	case c == '"':
		if i, _ = StringEnd(b, i+1); i < 0 {
			return -1
		}
		return i + 1
	case c-'0' <= 9 || c == '-':
		return NumberEnd(b, i)
	case c == '{' && depth > 0:
		return objectEnd(b, i+1, depth-1)
	case c == '[' && depth > 0:
		return ArrayEnd(b, i+1, depth-1)
	}
	return WordEnd(b, i)
}

// objectEnd steps over the rest of an object, with values at most depth deep.
func objectEnd(b []byte, i, depth int) int {
	if i = Space(b, i); i < len(b) && b[i] == '}' {
		return i + 1
	}
	for i < len(b) && b[i] == '"' {
		end := ShortEnd(b, i+1)
		if end < 0 {
			if end, _ = StringEnd(b, i+1); end < 0 {
				return -1
			}
		}
		if i = Space(b, end+1); i >= len(b) || b[i] != ':' {
			return -1
		}
		if i = ValueEnd(b, i+1, depth); i < 0 {
			return -1
		}
		if i = Space(b, i); i >= len(b) {
			return -1
		}
		if b[i] == '}' {
			return i + 1
		}
		if b[i] != ',' {
			return -1
		}
		i = Space(b, i+1)
	}
	return -1
}

// ArrayEnd steps over the rest of an array, with items at most depth deep.
func ArrayEnd(b []byte, i, depth int) int {
	if i = Space(b, i); i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		if i = ValueEnd(b, i, depth); i < 0 {
			return -1
		}
		if i = Space(b, i); i >= len(b) {
			return -1
		}
		if b[i] == ']' {
			return i + 1
		}
		if b[i] != ',' {
			return -1
		}
		i++
	}
}

// WordEnd steps over true, false or null.
func WordEnd(b []byte, i int) int {
	if i+4 > len(b) {
		return -1
	}
	switch string(b[i : i+4]) {
	case "true", "null":
		return i + 4
	case "fals":
		if i+4 < len(b) && b[i+4] == 'e' {
			return i + 5
		}
	}
	return -1
}

// NumberEnd steps over a number.
func NumberEnd(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	begin := i
	switch i = digits(b, i); {
	case i == begin:
		return -1
	case b[begin] == '0':
		i = begin + 1 // a digit behind it is no part of it
	}
	if i < len(b) && b[i] == '.' {
		if i = DigitsEnd(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return DigitsEnd(b, i)
	}
	return i
}

// DigitsEnd steps over digits, of which there must be one.
func DigitsEnd(b []byte, i int) int {
	if end := digits(b, i); end > i {
		return end
	}
	return -1
}

// digits steps over digits, if there are any.
func digits(b []byte, i int) int {
	for i+8 <= len(b) {
		// Of a digit this leaves less than 10, of anything else more.
		x := binary.LittleEndian.Uint64(b[i:]) ^ ones*'0'
		if hit := (x + ones*(0x80-10) | x) & tops; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
		i += 8
	}
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// ShortEnd is StringEnd of a string of less than eight bytes without escapes, as
// most are; of another it is -1.
func ShortEnd(b []byte, i int) int {
	if i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		if hit := marks(x) &^ x & tops; hit != 0 {
			if i += bits.TrailingZeros64(hit) / 8; b[i] == '"' {
				return i
			}
		}
	}
	return -1
}

// StringEnd returns where the closing quote is of the JSON string whose content
// begins at i, or -1 for what is none, and whether there are escapes before it.
func StringEnd(b []byte, i int) (end int, escaped bool) {
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		hit := marks(x) &^ x & tops
		if hit == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(hit) / 8
		if b[i] == '"' {
			return i, escaped
		}
		n := escapeLength(b[i:])
		if n == 0 {
			return -1, false
		}
		i += n
		escaped = true
	}
	for i < len(b) && b[i] >= ' ' {
		switch b[i] {
		case '"':
			return i, escaped
		case '\\':
			n := escapeLength(b[i:])
			if n == 0 {
				return -1, false
			}
			i += n
			escaped = true
		default:
			i++
		}
	}
	return -1, false
}

// escapeLength is the length of the escape that b begins with, 0 if it is none, as
// where a control character stands.
func escapeLength(b []byte) int {
	if len(b) < 2 || b[0] != '\\' {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, c := range b[2:6] {
			if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
				return 0
			}
		}
		return 6
	}
	return 0
}

// AppendCompact appends a value that has been found valid without insignificant
// space. Names, strings and numbers keep their bytes.
func AppendCompact(dst, value []byte) []byte {
	from := 0
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '"':
			i, _ = StringEnd(value, i+1)
		case c <= ' ':
			dst = append(dst, value[from:i]...)
			from = i + 1
		}
	}
	return append(dst, value[from:]...)
}

// asciiEnd returns where the first byte is, from i on, that is no ASCII, or may
// have to be escaped.
func asciiEnd(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		if hit := (marks(x) | (x ^ ones*0x7f - ones) | x) & tops; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' && b[i] < 0x7f {
		i++
	}
	return i
}

// Eight bytes at a time: a constant for each of them, and the highest bit.
const ones, tops = 0x0101010101010101, 0x8080808080808080

// marks has the highest bit of the first byte of x that is no plain one in a
// string, a quote, a backslash or a control character, perhaps those of bytes
// behind it, and perhaps those of bytes that are no ASCII. With its second bit flipped, a quote follows the control characters, and
// both are below 0x21.
func marks(x uint64) uint64 { return ((x ^ ones*2) - ones*0x21) | ((x ^ ones*'\\') - ones) }
