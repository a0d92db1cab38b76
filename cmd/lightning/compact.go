package main

import (
	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/ui"
)

func (a *app) compactCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "compact DB",
		GroupID: groupSafe,
		Short:   "Give free space back to the file system",
		Long: `Give free space back to the file system: what is stored near the end of the
file moves to free space before it, and the file is cut. Nothing is lost when
it is interrupted.`,
		Example: `  lightning compact my.db`,
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.write(cmd, args[0], false, engine.SyncFull, func(db *engine.DB, _ *engine.Keyspace) error {
				info, err := db.Compact(cmd.Context())
				if err != nil {
					return err
				}
				return a.done(ui.Object{
					{Name: "before", Value: info.Before},
					{Name: "after", Value: info.After},
					{Name: "moved", Value: info.Moved},
					{Name: "seconds", Value: info.Duration.Seconds()},
				}, "compact: %s before, %s after, %s moved, %s",
					ui.Bytes(info.Before), ui.Bytes(info.After), ui.Bytes(info.Moved), ui.Duration(info.Duration))
			})
		},
	}
}
