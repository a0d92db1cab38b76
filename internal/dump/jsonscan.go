package dump

import "errors"

// WhyNoJSON says why b is not one JSON document; nil where it is.
func WhyNoJSON(b []byte) error {
	s := jsonScanner{src: b}
	return s.document()
}

// A jsonScanner says what is wrong with what ValueEnd finds to be no JSON.
type jsonScanner struct {
	src   []byte
	i     int
	depth int
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

func (s *jsonScanner) space() { s.i = Space(s.src, s.i) }

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
	s.i++
	if s.next() == end {
		s.depth--
		s.i++
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
			s.i++
		}
		if err := s.value(); err != nil {
			return err
		}
		switch s.next() {
		case end:
			s.depth--
			s.i++
			return nil
		case ',':
			s.i++
		default:
			return s.unexpected("behind a value")
		}
	}
}

func (s *jsonScanner) text() error {
	end, _ := StringEnd(s.src, s.i+1)
	if end < 0 {
		return s.badText()
	}
	s.i = end + 1
	return nil
}

// badText says what is wrong with the string at hand.
func (s *jsonScanner) badText() error {
	for s.i++; s.i < len(s.src); s.i++ {
		switch c := s.src[s.i]; {
		case c < ' ':
			return s.unexpected("in a string")
		case c == '\\':
			n := escapeLength(s.src[s.i:])
			if n == 0 {
				return s.unexpected("in a string")
			}
			s.i += n - 1
		}
	}
	return errJSONEnd
}

func (s *jsonScanner) number() error {
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
	s.i += len(w)
	return nil
}
