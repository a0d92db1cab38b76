package query

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/lightning-db/lightning/internal/dump"
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
	name  []byte
	head  uint64 // of name
	slot  int    // where its value is noted, and before last those of all below it
	last  int
	kids  []*trie
	marks uint64 // a bit for the mark of the name of every kid
	// seen is the names that the last document had here, in their order: the next
	// one mostly has the same.
	seen []seen
}

// A seen is a name of up to seven bytes, with the quote that ends it. Without a
// mask it is none.
type seen struct {
	text, mask uint64
	length     int // with the quote
	kid        *trie
}

// mostSeen bounds what is remembered of a document.
const mostSeen = 64

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
		kid := &trie{name: []byte(name), head: head([]byte(name), 0, len(name))}
		t.kids = append(t.kids, kid)
		t.marks |= 1 << mark([]byte(name+`"`), 0, len(name))
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
	end := s.value(doc, 0, &s.tree, maxDepth)
	if s.bad = end < 0 || dump.Space(doc, end) < len(doc); s.bad {
		s.set(0, s.tree.last, missing)
	}
}

func (s *scanner) set(from, to int, k kind) {
	for i := from; i < to; i++ {
		s.slots[i].kind = k
	}
}

// value steps over the value at b[i], or behind space there, which is at the
// place t. It returns where the value ends, or -1 for what is not JSON.
func (s *scanner) value(b []byte, i int, t *trie, depth int) int {
	if i = dump.Space(b, i); i >= len(b) {
		return -1
	}
	at := slot{begin: i}
	switch b[i] {
	case '"':
		at.kind, at.begin = str, i+1
		if i, at.escaped = dump.StringEnd(b, i+1); i < 0 {
			return -1
		}
		at.end = i
		i++
	case '{':
		if depth == 0 {
			return -1
		}
		at.kind = object
		s.set(t.slot+1, t.last, missing)
		i = s.object(b, i+1, t, depth-1)
		at.end = i
	case '[':
		at.kind = array
		i = dump.ValueEnd(b, i, depth)
		at.end = i
	case 't':
		at.kind = yes
		i = dump.WordEnd(b, i)
	case 'f':
		at.kind = no
		i = dump.WordEnd(b, i)
	case 'n':
		i = dump.WordEnd(b, i)
	default:
		at.kind = number
		i = dump.NumberEnd(b, i)
		at.end = i
	}
	s.slots[t.slot] = at
	if at.kind != object && len(t.kids) > 0 {
		below := noObject
		if at.kind == null {
			below = missing
		}
		s.set(t.slot+1, t.last, below)
	}
	return i
}

// object steps over the rest of the object that is at t. What is between its
// parts is mostly no space, so that is asked for last.
func (s *scanner) object(b []byte, i int, t *trie, depth int) int {
	if i = dump.Space(b, i); i < len(b) && b[i] == '}' {
		return i + 1
	}
	for n := 0; i < len(b) && b[i] == '"'; n++ {
		var kid *trie
		if i++; n < len(t.seen) && i+8 <= len(b) && binary.LittleEndian.Uint64(b[i:])&t.seen[n].mask == t.seen[n].text {
			kid = t.seen[n].kid
			i += t.seen[n].length
		} else if i, kid = s.name(b, i, t, n); i < 0 {
			return -1
		}
		if i >= len(b) || b[i] != ':' {
			if i = dump.Space(b, i); i >= len(b) || b[i] != ':' {
				return -1
			}
		}
		switch i++; {
		case kid != nil:
			i = s.value(b, i, kid, depth)
		case i < len(b) && b[i] == '"':
			i, _ = dump.StringEnd(b, i+1)
			i++
		default:
			i = dump.ValueEnd(b, i, depth)
		}
		if i <= 0 {
			return -1
		}
		if i >= len(b) || b[i] != ',' {
			if i = dump.Space(b, i); i >= len(b) {
				return -1
			}
			if b[i] == '}' {
				return i + 1
			}
			if b[i] != ',' {
				return -1
			}
		}
		if i++; i >= len(b) || b[i] != '"' {
			i = dump.Space(b, i)
		}
	}
	return -1
}

// name steps over the rest of the n-th name of an object, with its quote, and
// returns the place of that member of t, nil if nothing there is asked for.
func (s *scanner) name(b []byte, begin int, t *trie, n int) (int, *trie) {
	end, escaped := dump.StringEnd(b, begin)
	if end < 0 {
		return -1, nil
	}
	var kid *trie
	if escaped || t.marks>>mark(b, begin, end)&1 != 0 {
		kid = s.kid(t, b, begin, end, escaped)
	}
	if n == len(t.seen) && n < mostSeen {
		t.seen = append(t.seen, seen{})
	}
	if n < len(t.seen) {
		it := seen{text: 1} // matches nothing
		if length := end + 1 - begin; length <= 8 && !escaped {
			it = seen{head(b, begin, end+1), 1<<(8*length) - 1, length, kid}
		}
		t.seen[n] = it
	}
	return end + 1, kid
}

// kid returns the place of the member of t whose name is b[begin:end], nil if
// nothing there is asked for.
func (s *scanner) kid(t *trie, b []byte, begin, end int, escaped bool) *trie {
	if escaped {
		s.text = appendUnescaped(s.text[:0], b[begin:end])
		b, begin, end = s.text, 0, len(s.text)
	}
	first := head(b, begin, end)
	for _, kid := range t.kids {
		if kid.head == first && len(kid.name) == end-begin && (end-begin <= 8 || string(kid.name) == string(b[begin:end])) {
			return kid
		}
	}
	return nil
}

// mark tells most names apart, by their length and their first byte. It is less
// than 64.
func mark(b []byte, begin, end int) int { return (int(b[begin]) + 5*(end-begin)) & 63 }

// head is the first eight bytes of b[begin:end], and zeros where it is shorter.
func head(b []byte, begin, end int) (x uint64) {
	if begin+8 <= len(b) {
		x = binary.LittleEndian.Uint64(b[begin:])
		if n := end - begin; n < 8 {
			x &= 1<<(8*n) - 1
		}
		return x
	}
	for i := end - 1; i >= begin; i-- {
		x = x<<8 | uint64(b[i])
	}
	return x
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
