package dump

import (
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	for _, test := range []struct {
		text string
		e    Encoding
		want string // words with | between, or an error
	}{
		{"a b", Auto, "a|b"},
		{"a  b  ", Auto, "a|b"},
		{"a\tb\tc", Auto, "a|b|c"},
		{`"a b" c`, Auto, "a b|c"},
		{`"a\"b"`, Auto, `a"b`},
		{`"\x00\xff"`, Hex, "\x00\xff"},
		{"x'6120' 61", Hex, "a |a"},
		{"x'' b", Auto, "|b"},
		{"x'61", Auto, "x'61"},
		{"x'", Auto, "x'"},
		{"u64(", Auto, "u64("},
		{"u64(1) u64", Auto, "\x00\x00\x00\x00\x00\x00\x00\x01|u64"},
		{"u64(1", Auto, "u64(1"},
		{`it's`, Auto, "it's"},
		{`'a b'`, Auto, "error"},
		{`a 'b'`, Auto, "error"},
		{`"'a" 'b`, Raw, "'a|'b"},
		{`'a'`, Quoted, "'a'"},
		{`"a`, Auto, "error"},
		{`"a\"`, Auto, "error"},
		{`"a"b`, Auto, "error"},
		{"x'6'", Auto, "error"},
		{"u64(x)", Auto, "error"},
		{"zz", Hex, "error"},
	} {
		var words []string
		rest := []byte(test.text)
		var err error
		for len(rest) > 0 && err == nil {
			var word []byte
			word, rest, err = Word(rest, test.e, false)
			words = append(words, string(word))
		}
		have := strings.Join(words, "|")
		if err != nil {
			have = "error"
		}
		if have != test.want {
			t.Errorf("words of %s as %s: %q, want %q", test.text, test.e, have, test.want)
		}
	}
	for _, test := range []struct {
		text string
		e    Encoding
		want string
	}{
		{"a  b", Auto, "a  b"},
		{`"a  b"`, Auto, "a  b"},
		{`"a" b`, Auto, "error"},
		{`'a b'`, Auto, "error"},
		{`'a b'`, Raw, "'a b'"},
		{`"a`, Auto, "error"},
		{`"a"`, JSONText, `"a"`},
		{`{"a": 1}`, JSONText, `{"a": 1}`},
		{`{"a": 1`, JSONText, "error"},
		{"x'61' b", Auto, "x'61' b"},
		{"x'61'", Auto, "a"},
		{"u64(1) b", Auto, "u64(1) b"},
		{"6162", Hex, "ab"},
		{"", Auto, "error"},
		{`""`, Auto, ""},
		{"x'", Auto, "x'"},
	} {
		word, _, err := Word([]byte(test.text), test.e, true)
		have := string(word)
		if err != nil {
			have = "error"
		}
		if have != test.want {
			t.Errorf("last word %s as %s: %q, want %q", test.text, test.e, have, test.want)
		}
	}
}

// What prints keys and values so that they can be read back is read back.
func FuzzWords(f *testing.F) {
	f.Add([]byte("a"), []byte("b c"))
	f.Add([]byte(`"`), []byte("x'00'"))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		line := append(Quoted.Append(nil, key), ' ')
		line = Quoted.Append(line, value)
		k, rest, err := Word(line, Auto, false)
		if err != nil || string(k) != string(key) {
			t.Fatalf("%s: key %q, %v", line, k, err)
		}
		v, _, err := Word(rest, Auto, true)
		if err != nil || string(v) != string(value) {
			t.Fatalf("%s: value %q, %v", line, v, err)
		}
		_, _, _ = Word(value, Auto, false)
		_, _, _ = Word(value, Hex, true)
	})
}
