package query_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/itchyny/gojq"

	"github.com/lightning-db/lightning/internal/query"
)

// An oracle answers as jq does: by gojq, which is another's reading of jq's
// manual. failed is what jq calls an error.
func oracle(t *testing.T, expr string, key, value []byte) (answer any, failed bool) {
	t.Helper()
	parsed, err := gojq.Parse(expr)
	if err != nil {
		t.Fatalf("%s: gojq: %v", expr, err)
	}
	code, err := gojq.Compile(parsed, gojq.WithVariables([]string{"$key", "$value", "$size"}))
	if err != nil {
		t.Fatalf("%s: gojq: %v", expr, err)
	}
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	var doc any
	if err := d.Decode(&doc); err != nil {
		t.Fatalf("%s: %v", value, err)
	}
	results := code.Run(doc, string(key), string(value), len(value))
	answer, ok := results.Next()
	if !ok {
		t.Fatalf("%s: gojq has no answer", expr)
	}
	if _, ok := answer.(error); ok {
		return nil, true
	}
	if next, ok := results.Next(); ok {
		t.Fatalf("%s: gojq has more than one answer: %v", expr, next)
	}
	return answer, false
}

// compareWithOracle wants the same answer, as a filter and as a column. theirs
// is what gojq is asked.
func compareWithOracle(t *testing.T, expr, theirs string, key, value []byte) {
	t.Helper()
	want, wantFailed := oracle(t, theirs, key, value)
	f, err := query.Compile(expr)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	match, err := f.Match(key, value)
	_, failed := errors.AsType[query.Error](err)
	if err != nil && !failed {
		t.Fatalf("%s\n%s: %v", expr, value, err)
	}
	if failed != wantFailed || match != (want != nil && want != false && !wantFailed) {
		t.Fatalf("%s\n%s\nhave %v, %v\nwant %v, failed %v", expr, value, match, err, want, wantFailed)
	}
	if start, end := f.Range(); match && (bytes.Compare(key, start) < 0 || end != nil && bytes.Compare(key, end) >= 0) {
		t.Fatalf("%s: key %q matches outside the range %q to %q", expr, key, start, end)
	}
	if failed {
		return
	}
	s, err := query.CompileSelect(expr)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(key, value); err != nil {
		t.Fatal(err)
	}
	wantText, err := gojq.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	have, back := s.AppendJSON(nil, 0), any(nil)
	d := json.NewDecoder(bytes.NewReader(have))
	d.UseNumber()
	if err := d.Decode(&back); err != nil {
		t.Fatalf("%s: %s: %v", expr, have, err)
	}
	// Once through gojq: names in order, the same escapes.
	if canonical, err := gojq.Marshal(back); err != nil || !bytes.Equal(canonical, wantText) {
		t.Fatalf("%s\n%s\nhave %s\nwant %s", expr, value, canonical, wantText)
	}
}

// A writer makes expressions and documents at random, of few names and values,
// so that they meet.
type writer struct {
	*rand.Rand
	// inOrder has objects with names in order, none twice: where a string is made
	// of one, jq keeps the order that it has, and gojq sorts.
	inOrder bool
}

func (w writer) pick(from ...string) string { return from[w.IntN(len(from))] }

func (w writer) name() string { return w.pick("a", "b", "c", "name", "odd name", "é", "key") }

func (w writer) number() string {
	switch w.IntN(6) {
	case 0:
		return w.pick("0", "-0", "-1", "1", "1.0", "1e0", "10E-1", "1.5", "-1.5", "1e2", "100", "0.1", "1e-7", "1e22", "1e400", "-1e400")
	case 1:
		return w.pick("9007199254740992", "9007199254740993", "9007199254740992.0", "-9007199254740993",
			"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
			"12345678901234567890", "12345678901234567891", "-12345678901234567891", "123456789012345678901")
	}
	return strconv.Itoa(w.IntN(5))
}

func (w writer) text() string {
	return w.pick(`""`, `"a"`, `"ab"`, `"abc"`, `"b"`, `"\u0061b"`, `"a\nb"`, `"é"`, `"\u00e9"`, `"\ud83d\ude00"`, `"😀"`, `"1"`, `"1.0"`, `"-2"`,
		`"007"`, `"+5"`, `".5"`, `"1."`, `"1e2"`, `"1e"`, `"-"`, `"-000"`, `"12345678901234567890"`, `"+0012345678901234567890"`, `"0\u0031"`, `"x y"`, `"null"`, `"\\\"\/"`, `"\b\f\r\t"`, `"\u0000\u007f\u0080\u2028"`, `"\ud800\u0061"`)
}

// regex writes a regular expression, as a string.
func (w writer) regex() string {
	expr := w.pick("", "^", "^", `\\b`)
	for range w.IntN(4) {
		expr += w.pick("a", "b", "ab", "u", "user", "A", "é", "É", ".", "x y", "[a-c]", "[^a]", "(a|b)", "(?:ab|)", `\\d`, `\\W`, `\\.`, `\u0061`, `\"`, "(?s:.)")
		expr += w.pick("", "", "", "", "*", "+", "?", "{2}", "{0,3}")
		expr += w.pick("", "", "", "|", "(?i)")
	}
	return `"` + expr + w.pick("", "", "$") + `"`
}

func (w writer) space() string { return w.pick("", "", "", " ", "\n\t ") }

// document writes a JSON value, of which names may repeat.
func (w writer) document(depth int) string {
	kind := w.IntN(8)
	if depth == 0 {
		kind %= 5
	}
	switch kind {
	case 0:
		return w.pick("null", "true", "false")
	case 1, 2:
		return w.number()
	case 3, 4:
		return w.text()
	}
	var items []string
	last := ""
	for range w.IntN(5) {
		item := w.space() + w.document(depth-1) + w.space()
		if kind > 5 {
			name, err := json.Marshal(w.name())
			if err != nil {
				panic(err)
			}
			if w.IntN(8) == 0 {
				name = []byte(w.pick(`"\u0061"`, `"n\u0061me"`, `"\u00e9"`))
			}
			item = w.space() + string(name) + w.space() + ":" + item
			var decoded string
			if err := json.Unmarshal(name, &decoded); err != nil {
				panic(err)
			}
			if w.inOrder && decoded <= last {
				continue
			}
			last = decoded
		}
		items = append(items, item)
	}
	if kind > 5 {
		return "{" + strings.Join(items, ",") + w.space() + "}"
	}
	return "[" + strings.Join(items, ",") + w.space() + "]"
}

// object is a document of several members, most of the time.
func (w writer) object() string {
	for range 5 {
		if d := w.document(4); d[0] == '{' && len(d) > 10 {
			return d
		}
	}
	return w.document(3)
}

// path writes steps. An index has a guard: gojq gives the character of a
// string, where jq has an error.
func (w writer) path() (ours, theirs string) {
	ours, theirs = ".", "."
	for i := range w.IntN(4) {
		step, their := "", ""
		switch w.IntN(6) {
		case 0:
			step = fmt.Sprintf("[%d]", w.IntN(4)-2)
			their = ` | (if type == "string" then error else . end) | .` + step
			if i > 0 {
				step = w.pick(step, "."+step)
			}
		case 1:
			step = fmt.Sprintf("[%q]", w.name())
			their = " | ." + step
		case 2:
			step = fmt.Sprintf(".%q", w.name())
			their = " | " + step
		default:
			step = "." + w.pick("a", "b", "c", "name", "key")
			their = " | " + step
		}
		if i == 0 && step[0] == '.' {
			ours = step
		} else {
			ours += step
		}
		theirs += their
	}
	return ours, "(" + theirs + ")"
}

// expr writes an expression, as we and as gojq read it.
func (w writer) expr(depth int) (ours, theirs string) {
	kind := w.IntN(14)
	if depth == 0 {
		kind %= 5
	}
	both := func(s string) (string, string) { return s, s }
	operator := func(op string) (string, string) {
		a, b := w.expr(depth - 1)
		c, d := w.expr(depth - 1)
		return "(" + a + ") " + op + w.space() + " (" + c + ")", "(" + b + ") " + op + " (" + d + ")"
	}
	switch kind {
	case 0, 1, 2:
		return w.path()
	case 3:
		return both(w.pick(w.number(), w.text(), "null", "true", "false", "[1,2]", `["a"]`, `{"a":1}`, "[]", "{}"))
	case 4:
		return both(w.pick("$key", "$value", "$size", "."))
	case 5, 6, 7:
		return operator(w.pick("==", "!=", "<", "<=", ">", ">="))
	case 8:
		return operator(w.pick("and", "or"))
	case 9:
		return operator("|")
	case 10:
		a, b := w.expr(depth - 1)
		f := w.pick("not", "length", "type", "tonumber", "tostring")
		return a + " | " + f, b + " | " + f
	case 11:
		f := w.pick("startswith", "endswith", "contains", "has", "test")
		a, b := w.expr(depth - 1)
		if f == "test" {
			call := " | test(" + w.regex() + w.pick("", "", `; "i"`) + ")"
			return a + call, b + call
		}
		c, d := w.expr(depth - 1)
		if w.IntN(2) == 0 {
			c, d = both(w.pick(w.text(), w.text(), w.number(), "[1]", `["a"]`, `{"a":1}`))
		}
		return a + " | " + f + "(" + c + ")", b + " | " + f + "(" + d + ")"
	case 12:
		f := w.pick("any", "all")
		a, b := w.expr(depth - 1)
		p, q := w.path()
		r, s := w.path()
		if r == "." {
			r = ""
		} else if r[0] == '[' || strings.HasPrefix(r, ".[") {
			r = strings.TrimPrefix(r, ".")
		}
		each := w.pick("[]", "[]", "")
		if each == "" {
			r, s = "", "."
		}
		return f + "(" + p + each + r + "; " + a + ")", f + "(" + q + each + " | " + s + "; " + b + ")"
	}
	f := w.pick("any", "all")
	if w.IntN(2) == 0 {
		return both(f)
	}
	a, b := w.expr(depth - 1)
	return f + "(" + a + ")", f + "(" + b + ")"
}

// compareAtRandom asks both what a seed makes.
func compareAtRandom(t *testing.T, seed uint64) {
	t.Helper()
	w := writer{Rand: rand.New(rand.NewPCG(seed, 5))}
	ours, theirs := w.expr(3)
	w.inOrder = strings.Contains(ours, "tostring")
	value, key := w.object(), w.pick("", "a", "ab", "b", "user:1", "é")
	defer func() {
		if t.Failed() {
			t.Logf("this was seed %d: %s", seed, ours)
		}
	}()
	compareWithOracle(t, ours, theirs, []byte(key), []byte(value))
}

func TestFilter_AnswersAsGojq(t *testing.T) {
	n := uint64(20_000)
	if testing.Short() {
		n = 2_000
	}
	for seed := range n {
		compareAtRandom(t, seed)
	}
}

// deep writes two values that are nested so deep and differ only where they are
// deepest, if at all.
func (w writer) deep(depth int) (a, b string) {
	if depth == 0 {
		a = w.document(1)
		return a, w.pick(a, a, w.document(1))
	}
	a, b = w.deep(depth - 1)
	before, behind := "", ""
	if w.IntN(2) == 0 {
		for range w.IntN(3) {
			before += w.document(2) + "," + w.space()
			behind += w.space() + "," + w.document(2)
		}
		return "[" + before + a + behind + "]", "[" + before + b + behind + w.space() + "]"
	}
	for range w.IntN(3) {
		before += w.pick(`"a":`, `"b" : `, `"c":`) + w.document(2) + ","
		behind += w.space() + w.pick(`,"x":`, `,"y":`, `,"\u007a":`) + w.document(2)
	}
	return "{" + before + `"c":` + a + behind + "}", "{" + w.space() + before + `"c":` + b + behind + "}"
}

// TestSelect_GroupsAsEqual: what is == is one group, and nothing else is.
func TestSelect_GroupsAsEqual(t *testing.T) {
	equal, err := query.Compile(".a == .b")
	if err != nil {
		t.Fatal(err)
	}
	s, err := query.CompileSelect(".a, .b")
	if err != nil {
		t.Fatal(err)
	}
	met := map[bool]int{}
	for seed := range uint64(20_000) {
		w := writer{Rand: rand.New(rand.NewPCG(seed, 7))}
		a, b := w.deep(w.IntN(3))
		// As a floating-point number that is two integers.
		value := []byte(strings.ReplaceAll(`{"a":`+a+`,"b":`+b+`}`, "9007199254740992.0", "2.0"))
		want, err := equal.Match(nil, value)
		if err == nil {
			err = s.Run(nil, value)
		}
		if err != nil {
			t.Fatal(err)
		}
		x, y := string(s.AppendGroup(nil, 0)), string(s.AppendGroup(nil, 1))
		if (x == y) != want {
			t.Fatalf("seed %d: %s\nhave %s and\n%s, equal: %v", seed, value, x, y, want)
		}
		met[want]++
	}
	if met[true] < 1000 || met[false] < 1000 {
		t.Errorf("met %v", met)
	}
}

// TestFilter_DeepAnswersAsGojq: what is nested deep is walked in another way.
func TestFilter_DeepAnswersAsGojq(t *testing.T) {
	for seed := range uint64(300) {
		w := writer{Rand: rand.New(rand.NewPCG(seed, 6))}
		a, b := w.deep(28 + w.IntN(10))
		value := fmt.Appendf(nil, `{"a":%s,"b":%s,"n":{"a":%s}}`, a, b, b)
		for _, expr := range []string{".a == .b", ".a < .b", ".a >= .b", "contains(.n)", ".n | contains({})", "(.a | tostring) == (.b | tostring)"} {
			compareWithOracle(t, expr, expr, nil, value)
		}
	}
	// As deep as JSON may be. Without the ends this would take seconds.
	const most = 9_990
	for _, in := range []string{`[`, `{"a":`} {
		whole := strings.Repeat(in, most) + "1" + strings.Repeat(map[string]string{`[`: "]", `{"a":`: "}"}[in], most)
		f, err := query.Compile(".a == .b and (.a < .b | not) and contains(.n) and (.a | tostring) == (.b | tostring)")
		if err != nil {
			t.Fatal(err)
		}
		if match, err := f.Match(nil, fmt.Appendf(nil, `{"a":%s,"b":%[1]s,"n":{"a":%[1]s}}`, whole)); !match || err != nil {
			t.Errorf("%s: have %v, %v", in, match, err)
		}
	}
}

// FuzzFilter_AnswersAsGojq goes on beyond the seeds of the test.
func FuzzFilter_AnswersAsGojq(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(compareAtRandom)
}
