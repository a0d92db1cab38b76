package node

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// Check reports whether the bytes of n are a sound leaf or branch, as
// docs/FORMAT.md lays them out: every part and cell inside the body, keys
// strictly increasing, heads those of their separators. It runs once, when a
// node is loaded; what it lets pass, the methods of Node read without panic.
//
// It judges the node alone. Whether fingerprints, references and bounds tell
// the truth is for those to say who read the keys' hashes, the children and
// the parent.
func Check(n Node) error {
	if len(n) < HeaderSize || len(n) > MaxSize {
		return fmt.Errorf("node of %d bytes", len(n))
	}
	if plain := binary.LittleEndian.Uint32(n[40:]); uint64(plain) != uint64(len(n)-HeaderSize) {
		return fmt.Errorf("body of %d bytes instead of %d", len(n)-HeaderSize, plain)
	}
	switch n.Kind() {
	case Leaf:
		return checkLeaf(n)
	case Branch:
		return checkBranch(n)
	}
	return fmt.Errorf("kind %d is neither leaf nor branch", n.Kind())
}

var (
	errCount  = errors.New("too few entries")
	errLevel  = errors.New("level does not fit the kind")
	errShift  = errors.New("shift does not fit the kind")
	errParts  = errors.New("slots and prefix reach past the end")
	errFirst  = errors.New("first separator is not empty")
	errPrefix = errors.New("single key with a prefix")
)

func checkLeaf(n Node) error {
	count, prefix := n.Count(), n.PrefixLen()
	cells := leafPrefix(count) + prefix
	switch {
	case count < 1:
		return errCount
	case n.Level() != 0:
		return errLevel
	case n.Shift() != 0:
		return errShift
	case cells > len(n):
		return errParts
	case count == 1 && prefix != 0:
		return errPrefix
	}
	slots := n[leafSlots(count):]
	body := n[HeaderSize:]
	var last []byte
	for i := range count {
		off := int(binary.LittleEndian.Uint16(slots[2*i:]))
		if off < cells-HeaderSize || off >= len(body) {
			return cellError(i, "lies outside")
		}
		b := body[off:]
		suffix, b, ok := checkUvarint(b)
		if !ok {
			return cellError(i, "has no suffix length")
		}
		value, b, ok := checkUvarint(b)
		if !ok {
			return cellError(i, "has no value length")
		}
		if suffix > uint64(len(b)) || suffix+uint64(prefix) > kv.MaxKeySize {
			return cellError(i, "has too long a key")
		}
		key := b[:suffix]
		room, size := uint64(len(b))-suffix, value>>1
		if size > kv.MaxValueSize {
			return cellError(i, "has too long a value")
		}
		if value&1 != 0 && value != tombstone {
			size = RefSize
		}
		if size > room {
			return cellError(i, "has too long a value")
		}
		if i > 0 && bytes.Compare(last, key) >= 0 {
			return cellError(i, "is not behind the one before")
		}
		last = key
	}
	return nil
}

func checkBranch(n Node) error {
	count, prefix := n.Count(), n.PrefixLen()
	cells := branchPrefix(count) + prefix
	switch {
	case count < 2:
		return errCount
	case n.Level() < 1:
		return errLevel
	case n.Shift() > 15:
		return errShift
	case cells > len(n):
		return errParts
	case count == 2 && prefix != 0:
		return errPrefix
	}
	shift := n.Shift()
	heads, slots := n[branchHeads(count):], n[branchSlots(count):]
	if binary.LittleEndian.Uint32(heads) != 0 || binary.LittleEndian.Uint16(slots) != 0 {
		return errFirst
	}
	body := n[HeaderSize:]
	var last []byte
	for i := range count {
		ref := n[HeaderSize+RefSize*i:]
		if binary.LittleEndian.Uint32(ref) == 0 && binary.LittleEndian.Uint16(ref[4:]) == 0 ||
			binary.LittleEndian.Uint32(ref[12:])&^overflowBit < HeaderSize {
			return cellError(i, "refers to nothing")
		}
		if i == 0 {
			continue
		}
		off := int(binary.LittleEndian.Uint16(slots[2*i:])) << shift
		if off < cells-HeaderSize || off >= len(body) {
			return cellError(i, "lies outside")
		}
		suffix, b, ok := checkUvarint(body[off:])
		if !ok {
			return cellError(i, "has no suffix length")
		}
		if suffix > uint64(len(b)) || suffix+uint64(prefix) > kv.MaxKeySize {
			return cellError(i, "has too long a separator")
		}
		key := b[:suffix]
		if binary.BigEndian.Uint32(heads[4*i:]) != head(key) {
			return cellError(i, "has the head of another")
		}
		if i > 1 && bytes.Compare(last, key) >= 0 || len(key)+prefix == 0 {
			return cellError(i, "is not behind the one before")
		}
		last = key
	}
	return nil
}

func cellError(i int, what string) error { return fmt.Errorf("cell %d %s", i, what) }

// checkUvarint decodes a uvarint that need not be sound and cuts it off.
func checkUvarint(b []byte) (uint64, []byte, bool) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), b[1:], true
	}
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}
