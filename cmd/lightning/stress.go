package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/regex"
	"github.com/lightning-db/lightning/internal/ui"
	"github.com/lightning-db/lightning/stress"
	"github.com/lightning-db/lightning/stress/history"
)

// errTest says that a test of stress or crashtest failed.
var errTest = errors.New("a test failed")

type stressRun struct {
	_        [0]func() // not compared
	app      *app
	cmd      *cobra.Command
	dir      string
	chosen   *regex.Regex // nil: all
	workload string
	check    string
	duration time.Duration
	ops      int64
	every    time.Duration
	threads  int
	keys     int
	size     string
	seed     uint64
	list     bool
	keep     bool
	faults   stress.Faults
	sync     engine.SyncMode
	asJSON   bool
}

func stressCommand(a *app) *cobra.Command {
	s := &stressRun{app: a}
	cmd := &cobra.Command{
		Use:     "stress",
		GroupID: groupTest,
		Short:   "Test a database on this machine, and every byte of its answers",
		Long: `Run the standard suite, each test on a new database of its own, or with
--duration or --ops one workload for as long as you say. Every answer is compared with
what is known outside the database, and at the end every byte is verified.

Workloads: kv (gets, scans, puts, deletions, transactions of numbered keys),
bank (transactions that move money between accounts) and list-append
(transactions that read lists and append to them). A run of a minute or more
watches memory, descriptors, goroutines and files, and fails on what only grows.

Checks: model compares with what is known outside the database (kv, bank). For
list-append, elle infers from what transactions read who came before whom, and
names what no order explains, from G0 to G2-item; porcupine asks of each list
whether it is linearizable, which is less.

The exit status is 0 where all is well and 11 where a test failed: what was
wrong, the seed, the line that repeats it, and the directory that is kept. A test
that met nothing of what it is there for, as no conflict, is told as none: the
status is 8.`,
		Example: `  lightning stress
  lightning stress --run 'recovery|bulk'
  lightning stress --duration 1h --workload kv --sync full --dir /mnt/disk
  lightning stress --ops 1000000 --workload bank -j 4
  lightning stress --duration 1m --workload list-append --check elle --threads 16
  lightning stress --duration 1m --write-fault 0.0005 --sync-fault 0.001`,
		Args: arguments(0, 0),
	}
	f := cmd.Flags()
	f.BoolVar(&s.list, "list", false, "list the tests of the suite, and run none")
	f.Var(regexFlag{&s.chosen}, "run", "run the tests whose names match `REGEXP`")
	f.DurationVar(&s.duration, "duration", 0, "run one workload for so long")
	f.Int64Var(&s.ops, "ops", 0, "run one workload for so many operations, or --duration, whichever ends first")
	f.DurationVar(&s.every, "verify-every", 0, "check everything so often in a run of one workload (default a tenth of it, from 2s to 1m)")
	f.StringVar(&s.workload, "workload", "kv", "kv, bank or list-append")
	f.StringVar(&s.check, "check", "", "model; elle (the default) or porcupine for list-append")
	f.IntVarP(&s.threads, "threads", "j", 0, "goroutines (default: what each test is for; 8 for one workload)")
	f.IntVar(&s.keys, "num", 100_000, "keys of kv; accounts of bank (default 100); lists in use (default 16)")
	f.StringVar(&s.size, "value-size", "16:1024", "`BYTES` of a value of kv, the least and the most")
	f.Uint64Var(&s.seed, "seed", 0, "what is done is made from it (default: a new one, which is printed)")
	f.Float64Var(&s.faults.Read, "read-fault", 0, "`PART` of the reads of files that fail, as 0.001")
	f.Float64Var(&s.faults.Write, "write-fault", 0, "`PART` of the writes that fail")
	f.Float64Var(&s.faults.Sync, "sync-fault", 0, "`PART` of the syncs that fail")
	f.StringVar(&s.dir, "dir", "", "make databases in a new directory in `DIR` (default the system's for temporary files)")
	f.BoolVar(&s.keep, "keep", false, "keep the databases though nothing is wrong")
	syncMode := syncFlag(cmd, engine.SyncNormal)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if s.sync, err = syncMode(); err != nil {
			return err
		}
		s.cmd = cmd
		return s.run(cmd.Context())
	}
	return cmd
}

func (s *stressRun) run(ctx context.Context) error {
	format, err := textOrJSON(s.app)
	if err != nil {
		return err
	}
	s.asJSON = format != formatText
	if s.list {
		for i := range stress.Tests {
			t := &stress.Tests[i]
			if err := s.say(ui.Object{{Name: "name", Value: t.Name}, {Name: "does", Value: t.Does}}, "%-18s %s", t.Name, t.Does); err != nil {
				return err
			}
		}
		return nil
	}
	for _, part := range []float64{s.faults.Read, s.faults.Write, s.faults.Sync} {
		if part < 0 || part > 0.5 {
			return usagef("a fault rate of %v: use 0 to 0.5", part)
		}
	}
	if err := s.oneOrSuite(); err != nil {
		return err
	}
	f := s.cmd.Flags()
	if f.Changed("duration") && s.duration <= 0 || f.Changed("ops") && s.ops <= 0 || f.Changed("verify-every") && s.every <= 0 ||
		s.threads < 0 || s.threads > 1024 || s.keys < 2 || s.keys > 1<<28 {
		return usagef("--duration, --ops, --verify-every, --threads and --num: use more than 0, at most 1024 threads and 268435456 keys")
	}
	if s.seed == 0 {
		s.seed = uint64(time.Now().UnixNano())
	}
	dir, err := scratch("stress", s.dir)
	if err != nil {
		return err
	}
	failed := false
	if s.duration > 0 || s.ops > 0 {
		failed, err = s.soak(ctx, dir)
	} else {
		failed, err = s.suite(ctx, dir)
	}
	err = stopped(err, "seed %d", s.seed)
	switch {
	case failed:
		err = fmt.Errorf("%w; kept: %s", errTest, dir)
	case s.keep:
		s.app.Note("kept: %s", dir)
	default:
		err = errors.Join(err, stress.RemoveTree(dir))
	}
	return err
}

// scratch makes a new directory for a command that makes databases of its own, in
// parent, which is by default the system's for temporary files.
func scratch(command, parent string) (string, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	dir := filepath.Join(parent, "lightning-"+command+"-"+strconv.FormatInt(time.Now().UnixNano(), 36))
	err := outside(dir)
	if err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	return dir, err
}

// A regexFlag is a regular expression, as that of --where is.
type regexFlag struct{ to **regex.Regex }

func (f regexFlag) Set(text string) error {
	x, err := regex.Compile(text, false)
	if err != nil {
		return err
	}
	*f.to = x
	return nil
}

func (regexFlag) String() string { return "" }
func (regexFlag) Type() string   { return "regexp" }

// oneOrSuite refuses flags of a run of one workload without one, and the other
// way round.
func (s *stressRun) oneOrSuite() error {
	f := s.cmd.Flags()
	if f.Changed("duration") || f.Changed("ops") {
		if f.Changed("run") {
			return usagef("--run chooses tests of the suite: leave --duration and --ops out")
		}
		return nil
	}
	for _, name := range []string{"verify-every", "workload", "check", "num", "value-size", "read-fault", "write-fault", "sync-fault"} {
		if f.Changed(name) {
			return usagef("--%s is for a run of one workload: add --duration or --ops", name)
		}
	}
	return nil
}

// say prints one result: as an object, or as text.
func (s *stressRun) say(o ui.Object, format string, args ...any) error {
	if s.asJSON {
		return s.app.printJSON(o)
	}
	if _, err := fmt.Fprintf(s.app.out, format+"\n", args...); err != nil {
		return err
	}
	return s.app.out.Flush()
}

// again is the line that repeats a run.
func (s *stressRun) again(flags string) string {
	line := fmt.Sprintf("lightning stress %s --seed %d", flags, s.seed)
	if s.threads > 0 {
		line += fmt.Sprintf(" --threads %d", s.threads)
	}
	if s.dir != "" {
		line += " --dir " + s.dir
	}
	return line
}

// suite runs the tests one after the other, also behind one that failed.
func (s *stressRun) suite(ctx context.Context, dir string) (failed bool, err error) {
	began, ran, passed, idle := time.Now(), 0, 0, 0
	for i := range stress.Tests {
		t := &stress.Tests[i]
		if s.chosen != nil && !s.chosen.Match([]byte(t.Name)) {
			continue
		}
		ran++
		sub := filepath.Join(dir, t.Name)
		if err := os.Mkdir(sub, 0o700); err != nil {
			return failed, err
		}
		r := t.Run(ctx, &stress.Env{Dir: sub, Seed: s.seed, Threads: s.threads, Start: startWriter})
		switch {
		case ctx.Err() != nil:
			return failed, ctx.Err()
		case stress.DiskFull(r.Err):
			return failed, fmt.Errorf("%s: %w", r.Name, r.Err)
		}
		verdict, wrong := "ok", ""
		nothing := errors.Is(r.Err, stress.ErrNothing)
		switch {
		case r.Err == nil:
			passed++
		case nothing || errors.Is(r.Err, errors.ErrUnsupported):
			verdict = "none"
		default:
			failed, verdict = true, "FAIL"
		}
		if nothing {
			idle++
		}
		repeat := ""
		if r.Err != nil {
			wrong, repeat = r.Err.Error(), s.again("--run ^"+t.Name+"$")
		}
		err := s.say(ui.Object{
			{Name: "test", Value: r.Name},
			{Name: "ok", Value: r.Err == nil},
			{Name: "figure", Value: r.Figure},
			{Name: "seconds", Value: r.Duration.Seconds()},
			{Name: "error", Value: wrong},
			{Name: "seed", Value: strconv.FormatUint(s.seed, 10)},
			{Name: "repeat", Value: repeat},
		}, "%-18s %-4s %8s  %s", r.Name, verdict, ui.Duration(r.Duration), r.Figure)
		if err != nil {
			return failed, err
		}
		if r.Err != nil && !s.asJSON {
			s.app.Note("%s: %v\nrepeat: %s", s.app.Red(t.Name), r.Err, repeat)
		}
		if verdict == "FAIL" {
			continue
		}
		if !s.keep {
			if err := stress.RemoveTree(sub); err != nil {
				return failed, err
			}
		}
	}
	if ran == 0 {
		return false, usagef("--run matches no test; see: lightning stress --list")
	}
	switch {
	case failed:
	case idle > 0 || passed == 0:
		return false, fmt.Errorf("%d of %s show that all is well, the others nothing; seed %d", passed, ui.Plural(ran, "test"), s.seed)
	default:
		s.app.Note("stress: %s passed in %s, seed %d", ui.Plural(passed, "test"), ui.Duration(time.Since(began)), s.seed)
	}
	return failed, nil
}

// soak runs one workload.
func (s *stressRun) soak(ctx context.Context, dir string) (failed bool, err error) {
	run := &stress.Soak{
		Dir: dir, Duration: s.duration, Ops: s.ops, CheckEvery: s.every, Threads: s.threads, Seed: s.seed, Faults: s.faults, Options: engine.Options{Sync: s.sync},
	}
	if run.Threads == 0 {
		run.Threads = 8
	}
	list := s.workload == "list-append"
	switch s.check {
	case "":
		if s.check = "model"; list {
			s.check = "elle"
		}
	case "model", "elle", "porcupine":
		if list == (s.check != "model") {
			break
		}
		fallthrough
	default:
		return false, usagef("--check %s: use elle or porcupine for list-append, else model", s.check)
	}
	if !s.cmd.Flags().Changed("num") {
		switch s.workload { // fewer, for conflicts
		case "bank":
			s.keys = 100
		case "list-append":
			s.keys = 16
		}
	}
	switch s.workload {
	case "kv":
		least, most, ok := s.sizes()
		if !ok {
			return false, usagef("--value-size %s: want two numbers, as 16:1024", s.size)
		}
		w, err := stress.NewKV(dir, s.seed, s.keys, least, most)
		if err != nil {
			return false, err
		}
		defer w.States.Close()
		run.Workload = w
	case "bank":
		run.Workload = &stress.Bank{Accounts: s.keys, Each: 1000}
	case "list-append":
		if s.keys > 10_000 {
			return false, usagef("--num %d: list-append has 10000 lists at most", s.keys)
		}
		w := &stress.ListAppend{Lists: s.keys, Length: 32, MostOps: 200_000, Dir: dir}
		if s.check == "porcupine" {
			w.Judge = history.CheckLists
		}
		run.Workload = w
	default:
		return false, usagef("--workload %s: use kv, bank, list-append", s.workload)
	}
	run.Tick = func(t stress.Tick) {
		if s.app.ErrTerminal {
			s.app.Note("%s", tickText(&t))
		}
	}
	t, err := run.Run(ctx)
	if stress.DiskFull(err) {
		return false, fmt.Errorf("%s: %w", s.workload, err)
	}
	verdict, wrong, repeat := "ok", "", ""
	if err != nil {
		verdict, wrong = "FAIL", err.Error()
		length := ""
		if s.duration > 0 {
			length = fmt.Sprintf("--duration %s ", s.duration)
		}
		if s.ops > 0 {
			length += fmt.Sprintf("--ops %d ", s.ops)
		}
		repeat = s.again(length + fmt.Sprintf("--workload %s --check %s --num %d --value-size %s --sync %s --read-fault %g --write-fault %g --sync-fault %g",
			s.workload, s.check, s.keys, s.size, s.sync, s.faults.Read, s.faults.Write, s.faults.Sync))
	}
	sayErr := s.say(ui.Object{
		{Name: "workload", Value: s.workload},
		{Name: "ok", Value: err == nil},
		{Name: "operations", Value: t.Ops},
		{Name: "operations_per_second", Value: t.Rate},
		{Name: "checks", Value: t.Checks},
		{Name: "reopens", Value: t.Reopens},
		{Name: "faults", Value: t.Faults},
		{Name: "memory_bytes", Value: t.Memory},
		{Name: "file_bytes", Value: t.Disk},
		{Name: "seconds", Value: t.Elapsed.Seconds()},
		{Name: "error", Value: wrong},
		{Name: "seed", Value: strconv.FormatUint(s.seed, 10)},
		{Name: "repeat", Value: repeat},
	}, "%s %s: %s, seed %d", s.workload, verdict, tickText(&t), s.seed)
	if err != nil && !s.asJSON {
		s.app.Note("%s\nrepeat: %s", err, repeat)
	}
	if err == nil && sayErr == nil {
		sayErr = ctx.Err() // of an interrupted run, the part that was run was well
	}
	return err != nil, sayErr
}

func (s *stressRun) sizes() (least, most int, ok bool) {
	a, b, _ := strings.Cut(s.size, ":")
	if b == "" {
		b = a
	}
	least, err := strconv.Atoi(a)
	most, err2 := strconv.Atoi(b)
	return least, most, err == nil && err2 == nil && 0 <= least && least <= most && most <= 1<<26
}

func tickText(t *stress.Tick) string {
	return fmt.Sprintf("%s, %s, %s/s, %s of all, %s, %s, %s of memory, %s of files",
		ui.Duration(t.Elapsed), ui.Plural(t.Ops, "operation"), ui.Count(int64(t.Rate)), ui.Plural(t.Checks, "check"), ui.Plural(t.Reopens, "reopen"),
		ui.Plural(t.Faults, "fault"), ui.Bytes(t.Memory), ui.Bytes(t.Disk))
}

// The writer that stress and crashtest kill is this program, by a command that
// help does not list.
func writerCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    "stress-writer DB EXPECTED SEED ROUND KEYS THREADS SYNC MEMTABLE",
		Short:  "Write until killed (for stress and crashtest)",
		Hidden: true,
		Args:   arguments(8, 8),
		RunE: func(cmd *cobra.Command, args []string) error {
			c := stress.Child{DB: args[0], Expected: args[1]}
			var err error
			number := func(text string) uint64 {
				n, parseErr := strconv.ParseUint(text, 10, 64)
				err = errors.Join(err, parseErr)
				return n
			}
			c.Seed, c.Round, c.Keys, c.Threads = number(args[2]), number(args[3]), int(number(args[4])), int(number(args[5]))
			c.Options.MemtableBytes = int64(number(args[7]))
			mode, syncErr := engine.ParseSyncMode(args[6])
			if err = errors.Join(err, syncErr); err != nil {
				return usageError{err.Error()}
			}
			c.Options.Sync = mode
			if err = stress.RunChild(cmd.Context(), c); stress.DiskFull(err) {
				err = saidError{exitIO} // who started it looks how much room there is, and says so
			}
			return err
		},
	}
}

// startWriter starts the writer.
func startWriter(c stress.Child, stderr *os.File) (*os.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	leash, err := stress.Leash()
	if err != nil {
		return nil, err
	}
	n := func(n uint64) string { return strconv.FormatUint(n, 10) }
	return os.StartProcess(self, []string{
		self, "stress-writer", c.DB, c.Expected, n(c.Seed), n(c.Round), n(uint64(c.Keys)), n(uint64(c.Threads)), c.Options.Sync.String(), n(uint64(c.Options.MemtableBytes)),
	}, &os.ProcAttr{Files: []*os.File{leash, nil, stderr}})
}
