package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/ui"
)

func restoreCommand(a *app) *cobra.Command {
	r := &restore{app: a}
	cmd := &cobra.Command{
		Use:     "restore DB FILE [INC...]",
		GroupID: groupSafe,
		Short:   "Make a database from a backup",
		Long: `Make a database from a backup. DB must not exist: the database is made beside
it, checked to the last byte, and gets its name when it is whole.

FILE is a full backup, INC the incremental ones that follow it, in their order;
one of them may be -, which is standard input.
With --log, what was committed behind them comes from the log of their database,
which may have lost all the rest, and which no program has open. It reaches back
further where it is kept: backup --keep-log.
With --to-seq the database is as of the commit that ends at that sequence
number, and no more is read than that takes. Where a backup is missing, out of
order, damaged or of another database, or the log is, no database is made.`,
		Example: `  lightning restore new.db my.backup
  ssh host 'cat my.backup' | lightning restore new.db -
  lightning restore new.db sunday.backup --apply monday.inc tuesday.inc
  lightning restore new.db chain/*.zst --to-seq 90112
  lightning restore new.db chain/*.zst --log lost.db`,
		Args: arguments(2, -1),
	}
	f := cmd.Flags()
	f.Func("apply", "apply the incremental backup `FILE`, and those named behind it", func(name string) error {
		r.apply = append(r.apply, name)
		return nil
	})
	f.StringVar(&r.log, "log", "", "apply what the log of the database `DIR` has behind the backups")
	f.Uint64Var(&r.toSeq, "to-seq", 0, "end at this sequence number; 0: at the newest")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, err := a.path(args[0])
		if err == nil {
			err = outsideNew(path)
		}
		if err == nil && cmd.Flags().Changed("log") {
			if r.log, err = a.path(r.log); err == nil && within(r.log, path) {
				err = usagef("%s is inside %s, whose log is read: name another place", path, r.log)
			}
		}
		if err != nil {
			return err
		}
		info, err := r.run(cmd.Context(), path, args[1], append(r.apply, args[2:]...))
		if t := info.Torn; t != nil {
			r.tornNote(t, info.Seq)
		}
		if f, statErr := os.Stat(path); errors.Is(err, fs.ErrNotExist) && statErr == nil && f.Mode().IsRegular() {
			err = hinted(err, "the database comes first: lightning restore NEW "+args[0])
		}
		if err != nil {
			return err
		}
		said := backupJSON(info)
		if t := info.Torn; t != nil {
			said = append(said, ui.Member{Name: "log_torn", Value: tornJSON(t)})
		}
		return a.done(said, "%s", backupMessage("restore", info))
	}
	return cmd
}

type restore struct {
	app   *app
	apply []string
	log   string
	toSeq uint64
}

func (r *restore) run(ctx context.Context, db, path string, apply []string) (engine.BackupInfo, error) {
	for _, name := range append([]string{path}, apply...) {
		if info, err := os.Stat(name); name == "" {
			return engine.BackupInfo{}, usagef("the path of a backup is empty")
		} else if err == nil && info.IsDir() {
			return engine.BackupInfo{}, usagef("%s is a directory, and a backup is a file; the log of a database is named by --log", name)
		}
	}
	if len(apply) > 0 {
		if err := checkChain(path, apply, r.toSeq); err != nil {
			return engine.BackupInfo{}, err
		}
	}
	source, f, err := r.app.input(ctx, path)
	if err != nil {
		return engine.BackupInfo{}, err
	}
	defer f.Close()
	o := &engine.RestoreOptions{Log: r.log, ToSeq: r.toSeq}
	full := &unpacking{name: inputName(path), file: source}
	u := full // which is read
	defer func() { u.close() }()
	for _, name := range apply {
		inc := &unpacking{ctx: ctx, name: inputName(name)}
		if name == "-" {
			inc.file = ui.Interruptible(ctx, r.app.In)
		}
		o.Apply = append(o.Apply, readerFunc(func(p []byte) (int, error) {
			if u != inc {
				u.close()
				u = inc
			}
			return inc.Read(p)
		}))
	}
	info, err := engine.Restore(ctx, full, db, o)
	err = unmade(err, "no database was made")
	if !info.Log {
		err = u.explain(err)
	}
	switch {
	case info.Whole && info.Bytes == 0: // found before the full one was read
		err = hinted(err, fmt.Sprintf("to end before that: --to-seq %d", info.Seq))
	case info.Whole:
		err = hinted(err, fmt.Sprintf("what comes before is whole: --to-seq %d", info.Seq))
	case r.log != "" && errors.Is(err, engine.ErrLocked):
		err = hinted(err, "what a program has open gives an incremental backup: backup --since")
	case r.log != "" && errors.Is(err, engine.ErrNotExist):
		err = hinted(err, "name the directory of the database that the backups are of")
	}
	return info, err
}

// tornNote tells that the log ends in what was left out. Also who wants quiet hears
// of what may be damage.
func (r *restore) tornNote(t *engine.TornLog, seq uint64) {
	what := fmt.Sprintf("what was not written whole is left out, %s", ui.Bytes(t.Bytes))
	if t.Short {
		what = "the file was cut short, and what it may have had behind that is lost"
	}
	if t.Commits > 0 {
		what += fmt.Sprintf("; so are %s behind it, which are whole: a power cut leaves that, and so does damage; lightning repair %s NEW saves them",
			ui.Plural(t.Commits, "commit"), r.log)
	}
	if !r.app.Quiet || t.Short || t.Commits > 0 {
		fmt.Fprintf(ui.SafeWriter(r.app.Err), "%s at offset %d: the log ends here, with seq %s: %s\n", t.Path, t.Offset, ui.Count(seq), what)
	}
}

func tornJSON(t *engine.TornLog) ui.Object {
	return ui.Object{
		{Name: "path", Value: t.Path},
		{Name: "offset", Value: t.Offset},
		{Name: "bytes", Value: t.Bytes},
		{Name: "whole_commits", Value: t.Commits},
		{Name: "short", Value: t.Short},
	}
}

// readerFunc is a function that reads.
type readerFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// checkChain reads the beginnings of the backups before anything is done, for a
// long restore is not to fail for their order: of those that are files, since of
// a pipe they could not be read again.
// None is read behind the sequence number to, if that is not 0.
func checkChain(path string, apply []string, to uint64) error {
	var before *engine.BackupInfo
	piped := false
	for _, name := range append([]string{path}, apply...) {
		if name == "-" && piped {
			return usagef("only one backup may be -")
		}
		if before != nil && to != 0 && before.Seq >= to {
			continue
		}
		piped = piped || name == "-"
		if info, err := os.Stat(name); name == "-" || err == nil && !info.Mode().IsRegular() {
			before = nil
			continue
		}
		next, err := headOf(context.Background(), name)
		if before != nil && (errors.Is(err, engine.ErrCorrupt) || errors.Is(err, engine.ErrFormat)) {
			err = hinted(err, fmt.Sprintf("the backups before it can be restored: --to-seq %d", before.Seq))
		}
		if err == nil && before != nil {
			if err = next.Follows(before); err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
		}
		if err != nil {
			return err
		}
		before = &next
	}
	return nil
}
