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

// A record of a compressed file may be so many bytes, and so many times as many
// as were read of the file: longer ones are what a bomb holds, a file that is
// small and decompresses to a great deal.
const (
	bombStart = 1 << 20
	bombRatio = 100
)

var errBomb = errorf("the record is packed more than %d to one, as in a file that is made to fill the memory: if it is not, decompress it first, and import that", bombRatio)

var errLongRecord = errorf("the record is longer than %d bytes", maxRecord)

var errZeros = inputError("the file holds zeros, no text")

// lines reads a file line by line and counts them.
type lines struct {
	r      *bufio.Reader
	packed *decompressor // nil where the file is not compressed
	line   int64         // number of the line last read
	long   []byte        // holds a line that does not fit the reader's buffer
}

//go:noinline // called in many places, none of them hot
func newLines(r io.Reader) *lines {
	packed, _ := r.(*decompressor)
	return &lines{r: bufio.NewReaderSize(r, 256<<10), packed: packed}
}

// fits returns an error where n bytes are too many for a record that begins at
// a line.
func (l *lines) fits(n int, line int64) error {
	switch {
	case n > maxRecord:
		return inputError("line %d: %w", line, errLongRecord)
	case l.packed != nil && int64(n) > bombStart+bombRatio*l.packed.in.n:
		return inputError("line %d: %w", line, errBomb)
	}
	return nil
}

// next returns the next line with its newline, lent until the next call, and
// io.EOF only when nothing is left.
func (l *lines) next() ([]byte, error) {
	l.line++
	b, err := l.r.ReadSlice('\n')
	if err == nil {
		return l.first(b), nil
	}
	l.long = l.long[:0]
	if l.line == 1 && errors.Is(err, bufio.ErrBufferFull) && len(bytes.TrimLeft(b, "\x00")) == 0 {
		return nil, errZeros // a file of holes, which cost nothing
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		l.long = append(l.long, b...)
		if err := l.fits(len(l.long), l.line); err != nil {
			return nil, err
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
