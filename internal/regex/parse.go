package regex

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A SyntaxError says where an expression is wrong, and how.
type SyntaxError struct {
	Offset int // of the byte
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset+1, e.Reason) }

const (
	maxNesting = 200  // groups in groups
	maxCount   = 1000 // of {n,m}, and of what such counts within each other multiply to
)

type op uint8

const (
	opSeq    op = iota // subs, one behind the other
	opAlt              // one of subs
	opRepeat           // the one of subs, from min to max times
	opChar             // char
	opClass            // a character of class
	opAssert           // what char, an assertion, says of this place

	// In programs only.
	opSplit
	opMatch
)

// An assertion is true of places between characters.
const (
	beginText = 1 << iota
	endText
	beginLine
	endLine
	boundary   // of a word
	noBoundary // any other place
)

// A node is an expression.
type node struct {
	op       op
	char     rune
	class    *class
	subs     []*node
	min, max int // max is -1 where there is none
	count    int // what the counts within it multiply to, at most
}

// Set where they are inlined, these would be several times as large.

//go:noinline
func (n *node) add(sub *node) {
	n.subs = append(n.subs, sub)
	n.count = max(n.count, sub.count)
}

//go:noinline
func (n *node) addChar(o op, c rune) { n.add(&node{op: o, char: c, count: 1}) }

//go:noinline
func (n *node) addClass(c *class) { n.add(&node{op: opClass, class: c.listed(), count: 1}) }

// What (?ims) sets.
const (
	flagFold  = 1 << iota // i: small and capital letters are the same
	flagLines             // m: ^ and $ are at every line
	flagAll               // s: . is a line end, too
)

// A parser turns an expression into a tree. Behind the first error it does
// nothing.
type parser struct {
	src   string
	at    int
	depth int
	flags int
	err   *SyntaxError
}

// fail keeps the first error and ends the source.
//
//go:noinline
func (p *parser) fail(at int, reason string) {
	if p.err == nil {
		p.err = &SyntaxError{at, reason}
	}
	p.at = len(p.src)
}

// next steps over a character, and returns it: -1 at the end.
func (p *parser) next() rune {
	if p.at == len(p.src) {
		return -1
	}
	r, n := utf8.DecodeRuneInString(p.src[p.at:])
	if r == utf8.RuneError && n == 1 {
		p.fail(p.at, "it is not UTF-8")
		return -1
	}
	p.at += n
	return r
}

//go:noinline
func (p *parser) peek(s string) bool { return strings.HasPrefix(p.src[p.at:], s) }

// skip steps over s, if that is next.
func (p *parser) skip(s string) bool {
	found := p.peek(s)
	if found {
		p.at += len(s)
	}
	return found
}

// whole parses all of the source.
func (p *parser) whole() *node {
	n := p.alternatives()
	if p.at < len(p.src) {
		p.fail(p.at, "a ) without its (")
	}
	return n
}

// alternatives parses a|b|c.
func (p *parser) alternatives() *node {
	n := &node{op: opAlt, count: 1}
	if p.depth++; p.depth > maxNesting {
		p.fail(p.at, "nested too deep")
	}
	n.add(p.sequence())
	for p.skip("|") {
		n.add(p.sequence())
	}
	p.depth--
	return n
}

// sequence parses what stands between | and ). As in RE2, flags stand between
// nothing: of a(?i)* the a is repeated.
func (p *parser) sequence() *node {
	n := &node{op: opSeq, count: 1}
	counted := false
	for p.at < len(p.src) && !p.peek("|") && !p.peek(")") {
		begin := p.at
		least, most, ok := p.count()
		if !ok {
			p.item(n)
			counted = false
			continue
		}
		if p.skip("?"); counted {
			p.fail(begin, "repeated twice: put (?: ) around the first")
			break
		}
		p.repeat(n, least, most, begin)
		counted = true
	}
	return n
}

// count parses * + ? {n} {n,} {n,m}. What else begins with { is that character.
func (p *parser) count() (least, most int, ok bool) {
	begin := p.at
	switch {
	case p.skip("*"):
		return 0, -1, true
	case p.skip("+"):
		return 1, -1, true
	case p.skip("?"):
		return 0, 1, true
	case p.skip("{"):
		if least, ok = p.number(); ok {
			most = least
			if p.skip(",") {
				if most, ok = -1, true; !p.peek("}") {
					most, ok = p.number()
				}
			}
		}
		if !ok || !p.skip("}") {
			p.at = begin
			return 0, 0, false
		}
		if max(least, most) > maxCount || most >= 0 && least > most {
			p.fail(begin, fmt.Sprintf("{n,m} is from n to m times, %d at most", maxCount))
		}
	}
	return least, most, ok
}

// number parses a number without zeros before it. More than maxCount is any
// such number.
func (p *parser) number() (n int, ok bool) {
	begin := p.at
	for ; p.at < len(p.src) && p.src[p.at]-'0' <= 9; p.at++ {
		n = min(n*10+int(p.src[p.at]-'0'), maxCount+1)
	}
	return n, p.at > begin && (p.at == begin+1 || p.src[begin] != '0')
}

// repeat repeats the last of a sequence.
func (p *parser) repeat(n *node, least, most, begin int) {
	last := len(n.subs) - 1
	if last < 0 {
		p.fail(begin, "there is nothing before it to repeat")
		return
	}
	sub := n.subs[last]
	r := &node{op: opRepeat, min: least, max: most, subs: []*node{sub}, count: 1}
	if most != 0 {
		r.count = sub.count * max(least, most, 1)
	}
	if r.count > maxCount {
		p.fail(begin, fmt.Sprintf("repeated more than %d times, with the repetitions in it", maxCount))
	}
	n.subs[last] = r
	n.count = max(n.count, r.count)
}

// item parses what can be repeated, and flags.
func (p *parser) item(n *node) {
	begin := p.at
	switch c := p.next(); c {
	case '(':
		p.group(n, begin)
	case '[':
		p.brackets(n, begin)
	case '\\':
		p.escape(n, begin)
	case '^':
		p.assert(n, beginText, beginLine)
	case '$':
		p.assert(n, endText, endLine)
	case '.':
		not := &class{not: true}
		if p.flags&flagAll == 0 {
			not.add('\n', '\n')
		}
		n.addClass(not)
	default:
		p.char(n, c)
	}
}

func (p *parser) assert(n *node, text, line rune) {
	if p.flags&flagLines != 0 {
		text = line
	}
	n.addChar(opAssert, text)
}

func (p *parser) char(n *node, c rune) {
	if p.flags&flagFold != 0 && unicode.SimpleFold(c) != c {
		one := &class{fold: true}
		one.add(c, c)
		n.addClass(one)
		return
	}
	n.addChar(opChar, c)
}

// group parses a group, whose ( was read, or flags.
func (p *parser) group(n *node, begin int) {
	outer := p.flags
	if p.skip("?") && !p.name() && !p.setFlags(begin) {
		return
	}
	n.add(p.alternatives())
	if !p.skip(")") {
		p.fail(begin, "its ) is missing")
	}
	p.flags = outer
}

// name parses the name of a group, ?P<name> or ?<name>.
func (p *parser) name() bool {
	begin := p.at
	if !p.skip("P<") && !p.skip("<") {
		return false
	}
	from := p.at
	for p.at < len(p.src) && (p.src[p.at] == '_' || alphanumeric(rune(p.src[p.at]))) {
		p.at++
	}
	if p.at == from || !p.skip(">") {
		p.fail(begin, "a name is of letters, digits and _, as in (?<name>x)")
	}
	return true
}

func alphanumeric(c rune) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// setFlags parses i, m, s and U, and behind a - those that are not to be, and
// reports whether a group begins behind them.
func (p *parser) setFlags(begin int) (group bool) {
	set, off, some := p.flags, false, true
	for {
		flag := 0
		switch c := p.next(); {
		case c == 'i':
			flag = flagFold
		case c == 'm':
			flag = flagLines
		case c == 's':
			flag = flagAll
		case c == 'U': // fewest first: no matter where the answer is yes or no
		case c == '-' && !off:
			off, some = true, false
			continue
		case (c == ':' || c == ')') && some:
			p.flags = set
			return c == ':'
		default:
			p.fail(begin, "behind (? stands : or <name>, or i, m, s, U and - before them")
			return false
		}
		some = true
		if off {
			set &^= flag
		} else {
			set |= flag
		}
	}
}

// escape parses what follows a backslash, outside of brackets.
func (p *parser) escape(n *node, begin int) {
	switch {
	case p.skip("A"):
		n.addChar(opAssert, beginText)
	case p.skip("z"):
		n.addChar(opAssert, endText)
	case p.skip("b"):
		n.addChar(opAssert, boundary)
	case p.skip("B"):
		n.addChar(opAssert, noBoundary)
	case p.skip("Q"):
		for p.at < len(p.src) && !p.skip(`\E`) {
			p.char(n, p.next())
		}
	default:
		one := &class{fold: p.flags&flagFold != 0}
		if p.escapedClass(one) {
			n.addClass(one)
			return
		}
		p.char(n, p.escaped(begin))
	}
}

// escapedClass parses the letter of \d, \s, \w, or of what is none.
func (p *parser) escapedClass(c *class) bool {
	if p.at < len(p.src) && c.addGroup(p.src[p.at:p.at+1]) {
		p.at++
		return true
	}
	return false
}

// escaped parses what stands for one character, behind the backslash.
func (p *parser) escaped(begin int) rune {
	c := p.next()
	if i := strings.IndexRune("afnrtv", c); i >= 0 {
		return rune("\a\f\n\r\t\v"[i])
	}
	switch {
	case c == 'x':
		if r := p.hex(); r >= 0 {
			return r
		}
	case c == '0', '1' <= c && c <= '7' && p.at < len(p.src) && p.src[p.at]&^7 == '0':
		r := c - '0'
		for end := min(p.at+2, len(p.src)); p.at < end && p.src[p.at]&^7 == '0'; p.at++ {
			r = r*8 + rune(p.src[p.at]-'0')
		}
		return r
	case c == 'p' || c == 'P':
		p.fail(begin, `\p{…}, the classes of Unicode, are left out`)
		return 0
	case 0 <= c && c < utf8.RuneSelf && !alphanumeric(c):
		return c
	}
	p.fail(begin, "there is no such escape")
	return 0
}

// hex parses two hexadecimal digits, or any number of them in { }. It returns -1
// for what is none.
func (p *parser) hex() (r rune) {
	from, end := p.at, p.at+2
	braces := p.skip("{")
	if braces {
		from, end = p.at, len(p.src)
	}
	for p.at < end && !(braces && p.peek("}")) {
		v := strings.IndexRune("0123456789abcdef", unicode.ToLower(p.next()))
		if r = r<<4 | rune(v); v < 0 || r > unicode.MaxRune {
			return -1
		}
	}
	if p.at == from || braces && !p.skip("}") {
		return -1
	}
	return r
}

// brackets parses a class, whose [ was read.
func (p *parser) brackets(n *node, begin int) {
	c := &class{fold: p.flags&flagFold != 0, not: p.skip("^")}
	for first := true; first || !p.skip("]"); first = false {
		if p.at == len(p.src) {
			p.fail(begin, "its ] is missing")
			return
		}
		from := p.at
		if p.skip("[:") {
			if name, _, ok := strings.Cut(p.src[p.at:], ":]"); ok {
				if p.at += len(name) + 2; len(name) < len("word") || !c.addGroup(name) {
					p.fail(from, "there is no such class")
				}
				continue
			}
			p.at = from
		}
		if p.skip(`\`) {
			if p.escapedClass(c) {
				continue
			}
			p.at = from
		}
		lo := p.bracketed()
		hi := lo
		if p.peek("-") && p.at+1 < len(p.src) && p.src[p.at+1] != ']' {
			p.at++
			hi = p.bracketed()
		}
		if lo > hi {
			p.fail(from, "the range is empty")
		}
		c.add(lo, hi)
	}
	n.addClass(c)
}

// bracketed parses a character in brackets.
func (p *parser) bracketed() rune {
	begin := p.at
	if p.skip(`\`) {
		return p.escaped(begin)
	}
	return p.next()
}
