package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/internal/ui"
)

func upgradeCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "upgrade DB",
		GroupID: groupSafe,
		Short:   "Say whether the format of a database is the newest",
		Long: `Say whether the files of a database are of the newest format that this program
knows. Nothing is changed: it reads and writes that one only. A database of
another format makes the exit status 14; it is moved by an export with the
program that wrote it, and an import.`,
		Example: `  lightning upgrade my.db
  lightning upgrade my.db --json`,
		Args: arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			err := a.read(args[0], func(db *engine.DB, _ *engine.Keyspace) error {
				format := inspect.FormatVersion
				return a.object(ui.Object{
					{Name: "path", Value: db.Path()}, {Name: "format", Value: format}, {Name: "newest", Value: format}, {Name: "upgrade", Value: false},
				}, [][2]string{{"format", ui.Count(format)}, {"newest", ui.Count(format) + ": there is nothing to do"}})
			})
			if errors.Is(err, engine.ErrVersion) {
				err = hinted(err, "lightning export with the program that wrote it, and lightning import with this one, move it")
			}
			return err
		},
	}
}
