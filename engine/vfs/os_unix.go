//go:build linux || darwin

package vfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// openFlags: O_NONBLOCK matters only to a pipe or a device, whose open would
// wait for the other end.
const openFlags = unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK

// openShared is os.OpenFile: an open file can be renamed and removed here.
func openShared(name string, flag int, perm fs.FileMode) (*os.File, error) {
	return os.OpenFile(name, flag, perm)
}

// isNotRegular tells the errors that open has for what is no regular file: a
// symbolic link, a directory opened for writing, a socket.
func isNotRegular(err error) bool {
	return errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.ENXIO)
}

// giveAway gives a file that root has just made to whoever owns its directory,
// who could not open it otherwise: a log segment of root's keeps a service from
// its own database.
func giveAway(f *os.File) {
	if unix.Geteuid() != 0 {
		return
	}
	dir, err := os.Stat(filepath.Dir(f.Name()))
	if err != nil {
		return
	}
	if st := dir.Sys().(*syscall.Stat_t); st.Uid != 0 {
		// Where that is not allowed, the file stays root's.
		_ = control("chown", f, func(fd int) error { return unix.Fchown(fd, int(st.Uid), int(st.Gid)) })
	}
}

func rename(oldname, newname string) error { return os.Rename(oldname, newname) }

// syncDir syncs a directory. EINVAL is the answer of file systems that have
// nothing to sync there (some network and FUSE ones).
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}

// FreeSpace implements FreeSpacer.
func (osFS) FreeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := ignoringEINTR(func() error { return unix.Statfs(dir, &st) }); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// lockHandle locks an open file for as long as it stays open.
func lockHandle(f *os.File) error {
	err := control("flock", f, func(fd int) error {
		return ignoringEINTR(func() error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	})
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errHeld
	}
	return err
}

// excludeHandle is lockHandle: nobody else is kept from reading the file.
func excludeHandle(f *os.File) error { return lockHandle(f) }

// unlockHandle releases the lock, whoever else has the file open.
func unlockHandle(f *os.File) error {
	return control("flock", f, func(fd int) error { return unix.Flock(fd, unix.LOCK_UN) })
}

func isNoSpaceErrno(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}

// control calls fn with the descriptor of f, which stays open meanwhile. Its
// errors name op and the file.
func control(op string, f *os.File, fn func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := conn.Control(func(fd uintptr) { inner = fn(int(fd)) }); err != nil {
		inner = fs.ErrClosed // the only reason for which fn is not called
	}
	if inner != nil {
		return &fs.PathError{Op: op, Path: f.Name(), Err: inner}
	}
	return nil
}

func ignoringEINTR(fn func() error) error {
	for {
		if err := fn(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
