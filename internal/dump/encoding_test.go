package dump

import (
	"strings"
	"testing"
)

func TestEncoding_DecodesWhatItPrints(t *testing.T) {
	for _, e := range []Encoding{Raw, Quoted, Hex, Base64, U64} {
		for _, s := range []string{"", "a", "\x00\xff", "\"\\'\n", "é北👩‍👩‍👧\u202e", "0", "8 bytes!"} {
			text := e.Append(nil, []byte(s))
			if have, err := e.Decode(text); err != nil || string(have) != s {
				t.Errorf("%s: %q became %s, and that %q, %v", e, s, text, have, err)
			}
		}
	}
}

func TestEncoding_Decode(t *testing.T) {
	for _, c := range []struct {
		e          Encoding
		text, want string
		bad        bool
	}{
		{e: Quoted, text: `a\x00b`, want: "a\x00b"},
		{e: Quoted, text: `"a\0\'\"b"`, want: "a\x00'\"b"},
		{e: Quoted, text: `\u00e9\xe9`, want: "é\xe9"},
		{e: Quoted, text: `"a`, bad: true},
		{e: Quoted, text: `\q`, bad: true},
		{e: Quoted, text: `\`, bad: true},
		{e: Hex, text: "00FF", want: "\x00\xff"},
		{e: Hex, text: "0", bad: true},
		{e: Base64, text: "AP8=", want: "\x00\xff"},
		{e: Base64, text: "AP8", want: "\x00\xff"},
		{e: Base64, text: "__8", want: "\xff\xff"},
		{e: Base64, text: "!", bad: true},
		{e: U64, text: "258", want: "\x00\x00\x00\x00\x00\x00\x01\x02"},
		{e: U64, text: "-1", bad: true},
		{e: JSONText, text: `{"a":1}`, want: `{"a":1}`},
		{e: JSONText, text: `{`, bad: true},
		{e: Size, text: "1", bad: true},
	} {
		have, err := c.e.Decode([]byte(c.text))
		if c.bad != (err != nil) || string(have) != c.want {
			t.Errorf("%s %s: have %q, %v, want %q", c.e, c.text, have, err, c.want)
		}
	}
}

// -V json keeps a line one line, and a column one column, whatever a value is.
func TestEncoding_JSON_IsOneLine(t *testing.T) {
	for in, want := range map[string]string{
		`{"a": 1}`:                              `{"a": 1}`,
		"{\n\t\"a b\": 1.0,\r\n \"b\": []\n}\n": `{"a b":1.0,"b":[]}`,
		"[1,\t2]":                               `[1,2]`,
		`"a\nb"`:                                `"a\nb"`,
		"plain text":                            "plain text",
		"a\tb\nc\x00":                           `"a\tb\nc\x00"`,
		"\"a\tb\"":                              `"\"a\tb\""`,
		"\"\xff\"":                              `"\"\xff\""`,
		"":                                      "",
	} {
		if have := string(JSONText.Append(nil, []byte(in))); have != want {
			t.Errorf("%q: have %s, want %s", in, have, want)
		}
	}
}

func TestPrintable_IsSafeOnATerminal(t *testing.T) {
	for in, want := range map[string]string{
		"user:1":                "user:1",
		"Łódź 北京 👩‍👩‍👧 نص":      "Łódź 北京 👩‍👩‍👧 نص",
		"\x1b[31m":              `"\x1b[31m"`,
		"a\u202eb":              `"a\u202eb"`,
		"\xff":                  `"\xff"`,
		strings.Repeat("é", 50): strings.Repeat("é", 40) + "…(100 bytes)",
	} {
		if have := Printable([]byte(in)); have != want {
			t.Errorf("%q: have %s, want %s", in, have, want)
		}
	}
}
