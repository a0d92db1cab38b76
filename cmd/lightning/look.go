package main

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/lightning-db/lightning/shell"
)

// Look says of each word of a statement what it is, and what may follow.
func (h *session) Look(words []shell.Word) (looks []shell.Look, hint string) {
	looks = make([]shell.Look, len(words))
	cmd, rest := find(h.root(), words)
	at := len(words) - len(rest)
	for i := range at {
		looks[i] = shell.Command
	}
	if about, more := find(h.root(), rest); cmd.Name() == "help" && about != cmd.Root() && len(more) == 0 {
		looks[len(words)-1] = shell.Command // or a topic
		return looks, ""
	}
	switch {
	case at == 0 && shell.In(words[0].Text, shell.NoCommands):
		looks[0] = shell.Command
		return looks, ""
	case at == 0 || !usable(cmd):
		looks[0] = shell.Wrong
		return looks, ""
	case cmd.HasSubCommands():
		if len(rest) > 0 {
			looks[at] = shell.Wrong
		}
		var names []string
		for _, c := range cmd.Commands() {
			if usable(c) && !c.Hidden {
				names = append(names, c.Name())
			}
		}
		return looks, strings.Join(names, "|")
	}
	cmd.InitDefaultHelpFlag()
	keywords := keywordsOf(cmd)
	arguments, last := 0, "" // last: the word that begins a clause, if no other is behind
	var flag *pflag.Flag     // whose value is wanted
	clauses := " "
	for i, w := range rest {
		look := &looks[at+i]
		f, value := flagOf(cmd, w)
		clause := w.Literal < 0 && shell.In(w.Text, keywords)
		switch {
		case flag != nil:
			flag = nil
		case clause:
			*look, last = shell.Command, w.Text
			clauses += last + " "
			continue
		case f != nil:
			if *look = shell.Flag; value {
				flag = f
			}
		case w.Literal < 0 && len(w.Text) > 1 && w.Text[0] == '-' && clauses == " " && (w.Text[1] < '0' || w.Text[1] > '9'):
			*look = shell.Wrong
		case clauses == " ":
			arguments++
		}
		last = ""
	}
	if flag != nil {
		names, what := wanted(cmd, flag, 0)
		if names != nil {
			what = strings.Join(names, "|")
		}
		return looks, what
	}
	// The arguments that are there are left out, and the clauses.
	for args := argumentsOf(cmd); args != ""; {
		end := strings.IndexByte(args+" ", ' ')
		if args[0] == '[' {
			end = strings.IndexByte(args, ']') + 1
		}
		name, behind, _ := strings.Cut(strings.Trim(args[:end], "[]"), " ")
		switch {
		case last != "" && name == last:
			hint += behind
		case shell.In(name, keywords):
			if last == "" && !strings.Contains(clauses, " "+name+" ") {
				hint += args[:end] + " "
			}
		case arguments > 0:
			arguments--
		case clauses == " ":
			hint += args[:end] + " "
		}
		args = strings.TrimLeft(args[end:], " ")
	}
	return looks, strings.TrimRight(hint, " ")
}
