package stress

import "strings"

// Match reports whether a regular expression of ^ $ . * and | matches some part
// of name. (Package regexp would be a twentieth of the program; the matcher is
// Rob Pike's, from "The Practice of Programming".)
func Match(expr, name string) bool {
	for _, e := range strings.Split(expr, "|") {
		if rest, anchored := strings.CutPrefix(e, "^"); anchored {
			if matchHere(rest, name) {
				return true
			}
			continue
		}
		for i := range len(name) + 1 {
			if matchHere(e, name[i:]) {
				return true
			}
		}
	}
	return false
}

// matchHere matches at the beginning of text.
func matchHere(e, text string) bool {
	switch {
	case e == "" || e == "$" && text == "":
		return true
	case len(e) > 1 && e[1] == '*':
		for {
			if matchHere(e[2:], text) {
				return true
			}
			if text == "" || e[0] != '.' && e[0] != text[0] {
				return false
			}
			text = text[1:]
		}
	}
	return text != "" && (e[0] == '.' || e[0] == text[0]) && matchHere(e[1:], text[1:])
}
