package shell

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/chzyer/readline"

	"github.com/lightning-db/lightning/internal/ui"
)

// Runes that stand for others in a line that is edited: they are among those
// that will never be characters, and are in no text.
const (
	newline  = '\ufdda' // in the history, too
	tab      = '\ufdd9'
	pasted   = '\ufdd1' // what was pasted is to be put here
	complete = '\ufdd2' // Tab
	forward  = '\ufdd3' // the character behind the cursor is to go: to readline, Delete is Ctrl-D
)

// An editor is the line source of a terminal: readline, with what it lacks. It
// is the only file that knows of it.
type editor struct {
	session *Session
	op      *readline.Operation
	term    *readline.Terminal
	keys    *keys
	prompt  string
	line    string // as readline has it, unless it was ended
	gone    bool   // the terminal: readline ended with it

	shownPrompt string
	shown       []rune // on the terminal, the prompt and all
	cursor      int    // in shown

	history history
	items   []string // of the history, oldest first
	at      int      // the one that is shown, or behind the last: what was typed
	typed   string   // while another is shown
	finding bool     // Ctrl-R: typed text is searched for
	sought  string
}

func newEditor(ctx context.Context, s *Session) (*editor, error) {
	ctx, cancel := context.WithCancel(ctx)
	e := &editor{session: s, keys: &keys{in: ui.Stoppable(ctx, readline.Stdin, s.interrupts), close: cancel}}
	var err error
	e.term, err = readline.NewTerminal(&readline.Config{
		Stdin: e.keys, Stdout: e, Stderr: e, // standard output is for data
		ForceUseInteractive: true,
		FuncGetWidth:        func() int { return 1 << 30 }, // rows are for us: it takes half a minute for those of a long line
		Listener:            e,
		Painter:             e,
		FuncFilterInputRune: e.filter,
	})
	if err != nil {
		return nil, err
	}
	e.op = e.term.Readline()
	e.history, e.items = openHistory(s.History)
	return e, nil
}

func (e *editor) Close() error {
	e.op.Close()
	return e.term.Close()
}

// errGone is no io.EOF, which somebody types: a value that has come in part is not
// all of it.
var errGone = errors.New("the terminal is gone")

// Terminals put what is pasted between two marks when they are told to.
const marksOn, marksOff = "\x1b[?2004h", "\x1b[?2004l"

func (e *editor) ReadLine(prompt string) (string, error) {
	if e.gone { // readline says so once, and then would be waited for for ever
		return "", errGone
	}
	_, _ = io.WriteString(e.session.Err, marksOn)
	e.prompt, e.line, e.at, e.finding = prompt, "", len(e.items), false
	e.setPrompt(prompt)
	line, err := e.op.Runes()
	_, _ = io.WriteString(e.session.Err, marksOff)
	switch {
	case e.gone:
		return "", errGone
	case err == readline.ErrInterrupt:
		return "", errCleared
	}
	return plain(string(line)), err
}

func (e *editor) setPrompt(prompt string) {
	e.shownPrompt = prompt
	e.op.SetPrompt(prompt)
}

// plain and edited turn text into what is edited, and back.
func plain(line string) string {
	return strings.ReplaceAll(strings.ReplaceAll(line, string(newline), "\n"), string(tab), "\t")
}

func edited(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\n", string(newline)), "\t", string(tab))
}

// Save keeps what began with no space, and is not what was kept last.
func (e *editor) Save(text string) {
	item := edited(strings.TrimRight(text, "\n"))
	if strings.TrimSpace(text) == "" || text[0] == ' ' || len(e.items) > 0 && item == e.items[len(e.items)-1] {
		return
	}
	e.items = append(e.items, item)
	e.history.add(item)
}

// filter does what keys are for that readline does otherwise, or not: Ctrl-L
// clears the screen, Ctrl-Z stops the process, arrows and Ctrl-R show the
// history, and Tab is one of our runes.
func (e *editor) filter(r rune) (rune, bool) {
	const nothing = readline.CharBell // to readline
	switch {
	case r == 0: // the terminal is gone: readline would run what is half typed
		e.gone, e.finding = true, false
		e.show("")
		return r, true
	case r == readline.CharCtrlZ:
		e.suspend()
	case r == readline.MetaTranspose || r == readline.CharTranspose && utf8.RuneCountInString(e.line) < 2:
		// Readline would insert the one, and moves behind the line with the other.
	case r == readline.CharBckSearch && !e.finding:
		e.typed, e.at, e.finding, e.sought = e.line, len(e.items), true, ""
		e.find(e.at, 1)
		return nothing, true
	case e.finding:
		switch {
		case r == readline.CharBckSearch:
			e.find(e.at-1, -1)
		case r == readline.CharFwdSearch:
			e.find(e.at+1, 1)
		case r == readline.CharBackspace || r == readline.CharCtrlH:
			_, n := utf8.DecodeLastRuneInString(e.sought)
			e.sought = e.sought[:len(e.sought)-n]
			e.find(len(e.items)-1, -1)
		case r == pasted:
			e.sought += edited(e.keys.takePaste())
			e.find(min(e.at, len(e.items)-1), -1)
		case r >= ' ' && (r < pasted || r > forward):
			e.sought += string(r)
			e.find(min(e.at, len(e.items)-1), -1)
		default: // the search ends
			e.finding = false
			e.op.Clean()
			e.setPrompt(e.prompt)
			if r == readline.CharInterrupt || r == readline.CharBell {
				e.at = len(e.items)
				e.show(e.typed)
			} else {
				e.show(e.line)
			}
			switch r {
			case readline.CharInterrupt:
				return r, false
			case readline.CharTab, readline.CharBell:
				return nothing, true
			}
			if ends(r) {
				e.line = ""
			}
			return r, true
		}
		return nothing, true
	case r == readline.CharPrev && e.at > 0:
		if e.at == len(e.items) {
			e.typed = e.line
		}
		e.at--
		e.show(e.items[e.at])
	case r == readline.CharNext && e.at < len(e.items):
		line := e.typed
		if e.at++; e.at < len(e.items) {
			line = e.items[e.at]
		}
		e.show(line)
	case r == readline.CharTab:
		return complete, true
	case r == readline.CharCtrlL:
		_, _ = io.WriteString(e.session.Err, "\x1b[2J")
		return r, true
	default:
		if ends(r) {
			e.line = ""
		}
		return r, true
	}
	return nothing, true
}

// ends reports whether behind a key the line can be somebody else's, if nothing
// is left in it.
func ends(r rune) bool {
	return r == readline.CharEnter || r == readline.CharCtrlJ || r == readline.CharInterrupt || r == readline.CharDelete
}

// suspend stops the process until somebody continues it. Others may use the
// terminal meanwhile.
func (e *editor) suspend() {
	e.op.Clean()
	_, _ = io.WriteString(e.session.Err, marksOff)
	_ = e.term.ExitRawMode()
	stopProcess()
	_ = e.term.EnterRawMode()
	_, _ = io.WriteString(e.session.Err, marksOn)
	e.op.Refresh()
}

// show makes text the line, with the cursor at its end.
func (e *editor) show(text string) {
	e.line = text
	e.op.SetBuffer(text)
}

// find shows the first item from the one at i on, backward or forward, that has
// what is sought in it.
func (e *editor) find(i, step int) {
	what := "not found"
	for ; i >= 0 && i < len(e.items); i += step {
		if strings.Contains(strings.ToLower(e.items[i]), strings.ToLower(e.sought)) {
			e.at, e.line, what = i, e.items[i], "search"
			break
		}
	}
	if e.sought == "" {
		what = "search"
	}
	e.op.Clean()
	e.setPrompt(what + " `" + strings.Map(visible, e.sought) + "': ")
	e.show(e.line)
}

// OnChange does what our runes stand for, and takes them out of the line. What
// was pasted comes at once: readline draws the line anew for every rune.
func (e *editor) OnChange(line []rune, pos int, key rune) ([]rune, int, bool) {
	if len(line) > 0 || !ends(key) {
		e.line = string(line)
	}
	var paste string
	if key == pasted {
		paste = e.keys.takePaste()
	}
	if key < pasted || key > forward || pos == 0 || pos > len(line) || line[pos-1] != key {
		return nil, 0, false
	}
	rest := line[pos:]
	line = line[: pos-1 : pos-1]
	switch {
	case key == complete:
		line, paste = e.complete(line)
	case key == forward && len(rest) > 0:
		rest = rest[1:]
	}
	line = append(line, []rune(edited(paste))...)
	pos = len(line)
	line = append(line, rest...)
	e.line = string(line)
	return line, pos, true
}

// complete returns the line, and what all candidates have in common behind it. If
// that is nothing, it shows them.
func (e *editor) complete(line []rune) ([]rune, string) {
	c := e.session.complete(plain(string(line)))
	common := c.common()
	switch {
	case len(c.candidates) == 0:
		return line, ""
	case len(c.candidates) == 1 && !strings.HasSuffix(common, "("): // of a function
		common += " "
	case len(common) == len(c.typed) && c.instead == 0:
		e.op.Clean()
		_, _ = io.WriteString(e.session.Err, listed(c, e.session.ErrWidth()))
	}
	if c.instead > 0 {
		return line[:len(line)-c.instead], common
	}
	return line, common[len(c.typed):]
}

// listed shows candidates in columns.
func listed(c completion, width int) string {
	cells := c.candidates
	if n := len(cells); c.more {
		cells = append(cells[:n-1:n-1], "…", cells[n-1])
	}
	widest := 0
	for _, cell := range cells {
		widest = max(widest, ui.CellWidth(cell)+2)
	}
	columns := max(width/max(widest, 1), 1)
	rows := (len(cells) + columns - 1) / columns
	var b strings.Builder
	for row := range rows {
		for i := row; i < len(cells); i += rows {
			b.WriteString(cells[i])
			if i+rows < len(cells) {
				b.WriteString(strings.Repeat(" ", widest-ui.CellWidth(cells[i])))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// keys reads what a terminal sends and gives readline what it knows: other names
// of Home and End, and of Ctrl with an arrow; what is pasted, or text that comes at
// once, as one rune, with the text kept aside; and nothing for keys that it would take
// for text, or, if it is Ctrl-Space, for the end of the terminal.
type keys struct {
	in      io.Reader // ui.ErrStopped is Ctrl-C, too
	close   func()
	out     []byte
	run     []byte // of text so far
	escape  []byte // an escape sequence so far
	pasting bool
	paste   []byte

	mu     sync.Mutex
	pastes []string // guarded by mu: not yet taken
}

func (k *keys) Read(p []byte) (int, error) {
	for len(k.out) == 0 {
		var raw [4096]byte
		n, err := k.in.Read(raw[:])
		for _, c := range raw[:n] {
			k.take(c)
		}
		if r, n := utf8.DecodeLastRune(k.run); r != utf8.RuneError || n != 1 { // or the rest of a character comes
			k.endRun()
		}
		switch {
		case err == ui.ErrStopped:
			k.give(readline.CharInterrupt)
		case err != nil && len(k.out) == 0:
			return 0, err
		}
	}
	n := copy(p, k.out)
	k.out = k.out[n:]
	return n, nil
}

// Close ends a Read that waits.
func (k *keys) Close() error {
	k.close()
	return nil
}

const escape = 0x1b

// meaningless are the keys with Ctrl that neither readline nor the filter knows.
const meaningless = "\x00\x0f\x11\x16\x18\x1c\x1d\x1e\x1f"

func (k *keys) take(c byte) {
	switch n := len(k.escape); {
	case n > 1 && c < ' ' && !k.pasting, n == 1 && c >= utf8.RuneSelf: // no part of a sequence: Ctrl-C behind Alt-[, Alt-é
		k.escape = k.escape[:0]
		k.take(c)
	case n == 0 && c == escape, n == 1 && (c == '[' || c == 'O'):
		k.escape = append(k.escape, c)
	case n == 1 && c == escape: // the first was a key of its own
	case n == 1:
		if k.escape = k.escape[:0]; !k.pasting && strings.IndexByte(meaningless, c) < 0 {
			k.give(escape, c)
		}
	case n > 1:
		k.escape = append(k.escape, c)
		if c >= '@' && c <= '~' && (n > 2 || c != '[') { // F1 of a console is ESC [ [ A
			k.sequence(string(k.escape))
			k.escape = k.escape[:0]
		}
	case k.pasting:
		k.paste = append(k.paste, c)
	case strings.IndexByte(meaningless, c) >= 0:
	case c >= ' ' && c != 0x7f:
		k.run = append(k.run, c)
	default:
		k.give(c)
	}
}

// give gives readline a key, behind the text before it.
func (k *keys) give(key ...byte) {
	k.endRun()
	k.out = append(k.out, key...)
}

// endRun gives readline the text that came: more than one character at once is
// a paste, whether the terminal says so or not.
func (k *keys) endRun() {
	if utf8.RuneCount(k.run) > 1 {
		k.insert(string(k.run))
	} else {
		k.out = append(k.out, k.run...)
	}
	k.run = k.run[:0]
}

// insert gives readline what stands for text, and keeps that for takePaste.
func (k *keys) insert(text string) {
	k.out = append(k.out, string(pasted)...)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pastes = append(k.pastes, text)
}

// sequence translates an escape sequence.
func (k *keys) sequence(s string) {
	if k.pasting && s != "\x1b[201~" {
		return
	}
	switch s {
	case "\x1b[200~":
		k.pasting = true
		return
	case "\x1b[201~":
		k.endPaste()
		return
	case "\x1b[1~", "\x1b[7~":
		s = "\x01"
	case "\x1b[4~", "\x1b[8~":
		s = "\x05"
	case "\x1b[1;5C", "\x1b[1;3C", "\x1bOc":
		s = "\x1bf"
	case "\x1b[1;5D", "\x1b[1;3D", "\x1bOd":
		s = "\x1bb"
	case "\x1b[3~":
		s = string(forward)
	default:
		if len(s) != 3 || strings.IndexByte("ABCDHF", s[2]) < 0 {
			return
		}
	}
	k.give([]byte(s)...)
}

// endPaste gives readline what was pasted.
func (k *keys) endPaste() {
	text := strings.ReplaceAll(strings.ReplaceAll(string(k.paste), "\r\n", "\n"), "\r", "\n")
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, strings.TrimRight(text, "\n"))
	k.pasting, k.paste = false, nil
	k.endRun()
	k.insert(text)
}

func (k *keys) takePaste() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.pastes) == 0 {
		return ""
	}
	text := k.pastes[0]
	k.pastes = k.pastes[1:]
	return text
}
