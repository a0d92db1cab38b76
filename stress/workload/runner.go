package workload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

// A Runner runs workloads on a database of its own. Only State may be called
// while another method runs.
type Runner struct {
	dir    string
	o      *Options
	keys   keys
	order  permutation // of all keys, in which a random fill writes them
	values []byte

	db     *engine.DB
	mode   engine.SyncMode // that db is open in
	filled uint64          // keys that the last fill wrote
	random bool            // and their order
	spoilt bool            // some were deleted since

	// Of the workload that runs.
	ctx     context.Context
	name    atomic.Value
	next    atomic.Uint64 // operations handed out to workers
	failed  atomic.Bool
	scatter permutation // of the filled keys
	zipf    zipf
}

// NewRunner returns a runner for a database in the directory dir. Each fill
// removes all that is in dir, so nothing may be there that is not the runner's.
// The options must not change while it is used.
func NewRunner(dir string, o *Options) *Runner {
	r := &Runner{
		dir: dir, o: o,
		keys:   newKeys(o.Keys, o.KeySize, o.Seed),
		order:  newPermutation(o.Keys, o.Seed),
		values: values(o.ValueSize, o.Compressible, o.Seed),
	}
	r.name.Store("")
	return r
}

// State returns the name of the workload that runs and how many operations have
// begun.
func (r *Runner) State() (string, uint64) { return r.name.Load().(string), r.next.Load() }

// Run runs workloads, count times the whole list, and reports each when it is
// done. Where a workload needs keys and there are none, or, in a later round,
// fewer than there were, the database is filled first, which is not measured.
// It ends with the first error, of report or of the context too.
func (r *Runner) Run(ctx context.Context, list []*Workload, count int, report func(*Result) error) error {
	r.ctx = ctx
	for range count {
		if r.spoilt {
			r.filled = 0
		}
		for _, w := range list {
			result, err := r.run(w)
			if err != nil {
				return fmt.Errorf("%s: %w", w.Name, err)
			}
			if err := report(result); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close closes the database.
func (r *Runner) Close() error {
	if r.db == nil {
		return nil
	}
	err := r.db.Close()
	r.db = nil
	return err
}

// run measures one workload.
func (r *Runner) run(w *Workload) (*Result, error) {
	if err := r.prepare(w); err != nil {
		return nil, err
	}
	result, err := r.measure(w, r.o.Duration)
	if err != nil {
		return nil, err
	}
	if w.writes {
		took, err := r.settle()
		if err != nil {
			return nil, err
		}
		result.Figures[SettleTime] = took.Seconds()
	}
	return result, nil
}

// prepare opens the database that a workload wants: empty, or filled, and in
// its sync mode.
func (r *Runner) prepare(w *Workload) error {
	mode := r.o.Sync
	if w.sync {
		mode = engine.SyncFull
	}
	if w.fills {
		return r.empty(mode)
	}
	if r.filled == 0 {
		if err := r.fill(); err != nil {
			return err
		}
	}
	if r.mode == mode {
		return nil
	}
	if err := r.Close(); err != nil {
		return err
	}
	return r.open(mode)
}

// fill writes all keys, the fastest way.
func (r *Runner) fill() error {
	if r.o.Filling != nil {
		r.o.Filling()
	}
	if err := r.empty(r.o.Sync); err != nil {
		return err
	}
	if _, err := r.measure(Find("fillbatch"), 1<<62); err != nil {
		return err
	}
	_, err := r.settle()
	return err
}

// settle waits until all that was written is in the tree, and returns how long
// that took. The engine merges sorted runs by itself when nobody writes.
func (r *Runner) settle() (time.Duration, error) {
	const longest = time.Minute // a disk that is full may keep runs for ever
	start := time.Now()
	_, err := r.db.Checkpoint(r.ctx)
	for err == nil && r.db.Stats().Runs > 0 && time.Since(start) < longest {
		time.Sleep(10 * time.Millisecond)
		err = r.ctx.Err()
	}
	return time.Since(start), err
}

// empty starts over with a new database.
func (r *Runner) empty(mode engine.SyncMode) error {
	if err := r.Close(); err != nil {
		return err
	}
	if err := clear(r.dir); err != nil {
		return err
	}
	r.filled, r.spoilt = 0, false
	return r.open(mode)
}

// clear removes all that is in a directory.
func clear(dir string) error {
	names, err := vfs.OS().List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		if removeErr := Remove(filepath.Join(dir, name)); err == nil {
			err = removeErr
		}
	}
	return err
}

// Remove removes a file, or a directory and all that is in it. It is twenty
// thousand bytes of the program smaller than os.RemoveAll.
func Remove(path string) error {
	err := vfs.OS().Remove(path)
	if err == nil || clear(path) != nil {
		return err
	}
	return vfs.OS().Remove(path)
}

func (r *Runner) open(mode engine.SyncMode) (err error) {
	r.mode = mode
	r.db, err = engine.Open(r.dir, &engine.Options{
		Sync: mode, CacheBytes: r.o.CacheBytes, Compression: r.o.Compression, Holder: "lightning bench",
	})
	return err
}

// measure runs the operations of a workload.
func (r *Runner) measure(w *Workload, limit time.Duration) (*Result, error) {
	ops, batch := r.o.Ops, 0
	switch {
	case w.once:
		ops = 1
	case w.fills:
		ops, batch, r.random = r.o.Keys, max(1, w.batch), w.random
		if r.o.Batch > 0 {
			batch = r.o.Batch
		}
	default:
		r.scatter = newPermutation(r.filled, r.o.Seed+1)
		r.zipf = newZipf(r.filled)
	}
	r.name.Store(w.Name)
	r.next.Store(0)
	r.failed.Store(false)
	workers := make([]*worker, r.o.Threads)
	for i := range workers {
		workers[i] = newWorker(r, i, batch)
	}

	var wg sync.WaitGroup
	cpu, start := cpuTime(), time.Now()
	for _, worker := range workers {
		wg.Go(func() { worker.run(w, start, limit, ops) })
	}
	wg.Wait()
	elapsed, used := time.Since(start), cpuTime()-cpu

	err := r.ctx.Err()
	sum := workers[0]
	for _, worker := range workers {
		if closeErr := worker.close(); err == nil {
			err = closeErr
		}
		if worker != sum {
			sum.add(worker)
		}
	}
	if w.fills {
		r.filled = sum.ops
	}
	r.spoilt = r.spoilt || w.spoils
	result := &Result{Workload: w, Sync: r.mode}
	sum.figures(&result.Figures, elapsed, used)
	if !w.reads {
		result.Figures[Found], result.Figures[Missing] = -1, -1
	}
	return result, err
}
