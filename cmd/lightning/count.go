package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/ui"
)

func (a *app) countCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "count DB",
		GroupID: groupData,
		Short:   "Count keys",
		Long:    "Count the keys, all or those of a range. Values are not read.",
		Example: `  lightning count my.db
  lightning count my.db --prefix user:`,
		Args: arguments(1, 1),
	}
	keys := scanFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		format, err := a.format(formatText, formatText, formatJSON, formatJSONL)
		if err != nil {
			return err
		}
		start, end, err := keys.bounds(a, false)
		if err != nil {
			return err
		}
		return a.snapshot(args[0], func(s *engine.Snapshot) error {
			n, err := countKeys(s, start, end)
			if err != nil {
				return err
			}
			return a.printCount(format, n)
		})
	}
	return cmd
}

func (a *app) printCount(format string, n int64) error {
	if format == formatJSON || format == formatJSONL {
		return a.printJSON(ui.Object{
			{Name: "count", Value: n},
		})
	}
	_, err := fmt.Fprintln(a.out, n)
	return err
}

// countKeys counts the keys of a range without reading large values.
func countKeys(r engine.Reader, start, end []byte) (int64, error) {
	it := r.NewIterator(engine.IterOptions{Start: start, End: end})
	var n int64
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	return n, it.Close()
}
