package ui

import "strings"

// Wrap breaks lines of help that are wider than a terminal between words; width 0
// is no terminal. It breaks sentences, and what stands in a second column, which goes
// on there. Other lines that are indented a little are to be typed as they stand.
func Wrap(text string, width int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		at := 0 // where that begins which can be broken
		if row := strings.TrimLeft(line, " "); row != line {
			// Far in is where a second column goes on.
			if names := strings.Index(row, "  "); len(line)-len(row) <= 8 {
				if names < 0 {
					b.WriteString(line)
					continue
				}
				row = strings.TrimLeft(row[names:], " ")
			}
			at = len(line) - len(row)
		}
		writeWrapped(&b, line[:at], strings.TrimSuffix(line[at:], "\n"), width)
	}
	return b.String()
}

// writeWrapped writes a line of two parts, and breaks the second between words where
// it is wider than a terminal: it goes on in its column.
func writeWrapped(b *strings.Builder, head, text string, width int) {
	indent := CellWidth(head)
	if width == 0 || indent+CellWidth(text) <= width {
		b.WriteString(head + text + "\n")
		return
	}
	if indent > width/2 {
		indent = 8
		if head = strings.TrimRight(head, " "); head != "" {
			head += "\n"
		}
		head += "        "
	}
	b.WriteString(head)
	column := indent
	for _, word := range strings.Split(text, " ") { // "" where there are more spaces
		n := CellWidth(word)
		switch {
		case column == indent:
		case column+1+n > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	b.WriteByte('\n')
}
