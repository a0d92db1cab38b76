package main

import "github.com/spf13/cobra"

const environmentTopic = `Environment:

    LIGHTNING_DB     the database that @ stands for
    LIGHTNING_PAGER  what shows an answer of the shell that does not fit the
                     terminal; else PAGER, else less
    XDG_CONFIG_HOME  lightning/config in it is the configuration file;
                     ~/.config where it is not set
    XDG_STATE_HOME   lightning/history in it is the shell's; ~/.local/state
                     where it is not set
    NO_COLOR         not empty: no colour
    TERM             dumb: no colour, and no editing of lines in the shell

A line of the configuration file is one of the flags --color, --output (on a
terminal, where a command has that form), --quiet, --timeout and --no-create, or
begins with #. What is given on the command line goes first; --no-config passes
the file over. A file that may not be read is status 6, but for help, version and
completion, which have no use for it. One in a directory that you may not enter
(sudo -u keeps HOME) is another user's, and none.
`

// topics are help pages that are not about one command. cobra lists commands
// that cannot run as such.
func topics() []*cobra.Command {
	topic := func(name, short, text string) *cobra.Command {
		return &cobra.Command{Use: name, Short: short, Long: text[:len(text)-1]}
	}
	return []*cobra.Command{
		topic("exit-codes", "Exit statuses and what they mean", exitTopic),
		topic("encodings", "How keys and values are written and shown", encodingsTopic),
		topic("where", "Expressions that choose entries by their values", whereTopic),
		topic("formats", "Forms of output", formatsTopic),
		topic("environment", "Environment variables", environmentTopic),
	}
}
