package workload

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lightning-db/lightning/bench/internal/driver"
)

// Worker runs the operations of a cell in one goroutine.
type Worker struct {
	id       int
	workload *Workload
	session  driver.Session
	shared   *Shared
	values   *Values
	rand     Rand
	key      [KeySize]byte
	buf      []byte
	step     func() (int, error)

	latencies Histogram
	done      int // units: what is counted in the rate
	conflicts int
	marks     []time.Duration // since the start, at every markEvery units
}

// markEvery is after how many units of one worker its clock is noted.
const markEvery = 1_000_000

// Timing of single operations costs some 40 ns, so where half of them take less
// than fastOp only one in fastEvery is timed. (The mean of a trial may be that of
// one wait for new memory.)
const (
	fastOp    = 2 * time.Microsecond
	fastEvery = 16
	// trial is how many operations tell how long they take.
	trial = 2048
)

// Crew is the workers of a cell.
type Crew struct {
	Shared  *Shared
	workers []*Worker
}

// NewCrew opens the sessions of the workers and readies their operations.
func NewCrew(db driver.DB, w *Workload) (*Crew, error) {
	c := &Crew{Shared: &Shared{Keys: w.Set.Keys}}
	if w.Kind == Memory {
		c.Shared.Keys = w.Count
	}
	c.Shared.Inserts.Store(uint64(c.Shared.Keys))
	c.Shared.Zipf = NewZipf(uint64(max(c.Shared.Keys, 2)), Theta)
	values := NewValues(w.ValueSize)
	for id := range w.Workers {
		session, err := db.Session()
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		worker := &Worker{
			id: id, workload: w, session: session, shared: c.Shared, values: values,
			rand: Rand(id * 7919), buf: make([]byte, 0, 1024+w.ValueSize),
		}
		worker.step = w.step(worker)
		c.workers = append(c.workers, worker)
	}
	return c, nil
}

// Close closes the sessions.
func (c *Crew) Close() error {
	var errs []error
	for _, w := range c.workers {
		errs = append(errs, w.session.Close())
	}
	return errors.Join(errs...)
}

// Warm gets every key of the database once, or as many as the time allows, and
// checks the values, then runs the workload's own operations for as long again.
func (c *Crew) Warm(d time.Duration) error {
	err := c.each(func(w *Worker) error {
		start := time.Now()
		for i := w.id; i < c.Shared.Keys; i += len(c.workers) {
			if err := w.get(uint64(i)); err != nil {
				return err
			}
			if !bytes.Equal(w.buf, w.values.At(uint64(i))) {
				return fmt.Errorf("the value of key %d is not what was put", i)
			}
			if i/len(c.workers)%64 == 0 && time.Since(start) > d {
				break
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = c.Run(0, d)
	return err
}

// Outcome is what a crew did.
type Outcome struct {
	Done      int
	Elapsed   time.Duration
	Latencies Histogram
	Conflicts int
	Marks     []time.Duration // of the first worker
}

// Run lets the workers run count operations in all, or any number when it is
// 0, but not longer than d.
func (c *Crew) Run(count int, d time.Duration) (*Outcome, error) {
	start := time.Now()
	err := c.each(func(w *Worker) error {
		share := count / len(c.workers)
		if count > 0 && w.id < count%len(c.workers) {
			share++
		}
		return w.run(start, share, count == 0, d)
	})
	o := &Outcome{Elapsed: time.Since(start), Marks: c.workers[0].marks}
	for _, w := range c.workers {
		o.Done += w.done
		o.Conflicts += w.conflicts
		o.Latencies.Add(&w.latencies)
	}
	return o, err
}

// each runs fn for every worker, all at once.
func (c *Crew) each(fn func(*Worker) error) error {
	var wg sync.WaitGroup
	errs := make([]error, len(c.workers))
	for i, w := range c.workers {
		wg.Go(func() { errs[i] = fn(w) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// run runs steps until share units are done, or without end when endless, but
// not for longer than d.
func (w *Worker) run(start time.Time, share int, endless bool, d time.Duration) error {
	w.latencies, w.done, w.conflicts, w.marks = Histogram{}, 0, 0, nil
	every, nextMark := 1, markEvery
	last := time.Since(start)
	for i := 0; endless || w.done < share; {
		n, err := w.step()
		if err != nil {
			return err
		}
		now := time.Since(start)
		w.latencies.Record(int64(now - last))
		w.done += n
		if i++; i == trial && w.latencies.Quantile(0.5) < float64(fastOp) {
			every = fastEvery
			w.latencies = Histogram{}
		}
		for k := 1; k < every && (endless || w.done < share); k++ {
			n, err := w.step()
			if err != nil {
				return err
			}
			w.done += n
		}
		if w.done >= nextMark {
			w.marks = append(w.marks, now)
			nextMark += markEvery
		}
		if every > 1 {
			now = time.Since(start)
		}
		if now >= d {
			return nil
		}
		last = now
	}
	return nil
}
