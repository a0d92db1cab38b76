package kv

import "testing"

func TestRange_Contains(t *testing.T) {
	for _, r := range []struct {
		Range
		has, lacks []string
		empty      bool
	}{
		{Range{}, []string{"", "a", "\xff"}, nil, false},
		{Range{[]byte("b"), nil}, []string{"b", "b\x00", "c"}, []string{"", "a", "az"}, false},
		{Range{[]byte("b"), []byte("d")}, []string{"b", "c", "cz"}, []string{"a", "d", "d\x00", "e"}, false},
		{Range{nil, []byte("b")}, []string{"", "a"}, []string{"b", "c"}, false},
		{Range{[]byte("b"), []byte("b")}, nil, []string{"a", "b", "c"}, true},
		{Range{nil, []byte{}}, nil, []string{"", "a"}, true},
	} {
		for _, key := range r.has {
			if !r.Contains([]byte(key)) {
				t.Errorf("%q to %q lacks %q", r.Start, r.End, key)
			}
		}
		for _, key := range r.lacks {
			if r.Contains([]byte(key)) {
				t.Errorf("%q to %q has %q", r.Start, r.End, key)
			}
		}
		if r.Empty() != r.empty {
			t.Errorf("%q to %q is empty: %v", r.Start, r.End, r.Empty())
		}
	}
}

// The fragment that is found is the one that contains the key: of two that
// touch the second has the key between them, and behind the last there is none.
func TestRangeDeletes_Find(t *testing.T) {
	for _, deletes := range []RangeDeletes{
		nil,
		{{Range{[]byte("b"), []byte("d")}, 3}},
		{{Range{[]byte("b"), []byte("d")}, 3}, {Range{[]byte("d"), []byte("f")}, 5}, {Range{[]byte("h"), []byte("k")}, 2}},
		{{Range{nil, []byte("c")}, 7}, {Range{[]byte("h"), nil}, 1}},
	} {
		for _, key := range []string{"", "a", "b", "b\x00", "c", "cz", "d", "e", "f", "f\x00", "g", "h", "j", "k", "z"} {
			var want Seq
			for _, d := range deletes {
				if d.Contains([]byte(key)) {
					want = d.Seq
				}
			}
			if have := deletes.Covering([]byte(key)); have != want {
				t.Errorf("%v: %q is covered at %d, want %d", deletes, key, have, want)
			}
		}
	}
}
