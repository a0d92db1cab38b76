package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
)

func (a *app) restoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "restore DB FILE",
		GroupID: groupSafe,
		Short:   "Make a database from a backup",
		Long: `Make a database from a backup; - is standard input. DB must not exist: the
database is made beside it, checked to the last byte, and gets its name when
it is whole.`,
		Example: `  lightning restore new.db my.backup
  ssh host 'cat my.backup' | lightning restore new.db -`,
		Args: arguments(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := a.path(args[0])
			if err == nil {
				err = outsideNew(path)
			}
			if err != nil {
				return err
			}
			info, err := a.restore(cmd.Context(), path, args[1])
			if err != nil {
				return err
			}
			return a.done(backupJSON(info), "%s", backupMessage("restore", info))
		},
	}
}

func (a *app) restore(ctx context.Context, db, path string) (engine.BackupInfo, error) {
	source, f, err := a.input(ctx, path)
	if err != nil {
		return engine.BackupInfo{}, err
	}
	defer f.Close()
	name := path
	if path == "-" {
		name = "standard input"
	}
	return unpackBackup(source, name, func(plain io.Reader) (engine.BackupInfo, error) {
		info, err := engine.Restore(ctx, plain, db, nil)
		return info, stopped(err, "no database was made")
	})
}
