package vfs

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// datasync makes data and length durable. The kernel leaves out the
// timestamps, so that overwriting a prewritten file needs no journal commit.
// It covers stores into a shared mapping as well. EINTR says that the call was
// not carried out, and is the only answer after which it is made again.
func datasync(f *os.File) error {
	return control("fdatasync", f, func(fd int) error {
		return ignoringEINTR(func() error { return unix.Fdatasync(fd) })
	})
}

// reserve gives every byte from off to off+n a block, also those that are
// holes, in one piece if the file system can. Where it cannot, writing has to
// do.
func reserve(f *os.File, off, n int64) error {
	if n == 0 {
		return nil
	}
	err := control("fallocate", f, func(fd int) error {
		return ignoringEINTR(func() error { return unix.Fallocate(fd, 0, off, n) })
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}

// Map implements Mapper. Map(0) ends the mapping. The caller must not let Map
// or Close run while WriteAt does: WriteAt takes no lock.
func (f *osFile) Map(n int64) error {
	if n < 0 || int64(int(n)) != n {
		return &fs.PathError{Op: "mmap", Path: f.name, Err: fs.ErrInvalid}
	}
	if err := f.mapped.unmap(); err != nil {
		return &fs.PathError{Op: "munmap", Path: f.name, Err: err}
	}
	if n == 0 {
		return nil
	}
	return control("mmap", f.file, func(fd int) (err error) {
		f.mapped, err = unix.Mmap(fd, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		return err
	})
}

func (m *mapping) unmap() error {
	if *m == nil {
		return nil
	}
	mapped := *m
	*m = nil
	return unix.Munmap(mapped)
}
