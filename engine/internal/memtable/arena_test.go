package memtable

import (
	"encoding/binary"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// TestArena_JumpsAsMyersHasThem: each version links to where his rule leads,
// which looks at the links of those before, and any is found from the newest by
// few steps.
func TestArena_JumpsAsMyersHasThem(t *testing.T) {
	const versions = 1 << 14
	var a arena
	var newest ref
	jump := []uint32{0} // the depth that each depth links to
	refs := make([]ref, versions)
	for i := range uint32(versions) {
		newest = a.append([]byte("k"), binary.LittleEndian.AppendUint32(nil, i), kv.Set, kv.Seq(i), newest, i > 0)
		refs[i] = newest
		if i == 0 {
			continue
		}
		before := i - 1
		mid := jump[before]
		if far := jump[mid]; before-mid == mid-far {
			jump = append(jump, far)
		} else {
			jump = append(jump, before)
		}
		e := a.at(newest)
		if e.depth() != i || e.jump(newest) != refs[jump[i]] {
			t.Fatalf("version %d has depth %d and links to %#x, want the %d-th at %#x", i, e.depth(), e.jump(newest), jump[i], refs[jump[i]])
		}
	}
	for seq := range kv.Seq(versions) {
		steps := 0
		e := a.at(newest)
		for ; e.seq() > seq; steps++ {
			e = a.back(e, seq)
		}
		if e.seq() != seq || steps > 3*14 {
			t.Fatalf("version %d is found as %d after %d steps", seq, e.seq(), steps)
		}
	}
}
