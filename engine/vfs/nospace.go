package vfs

import (
	"errors"
	"syscall"
)

// IsNoSpace reports whether err stands for a disk, a quota or a file that is
// as large as it may become: space made free, the operation can succeed.
func IsNoSpace(err error) bool {
	return err != nil && (errors.Is(err, ErrNoSpace) || isNoSpaceErrno(err))
}

// IsTooManyFiles reports whether err says that this process, or the system, has
// as many files open as it may: it says nothing of the file.
func IsTooManyFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
