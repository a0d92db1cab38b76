package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lightning-db/lightning/internal/figure"
)

// hardCommands are tried under each hardship, in the directory that has the
// database my.db, a backup of it and a file to import. Those that only look begin
// with a space.
var hardCommands = []string{
	"put my.db new value", "delete my.db gone", " get my.db kept", " count my.db", " scan my.db --limit 3", "export my.db out.jsonl", "import my.db in.jsonl",
	"backup my.db out.backup", "restore other.db my.backup", "checkpoint my.db", "compact my.db", " verify my.db", " stats my.db",
	"keyspace create my.db space", " keyspace list my.db", " inspect meta my.db", "repair my.db good.db", "put fresh.db new value", " verify my.backup",
}

// hardship is something that a real system does to a command.
type hardship struct {
	name     string
	prefix   string // of the command, in a shell
	statuses []int  // that a command may have, beside exitDone
	looks    bool   // commands that only look succeed
	nobody   bool   // it runs without rights
	strike   func(*hardDisk) error
	lift     func(*hardDisk) error
}

var hardships = []hardship{
	{name: "full disk", statuses: []int{exitIO}, looks: true, strike: (*hardDisk).fill, lift: (*hardDisk).empty},
	{name: "device that fails", statuses: []int{exitIO, exitDatabase, exitPermission}, strike: (*hardDisk).breakDevice, lift: (*hardDisk).replaceDevice},
	{name: "read-only file system", statuses: []int{exitIO, exitPermission}, looks: true, strike: func(d *hardDisk) error { return d.remount("ro") }, lift: func(d *hardDisk) error { return d.remount("rw") }},
	{name: "few descriptors", prefix: "ulimit -n 9;", statuses: []int{exitIO}},
	{name: "short files", prefix: "ulimit -f 8;", statuses: []int{exitIO}, looks: true},
	{name: "no permission", statuses: []int{exitPermission}, nobody: true},
}

// F4 to F7 as a real system has them, under ext4 of 8 MiB: the disk is full, the
// device below fails, the file system is read-only, descriptors and the length of
// files are limited, permission is missing.
//
//  1. A command succeeds, or says why not with the right status; none ends by a
//     signal, with a bug's status, or not at all.
//  2. What it says that it did is there afterwards, and so is all that was there
//     before; the database keeps every promise of its format.
func TestHardships(t *testing.T) {
	ownMounts(t)
	every, ran := 5, 0
	switch {
	case figure.Scale() > 1:
		every = 1
	case testing.Short():
		every = len(hardCommands) // one each
	}
	program, err := exec.LookPath("lightning")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Dir(program), filepath.Dir(filepath.Dir(program)), filepath.Dir(t.TempDir())} {
		if err := os.Chmod(dir, 0o755); err != nil { // for who has no permission
			t.Fatal(err)
		}
	}
	for h := range hardships {
		statuses := map[int]int{}
		for i := h % every; i < len(hardCommands); i += every {
			statuses[newHardDisk(t).try(t, &hardships[h], hardCommands[i])]++
			ran++
		}
		t.Logf("%s: %v commands by status", hardships[h].name, statuses)
		if every == 1 && statuses[exitDone] == len(hardCommands) {
			t.Errorf("%s: it makes no difference", hardships[h].name)
		}
	}
	figure.Log(t, "cases", ran)
}

// ownMounts gives this thread mounts that nobody else has: they are gone with it,
// however the test ends.
func ownMounts(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("it mounts file systems, for which it needs root")
	}
	runtime.LockOSThread()
	err := syscall.Unshare(syscall.CLONE_NEWNS)
	if err == nil {
		err = syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	}
	if err != nil {
		t.Skipf("it cannot have mounts of its own here: %v", err)
	}
}

// A disk that has no room for a test says nothing of the database: it is told as
// what it is, in one line, and nothing is left on it.
func TestFullDisk_Tests(t *testing.T) {
	ownMounts(t)
	dir := t.TempDir()
	for _, size := range []string{"256k", "1m"} {
		for _, command := range []string{
			"crashtest --mode kill --cycles 1000 --jobs 2", "crashtest --mode syscall --cycles 1000", "crashtest --cycles 10", "crashtest --mode power --cycles 1000 --fs ext4", "stress --run recovery", "stress --run large",
		} {
			if err := bash("mount -t tmpfs -o size=%s tmpfs %s", size, dir); err != nil {
				t.Fatal(err)
			}
			d := &hardDisk{root: dir}
			want := exitIO
			if command == "crashtest --cycles 10" { // in memory
				want = exitDone
			}
			status, text := d.run(&hardship{}, command+" --seed 3 --dir .")
			if status != want || strings.Contains(text, "FAIL") || want == exitIO && (!strings.Contains(text, "no space left") || strings.Count(text, "lightning: ") != 1) {
				t.Errorf("%s on %s: status %d: %s", command, size, status, text)
			}
			left, err := os.ReadDir(dir)
			if err != nil || len(left) > 0 {
				t.Errorf("%s on %s: left behind: %v, %v", command, size, left, err)
			}
			if err := bash("umount %s", dir); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What is to appear whole, and has no room, says so: there is nothing to go on with.
func TestFullDisk_MakesNothing(t *testing.T) {
	ownMounts(t)
	d := &hardDisk{root: t.TempDir()}
	db := database(t, 20_000)
	if status, text := d.run(&hardship{}, "backup "+db+" my.backup -q"); status != exitDone {
		t.Fatal(text)
	}
	if err := bash("mkdir %[1]s/full && mount -t tmpfs -o size=64k tmpfs %[1]s/full", d.root); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bash("umount -l %s/full", d.root) }()
	if err := bash("cd %s && lightning export %s rows --to jsonl -q", d.root, db); err != nil {
		t.Fatal(err)
	}
	for command, says := range map[string]string{
		"backup " + db + " full/new":                    "; full/new was not written; make room and run it again\n",
		"backup " + db + " - >/dev/full":                "; what was written is no whole backup; make room and run it again\n",
		"restore full/new my.backup":                    "; no database was made; make room and run it again\n",
		"repair " + db + " full/new":                    "; no database was made; make room and run it again\n",
		"import full/new rows --from jsonl --sorted -q": "; no database was made; make room and run it again\n",
	} {
		if status, text := d.run(&hardship{}, command); status != exitIO || !strings.Contains(text, "no space left") || !strings.HasSuffix(text, says) {
			t.Errorf("%s: status %d: %s", command, status, text)
		}
		if left, err := os.ReadDir(filepath.Join(d.root, "full")); err != nil || len(left) > 0 {
			t.Errorf("%s: left behind: %v, %v", command, left, err)
		}
	}
}

// A system that does not tell what a test wants to know has it left out, and said.
func TestStress_WithoutProc(t *testing.T) {
	ownMounts(t)
	if err := bash("mount -t tmpfs none /proc"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Unmount("/proc", 0); err != nil {
			t.Error(err)
		}
	}()
	d := &hardDisk{root: t.TempDir()}
	for command, want := range map[string]int{"--run memory": exitDatabase, "--run 'memory|edge' ": exitDone} {
		status, text := d.run(&hardship{}, "stress --dir . "+command)
		if status != want || !strings.Contains(text, "memory             none ") || !strings.Contains(text, "does not tell how much memory") ||
			want == exitDone && !strings.Contains(text, "stress: 1 test passed") {
			t.Errorf("%s: status %d: %s", command, status, text)
		}
	}
}

// hardDisk is ext4 on a loop device, in a file on a file system in memory.
type hardDisk struct{ base, root string }

func bash(format string, args ...any) error {
	line := fmt.Sprintf(format, args...)
	if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", line, err, out)
	}
	return nil
}

func newHardDisk(t *testing.T) *hardDisk {
	t.Helper()
	dir := t.TempDir()
	d := &hardDisk{base: filepath.Join(dir, "base"), root: filepath.Join(dir, "root")}
	err := bash("mkdir %[1]s %[2]s && mount -t tmpfs -o size=12m tmpfs %[1]s && truncate -s 8M %[1]s/image && mkfs.ext4 -q -F %[1]s/image && mount -o loop,errors=remount-ro %[1]s/image %[2]s", d.base, d.root)
	t.Cleanup(func() { _ = bash("umount -l %s; umount -l %s", d.root, d.base) })
	if err != nil {
		t.Skipf("a file system on a loop device cannot be mounted here: %v", err)
	}
	err = bash(`cd %s && lightning put my.db kept value -q && lightning put my.db gone value -q && lightning backup my.db my.backup -q &&
		for i in 1 2 3 4 5 6 7 8 9; do echo "{\"key\":\"i$i\",\"value\":\"$i\"}"; done >in.jsonl && sync -f .`, d.root)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *hardDisk) fill() error {
	return bash("dd if=/dev/zero of=%s/filler bs=4k 2>/dev/null; true", d.root)
}
func (d *hardDisk) empty() error { return os.Remove(filepath.Join(d.root, "filler")) }

func (d *hardDisk) remount(how string) error { return bash("mount -o remount,%s %s", how, d.root) }

// breakDevice leaves no room for what the device has not written yet.
func (d *hardDisk) breakDevice() error {
	return bash("dd if=/dev/zero of=%s/filler bs=4k 2>/dev/null; true", d.base)
}

func (d *hardDisk) replaceDevice() error {
	return bash("umount %[1]s; rm %[2]s/filler && mount -o loop %[2]s/image %[1]s", d.root, d.base)
}

// run runs a command of the program.
func (d *hardDisk) run(h *hardship, command string) (status int, text string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", h.prefix+"exec lightning "+command)
	cmd.Dir = d.root
	if h.nobody {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	exit, _ := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return exitDone, string(out)
	case exit == nil:
		return -1, err.Error()
	}
	return exit.ExitCode(), string(out)
}

// try runs one command under a hardship, and looks at the database afterwards. It
// returns the command's status.
func (d *hardDisk) try(t *testing.T, h *hardship, command string) int {
	t.Helper()
	look := strings.HasPrefix(command, " ")
	if h.strike != nil {
		if err := h.strike(d); err != nil {
			t.Fatal(err)
		}
	}
	status, text := d.run(h, command)
	if status != exitDone && (!slices.Contains(h.statuses, status) || look && h.looks) {
		t.Errorf("%s: %s: status %d: %s", h.name, command, status, text)
	}
	if h.lift != nil {
		if err := h.lift(d); err != nil {
			t.Fatal(err)
		}
	}
	checks := []string{"verify my.db", "get my.db kept", "verify my.backup"}
	if status == exitDone {
		switch strings.Fields(command)[0] {
		case "put":
			checks = append(checks, "get "+strings.Fields(command)[1]+" new")
		case "import":
			checks = append(checks, "get my.db i9")
		case "backup":
			checks = append(checks, "verify out.backup")
		case "restore":
			checks = append(checks, "get other.db kept")
		case "repair":
			checks = append(checks, "get good.db kept")
		}
	}
	for _, check := range checks {
		if status, text := d.run(&hardship{}, check); status != exitDone {
			t.Errorf("%s: %s: afterwards, %s: status %d: %s", h.name, command, check, status, text)
		}
	}
	return status
}
