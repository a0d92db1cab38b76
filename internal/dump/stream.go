package dump

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Compression is how a file of records is compressed as a whole.
type Compression string

const (
	Plain Compression = ""
	Gzip  Compression = "gzip"
	Zstd  Compression = "zstd"
)

// CompressionOf tells the compression by the name of a file.
func CompressionOf(path string) Compression {
	switch {
	case strings.HasSuffix(path, ".gz"):
		return Gzip
	case strings.HasSuffix(path, ".zst"):
		return Zstd
	}
	return Plain
}

// Extension is what names of such files end in.
func (c Compression) Extension() string {
	switch c {
	case Gzip:
		return ".gz"
	case Zstd:
		return ".zst"
	}
	return ""
}

// CompressionIn tells the compression that the first four bytes of a stream show.
func CompressionIn(head []byte) Compression {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return Gzip
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}),
		len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18}): // a frame to skip, as pzstd begins with
		return Zstd
	}
	return ""
}

// Decompress reads r through the compression that its first bytes show. The
// name of a file, which what comes from a pipe has not, is asked only where there
// are fewer of them than any compressed stream has: then it was cut off.
func Decompress(r io.Reader, name string) (io.ReadCloser, error) {
	in := &counter{r: r}
	b := bufio.NewReaderSize(in, 64<<10)
	head, err := b.Peek(5)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch CompressionIn(head) {
	case Gzip:
		d := &decompressor{in: in}
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, d.explain(err)
		}
		z.Multistream(false)
		d.ReadCloser = &gunzip{z, b}
		return d, nil
	case Zstd:
		// What a frame asks for is bounded before it is given: by its window, of
		// which zstd -19 makes none that is larger.
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, inputError("zstd: %w", err)
		}
		return &decompressor{z.IOReadCloser(), in, len(head) > 4 && head[4]&sizeMask == shortSegment}, nil
	}
	if len(head) < 4 && CompressionOf(name) != Plain {
		return nil, &InputError{errStreamEnd}
	}
	return io.NopCloser(b), nil
}

const maxWindow = 8 << 20

// ErrWindow is the error of a stream that asks for more than maxWindow.
var ErrWindow = errors.New("the compressed stream takes a window of more than 8 MiB: give what zstd -dc --long=31 writes, through a pipe")

// These bits of the fifth byte of a frame say that its window is its content, of
// which the length takes one or two bytes.
const sizeMask, shortSegment = 0xa0, 0x20

var (
	errBehind     = errors.New("the compressed stream has other bytes behind it")
	errStreamEnd  = errors.New("the compressed stream ends too early")
	errStream     = errors.New("the compressed stream is damaged")
	errDictionary = errors.New("the compressed stream takes a dictionary: give what zstd -dc -D writes, through a pipe")
)

// A gunzip reads files of gzip, one behind another. It tells one that was cut off
// from other bytes behind it, as the library does not.
type gunzip struct {
	*gzip.Reader
	from *bufio.Reader
}

func (g *gunzip) Read(p []byte) (int, error) {
	for {
		n, err := g.Reader.Read(p)
		if err != io.EOF {
			return n, err
		}
		head, err := g.from.Peek(2)
		switch {
		case len(head) == 0 || err != nil && err != io.EOF:
			return n, err
		case CompressionIn(head) != Gzip:
			return n, errBehind
		}
		err = g.Reset(g.from)
		if g.Multistream(false); err != nil || n > 0 {
			return n, err
		}
	}
}

// A decompressor marks its errors as those of the input, and knows how much of
// that was read.
type decompressor struct {
	io.ReadCloser
	in    *counter
	short bool // the first frame cannot need a window that is too large: that it does, is damage
}

func (d *decompressor) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = d.explain(err)
	}
	return n, err
}

// explain says what is wrong with the stream, unless it could not be read: not in
// the words of the libraries, which are about their insides.
func (d *decompressor) explain(err error) error {
	wide := errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded)
	switch {
	case d.in.err != nil:
		return d.in.err
	case wide && !d.short:
		err = ErrWindow
	case errors.Is(err, zstd.ErrUnknownDictionary):
		err = errDictionary
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errStreamEnd
	case errors.Is(err, errBehind), errors.Is(err, zstd.ErrMagicMismatch): // the first one was there
		err = errBehind
	default:
		err = errStream
	}
	return &InputError{err}
}

// A counter counts the bytes that are read, and keeps the error of reading.
type counter struct {
	r   io.Reader
	n   int64
	err error // but io.EOF
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != io.EOF {
		c.err = err
	}
	return n, err
}

// Compress writes to w through a compression. Close ends the compressed
// stream, and leaves w open.
func Compress(w io.Writer, c Compression) (io.WriteCloser, error) {
	switch c {
	case Gzip:
		return gzip.NewWriter(w), nil
	case Zstd:
		return newZstdWriter(w)
	}
	return nopCloser{w}, nil
}

// zstdWriter writes a stream of frames, each of them whole. That is as valid as
// a single frame, and leaves the library's stream writer out of the program.
type zstdWriter struct {
	w      io.Writer
	encode func(src, dst []byte) []byte // of a zstd.Encoder, whose other methods are not linked then
	plain  []byte
	packed []byte
}

// zstdFrameSize is how many bytes a frame holds before compression.
const zstdFrameSize = 1 << 20

func newZstdWriter(w io.Writer) (*zstdWriter, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true))
	if err != nil {
		return nil, err
	}
	return &zstdWriter{w: w, encode: e.EncodeAll}, nil
}

func (z *zstdWriter) Write(p []byte) (int, error) {
	z.plain = append(z.plain, p...)
	if len(z.plain) < zstdFrameSize {
		return len(p), nil
	}
	return len(p), z.flush()
}

func (z *zstdWriter) flush() error {
	z.packed = z.encode(z.plain, z.packed[:0])
	z.plain = z.plain[:0]
	_, err := z.w.Write(z.packed)
	return err
}

// Close writes the last frame; an empty stream is one empty frame.
func (z *zstdWriter) Close() error { return z.flush() }

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
