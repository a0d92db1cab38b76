// Package session runs the cells of a comparison, each in a process and a
// directory of its own, the peers taking turns, and writes down the results.
package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/lightning-db/lightning/bench/internal/cell"
	"github.com/lightning-db/lightning/bench/internal/driver"
	"github.com/lightning-db/lightning/bench/internal/workload"
)

// Options are the settings of a session.
type Options struct {
	Program   []string // that runs a cell: its path and arguments, before the spec
	Bench     string   // directory of the main package of Program
	Lightning string   // that of `lightning`
	Dir       string   // where databases are made
	Peers     []*driver.Driver
	Workloads []*workload.Workload
	Rounds    int
	Keys      int
	Cache     int64
	Seconds   float64
	Warm      float64
	Cap       float64
	// Progress gets a line for each cell.
	Progress io.Writer
	// Record gets each result.
	Record func(cell.Result) error
}

// Large cells get this much more time than others.
const (
	longSeconds = 3
	longWarm    = 8
	longCap     = 12
)

// Session is a comparison that is running.
type Session struct {
	Options
	root    string          // its own directory
	sets    map[string]bool // directories of databases that are loaded
	command string          // the lightning program, once it is built
	alone   string          // Program without the peers, once it is built
	began   time.Time
	done    int
	total   int
}

// Run runs the cells. One that fails is recorded as such, and the others go
// on; Run's own error means that it cannot.
func Run(ctx context.Context, o Options) (err error) {
	if err := os.MkdirAll(o.Dir, 0o777); err != nil {
		return err
	}
	root, err := os.MkdirTemp(o.Dir, "session-")
	if err != nil {
		return err
	}
	s := &Session{Options: o, root: root, sets: map[string]bool{}, began: time.Now()}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	cells := s.cells()
	s.total = len(cells)
	for _, c := range cells {
		if err := ctx.Err(); err != nil {
			return err
		}
		r := s.run(ctx, c)
		if ctx.Err() != nil {
			return ctx.Err() // and not a failure of the cell
		}
		if err := o.Record(r); err != nil {
			return err
		}
		s.done++
		s.report(c, r)
	}
	return nil
}

// job is a cell to run.
type job struct {
	round int
	w     *workload.Workload
	d     *driver.Driver
}

// cells lists the cells: rounds outermost, peers innermost, another of them first
// in each round, since what one leaves to the disk, the next one meets. Those
// whose figure does not vary are in the first round only.
func (s *Session) cells() []job {
	var jobs []job
	for round := 1; round <= s.Rounds; round++ {
		first := (round - 1) % max(len(s.Peers), 1)
		peers := slices.Concat(s.Peers[first:], s.Peers[:first])
		for _, w := range s.Workloads {
			if round > 1 && w.Once() {
				continue
			}
			for _, d := range peers {
				if len(w.Peers) == 0 || slices.Contains(w.Peers, d.Name) {
					jobs = append(jobs, job{round, w, d})
				}
			}
		}
	}
	return jobs
}

func (s *Session) report(c job, r cell.Result) {
	figure := Figure(c.w.Kind, r.Value)
	if r.Capped {
		figure += ", out of time"
	}
	if r.Error != "" {
		figure = "failed: " + r.Error
	}
	elapsed := time.Since(s.began)
	left := elapsed / time.Duration(s.done) * time.Duration(s.total-s.done)
	fmt.Fprintf(s.Progress, "%4d/%d  round %d  %-14s %-10s %s  (about %s left)\n",
		s.done, s.total, c.round, c.w.Name, c.d.Name, figure, left.Round(time.Second))
}

// Figure writes the figure of a cell.
func Figure(k workload.Kind, v float64) string {
	switch k {
	case workload.CleanOpen, workload.CrashOpen, workload.Command:
		return fmt.Sprintf("%.2f ms", v*1e3)
	case workload.Settled, workload.Compacted, workload.Memory:
		return fmt.Sprintf("%.0f MB", v/1e6)
	}
	return fmt.Sprintf("%.0f/s", v)
}

// run runs a cell. Its failure is in the result.
func (s *Session) run(ctx context.Context, c job) cell.Result {
	r, err := s.measure(ctx, c)
	if err != nil {
		r.Error = err.Error()
	}
	r.Peer, r.Workload, r.Round = c.d.Name, c.w.Name, c.round
	if r.Version == "" {
		r.Version = cell.Version(c.d)
	}
	return r
}

func (s *Session) measure(ctx context.Context, c job) (cell.Result, error) {
	switch c.w.Kind {
	case workload.Settled, workload.Compacted:
		dir, err := s.set(ctx, c)
		if err != nil {
			return cell.Result{}, err
		}
		size, err := readSizes(dir)
		r := cell.Result{Value: float64(size.Settled)}
		if c.w.Kind == workload.Compacted {
			r.Value = float64(size.Compacted)
		}
		return r, err
	}
	from := ""
	if c.w.Set != (workload.Set{}) {
		dir, err := s.set(ctx, c)
		if err != nil {
			return cell.Result{}, err
		}
		from = dir
	}
	dir := filepath.Join(s.root, "cell")
	defer os.RemoveAll(dir)
	flushDisk() // what earlier cells left is not this one's to wait for
	if from != "" {
		if err := copyDir(dir, filepath.Join(from, "db")); err != nil {
			return cell.Result{}, err
		}
	}
	if c.w.Durability == driver.Full || c.w.Kind == workload.CleanOpen {
		flushDisk() // nor is the copy
	}
	_, _ = s.child(ctx, s.spec(c, cell.Claim, dir))
	spec := s.spec(c, cell.Measure, dir)
	switch c.w.Kind {
	case workload.Command:
		return s.timeCommand(ctx, c, dir)
	case workload.CrashOpen:
		spec.Phase = cell.Die
		if _, err := s.child(ctx, spec); err != nil && !errors.Is(err, errKilled) {
			return cell.Result{}, err
		}
		spec.Phase = cell.Measure
	case workload.Memory:
		if c.d.Name == "lightning" {
			return s.measureAlone(ctx, spec)
		}
	}
	return s.child(ctx, spec)
}

// measureAlone runs a cell of Lightning in a Program without the peers, whose code
// takes memory.
func (s *Session) measureAlone(ctx context.Context, spec cell.Spec) (r cell.Result, err error) {
	if s.alone == "" {
		if s.alone, err = s.build(ctx, s.Bench, "alone", "-tags", "alone"); err != nil {
			return r, err
		}
	}
	return s.start(ctx, append([]string{s.alone}, s.Program[1:]...), spec)
}

// build makes a program without C in the session's directory.
func (s *Session) build(ctx context.Context, dir, name string, flags ...string) (string, error) {
	program := filepath.Join(s.root, name)
	args := append([]string{"build", "-trimpath", "-ldflags", "-s -w", "-o", program}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, ".")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", name, err, out)
	}
	return program, nil
}

func (s *Session) spec(c job, phase cell.Phase, dir string) cell.Spec {
	spec := cell.Spec{
		Phase: phase, Peer: c.d.Name, Workload: c.w.Name, Dir: dir, Keys: s.Keys, Cache: s.Cache,
		Seconds: s.Seconds, Warm: s.Warm, Cap: s.Cap,
	}
	if c.w.Long {
		spec.Seconds *= longSeconds
		spec.Warm *= longWarm
		spec.Cap *= longCap
	}
	return spec
}

// sizes is the note beside a loaded database.
type sizes struct{ Settled, Compacted int64 }

// set returns the directory of the database that the cell starts from, which
// it makes when it is first asked for.
func (s *Session) set(ctx context.Context, c job) (_ string, err error) {
	name := fmt.Sprintf("%s-%d-%d", c.d.Name, c.w.Set.Keys, c.w.Set.ValueSize)
	dir := filepath.Join(s.root, name)
	if s.sets[name] {
		if _, err := os.Stat(filepath.Join(dir, "sizes")); err != nil {
			return "", errors.New("its database could not be loaded")
		}
		return dir, nil
	}
	s.sets[name] = true
	fmt.Fprintf(s.Progress, "loading %s\n", name)
	if err := os.Mkdir(dir, 0o777); err != nil {
		return "", err
	}
	defer func() {
		if err != nil { // the disk may be full, and the others are to go on
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	var size sizes
	db := filepath.Join(dir, "db")
	r, err := s.child(ctx, s.spec(c, cell.Load, db))
	if err != nil {
		return "", err
	}
	size.Settled = r.Disk
	r, err = s.child(ctx, s.spec(c, cell.Shrink, db))
	if err != nil {
		return "", err
	}
	size.Compacted = r.Disk
	text, err := json.Marshal(size)
	if err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "sizes"), text, 0o666)
}

func readSizes(dir string) (size sizes, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "sizes"))
	if err == nil {
		err = json.Unmarshal(text, &size)
	}
	return size, err
}

// errKilled: the process of a cell was killed by a signal.
var errKilled = errors.New("killed")

// child runs a part of a cell in a process of its own.
func (s *Session) child(ctx context.Context, spec cell.Spec) (cell.Result, error) {
	return s.start(ctx, s.Program, spec)
}

func (s *Session) start(ctx context.Context, program []string, spec cell.Spec) (r cell.Result, err error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return r, err
	}
	// A peer may wait for ever for room on a full disk.
	patience := 15 * time.Minute
	if spec.Phase == cell.Measure { // that has an end of its own
		patience = 3*time.Minute + time.Duration(10*(spec.Seconds+spec.Warm+spec.Cap)*float64(time.Second))
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	args := append(slices.Clone(program[1:]), string(text))
	cmd := exec.CommandContext(limited, program[0], args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		message := strings.TrimSpace(errs.String())
		message = strings.ReplaceAll(message[:min(len(message), 300)], "\n", "; ")
		if limited.Err() != nil {
			return r, fmt.Errorf("%s: it took longer than %v: %s", spec.Phase, patience, message)
		}
		if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == -1 {
			return r, fmt.Errorf("%s: %w: %v: %s", spec.Phase, errKilled, err, message)
		}
		return r, fmt.Errorf("%s: %w: %s", spec.Phase, err, message)
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return r, fmt.Errorf("what the cell printed: %w", err)
	}
	return r, nil
}

// commandRuns is how often a process is started; the figure is the median.
const commandRuns = 21

// timeCommand times `lightning get` of one key.
func (s *Session) timeCommand(ctx context.Context, c job, dir string) (r cell.Result, err error) {
	if s.command == "" {
		if s.command, err = s.build(ctx, s.Lightning, "lightning"); err != nil {
			return r, err
		}
	}
	var h workload.Histogram
	key := make([]byte, workload.KeySize)
	for i := range commandRuns {
		workload.RandomKey(key, uint64(i*c.w.Set.Keys/commandRuns))
		start := time.Now()
		out, err := exec.CommandContext(ctx, s.command, "get", dir, string(key)).CombinedOutput()
		if err != nil {
			return r, fmt.Errorf("lightning get: %w: %s", err, out)
		}
		h.Record(int64(time.Since(start)))
	}
	r.P50, r.P99, r.P999 = h.Quantile(0.5), h.Quantile(0.99), h.Quantile(0.999)
	r.Ops, r.Value = commandRuns, r.P50/1e9
	return r, nil
}

// Machine describes the machine, for the report.
func Machine() string {
	cpu := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				cpu = strings.Trim(name, "\t :\n")
				break
			}
		}
	}
	return fmt.Sprintf("processors: %d of %s; %s/%s, %s", runtime.NumCPU(), cpu, runtime.GOOS, runtime.GOARCH, runtime.Version())
}
