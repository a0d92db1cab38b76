package shell

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// show writes statements as the tests have them: words between |, literals with
// the place where they begin, statements one a line.
func show(statements []Statement) string {
	var b strings.Builder
	for _, s := range statements {
		for i, w := range s.Words {
			if i > 0 {
				b.WriteByte('|')
			}
			b.WriteString(fmt.Sprintf("%q", w.Text)[1:])
			text := b.String()
			b.Reset()
			b.WriteString(text[:len(text)-1])
			if w.Literal >= 0 {
				fmt.Fprintf(&b, "@%d", w.Literal)
			}
		}
		if s.Err != nil {
			fmt.Fprintf(&b, "!%v", s.Err)
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func TestParse(t *testing.T) {
	for _, test := range []struct {
		text, want string
		incomplete bool
	}{
		{text: "", want: ""},
		{text: "  # nothing\n\n;; ", want: ""},
		{text: "get k", want: "get|k"},
		{text: "get k; put a b\ncount ;", want: "get|k\nput|a|b\ncount"},
		{text: `put "a b" 'it''s' x'00Ff' u64(258)`, want: `put|a b@0|it's@0|\x00\xff@0|\x00\x00\x00\x00\x00\x00\x01\x02@0`},
		{text: `put "\x00\"\n" k`, want: `put|\x00\"\n@0|k`},
		{text: "put k \"two\nlines\"; count", want: `put|k|two\nlines@0` + "\ncount"},
		{text: `put "a;b" 'c # d' e#f`, want: `put|a;b@0|c # d@0|e#f`},
		{text: `put user:7 {"name": "Eve; x", "a":[1, 2]}; count`, want: `put|user:7|{\"name\": \"Eve; x\", \"a\":[1, 2]}` + "\ncount"},
		{text: "put a {\n\"b\": 1\n}", want: `put|a|{\n\"b\": 1\n}`},
		{text: "put a [1, 2]", want: `put|a|[1, 2]`},
		{text: "get {abc}", want: "get|{abc}"},
		{text: "get [abc", want: "get|[abc"},
		{text: `get a"b"`, want: `get|a\"b\"`},
		{text: `scan --prefix="\x01a" -n 5`, want: `scan|--prefix=\x01a@9|-n|5`},
		{text: `scan --prefix x'61'`, want: `scan|--prefix|a@0`},
		{text: "scan \\\n  user: \\\n limit 3", want: "scan|user:|limit|3"},
		{text: `exit \q`, want: `exit|\\q`},
		{text: "get x'zz'", want: `get!x'...' holds pairs of hexadecimal digits`},
		{text: `get "a"b; count`, want: `get!` + errBehind.Error()},
		{text: "get u64(x)\ncount", want: "get!x is not a number from 0 to 18446744073709551615\ncount"},
		{text: "get u64(1", want: "get|u64(1"},
		{text: "get a\x00b", want: "get!a NUL byte is written in quotes: \"\\x00\""},
		{text: `get "\q"`, want: "get!" + `a quoted string needs its closing quote and knows the escapes \n \t \r \\ \" \0 \xFF \u00e9`},

		{text: `put k "open`, want: "put|k!" + errOpenQuote.Error(), incomplete: true},
		{text: `put k "open\"`, want: "put|k!" + errOpenQuote.Error(), incomplete: true},
		{text: `put k 'it''`, want: "put|k!" + errOpenQuote.Error(), incomplete: true},
		{text: `put k {"a": 1,`, want: "put|k!" + errOpenJSON.Error(), incomplete: true},
		{text: `scan user: \`, want: "scan|user:", incomplete: true},

		// JSON goes on over ends of lines, wherever they are.
		{text: "put j {\n\"a\": 1\n}; count", want: `put|j|{\n\"a\": 1\n}` + "\ncount"},
		{text: "put j [1,\n2]", want: `put|j|[1,\n2]`},
		{text: "put j [\n]", want: `put|j|[\n]`},
		{text: "put j [[], [ \n{ \t\n\"a]\":[]}] ]", want: `put|j|[[], [ \n{ \t\n\"a]\":[]}] ]`},
		{text: "put j {", want: "put|j!" + errOpenJSON.Error(), incomplete: true},
		{text: "put j { \n", want: "put|j!" + errOpenJSON.Error(), incomplete: true},
		{text: "put j [\n\n [", want: "put|j!" + errOpenJSON.Error(), incomplete: true},
		{text: "put j [[],", want: "put|j!" + errOpenJSON.Error(), incomplete: true},
		{text: "put j [{},\n", want: "put|j!" + errOpenJSON.Error(), incomplete: true},
		{text: "put j [-1.5e3 ", want: "put|j!" + errOpenJSON.Error(), incomplete: true},
		{text: "put j [0,", want: "put|j!" + errOpenJSON.Error(), incomplete: true},
		{text: "put j [true", want: "put|j!" + errOpenJSON.Error(), incomplete: true},
		{text: "put j [ false,", want: "put|j!" + errOpenJSON.Error(), incomplete: true},
		{text: "put j [[null\n,", want: "put|j!" + errOpenJSON.Error(), incomplete: true},
		// What is none on its line is a word that ends there.
		{text: "get {abc\nget [abc\nget [{abc\nget {[", want: "get|{abc\nget|[abc\nget|[{abc\nget|{["},
		{text: "get [2001:db8::1\nget [tr\nget [nullable\nget [-\nget [1.\nget [01", want: "get|[2001:db8::1\nget|[tr\nget|[nullable\nget|[-\nget|[1.\nget|[01"},
		{text: "get {;count\nget [ x\nget [1,2]x", want: "get|{\ncount\nget|[|x\nget|[1,2]x"},
		{text: "get {\"a\":x}\nget [1,]", want: `get|{\"a\":x}` + "\nget|[1,]"},
		// But for a value to put: that is JSON, or in quotes.
		{text: `put k {"a": 1,}`, want: "put|k!the value is bad JSON: unexpected '}' where a name begins, at byte 9: put text in quotes"},
		{text: `put k {"a":1,}; count`, want: "put|k!the value is bad JSON: unexpected '}' where a name begins, at byte 8: put text in quotes"},
		{text: `set k {name: "Eve"}` + "\ncount", want: "set|k!the value is bad JSON: unexpected 'n' where a name begins, at byte 2: put text in quotes\ncount"},
		{text: `3 put k {"a":"x" "y"}`, want: `3|put|k!the value is bad JSON: unexpected '"' behind a value, at byte 10: put text in quotes`},
		{text: "put k {abc", want: "put|k!the value is bad JSON: unexpected 'a' where a name begins, at byte 2: put text in quotes"},
		{text: "put k [1,2]x", want: "put|k!the value is bad JSON: unexpected 'x' behind the end, at byte 6: put text in quotes"},
		{text: "put k [-", want: "put|k!the value is bad JSON: it ends too early: put text in quotes"},
		{text: "put {k} '{abc'; put [k v", want: "put|{k}|{abc@0\nput|[k|v"},
		// What turned out to be none behind its line is an error, not half a value.
		{text: "put j {\n\"a\": 1,\n}; count\ncount", want: "put|j!the value is bad JSON: unexpected '}' where a name begins, at byte 11: put text in quotes\ncount"},
		{text: "put j {\"a\": 1\n}x; count\ncount", want: "put|j!the value is bad JSON: unexpected 'x' behind the end, at byte 10: put text in quotes\ncount"},
		{text: "put j {\nget k; count\ncount", want: "put|j!the value is bad JSON: unexpected 'g' where a name begins, at byte 3: put text in quotes\ncount"},
		{text: "put j [\n\n 1x; count\ncount", want: "put|j!the value is bad JSON: unexpected 'x' behind a value, at byte 6: put text in quotes\ncount"},

		// Expressions keep their quotes, and need no spaces around them.
		{
			text: `scan user: where .age > 30 and (.city == "New; York") select .name limit 5; count`,
			want: `scan|user:|where|.age|>|30|and|(.city|==|\"New; York\")|select|.name|limit|5` + "\ncount",
		},
		{
			text: `scan user: select .a=="b; c",(.d | any(.[]; . > 1)) limit 5; count`,
			want: `scan|user:|select|.a==\"b; c\",(.d|||any(.[];|.|>|1))|limit|5` + "\ncount",
		},
		{text: `delete select "a b"; scan "select" "a b"`, want: "delete|select|a b@0\nscan|select@0|a b@0"},
		{text: `scan a where .a=="b c"`, want: `scan|a|where|.a==\"b c\"`},
		{
			text: `count where .a | test("x)(;"; "i") and any(.b[] ; . > 1); get k`,
			want: `count|where|.a|||test(\"x)(;\";|\"i\")|and|any(.b[]|;|.|>|1)` + "\nget|k",
		},
		{text: "count where (.a; get k\nget (x; get k", want: "count|where|(.a;|get|k\nget|(x\nget|k"},
		{text: `scan "where" "a b"`, want: `scan|where@0|a b@0`},
		{text: `get where "a b"`, want: `get|where|a b@0`},
		{text: `2 scan where any(.a[]; .b == "c d") limit 1; get k`, want: `2|scan|where|any(.a[];|.b|==|\"c d\")|limit|1` + "\nget|k"},
		{text: `.watch 2 count where any(.a[]; .b)`, want: `.watch|2|count|where|any(.a[];|.b)`},
		{text: `scan a where .b == "open`, want: `scan|a|where|.b|==!` + errOpenQuote.Error(), incomplete: true},
	} {
		statements, complete := Parse(test.text)
		if have := show(statements); have != test.want {
			t.Errorf("%q\nhave %s\nwant %s", test.text, have, test.want)
		}
		if complete == test.incomplete {
			t.Errorf("%q: complete %v", test.text, complete)
		}
	}
}

// Lines that come one by one are complete where Parse says that all of them are,
// and are the same statements; and what is typed behind them looks as in all.
func TestPending_DecidesAsParse(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	alphabet := []string{"put", "scan where", " ", " ", "\t", "\\", "\\\"", `"`, "'", "''", "x'", "u64(", ";", "#", "{", "[", "}", "]", ",", "1", "true", `"a": `, "--f=", "a", "\x00", "é"}
	for range 20_000 {
		s, _, _ := newSession(t)
		s.ErrColor, s.asked = true, true
		e := &editor{session: s}
		var p pending
		before := ""
		for range 6 {
			var b strings.Builder
			for range r.IntN(8) {
				b.WriteString(alphabet[r.IntN(len(alphabet))])
			}
			line := b.String()
			s.before, s.waits = p.String(), p.waits
			if s.before != before {
				t.Fatalf("%q is kept as %q", before, s.before)
			}
			all, hint := s.look(before+line, true)
			looks, shown := e.look([]rune(edited(line)), true)
			for i, at := 0, len(before); i < len(looks); i++ {
				c := []rune(line)[i]
				if c != ' ' && c != '\t' && looks[i] != all[at] {
					t.Fatalf("%q behind %q looks like %v, and not %v", line, before, looks, all[len(before):])
				}
				at += len(string(c))
			}
			want, complete := Parse(before + line)
			have, done := p.add(line, false)
			if done != complete || done && show(have) != show(want) || shown != hint {
				t.Fatalf("%q: have %v %s %q, want %v %s %q", before+line, done, show(have), shown, complete, show(want), hint)
			}
			if before += line + "\n"; complete {
				p, before = pending{}, ""
			}
		}
		if have, done := p.add("x", true); !done || len(have) == 0 {
			t.Fatalf("%q: nothing at the end", before)
		}
	}
}

// A value of very many lines is read in the time that it takes to read it once, and
// one is typed behind it as fast as elsewhere: each line was looked at for all that
// come after it.
func TestPending_LongValue(t *testing.T) {
	const lines = 100_000
	until := time.Now().Add(10 * time.Second)
	for _, test := range [][3]string{{"put k {", `"name": "some text {",`, `"z": 1}`}, {`put k "`, `some \" text`, `"`}, {"put k '", "some '' text", "'"}} {
		s, _, _ := newSession(t)
		s.ErrColor, s.asked = true, true
		e := &editor{session: s}
		var p pending
		p.add(test[0], false)
		for i := range lines {
			if s.before, s.waits = p.String(), p.waits; time.Now().After(until) {
				t.Fatalf("%s: at line %d after 10 s", test[0], i)
			}
			e.look([]rune(test[1]), true)
			p.add(test[1], false)
		}
		if statements, complete := p.add(test[2], false); !complete || len(statements) != 1 || statements[0].Err != nil {
			t.Errorf("%s: %v", test[0], complete)
		}
	}
}

// What Quote writes, Parse reads back, whatever the bytes are.
func TestQuote_ParsesBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	alphabet := []string{"a", "B", "7", " ", "\t", "\n", "\\", `"`, "'", ";", "#", "-", "@", ".", "{", "}", "[", "x'", "u64(", ")", "\x00", "\xff", "é", "\u2028", "="}
	for range 20_000 {
		var b strings.Builder
		for range r.IntN(6) {
			b.WriteString(alphabet[r.IntN(len(alphabet))])
		}
		want := b.String()
		text := "put " + Quote([]byte(want)) + " v"
		statements, complete := Parse(text)
		if !complete || len(statements) != 1 || len(statements[0].Words) != 3 || statements[0].Words[1].Text != want {
			t.Fatalf("%q is written as %s and read as %s", want, text, show(statements))
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`put "a b" 'c' x'00' u64(1) {"a": [1]}; scan a where .b == "c" \`)
	f.Add("\fa b\f") // blanks elsewhere, not here
	f.Fuzz(func(t *testing.T, text string) {
		statements, _ := Parse(text)
		for _, s := range statements {
			at := 0
			for _, w := range s.Words {
				if w.Start < at || w.End < w.Start || w.End > len(s.Text) || w.Literal > len(w.Text) {
					t.Fatalf("%q: word %+v of %q", text, w, s.Text)
				}
				at = w.End
			}
		}
	})
}
