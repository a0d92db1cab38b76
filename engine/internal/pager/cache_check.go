package pager

import (
	"fmt"
	"unsafe"

	"github.com/lightning-db/lightning/engine/internal/node"
)

// check holds the cache to its invariants.
func (c *cache) check() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var used int64
	frames, values := 0, 0
	kids := map[*Frame]uint16{}
	for i := range c.lists {
		var sum int64
		var prev *Frame
		for f := c.lists[i].head; f != nil; prev, f = f, f.next {
			n := f.resident()
			switch {
			case n == nil:
				return fmt.Errorf("a frame in list %d without data", i)
			case f.place != place(i) || f.prev != prev:
				return fmt.Errorf("a frame in list %d is linked wrong", i)
			case int64(f.bytes) < int64(len(n)+frameBytes):
				return fmt.Errorf("a node of %d bytes counts for %d", len(n), f.bytes)
			}
			if f.flags&flagLinked != 0 {
				kids[f.parent]++
			}
			if k := f.kid(); k != nil && k.data.Load() != f.data.Load() {
				return fmt.Errorf("child %d of a branch in memory is not found from there", f.slot)
			}
			if first := f.kids.Load(); first != nil {
				for i := range kidsOf(first, n.Count()) {
					k := kidAt(first, i)
					if k.data.Load() != nil && k.frame.Load().kid() != k {
						return fmt.Errorf("child %d of a branch has data that is not counted", i)
					}
				}
			}
			if n.Kind() == node.Overflow {
				values++
				if c.values[f.Ref().Off] != (kept{f, unsafe.SliceData(n)}) {
					return fmt.Errorf("the value at %d is not found", f.Ref().Off)
				}
			}
			kids[f] += 0
			sum += int64(f.bytes)
			frames++
		}
		if c.lists[i].bytes != sum || c.lists[i].tail != prev {
			return fmt.Errorf("list %d: %d bytes, want %d", i, c.lists[i].bytes, sum)
		}
		used += sum
	}
	for f, n := range kids {
		if f.kidsHere != n {
			return fmt.Errorf("%d children here, want %d", f.kidsHere, n)
		}
	}
	if values != len(c.values) {
		return fmt.Errorf("%d values in memory, %d to be found", values, len(c.values))
	}
	if used != c.used || frames != c.frames || used > c.limit-c.reserved {
		return fmt.Errorf("%d bytes in %d frames, counted %d in %d, limit %d", used, frames, c.used, c.frames, c.limit)
	}
	return nil
}
