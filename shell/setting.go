package shell

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lightning-db/lightning/internal/ui"
)

// A Setting is a word that begins with a dot: it says how the session is to go
// on, or does something to it.
type Setting struct {
	Name, Args, Help string // Name without the dot
	Choices          string // what it may be, each behind a space; "" anything
	Standard         string // what it is at first; "" nothing, and it is not shown
}

// settings are all there are. What those above timer mean the host knows.
var settings = []Setting{
	{"mode", "FORMAT", "form of answers; auto: table on a terminal, else text", " auto table text json jsonl csv tsv line raw null db_dump sql md", "auto"},
	{"keys", "ENCODING", "how keys are written and shown", " auto raw quoted hex base64 u64 size redacted none", "auto"},
	{"values", "ENCODING", "how values are written and shown", " auto raw quoted hex base64 u64 json size redacted none", "auto"},
	{"keyspace", "[NAME]", "keyspace to use; alone, the default one", "", "-"},
	{"write", "on|off", "allow writes", " on off", "off"},
	{"timer", "auto|on|off", "say how long statements take: auto, from 0.5 s on", " auto on off", "auto"},
	{"pager", "auto|off|COMMAND", "what shows an answer that does not fit: $LIGHTNING_PAGER, $PAGER or less", "", "auto"},
	{"output", "[FILE | |COMMAND]", "where answers go, a file that is there is replaced; alone, to standard output again", "", "-"},
	{"once", "FILE | |COMMAND", "where the next answer goes; a file that is there is replaced (|cat >>FILE adds to one)", "", ""},
	{"read", "FILE", "run the statements of a file", "", ""},
	{"show", "", "show the settings", "", ""},
	{"watch", "SECONDS STATEMENT", "run a statement again and again, until Ctrl-C", "", ""},
	{"help", "[WORD]", "what there is, or about one command or setting", "", ""},
	{"quit", "", "leave; so do exit, quit, \\q and Ctrl-D", "", ""},
}

// In reports whether word is one of list, each of which a space is before.
func In(word, list string) bool {
	for name := range strings.SplitSeq(list, " ") {
		if name == word && word != "" {
			return true
		}
	}
	return false
}

// set runs a statement that begins with a dot. The argument is all that follows
// the name, "" if nothing does.
func (s *Session) set(ctx context.Context, st Statement) (status int) {
	name := st.Words[0].Text[1:]
	argument := strings.TrimSpace(st.Text[st.Words[0].End:])
	if len(st.Words) == 2 {
		argument = st.Words[1].Text // without its quotes
	}
	for _, t := range settings {
		if t.Name != name {
			continue
		}
		var err error
		alone := argument == "" && t.Standard != "" && t.Args[0] != '['
		if alone {
			name = "show"
		}
		switch {
		case alone:
		case t.Args == "" && argument != "":
			return s.usage("." + name + " takes no argument")
		case t.Choices != "" && !In(argument, t.Choices):
			return s.usage("." + name + ": use " + strings.ReplaceAll(t.Choices[1:], " ", ", "))
		case argument == "" && t.Args != "" && t.Args[0] != '[':
			return s.usage("." + name + ": use " + t.Args)
		}
		switch name {
		case "output":
			err = s.setOutput(argument)
		case "once":
			s.once = argument
		case "read":
			return s.File(ctx, argument)
		case "show":
			var rows [][2]string
			for _, shown := range settings {
				if shown.Standard != "" && (!alone || shown.Name == t.Name) {
					value := s.Settings[shown.Name]
					if value == "" {
						value = "-"
					}
					rows = append(rows, [2]string{"." + shown.Name, value})
				}
			}
			err = s.print(rows)
		case "watch":
			s.watching = true
			status = s.watch(ctx, argument)
			s.watching = false
			return status
		case "help":
			return s.help(ctx, argument)
		case "quit":
			s.quit = true
		default:
			if err = s.Host.Set(name, argument); err == nil {
				s.Settings[name] = argument
			}
		}
		if err != nil {
			return s.Host.Fail(err)
		}
		return 0
	}
	hint := "; see .help"
	if names := NearSettings(name); len(names) > 0 {
		hint = "; did you mean: " + strings.Join(names, ", ")
	}
	return s.usage("no setting ." + name + hint)
}

func (s *Session) usage(text string) int { return s.Host.Fail(s.Host.Usage(text)) }

// print prints two columns where the data of a statement goes.
func (s *Session) print(rows [][2]string) error {
	out, err := s.out()
	if err != nil {
		return err
	}
	width := 0
	if out.Terminal {
		width = s.Width()
	}
	err = ui.Fields(ui.SafeWriter(out.Apart(out.To)), width, rows)
	if errors.Is(err, syscall.EPIPE) && s.unread(out) == 0 {
		err = nil
	}
	if closeErr := out.close(); err == nil {
		err = closeErr
	}
	return err
}

// help lists what there is, or what has a word in it.
func (s *Session) help(ctx context.Context, word string) int {
	asked, _ := Parse("help " + word)
	if len(asked) == 1 && asked[0].Err == nil && len(asked[0].Words) > 1 && !In(word, NoCommands) {
		if looks, _ := s.Host.Look(asked[0].Words); looks[len(looks)-1] == Command { // by another name, too
			return s.run(ctx, asked[0])
		}
	}
	about := s.Host.Commands()
	for _, t := range settings {
		about = append(about, [2]string{strings.TrimSpace("." + t.Name + " " + t.Args), t.Help})
	}
	var rows [][2]string
	for _, row := range append(about, [2]string{"N STATEMENT", "run a statement N times"}) {
		name, _, _ := strings.Cut(row[0], " ")
		if !strings.Contains(name, strings.TrimPrefix(word, ".")) && !strings.Contains(row[1], word) {
			continue
		}
		if width := s.Width(); width > 0 && len(row[0]) > width { // narrow ones get what fits
			row[0] = name
		}
		rows = append(rows, row)
	}
	switch {
	case len(rows) > 0:
	case asked[0].Err != nil:
		return s.usage(asked[0].Err.Error())
	default:
		return s.run(ctx, asked[0]) // the host knows what may be meant
	}
	if err := s.print(rows); err != nil {
		return s.Host.Fail(err)
	}
	return 0
}

// watch runs statements again and again.
func (s *Session) watch(ctx context.Context, argument string) int {
	count, text, _ := strings.Cut(argument, " ")
	seconds, err := strconv.ParseFloat(count, 64)
	statements, _ := Parse(text)
	if err != nil || !(seconds > 0 && seconds <= 1e6) || len(statements) == 0 {
		return s.usage(".watch: use a number of seconds and a statement")
	}
	tick := time.NewTicker(max(time.Duration(seconds*float64(time.Second)), time.Millisecond))
	for {
		for _, st := range statements {
			if status := s.times(ctx, st); status != 0 || s.fileLeft {
				tick.Stop()
				return status
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return s.Host.Fail(context.Cause(ctx))
		}
	}
}
