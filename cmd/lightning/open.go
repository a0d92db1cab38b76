package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
)

// path turns the first argument of a command into a path, as it is behind
// symbolic links.
func (a *app) path(arg string) (string, error) {
	switch arg {
	case "":
		return "", usagef("the path of the database is empty")
	case "@":
		if arg = os.Getenv("LIGHTNING_DB"); arg == "" {
			return "", usagef("@ stands for $LIGHTNING_DB, which is not set")
		}
	case "-":
		return "", usagef("- stands for standard input or output, and a database is a directory: ./- is one of that name")
	}
	a.named = arg
	path, err := resolve(arg)
	if err != nil {
		err = hinted(fmt.Errorf("%w: %w", engine.ErrNotExist, err), "it leads nowhere")
	}
	return path, err
}

// readCacheBytes is the cache of a command that reads: it reads what it reads
// once. A count --where of 500,000 rows takes a fifth of the memory that it
// takes with the engine's standard, and three quarters of the time, for the
// system clears no memory for it.
const readCacheBytes = 4 << 20

// read opens a database for reading and calls fn with the keyspace that the
// flags name.
func (a *app) read(arg string, fn func(*engine.DB, *engine.Keyspace) error) error {
	if s := a.session.of(arg); s != nil {
		return s.use(a, fn)
	}
	path, err := a.path(arg)
	if err != nil {
		return err
	}
	db, err := engine.Open(path, &engine.Options{ReadOnly: true, MustExist: true, CacheBytes: readCacheBytes})
	if err != nil {
		return orDamaged(path, err)
	}
	return a.use(db, fn)
}

// orDamaged tells what is no database from one that has lost its metas: of the
// file of its trees alone nobody could, but a log lies beside it. That is damage,
// as it is for verify. Of a backup it says what it is.
func orDamaged(path string, err error) error {
	if !errors.Is(err, engine.ErrFormat) {
		return err
	}
	if isFile(path) {
		if _, no := headOf(context.Background(), path); no == nil {
			err = hinted(err, "it is a backup: lightning restore NEW "+path)
		}
		return err
	}
	db, lost := inspect.Open(vfs.OS(), path)
	if lost == nil {
		return errors.Join(err, db.Close())
	}
	if inspect.AsDamage(lost) != nil {
		err = hinted(fmt.Errorf("open %s: %w", path, lost), saveWhatIsLeft(path))
	}
	return err
}

// saveWhatIsLeft says what can be done about damage of the database at path.
func saveWhatIsLeft(path string) string {
	if gone(filepath.Join(path, "btree.db")) {
		return fmt.Sprintf("restore a backup, with --log %s for what was committed since, or save what can be read: lightning repair %s NEW", path, path)
	}
	return fmt.Sprintf("save what can be read: lightning repair %s NEW, or restore a backup", path)
}

// gone reports whether nothing is at path.
func gone(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// snapshot is read, of one moment: in a transaction of the shell, of what that
// sees.
//
//go:noinline // or its closure is compiled for each command
func (a *app) snapshot(arg string, fn func(engine.Reader) error) error {
	h := a.session.of(arg)
	return a.read(arg, func(db *engine.DB, ks *engine.Keyspace) error {
		if a.stats {
			a.reads = db
			a.touch()
		}
		if h != nil && h.tx != nil {
			return fn(h.tx.In(ks))
		}
		s, err := db.Snapshot()
		if err != nil {
			return err
		}
		defer s.Close()
		return fn(s.In(ks))
	})
}

// write opens a database for writing, creating it where create says so and the
// user has not forbidden it, and calls fn.
func (a *app) write(cmd *cobra.Command, arg string, create bool, sync engine.SyncMode, fn func(*engine.DB, *engine.Keyspace) error) error {
	a.makes = create
	if s := a.session.of(arg); s != nil {
		return s.write(a, cmd, fn)
	}
	db, err := a.openWriter(cmd, arg, create, sync)
	if err != nil {
		return err
	}
	return a.use(db, fn)
}

// update is write, in one transaction: in the shell that may be one that goes on.
//
//go:noinline // or its closure is compiled for each command
func (a *app) update(cmd *cobra.Command, arg string, create bool, sync engine.SyncMode, fn func(*engine.Tx) error) error {
	a.makes = create
	if s := a.session.of(arg); s != nil && s.tx != nil {
		return s.update(a, cmd, fn)
	}
	return a.write(cmd, arg, create, sync, func(db *engine.DB, ks *engine.Keyspace) error {
		return db.Update(cmd.Context(), func(tx *engine.Tx) error { return fn(tx.In(ks)) })
	})
}

func (a *app) openWriter(cmd *cobra.Command, arg string, create bool, sync engine.SyncMode) (*engine.DB, error) {
	path, err := a.path(arg)
	if err != nil {
		return nil, err
	}
	// A keyspace cannot be in a database that is not there.
	create = create && !a.noCreate && a.keyspace == ""
	if create {
		if err := outsideNew(path); err != nil {
			return nil, err
		}
	}
	db, err := a.awaitLock(cmd.Context(), path, &engine.Options{
		MustExist: !create,
		Sync:      sync,
		Holder:    cmd.CommandPath(),
	})
	if errors.Is(err, engine.ErrNotExist) {
		switch {
		case a.noCreate:
			err = hinted(err, "--no-create forbids to make one")
		case a.keyspace != "":
			err = hinted(err, fmt.Sprintf("make it, with the keyspace: lightning keyspace create %s %s", arg, dump.Printable([]byte(a.keyspace))))
		}
	}
	if err != nil {
		return nil, orDamaged(path, err)
	}
	a.warnOfPlace(path)
	report := db.OpenReport()
	if report.Created {
		a.Note("created %s", path)
	}
	if report.TornBytes > 0 {
		a.Note("recovered %s after a crash; %s of unfinished log were cut off",
			ui.Plural(report.Commits, "commit"), ui.Bytes(report.TornBytes))
	}
	return db, nil
}

// awaitLock opens a database, and waits up to --timeout for a process that has it
// locked, or until a signal comes.
func (a *app) awaitLock(ctx context.Context, path string, o *engine.Options) (*engine.DB, error) {
	db, err := engine.Open(path, o)
	if a.timeout == 0 || !errors.Is(err, engine.ErrLocked) {
		return db, err
	}
	wait, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	ended := engine.Retry(wait, func() error {
		db, err = engine.Open(path, o)
		return err
	})
	if errors.Is(ended, context.Canceled) { // perhaps before it looked again
		return nil, fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return db, err
}

// warnOfPlace says what about the place of a database is not safe.
func (a *app) warnOfPlace(path string) {
	info, err := os.Stat(path)
	if err == nil && info.Mode()&0o022 != 0 && runtime.GOOS != "windows" {
		a.Note("warning: others can write to %s: chmod go-w", path)
	}
	if onNetwork(path) {
		a.Note("warning: %s is on a network file system, where locks and syncs may not hold", path)
	}
}

// use calls fn and closes the database, whatever happens.
func (a *app) use(db *engine.DB, fn func(*engine.DB, *engine.Keyspace) error) (err error) {
	done := false
	defer func() {
		if !done {
			_ = a.giveUp(db) // err says more
			return
		}
		err = a.closeDB(db)
	}()
	ks, err := a.keyspaceOf(db)
	if err == nil {
		err = fn(db, ks)
	}
	done = err == nil
	return err
}

// closeTime is how long a command that was stopped may go on with merging what it
// wrote into the tree. Who stops a service waits for ten seconds or longer before
// it is killed.
const closeTime = 5 * time.Second

// closeInTime closes a database: without delay where a signal ended the command.
// What is not merged then the next open recovers from the log.
func (a *app) closeInTime(db *engine.DB) error {
	if a.ctx.Err() == nil {
		return db.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	err := db.CloseContext(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// giveUp closes a database to which not all was written that should be. One that
// is new, and has nothing in it, is removed.
func (a *app) giveUp(db *engine.DB) error {
	if !db.OpenReport().Created || db.Stats().Puts > 0 {
		return a.closeInTime(db)
	}
	err := db.Discard()
	if err == nil {
		a.Note("removed %s, to which nothing was written", db.Path())
	}
	return err
}

// closeDB closes a database to which all was written that should be.
func (a *app) closeDB(db *engine.DB) error {
	err := a.closeInTime(db)
	if err == nil || errors.Is(err, engine.ErrFailed) {
		return err
	}
	// The log has what was committed; only merging it into the tree has to wait.
	a.Note("warning: what was committed is in the log; merging it into the tree has to wait: %v", err)
	return nil
}

// keyspaceOf returns the keyspace that the flags name.
func (a *app) keyspaceOf(db *engine.DB) (*engine.Keyspace, error) {
	name := a.keyspace
	if name == "" && a.session != nil && a.session.db == db {
		name = a.session.is("keyspace")
	}
	ks, err := db.Keyspace(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", db.Path(), err)
	}
	return ks, nil
}

// syncFlag adds --sync. It returns the mode chosen, once flags are parsed.
func syncFlag(cmd *cobra.Command, standard engine.SyncMode) func() (engine.SyncMode, error) {
	name := cmd.Flags().String("sync", standard.String(), "what a commit waits for: full, normal, off")
	return func() (engine.SyncMode, error) {
		mode, err := engine.ParseSyncMode(*name)
		if err != nil {
			return mode, usagef("--sync: %v", err)
		}
		return mode, nil
	}
}
