package memtable

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// A history is a sequence of operations, drawn up in advance: operation i has
// sequence number i+1. Readers check against it what they see at a sequence
// number that has been published, while the writer goes on.
type history struct {
	table     *Table
	published atomic.Uint64

	operations []version
	byKey      map[string][]version
	distinct   []int // distinct keys in the first n operations
	ranges     []kv.RangeDelete
}

const (
	historyLen   = 30_000
	historyRange = 600 // every so many operations one is a range delete
	otherSpace   = 5   // holds the same entries
)

func newHistory(rnd *rand.Rand) *history {
	h := &history{table: New(), byKey: map[string][]version{}, distinct: []int{0}}
	for i := range historyLen {
		seq := kv.Seq(i + 1)
		if i%historyRange == historyRange-1 {
			start, end := historyKey(rnd), historyKey(rnd)
			r := kv.Range{Start: []byte(min(start, end)), End: []byte(max(start, end) + "\x00")}
			h.ranges = append(h.ranges, kv.RangeDelete{Range: r, Seq: seq})
			h.operations = append(h.operations, version{seq: seq})
		} else {
			v := version{historyKey(rnd), fmt.Sprint(seq), kv.Set, seq}
			if rnd.IntN(5) == 0 {
				v.value, v.kind = "", kv.Delete
			}
			h.operations = append(h.operations, v)
			h.byKey[v.key] = append(h.byKey[v.key], v)
		}
		h.distinct = append(h.distinct, len(h.byKey))
	}
	return h
}

// historyKey is one of ten counters, or one of many others.
func historyKey(rnd *rand.Rand) string {
	if rnd.IntN(3) == 0 {
		return fmt.Sprintf("counter %d", rnd.IntN(10))
	}
	var key [8]byte
	binary.BigEndian.PutUint64(key[:], uint64(rnd.IntN(20_000))*0x9E3779B97F4A7C15)
	return "key " + string(key[:])
}

// write puts everything, and publishes in commits of a few operations.
func (h *history) write(rnd *rand.Rand) {
	next := 1
	for i, v := range h.operations {
		if v.kind == 0 {
			h.table.DeleteRange(0, h.ranges[i/historyRange].Range, v.seq)
		} else {
			key := []byte(v.key)
			h.table.Put(0, key, kv.Hash(key), []byte(v.value), v.kind, v.seq)
			h.table.Put(otherSpace, key, kv.Hash(key), []byte(v.value), v.kind, v.seq)
		}
		if i+1 >= next {
			h.published.Store(uint64(v.seq))
			next = i + 1 + rnd.IntN(8)
		}
		if i%500 == 0 {
			runtime.Gosched()
		}
	}
	h.published.Store(historyLen)
}

func (h *history) at(key string, seq kv.Seq) version {
	list := h.byKey[key]
	n, _ := slices.BinarySearchFunc(list, seq+1, func(v version, seq kv.Seq) int { return int(v.seq) - int(seq) })
	if n == 0 {
		return version{}
	}
	return list[n-1]
}

func (h *history) readPoints(rnd *rand.Rand, seq kv.Seq, ks kv.Keyspace) error {
	for range 50 {
		key := historyKey(rnd)
		value, kind, at := h.table.Get(ks, []byte(key), kv.Hash([]byte(key)), seq)
		if have, want := (version{key, string(value), kind, at}), h.at(key, seq); want.kind != 0 && have != want || want.kind == 0 && kind != 0 {
			return fmt.Errorf("at %d: Get = %v, want %v", seq, have, want)
		}
		if since := seq - min(seq, 50); h.at(key, seq).seq > since && !h.table.ChangedKey(ks, []byte(key), kv.Hash([]byte(key)), since) {
			return fmt.Errorf("at %d: a change of %q after %d is missed", seq, key, since)
		}
	}
	return nil
}

func (h *history) readAll(rnd *rand.Rand, seq kv.Seq, ks kv.Keyspace) error {
	c := h.table.NewCursor(ks, seq)
	back := rnd.IntN(2) == 0
	first, step := c.First, c.Next
	if back {
		first, step = c.Last, c.Prev
	}
	count, last := 0, ""
	for more := first(); more; more = step() {
		key := string(c.Key())
		value, _ := c.Value()
		if have, want := (version{key, string(value), c.Kind(), c.Seq()}), h.at(key, seq); have != want {
			return fmt.Errorf("at %d: cursor on %v, want %v", seq, have, want)
		}
		if count > 0 && (key <= last) != back {
			return fmt.Errorf("at %d: %q after %q", seq, key, last)
		}
		count, last = count+1, key
	}
	if count != h.distinct[seq] {
		return fmt.Errorf("at %d: %d entries, want %d", seq, count, h.distinct[seq])
	}
	return nil
}

func (h *history) readRanges(rnd *rand.Rand, seq kv.Seq) error {
	fragments := h.table.RangeDeletes(0, seq)
	for range 20 {
		key := []byte(historyKey(rnd))
		var want kv.Seq
		for _, d := range h.ranges {
			if d.Seq <= seq && d.Contains(key) {
				want = d.Seq
			}
		}
		if have := fragments.Covering(key); have != want {
			return fmt.Errorf("at %d: %q is covered at %d, want %d", seq, key, have, want)
		}
	}
	if since := seq - min(seq, historyRange); len(fragments) > 0 && !h.table.Changed(0, kv.Range{}, since) {
		return fmt.Errorf("at %d: changes after %d are missed", seq, since)
	}
	return nil
}

func TestTable_ReadersBesideWriter(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	h := newHistory(rand.New(rand.NewPCG(seed, 0)))
	var all sync.WaitGroup
	all.Go(func() { h.write(rand.New(rand.NewPCG(seed, 1))) })
	for reader := range 4 {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(2+reader)))
			for done := false; !done; {
				seq := kv.Seq(h.published.Load())
				done = seq == historyLen
				if rnd.IntN(3) == 0 { // a snapshot that was taken earlier
					seq = kv.Seq(rnd.Uint64N(uint64(seq) + 1))
				}
				ks := []kv.Keyspace{0, otherSpace}[rnd.IntN(2)]
				var err error
				switch reader {
				case 0:
					err = h.readPoints(rnd, seq, ks)
				case 1, 2:
					err = h.readAll(rnd, seq, ks)
				case 3:
					err = h.readRanges(rnd, seq)
					_ = h.table.Bytes() + int64(h.table.Len())
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	checkTree(t, h.table, 0)
	checkTree(t, h.table, otherSpace)
}
