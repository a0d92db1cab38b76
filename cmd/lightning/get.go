package main

import (
	"bytes"
	"errors"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/dump"
)

func getCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "get DB KEY...",
		GroupID: groupData,
		Short:   "Print the value of a key",
		Long: `Print the value of a key.

In a pipe, the value of one key comes out byte for byte, with nothing added;
on a terminal, with a newline where it has none, and quoted if it holds
control characters. Several keys print as key TAB value, in the order asked.

A key that is not there prints nothing on standard output, a line on standard
error, and makes the exit status 1.`,
		Example: `  lightning get my.db user:1
  lightning get my.db logo > logo.gif
  lightning get my.db -K hex 00ff
  lightning get my.db user:1 user:2 -o jsonl`,
		Args: arguments(2, -1),
	}
	f := cmd.Flags()
	fallback := f.String("default", "", "print this where the key is not there")
	newline := f.StringP("newline", "N", "auto", "end the value with a newline: auto (on a terminal), always, never")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		format, err := a.format("", entryFormats...)
		if err != nil {
			return err
		}
		switch *newline {
		case "auto", "always", "never":
		default:
			return usagef("--newline %s: use auto, always or never", *newline)
		}
		g := get{app: a, format: format, newline: *newline}
		if cmd.Flags().Changed("default") {
			g.fallback = append([]byte{}, *fallback...)
		}
		for _, arg := range args[1:] {
			key, err := a.key(arg)
			if err != nil {
				return err
			}
			g.keys = append(g.keys, key)
		}
		return a.snapshot(args[0], g.run)
	}
	return cmd
}

type get struct {
	app      *app
	format   string
	newline  string
	fallback []byte // nil: none
	keys     [][]byte
}

func (g *get) run(s engine.Reader) error {
	if len(g.keys) == 1 && (g.format == "" || g.format == formatRaw) {
		value, err := g.value(s, g.keys[0])
		if err != nil {
			return err
		}
		return g.print(value)
	}
	if g.format == "" {
		g.format = formatText
	}
	var w dump.Writer
	var err error
	if g.format == formatJSON && len(g.keys) == 1 {
		w, err = g.app.entryWriter(formatJSONL, columns{true, true}) // one object, not an array
	} else {
		w, err = g.app.entryWriter(g.format, columns{true, g.format != formatNull})
	}
	if err != nil {
		return err
	}
	missing := 0
	for _, key := range g.keys {
		value, err := g.value(s, key)
		if no, ok := errors.AsType[noError](err); ok {
			missing++
			g.app.complain(exitNo, no.message)
			continue
		}
		if err != nil {
			return err
		}
		if err := w.Write(key, value); err != nil {
			return err
		}
	}
	if missing == len(g.keys) { // not even a header, or []
		return saidError{exitNo}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if missing > 0 {
		return saidError{exitNo}
	}
	return nil
}

// value returns the value of a key, or what was said to stand for it.
func (g *get) value(s engine.Reader, key []byte) ([]byte, error) {
	value, err := s.Get(key)
	if err == nil || !errors.Is(err, engine.ErrNotFound) {
		return value, err
	}
	if g.fallback != nil {
		return g.fallback, nil
	}
	return nil, noError{"key not found: " + dump.Printable(key)}
}

// print prints one value alone: as text in the encoding asked for, on a
// terminal in a form that is safe there, anywhere else byte for byte.
func (g *get) print(value []byte) error {
	text, exact := value, false
	switch enc := g.app.values; {
	case !enc.Plain():
		text = enc.Append(nil, value)
	case g.app.OutTerminal && g.format != formatRaw && enc != dump.Raw:
		if !dump.IsText(value) {
			text = dump.Quoted.Append(nil, value)
		}
	default:
		exact = true
	}
	if _, err := g.app.out.Write(text); err != nil {
		return err
	}
	switch {
	case bytes.HasSuffix(text, []byte{'\n'}):
	case g.newline == "always" || g.newline == "auto" && !exact:
		return g.app.out.WriteByte('\n')
	default:
		g.app.unended = g.newline == "auto" && g.format != formatRaw && !g.app.OutTerminal
	}
	return nil
}
