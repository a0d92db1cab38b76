package dump

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// exported reads the lines that an export to JSON lines writes of text that needs
// no escapes,
//
//	{"key":"…","value":"…"}
//
// and leaves every other one to those who read any JSON: it says nothing of what
// is wrong. Its record has two columns, and is an object, too.
type exported struct{ record Record }

// What stands around the key and the value.
const (
	exportedHead = `{"key":"`
	exportedGap  = `","value":"`
	exportedTail = "\"}\n"
)

// next reads the next line where it is of that shape, and all of it in the buffer.
func (e *exported) next(l *lines) bool {
	b := l.rest
	if len(b) < len(exportedHead) || string(b[:len(exportedHead)]) != exportedHead {
		return false
	}
	key := textEnd(b, len(exportedHead))
	if key < 0 || len(b)-key < len(exportedGap) || string(b[key:key+len(exportedGap)]) != exportedGap {
		return false
	}
	value := textEnd(b, key+len(exportedGap))
	if value < 0 || len(b)-value < len(exportedTail) || string(b[value:value+len(exportedTail)]) != exportedTail {
		return false
	}
	end := value + len(exportedTail)
	l.take(end)
	l.line++

	r := &e.record
	if r.fields == nil {
		r.fields, r.keys, r.values = fieldsNamed("key", "value"), 1, 2
		r.ends, r.gap = make([]int, 2), len(exportedGap)
	}
	r.Line, r.Source = l.line, b[:end]
	r.exact = b[:end-1]
	r.object = r.exact
	r.text = b[len(exportedHead):value]
	r.ends[0], r.ends[1] = key-len(exportedHead), len(r.text)
	return true
}

// textEnd returns where the closing quote is of a JSON string that begins at i, of
// UTF-8 without escapes, or -1 for anything else.
func textEnd(b []byte, i int) int {
	n := bytes.IndexByte(b[i:], '"')
	if n < 0 {
		return -1
	}
	text := b[i : i+n]
	if !plainASCII(text) {
		if end, escaped := StringEnd(b, i); end < 0 || escaped || !utf8.Valid(text) {
			return -1
		}
	}
	return i + n
}

// plainASCII reports whether b is ASCII without backslashes and control characters.
// To look at all of it, and then ask, is faster than to ask at each eight bytes.
func plainASCII(b []byte) bool {
	odd := uint64(0)
	if len(b) >= 8 {
		odd = oddASCII(binary.LittleEndian.Uint64(b[len(b)-8:]))
	} else {
		for _, c := range b {
			odd |= oddASCII(ones*' '&^0xff | uint64(c))
		}
	}
	for ; len(b) >= 32; b = b[32:] {
		x, y := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		z, w := binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])
		odd |= oddASCII(x) | oddASCII(y) | oddASCII(z) | oddASCII(w)
	}
	for ; len(b) >= 8; b = b[8:] {
		odd |= oddASCII(binary.LittleEndian.Uint64(b))
	}
	return odd&tops == 0
}

// oddASCII has the highest bit of a byte set where x is not eight bytes of ASCII
// without backslashes and control characters. Of those that are no ASCII, the one
// half sees all from 0xa0 on, the other all but 0xdc.
func oddASCII(x uint64) uint64 { return (x - ones*' ') | ((x ^ ones*'\\') - ones) }
