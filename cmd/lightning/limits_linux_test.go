package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/figure"
)

// loadSeconds is for how long a database is worked on within a limit of memory at
// the usual scale: ten minutes at 100.
const loadSeconds = 6

// A program with a database, all options as they are by default, has 512 MiB of
// memory for itself, the pages of its files, and a lightning health a second
// beside it. The kernel kills nothing, the program and the command find the
// database healthy all the time, and every answer is right.
//
// How long a checkpoint takes depends on what else the machine does: that it was
// more than the limit of a second is told, and no failure.
func TestMemoryLimit(t *testing.T) {
	const limit = 512
	group := memoryGroup(t, limit)
	seconds := figure.Times(loadSeconds)
	r := startLoad(t, group, &load{
		DB: filepath.Join(t.TempDir(), "my.db"), For: time.Duration(seconds) * time.Second,
		Keys: 30_000, Records: 500_000, PerSecond: 3000, Options: engine.Options{Sync: engine.SyncNormal},
	})
	var word loadWord
	asked, slow := 0, 0
	for w := range r.words {
		if word = w; !w.Done && w.Error == "" {
			if status, text := r.health(group); status != exitDone || !strings.Contains(text, "ok: ") {
				t.Errorf("lightning health: status %d: %s", status, text)
			}
			asked++
		}
		for _, f := range w.Found {
			if f.Check == "checkpoint" && !f.Stops {
				slow++
				continue
			}
			t.Errorf("it is not healthy: %+v", f)
		}
	}
	r.ended(&word)
	peak, killed := groupMemory(t, group)
	const late = 1 << 20 // pages that the kernel gives before it counts them
	if peak > limit<<20+late || killed > 0 {
		t.Errorf("a peak of %d bytes within %d MiB, %d processes killed", peak, limit, killed)
	}
	if word.Resident > limit<<20*3/4 {
		t.Errorf("the program had %d bytes, and left too little of %d MiB to the pages of files", word.Resident, limit)
	}
	figure.Log(t, "seconds", seconds)
	t.Logf("%d operations, %d records there, %d backups, %d checkpoints of up to %v, more than a second in %d of %d; stalls of %v",
		word.Ops, word.Records, word.Backups, word.Checkpoints, word.Longest.Round(time.Millisecond), slow, asked, word.Stalled.Round(time.Millisecond))
	t.Logf("peak of the group, with the pages of files: %d MiB; of the program: %d MiB", peak>>20, word.Resident>>20)
}

// A log, a disk and a cache that are too small for what a program does, and
// otherwise as above: each is named, by the program and by lightning health
// beside it, and nothing else is. (Of the cache of another process lightning health
// knows nothing.)
func TestTooSmall(t *testing.T) {
	const log = 1 << 20
	for _, tc := range []struct {
		check   string
		reason  string // part of it
		remedy  string
		keys    int
		options engine.Options
		args    string // of lightning health
		inside  bool   // only the program knows
	}{
		{"log", "of log wait for a checkpoint", "raise Options.MaxWALBytes", 5000, engine.Options{MaxWALBytes: log}, "--log-limit " + strconv.Itoa(log), false},
		{"disk", "are free on the disk", "make room", 5000, engine.Options{}, "", false},
		{"cache", "were in the cache of", "raise Options.CacheBytes", 50_000, engine.Options{CacheBytes: 256 << 10}, "", true},
	} {
		t.Run(tc.check, func(t *testing.T) {
			dir, grow := t.TempDir(), func() {}
			if tc.check == "disk" {
				dir, grow = smallDisk(t)
			}
			tc.options.Sync = engine.SyncNormal
			r := startLoad(t, "", &load{
				DB: filepath.Join(dir, "my.db"), For: time.Minute, Keys: tc.keys, Records: 200_000, PerSecond: 4000, Options: tc.options,
			})
			right := func(f engine.HealthFinding) bool {
				return f.Check == tc.check && !f.Stops && strings.Contains(f.Reason, tc.reason) && strings.Contains(f.Remedy, tc.remedy)
			}
			within, beside := false, tc.inside
			for !within || !beside {
				for _, f := range r.next().Found {
					switch {
					case right(f):
						within = true
					case f.Check != "checkpoint" || f.Stops: // a slow one, as above
						t.Errorf("found: %+v", f)
					}
				}
				status, text := r.health("", strings.Fields(tc.args)...)
				lines := strings.Split(strings.TrimSpace(text), "\n")
				switch {
				case status == exitDone && strings.Contains(text, "ok: "):
				case status == exitNo && len(lines) == 2 && !tc.inside && strings.HasPrefix(lines[0], tc.check+": ") &&
					strings.Contains(lines[0], tc.reason) && strings.HasPrefix(lines[1], "  ") && strings.Contains(lines[1], tc.remedy):
					beside = true
				default:
					t.Errorf("lightning health %s: status %d: %s", tc.args, status, text)
				}
			}
			if tc.check == "disk" { // where there is room again, all is well
				grow()
				for slices.ContainsFunc(r.next().Found, right) {
				}
				if status, text := r.health(""); status != exitDone {
					t.Errorf("with room, lightning health has status %d: %s", status, text)
				}
			}
		})
	}
}

// loadRun is a load that runs.
type loadRun struct {
	t     *testing.T
	db    string
	words <-chan loadWord // closed when it has ended
	wait  func() error
}

// startLoad starts lightning-load, in a control group unless that is "". It ends
// with the test at the latest.
func startLoad(t *testing.T, group string, l *load) *loadRun {
	t.Helper()
	l.Expected = filepath.Join(t.TempDir(), "expected")
	spec, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	cmd := inGroup(group, "lightning-load", string(spec))
	cmd.Stderr = os.Stderr
	leash, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	words := make(chan loadWord)
	r := &loadRun{t, l.DB, words, cmd.Wait}
	stop := make(chan struct{})
	t.Cleanup(func() {
		_ = leash.Close()
		close(stop)
		for range words {
		}
		_ = cmd.Wait()
	})
	go func() {
		defer close(words)
		for d := json.NewDecoder(out); ; {
			var w loadWord
			if err := d.Decode(&w); err != nil {
				if !errors.Is(err, io.EOF) {
					fmt.Fprintln(os.Stderr, "lightning-load:", err)
				}
				return
			}
			select {
			case words <- w:
			case <-stop:
			}
		}
	}()
	return r
}

// next is what the load says next, which must not be its last word.
func (r *loadRun) next() loadWord {
	r.t.Helper()
	w, ok := <-r.words
	if !ok || w.Done || w.Error != "" {
		r.t.Fatalf("the load has ended: %+v", w)
	}
	return w
}

// inGroup is a command, whose process is in a control group unless that is "".
func inGroup(group, name string, args ...string) *exec.Cmd {
	if group == "" {
		return exec.Command(name, args...)
	}
	return exec.Command("sh", append([]string{"-c", `echo $$ >"$0/cgroup.procs" && exec "$@"`, group, name}, args...)...)
}

// health is what lightning health says beside the load, in its control group.
func (r *loadRun) health(group string, args ...string) (status int, text string) {
	r.t.Helper()
	out, err := inGroup(group, "lightning", append([]string{"health", r.db, "-q"}, args...)...).Output()
	exit, _ := errors.AsType[*exec.ExitError](err)
	switch {
	case exit != nil:
		return exit.ExitCode(), string(out) + string(exit.Stderr)
	case err != nil:
		r.t.Fatal(err)
	}
	return exitDone, string(out)
}

// ended makes sure that the load has ended well, and that all of its database is
// in order.
func (r *loadRun) ended(last *loadWord) {
	r.t.Helper()
	if err := r.wait(); err != nil || !last.Done {
		r.t.Fatalf("the load ended with %v, and %+v", err, *last)
	}
	if out, err := exec.Command("lightning", "verify", r.db).CombinedOutput(); err != nil {
		r.t.Errorf("verify: %v: %s", err, out)
	}
}

// groupMemory is the most that a control group has had, in bytes, and how many
// of its processes were killed for it.
func groupMemory(t *testing.T, group string) (peak, killed int) {
	t.Helper()
	for _, names := range [][2]string{{"memory.max_usage_in_bytes", "memory.oom_control"}, {"memory.peak", "memory.events"}} { // version 1, version 2
		text, err := os.ReadFile(filepath.Join(group, names[0]))
		if err != nil {
			continue
		}
		events, err2 := os.ReadFile(filepath.Join(group, names[1]))
		peak, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err = errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(string(events))
		i := slices.Index(fields, "oom_kill")
		if i < 0 || i+1 == len(fields) {
			t.Fatalf("%s does not count kills: %s", names[1], events)
		}
		killed, err := strconv.Atoi(fields[i+1])
		if err != nil {
			t.Fatal(err)
		}
		return peak, killed
	}
	t.Fatal("the control group does not tell its peak")
	return 0, 0
}

// smallDisk is a file system that the database of a load grows towards the end of,
// and what makes it larger.
func smallDisk(t *testing.T) (dir string, grow func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("it mounts a file system, for which it needs root")
	}
	// The mount is in a name space of this thread, as in TestHardships.
	runtime.LockOSThread()
	err := syscall.Unshare(syscall.CLONE_NEWNS)
	if err == nil {
		err = syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	}
	dir = t.TempDir()
	if err == nil {
		err = syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=120m")
	}
	if err != nil {
		t.Skipf("a file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir, func() {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=600m"); err != nil {
			t.Fatal(err)
		}
	}
}
