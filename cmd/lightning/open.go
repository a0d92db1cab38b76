package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
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
	}
	path, err := resolve(arg)
	if err != nil {
		err = hintError{fmt.Errorf("%w: %w", engine.ErrNotExist, err), "it leads nowhere"}
	}
	return path, err
}

// read opens a database for reading and calls fn with the keyspace that the
// flags name.
func (a *app) read(arg string, fn func(*engine.DB, *engine.Keyspace) error) error {
	path, err := a.path(arg)
	if err != nil {
		return err
	}
	db, err := engine.Open(path, &engine.Options{ReadOnly: true, MustExist: true})
	if err != nil {
		return err
	}
	return a.use(db, fn)
}

// snapshot is read, of one moment.
//
//go:noinline // or its closure is compiled for each command
func (a *app) snapshot(arg string, fn func(*engine.Snapshot) error) error {
	return a.read(arg, func(db *engine.DB, ks *engine.Keyspace) error {
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
	db, err := a.openWriter(cmd, arg, create, sync)
	if err != nil {
		return err
	}
	return a.use(db, fn)
}

func (a *app) openWriter(cmd *cobra.Command, arg string, create bool, sync engine.SyncMode) (*engine.DB, error) {
	path, err := a.path(arg)
	if err != nil {
		return nil, err
	}
	// A keyspace cannot be in a database that is not there.
	create = create && !a.noCreate && a.keyspace == ""
	db, err := engine.Open(path, &engine.Options{
		MustExist: !create,
		Sync:      sync,
		LockWait:  a.timeout,
		Holder:    cmd.CommandPath(),
	})
	if errors.Is(err, engine.ErrNotExist) {
		switch {
		case a.noCreate:
			err = hintError{err, "--no-create forbids to make one"}
		case a.keyspace != "":
			err = hintError{err, fmt.Sprintf("make it, with the keyspace: lightning keyspace create %s %s", arg, dump.Printable([]byte(a.keyspace)))}
		}
	}
	if err != nil {
		return nil, err
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
	defer func() {
		closeErr := db.Close()
		switch {
		case err != nil || closeErr == nil:
		case errors.Is(closeErr, engine.ErrFailed):
			err = closeErr
		default:
			// The log has what was committed; only merging it into the tree has to wait.
			a.Note("warning: done, and committed; merging it into the tree has to wait: %v", closeErr)
		}
	}()
	ks, err := a.keyspaceOf(db)
	if err != nil {
		return err
	}
	return fn(db, ks)
}

// keyspaceOf returns the keyspace that the flags name.
func (a *app) keyspaceOf(db *engine.DB) (*engine.Keyspace, error) {
	ks, err := db.Keyspace(a.keyspace)
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
