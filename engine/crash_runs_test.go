package engine_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/lightning-db/lightning/engine"
)

// The scenarios in which there are sorted runs, and what makes them.

// runOptions are options under which few entries, far apart, become a run.
var runOptions = engine.Options{MemtableBytes: 4 << 10}

// spread is how many entries stand in the tree behind the runs, nine in a leaf.
const spread = 120

// Of runs of twelve entries so many gather before they are merged, and a slice
// is about a fourth of them. There are never more than manyRuns.
const (
	gathered = 5
	manyRuns = 29
)

// scattered are n edits of keys far apart from each other: mostly new values,
// as long as the old ones, and every fourth a delete. The rounds have some keys
// in common.
func scattered(round, n int) []edit {
	var edits []edit
	for i := range n {
		key := keyOf("k", (i*spread/n+round%7)%spread)
		if i%4 == 3 {
			edits = append(edits, del(key))
		} else {
			edits = append(edits, put(key, valueOf(fmt.Sprint(round, "."), i, 100)))
		}
	}
	return edits
}

// addRuns makes as many runs, of n entries each. The last one has a value in an
// extent of its own, where n is more than one.
func (s *session) addRuns(first, count, n int) {
	for round := first; round < first+count; round++ {
		edits := scattered(round, n)
		if round == first+count-1 && n > 1 {
			edits = append(edits, put("large", valueOf("v", round, 1100)))
		}
		s.apply(edits...)
		s.checkpoint()
	}
}

// wantRuns makes sure that the database has as many runs, where nothing fails.
func (s *session) wantRuns(least, most int) {
	if s.faulty || s.db == nil {
		return
	}
	if n := s.db.Stats().Runs; n < least || n > most {
		s.t.Helper()
		s.t.Fatalf("%d runs, want %d to %d", n, least, most)
	}
}

// withRuns is a setup: a tree, and runs of twelve entries in front of it.
func withRuns(count int) func(*session) {
	return func(s *session) {
		s.apply(entriesOf("k", spread, 100)...)
		s.checkpoint()
		s.addRuns(0, count, 12)
		s.wantRuns(count, count)
	}
}

var runScenarios = []scenario{
	{name: "sorted runs", opts: runOptions, setup: withRuns(0), play: func(s *session) {
		s.open()
		s.addRuns(0, 2, 12)
		s.wantRuns(2, 2)
		s.reopen()
		s.addRuns(2, 1, 12)
		s.wantRuns(3, 3)
		s.put("k00001", "last")
		s.close()
	}},
	{name: "sorted runs are merged", opts: runOptions, setup: withRuns(gathered), play: func(s *session) {
		s.open()
		s.addRuns(gathered, 2, 12)
		s.wantRuns(gathered+2, gathered+2)
		s.reopen() // in the middle
		s.addRuns(gathered+2, 4, 12)
		s.wantRuns(1, gathered)
		s.close()
	}},
	{name: "sorted runs are merged to the end", opts: runOptions, setup: withRuns(gathered), play: func(s *session) {
		s.open()
		s.addRuns(gathered, 1, 12)
		s.wantRuns(gathered+1, gathered+1)
		s.addRuns(gathered+1, 4, 12) // until a slice is longer than what is left
		s.wantRuns(2, gathered)
		s.put("k00001", "last")
	}},
	{name: "as many sorted runs as there may be", opts: runOptions, setup: func(s *session) {
		withRuns(gathered)(s)
		s.addRuns(gathered, manyRuns-gathered, 1)
		s.wantRuns(manyRuns, manyRuns)
	}, play: func(s *session) {
		s.open()
		s.addRuns(manyRuns, 1, 1)
		s.wantRuns(1, manyRuns-gathered+1)
		s.addRuns(manyRuns+1, 1, 1)
		s.close()
	}},
	{name: "sorted runs and a memtable that is not scattered", opts: runOptions, setup: withRuns(gathered), play: func(s *session) {
		s.open()
		s.put("k00001", valueOf("v", 1, 400)) // a little beside much in runs: merges a slice
		s.checkpoint()
		s.wantRuns(2, gathered+1)
		s.apply(entriesOf("l", 40, 20)...) // as much as in runs: takes them with it
		s.checkpoint()
		s.wantRuns(0, 0)
		s.close()
	}},
	{name: "sorted runs left alone", opts: runOptions, setup: withRuns(2), play: func(s *session) {
		s.open()
		s.create("without runs", nil)
		s.put("k00001", "1")
		s.checkpoint()
		s.pass(4 * time.Second)
		s.wantRuns(0, 0)
		s.apply(put("k00002", "2"), put("a", "1").in("without runs"))
		s.checkpoint()
	}},
	{name: "sorted runs and range deletes", opts: runOptions, setup: withRuns(2), play: func(s *session) {
		s.open()
		s.apply(append(scattered(5, 8), delRange("k00020", "k00090"), put("k00050", "back"))...)
		s.checkpoint()
		s.wantRuns(0, 0)
		s.addRuns(6, 1, 12)
		s.apply(delFrom(""))
		s.close()
	}},
	{name: "sorted runs of a keyspace that is dropped", opts: runOptions, setup: func(s *session) {
		s.create("users", &engine.KeyspaceOptions{PageSize: 1 << 10})
		in := func(edits []edit) (list []edit) {
			for _, e := range edits {
				list = append(list, e.in("users"))
			}
			return list
		}
		s.apply(in(entriesOf("k", spread, 100))...)
		s.checkpoint()
		for round := range 2 {
			s.apply(append(in(scattered(round, 12)), put("large", valueOf("v", round, 1100)).in("users"))...)
			s.checkpoint()
		}
		s.wantRuns(2, 2)
	}, play: func(s *session) {
		s.open()
		s.drop("users")
		s.put("a", "1")
		s.checkpoint()
		s.wantRuns(0, 0)
		s.create("users", nil)
		s.apply(put("k00001", "again").in("users"))
		s.checkpoint()
	}},
	{name: "compact of sorted runs", opts: runOptions, setup: withRuns(3), play: func(s *session) {
		s.open()
		s.apply(scattered(3, 12)...)
		s.compact()
		s.wantRuns(0, 0)
		s.put("k00001", "1")
	}},
	{name: "sorted runs and a snapshot", opts: runOptions, setup: withRuns(gathered), play: func(s *session) {
		s.open()
		if s.db == nil {
			return
		}
		snapshot, err := s.db.Snapshot()
		s.check("snapshot", err)
		then := s.hist.commits[len(s.hist.commits)-1-s.unknown]
		s.addRuns(gathered, 4, 12)
		if err == nil {
			err := compareScan(snapshot, then.contents[""], then.keys(""), false)
			if errors.Is(err, errWrong) || errors.Is(err, engine.ErrCorrupt) {
				s.lie("snapshot: %w", err)
			} else {
				s.check("snapshot", err)
			}
			snapshot.Close()
		}
		s.put("d", "1")
		s.checkpoint()
	}},
	{name: "a reader beside sorted runs", opts: runOptions, setup: withRuns(gathered), play: func(s *session) {
		s.open()
		o := small(s.opts)
		o.FS, o.ReadOnly = s.fs, true
		reader, err := engine.Open(dbDir, &o)
		s.check("open the reader", err)
		s.addRuns(gathered, 2, 12)
		if err == nil {
			s.check("refresh", reader.Refresh())
			s.addRuns(gathered+2, 1, 40)
			s.check("refresh", reader.Refresh())
			s.check("close the reader", reader.Close())
		}
		s.put("d", "1")
	}},
}
