// Package cell runs one cell of the comparison, a workload on a database, in
// the process that calls it. The program starts itself anew for every cell.
package cell

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/lightning-db/lightning/bench/internal/driver"
	"github.com/lightning-db/lightning/bench/internal/workload"
)

// Phase is what the process does of the cell.
type Phase string

const (
	Measure Phase = "measure"
	// Load makes the database that cells are measured on.
	Load Phase = "load"
	// Shrink compacts what Load made.
	Shrink Phase = "shrink"
	// Die writes half a cell's database, and then the process kills itself.
	Die Phase = "die"
	// Claim uses memory and gives it back, for a cell to find. Its failure matters
	// to nobody.
	Claim Phase = "claim"
)

// Spec is what a process is asked to do.
type Spec struct {
	Phase    Phase
	Peer     string
	Workload string
	Dir      string  // of the database
	Keys     int     // of the comparison
	Cache    int64   // bytes
	Seconds  float64 // how long operations are measured
	Warm     float64 // how long they are warmed up, at most, twice over
	Cap      float64 // when a counted workload stops early
}

// Result is what was measured. Times are in nanoseconds, sizes in bytes.
type Result struct {
	Peer     string
	Version  string
	Workload string
	Round    int
	Error    string `json:",omitempty"`

	// Value is the figure of the cell, in the unit of the workload's kind.
	Value     float64
	Ops       int     `json:",omitempty"`
	Seconds   float64 `json:",omitempty"`
	Capped    bool    `json:",omitempty"` // the time ran out before the count
	P50       float64 `json:",omitempty"`
	P99       float64 `json:",omitempty"`
	P999      float64 `json:",omitempty"`
	CPU       float64 `json:",omitempty"` // of an operation, its background work included
	Conflicts int     `json:",omitempty"`
	Settle    float64 `json:",omitempty"` // seconds that Settle and Close took afterwards
	First     float64 `json:",omitempty"` // rate of the first million
	Last      float64 `json:",omitempty"` // rate of the last full million

	PeakRSS  int64 `json:",omitempty"`
	PeakAnon int64 `json:",omitempty"` // of it, not pages of files
	Disk     int64 `json:",omitempty"` // allocated, after Close
}

// Run does what spec says.
func Run(spec Spec) (Result, error) {
	r := Result{Peer: spec.Peer, Workload: spec.Workload}
	if spec.Phase == Claim {
		return r, claim()
	}
	d, err := driver.Find(spec.Peer)
	if err != nil {
		return r, err
	}
	found, err := workload.Find(workload.List(spec.Keys), []string{spec.Workload})
	if err != nil {
		return r, err
	}
	c := cell{spec: spec, driver: d, w: found[0], r: &r}
	memory := watchMemory()
	switch {
	case spec.Phase == Load:
		err = c.load()
	case spec.Phase == Shrink:
		err = c.shrink()
	case spec.Phase == Die:
		err = c.die()
	case c.w.Kind == workload.CleanOpen, c.w.Kind == workload.CrashOpen:
		err = c.open()
	case c.w.Kind == workload.Memory:
		err = c.memory()
	default:
		err = c.measure()
	}
	r.PeakRSS, r.PeakAnon = memory.stop()
	if c.w.Kind == workload.Memory {
		r.Value = float64(r.PeakRSS)
	}
	if err != nil {
		return r, err
	}
	r.Disk, err = DiskBytes(spec.Dir)
	return r, err
}

// Version is the version of a driver's database.
func Version(d *driver.Driver) string {
	if d.Version != nil {
		return d.Version()
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == d.Module {
				return m.Version
			}
		}
	}
	return ""
}

type cell struct {
	spec   Spec
	driver *driver.Driver
	w      *workload.Workload
	r      *Result
}

func (c *cell) config() driver.Config {
	config := driver.Config{
		Durability:   c.w.Durability,
		CacheBytes:   c.spec.Cache / max(c.w.CacheShare, 1),
		DataBytes:    c.w.DataBytes(),
		ValueBytes:   c.w.ValueSize,
		Workers:      c.w.Workers,
		Transactions: c.w.Transactions,
		Unmerged:     c.w.Kind == workload.CrashOpen,
	}
	if c.w.Blind {
		config.Writers = c.w.Workers
	}
	return config
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// measure runs a workload of kind Ops.
func (c *cell) measure() (err error) {
	db, err := c.driver.Open(c.spec.Dir, c.config())
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	opened := true
	defer func() {
		if opened {
			err = errors.Join(err, db.Close())
		}
	}()
	crew, err := workload.NewCrew(db, c.w)
	if err != nil {
		return fmt.Errorf("sessions: %w", err)
	}
	limit := seconds(c.spec.Seconds)
	if c.w.Count > 0 {
		limit = seconds(c.spec.Cap)
	} else if err := crew.Warm(seconds(c.spec.Warm)); err != nil {
		return errors.Join(fmt.Errorf("warm up: %w", err), crew.Close())
	}
	before := cpuTime()
	o, err := crew.Run(c.w.Count, limit)
	used := cpuTime() - before
	if err := errors.Join(err, crew.Close()); err != nil {
		return err
	}
	if c.w.Blind { // the work that the writes left for later is theirs
		start := time.Now()
		if err := db.Settle(); err != nil {
			return fmt.Errorf("settle: %w", err)
		}
		opened = false
		if err := db.Close(); err != nil {
			return fmt.Errorf("close: %w", err)
		}
		c.r.Settle = time.Since(start).Seconds()
		used = cpuTime() - before
	}
	c.r.Ops, c.r.Seconds, c.r.Conflicts = o.Done, o.Elapsed.Seconds(), o.Conflicts
	c.r.Value = float64(o.Done) / o.Elapsed.Seconds()
	c.r.Capped = c.w.Count > 0 && o.Done < c.w.Count
	c.r.P50 = o.Latencies.Quantile(0.5)
	c.r.P99 = o.Latencies.Quantile(0.99)
	c.r.P999 = o.Latencies.Quantile(0.999)
	c.r.CPU = float64(used) / float64(max(o.Done, 1))
	if n := len(o.Marks); n >= 2 {
		c.r.First = 1e6 / o.Marks[0].Seconds()
		c.r.Last = 1e6 / (o.Marks[n-1] - o.Marks[n-2]).Seconds()
	}
	return nil
}

// loadConfig is how the database is opened that Load makes.
func (c *cell) loadConfig(set workload.Set) driver.Config {
	return driver.Config{
		Durability: driver.Crash,
		CacheBytes: c.spec.Cache / max(c.w.CacheShare, 1),
		DataBytes:  8*set.Bytes() + 256<<20,
		ValueBytes: set.ValueSize,
		Workers:    1,
	}
}

// load puts a set's keys, many a commit.
func (c *cell) load() (err error) {
	db, err := c.driver.Open(c.spec.Dir, c.loadConfig(c.w.Set))
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := fill(db, c.w.Set); err != nil {
		return err
	}
	return db.Settle()
}

// fill puts the keys of set in batches of at most 10,000 entries and 4 MiB.
func fill(db driver.DB, set workload.Set) (err error) {
	s, err := db.Session()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	values := workload.NewValues(set.ValueSize)
	size := min(10_000, max((4<<20)/(workload.KeySize+set.ValueSize), 1))
	keys, vals := make([][]byte, size), make([][]byte, size)
	for i := range keys {
		keys[i] = make([]byte, workload.KeySize)
	}
	for i := 0; i < set.Keys; {
		n := min(size, set.Keys-i)
		for k := range n {
			workload.RandomKey(keys[k], uint64(i))
			vals[k] = values.At(uint64(i))
			i++
		}
		if err := s.PutBatch(keys[:n], vals[:n]); err != nil {
			return fmt.Errorf("load: %w", err)
		}
	}
	return nil
}

func (c *cell) shrink() (err error) {
	db, err := c.driver.Open(c.spec.Dir, c.loadConfig(c.w.Set))
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Compact()
}

// memory loads a database and reads it.
func (c *cell) memory() (err error) {
	set := workload.Set{Keys: c.w.Count, ValueSize: c.w.ValueSize}
	config := c.loadConfig(set)
	db, err := c.driver.Open(c.spec.Dir, config)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := fill(db, set); err != nil {
		return err
	}
	crew, err := workload.NewCrew(db, c.w)
	if err != nil {
		return err
	}
	_, err = crew.Run(0, seconds(c.spec.Seconds))
	return errors.Join(err, crew.Close())
}

// die puts the workload's keys one a commit and kills the process.
func (c *cell) die() error {
	db, err := c.driver.Open(c.spec.Dir, c.config())
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	crew, err := workload.NewCrew(db, c.w)
	if err != nil {
		return err
	}
	if _, err := crew.Run(c.w.Count, time.Hour); err != nil {
		return err
	}
	if db, ok := db.(driver.LogFlusher); ok {
		if err := db.FlushLog(); err != nil {
			return err
		}
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	if err := self.Kill(); err != nil {
		return err
	}
	select {}
}

// open measures the time from opening a database to its first answer.
func (c *cell) open() (err error) {
	config := c.config()
	before, start := cpuTime(), time.Now()
	db, err := c.driver.Open(c.spec.Dir, config)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s, err := db.Session()
	if err != nil {
		return err
	}
	key := make([]byte, workload.KeySize)
	workload.RandomKey(key, 1)
	_, found, err := s.Get(nil, key)
	c.r.Value = time.Since(start).Seconds()
	c.r.Ops, c.r.Seconds, c.r.CPU = 1, c.r.Value, float64(cpuTime()-before)
	if err == nil && !found {
		err = errors.New("the key is not there")
	}
	if err == nil && c.w.Kind == workload.CrashOpen {
		err = survived(s, c.w.Count)
	}
	return errors.Join(err, s.Close())
}

// survived makes sure that the last hundred commits before the crash are there,
// and a hundred of the others: few, so that memory stays what opening took.
func survived(s driver.Session, keys int) error {
	key := make([]byte, workload.KeySize)
	for i := range keys {
		if i%max(keys/100, 1) != 0 && i < keys-100 {
			continue
		}
		workload.RandomKey(key, uint64(i))
		if _, found, err := s.Get(nil, key); err != nil || !found {
			return errors.Join(err, fmt.Errorf("key %d of %d did not survive the crash", i, keys))
		}
	}
	return nil
}

// DiskBytes is how much the files under dir take of the disk.
func DiskBytes(dir string) (int64, error) {
	total := int64(0)
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += allocated(info)
		}
		return err
	})
	return total, err
}
