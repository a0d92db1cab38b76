package ui

import "github.com/mattn/go-runewidth"

// Cells counts the cells of a terminal that the runes of a text take, one after the
// other. A symbol and what is bound to it, by a zero-width joiner or as its colour,
// take two, for a terminal shows one picture: 👩‍🚀, 👍🏽. Letters that are joined keep
// theirs.
type Cells struct {
	symbol int  // cells of the symbol before, 0 if none is
	joined bool // it has a joiner behind it
}

// Width returns how many cells the next rune takes.
func (c *Cells) Width(r rune) (n int) {
	symbol := r >= 0x2190 && r < 0x2e80 || r >= 0x1f000
	// Of a picture that is no letter, of a skin, of the flag of a country's part.
	colour := r == 0xfe0f || r >= 0x1f3fb && r <= 0x1f3ff || r>>7 == 0xe0000>>7
	switch {
	case c.symbol > 0 && r == 0x200d:
		c.joined = true
		return 0
	case c.symbol > 0 && (colour || c.joined && symbol):
		n, c.symbol = 2-c.symbol, 2
	default:
		if n = runewidth.RuneWidth(r); r >= 0x1fa70 && r < 0x1fb00 || r >= 0x1f6dc && r < 0x1f6e0 || r == 0x1f7f0 { // emoji, some newer than its table
			n = 2
		}
		if c.symbol = 0; symbol {
			c.symbol = n
		}
	}
	c.joined = false
	return n
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
