package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/content"
)

func hashCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "hash DB",
		GroupID: groupSafe,
		Short:   "Print a digest of the content",
		Long: `Print a digest of what a database holds: keys, values, and the names of
keyspaces. It is a cryptographic one (BLAKE2b-256), and does not depend on the
layout, so two machines can compare their databases without copying them:
where the digests are equal, lightning diff finds nothing.

With -k it is that of one keyspace, whatever its name, as if it were the
default one of a database without others. docs/CLI.md says what the digest is
made of; it will be the same in later versions.`,
		Example: `  lightning hash my.db
  lightning hash my.db --prefix user:
  test "$(lightning hash my.db)" = "$(ssh host lightning hash my.db)"`,
		Args: arguments(1, 1),
	}
	keys := rangeFlags(cmd, "from", "to")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		format, err := textOrJSON(a)
		if err != nil {
			return err
		}
		start, end, err := keys.bounds(a, false)
		if err != nil {
			return err
		}
		d := content.NewDigest("lightning content 1\n")
		var entries, size int64
		err = a.moment(args[0], func(_ *engine.DB, spaces []space) error {
			for _, s := range spaces {
				begun := false
				n, err := (&where{app: a}).each(s.entries, start, end, true, func(it *engine.Iterator, value []byte) error {
					if !begun {
						begun = true
						d.Add(content.NoKey, nil, []byte(s.name))
					}
					d.Add(len(it.Key()), it.Key(), value)
					size += int64(len(it.Key()) + len(value))
					return nil
				})
				if entries += n; err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return partly(err, entries)
		}
		form := "%[1]x\n"
		if format != formatText {
			form = `{"hash":"%[1]x","algorithm":"blake2b-256","keys":%[2]d,"bytes":%[3]d}` + "\n"
		}
		_, err = fmt.Fprintf(a.out, form, d.Sum(), entries, size)
		return err
	}
	return cmd
}
