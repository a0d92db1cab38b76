package btree

import (
	"github.com/lightning-db/lightning/engine/internal/node"
)

// Visit is a node as Walk meets it.
type Visit struct {
	Ref   node.Ref
	Level int       // -1 for a root that cannot be read
	Node  node.Node // nil with Err
	Err   error     // why it cannot be read

	// The node's keys must be from Lower on and before Upper; a nil Upper is
	// no bound. Both are lent until visit returns.
	Lower, Upper []byte
}

// Walk calls visit with every node of t, a parent before its children, in
// order of key. It reads past the cache and trusts nothing but the checksums.
// A node that cannot be read is visited too, and what is below it left out.
// An error of visit ends the walk and is returned.
func Walk(t *Tree, visit func(Visit) error) error {
	if t.root == nil {
		return nil
	}
	return t.walk(Visit{Ref: t.Root(), Level: -1}, visit)
}

func (t *Tree) walk(v Visit, visit func(Visit) error) error {
	v.Node, v.Err = t.p.ReadNode(v.Ref, t.cfg.Keyspace, v.Level)
	if v.Err == nil {
		v.Level = v.Node.Level()
	}
	if err := visit(v); err != nil || v.Err != nil || v.Level == 0 {
		return err
	}
	n := v.Node
	lower := append([]byte(nil), v.Lower...)
	var next []byte
	for i := range n.Count() {
		upper := v.Upper
		if i+1 < n.Count() {
			next = n.AppendSeparator(next[:0], i+1)
			upper = next
		}
		if err := t.walk(Visit{Ref: n.Ref(i), Level: v.Level - 1, Lower: lower, Upper: upper}, visit); err != nil {
			return err
		}
		lower, next = next, lower
	}
	return nil
}
