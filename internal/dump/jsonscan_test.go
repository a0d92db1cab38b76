package dump

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzValidJSON: the scanner agrees with encoding/json on every document.
func FuzzValidJSON(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-0.5e+3,true,false,null,"\u00e9\n"],"b":{}}`, ` [ ] `, `{"a" : 1 , "b":[ 1 , 2 ]}`, `01`, `-`, `1.`, `1e`, `"\q"`, `"\u12g4"`,
		"\"\x01\"", `{,}`, `[1,]`, `{"a"}`, `{"a":}`, `nul`, `truex`, `1 2`, ``, `"`, `{"a":1`, "\"\xff\"", "\x00", "1\x00",
		"\"0\x1fbbbb000\"", "\"\nb\"",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		want := json.Valid(doc)
		if have := ValidJSON(doc); have != want {
			t.Fatalf("%q: have %v, want %v", doc, have, want)
		}
		if s := (jsonScanner{src: doc}); (s.document() == nil) != want {
			t.Fatalf("%q: what is wrong is said where nothing is, or not", doc)
		}
		if !want {
			return
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, doc); err != nil {
			t.Fatal(err)
		}
		if have := AppendCompact(nil, doc); !bytes.Equal(have, compact.Bytes()) {
			t.Fatalf("%q: have %q, want %q", doc, have, compact.Bytes())
		}
		var r Record
		var object map[string]json.RawMessage
		ok, err := r.split(doc, len(doc))
		if isObject := bytes.HasPrefix(compact.Bytes(), []byte("{")); err != nil || ok != isObject || !ok {
			if err == nil && ok != isObject {
				t.Fatalf("%q: an object: have %v", doc, ok)
			}
			return
		}
		if !bytes.Equal(r.object, compact.Bytes()) {
			t.Fatalf("%q: have %q, want %q", doc, r.object, compact.Bytes())
		}
		if json.Unmarshal(doc, &object) != nil || !utf8.Valid(doc) {
			return
		}
		for name, want := range object {
			if have, ok := r.Find(name); !ok || !bytes.Equal(have, want) {
				t.Fatalf("%q: field %q: have %q, want %q", doc, name, have, want)
			}
		}
	})
}

// FuzzAppendJSONString: what is written eight bytes at a time is the text, as
// encoding/json reads it, and safe on a terminal.
func FuzzAppendJSONString(f *testing.F) {
	for _, s := range []string{"", "plain text of some length", "1234567\"", "12345678\\", "a\x7fb", "é\u0085", "\xc2A", "0123456\n89", "\xff", "ééééééé\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		have := AppendJSONString(nil, []byte(text))
		if utf8.ValidString(text) != utf8.Valid(have) {
			t.Fatalf("%q: have %q", text, have)
		}
		for _, r := range string(have) {
			if unicode.IsControl(r) {
				t.Fatalf("%q: have %q", text, have)
			}
		}
		var back string
		if err := json.Unmarshal(have, &back); err != nil || utf8.ValidString(text) && back != text {
			t.Fatalf("%q: have %q, %v", text, have, err)
		}
	})
}
