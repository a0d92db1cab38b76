package main

import (
	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/ui"
)

func compactCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "compact DB",
		GroupID: groupSafe,
		Short:   "Give free space back to the file system",
		Long: `Give free space back to the file system: what is stored near the end of the
file moves to free space before it, and the file is cut. What readers in other
processes still look at stays until they are done. Nothing is lost when it is
interrupted.`,
		Example: `  lightning compact my.db`,
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.write(cmd, args[0], false, engine.SyncFull, func(db *engine.DB, _ *engine.Keyspace) error {
				info, err := db.Compact(cmd.Context())
				if err != nil {
					return stopped(err, "%s before, %s now", ui.Bytes(info.Before), ui.Bytes(info.After))
				}
				// What the last generation replaced, a few nodes, is not yet
				// free either, of which a small database has no fewer.
				held := int64(db.Stats().PendingBytes)
				if held < max(info.After/64, 64<<10) {
					held = 0
				}
				if held > 0 {
					a.Note("%s are held by readers that began before: compact again when they are done", ui.Bytes(held))
				}
				return a.done(ui.Object{
					{Name: "before", Value: info.Before},
					{Name: "after", Value: info.After},
					{Name: "moved", Value: info.Moved},
					{Name: "held", Value: held},
					{Name: "seconds", Value: info.Duration.Seconds()},
				}, "compact: %s before, %s after, %s moved, %s",
					ui.Bytes(info.Before), ui.Bytes(info.After), ui.Bytes(info.Moved), ui.Duration(info.Duration))
			})
		},
	}
}
