package pager

import (
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/vfs"
)

// Expect is what the place of a reference says that its extent must be.
type Expect struct {
	Kind     uint8 // node.Leaf stands for a leaf or a branch, as the level has it
	Keyspace kv.Keyspace
	Level    int // -1: any
}

// NewJudge returns a pager of f at the generation of m that is there for its
// Judge: f may be shorter than m says, and nothing is kept in memory.
func NewJudge(f vfs.File, m *Meta) *Pager { return newPager(f, *m, Options{ReadOnly: true}) }

// Judge holds an extent, of which head is the header and sum the checksum, to
// the reference that led to it (R2) and to its place (X1 to X3). The error is a
// *CorruptError.
func (p *Pager) Judge(ref node.Ref, want Expect, head []byte, sum uint64) (node.Header, error) {
	h, err := node.GetHeader(head)
	if err != nil || h.Sum != ref.Sum || sum != ref.Sum {
		return h, p.diagnose(ref, want, &h, err, sum)
	}
	return h, p.checkHeader(ref, want, &h)
}

// diagnose tells what stands in the place of the extent that ref means. An
// extent that agrees with its own checksum was written whole, by somebody and
// for some purpose, which its header tells.
func (p *Pager) diagnose(ref node.Ref, want Expect, h *node.Header, magic error, sum uint64) error {
	if magic != nil {
		return p.corrupt(ref, "R2", Checksum, "%v", magic)
	}
	if h.Len != ref.Len {
		sum = p.sumOf(ref, h.Len)
	}
	switch {
	case h.Sum != sum:
		return p.corrupt(ref, "R2", Checksum, "its header tells the checksum %016x, its bytes give another", h.Sum)
	case h.Sum == ref.Sum:
		return p.corrupt(ref, "R2", Structure, "an extent of %d bytes, the reference tells %d", h.Len, ref.Len)
	case h.DB != p.db:
		return p.foreign(ref, "R2", h)
	case want.mismatch(h) != "":
		return p.corrupt(ref, "R2", Misdirected, "an extent that belongs elsewhere: %s", want.mismatch(h))
	}
	return p.corrupt(ref, "R2", Stale, "an extent of generation %d with the checksum %016x, the reference means %016x", h.Gen, h.Sum, ref.Sum)
}

func (p *Pager) foreign(ref node.Ref, invariant string, h *node.Header) error {
	return p.corrupt(ref, invariant, Foreign, "an extent of the database %016x, this is %016x", h.DB, p.db)
}

// sumOf is the checksum over n bytes from the start of ref's place, or 0.
func (p *Pager) sumOf(ref node.Ref, n uint32) uint64 {
	ref.Len = n
	if p.checkPlace(ref, maxStored) != nil {
		return 0
	}
	var d xxhash.Digest
	d.Reset()
	b := make([]byte, min(n, directBytes))
	for at := uint32(0); at < n; at += uint32(len(b)) {
		b = b[:min(int(n-at), len(b))]
		if p.readAt(ref, b, ref.Off+uint64(at)) != nil {
			return 0
		}
		if at == 0 {
			d.Write(b[8:])
		} else {
			d.Write(b)
		}
	}
	return d.Sum64()
}

// checkHeader holds the header of an extent that is the right one to X1 to X3.
func (p *Pager) checkHeader(ref node.Ref, want Expect, h *node.Header) error {
	plain := ref.Len - node.HeaderSize
	switch {
	case h.DB != p.db:
		return p.foreign(ref, "X1", h)
	case want.mismatch(h) != "":
		return p.corrupt(ref, "X1", Structure, "%s", want.mismatch(h))
	case h.Gen > p.newest.Load():
		return p.corrupt(ref, "X2", Structure, "generation %d, the newest is %d", h.Gen, p.newest.Load())
	case h.Len != ref.Len:
		return p.corrupt(ref, "X3", Structure, "a stored length of %d, the reference tells %d", h.Len, ref.Len)
	case !compress.Codec(h.Codec).Valid():
		return p.corrupt(ref, "X3", Structure, "unknown %v", compress.Codec(h.Codec))
	case h.Codec == uint8(compress.None) && h.PlainLen != plain:
		return p.corrupt(ref, "X3", Structure, "a plain length of %d in a body of %d", h.PlainLen, plain)
	}
	return nil
}

// maxLevel bounds the height of a tree: each branch has at least two children.
const maxLevel = 64

// mismatch says in what h is not what was expected; "" if in nothing.
func (want Expect) mismatch(h *node.Header) string {
	kind := want.Kind
	if kind == node.Leaf && (want.Level > 0 || want.Level < 0 && h.Kind == node.Branch) {
		kind = node.Branch
	}
	switch {
	case h.Kind != kind:
		return fmt.Sprintf("kind %d, want %d", h.Kind, kind)
	case h.Keyspace != want.Keyspace:
		return fmt.Sprintf("keyspace %d, want %d", h.Keyspace, want.Keyspace)
	case want.Level >= 0 && int(h.Level) != want.Level:
		return fmt.Sprintf("level %d, want %d", h.Level, want.Level)
	case (h.Kind == node.Branch) != (h.Level > 0) || h.Level > maxLevel:
		return fmt.Sprintf("kind %d with level %d", h.Kind, h.Level)
	}
	return ""
}
