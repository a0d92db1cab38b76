package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lightning-db/lightning/shell"
)

// A reading is what is known of a statement before its next word.
type reading struct {
	looks     []shell.Look // of its words
	hint      string       // what may follow
	flag      *pflag.Flag  // whose value is next
	arguments int
	clauses   string       // the words that began them, spaces around
	clause    string       // the last of them, if it goes on
	expr      string       // what is there of it
	before    []shell.Word // the first clause, and a flag whose value is next
}

// Look says of each word of a statement what it is, and what may follow.
func (h *session) Look(words []shell.Word) (looks []shell.Look, hint string) {
	var r reading
	r.read(h.root(), words)
	return r.looks, r.hint
}

func (r *reading) read(root *cobra.Command, words []shell.Word) {
	r.looks, r.clauses, r.before = make([]shell.Look, len(words)), " ", words
	cmd, rest := find(root, words)
	at := len(words) - len(rest)
	for i := range at {
		r.looks[i] = shell.Command
	}
	if about, more := find(root, rest); cmd.Name() == "help" && about != cmd.Root() && len(more) == 0 {
		r.looks[len(words)-1] = shell.Command // or a topic
		return
	}
	switch {
	case at == 0 && shell.In(words[0].Text, shell.NoCommands):
		r.looks[0] = shell.Command
		return
	case at == 0 || !usable(cmd):
		r.looks[0] = shell.Wrong
		return
	case cmd.HasSubCommands():
		if len(rest) > 0 {
			r.looks[at] = shell.Wrong
		}
		r.hint = strings.Join(subcommands(cmd), "|")
		return
	}
	cmd.InitDefaultHelpFlag()
	keywords := keywordsOf(cmd)
	for i := range rest {
		w, look := &rest[i], &r.looks[at+i]
		f, value := flagOf(cmd, w)
		switch {
		case r.flag != nil:
			r.flag = nil
		case w.Literal < 0 && shell.In(w.Text, keywords):
			if *look = shell.Command; r.clauses == " " {
				r.before = words[:at+i]
			}
			r.clauses += w.Text + " "
			if r.clause, r.expr = w.Text, ""; w.Text == "reverse" {
				r.clause = "" // nothing is behind it
			}
		case f != nil:
			*look, r.clause = shell.Flag, ""
			if value {
				r.flag = f
			}
		case w.Literal < 0 && len(w.Text) > 1 && w.Text[0] == '-' && r.clauses == " " && (w.Text[1] < '0' || w.Text[1] > '9'):
			*look = shell.Wrong
		case r.clauses == " ":
			r.arguments++
		default:
			r.expr += w.Text + " "
		}
	}
	if r.flag != nil {
		if r.clauses == " " {
			r.before = words[:len(words)-1]
		}
		names, what := wanted(cmd, r.flag, 0)
		if names != nil {
			what = strings.Join(names, "|")
		}
		r.hint = what
		return
	}
	// The arguments that are there are left out, and the clauses.
	arguments, fresh := r.arguments, r.clause != "" && r.expr == ""
	for args := argumentsOf(cmd); args != ""; {
		end := strings.IndexByte(args+" ", ' ')
		if args[0] == '[' {
			end = strings.IndexByte(args, ']') + 1
		}
		name, behind, _ := strings.Cut(strings.Trim(args[:end], "[]"), " ")
		part := args[:end] + " "
		switch {
		case fresh && name == r.clause:
			r.hint = behind
		case shell.In(name, keywords):
			if !fresh && !strings.Contains(r.clauses, " "+name+" ") {
				r.hint += part
			}
		case arguments > 0:
			arguments--
		case r.clauses == " ":
			r.hint += part
		}
		args = strings.TrimLeft(args[end:], " ")
	}
	r.hint = strings.TrimRight(r.hint, " ")
}
