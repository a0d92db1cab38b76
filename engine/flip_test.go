package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
	"github.com/lightning-db/lightning/internal/figure"
)

// Change every byte of three small databases, one at a time: in one bit, to be
// opened for writing, and in several, to be opened read-only; at the usual scale
// one byte in the one way and the next in the other, and of the third database
// every fifth byte. What is opened and read then gives an error that says what is
// damaged, or exactly what was there.
//
// One answer is excused: damage to the last record of a log that was not closed
// cannot be told from a write that the crash tore (F10). Its commit may be
// missing, and the report says that something was cut off.
func TestFlip_EveryByte(t *testing.T) {
	warmUp()
	var flips atomic.Int64
	t.Run("in", func(t *testing.T) {
		for i, base := range []*specimen{settledSpecimen(t), uncleanSpecimen(t), runsSpecimen(t)} {
			parts := flipParts
			if i == 2 && figure.Scale() <= 1 {
				parts = 1
			}
			for part := range parts {
				t.Run(fmt.Sprintf("%s/%d", base.name, part), func(t *testing.T) {
					t.Parallel()
					flips.Add(int64(base.fork().flipAll(t, part)))
				})
			}
		}
	})
	t.Logf("%d flips (seed %d)", flips.Load(), *faultSeed)
}

// flipParts is how many tests share the bytes of a database, one byte each in turn.
const flipParts = 5

// specimen is a small database, and what it holds.
type specimen struct {
	name string
	disk *vfs.Mem
	hist *history

	// Where the last record stands, in a log that was not closed.
	lastLog          string
	lastOff, lastEnd int64
}

// withoutBallast removes the file that means nothing.
func withoutBallast(t testing.TB, disk *vfs.Mem) *vfs.Mem {
	t.Helper()
	if err := disk.Remove(dbDir + "/ballast"); err != nil {
		t.Fatal(err)
	}
	return disk
}

// settledSpecimen is a closed database: trees of several levels, values of
// their own extents, both codecs, a free list.
func settledSpecimen(t testing.TB) *specimen {
	t.Helper()
	disk := vfs.NewMem()
	s := &session{t: t, fs: disk, opts: small(full), hist: newHistory(), still: true}
	s.open()
	s.create("s2", &engine.KeyspaceOptions{PageSize: 2 << 10, Compression: engine.CompressionS2})
	s.create("zstd", &engine.KeyspaceOptions{PageSize: 4 << 10, Compression: engine.CompressionZstd})
	s.apply(specimenEdits()...)
	s.checkpoint()
	s.apply(put("overflow", valueOf("v", 2, 900)), delRange("gg", "h"), put("", "empty"), put("empty", ""))
	s.close()
	return &specimen{name: "settled", disk: withoutBallast(t, disk), hist: s.hist}
}

// specimenEdits make a tree of three levels with few entries: the keys of a
// group share so much that few separators fit a branch.
func specimenEdits() []edit {
	var edits []edit
	for g := range 8 {
		shared := strings.Repeat(string(rune('a'+g)), 220)
		for i := range 5 {
			edits = append(edits, put(fmt.Sprintf("%s%02d", shared, i), valueOf("x", i, 60)))
		}
	}
	for i := range 16 {
		edits = append(edits, put(keyOf("c", i), strings.Repeat(fmt.Sprint("text ", i), 30)).in("s2"),
			put(keyOf("z", i), strings.Repeat(fmt.Sprint("more text ", i), 30)).in("zstd"))
	}
	return append(edits, put("overflow", valueOf("v", 1, 700)),
		put("packed overflow", strings.Repeat("overflow ", 300)).in("s2"))
}

// uncleanSpecimen is a database that was killed, with commits in its log.
func uncleanSpecimen(t testing.TB) *specimen {
	sp, _ := uncleanOf(t, 30, 6)
	return sp
}

// uncleanOf is one with so many entries in its tree, and so many commits and
// some more in its log, and the disk that it was made on. Nothing was done behind
// the last commit: a segment that is prepared then says that it is durable, and
// that its record is no torn one.
func uncleanOf(t testing.TB, entries, commits int) (*specimen, *faultfs.Sim) {
	t.Helper()
	for range 100 {
		sp, sim := tryUnclean(t, entries, commits)
		var name string
		var off, n int64
		trace := sim.Trace()
		if last := len(trace) - 1; last > 0 {
			if _, err := fmt.Sscanf(trace[last-1], "write %s %d %d", &name, &off, &n); err == nil && trace[last] == "sync "+name {
				return sp, sim
			}
		}
	}
	t.Fatal("something was always done behind the last commit")
	return nil, nil
}

func tryUnclean(t testing.TB, entries, commits int) (*specimen, *faultfs.Sim) {
	t.Helper()
	sim := faultfs.NewSim()
	s := &session{t: t, fs: sim, opts: small(full), hist: newHistory(), still: true}
	s.open()
	s.apply(entriesOf("k", entries, 40)...)
	s.checkpoint()
	s.fill("u", commits, 50)
	s.create("late", nil)
	s.apply(put("a", "1").in("late"), del("k00003"), delRange("k00010", "k00013"))
	s.put("last", valueOf("v", 1, 300))
	s.kill(sim)
	sp := &specimen{name: "unclean", disk: withoutBallast(t, sim.Image(sim.Ops(), faultfs.None)), hist: s.hist}
	for _, op := range sim.Trace() {
		var name string
		var off, n int64
		if _, err := fmt.Sscanf(op, "write %s %d %d", &name, &off, &n); err == nil && strings.HasSuffix(name, ".log") {
			sp.lastLog, sp.lastOff, sp.lastEnd = name, off, off+n
		}
	}
	return sp, sim
}

// runsSpecimen is a closed database with two sorted runs in front of its tree,
// with tombstones and a value of an extent of its own.
func runsSpecimen(t testing.TB) *specimen { return runsOf(t, 40) }

// runsOf is one with so many entries in its tree.
func runsOf(t testing.TB, entries int) *specimen {
	t.Helper()
	o := runOptions
	o.MemtableBytes = 2 << 10
	for range 20 { // it may be left alone for so long that they are merged
		disk := vfs.NewMem()
		s := &session{t: t, fs: disk, opts: small(o), hist: newHistory(), still: true}
		s.open()
		s.apply(entriesOf("k", entries, 100)...)
		s.checkpoint()
		for round := range 2 {
			var edits []edit
			for i := range 4 {
				edits = append(edits, put(keyOf("k", i*10+round), fmt.Sprint("round ", round)))
			}
			s.apply(append(edits, put("large", valueOf("v", round, 530)), del(keyOf("k", 35+round)), del("none"))...)
			s.checkpoint()
		}
		runs := s.db.Stats().Runs
		s.close()
		if runs == 2 {
			return &specimen{name: "runs", disk: withoutBallast(t, disk), hist: s.hist}
		}
	}
	t.Fatal("no database with two runs")
	return nil
}

// fork returns the specimen for use beside others.
func (sp *specimen) fork() *specimen {
	c := *sp
	c.hist = sp.hist.fork()
	for i, k := range c.hist.commits {
		c.hist.commits[i] = &commit{moment: moment{contents: k.contents, seq: k.seq}}
	}
	return &c
}

// flipAll flips its part of the bytes of all files, and returns how often.
func (sp *specimen) flipAll(t *testing.T, part int) int {
	rng := rand.New(rand.NewPCG(uint64(*faultSeed), uint64(part)))
	flips := 0
	for _, name := range sp.disk.Names() {
		data, err := sp.disk.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for off := part; off < len(data); off += flipParts {
			for i, mask := range []byte{1 << rng.IntN(8), byte(1 + rng.IntN(255))} {
				n := off / flipParts
				if testing.Short() && n%7 != 0 || figure.Scale() <= 1 && n%2 != i {
					continue
				}
				flips++
				if err := sp.flip(name, int64(off), mask, i == 1); err != nil {
					t.Fatalf("%s, byte %d XOR %#02x: %v\nrepeat: %s", name, off, mask, err, again(t))
				}
			}
		}
	}
	return flips
}

// flip changes one byte in a copy, and looks at what comes of it.
func (sp *specimen) flip(name string, off int64, mask byte, readOnly bool) error {
	disk := sp.disk.Clone()
	if err := xorByte(disk, name, off, mask); err != nil {
		return err
	}
	least := len(sp.hist.commits) - 1
	if strings.HasSuffix(name, sp.lastLog) && off >= sp.lastOff && off < sp.lastEnd {
		least--
	}
	return bounded(fmt.Sprintf("%s, byte %d XOR %#02x", name, off, mask), func() error { return sp.judgeAs(disk, least, readOnly) })
}

func xorByte(disk *vfs.Mem, name string, off int64, mask byte) error {
	f, err := disk.Open(name, vfs.ReadWrite)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], off); err != nil {
		return err
	}
	b[0] ^= mask
	_, err = f.WriteAt(b[:], off)
	return err
}

// caseTime is how long any single case may take: far more than it does, and
// less than for ever.
const caseTime = 20 * time.Second

// bounded calls what and ends the process if it does not return in time.
func bounded(doing string, what func() error) error {
	watch := time.AfterFunc(caseTime, func() { panic(doing + ": still not done after " + caseTime.String()) })
	defer watch.Stop()
	return what()
}

// judge opens a damaged disk. It must be refused, with nothing changed, or hold
// at least so many of the commits, as far as it can be read.
func (sp *specimen) judge(disk *vfs.Mem, least int) error { return sp.judgeAs(disk, least, false) }

func (sp *specimen) judgeAs(disk *vfs.Mem, least int, readOnly bool) error {
	before := disk.Clone()
	o := small(full)
	o.FS, o.ReadOnly = disk, readOnly
	db, err := engine.Open(dbDir, &o)
	if err != nil {
		if !isDamage(err) {
			return fmt.Errorf("open gives an error that does not tell of damage: %w", err)
		}
		return sameFiles(before, disk)
	}
	defer db.Close()
	k, err := sp.hist.find(db, least, len(sp.hist.commits)-1)
	if err != nil && (errors.Is(err, errWrong) || !isDamage(err)) {
		return err
	}
	if k < len(sp.hist.commits)-1 && db.OpenReport().TornBytes == 0 {
		return errors.New("the last commit is missing, and the report does not say that anything was cut off")
	}
	return nil
}

// isDamage reports whether an error tells the caller that the bytes on the disk
// are not those of a database.
func isDamage(err error) bool {
	return errors.Is(err, engine.ErrCorrupt) || errors.Is(err, engine.ErrFormat)
}

// sameFiles compares all files but the lock, which anybody may write to, and
// the copies of the metas, in which Open confirms what it found (M1).
func sameFiles(want, have *vfs.Mem) error {
	names := have.Names()
	if a, b := fmt.Sprint(want.Names()), fmt.Sprint(names); a != b {
		return fmt.Errorf("files %s, before that %s", b, a)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "LOCK") {
			continue
		}
		a, err := want.ReadFile(name)
		if err != nil {
			return err
		}
		b, err := have.ReadFile(name)
		if err != nil {
			return err
		}
		if strings.HasSuffix(name, "btree.db") {
			a, b = withoutCopies(a), withoutCopies(b)
		}
		if !bytes.Equal(a, b) {
			return fmt.Errorf("%s was changed", name)
		}
	}
	return nil
}

// withoutCopies drops the copies of the metas from the bytes of btree.db.
func withoutCopies(tree []byte) []byte {
	for _, off := range []int{2048, 4096 + 2048} {
		if len(tree) >= off+512 {
			clear(tree[off : off+512])
		}
	}
	return tree
}

// Every byte of a backup stream counts: none can be changed, and no length is
// short enough, for it to be taken for a whole one.
func TestFlip_EveryByteOfABackup(t *testing.T) {
	var stream bytes.Buffer
	o := small(full)
	o.FS = settledSpecimen(t).disk
	db, err := engine.Open(dbDir, &o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Backup(context.Background(), &stream, nil); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range stream.Len() {
		bad := bytes.Clone(stream.Bytes())
		bad[i] ^= 1 << (i % 8)
		if _, err := engine.VerifyBackup(context.Background(), bytes.NewReader(bad)); !isDamage(err) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
		if _, err := engine.VerifyBackup(context.Background(), bytes.NewReader(stream.Bytes()[:i])); !isDamage(err) {
			t.Fatalf("cut after %d bytes: %v", i, err)
		}
	}
	if _, err := engine.VerifyBackup(context.Background(), bytes.NewReader(append(stream.Bytes(), 0))); !isDamage(err) {
		t.Fatalf("a byte more: %v", err)
	}
}
