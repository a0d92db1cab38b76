package dump

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

type entry struct{ key, value []byte }

// formats are the ways to export that lose nothing.
func lossless() map[string]struct {
	f Format
	o WriterOptions
} {
	all := map[string]struct {
		f Format
		o WriterOptions
	}{}
	for _, f := range []Format{CSV, TSV, JSON, JSONL} {
		for _, k := range []Encoding{Auto, Raw, Quoted, Hex, Base64} {
			for _, v := range []Encoding{Auto, Raw, Quoted, Hex, Base64, JSONText} {
				all[fmt.Sprintf("%s/%s/%s", f, k, v)] = struct {
					f Format
					o WriterOptions
				}{f, WriterOptions{Keys: k, Values: v}}
			}
		}
	}
	for _, e := range []Encoding{Auto, Hex, Quoted} {
		all[fmt.Sprintf("db_dump/%s", e)] = struct {
			f Format
			o WriterOptions
		}{DBDump, WriterOptions{Keys: e, Values: e, Room: 1 << 20}}
	}
	all["pairs"] = struct {
		f Format
		o WriterOptions
	}{Pairs, WriterOptions{}}
	return all
}

func write(t testing.TB, f Format, o WriterOptions, entries []entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := NewWriter(&buf, f, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := w.Write(e.key, e.value); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func read(f Format, file []byte) ([]entry, error) {
	r, err := NewReader(bytes.NewReader(file), f, ReaderOptions{})
	if err != nil {
		return nil, err
	}
	var entries []entry
	for {
		rec, err := r.Read()
		if err == io.EOF {
			return entries, nil
		}
		if err != nil {
			return entries, err
		}
		key, err := rec.Key()
		if err != nil {
			return entries, err
		}
		value, ok, err := rec.Value()
		if err != nil || !ok {
			return entries, fmt.Errorf("value: %v, %v", ok, err)
		}
		entries = append(entries, entry{bytes.Clone(key), bytes.Clone(value)})
	}
}

func checkRoundTrip(t *testing.T, entries []entry) {
	t.Helper()
	for name, c := range lossless() {
		file := write(t, c.f, c.o, entries)
		have, err := read(c.f, file)
		if err != nil {
			t.Fatalf("%s: %v\n%q", name, err, file)
		}
		if len(have) != len(entries) {
			t.Fatalf("%s: have %d entries, want %d\n%q", name, len(have), len(entries), file)
		}
		for i, e := range entries {
			if !bytes.Equal(have[i].key, e.key) || !bytes.Equal(have[i].value, e.value) {
				t.Fatalf("%s: have %q=%q, want %q=%q\n%q", name, have[i].key, have[i].value, e.key, e.value, file)
			}
		}
	}
}

func TestWriter_GivesBackEveryByte(t *testing.T) {
	var entries []entry
	for _, s := range []string{
		"", " ", "a", "\x00", "\r", "\n", "\r\n", "a\r\nb", "a\nb", "a\rb", "\t", `"`, `""`, `\`, `\t`, `\\t`, ",", "a,b", ` a `, "\xef\xbb\xbf", "\xff\xfe",
		"Łódź", "北京", "القاهرة", "👩‍👩‍👧", "\u2028", "\u0085", "\x7f", "\x1b[31m", `{"a":1}`, `{ "a": "\u00e9" }`, "[1,\n2]", `"text"`, "null", "-1.50", "1e400", "{", `{"a":"\ud800"}`,
		strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth),
	} {
		entries = append(entries, entry{[]byte(s), []byte(s)})
	}
	checkRoundTrip(t, entries)
	checkRoundTrip(t, nil)
}

// A line longer than the reader's buffer, and a row of many lines.
func TestWriter_GivesBackLongFields(t *testing.T) {
	for _, f := range []Format{CSV, TSV, JSON, JSONL, DBDump, Pairs} {
		e := entry{[]byte(strings.Repeat("long", 100_000)), []byte(strings.Repeat("long,\"\r\n", 70_000) + strings.Repeat("\x00", 600_000))}
		have, err := read(f, write(t, f, WriterOptions{}, []entry{e, e}))
		if err != nil || len(have) != 2 || !bytes.Equal(have[1].key, e.key) || !bytes.Equal(have[1].value, e.value) {
			t.Errorf("%s: have %d entries, %v", f, len(have), err)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte(""), []byte(""))
	f.Add([]byte("a\r\n\"\x00"), []byte(`{"a":"\u0000"}`))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		checkRoundTrip(t, []entry{{key, value}, {value, key}})
	})
}

// FuzzReader: whatever the file, a reader returns; it does not panic or hang.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"key,value\na,b\n", "key,value\n\"a", `[{"key":"a","value":{"b":[1]}}]`, `{"key":"\ud83d\ude00"}`, "\xef\xbb\xbfid\tname\n1\t\\"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, format := range []Format{CSV, TSV, JSON, JSONL} {
			r, err := NewReader(bytes.NewReader(file), format, ReaderOptions{})
			if err != nil {
				continue
			}
			for {
				rec, err := r.Read()
				if bad := (*RowError)(nil); errors.As(err, &bad) {
					continue
				}
				if err != nil {
					break
				}
				_, _, _ = rec.Value()
				_, _ = rec.Field(".a.b")
				_, _ = rec.Object(new([]byte))
			}
		}
	})
}

func TestReader_ReadsWhatOthersWrite(t *testing.T) {
	for name, c := range map[string]struct {
		f    Format
		file string
		want string // id and name of each record
	}{
		"csv":              {CSV, "id,name\n1,Ada\n2,\"Lovelace, A.\"\n", "1=Ada 2=Lovelace, A. "},
		"csv of Windows":   {CSV, "\xef\xbb\xbfid,name\r\n1,Ada\r\n\r\n2,\"a\r\nb\"\r\n", "1=Ada 2=a\r\nb "},
		"csv without end":  {CSV, "id,name\n1,", "1= "},
		"csv, quote":       {CSV, "id,name\n1,5\" pipe\n", "1=5\" pipe "},
		"csv, no newline":  {CSV, "id,name\r\n1,Ada", "1=Ada "},
		"csv, NUL":         {CSV, "id,name\n\x00,\"\x00\"", "\x00=\x00 "},
		"tsv":              {TSV, "id\tname\n1\tC:\\dir\\new\n", "1=C:\\dir\new "},
		"jsonl":            {JSONL, "{\"id\": 1, \"name\": \"A\\u00e9\\ud83d\\ude00\"}\n\n{\"name\":null,\"id\":\"2\"}", "1=Aé😀 2=null "},
		"json":             {JSON, " [ {\"id\":1,\n\"name\":\"}]\\\"\"} , {\"id\":2,\"name\":[1, 2]}\n]\n", "1=}]\" 2=[1, 2] "},
		"json of Windows":  {JSON, "\xef\xbb\xbf{\"id\":1,\r\n\"name\":\"a\"}\r\n", "1=a "},
		"json, objects":    {JSON, `{"id":1,"name":"a"}{"id":2,"name":"b"}`, "1=a 2=b "},
		"json, last wins":  {JSON, `{"id":1,"name":"a","na\u006de":"b"}`, "1=b "},
		"nothing":          {CSV, "", ""},
		"header only":      {CSV, "id,name\n", ""},
		"json, empty list": {JSON, "[]", ""},
	} {
		r, err := NewReader(iotest.OneByteReader(strings.NewReader(c.file)), c.f, ReaderOptions{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		have := ""
		for {
			rec, err := r.Read()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			id, err1 := rec.Field("id")
			text, err2 := rec.Field("name")
			if err := errors.Join(err1, err2); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			have += fmt.Sprintf("%s=%s ", id, text)
		}
		if have != c.want {
			t.Errorf("%s: have %q, want %q", name, have, c.want)
		}
	}
}

func TestReader_NamesTheLineOfABadRow(t *testing.T) {
	for name, c := range map[string]struct {
		f         Format
		file      string
		line      int64
		recovered bool // a RowError, and the next record is read
	}{
		"csv, fields":     {CSV, "a,b\n\"1\n\",2\n3\n4,5\n", 4, true},
		"csv, quote":      {CSV, "a,b\n1,\"2\" 3\n4,5\n", 2, true},
		"csv, unclosed":   {CSV, "a,b\n1,2\n3,\"4\n5\n", 3, false},
		"tsv":             {TSV, "a\tb\n1\n4\t5", 2, true},
		"jsonl":           {JSONL, "{}\n\n{\"a\":}\n{}\n", 3, true},
		"jsonl, array":    {JSONL, "{}\n[]\n{}\n", 2, true},
		"jsonl, two":      {JSONL, "{}\n{}{}\n{}\n", 2, true},
		"jsonl, latin1":   {JSONL, "{}\n{\"a\":\"\xe9\"}\n{}\n", 2, true},
		"json":            {JSON, "[\n{},\n{\"a\":x},\n{}]", 3, true},
		"json, comma":     {JSON, "[{}\n{}]", 2, false},
		"json, unclosed":  {JSON, "[{},\n", 2, false},
		"json, no object": {JSON, "[{},\n1]", 2, false},
		"json, truncated": {JSON, "[{},\n{\"a\":\n", 2, false},
	} {
		r, err := NewReader(strings.NewReader(c.file), c.f, ReaderOptions{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for err == nil {
			_, err = r.Read()
		}
		if want := fmt.Sprintf("line %d: ", c.line); !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: have %v, want %s…", name, err, want)
		}
		var bad *RowError
		if c.recovered && !errors.As(err, &bad) {
			t.Errorf("%s: have %T, want a RowError", name, err)
		}
		if c.recovered {
			if _, err := r.Read(); err != nil {
				t.Errorf("%s: after the bad row: %v", name, err)
			}
		}
	}
}

func TestCSV_TakesAnyDelimiter(t *testing.T) {
	for _, c := range []struct{ delimiter, file, want string }{
		{";", "a;\"b;\"\"\"\n\"1\";2,5\n", `{"a":"1","b;\"":"2,5"}`},
		{"§", "a§\"b§\"\"\"\n\"1\"§2\xc2,5\n", ""}, // half of it is no delimiter, and no text
		{"§", "a§\"b§\"\"\"\n1§2,5\n", `{"a":"1","b§\"":"2,5"}`},
		{"||", "a||b\n1||2|5\n", `{"a":"1","b":"2|5"}`},
		{"||", "a||b\r\n\"1||\n\"||\"2\"\r\n", `{"a":"1||\n","b":"2"}`},
		{"||", "long name||another\n||long text, and more of it\n", `{"long name":"","another":"long text, and more of it"}`},
		{" :: ", "a :: b\n :: \n", `{"a":"","b":""}`},
	} {
		r, err := NewReader(strings.NewReader(c.file), CSV, ReaderOptions{Delimiter: c.delimiter})
		if err != nil {
			t.Fatal(err)
		}
		rec, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		if have, err := rec.Object(new([]byte)); (err != nil) != (c.want == "") || string(have) != c.want {
			t.Errorf("%q: have %s, %v, want %s", c.file, have, err, c.want)
		}
	}
}

// A file that would come out as no records, or as nonsense, is refused.
func TestReader_RefusesOtherText(t *testing.T) {
	for name, c := range map[string]struct {
		f          Format
		file, want string
	}{
		"csv, only \\r":   {CSV, "id,name\r1,a\r2,b", "header: a carriage return is in a name"},
		"csv, UTF-16":     {CSV, "\xff\xfei\x00d\x00\n\x00", "header: the file is UTF-16"},
		"tsv, UTF-16":     {TSV, "\xfe\xff\x00i\x00d\x00\n", "header: the file is UTF-16"},
		"json, UTF-16":    {JSON, "\xff\xfe{\x00}\x00", "line 1: not UTF-8 text"},
		"csv, wide":       {CSV, strings.Repeat(",", maxColumns), "columns: there are more than 100000"},
		"tsv, wide":       {TSV, strings.Repeat("\t", 2*maxColumns), "columns: there are more than 100000"},
		"csv, a wide row": {CSV, "a\n" + strings.Repeat(",", 2*maxColumns), "line 2: 100001 fields or more, where the header has 1"},
		"jsonl, wide":     {JSONL, "{" + strings.Repeat(`"":0,`, maxColumns) + `"":0}`, "line 1: the object has more than 100000 fields"},
		"text and zeros":  {JSONL, "x" + strings.Repeat("\x00", 1<<20), "line 1: bad JSON: unexpected 'x'"},
		"zeros":           {JSONL, strings.Repeat("\x00", 1<<20), "the file holds zeros, no text"},
	} {
		if _, err := read(c.f, []byte(c.file)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: have %v, want %s…", name, err, c.want)
		}
	}
	if _, err := read(CSV, []byte("key,\"value\r\"\n1,2\n")); err == nil || !strings.HasPrefix(err.Error(), "value: false") {
		t.Errorf("a name with a carriage return, in quotes: have %v", err)
	}
}

// A null is no key, and what is to be decoded is a string.
func TestRecord_TakesNothingForAString(t *testing.T) {
	for file, want := range map[string]string{
		`{"key":null,"value":"v"}`:            `field "key": null is no string`,
		`{"key_base64":null,"value":"v"}`:     `field "key_base64": null is no string`,
		`{"key":"k","value_base64":null}`:     `field "value_base64": null is no string`,
		`{"key":"k","value_base64":1234}`:     `field "value_base64": 1234 is no string`,
		`{"key":"k","value_hex":[12]}`:        `field "value_hex": [12] is no string`,
		`{"key":"k","value_u64":null}`:        `field "value_u64": null is not a number`,
		`{"key":"k","value":null}`:            "",
		`{"key_u64":1,"value_u64":"2"}`:       "",
		`{"key":true,"value_quoted":"\\x00"}`: "",
	} {
		if _, err := read(JSONL, []byte(file)); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: have %v, want %s", file, err, want)
		}
	}
}

// A counted stream knows how much was read of it.
type counted struct {
	io.ReadCloser
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += n
	return n, err
}

// sprinkled returns the letter a so many times, with another one instead in every
// few places.
func sprinkled(n, every int) string {
	r := rand.New(rand.NewPCG(uint64(n), uint64(every)))
	text := bytes.Repeat([]byte{'a'}, n)
	for i := every; i < n; i += every {
		text[i] = byte('b' + r.IntN(5))
	}
	return string(text)
}

// A record that takes little of its compressed file and grows beyond 8 MiB is
// refused there, in every format, be it packed a thousand to one or fifty, and
// whatever stands before it. So many small ones are not, nor is one that takes a
// sixteenth, nor any that is not so long.
func TestReader_RefusesBombs(t *testing.T) {
	const size = 20 << 20
	members := map[string]string{}
	pack := func(parts ...string) (file string) {
		for _, s := range parts {
			if members[s] == "" {
				var b bytes.Buffer
				z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
				if err == nil {
					_, err = io.WriteString(z, s)
				}
				if err := errors.Join(err, z.Close()); err != nil {
					t.Fatal(err)
				}
				members[s] = b.String()
			}
			file += members[s]
		}
		return file
	}
	good, runs, sparse, dense := sprinkled(6<<20, 2), strings.Repeat("a", size), sprinkled(size, 95), sprinkled(size, 14)
	for i, text := range []string{good, dense, sparse, runs} {
		least, most := []int{1, 10, 40, 100}[i], []int{6, 15, 60, 2000}[i]
		if ratio := len(text) / len(pack(text)); ratio < least || ratio > most {
			t.Errorf("text %d is packed %d to one, want %d to %d", i, ratio, least, most)
		}
	}
	lines := strings.Repeat(sparse[:999]+"\n", size/1000)
	breaks := strings.Repeat("\n", size)
	for name, c := range map[string]struct {
		f                  Format
		start, first, next string // a record that is good, on both sides of its text
		head, tail         string
		more               []string
	}{
		"csv":               {CSV, "key,value\n", "", ",\n", "k,", "\n", nil},
		"csv, quoted":       {CSV, "key,value\n", "", ",\n", `k,"`, "\"\n", []string{lines, breaks}},
		"tsv":               {TSV, "key\tvalue\n", "", "\t\n", "k\t", "\n", nil},
		"jsonl":             {JSONL, "", `{"key":"`, "\"}\n", `{"key":"`, "\"}\n", nil},
		"json":              {JSON, "[", `{"key":"`, `"},`, `{"key":"`, `"}]`, []string{breaks}},
		"db_dump":           {DBDump, "VERSION=3\nHEADER=END\n", " ", "\n 62\n", " ", "\n 61\nDATA=END\n", nil},
		"db_dump, a value":  {DBDump, "VERSION=3\nHEADER=END\n", " ", "\n 62\n", " 61\n ", "\nDATA=END\n", nil},
		"pairs":             {Pairs, "", "", "\n\n", "k\n", "\n", nil},
		"resp, inline":      {RESP, "", "SET ", " 1\r\n", "SET k ", "\r\n", nil},
		"resp, an argument": {RESP, "", "SET ", " 1\r\n", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n", "\r\n", []string{lines}},
	} {
		read := func(text string) (records, length int, err error) {
			head := strings.ReplaceAll(c.head, "%d", strconv.Itoa(len(text)))
			plain, err := Decompress(strings.NewReader(pack(c.start+c.first, good, c.next+head, text, c.tail)), "")
			if err != nil {
				t.Fatal(err)
			}
			d := plain.(*decompressor)
			n := &counted{ReadCloser: d.ReadCloser}
			d.ReadCloser = n
			r, err := NewReader(d, c.f, ReaderOptions{})
			for err == nil {
				if _, err = r.Read(); err == nil {
					records++
				}
			}
			return records, n.n - len(good), err
		}
		for i, text := range append([]string{runs, sparse}, c.more...) {
			if records, n, err := read(text); !errors.Is(err, errBomb) || !strings.Contains(err.Error(), "line ") || records != 1 || n > 9<<20 {
				t.Errorf("%s: bomb %d: after %d records and %d bytes: %v", name, i, records, n, err)
			}
		}
		for i, text := range []string{dense, runs[:8<<20-100], sparse[:8<<20-100]} {
			if records, _, err := read(text); err != io.EOF || records != 2 {
				t.Errorf("%s: text %d: after %d records: %v", name, i, records, err)
			}
		}
	}
	plain, err := Decompress(strings.NewReader(pack(strings.Repeat("key,value\n", size/10))), "")
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(plain, CSV, ReaderOptions{})
	n := -1
	for ; err == nil; n++ {
		_, err = r.Read()
	}
	if err != io.EOF || n < size/10-1 {
		t.Errorf("small records: after %d: %v", n, err)
	}
}

func TestRecord_Object_KeepsOrderAndNumbers(t *testing.T) {
	for _, c := range []struct {
		f          Format
		file, want string
	}{
		{JSONL, `{"z": 1.50, "a": 12345678901234567890, "s": "<&>\u00e9"}`, `{"z":1.50,"a":12345678901234567890,"s":"<&>\u00e9"}`},
		{CSV, "z,a\n1.50,\"x\n\"\"y\"\n", `{"z":"1.50","a":"x\n\"y"}`},
	} {
		r, err := NewReader(strings.NewReader(c.file), c.f, ReaderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		rec, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		have, err := rec.Object(new([]byte))
		if err != nil || string(have) != c.want {
			t.Errorf("have %s, %v, want %s", have, err, c.want)
		}
	}
}

// A row whose bytes stand in a JSON string as they are is not looked at field by
// field. It must make no difference, nor the row before it.
func TestRecord_Object_OfColumns(t *testing.T) {
	field := map[string]string{
		"x": `"x"`, "": `""`, "long enough for eight at a time": `"long enough for eight at a time"`, "12345678": `"12345678"`,
		`a\b`: `"a\\b"`, `"a,b"`: `"a,b"`, `"q""t"`: `"q\"t"`, `in"side`: `"in\"side"`, "é": `"é"`, "São Tomé and 東京 🏙": `"São Tomé and 東京 🏙"`, "é\u0085é": `"é\u0085é"`, `é\`: `"é\\"`, "\x01": `"\u0001"`,
		"\t": `"\t"`, "\x7f": `"\u007f"`, "\u0085": `"\u0085"`, `"two` + "\n" + `lines"`: `"two\nlines"`,
	}
	input, want := "é,\"n\"\"m\"\n", []string(nil)
	for text := range field {
		for _, row := range [][2]string{{text, "x"}, {"x", text}, {"x", "x"}} {
			input += row[0] + "," + row[1] + "\n"
			want = append(want, `{"é":`+field[row[0]]+`,"n\"m":`+field[row[1]]+`}`)
		}
	}
	r, err := NewReader(strings.NewReader(input), CSV, ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var buf []byte
	for i := range want {
		record, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		if have, err := record.Object(&buf); err != nil || string(have) != want[i] {
			t.Errorf("row %d, %q: have %s, %v, want %s", i, record.Source, have, err, want[i])
		}
	}
	for _, c := range [][2]string{{"\xe9,b\nx,y\n", ","}, {"a,b\nx,\xe9\n", ","}, {"a\xa9b\nx\xc3\xa9y\n", "\xa9"}, {"a:\xc3b\nx:\xc3\xa9y\n", ":\xc3"}} {
		input := c[0]
		if r, err = NewReader(strings.NewReader(input), CSV, ReaderOptions{Delimiter: c[1]}); err != nil {
			t.Fatal(err)
		}
		record, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		if have, err := record.Object(&buf); err == nil || !strings.Contains(err.Error(), "is not UTF-8 text") {
			t.Errorf("%q: have %s, %v", input, have, err)
		}
	}
}

func TestCompress_RoundTrips(t *testing.T) {
	for _, c := range []Compression{Plain, Gzip, Zstd} {
		var buf bytes.Buffer
		w, err := Compress(&buf, c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, "key,value\n"); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := Decompress(&buf, "")
		if err != nil {
			t.Fatal(err)
		}
		have, err := io.ReadAll(r)
		if err != nil || string(have) != "key,value\n" {
			t.Errorf("%s: have %q, %v", c, have, err)
		}
	}
}

// What pzstd writes begins with a frame to skip; gzip files may be put one behind
// another.
func TestDecompress_ReadsWhatOthersWrite(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"pzstd":   {"\x50\x2a\x4d\x18\x04\x00\x00\x00\x0f\x00\x00\x00\x28\xb5\x2f\xfd\x04\x58\x11\x00\x00\x78\x0a\xae\xfd\xe9\x22", "x\n"},
		"gzip":    {strings.Repeat("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xe0\x02\x00\x1f\x08\xea\x46\x02\x00\x00\x00", 2), "x\nx\n"},
		"empty":   {"", ""},
		"empties": {strings.Repeat("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00", 200), ""},
	} {
		r, err := Decompress(strings.NewReader(c.file), "")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if have, err := io.ReadAll(r); err != nil || string(have) != c.want {
			t.Errorf("%s: have %q, %v, want %q", name, have, err, c.want)
		}
	}
	// A frame that wants a window of 128 MiB.
	r, err := Decompress(strings.NewReader("\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00"), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); err == nil || !strings.Contains(err.Error(), "zstd -dc --long=31") {
		t.Errorf("a large window: have %v", err)
	}
}

// What is wrong with a stream is told in words of ours, and that it could not be
// read is no fault of it.
func TestDecompress_SaysWhatIsWrong(t *testing.T) {
	pack := func(c Compression) string {
		var b strings.Builder
		w, err := Compress(&b, c)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(w, sprinkled(1<<16, 2))
		if err := errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	read := func(r io.Reader) error {
		plain, err := Decompress(r, "")
		if err == nil {
			_, err = io.Copy(io.Discard, plain)
		}
		return err
	}
	gone := errors.New("the disk is gone")
	for _, c := range []Compression{Gzip, Zstd} {
		file := pack(c)
		for n := range len(file) {
			if n%97 != 0 || n < 5 {
				continue
			}
			if err := read(strings.NewReader(file[:n])); !errors.Is(err, errStreamEnd) {
				t.Errorf("%s, cut at %d: %v", c, n, err)
			}
			if err := read(io.MultiReader(strings.NewReader(file[:n]), iotest.ErrReader(gone))); err != gone {
				t.Errorf("%s, not read behind %d: %v", c, n, err)
			}
			flipped := file[:n] + string(file[n]^0x55) + file[n+1:]
			err := read(strings.NewReader(flipped))
			if _, input := errors.AsType[*InputError](err); err != nil && (!input || !strings.HasPrefix(err.Error(), "the compressed stream ")) {
				t.Errorf("%s, another byte at %d: %v", c, n, err)
			}
		}
	}
	for file, want := range map[string]error{
		"\x1f\x8bxx no gzip":                       errStream,
		pack(Gzip) + "x":                           errBehind,
		pack(Gzip) + "other bytes":                 errBehind,
		pack(Gzip) + pack(Gzip) + "x\x1f":          errBehind,
		pack(Gzip) + "\x1f\x8b":                    errStreamEnd,
		pack(Zstd) + "other":                       errBehind,
		"\x28\xb5\x2f\xfd\x01\x00\x07\x01\x00\x00": errDictionary,
	} {
		if err := read(strings.NewReader(file)); !errors.Is(err, want) {
			t.Errorf("%.20q…: %v, want %v", file, err, want)
		}
	}
}

func TestFormatOf_LooksThroughCompression(t *testing.T) {
	for path, want := range map[string]Format{"a.csv": CSV, "x/a.b.TSV.gz": TSV, "a.jsonl.zst": JSONL, "a.ndjson": JSONL, "a.json": JSON, "a.gz": "", "a": ""} {
		if have, _ := FormatOf(path); have != want {
			t.Errorf("%s: have %q, want %q", path, have, want)
		}
	}
}
