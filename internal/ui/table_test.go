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
