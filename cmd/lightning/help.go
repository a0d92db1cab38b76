package main

import (
	"bytes"
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
	"github.com/lightning-db/lightning/shell"
)

// pointless are flags of all commands that these have no use for: neither help, the
// manual nor completion lists them there, and given they are refused. What is below
// a command in the list is in it, too.
var pointless = [...]struct{ flags, commands string }{
	{" keyspace keys values output no-create timeout", " completion help __complete"},
	{" keyspace keys values no-create timeout", " version"},
	{" keyspace keys values", " verify repair checkpoint backup restore compact upgrade health keyspace meta node tree wal bench stress crashtest stress-writer"},
	{" keys values", " import stats"},
	{" values", " inspect delete count copy hash du top"},
}

// pointlessFor are those flags for one command.
func pointlessFor(cmd *cobra.Command) (flags string) {
	for ; cmd.HasParent(); cmd = cmd.Parent() {
		for i := range pointless {
			if p := &pointless[i]; shell.In(cmd.Name(), p.commands) {
				flags += p.flags
			}
		}
	}
	return flags
}

// takes reports whether a command has a use for a flag that all have.
func takes(cmd *cobra.Command, flag string) bool { return !shell.In(flag, pointlessFor(cmd)) }

// ownFlags has each command below cmd list those of the flags of all commands that
// it takes, and say which output formats it has; and refuse those of its own that
// are given twice and can count once.
func ownFlags(cmd *cobra.Command, all *pflag.FlagSet) {
	for _, c := range cmd.Commands() {
		ownFlags(c, all)
		onceOnly(c.Flags())
		hidden := pointlessFor(c)
		all.VisitAll(func(f *pflag.Flag) {
			hide, formats := shell.In(f.Name, hidden), f.Name == "output" && c.Runnable()
			if !hide && !formats || c.Flags().Lookup(f.Name) != nil {
				return
			}
			own := *f
			if own.Hidden = hide; !hide {
				own.Usage = "output `FORMAT`: " + formatsUsage(c) + "help formats)"
			}
			c.Flags().AddFlag(&own)
		})
	}
}

// A onceFlag is text that may be given once: of two that choose entries the last
// would count, and delete what the first had left out.
type onceFlag struct {
	pflag.Value
	given bool
}

func (o *onceFlag) Set(text string) error {
	if o.given && o.String() != text { // completion parses flags twice
		return errTwice
	}
	o.given = true
	return o.Value.Set(text)
}

var errTwice = errors.New("it is there twice, and one would not count")

// lastCounts are those flags of text that say how something is done, of which the last
// counts, though none of them has a default; all others that have none say what is.
const lastCounts = " check db dir fs rate sample"

// onceOnly has the flags of a command that say what is done, and to what, be given
// once each.
func onceOnly(flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.DefValue == "" && !shell.In(f.Name, lastCounts) {
			f.Value = &onceFlag{Value: f.Value}
		}
	})
}

// refuse says no to a flag that the command does not take.
func refuse(cmd *cobra.Command) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch {
		case err != nil || takes(cmd, f.Name):
		case f.Name == "keyspace" && (cmd.GroupID != "" || cmd.Parent().GroupID != ""):
			err = usagef("%s is about the whole database: it takes no --keyspace", cmd.CommandPath())
		default:
			err = usagef("%s takes no --%s", cmd.CommandPath(), f.Name)
		}
	})
	return err
}

// helpFirst has help begin with what a command does, how it is called, in a shell
// first as a statement there, and examples, and go on with the long text, where cobra
// begins with that.
func (a *app) helpFirst(root *cobra.Command) {
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		if words := cmd.Flags().Args(); cmd.HasSubCommands() && len(words) > 0 {
			a.noHelp = a.noCommand(cmd, words)
			return
		}
		var text bytes.Buffer
		long := strings.TrimRight(cmd.Long, "\n")
		if cmd.IsAdditionalHelpTopicCommand() {
			text.WriteString(long + "\n")
		} else {
			cmd.InheritedFlags().SortFlags = false
			usage := strings.Replace(cmd.UsageString(), "\n  lightning [command]", "", 1) // Use says more
			at := strings.Index(usage, cmd.Example) + len(cmd.Example)
			text.WriteString(cmd.Short + "\n\n")
			if a.session != nil && usable(cmd) && cmd.HasParent() {
				text.WriteString("In the shell:\n  " + strings.TrimSpace(statementOf(cmd)) + "\n\n")
			}
			text.WriteString(usage[:at])
			if long != "" {
				text.WriteString("\n\n" + long)
			}
			text.WriteString(usage[at:])
		}
		_, _ = a.out.WriteString(ui.Wrap(text.String(), a.Width())) // finish says what is wrong
	})
}

// theirCommands finishes the commands that cobra makes: they have examples, and help
// of what is no command is an error, where cobra's prints that of the whole program.
func (a *app) theirCommands(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "completion":
			a.group(cmd)
			cmd.Example = "  source <(lightning completion bash)"
			for _, c := range cmd.Commands() {
				switch c.Name() {
				case "fish":
					c.Example = "  lightning completion fish | source"
				case "powershell":
					c.Example = "  lightning completion powershell | Out-String | Invoke-Expression"
				default:
					c.Example = "  source <(lightning completion " + c.Name() + ")"
				}
			}
		case "help":
			cmd.Use = "help [COMMAND | TOPIC]"
			cmd.Short, cmd.Long = "Help about any command or topic", ""
			cmd.Example = "  lightning help scan\n  lightning help keyspace create\n  lightning help exit-codes"
			print := cmd.Run
			cmd.Run, cmd.RunE = nil, func(cmd *cobra.Command, args []string) error {
				about, rest, err := cmd.Root().Find(args)
				if err == nil && len(rest) == 0 {
					print(cmd, args)
					return nil
				}
				return unknownCommand(about, rest[0], " or topic", helpFor(about))
			}
		}
	}
}

// subjects are the commands and topics below cmd that help lists.
func subjects(cmd *cobra.Command) (names []string) {
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return names
}

// helpFor is how help of what is below cmd is asked for.
func helpFor(cmd *cobra.Command) string {
	root := cmd.Root()
	path := "help" + strings.TrimPrefix(cmd.CommandPath(), root.Name())
	if _, ok := root.Annotations[usageInShell]; ok {
		return path
	}
	return root.Name() + " " + path
}

// unknownCommand says what may be meant by a word that is no command below cmd. path is
// what stands before those that there are.
func unknownCommand(cmd *cobra.Command, word, kind, path string) error {
	shown := dump.Printable([]byte(word))
	if here := elsewhere(cmd, word); here != "" {
		return usagef("unknown command%s %s; did you mean: %s %s", kind, shown, cmd.CommandPath(), here)
	}
	if names := shell.Near(subjects(cmd), word); len(names) > 0 {
		return usagef("unknown command%s %s; did you mean: %s %s", kind, shown, path, strings.Join(names, ", "))
	}
	return usagef("unknown command%s %s; see: %s", kind, shown, helpOf(cmd))
}

// nearFlags is shell.Near of the flags of a command.
func nearFlags(cmd *cobra.Command, word string) []string {
	var names []string
	cmd.InheritedFlags() // or Flags has only those of cmd itself
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	return shell.Near(names, word)
}
