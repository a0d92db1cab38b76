package memtable

import (
	"testing"
	"unsafe"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// checkTree checks what the comments on leaf and branch promise.
func checkTree(t *testing.T, table *Table, ks kv.Keyspace) {
	t.Helper()
	if err := table.tree(ks).check(&table.arena); err != nil {
		t.Fatal(err)
	}
}

// A slot without a fingerprint is still being written, however likely its
// neighbours make it look. Found by the race detector: an empty byte above a
// match of fingerprint 1 counted as a match.
func TestLeaf_Find_OnlyPublished(t *testing.T) {
	var a arena
	key := []byte("a key")
	at := a.append(key, nil, kv.Set, 2, 0, false)
	for print := range uint64(256) {
		hash := print<<48 | 0xAB<<56
		l := newLeaf(&a, nil, 0, 0, 0)
		l.add(0, print<<48, a.append([]byte("other"), nil, kv.Set, 1, 0, false), 1)
		l.slots[1].at = uint64(at | tagOf(hash))
		if i, _ := l.find(&a, key, hash); i != -1 {
			t.Errorf("fingerprint %d: found in slot %d, which is not published", print, i)
		}
	}
}

// Node sizes are chosen to fill an allocation class; the comments say which.
func TestNode_Size(t *testing.T) {
	const header = 8 // of the runtime, in front of objects with pointers
	if size := unsafe.Sizeof(leaf{}); size+header != 1152 {
		t.Errorf("leaf: %d bytes", size)
	}
	if offset := unsafe.Offsetof(leaf{}.prints); (offset+header)%64 != 0 {
		t.Errorf("fingerprints at %d", offset)
	}
	if offset := unsafe.Offsetof(leaf{}.slots); offset%8 != 0 { // sync/atomic asks for it, on 32-bit machines too
		t.Errorf("slots at %d", offset)
	}
	if size := unsafe.Sizeof(branch{}); size+header != branchBytes {
		t.Errorf("branch: %d bytes", size)
	}
	if size := unsafe.Sizeof(order{}) + 1152; size > leafBytes {
		t.Errorf("leaf and order: %d bytes, counted as %d", size, leafBytes)
	}
}
