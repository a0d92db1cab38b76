package workload

import (
	"context"
	"errors"
	"time"

	"github.com/lightning-db/lightning/engine"
)

// A worker is one goroutine of a workload. Workers take operations by the
// group, in order, and finish those that they have taken: what a fill has
// written at its end, however it is cut short, is the first keys of its order.
type worker struct {
	r     *Runner
	rnd   random
	part  uint64 // of the keys, where each worker scans its own
	group uint64 // operations to take at once; in a fill those of one commit
	clock time.Duration

	key, value []byte
	batch      *engine.Batch // nil: commits of one key
	snapshot   *engine.Snapshot
	scan       *engine.Iterator

	err                        error
	ops, bytes, found, missing uint64
	latency                    histogram
}

const (
	// group is how many operations a worker takes at once.
	group = 16
	// Where operations take less than quick on average, reading the clock for
	// each would be a part of what is measured: one of a group is timed.
	quick = 2 * time.Microsecond
)

// errExhausted ends a worker that finds nothing to work on.
var errExhausted = errors.New("no entries")

//go:noinline // in no hot place
func newWorker(r *Runner, part, batch int) *worker {
	w := &worker{r: r, rnd: random(mix(r.o.Seed + uint64(part))), part: uint64(part), group: group, key: make([]byte, r.o.KeySize)}
	if batch > 1 {
		w.group = uint64(batch)
		w.batch = r.db.NewBatch()
	}
	return w
}

// run does operations until there are no more, or the time is over.
func (w *worker) run(load *Workload, start time.Time, limit time.Duration, ops uint64) {
	w.clock = clockCost()
	for now := time.Since(start); now < limit || w.ops == 0; {
		first := w.r.next.Add(w.group) - w.group
		if first >= ops {
			w.r.next.Store(ops)
			return
		}
		end := min(first+w.group, ops)
		var err error
		if w.batch != nil {
			now, err = w.commit(load, start, now, first, end)
		} else {
			now, err = w.each(load, start, now, first, end)
		}
		if err == nil {
			err = w.r.ctx.Err()
		}
		if err != nil {
			w.r.failed.Store(true)
			if err != errExhausted {
				w.err = err
			}
		}
		if w.r.failed.Load() {
			return
		}
	}
}

// each does the operations from first to end, and times some of them. It
// returns the time that it ended.
//
// Where it times only the first it takes the time of the others together for a
// bound of the longest, since a stall is what everyone looks for.
func (w *worker) each(load *Workload, start time.Time, now time.Duration, first, end uint64) (time.Duration, error) {
	sampled := now < quick*time.Duration(w.ops)
	for i := first; i < end; i++ {
		if err := load.op(w, i); err != nil {
			return now, err
		}
		w.ops++
		if sampled && i > first {
			continue
		}
		t := time.Since(start)
		n := uint64(1)
		if sampled {
			n = end - first
		}
		w.latency.add(t-now-w.clock, n)
		now = t
	}
	if sampled && end-first > 1 {
		t := time.Since(start)
		w.latency.max = max(w.latency.max, t-now)
		now = t
	}
	return now, nil
}

// commit does the operations from first to end, which only add to the batch,
// and commits them.
func (w *worker) commit(load *Workload, start time.Time, now time.Duration, first, end uint64) (time.Duration, error) {
	w.batch.Reset()
	for i := first; i < end; i++ {
		if err := load.op(w, i); err != nil {
			return now, err
		}
	}
	if err := w.r.db.Apply(context.Background(), w.batch); err != nil {
		return now, err
	}
	w.ops += end - first
	t := time.Since(start)
	w.latency.add(t-now-w.clock, 1)
	return t, nil
}

// clockCost is what reading the clock adds to what it times.
func clockCost() time.Duration {
	least, start := time.Duration(1<<62), time.Now()
	for last, i := time.Since(start), 0; i < 100; i++ {
		t := time.Since(start)
		least = min(least, t-last)
		last = t
	}
	return least
}

// close ends the scan, and returns the error that ended the worker.
func (w *worker) close() error {
	if w.scan != nil {
		w.scan.Close()
		w.snapshot.Close()
	}
	return w.err
}

// add adds what another worker has done.
//
//go:noinline // in no hot place
func (w *worker) add(other *worker) {
	w.ops += other.ops
	w.bytes += other.bytes
	w.found += other.found
	w.missing += other.missing
	w.latency.merge(&other.latency)
}

// figures says what the worker has done in some time.
func (w *worker) figures(f *[Figures]float64, elapsed, cpu time.Duration) {
	seconds, ops := elapsed.Seconds(), float64(int64(w.ops))
	f[Ops], f[Seconds] = ops, seconds
	f[OpsRate], f[MBRate] = -1, -1
	if elapsed > 0 { // Windows has a clock of half a millisecond
		f[OpsRate], f[MBRate] = ops/seconds, float64(int64(w.bytes))/1e6/seconds
	}
	each := max(ops, 1)
	f[NsPerOp], f[CPUPerOp] = float64(elapsed)/each, float64(cpu)/each
	if cpu <= 0 {
		f[CPUPerOp] = -1
	}
	for i, part := range [...]float64{0.5, 0.99, 0.999, 1} {
		f[Median+i] = float64(w.latency.quantile(part))
	}
	if ops == 0 { // of nothing there is no cost and no latency
		for _, i := range [...]int{NsPerOp, CPUPerOp, Median, P99, P999, Longest} {
			f[i] = -1
		}
	}
	f[Found], f[Missing], f[SettleTime] = float64(int64(w.found)), float64(int64(w.missing)), -1
}

// placed makes w.key the i-th key that the fill wrote.
func (w *worker) placed(i uint64) {
	if w.r.random {
		i = w.r.order.at(i)
	}
	w.r.keys.put(w.key, i, false)
}

// pick makes w.key one of those that the fill wrote, as likely as the
// distribution has it.
func (w *worker) pick() {
	if w.r.o.Zipf {
		w.placed(w.r.scatter.at(w.r.zipf.draw(&w.rnd)))
	} else {
		w.placed(w.rnd.below(w.r.filled))
	}
}

// span is how far from the first key on there are keys.
func (w *worker) span() uint64 {
	if w.r.random {
		return w.r.o.Keys
	}
	return w.r.filled
}

//go:noinline // a nanosecond, and a hundred bytes wherever it stands
func (w *worker) newValue() []byte {
	at := w.rnd.below(uint64(len(w.r.values) - w.r.o.ValueSize + 1))
	return w.r.values[at : at+uint64(w.r.o.ValueSize)]
}

func (w *worker) put() error {
	w.bytes += uint64(w.r.o.KeySize + w.r.o.ValueSize)
	return w.r.db.Put(w.key, w.newValue())
}

func (w *worker) get() error {
	value, err := w.r.db.AppendValue(w.value[:0], w.key)
	w.value = value
	return w.count(value, err)
}

// count counts what a lookup returned.
func (w *worker) count(value []byte, err error) error {
	switch {
	case err == nil:
		w.found++
		w.bytes += uint64(w.r.o.KeySize + len(value))
	case errors.Is(err, engine.ErrNotFound):
		w.missing++
	default:
		return err
	}
	return nil
}

func (w *worker) putNext(i uint64) error {
	w.placed(i)
	if w.batch == nil {
		return w.put()
	}
	w.bytes += uint64(w.r.o.KeySize + w.r.o.ValueSize)
	return w.batch.Put(w.key, w.newValue())
}

func (w *worker) overwrite(uint64) error {
	w.pick()
	return w.put()
}

func (w *worker) readRandom(uint64) error {
	w.pick()
	return w.get()
}

func (w *worker) readHot(uint64) error {
	w.placed(w.rnd.below(max(1, w.r.filled/100)))
	return w.get()
}

func (w *worker) readMissing(uint64) error {
	w.r.keys.put(w.key, w.rnd.below(w.r.o.Keys), true)
	return w.get()
}

func (w *worker) readSeq(uint64) error {
	return w.step((*engine.Iterator).First, (*engine.Iterator).Next)
}

func (w *worker) readReverse(uint64) error {
	return w.step((*engine.Iterator).Last, (*engine.Iterator).Prev)
}

// step reads the next entry of the worker's part of the keys, and starts again
// at its end.
func (w *worker) step(begin, next func(*engine.Iterator) bool) error {
	if w.scan == nil {
		if err := w.openScan(); err != nil {
			return err
		}
		next = begin
	}
	if !next(w.scan) && w.scan.Err() == nil && !begin(w.scan) && w.scan.Err() == nil {
		return errExhausted
	}
	return w.entry(w.scan)
}

// openScan begins a scan of the worker's part of the keys.
func (w *worker) openScan() (err error) {
	if w.snapshot, err = w.r.db.Snapshot(); err != nil {
		return err
	}
	var o engine.IterOptions
	if w.part > 0 {
		o.Start = w.bound(w.part)
	}
	if next := w.part + 1; next < uint64(w.r.o.Threads) {
		o.End = w.bound(next)
	}
	w.scan = w.snapshot.NewIterator(o)
	return nil
}

// bound is the key that the part of a worker begins with.
//
//go:noinline // in no hot place, or it is compiled twice
func (w *worker) bound(part uint64) []byte {
	key := make([]byte, w.r.o.KeySize)
	w.r.keys.put(key, w.span()/uint64(w.r.o.Threads)*part, false)
	return key
}

// entry reads the entry that an iterator stands on.
func (w *worker) entry(it *engine.Iterator) error {
	value := it.Value()
	if err := it.Err(); err != nil {
		return err
	}
	w.found++
	w.bytes += uint64(len(it.Key()) + len(value))
	return nil
}

func (w *worker) seekRandom(uint64) error {
	w.pick()
	s, err := w.r.db.Snapshot()
	if err != nil {
		return err
	}
	defer s.Close()
	it := s.NewIterator(engine.IterOptions{})
	if !it.SeekGE(w.key) {
		w.missing++
		return it.Close()
	}
	found := w.found + 1 // seeks, not entries
	err = w.entry(it)
	for n := 0; n < w.r.o.Nexts && err == nil && it.Next(); n++ {
		err = w.entry(it)
	}
	w.found = found
	if closeErr := it.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (w *worker) readWrite(uint64) error {
	w.pick()
	if w.rnd.below(100) < uint64(w.r.o.Reads) {
		return w.get()
	}
	return w.put()
}

func (w *worker) update(uint64) error {
	w.pick()
	var value []byte
	var found error
	next := w.newValue()
	err := w.r.db.Update(context.Background(), func(tx *engine.Tx) error {
		value, found = tx.AppendValue(w.value[:0], w.key)
		if found != nil && !errors.Is(found, engine.ErrNotFound) {
			return found
		}
		return tx.Put(w.key, next)
	})
	if err != nil {
		return err
	}
	w.value = value
	w.bytes += uint64(w.r.o.KeySize + len(next))
	return w.count(value, found)
}

func (w *worker) deleteSeq(i uint64) error {
	w.r.keys.put(w.key, i%w.span(), false)
	return w.remove()
}

func (w *worker) deleteRandom(i uint64) error {
	w.placed(w.r.scatter.at(i % w.r.filled))
	return w.remove()
}

func (w *worker) remove() error {
	w.bytes += uint64(w.r.o.KeySize)
	return w.r.db.Delete(w.key)
}

func (w *worker) compact(uint64) error {
	info, err := w.r.db.Compact(w.r.ctx)
	w.bytes += uint64(info.Moved)
	return err
}
