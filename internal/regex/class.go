package regex

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A class is a set of characters: of those that are in any of its sets, or, with
// not, of all others.
type class struct {
	sets  []set
	fold  bool // small and capital letters are the same
	not   bool
	ascii [2]uint64 // a bit for each of the first 128
}

// A set is the characters of ranges, from one to the next, or all others.
type set struct {
	ranges []rune
	not    bool
}

// add adds the characters from lo to hi.
func (c *class) add(lo, hi rune) {
	if n := len(c.sets); n == 0 || c.sets[n-1].not {
		c.sets = append(c.sets, set{})
	}
	last := &c.sets[len(c.sets)-1]
	last.ranges = append(last.ranges, lo, hi)
}

// groups are the classes with names, as ranges, of ASCII only.
var groups = [...]struct{ name, ranges string }{
	{"d", "09"},
	{"s", "\t\n\f\r  "},
	{"w", "09AZ__az"},
	{"alnum", "09AZaz"},
	{"alpha", "AZaz"},
	{"ascii", "\x00\x7f"},
	{"blank", "\t\t  "},
	{"cntrl", "\x00\x1f\x7f\x7f"},
	{"digit", "09"},
	{"graph", "!~"},
	{"lower", "az"},
	{"print", " ~"},
	{"punct", "!/:@[`{~"},
	{"space", "\t\r  "},
	{"upper", "AZ"},
	{"word", "09AZ__az"},
	{"xdigit", "09AFaf"},
}

// addGroup adds a class with a name: alpha, or what is not of it, ^alpha; d, or
// D. It reports whether there is one.
func (c *class) addGroup(name string) bool {
	name, not := strings.CutPrefix(name, "^")
	if len(name) == 1 && name[0] < 'a' {
		name, not = strings.ToLower(name), true
	}
	for i := range groups {
		if groups[i].name == name {
			c.sets = append(c.sets, set{[]rune(groups[i].ranges), not})
			return true
		}
	}
	return false
}

// listed notes which of the first characters are in a class that is complete.
func (c *class) listed() *class {
	for r := range rune(utf8.RuneSelf) {
		if c.find(r) {
			c.ascii[r>>6] |= 1 << (r & 63)
		}
	}
	return c
}

func (c *class) has(r rune) bool {
	if uint32(r) < utf8.RuneSelf {
		return c.ascii[r>>6]>>(r&63)&1 != 0
	}
	return c.find(r)
}

func (c *class) find(r rune) bool {
	for i := range c.sets {
		if c.sets[i].find(r, c.fold) != c.sets[i].not {
			return !c.not
		}
	}
	return c.not
}

func (s *set) find(r rune, fold bool) bool {
	for same := r; ; {
		for i := 0; i < len(s.ranges); i += 2 {
			if s.ranges[i] <= same && same <= s.ranges[i+1] {
				return true
			}
		}
		if !fold {
			return false
		}
		if same = unicode.SimpleFold(same); same == r {
			return false
		}
	}
}
