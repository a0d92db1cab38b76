package inspect

import (
	"errors"

	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
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
// its reference (R2) and to its place (X1 to X3), as the engine does.
func (r *Reader) judge(ref Ref, want pager.Expect, head []byte, sum uint64) (Header, *Damage) {
	h, err := r.db.judge.Judge(node.Ref{Off: ref.Offset, Len: ref.Length, Sum: ref.Checksum}, want, head, sum)
	return headerOf(h), damageOf(err)
}

// damageOf returns what is wrong by the engine's rules; nil if nothing is.
func damageOf(err error) *Damage {
	c, ok := errors.AsType[*pager.CorruptError](err)
	if !ok {
		return nil
	}
	return &Damage{c.Invariant, c.Path, int64(c.Offset), c.Kind.String(), c.Reason}
}
