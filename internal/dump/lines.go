package dump

import (
	"bytes"
	"io"
)

// maxRecord bounds what one record may take: the largest value as base64 and
// its key, with room to spare. An unclosed quote must not swallow all memory.
const maxRecord = 1<<31 - 1

// A record of a compressed file may be longer than a stretch only where each such
// stretch of it takes at least a sixteenth of that in the file. One that takes
// less is what a bomb holds, a file that is small and decompresses to a great
// deal; whatever stands before it, in the file or the record, does not count.
const (
	bombStretch = 8 << 20
	bombRatio   = 16
)

var errBomb = errorf("the record is packed more than %d to one, as in a file that is made to fill the memory: if it is not, decompress it first, and import that", bombRatio)

var errLongRecord = errorf("the record is longer than %d bytes", maxRecord)

var errZeros = inputError("the file holds zeros, no text")

// lines reads a file line by line and counts them.
type lines struct {
	in     io.Reader
	buf    []byte
	rest   []byte        // what of buf was read and is not taken yet
	ended  error         // of in, behind rest: it is not read any more
	packed *decompressor // nil where the file is not compressed
	line   int64         // number of the line last read
	long   []byte        // holds a line that does not fit buf
	before int           // bytes of its record that stand before it

	// The stretch of a record that is looked at, in a compressed file: where in the
	// record it begins, how much of the file was read then, and where it has come.
	begin int
	read  int64
	seen  int
}

//go:noinline // called in many places, none of them hot
func newLines(r io.Reader) *lines {
	packed, _ := r.(*decompressor)
	return &lines{in: r, buf: make([]byte, 256<<10), packed: packed}
}

// fill reads more behind what is not taken yet, of which there is less than buf
// holds. Where there is no more it returns why, however often it is asked.
func (l *lines) fill() error {
	n := len(l.rest)
	if cap(l.rest) < cap(l.buf) { // it is not in front yet
		copy(l.buf, l.rest)
	}
	for tries := 0; l.ended == nil; tries++ {
		var more int
		if more, l.ended = l.in.Read(l.buf[n:]); more > 0 {
			l.rest = l.buf[:n+more]
			return nil
		}
		if tries == 100 && l.ended == nil {
			l.ended = io.ErrNoProgress
		}
	}
	l.rest = l.buf[:n]
	return l.ended
}

// take takes n bytes, lent until the next fill.
func (l *lines) take(n int) []byte {
	b := l.rest[:n]
	l.rest = l.rest[n:]
	return b
}

// ReadByte takes a byte.
func (l *lines) ReadByte() (byte, error) {
	if len(l.rest) == 0 {
		if err := l.fill(); err != nil {
			return 0, err
		}
	}
	return l.take(1)[0], nil
}

// fits returns an error where n bytes are too many for a record that begins at
// a line. It is asked as the record grows.
func (l *lines) fits(n int, line int64) error {
	if n > maxRecord {
		return inputError("line %d: %w", line, errLongRecord)
	}
	if l.packed == nil {
		return nil
	}
	read := l.packed.in.n
	if n <= l.seen { // it is another record
		l.begin, l.read = n, read
	}
	if l.seen = n; n-l.begin > bombStretch {
		if int64(n-l.begin) > bombRatio*(read-l.read) {
			return inputError("line %d: %w", line, errBomb)
		}
		l.begin, l.read = n, read
	}
	return nil
}

// next returns the next line with its newline, lent until the next call, and
// io.EOF only when nothing is left.
func (l *lines) next() ([]byte, error) {
	l.line++
	if n := bytes.IndexByte(l.rest, '\n') + 1; n > 0 {
		return l.first(l.take(n)), nil
	}
	return l.longer()
}

// longer is next where the end of the line is not in the buffer.
func (l *lines) longer() ([]byte, error) {
	l.long = l.long[:0]
	for {
		seen := len(l.rest)
		if seen == len(l.buf) {
			if l.line == 1 && len(l.long) == 0 && len(bytes.TrimLeft(l.rest, "\x00")) == 0 {
				return nil, errZeros // a file of holes, which cost nothing
			}
			l.long = append(room(l.long, seen), l.take(seen)...)
			if err := l.fits(l.before+len(l.long), l.line); err != nil {
				return nil, err
			}
			seen = 0
		}
		err := l.fill()
		n := seen + bytes.IndexByte(l.rest[seen:], '\n') + 1
		if err == nil && n == seen {
			continue
		}
		if err != nil {
			n = len(l.rest)
		}
		b := l.take(n)
		if len(l.long) > 0 {
			l.long = append(room(l.long, n), b...)
			b = l.long
		}
		if err == io.EOF && len(b) > 0 {
			err = nil
		}
		return l.first(b), err
	}
}

// ahead is the line that next returned, with what was read behind it, unless a
// line since the last read did not fit the buffer.
func (l *lines) ahead(line []byte) []byte {
	if len(l.long) > 0 {
		return line
	}
	return line[:len(line)+len(l.rest)]
}

// more is next for a line of a record of which n bytes stand before it.
func (l *lines) more(n int) ([]byte, error) {
	l.before = n
	line, err := l.next()
	l.before = 0
	return line, err
}

func (l *lines) first(b []byte) []byte {
	if l.line == 1 {
		return trimBOM(b)
	}
	return b
}

// room makes room for n bytes more in a buffer for long records. Beyond 1 MiB it
// gets that of a stretch at once, and then twice what it has: append would give a
// quarter, and copy, and leave garbage, that much more often. Room that is not
// written to takes no memory.
//
//go:noinline // called in hot loops, where it has something to do once in a while
func room(b []byte, n int) []byte {
	if n += len(b); n > cap(b) && n > 1<<20 {
		return append(make([]byte, 0, max(2*n, bombStretch+1<<20)), b...)
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
