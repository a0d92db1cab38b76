package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

// An outFile is a file that appears under its name when it is whole and
// durable, or not at all. What it holds is private: only its owner may read it.
// A symbolic link is followed, and what is there already and is no ordinary
// file, such as /dev/null or a pipe, is written to directly.
//
// A process that is killed leaves the file under its name with .partial- and a
// number behind it.
type outFile struct {
	file   *os.File // embedded, its methods would be twenty of this type's
	path   string
	direct bool
}

func createFile(path string, force bool) (*outFile, error) {
	path, err := outPath(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular() && !info.IsDir():
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		return &outFile{file: f, path: path, direct: true}, err
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s: %w, as a directory", path, engine.ErrExists)
	case err == nil && !force:
		return nil, hinted(fmt.Errorf("%s: %w", path, fs.ErrExist), "--force replaces it")
	}
	tmp := fmt.Sprintf("%s.partial-%d", path, os.Getpid())
	os.Remove(tmp) // of a killed process with this number; where it cannot be, opening says so
	f := &outFile{path: path}
	f.file, err = os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	return f, f.named(err)
}

// outFile returns the name of the ordinary file that standard output is, and how
// much is in it; "" is none.
func (a *app) outFile() (name string, size int64) { return a.behind(a.Out, "1") }

// behind returns the name of the ordinary file that a standard stream is, on
// Linux, and how much is in it; "" is none. Those of a shell are for all its
// statements.
func (a *app) behind(stream any, descriptor string) (name string, size int64) {
	if f, ok := stream.(*os.File); ok && a.session == nil {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			name, _ = os.Readlink("/proc/self/fd/" + descriptor)
			size = info.Size()
		}
	}
	return name, size
}

// named is an error of the file by the name that it is to get: nobody has heard
// of the other.
func (f *outFile) named(err error) error {
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		of.Path = f.path
	}
	return err
}

// Write implements io.Writer.
func (f *outFile) Write(p []byte) (int, error) {
	n, err := f.file.Write(p)
	return n, f.named(err)
}

// outPath returns the path of a file to write to, as it is behind symbolic
// links. Inside the directory of a database none may be written: there it could
// take the place of the database's own.
func outPath(path string) (string, error) {
	if path == "" {
		return "", usagef("the path of the file to write is empty")
	}
	path, err := resolve(path)
	if err != nil {
		return "", err
	}
	return path, outside(path)
}

// outside refuses a path inside the directory of a database.
func outside(path string) error {
	if databaseAround(path) != "" {
		return usagef("%s is inside the directory of a database: name another place", path)
	}
	return nil
}

// within reports whether path, which need not be there, is inside the directory dir.
func within(dir, path string) bool {
	up, err := filepath.EvalSymlinks(filepath.Dir(filepath.Clean(path)))
	if err == nil {
		up, err = filepath.Abs(up)
	}
	for err == nil && !same(up, dir) {
		if up == filepath.Dir(up) {
			return false
		}
		up = filepath.Dir(up)
	}
	return err == nil
}

// databaseAround returns the directory of the database that path is inside of, or
// nothing.
func databaseAround(path string) string {
	// The second is for a path inside wal. They are not cleaned: what .. is
	// behind a symbolic link is for the system to say.
	dir, _ := filepath.Split(path)
	for _, up := range []string{"./", "../"} {
		if _, err := os.Lstat(dir + up + "btree.db"); err == nil {
			return dir + up
		}
	}
	return ""
}

// outsideNew is outside for a database that is to be made, for which there must
// be a directory, too.
func outsideNew(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return nil // it is there, whatever it is
	}
	path = strings.TrimRight(path, string(filepath.Separator))
	if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
		return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOENT}
	}
	return outside(path)
}

// resolve follows a symbolic link. The engine follows none by itself.
func resolve(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return path, nil
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		if _, statErr := os.Stat(path); statErr == nil {
			return path, nil // /dev/stdout in a pipe: only the system can follow it
		}
		return "", fmt.Errorf("%s is a symbolic link: %w", path, err)
	}
	return target, nil
}

// commit makes the file durable and gives it its name.
func (f *outFile) commit() error {
	if f.direct {
		return f.file.Close()
	}
	err := f.file.Sync()
	if closeErr := f.file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = vfs.OS().Rename(f.file.Name(), f.path)
	}
	if err == nil {
		return vfs.OS().SyncDir(filepath.Dir(f.path)) // the name, too
	}
	os.Remove(f.file.Name())
	return f.named(err)
}

// discard removes what was written.
func (f *outFile) discard() {
	f.file.Close()
	if !f.direct {
		os.Remove(f.file.Name())
	}
}
