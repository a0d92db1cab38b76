// Package regex says whether a text has a part that matches a regular expression.
// It has the syntax of RE2, and so of Go, and its meaning, with the parts left out
// that cost much and are asked for seldom:
//
//	.  [a-z]  [^a-z]  \d \s \w  \D \S \W  [[:alpha:]]  [[:^alpha:]]
//	xy  x|y  (x)  (?:x)  (?<name>x)  x*  x+  x?  x{2}  x{2,}  x{2,5}  and with a ? behind
//	^  $  \A  \z  \b  \B  (?i)  (?m)  (?s)  (?-i)  (?i:x)
//	\n  \t  \x41  \x{1F600}  \101  \.  \Q...\E
//
// Left out are \p{Greek}, the classes of Unicode. What is not UTF-8 in a text is
// the character U+FFFD, each byte for itself.
//
// The time that a text takes grows with its length times that of the expression,
// never more: all ways in which the expression could go on are followed at once,
// one character after the other (Ken Thompson, "Regular expression search
// algorithm", 1968). So does the memory with the expression, which is bounded.
package regex

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// MaxSize bounds an expression: its bytes, and what it is compiled to, about one
// for each character and each range of a class, times the counts around it.
const MaxSize = 1 << 16

// A Regex is a compiled expression. One goroutine may use it at a time.
type Regex struct {
	prog     []inst
	start    int32
	prefix   []byte // what each match begins with
	anchored bool   // each match begins where the text does

	now, next, todo []int32  // instructions
	seen            []uint64 // by instruction, the step that met it last
	step            uint64
}

// An inst is an instruction of a program: what is to be met before the next.
type inst struct {
	op    op
	char  rune
	class *class
	out   int32 // the next
	alt   int32 // of opSplit: another next
}

// Compile compiles an expression, with fold as if (?i) stood before it.
func Compile(expr string, fold bool) (*Regex, *SyntaxError) {
	if len(expr) > MaxSize {
		return nil, tooLarge
	}
	p := parser{src: expr}
	if fold {
		p.flags = flagFold
	}
	n := p.whole()
	if p.err != nil {
		return nil, p.err
	}
	c := compiler{prog: []inst{{op: opMatch}}}
	x := &Regex{start: c.emit(n, 0)}
	if c.size > MaxSize {
		return nil, tooLarge
	}
	x.prog = c.prog
	x.seen = make([]uint64, len(x.prog))
	in := &x.prog[x.start]
	for ; in.op == opAssert && in.char == beginText; in = &x.prog[in.out] {
		x.anchored = true
	}
	for ; in.op == opChar && in.char != utf8.RuneError && utf8.ValidRune(in.char); in = &x.prog[in.out] {
		x.prefix = utf8.AppendRune(x.prefix, in.char)
	}
	return x, nil
}

var tooLarge = &SyntaxError{0, fmt.Sprintf("too large: more than %d characters, with repetitions", MaxSize)}

// A compiler writes a program from its end to its begin.
type compiler struct {
	prog []inst
	size int // of the program, with the ranges of its classes
}

//go:noinline
func (c *compiler) add(o op, out, alt int32) int32 {
	c.size++
	c.prog = append(c.prog, inst{op: o, out: out, alt: alt})
	return int32(len(c.prog) - 1)
}

// emit adds an expression, and returns where it begins; next is what follows it.
// Once the program is too large, it adds nothing.
func (c *compiler) emit(n *node, next int32) int32 {
	if c.size > MaxSize {
		return next
	}
	switch n.op {
	case opSeq:
		for i := len(n.subs) - 1; i >= 0; i-- {
			next = c.emit(n.subs[i], next)
		}
		return next
	case opAlt:
		begin := c.emit(n.subs[0], next)
		for _, sub := range n.subs[1:] {
			begin = c.add(opSplit, begin, c.emit(sub, next))
		}
		return begin
	case opRepeat:
		least, end := n.min, next
		if n.max < 0 {
			loop := c.add(opSplit, 0, next)
			body := c.emit(n.subs[0], loop)
			c.prog[loop].out = body
			if next = loop; least > 0 { // the loop is entered by its body
				next, least = body, least-1
			}
		}
		for range n.max - n.min {
			next = c.add(opSplit, c.emit(n.subs[0], next), end)
		}
		for range least {
			next = c.emit(n.subs[0], next)
		}
		return next
	}
	at := c.add(n.op, next, 0)
	c.prog[at].char, c.prog[at].class = n.char, n.class
	if n.class != nil {
		for _, s := range n.class.sets {
			c.size += len(s.ranges) / 2
		}
	}
	return at
}

// Prefix returns what each text that matches begins with.
func (x *Regex) Prefix() []byte {
	if !x.anchored {
		return nil
	}
	return x.prefix
}

// Match reports whether a part of text matches.
func (x *Regex) Match(text []byte) bool {
	before := rune(-1)
	x.next = x.next[:0]
	for at := 0; ; {
		if len(x.next) == 0 {
			if x.anchored && at > 0 {
				return false
			}
			if !x.anchored && len(x.prefix) > 0 {
				skipped := bytes.Index(text[at:], x.prefix)
				if skipped < 0 {
					return false
				}
				at += skipped // before is not asked for: the prefix is characters
			}
		}
		r, n := rune(-1), 0
		if at < len(text) {
			if r, n = rune(text[at]), 1; r >= utf8.RuneSelf {
				r, n = utf8.DecodeRune(text[at:])
			}
		}
		here := assertions(before, r)
		x.step++
		x.now = x.now[:0]
		for _, i := range x.next {
			if x.follow(i, here) {
				return true
			}
		}
		if (at == 0 || !x.anchored) && x.follow(x.start, here) {
			return true
		}
		if n == 0 {
			return false
		}
		x.next = x.next[:0]
		for _, i := range x.now {
			if in := &x.prog[i]; in.op == opChar && in.char == r || in.op == opClass && in.class.has(r) {
				x.next = append(x.next, in.out)
			}
		}
		before, at = r, at+n
	}
}

// follow adds to now the instructions for a character that i leads to in a place
// where these assertions are true. It reports whether it leads to a match.
func (x *Regex) follow(i int32, here rune) bool {
	for x.todo = append(x.todo[:0], i); len(x.todo) > 0; {
		i, x.todo = x.todo[len(x.todo)-1], x.todo[:len(x.todo)-1]
		if x.seen[i] == x.step {
			continue
		}
		x.seen[i] = x.step
		switch in := &x.prog[i]; in.op {
		case opMatch:
			return true
		case opSplit:
			x.todo = append(x.todo, in.alt, in.out)
		case opAssert:
			if here&in.char != 0 {
				x.todo = append(x.todo, in.out)
			}
		default:
			x.now = append(x.now, i)
		}
	}
	return false
}

// assertions are those that are true between two characters, of which -1 is none.
func assertions(before, behind rune) (here rune) {
	if before < 0 {
		here |= beginText
	}
	if before < 0 || before == '\n' {
		here |= beginLine
	}
	if behind < 0 {
		here |= endText
	}
	if behind < 0 || behind == '\n' {
		here |= endLine
	}
	if inWord(before) != inWord(behind) {
		return here | boundary
	}
	return here | noBoundary
}

func inWord(c rune) bool { return c == '_' || alphanumeric(c) }
