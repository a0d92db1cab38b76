package session

import (
	"errors"
	"os"
	"syscall"
)

const (
	seekData = 3
	seekHole = 4
)

// nextData returns where the next data of a file are, from off on, and where
// the hole behind them begins. Both are size when there are none.
func nextData(f *os.File, off, size int64) (data, hole int64, err error) {
	data, err = f.Seek(off, seekData)
	if errors.Is(err, syscall.ENXIO) {
		return size, size, nil
	}
	if err != nil {
		return off, size, nil // a file system without holes
	}
	hole, err = f.Seek(data, seekHole)
	return data, min(hole, size), err
}

// flushDisk writes what the file systems have not written yet.
func flushDisk() { syscall.Sync() }
