package vfs

// chunkBytes is the unit in which files in memory are allocated and shared.
const chunkBytes = 4 << 10

type chunk [chunkBytes]byte

// chunks is the content of a file in memory: a table of chunks, which copies
// share until one of them writes. A copy costs the same whatever the size, a
// chunk of zeros costs nothing.
//
//  1. A nil chunk reads as zeros.
//  2. Bytes past size are zero in every chunk, so that growing is only a
//     matter of size.
//  3. owned is nil (the table is shared too) or as long as table; a chunk is
//     written in place only when it is owned.
type chunks struct {
	size  int64
	table []*chunk
	owned []bool
}

// share returns a copy; from now on neither writes what both hold.
func (c *chunks) share() chunks {
	c.owned = nil
	return chunks{size: c.size, table: c.table}
}

// readAt fills p from off and returns how many bytes there were.
func (c *chunks) readAt(p []byte, off int64) int {
	if off >= c.size {
		return 0
	}
	p = p[:min(int64(len(p)), c.size-off)]
	for done := 0; done < len(p); {
		i, at := c.locate(off + int64(done))
		part := p[done:min(len(p), done+chunkBytes-at)]
		if i < len(c.table) && c.table[i] != nil {
			copy(part, c.table[i][at:])
		} else {
			clear(part)
		}
		done += len(part)
	}
	return len(p)
}

// writeAt stores p at off and grows the file to hold it.
func (c *chunks) writeAt(p []byte, off int64) {
	if len(p) == 0 {
		return
	}
	c.size = max(c.size, off+int64(len(p)))
	for done := 0; done < len(p); {
		i, at := c.locate(off + int64(done))
		done += copy(c.own(i)[at:], p[done:])
	}
}

// truncate sets the size.
func (c *chunks) truncate(size int64) {
	if size < c.size {
		i, at := c.locate(size)
		if at > 0 && i < len(c.table) && c.table[i] != nil {
			clear(c.own(i)[at:])
			i++
		}
		if i < len(c.table) {
			c.ownTable()
			c.table = c.table[:i]
			c.owned = c.owned[:i]
		}
	}
	c.size = size
}

func (c *chunks) locate(off int64) (i, at int) {
	return int(off / chunkBytes), int(off % chunkBytes)
}

// own returns the chunk at i, made or copied if it must be, to write into.
func (c *chunks) own(i int) *chunk {
	c.ownTable()
	for len(c.table) <= i {
		c.table = append(c.table, nil)
		c.owned = append(c.owned, false)
	}
	if !c.owned[i] {
		mine := new(chunk)
		if shared := c.table[i]; shared != nil {
			*mine = *shared
		}
		c.table[i], c.owned[i] = mine, true
	}
	return c.table[i]
}

func (c *chunks) ownTable() {
	if c.owned != nil {
		return
	}
	c.table = append(make([]*chunk, 0, len(c.table)+1), c.table...)
	c.owned = make([]bool, len(c.table), cap(c.table))
}
