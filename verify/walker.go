package verify

import (
	"bytes"
	"sort"

	"github.com/lightning-db/lightning/engine/inspect"
)

// walker goes through a tree in the order of its keys, from one of them on: in
// steps, each a branch of branches, or a branch with all of its leaves.
type walker struct {
	t    *tree
	root inspect.Ref
	path []spot // from the root down to what comes next; empty: that is the root
	at   []byte // no key of what comes next is before it; nil has no bound
	done bool
}

func newWalker(v *verifier, k *inspect.Keyspace, root inspect.Ref, run bool) *walker {
	t := &tree{v: v, id: k.ID, name: k.Name, page: int(k.PageSize), run: run}
	return &walker{t: t, root: root, done: root.IsZero()}
}

// next makes one step. from is the key from which on the tree is walked.
func (w *walker) next(r *reader, from []byte) {
	ref, level, s := w.root, inspect.AnyLevel, new(spot)
	if len(w.path) > 0 {
		s = &w.path[len(w.path)-1]
		ref, level = s.parent.Child(s.i), int(s.parent.Level)-1
	}
	n, ok := w.t.node(r, ref, level, s)
	switch {
	case !ok:
	case n.Kind == inspect.Leaf:
		w.t.leaf(r, &n, ref, s)
	default:
		branch := n.Clone()
		below := w.t.checkBranch(r, &branch, ref, s)
		if n.Level == 1 {
			w.t.leaves(r, &branch, below)
			break
		}
		below.parent = &branch
		below.i = sort.Search(n.Len()-1, func(i int) bool { return bytes.Compare(branch.AppendSeparator(nil, i+1), from) > 0 })
		w.path = append(w.path, *below)
		w.at, _ = below.bounds(nil, nil)
		return
	}
	w.up()
}

// up goes on behind what was the next step.
func (w *walker) up() {
	for len(w.path) > 0 {
		s := &w.path[len(w.path)-1]
		if s.i++; s.i < s.parent.Len() {
			w.at, _ = s.bounds(nil, nil)
			return
		}
		w.path = w.path[:len(w.path)-1]
	}
	w.done = true
}
