package main

import (
	"fmt"
	"io/fs"
	"os"
)

// An outFile is a file that appears under its name when it is whole and
// durable, or not at all. What is there already and is no ordinary file, such
// as /dev/null or a pipe, is written to directly.
type outFile struct {
	*os.File
	path   string
	direct bool
}

func createFile(path string, force bool) (*outFile, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular() && !info.IsDir():
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		return &outFile{File: f, path: path, direct: true}, err
	case err == nil && !force:
		return nil, hintError{fmt.Errorf("%s: %w", path, fs.ErrExist), "--force replaces it"}
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s is a directory: %w", path, fs.ErrExist)
	}
	tmp := fmt.Sprintf("%s.partial-%d", path, os.Getpid())
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	return &outFile{File: f, path: path}, err
}

// commit makes the file durable and gives it its name.
func (f *outFile) commit() error {
	if f.direct {
		return f.Close()
	}
	err := f.Sync()
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// discard removes what was written.
func (f *outFile) discard() {
	f.Close()
	if !f.direct {
		os.Remove(f.Name())
	}
}
