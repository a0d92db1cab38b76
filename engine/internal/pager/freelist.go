package pager

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The body of the free list: uvarint number of extents; then for each, in
// order, uvarint gap from the end of the one before (from the first unit) and
// uvarint length, both in units; then zeros.

// appendFreeList encodes sorted extents that do not touch.
func appendFreeList(dst []byte, ext []extent) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(ext)))
	at := uint64(firstUnit)
	for _, e := range ext {
		dst = binary.AppendUvarint(dst, e.off-at)
		dst = binary.AppendUvarint(dst, e.n)
		at = e.end()
	}
	return dst
}

var errFreeListShort = errors.New("the free list ends early")

// decodeFreeList decodes the body of a free list in a file that ends at unit
// end, and holds it to F1. It allocates no more than a small multiple of body.
func decodeFreeList(body []byte, end uint64) ([]extent, error) {
	count, body, ok := uvarint(body)
	if !ok {
		return nil, errFreeListShort
	}
	if count > uint64(len(body)/2) {
		return nil, fmt.Errorf("a free list of %d extents in %d bytes", count, len(body))
	}
	ext := make([]extent, 0, count)
	at := uint64(firstUnit)
	for i := range count {
		var gap, n uint64
		if gap, body, ok = uvarint(body); !ok {
			return nil, errFreeListShort
		}
		if n, body, ok = uvarint(body); !ok {
			return nil, errFreeListShort
		}
		if n == 0 || (gap == 0 && i > 0) {
			return nil, fmt.Errorf("free extent %d touches the one before or is empty", i)
		}
		if at > end || gap > end-at || n > end-at-gap {
			return nil, fmt.Errorf("free extent %d reaches past the end of the file", i)
		}
		ext = append(ext, extent{at + gap, n})
		at += gap + n
	}
	for _, b := range body {
		if b != 0 {
			return nil, errors.New("the free list is followed by something")
		}
	}
	return ext, nil
}

func uvarint(b []byte) (uint64, []byte, bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, b, false
	}
	return v, b[n:], true
}
