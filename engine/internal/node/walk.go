package node

import "encoding/binary"

// Slots returns the offset in the leaf of its slots, for CellStart.
func (n Node) Slots() int { return leafSlots(n.Count()) }

// CellStart returns where in the node the cell of entry i begins, for one who
// looks at many cells and has kept Slots.
func (n Node) CellStart(slots, i int) int {
	return HeaderSize + int(binary.LittleEndian.Uint16(n[slots+2*i:]))
}
