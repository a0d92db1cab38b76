package shell

import (
	"strings"
	"testing"
)

// Each byte of a line has a look, and behind it stands what may follow. The
// letters: Command, Text, Number, Wrong, . plain.
func TestSession_Look(t *testing.T) {
	const letters = ".CFTNW"
	for _, test := range []struct{ text, looks, hint string }{
		{"", "", ""},
		{"get", "CCC", " KEY KEY"},
		{"get ", "CCC.", "KEY KEY"},
		{"get k", "CCC..", " KEY"},
		{"get k v ", "CCC.....", ""},
		{"pu", "..", ""}, // may become put
		{"pux", "WWW", ""},
		{"pu k", "WW..", ""}, // nothing becomes of it
		{"get -", "CCC..", ""},
		{"get --de", "CCC.....", ""},
		{"get --no", "CCC.WWWW", ""},
		{"get --de x", "CCC.WWWW..", ""},
		{`get "a b" 'c' 7`, "CCC.TTTTT.TTT.N", ""},
		{`get x'00' u64(1)`, "CCC.TTTTT.TTTTTT", ""},
		{`get "op`, "CCC.WWW", ""},
		{`get "a"b c`, "CCC.WWWWWW", ""}, // text right behind a quote
		{`put k {"a": `, "CCC.........", ""},
		{"put k {", "CCC....", ""},
		{"put k [1,\n", "CCC.......", ""},
		{"put k {\na", "CCC...WWW", ""},
		{"put k {a", "CCC...WW", ""}, // a value that begins so is JSON
		{"get k {a", "CCC.....", ""},
		{"3 get ", "N.CCC.", "KEY KEY"},
		{"get a; put ", "CCC....CCC.", "KEY KEY"},
		{"get a;", "CCC...", ""},
		{"get a\nput b", "CCC...CCC..", " KEY"},
		{"# get", ".....", ""},
		{"# a\nget ", "....CCC.", "KEY KEY"},
		{"get k # it", "CCC.......", " "}, // no comment: two more words
		{".mode ", "CCCCC.", "FORMAT"},
		{".mo", "...", ""},
		{".mox", "WWWW", ""},
		{".mode js", "CCCCC...", ""},
		{".mode jx", "CCCCC.WW", ""},
		{".watch 2 get ", "CCCCCC.N.CCC.", "KEY KEY"},
		{".watch ", "CCCCCC.", "SECONDS STATEMENT"},
		{"exit", "CCCC", ""},
		{"'get' k", "TTTTT..", ""},
	} {
		s, _, _ := newSession(t)
		looks, hint := s.look(test.text, true)
		var have strings.Builder
		for _, l := range looks {
			have.WriteByte(letters[l])
		}
		if have.String() != test.looks || strings.TrimSpace(hint) != strings.TrimSpace(test.hint) || test.hint != "" && test.hint != " " && hint != test.hint {
			t.Errorf("%q\nhave %s %q\nwant %s %q", test.text, have.String(), hint, test.looks, test.hint)
		}
		// Where nobody types at the end, nothing may follow, and nothing may
		// become right.
		looks, hint = s.look(test.text, false)
		if hint != "" || test.text == "pu" && looks[0] != Wrong {
			t.Errorf("%q, ended: %v %q", test.text, looks, hint)
		}
	}
}

// Any text has looks, each byte one.
func FuzzSession_Look(f *testing.F) {
	for _, text := range []string{"get 'a", ".watch 1 get ;;# x\n", "\\\n\\", "u64(", "scan where .a \"x", "3", ". ", "é\xff", "\fa\f \x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, _, _ := newSession(t)
		if looks, _ := s.look(text, true); len(looks) != len(text) {
			t.Errorf("%d looks of %d bytes", len(looks), len(text))
		}
	})
}

// Text wraps as on a terminal: a wide character does not fit into one column.
func TestLayout(t *testing.T) {
	for _, test := range []struct {
		text string
		end  cell
	}{
		{"", cell{0, 0}},
		{"abc", cell{0, 3}},
		{"abcdefghij", cell{1, 0}},
		{"abcdefghi漢", cell{1, 2}},
		{"漢漢漢漢漢漢", cell{1, 2}},
		{"abcdefghije\u0301", cell{1, 1}},
	} {
		l := layout{width: 10}
		for _, r := range test.text {
			l.put(r)
		}
		if l.end() != test.end {
			t.Errorf("%q ends at %v, want %v", test.text, l.end(), test.end)
		}
	}
}
