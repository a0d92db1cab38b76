package query

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/regex"
)

// A SyntaxError says where an expression is wrong, and how.
type SyntaxError struct {
	Expr   string
	Offset int // of the byte
	Reason string
}

// Column is the character that is wrong, from 1.
func (e *SyntaxError) Column() int { return utf8.RuneCountInString(e.Expr[:e.Offset]) + 1 }

// Error is one line, with an arrow before the place that is wrong.
func (e *SyntaxError) Error() string {
	const around = 30
	from, to := max(0, e.Offset-around), min(len(e.Expr), e.Offset+around)
	for from < e.Offset && !utf8.RuneStart(e.Expr[from]) {
		from++
	}
	for to > e.Offset && to < len(e.Expr) && !utf8.RuneStart(e.Expr[to]) {
		to--
	}
	before, after := e.Expr[from:e.Offset], e.Expr[e.Offset:to]
	if from > 0 {
		before = "…" + before
	}
	if to < len(e.Expr) {
		after += "…"
	}
	return fmt.Sprintf("column %d: %s: %s→%s", e.Column(), e.Reason, before, after)
}

type op uint8

const (
	opDot     op = iota // what comes in
	opConst             // value
	opKey               // $key
	opValue             // $value
	opSize              // $size
	opField             // of left, by name
	opIndex             // of left, by index
	opPlace             // of left, at a place below: fields, once resolved
	opEach              // every item of left: only in any and all
	opPipe              // left | right
	opAnd               // left and right
	opOr                // left or right
	opCompare           // left and right, by test
	opCall              // function, with left and right as arguments
)

// A node is an expression.
type node struct {
	op          op
	left, right *node
	value       datum
	name        string
	index       int
	test        test
	function    *function
	regex       *regex.Regex // of test
	steps       []*node      // of any and all: from the first [] on
	at          int          // in the source

	// Of opPlace: where in the document, or in what left gives, the value is.
	place *trie
	inner *scanner // nil: the document

	whole bool // a function is called on the document
}

// A test is the results of a comparison for which the answer is true.
type test uint8

const (
	less test = 1 << iota
	equal
	greater
)

// maxNesting bounds how deep an expression may be nested.
const maxNesting = 500

// A parser turns an expression into a tree, by the precedence of operators.
// Behind the first error it does nothing.
type parser struct {
	src   string
	raw   []byte // src
	at    int
	depth int
	err   *SyntaxError

	// The token at at, which ends before next. The one before it ended at behind.
	token  string
	next   int
	behind int
}

// whole parses all of the source as one expression.
func (p *parser) whole() *node {
	p.advance(0)
	n := p.pipe()
	p.end()
	p.check(n, false)
	return n
}

// check wants [] nowhere but in the path of any and all.
func (p *parser) check(n *node, items bool) {
	if n == nil || p.err != nil {
		return
	}
	switch n.op {
	case opEach:
		if !items {
			p.fail(n.at, "[] stands in any(.a[]; …) and all(.a[]; …) only")
		}
	case opField, opIndex:
	default:
		items = n.op == opCall && n.function.items()
	}
	p.check(n.left, items)
	p.check(n.right, false)
}

// end wants nothing more to follow.
func (p *parser) end() {
	if p.token != "" {
		p.fail(p.at, "%s", p.unexpected())
	}
}

// fail keeps the first error and ends the source.
func (p *parser) fail(at int, format string, args ...any) {
	if p.err == nil {
		p.err = &SyntaxError{Expr: p.src, Offset: min(at, len(p.src)), Reason: fmt.Sprintf(format, args...)}
	}
	p.at, p.next, p.token = len(p.src), len(p.src), ""
}

// unexpected says what is wrong with a token that cannot stand here.
func (p *parser) unexpected() string {
	switch p.token {
	case "":
		return "it ends too early"
	case "=":
		if strings.HasPrefix(p.src[p.next:], "~") {
			return `=~ does not compare: use | test("^a.*z$")`
		}
		return "= does not compare: use =="
	case "&&", "&":
		return "use and"
	case "||":
		return "use or"
	case "!":
		return "put | not behind it"
	case "+", "-", "*", "/", "%", "//":
		return "no arithmetic here, and no //: pipe the output into jq"
	case "?", "..":
		return p.token + " of jq is left out"
	case "'":
		return `strings stand in double quotes: "…"`
	case ",":
		return "one expression, not several"
	}
	if word(p.token[0]) || p.token[0] == '$' || p.token[0] == '"' {
		return "what joins it with what is before: and, or, |, ==?"
	}
	return p.token + " cannot stand here"
}

func word(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }

func wordEnd(s string, i int) int {
	for i < len(s) && (word(s[i]) || s[i]-'0' <= 9) {
		i++
	}
	return i
}

// advance reads the next token, from i on: a word, $word, a number, a string,
// an operator, or "" at the end. What is behind # is none, to the end of the line.
func (p *parser) advance(i int) {
	src := p.src
	p.behind = i
	for comment := false; i < len(src) && (comment || strings.IndexByte(" \t\r\n#", src[i]) >= 0); i++ {
		comment = src[i] == '#' || comment && src[i] != '\n'
	}
	p.at = i
	if i == len(src) {
		p.next, p.token = i, ""
		return
	}
	end := i + 1
	switch c := src[i]; {
	case c == '$':
		end = wordEnd(src, i+1)
	case word(c):
		end = wordEnd(src, i)
	case c-'0' <= 9:
		if end = dump.NumberEnd(p.raw, i); end < 0 || end < len(src) && (src[end]-'0' <= 9 || src[end] == '.') {
			p.fail(i, "no number: write it as JSON does")
			return
		}
	case c == '"':
		if end, _ = dump.StringEnd(p.raw, i+1); end < 0 {
			p.fail(i, "a string that does not end, or has an escape that JSON does not have")
			return
		}
		end++
	case i+1 < len(src):
		switch src[i : i+2] {
		case "==", "!=", "<=", ">=", "&&", "||", "//", "..":
			end++
		}
	}
	if src[i] >= utf8.RuneSelf {
		_, n := utf8.DecodeRuneInString(src[i:])
		end = i + n
	}
	p.next, p.token = end, src[i:end]
}

// take steps over a token, and returns it.
func (p *parser) take() string {
	token := p.token
	p.advance(p.next)
	return token
}

// want steps over the token that must stand here.
func (p *parser) want(token string) {
	switch p.token {
	case token:
		p.take()
	case "":
		p.fail(p.at, "%s is missing", token)
	default:
		p.fail(p.at, "%s, where %s is missing", p.unexpected(), token)
	}
}

// pipe parses a | b | c, which binds loosest, to the right.
func (p *parser) pipe() *node {
	if p.depth++; p.depth > maxNesting {
		p.fail(p.at, "nested too deep")
	}
	defer func() { p.depth-- }()
	n := p.binary(0)
	if p.token == "|" {
		p.take()
		n = &node{op: opPipe, left: n, right: p.pipe()}
	}
	return n
}

// precedence is how tight an operator binds, 0 for what is none.
func precedence(token string) int {
	switch token {
	case "or":
		return 1
	case "and":
		return 2
	case "==", "!=", "<", "<=", ">", ">=":
		return 3
	}
	return 0
}

func testNamed(token string) test {
	switch token {
	case "==":
		return equal
	case "!=":
		return less | greater
	case "<":
		return less
	case "<=":
		return less | equal
	case ">":
		return greater
	}
	return greater | equal
}

// binary parses operators that bind tighter than least.
func (p *parser) binary(least int) *node {
	n := p.term()
	for {
		tight := precedence(p.token)
		if tight <= least {
			return n
		}
		n = &node{op: opCompare, test: testNamed(p.take()), left: n, right: p.binary(tight)}
		switch {
		case tight == 1:
			n.op = opOr
		case tight == 2:
			n.op = opAnd
		case precedence(p.token) == 3:
			p.fail(p.at, "comparisons do not chain: join them with and")
		}
	}
}

// term parses an operand, and the steps of a path behind it.
func (p *parser) term() *node {
	at, token := p.at, p.token
	n := &node{op: opDot}
	if token == "" {
		p.fail(at, "it ends too early")
		return n
	}
	c := token[0]
	switch {
	case token == ".":
		p.take()
		// .a and ."a" are one step, .[ another, without the dot.
		if p.at == at+1 && p.token != "" && (word(p.token[0]) || p.token[0] == '"') {
			n = p.field(n)
		}
	case token == "(":
		p.take()
		n = p.pipe()
		p.want(")")
	case token == "[" || token == "{" || c == '"' || c == '-' || c-'0' <= 9:
		n = p.constant()
	case c == '$':
		n = p.variable()
	case token == "null", token == "true", token == "false":
		n = p.constant()
	case token == "and" || token == "or":
		p.fail(at, "%s needs something before it", token)
	case word(c):
		n = p.call()
	default:
		p.fail(at, "%s", p.unexpected())
	}
	return p.steps(n)
}

// Words returns what an operand may be that is neither a path nor a number or a
// text. Functions that take arguments have a parenthesis behind.
func Words() []string {
	words := []string{"$key", "$size", "$value", "null", "true", "false"}
	for _, f := range functions {
		if f.least == 0 {
			words = append(words, f.name)
		}
		if f.most > 0 {
			words = append(words, f.name+"(")
		}
	}
	return words
}

// TakesOperand reports whether an operand may stand behind text, which expressions
// of CompileSelect may begin with.
func TakesOperand(text string) bool {
	_, err := CompileSelect(text + " $key")
	return err == nil || err.(*SyntaxError).Offset > len(text)+1
}

// field parses the name of a member, behind a dot.
func (p *parser) field(of *node) *node {
	n := &node{op: opField, left: of, name: p.token}
	if p.token[0] == '"' {
		n.name = string(p.text())
	}
	p.take()
	return n
}

// text returns the content of the string that is the token.
func (p *parser) text() []byte {
	return appendUnescaped(nil, []byte(p.token[1:len(p.token)-1]))
}

// steps parses .a, .["a"], [0] and [] behind an operand.
func (p *parser) steps(n *node) *node {
	for {
		at := p.at
		if n.op == opCall && (p.token == "." || p.token == "[") {
			p.fail(at, "%s gives nothing that has fields: what it is called on stands before it, as in .a | %s", n.function.name, n.function.name)
		}
		switch {
		case p.token == ".":
			p.take()
			if p.token == "[" {
				continue
			}
			if p.token == "" || p.at > at+1 || !word(p.token[0]) && p.token[0] != '"' {
				p.fail(p.at, "a name is missing behind the dot")
				return n
			}
			n = p.field(n)
		case p.token == "[":
			p.take()
			n = p.bracket(n, at)
		default:
			return n
		}
	}
}

func (p *parser) bracket(of *node, at int) *node {
	negative := p.token == "-"
	if negative {
		p.take()
	}
	n := &node{op: opEach, left: of, at: at}
	switch {
	case p.token == "]" && !negative:
	case p.token != "" && p.token[0] == '"' && !negative:
		n.op, n.name = opField, string(p.text())
		p.take()
	case p.token != "" && p.token[0]-'0' <= 9:
		d := datum{kind: number, text: []byte(p.token)}
		if d.read(); d.form != integer {
			p.fail(p.at, "an index is an integer")
		}
		n.op, n.index = opIndex, int(min(d.integer, 1<<31-1))
		if negative {
			n.index = -n.index
		}
		p.take()
	default:
		p.fail(at, `in brackets stands an index or a "name"`)
	}
	p.want("]")
	return n
}

// constant parses JSON.
func (p *parser) constant() *node {
	end := dump.ValueEnd(p.raw, p.at, maxNesting)
	if end < 0 {
		p.fail(p.at, "no constant: arrays, objects and numbers stand here as in JSON")
		return &node{}
	}
	n := &node{op: opConst, at: p.at, value: datumOf(p.raw[p.at:end:end])}
	switch n.value.kind {
	case number:
		// A constant is printed as short as it can be, as by gojq.
		if n.value.read(); n.value.form != long {
			n.value.text = nil
		}
	case str:
		n.value.text, n.value.escaped = appendUnescaped([]byte{}, n.value.text), false
	}
	p.advance(end)
	return n
}

func (p *parser) variable() *node {
	n := &node{}
	switch p.token {
	case "$key":
		n.op = opKey
	case "$value":
		n.op = opValue
	case "$size":
		n.op = opSize
	default:
		p.fail(p.at, "no variable %s: there are $key, $value and $size", p.token)
	}
	p.take()
	return n
}

// call parses a function with its arguments.
func (p *parser) call() *node {
	at, name := p.at, p.token
	f := functionNamed(name)
	if f == nil {
		p.fail(at, "%s", unknown(name))
		return &node{}
	}
	p.take()
	n := &node{op: opCall, function: f, place: &trie{}, at: at}
	given := 0
	if p.token == "(" {
		p.take()
		n.left = p.pipe()
		given = 1
		if p.token == ";" {
			p.take()
			n.right = p.pipe()
			given = 2
		}
		p.want(")")
	}
	if given < f.least || given > f.most {
		p.fail(at, "%s", f.usage)
	}
	if f.id == idTest {
		p.compile(n)
	} else if f.items() {
		each := &node{op: opEach, left: &node{op: opDot}}
		switch given {
		case 0:
			n.left, n.right = each, &node{op: opDot}
		case 1:
			n.left, n.right = each, n.left
		}
	}
	return n
}

// compile compiles the regular expression of test, a constant as its flags are.
func (p *parser) compile(n *node) {
	expr, flags := n.left, n.right
	switch {
	case p.err != nil:
		return
	case expr.op != opConst || expr.value.kind != str:
		p.fail(n.at, "test takes a constant: a string that is a regular expression")
		return
	case flags != nil && (flags.op != opConst || flags.value.kind != str || string(flags.value.text) != "i"):
		p.fail(n.at, `test has one flag: "i", for which the case does not matter`)
		return
	}
	compiled, err := regex.Compile(string(expr.value.text), flags != nil)
	if err != nil {
		p.fail(p.within(expr.at, err.Offset), "test: %s", err.Reason)
		return
	}
	n.regex, n.left, n.right = compiled, nil, nil
}

// within returns where in the source a byte of the string at at stands: escapes
// are longer than what they stand for, and two may be one character.
func (p *parser) within(at, offset int) int {
	for at++; offset > 0 || !utf8.RuneStart(p.raw[at]); {
		n := 1
		if p.raw[at] == '\\' {
			if n = 2; p.raw[at+1] == 'u' {
				n = 6
				if p.raw[at+6] == '\\' && p.raw[at+7] == 'u' {
					if r, _ := utf8.DecodeRune(appendUnescaped(nil, p.raw[at:at+12])); r > 0xFFFF {
						n = 12
					}
				}
			}
		}
		offset -= len(appendUnescaped(nil, p.raw[at:at+n]))
		at += n
	}
	return at
}
