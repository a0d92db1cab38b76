package shell

import "strings"

// A Look is what a part of a statement is, as it is shown.
type Look byte

const (
	Plain   Look = iota
	Command      // or a word that begins a clause, or a setting
	Flag
	Text // in quotes
	Number
	Wrong // an unknown command, an open quote
	Faint // a hint
)

// sgr is what turns each look on, and others off.
var sgr = [...]string{
	Plain: "\x1b[0m", Command: "\x1b[0;1m", Flag: "\x1b[0;36m", Text: "\x1b[0;32m", Number: "\x1b[0;33m", Wrong: "\x1b[0;31m", Faint: "\x1b[0;90m",
}

// look returns what each byte of text is, and what may follow it. While somebody
// types at its end, the last word is not wrong as long as it may become right.
func (s *Session) look(text string, typing bool) (looks []Look, hint string) {
	looks = make([]Look, len(text))
	statements, _ := Parse(text)
	for i := range statements {
		st := &statements[i]
		end := st.at + len(st.Text)
		last := i == len(statements)-1
		var of []Look
		of, hint = s.lookOf(st.Words, typing && last && st.Err == nil && end == len(text))
		behind := 0
		for j, w := range st.Words {
			if w.Literal >= 0 && of[j] == Plain {
				of[j] = Text
			}
			fill(looks[st.at+w.Start:st.at+w.End], of[j])
			behind = w.End
		}
		if st.Err != nil {
			hint = ""
			if rest := strings.TrimLeft(st.Text[behind:], " \t\n\\"); st.Err != errOpenJSON {
				fill(looks[end-len(rest):end], Wrong)
			}
		} else if c := text[len(text)-1]; last && hint != "" && !isBlank(c) {
			hint = " " + hint
		}
		if !last || strings.ContainsAny(text[end:], ";\n") {
			hint = ""
		}
	}
	if !typing {
		hint = ""
	}
	return looks, hint
}

func fill(looks []Look, l Look) {
	for i := range looks {
		looks[i] = l
	}
}

// lookOf is look for the words of a statement; unfinished says that the last is.
func (s *Session) lookOf(words []Word, unfinished bool) (looks []Look, hint string) {
	looks = make([]Look, len(words))
	rest := words
	if len(rest) > 1 && rest[0].isNumber() {
		looks[0], rest = Number, rest[1:]
	}
	if len(rest) == 0 {
		return looks, ""
	}
	of := looks[len(looks)-len(rest):]
	first := rest[0]
	switch {
	case first.Literal >= 0:
	case In(first.Text, ` exit quit \q help ?`):
		of[0] = Command
	case strings.HasPrefix(first.Text, "."):
		of[0] = Wrong
		for _, t := range settings {
			if first.Text[1:] != t.Name {
				continue
			}
			of[0] = Command
			switch {
			case len(rest) == 1:
				hint = t.Args
			case t.Name == "watch":
				if hint, of[1] = "STATEMENT", Number; len(rest) > 2 {
					var behind []Look
					behind, hint = s.lookOf(rest[2:], unfinished)
					copy(of[2:], behind)
				}
			case t.Choices != "" && !In(rest[1].Text, t.Choices):
				of[1] = Wrong
			}
		}
	default:
		var found []Look
		found, hint = s.Host.Look(rest)
		copy(of, found)
	}
	for i, w := range rest {
		if of[i] == Plain && w.isNumber() {
			of[i] = Number
		}
	}
	if n := len(rest) - 1; of[n] == Wrong {
		hint = ""
		if unfinished {
			c := completion{typed: rest[n].Text}
			s.completeWord(&c, rest[:n])
			if len(c.candidates) > 0 {
				of[n] = Plain
			}
		}
	}
	return looks, hint
}
