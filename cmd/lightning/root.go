package main

import (
	"bufio"
	"context"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
)

// An app is one run of the program: its streams, and the flags that every
// command has.
type app struct {
	*ui.Streams
	ctx     context.Context
	out     *bufio.Writer // standard output; finish flushes it
	started bool          // a command runs: its flags and arguments were good

	keyspace     string
	output       string
	keys, values dump.Encoding
	json         bool
	color        string
	timeout      time.Duration
	noCreate     bool

	keysFlag, valuesFlag string
}

// Groups of commands in the help.
const (
	groupData    = "data"
	groupMove    = "move"
	groupSafe    = "safe"
	groupInspect = "inspect"
	groupTest    = "test"
)

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:     "lightning",
		Version: version,
		Short:   "An embedded, ordered key-value database",
		Long: `Lightning is an embedded, ordered key-value database: this is its command line.

The path of the database is the first argument of every command but bench; @
stands for $LIGHTNING_DB. put and import create a database; commands that read change
nothing and may be used while another process writes.`,
		Example: `  lightning put my.db user:1 '{"name":"Ada"}'
  lightning get my.db user:1
  lightning scan my.db --prefix user:
  lightning import my.db users.csv --key 'user:{id}'`,
		Args:          a.noCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SuggestionsMinimumDistance = 2
	root.SetOut(a.out)
	root.SetErr(a.Err)
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveDefault)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.prepare(cmd) }
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%v; see: %s --help", err, cmd.CommandPath())
	})

	f := root.PersistentFlags()
	f.SortFlags = false
	f.StringVarP(&a.keyspace, "keyspace", "k", "", "keyspace to use instead of the default one")
	f.StringVarP(&a.output, "output", "o", "", "output `FORMAT`: table, text, json, jsonl, csv, tsv, line, raw, null (help formats)")
	f.StringVarP(&a.keysFlag, "keys", "K", "auto", "`ENCODING` of keys, in arguments and output (help encodings)")
	f.StringVarP(&a.valuesFlag, "values", "V", "auto", "`ENCODING` of values, in arguments and output")
	f.BoolVar(&a.json, "json", false, "short for -o json; errors are JSON too")
	f.BoolVarP(&a.Quiet, "quiet", "q", false, "print no messages, only data and errors")
	f.StringVar(&a.color, "color", "auto", "colour: auto, always, never")
	f.DurationVar(&a.timeout, "timeout", 0, "how long to wait for a process that has the database locked")
	f.BoolVar(&a.noCreate, "no-create", false, "refuse to create a database")

	root.AddGroup(
		&cobra.Group{ID: groupData, Title: "Data:"},
		&cobra.Group{ID: groupMove, Title: "Move:"},
		&cobra.Group{ID: groupSafe, Title: "Keep safe:"},
		&cobra.Group{ID: groupInspect, Title: "Look inside:"},
		&cobra.Group{ID: groupTest, Title: "Test:"},
	)
	root.AddCommand(
		a.getCommand(), a.putCommand(), a.deleteCommand(), a.scanCommand(), a.countCommand(),
		a.importCommand(), a.exportCommand(),
		a.verifyCommand(), a.checkpointCommand(), a.backupCommand(), a.restoreCommand(), a.compactCommand(),
		a.statsCommand(), a.keyspaceCommand(),
		a.benchCommand(),
		a.versionCommand(),
	)
	root.AddCommand(topics()...)
	return root
}

// prepare reads the flags that all commands share.
func (a *app) prepare(cmd *cobra.Command) (err error) {
	defer func() { a.started = err == nil }()
	if err := a.SetColor(a.color); err != nil {
		return usageError{err.Error()}
	}
	if a.json {
		if a.output != "" && a.output != formatJSON && a.output != formatJSONL {
			return usagef("--json and --output %s: choose one", a.output)
		}
		if a.output == "" {
			a.output = formatJSON
		}
	}
	if a.keys, err = dump.ParseEncoding(a.keysFlag); err != nil {
		return usagef("-K: %v", err)
	}
	if a.values, err = dump.ParseEncoding(a.valuesFlag); err != nil {
		return usagef("-V: %v", err)
	}
	if a.keys == dump.JSONText {
		return usagef("-K json: json is an encoding of values only")
	}
	return nil
}

// noCommand says what to do about a first argument that is not a command.
func (a *app) noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	word := dump.Printable([]byte(args[0]))
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usagef("unknown command %s; did you mean: lightning %s", word, strings.Join(near, ", "))
	}
	if info, err := os.Stat(args[0]); err == nil && info.IsDir() {
		return usagef("%s is not a command; did you mean: lightning scan %s", word, word)
	}
	return usagef("unknown command %s; see: lightning --help", word)
}

// arguments returns a check of the number of arguments, which says what a
// command wants. most < 0 is any number.
//
//go:noinline // once for every command, or the closure is compiled for each
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && (most < 0 || len(args) <= most) {
			return nil
		}
		what := "too many arguments"
		if len(args) < least {
			what = "too few arguments"
		}
		return usagef("%s; usage: %s", what, cmd.UseLine())
	}
}
