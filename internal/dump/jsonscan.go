package dump

import (
	"errors"
)

// maxDepth bounds how deep arrays and objects of a document may be nested.
const maxDepth = 10_000

// ValidJSON reports whether b is one JSON document, as RFC 8259 has it.
// encoding/json says the same, and would make the program a thirtieth larger.
func ValidJSON(b []byte) bool {
	s := jsonScanner{src: b}
	return s.document() == nil
}

// compactJSON appends a JSON document without insignificant space. Names,
// strings and numbers keep their bytes.
func compactJSON(dst, src []byte) ([]byte, error) {
	s := jsonScanner{src: src, dst: dst, keep: true}
	err := s.document()
	return s.dst, err
}

type jsonScanner struct {
	src   []byte
	i     int
	depth int

	dst  []byte
	keep bool
}

var errJSONEnd = errors.New("bad JSON: it ends too early")

func (s *jsonScanner) document() error {
	if err := s.value(); err != nil {
		return err
	}
	if s.space(); s.i < len(s.src) {
		return s.unexpected("behind the end")
	}
	return nil
}

func (s *jsonScanner) unexpected(where string) error {
	if s.i >= len(s.src) {
		return errJSONEnd
	}
	return errorf("bad JSON: unexpected %q %s, at byte %d", s.src[s.i], where, s.i+1)
}

func (s *jsonScanner) space() {
	for s.i < len(s.src) {
		switch s.src[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// next skips space and returns the byte there, 0 at the end.
func (s *jsonScanner) next() byte {
	s.space()
	return s.peek()
}

func (s *jsonScanner) peek() byte {
	if s.i < len(s.src) {
		return s.src[s.i]
	}
	return 0
}

// take steps over n bytes and keeps them.
func (s *jsonScanner) take(n int) {
	if s.keep {
		s.dst = append(s.dst, s.src[s.i:s.i+n]...)
	}
	s.i += n
}

func (s *jsonScanner) value() error {
	switch c := s.next(); {
	case c == '{':
		return s.nested('}', true)
	case c == '[':
		return s.nested(']', false)
	case c == '"':
		return s.text()
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	}
	return s.unexpected("where a value begins")
}

// nested scans an array, or an object, whose values have names.
func (s *jsonScanner) nested(end byte, named bool) error {
	if s.depth++; s.depth > maxDepth {
		return errors.New("bad JSON: nested too deep")
	}
	s.take(1)
	if s.next() == end {
		s.depth--
		s.take(1)
		return nil
	}
	for {
		if named {
			if s.next() != '"' {
				return s.unexpected("where a name begins")
			}
			if err := s.text(); err != nil {
				return err
			}
			if s.next() != ':' {
				return s.unexpected("behind a name")
			}
			s.take(1)
		}
		if err := s.value(); err != nil {
			return err
		}
		switch s.next() {
		case end:
			s.depth--
			s.take(1)
			return nil
		case ',':
			s.take(1)
		default:
			return s.unexpected("behind a value")
		}
	}
}

func (s *jsonScanner) text() error {
	begin := s.i
	for i := begin + 1; i < len(s.src); i++ {
		switch c := s.src[i]; {
		case c == '"':
			s.take(i + 1 - begin)
			return nil
		case c < ' ':
			s.i = i
			return s.unexpected("in a string")
		case c == '\\':
			n := escapeLength(s.src[i:])
			if n == 0 {
				s.i = i
				return s.unexpected("in a string")
			}
			i += n - 1
		}
	}
	return errJSONEnd
}

// escapeLength is the length of the escape that b begins with, 0 if it is none.
func escapeLength(b []byte) int {
	if len(b) < 2 {
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

func (s *jsonScanner) number() error {
	begin := s.i
	if s.peek() == '-' {
		s.i++
	}
	if s.peek() == '0' {
		s.i++
	} else if !s.digits() {
		return s.unexpected("in a number")
	}
	if s.peek() == '.' {
		s.i++
		if !s.digits() {
			return s.unexpected("in a number")
		}
	}
	if s.peek()|0x20 == 'e' {
		s.i++
		if c := s.peek(); c == '+' || c == '-' {
			s.i++
		}
		if !s.digits() {
			return s.unexpected("in a number")
		}
	}
	end := s.i
	s.i = begin
	s.take(end - begin)
	return nil
}

// digits steps over digits and reports whether there was one.
func (s *jsonScanner) digits() bool {
	begin := s.i
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.i++
	}
	return s.i > begin
}

func (s *jsonScanner) word(w string) error {
	for n := range len(w) {
		if s.i+n >= len(s.src) || s.src[s.i+n] != w[n] {
			s.i += n
			return s.unexpected("in a word")
		}
	}
	s.take(len(w))
	return nil
}
