// Package compress holds the codecs for bodies of extents: pure functions from
// bytes to bytes, safe for concurrent use.
//
// Decode is made for hostile input: it allocates at most what the caller says
// the plain bytes take, and accepts only a result of exactly that length.
package compress

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// Codec names a way to compress. The values are part of the file format.
type Codec uint8

const (
	None Codec = 0
	S2   Codec = 1 // one s2 block: fast, about half the gain of zstd
	Zstd Codec = 2 // one zstd frame
)

// Valid reports whether c is a codec that this version knows.
func (c Codec) Valid() bool { return c <= Zstd }

func (c Codec) String() string {
	switch c {
	case None:
		return "none"
	case S2:
		return "s2"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("codec %d", uint8(c))
}

// Encode appends src, compressed, to dst. The codec must be valid; dst and src
// must not overlap.
func Encode(c Codec, dst, src []byte) []byte {
	switch c {
	case None:
		return append(dst, src...)
	case S2:
		n := len(dst)
		dst = slices.Grow(dst, s2.MaxEncodedLen(len(src)))
		return dst[:n+len(s2.Encode(dst[n:cap(dst)], src))]
	case Zstd:
		return zstdEncode()(src, dst)
	}
	panic("compress: encode: unknown " + c.String())
}

// Decode appends the plain bytes of src to dst. It fails unless they are
// exactly plainLen, which the caller has bounded: no more is allocated.
func Decode(c Codec, dst, src []byte, plainLen int) ([]byte, error) {
	if err := checkLen(c, src, plainLen); err != nil {
		return nil, err
	}
	n := len(dst)
	dst = slices.Grow(dst, plainLen)
	var out []byte
	var err error
	switch c {
	case None:
		return append(dst, src...), nil
	case S2:
		out, err = s2.Decode(dst[n:n+plainLen], src)
	case Zstd:
		out, err = zstdDecode()(src, dst[n:n:n+plainLen])
	}
	if err != nil {
		return nil, fmt.Errorf("decode %v: %w", c, err)
	}
	if len(out) != plainLen {
		return nil, fmt.Errorf("decode %v: have %d bytes, want %d", c, len(out), plainLen)
	}
	return dst[:n+plainLen], nil
}

var errNoSize = errors.New("the frame does not tell its size")

// checkLen compares plainLen with the length that src itself claims, before
// anything is allocated.
func checkLen(c Codec, src []byte, plainLen int) error {
	var n uint64
	switch c {
	case None:
		n = uint64(len(src))
	case S2:
		k, err := s2.DecodedLen(src)
		if err != nil {
			return fmt.Errorf("decode %v: %w", c, err)
		}
		n = uint64(k)
	case Zstd:
		if len(src) == 0 {
			break // what the encoder makes of nothing
		}
		var h zstd.Header
		if err := h.Decode(src); err != nil {
			return fmt.Errorf("decode %v: %w", c, err)
		}
		if !h.HasFCS {
			return fmt.Errorf("decode %v: %w", c, errNoSize)
		}
		n = h.FrameContentSize
	default:
		return fmt.Errorf("decode: unknown %v", c)
	}
	if plainLen < 0 || n != uint64(plainLen) {
		return fmt.Errorf("decode %v: the bytes tell a length of %d, want %d", c, n, plainLen)
	}
	return nil
}

// The encoder serves one caller at a time, as checkpoints have one writer, and
// leaves out the frame's checksum, since the extent has one. The decoder
// serves as many callers as there are processors, without goroutines of its
// own, and never fills more than the capacity it is given. They are kept
// as functions, so that their stream methods are not linked.
var (
	zstdEncode = sync.OnceValue(func() func(src, dst []byte) []byte {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1),
			zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false),
			zstd.WithSingleSegment(true)) // which makes every frame tell its size
		if err != nil {
			panic(err) // only a bad option fails
		}
		return e.EncodeAll
	})
	zstdDecode = sync.OnceValue(func() func(src, dst []byte) ([]byte, error) {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			panic(err)
		}
		return d.DecodeAll
	})
)
