package merge_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/memtable"
	"github.com/lightning-db/lightning/engine/internal/merge"
)

// Moves at random over many sources, which share keys and hold tombstones,
// show what a sorted list of the newest entries does.
func TestCursor_AgreesWithModel(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var sources []merge.Source
		model := map[string]string{}
		n := 1 + rnd.IntN(12)
		for i := n; i > 0; i-- { // the oldest first
			table := memtable.New()
			for j := range rnd.IntN(40) {
				key := fmt.Sprintf("%02d", rnd.IntN(60))
				value, kind := fmt.Sprint(i, " ", j), kv.Set
				if rnd.IntN(3) == 0 {
					value, kind = "", kv.Delete
				}
				table.Put(0, []byte(key), kv.Hash([]byte(key)), []byte(value), kind, kv.Seq(1000-40*i+j))
				delete(model, key)
				if kind == kv.Set {
					model[key] = value
				}
			}
			sources = append([]merge.Source{table.NewCursor(0, kv.MaxSeq)}, sources...)
		}
		var keys []string
		for key := range model {
			keys = append(keys, key)
		}
		sort.Strings(keys)

		var c merge.Cursor
		c.Reset(sources, nil, false)
		at := -1 // index in keys; out of range: nowhere
		for range 300 {
			var ok bool
			here := at >= 0 && at < len(keys)
			switch key := fmt.Sprintf("%02d", rnd.IntN(60)); rnd.IntN(12) {
			case 0:
				ok, at = c.SeekGE([]byte(key)), sort.SearchStrings(keys, key)
			case 1:
				ok, at = c.SeekLT([]byte(key)), sort.SearchStrings(keys, key)-1
			case 2:
				ok, at = c.First(), 0
			case 3:
				ok, at = c.Last(), len(keys)-1
			case 4, 5, 6, 7:
				if ok = c.Next(); here {
					at++
				}
			default:
				if ok = c.Prev(); here {
					at--
				}
			}
			want := at >= 0 && at < len(keys)
			if ok != want {
				t.Fatalf("seed %d: a move reports %v, want %v", seed, ok, want)
			}
			if !ok {
				at = -1
				continue
			}
			value, _ := c.Value()
			if !bytes.Equal(c.Key(), []byte(keys[at])) || string(value) != model[keys[at]] {
				t.Fatalf("seed %d: have %q %q, want %q %q", seed, c.Key(), value, keys[at], model[keys[at]])
			}
		}
	}
}

// One source more than there may be is an error of the walk, which a scan
// reports, and a checkpoint in the background too.
func TestCursor_TooManySources(t *testing.T) {
	table := memtable.New()
	table.Put(0, []byte("k"), kv.Hash([]byte("k")), nil, kv.Set, 1)
	var sources []merge.Source
	for range merge.MaxSources {
		sources = append(sources, table.NewCursor(0, kv.MaxSeq))
	}
	var c merge.Cursor
	c.Reset(sources, nil, false)
	if !c.First() || c.Next() || c.Err() != nil {
		t.Errorf("%d sources with one key: %v", len(sources), c.Err())
	}
	c.Reset(append(sources, table.NewCursor(0, kv.MaxSeq)), nil, false)
	if c.First() || c.Err() == nil {
		t.Errorf("%d sources: key %q, error %v", len(sources)+1, c.Key(), c.Err())
	}
}

// failing is a source whose moves fail after so many.
type failing struct {
	*memtable.Cursor
	left int
	err  error
}

var errBroken = errors.New("broken")

func (s *failing) move(move func() bool) bool {
	if s.left--; s.left < 0 {
		s.err = errBroken
	}
	return s.err == nil && move()
}

func (s *failing) First() bool            { return s.move(s.Cursor.First) }
func (s *failing) Last() bool             { return s.move(s.Cursor.Last) }
func (s *failing) Next() bool             { return s.move(s.Cursor.Next) }
func (s *failing) Prev() bool             { return s.move(s.Cursor.Prev) }
func (s *failing) SeekGE(key []byte) bool { return s.move(func() bool { return s.Cursor.SeekGE(key) }) }

func (s *failing) SeekLT(key []byte) bool { return s.move(func() bool { return s.Cursor.SeekLT(key) }) }
func (s *failing) Err() error             { return s.err }

// Whichever of the sources fails, at whichever move: what was shown is where the
// walk began, and the failure is not taken for the end.
func TestCursor_FailsWithASource(t *testing.T) {
	const each, count = 5, 3
	for _, backward := range []bool{false, true} {
		for bad := range count {
			for after := range each + 2 {
				var sources []merge.Source
				for i := range count {
					table := memtable.New()
					for j := range each {
						key := fmt.Appendf(nil, "%02d", j*count+i)
						table.Put(0, key, kv.Hash(key), key, kv.Set, kv.Seq(j+1))
					}
					s := &failing{Cursor: table.NewCursor(0, kv.MaxSeq), left: 100}
					if i == bad {
						s.left = after
					}
					sources = append(sources, s)
				}
				var c merge.Cursor
				c.Reset(sources, nil, false)
				start, step := c.First, c.Next
				if backward {
					start, step = c.Last, c.Prev
				}
				shown := 0
				for ok := start(); ok; ok = step() {
					want := shown
					if backward {
						want = each*count - 1 - shown
					}
					if string(c.Key()) != fmt.Sprintf("%02d", want) {
						t.Fatalf("backward %v, source %d fails after %d moves: entry %d is %s", backward, bad, after, shown, c.Key())
					}
					shown++
				}
				whole := after > each // First and each Next, the last of which meets the end
				if whole && (c.Err() != nil || shown != each*count) || !whole && (!errors.Is(c.Err(), errBroken) || step()) {
					t.Errorf("backward %v, source %d fails after %d moves: %d entries, then %v", backward, bad, after, shown, c.Err())
				}
			}
		}
	}
}

// What a walk shows and what it skipped is all that its sources have.
func TestCursor_Skipped(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		var sources []merge.Source
		entries := 0
		for i := 1 + rnd.IntN(5); i > 0; i-- {
			table := memtable.New()
			for j := range 40 {
				key := fmt.Sprintf("%02d", j)
				if rnd.IntN(2) == 0 {
					table.Put(0, []byte(key), kv.Hash([]byte(key)), nil, []kv.Kind{kv.Set, kv.Delete}[rnd.IntN(2)], kv.Seq(1000-100*i+j))
					entries++
				}
			}
			sources = append([]merge.Source{table.NewCursor(0, kv.MaxSeq)}, sources...)
		}
		var c merge.Cursor
		c.Reset(sources, nil, false)
		shown := 0
		for ok := c.First(); ok; ok = c.Next() {
			shown++
		}
		if shown+c.Skipped() != entries {
			t.Errorf("seed %d: %d shown, %d skipped, of %d entries", seed, shown, c.Skipped(), entries)
		}
		c.Reset(sources, nil, false)
		if c.Skipped() != 0 {
			t.Errorf("seed %d: %d skipped by a cursor that has not moved", seed, c.Skipped())
		}
	}
}
