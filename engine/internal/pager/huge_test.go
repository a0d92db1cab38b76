package pager

import (
	"bytes"
	"testing"
	"unsafe"
)

// The memory of nodes is looked at in whole regions, and keeps what is in it, on
// whichever side of a region's bounds that lies.
func TestHugePages_CoverKeepsTheContent(t *testing.T) {
	var h hugePages
	h.init(64 << 20)
	regions := map[uintptr]bool{}
	var nodes [][]byte
	for i := range 2048 { // 8 MiB
		n := bytes.Repeat([]byte{byte(i)}, 4096)
		h.cover(n)
		nodes = append(nodes, n)
		regions[uintptr(unsafe.Pointer(unsafe.SliceData(n)))/hugeRegion] = true
	}
	for i, n := range nodes {
		if !bytes.Equal(n, bytes.Repeat([]byte{byte(i)}, 4096)) {
			t.Fatalf("node %d has changed", i)
		}
	}
	seen := 0
	for i := range h.seen {
		if r := uintptr(h.seen[i].Load() >> progressBits); r != 0 {
			seen++
			if !regions[r] {
				t.Errorf("looked at region %#x, which holds no node", r)
			}
		}
	}
	if seen != len(regions) {
		t.Errorf("%d regions are known, %d hold nodes", seen, len(regions))
	}
}
