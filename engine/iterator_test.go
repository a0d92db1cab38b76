package engine_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

// Iterators walk leaves by themselves where nothing is in their way. Whatever
// is, they show what the model does: versions of the same keys in a memtable,
// in runs and in the tree, tombstones in runs, range tombstones, bounds inside
// a leaf, and turns in the middle of it.
func TestIterator_AgreesWithModelOverRuns(t *testing.T) {
	runSession(t, runOptions, func(s *session, _ *vfs.Mem) {
		rnd := rand.New(rand.NewPCG(uint64(*faultSeed), 23))
		s.apply(entriesOf("k", spread, 100)...)
		s.checkpoint()
		for round := range 40 {
			s.apply(between(rnd)...)
			s.addRuns(round, 1, 6+rnd.IntN(12))
			for range rnd.IntN(4) {
				s.apply(put(keyOf("k", rnd.IntN(spread)), fmt.Sprint("over the runs ", round)))
			}
			if rnd.IntN(3) == 0 {
				s.apply(del(keyOf("k", rnd.IntN(spread))))
			}
			for range 50 {
				if err := randomMoves(rnd, s.db, s.hist.last()); err != nil {
					s.t.Fatalf("seed %d, round %d, %d runs: %v", *faultSeed, round, s.db.Stats().Runs, err)
				}
			}
		}
	})
}

// between are edits of a few keys between two of the tree, most of which no
// other source has: a run's cursor goes along them by itself.
func between(rnd *rand.Rand) []edit {
	var edits []edit
	before := keyOf("k", rnd.IntN(spread))
	for i := range 9 {
		if key := fmt.Sprint(before, "+", i); rnd.IntN(2) == 0 {
			edits = append(edits, put(key, "between"))
		} else {
			edits = append(edits, del(key))
		}
	}
	return edits
}

// randomMoves moves an iterator of a transaction, which now and then has writes
// of its own, to and fro between two bounds.
func randomMoves(rnd *rand.Rand, db *engine.DB, now *commit) error {
	key := func() string { return keyOf("k", rnd.IntN(spread)) + []string{"", "+4", "~"}[rnd.IntN(3)] }
	tx, err := db.Begin(engine.TxOptions{Isolation: engine.SnapshotIsolation})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var own []edit
	switch rnd.IntN(6) {
	case 0:
		own = append(own, put(key(), "own"), del(key()))
	case 1:
		from := key()
		own = append(own, put(key(), "own"), delRange(from, from[:4]+"9"), put(key(), "own, too"))
	}
	for _, e := range own {
		if err := editTx(db, tx, e); err != nil {
			return err
		}
	}
	contents := now.contents.with(own)[""]
	var o engine.IterOptions
	if rnd.IntN(2) == 0 {
		o.Start = []byte(key())
	}
	if rnd.IntN(2) == 0 {
		o.End = []byte(key())
	}
	var keys []string
	for k := range contents {
		if bytes.Compare([]byte(k), o.Start) >= 0 && (o.End == nil || bytes.Compare([]byte(k), o.End) < 0) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)

	it := tx.NewIterator(o)
	defer it.Close()
	at, here := 0, false
	for range 12 {
		to := key()
		move := rnd.IntN(6)
		for range 1 + rnd.IntN(12) {
			var ok bool
			switch {
			case !here && move%2 == 0:
				ok = it.SeekGE([]byte(to))
				at, _ = slices.BinarySearch(keys, to)
			case !here:
				ok = it.SeekLT([]byte(to))
				at, _ = slices.BinarySearch(keys, to)
				at--
			case move%2 == 0:
				ok, at = it.Next(), at+1
			default:
				ok, at = it.Prev(), at-1
			}
			here = at >= 0 && at < len(keys)
			if ok != here {
				return fmt.Errorf("in [%q, %q) with %v: a move reports %v at entry %d of %d", o.Start, o.End, own, ok, at, len(keys))
			}
			if !here {
				break
			}
			if string(it.Key()) != keys[at] || string(it.Value()) != contents[keys[at]] {
				return fmt.Errorf("in [%q, %q) with %v: %q = %.40q, want %q = %.40q", o.Start, o.End, own, it.Key(), it.Value(), keys[at], contents[keys[at]])
			}
		}
	}
	return it.Err()
}
