package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
)

func (a *app) backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "backup DB FILE",
		GroupID: groupSafe,
		Short:   "Write a backup of one moment",
		Long: `Write all keyspaces, as of one moment, to one file with its own checksums,
while others read and write. FILE ending in .gz or .zst is compressed; - is
standard output. lightning restore makes a database of it again.`,
		Example: `  lightning backup my.db my.backup --verify
  lightning backup my.db - | ssh host 'cat > my.backup'`,
		Args: arguments(2, 2),
	}
	b := &backup{app: a}
	f := cmd.Flags()
	f.BoolVar(&b.verify, "verify", false, "read the file back and check every byte")
	f.BoolVar(&b.force, "force", false, "replace FILE if it exists")
	f.StringVar(&b.progress, "progress", "auto", "progress on standard error: auto (on a terminal), json (one object a second), none")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return b.run(cmd.Context(), args[0], args[1]) }
	return cmd
}

type backup struct {
	*app
	verify, force bool
	progress      string
	state         atomic.Pointer[engine.BackupInfo]
}

func (b *backup) run(ctx context.Context, db, path string) error {
	if path == "-" && b.verify {
		return usagef("--verify reads the file back, and standard output cannot be: name a file")
	}
	if path == "-" && b.OutTerminal {
		return usagef("a backup is not text: name a file, or send standard output somewhere")
	}
	return b.read(db, func(db *engine.DB, _ *engine.Keyspace) error {
		b.state.Store(&engine.BackupInfo{})
		bar, err := b.StartProgress(b.progress, b.progressState)
		if err != nil {
			return usageError{err.Error()}
		}
		info, err := b.write(ctx, db, path)
		bar.Stop()
		if err != nil {
			return err
		}
		if path == "-" { // standard output is taken
			b.Note("%s", backupMessage("backup", info))
			return nil
		}
		return b.done(backupJSON(info), "%s", backupMessage("backup", info))
	})
}

func (b *backup) write(ctx context.Context, db *engine.DB, path string) (engine.BackupInfo, error) {
	o := &engine.BackupOptions{Progress: func(info engine.BackupInfo) { b.state.Store(&info) }}
	if path == "-" {
		return db.Backup(ctx, b.out, o)
	}
	f, err := createFile(path, b.force)
	if err != nil {
		return engine.BackupInfo{}, err
	}
	info, err := b.compress(ctx, db, f, o)
	if err != nil {
		f.discard()
		return info, err
	}
	return info, f.commit()
}

func (b *backup) compress(ctx context.Context, db *engine.DB, f *outFile, o *engine.BackupOptions) (engine.BackupInfo, error) {
	packed, err := dump.Compress(f, dump.CompressionOf(f.path))
	if err != nil {
		return engine.BackupInfo{}, err
	}
	info, err := db.Backup(ctx, packed, o)
	if closeErr := packed.Close(); err == nil {
		err = closeErr
	}
	if err != nil || !b.verify {
		return info, err
	}
	file, err := os.Open(f.Name())
	if err != nil {
		return info, err
	}
	defer file.Close()
	plain, err := dump.Decompress(file)
	if err != nil {
		return info, err
	}
	defer plain.Close()
	if _, err := engine.VerifyBackup(ctx, bufio.NewReaderSize(plain, 1<<20)); err != nil {
		return info, fmt.Errorf("verify: %w", err)
	}
	return info, nil
}

func (b *backup) progressState() ui.State {
	info := b.state.Load()
	return ui.State{
		Text: fmt.Sprintf("%s  %s", ui.Plural(info.Entries, "entry"), ui.Bytes(info.Bytes)),
		JSON: fmt.Sprintf(`{"message_type":"status","entries":%d,"bytes":%d}`, info.Entries, info.Bytes),
	}
}

func backupJSON(info engine.BackupInfo) ui.Object {
	return ui.Object{
		{Name: "keyspaces", Value: info.Keyspaces},
		{Name: "entries", Value: info.Entries},
		{Name: "bytes", Value: info.Bytes},
		{Name: "seq", Value: info.Seq},
		{Name: "seconds", Value: info.Duration.Seconds()},
	}
}

func backupMessage(what string, info engine.BackupInfo) string {
	return fmt.Sprintf("%s: %s in %s, %s, seq %s, %s", what,
		ui.Plural(info.Entries, "entry"), ui.Plural(int64(info.Keyspaces), "keyspace"),
		ui.Bytes(info.Bytes), ui.Count(info.Seq), ui.Duration(info.Duration))
}
