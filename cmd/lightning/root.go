package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
	"github.com/lightning-db/lightning/shell"
)

// An app is one run of the program: its streams, and the flags that every
// command has. No command embeds it: the description of each of their types would
// list its methods, 38,000 bytes of the program.
type app struct {
	_ [0]func() // not compared
	*ui.Streams
	ctx     context.Context
	out     *bufio.Writer // standard output; finish flushes it
	to      *target       // what out writes to
	started bool          // a command runs: its flags and arguments were good
	unended bool          // it printed a value, and of itself no end of line
	trace   string        // of a bug of ours
	noHelp  error         // why there is none of what is no command

	keyspace     string
	oneSpace     bool // --keyspace was given
	ofData       bool // the command is about keys and values
	makes        bool // and may create a database
	output       string
	keys, values dump.Encoding
	json         bool
	color        string
	onTerminal   string // the output format there, of the configuration file
	noConfig     bool
	timeout      time.Duration
	noCreate     bool
	named        string     // the database that was named last
	stats        bool       // --stats
	reads        *engine.DB // with --stats, what snapshot opened
	touched      [4]uint64  // by touch

	session *session // of the shell that runs this command, or nil
	only    string   // the command that root makes, by any of its names; all where none has it

	keysFlag, valuesFlag string
}

// A target is a writer that can be changed.
type target struct{ w io.Writer }

func (t *target) Write(p []byte) (int, error) { return t.w.Write(p) }

// Groups of commands in the help.
const (
	groupData    = "data"
	groupShell   = "shell"
	groupMove    = "move"
	groupSafe    = "safe"
	groupInspect = "inspect"
	groupTest    = "test"
)

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:     "lightning COMMAND [DB]",
		Version: version,
		Short:   "An embedded, ordered key-value database",
		Long: `Lightning is an embedded, ordered key-value database: this is its command line.

The path of the database is the first argument of every command but bench,
stress and crashtest; @ stands for $LIGHTNING_DB.
` + creators + ` create a database
where there is none; commands that read change nothing and may be used while
another process writes.`,
		Example: `  lightning put my.db user:1 '{"name":"Ada"}'
  lightning get my.db user:1
  lightning scan my.db --prefix user:
  lightning import my.db users.csv --key 'user:{id}'`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	a.group(root)
	root.SetOut(a.out)
	root.SetErr(a.Err)
	a.helpFirst(root)
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveDefault)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.prepare(cmd) }
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		a.json = a.json || slices.Contains(os.Args, "--json") // it may stand behind
		return flagError(cmd, err)
	})

	f := root.PersistentFlags()
	f.SortFlags, root.Flags().SortFlags = false, false
	f.StringVarP(&a.keyspace, "keyspace", "k", "", "keyspace to use instead of the default one")
	f.StringVarP(&a.output, "output", "o", "", "output `FORMAT`: table, text, json, jsonl, csv, tsv, line, raw, null, db_dump, sql, md (help formats)")
	f.StringVarP(&a.keysFlag, "keys", "K", "auto", "`ENCODING` of keys, in arguments and output (help encodings)")
	f.StringVarP(&a.valuesFlag, "values", "V", "auto", "`ENCODING` of values, in arguments and output")
	f.BoolVar(&a.json, "json", false, "short for -o json; errors are JSON too")
	f.BoolVarP(&a.Quiet, "quiet", "q", false, "print no messages, only data and errors")
	f.StringVar(&a.color, "color", "auto", "colour: auto, always, never")
	f.DurationVar(&a.timeout, "timeout", 0, "how long to wait for a process that has the database locked")
	f.BoolVar(&a.noCreate, "no-create", false, "refuse to create a database")
	f.BoolVar(&a.noConfig, "no-config", false, "do not read the configuration file (help environment)")

	root.AddGroup(
		&cobra.Group{ID: groupData, Title: "Data:"},
		&cobra.Group{ID: groupShell, Title: "Shell:"},
		&cobra.Group{ID: groupMove, Title: "Move:"},
		&cobra.Group{ID: groupSafe, Title: "Keep safe:"},
		&cobra.Group{ID: groupInspect, Title: "Look inside:"},
		&cobra.Group{ID: groupTest, Title: "Test:"},
	)
	commands := [...]struct {
		names string // its own and its aliases
		make  func(*app) *cobra.Command
	}{
		{"get", getCommand},
		{"put set", putCommand},
		{"delete del rm", deleteCommand},
		{"scan ls", scanCommand},
		{"count", countCommand},
		{"batch", batchCommand},
		{"shell", shellCommand},
		{"import", importCommand},
		{"export", exportCommand},
		{"copy", copyCommand},
		{"verify check", verifyCommand},
		{"repair recover", repairCommand},
		{"checkpoint", checkpointCommand},
		{"backup", backupCommand},
		{"restore", restoreCommand},
		{"compact", compactCommand},
		{"diff", diffCommand},
		{"hash", hashCommand},
		{"upgrade", upgradeCommand},
		{"stats", statsCommand},
		{"health", healthCommand},
		{"du", duCommand},
		{"top", topCommand},
		{"keyspace", keyspaceCommand},
		{"inspect", inspectCommand},
		{"bench", benchCommand},
		{"stress", stressCommand},
		{"crashtest", crashtestCommand},
		{"stress-writer", writerCommand},
		{"version", versionCommand},
	}
	for _, c := range commands {
		if shell.In(a.only, c.names) {
			root.AddCommand(c.make(a))
		}
	}
	if !root.HasSubCommands() {
		for _, c := range commands {
			root.AddCommand(c.make(a))
		}
		root.AddCommand(topics()...)
		a.theirCommands(root)
	}
	ownFlags(root, f)
	root.InitDefaultHelpFlag() // or of --help scan, scan is taken for what --help is set to
	for _, cmd := range root.Commands() {
		cmd.Flags().SortFlags = false // help has those first that are used most
		if cmd.HasSubCommands() {
			cmd.InitDefaultHelpFlag()
		}
	}
	return root
}

// group makes cmd one that only has others below it.
func (a *app) group(cmd *cobra.Command) {
	cmd.Args = a.noCommand
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}

// beforeNumber puts -- before the last argument if that is a negative number, and
// not what a flag before it is set to: no flag is a digit but -0.
func beforeNumber(args []string) []string {
	last := len(args) - 1
	if last < 1 || len(args[last]) < 2 || args[last] == "-0" || args[last][0] != '-' || !strings.ContainsRune("0123456789.", rune(args[last][1])) ||
		strings.HasPrefix(args[last-1], "-") || slices.Contains(args, "--") {
		return args
	}
	return append(append(slices.Clone(args[:last]), "--"), args[last])
}

// flagError says what is wrong with a flag, without the names of Go's functions
// in it.
func flagError(cmd *cobra.Command, err error) error {
	text, hint := err.Error(), "see: "+helpOf(cmd)
	if at := strings.Index(text, " flag: strconv."); at >= 0 {
		text = text[:at+5] + text[strings.LastIndex(text, ": "):]
	}
	word := text[strings.LastIndexByte(text, ' ')+1:]
	if here := elsewhere(cmd, word); here != "" {
		hint = here
	} else if name, ok := strings.CutPrefix(word, "--"); ok && strings.HasPrefix(text, "unknown flag") {
		if names := nearFlags(cmd, name); len(names) > 0 {
			hint = "did you mean: --" + strings.Join(names, ", --")
		}
	} else if strings.HasPrefix(text, "unknown shorthand flag") && cmd.Args != nil {
		hint += "; to give a value that begins with -, put -- before it"
	}
	return usagef("%s; %s", text, hint)
}

// prepare reads the flags that all commands share.
func (a *app) prepare(cmd *cobra.Command) (err error) {
	defer func() { a.started = err == nil }()
	if err := a.configure(cmd); err != nil {
		return err
	}
	if err := a.SetColor(a.color); err != nil {
		return usageError{err.Error()}
	}
	if err := refuse(cmd); err != nil {
		return err
	}
	if a.json {
		if a.output != "" && a.output != formatJSON && a.output != formatJSONL {
			return usagef("--json and --output %s: choose one", a.output)
		}
		if a.output == "" {
			a.output = formatJSON
		}
	}
	if !a.json && a.output != "" && cmd.Name() != "export" { // which knows other names of them
		if _, err := a.format("", formatsOf(cmd)...); err != nil {
			return err // before anything is done
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
	if a.timeout < 0 {
		return usagef("--timeout %v: use 0 or more", a.timeout)
	}
	a.oneSpace = cmd.Flags().Changed("keyspace")
	a.ofData = cmd.GroupID == groupData || shell.In(cmd.Name(), " export diff hash")
	return nil
}

// noCommand says what to do about a first argument that is not a command.
func (a *app) noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	word := dump.Printable([]byte(args[0]))
	path := cmd.CommandPath()
	if info, err := os.Stat(args[0]); args[0] == "@" || err == nil && info.IsDir() {
		switch {
		case !cmd.HasParent():
			return usagef("%s is not a command; did you mean: lightning shell %s", word, word)
		case cmd.GroupID != "": // and has commands about databases below it
			if sub, _, _ := cmd.Find(args[1:]); sub != cmd {
				path = sub.CommandPath()
			} else {
				path += " COMMAND"
			}
			return usagef("the database comes behind the word: %s %s", path, word)
		}
	}
	return unknownCommand(cmd, args[0], "", path)
}

// otherNames are what other programs call a command or a flag of ours, and our
// aliases, for those who write them in capitals.
const otherNames = `
add=put
benchmark=bench
cat=get
check=verify
dump=export --to db_dump
exists=get
find=scan --where
grep=scan --where
has=get
info=stats
insert=put
inspect block=node
inspect branch=node
inspect file=tree
inspect leaf=node
inspect log=wal
inspect manifest=meta
inspect page=node
keys=scan --keys
list=scan
load=import
ls=scan
mget=get
query=scan --where
recover=repair
remove=delete
rm=delete
salvage=repair
set=put
size=du
sql=shell
txn=batch
vacuum=compact
write=put
bench -b=name workloads without a flag: lightning bench fillseq readrandom
count --by=use scan --count-by
count --count-by=use scan --count-by
crashtest --fault=use --mode
crashtest --round=use --state
crashtest --rounds=use --cycles
du --cursor=use --from
export --from=use --start, and --end for the end of a range
import --header=where there is none, use --columns
import --key-col=use --key '{column}'
import --value-col=use --value
scan --cursor=use --after
scan --pattern=use --where '$key | test("^a.*z$")'
verify --full=leave it out: all is read
verify --keys-from=lightning get checks what it reads
`

// elsewhere returns what a word behind a command that others know is here, or
// what to do instead of a flag.
func elsewhere(cmd *cobra.Command, word string) string {
	_, name, _ := strings.Cut(cmd.CommandPath()+" "+strings.ToLower(word), " ")
	_, here, _ := strings.Cut(otherNames, "\n"+name+"=")
	here, _, _ = strings.Cut(here, "\n")
	return here
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
		switch {
		case len(args) < least:
			what = "too few arguments"
		case shell.In(cmd.Name(), " scan count"):
			what += ": a prefix is --prefix " + dump.Printable([]byte(args[most]))
		case cmd.Name() == "shell":
			what += ": statements stand behind -c"
		}
		usage, ok := cmd.Root().Annotations[usageInShell]
		if !ok {
			usage = cmd.UseLine()
		}
		return usagef("%s; usage: %s", what, strings.TrimSpace(usage))
	}
}

// helpOf is what shows the help of a command.
func helpOf(cmd *cobra.Command) string {
	path := cmd.CommandPath()
	if _, ok := cmd.Root().Annotations[usageInShell]; ok {
		return ".help" + path[len(cmd.Root().Name()):]
	}
	return path + " --help"
}

// usageInShell annotates the root of commands in the shell with the usage of the
// one that runs: there it takes no database.
const usageInShell = "usage"
