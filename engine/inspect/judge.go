package inspect

import (
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/node"
)

// checkPlace holds a reference to what any reference must be, before anything
// is read or allocated for it.
func (r *Reader) checkPlace(ref Ref, limit uint32) *Damage {
	end := r.db.Meta.FileSize
	switch {
	case ref.Length < node.HeaderSize || ref.Length > limit:
		return r.damage(ref, "X3", Structure, "a reference to %d bytes there", ref.Length)
	case ref.Offset < FirstExtent || ref.Offset > end || ref.Size() > end-ref.Offset:
		return r.damage(ref, "M3", Structure, "a reference to %d bytes there, outside the extents, which end at %d", ref.Length, end)
	case uint64(r.db.Size) < ref.Offset+ref.Size():
		return r.damage(ref, "R2", Truncated, "the extent of %d bytes reaches past the end of the file at %d", ref.Length, r.db.Size)
	}
	return nil
}

// judge holds an extent, of which head is the start and sum the checksum, to
// its reference (R2) and to its place (X1, X2).
func (r *Reader) judge(ref Ref, want place, head []byte, sum uint64) (Header, *Damage) {
	raw, err := node.GetHeader(head)
	if err != nil {
		return Header{}, r.damage(ref, "R2", Checksum, "%v", err)
	}
	h := headerOf(raw)
	if h.Checksum != ref.Checksum || sum != ref.Checksum {
		return h, r.diagnose(ref, want, h, sum)
	}
	return h, r.checkHeader(ref, want, h)
}

// diagnose tells what stands in the place of the extent that ref means. What
// agrees with its own checksum was written whole, for a purpose that its
// header tells.
func (r *Reader) diagnose(ref Ref, want place, h Header, sum uint64) *Damage {
	if h.Length != ref.Length {
		sum = r.sumOf(ref, h.Length)
	}
	wrong := want.mismatch(h)
	switch {
	case h.Checksum != sum:
		return r.damage(ref, "R2", Checksum, "its header tells the checksum %016x, its bytes give another", h.Checksum)
	case h.Checksum == ref.Checksum:
		return r.damage(ref, "R2", Structure, "an extent of %d bytes, the reference tells %d", h.Length, ref.Length)
	case h.DatabaseID != r.db.Meta.DatabaseID():
		return r.damage(ref, "R2", Foreign, "an extent of the database %016x, this is %016x", h.DatabaseID, r.db.Meta.DatabaseID())
	case wrong != "":
		return r.damage(ref, "R2", Misdirected, "an extent that belongs elsewhere: %s", wrong)
	}
	return r.damage(ref, "R2", Stale, "an extent of generation %d with the checksum %016x, the reference means %016x",
		h.Generation, h.Checksum, ref.Checksum)
}

// sumOf is the checksum over n bytes from the start of ref's place, or 0.
func (r *Reader) sumOf(ref Ref, n uint32) uint64 {
	ref.Length = n
	if r.checkPlace(ref, maxStored) != nil {
		return 0
	}
	var d xxhash.Digest
	d.Reset()
	b := make([]byte, min(n, chunkSize))
	for at := uint32(0); at < n; at += uint32(len(b)) {
		b = b[:min(int(n-at), len(b))]
		if r.readAt(ref, b, ref.Offset+uint64(at)) != nil {
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

// checkHeader holds the header of the extent that ref means to its place.
func (r *Reader) checkHeader(ref Ref, want place, h Header) *Damage {
	id := r.db.Meta.DatabaseID()
	switch {
	case h.DatabaseID != id:
		return r.damage(ref, "X1", Foreign, "an extent of the database %016x, this is %016x", h.DatabaseID, id)
	case want.mismatch(h) != "":
		return r.damage(ref, "X1", Structure, "%s", want.mismatch(h))
	case h.Generation > r.db.Meta.Generation:
		return r.damage(ref, "X2", Structure, "generation %d, the newest is %d", h.Generation, r.db.Meta.Generation)
	case h.Length != ref.Length:
		return r.damage(ref, "X3", Structure, "a stored length of %d, the reference tells %d", h.Length, ref.Length)
	case !compress.Codec(h.Codec).Valid():
		return r.damage(ref, "X3", Structure, "unknown %v", compress.Codec(h.Codec))
	case h.Codec == uint8(compress.None) && h.PlainLength != h.Length-node.HeaderSize:
		return r.damage(ref, "X3", Structure, "a plain length of %d in a body of %d", h.PlainLength, h.Length-node.HeaderSize)
	}
	return nil
}

// maxLevel bounds the height of a tree: each branch has at least two children.
const maxLevel = 64

// mismatch says in what h is not what its place wants; "" if in nothing.
func (want place) mismatch(h Header) string {
	kind := want.kind
	if kind == Leaf && (want.level > 0 || want.level == AnyLevel && h.Kind == Branch) {
		kind = Branch
	}
	switch {
	case h.Kind != kind:
		return fmt.Sprintf("kind %d, want %d", h.Kind, kind)
	case h.Keyspace != want.keyspace:
		return fmt.Sprintf("keyspace %d, want %d", h.Keyspace, want.keyspace)
	case want.level != AnyLevel && int(h.Level) != want.level:
		return fmt.Sprintf("level %d, want %d", h.Level, want.level)
	case (h.Kind == Branch) != (h.Level > 0) || h.Level > maxLevel:
		return fmt.Sprintf("kind %d with level %d", h.Kind, h.Level)
	}
	return ""
}
