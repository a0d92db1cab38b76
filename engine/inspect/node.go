package inspect

import (
	"bytes"

	"github.com/lightning-db/lightning/engine/internal/node"
)

// Kinds of extent.
const (
	Leaf     = node.Leaf
	Branch   = node.Branch
	Overflow = node.Overflow
	FreeList = node.FreeList
)

// CatalogKeyspace is the keyspace of the catalog's nodes and of the free list.
const CatalogKeyspace = 0xFFFFFFFF

// Header is the header of an extent. Its fields are those of docs/FORMAT.md,
// section Extent header, in bytes.
type Header struct {
	Checksum    uint64
	Kind        uint8
	Codec       uint8
	Level       uint8
	Shift       uint8
	DatabaseID  uint64
	Keyspace    uint32
	Length      uint32
	Generation  uint64
	PlainLength uint32
	Count       uint16
	Prefix      uint16
	// Padded says that zeros follow up to the end of the last unit.
	Padded bool
}

func headerOf(h node.Header) Header {
	return Header{
		Checksum: h.Sum, Kind: h.Kind, Codec: h.Codec, Level: h.Level, Shift: h.Shift,
		DatabaseID: h.DB, Keyspace: uint32(h.Keyspace), Length: h.Len, Generation: h.Gen,
		PlainLength: h.PlainLen, Count: h.Count, Prefix: h.Prefix,
	}
}

// Node is a leaf or a branch. What its methods return is lent from it.
type Node struct {
	Header
	n node.Node
}

// Size is the length of the node in plain, header included: what L2 and B3
// bound.
func (n *Node) Size() int { return len(n.n) }

// Len is the number of its entries or children.
func (n *Node) Len() int { return n.n.Count() }

// Entry is an entry of a leaf.
type Entry struct {
	Suffix      []byte // the key without the prefix
	Value       []byte // with Overflow, the encoded reference of its extent
	Length      int    // of the value
	Overflow    bool   // the value is in an overflow extent
	Tombstone   bool   // the key is deleted
	Fingerprint uint8
}

// Ref is where the value of an entry with Overflow is.
func (e *Entry) Ref() Ref { return refOf(node.GetRef(e.Value)) }

// Entry returns entry i of a leaf.
func (n *Node) Entry(i int) Entry {
	c := n.n.Cell(i)
	return Entry{c.Suffix, c.Value, c.Len, c.Overflow, c.Tombstone, n.n.Fingerprint(i)}
}

// Prefix is what every key of a leaf, or every separator of a branch but the
// first, begins with.
func (n *Node) Prefix() []byte { return n.n.Prefix() }

// AppendKey appends the key of entry i of a leaf to dst.
func (n *Node) AppendKey(dst []byte, i int) []byte {
	return append(append(dst, n.n.Prefix()...), n.n.Cell(i).Suffix...)
}

// Child returns the reference of child i of a branch.
func (n *Node) Child(i int) Ref { return refOf(n.n.Ref(i)) }

// AppendSeparator appends separator i of a branch to dst. The first is empty
// and stands for the branch's own lower bound.
func (n *Node) AppendSeparator(dst []byte, i int) []byte { return n.n.AppendSeparator(dst, i) }

// Clone returns a copy that stays valid when the reader goes on.
func (n *Node) Clone() Node { return Node{n.Header, bytes.Clone(n.n)} }
