package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/internal/ui"
	"github.com/lightning-db/lightning/stress"
	"github.com/lightning-db/lightning/stress/crash"
)

type crashRun struct {
	stressRun
	crash.Options
	mode     string
	selfTest bool
}

func crashtestCommand(a *app) *cobra.Command {
	c := &crashRun{stressRun: stressRun{app: a}}
	cmd := &cobra.Command{
		Use:     "crashtest",
		GroupID: groupTest,
		Short:   "Crash databases, and look for what is lost",
		Long: `Crash databases of its own again and again, open what is left, and hold it
against what had been acknowledged: nothing that the sync mode promised is lost,
every commit is there whole or not at all, in their order without holes, and the
database takes writes again.

Modes:
  sim      a simulated file system crashes at every operation of generated
           scenarios, with several damages to what was not synced
  kill     a writing process is killed at random times
  syscall  commands that write are killed before the first, the second, ...
           call that changes a file (Linux)
  power    a file system of its own, ext4 or XFS, is shut down, which loses
           what it has not written (Linux, root)

The exit status is 0 where all is well and 11 where something was lost or wrong:
what, the line that repeats it, and the directory where it is kept as the crash
left it, for lightning verify and lightning inspect. A run in which there was
nothing to lose shows nothing: the status is 8.

--self-test shows that the test can fail: it runs sim with file systems that are
broken on purpose, and is content when it has found each.`,
		Example: `  lightning crashtest
  lightning crashtest --level 3 --duration 10m
  lightning crashtest --mode kill --cycles 1000 --dir /mnt/disk
  lightning crashtest --mode syscall --cycles 10000 --dir /dev/shm
  lightning crashtest --self-test`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.cmd = cmd
			return c.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.mode, "mode", "sim", "sim, kill, syscall or power")
	f.DurationVar(&c.Options.Duration, "duration", 0, "go on for so long (default 1m, unless there is --cycles)")
	f.IntVar(&c.Count, "cycles", 0, "end after so many crashes")
	f.IntVar(&c.Level, "level", 1, "2 and 3 crash the recovery in mode sim too, and the recovery from that")
	f.Uint64Var(&c.Options.Seed, "seed", 0, "what is done is made from it (default: a new one, which is printed)")
	f.IntVar(&c.State, "state", 0, "try only this `NUMBER` of the states of the scenario that --seed gives to sim")
	f.Var(regexFlag{&c.Run}, "run", "of syscall, the commands whose names match `REGEXP`")
	f.StringVar(&c.FileSystem, "fs", "", "of power, ext4 or xfs (default: in turn, as there are)")
	f.IntVarP(&c.Jobs, "jobs", "j", 0, "crashes at once (default: as many as processors)")
	f.BoolVar(&c.selfTest, "self-test", false, "run sim with broken file systems, in which it must find something")
	f.StringVar(&c.dir, "dir", "", "work in a new directory in `DIR` (default the system's for temporary files)")
	return cmd
}

// mostJobs is how many there may be: each looks at what all goroutines do.
const mostJobs = 16

func (c *crashRun) run(ctx context.Context) error {
	format, err := textOrJSON(c.app)
	if err != nil {
		return err
	}
	c.asJSON = format != formatText
	test := crash.Sim
	switch c.mode {
	case "sim":
	case "kill":
		test = crash.Kill
	case "syscall":
		test = crash.Syscall
	case "power":
		test = crash.Power
	default:
		return usagef("--mode %s: use sim, kill, syscall or power", c.mode)
	}
	sim := c.mode == "sim"
	switch {
	case c.Options.Duration < 0 || c.Count < 0 || c.State < 0 || c.Jobs < 0 || c.Jobs > mostJobs || c.Level < 1 || c.Level > 3:
		return usagef("use limits of more than 0, 1 to %d jobs and level 1 to 3", mostJobs)
	case !sim && (c.State > 0 || c.Level > 1 || c.selfTest) || c.mode != "syscall" && c.Run != nil || c.mode != "power" && c.FileSystem != "":
		return usagef("--state, --level and --self-test are for mode sim, --run is for syscall, --fs for power")
	case c.cmd.Flags().Changed("duration") && c.Options.Duration == 0 || c.cmd.Flags().Changed("cycles") && c.Count == 0:
		return usagef("--duration and --cycles: use more than 0, or leave them out for a minute")
	case c.FileSystem != "" && c.FileSystem != "ext4" && c.FileSystem != "xfs":
		return usagef("--fs %s: use ext4 or xfs", c.FileSystem)
	case c.State > 0 && c.Options.Seed == 0:
		return usagef("--state is of a --seed")
	}
	if c.Options.Seed == 0 {
		c.Options.Seed = uint64(time.Now().UnixNano() / 1000)
	}
	switch {
	case c.State > 0:
		c.Jobs = 1
	case c.Jobs == 0:
		c.Jobs = min(runtime.GOMAXPROCS(0), mostJobs)
	}
	if c.Count > 0 {
		c.Jobs = min(c.Jobs, c.Count)
		c.Limits += fmt.Sprintf(" --cycles %d", c.Count)
	}
	if c.Options.Duration > 0 {
		c.Limits += fmt.Sprintf(" --duration %s", c.Options.Duration)
	}
	c.Limits += fmt.Sprintf(" --jobs %d", c.Jobs)
	if c.dir != "" {
		c.Limits += " --dir " + c.dir
	}
	c.Hung = func(text string) {
		c.app.Note("%s", text)
		os.Exit(exitTest)
	}
	c.Start = startWriter
	if c.Program, err = os.Executable(); err != nil {
		return err
	}
	c.Tick = func(r crash.Report) {
		if c.app.ErrTerminal {
			c.app.Note("%s", c.text(&r))
		}
	}
	if c.selfTest {
		return c.testSelf(ctx)
	}
	if c.Dir, err = scratch("crashtest", c.dir); err != nil {
		return err
	}
	report, err := test(ctx, c.Options)
	return c.verdict(&report, err)
}

// verdict prints how a test ended.
func (c *crashRun) verdict(report *crash.Report, err error) error {
	verdict, wrong, lost := "ok", "", "lost: 0, "
	f, failed := errors.AsType[*crash.Failure](err)
	if failed {
		verdict, wrong, lost = "FAIL", f.Error(), ""
	} else {
		f = new(crash.Failure)
		if errors.Is(err, crash.ErrNoChoice) {
			err = usageError{err.Error()}
		}
		if err = errors.Join(err, stress.RemoveTree(c.Dir)); err != nil {
			return stopped(err, "%s, seed %d", c.text(report), c.Options.Seed)
		}
	}
	object := ui.Object{{Name: "mode", Value: c.mode}, {Name: "ok", Value: !failed}}
	for _, figure := range []struct {
		name  string
		value int64
	}{
		{"crashes", int64(report.States)},
		{"points", int64(report.Points)},
		{"databases", int64(report.Scenarios)},
		{"recoveries", int64(report.Recoveries)},
		{"longest_recovery_microseconds", report.Longest.Microseconds()},
		{"recovered_commits", int64(report.Recovered)},
		{"acknowledged_checked", report.Promised},
		{"writes_lost", int64(report.Losses.Writes)},
		{"sectors_torn", int64(report.Losses.Sectors)},
		{"names_lost", int64(report.Losses.Names)},
		{"unmountable", int64(report.Unmountable)},
		{"milliseconds", report.Elapsed.Milliseconds()},
	} {
		object = append(object, ui.Member{Name: figure.name, Value: figure.value})
	}
	for _, text := range [...][2]string{
		{"error", wrong}, {"repeat", f.Repeat}, {"kept", f.Dir}, {"seed", strconv.FormatUint(c.Options.Seed, 10)},
	} {
		object = append(object, ui.Member{Name: text[0], Value: text[1]})
	}
	err = c.say(object, "%s %s: %s%s, seed %d", c.mode, verdict, lost, c.text(report), c.Options.Seed)
	if failed {
		c.app.Note("%s: %v", c.app.Red(c.mode), f.Err)
		c.app.Note("repeat: %s", f.Repeat)
		return fmt.Errorf("%w; kept: %s", errTest, f.Dir)
	}
	return err
}

func (c *crashRun) text(r *crash.Report) string {
	promised := "acknowledged commit"
	if c.mode == "kill" || c.mode == "power" {
		promised = "acknowledged key"
	}
	text := ui.Duration(r.Elapsed) + ", " + ui.Plural(r.States, "crash")
	if r.Points > 0 {
		text += " at " + ui.Plural(r.Points, "operation")
	}
	text += " of " + ui.Plural(r.Scenarios, "database") + ", " + ui.Plural(r.Promised, promised) + " checked, " +
		ui.Plural(r.Recoveries, "recovery") + " of at most " + ui.Duration(r.Longest)
	if l := &r.Losses; l.Writes > 0 {
		text += "; not synced and gone: " + ui.Plural(l.Writes, "write") + ", " + ui.Plural(l.Names, "name") + ", " + ui.Plural(l.Sectors, "sector") + " torn"
	}
	if r.Unmountable > 0 {
		text += "; file systems that the kernel would not mount again: " + ui.Count(r.Unmountable)
	}
	return text
}

// testSelf shows that sim can fail.
func (c *crashRun) testSelf(ctx context.Context) error {
	var sayErr error
	all, err := crash.SelfTests(ctx, c.Options, func(t crash.SelfTest) {
		verdict, what := "found", "nothing"
		if t.Err == nil {
			verdict = "NOT FOUND"
		} else {
			what = t.Err.Error()
		}
		sayErr = errors.Join(sayErr, c.say(ui.Object{
			{Name: "broken", Value: t.Broken},
			{Name: "ok", Value: t.Err != nil},
			{Name: "states", Value: t.States},
			{Name: "found", Value: what},
		}, "%-9s %s: %s, then: %s", verdict, t.Broken, ui.Plural(t.States, "state"), what))
	})
	if err = errors.Join(err, sayErr); err != nil {
		return stopped(err, "seed %d", c.Options.Seed)
	}
	if !all {
		return fmt.Errorf("%w: crashtest does not find what it must, seed %d", errTest, c.Options.Seed)
	}
	c.app.Note("crashtest can fail: it found every file system that was broken on purpose, seed %d", c.Options.Seed)
	return nil
}
