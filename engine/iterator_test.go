package engine_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
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
			if it.ValueSize() != len(contents[keys[at]]) || string(it.Key()) != keys[at] || string(it.Value()) != contents[keys[at]] {
				return fmt.Errorf("in [%q, %q) with %v: %q = %.40q, want %q = %.40q", o.Start, o.End, own, it.Key(), it.Value(), keys[at], contents[keys[at]])
			}
		}
	}
	return it.Err()
}

// An iterator that nothing is in the way of goes from leaf to leaf by itself.
// It may turn anywhere: at the ends of leaves and of the keyspace, with values
// that stand outside their leaf, and with another source in the way for a while.
func TestIterator_TurnsAtTheEndsOfLeaves(t *testing.T) {
	db := open(t, t.TempDir(), engine.Options{})
	defer closeDB(t, db)
	const n = 3000
	key := func(i int) []byte { return fmt.Appendf(nil, "%0*d", 4+i%40, i) }
	value := func(i int) string {
		return string(bytes.Repeat([]byte{byte('a' + i%26)}, i%97*i%97+i/1000*2500*(i%500/499)))
	}
	keys := make([]string, n)
	want := map[string]string{}
	for i := range keys {
		keys[i] = string(key(i))
		want[keys[i]] = value(i)
		if err := db.Put(key(i), []byte(value(i))); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(keys)
	if _, err := db.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(uint64(*faultSeed), 29))
	walk := func(what string) {
		snap, err := db.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		defer snap.Close()
		it := snap.NewIterator(engine.IterOptions{})
		defer it.Close()
		at, ok := 0, it.First()
		for range 400 {
			back := rnd.IntN(2) == 0
			for range 1 + rnd.IntN(120) {
				if !ok || string(it.Key()) != keys[at] || string(it.Value()) != want[keys[at]] {
					t.Fatalf("seed %d, %s: at entry %d: %q, %v, %v; want %q", *faultSeed, what, at, it.Key(), ok, it.Err(), keys[at])
				}
				if back {
					ok, at = it.Prev(), at-1
				} else {
					ok, at = it.Next(), at+1
				}
				if at < 0 || at == len(keys) {
					if ok || it.Key() != nil || it.Value() != nil || it.Err() != nil {
						t.Fatalf("seed %d, %s: past an end: %q, %v, %v", *faultSeed, what, it.Key(), ok, it.Err())
					}
					at = rnd.IntN(len(keys))
					ok = it.SeekGE([]byte(keys[at]))
					break
				}
			}
		}
	}
	walk("one tree")
	for i := 0; i < n; i += 700 {
		want[keys[i]] = "newer"
		if err := db.Put([]byte(keys[i]), []byte("newer")); err != nil {
			t.Fatal(err)
		}
	}
	gone := keys[n/2]
	if err := db.Delete([]byte(gone)); err != nil {
		t.Fatal(err)
	}
	keys = slices.DeleteFunc(keys, func(k string) bool { return k == gone })
	walk("a memtable over it")
}

// What a closed iterator was made of serves the next one. What it has lent does
// not, and it itself stays closed.
func TestIterator_ClosedLeavesWhatItLent(t *testing.T) {
	db := open(t, t.TempDir(), engine.Options{})
	defer closeDB(t, db)
	for i := range 500 {
		if err := db.Put(fmt.Appendf(nil, "key %04d", i), fmt.Appendf(nil, "value %04d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	snap, err := db.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	var its []*engine.Iterator
	var lent [][2][]byte
	for i := range 200 {
		it := snap.NewIterator(engine.IterOptions{})
		if !it.SeekGE(fmt.Appendf(nil, "key %04d", i)) || !it.Next() {
			t.Fatal(it.Err())
		}
		lent = append(lent, [2][]byte{it.Key(), it.Value()})
		its = append(its, it)
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i, l := range lent {
		if k, v := fmt.Sprintf("key %04d", i+1), fmt.Sprintf("value %04d", i+1); string(l[0]) != k || string(l[1]) != v {
			t.Fatalf("an iterator that was closed had lent %q = %q; want %q = %q", l[0], l[1], k, v)
		}
		if it := its[i]; it.Next() || it.First() || it.SeekLT([]byte("z")) || it.Key() != nil || it.Value() != nil || it.Err() == nil {
			t.Fatal("a closed iterator moves")
		}
		_ = its[i].Close()
	}
}

// A snapshot that is taken while checkpoints replace what it reads keeps it:
// all keys have the value that one commit gave them.
func TestSnapshot_TakenBesideCheckpoints(t *testing.T) {
	db := open(t, t.TempDir(), engine.Options{Sync: engine.SyncOff, CacheBytes: 1 << 16})
	defer closeDB(t, db)
	const keys = 300
	done := make(chan struct{})
	var writer, readers sync.WaitGroup
	writer.Go(func() {
		b := db.NewBatch()
		for round := 0; ; round++ {
			b.Reset()
			for i := range keys {
				_ = b.Put(fmt.Appendf(nil, "%03d", i), fmt.Appendf(nil, "%0100d", round))
			}
			if err := db.Apply(t.Context(), b); err != nil {
				t.Error(err)
			}
			if _, err := db.Checkpoint(t.Context()); err != nil {
				t.Error(err)
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for range 4 {
		readers.Go(func() {
			for range 300 {
				if err := oneValue(db, keys); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	readers.Wait()
	close(done)
	writer.Wait()
	if n := db.Stats().Views; n != 0 {
		t.Errorf("%d views are open", n)
	}
}

// oneValue scans a snapshot and returns an error unless it has no key, or n
// with the same value.
func oneValue(db *engine.DB, n int) error {
	snap, err := db.Snapshot()
	if err != nil {
		return err
	}
	defer snap.Close()
	var value []byte
	count := 0
	for k, v := range snap.Scan(nil, nil) {
		if count++; count == 1 {
			value = bytes.Clone(v)
		}
		if !bytes.Equal(value, v) {
			return fmt.Errorf("%s = %s, the first %s", k, v, value)
		}
	}
	if snap.Err() != nil || count != 0 && count != n {
		return fmt.Errorf("%d keys: %w", count, snap.Err())
	}
	return nil
}

// Stats tells what was in the way of a scan: deletes in a run, one behind the
// other, where its cursor goes along them by itself, and what they and newer
// values leave behind in the tree. It also tells where the nodes came from.
func TestIterator_TellsWhatItSkipped(t *testing.T) {
	runSession(t, runOptions, func(s *session, _ *vfs.Mem) {
		s.apply(entriesOf("k", spread, 100)...)
		s.checkpoint()
		s.apply(append(scattered(0, 12), del("z1"), del("z2"))...) // 9 puts and 3 deletes of what is there
		s.checkpoint()
		s.wantRuns(1, 1)
		s.apply(put(keyOf("k", 0), "newest"), del(keyOf("k", 1)))
		const (
			shown   = spread - 3 - 1
			skipped = 9 + 2*3 + 2 + 1 + 2
		)
		s.close()
		s.open()
		for pass, reverse := range []bool{false, true, false} {
			before := s.db.Stats()
			snapshot, err := s.db.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			it := snapshot.NewIterator(engine.IterOptions{})
			first, next := it.First, it.Next
			if reverse {
				first, next = it.Last, it.Prev
			}
			n := 0
			for ok := first(); ok; ok = next() {
				n++
			}
			if err := it.Close(); err != nil || n != shown {
				t.Fatalf("reverse %v: %d entries, %v; want %d", reverse, n, err, shown)
			}
			snapshot.Close()
			after := s.db.Stats()
			if have := after.Skipped - before.Skipped; have != skipped {
				t.Errorf("reverse %v: %d skipped, want %d", reverse, have, skipped)
			}
			read := after.CacheMisses + after.CachePassed - before.CacheMisses - before.CachePassed
			switch bytes := after.ReadBytes - before.ReadBytes; {
			case pass == 0 && (read == 0 || bytes < read*64):
				t.Errorf("after opening: %d nodes of %d bytes were read", read, bytes)
			case pass > 0 && (read > 0 || bytes > 0 || after.CacheHits == before.CacheHits):
				t.Errorf("from memory: %d nodes of %d bytes were read, %d hits", read, bytes, after.CacheHits-before.CacheHits)
			}
		}
	})
}

// A move takes a key that the iterator itself has lent, or a part of one: to where
// a group of keys begins or ends, for one. (The buffer of the key is that of the
// tree's cursor, which wrote over it before it had looked for it.)
func TestIterator_SeeksWhatItLent(t *testing.T) {
	db := openMem(t, engine.Options{Sync: engine.SyncOff})
	var keys []string
	for i := range 6000 {
		keys = append(keys, fmt.Sprintf("%c%c%04d", 'a'+i/2000, 'a'+i/500%4, i))
		if err := db.Put([]byte(keys[i]), make([]byte, 20)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	snap, err := db.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	it := snap.NewIterator(engine.IterOptions{})
	defer it.Close()
	for i := 0; i < len(keys); i += 7 {
		for n := range len(keys[i]) + 1 {
			for _, back := range []bool{false, true} {
				if !it.SeekGE([]byte(keys[i])) || string(it.Key()) != keys[i] {
					t.Fatalf("%q is not there: %q", keys[i], it.Key())
				}
				want, seek, what := slices.IndexFunc(keys, func(k string) bool { return k >= keys[i][:n] }), it.SeekGE, "SeekGE"
				if back {
					want, seek, what = want-1, it.SeekLT, "SeekLT"
				}
				ok := seek(it.Key()[:n])
				if ok != (want >= 0) || ok && string(it.Key()) != keys[want] {
					t.Fatalf("on %q, %s(%q) leads to %v, %q", keys[i], what, keys[i][:n], ok, it.Key())
				}
			}
		}
	}
}
