package memtable

import (
	"bytes"
	"fmt"
	"unsafe"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// Check returns the first thing in which the table is not what the comments on
// leaf and branch promise. Nobody may write meanwhile.
func (t *Table) Check() error {
	for _, ks := range t.Keyspaces() {
		if err := t.tree(ks).check(&t.arena); err != nil {
			return fmt.Errorf("memtable, keyspace %d: %w", ks, err)
		}
	}
	return nil
}

func (t *tree) check(a *arena) error {
	top := t.root.Load()
	if top == nil {
		return nil
	}
	if h := t.hashed.Load(); h != nil {
		return h.check(a)
	}
	return checkNode(a, top.node, top.height, kv.Range{})
}

func checkNode(a *arena, node unsafe.Pointer, height int, within kv.Range) error {
	if height == 0 {
		return (*leaf)(node).check(a, within)
	}
	b := (*branch)(node)
	n := b.count()
	if n < 1 || n > fanout {
		return fmt.Errorf("branch of %d children", n)
	}
	for i := range n {
		part := within
		if i > 0 {
			part.Start = a.at(b.seps[i-1]).key()
		}
		if i < n-1 {
			part.End = a.at(b.seps[i]).key()
			if !within.Contains(part.End) || !bytes.HasPrefix(part.End, b.prefix) || b.heads[i] != headOf(part.End, len(b.prefix)) {
				return fmt.Errorf("separator %.40q in a branch of prefix %.40q, bounds %.40q, %.40q", part.End, b.prefix, within.Start, within.End)
			}
		}
		if err := checkNode(a, b.child(i), height-1, part); err != nil {
			return err
		}
	}
	return nil
}

func (l *leaf) check(a *arena, within kv.Range) error {
	if l.count() != int(l.used) {
		return fmt.Errorf("leaf of %d slots counts %d", l.used, l.count())
	}
	for i := range l.count() {
		e := l.entry(a, uint8(i))
		key := e.key()
		if !within.Contains(key) || l.slots[i].head != headOf(key, int(l.skip)) {
			return fmt.Errorf("slot %d: key %.40q, head %x after %d, bounds %.40q, %.40q",
				i, key, l.slots[i].head, l.skip, within.Start, within.End)
		}
		if e.seq() > kv.Seq(l.newest.Load()) {
			return fmt.Errorf("slot %d: sequence number %d, newest of the leaf %d", i, e.seq(), l.newest.Load())
		}
		if found, _ := l.find(a, key, kv.Hash(key)); found != i {
			return fmt.Errorf("slot %d: its key is found in slot %d", i, found)
		}
	}
	slots, n := l.inOrder(a)
	for i := 1; i < n; i++ {
		if bytes.Compare(l.entry(a, slots[i-1]).key(), l.entry(a, slots[i]).key()) >= 0 {
			return fmt.Errorf("order of a leaf: %v", slots[:n])
		}
	}
	return nil
}

func (h *hashed) check(a *arena) error {
	used := 0
	for i := range *h.slots.Load() {
		s := &(*h.slots.Load())[i]
		r, there := s.load()
		if !there {
			continue
		}
		used++
		e := a.at(r)
		key := e.key()
		if found, _ := h.slot(a, key, s.hash); found != s || s.hash != kv.Hash(key) || e.seq() > kv.Seq(h.newest.Load()) {
			return fmt.Errorf("slot %d: key %.40q of hash %x at %d, newest %d", i, key, s.hash, e.seq(), h.newest.Load())
		}
	}
	if used != h.used {
		return fmt.Errorf("%d slots are taken, %d counted", used, h.used)
	}
	s := h.inOrder(a, kv.MaxSeq)
	if len(s.cells) != used {
		return fmt.Errorf("%d of %d keys in order", len(s.cells), used)
	}
	for i := 1; i < used; i++ {
		if bytes.Compare(a.at(s.cells[i-1].at).key(), a.at(s.cells[i].at).key()) >= 0 {
			return fmt.Errorf("key %d of %d is not behind the one before", i, used)
		}
	}
	return nil
}
