package node

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// The methods of Node read the bytes of a leaf or branch where they lie, and
// allocate nothing. They rely on Check having found the node sound when it was
// loaded: they do not panic then for any index in range.

// Kind returns the node's kind: Leaf or Branch.
func (n Node) Kind() uint8 { return n[12] }

// Level returns the node's height above the leaves.
func (n Node) Level() int { return int(n[14]) }

// Shift returns by how much cell offsets are shifted right.
func (n Node) Shift() uint8 { return n[15] }

// SizeOf returns the length in memory of the node with that header.
func SizeOf(head *[HeaderSize]byte) int {
	return HeaderSize + int(binary.LittleEndian.Uint32(head[40:]))
}

// Gen returns the generation of the checkpoint that wrote the node.
func (n Node) Gen() uint64 { return binary.LittleEndian.Uint64(n[32:]) }

// Count returns the number of entries of a leaf or children of a branch.
func (n Node) Count() int { return int(binary.LittleEndian.Uint16(n[44:])) }

// PrefixLen returns the length of Prefix.
func (n Node) PrefixLen() int { return int(binary.LittleEndian.Uint16(n[46:])) }

// Prefix returns the prefix that all keys of a leaf, or all separators of a
// branch but the first, share.
func (n Node) Prefix() []byte {
	off := leafPrefix(n.Count())
	if n.Kind() == Branch {
		off = branchPrefix(n.Count())
	}
	end := off + n.PrefixLen()
	return n[off:end:end]
}

// cutPrefix cuts the node's prefix from key and returns 0. It returns a
// negative number when key is before all strings with the prefix, and a
// positive one when it is behind them.
func (n Node) cutPrefix(key []byte) ([]byte, int) {
	prefix := n.Prefix()
	if len(key) < len(prefix) {
		return nil, bytes.Compare(key, prefix)
	}
	return key[len(prefix):], bytes.Compare(key[:len(prefix)], prefix)
}

// CommonPrefix returns the length of the longest prefix that a and b share.
func CommonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)>>3
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// Separator returns the shortest string that is after the key left and not
// after the key right, which is a prefix of right. left is before right.
func Separator(left, right []byte) []byte { return right[:CommonPrefix(left, right)+1] }
