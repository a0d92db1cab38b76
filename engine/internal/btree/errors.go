package btree

import (
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
)

// corrupt says what is wrong with an extent whose checksum holds.
func (t *Tree) corrupt(ref node.Ref, reason string) error {
	return &pager.CorruptError{Offset: ref.Off, Kind: pager.Structure, Reason: reason}
}
