//go:build amd64 || arm64

package crash

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// counter runs a program and counts the system calls by which its threads
// change files, one after the other; before one of them it can kill it. Stores
// into mapped files are no calls, and are not counted.
//
// A seccomp filter holds each such call up until the counter lets it go. One
// thread of this process, on which nothing else runs, has the filter, and what
// it starts inherits it.
type counter struct {
	listener, stop int // descriptors; stop is the end of a pipe
	jobs           chan func()
	answered       sync.WaitGroup
	limit          time.Duration // of a program; 0: longest

	mu     sync.Mutex
	own    uint32 // the thread's id
	kill   int    // the call to kill before; 0: none
	calls  int
	killed bool
}

// counted are the system calls that are counted whatever their arguments. A
// write is where it is not to the first three descriptors, and an openat where
// it may create or truncate.
var counted = [...]uint32{
	unix.SYS_PWRITE64, unix.SYS_PWRITEV, unix.SYS_WRITEV, unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_SYNC_FILE_RANGE, unix.SYS_MSYNC,
	unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE, unix.SYS_COPY_FILE_RANGE, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_UNLINKAT, unix.SYS_MKDIRAT, unix.SYS_LINKAT,
}

// filter is the program that the kernel runs before each system call.
func filter() []unix.SockFilter {
	const (
		load   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		more   = unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K
		anyBit = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		end    = unix.BPF_RET | unix.BPF_K

		// Of struct seccomp_data; the low halves of arguments.
		number, first, third = 0, 16, 32
	)
	f := []unix.SockFilter{{Code: load, K: number}}
	n := len(counted)
	for i, c := range counted {
		f = append(f, unix.SockFilter{Code: equal, K: c, Jt: uint8(n - i + 6)})
	}
	return append(f,
		unix.SockFilter{Code: equal, K: unix.SYS_WRITE, Jt: 2},
		unix.SockFilter{Code: equal, K: unix.SYS_OPENAT, Jt: 3},
		unix.SockFilter{Code: end, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: load, K: first},
		unix.SockFilter{Code: more, K: 2, Jt: 2, Jf: 3},
		unix.SockFilter{Code: load, K: third},
		unix.SockFilter{Code: anyBit, K: unix.O_CREAT | unix.O_TRUNC, Jf: 1},
		unix.SockFilter{Code: end, K: unix.SECCOMP_RET_USER_NOTIF},
		unix.SockFilter{Code: end, K: unix.SECCOMP_RET_ALLOW},
	)
}

// listen installs the filter on this thread.
func listen() (fd int, err error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, err
	}
	f := filter()
	program := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	var errno syscall.Errno
	// Linux before 5.19 does not know the second flag, which keeps a signal of
	// the runtime from making a call twice.
	for _, flags := range [...]uintptr{unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, 0} {
		var r uintptr
		r, _, errno = unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|flags, uintptr(unsafe.Pointer(&program)))
		if errno == 0 {
			return int(r), nil
		}
	}
	return 0, fmt.Errorf("seccomp: %w", errno)
}

func newCounter() (*counter, error) {
	c := &counter{jobs: make(chan func())}
	pipe := make([]int, 2)
	if err := unix.Pipe2(pipe, unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	c.stop = pipe[1]
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with this goroutine
		var err error
		c.own = uint32(unix.Gettid())
		c.listener, err = listen()
		ready <- err
		for job := range c.jobs {
			job()
		}
	}()
	if err := <-ready; err != nil {
		close(c.jobs)
		unix.Close(pipe[0])
		unix.Close(pipe[1])
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	c.answered.Go(func() {
		c.answer(pipe[0])
		unix.Close(pipe[0])
		unix.Close(c.listener)
	})
	return c, nil
}

func (c *counter) close() {
	close(c.jobs)
	unix.Close(c.stop)
	c.answered.Wait()
}

// notification and answer are struct seccomp_notif and seccomp_notif_resp.
type notification struct {
	id         uint64
	pid, flags uint32
	data       [8]uint64
}

type answer struct {
	id, value    uint64
	error, flags uint32
}

// answer lets calls go, or kills, until stop is closed.
func (c *counter) answer(stop int) {
	for {
		fds := []unix.PollFd{{Fd: int32(c.listener), Events: unix.POLLIN}, {Fd: int32(stop)}}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) || fds[1].Revents != 0 {
			return
		}
		if fds[0].Revents&unix.POLLIN == 0 {
			continue
		}
		var n notification
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(c.listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n))); e != 0 {
			continue // the caller has gone
		}
		if c.count(n.pid) {
			// Any thread stands for its process. It dies without having made the call.
			_ = unix.Kill(int(n.pid), unix.SIGKILL)
			continue
		}
		a := answer{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(c.listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&a)))
	}
}

// count counts a call, and reports whether it is the one to kill before.
func (c *counter) count(thread uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if thread == c.own || c.killed {
		return c.killed && thread != c.own
	}
	c.calls++
	c.killed = c.calls == c.kill
	return c.killed
}

// ended is how a program ended.
type ended struct {
	status int // -1: by a signal
	calls  int // counted
	killed bool
}

// run runs a program in dir, and kills it before its n-th call; 0: not. What it
// prints goes to the file out.
func (c *counter) run(program string, args []string, dir string, out *os.File, n int) (ended, error) {
	c.mu.Lock()
	c.kill, c.calls, c.killed = n, 0, false
	c.mu.Unlock()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return ended{}, err
	}
	defer null.Close()
	var p *os.Process
	started := make(chan struct{})
	c.jobs <- func() {
		defer close(started)
		// In a group of its own an interrupt does not reach it.
		p, err = os.StartProcess(program, append([]string{program}, args...), &os.ProcAttr{
			Dir: dir, Files: []*os.File{null, out, out}, Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
		})
	}
	<-started
	if err != nil {
		return ended{}, err
	}
	// Not on that thread: for a timer the runtime may write to an eventfd, and
	// would wait for the answer with what answering needs.
	limit := cmp.Or(c.limit, longest)
	hangs := time.AfterFunc(limit, func() { _ = p.Signal(syscall.SIGABRT) }) // and it prints where it is
	kill := time.AfterFunc(limit+limit/8, func() { _ = p.Kill() })
	state, err := p.Wait()
	kill.Stop()
	if !hangs.Stop() && err == nil {
		err = fmt.Errorf("it was not done after %v", limit)
	}
	if err != nil {
		return ended{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return ended{state.ExitCode(), c.calls, c.killed}, nil
}
