package node

// Slots returns the offset in the leaf of its slots: two bytes an entry, the
// offset of its cell in the body, for one who looks at many cells.
func (n Node) Slots() int { return leafSlots(n.Count()) }
