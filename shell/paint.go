package shell

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/lightning-db/lightning/internal/ui"
)

// Where the cursor is and what is cleared is for us, not for readline, which
// takes every character for one cell wide when it moves back over them. It writes
// a prompt, what Paint returns, and moves of the cursor, all at once: Write
// leaves out what is behind the mark. And to clear what was drawn it begins with
// clearText.
const (
	mark      = 0
	clearText = "\x1b[J"
)

// Write writes to the terminal for readline.
func (e *editor) Write(b []byte) (int, error) {
	out := b
	if at := bytes.IndexByte(b, mark); at >= 0 {
		out = b[:at]
	} else if bytes.HasPrefix(b, []byte(clearText)) {
		l := layout{width: e.width()}
		row := 0
		for i, r := range e.shown {
			if here := l.put(r); i <= e.cursor {
				row = here.row
			}
		}
		if e.cursor >= len(e.shown) {
			row = l.end().row
		}
		// Not all at once from the first row, which could be that of the screen:
		// a terminal would keep what it clears.
		out = []byte(clearText + strings.Repeat("\x1b[2K\r\x1b[A", row) + "\x1b[2K\r")
		e.shown, e.cursor = nil, 0
	}
	if _, err := e.session.Err.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (e *editor) width() int { return max(e.session.ErrWidth(), 10) }

// move appends what moves the cursor that far.
func move(b []byte, by int, direction byte) []byte {
	if by == 0 {
		return b
	}
	return append(strconv.AppendInt(append(b, "\x1b["...), int64(by), 10), direction)
}

// A cell of the terminal is counted from that where the prompt begins.
type cell struct{ row, column int }

// A layout says where text is on a terminal.
type layout struct {
	width int
	at    cell // behind the text; in the column behind the last one, too
	cells ui.Cells
}

// put adds a rune, and returns where it is.
func (l *layout) put(r rune) cell {
	n := l.cells.Width(r)
	if n > 0 && l.at.column+n > l.width { // a wide one leaves the last column empty
		l.at = cell{l.at.row + 1, 0}
	}
	here := l.at
	l.at.column += n
	return here
}

// end returns where the next rune comes.
func (l *layout) end() cell {
	if l.at.column >= l.width {
		return cell{l.at.row + 1, 0}
	}
	return l.at
}

// visible is a rune as it is shown: ends of lines and tabs as signs, and nothing
// that moves the cursor.
func visible(r rune) rune {
	switch {
	case r == newline:
		return '⤶'
	case r == tab:
		return '→'
	case r >= pasted && r <= forward:
		return ' '
	case r < ' ' || r >= 0x7f && r < 0xa0:
		return '\ufffd'
	}
	return r
}

// Paint shows a line as it is edited: in colours, where there are any, what may
// follow behind it, and the cursor where it is.
func (e *editor) Paint(line []rune, pos int) []rune {
	ended := len(line) > 0 && line[len(line)-1] == '\n'
	if ended { // by Enter, or by Ctrl-C
		line = line[:len(line)-1]
	}
	looks, hint := e.look(line, !ended && pos == len(line))
	l := layout{width: e.width()}
	e.shown = append(e.shown[:0], []rune(e.shownPrompt)...)
	for _, r := range e.shown {
		l.put(r)
	}
	e.cursor = len(e.shown) + pos
	var out []byte
	cursor, last := cell{-1, 0}, Look(0)
	for i, r := range line {
		if looks != nil && looks[i] != last {
			last = looks[i]
			out = append(out, sgr[last]...)
		}
		r = visible(r)
		here := l.put(r)
		if i == pos {
			cursor = here
		}
		out = utf8.AppendRune(out, r)
		e.shown = append(e.shown, r)
	}
	if last != 0 {
		out = append(out, sgr[0]...)
	}
	if ended {
		e.shown, e.cursor = nil, 0
		return []rune(string(append(out, '\n', mark)))
	}
	end := l.end()
	if end != l.at { // the terminal waits with the next row
		out = append(out, ' ', '\r')
	}
	if cursor.row < 0 {
		cursor = end
	}
	away := pos < len(line)
	if room := l.width - 1 - end.column; hint != "" && room > 4 {
		away = true
		out = append(out, sgr[Faint]+ui.Cut(hint, room)+sgr[0]...)
	}
	if away {
		out = append(move(out, end.row-cursor.row, 'A'), '\r')
		out = move(out, min(cursor.column, l.width-1), 'C')
	}
	return []rune(string(append(out, mark)))
}

// look returns what each rune of a line is, nil without colours, and what may
// follow, where somebody types at its end.
func (e *editor) look(line []rune, typing bool) (looks []Look, hint string) {
	s := e.session
	if !s.ErrColor || !s.asked {
		return nil, ""
	}
	const gaveUp = "^C"
	end := len(line)
	if !typing && end >= len(gaveUp) && string(line[end-len(gaveUp):]) == gaveUp {
		end -= len(gaveUp)
	}
	looks = make([]Look, len(line))
	text := plain(string(line[:end]))
	if o := s.waits; o != (opening{}) && o.end(text) == 0 { // what is before has been looked at
		if o.depth == 0 {
			fill(looks[:end], Wrong)
		}
		return looks, ""
	}
	bytes, hint := s.look(s.before+text, typing)
	at := len(s.before)
	for i, r := range line[:end] {
		if at < len(bytes) {
			looks[i] = bytes[at]
		}
		at += len(plain(string(r)))
	}
	if e.finding {
		hint = ""
	}
	return looks, hint
}
