package shell

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/lightning-db/lightning/internal/dump"
)

// A Word is one word of a statement.
type Word struct {
	Text string
	// Literal says where in Text bytes begin that stood in quotes, or as
	// x'00ff' or u64(42), and mean themselves; -1 if there are none.
	Literal int
	// Start and End are where in the statement's text the word stands, quotes
	// and all.
	Start, End int
}

// Plain reports whether the word is text, written without quotes.
func (w *Word) Plain(text string) bool { return w.Literal < 0 && w.Text == text }

// isNumber reports whether the word is to repeat what is behind it.
func (w *Word) isNumber() bool {
	return w.Literal < 0 && w.Text != "" && w.Text[0] >= '0' && w.Text[0] <= '9'
}

// A Statement is one thing that the shell is told to do. Statements end with a
// line or a semicolon.
//
// Words are separated by spaces. One that begins with a quote goes to the
// closing one: "..." has the escapes of Go and C, '...' none (two ' are one);
// both may go over several lines. x'00ff' is bytes in hexadecimal, u64(42) the 8
// bytes of a number, big-endian. A word that begins with { or [ and is JSON goes
// to the end of it, spaces and ends of lines and all; behind put and a key it must be:
// a value that was to be JSON is not stored as text. Quotes inside of other words
// are only characters, except that a value in quotes may follow --flag=.
//
// A backslash at the end of a line is a space; a line that begins with # is none.
type Statement struct {
	Text  string // without the spaces around
	Words []Word
	Err   error // what is wrong with it: then Words are those before that

	at int // where in what was parsed it begins
}

var (
	errOpenQuote = errors.New("a quote is not closed")
	errOpenJSON  = errors.New("the JSON value has no end")
	errBehind    = errors.New("there is text right behind a closing quote: put a space there")
)

// Parse splits text into statements. It is not complete if more lines are to
// follow: after an open quote, an open JSON value, or a backslash at the end.
// The last statement has that as its Err, for where no more lines come.
func Parse(text string) (statements []Statement, complete bool) {
	p := parser{text: text}
	return p.statements(), !p.open
}

// A pending is the lines so far of what is not complete. Of a long value each is
// looked at once: not all of them again for every line. Nor are lines of plain
// words that end with a backslash, behind another such.
type pending struct {
	strings.Builder
	waits opening // what has to be closed before it can be complete
	goes  bool    // what there is ends with a backslash
}

// add adds a line, and returns the statements if they are complete, as Parse does,
// or no more lines are to come.
func (p *pending) add(line string, last bool) (statements []Statement, complete bool) {
	p.WriteString(line)
	goes := strings.HasSuffix(line, "\\") && !strings.ContainsAny(line, "\"'{[(#\x00")
	if last || p.waits == (opening{}) && !(p.goes && goes) || p.waits != (opening{}) && p.waits.end(line) > 0 {
		of := parser{text: p.String()}
		statements = of.statements()
		if last || !of.open {
			return statements, true
		}
		p.waits = of.waits
		p.goes = goes && p.waits == (opening{})
	}
	p.WriteByte('\n')
	p.waits.end("\n")
	return nil, false
}

type parser struct {
	text  string
	at    int
	words []Word
	depth int     // of parentheses in an expression
	open  bool    // more is to follow
	waits opening // with open: if it is something, what has to be closed first
}

func (p *parser) statements() (statements []Statement) {
	for p.space() {
		begin := p.at
		s := Statement{at: begin, Err: p.statement()}
		s.Words = p.words
		end := p.at
		s.Text = strings.TrimRight(p.text[begin:end], blanks+"\n") // as words end: TrimSpace knows more spaces
		for i := range s.Words {
			s.Words[i].Start -= begin
			s.Words[i].End -= begin
		}
		if len(s.Words) > 0 || s.Err != nil {
			statements = append(statements, s)
		}
		p.words, p.depth = nil, 0
	}
	return statements
}

// An opening is what is open behind a quote or a bracket: nothing, to begin with.
type opening struct {
	quote   byte // " or '
	depth   int  // of brackets around it
	escaped bool // by a backslash: the next byte
}

// end reads more text, and returns where in it all is closed; 0 if something stays
// open.
func (o *opening) end(text string) int {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case o.escaped:
			o.escaped = false
		case o.quote == '"' && c == '\\':
			o.escaped = true
		case o.quote == '\'' && strings.HasPrefix(text[i:], "''"): // which are one
			i++
		case o.quote != 0 && c != o.quote:
		case o.quote != 0:
			if o.quote = 0; o.depth == 0 {
				return i + 1
			}
		case c == '"':
			o.quote = c
		case c == '{' || c == '[':
			o.depth++
		case c == '}' || c == ']':
			if o.depth--; o.depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// space skips what is between statements, and reports whether there is more.
func (p *parser) space() bool {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '#':
			end := strings.IndexByte(p.text[p.at:], '\n')
			if end < 0 {
				return false
			}
			p.at += end
		case c == ';' || c == '\n' || isBlank(c):
			p.at++
		default:
			return true
		}
	}
	return false
}

const blanks = " \t\r"

func isBlank(c byte) bool { return strings.IndexByte(blanks, c) >= 0 }

// statement reads words to the end of the statement. Behind an error it skips to
// the end of the line.
func (p *parser) statement() error {
	for p.blank(); p.at < len(p.text); p.blank() {
		if c := p.text[p.at]; c == '\n' || c == ';' && p.depth == 0 {
			return nil
		}
		begin := p.at
		text, literal, err := p.word()
		if err != nil {
			for p.at < len(p.text) && p.text[p.at] != '\n' {
				p.at++
			}
			return err
		}
		p.words = append(p.words, Word{text, literal, begin, p.at})
	}
	return nil
}

// blank skips what is between words: spaces, and backslashes with the end of the
// line behind them.
func (p *parser) blank() {
	for p.at < len(p.text) {
		rest := p.text[p.at:]
		switch {
		case isBlank(rest[0]):
			p.at++
		case strings.HasPrefix(rest, "\\\n"):
			p.at += 2
		case rest == "\\":
			p.at++
			p.open = true
		default:
			return
		}
	}
}

func (p *parser) word() (text string, literal int, err error) {
	if p.filters() {
		return p.expression()
	}
	if text, ok, err := p.quoted(); ok {
		return text, 0, err
	}
	rest := p.text[p.at:]
	if rest[0] == '{' || rest[0] == '[' {
		n, err := p.json(rest)
		p.at += n
		p.open = p.open || err == errOpenJSON
		if n > 0 || err != nil {
			return rest[:n], -1, err
		}
	}
	begin := p.at
	for p.at < len(p.text) && !p.boundary(p.at) {
		p.at++
		if p.text[p.at-1] == '=' && p.at < len(p.text) && strings.HasPrefix(p.text[begin:], "--") {
			name := p.text[begin:p.at]
			if value, ok, err := p.quoted(); ok {
				return name + value, len(name), err
			}
		}
	}
	text = p.text[begin:p.at]
	if strings.IndexByte(text, 0) >= 0 {
		return "", -1, errors.New(`a NUL byte is written in quotes: "\x00"`)
	}
	return text, -1, nil
}

// filters reports whether the words from here on are those of an expression,
// which has quotes of its own.
func (p *parser) filters() bool {
	words := once(p.words)
	if len(words) == 0 || !In(words[0].Text, Filtered) {
		return false
	}
	for _, w := range words[1:] {
		if w.Plain("where") || w.Plain("select") && words[0].Text != "delete" {
			return true
		}
	}
	return false
}

// once returns the words of a statement without what says how often it runs.
func once(words []Word) []Word {
	if len(words) > 0 && words[0].isNumber() {
		words = words[1:]
	}
	if len(words) > 1 && words[0].Plain(".watch") {
		words = words[2:]
	}
	return words
}

// Filtered are the commands in which the word "where" begins an expression over
// values, and, but for delete, "select" some of them. Inside these only "..." are
// quotes, and they stay; in their parentheses a semicolon ends no statement.
const Filtered = " scan ls count delete"

// Clauses are the words of scan that mean something, written without quotes.
const Clauses = " where select limit reverse"

// expression reads a word of an expression.
func (p *parser) expression() (string, int, error) {
	begin := p.at
	for inString := false; p.at < len(p.text) && (inString || p.depth > 0 && p.text[p.at] == ';' || !p.boundary(p.at)); p.at++ {
		switch c := p.text[p.at]; {
		case c == '"':
			inString = !inString
		case inString && c == '\\':
			p.at++
		case inString:
		case c == '(':
			p.depth++
		case c == ')' && p.depth > 0:
			p.depth--
		}
		if inString && p.at+1 >= len(p.text) {
			p.at, p.open = len(p.text), true
			return "", -1, errOpenQuote
		}
	}
	return p.text[begin:p.at], -1, nil
}

// boundary reports whether a word can end before the byte at i.
func (p *parser) boundary(i int) bool {
	if i == len(p.text) {
		return true
	}
	c := p.text[i]
	return isBlank(c) || c == '\n' || c == ';' || c == '\\' && (i+1 == len(p.text) || p.text[i+1] == '\n')
}

// quoted reads a literal, if one is there.
func (p *parser) quoted() (text string, ok bool, err error) {
	rest := p.text[p.at:]
	var o opening
	begin := 1
	switch {
	case rest[0] == '"' || rest[0] == '\'':
		o.quote = rest[0]
	case strings.HasPrefix(rest, "x'"):
		o.quote, begin = '\'', 2
	case strings.HasPrefix(rest, "u64("):
	default:
		return "", false, nil
	}
	end := 0 // of the literal
	if o.quote == 0 {
		if end = strings.IndexAny(rest, ") \n;") + 1; end == 0 || rest[end-1] != ')' {
			return "", false, nil
		}
	} else if end = begin + o.end(rest[begin:]); end == begin {
		p.at = len(p.text)
		p.open, p.waits = true, o
		return "", true, errOpenQuote
	}
	p.at += end
	text, err = literal(rest[:end])
	if err == nil && !p.boundary(p.at) {
		err = errBehind
	}
	return text, true, err
}

// literal returns the bytes that a literal means.
func literal(text string) (string, error) {
	var b []byte
	var err error
	switch text[0] {
	case '"':
		b, err = dump.Quoted.Decode([]byte(text))
	case 'x':
		if b, err = hex.DecodeString(text[2 : len(text)-1]); err != nil {
			err = errors.New("x'...' holds pairs of hexadecimal digits")
		}
	case 'u':
		b, err = dump.U64.Decode([]byte(text[4 : len(text)-1]))
	default:
		return strings.ReplaceAll(text[1:len(text)-1], "''", "'"), nil
	}
	return string(b), err
}

// json returns the length of the JSON array or object that text begins with, 0 if
// it begins with none and is a word like others. What a line ends in the middle of
// is no such word any more: beside an error, n is how far it was read.
func (p *parser) json(text string) (n int, err error) {
	var o opening
	n = o.end(text)
	if n > 0 && p.boundary(p.at+n) && dump.ValidJSON([]byte(text[:n])) {
		return n, nil
	}
	line := strings.IndexByte(text, '\n')
	if line < 0 {
		line = len(text)
	}
	if n > 0 && n <= line || beginsJSON(text[:line]) < line {
		if p.puts() {
			err = noJSON(text)
		}
		return 0, err
	}
	if n > 0 {
		return n, noJSON(text)
	}
	if n = beginsJSON(text); n < len(text) {
		return n, noJSON(text)
	}
	if strings.Trim(text, blanks+"\n{[") != "" { // no more than brackets could turn out to be no JSON
		p.waits = o
	}
	return n, errOpenJSON
}

// puts reports whether the next word is a value to put.
func (p *parser) puts() bool {
	words := once(p.words)
	return len(words) > 1 && words[0].Literal < 0 && In(words[0].Text, " put set")
}

// noJSON says where what text begins with turns out to be no JSON.
func noJSON(text string) error {
	return fmt.Errorf("the value is %w: put text in quotes", dump.WhyNoJSON([]byte(text)))
}

// beginsJSON returns where text, which begins with a bracket, turns out to be no
// JSON; its length if all that stands there up to the first name or value could go
// on as JSON.
func beginsJSON(text string) int {
	b := []byte(text)
	for i := 0; ; {
		in := b[i]
		if i = dump.Space(b, i+1); i == len(b) {
			return i
		}
		end := -1
		switch c := b[i]; {
		case c == '"' || c == in+2: // the bracket that closes it
			return len(b)
		case in == '{':
			return i
		case c == '{' || c == '[':
			continue
		case c == '-' || c-'0' <= 9:
			end = dump.NumberEnd(b, i)
		default:
			end = dump.WordEnd(b, i)
		}
		if end == len(b) || end > 0 && strings.IndexByte(blanks+"\n,]", b[end]) >= 0 {
			return len(b)
		}
		return i
	}
}

// Quote writes bytes as one word of a statement that Parse reads back.
func Quote(b []byte) string {
	if text := string(b); dump.IsText(b) && plainWord(text) {
		return text
	}
	return string(dump.Quoted.Append(nil, b))
}

// plainWord reports whether text means itself, written without quotes.
func plainWord(text string) bool {
	if text == "" || In(text, Clauses) || strings.ContainsAny(text, " \t\r\n;\\") || strings.IndexByte(`"'{[#-@.`, text[0]) >= 0 {
		return false
	}
	return !strings.HasPrefix(text, "x'") && !strings.HasPrefix(text, "u64(")
}
