package dump

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// said is all that a reader says of JSON lines: of each record all that can be asked
// of it, and what is wrong.
func said(j *jsonlReader, read func() (*Record, error)) string {
	var b strings.Builder
	for {
		r, err := read()
		if bad, ok := errors.AsType[*RowError](err); ok {
			fmt.Fprintf(&b, "%d %q: %v\n", bad.Line, bad.Source, err)
			continue
		}
		if err != nil {
			fmt.Fprintf(&b, "%d %T %v\n", j.lines.line, err, err)
			return b.String()
		}
		key, keyErr := r.Key()
		value, ok, valueErr := r.Value()
		object, objectErr := r.Object(new([]byte))
		again, repeated := r.Repeated()
		fmt.Fprintf(&b, "%d %q %q %d: %q %v, %q %v %v, %q %v, %q %v", r.Line, r.Source, r.Space, r.Len(), key, keyErr, value, ok, valueErr, object, objectErr, again, repeated)
		for _, name := range []string{"key", "value", ".key", ".value", ".value.a", ".", "", "none"} {
			field, err := r.Field(name)
			fmt.Fprintf(&b, "; %s: %q %v %v", name, field, r.IsNull(name), err)
		}
		b.WriteByte('\n')
	}
}

// checkExported holds what is said of a file against what is said of it where each
// line is taken for any JSON.
func checkExported(t *testing.T, file []byte, torn io.Reader) {
	t.Helper()
	whole := &jsonlReader{lines: newLines(bytes.NewReader(file))}
	want := strings.SplitAfter(said(whole, whole.any), "\n")
	j := &jsonlReader{lines: newLines(torn)}
	for i, have := range strings.SplitAfter(said(j, j.Read), "\n") {
		if i >= len(want) || have != want[i] {
			t.Fatalf("of %.2000q\nhave %.2000s\nwant %.2000s", file, have, append(want, "the end")[min(i, len(want))])
		}
	}
}

// A line of an export is read as any JSON is, and so is one that is almost one,
// wherever it is torn.
func TestExported_IsLikeAnyJSON(t *testing.T) {
	odd := []string{"\"", "\\", "{", "}", ",", ":", " ", "\t", "\n", "\r\n", "\x00", "\x1f", "\x7f", "\xc3", "\xa9", "é", "𝄞", "\ufeff", "\xff", "null", `\"`, `\u00e9`, `\ud800`, `{"key":"`, `","value":"`, `"}`}
	plain := 0
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 1))
		text := func() string {
			s := strings.Repeat("x", r.IntN(40))
			switch r.IntN(6) {
			case 0:
				s = []string{"null", "", "é", "true", "{}", strings.Repeat("y", r.IntN(300<<10)/(1+r.IntN(2000)))}[r.IntN(6)]
			case 1:
				s += strings.Repeat("ö", r.IntN(20))
			case 2:
				s += odd[r.IntN(len(odd))] + s
			}
			return s
		}
		var file []byte
		for n := r.IntN(40); n > 0; n-- {
			line := `{"key":"` + text() + `","value":"` + text() + "\"}\n"
			for mutations := r.IntN(4) - 1; mutations > 0; mutations-- {
				i := r.IntN(len(line))
				line = line[:i] + odd[r.IntN(len(odd))] + line[min(len(line), i+r.IntN(3)):]
			}
			file = append(file, line...)
		}
		if r.IntN(3) == 0 && len(file) > 0 {
			file = file[:r.IntN(len(file))]
		}
		checkExported(t, file, &torn{r, string(file), io.EOF})
		j := &jsonlReader{lines: newLines(strings.NewReader(string(file)))}
		for err := error(nil); err != io.EOF; {
			var record *Record
			if record, err = j.Read(); record == &j.exported.record {
				plain++
			}
		}
	}
	if plain < 1000 {
		t.Errorf("%d lines were read as those of an export", plain)
	}
}

// What stands in the buffer behind what was read is of no line: a line of which a
// part has come is not taken, though the rest of one stands there.
func TestExported_TakesWhatWasRead(t *testing.T) {
	line := []byte(`{"key":"name","value":"Ada"}` + "\n")
	for n := range len(line) {
		if l := (&lines{rest: line[:n]}); new(exported).next(l) || len(l.rest) != n {
			t.Errorf("%q is taken for a line, and %q is left", line[:n], l.rest)
		}
	}
	if l := (&lines{rest: line}); !new(exported).next(l) || len(l.rest) > 0 {
		t.Errorf("of a whole line %q is left", l.rest)
	}
}

func FuzzExported_IsLikeAnyJSON(f *testing.F) {
	for _, s := range []string{
		`{"key":"","value":""}`, `{"key":"0123456789abcdef","value":"some text that is longer than thirty-two bytes"}`, `{"key":"é","value":"null"}`,
		`{"key":"a\\","value":"b"}`, `{"key":"a","value":"b","key":"c"}`, `{"key":"a","value":{"a":1}}`, `{"key":"\xff","value":""}`, "{\"key\":\"a\tb\",\"value\":\"\x7f\"}",
		"\ufeff" + `{"key":"a","value":"b"}`, ` {"key":"a","value":"b"}`,
	} {
		f.Add([]byte(s + "\n" + s + "\r\n" + s))
	}
	f.Fuzz(func(t *testing.T, file []byte) { checkExported(t, file, bytes.NewReader(file)) })
}

func TestPlainASCII(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		b := make([]byte, r.IntN(80))
		for i := range b {
			b[i] = byte(' ' + r.IntN(0x60))
			if b[i] == '\\' {
				b[i] = '"'
			}
		}
		if !plainASCII(b) {
			t.Fatalf("%q: have false", b)
		}
		if len(b) == 0 {
			continue
		}
		at, c := r.IntN(len(b)), byte(r.IntN(256))
		b[at] = c
		if have, want := plainASCII(b), c >= ' ' && c != '\\' && c < 0x80; have != want {
			t.Fatalf("%q, byte %d: have %v, want %v", b, at, have, want)
		}
	}
}
