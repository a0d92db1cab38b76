package crash

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/stress"
)

const powerCuts = 40 // of one file system, at least

// Power lets a writer write to a file system of its own, in sync mode full, and
// shuts that down after 5 to 100 ms: what the file system has not put on its
// disk is lost, as in a power cut. Then the file system is mounted again, and
// what is there held against what the writer had been told, and verified; at
// every third cut the power is cut again while the database is opened, before
// that. The mount options are others each time.
//
// The disk is a loop device, which the kernel lets go with its last user, and
// the mount is at no place, but reached through a descriptor: nothing is left
// of them, however this process ends.
func Power(ctx context.Context, o Options) (Report, error) {
	if os.Geteuid() != 0 {
		return Report{}, fmt.Errorf("%w: only root may mount a file system: %w", ErrUnavailable, fs.ErrPermission)
	}
	kinds := []string{o.FileSystem}
	if o.FileSystem == "" {
		kinds = []string{"ext4", "xfs"}
		if _, err := find("mkfs.xfs"); err != nil {
			kinds = kinds[:1]
		}
	}
	return tested(do(ctx, o, func(ctx context.Context, r *run, i uint64) error {
		dir, err := r.newDir("power", i)
		if err != nil {
			return err
		}
		kind := kinds[i%uint64(len(kinds))]
		d, err := newDisk(filepath.Join(dir, kind), kind)
		if err != nil {
			return errors.Join(full(err, dir), stress.RemoveTree(dir))
		}
		p := &power{run: r, disk: d, dir: dir, rng: rand.New(rand.NewPCG(o.Seed, i))}
		p.writer = newWriter(dir, p.rng)
		p.writer.Options.Sync = engine.SyncFull
		r.add(Report{Scenarios: 1})
		for p.cuts < powerCuts && !r.over() {
			options, err := p.cycle(ctx)
			if errors.Is(err, errUnmountable) && p.journaled {
				r.add(Report{Unmountable: 1})
				break
			}
			if err != nil {
				return r.keep(ctx, &Failure{
					Err:    fmt.Errorf("cut %d, %s %s: %w", p.cuts, kind, options, full(err, dir)),
					Repeat: fmt.Sprintf("lightning crashtest --mode power --fs %s --seed %d%s", kind, o.Seed, o.Limits),
					Dir:    dir,
				}, fmt.Sprintf("writer: %+v\n", p.writer))
			}
		}
		return stress.RemoveTree(dir)
	}))
}

// full returns err, or, where the disk below the file system is full, that: the
// kernel tells those who write to the file system of an I/O error.
func full(err error, dir string) error {
	return cmp.Or(stress.NoRoom(stress.IOError, dir), err)
}

type power struct {
	*run
	*disk
	dir    string
	rng    *rand.Rand
	writer stress.Child
	cuts   int
	// journaled is whether ext4 was last mounted with data=journal. Very seldom
	// (Linux 6.18) a block of its journal has a wrong checksum after the cut,
	// the kernel does not mount it again, and there is nothing to judge.
	journaled bool
}

// cycle writes, cuts, perhaps cuts the recovery, and judges. The options are
// those of the last mount that was cut.
func (p *power) cycle(ctx context.Context) (options string, err error) {
	pick := func(of ...string) string { return of[p.rng.IntN(len(of))] }
	c := &p.writer
	cuts := 1 + p.rng.IntN(3)/2
	for again := range cuts {
		if p.kind == "ext4" {
			options = "data=" + pick("ordered", "writeback", "journal") + ",commit=" + pick("1", "5") + pick("", ",noauto_da_alloc")
		}
		c.Round, c.Threads = p.rng.Uint64(), 1+p.rng.IntN(4)
		c.Options.MemtableBytes = 16 << 10 << (2 * p.rng.IntN(5))
		wait := time.Duration(5+p.rng.IntN(95)) * time.Millisecond
		if again > 0 {
			c.Threads, wait = 0, time.Duration(p.rng.IntN(12))*time.Millisecond
		}
		if err = p.use(options, func(root string) error { return p.cut(root, wait) }); err != nil {
			return options, err
		}
		p.journaled = strings.HasPrefix(options, "data=journal")
		p.cuts++
	}
	return options, p.use("", func(root string) error {
		c.DB = filepath.Join(root, "db")
		return p.judgeWriter(ctx, p.dir, c, Report{States: cuts})
	})
}

// The flags of the shutdown: 1 writes the journal first, 2 does not.
const (
	shutdown   = 0x8004587d // EXT4_IOC_SHUTDOWN, and XFS_IOC_GOINGDOWN
	logFlush   = 1
	noLogFlush = 2
)

// rootOf opens the root of the disk for the shutdown, which must never reach
// another file system: the path leads through /proc.
func (p *power) rootOf(root string) (int, error) {
	dir, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	var here, loop unix.Stat_t
	if err = unix.Fstat(dir, &here); err == nil {
		err = unix.Fstat(int(p.loop.Fd()), &loop)
	}
	if err == nil && here.Dev != loop.Rdev {
		err = fmt.Errorf("%w: %s is not on %s", ErrUnavailable, root, p.loop.Name())
	}
	if err != nil {
		return 0, errors.Join(err, unix.Close(dir))
	}
	return dir, nil
}

// cut starts a writer, shuts the file system down, and kills the writer.
func (p *power) cut(root string, wait time.Duration) error {
	log, err := os.Create(filepath.Join(p.dir, "printed"))
	if err != nil {
		return err
	}
	defer log.Close()
	dir, err := p.rootOf(root)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	c := &p.writer
	c.DB = filepath.Join(root, "db")
	writer, err := p.Start(*c, log)
	if err != nil {
		return err
	}
	letWrite(c, wait, p.cuts == 0 || c.Threads == 0)
	var info unix.Siginfo
	err = unix.Waitid(unix.P_PID, writer.Pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	flag := noLogFlush
	if p.rng.IntN(4) == 0 {
		flag = logFlush
	}
	if e := unix.IoctlSetPointerInt(dir, shutdown, flag); e != nil {
		err = errors.Join(err, os.NewSyscallError("shut the file system down", e))
	}
	_ = writer.Kill() // it may have ended, of the error
	state, waitErr := writer.Wait()
	if err = errors.Join(err, waitErr); err != nil {
		return err
	}
	printed, err := os.ReadFile(log.Name())
	switch {
	case err != nil:
		return err
	case strings.Contains(string(printed), stress.ErrWrong.Error()):
		return fmt.Errorf("%w: the writer: %s", stress.ErrWrong, printed)
	case info.Signo != 0 && (c.Threads > 0 || !state.Success()):
		return fmt.Errorf("the writer ended by itself: %s: %s", state, printed)
	}
	return nil
}
