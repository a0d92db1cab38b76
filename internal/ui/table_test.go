package ui

import (
	"strings"
	"testing"
)

// A column of numbers ends in line, with its title; one that has anything else, or
// nothing, does not.
func TestTable_NumbersEndInLine(t *testing.T) {
	var b strings.Builder
	err := Table(&b, 0, []string{"name", "count", "size", "±", "version"}, [][]string{
		{"a", "1,024", "3 B", "±1", "1.2.x"},
		{"b", "-7", "1.2 MB", "±12.5", "2"},
	})
	const want = `+------+-------+--------+-------+---------+
| name | count |   size |     ± | version |
+------+-------+--------+-------+---------+
| a    | 1,024 |    3 B |    ±1 | 1.2.x   |
| b    |    -7 | 1.2 MB | ±12.5 | 2       |
+------+-------+--------+-------+---------+
`
	if have := b.String(); err != nil || have != want {
		t.Errorf("have %v\n%swant\n%s", err, have, want)
	}
	b.Reset()
	if err := Table(&b, 0, []string{"name", "count"}, nil); err != nil || !strings.Contains(b.String(), "| name | count |") {
		t.Errorf("of no rows: %v\n%s", err, b.String())
	}
}

// A picture that is joined of several takes the cells of its first, and is not cut
// apart: the border is in line. (That of a terminal that shows them one by one is not.)
func TestGrid_JoinedPictures(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "ab": 2, "漢": 2, "e\u0301": 1, "👩‍🚀": 2, "👨‍👩‍👧‍👦x": 3, "👩‍❤️‍👨": 2, "🤦‍♂️!": 3, "👩‍🚀👩": 4, "👩‍🤝‍👩🏽": 2, "❤️": 2, "👍🏽": 2, "☝🏽": 2, "☝️🏽!": 3, "👍🏽👍🏿": 4, "🕵🏽‍♀️": 2, "⭐️": 2, "🏴󠁧󠁢󠁥󠁮󠁧󠁿": 2, "🇩🇪": 2, "🏽": 2, "🫡": 2, "🛜": 2, "🟰": 2, "🫱🏻‍🫲🏿": 2, "a🏽": 3, "漢🏽": 4, "क्\u200dष": CellWidth("क्") + CellWidth("ष"), "a\u200db": 2, "\u200d👩": 2, "a\u200d👩": 3, "\u200d👩\u200d👩x": 3, "\xff": 1,
	} {
		if have := CellWidth(text); have != want {
			t.Errorf("%q takes %d cells, want %d", text, have, want)
		}
	}
	var b strings.Builder
	g := NewGrid(&b, 24, "key", "value")
	for _, value := range []string{"👨‍👩‍👧 family", "👍🏽 thumb", "👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧", "plain", "long enough to be cut"} {
		if err := g.Append("k", value); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	const want = `+-----+----------------+
| key | value          |
+-----+----------------+
| k   | 👨‍👩‍👧 family      |
| k   | 👍🏽 thumb       |
| k   | 👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧…  |
| k   | plain          |
| k   | long enough t… |
+-----+----------------+
`
	if have := b.String(); have != want {
		t.Errorf("have\n%swant\n%s", have, want)
	}
}
