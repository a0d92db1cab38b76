package ui

import (
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	const text = `Print the value of a key, and nothing that is around it.

Examples:
  lightning get my.db a-key-that-is-long --default none

Flags:
      --default string   print this where the key is not there
  -h, --help             help for get
  -q, --quiet            print no messages
`
	if have := Wrap(text, 0); have != text {
		t.Errorf("without a terminal:\n%s", have)
	}
	if have := Wrap(text, 62); have != text {
		t.Errorf("in a wide one:\n%s", have)
	}
	const narrow = `Print the value of a key, and nothing
that is around it.

Examples:
  lightning get my.db a-key-that-is-long --default none

Flags:
      --default string
        print this where the key is not
        there
  -h, --help             help for get
  -q, --quiet
        print no messages
`
	if have := Wrap(text, 40); have != narrow {
		t.Errorf("in 40 columns:\n%s", have)
	}
	const table = "    function  .a | length  type    tostring\n              starts  ends with\n                      it goes on here\n    lightning scan my.db --count-by .city\n"
	if have, want := Wrap(table, 32), "    function  .a | length  type\n              tostring\n              starts  ends with\n        it goes on here\n    lightning scan my.db --count-by .city\n"; strings.ReplaceAll(have, " \n", "\n") != want {
		t.Errorf("a table:\n%s", have)
	}
	const flag = "  -h, --help   help for get, which prints the value\n"
	if have, want := Wrap(flag, 40), "  -h, --help   help for get, which\n               prints the value\n"; have != want {
		t.Errorf("the usage in its column:\n%s", have)
	}
}

// The second of two columns goes on in its column, too.
func TestFields(t *testing.T) {
	rows := [][2]string{{"put", "Set the value of a key"}, {"読む", "Print values"}}
	for width, want := range map[int]string{
		0:  "put   Set the value of a key\n読む  Print values\n",
		28: "put   Set the value of a key\n読む  Print values\n",
		20: "put   Set the value\n      of a key\n読む  Print values\n",
		11: "put  Set\n     the\n     value\n     of a\n     key\n読む\n     Print\n     values\n",
		8:  "put\n        Set\n        the\n        value\n        of\n        a\n        key\n読む\n        Print\n        values\n",
	} {
		var b strings.Builder
		if err := Fields(&b, width, rows); err != nil || b.String() != want {
			t.Errorf("in %d columns: %v\n%s", width, err, b.String())
		}
	}
	rows = append(rows, [2]string{"a name with arguments", "Does much"})
	var b strings.Builder
	if err := Fields(&b, 24, rows); err != nil || b.String() != "put   Set the value of a\n      key\n読む  Print values\na name with arguments\n      Does much\n" {
		t.Errorf("a wide name: %v\n%s", err, b.String())
	}
}
