package pager

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"weak"
)

// bitmap is the plain model of an extentSet: a bool a unit.
type bitmap []bool

func (m bitmap) set(e extent, v bool) {
	for u := e.off; u < e.end(); u++ {
		m[u] = v
	}
}

func (m bitmap) extents() []extent {
	var out []extent
	for u := 0; u < len(m); u++ {
		if !m[u] {
			continue
		}
		start := u
		for u < len(m) && m[u] {
			u++
		}
		out = append(out, extent{uint64(start), uint64(u - start)})
	}
	return out
}

// firstFit is where takeFirst must find n units.
func (m bitmap) firstFit(from, n, ceiling uint64) (uint64, bool) {
	for _, e := range m.extents() {
		if e.off >= from && e.n >= n && e.off+n <= ceiling {
			return e.off, true
		}
	}
	return 0, false
}

func (s *extentSet) check(want []extent) error {
	if have := s.all(nil); !slices.Equal(have, want) {
		return fmt.Errorf("have %v\nwant %v", have, want)
	}
	var units uint64
	for ci, c := range s.chunks {
		if len(c.ext) == 0 || s.starts[ci] != c.ext[0].off || s.bounds[ci] < longest(c.ext) || s.bound < longest(c.ext) {
			return fmt.Errorf("chunk %d: start %d, bound %d of %d, extents %v", ci, s.starts[ci], s.bounds[ci], s.bound, c.ext)
		}
		for _, e := range c.ext {
			units += e.n
		}
	}
	if s.count != len(want) || s.units != units {
		return fmt.Errorf("have %d extents of %d units, want %d of %d", s.count, s.units, len(want), units)
	}
	return nil
}

// The set does what a bitmap does, and a clone leaves what it was cloned from.
func TestExtentSet_IsABitmap(t *testing.T) {
	const units = 6000
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 1))
		model := make(bitmap, units)
		set := extentSetOf(nil)
		var frozen *extentSet
		var frozenWant []extent
		for step := range 12_000 {
			switch op := r.IntN(10); {
			case op < 5:
				e := extent{r.Uint64N(units - 4), 1 + r.Uint64N(1+seed)%4}
				clash := slices.Contains(model[e.off:e.end()], true)
				if err := set.add(e); (err != nil) != clash {
					t.Fatalf("seed %d step %d: add %v: %v, clash %v", seed, step, e, err, clash)
				}
				if !clash {
					model.set(e, true)
				}
			case op < 9:
				from, n, ceiling := uint64(0), 1+r.Uint64N(6), uint64(noCeiling)
				if r.IntN(2) == 0 {
					from = r.Uint64N(units)
				}
				if r.IntN(3) == 0 {
					ceiling = r.Uint64N(units)
				}
				want, wantOK := model.firstFit(from, n, ceiling)
				have, ok := set.takeFirst(from, n, ceiling)
				if have != want || ok != wantOK {
					t.Fatalf("seed %d step %d: take %d from %d below %d: have %d %v, want %d %v", seed, step, n, from, ceiling, have, ok, want, wantOK)
				}
				if ok {
					model.set(extent{have, n}, false)
				}
			case step%40 == 0:
				if frozen != nil {
					if err := frozen.check(frozenWant); err != nil {
						t.Fatalf("seed %d step %d: the original of a clone changed: %v", seed, step, err)
					}
				}
				frozen, frozenWant = set, model.extents()
				set = set.clone()
			}
			if step%100 == 0 {
				if err := set.check(model.extents()); err != nil {
					t.Fatalf("seed %d step %d: %v", seed, step, err)
				}
			}
		}
		if len(set.chunks) < 3 {
			t.Errorf("seed %d: only %d chunks: the test is too small", seed, len(set.chunks))
		}
	}
}

// spaceModel is a space with a state a unit.
type spaceModel struct {
	state []unitState // from unit 0 to the end of the file
}

type unitState struct {
	used  bool
	freed uint64 // generation that released it; 0: usable
}

// checkWindow compares what s.window says of mark with what it promises: that it
// is long enough, and begins no earlier than it need.
func (m spaceModel) checkWindow(s *space, mark uint64) error {
	unused := func(from, to uint64) (n uint64) {
		for _, u := range m.state[from:to] {
			if !u.used {
				n++
			}
		}
		return n
	}
	end := uint64(len(m.state))
	from, behind := s.window(mark), uint64(0)
	if mark < end {
		behind = end - mark - unused(mark, end)
	} else if from != mark {
		return fmt.Errorf("from %d to %d, behind the end", from, mark)
	} else {
		return nil
	}
	want := behind + behind/8 + largeUnits
	if from != firstUnit && unused(from, mark) < want {
		return fmt.Errorf("from %d to %d are %d unused, %d are used behind it", from, mark, unused(from, mark), behind)
	}
	for from < mark && !m.state[from].used {
		from++
	}
	if unused(from, mark) >= want {
		return fmt.Errorf("from %d to %d are %d unused already, %d are used behind it", from, mark, unused(from, mark), behind)
	}
	return nil
}

// The free space of a generation shares what it can with that of the one
// before, and yet does not keep it in memory: else memory grew for as long as a
// database was written to, by more than a hundred MB in 10,000,000 puts with
// memtables of 4 MiB.
func TestExtentSet_CloneLeavesTheOlderSetToTheCollector(t *testing.T) {
	var sorted []extent
	for u := range uint64(3 * maxChunk) {
		sorted = append(sorted, extent{4 * u, 1})
	}
	first := extentSetOf(sorted)
	older := weak.Make(first)
	s := first.clone()
	if err := s.add(extent{2, 1}); err != nil {
		t.Fatal(err)
	}
	if s.chunks[0] == first.chunks[0] || s.chunks[1] != first.chunks[1] {
		t.Fatal("the clone has the chunk that it changed in common with the older set, or not the others")
	}
	runtime.GC()
	if older.Value() != nil {
		t.Error("a clone keeps the set that it was made of in memory")
	}
	runtime.KeepAlive(s)
}

// Over many generations with pins, aborts and reopenings, no extent is handed
// out that is used, or that a pinned generation may reach; and what the free
// list would hold is the complement of what is used.
func TestSpace_HandsOutOnlyWhatNobodyReaches(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 2))
		s := &space{end: firstUnit, free: extentSetOf(nil)}
		model := spaceModel{make([]unitState, firstUnit)}
		live := map[extent]bool{}
		gen, pinned := uint64(1), uint64(1)
		for range 120 {
			if r.IntN(3) > 0 {
				pinned = gen // readers let go
			}
			w := s.clone()
			w.cursor = 0
			if err := w.reclaim(pinned); err != nil {
				t.Fatal(err)
			}
			next := spaceModel{slices.Clone(model.state)}
			nextLive := map[extent]bool{}
			for e := range live {
				nextLive[e] = true
			}
			var freed []extent
			for e := range live {
				if r.IntN(4) == 0 {
					freed = append(freed, e)
					delete(nextLive, e)
					for u := e.off; u < e.end(); u++ {
						next.state[u] = unitState{freed: gen + 1}
					}
				}
			}
			for range r.IntN(60) {
				e := extent{n: 1 + r.Uint64N(12)}
				if r.IntN(15) == 0 {
					e.n = largeUnits + r.Uint64N(100)
				}
				var ok bool
				floor, ceiling := uint64(0), uint64(noCeiling)
				switch r.IntN(8) {
				case 0, 1:
					ceiling = firstUnit + r.Uint64N(s.end)
				case 2:
					floor = firstUnit + r.Uint64N(s.end)
				}
				end := w.end
				if e.off, ok = w.alloc(e.n, floor, ceiling); !ok {
					if ceiling == noCeiling {
						t.Fatalf("seed %d: no room without a ceiling", seed)
					}
					continue
				}
				if e.end() > ceiling {
					t.Fatalf("seed %d: %v is above the ceiling %d", seed, e, ceiling)
				}
				if e.off < floor && e.off != end {
					t.Fatalf("seed %d: %v is below the floor %d", seed, e, floor)
				}
				for uint64(len(next.state)) < w.end {
					next.state = append(next.state, unitState{})
				}
				for u := e.off; u < e.end(); u++ {
					if st := next.state[u]; st.used || st.freed > pinned {
						t.Fatalf("seed %d: unit %d handed out: %+v, pinned %d", seed, u, st, pinned)
					}
					next.state[u] = unitState{used: true}
				}
				nextLive[e] = true
				if r.IntN(10) == 0 { // discarded again
					if err := w.free.add(e); err != nil {
						t.Fatal(err)
					}
					delete(nextLive, e)
					for u := e.off; u < e.end(); u++ {
						next.state[u] = unitState{}
					}
				}
			}
			if r.IntN(5) == 0 {
				continue // aborted: s, model and live are what they were
			}
			gen++
			sortExtents(freed)
			w.pending = append(w.pending, released{gen, freed})
			if r.IntN(3) == 0 {
				w.trim()
				next.state = next.state[:w.end]
			}
			if err := next.checkWindow(w, firstUnit+r.Uint64N(w.end)); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			s, model, live = w, next, nextLive
			want := make(bitmap, len(model.state))
			for u := firstUnit; u < len(want); u++ {
				want[u] = !model.state[u].used
			}
			list, err := s.unused(s.pendingExtents())
			if err != nil || !slices.Equal(list, want.extents()) {
				t.Fatalf("seed %d generation %d: %v\nhave %v\nwant %v", seed, gen, err, list, want.extents())
			}
			if r.IntN(10) == 0 { // reopened
				body := appendFreeList(nil, list)
				again, err := decodeFreeList(body, s.end)
				if err != nil {
					t.Fatal(err)
				}
				s = &space{end: s.end, free: extentSetOf(nil), pending: []released{{gen, again}}}
				for u := range model.state {
					if !model.state[u].used {
						model.state[u].freed = gen
					}
				}
			}
		}
	}
}

func TestSpace_FindsWhatIsFreedTwice(t *testing.T) {
	s := &space{end: 100, free: extentSetOf([]extent{{20, 5}})}
	for _, twice := range []extent{{18, 3}, {24, 1}, {20, 5}, {10, 50}} {
		s.pending = []released{{2, []extent{twice}}}
		if _, err := s.unused(s.pendingExtents()); err == nil {
			t.Errorf("%v freed over %v: no error", twice, extent{20, 5})
		}
		if err := s.clone().reclaim(2); err == nil {
			t.Errorf("%v reclaimed over %v: no error", twice, extent{20, 5})
		}
	}
}

// holes is a file with n free extents of one to eight units.
func holes(n int) *space {
	r := rand.New(rand.NewPCG(3, 3))
	ext := make([]extent, n)
	at := uint64(firstUnit)
	for i := range ext {
		ext[i] = extent{at + 1 + r.Uint64N(8), 1 + r.Uint64N(8)}
		at = ext[i].end()
	}
	return &space{end: at + 1, free: extentSetOf(ext)}
}

func BenchmarkSpace(b *testing.B) {
	const n = 500_000
	b.Run("Alloc", func(b *testing.B) {
		s := holes(n)
		r := rand.New(rand.NewPCG(4, 4))
		for b.Loop() {
			s.alloc(1+r.Uint64N(8), 0, noCeiling)
			if s.free.count < n/2 {
				b.StopTimer()
				s = holes(n)
				b.StartTimer()
			}
		}
	})
	b.Run("AllocTooLarge", func(b *testing.B) {
		s := holes(n)
		for b.Loop() {
			s.alloc(9, 0, noCeiling)
		}
	})
	b.Run("Add", func(b *testing.B) {
		s := holes(n)
		all := s.free.all(nil)
		rand.New(rand.NewPCG(5, 5)).Shuffle(n, func(i, k int) { all[i], all[k] = all[k], all[i] })
		set := extentSetOf(nil)
		i := 0
		for b.Loop() {
			if i == n {
				set, i = extentSetOf(nil), 0
			}
			if err := set.add(all[i]); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
	b.Run("Clone", func(b *testing.B) {
		s := holes(n)
		for b.Loop() {
			s.clone()
		}
	})
	b.Run("FreeList", func(b *testing.B) {
		s := holes(n)
		for b.Loop() {
			list, _ := s.unused(nil)
			appendFreeList(nil, list)
		}
	})
}
