package vfs

import (
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SyncParked implements ParkedSyncer by the kernel's asynchronous I/O
// (io_submit(2); a sync since Linux 4.18), whose end an eventfd tells to the
// runtime's poller.
func (f *osFile) SyncParked() error {
	q := takeQueue()
	if q == nil {
		return f.Sync()
	}
	submitted := false
	err := control("fdatasync", f.file, func(fd int) error {
		if !q.submit(fd) {
			return nil
		}
		submitted = true
		return q.wait()
	})
	q.give()
	if err == nil && !submitted { // not as a sync of this file, or not here
		return f.Sync()
	}
	return err
}

// syncQueue is a context of the kernel's asynchronous I/O, for one sync at a time.
type syncQueue struct {
	context uintptr
	done    *os.File // an eventfd
	fd      int      // of done
}

// syncQueues keeps queues for the next syncs: more of them seldom run at once.
var syncQueues = make(chan *syncQueue, 4)

// takeQueue returns nil where the system has none to give: it is too old, does
// not let this process, or has given too many.
func takeQueue() *syncQueue {
	select {
	case q := <-syncQueues:
		return q
	default:
	}
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil
	}
	q := &syncQueue{done: os.NewFile(uintptr(fd), "eventfd"), fd: fd}
	if _, _, e := unix.Syscall(unix.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&q.context)), 0); e != 0 {
		_ = q.done.Close()
		return nil
	}
	return q
}

func (q *syncQueue) give() {
	select {
	case syncQueues <- q:
	default:
		_, _, _ = unix.Syscall(unix.SYS_IO_DESTROY, q.context, 0, 0)
		_ = q.done.Close()
	}
}

// controlBlock is struct iocb of the kernel.
type controlBlock struct {
	_         [2]uint64
	opcode    uint16
	_         uint16
	fd        uint32
	_         [4]uint64
	flags     uint32
	resultsTo uint32
}

const (
	opDataSync   = 3 // IOCB_CMD_FDSYNC
	tellsEventfd = 1 // IOCB_FLAG_RESFD
)

// submit begins to sync a file. It reports whether it did: if not, nothing has
// happened.
func (q *syncQueue) submit(fd int) bool {
	b := &controlBlock{opcode: opDataSync, fd: uint32(fd), flags: tellsEventfd, resultsTo: uint32(q.fd)}
	n, _, e := unix.Syscall(unix.SYS_IO_SUBMIT, q.context, 1, uintptr(unsafe.Pointer(&b)))
	return e == 0 && n == 1
}

// ioEvent is struct io_event of the kernel.
type ioEvent struct {
	_      [2]uint64
	result int64
	_      int64
}

// wait waits for what was submitted, and returns its error. Without the eventfd,
// whose errors do not matter for that, it would wait in the last call.
func (q *syncQueue) wait() error {
	var count [8]byte
	_, _ = q.done.Read(count[:])
	var event ioEvent
	for {
		n, _, e := unix.Syscall6(unix.SYS_IO_GETEVENTS, q.context, 1, 1, uintptr(unsafe.Pointer(&event)), 0, 0)
		switch {
		case e == unix.EINTR:
		case e != 0:
			return e
		case n != 1:
			return fs.ErrInvalid
		case event.result < 0:
			return unix.Errno(-event.result)
		default:
			return nil
		}
	}
}
