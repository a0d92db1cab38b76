package dump

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzValidJSON: the scanner agrees with encoding/json on every document.
func FuzzValidJSON(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-0.5e+3,true,false,null,"\u00e9\n"],"b":{}}`, ` [ ] `, `{"a" : 1 , "b":[ 1 , 2 ]}`, `01`, `-`, `1.`, `1e`, `"\q"`, `"\u12g4"`,
		"\"\x01\"", `{,}`, `[1,]`, `{"a"}`, `{"a":}`, `nul`, `truex`, `1 2`, ``, `"`, `{"a":1`, "\"\xff\"", "\x00", "1\x00",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		want := json.Valid(doc)
		if have := ValidJSON(doc); have != want {
			t.Fatalf("%q: have %v, want %v", doc, have, want)
		}
		if !want {
			return
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, doc); err != nil {
			t.Fatal(err)
		}
		have, err := compactJSON(nil, doc)
		if err != nil || !bytes.Equal(have, compact.Bytes()) {
			t.Fatalf("%q: have %q, %v, want %q", doc, have, err, compact.Bytes())
		}
	})
}
