package verify_test

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/internal/figure"
	"github.com/lightning-db/lightning/verify"
)

// runDamages are what can be wrong with sorted runs: see damages.
var runDamages = map[string]func(m *image, list []*extent) []want{
	"a run in the place of the tree, and that in its place": func(m *image, list []*extent) []want {
		a, b := root(list, 0), top(list, 0, 1)
		swapBytes(m.b[a.pos:a.pos+24], m.b[b.pos:b.pos+24])
		m.sealParent(a)
		return []want{
			{"U1", inspect.Structure, pickRun(list, inspect.Leaf, 0, 1)[0].ref.Offset},
			{"U2", inspect.Structure, pick(list, inspect.Leaf, 0)[0].ref.Offset},
		}
	},
	"two runs have each other's filters": func(m *image, list []*extent) []want {
		a, b := filterOf(list, 1, 1), filterOf(list, 1, 2)
		swapBytes(m.b[a.pos:a.pos+24], m.b[b.pos:b.pos+24])
		m.sealParent(a)
		return []want{
			{"U2", inspect.Structure, pickRun(list, inspect.Leaf, 1, 1)[0].ref.Offset},
			{"U2", inspect.Structure, pickRun(list, inspect.Leaf, 1, 2)[0].ref.Offset},
		}
	},
	"a filter that denies all": func(m *image, list []*extent) []want {
		e := filterOf(list, 0, 3)
		clear(m.bytes(e)[48:])
		m.seal(e)
		return []want{{"U2", inspect.Structure, pickRun(list, inspect.Leaf, 0, 3)[0].ref.Offset}}
	},
	"a filter of half a block": func(m *image, list []*extent) []want {
		e := filterOf(list, 0, 1)
		m.cut(e, e.ref.Length-32)
		return []want{{"X3", inspect.Structure, e.ref.Offset}}
	},
	"a filter of nothing": func(m *image, list []*extent) []want {
		e := filterOf(list, 0, 1)
		m.cut(e, 48)
		return []want{{"X3", inspect.Structure, e.ref.Offset}}
	},
	"a compressed filter": func(m *image, list []*extent) []want {
		e := filterOf(list, 0, 1)
		m.bytes(e)[13] = 1
		m.seal(e)
		return []want{{"X3", inspect.Structure, e.ref.Offset}}
	},
	"a filter of another plain length": func(m *image, list []*extent) []want {
		e := filterOf(list, 0, 1)
		le.PutUint32(m.bytes(e)[40:], 0xFFFFFFC0)
		m.seal(e)
		return []want{{"X3", inspect.Structure, e.ref.Offset}}
	},
	"a bit of a filter is lost": func(m *image, list []*extent) []want {
		e := filterOf(list, 0, 2)
		m.bytes(e)[60] ^= 1
		return []want{{"R2", inspect.Checksum, e.ref.Offset}}
	},
	"something behind a filter": func(m *image, list []*extent) []want {
		e := filterOf(list, 0, 2)
		m.b[e.ref.Offset+e.ref.Size()-1] = 1
		return []want{{"X3", inspect.Structure, e.ref.Offset}}
	},
	"a filter's reference tells two": func(m *image, list []*extent) []want {
		e := filterOf(list, 0, 2)
		m.b[e.pos+6] = 2
		m.sealParent(e)
		return []want{{"R3", inspect.Count, e.ref.Offset}}
	},
	"a filter's reference tells of values": func(m *image, list []*extent) []want {
		e := filterOf(list, 0, 2)
		m.b[e.pos+15] |= 0x80
		m.sealParent(e)
		return []want{{"R3", inspect.Count, e.ref.Offset}}
	},
	"two runs with one filter": func(m *image, list []*extent) []want {
		a, b := filterOf(list, 0, 1), filterOf(list, 0, 2)
		copy(m.b[b.pos:], m.b[a.pos:][:24])
		m.sealParent(b)
		return []want{{"M3", inspect.Space, a.ref.Offset}, {"M3", inspect.Space, b.ref.Offset}}
	},
	"two runs with one tree": func(m *image, list []*extent) []want {
		a, b := top(list, 0, 1), top(list, 0, 2)
		copy(m.b[b.pos:], m.b[a.pos:][:24])
		m.sealParent(b)
		return []want{{"M3", inspect.Space, a.ref.Offset}, {"M3", inspect.Space, b.ref.Offset}}
	},
	"the filter of another keyspace": func(m *image, list []*extent) []want {
		a, b := filterOf(list, 0, 1), filterOf(list, 1, 1)
		swapBytes(m.b[a.pos:a.pos+24], m.b[b.pos:b.pos+24])
		m.sealParent(a)
		return []want{{"X1", inspect.Structure, a.ref.Offset}, {"X1", inspect.Structure, b.ref.Offset}}
	},
	"a run and its filter have changed places": func(m *image, list []*extent) []want {
		a, b := filterOf(list, 0, 1), top(list, 0, 1)
		swapBytes(m.b[a.pos:a.pos+24], m.b[b.pos:b.pos+24])
		m.sealParent(a)
		return []want{{"X1", inspect.Structure, a.ref.Offset}, {"X1", inspect.Structure, b.ref.Offset}}
	},
	"a filter past the end": func(m *image, list []*extent) []want {
		e := filterOf(list, 0, 1)
		copy(m.b[e.pos:], "\xff\xff\xff\xff\xff\xff")
		m.sealParent(e)
		return []want{{"M3", inspect.Structure, 0xffffffffffff * 512}}
	},
	"a filter of an absurd length": func(m *image, list []*extent) []want {
		e := filterOf(list, 0, 1)
		le.PutUint32(m.b[e.pos+12:], 0x7FFFFFFF)
		m.sealParent(e)
		return []want{{"X3", inspect.Structure, e.ref.Offset}}
	},
	"a run's reference tells too many entries": func(m *image, list []*extent) []want {
		e := top(list, 0, 2)
		m.b[e.pos+6]++
		m.sealParent(e)
		return []want{{"R3", inspect.Count, e.ref.Offset}}
	},
	"a run's reference tells no overflow values": func(m *image, list []*extent) []want {
		e := pickRun(list, inspect.Overflow, 0, 1)[0].parent
		m.b[e.pos+15] &^= 0x80
		m.sealParent(e)
		return []want{{"R3", inspect.Count, e.ref.Offset}}
	},
	"a value of a run that the tree has, too": func(m *image, list []*extent) []want {
		a, b := pick(list, inspect.Overflow, 0)[0], pickRun(list, inspect.Overflow, 0, 1)[0]
		copy(m.b[b.pos:], m.b[a.pos:][:24])
		m.sealParent(b)
		return []want{{"M3", inspect.Space, a.ref.Offset}, {"M3", inspect.Space, b.ref.Offset}}
	},
	"a run of no entries": func(m *image, list []*extent) []want {
		e := top(list, 0, 2)
		clear(m.b[e.pos+6:][:6])
		m.sealParent(e)
		return []want{{"C2", inspect.Structure, e.parent.ref.Offset}}
	},
	"a run that is nowhere": func(m *image, list []*extent) []want {
		e := top(list, 0, 2)
		clear(m.b[e.pos:][:6])
		m.sealParent(e)
		return []want{{"C2", inspect.Structure, e.parent.ref.Offset}}
	},
	"a run without a filter": func(m *image, list []*extent) []want {
		e := filterOf(list, 0, 2)
		clear(m.b[e.pos:][:24])
		m.sealParent(e)
		return []want{{"C2", inspect.Structure, e.parent.ref.Offset}}
	},
	"more runs than there are": func(m *image, list []*extent) []want {
		e := root(list, 1)
		le.PutUint16(m.b[e.pos-6:], 9)
		m.sealParent(e)
		return []want{{"C2", inspect.Structure, e.parent.ref.Offset}}
	},
	"more runs than there may be": func(m *image, list []*extent) []want {
		e := root(list, 1)
		le.PutUint16(m.b[e.pos-6:], 0xFFFF)
		m.sealParent(e)
		return []want{{"C2", inspect.Structure, e.parent.ref.Offset}}
	},
	"a run that the catalog does not count": func(m *image, list []*extent) []want {
		e := root(list, 1)
		le.PutUint16(m.b[e.pos-6:], 2) // the third is taken for a part of the name
		m.sealParent(e)
		return []want{{"M3", inspect.Space, lowest(list, 1, 3)}}
	},
}

// top is the root of a run.
func top(list []*extent, keyspace uint32, run int) *extent {
	for _, e := range list {
		if e.keyspace == keyspace && e.run == run {
			return e
		}
	}
	return nil
}

func filterOf(list []*extent, keyspace uint32, run int) *extent {
	return pickRun(list, filterKind, keyspace, run)[0]
}

// lowest is where the first extent of a run stands.
func lowest(list []*extent, keyspace uint32, run int) uint64 {
	low := uint64(1) << 62
	for _, e := range list {
		if e.keyspace == keyspace && e.run == run {
			low = min(low, e.ref.Offset)
		}
	}
	return low
}

// cut makes e shorter, with valid checksums.
func (m *image) cut(e *extent, length uint32) {
	clear(m.bytes(e)[length:])
	b := m.bytes(e)
	le.PutUint32(b[28:], length)
	le.PutUint32(b[40:], length-48)
	le.PutUint32(m.b[e.pos+12:], length)
	e.ref.Length = length
	m.seal(e)
}

func TestRun_FindsEachDamageOfSortedRuns(t *testing.T) {
	base, _ := running.buildRuns(t, 1)
	clean := base.verify(verify.Options{})
	if !clean.OK {
		t.Fatal(show(clean))
	}
	for name, damage := range runDamages {
		t.Run(name, func(t *testing.T) {
			m := base.clone(t)
			wanted := damage(m, m.extents())
			m.save()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r := verifyFS(t, m.fs, verify.Options{})
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
				t.Errorf("allocated %d bytes", n)
			}
			found := 0
			for _, w := range wanted {
				if _, ok := find(r, w.invariant, w.kind, w.offset); ok {
					found++
				}
			}
			// Of two that have the same extent, one is found, or the other.
			if oneOf := wanted[0].invariant == "M3" && len(wanted) > 1; found == 0 || found < len(wanted) && !oneOf {
				t.Errorf("want %+v, have %s", wanted, show(r))
			}
			if r.OK || r.Keys+r.Lost() > 2*clean.Keys {
				t.Errorf("have %s", show(r))
			}
		})
	}
}

// What verify finds nothing wrong with, it counts: the entries of runs, their
// tombstones too, as the engine does.
func TestRun_CountsSortedRuns(t *testing.T) {
	fs := vfs.NewMem()
	db := running.open(t, fs)
	var most int
	running.write(t, db, newRand(7), func(round int) {
		most = max(most, db.Stats().Runs)
		for _, o := range []verify.Options{{}, {Quick: true}, {Workers: 1}, {Workers: 7}} {
			// Beside the writer, and after a kill.
			for _, disk := range []*vfs.Mem{fs, fs.Clone()} {
				before := db.Stats()
				r := verifyFS(t, disk, o)
				if after := db.Stats(); after.Generation != before.Generation {
					continue // runs were merged meanwhile
				}
				if !r.OK || len(r.Notes) > 0 || r.Keys != before.Entries {
					t.Fatalf("round %d, %+v, %d runs: want %d entries, have %s", round, o, before.Runs, before.Entries, show(r))
				}
			}
		}
	})
	if most == 0 {
		t.Error("there were no runs")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// Every byte of what a run of each keyspace is made of, and of what names it; at
// the usual scale every third.
func TestRun_FindsEveryFlippedByteOfSortedRuns(t *testing.T) {
	base, list := running.buildRuns(t, 5)
	flips := 0
	for _, e := range list {
		if e.run != 1 && e.keyspace != inspect.CatalogKeyspace {
			continue
		}
		for at := e.ref.Offset; at < e.ref.Offset+e.ref.Size(); at++ {
			if at%3 > 0 && figure.Scale() <= 1 {
				continue
			}
			m := base.clone(t)
			m.b[at] ^= 1 << (at % 8)
			r := m.verify(verify.Options{Workers: 1})
			if !slices.ContainsFunc(r.Findings, func(f verify.Finding) bool { return uint64(f.Offset) == e.ref.Offset }) {
				t.Fatalf("byte %d, of %v: have %s", at, e, show(r))
			}
			flips++
		}
	}
	t.Logf("%d bytes flipped", flips)
}

// An extent of a run that cannot be read is one finding; everything else is
// read. With a filter no key is lost.
func TestRun_TellsWhatIsLostOfSortedRuns(t *testing.T) {
	base, list := running.buildRuns(t, 2)
	clean := base.verify(verify.Options{})
	names := []string{"", "space 0"}
	for _, e := range list {
		if e.run == 0 {
			continue
		}
		m := base.clone(t)
		m.bytes(e)[e.ref.Length-1] ^= 0x10
		r := m.verify(verify.Options{})
		if len(r.Findings) != 1 {
			t.Fatalf("%v: have %s", e, show(r))
		}
		have := r.Findings[0]
		lost := e.ref.Count
		if e.kind == filterKind {
			if lost = 0; !strings.Contains(have.Reason, "filter") {
				t.Errorf("%v: have %+v", e, have)
			}
		}
		want := verify.Finding{
			Invariant: "R2", Path: treePath, Offset: int64(e.ref.Offset), Kind: inspect.Checksum, Reason: have.Reason,
			Start: e.start, End: e.end, Keyspace: names[e.keyspace], Keys: lost,
		}
		if fmt.Sprintf("%+v", have) != fmt.Sprintf("%+v", want) {
			t.Errorf("%v: have %+v\nwant %+v", e, have, want)
		}
		if left := clean.Keys - lost; e.kind != inspect.Overflow && r.Keys != left {
			t.Errorf("%v: have %d keys, want %d", e, r.Keys, left)
		}
	}
}

// What is wrong with a run never makes the engine panic, nor lose what is whole:
// it opens the database or refuses it, and reads or fails.
func TestRun_DamagedSortedRunsInTheEngine(t *testing.T) {
	base, _ := running.buildRuns(t, 1)
	for name, damage := range runDamages {
		t.Run(name, func(t *testing.T) {
			m := base.clone(t)
			damage(m, m.extents())
			m.save()
			o := running.options
			o.FS, o.SegmentBytes = m.fs, 32<<10
			db, err := engine.Open(dbDir, &o)
			if err != nil {
				return
			}
			for _, name := range []string{"", "space 0"} {
				ks, err := db.Keyspace(name)
				if err != nil {
					continue
				}
				_ = db.View(func(tx *engine.Tx) error {
					for key := range tx.In(ks).Scan(nil, nil) {
						_, _ = ks.Get(bytes.Clone(key))
					}
					for range tx.In(ks).ScanBackward(nil, nil) {
					}
					return nil
				})
				scatter(t, ks, 9)
			}
			_, _ = db.Checkpoint(t.Context())
			_, _ = db.Compact(t.Context())
			_ = db.DropKeyspace("space 0")
			_ = db.Close()
		})
	}
}
