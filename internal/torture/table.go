package main

import (
	"strconv"
	"strings"
	"time"
)

// programme is the test programme, with the figures that it must reach.
var programme = []step{
	{
		name: "T1", does: "crash at every operation of a file, with twelve damages each to what was not synced; open, compare with the model, write, open again",
		lines: goTest("./engine", "^TestCrash$"), scale: 7.5, env: fewCollections, cores: 2, limit: 20 * time.Minute,
		want: []want{{figure: "states", least: 300_000}, {figure: "scenarios", least: 60}},
	},
	{
		name: "T2", does: "crash in the recovery from a crash, and in the recovery from that; cut the power behind a process that was killed",
		lines: goTest("./engine", "^TestCrash_(InRecovery|KillThenPowerCut)$"), scale: 2, env: fewCollections, cores: 2, limit: 10 * time.Minute,
		want: []want{{figure: "states", least: 30_000}, {figure: "kills", least: 3000}},
	},
	{
		name: "T3", does: "every call fails: once or for ever; EIO, ENOSPC, EDQUOT, EFBIG, EMFILE, EROFS, EINTR; reads and writes whole or half way",
		lines: goTest("./engine", "^TestIOError$"), scale: 1.4, env: fewCollections, cores: 2, limit: 15 * time.Minute,
		want: []want{{figure: "cases", least: 100_000}},
	},
	{
		name: "T4", does: "every sync fails in the three ways of Linux: pages marked clean, pages dropped, told too late; go on with the page cache, and after a power cut",
		lines: goTest("./engine", "^TestIOError_SyncFails$"), scale: 7, env: fewCollections, cores: 2, limit: 10 * time.Minute,
		want: []want{{figure: "cases", least: 20_000}},
	},
	{
		name: "T5", does: "a writer killed for the memory of its control group, at any moment",
		lines: goTest("./cmd/lightning", "^TestKilledForMemory$"), scale: 100, root: true, cores: 1, limit: 11 * time.Minute,
		want: []want{{figure: "kills", least: 200}},
	},
	{
		name: "T6", does: "three databases with every bit turned, every byte set to 00, FF, one more and one less, pieces of one to eight sectors zeroed, exchanged and as they once were, every length; open, read all, verify; and every byte of three small ones, which are opened for writing, too",
		lines: goTest("./engine", "^Test(Damage_EveryBit|Flip_EveryByte)$"), scale: 200, env: fewCollections, cores: 2, limit: 20 * time.Minute,
		want: []want{{figure: "files", least: 1_500_000}, {figure: "bits", least: 1_000_000}},
	},
	{
		name: "T7", does: "random operations beside sorted maps",
		lines: goTest("./engine", "^TestModel$"), scale: 48, env: fewCollections, cores: 2, limit: 30 * time.Minute,
		want: []want{{figure: "operations", least: 10_000_000}},
	},
	{
		name: "T8", does: "the same scripts of 10,000 operations under 24 standard and 24 drawn settings, and what may happen between; every answer the same",
		lines: goTest("./engine", "^TestMetamorphic$"), scale: 12, env: fewCollections, cores: 2, limit: 30 * time.Minute,
		want: []want{{figure: "scripts", least: 60}}, // each of them under all settings, or the test fails
	},
	{
		name: "T9", does: "histories of real goroutines held against what isolation promises",
		lines: goTest("./stress/history", "."), scale: 5, cores: 2, limit: 10 * time.Minute,
		want: []want{{figure: "operations", least: 2_000_000}},
	},
	{
		name: "T10", does: "every fuzz target for a minute",
		lines: fuzzTargets, spurious: outOfTime, jobs: 14, cores: 2, limit: 5 * time.Minute, pattern: `fuzz: elapsed: .*execs: (\d+)`, unit: "executions",
		want: []want{{figure: "commands", least: 14}, {figure: "executions", least: 1_000_000}},
	},
	{
		name: "T11", does: "a command of the real program killed before its n-th call that writes, for every n",
		lines: lightning("crashtest", "--mode", "syscall", "--cycles", "10000", "--dir", "/dev/shm"), cores: 1, limit: 15 * time.Minute, pattern: crashes, unit: "kills",
		want: []want{{figure: "kills", least: 10_000}},
	},
	{
		name: "T12", does: "a writing process killed at random times",
		lines: lightning("crashtest", "--mode", "kill", "--cycles", "1000"), cores: 1, limit: 10 * time.Minute, pattern: crashes, unit: "kills",
		want: []want{{figure: "kills", least: 1000}},
	},
	{
		name: "T13", does: "the power of a real file system cut (ext4, XFS on a loop device), acknowledged data verified",
		lines: lightning("crashtest", "--mode", "power", "--cycles", "2000"), root: true, limit: 10 * time.Minute, pattern: crashes, unit: "power cuts",
		want: []want{{figure: "power cuts", least: 2000}},
	},
	{
		name: "T16", does: "19 commands on a real full disk, a device that fails, a read-only file system, with few descriptors, short files, without permission; what F4 to F7 and F18 promise, and files that decompress to a great deal",
		lines: goTest("./engine/... ./cmd/lightning", "^Test(F0[4-7]|F18|Hardships|Bombs)"), scale: 2, root: true, cores: 1, limit: 10 * time.Minute,
		want: []want{{figure: "cases", least: 90, fixed: true}, {figure: "passed", least: 15, fixed: true}},
	},
	{
		name: "T17", does: "processes that open one database at once: at most one writes, readers see whole commits, a killed writer is followed",
		lines: goTest("./cmd/lightning", "^TestOpenStorm$"), scale: 20, cores: 2, limit: 10 * time.Minute,
		want: []want{{figure: "opens", least: 2000}},
	},
	{
		name: "T18", does: "five minutes of mixed load; memory, descriptors, goroutines and files watched",
		lines: politely(lightning("stress", "--duration", "5m", "--threads", "4")), limit: 14 * time.Minute, pattern: `([\d,]+) operations, `, unit: "operations",
		want: []want{{figure: "operations", least: 1_000_000}},
	},
	{
		name: "T19", does: "all tests but those of whole commands and some long ones of one goroutine, the others shortened, under the race detector; those of stress with the checks that the tag invariants compiles in (T21: all of the storage with them)",
		lines: commands([]string{"make", "race"}, []string{"go", "test", "-short", "-tags", "invariants", "./stress/..."}),
		jobs:  2, cores: 2, limit: 25 * time.Minute, pattern: `(?m)^ok  `, unit: "packages",
		want: []want{{figure: "packages", least: 30, fixed: true}},
	},
	{
		name: "T20", does: "planted bugs, each of which a test must catch: every third of them (make canaries: all)",
		lines: commands([]string{"go", "run", "./internal/canary", "-every", "3"}), env: fewCollections, cores: 2, limit: 30 * time.Minute, pattern: `(\d+) of \d+ caught`, unit: "caught",
		want: []want{{figure: "caught", least: 40, fixed: true}},
	},
	{
		name: "T21", does: "statements of the storage that its tests run, in percent, with the checks of the tag invariants",
		lines: commands([]string{"make", "coverage"}), env: fewCollections, cores: 2, limit: 10 * time.Minute, pattern: `(\d+)\.\d %.* in all`, unit: "percent",
		want: []want{{figure: "percent", least: 95, fixed: true}},
	},
	{
		name: "T22", does: "databases of every released format opened, verified, compared and written to",
		lines: goTest("./engine", "^TestGolden"), scale: 1, cores: 1, limit: 5 * time.Minute,
		want: []want{{figure: "databases", least: 3, fixed: true}},
	},
}

// fewCollections lets the garbage grow to ten times what is alive, or 4 GiB,
// so that tests that make much of it have less to collect. (400 and 2 GiB took a
// fifth off their time, 1600 and 6 GiB another fourteenth.)
var fewCollections = []string{"GOGC=1000", "GOMEMLIMIT=4GiB"}

// outOfTime finds what go test says where the time of -fuzztime was over at an
// unlucky moment, and nothing was found (https://go.dev/issue/75804, mended in Go
// 1.27). What is found comes with the file that it was written to.
const outOfTime = `(?m)^--- FAIL: Fuzz\w+ \([0-9.]+s\)\n    context deadline exceeded\nFAIL$`

// crashes finds what lightning crashtest says at its end.
const crashes = `([\d,]+) crash`

// commands are command lines that do not change with the scale.
func commands(lines ...[]string) func(*runner, *step) ([][]string, error) {
	return func(*runner, *step) ([][]string, error) { return lines, nil }
}

// goTest is a run of tests; packages are separated by spaces.
func goTest(packages, run string) func(*runner, *step) ([][]string, error) {
	return func(_ *runner, s *step) ([][]string, error) {
		return [][]string{append([]string{"go", "test", "-v", "-count=1", "-timeout", s.limit.String(), "-run", run}, strings.Fields(packages)...)}, nil
	}
}

// lightning is a command line of the built program. The number behind --cycles
// and the time behind --duration are multiplied by the scale.
func lightning(args ...string) func(*runner, *step) ([][]string, error) {
	return func(r *runner, _ *step) ([][]string, error) {
		line := append([]string{"bin/lightning"}, args...)
		for i := range line[1:] {
			switch line[i] {
			case "--cycles":
				n, err := strconv.Atoi(line[i+1])
				if err != nil {
					return nil, err
				}
				line[i+1] = strconv.Itoa(max(1, int(float64(n)*r.scale)))
			case "--duration":
				d, err := time.ParseDuration(line[i+1])
				if err != nil {
					return nil, err
				}
				line[i+1] = max(5*time.Second, time.Duration(float64(d)*r.scale)).String()
			}
		}
		return [][]string{line}, nil
	}
}

// politely has a command take of the cores what others leave, and a little.
func politely(lines func(*runner, *step) ([][]string, error)) func(*runner, *step) ([][]string, error) {
	return func(r *runner, s *step) ([][]string, error) {
		commands, err := lines(r, s)
		for i := range commands {
			commands[i] = append([]string{"nice", "-n", "10"}, commands[i]...)
		}
		return commands, err
	}
}

// fuzzTargets are the command lines that run every fuzz target of the module.
// What they run is built here, a package after the other: many at a time would
// each build what they have in common.
func fuzzTargets(r *runner, _ *step) ([][]string, error) {
	packages, err := r.output("go", "list", "-f", "{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}", "./...")
	if err != nil {
		return nil, err
	}
	length := max(time.Second, time.Duration(60*r.scale*float64(time.Second)))
	var lines [][]string
	for _, pkg := range strings.Fields(packages) {
		names, err := r.output("go", "test", "-list", "^Fuzz", pkg)
		if err == nil && strings.HasPrefix(names, "Fuzz") {
			_, err = r.output("go", "test", "-list", "^Fuzz", "-fuzz", ".", pkg)
		}
		if err != nil {
			return nil, err
		}
		for _, name := range strings.Fields(names) {
			if strings.HasPrefix(name, "Fuzz") {
				lines = append(lines, []string{
					"go", "test", pkg, "-run", "^$", "-fuzz", "^" + name + "$", "-fuzztime", length.String(),
					"-fuzzminimizetime", "1x", "-parallel", "1",
				})
			}
		}
	}
	return lines, nil
}
