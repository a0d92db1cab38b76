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
	lock, err := lockDir(fsys, dir, "remove")
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
	_, err := clearDatabase(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = fsys.Remove(filepath.Join(dir, lockName))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fsys.Remove(dir)
}

// clearDatabase removes what is ours but for the lock, and returns the names of
// what is not.
func clearDatabase(fsys vfs.FS, dir string) (foreign []string, err error) {
	names, err := fsys.List(dir)
	for _, name := range names {
		if name == walName || name == keptName {
			err = removeLog(fsys, filepath.Join(dir, name))
		} else if name == lockName {
			continue
		} else if name == treeName || ours(name) {
			err = fsys.Remove(filepath.Join(dir, name))
		} else {
			foreign = append(foreign, name)
		}
		if err != nil {
			break
		}
	}
	return foreign, err
}
