package ui

import "github.com/mattn/go-runewidth"

// Cells counts the cells of a terminal that the runes of a text take, one after the
// other. A symbol that a zero-width joiner binds to what is before it takes none, for
// a terminal shows one picture: 👩‍🚀. Letters that are joined keep theirs.
type Cells struct{ before byte }

// What is before a rune, if it matters.
const (
	picture byte = iota + 1 // a symbol that takes cells, with its colour
	joiner                  // behind a symbol
	bound                   // a symbol that takes none, with its colour
)

// Width returns how many cells the next rune takes.
func (c *Cells) Width(r rune) int {
	symbol := r >= 0x2190 && r < 0x2e80 || r >= 0x1f000
	colour := r == 0xfe0f || r >= 0x1f3fb && r <= 0x1f3ff // a picture and not a letter, or of a skin
	switch {
	case r == 0x200d && c.before != 0:
		c.before = joiner
	case c.before == joiner && symbol, c.before == bound && colour:
		c.before = bound
	default:
		if symbol || c.before == picture && colour {
			c.before = picture
		} else {
			c.before = 0
		}
		return runewidth.RuneWidth(r)
	}
	return 0
}

// CellWidth is how many cells of a terminal text takes.
func CellWidth(text string) (n int) {
	var c Cells
	for _, r := range text {
		n += c.Width(r)
	}
	return n
}

// Cut cuts text to at most that many cells, with … where something is gone.
func Cut(text string, most int) string { return cut(text, most, "…") }

// cut is Cut, with another tail.
func cut(text string, most int, tail string) string {
	if CellWidth(text) <= most {
		return text
	}
	var c Cells
	most -= CellWidth(tail)
	for i, r := range text {
		if most -= c.Width(r); most < 0 {
			return text[:i] + tail
		}
	}
	return text
}
