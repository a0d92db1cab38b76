package workload

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// Shared is what the workers of a cell have in common.
type Shared struct {
	Keys    int           // in the database when the cell starts
	Inserts atomic.Uint64 // index of the next key that an insert takes
	Zipf    *Zipf         // over Keys
}

// rankCount is how many zipf ranks a worker draws beforehand.
const rankCount = 1 << 18

// draw returns ranks drawn beforehand, one after the other, over and over.
func (w *Worker) draw() func() uint64 {
	ranks, i := w.shared.Zipf.Ranks(&w.rand, rankCount), 0
	return func() uint64 {
		i = (i + 1) % rankCount
		return uint64(ranks[i])
	}
}

var errMissing = errors.New("a key that was put is missing")

func (w *Worker) get(i uint64) (err error) {
	found := false
	RandomKey(w.key[:], i)
	w.buf, found, err = w.session.Get(w.buf[:0], w.key[:])
	switch {
	case err != nil:
		return err
	case !found:
		return errMissing
	case len(w.buf) != w.workload.ValueSize:
		return fmt.Errorf("a value of %d bytes came back with %d", w.workload.ValueSize, len(w.buf))
	}
	return nil
}

func (w *Worker) put(i uint64) error {
	RandomKey(w.key[:], i)
	return w.session.Put(w.key[:], w.values.At(w.rand.Uint64()))
}

// puts puts new keys, the workers taking turns at their indexes.
func puts(key func([]byte, uint64)) func(*Worker) func() (int, error) {
	return func(w *Worker) func() (int, error) {
		i, stride := uint64(w.id), uint64(w.workload.Workers)
		return func() (int, error) {
			key(w.key[:], i)
			value := w.values.At(i)
			i += stride
			return 1, w.session.Put(w.key[:], value)
		}
	}
}

// overwrites puts keys that are there.
func overwrites(n int) func(*Worker) func() (int, error) {
	return func(w *Worker) func() (int, error) {
		return func() (int, error) { return 1, w.put(w.rand.N(uint64(n))) }
	}
}

// batches puts new keys in random order, size of them a commit.
func batches(size int) func(*Worker) func() (int, error) {
	return func(w *Worker) func() (int, error) {
		i := uint64(0)
		keys, values := make([][]byte, size), make([][]byte, size)
		for k := range keys {
			keys[k] = make([]byte, KeySize)
		}
		return func() (int, error) {
			for k := range keys {
				RandomKey(keys[k], i)
				values[k] = w.values.At(i)
				i++
			}
			return size, w.session.PutBatch(keys, values)
		}
	}
}

// gets gets the first n random keys, in random order.
func gets(n int) func(*Worker) func() (int, error) {
	return func(w *Worker) func() (int, error) {
		return func() (int, error) { return 1, w.get(w.rand.N(uint64(n))) }
	}
}

func misses(w *Worker) func() (int, error) {
	n := uint64(w.shared.Keys)
	return func() (int, error) {
		RandomKey(w.key[:], n+w.rand.N(n))
		_, found, err := w.session.Get(w.buf[:0], w.key[:])
		if found {
			return 0, errors.New("a key that was never put is there")
		}
		return 1, err
	}
}

func zipfGets(w *Worker) func() (int, error) {
	rank := w.draw()
	return func() (int, error) { return 1, w.get(rank()) }
}

// look is what a scan does with an entry: it copies the value, so that every
// byte of it was touched.
func (w *Worker) look(_, value []byte) { w.buf = append(w.buf[:0], value...) }

// scans reads n entries from a random key on; all of them when n is 0.
func scans(n int, reverse bool) func(*Worker) func() (int, error) {
	return func(w *Worker) func() (int, error) {
		look := w.look
		return func() (int, error) {
			if n == 0 {
				seen, err := w.session.Scan(nil, 1<<40, reverse, look)
				if err == nil && seen != w.shared.Keys {
					err = fmt.Errorf("a scan of %d entries found %d", w.shared.Keys, seen)
				}
				return seen, err
			}
			RandomKey(w.key[:], w.rand.N(uint64(w.shared.Keys)))
			return w.session.Scan(w.key[:], n, reverse, look)
		}
	}
}

// mix is a workload of YCSB: shares of 100.
type mix struct {
	name, title                        string
	read, update, insert, scan, modify uint64
	latest                             bool
}

var ycsb = []mix{
	{name: "a", title: "A: 50 % read, 50 % update, zipf", read: 50, update: 50},
	{name: "b", title: "B: 95 % read, 5 % update, zipf", read: 95, update: 5},
	{name: "c", title: "C: read, zipf", read: 100},
	{name: "d", title: "D: 95 % read of the latest, 5 % insert", read: 95, insert: 5, latest: true},
	{name: "e", title: "E: 95 % scan of 1 to 100, 5 % insert", scan: 95, insert: 5},
	{name: "f", title: "F: 50 % read, 50 % read and then write", read: 50, modify: 50},
}

func (m mix) step(w *Worker) func() (int, error) {
	rank, look := w.draw(), w.look
	choose := func() uint64 {
		r := rank()
		if !m.latest {
			return r
		}
		newest := w.shared.Inserts.Load() - 1
		return newest - min(r, newest)
	}
	return func() (int, error) {
		p := w.rand.N(100)
		switch {
		case p < m.read:
			err := w.get(choose())
			if m.latest && errors.Is(err, errMissing) {
				err = nil // another worker is inserting it
			}
			return 1, err
		case p < m.read+m.update:
			return 1, w.put(choose())
		case p < m.read+m.update+m.insert:
			return 1, w.put(w.shared.Inserts.Add(1) - 1)
		case p < m.read+m.update+m.insert+m.scan:
			RandomKey(w.key[:], choose())
			_, err := w.session.Scan(w.key[:], 1+int(w.rand.N(100)), false, look)
			return 1, err
		}
		i := choose()
		if err := w.get(i); err != nil {
			return 0, err
		}
		return 1, w.put(i)
	}
}

func mixed(w *Worker) func() (int, error) {
	n := uint64(w.shared.Keys)
	return func() (int, error) {
		i := w.rand.N(n)
		switch p := w.rand.N(100); {
		case p < 70:
			err := w.get(i)
			if errors.Is(err, errMissing) {
				err = nil // it was deleted
			}
			return 1, err
		case p < 90:
			return 1, w.put(i)
		}
		RandomKey(w.key[:], i)
		return 1, w.session.Delete(w.key[:])
	}
}

// transactions reads two keys and puts both.
func transactions(w *Worker) func() (int, error) {
	rank := w.draw()
	keys := [][]byte{make([]byte, KeySize), make([]byte, KeySize)}
	values := make([][]byte, 2)
	return func() (int, error) {
		a, b := rank(), rank()
		for a == b {
			b = rank()
		}
		RandomKey(keys[0], a)
		RandomKey(keys[1], b)
		values[0], values[1] = w.values.At(w.rand.Uint64()), w.values.At(w.rand.Uint64())
		conflicts, err := w.session.Tx(keys, values)
		w.conflicts += conflicts
		return 1, err
	}
}

// tenPuts puts ten random keys in a transaction.
func tenPuts(w *Worker) func() (int, error) {
	keys, values := make([][]byte, 10), make([][]byte, 10)
	for i := range keys {
		keys[i] = make([]byte, KeySize)
	}
	return func() (int, error) {
		for i := range keys {
			RandomKey(keys[i], w.rand.N(uint64(w.shared.Keys)))
			values[i] = w.values.At(w.rand.Uint64())
		}
		conflicts, err := w.session.Tx(keys, values)
		w.conflicts += conflicts
		return 1, err
	}
}
