package vfs

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// openFlags opens a symbolic link itself, which openExisting then refuses as
// no regular file.
const openFlags = windows.FILE_FLAG_OPEN_REPARSE_POINT

func isNotRegular(err error) bool { return errors.Is(err, syscall.EISDIR) }

// rename returns when the new name is on the disk: there is no SyncDir to ask
// for it afterwards.
func rename(oldname, newname string) error {
	from, err := windows.UTF16PtrFromString(oldname)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	to, err := windows.UTF16PtrFromString(newname)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	err = windows.MoveFileEx(from, to, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	return nil
}

// syncDir: Windows has no such call; NTFS journals names with the files.
func syncDir(dir string) error {
	_, err := os.Stat(dir)
	return err
}

// datasync calls FlushFileBuffers.
func datasync(f *os.File) error { return f.Sync() }

// reserve leaves it to the zeros that Allocate writes.
func reserve(*os.File, int64, int64) error { return nil }

// lockHandle locks one byte far past any text, since a locked byte cannot be
// read by others and the text is for them. The lock ends with the handle.
func lockHandle(f *os.File) error {
	const exclusiveNow = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	at := &windows.Overlapped{OffsetHigh: 0x40000000}
	err := windows.LockFileEx(windows.Handle(f.Fd()), exclusiveNow, 0, 1, 0, at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errHeld
	}
	if err != nil {
		return &os.PathError{Op: "LockFileEx", Path: f.Name(), Err: err}
	}
	return nil
}

// excludeHandle does nothing: a lock would keep others from reading the file,
// and the file of a lock, which is open, cannot be removed here.
func excludeHandle(*os.File) error { return nil }

// unlockHandle does nothing: nobody else has the handle, and closing it
// releases the lock.
func unlockHandle(*os.File) error { return nil }

func isNoSpaceErrno(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) ||
		errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}
