package main

import (
	"bytes"
	"context"
	"errors"
	"sort"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/ui"
)

func duCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "du DB",
		GroupID: groupInspect,
		Short:   "Print how much space keys take, by prefix",
		Long: `Print how many keys begin with each prefix, and how large they and their
values are: the largest first. A prefix ends behind a separator, the last of
--depth; the keys that have none are a row without a prefix. With --prefix,
separators count from its end on.

What they take on the disk is estimated: their share of the file. All keys are
read; large values are not. Ctrl-C prints what has been counted so far.`,
		Example: `  lightning du my.db
  lightning du my.db --sep / --depth 2 -n 5
  lightning du my.db --prefix user: -n 0 -o csv`,
		Args: arguments(1, 1),
	}
	d := &du{app: a, keyRange: rangeFlags(cmd, "from", "to")}
	f := cmd.Flags()
	f.StringVar(&d.separator, "sep", ":", "what ends a part of a key")
	f.IntVar(&d.depth, "depth", 1, "how many parts make a prefix")
	f.IntVarP(&d.limit, "limit", "n", 20, "at most this many rows; 0: all")
	cmd.RunE = func(_ *cobra.Command, args []string) error { return d.run(args[0]) }
	return cmd
}

type du struct {
	*app
	keyRange     *keyRange
	separator    string
	depth, limit int
}

func (d *du) run(arg string) error {
	switch {
	case d.separator == "":
		return usagef("--sep '': use what separates the parts of keys")
	case d.depth < 1:
		return usagef("--depth %d: use 1 or more", d.depth)
	case d.limit < 0:
		return usagef("--limit %d: use 0 or more", d.limit)
	}
	separator, err := d.keys.Decode([]byte(d.separator))
	if err != nil {
		return usagef("--sep: %v", err)
	}
	start, end, err := d.keyRange.bounds(d.app, false)
	if err != nil {
		return err
	}
	prefix, _ := d.keys.Decode([]byte(d.keyRange.prefix))
	format, err := d.format(d.tabular(), columnFormats...)
	if err != nil {
		return err
	}
	d.oneSpace = true
	return d.moment(arg, func(db *engine.DB, spaces []space) error {
		var all groups
		n, err := (&where{app: d.app}).each(spaces[0].entries, start, end, false, func(it *engine.Iterator, _ []byte) error {
			key := it.Key()
			end := len(prefix)
			for range d.depth {
				at := bytes.Index(key[end:], separator)
				if at < 0 {
					break
				}
				end += at + len(separator)
			}
			return all.add(key[:end], int64(len(key)+it.ValueSize()))
		})
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		sort.Sort(&all)
		disk := 0.0
		if st := db.Stats(); st.DataBytes > 0 {
			disk = float64(st.UsedBytes) / float64(st.DataBytes)
		}
		names := []string{"keys", "bytes", "disk_estimate", keyColumn("prefix", d.keys)}
		t, tableErr := d.newTable(format, []string{"keys", "bytes", "on disk (est)", "prefix"}, names)
		if tableErr != nil {
			return tableErr
		}
		var size, shown int64
		for i, g := range all.list {
			if size += g.size; d.limit > 0 && i >= d.limit {
				continue
			}
			shown += g.size
			t.number(0, g.count, false)
			t.number(1, g.size, true)
			t.number(2, int64(disk*float64(g.size)), true)
			t.key(3, "prefix", []byte(g.value))
			if err := t.row(); err != nil {
				return err
			}
		}
		if err := errors.Join(t.Close(), d.out.Flush()); err != nil {
			return err
		}
		rest := ""
		if more := len(all.list) - d.limit; more > 0 && d.limit > 0 {
			rest = "; " + ui.Plural(more, "row") + " with " + ui.Bytes(size-shown) + " not shown: -n 0 for all"
		}
		d.Note("%s, %s in all%s", ui.Plural(n, "key"), ui.Bytes(size), rest)
		return err
	})
}

// tabular is the form of output where none is asked for: a table on a terminal,
// else text.
func (a *app) tabular() string {
	if a.OutTerminal {
		return formatTable
	}
	return formatText
}

// number sets a cell to a number, perhaps of bytes: for people with commas or in
// units.
func (t *table) number(i int, n int64, sized bool) {
	text := strconv.FormatInt(n, 10)
	switch {
	case t.format != formatTable:
	case sized:
		text = ui.Bytes(n)
	default:
		text = ui.Count(n)
	}
	t.cells[i] = []byte(text)
}
