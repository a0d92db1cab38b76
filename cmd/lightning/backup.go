package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
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
		return info, stopped(err, "%s was not written", path)
	}
	return info, f.commit()
}

func (b *backup) compress(ctx context.Context, db *engine.DB, f *outFile, o *engine.BackupOptions) (engine.BackupInfo, error) {
	packed, err := dump.Compress(f.file, dump.CompressionOf(f.path))
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
	file, err := os.Open(f.file.Name())
	if err != nil {
		return info, err
	}
	defer file.Close()
	_, err = verifyBackup(ctx, file, f.path)
	return info, err
}

func verifyBackup(ctx context.Context, r io.Reader, name string) (engine.BackupInfo, error) {
	return unpackBackup(r, name, func(plain io.Reader) (engine.BackupInfo, error) {
		return engine.VerifyBackup(ctx, bufio.NewReaderSize(plain, 1<<20))
	})
}

// unpackBackup calls use with the backup in r, through its compression. What is
// wrong with the compressed stream is damage of the backup, at an offset in the
// backup as it is without compression; so is a file that does not begin as the
// compression does that its name tells, and is no backup without. name is what
// errors call it.
func unpackBackup(r io.Reader, name string, use func(io.Reader) (engine.BackupInfo, error)) (info engine.BackupInfo, err error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, _ := b.Peek(4) // an error is met again
	plain, err := dump.Decompress(b)
	u := unpacking{r: plain, err: err}
	if err == nil {
		defer plain.Close()
		info, err = use(&u)
	}
	_, packed := errors.AsType[*dump.InputError](u.err)
	if packed && !isIO(u.err) && !errors.Is(u.err, context.Canceled) && !errors.Is(u.err, zstd.ErrWindowSizeExceeded) {
		err = &engine.CorruptError{Path: "backup", Offset: u.offset, Kind: inspect.Structure, Reason: u.err.Error()}
	}
	if named := dump.CompressionOf(name); errors.Is(err, engine.ErrFormat) && named != "" && len(head) > 0 && dump.CompressionIn(head) == "" {
		err = &engine.CorruptError{Path: "backup", Kind: inspect.Structure, Reason: fmt.Sprintf("the file does not begin as %s does, which its name tells", named)}
	}
	damaged := errors.Is(err, engine.ErrCorrupt)
	if damaged || errors.Is(err, engine.ErrFormat) || errors.Is(err, engine.ErrVersion) {
		err = fmt.Errorf("%s: %w", name, err)
	}
	if damaged {
		err = hintError{err, "only another backup has what it lost"}
	}
	return info, err
}

// unpacking keeps the error that reading ended with, and where.
type unpacking struct {
	r      io.Reader
	offset int64
	err    error
}

func (u *unpacking) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	u.offset += int64(n)
	u.err = err
	return n, err
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
