package inspect

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var errFreeListShort = errors.New("the free list ends early")

// decodeFreeList decodes the body of a free list, as docs/FORMAT.md lays it
// out, and holds it to F1. It allocates a small multiple of body.
func decodeFreeList(body []byte, fileSize uint64) ([]FreeExtent, error) {
	next := func() (uint64, bool) {
		v, n := binary.Uvarint(body)
		if n <= 0 {
			return 0, false
		}
		body = body[n:]
		return v, true
	}
	count, ok := next()
	if !ok {
		return nil, errFreeListShort
	}
	if count > uint64(len(body)/2) {
		return nil, fmt.Errorf("a free list of %d extents in %d bytes", count, len(body))
	}
	list := make([]FreeExtent, 0, count)
	at, end := uint64(FirstExtent/Unit), fileSize/Unit
	for i := range count {
		gap, ok1 := next()
		n, ok2 := next()
		switch {
		case !ok1 || !ok2:
			return nil, errFreeListShort
		case n == 0:
			return nil, fmt.Errorf("free extent %d is empty", i)
		case gap == 0 && i > 0:
			return nil, fmt.Errorf("free extent %d touches the one before", i)
		case gap > end-at || n > end-at-gap:
			return nil, fmt.Errorf("free extent %d reaches past the end of the file", i)
		}
		at += gap
		list = append(list, FreeExtent{at * Unit, n * Unit})
		at += n
	}
	if !allZero(body) {
		return nil, errors.New("the free list is followed by something")
	}
	return list, nil
}
