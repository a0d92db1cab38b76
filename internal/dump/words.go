package dump

import "bytes"

var (
	errNoWord      = errorf(`a key or value is missing ("" is the empty one)`)
	errBehindQuote = errorf("text behind a closing quote")
	errSingle      = errorf(`single quotes do not quote here: "a b" does, x'6120' and u64(42) are bytes, and "'a" begins with one`)
)

// Word cuts the first word off a statement, or with whole takes all that is left
// of it as one, spaces and all. A word is a literal, which means the same under
// every encoding,
//
//	"a\x00b"   with the escapes of Go and C
//	x'610062'  hexadecimal
//	u64(42)    8 bytes, big-endian
//
// or anything else, in the encoding that was asked for. It is never nil. With Auto
// it does not begin with a single quote: the shell would take that for a quote.
func Word(text []byte, e Encoding, whole bool) (word, rest []byte, err error) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return nil, nil, errNoWord
	}
	end := 0
	for end < len(text) && (whole || !isBlank(text[end])) {
		end++
	}
	begin, closing := 0, 0
	switch {
	case text[0] == '"' && !(whole && e == JSONText):
		e = Quoted
		for end = 1; end < len(text) && text[end] != '"'; end++ {
			if text[end] == '\\' {
				end++
			}
		}
		if end++; end > len(text) {
			return nil, nil, errQuote
		}
		if end < len(text) && (whole || !isBlank(text[end])) {
			return nil, nil, errBehindQuote
		}
	case end > 2 && bytes.HasPrefix(text, []byte("x'")) && bytes.IndexByte(text[2:], '\'') == end-3:
		e, begin, closing = Hex, 2, 1
	case bytes.HasPrefix(text, []byte("u64(")) && bytes.IndexByte(text, ')') == end-1:
		e, begin, closing = U64, 4, 1
	case text[0] == '\'' && e == Auto:
		return nil, nil, errSingle
	}
	word, err = e.Decode(text[begin : end-closing])
	return append([]byte{}, word...), text[end:], err
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
