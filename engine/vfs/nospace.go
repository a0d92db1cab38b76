package vfs

import "errors"

// IsNoSpace reports whether err stands for a disk, a quota or a file that is
// as large as it may become: space made free, the operation can succeed.
func IsNoSpace(err error) bool {
	return err != nil && (errors.Is(err, ErrNoSpace) || isNoSpaceErrno(err))
}
