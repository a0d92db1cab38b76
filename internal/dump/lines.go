package dump

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// maxRecord bounds what one record may take: the largest value as base64 and
// its key, with room to spare. An unclosed quote must not swallow all memory.
const maxRecord = 1<<31 - 1

var errLongRecord = inputError("the record is longer than %d bytes", maxRecord)

var errZeros = inputError("the file holds zeros, no text")

// lines reads a file line by line and counts them.
type lines struct {
	r    *bufio.Reader
	line int64  // number of the line last read
	long []byte // holds a line that does not fit the reader's buffer
}

//go:noinline // called in many places, none of them hot
func newLines(r io.Reader) *lines { return &lines{r: bufio.NewReaderSize(r, 256<<10)} }

// next returns the next line with its newline, lent until the next call, and
// io.EOF only when nothing is left.
func (l *lines) next() ([]byte, error) {
	l.line++
	b, err := l.r.ReadSlice('\n')
	if err == nil {
		return l.first(b), nil
	}
	l.long = l.long[:0]
	if errors.Is(err, bufio.ErrBufferFull) && len(bytes.TrimLeft(b, "\x00")) == 0 {
		return nil, errZeros // what a bomb holds that was packed a thousand to one
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		l.long = append(l.long, b...)
		if len(l.long) > maxRecord {
			return nil, errLongRecord
		}
		b, err = l.r.ReadSlice('\n')
	}
	l.long = append(l.long, b...)
	if err == io.EOF && len(l.long) > 0 {
		err = nil
	}
	return l.first(l.long), err
}

func (l *lines) first(b []byte) []byte {
	if l.line == 1 {
		return trimBOM(b)
	}
	return b
}

// chomp cuts the end of a line.
func chomp(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
		if n := len(b); n > 0 && b[n-1] == '\r' {
			b = b[:n-1]
		}
	}
	return b
}
