package vfs

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// What is here was run under Wine; it has not been run on Windows itself yet.

// openFlags opens a symbolic link itself, which opener.existing then refuses as
// no regular file.
const openFlags = windows.FILE_FLAG_OPEN_REPARSE_POINT

// openShared is os.OpenFile, for what openRegular asks of it, but lets the file
// be renamed and removed while it is open, as the log does with segments that it
// or a reader in another process has open. os.OpenFile does not share that
// right, and so is what opens the file of a lock: nobody can remove that under
// its holder.
func openShared(name string, flag int, _ fs.FileMode) (*os.File, error) {
	h, err := createFile(name, flag)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(h), name), nil
}

func giveAway(*os.File) {}

// createFile opens a file, or makes it when flag has os.O_CREATE, as
// syscall.Open does with the same flags: the handle is not inherited, and a
// directory can be opened only for reading.
func createFile(name string, flag int) (windows.Handle, error) {
	path, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return windows.InvalidHandle, err
	}
	const shared = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE
	access, how := uint32(windows.GENERIC_READ), uint32(windows.OPEN_EXISTING)
	attributes := uint32(windows.FILE_ATTRIBUTE_NORMAL | openFlags)
	if writing := flag&os.O_RDWR != 0; writing {
		access |= windows.GENERIC_WRITE
	} else {
		attributes |= windows.FILE_FLAG_BACKUP_SEMANTICS
	}
	if flag&os.O_CREATE != 0 {
		how = windows.CREATE_NEW // O_EXCL is always with it
	}
	h, err := windows.CreateFile(path, access, shared, nil, how, attributes, 0)
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		if a, e := windows.GetFileAttributes(path); e == nil && a&windows.FILE_ATTRIBUTE_DIRECTORY != 0 {
			err = syscall.EISDIR
		}
	}
	return h, err
}

// FreeSpace implements FreeSpacer.
func (osFS) FreeSpace(dir string) (int64, error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(path, &free, nil, nil); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(free), nil
}

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
