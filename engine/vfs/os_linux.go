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

// WriteBack implements WriteBacker. Its error must not be dropped: where the
// file system fails to find blocks for pages it drops them, and tells so only
// the call that asked for them to be written.
func (f *osFile) WriteBack(off, n int64) error {
	err := control("sync_file_range", f.file, func(fd int) error {
		return ignoringEINTR(func() error { return unix.SyncFileRange(fd, off, n, unix.SYNC_FILE_RANGE_WRITE) })
	})
	for _, none := range [...]error{unix.ENOSYS, unix.EOPNOTSUPP, unix.EPERM} {
		if errors.Is(err, none) {
			return nil
		}
	}
	return err
}

// Map implements Mapper. Map(0) ends the mapping. The caller must not let Map
// or Close run while WriteAt does: WriteAt takes no lock.
func (f *osFile) Map(n int64) error {
	if n < 0 {
		return &fs.PathError{Op: "mmap", Path: f.name, Err: fs.ErrInvalid}
	}
	if err := f.mapped.unmap(); err != nil {
		return &fs.PathError{Op: "munmap", Path: f.name, Err: err}
	}
	if n == 0 {
		return nil
	}
	f.mapped.limit = n
	if err := f.slide(0); err != nil {
		f.mapped.limit = 0
		return err
	}
	return nil
}

// slide moves the window to where it covers off, which is before the limit.
func (f *osFile) slide(off int64) error {
	m := &f.mapped
	limit := m.limit
	if err := m.unmap(); err != nil {
		return err
	}
	m.limit = limit
	m.start = off &^ (windowBytes - 1)
	return control("mmap", f.file, func(fd int) (err error) {
		m.window, err = unix.Mmap(fd, m.start, int(min(windowBytes, limit-m.start)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		return err
	})
}

// unmap ends the mapping.
func (m *mapping) unmap() error {
	window := m.window
	*m = mapping{}
	if window == nil {
		return nil
	}
	return unix.Munmap(window)
}
