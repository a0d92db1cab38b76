package wal

import (
	"errors"
	"io"
)

// window reads a segment through a buffer. Bytes once in the buffer are not
// read again until forget is called or another segment is chosen.
type window struct {
	s    *segment
	buf  []byte
	from int64 // the offset of buf in the file
}

// windowSize is how much is read at once.
const windowSize = 256 << 10

// look makes s the segment that at reads.
func (w *window) look(s *segment) {
	if w.s != s {
		w.s = s
		w.forget()
	}
}

func (w *window) forget() { w.buf = w.buf[:0] }

// at returns n bytes at lsn, which lie in the segment; they are valid until
// the next call. Memory is taken only for what the segment's length, which
// was checked, can hold.
func (w *window) at(lsn LSN, n int64) ([]byte, error) {
	off := w.s.offset(lsn)
	if i := off - w.from; i >= 0 && i+n <= int64(len(w.buf)) {
		return w.buf[i : i+n], nil
	}
	want := min(max(n, windowSize), dataOffset+w.s.capacity-off)
	if int64(cap(w.buf)) < want {
		w.buf = make([]byte, want)
	}
	w.buf, w.from = w.buf[:want], off
	got, err := w.s.file.ReadAt(w.buf, off)
	if w.buf = w.buf[:got]; int64(got) >= n {
		return w.buf[:n], nil // an error is met again where it matters
	}
	w.forget()
	if errors.Is(err, io.EOF) {
		return nil, w.s.corrupt(lsn, "W4", "the segment file was cut short")
	}
	return nil, errorf("read log segment %s: %w", w.s.path, err)
}

// find returns the first place from p on that holds its own LSN where a
// record's header does, or one behind which no record fits before end.
func (w *window) find(p, end LSN) (LSN, error) {
	for p < end && end-p >= recordSize {
		if _, err := w.at(p, recordSize); err != nil {
			return p, err
		}
		b := w.buf[w.s.offset(p)-w.from:]
		b = b[:min(int64(len(b)), int64(end-p))]
		for ; len(b) >= recordSize; p, b = p+alignment, b[alignment:] {
			if LSN(le.Uint64(b[8:])) == p {
				return p, nil
			}
		}
	}
	return end, nil
}
