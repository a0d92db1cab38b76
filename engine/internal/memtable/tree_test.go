package memtable

import (
	"bytes"
	"testing"
	"unsafe"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// checkTree checks what the comments on leaf and branch promise.
func checkTree(t *testing.T, table *Table, ks kv.Keyspace) {
	t.Helper()
	top := table.tree(ks).root.Load()
	if top == nil {
		return
	}
	var check func(node unsafe.Pointer, height int, lower, upper []byte)
	check = func(node unsafe.Pointer, height int, lower, upper []byte) {
		within := kv.Range{Start: lower, End: upper}
		if height == 0 {
			checkLeaf(t, &table.arena, (*leaf)(node), within)
			return
		}
		b := (*branch)(node)
		if b.n < 1 || b.n > fanout {
			t.Fatalf("branch of %d children", b.n)
		}
		for i := range b.n {
			start, end := lower, upper
			if i > 0 {
				start = table.arena.at(b.seps[i-1]).key()
			}
			if i < b.n-1 {
				end = table.arena.at(b.seps[i]).key()
				if !within.Contains(end) || !bytes.HasPrefix(end, b.prefix) || b.heads[i] != headOf(end, len(b.prefix)) {
					t.Fatalf("separator %.40q in a branch of prefix %.40q, bounds %.40q, %.40q", end, b.prefix, lower, upper)
				}
			}
			check(b.child(i), height-1, start, end)
		}
	}
	check(top.node, top.height, nil, nil)
}

func checkLeaf(t *testing.T, a *arena, l *leaf, within kv.Range) {
	t.Helper()
	if l.count() != int(l.used) {
		t.Fatalf("leaf of %d slots counts %d", l.used, l.count())
	}
	for i := range l.count() {
		e := l.entry(a, uint8(i))
		key := e.key()
		if !within.Contains(key) || l.slots[i].head != headOf(key, int(l.skip)) {
			t.Fatalf("slot %d: key %.40q, head %x after %d, bounds %.40q, %.40q",
				i, key, l.slots[i].head, l.skip, within.Start, within.End)
		}
		if e.seq() > kv.Seq(l.newest.Load()) {
			t.Fatalf("slot %d: sequence number %d, newest of the leaf %d", i, e.seq(), l.newest.Load())
		}
		if found, _ := l.find(a, key, kv.Hash(key)); found != i {
			t.Fatalf("slot %d: its key is found in slot %d", i, found)
		}
	}
	slots, n := l.inOrder(a)
	for i := 1; i < n; i++ {
		if bytes.Compare(l.entry(a, slots[i-1]).key(), l.entry(a, slots[i]).key()) >= 0 {
			t.Fatalf("order of a leaf: %v", slots[:n])
		}
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
