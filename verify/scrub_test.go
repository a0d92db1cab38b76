package verify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
	"github.com/lightning-db/lightning/verify"
)

const passName = "pass"

// slow makes parts of 20 KB, by the clock of the bubble.
const slow = 2000

// stopper lets a scrub be stopped in the middle: behind so many more reads its
// context is done, or, when it is killed, its file is written no more.
type stopper struct {
	vfs.FS
	mu     sync.Mutex
	left   int // reads
	kill   bool
	cancel context.CancelFunc
}

func (s *stopper) Open(name string, mode vfs.Mode) (vfs.File, error) {
	f, err := s.FS.Open(name, mode)
	if err == nil && mode == vfs.ReadOnly {
		f = &stoppedFile{f, s}
	}
	return f, err
}

// Rename is how the file of the pass changes.
func (s *stopper) Rename(from, to string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kill && s.left <= 0 {
		return errors.New("killed")
	}
	return s.FS.Rename(from, to)
}

type stoppedFile struct {
	vfs.File
	s *stopper
}

func (f *stoppedFile) ReadAt(b []byte, off int64) (int, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if f.s.left--; f.s.left <= 0 {
		f.s.cancel()
	}
	return f.File.ReadAt(b, off)
}

// scrubInGoes scrubs with stops and kills, each after up to most reads, until the
// pass is complete, and calls between before each. It returns how many goes it
// took.
func scrubInGoes(t testing.TB, rnd *rand.Rand, fs vfs.FS, most int, o verify.Options, between func()) (*verify.Pass, int) {
	t.Helper()
	for goes := 1; ; goes++ {
		ctx, cancel := context.WithCancel(context.Background())
		o.FS = &stopper{FS: fs, left: 1 + rnd.IntN(most), kill: rnd.IntN(2) == 0, cancel: cancel}
		p, err := verify.Scrub(ctx, dbDir, passName, o)
		stopped := ctx.Err() != nil
		cancel()
		switch {
		case err == nil:
			return p, goes
		case !stopped:
			t.Fatal(err)
		case goes > 5000:
			t.Fatalf("still at %d %q after %d goes", p.Keyspace, p.Key, goes)
		}
		if between != nil {
			between()
		}
	}
}

func scrubFS(t testing.TB, fs vfs.FS) *verify.Pass {
	t.Helper()
	p, err := verify.Scrub(context.Background(), dbDir, passName, verify.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A pass in parts finds of sound databases nothing, and reads what Run does.
func TestScrub_ReadsAll(t *testing.T) {
	keyspaces := shapes["keyspaces"]
	images := map[string]*image{"empty": new(shape).build(t, 3), "usual": usual.build(t, 3), "keyspaces": keyspaces.build(t, 3)}
	images["runs"], _ = running.buildRuns(t, 3)
	synctest.Test(t, func(t *testing.T) {
		for name, m := range images {
			m.t = t
			want := m.verify(verify.Options{})
			for _, rate := range []int64{0, slow} {
				p, err := verify.Scrub(t.Context(), dbDir, passName, verify.Options{FS: m.fs, BytesPerSecond: rate, Workers: 3})
				if err != nil || len(p.Findings) > 0 || p.Keys < want.Keys || rate == 0 && p.Keys != want.Keys || p.Nodes < want.Nodes || p.Ended.IsZero() {
					t.Errorf("%s, %d bytes/s: %+v, %v; want %s", name, rate, p, err, show(want))
				}
				if rate > 0 && (p.Parts < uint64(want.Bytes/200_000) || p.Bytes > 2*want.Bytes+100_000) {
					t.Errorf("%s: %d parts, %d bytes read; Run reads %d", name, p.Parts, p.Bytes, want.Bytes)
				}
			}
			names, err := m.fs.List(".")
			inside, _ := m.fs.List(dbDir)
			if err != nil || fmt.Sprint(names, inside) != "[db pass] [LOCK ballast btree.db wal]" {
				t.Errorf("%s: have the files %v %v, %v", name, names, inside, err)
			}
		}
	})
}

// A byte that is damaged is found by the pass, whatever it is of and wherever
// the pass is stopped or killed.
func TestScrub_FindsEachDamage_InGoes(t *testing.T) {
	const seed = 11
	// Not in the bubble: its time passes, and the engine merges runs in quiet.
	images := map[string]*image{"usual": usual.build(t, 5)}
	images["runs"] = longRun(t)
	synctest.Test(t, func(t *testing.T) {
		rnd := newRand(seed)
		for name, base := range images {
			for i, e := range base.extents() {
				if e.level == 0 && e.run == 0 && i%7 > 0 { // of leaves and values of trees, some
					continue
				}
				m := base.clone(t)
				m.bytes(e)[rnd.IntN(int(e.ref.Length))] ^= 1 << rnd.IntN(8)
				m.save()
				told := 0
				o := verify.Options{BytesPerSecond: slow, Found: func(f verify.Finding) { told++ }}
				p, goes := scrubInGoes(t, rnd, m.fs, 150, o, nil)
				if !foundAt(p, e.ref.Offset) || len(p.Findings) != 1 || told == 0 {
					t.Fatalf("%s: %v is damaged; after %d goes, told %d times: %+v", name, e, goes, told, p)
				}
			}
		}
	})
}

// longRun builds a database with a sorted run of which a part reads not all: one
// of three levels, since what is below a branch above leaves is read at once.
func longRun(t *testing.T) *image {
	s := shape{options: engine.Options{PageSize: 1024, MemtableBytes: 64 << 10}, rounds: 1, keys: 8000}
	for range 20 { // the engine may merge it in quiet
		fs := vfs.NewMem()
		db := s.open(t, fs)
		s.write(t, db, newRand(5), nil)
		b := db.NewBatch() // one memtable, so one run
		for i := range 360 {
			if err := b.Put(fmt.Appendf(nil, "%s/%05d", strings.Repeat("k", i%3), i/3*166), make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Apply(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		m := newImage(t, fs)
		if slices.ContainsFunc(m.extents(), func(e *extent) bool { return e.run == 1 && e.level == 2 }) {
			return m
		}
	}
	t.Fatal("no database with such a run")
	return nil
}

func foundAt(p *verify.Pass, offset uint64) bool {
	return slices.ContainsFunc(p.Findings, func(f verify.Finding) bool { return f.Path == treePath && uint64(f.Offset) == offset })
}

// All damages that Run finds, it finds, but for what becomes of the space.
func TestScrub_FindsWhatRunDoes(t *testing.T) {
	base := usual.build(t, 1)
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			m := base.clone(t)
			wanted := damage(m, m.extents())
			m.save()
			p := scrubFS(t, m.fs)
			r := verify.Report{Findings: p.Findings}
			for _, w := range wanted {
				if _, ok := find(r, w.invariant, w.kind, w.offset); !ok && w.invariant != "M3" {
					t.Errorf("want %+v, have %s", w, show(r))
				}
			}
		})
	}
}

// The log and the metas are read at the beginning of a pass.
func TestScrub_Head(t *testing.T) {
	fs := vfs.NewMem()
	db := usual.open(t, fs)
	for range 100 {
		if err := db.Put([]byte("key"), make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	fs = fs.Clone() // as a kill leaves it
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := fs.List(dbDir + "/wal")
	if err != nil {
		t.Fatal(err)
	}
	log := dbDir + "/wal/" + names[0]
	b := readFile(t, fs, log)
	b[4096+500] ^= 1
	writeFile(t, fs, log, b)
	b = readFile(t, fs, treePath)
	b[2048+20] ^= 1
	writeFile(t, fs, treePath, b)
	p := scrubFS(t, fs)
	r := verify.Report{Findings: p.Findings}
	if len(p.Findings) == 0 || !strings.HasPrefix(p.Findings[len(p.Findings)-1].Path, dbDir+"/wal") {
		t.Errorf("have %s", show(r))
	}
}

// badPlaces is a file system that gives wrong bytes of some places of btree.db.
type badPlaces struct {
	vfs.FS
	at map[int64]bool
}

func (fs *badPlaces) Open(name string, mode vfs.Mode) (vfs.File, error) {
	f, err := fs.FS.Open(name, mode)
	if err == nil && strings.HasSuffix(name, "btree.db") {
		f = &badPlace{f, fs}
	}
	return f, err
}

type badPlace struct {
	vfs.File
	fs *badPlaces
}

func (f *badPlace) ReadAt(b []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(b, off)
	for at := range f.fs.at {
		if at >= off && at < off+int64(n) {
			b[at-off] ^= 1
		}
	}
	return n, err
}

// Beside a writer that checkpoints, merges runs, compacts, drops and creates
// keyspaces: what is in use from the beginning of a pass to its end is read in
// it. Leaves and values are damaged for the scrub alone.
func TestScrub_BesideAWriter(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { scrubBesideAWriter(t, newRand(seed)) })
		})
	}
}

func scrubBesideAWriter(t *testing.T, rnd *rand.Rand) {
	fs := vfs.NewMem()
	s := running
	s.keys, s.longest = 2000, 6000
	db := s.open(t, fs)
	s.write(t, db, rnd, nil)
	inUse := func() map[uint64]*extent {
		m := map[uint64]*extent{}
		for _, e := range newImage(t, fs.Clone()).extents() {
			if (e.kind == inspect.Leaf || e.kind == inspect.Overflow) && e.keyspace != inspect.CatalogKeyspace {
				m[e.ref.Offset] = e
			}
		}
		return m
	}
	const place = 50 // in an extent
	before := inUse()
	bad := &badPlaces{fs, map[int64]bool{}}
	for off, e := range before {
		if rnd.IntN(4) == 0 && (e.kind == inspect.Overflow || !e.ref.Overflow) {
			bad.at[int64(off)+place] = true
		}
	}
	created, damaged := 0, len(bad.at)
	p, goes := scrubInGoes(t, rnd, bad, 70, verify.Options{BytesPerSecond: slow}, func() {
		var err error
		switch rnd.IntN(8) {
		case 0:
			_, err = db.Compact(context.Background())
		case 1:
			created++
			_, err = db.CreateKeyspace(fmt.Sprint("created ", created), nil)
		case 2:
			err = db.DropKeyspace(fmt.Sprint("created ", rnd.IntN(created+1)))
			if errors.Is(err, engine.ErrNoKeyspace) {
				err = nil
			}
		default:
			for range 12 {
				if err == nil {
					err = db.Put(someKey(rnd), someValue(rnd, 6000))
				}
			}
			_, e := db.Checkpoint(context.Background())
			err = errors.Join(err, e)
		}
		if err != nil {
			t.Fatal(err)
		}
		now := inUse()
		for off, e := range before { // what stands there next is sound
			if a := now[off]; a == nil || a.ref != e.ref {
				delete(before, off)
				delete(bad.at, int64(off)+place)
			}
		}
	})
	for off, e := range before {
		if bad.at[int64(off)+place] && !foundAt(p, off) {
			t.Errorf("%v was in use all the time, its damage was not found", e)
		}
	}
	if len(bad.at) < 20 || goes < 5 {
		t.Errorf("the test shows little: %d goes, %d damaged extents stayed in use", goes, len(bad.at))
	}
	t.Logf("%d goes, %d parts, %d findings; %d of %d damaged extents stayed in use", goes, p.Parts, len(p.Findings), len(bad.at), damaged)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// After a complete pass the next begins anew, and knows nothing of the damage of
// the one before.
func TestScrub_BeginsAnew(t *testing.T) {
	m := usual.build(t, 1)
	e := pick(m.extents(), inspect.Leaf, 0)[4]
	m.bytes(e)[60] ^= 1
	m.save()
	if p := scrubFS(t, m.fs); len(p.Findings) != 1 {
		t.Fatalf("have %+v", p)
	}
	m.bytes(e)[60] ^= 1
	m.save()
	if p := scrubFS(t, m.fs); len(p.Findings) != 0 || p.Keys == 0 {
		t.Fatalf("have %+v", p)
	}
}

// A database that has lost its metas is one finding.
func TestScrub_NoMeta(t *testing.T) {
	m := usual.build(t, 1)
	clear(m.b[:8192])
	m.save()
	for range 2 {
		if p := scrubFS(t, m.fs); len(p.Findings) != 1 || p.Findings[0].Invariant != "M1" || p.Ended.IsZero() {
			t.Fatalf("have %+v", p)
		}
	}
}

// stoppedPass returns the file of a pass that was stopped after some parts, with
// some findings.
func stoppedPass(t testing.TB, m *image) []byte {
	t.Helper()
	for _, e := range pick(m.extents(), inspect.Leaf, 0)[:3] {
		m.bytes(e)[60] ^= 1
	}
	m.save()
	for reads := 10; reads < 1000; reads++ {
		ctx, cancel := context.WithCancel(context.Background())
		fs := &stopper{FS: m.fs, left: reads, cancel: cancel}
		p, err := verify.Scrub(ctx, dbDir, passName, verify.Options{FS: fs, Workers: 1})
		cancel()
		if errors.Is(err, context.Canceled) && len(p.Findings) > 0 && len(p.Key) > 0 {
			return readFile(t, m.fs, passName)
		}
		_ = m.fs.Remove(passName)
	}
	t.Fatal("no pass was stopped in the middle")
	return nil
}

// A file of something else, of another database, or that is damaged, is refused
// and left as it is; whatever stands in it, nobody panics.
func TestScrub_RefusesWhatIsNoPass(t *testing.T) {
	m := usual.build(t, 1)
	whole := stoppedPass(t, m)
	refused := func(what string, fs vfs.FS, b []byte, want string) {
		t.Helper()
		writeFile(t, fs, passName, b)
		_, err := verify.Scrub(t.Context(), dbDir, passName, verify.Options{FS: fs})
		if !errors.Is(err, engine.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Fatalf("%s: %v", what, err)
		}
		if !bytes.Equal(readFile(t, fs, passName), b) {
			t.Fatalf("%s: the file was changed", what)
		}
	}
	refused("something else", m.fs, []byte("my notes\n"), "holds something else")
	refused("nothing", m.fs, nil, "holds something else")
	other := usual.build(t, 2)
	refused("another database", other.fs, whole, "it is of database")
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 1
		refused(fmt.Sprint("byte ", i), m.fs, b, "invalid progress file pass: it ")
		refused(fmt.Sprint("cut at ", i), m.fs, whole[:i], "invalid progress file pass: it ")
	}
	rnd := newRand(1)
	for range 3000 { // with a checksum that holds
		b := bytes.Clone(whole[:len(whole)-21])
		for range 1 + rnd.IntN(3) {
			b[len("lightning scrub 1\n")+rnd.IntN(len(b)-18)] = "\"\\ \nxx09-"[rnd.IntN(9)]
		}
		writeFile(t, m.fs, passName, fmt.Appendf(b, "sum %016x\n", xxhash.Sum64(b)))
		if _, err := verify.Scrub(t.Context(), dbDir, passName, verify.Options{FS: m.fs}); err != nil && !errors.Is(err, engine.ErrInvalid) {
			t.Fatalf("%q: %v", b, err)
		}
	}
	writeFile(t, m.fs, passName, whole)
	if p := scrubFS(t, m.fs); len(p.Findings) != 3 {
		t.Errorf("have %+v", p)
	}
}

// Where the file cannot be written the scrub ends, and the one that was there
// stays, alone.
func TestScrub_FileCannotBeWritten(t *testing.T) {
	m := usual.build(t, 1)
	whole := stoppedPass(t, m)
	for kind, of := range map[string][]faultfs.Kind{
		"create": {faultfs.OpCreate}, "write": {faultfs.OpWrite}, "sync": {faultfs.OpSync}, "rename": {faultfs.OpRename},
	} {
		in := faultfs.Inject(m.fs)
		in.SetHook(func(op faultfs.Op) error {
			if strings.Contains(op.Name, passName) && slices.Contains(of, op.Kind) {
				return faultfs.ErrIO
			}
			return nil
		})
		_, err := verify.Scrub(t.Context(), dbDir, passName, verify.Options{FS: in})
		names, _ := m.fs.List(".")
		if !errors.Is(err, faultfs.ErrIO) || fmt.Sprint(names) != "[db pass]" || !bytes.Equal(readFile(t, m.fs, passName), whole) {
			t.Errorf("%s: %v; files %v", kind, err, names)
		}
	}
	if _, err := verify.Scrub(t.Context(), "none", "other", verify.Options{FS: m.fs}); !errors.Is(err, engine.ErrNotExist) {
		t.Errorf("of no database: %v", err)
	}
	if _, err := verify.Scrub(t.Context(), dbDir, "other", verify.Options{FS: m.fs, Quick: true}); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("with Quick: %v", err)
	}
	if names, _ := m.fs.List("."); fmt.Sprint(names) != "[db pass]" {
		t.Errorf("files %v", names)
	}
}

// A file that is damaged all over keeps the file of the pass small.
func TestScrub_BoundsItsFile(t *testing.T) {
	m := (&shape{options: engine.Options{PageSize: 1024}, rounds: 12, keys: 6000}).build(t, 1)
	leaves := pick(m.extents(), inspect.Leaf, 0)
	for _, e := range leaves {
		m.bytes(e)[60] ^= 1
	}
	m.save()
	p := scrubFS(t, m.fs)
	if n := len(leaves); n <= 1000 || len(p.Findings) != 1000 || p.Omitted != uint64(n-1000) {
		t.Errorf("of %d findings have %d and %d omitted", n, len(p.Findings), p.Omitted)
	}
}

// What is shown while a pass is read grows, and ends with what was read.
func TestScrub_ShowsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := usual.build(t, 1)
		var last verify.Progress
		calls := 0
		p, err := verify.Scrub(t.Context(), dbDir, passName, verify.Options{FS: m.fs, BytesPerSecond: slow, Progress: func(p verify.Progress) {
			if calls++; p.Bytes < last.Bytes || p.Nodes < last.Nodes || p.Total < p.Bytes {
				t.Errorf("%+v after %+v", p, last)
			}
			last = p
		}})
		if err != nil || calls < int(p.Parts) || last.Bytes != p.Bytes || last.Nodes != p.Nodes || p.Parts < 5 {
			t.Errorf("%d calls, the last %+v; %+v, %v", calls, last, p, err)
		}
		if took := p.Ended.Sub(p.Began); took < time.Duration(p.Bytes/slow)*time.Second*9/10 {
			t.Errorf("%d bytes in %v", p.Bytes, took)
		}
	})
}
