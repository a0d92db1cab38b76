package crash

import (
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lightning-db/lightning/engine/vfs"
)

// copyTree copies a directory of a database, if it is there. Zeros at the end of
// a file become a hole. The database may be open, if nothing is written to it: a
// segment that is made ready meanwhile, and gets its name, is passed over.
func copyTree(to string, disk vfs.FS, from string) error {
	names, err := disk.List(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.Mkdir(to, 0o700)
	}
	for _, name := range names {
		target, source := filepath.Join(to, name), filepath.Join(from, name)
		info, statErr := disk.Stat(source)
		if errors.Is(statErr, fs.ErrNotExist) {
			continue
		}
		switch {
		case errors.Join(err, statErr) != nil:
			return errors.Join(err, statErr)
		case info.IsDir:
			err = copyTree(target, disk, source)
		default:
			if e := copyFile(target, disk, source, info.Size); !errors.Is(e, fs.ErrNotExist) {
				err = e
			}
		}
	}
	return err
}

func copyFile(to string, disk vfs.FS, from string, size int64) error {
	f, err := disk.Open(from, vfs.ReadOnly)
	if err != nil {
		return err
	}
	defer f.Close()
	text := make([]byte, size)
	n, err := f.ReadAt(text, 0)
	if n == len(text) {
		err = nil
	}
	for n > 0 && text[n-1] == 0 {
		n--
	}
	return errors.Join(err, os.WriteFile(to, text[:n], 0o600), os.Truncate(to, size))
}

// fingerprint tells what is in the files of a directory, but for locks.
func fingerprint(dir string) (string, error) {
	names, err := vfs.OS().List(dir)
	text := ""
	for _, name := range names {
		path := filepath.Join(dir, name)
		info, statErr := os.Stat(path)
		if err = errors.Join(err, statErr); err != nil {
			break
		}
		mark := ""
		if info.IsDir() {
			mark, err = fingerprint(path)
		} else if !strings.HasPrefix(name, "LOCK") {
			var data []byte
			data, err = os.ReadFile(path)
			mark = strconv.FormatUint(uint64(crc32.ChecksumIEEE(data)), 16)
		} else {
			continue
		}
		text += name + " " + mark + " "
	}
	return text, err
}
