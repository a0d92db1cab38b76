package main

import "github.com/spf13/cobra"

const environmentTopic = `Environment:

    LIGHTNING_DB  the database that @ stands for
    NO_COLOR      not empty: no colour
    TERM          dumb: no colour
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
		topic("formats", "Forms of output", formatsTopic),
		topic("environment", "Environment variables", environmentTopic),
	}
}
