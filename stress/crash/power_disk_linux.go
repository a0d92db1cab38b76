package crash

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// errUnmountable is wrapped when the kernel finds the file system itself damaged.
var errUnmountable = errors.New("the file system did not survive")

// disk is a file system of its own in a file.
type disk struct {
	kind, image string
	loop        *os.File // what image is attached to in use
}

func newDisk(image, kind string) (*disk, error) {
	// What it needs at least, and a little; the file has holes.
	size, force := int64(256<<20), "-F"
	if kind == "xfs" {
		size, force = 512<<20, "-f"
	}
	file, err := os.Create(image)
	if err != nil {
		return nil, err
	}
	if err = errors.Join(file.Truncate(size), file.Close()); err != nil {
		return nil, err
	}
	return &disk{kind: kind, image: image}, execute("mkfs."+kind, "-q", force, image)
}

// use mounts the disk, with options as mount has them, calls fn with the path
// of its root, and unmounts it. All that is open there must be closed then.
func (d *disk) use(options string, fn func(root string) error) (err error) {
	// A loop device of its own each time: the pages of one that stays open would
	// outlive the file system, with what it has changed but never written.
	if d.loop, err = attach(d.image); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.loop.Close()) }()
	root, err := d.mount(options)
	if errors.Is(err, unix.EBADMSG) {
		err = fmt.Errorf("%w: %w", errUnmountable, err)
	}
	if err != nil {
		return fmt.Errorf("mount %s: %w", d.kind, err)
	}
	// By this path other processes reach it, too.
	err = fn(fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), root))
	return errors.Join(err, unix.Close(root), d.awaitUnmount())
}

// attach returns a loop device of a file. The kernel lets it go when it is
// closed and not mounted, also when this process is killed.
func attach(image string) (*os.File, error) {
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close() // the loop device has it
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer control.Close()
	// Another may take the same device meanwhile.
	for range 10 {
		var n int
		if n, err = unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE); err != nil {
			break
		}
		var loop *os.File
		if loop, err = os.OpenFile("/dev/loop"+strconv.Itoa(n), os.O_RDWR, 0); err != nil {
			break
		}
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &unix.LoopConfig{
			Fd: uint32(file.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR},
		})
		if err == nil {
			return loop, nil
		}
		loop.Close()
		if !errors.Is(err, unix.EBUSY) {
			break
		}
	}
	return nil, fmt.Errorf("%w: loop device: %w", ErrUnavailable, err)
}

// awaitUnmount waits until nothing has the disk mounted. A program that is being
// started elsewhere in this process has a copy of every descriptor for a moment,
// and as long the file system would be alive that was shut down.
func (d *disk) awaitUnmount() error {
	for range 10_000 {
		// A mounted device is not opened exclusively. Nobody must copy that.
		syscall.ForkLock.RLock()
		f, err := os.OpenFile(d.loop.Name(), os.O_RDONLY|unix.O_EXCL, 0)
		if err == nil {
			err = f.Close()
		}
		syscall.ForkLock.RUnlock()
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("%w: %s stays mounted", ErrUnavailable, d.loop.Name())
}

// mount returns a descriptor of the root. The file system is at no place of the
// tree, and is unmounted when its last descriptor is closed.
func (d *disk) mount(options string) (root int, err error) {
	fs, err := unix.Fsopen(d.kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer unix.Close(fs)
	for _, option := range strings.Split("source="+d.loop.Name()+","+options, ",") {
		name, value, is := strings.Cut(option, "=")
		switch {
		case is:
			err = unix.FsconfigSetString(fs, name, value)
		case name != "":
			err = unix.FsconfigSetFlag(fs, name)
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", option, err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return 0, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
}

// find returns the path of a program of the system.
func find(name string) (string, error) {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: there is no %s", ErrUnavailable, name)
}

// execute runs a program of the system to its end. (Package os/exec would be
// another 60 kB.)
func execute(name string, args ...string) error {
	path, err := find(name)
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	p, err := os.StartProcess(path, append([]string{name}, args...), &os.ProcAttr{Files: []*os.File{null, null, os.Stderr}})
	if err != nil {
		return err
	}
	state, err := p.Wait()
	if err == nil && !state.Success() {
		err = fmt.Errorf("%s: %s", path, state)
	}
	return err
}
