package query

import "bytes"

// A keyRange is a half-open range of keys; nil is no bound.
type keyRange struct{ start, end []byte }

// rangeOf returns a range outside which n is not true of any key.
func rangeOf(n *node) keyRange {
	switch n.op {
	case opAnd, opOr:
		a, b := rangeOf(n.left), rangeOf(n.right)
		return a.join(b, n.op == opAnd)
	case opCompare:
		if n.left.op == opKey && n.right.op == opConst && n.right.value.kind == str {
			return rangeOfTest(n.test, n.right.value.text)
		}
		if n.right.op == opKey && n.left.op == opConst && n.left.value.kind == str {
			// less and greater change places.
			return rangeOfTest(n.test&equal|n.test&less<<2|n.test&greater>>2, n.left.value.text)
		}
	case opPipe:
		f := n.right
		if n.left.op == opKey && f.op == opCall && f.function.name == "startswith" && f.left.op == opConst && f.left.value.kind == str {
			return keyRange{f.left.value.text, PrefixEnd(f.left.value.text)}
		}
		if n.left.op == opKey && f.regex != nil {
			if prefix := f.regex.Prefix(); len(prefix) > 0 {
				return keyRange{prefix, PrefixEnd(prefix)}
			}
		}
	}
	return keyRange{}
}

//go:noinline
func rangeOfTest(t test, key []byte) keyRange {
	behind := append(bytes.Clone(key), 0)
	switch t {
	case equal:
		return keyRange{key, behind}
	case less:
		return keyRange{nil, key}
	case less | equal:
		return keyRange{nil, behind}
	case greater:
		return keyRange{behind, nil}
	case greater | equal:
		return keyRange{key, nil}
	}
	return keyRange{}
}

// join returns what is in both ranges, or the least range around both.
func (r keyRange) join(o keyRange, both bool) keyRange {
	return keyRange{choose(r.start, o.start, both, both), choose(r.end, o.end, !both, both)}
}

// choose returns the later or the earlier of two bounds; with no bound the
// other, where both must hold.
//
//go:noinline
func choose(a, b []byte, later, both bool) []byte {
	switch {
	case a == nil && both:
		return b
	case b == nil && both:
		return a
	case a == nil || b == nil:
		return nil
	case bytes.Compare(a, b) > 0 == later:
		return a
	}
	return b
}

// PrefixEnd returns the first key behind those that begin with prefix, nil if
// there is none.
//
//go:noinline
func PrefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
