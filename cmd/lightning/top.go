package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sort"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
)

func topCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "top DB",
		GroupID: groupInspect,
		Short:   "Print the keys with the largest values",
		Long: `Print the keys with the largest values, the largest first, and how many bytes
those have. All keys are read; large values are not. Ctrl-C prints what has
been found so far.`,
		Example: `  lightning top my.db
  lightning top my.db -n 3 --prefix user: -o jsonl`,
		Args: arguments(1, 1),
	}
	keys := rangeFlags(cmd, "from", "to")
	most := cmd.Flags().IntP("limit", "n", 10, "at most this many; 0: all")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if *most < 0 {
			return usagef("--limit %d: use 0 or more", *most)
		}
		if *most == 0 {
			*most = math.MaxInt
		}
		start, end, err := keys.bounds(a, false)
		if err != nil {
			return err
		}
		format, err := a.format(a.tabular(), columnFormats...)
		if err != nil {
			return err
		}
		return a.snapshot(args[0], func(s engine.Reader) error {
			var g groups
			cut := func() {
				sort.Sort(&g)
				g.drop(*most)
			}
			n, err := (&where{app: a}).each(s, start, end, false, func(it *engine.Iterator, _ []byte) error {
				if len(g.list)/2-500 > *most {
					cut()
				}
				one := group{value: string(it.Key()), size: int64(it.ValueSize())}
				if g.keep(one) == nil {
					return nil
				}
				if cut(); g.bytes > groupBytes/8*7 || g.keep(one) != nil { // or they would be sorted again and again
					return fmt.Errorf("%w: so many keys take too much memory: choose a smaller --limit, or a smaller range", errData)
				}
				return nil
			})
			if err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
			cut()
			t, tableErr := a.newTable(format, []string{"bytes", "key"}, []string{"bytes", keyColumn("key", a.keys)})
			if tableErr != nil {
				return tableErr
			}
			for _, one := range g.list {
				t.number(0, one.size, true)
				t.key(1, "key", []byte(one.value))
				if err := t.row(); err != nil {
					return err
				}
			}
			return errors.Join(t.Close(), partly(err, n))
		})
	}
	return cmd
}
