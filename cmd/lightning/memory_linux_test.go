package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/figure"
	"github.com/lightning-db/lightning/stress"
)

// memoryKills is how many writers are killed at the usual scale.
const memoryKills = 2

// A writer that the kernel kills for the memory of its control group, which it
// has used up itself or, at some moment, somebody else: nothing is lost that it
// acknowledged. Half of them try to live within the limit (GOMEMLIMIT).
func TestKilledForMemory(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "lightning-test-") // whose files count as memory, and cannot be written back to make room
	if err != nil {
		t.Skipf("no file system in memory: %v", err)
	}
	defer os.RemoveAll(dir)
	rng := rand.New(rand.NewPCG(1, 0x6D656D))
	c := stress.Child{DB: filepath.Join(dir, "db"), Expected: filepath.Join(dir, "expected"), Seed: 1, Keys: 2000, Options: engine.Options{Sync: engine.SyncNormal}}
	var commits uint64
	kills := figure.Times(memoryKills)
	for i := range kills {
		limit := 12 + rng.IntN(40)
		group := memoryGroup(t, limit)
		goLimit := "off"
		if i%2 == 1 {
			goLimit = fmt.Sprint(limit*3/4, "MiB")
		}
		// The kernel prefers a process with a high score.
		writer := exec.Command("sh", "-c", `echo $$ >"$0/cgroup.procs" && echo 1000 >/proc/self/oom_score_adj && exec "$@"`, group,
			"lightning", "stress-writer", c.DB, c.Expected, "1", strconv.Itoa(i), strconv.Itoa(c.Keys), "4", c.Options.Sync.String(), strconv.Itoa(64<<20))
		writer.Env = append(os.Environ(), "GOMEMLIMIT="+goLimit)
		leash, err := writer.StdinPipe() // a writer ends when its standard input does
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		dead, eaten := make(chan struct{}), make(chan struct{})
		moment, late := time.Duration(rng.IntN(400))*time.Millisecond, time.After(time.Minute)
		go func() {
			defer close(eaten)
			for time.Sleep(moment); ; {
				select {
				case <-dead:
					return
				case <-late:
					_ = writer.Process.Signal(syscall.SIGTERM)
					return
				default: // tail keeps a line of so many zeros
					_ = exec.Command("sh", "-c", `echo $$ >"$0/cgroup.procs" && echo -900 >/proc/self/oom_score_adj && head -c 200000000 /dev/zero | exec tail -n 1 >/dev/null`, group).Run()
				}
			}
		}()
		err = writer.Wait()
		_ = leash.Close()
		close(dead)
		removeGroup(group)
		<-eaten
		removeGroup(group)
		exit, _ := errors.AsType[*exec.ExitError](err)
		if exit == nil || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("writer %d, within %d MiB: %v, want that it is killed", i, limit, err)
		}
		_, _, report, err := c.Judge(context.Background())
		if err != nil {
			t.Fatalf("writer %d, within %d MiB: %v", i, limit, err)
		}
		commits += report.Commits
	}
	figure.Log(t, "kills", kills)
	t.Logf("%d commits recovered", commits)
}

// memoryGroup makes a control group whose processes may have so many MiB
// together. At the end of the test they are killed, and it is removed.
func memoryGroup(t *testing.T, limit int) string {
	t.Helper()
	for _, file := range []string{"/sys/fs/cgroup/memory/*/memory.limit_in_bytes", "/sys/fs/cgroup/*/memory.max"} { // version 1, version 2
		base := filepath.Dir(filepath.Dir(file))
		group := filepath.Join(base, fmt.Sprintf("lightning-test-%d", os.Getpid()))
		if err := os.Mkdir(group, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			continue
		}
		t.Cleanup(func() { removeGroup(group) })
		file = filepath.Join(group, filepath.Base(file))
		if f, err := os.OpenFile(file, os.O_WRONLY, 0); err == nil { // it is not made
			_, err = fmt.Fprint(f, limit<<20)
			if err = errors.Join(err, f.Close()); err == nil {
				return group
			}
		}
	}
	t.Skip("no control group with a limit of memory can be made here: that needs root")
	return ""
}

func removeGroup(group string) {
	for os.Remove(group) != nil { // until the last has died
		text, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
		if err != nil {
			return
		}
		for _, word := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
}
