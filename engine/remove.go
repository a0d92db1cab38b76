package engine

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/lightning-db/lightning/engine/vfs"
)

// Remove removes the database in dir, whole or damaged. Files that are not its
// own stay, and so does then the directory, which is an error. Nobody may open it meanwhile.
//
// Errors: ErrNotExist; ErrFormat of a directory that is no database; ErrLocked;
// those of the file system.
func Remove(fsys vfs.FS, dir string) error {
	return wrap("remove "+dir, remove(fsys, dir))
}

func remove(fsys vfs.FS, dir string) error {
	state, err := examine(fsys, dir)
	err = public(err)
	if _, damaged := errors.AsType[*CorruptError](err); err != nil && !damaged {
		return err
	}
	if state == absent && err == nil {
		return ErrNotExist
	}
	// A lock's file that is open cannot be removed everywhere.
	lock, err := fsys.Lock(filepath.Join(dir, lockName), "remove")
	if locked, ok := errors.AsType[*vfs.LockedError](err); ok {
		return &LockedError{Path: dir, Holder: locked.Holder}
	}
	if err == nil {
		err = lock.Close()
	}
	if err != nil {
		return err
	}
	return removeDatabase(fsys, dir)
}

// removeDatabase removes a database that was being made: only files that are
// ours.
func removeDatabase(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == walName {
			err = removeLog(fsys, filepath.Join(dir, name))
		} else if name == treeName || ours(name) {
			err = fsys.Remove(filepath.Join(dir, name))
		}
		if err != nil {
			return err
		}
	}
	return fsys.Remove(dir)
}
