package query

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep arrays and objects of a document may be nested.
const maxDepth = 10_000

// A scanner checks that bytes are a JSON document, and notes on the way where
// the values are that its tree of names leads to.
type scanner struct {
	tree  trie
	slots []slot
	bad   bool
	text  []byte // a name without its escapes
}

// A trie is a place in a document: the root, or the member of that name.
type trie struct {
	name []byte
	slot int // where its value is noted, and before last those of all below it
	last int
	kids []*trie
	// lengths has a bit for the length of every name of kids, up to 63.
	lengths uint64
}

// A slot says where a value is in the document: for a string without quotes.
type slot struct {
	begin, end int
	kind       kind
	escaped    bool
}

// place returns the place that the names lead to.
func (s *scanner) place(names []string) *trie {
	t := &s.tree
next:
	for _, name := range names {
		for _, kid := range t.kids {
			if string(kid.name) == name {
				t = kid
				continue next
			}
		}
		kid := &trie{name: []byte(name)}
		t.kids = append(t.kids, kid)
		t.lengths |= 1 << min(len(name), 63)
		t = kid
	}
	return t
}

// number gives slots to the places of a tree that is complete.
func (s *scanner) number() {
	n := 0
	s.tree.number(&n)
	s.slots = make([]slot, n)
}

func (t *trie) number(n *int) {
	t.slot = *n
	*n++
	for _, kid := range t.kids {
		kid.number(n)
	}
	t.last = *n
}

// scan fills the slots from a document. What is not JSON is null.
func (s *scanner) scan(doc []byte) {
	s.set(0, s.tree.last, missing)
	end := s.value(doc, 0, &s.tree, maxDepth)
	if s.bad = end < 0 || space(doc, end) < len(doc); s.bad {
		s.set(0, s.tree.last, missing)
	}
}

func (s *scanner) set(from, to int, k kind) {
	for i := from; i < to; i++ {
		s.slots[i].kind = k
	}
}

// value steps over the value at b[i], or behind space there, which is at a
// place that is asked for unless t is nil. It returns where the value ends, or
// -1 for what is not JSON.
func (s *scanner) value(b []byte, i int, t *trie, depth int) int {
	if i = space(b, i); i >= len(b) {
		return -1
	}
	at := slot{begin: i}
	switch c := b[i]; c {
	case '"':
		at.kind, at.begin = str, i+1
		i, at.escaped = stringEnd(b, i+1)
		if i < 0 {
			return -1
		}
		at.end = i
		i++
	case '{':
		at.kind = object
		if t != nil && len(t.kids) > 0 {
			s.set(t.slot+1, t.last, missing)
		}
		i = s.object(b, i+1, t, depth-1)
		at.end = i
	case '[':
		at.kind = array
		i = s.array(b, i+1, depth-1)
		at.end = i
	case 't', 'f', 'n':
		word := "null"
		switch c {
		case 't':
			at.kind, word = yes, "true"
		case 'f':
			at.kind, word = no, "false"
		}
		if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
			return -1
		}
		i += len(word)
	default:
		at.kind = number
		i = numberEnd(b, i)
		at.end = i
	}
	if t != nil {
		s.slots[t.slot] = at
		if at.kind != object && len(t.kids) > 0 {
			below := noObject
			if at.kind == null {
				below = missing
			}
			s.set(t.slot+1, t.last, below)
		}
	}
	return i
}

// object steps over the rest of an object.
func (s *scanner) object(b []byte, i int, t *trie, depth int) int {
	if i = space(b, i); i < len(b) && b[i] == '}' {
		return i + 1
	}
	for depth > 0 {
		if i >= len(b) || b[i] != '"' {
			return -1
		}
		begin := i + 1
		end, escaped := stringEnd(b, begin)
		if end < 0 {
			return -1
		}
		var kid *trie
		if t != nil && (escaped || t.lengths>>min(end-begin, 63)&1 != 0) {
			kid = s.kid(t, b[begin:end], escaped)
		}
		if i = space(b, end+1); i >= len(b) || b[i] != ':' {
			return -1
		}
		// Strings and numbers that nobody asks for are stepped over here: most of
		// a document is that.
		switch i++; {
		case kid != nil || i >= len(b):
			i = s.value(b, i, kid, depth)
		case b[i] == '"':
			i, _ = stringEnd(b, i+1)
			i++
		case b[i]-'0' <= 9:
			i = numberEnd(b, i)
		default:
			i = s.value(b, i, nil, depth)
		}
		if i <= 0 {
			return -1
		}
		if i = space(b, i); i >= len(b) {
			return -1
		}
		if b[i] == '}' {
			return i + 1
		}
		if b[i] != ',' {
			return -1
		}
		i = space(b, i+1)
	}
	return -1
}

// kid returns the place of a member of t, nil if nothing there is asked for.
func (s *scanner) kid(t *trie, name []byte, escaped bool) *trie {
	if escaped {
		s.text = appendUnescaped(s.text[:0], name)
		name = s.text
	}
	for _, kid := range t.kids {
		if string(kid.name) == string(name) {
			return kid
		}
	}
	return nil
}

// array steps over the rest of an array.
func (s *scanner) array(b []byte, i, depth int) int {
	if i = space(b, i); i < len(b) && b[i] == ']' {
		return i + 1
	}
	for depth > 0 {
		if i = s.value(b, i, nil, depth); i < 0 {
			return -1
		}
		if i = space(b, i); i >= len(b) {
			return -1
		}
		if b[i] == ']' {
			return i + 1
		}
		if b[i] != ',' {
			return -1
		}
		i++
	}
	return -1
}

func space(b []byte, i int) int {
	// One comparison where there is none, as almost everywhere.
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// stringEnd returns where the closing quote is of the string that begins at i,
// or -1, and whether there are escapes before it.
func stringEnd(b []byte, i int) (end int, escaped bool) {
	// Eight bytes at a time: the lowest bit of hit marks the first byte that is
	// no plain one. With its second bit flipped, a quote follows the control
	// characters, and both are below 0x21.
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		hit := (((x ^ ones*2) - ones*0x21) | ((x ^ ones*'\\') - ones)) &^ x & tops
		if hit == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(hit) / 8
		if b[i] == '"' {
			return i, escaped
		}
		n := escapeLength(b[i:])
		if n == 0 {
			return -1, false
		}
		i += n
		escaped = true
	}
	for i < len(b) && b[i] >= ' ' {
		switch b[i] {
		case '"':
			return i, escaped
		case '\\':
			n := escapeLength(b[i:])
			if n == 0 {
				return -1, false
			}
			i += n
			escaped = true
		default:
			i++
		}
	}
	return -1, false
}

// escapeLength is the length of the escape that b begins with, 0 if it is none.
func escapeLength(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b[2:]); ok {
			return 6
		}
	}
	return 0
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// escapes are what follows a backslash, from b on.
const escapes = "\b...\f.......\n...\r.\t"

// appendUnescaped appends the content of a string with its escapes resolved;
// half of a surrogate pair is U+FFFD, as in jq.
func appendUnescaped(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			dst = append(dst, s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case 'b', 'f', 'n', 'r', 't':
			dst = append(dst, escapes[c-'b'])
		case 'u':
			r, _ := hex4(s[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				pair := rune(utf8.RuneError)
				if i+2 < len(s) && s[i+1] == '\\' && s[i+2] == 'u' {
					second, _ := hex4(s[i+3:])
					pair = utf16.DecodeRune(r, second)
				}
				if r = pair; r != utf8.RuneError {
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
		default: // " \ /
			dst = append(dst, c)
		}
	}
	return dst
}

// numberEnd returns where the number at i ends, or -1 where there is none.
func numberEnd(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = digits(b, i); i < 0 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		if i = digits(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return digits(b, i)
	}
	return i
}

// digits steps over digits, of which there must be one.
func digits(b []byte, i int) int {
	begin := i
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	if i == begin {
		return -1
	}
	return i
}
