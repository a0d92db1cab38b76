package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
)

// fullBackup is what to do where no incremental backup can be made.
const fullBackup = "make a full backup, with --keep-log, which later ones can follow"

func backupCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "backup DB FILE",
		GroupID: groupSafe,
		Short:   "Write a backup of one moment",
		Long: `Write all keyspaces, as of one moment, to one file with its own checksums,
while others read and write. FILE ending in .gz or .zst is compressed; - is
standard output. lightning restore makes a database of it again.

With --since only what was committed since the backup EARLIER is written, be
that a full or an incremental one. It is read from the log, which a database
only keeps when it was told to: --keep-log says so, to the database, and it
stays so, up to 1 GiB; --keep-log=false ends it, and removes what is kept. Where
the log does not reach back to EARLIER, or EARLIER is of another database or
history, nothing is written.`,
		Example: `  lightning backup my.db my.backup --verify
  lightning backup my.db - | ssh host 'cat > my.backup'
  lightning backup my.db sunday.backup --keep-log
  lightning backup my.db monday.inc --since sunday.backup
  lightning backup my.db tuesday.inc --since monday.inc`,
		Args: arguments(2, 2),
	}
	b := &backup{app: a}
	f := cmd.Flags()
	f.BoolVar(&b.verify, "verify", false, "read the file back and check every byte")
	f.BoolVar(&b.force, "force", false, "replace FILE if it exists")
	f.StringVar(&b.since, "since", "", "write only what was committed since this backup")
	f.BoolVar(&b.keepLog, "keep-log", false, "have the database keep its log from now on, for --since")
	f.StringVar(&b.progress, "progress", "auto", "progress on standard error: auto (on a terminal), json (one object a second), none")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		b.keepSaid = cmd.Flags().Changed("keep-log")
		if cmd.Flags().Changed("since") && b.since == "" {
			return usagef("--since is empty: name the earlier backup")
		}
		return b.run(cmd.Context(), args[0], args[1])
	}
	return cmd
}

type backup struct {
	app               *app
	verify, force     bool
	since             string
	keepLog, keepSaid bool
	progress          string
	options           engine.BackupOptions
	state             atomic.Pointer[engine.BackupInfo]
}

func (b *backup) run(ctx context.Context, db, path string) error {
	if path == "-" && b.verify {
		return usagef("--verify reads the file back, and standard output cannot be: name a file")
	}
	if path == "-" && b.app.OutTerminal {
		return usagef("a backup is not text: name a file, or send standard output somewhere")
	}
	b.options.Progress = func(info engine.BackupInfo) { b.state.Store(&info) }
	if b.since != "" {
		info, err := b.earlier(path)
		if err != nil {
			return err
		}
		b.options.Since = &info
	}
	return b.app.read(db, func(db *engine.DB, _ *engine.Keyspace) error {
		b.state.Store(&engine.BackupInfo{})
		bar, err := b.app.StartProgress(b.progress, b.progressState)
		if err != nil {
			return usageError{err.Error()}
		}
		if b.keepLog { // before the moment of the backup
			err = engine.KeepLog(vfs.OS(), db.Path(), true)
		}
		var info engine.BackupInfo
		if err == nil {
			info, err = b.write(ctx, db, path)
		}
		if err == nil && b.keepSaid && !b.keepLog { // behind it: it may need what is kept
			err = engine.KeepLog(vfs.OS(), db.Path(), false)
		}
		bar.Stop()
		if errors.Is(err, engine.ErrGone) {
			return hinted(err, fullBackup)
		}
		if b.since != "" && errors.Is(err, engine.ErrCorrupt) { // of the log, which no verify reads
			return hinted(err, fullBackup)
		}
		if err != nil {
			return err
		}
		if path == "-" { // standard output is taken
			b.app.Note("%s", backupMessage("backup", info))
			return nil
		}
		return b.app.done(backupJSON(info), "%s", backupMessage("backup", info))
	})
}

// earlier reads what --since names, which may not be the file that is written.
func (b *backup) earlier(path string) (engine.BackupInfo, error) {
	if info, err := os.Stat(b.since); err == nil && info.IsDir() {
		return engine.BackupInfo{}, usagef("--since %s is a directory: name the earlier backup, which is a file", b.since)
	}
	if same(b.since, path) {
		return engine.BackupInfo{}, usagef("%s is the backup that this one is to follow: name another file", path)
	}
	return headOf(b.app.ctx, b.since)
}

// same reports whether two paths lead to the same file or directory.
func same(a, b string) bool {
	first, err := os.Stat(a)
	second, otherErr := os.Stat(b)
	return err == nil && otherErr == nil && os.SameFile(first, second)
}

// headOf reads the beginning of a backup.
func headOf(ctx context.Context, path string) (engine.BackupInfo, error) {
	f, err := ui.Open(ctx, path)
	if err != nil {
		return engine.BackupInfo{}, err
	}
	defer f.Close()
	return unpackBackup(f, path, engine.ReadBackupInfo)
}

func (b *backup) write(ctx context.Context, db *engine.DB, path string) (engine.BackupInfo, error) {
	if path == "-" {
		name, _ := b.app.outFile()
		info, err := b.compress(ctx, db, b.app.out, name)
		return info, unmade(err, "what was written is no whole backup")
	}
	f, err := createFile(path, b.force)
	if err != nil {
		return engine.BackupInfo{}, err
	}
	info, err := b.compress(ctx, db, f, f.path)
	if err == nil && b.verify {
		err = b.readBack(ctx, f)
	}
	if err != nil {
		f.discard()
		return info, unmade(err, path+" was not written")
	}
	return info, f.commit()
}

// compress writes the backup to w, as the name of that wants it.
func (b *backup) compress(ctx context.Context, db *engine.DB, w io.Writer, name string) (engine.BackupInfo, error) {
	packed, err := dump.Compress(w, dump.CompressionOf(name))
	if err != nil {
		return engine.BackupInfo{}, err
	}
	info, err := db.Backup(ctx, packed, &b.options)
	if closeErr := packed.Close(); err == nil {
		err = closeErr
	}
	return info, err
}

// readBack verifies what was written to f.
func (b *backup) readBack(ctx context.Context, f *outFile) error {
	file, err := os.Open(f.file.Name())
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = verifyBackup(ctx, file, f.path)
	return err
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
func unpackBackup(r io.Reader, name string, use func(io.Reader) (engine.BackupInfo, error)) (engine.BackupInfo, error) {
	u := unpacking{name: name, file: r}
	defer u.close()
	info, err := use(&u)
	return info, u.explain(err)
}

// unpacking is a backup that is read through its compression. It keeps the error
// that reading ended with, and where.
type unpacking struct {
	ctx    context.Context // of the reading of name, where that is a pipe
	name   string
	file   io.Reader // nil: name is opened when it is read
	own    *os.File  // so it is
	head   []byte    // of the file
	plain  io.ReadCloser
	offset int64
	err    error
}

func (u *unpacking) Read(p []byte) (int, error) {
	if u.plain == nil && u.err == nil {
		u.err = u.open()
	}
	if u.plain == nil {
		return 0, u.err
	}
	n, err := u.plain.Read(p)
	u.offset += int64(n)
	u.err = err
	return n, err
}

func (u *unpacking) open() (err error) {
	if u.file == nil {
		if u.own, err = ui.Open(u.ctx, u.name); err != nil {
			return err
		}
		u.file = u.own
		if info, err := u.own.Stat(); err == nil && !info.Mode().IsRegular() {
			u.file = ui.Interruptible(u.ctx, u.own)
		}
	}
	b := bufio.NewReaderSize(u.file, 64<<10)
	u.head, _ = b.Peek(4)                 // an error is met again
	u.plain, err = dump.Decompress(b, "") // an empty file is told from damage
	return err
}

// close ends the reading. Whoever gave the file closes it.
func (u *unpacking) close() {
	if u.plain != nil {
		u.plain.Close()
	}
	u.own.Close()
}

// explain makes of the error that use came to one that names the file.
func (u *unpacking) explain(err error) error {
	_, packed := errors.AsType[*dump.InputError](u.err)
	wide := errors.Is(u.err, dump.ErrWindow)
	if packed && !wide && !isIO(u.err) && !errors.Is(u.err, context.Canceled) {
		err = &engine.CorruptError{Path: "backup", Offset: u.offset, Kind: inspect.Structure, Reason: u.err.Error()}
	}
	if named := dump.CompressionOf(u.name); errors.Is(err, engine.ErrFormat) && named != "" && len(u.head) > 0 && dump.CompressionIn(u.head) == "" {
		err = &engine.CorruptError{Path: "backup", Kind: inspect.Structure, Reason: fmt.Sprintf("the file does not begin as %s does, which its name tells", named)}
	}
	damaged := errors.Is(err, engine.ErrCorrupt)
	if damaged || wide || errors.Is(err, engine.ErrFormat) || errors.Is(err, engine.ErrVersion) || errors.Is(err, engine.ErrChain) {
		err = fmt.Errorf("%s: %w", u.name, err)
	}
	if damaged {
		err = hinted(err, "only another backup has what it lost")
	}
	return err
}

func (b *backup) progressState() ui.State {
	info := b.state.Load()
	what := ui.Plural(info.Entries, "entry")
	if info.Incremental {
		what = ui.Plural(info.Commits, "commit")
	}
	return ui.State{
		Done: info.Bytes,
		Text: fmt.Sprintf("%s  %s", what, ui.Bytes(info.Bytes)),
		JSON: fmt.Sprintf(`{"message_type":"status","entries":%d,"commits":%d,"bytes":%d}`, info.Entries, info.Commits, info.Bytes),
	}
}

func backupJSON(info engine.BackupInfo) ui.Object {
	var o ui.Object
	if info.Incremental {
		o = ui.Object{{Name: "since", Value: info.Since}}
	} else {
		entries := "entries"
		if info.Runs > 0 {
			entries = "entries_at_most"
		}
		o = ui.Object{{Name: "keyspaces", Value: info.Keyspaces}, {Name: entries, Value: info.Entries}}
	}
	if info.Incremental || info.Commits > 0 {
		o = append(o, ui.Member{Name: "commits", Value: info.Commits})
	}
	return append(o, ui.Object{
		{Name: "bytes", Value: info.Bytes},
		{Name: "seq", Value: info.Seq},
		{Name: "seconds", Value: info.Duration.Seconds()},
	}...)
}

func backupMessage(what string, info engine.BackupInfo) string {
	commits := ui.Plural(info.Commits, "commit")
	bytes := ui.Bytes(info.Bytes)
	held := ui.Plural(info.Entries, "entry") + " in " + ui.Plural(int64(info.Keyspaces), "keyspace")
	switch {
	case info.Incremental:
		held = fmt.Sprintf("%s since seq %s", commits, ui.Count(info.Since))
	case info.Runs > 0: // a key may be in several, or deleted in one
		held = "at most " + held
		fallthrough
	case info.Commits > 0:
		held += ", " + commits + " applied"
		bytes += " of backups"
	}
	return fmt.Sprintf("%s: %s, %s, seq %s, %s", what, held, bytes, ui.Count(info.Seq), ui.Duration(info.Duration))
}
