package ui

import "testing"

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
	const flag = "  -h, --help   help for get, which prints the value\n"
	if have, want := Wrap(flag, 40), "  -h, --help   help for get, which\n               prints the value\n"; have != want {
		t.Errorf("the usage in its column:\n%s", have)
	}
}
