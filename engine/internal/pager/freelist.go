package pager

import (
	"encoding/binary"
	"errors"
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
	var ext []extent
	err := FreeExtents(body, end, func(off, n uint64) { ext = append(ext, extent{off, n}) })
	if err != nil {
		return nil, err
	}
	return ext, nil
}

// FreeExtents calls visit with each extent of the free list in body, in units,
// as far as the list keeps F1 in a file that ends at unit end.
func FreeExtents(body []byte, end uint64, visit func(off, n uint64)) error {
	count, body, ok := uvarint(body)
	if !ok {
		return errFreeListShort
	}
	if count > uint64(len(body)/2) {
		return errorf("a free list of %d extents in %d bytes", count, len(body))
	}
	at := uint64(firstUnit)
	for i := range count {
		gap, rest, ok1 := uvarint(body)
		n, rest, ok2 := uvarint(rest)
		body = rest
		switch {
		case !ok1 || !ok2:
			return errFreeListShort
		case n == 0 || gap == 0 && i > 0:
			return errorf("free extent %d touches the one before or is empty", i)
		case at > end || gap > end-at || n > end-at-gap:
			return errorf("free extent %d reaches past the end of the file", i)
		}
		visit(at+gap, n)
		at += gap + n
	}
	for _, b := range body {
		if b != 0 {
			return errors.New("the free list is followed by something")
		}
	}
	return nil
}

//go:noinline // called thrice, and not hot
func uvarint(b []byte) (uint64, []byte, bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, b, false
	}
	return v, b[n:], true
}
