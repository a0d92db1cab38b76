package main

import (
	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/ui"
)

func checkpointCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "checkpoint DB",
		GroupID: groupSafe,
		Short:   "Merge the log into the tree",
		Long: `Merge the log into the tree, make it durable, and recycle the log. The database
does so by itself; afterwards opening has nothing to recover.`,
		Example: `  lightning checkpoint my.db`,
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.write(cmd, args[0], false, engine.SyncFull, func(db *engine.DB, _ *engine.Keyspace) error {
				info, err := db.Checkpoint(cmd.Context())
				if err != nil { // closing may merge more
					return stopped(err, "at most %s of log are left to merge", ui.Bytes(int64(db.Stats().LogBytes)))
				}
				return a.done(ui.Object{
					{Name: "operations", Value: info.Operations},
					{Name: "segments", Value: info.Segments},
					{Name: "seq", Value: info.Seq},
					{Name: "seconds", Value: info.Duration.Seconds()},
				}, "checkpoint: %s merged, %s recycled, seq %s, %s",
					ui.Plural(int64(info.Operations), "operation"), ui.Plural(int64(info.Segments), "segment"),
					ui.Count(info.Seq), ui.Duration(info.Duration))
			})
		},
	}
}
