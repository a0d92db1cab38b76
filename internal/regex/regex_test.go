package regex_test

import (
	"math/rand/v2"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/internal/regex"
)

// compareWithGo wants what Go's package says of the same texts, or that an
// expression is refused which it refuses, too.
func compareWithGo(t *testing.T, expr string, texts ...string) {
	t.Helper()
	x, syntax := regex.Compile(expr, false)
	theirs, err := regexp.Compile(expr)
	if (syntax == nil) != (err == nil) {
		t.Fatalf("%q: have %v, Go %v", expr, syntax, err)
	}
	if err != nil {
		return
	}
	for _, text := range texts {
		have := x.Match([]byte(text))
		if want := theirs.MatchString(text); have != want {
			t.Fatalf("%q of %q: have %v, Go %v", expr, text, have, want)
		}
		if have && !strings.HasPrefix(text, string(x.Prefix())) {
			t.Fatalf("%q matches %q, which does not begin with %q", expr, text, x.Prefix())
		}
	}
}

// texts are met by some expression below, and not by another.
var texts = []string{
	"", "a", "b", "ab", "aab", "abc", "ba", "bab", "aaaa", "xyz", "A", "AB", "aB", "k", "K", "\u212a", "s", "ſ", "é", "É", "ß", "ẞ",
	"\n", "a\nb", "\na", "a\n", "a\n\n", " ", "a b", "\t", "\v", "\r", "_", "-", "]", "^", "[", "{", "}", "a{", "a{,2}", "a{2", "a{02}",
	"1", "12", "1999-12-31", "0", "\x00", "\x7f", "\u0080", "\u07ff", "\ufffd", "\xff", "a\xffb", "\xc3", "\xc3(", "\xed\xa0\x80", "😀", "日本",
	"\a", "\f", "A1", "a.b", "a\\b", "(a)", "a|b", "σ", "ς", "Σ", "ǅ", "ǆ", "user:17", "é1é", "θ", "ϴ",
}

// expressions are what each part of the syntax says, and what is wrong in it.
var expressions = []string{
	``, `a`, `ab`, `^`, `$`, `^$`, `^a`, `a$`, `^ab$`, `a^`, `$a`, `^^a$$`, `(^a)`, `(a$)`, `^a|b$`, `(?:^a|b)c?`, `(^|b)a`,
	`\Aa`, `a\z`, `\A\z`, `\ba`, `a\b`, `\Ba`, `a\B`, `\b`, `\B`, `^\b`, `^\B`, `1\b`,
	`.`, `^.$`, `^..$`, `(?s).`, `(?s)^.$`, `(?s)a.b`, `a.b`, `a|b|c`, `|a`, `a|`, `|`, `a||b`, `(|a)`, `(a|)`, `()`, `(?:)`, `(a|b)*c`,
	`a*`, `a+`, `a?`, `a*b`, `a+b`, `^a?b`, `(ab)*c`, `(ab)+$`, `(a*)*b`, `(a*)+`, `(a|b)*?$`, `(?:a?)*b`, `(|a)*b`, `(|a)+b`, `(^)*a`, `^*a`, `$*`, `(\b)+a`,
	`a*?`, `a+?b`, `a??b`, `a{2}`, `^a{2}$`, `^a{2,}$`, `^a{1,3}$`, `^a{0,1}b`, `^a{0}b`, `^a{0,}b`, `a{2}?`, `(ab){2}`, `(a{2}){2}`, `a{1000}`, `a{0,1000}b`, `((a{10}){10}){10}`,
	`a{,2}`, `a{`, `a{2`, `a{2,`, `a{02}`, `a{2,x}`, `a{x}`, `{`, `}`, `{}`, `{,}`, `]`, `a]`,
	`[a]`, `[ab]`, `[a-c]`, `[^a]`, `^[^a]$`, `[^ab]`, `[]a]`, `[^]a]`, `[-a]`, `[a-]`, `[a-c-e]`, `[a\-c]`, `[\]]`, `[[a]`, `[a[:]`, `[[:]`, `[[:x]`, `[\n]`, `[\x00-\x{10FFFF}]`, `[^\x00-\x{10FFFF}]`, `[é-ë]`, `[\d]`, `[^\d]`, `[\D]`, `[^\D]`, `[\d\s]`, `[\D\d]`, `[^\W]`, `[a\W]`, `[\x{D700}-\x{E000}]`, `[b-az]`, `[--a]`, `[+--]`, `[:alpha:]`, `[\Q]`,
	`\d`, `\D`, `\s`, `\S`, `\w`, `\W`, `^\d+-\d\d-\d\d$`, `^\w+:\d+$`, `\d{2}`,
	`(?i)a`, `(?i)^aB$`, `(?i)k`, `(?i)s`, `(?i)[k]`, `(?i)[^k]`, `(?i)[a-z]`, `(?i)^[^a-z]$`, `(?i)\w`, `(?i)\W`, `(?i)[\W]`, `(?i)[^\W]`, `(?i)[[:^lower:]]`, `(?i)[[:upper:]]`, `(?i)é`, `(?i)ß`, `(?i)σ`, `(?i)ǆ`, `(?i)[Α-Ω]`, `(?i)[^Α-Ω]`, `(?i)\x{212a}`, `(?i)1`, `(?i)θ`,
	`a(?i)b`, `a(?i)b|c`, `(a(?i)b)c`, `(?i:a)b`, `(?i)a(?-i)b`, `(?i)a(?-i:b)`, `(?m)^b`, `(?m)a$`, `(?m)^$`, `(?m)^a$`, `(?m)\Ab`, `(?m)b\z`, `(?m)(?-m)^b`, `(?im-s)^B`, `(?U)a*b`, `(?-U)a`, `(?)a`, `(?i-)a`, `(?-)a`, `(?--i)a`, `(?i`, `(?`, `(?:`, `(?x)a`, `(?=a)`, `(?!a)`, `(?<=a)`, `(?<!a)`, `(?i)*`, `a(?i)*`, `a*(?i)*`, `a*\Q\E*`, `|*`, `(?i)|(?-i)b`,
	`(?P<n>a)b`, `(?<n>a)b`, `(?P<n>a)(?P<n>b)`, `(?P<>a)`, `(?P<n a>a)`, `(?P<n`, `(?P<`, `(?<`, `(?P=n)`, `(?'n'a)`, `(?P>n)`, `(?<é>a)`,
	`\.`, `a\.b`, `\\`, `\(a\)`, `\{`, `\]`, `\-`, `\_`, `\"`, `\/`, `\ `, `\a`, `\f`, `\n`, `\r`, `\t`, `\v`, `\e`, `\y`, `\é`, `\C`, `\Z`, `\G`, `\K`, `\E`, `\`, `a\`,
	`\0`, `\00`, `\012`, `\0123`, `\1`, `\12`, `\101`, `\141`, `\777`, `\8`, `\18`, `\x41`, `\x4`, `\x`, `\xg`, `\x{41}`, `\x{1F600}`, `\x{}`, `\x{110000}`, `\x{41`, `\x{4g}`, `\x{0000000041}`, `\xfffd`, `\x{FFFD}`, `\x{fffd}b`, `a\x{FFFD}`, `\xff`, `^\x{FFFD}+$`, `[\x{FFFD}]`, `\xé1`,
	`\Qa.b\E`, `\Qa.b`, `\Qab\E+`, `\Q\E`, `\Q\\E`, `\Q(`, `(?i)\QAB\E`, `(\Qa)\E`,
	`[[:alnum:]]`, `[[:alpha:]]`, `[[:ascii:]]`, `[[:blank:]]`, `[[:cntrl:]]`, `[[:digit:]]`, `[[:graph:]]`, `[[:lower:]]`, `[[:print:]]`, `[[:punct:]]`, `[[:space:]]`, `[[:upper:]]`, `[[:word:]]`, `[[:xdigit:]]`, `[[:^alpha:]]`, `[^[:alpha:]]`, `[^[:^alpha:]]`, `[[:alpha:][:digit:]]`, `[[:foo:]]`, `[[:d:]]`, `[[:^d:]]`, `[[:D:]]`, `[[::]]`, `[[:^:]]`, `[[:^ALPHA:]]`, `[[:Alpha:]]`, `[[:alpha:]-z]`, `[a-[:alpha:]]`,
	`a**`, `a*+`, `a+*`, `a?*`, `a*??`, `a{2}{3}`, `a{2}*`, `*`, `+a`, `?`, `{2}`, `(*a)`, `a|*`, `a{1001}`, `a{2,1}`, `a{1,1001}`, `a{99999999999999999999}`, `a{2,99999999999999999999}`, `(a{1000}){2}`, `((a{10}){11}){10}`, `(((a{1000}){1000}){1000})`, `(a*){1000}`, `(?:a{0,100}){11}`,
	`(`, `)`, `a)`, `(a`, `((a)`, `(a))`, `[`, `[a`, `[]`, `[^]`, `[^`, `[a-`, `[z-a]`, `[a-\d]`, `[\d-z]`, `[\b]`, `[\`, `[[:alpha:]`, "a\xff", "[\xff]", "(?i\xff)", `\Q` + "\xff", "\\\xff", "\\x\xff", "[a-\xff]",
	"日", "[日-本]", "^日本$", "é+", "(?i)É1É",
}

func TestMatch_AsGo(t *testing.T) {
	for _, expr := range expressions {
		compareWithGo(t, expr, texts...)
	}
}

// A writer makes expressions and texts at random, of few characters, so that
// they meet.
type writer struct{ *rand.Rand }

func (w writer) pick(from ...string) string { return from[w.IntN(len(from))] }

func (w writer) text() string {
	var b strings.Builder
	for range w.IntN(8) {
		b.WriteString(w.pick("a", "b", "a", "b", "A", "B", "k", "K", "\u212a", "s", "ſ", "1", "_", " ", "-", "\n", "é", "É", "\xff", "\ufffd", "😀"))
	}
	return b.String()
}

func (w writer) expr(depth int) string {
	kind := w.IntN(12)
	if depth == 0 {
		kind %= 5
	}
	switch kind {
	case 0, 1:
		return w.pick("a", "b", "a", "b", "A", "k", "s", "1", "é", "\\n", "\ufffd", " ", "-", "]", "}", ",", "")
	case 2:
		return w.pick(".", "^", "$", `\A`, `\z`, `\b`, `\B`, `\d`, `\D`, `\w`, `\W`, `\s`, `\S`, `\x61`, `\141`, `\Qa\E`, `\.`)
	case 3:
		class := w.pick("", "^")
		for range 1 + w.IntN(3) {
			class += w.pick("a", "b", "A-Z", "a-k", "é", "k", "\\d", "\\W", "[:alpha:]", "[:^upper:]", "^", "-", "1", "\\n", "\ufffd", "É-ſ", "\\xff-\\x{fffe}")
		}
		return "[" + class + "]"
	case 4:
		return w.pick("(?i)", "(?s)", "(?m)", "(?-i)", "(?im-s)", "(?U)")
	case 5, 6, 7:
		return w.expr(depth-1) + w.expr(depth-1)
	case 8:
		return w.expr(depth-1) + "|" + w.expr(depth-1)
	case 9:
		return w.pick("(", "(?:", "(?i:", "(?s-i:", "(?m:", "(?<x>") + w.expr(depth-1) + ")"
	}
	return w.pick("", "(?:", "(?:") + w.expr(depth-1) + w.pick(")", ")", "") + w.pick("*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{0,2}", "{2,}", "{0}", "{")
}

// compareAtRandom asks both what a seed makes; at times it is no expression.
func compareAtRandom(t *testing.T, seed uint64) {
	t.Helper()
	w := writer{rand.New(rand.NewPCG(seed, 7))}
	expr := w.expr(5)
	defer func() {
		if t.Failed() {
			t.Logf("this was seed %d", seed)
		}
	}()
	compareWithGo(t, expr, w.text(), w.text(), w.text(), w.text(), w.text())
}

func TestMatch_AsGo_AtRandom(t *testing.T) {
	n := uint64(100_000)
	if testing.Short() {
		n = 10_000
	}
	for seed := range n {
		compareAtRandom(t, seed)
	}
}

func FuzzMatch_AsGo_AtRandom(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(compareAtRandom)
}

// TestMatch_AtRandom_MeetsBoth: what is made at random matches often, and
// often not, or the test says little.
func TestMatch_AtRandom_MeetsBoth(t *testing.T) {
	asked, matched := 0, 0
	for seed := range uint64(2000) {
		w := writer{rand.New(rand.NewPCG(seed, 7))}
		x, err := regex.Compile(w.expr(5), false)
		if err != nil {
			continue
		}
		if asked++; x.Match([]byte(w.text())) {
			matched++
		}
	}
	if asked < 1000 || matched < asked/4 || matched > asked*3/4 {
		t.Errorf("of 2000 expressions %d compile, and %d match", asked, matched)
	}
}

// FuzzCompile_AsGo: of any bytes. Of what we leave out, Go says more.
func FuzzCompile_AsGo(f *testing.F) {
	for _, expr := range expressions {
		f.Add(expr, "a\nb")
	}
	f.Fuzz(func(t *testing.T, expr, text string) {
		if _, err := regex.Compile(expr, false); err != nil {
			for _, reason := range []string{"left out", "too large", "too deep"} {
				if strings.Contains(err.Reason, reason) {
					return
				}
			}
		}
		compareWithGo(t, expr, text)
	})
}

func TestCompile_Fold(t *testing.T) {
	for text, want := range map[string]bool{"ab": true, "AB": true, "a": false} {
		x, err := regex.Compile("aB", true)
		if err != nil {
			t.Fatal(err)
		}
		if have := x.Match([]byte(text)); have != want {
			t.Errorf("aB of %s, whatever the case: have %v", text, have)
		}
	}
}

func TestCompile_SaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ expr, want string }{
		{"a(b", "byte 2: its ) is missing"},
		{"ab)", "byte 3: a ) without its ("},
		{"a[b", "byte 2: its ] is missing"},
		{"a**", "byte 3: repeated twice: put (?: ) around the first"},
		{"a|*", "byte 3: there is nothing before it to repeat"},
		{"a{3,2}", "byte 2: {n,m} is from n to m times, 1000 at most"},
		{"[b-a]", "byte 2: the range is empty"},
		{"[[:foo:]]", "byte 2: there is no such class"},
		{`a\y`, "byte 2: there is no such escape"},
		{`[a\p{L}]`, `byte 3: \p{…}, the classes of Unicode, are left out`},
		{"a(?=b)", "byte 2: behind (? stands : or <name>, or i, m, s, U and - before them"},
		{"(?<a b>c)", "byte 3: a name is of letters, digits and _, as in (?<name>x)"},
		{"a\xff", "byte 2: it is not UTF-8"},
		{"(((a{1000}){1000}){1000})", "byte 12: repeated more than 1000 times, with the repetitions in it"},
		{strings.Repeat("(", 100_000), "too large: more than 65536 characters"},
		{strings.Repeat("(", 10_000), "byte 201: nested too deep"},
	} {
		if _, err := regex.Compile(c.expr, false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.30q: have %v, want %s", c.expr, err, c.want)
		}
	}
}

// TestCompile_BoundsMemory: whatever the expression, a few times its limit.
func TestCompile_BoundsMemory(t *testing.T) {
	const most = 64 << 20
	for _, c := range []struct {
		name, expr string
		fits       bool
	}{
		{"1 MB of characters", strings.Repeat("a", 1<<20), false},
		{"1 MB of groups", strings.Repeat("()", 1<<19), false},
		{"characters", strings.Repeat("a", regex.MaxSize-1), true},
		{"characters of any case", "(?i)" + strings.Repeat("k", regex.MaxSize/2-10), true},
		{"repetitions", strings.Repeat("a*", regex.MaxSize/2-1), true},
		{"alternatives", strings.Repeat("a|", regex.MaxSize/2-1), true},
		{"one repetition", "(?:" + strings.Repeat("a", 1000) + "){1000}", false},
		{"nothing, repeated", "(?:" + strings.Repeat("()", 30_000) + "){1000}", true},
		{"one class, repeated", "[" + strings.Repeat("é-ëĀ", 5000) + "]{1000}", false},
		{"pluses in pluses", strings.Repeat("(", 150) + "a" + strings.Repeat("+)", 150), true},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		x, err := regex.Compile(c.expr, false)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > most {
			t.Errorf("%s: %d bytes, want %d at most", c.name, n, most)
		}
		if (err == nil) != c.fits {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil {
			x.Match([]byte("aaa\u00e9"))
		}
	}
}

// TestMatch_LongTexts would not end, if it went back to try another way.
func TestMatch_LongTexts(t *testing.T) {
	long := strings.Repeat("a", 100_000)
	for _, expr := range []string{`(a*)*b`, `(a|aa)+$`, `(a+)+b`, `(.*)(.*)(.*)x`, `^(([a-z])+.)+[A-Z]([a-z])+$`, `(?:a?){20}a{20}b`, `a{1000}b`, `^a*$`, `b$`} {
		compareWithGo(t, expr, long, long+"b")
	}
}

func TestMatch_AllocatesNothing(t *testing.T) {
	x, err := regex.Compile(`(a|b)*[x-z]+é?(?i:k)\b`, false)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte("abababxyzéK ababxyz")
	x.Match(text)
	if n := testing.AllocsPerRun(100, func() { x.Match(text) }); n != 0 {
		t.Errorf("%v allocations for a text", n)
	}
}
