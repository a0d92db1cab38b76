package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/ui"
)

func countCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "count DB",
		GroupID: groupData,
		Short:   "Count keys",
		Long: `Count the keys, all, those of a range, or those of the entries that an
expression is true of. Values are read only where it asks for them.`,
		Example: `  lightning count my.db
  lightning count my.db --prefix user:
  lightning count my.db --where '.age > 30'`,
		Args: arguments(1, 1),
	}
	keys, where := scanFlags(cmd), a.whereFlags(cmd).statsFlag()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		format, err := textOrJSON(a)
		if err != nil {
			return err
		}
		start, end, err := keys.bounds(a, false)
		if err == nil {
			start, end, err = where.prepare(start, end, false)
		}
		if err != nil {
			return err
		}
		return a.snapshot(args[0], func(s engine.Reader) error {
			n, err := where.count(s, start, end)
			if err == nil {
				err = a.printCount(format, n)
			}
			if err != nil {
				return stopped(err, "%s counted, and more to count", ui.Plural(n, "key"))
			}
			return where.report(n, "match")
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
func countKeys(ctx context.Context, r engine.Reader, start, end []byte) (int64, error) {
	it := r.NewIterator(engine.IterOptions{Start: start, End: end})
	var n int64
	for ok := it.First(); ok; ok = it.Next() {
		if n++; n%4096 == 0 && ctx.Err() != nil {
			_ = it.Close()
			return n, ctx.Err()
		}
	}
	return n, it.Close()
}
