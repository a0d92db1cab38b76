package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
	"github.com/lightning-db/lightning/internal/figure"
	"github.com/lightning-db/lightning/verify"
)

const (
	// bitsAll is the scale from which every case of TestDamage_EveryBit is tried;
	// below it, a part of them.
	bitsAll = 200
	// bitsParts is how many tests share the damages of a database.
	bitsParts = 8
)

// Damage three databases of 32 to 64 KiB in every way that one place of a file
// can be damaged: every bit turned, every byte set to 00, to FF, and one more
// and one less; every piece of one to eight sectors zeroed, exchanged for every
// other (which is how an extent takes the place of another one, whole), and set
// back to every older state of its own; every length from nothing to the whole,
// and up to 8 KiB more. For each:
//
//  1. What is opened and read then gives an error that tells of damage, or
//     exactly what was there: no other answer, no panic, no waiting. F10 is
//     excused: the last commits of a log that was not closed.
//  2. verify reports it, if a live byte was changed. The bytes that are not live
//     are on a list, made from docs/FORMAT.md alone; verify finds nothing when
//     one of those was changed.
func TestDamage_EveryBit(t *testing.T) {
	warmUp()
	var total bitCounts
	stride := max(1, int(bitsAll/figure.Scale()+0.5))
	t.Run("in", func(t *testing.T) {
		for _, large := range []*largeSpecimen{largeSettled(t), largeUnclean(t), largeRuns(t)} {
			if len(large.live) == 0 {
				t.Fatalf("%s: nothing is live", large.name)
			}
			t.Logf("%s: %d bytes in %d files, %d of them live", large.name, large.size(), len(large.files), large.liveBytes())
			if n := large.size(); n < 32<<10 || n > 64<<10 {
				t.Errorf("%s: %d bytes, want 32 to 64 KiB", large.name, n)
			}
			for part := range bitsParts {
				t.Run(fmt.Sprintf("%s/%d", large.name, part), func(t *testing.T) {
					t.Parallel()
					large.fork().damageAll(t, &total, part, stride)
				})
			}
		}
	})
	figure.Log(t, "files", int(total.files.Load()))
	figure.Log(t, "bits", int(total.bits.Load()))
	figure.Log(t, "reported", int(total.reported.Load()))
	t.Logf("the slowest of them took %v", time.Duration(total.slowest.Load()))
}

// bitCounts are what the parts of the test have done.
type bitCounts struct{ files, bits, reported, slowest atomic.Int64 }

// largeSpecimen is a specimen whose files are damaged, and which of their bytes
// count.
type largeSpecimen struct {
	*specimen
	note    string              // what verify says of it without damage: an estimate is off, after a range delete
	files   []string            // those that are damaged
	live    map[string][]bool   // by file: the bytes that the database is made of
	older   map[string][][]byte // by file: what it held at earlier times, the oldest first
	metas   [][]byte            // those that stand in btree.db, or stood there
	records []int               // where those of the last log begin; and where the last of them ends
}

func (l *largeSpecimen) fork() *largeSpecimen {
	c := *l
	c.specimen = l.specimen.fork()
	return &c
}

func (l *largeSpecimen) size() (n int) {
	for _, name := range l.files {
		n += len(l.live[name])
	}
	return n
}

func (l *largeSpecimen) liveBytes() (n int) {
	for _, live := range l.live {
		for _, is := range live {
			if is {
				n++
			}
		}
	}
	return n
}

// damaged is one damage to a file.
type damaged struct {
	file string
	what string
	at   int
	n, m int                               // the other numbers that tell it from those of its kind
	make func(d *damaged, b []byte) []byte // from a copy
	old  []byte                            // what was in the file once, where that matters
}

func (d *damaged) String() string {
	return fmt.Sprintf("%s, at %d: %s, %d, %d", d.file, d.at, d.what, d.n, d.m)
}

const (
	sector     = 512
	pieceLimit = 8 // sectors
)

// all goes through all damages to all files. What it yields is valid until the
// next.
func (l *largeSpecimen) all() iter.Seq[*damaged] {
	return func(yield func(*damaged) bool) {
		for _, file := range l.files {
			d := new(damaged)
			try := func(next damaged) bool {
				*d = next
				d.file = file
				return yield(d)
			}
			if n := len(l.live[file]); !eachByte(n, try) || !eachLength(n, try) || !eachPiece(n, l.older[file], try) {
				return
			}
		}
	}
}

const bitTurned = "bit turned"

func turnBit(d *damaged, b []byte) []byte { b[d.at] ^= 1 << d.n; return b }
func setByte(d *damaged, b []byte) []byte { b[d.at] = byte(d.n); return b }
func addByte(d *damaged, b []byte) []byte { b[d.at] += byte(d.n); return b }

func eachByte(n int, try func(damaged) bool) bool {
	for at := range n {
		for bit := range 8 {
			if !try(damaged{what: bitTurned, at: at, n: bit, make: turnBit}) {
				return false
			}
		}
		if !try(damaged{what: "byte set", at: at, n: 0, make: setByte}) || !try(damaged{what: "byte set", at: at, n: 0xFF, make: setByte}) ||
			!try(damaged{what: "byte more", at: at, n: 1, make: addByte}) || !try(damaged{what: "byte more", at: at, n: -1, make: addByte}) {
			return false
		}
	}
	return true
}

func cutFile(d *damaged, b []byte) []byte { return b[:d.at] }

func growFile(d *damaged, b []byte) []byte {
	for len(b) < d.at {
		b = append(b, byte(d.n))
	}
	return b
}

func eachLength(n int, try func(damaged) bool) bool {
	for length := range n {
		if !try(damaged{what: "file cut", at: length, make: cutFile}) {
			return false
		}
	}
	for more := 1; more <= 8192; more++ {
		if !try(damaged{what: "file longer by", at: n + more, n: 0, make: growFile}) || !try(damaged{what: "file longer by", at: n + more, n: 0xFF, make: growFile}) {
			return false
		}
	}
	return true
}

func zeroPiece(d *damaged, b []byte) []byte { clear(b[d.at:][:d.n]); return b }
func swapPiece(d *damaged, b []byte) []byte { exchange(b[d.at:][:d.n], b[d.m:]); return b }
func oldPiece(d *damaged, b []byte) []byte  { copy(b[d.at:][:d.n], d.old[d.at:]); return b }

func eachPiece(n int, older [][]byte, try func(damaged) bool) bool {
	for size := sector; size <= pieceLimit*sector; size += sector {
		for at := 0; at+size <= n; at += sector {
			if !try(damaged{what: "zeroed", at: at, n: size, make: zeroPiece}) {
				return false
			}
			for other := at + size; other+size <= n; other += sector {
				if !try(damaged{what: "exchanged", at: at, n: size, m: other, make: swapPiece}) {
					return false
				}
			}
			for i, old := range older {
				if at+size <= len(old) && !try(damaged{what: "as once", at: at, n: size, m: i, old: old, make: oldPiece}) {
					return false
				}
			}
		}
	}
	return true
}

func exchange(a, b []byte) {
	for i := range a {
		a[i], b[i] = b[i], a[i]
	}
}

// damageAll tries its part of the damages, or about every stride-th of those.
func (l *largeSpecimen) damageAll(t *testing.T, total *bitCounts, part, stride int) {
	whole := map[string][]byte{}
	for _, name := range l.files {
		data, err := l.disk.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		whole[name] = data
	}
	rng, i := rand.New(rand.NewPCG(uint64(*faultSeed), 0)), 0
	var data []byte // used again and again
	for d := range l.all() {
		i++
		if drawn := rng.IntN(stride) == 0; !drawn || i%bitsParts != part {
			continue
		}
		was := whole[d.file]
		data = d.make(d, append(data[:0], was...))
		if bytes.Equal(data, was) {
			continue
		}
		began := time.Now()
		var reported bool
		err := bounded(d.String(), func() (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("panic: %v", p)
				}
			}()
			reported, err = l.tryDamage(d.file, was, data)
			return err
		})
		if err != nil {
			t.Fatalf("%v: %v\nrepeat: %s", d, err, again(t))
		}
		total.files.Add(1)
		if reported {
			total.reported.Add(1)
		}
		if d.what == bitTurned {
			total.bits.Add(1)
		}
		if took := int64(time.Since(began)); took > total.slowest.Load() {
			total.slowest.Store(took)
		}
	}
}

// tryDamage opens and verifies the specimen with one file damaged. It returns
// whether verify reported the damage.
func (l *largeSpecimen) tryDamage(name string, was, data []byte) (reported bool, err error) {
	disk := l.disk.Clone()
	from, to := difference(was, data)
	if err := rewrite(disk, name, data, from, to); err != nil {
		return false, err
	}
	report, err := l.reports(disk)
	if err != nil {
		return false, err
	}
	live, single := l.touches(name, was, data, from, to)
	lost, silent := 0, false
	if name == l.lastLog && live && len(data) == len(was) {
		lost, silent = l.excused(was, data)
	}
	switch reported = report != ""; {
	case live && !reported && !silent:
		return false, errors.New("verify reports nothing, and a live byte was changed")
	case !live && single && reported:
		return false, fmt.Errorf("verify reports a change of a byte that is on the list of dead ones: %s", report)
	}
	return reported, l.readDamaged(disk, len(l.hist.commits)-1-lost, silent)
}

// readDamaged opens a damaged disk read-only, and reads all. At least so many
// commits must be there, and if the last is not, the report must say that
// something was cut off, unless silent.
func (l *largeSpecimen) readDamaged(disk *vfs.Mem, least int, silent bool) error {
	o := small(full)
	o.FS, o.ReadOnly = disk, true
	db, err := engine.Open(dbDir, &o)
	if err != nil {
		if !isDamage(err) {
			return fmt.Errorf("open gives an error that does not tell of damage: %w", err)
		}
		return nil
	}
	defer db.Close()
	k, err := l.hist.find(db, least, len(l.hist.commits)-1)
	if err != nil && (errors.Is(err, errWrong) || !isDamage(err)) {
		return err
	}
	if k < len(l.hist.commits)-1 && db.OpenReport().TornBytes == 0 && !silent {
		return errors.New("the last commit is missing, and the report does not say that anything was cut off")
	}
	return nil
}

// reports is the first thing that verify says of the damaged database and not of
// the sound one.
func (l *largeSpecimen) reports(disk *vfs.Mem) (string, error) {
	report, err := verify.Run(context.Background(), dbDir, verify.Options{FS: disk, Workers: 1})
	if err != nil {
		if !isDamage(err) {
			return "", fmt.Errorf("verify gives an error that does not tell of damage: %w", err)
		}
		return err.Error(), nil
	}
	for _, f := range append(report.Findings, report.Notes...) {
		if text := fmt.Sprintf("%+v", f); text != l.note {
			return text, nil
		}
	}
	if report.TornBytes > 0 {
		return fmt.Sprintf("%d torn bytes", report.TornBytes), nil
	}
	return "", nil
}

// difference returns a part of a file outside of which it is what it was, or one
// behind which there is nothing.
func difference(was, data []byte) (from, to int) {
	n := min(len(was), len(data))
	for from+sector <= n && bytes.Equal(was[from:from+sector], data[from:from+sector]) {
		from += sector
	}
	if to = max(len(was), len(data)); to > n {
		return from, to
	}
	for to-sector >= from && bytes.Equal(was[to-sector:to], data[to-sector:to]) {
		to -= sector
	}
	return from, to
}

// rewrite gives a file new content, of which only that part is new. (The disk
// shares the rest with others.)
func rewrite(disk *vfs.Mem, name string, data []byte, from, to int) error {
	f, err := disk.Open(name, vfs.ReadWrite)
	if err != nil {
		return err
	}
	err = f.Truncate(int64(len(data)))
	if err == nil && from < len(data) {
		_, err = f.WriteAt(data[from:min(to, len(data))], int64(from))
	}
	return errors.Join(err, f.Close())
}

// touches compares a file with what it was, which differs in a part only:
// whether a live byte differs, and whether all that differs is one byte.
func (l *largeSpecimen) touches(name string, was, data []byte, from, to int) (live, single bool) {
	differ := max(0, len(data)-len(was))
	for i := from; i < min(to, len(was)); i++ {
		if i < len(data) && data[i] == was[i] {
			continue
		}
		differ++
		live = live || l.live[name][i] && !l.onlyCopy(name, was, data, i)
	}
	return live, differ == 1 && len(was) == len(data)
}

// excused is what F10 excuses of damage to the last log: how many commits may be
// missing, when their records were damaged and nothing before them; and whether
// nothing need tell of it, since zeros stand where the first of them began.
func (l *largeSpecimen) excused(was, data []byte) (lost int, silent bool) {
	n := len(l.records) - 1
	for lost < n && !bytes.Equal(was[l.records[n-lost-1]:l.records[n-lost]], data[l.records[n-lost-1]:l.records[n-lost]]) {
		lost++
	}
	from := l.records[n-lost]
	for i, live := range l.live[l.lastLog][:from] {
		if live && was[i] != data[i] {
			return 0, false
		}
	}
	return lost, bytes.Equal(data[from:from+recordHeader], make([]byte, recordHeader))
}

// onlyCopy reports whether a byte is in one of the places of metas, and what was
// lost there is only a copy: no meta stands in the copy's place, or one that has
// stood in btree.db before; or slot and copy changed places.
func (l *largeSpecimen) onlyCopy(name string, was, data []byte, at int) bool {
	slot, place := at/4096*4096, at/sector*sector
	if name != "/"+treeFile || slot > 4096 || place != slot && place != slot+2048 || len(data) < slot+2048+sector {
		return false
	}
	meta := func(b []byte, at int) []byte { return b[at : at+sector] }
	if bytes.Equal(meta(was, slot), meta(data, slot+2048)) && bytes.Equal(meta(was, slot+2048), meta(data, slot)) {
		return true
	}
	stands := meta(data, place)
	return place > slot && (bytes.Equal(stands, make([]byte, sector)) || slices.ContainsFunc(l.metas, func(m []byte) bool { return bytes.Equal(m, stands) }))
}

// The list of live bytes, from docs/FORMAT.md alone.

// findLive fills in the files and their live bytes.
func (l *largeSpecimen) findLive(t testing.TB) *largeSpecimen {
	t.Helper()
	l.live = map[string][]bool{}
	file := func(name string) []byte {
		data, err := l.disk.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	tree := file(treeFile)
	newest := tree[:512]
	if other := tree[4096:4608]; binary.LittleEndian.Uint64(other[32:]) > binary.LittleEndian.Uint64(newest[32:]) {
		newest = other
	}
	l.live["/"+treeFile] = liveOfTree(tree, newest)
	reached := true
	for _, name := range l.disk.Names() {
		if filepath.Ext(name) != ".log" {
			continue
		}
		if live, records, goesOn := liveOfLog(file(name), newest, reached); live != nil {
			reached = goesOn
			l.live[filepath.ToSlash(name)] = live
			if l.lastLog != "" && len(records) > 1 {
				l.lastLog, l.records = filepath.ToSlash(name), records
			}
		}
	}
	for _, tree := range append(l.older["/"+treeFile], tree) {
		for at := 0; at+sector <= min(len(tree), 8192); at += 2048 {
			l.metas = append(l.metas, tree[at:at+sector])
		}
	}
	l.files = slices.Sorted(maps.Keys(l.live))
	sound, err := verify.Run(context.Background(), dbDir, verify.Options{FS: l.disk})
	if err != nil || !sound.OK || len(sound.Notes) > 1 || sound.TornBytes > 0 {
		t.Fatalf("%s, without any damage: %+v, %v", l.name, sound, err)
	}
	for _, note := range sound.Notes {
		l.note = fmt.Sprintf("%+v", note)
	}
	return l
}

// liveOfTree: the four places of metas (M1), also where a copy was never written:
// something else than zeros there is told; and all from 8192 to the file size but what the free list holds (M3).
func liveOfTree(tree, meta []byte) []bool {
	live := make([]bool, len(tree))
	mark := func(from, to int, is bool) {
		for i := from; i < to; i++ {
			live[i] = is
		}
	}
	for _, at := range []int{0, 2048, 4096, 6144} {
		mark(at, at+512, true)
	}
	le := binary.LittleEndian
	mark(8192, int(le.Uint64(meta[48:])), true)
	units := func(b []byte) int { return int(le.Uint32(b)) | int(le.Uint16(b[4:]))<<32 }
	if at := units(meta[112:]) * sector; at > 0 {
		body := tree[at+48:]
		next := func() int {
			n, size := binary.Uvarint(body)
			body = body[size:]
			return int(n)
		}
		count, from := next(), 8192
		for range count {
			from += next() * sector
			to := from + next()*sector
			mark(from, to, false)
			from = to
		}
	}
	return live
}

// recordHeader is how many bytes of a record of the log precede its operations.
const recordHeader = 40

// liveOfLog: the header of a segment; its records from the log start on, to the
// last; and, where they do not go on in another segment, the 40 bytes behind it,
// which are zeros: something else there is told as a torn tail. Of a segment that
// was only made ready, and not reached, it is the header. It returns also where
// the records begin and where the last of them ends, and whether they go on in
// the next segment; and nil for a segment that is not read at all: one before
// that which the meta names.
func liveOfLog(log, meta []byte, reached bool) (live []bool, records []int, goesOn bool) {
	le := binary.LittleEndian
	if le.Uint64(log[32:]) < le.Uint64(meta[72:]) {
		return nil, nil, false
	}
	live = make([]bool, len(log))
	mark := func(from, to int) {
		for i := from; i < min(to, len(log)); i++ {
			live[i] = true
		}
	}
	mark(0, 128)
	if !reached {
		return live, nil, false
	}
	begin, logStart := le.Uint64(log[40:]), le.Uint64(meta[64:])
	at := int(4096 + max(logStart, begin) - begin)
	for at+recordHeader <= len(log) {
		record := log[at:]
		if le.Uint64(record[8:]) != begin+uint64(at)-4096 || le.Uint32(record[36:]) != uint32(le.Uint64(log[32:])) {
			break
		}
		size := recordHeader + (int(le.Uint32(record[4:]))+7)&^7
		mark(at, at+size)
		if le.Uint32(record[32:]) == 0 { // the end of the segment
			return live, append(records, at), true
		}
		records = append(records, at)
		at += size
	}
	mark(at, at+recordHeader)
	return live, append(records, at), at+recordHeader > len(log)
}

// The databases.

// remember notes what the files hold now, as an older state.
func (l *largeSpecimen) remember(t testing.TB, disk *vfs.Mem) {
	t.Helper()
	if l.older == nil {
		l.older = map[string][][]byte{}
	}
	for _, name := range disk.Names() {
		if ext := filepath.Ext(name); ext != ".db" && ext != ".log" {
			continue // a spare segment can go at any time
		}
		data, err := disk.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		name = filepath.ToSlash(name)
		l.older[name] = append(l.older[name], data)
	}
}

// largeSettled is the settled specimen with more in it, and with a history: the
// free list has several extents.
func largeSettled(t testing.TB) *largeSpecimen {
	l := &largeSpecimen{specimen: settledSpecimen(t)}
	l.remember(t, l.disk)
	s := &session{t: t, fs: l.disk, opts: small(full), hist: l.hist, still: true}
	s.open()
	s.apply(entriesOf("m", 40, 90)...)
	s.checkpoint()
	l.remember(t, l.disk)
	s.apply(delRange("m00010", "m00030"), put("overflow", valueOf("v", 3, 1500)))
	s.close()
	return l.findLive(t)
}

// largeUnclean is the unclean specimen: the metas of a killed process, and a
// log of several commits.
func largeUnclean(t testing.TB) *largeSpecimen {
	sp, sim := uncleanOf(t, 120, 60)
	l := &largeSpecimen{specimen: sp}
	for _, part := range []int{2, 3} {
		l.remember(t, sim.Image(sim.Ops()*part/4, faultfs.None))
	}
	return l.findLive(t)
}

// largeRuns is the specimen with sorted runs.
func largeRuns(t testing.TB) *largeSpecimen {
	l := &largeSpecimen{specimen: runsOf(t, 130)}
	l.remember(t, l.disk)
	return l.findLive(t)
}
