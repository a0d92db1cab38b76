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

// claimedMemory is what a cell of the usual size takes, pages of files included.
const claimedMemory = 512 << 20

// claimMemory makes the host of a virtual machine provide memory, which is free
// then for the next process. What is free for some seconds such a host may take
// away, and to get it back costs twenty times what it takes to clear it: a cell
// would pay for what the cells before it left unused.
func claimMemory() {
	b, err := syscall.Mmap(-1, 0, claimedMemory, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return // there is not as much
	}
	_ = syscall.Madvise(b, syscall.MADV_HUGEPAGE)
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 1
	}
	_ = syscall.Munmap(b)
}
