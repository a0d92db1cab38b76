package wal

import (
	"flag"
	"fmt"
	"slices"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

var crashSeeds = flag.Int("crash.seeds", 1, "random scenarios that are crashed at every operation")

// moment is what was promised when the disk had seen so many operations.
type moment struct {
	ops    int
	floor  LSN // durable: no later crash may lose it
	issued int // records whose Append had returned
	meta   Start
}

// promises is what a run promised, moment by moment.
type promises []moment

// note adds the present moment.
func (p *promises) note(sim *faultfs.Sim, m *model) {
	*p = append(*p, moment{
		ops: sim.Ops(), floor: max(m.log.Synced(), m.meta.LSN), issued: len(m.entries), meta: m.meta,
	})
}

// at returns the last moment at or before the operation n.
func (p promises) at(n int) moment {
	at := p[0]
	for _, m := range p {
		if m.ops <= n {
			at = m
		}
	}
	return at
}

// scenario runs random operations on m.
func scenario(t *testing.T, sim *faultfs.Sim, m *model, p *promises, seed uint64, steps int) {
	t.Helper()
	rnd := newRand(seed)
	p.note(sim, m)
	for range steps {
		switch n := rnd.IntN(20); {
		case n < 8:
			m.mustAppend(t, rnd.IntN(1200))
		case n < 11:
			m.mustAppendEach(t, rnd.IntN(400), rnd.IntN(600), rnd.IntN(400))
		case n < 12:
			m.mustAppend(t, 3000+rnd.IntN(12000)) // some in three writes
		case n < 15:
			m.mustSync(t)
		case n < 17:
			if err := m.log.Prepare(); err != nil {
				t.Fatal(err)
			}
		default:
			if n < 19 {
				m.mustSync(t) // else the meta covers more than is durable
			}
			m.checkpoint()
			p.note(sim, m)
			if err := m.log.Release(m.meta.LSN); err != nil {
				t.Fatal(err)
			}
		}
		p.note(sim, m)
	}
}

// shrinkScenario is a scenario with Shrink and DropSpares. Exact says that the
// records often fill a segment to its last byte.
func shrinkScenario(t *testing.T, sim *faultfs.Sim, m *model, p *promises, seed uint64, steps int, exact bool) {
	t.Helper()
	rnd := newRand(seed)
	size := func() int { return rnd.IntN(3000) }
	if exact {
		size = func() int { return []int{1024, 1024, 1024, 512, 2048, 4096}[rnd.IntN(6)] - recordSize }
	}
	p.note(sim, m)
	for range steps {
		var err error
		switch n := rnd.IntN(24); {
		case n < 12:
			m.mustAppend(t, size())
		case n < 14:
			m.mustSync(t)
		case n < 16:
			err = m.log.Prepare()
		case n < 18:
			err = m.log.Shrink()
		case n < 19:
			m.log.DropSpares()
		default:
			if n < 23 {
				m.mustSync(t)
			}
			m.checkpoint()
			p.note(sim, m)
			if rnd.IntN(2) == 0 { // the meta was made when the log ended before it
				m.mustAppend(t, size())
			}
			err = m.log.Release(m.meta.LSN)
		}
		if err != nil {
			t.Fatal(err)
		}
		p.note(sim, m)
	}
}

// crashes counts the images that were opened.
var crashes int

// recoverImage opens what a crash after n operations left, and checks that it
// shows a prefix of the entries without holes that holds all that was durable.
func recoverImage(disk vfs.FS, o Options, entries []entry, at moment, kept bool) (*model, error) {
	crashes++
	o.FS = disk
	m := &model{o: o, entries: entries, meta: at.meta}
	want := m.after()
	n := 0
	l, r, err := Open(o, at.meta, matcher(want, &n))
	if err != nil {
		return nil, err
	}
	if r.To < at.floor {
		return nil, fmt.Errorf("recovered to %d, durable to %d", r.To, at.floor)
	}
	shown := len(entries) - len(want) + n
	if kept && shown < at.issued {
		return nil, fmt.Errorf("%d of %d records, though nothing was lost", shown, at.issued)
	}
	m.log, m.entries = l, entries[:shown:shown]
	return m, nil
}

// Crash at every operation of a session, lose, tear and reorder what was not
// synced, and recover; crash that recovery, and what follows it, in the same
// way; and recover again.
func TestF02_CrashAtEveryOperation(t *testing.T) {
	crashes = 0
	for seed := range uint64(*crashSeeds) {
		sim := faultfs.NewSim()
		m := create(t, small(sim))
		var p promises
		scenario(t, sim, m, &p, seed, 30)
		for n := p[0].ops; n <= sim.Ops(); n++ {
			for i, d := range faultfs.Damages(8, int64(seed)) {
				image := sim.Image(n, d)
				again, err := recoverImage(image.Clone(), m.o, m.entries, p.at(n), d == faultfs.None)
				if err != nil {
					t.Fatalf("seed %d, operation %d, %v: %v", seed, n, d, err)
				}
				again.goOn(t, fmt.Sprintf("seed %d, operation %d, %v", seed, n, d))
				if i == n%8 && n%3 == 0 {
					crashRecovery(t, image, m, p.at(n), fmt.Sprintf("seed %d, operation %d, %v", seed, n, d), 2)
				}
			}
		}
	}
	t.Logf("%d crash images", crashes)
}

// TestF02_CrashAtEveryOperation, of a log that is made small again and again,
// and of records that fill segments exactly.
func TestF02_CrashAroundShrink(t *testing.T) {
	crashes = 0
	for seed := range uint64(24 * *crashSeeds) {
		sim := faultfs.NewSim()
		o := small(sim)
		if seed%4 < 2 {
			o.SegmentSize = 32 << 10
		}
		m := create(t, o)
		var p promises
		shrinkScenario(t, sim, m, &p, seed, 40, seed%2 == 0)
		for n := p[0].ops; n <= sim.Ops(); n++ {
			for _, d := range faultfs.Damages(4, int64(seed)) {
				story := fmt.Sprintf("seed %d, operation %d, %v", seed, n, d)
				again, err := recoverImage(sim.Image(n, d), m.o, m.entries, p.at(n), d == faultfs.None)
				if err != nil {
					t.Fatalf("%s: %v", story, err)
				}
				again.goOn(t, story)
			}
		}
	}
	t.Logf("%d crash images", crashes)
}

// A segment that is full to its last byte when a meta is made of the log's end
// is the one that the meta names. Were it made a spare, the new header of the
// spare could be there after a crash, and its new name not.
func TestF02_CheckpointAtTheEndOfAFullSegment(t *testing.T) {
	sim := faultfs.NewSim()
	m := create(t, small(sim))
	var p promises
	p.note(sim, m)
	m.mustAppend(t, 1024-recordSize, 1024-recordSize, 1024-recordSize, 1024-recordSize)
	if m.log.rest() != 0 {
		t.Fatalf("%d bytes are left", m.log.rest())
	}
	m.mustSync(t)
	p.note(sim, m)
	m.checkpoint()
	p.note(sim, m)
	m.mustAppend(t, 100) // in the next one
	m.mustSync(t)
	p.note(sim, m)
	if err := m.log.Release(m.meta.LSN); err != nil {
		t.Fatal(err)
	}
	if err := m.log.Prepare(); err != nil { // takes a spare, if there is one
		t.Fatal(err)
	}
	for n := p[0].ops; n <= sim.Ops(); n++ {
		for _, d := range faultfs.Damages(32, 1) {
			if _, err := recoverImage(sim.Image(n, d), m.o, m.entries, p.at(n), d == faultfs.None); err != nil {
				t.Fatalf("operation %d, %v: %v", n, d, err)
			}
		}
	}
}

// goOn writes over the spares and opens the log again: nothing that a crash
// left may get in the way.
func (m *model) goOn(t *testing.T, story string) {
	t.Helper()
	m.entries = slices.Clone(m.entries)
	for range 3 {
		if err := m.append(3000); err != nil {
			t.Fatalf("%s: then Append: %v", story, err)
		}
	}
	n := 0
	l, _, err := Open(m.o, m.meta, matcher(m.after(), &n))
	if err != nil || n != len(m.after()) {
		t.Fatalf("%s: reopened: %d of %d records, %v", story, n, len(m.after()), err)
	}
	m.log = l
}

// crashRecovery recovers image, runs a session on it, and crashes both at
// every operation. Whatever the first recovery would show, each further one
// must: nothing on the disk says that it was not acknowledged.
func crashRecovery(t *testing.T, image *vfs.Mem, m *model, at moment, story string, levels int) {
	t.Helper()
	sim := faultfs.NewSimFrom(image)
	again, err := recoverImage(sim, m.o, m.entries, at, false)
	if err != nil {
		t.Fatalf("%s: %v", story, err)
	}
	shown := moment{floor: again.log.End(), issued: len(again.entries), meta: at.meta}
	p := promises{shown}
	scenario(t, sim, again, &p, uint64(at.ops), 6)
	for n := range sim.Ops() + 1 {
		for i, d := range faultfs.Damages(4, int64(n)) {
			second := sim.Image(n, d)
			story := fmt.Sprintf("%s; then operation %d, %v", story, n, d)
			third, err := recoverImage(second.Clone(), m.o, again.entries, p.at(n), d == faultfs.None)
			if err != nil {
				t.Fatalf("%s: %v", story, err)
			}
			third.goOn(t, story)
			if levels > 1 && i == 3 && n%13 == 0 {
				crashRecovery(t, second, again, p.at(n), story, levels-1)
			}
		}
	}
}

// A process that dies at any operation leaves the page cache; the power may
// fail later, in the middle of the recovery that was reading it, or after it.
func TestF03_PowerCutAfterProcessCrash(t *testing.T) {
	for seed := range uint64(*crashSeeds) * 3 {
		for stop := 1; ; stop++ {
			sim := faultfs.NewSim()
			m := create(t, small(sim))
			p := promises{}
			p.note(sim, m)
			sim.StopAt(sim.Ops() + stop)
			rnd := newRand(seed)
			var err error
			for i := 0; i < 12 && err == nil; i++ {
				if err = m.append(rnd.IntN(3000)); err == nil && rnd.IntN(3) == 0 {
					_, err = m.log.Sync()
				}
				if err == nil && rnd.IntN(3) == 0 {
					err = m.log.Prepare()
				}
				if err == nil {
					p.note(sim, m)
				}
			}
			sim.StopAt(0)
			if err == nil {
				break
			}
			ops := sim.Ops()
			m.reopen(t) // on what the page cache holds
			p.note(sim, m)
			for range 2 {
				m.mustAppend(t, 3000)
				m.mustSync(t)
				p.note(sim, m)
			}
			for n := ops; n <= sim.Ops(); n++ {
				for _, d := range faultfs.Damages(4, int64(seed)) {
					if _, err := recoverImage(sim.Image(n, d), m.o, m.entries, p.at(n), d == faultfs.None); err != nil {
						t.Fatalf("seed %d, stopped at %d, operation %d, %v: %v", seed, stop, n, d, err)
					}
				}
			}
		}
	}
}

// Bytes of an earlier use must not replay. The nasty case: all records have
// the same size, so those of the earlier use stand exactly where new ones
// will, and their sequence numbers are made to be the ones that come next.
func TestRecycledSegment_StaleRecordsDoNotReplay(t *testing.T) {
	mem := vfs.NewMem()
	o := small(mem)
	m := create(t, o)
	for range 3 {
		for range 8 { // fills a segment exactly
			m.mustAppend(t, 512-recordSize)
		}
	}
	m.mustAppend(t, 512-recordSize)
	m.mustSync(t)
	m.checkpoint()
	if err := m.log.Release(m.meta.LSN); err != nil {
		t.Fatal(err)
	}
	if err := m.log.Prepare(); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		m.mustAppend(t, 512-recordSize) // the last of them into segment 5
	}
	m.mustSync(t)
	if m.log.active.number != 5 || m.log.rest() != 7*512 {
		t.Fatalf("segment %d with %d bytes left", m.log.active.number, m.log.rest())
	}
	path := o.path(segmentName(5))
	data, err := mem.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var h header
	if wrong := h.get(data); wrong != "" {
		t.Fatal(wrong)
	}
	// Put records behind the one in segment 5 as another use of the file would
	// have, or a write that went astray: everything else about them is right.
	for what, other := range map[string]struct {
		header
		astray LSN
	}{
		"an earlier use":                        {header: header{uuid: h.uuid, number: h.number - 3}},
		"a use with the same low bits":          {header: header{uuid: h.uuid, number: h.number + 1<<32}},
		"another database":                      {header: header{uuid: [16]byte{1}, number: h.number}},
		"this use, but for another place in it": {header: h, astray: 512},
	} {
		image := mem.Clone()
		stale := slices.Clone(data)
		seq := m.lastSeq() + 1
		for i := 1; i < 8; i++ {
			count := uint32(1 + seq%3)
			r := recordHeader{
				length: 512 - recordSize, lsn: h.start + LSN(i)*512 + other.astray,
				seq: seq, count: count, number: uint32(other.number),
			}
			b := stale[dataOffset+i*512:][:512]
			r.put(b)
			seal(b, other.seed())
			seq += kv.Seq(count)
		}
		if err := image.WriteFile(path, stale); err != nil {
			t.Fatal(err)
		}
		again := *m
		again.o.FS = image
		t.Log(what)
		again.reopen(t)
	}
}

// What recovery cut must not come back, though it stands in the file still,
// and though new records line up with it.
func TestRecovery_CutRecordsDoNotComeBack(t *testing.T) {
	mem := vfs.NewMem()
	m := create(t, small(mem))
	m.mustAppend(t, 200)
	m.mustSync(t)
	m.mustAppend(t, 200, 200, 200) // the first of them will be torn
	torn := m.entries[1].end
	path := m.o.path(segmentName(1))
	data, err := mem.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[dataOffset+int64(torn)-1-recordSize] ^= 1
	if err := mem.WriteFile(path, data); err != nil {
		t.Fatal(err)
	}
	m.cut(m.entries[0].end)
	if r := m.reopen(t); r.TornBytes != 3*240 {
		t.Fatalf("%d torn bytes, want %d", r.TornBytes, 3*240)
	}
	m.mustAppend(t, 200) // as long as the one that was torn
	m.reopen(t)
	m.mustAppend(t, 200)
	m.reopen(t)
}

// Nor do they after a crash that keeps a new record and loses the zeros which
// were written behind it: there, an old one would line up.
func TestF03_CutRecordsStayCutInACrash(t *testing.T) {
	const size = 256 - recordSize // two records fill a sector
	mem := vfs.NewMem()
	m := create(t, small(mem))
	m.mustAppend(t, size)
	m.mustSync(t)
	m.checkpoint()              // so all that is left of the log is durable
	m.mustAppend(t, size, size) // the first of them will be torn
	path := m.o.path(segmentName(1))
	data, err := mem.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[dataOffset+2*256-1] ^= 1
	if err := mem.WriteFile(path, data); err != nil {
		t.Fatal(err)
	}
	m.cut(m.entries[0].end)
	sim := faultfs.NewSimFrom(mem)
	m.o.FS = sim
	m.reopen(t)
	ops := sim.Ops()
	m.mustAppend(t, size)
	for n := ops; n <= sim.Ops(); n++ {
		for _, d := range faultfs.Damages(2000, 3) {
			if _, err := recoverImage(sim.Image(n, d), m.o, m.entries, moment{floor: m.meta.LSN, meta: m.meta}, false); err != nil {
				t.Fatalf("operation %d, %v: %v", n, d, err)
			}
		}
	}
}

// An end-of-segment record with nothing behind it is never written over: the
// old one could survive a crash that loses what was to take its place.
func TestF02_EndOfSegmentIsNotOverwritten(t *testing.T) {
	sim := faultfs.NewSim()
	in := faultfs.Inject(sim)
	m := create(t, small(in))
	m.mustAppend(t, 1000, 1000)
	if err := m.log.Prepare(); err != nil {
		t.Fatal(err)
	}
	in.FailNth(2, vfs.ErrNoSpace, false, faultfs.OpWrite) // the first is the end of the segment
	if err := m.append(3000); !vfs.IsNoSpace(err) {
		t.Fatalf("Append: %v, want no space", err)
	}
	m.close(t)
	ops := sim.Ops()
	m.reopen(t)
	m.mustAppend(t, 100, 100, 3000)
	for n := ops; n <= sim.Ops(); n++ {
		for _, d := range faultfs.Damages(100, 3) {
			at := moment{floor: m.meta.End, meta: m.meta}
			if _, err := recoverImage(sim.Image(n, d), m.o, m.entries, at, false); err != nil {
				t.Fatalf("operation %d, %v: %v", n, d, err)
			}
		}
	}
}
