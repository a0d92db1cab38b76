package query_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/lightning-db/lightning/internal/query"
)

const ada = `{"name":"Ada","age":36,"tags":["a","b"],"address":{"city":"Rome","zip":null},"n\u0061me2":"x","odd name":1,
	"old":1,"old":2,"big":12345678901234567890,"items":[{"id":1,"ok":true},{"id":2,"ok":false}],"text":"a\u0062c\n"}`

// answers is what every expression must say of ada under the key user:1, for
// us and for gojq.
var answers = []struct {
	expr string
	want string // the answer as JSON; error where there is none
}{
	{`.`, ada},
	{`.name`, `"Ada"`},
	{`.address.city`, `"Rome"`},
	{`.address | .city`, `"Rome"`},
	{`(.address).city`, `"Rome"`},
	{`.["odd name"]`, `1`},
	{`."odd name"`, `1`},
	{`.address["city"]`, `"Rome"`},
	{`.tags[0]`, `"a"`},
	{`.tags[-1]`, `"b"`},
	{`.tags[2]`, `null`},
	{`.items[1].id`, `2`},
	{`.items[-2].ok`, `true`},
	{`.nothing.below.it`, `null`},
	{`.nothing[3]`, `null`},
	{`.name.first`, `error`},
	{`.age[0]`, `error`},
	{`.address[0]`, `error`},
	{`$key`, `"user:1"`},
	{`$key | length`, `6`},
	{`$size > 100`, `true`},
	{`$value | startswith("{\"name\"")`, `true`},

	// (a) jq's order over all types.
	{`.nothing < 30`, `true`},
	{`.nothing != null and .nothing < 30`, `false`},
	{`null < false and false < true and true < 0 and 0 < "" and "" < [] and [] < {}`, `true`},
	{`[1,2] < [1,3] and [1] < [1,2] and {"a":2} < {"b":1} and {"a":1} < {"a":2}`, `true`},
	{`"a" < "ab" and "ab" < "b" and "z" < "é"`, `true`},
	{`.address == {"zip":null,"city":"Rome"}`, `true`},

	// (b) Integers of any length.
	{`.big == 12345678901234567890`, `true`},
	{`.big < 12345678901234567891`, `true`},
	{`9007199254740992 == 9007199254740993`, `false`},
	{`9007199254740992.0 == 9007199254740993`, `true`},
	{`1 == 1.0 and 100 == 1e2`, `true`},

	// (d) The last member of a name counts, (e) however that is written.
	{`.old`, `2`},
	{`.name2`, `"x"`},
	{`.text == "abc\n"`, `true`},

	{`.age > 30 and .name == "Ada"`, `true`},
	{`.age > 40 or .name == "Ada"`, `true`},
	{`.age > 40 and .name.first`, `false`},
	{`.age | . > 30 and . < 40`, `true`},
	{`(.age > 40) | not`, `true`},
	{`.nothing | not`, `true`},
	{`.name | length`, `3`},
	{`.tags | length`, `2`},
	{`.address | length`, `2`},
	{`.nothing | length`, `0`},
	{`true | length`, `error`},
	{`-5 | length`, `5`},
	{`.age | type`, `"number"`},
	{`.nothing | type`, `"null"`},
	{`true | type`, `"boolean"`},
	{`.age | tostring`, `"36"`},
	{`.nothing | tostring`, `"null"`},
	{`.tags | tostring`, `"[\"a\",\"b\"]"`},
	{`[1, {"a": "\u0061\t\/"}] | tostring`, `"[1,{\"a\":\"a\\t/\"}]"`},
	{`.age # years
		> 30 # or more`, `true`},
	{`"# no comment" # one`, `"# no comment"`},
	{`"\ud800" == "\ufffd"`, `true`},
	{`"36" | tonumber`, `36`},
	{`"3x" | tonumber`, `error`},
	{`.name | startswith("A") and endswith("a")`, `true`},
	{`.age | startswith("3")`, `error`},
	{`.name | contains("d")`, `true`},
	{`.tags | contains(["a"])`, `true`},
	{`.address | contains({"city":"Ro"})`, `true`},
	{`.age | contains("3")`, `error`},
	{`.name | test("^A.a$")`, `true`},
	{`.name | test("^a")`, `false`},
	{`.name | test("^a"; "i")`, `true`},
	{`.name | test("")`, `true`},
	{`.text | test("(?s)c.$")`, `true`},
	{`.text | test("\\Aabc\\s\\z")`, `true`},
	{`$key | test("^user:\\d+$")`, `true`},
	{`$key | test("^user:\\d{2}$")`, `false`},
	{`$value | test("\"age\":3[0-9]")`, `true`},
	{`any(.tags[]; test("b|c"))`, `true`},
	{`.age | test("3")`, `error`},
	{`.nothing | test("3")`, `error`},
	{`test("3")`, `error`},
	{`has("age")`, `true`},
	{`has("Age")`, `false`},
	{`.address | has("zip")`, `true`},
	{`.tags | has(1)`, `true`},
	{`.name | has("x")`, `error`},
	{`any(.tags[]; . == "b")`, `true`},
	{`all(.tags[]; . == "b")`, `false`},
	{`any(.items[]; .ok and .id == 1)`, `true`},
	{`any(.items[].id; . == 2)`, `true`},
	{`any(.nothing[]; true)`, `error`},
	{`.tags | any(. == "a")`, `true`},
	{`.tags | all`, `true`},
	{`any(.address[]; . == "Rome")`, `true`},
}

func TestSelect_AnswersAsJq(t *testing.T) {
	for _, c := range answers {
		answer, failed := oracle(t, c.expr, []byte("user:1"), []byte(ada))
		s, err := query.CompileSelect(c.expr)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		err = s.Run([]byte("user:1"), []byte(ada))
		if c.want == "error" {
			if err == nil || !failed {
				t.Errorf("%s: have %s, %v, gojq %v; want an error", c.expr, s.AppendJSON(nil, 0), err, answer)
			}
			continue
		}
		have := s.AppendJSON(nil, 0)
		if err != nil || failed || !sameJSON(t, have, []byte(c.want)) {
			t.Errorf("%s: have %s, %v; want %s", c.expr, have, err, c.want)
		}
		theirs, err := json.Marshal(answer)
		if err != nil || !sameJSON(t, have, theirs) {
			t.Errorf("%s: have %s, gojq %s", c.expr, have, theirs)
		}
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Errorf("%s: %v", a, err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Errorf("%s: %v", b, err)
	}
	return fmt.Sprint(x) == fmt.Sprint(y)
}

func TestCompile_SaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ expr, want string }{
		{"", "column 1: it ends too early: →"},
		{".age >", "column 7: it ends too early: .age >→"},
		{`.age =~ "x"`, `column 6: =~ does not compare: use | test("^a.*z$"): .age →=~ "x"`},
		{".age = 3", "column 6: = does not compare: use ==: .age →= 3"},
		{".é == 1", "column 2: é cannot stand here"},
		{`."é" = 1`, `column 6: = does not`},
		{`.a | match("x")`, "column 6: match is left out: of what takes regular expressions there is test: .a | →match"},
		{`.a | test`, `column 6: test takes a regular expression, and "i"`},
		{`.a | test("a)b")`, `column 13: test: a ) without its (: .a | test("a→)b")`},
		{`.a | test("\\d\u00e9é[")`, `column 22: test: its ] is missing: .a | test("\\d\u00e9é→[")`},
		{`.a | test("\ud83d\ude00é(")`, `test: its ) is missing`},
		{`.a | test("\ud83d\ude00ab\ud83d\u0041[")`, `column 38: test: its ] is missing: `},
		{`.a | test("\\p{Greek}")`, `column 12: test: \p{…}, the classes of Unicode, are left out`},
		{"any(.a[]; . | test(\"\xff\"))", "test: it is not UTF-8"},
		{`.a | test("(((a{1000}){1000}){1000})")`, "column 23: test: repeated more than 1000 times, with the repetitions in it"},
		{`.a | test(.b)`, "column 6: test takes a constant: a string"},
		{`.a | test(1)`, "column 6: test takes a constant: a string"},
		{`.a | test("a"; "x")`, `column 6: test has one flag: "i"`},
		{`.a | test("a"; .b)`, `column 6: test has one flag: "i"`},
		{".a | lenght", "column 6: no function lenght, there are not length type"},
		{".a | Length", "no function Length, there are"},
		{"name == 1", "a field is .name"},
		{"select(.a)", "column 1: the expression itself selects"},
		{".a AND .b", "column 4: what joins it with what is before"},
		{".a[] == 1", "column 3: [] stands in any(.a[]; …)"},
		{"any(.a; .b[])", "column 11: [] stands in"},
		{"1 < .a < 3", "column 8: comparisons do not chain: join them with and"},
		{".a && .b", "column 4: use and"},
		{".a || .b", "column 4: use or"},
		{"!.a", "column 1: put | not behind it"},
		{".a == 'x'", `column 7: strings stand in double quotes`},
		{".a, .b", "column 3: one expression"},
		{"(.a", "column 4: ) is missing"},
		{".a)", "column 3: ) cannot stand here"},
		{"$name", "column 1: no variable $name: there are $key, $value and $size"},
		{`.a == "x`, "column 7: a string that does not end"},
		{`.a == "\q"`, "column 7: a string that does not end, or has an escape"},
		{".a + 1", "column 4: no arithmetic"},
		{".a // 1", "column 4: no arithmetic here, and no //"},
		{".a?", "column 3: ? of jq is left out"},
		{"..", "column 1: .. of jq is left out"},
		{"has", `column 1: has takes one argument: has("a")`},
		{".a | length(1)", "column 6: length takes no argument"},
		{"any(1; 2; 3)", "column 9: ; cannot stand here"},
		{"not .a", "column 5: not gives nothing that has fields"},
		{".a[1.5]", "column 4: an index is an integer"},
		{".a[b]", "column 3: in brackets stands an index"},
		{".a == 01", "column 7: no number"},
		{".a == [1,.b]", "column 7: no constant"},
		{".a.", "column 4: a name is missing behind the dot"},
		{strings.Repeat("(", 1000), "nested too deep"},
		{strings.Repeat("x", 100) + " == 1", "→" + strings.Repeat("x", 30) + "…"},
	} {
		_, err := query.Compile(c.expr)
		if err == nil {
			t.Errorf("%s: no error", c.expr)
		} else if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: have %q\nwant %q", c.expr, err, c.want)
		}
	}
}

// Completion asks where an operand may stand, and what it may be.
func TestTakesOperand(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, ".a | ": true, ".a|": true, ".a == ": true, ".a and": true, "(": true, "any(.a[]; ": true, ".a | startswith(": true, ".a, ": true, ".a # x\n|": true,
		".a": false, ".a ": false, "(.a ": false, ".a = ": false, `.a == "x `: false, ".a | length ": false, "$key": false, ". foo(": false, ".a == 1 == ": false,
	} {
		if have := query.TakesOperand(text); have != want {
			t.Errorf("%q: have %v, want %v", text, have, want)
		}
	}
	for _, word := range query.Words() {
		if expr := ". | " + word; strings.HasSuffix(word, "(") {
			if !query.TakesOperand(expr) {
				t.Errorf("%s takes no argument", expr)
			}
		} else if _, err := query.Compile(expr); err != nil {
			t.Errorf("%s: %v", expr, err)
		}
	}
}

// TestMatch_NotJSON: point (c). The paths are null, $value is not.
func TestMatch_NotJSON(t *testing.T) {
	bad := []string{
		"", " ", "text", "{", `{"a":1`, `{"a":1}}`, `{"a":1,}`, `{a:1}`, `{"a" 1}`, `{"a":}`, `[1,]`, `[1 2]`, `"\x"`, "\"a\nb\"", `"\u12g4"`, `tru`, `nul`,
		`01`, `1.`, `-`, `1e`, `.5`, "\xff", `{"a":1} x`, `{"a":"x}`, `"12345678`, `{"b":1,"a":1,"c":[}`,
		strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000),
	}
	for _, value := range bad {
		if json.Valid([]byte(value)) {
			t.Fatalf("%q is JSON", value)
		}
		for expr, want := range map[string]bool{`.a == null`: true, `.a`: false, `. == null and .a.b < 3`: true, `.a | startswith("x")`: false} {
			f, err := query.Compile(expr)
			if err != nil {
				t.Fatal(err)
			}
			if have, err := f.Match([]byte("k"), []byte(value)); have != want || err != query.ErrNotJSON {
				t.Errorf("%s of %.50q: have %v, %v; want %v and ErrNotJSON", expr, value, have, err, want)
			}
		}
		f, err := query.Compile(`$value | length >= 0`)
		if err != nil {
			t.Fatal(err)
		}
		if have, err := f.Match([]byte("k"), []byte(value)); !have || err != nil {
			t.Errorf("$value of %.50q: have %v, %v", value, have, err)
		}
	}
}

// FuzzMatch_KnowsJSON: what is JSON for us is for encoding/json, too, and no
// bytes bring a filter down.
func FuzzMatch_KnowsJSON(f *testing.F) {
	for _, seed := range []string{ada, `[1,{"a":[]}]`, `"\ud83d\ude00"`, `-0.5e+10`, ` {"a":{"b":1,"a":2}}`, `{"a":1,"a":{"b":2}}`, "{\"a\":[\"\xe9\",\"\\n\xff\"]}", "\"\nfud 0000000\""} {
		f.Add([]byte(seed))
	}
	filter, err := query.Compile(`.a.b == .a or any(.a[]; . == 2) or (.a | length) == 3 or .a == {"b":[1]} or (. | tostring | tonumber) == 1`)
	if err != nil {
		f.Fatal(err)
	}
	columns, err := query.CompileSelect(`., .a, .a.b, .a[0], (.a | length), tostring`)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		_, err := filter.Match(nil, value)
		if (err != query.ErrNotJSON) != json.Valid(value) {
			t.Fatalf("%q: have %v; encoding/json says %v", value, err, json.Valid(value))
		}
		if err := columns.Run(nil, value); err == query.ErrNotJSON {
			return
		}
		for i := range columns.Columns {
			if out := columns.AppendJSON(nil, i); !json.Valid(out) || !utf8.Valid(out) {
				t.Fatalf("%q: %s gives %q", value, columns.Columns[i], out)
			}
		}
	})
}

func TestFilter_Range(t *testing.T) {
	for _, c := range []struct{ expr, start, end string }{
		{`.a == 1`, "-", "-"},
		{`$key == "b"`, "b", "b\x00"},
		{`$key | startswith("user:")`, "user:", "user;"},
		{`$key >= "a" and $key < "b"`, "a", "b"},
		{`"a" < $key and "b" >= $key and .x`, "a\x00", "b\x00"},
		{`$key > "m" and ($key | startswith("z"))`, "z", "{"},
		{`($key | startswith("a")) or $key == "c"`, "a", "c\x00"},
		{`$key < "c" or .x`, "-", "-"},
		{`$key < "c" or $key > "x"`, "-", "-"},
		{`$key != "c"`, "-", "-"},
		{`$key == 5`, "-", "-"},
		{`$key | startswith("")`, "", "-"},
		{`($key == "a") | not`, "-", "-"},
	} {
		f, err := query.Compile(c.expr)
		if err != nil {
			t.Fatal(err)
		}
		show := func(b []byte) string {
			if b == nil {
				return "-"
			}
			return string(b)
		}
		if start, end := f.Range(); show(start) != c.start || show(end) != c.end {
			t.Errorf("%s: have %q to %q, want %q to %q", c.expr, show(start), show(end), c.start, c.end)
		}
	}
}

func TestMatch_AllocatesNothing(t *testing.T) {
	key, value, bad := []byte("user:1"), []byte(ada), []byte("no JSON")
	for _, expr := range []string{
		`.age > 30 and .name == "Ada"`,
		`.address.city | startswith("Ro")`,
		`.big > 5 or .age < 1.5`,
		`any(.items[]; .id == 2)`,
		`.tags | contains(["b"])`,
		`.tags[1] == "b" and (.tags | length) == 2`,
		`.tags == ["a","b"]`,
		`.text == "abc" or (.name2 | contains("y"))`,
		`has("age") and (.age | type == "number") and (.age | tostring == "36")`,
		`.name.first`,
		`$key | startswith("user")`,
	} {
		f, err := query.Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = f.Match(key, value) }); n > 0 {
			t.Errorf("%s: %v allocations", expr, n)
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = f.Match(key, bad) }); n > 0 {
			t.Errorf("%s: %v allocations for what is not JSON", expr, n)
		}
	}
}

// What tostring makes of arrays and objects is as jq has it: in the order of the
// document, of which gojq knows nothing.
func TestSelect_ToStringKeepsOrder(t *testing.T) {
	s, err := query.CompileSelect("tostring")
	if err != nil {
		t.Fatal(err)
	}
	for doc, want := range map[string]string{
		`[ ]`:                               `[]`,
		`{ }`:                               `{}`,
		` { "b" : 1 , "a" : [ 2 , { } ] } `: `{"b":1,"a":[2,{}]}`,
		`{"b":1,"a":2,"\u0062":{"x":1,"x":2},"c":3}`:       `{"b":{"x":2},"a":2,"c":3}`,
		`{"a":1,"a":2,"b":1,"a":3}`:                        `{"a":3,"b":1}`,
		`["\u00e9\u001f\u007f\/\"\\\b\f\n\r\t\u000b"]`:     `["é\u001f\u007f/\"\\\b\f\n\r\t\u000b"]`,
		"[\"\xff\u0085\", 1.0, 1e2, 12345678901234567890]": "[\"\ufffd\u0085\",1.0,1e2,12345678901234567890]",
	} {
		if err := s.Run(nil, []byte(doc)); err != nil {
			t.Fatal(err)
		}
		if have, _ := s.AppendText(nil, 0); string(have) != want {
			t.Errorf("%s\nhave %s\nwant %s", doc, have, want)
		}
	}
}

func TestSelect_Columns(t *testing.T) {
	s, err := query.CompileSelect(`.name, .address.city,.key , $size, .tags, .text, (.age | length)`)
	if err != nil {
		t.Fatal(err)
	}
	if have := strings.Join(s.Names("key"), "|"); have != "name|.address.city|.key|$size|tags|text|(.age | length)" {
		t.Errorf("names: have %s", have)
	}
	if err := s.Run([]byte("k"), []byte(ada)); err != nil {
		t.Fatal(err)
	}
	var have []string
	for i := range s.Columns {
		text, isNull := s.AppendText(nil, i)
		have = append(have, fmt.Sprintf("%s %v", text, isNull))
	}
	want := []string{"Ada false", "Rome false", "null true", fmt.Sprintf("%d false", len(ada)), `["a","b"] false`, "abc\n false", "36 false"}
	if fmt.Sprint(have) != fmt.Sprint(want) {
		t.Errorf("have %q\nwant %q", have, want)
	}
	// A column that has no answer is null, and the others are there.
	if s, err = query.CompileSelect(`.name.first, .age`); err != nil {
		t.Fatal(err)
	}
	err = s.Run([]byte("k"), []byte(ada))
	if text := string(append(s.AppendJSON(nil, 0), s.AppendJSON([]byte(" "), 1)...)); err == nil || text != "null 36" {
		t.Errorf("have %s, %v", text, err)
	}
	for _, list := range []string{"", ".a,", ".a,,.b", ".a .", ".a[]"} {
		if _, err := query.CompileSelect(list); err == nil {
			t.Errorf("%q: no error", list)
		}
	}
}

func TestSelect_EachField(t *testing.T) {
	for _, test := range []struct{ path, value, want string }{
		{".", `{"b":1, "a\u0062":{"c": 2}, "b":[3]}`, `ab={"c": 2} b=[3]`}, // the last counts
		{".a", `{"a":{"x":null}}`, "x=null"},
		{".a[1]", `{"a":[1,{"":"y"}]}`, `="y"`},
		{".a", `{"a":[1]}`, ""},
		{".a", `{}`, ""},
		{".a.b", `{"a":1}`, ""}, // no answer
		{".", `text`, ""},
	} {
		s, err := query.CompileSelect(test.path)
		if err != nil {
			t.Fatal(err)
		}
		var have []string
		_ = s.Run(nil, []byte(test.value))
		s.EachField(func(name, value []byte) { have = append(have, string(name)+"="+string(value)) })
		if have := strings.Join(have, " "); have != test.want {
			t.Errorf("%s of %s: have %s, want %s", test.path, test.value, have, test.want)
		}
	}
}

func TestSelect_GroupsEqualValues(t *testing.T) {
	s, err := query.CompileSelect(".a")
	if err != nil {
		t.Fatal(err)
	}
	for _, same := range [][2]string{
		{"1", "1.0"},
		{"100", "1e2"},
		{`"a"`, `"\u0061"`},
		{"-0", "0.0"},
		{"1.50", "1.5"},
		{"null", `null`},
		{"[1, 2]", "[1,2]"},
		{"[1.0,[1e2]]", "[1,[100]]"},
		{`["\u0061"]`, `["a"]`},
		{`{"a":1,"b":2}`, `{"b":2.0,"\u0061":1}`},
		{`{"a":1,"a":2}`, `{"a":2}`},
		{`[{"c":{"y":1,"x":[-0]}}]`, `[ { "c" : {"x":[0],"y":1} } ]`},
	} {
		var have [2]string
		for i, v := range same {
			if err := s.Run(nil, []byte(`{"a":`+v+`}`)); err != nil {
				t.Fatal(err)
			}
			have[i] = string(s.AppendGroup(nil, 0))
		}
		if have[0] != have[1] {
			t.Errorf("%s and %s: have %s and %s", same[0], same[1], have[0], have[1])
		}
	}
}

// Bytes that are not UTF-8 all become U+FFFD in JSON; groups are not mixed up.
func TestSelect_GroupsKeepBytesApart(t *testing.T) {
	s, err := query.CompileSelect(".a")
	if err != nil {
		t.Fatal(err)
	}
	for _, differ := range [][2]string{{"\"\xff\"", "\"\xfe\""}, {"\"\xff\"", "\"\ufffd\""}, {"[\"\xff\"]", "[\"\xfe\"]"}, {"{\"\xff\":1}", "{\"\xfe\":1}"}} {
		var have [2]string
		for i, v := range differ {
			if err := s.Run(nil, []byte(`{"a":`+v+`}`)); err != nil {
				t.Fatal(err)
			}
			have[i] = string(s.AppendGroup(nil, 0))
			if out := s.AppendJSON(nil, 0); !utf8.Valid(out) {
				t.Errorf("%q is printed as %q", v, out)
			}
		}
		if have[0] == have[1] {
			t.Errorf("%q and %q: have %q for both", differ[0], differ[1], have[0])
		}
	}
}

// What an object has is sorted to find names that come twice, and there may be
// millions: 580 MB for the length of two million are too much.
func TestSelect_MembersTakeLittleMemory(t *testing.T) {
	const members = 200_000
	doc := []byte(`{"a":{"0":0`)
	for i := 1; i < members; i++ {
		doc = fmt.Appendf(doc, `,"%d":%d`, i, i)
	}
	doc = append(doc, "}}"...)
	for expr, objects := range map[string]uint64{".a | tostring": 3, ".a | length": 1, ".a == .a": 2, "any(.a[]; . < 0)": 1, `.a | contains({"7":7})`: 1} {
		s, err := query.CompileSelect(expr)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := s.Run(nil, doc); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if have := (after.TotalAlloc - before.TotalAlloc) / members; have > 50*objects {
			t.Errorf("%s: %d bytes a member", expr, have)
		}
		if expr == ".a | length" && string(s.AppendJSON(nil, 0)) != fmt.Sprint(members) {
			t.Errorf("%s: have %s, want %d", expr, s.AppendJSON(nil, 0), members)
		}
	}
}

// A program may write expressions, and long ones.
func TestCompile_TakesMemoryInProportion(t *testing.T) {
	for _, piece := range []string{` or 1 == "a"`, ".a"} {
		bytes := func(n int) uint64 {
			expr := ".a" + strings.Repeat(piece, n)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := query.Compile(expr); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			return after.TotalAlloc - before.TotalAlloc
		}
		if one, four := bytes(2000), bytes(8000); four > 6*one {
			t.Errorf("%q: 2,000 of them take %d bytes, 8,000 take %d", piece, one, four)
		}
	}
}

// TestSelect_OneDocumentAfterAnother: what is remembered of a document does not
// show in the answers about the next one, whatever its names and their order.
func TestSelect_OneDocumentAfterAnother(t *testing.T) {
	names := []string{"", "a", "ab", "a b", "name", "nam", "n\\u0061me", "address", "address2", "addres\\u0073", "a longer name", "a longer game"}
	const columns = `.a, .ab, .name, .address, .address2, .["a longer name"], .[""], .address.a, .address.ab`
	one, err := query.CompileSelect(columns)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	var document func(depth int) string
	document = func(depth int) string {
		var b strings.Builder
		for i, n := range r.Perm(len(names))[:r.IntN(len(names)+1)] {
			if i > 0 {
				b.WriteString(",")
			}
			fmt.Fprintf(&b, `"%s":`, names[n])
			if depth > 0 && r.IntN(3) == 0 {
				b.WriteString(document(depth - 1))
			} else {
				fmt.Fprint(&b, r.IntN(100))
			}
		}
		return "{" + b.String() + "}"
	}
	for range 5000 {
		doc := []byte(document(2))
		fresh, err := query.CompileSelect(columns)
		if err != nil {
			t.Fatal(err)
		}
		have, want := one.Run(nil, doc), fresh.Run(nil, doc)
		if have != want {
			t.Fatalf("%s: have %v, want %v", doc, have, want)
		}
		for i := range one.Columns {
			if have, want := one.AppendJSON(nil, i), fresh.AppendJSON(nil, i); string(have) != string(want) {
				t.Fatalf("%s: %s: have %s, want %s", doc, one.Columns[i], have, want)
			}
		}
	}
}
