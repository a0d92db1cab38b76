package shell

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/lightning-db/lightning/internal/dump"
)

// mostKeys is how many keys or fields of the data are shown to choose from.
const mostKeys = 60

// A completion is what may stand where the cursor is.
type completion struct {
	typed      string   // what is there of it, or as much in quotes
	instead    int      // of so many characters that were typed without them
	candidates []string // each begins with typed, in their order
	more       bool     // there are others, between the last two
}

// add adds those that begin with what was typed; of the same in a row one.
func (c *completion) add(names ...string) {
	for i, name := range names {
		if strings.HasPrefix(name, c.typed) && (i == 0 || name != names[i-1]) {
			c.candidates = append(c.candidates, name)
		}
	}
}

// common is what all of them begin with.
func (c *completion) common() string {
	if len(c.candidates) == 0 {
		return c.typed
	}
	common := c.candidates[0]
	for _, other := range c.candidates[1:] {
		n := 0
		for n < len(common) && n < len(other) && common[n] == other[n] {
			n++
		}
		common = common[:n]
	}
	for common != "" && !utf8.ValidString(common) {
		common = common[:len(common)-1] // not half a character
	}
	return common
}

// complete says what may stand at the end of text.
func (s *Session) complete(text string) completion {
	words, typed := unfinished(text)
	c := completion{typed: typed}
	keys := s.completeWord(&c, words)
	if n := len(c.candidates); n > mostKeys { // fields, in order
		c.candidates, c.more = append(c.candidates[:mostKeys], c.candidates[n-1]), true
	}
	if keys != nil {
		s.completeKeys(&c, keys)
	}
	return c
}

// completeWord completes what begins behind words, but for keys, and returns what
// finds those, if one may be there, too.
func (s *Session) completeWord(c *completion, words []Word) Keys {
	typed := c.typed
	words = once(words)
	first := ""
	if len(words) > 0 {
		first = words[0].Text
	}
	about := In(first, " help ? .help") // which the host knows by one name
	if about {
		words = append([]Word{{Text: "help", Literal: -1}}, words[1:]...)
	}
	names := len(words) == 0 || about && len(words) == 1 // of settings
	if names && strings.HasPrefix(typed, ".") || !about && strings.HasPrefix(first, ".") {
		for _, t := range settings {
			if names {
				c.add("." + t.Name)
			} else if first[1:] == t.Name {
				c.add(strings.Fields(t.Choices)...)
			}
		}
	}
	found, keys := s.Host.Complete(words, typed)
	c.add(found...)
	return keys
}

// unfinished returns the words of the last statement of text, and what is there
// of the one that is not finished, quotes and all.
func unfinished(text string) (words []Word, typed string) {
	// A word that nothing follows is the one.
	const mark = "\u2588"
	statements, complete := Parse(text + mark)
	if len(statements) == 0 {
		return nil, ""
	}
	last := statements[len(statements)-1]
	if last.Err != nil && !complete { // an open quote
		end := 0
		if n := len(last.Words); n > 0 {
			end = last.Words[n-1].End
		}
		return last.Words, strings.TrimSuffix(strings.TrimLeft(last.Text[end:], " \t\r\n\\"), mark)
	}
	if len(last.Words) == 0 || last.Err != nil {
		return []Word{{Literal: -1}}, "" // of no command
	}
	n := len(last.Words) - 1
	return last.Words[:n], strings.TrimSuffix(last.Text[last.Words[n].Start:], mark)
}

// completeKeys completes a key of the data. Words without quotes may be written
// in another encoding, .keys hex for one: then all keys are in quotes.
func (s *Session) completeKeys(c *completion, find Keys) {
	prefix, quotes := c.typed, !In(s.Settings["keys"], " auto raw")
	single := strings.HasPrefix(prefix, "'")
	if single || strings.HasPrefix(prefix, `"`) {
		quotes = true
		var err error
		if prefix, err = literal(prefix + prefix[:1]); err != nil {
			return
		}
	} else if prefix != "" && (quotes || !plainWord(prefix)) {
		return
	}
	keys, more := find([]byte(prefix), mostKeys)
	if !quotes && prefix != "" && len(c.candidates) == 0 && slices.ContainsFunc(keys, func(key []byte) bool { return Quote(key)[0] == '"' }) {
		c.instead, c.typed, quotes = utf8.RuneCountInString(prefix), `"`+prefix, true
	}
	for _, key := range keys {
		word := Quote(key)
		switch {
		case single && dump.IsText(key): // others have escapes, which there are none of
			word = "'" + strings.ReplaceAll(string(key), "'", "''") + "'"
		case quotes && word[0] != '"':
			word = `"` + word + `"`
		}
		c.add(word)
	}
	c.more = more && len(c.candidates) > 1
}
