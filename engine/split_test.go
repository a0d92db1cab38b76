package engine_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

// Split cuts what is in the tree, in runs, in the memtable and in a transaction:
// in order, inside the range, and into pieces none of which has much. More cuts
// are never less.
func TestReader_Split(t *testing.T) {
	runSession(t, runOptions, func(s *session, _ *vfs.Mem) {
		rnd := rand.New(rand.NewPCG(uint64(*faultSeed), 5))
		if cuts, err := splitOf(s.db, nil, nil, 10); err != nil || len(cuts) > 0 {
			t.Fatalf("an empty database: %q, %v", cuts, err)
		}
		s.apply(entriesOf("k", 2000, 100)...)
		s.checkpoint()
		s.addRuns(0, 2, 40)
		if s.db.Stats().Runs == 0 {
			t.Fatal("no runs")
		}
		s.apply(entriesOf("new", 20, 100)...) // behind all that is in the tree
		for range 200 {
			var start, end []byte
			if rnd.IntN(3) > 0 {
				start = []byte(keyOf("k", rnd.IntN(2000)))
			}
			if rnd.IntN(3) > 0 {
				end = []byte(keyOf("k", rnd.IntN(2000)))
			}
			tx, err := s.db.Begin(engine.TxOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 300 {
				if err := tx.Put(fmt.Appendf(nil, "k01000+%03d", i), nil); err != nil {
					t.Fatal(err)
				}
			}
			fewest := 0
			for _, n := range []int{0, 1, 5, 50, 500} {
				cuts, err := tx.Split(start, end, n)
				if err != nil {
					t.Fatal(err)
				}
				if len(cuts) < fewest {
					t.Fatalf("from %q to %q: %d cuts for n %d, and %d for less", start, end, len(cuts), n, fewest)
				}
				fewest = len(cuts)
				all, low := 0, start
				for i := 0; i <= len(cuts); i++ {
					high := end
					if i < len(cuts) {
						high = cuts[i]
						if bytes.Compare(high, low) <= 0 || end != nil && bytes.Compare(high, end) >= 0 {
							t.Fatalf("from %q to %q: cut %d is at %q, behind %q", start, end, i, high, low)
						}
					}
					piece := 0
					for range tx.Scan(low, high) {
						piece++
					}
					if n == 500 && piece > 10 {
						t.Fatalf("from %q to %q: %d entries from %q to %q", start, end, piece, low, high)
					}
					all, low = all+piece, high
				}
				want := 0
				for range tx.Scan(start, end) {
					want++
				}
				if all != want {
					t.Fatalf("from %q to %q: %d entries in pieces, want %d", start, end, all, want)
				}
			}
			tx.Rollback()
		}
	})
}

// As many cuts as are asked for come of a memtable whatever else is in that.
func TestReader_Split_OfAFewAmongMany(t *testing.T) {
	db := openMem(t, engine.Options{Sync: engine.SyncOff})
	other, err := db.CreateKeyspace("other", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10_000 {
		if i%10 == 0 {
			err = db.Put(fmt.Appendf(nil, "%05d", i), nil)
		} else {
			err = other.Put(fmt.Appendf(nil, "%05d", i), nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range []struct {
		start, end []byte
		entries    int
	}{{nil, nil, 1000}, {[]byte("02000"), []byte("04000"), 200}, {[]byte("0201"), []byte("0205"), 4}} {
		for n := 1; n <= r.entries-1; n++ {
			cuts, err := splitOf(db, r.start, r.end, n)
			if err != nil || len(cuts) < n || len(cuts) > 2*n+1 {
				t.Fatalf("from %q to %q, %d entries: %d cuts where %d were wanted, %v", r.start, r.end, r.entries, len(cuts), n, err)
			}
		}
	}
}

func splitOf(db *engine.DB, start, end []byte, n int) ([][]byte, error) {
	s, err := db.Snapshot()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Split(start, end, n)
}
