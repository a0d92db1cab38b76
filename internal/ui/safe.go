package ui

import (
	"fmt"
	"io"
)

// SafeWriter writes text to a terminal with its control characters shown as
// \x1b and the like, so that data cannot move the cursor, change the title or
// type for the user. Line ends and tabs pass.
func SafeWriter(w io.Writer) io.Writer { return &safeWriter{w: w} }

type safeWriter struct {
	w    io.Writer
	half bool // the last byte was 0xC2, which may begin a control character
	buf  []byte
}

func (s *safeWriter) Write(p []byte) (int, error) {
	s.buf = s.buf[:0]
	for _, c := range p {
		half := s.half
		s.half = false
		switch {
		case half && c < 0xa0 && c >= 0x80:
			s.buf = fmt.Appendf(s.buf, `\x%02x`, c)
			continue
		case half:
			s.buf = append(s.buf, 0xc2)
		}
		switch {
		case c == 0xc2:
			s.half = true
		case c < ' ' && c != '\n' && c != '\t' || c == 0x7f:
			s.buf = fmt.Appendf(s.buf, `\x%02x`, c)
		default:
			s.buf = append(s.buf, c)
		}
	}
	if _, err := s.w.Write(s.buf); err != nil {
		return 0, err
	}
	return len(p), nil
}
