package wal

import (
	"errors"
	"io/fs"
	"math"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

func TestLog_RoundTrip(t *testing.T) {
	m := create(t, small(vfs.NewMem()))
	for n := range 100 {
		m.mustAppend(t, n)
	}
	// Around the end of a segment: what is left after the record is 0, 8, …
	// bytes, less and more than an end-of-segment record.
	for left := 0; left <= 96; left += 8 {
		m.mustAppend(t, 4096-2*recordSize-200, 200-left, 1)
	}
	m.mustAppend(t, 5000, 0, 100_000, 1, 4096-recordSize, 0, 4096-recordSize+1, 0)
	if err := m.log.Close(false); err != nil {
		t.Fatal(err)
	}
	m.reopen(t)
	m.mustAppend(t, 1, 2, 3)
	m.close(t)
	m.reopen(t)
}

func TestLog_OpenAndClose_ChangesNothing(t *testing.T) {
	m := create(t, small(vfs.NewMem()))
	m.mustAppend(t, 1000, 2000, 3000, 10)
	if err := m.log.Prepare(); err != nil {
		t.Fatal(err)
	}
	m.close(t)
	want := names(t, m.o)
	for range 3 {
		if r := m.reopen(t); r.Copied != 0 || r.Removed != 0 || r.Recycled != 0 || r.TornBytes != 0 {
			t.Fatalf("report of a clean open: %+v", r)
		}
		m.close(t)
	}
	if got := names(t, m.o); !slices.Equal(got, want) {
		t.Fatalf("files %v, want %v", got, want)
	}
	m.reopen(t)
	m.mustAppend(t, 10)
	if got := names(t, m.o); !slices.Equal(got, want) {
		t.Fatalf("files after an append %v, want %v", got, want)
	}
}

func TestLog_UncleanClose_DoesNotGrow(t *testing.T) {
	m := create(t, small(vfs.NewMem()))
	m.mustAppend(t, 1000, 2000)
	var want int
	for i := range 5 {
		m.reopen(t)
		if i == 1 {
			want = len(names(t, m.o))
		}
	}
	if got := names(t, m.o); len(got) != want {
		t.Fatalf("%d files, had %d: %v", len(got), want, got)
	}
}

func TestLog_Append_TooLarge(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) < 8 {
		return // no such slices
	}
	m := create(t, small(vfs.NewMem()))
	m.mustAppend(t, 10)
	before := m.log.End()
	// Sixteen pieces of one array: the sum is what counts.
	piece := make([]byte, 1<<28)
	pieces := slices.Repeat([][]byte{piece}, 16)
	if _, err := m.log.Append(m.lastSeq()+1, 1, pieces...); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("Append of %d bytes: %v, want ErrTooLarge", uint64(math.MaxUint32)+1, err)
	}
	if m.log.End() != before {
		t.Fatal("a record that is too large moved the end")
	}
	m.mustAppend(t, 10)
	m.reopen(t)
}

func TestCreate_AfterInterruptedCreate(t *testing.T) {
	sim := faultfs.NewSim()
	create(t, small(sim))
	for n := range sim.Ops() + 1 {
		for _, d := range faultfs.Damages(20, 7) {
			m := create(t, small(sim.Image(n, d)))
			m.mustAppend(t, 10)
			if _, err := Create(m.o, 0); !errors.Is(err, fs.ErrExist) {
				t.Fatalf("Create over a log with a record: %v, want ErrExist", err)
			}
			m.reopen(t)
		}
	}
}

func TestLog_Closed(t *testing.T) {
	m := create(t, small(vfs.NewMem()))
	m.mustAppend(t, 10)
	m.close(t)
	for what, err := range map[string]error{
		"Append": m.append(1), "Prepare": m.log.Prepare(), "Release": m.log.Release(0), "Close": m.log.Close(false),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Close: %v, want ErrClosed", what, err)
		}
	}
	if _, err := m.log.Sync(); !errors.Is(err, ErrClosed) {
		t.Errorf("Sync after Close: %v, want ErrClosed", err)
	}
}

// A failed sync is final. Whatever a reopen shows then, although the page
// cache holds pages that are clean and never reached the disk, is there for
// good.
func TestF06_FailedSync(t *testing.T) {
	for failing := 1; failing <= 3; failing++ {
		sim := faultfs.NewSim()
		m := create(t, small(sim))
		m.mustAppend(t, 100)
		m.mustSync(t)
		m.mustAppend(t, 1000, 2000, 3000, 3000, 100) // three segments
		sim.FailSync(failing)
		_, err := m.log.Sync()
		if !errors.Is(err, ErrFailed) || !errors.Is(err, faultfs.ErrIO) {
			t.Fatalf("Sync: %v, want ErrFailed and the cause", err)
		}
		if _, again := m.log.Sync(); again != err {
			t.Fatalf("second Sync: %v, want the first error", again)
		}
		if again := m.append(1); again != err {
			t.Fatalf("Append: %v, want the first error", again)
		}
		if m.log.Synced() != m.entries[0].end {
			t.Fatalf("synced to %d after a failed Sync", m.log.Synced())
		}
		if v := sim.Violations(); len(v) > 0 {
			t.Fatal(v)
		}
		if err := m.log.Close(true); !errors.Is(err, ErrFailed) {
			t.Fatalf("Close: %v, want ErrFailed", err)
		}
		m.reopen(t)
		for _, d := range faultfs.Damages(50, 1) {
			again := *m
			again.o.FS = sim.Image(sim.Ops(), d)
			again.reopen(t)
		}
	}
}

// What a process that died left in the page cache is acknowledged in mode
// normal. A recovery that has shown it has made it durable.
func TestOpen_MakesDurableWhatItShows(t *testing.T) {
	for seed := range uint64(30) {
		rnd := newRand(seed)
		sim := faultfs.NewSim()
		m := create(t, small(sim))
		for range 1 + rnd.IntN(12) {
			m.mustAppend(t, rnd.IntN(3000))
			if rnd.IntN(4) == 0 {
				m.mustSync(t)
			}
		}
		m.reopen(t)
		m.mustAppend(t, 10)
		for _, d := range faultfs.Damages(20, int64(seed)) {
			lost := *m
			lost.o.FS = sim.Image(sim.Ops(), d)
			n := 0
			if _, _, err := Open(lost.o, lost.meta, matcher(lost.entries, &n)); err != nil {
				t.Fatalf("seed %d, %v: %v", seed, d, err)
			}
			if n < len(m.entries)-1 {
				t.Fatalf("seed %d, %v: %d records, had been shown %d", seed, d, n, len(m.entries)-1)
			}
		}
	}
}

// Only what is not known to be durable is copied.
func TestOpen_CopiesFromTheSyncedMark(t *testing.T) {
	m := create(t, small(vfs.NewMem()))
	for range 20 {
		m.mustAppend(t, 1000)
		m.mustSync(t)
	}
	if r := m.reopen(t); r.Copied != 1040 {
		t.Fatalf("%d bytes copied, want those of the last record", r.Copied)
	}
}

// In a recycled segment, the end of the log does not look torn.
func TestOpen_IntoASpare(t *testing.T) {
	m := create(t, small(vfs.NewMem()))
	m.fill(t, 4)
	m.checkpoint()
	if err := m.log.Release(m.meta.LSN); err != nil {
		t.Fatal(err)
	}
	m.mustAppend(t, 10)
	for range 3 {
		if r := m.reopen(t); r.TornBytes != 0 {
			t.Fatalf("%d torn bytes, want none", r.TornBytes)
		}
	}
}

// What is appended while Sync runs may or may not be durable: Sync must not
// say that it is.
func TestSync_AppendMeanwhile(t *testing.T) {
	in := faultfs.Inject(vfs.NewMem())
	m := create(t, small(in))
	m.mustAppend(t, 100)
	want := m.log.End()
	in.SetHook(func(op faultfs.Op) error {
		if op.Kind == faultfs.OpSync {
			in.SetHook(nil)
			m.mustAppend(t, 100, 5000)
		}
		return nil
	})
	if lsn, err := m.log.Sync(); err != nil || lsn != want || m.log.Synced() != want {
		t.Fatalf("Sync = %d, %v; Synced = %d; want %d", lsn, err, m.log.Synced(), want)
	}
	m.mustSync(t)
}

func TestF05_NoSpace(t *testing.T) {
	in := faultfs.Inject(vfs.NewMem())
	m := create(t, small(in))
	m.mustAppend(t, 3000)
	in.SetCapacity(2*8192 + 100)
	m.mustAppend(t, 3000) // fits a second segment
	for range 3 {
		if err := m.append(3000); !vfs.IsNoSpace(err) || errors.Is(err, ErrFailed) {
			t.Fatalf("Append on a full disk: %v", err)
		}
		if err := m.log.Prepare(); !vfs.IsNoSpace(err) || errors.Is(err, ErrFailed) {
			t.Fatalf("Prepare on a full disk: %v", err)
		}
	}
	m.mustAppend(t, 100) // there is room for this one
	m.mustSync(t)
	if list := names(t, m.o); len(list) != 2 {
		t.Fatalf("files on a full disk: %v", list)
	}
	in.SetCapacity(-1)
	m.mustAppend(t, 3000, 3000)
	m.mustSync(t)
	m.reopen(t)
}

// On some file systems even a write into allocated space meets a full disk.
func TestF05_NoSpace_InPlace(t *testing.T) {
	in := faultfs.Inject(vfs.NewMem())
	o := small(in)
	o.Mapped = false
	m := create(t, o)
	m.mustAppend(t, 100)
	for _, n := range []int{0, 1, 39, 100, 543, 544, 560} {
		in.FailNth(1, &faultfs.Short{Bytes: n, Err: vfs.ErrNoSpace}, false, faultfs.OpWrite)
		if err := m.append(500); !vfs.IsNoSpace(err) || errors.Is(err, ErrFailed) {
			t.Fatalf("Append: %v", err)
		}
		m.mustAppend(t, 200)
		m.reopen(t)
		m.mustAppend(t, 50)
	}
	// What is missing of a record may be what stands there already, so that
	// all of it is there. Refused, it must not come back.
	in.FailNth(1, &faultfs.Short{Bytes: 544, Err: vfs.ErrNoSpace}, false, faultfs.OpWrite)
	if err := m.append(500); !vfs.IsNoSpace(err) || errors.Is(err, ErrFailed) {
		t.Fatalf("Append: %v", err)
	}
	m.reopen(t)
}

// Records that are written together are records like any other, across segments
// and at the very end of one.
func TestLog_AppendEach(t *testing.T) {
	for _, mapped := range []bool{false, true} {
		in := faultfs.Inject(vfs.NewMem())
		o := small(in)
		o.Mapped = mapped
		m := create(t, o)
		m.mustAppend(t, 100)
		for range 10 {
			m.mustAppendEach(t, 0, 1, 300, 8, 77)
			m.mustAppend(t, 20)
		}
		m.mustAppendEach(t, 3000, 3000, 50) // more than a segment has
		// To where there is no room for another record, not even an empty one.
		m.mustAppendEach(t, int(m.log.rest())-120-32-recordSize, 120-recordSize)
		m.mustAppend(t, 1)
		before := in.Calls()
		m.mustAppendEach(t, 10, 20, 30, 40)
		if n := in.Calls() - before; n > 1 {
			t.Errorf("%d calls for four records, want one write", n)
		}
		m.mustSync(t)
		m.reopen(t)
		m.mustAppend(t, 1500)
		m.mustAppendEach(t, 10, 20) // with zeros behind, whatever the buffer held
		if r := m.reopen(t); r.TornBytes != 0 {
			t.Errorf("%d torn bytes", r.TornBytes)
		}
	}
}

// What a full disk left of records that were written together is wiped, all of
// it: none is found behind a later record in the place of the first of them,
// where a power cut kept the zeros behind that from being written.
func TestF05_NoSpace_OfSeveral(t *testing.T) {
	for _, n := range []int{0, 1, 40, 540, 544, 1000, 1088, 1500, 1632} {
		in := faultfs.Inject(vfs.NewMem())
		o := small(in)
		o.Mapped = false
		m := create(t, o)
		m.mustAppend(t, 100)
		in.FailNth(1, &faultfs.Short{Bytes: n, Err: vfs.ErrNoSpace}, false, faultfs.OpWrite)
		if err := m.appendEach(500, 500, 500); !vfs.IsNoSpace(err) || errors.Is(err, ErrFailed) {
			t.Fatalf("AppendEach: %v", err)
		}
		m.reopen(t)
		m.mustAppendEach(t, 500, 500, 500)
		m.mustAppend(t, 50)
		m.reopen(t)

		in.FailNth(1, &faultfs.Short{Bytes: n, Err: vfs.ErrNoSpace}, false, faultfs.OpWrite)
		if err := m.appendEach(500, 500, 500); !vfs.IsNoSpace(err) || errors.Is(err, ErrFailed) {
			t.Fatalf("AppendEach: %v", err)
		}
		seq, end := m.lastSeq()+1, m.log.End()+544
		in.FailNth(1, &faultfs.Short{Bytes: 544, Err: faultfs.ErrIO}, false, faultfs.OpWrite)
		if err := m.appendEach(500); !errors.Is(err, ErrFailed) {
			t.Fatalf("AppendEach: %v", err)
		}
		m.entries = append(m.entries, entry{seq: seq, count: 1, end: end, payload: payload(seq, 500)})
		m.reopen(t)
	}
}

// A store into a mapping leaves the first bytes for last. One that met a full disk
// may have left all but these, and with them later records that are whole: none
// of them is found either.
func TestF05_NoSpace_OfSeveral_LaterOnesStored(t *testing.T) {
	disk := &storeFS{FS: vfs.NewMem()}
	in := faultfs.Inject(disk)
	o := small(in)
	o.Mapped = false
	m := create(t, o)
	m.mustAppend(t, 100)
	for _, missing := range []int{24, 32, 600} {
		disk.missing = missing
		if err := m.appendEach(500, 500, 500, 500); !vfs.IsNoSpace(err) || errors.Is(err, ErrFailed) {
			t.Fatalf("AppendEach: %v", err)
		}
		disk.missing = 0
		m.mustAppendEach(t, 500)
		seq, end := m.lastSeq()+1, m.log.End()+544
		in.FailNth(1, &faultfs.Short{Bytes: 544, Err: faultfs.ErrIO}, false, faultfs.OpWrite)
		if err := m.appendEach(500); !errors.Is(err, ErrFailed) {
			t.Fatalf("AppendEach: %v", err)
		}
		m.entries = append(m.entries, entry{seq: seq, count: 1, end: end, payload: payload(seq, 500)})
		m.reopen(t)
	}
}

// storeFS is a file system whose disk is full, while missing is not 0, behind 2000
// bytes of a write of several records: of these it stores all but the first.
type storeFS struct {
	vfs.FS
	missing int
}

type storeFile struct {
	vfs.File
	fs *storeFS
}

func (f *storeFS) Open(name string, mode vfs.Mode) (vfs.File, error) {
	file, err := f.FS.Open(name, mode)
	return &storeFile{file, f}, err
}

func (f *storeFile) WriteAt(p []byte, off int64) (int, error) {
	if n := f.fs.missing; n > 0 && len(p) > 2000 {
		if _, err := f.File.WriteAt(p[n:2000], off+int64(n)); err != nil {
			return 0, err
		}
		return 0, vfs.ErrNoSpace
	}
	return f.File.WriteAt(p, off)
}

// A long record is written in three parts, its head last. Whichever of them the
// disk has no room for, the record is not there, and the log goes on.
func TestF05_NoSpace_InALongRecord(t *testing.T) {
	const long, head, all = 10000, recordSize + 5000, 15000
	for part, lengths := range [][]int{{0, 1, 4096, long}, {0, 1, recordSize}, {0, 1, 39, 40, 4999, head}} {
		for _, n := range lengths {
			in := faultfs.Inject(vfs.NewMem())
			o := small(in)
			o.Mapped, o.SegmentSize = false, 64<<10
			m := create(t, o)
			m.mustAppend(t, 100, 5000) // the second segment has room for more
			m.mustSync(t)
			in.FailNth(1+part, &faultfs.Short{Bytes: n, Err: vfs.ErrNoSpace}, false, faultfs.OpWrite)
			if err := m.append(all); !vfs.IsNoSpace(err) || errors.Is(err, ErrFailed) {
				t.Fatalf("part %d, %d bytes: Append: %v", part, n, err)
			}
			m.reopen(t)
			in.FailNth(1+part, &faultfs.Short{Bytes: n, Err: vfs.ErrNoSpace}, false, faultfs.OpWrite)
			if err := m.append(all); !vfs.IsNoSpace(err) {
				t.Fatalf("part %d, %d bytes: Append again: %v", part, n, err)
			}
			m.mustAppend(t, 200, all, 50)
			m.mustSync(t)
			m.reopen(t)
			m.mustAppend(t, all)
			m.reopen(t)
		}
	}
}

// Of a long record whose writing failed a recovery finds all or nothing.
func TestF04_FailedWrite_OfALongRecord(t *testing.T) {
	for part := range 3 {
		for _, n := range []int{0, 1, 39, 40, 41, 4999, 9999, 10000} {
			in := faultfs.Inject(vfs.NewMem())
			o := small(in)
			o.Mapped, o.SegmentSize = false, 64<<10
			m := create(t, o)
			m.mustAppend(t, 100, 5000) // the second segment has room for more
			in.FailNth(1+part, &faultfs.Short{Bytes: n, Err: faultfs.ErrIO}, false, faultfs.OpWrite)
			if err := m.append(15000); !errors.Is(err, ErrFailed) || !errors.Is(err, faultfs.ErrIO) {
				t.Fatalf("part %d, %d bytes: Append: %v, want ErrFailed and the cause", part, n, err)
			}
			seq, want := m.lastSeq()+1, uint64(2)
			if part == 2 && n >= recordSize+5000 {
				want = 3 // all of it was written
			}
			m.entries = append(m.entries, entry{
				seq: seq, count: uint32(1 + seq%3), end: m.log.End() + LSN(align(recordSize+15000)), payload: payload(seq, 15000),
			})
			l, r, err := Open(m.o, m.meta, matcher(m.entries, new(int)))
			if err != nil || r.Records != want {
				t.Fatalf("part %d, %d bytes: Open: %d records, %v; want %d", part, n, r.Records, err, want)
			}
			if err := l.Close(true); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestF04_FailedWrite(t *testing.T) {
	for n := range 160 {
		in := faultfs.Inject(vfs.NewMem())
		o := small(in)
		o.Mapped = false
		m := create(t, o)
		m.mustAppend(t, 100)
		in.FailNth(1, &faultfs.Short{Bytes: n, Err: faultfs.ErrIO}, false, faultfs.OpWrite)
		err := m.append(80)
		if !errors.Is(err, ErrFailed) || !errors.Is(err, faultfs.ErrIO) {
			t.Fatalf("Append: %v, want ErrFailed and the cause", err)
		}
		if again := m.append(1); again != err {
			t.Fatalf("second Append: %v, want the first error", again)
		}
		m.entries = append(m.entries, entry{seq: 3, count: 1, end: m.log.End() + 120, payload: payload(3, 80)})
		seen := 0
		_, r, err := Open(m.o, m.meta, matcher(m.entries, &seen))
		if err != nil {
			t.Fatal(err)
		}
		if whole := n >= 120; seen == 1 == whole || (r.TornBytes == 0) != (n == 0 || whole) {
			t.Fatalf("after %d of 120 bytes: %d records, %d torn bytes", n, seen, r.TornBytes)
		}
	}
}

// An error at any call of a session leaves a log that opens with everything
// that was synced, and no file open.
func TestLog_ErrorAtEveryCall(t *testing.T) {
	for _, cause := range []error{faultfs.ErrIO, vfs.ErrNoSpace} {
		for n := 1; ; n++ {
			disk := vfs.NewMem()
			in := faultfs.Inject(disk)
			m := create(t, small(in))
			in.FailNth(n, cause, false)
			before := in.Calls()
			var floor LSN
			session := func() error {
				for round := range 3 {
					for range 3 {
						if err := m.append(1500); err != nil {
							return err
						}
					}
					if _, err := m.log.Sync(); err != nil {
						return err
					}
					floor = m.log.Synced()
					if round == 1 {
						m.checkpoint()
						if err := m.log.Release(m.meta.LSN); err != nil {
							return err
						}
					}
				}
				if err := m.log.Close(false); err != nil {
					return err
				}
				l, _, err := Open(m.o, m.meta, func(Record) error { return nil })
				if err != nil {
					return err
				}
				m.log = l
				return nil
			}
			failed := session()
			reached := in.Calls()-before >= n
			_ = m.log.Close(false)
			if open := in.OpenFiles(); len(open) > 0 {
				t.Fatalf("call %d (%v): left open %v", n, failed, open)
			}
			if v := in.Violations(); len(v) > 0 {
				t.Fatalf("call %d: %v", n, v)
			}
			m.entries = append(m.entries, entry{ // the one whose Append failed may be there
				seq: m.lastSeq() + 1, count: uint32(1 + (m.lastSeq()+1)%3),
				end: m.log.End() + 1544, payload: payload(m.lastSeq()+1, 1500),
			})
			m.o.FS = disk
			seen := 0
			if _, r, err := Open(m.o, m.meta, matcher(m.after(), &seen)); err != nil {
				t.Fatalf("call %d (%v): %v", n, failed, err)
			} else if r.To < floor {
				t.Fatalf("call %d (%v): recovered to %d, synced to %d", n, failed, r.To, floor)
			}
			if !reached {
				if n < 30 {
					t.Fatalf("the session made only %d calls", n)
				}
				break
			}
		}
	}
}

func TestLog_Append_DoesNotAllocate(t *testing.T) {
	o := small(vfs.NewMem())
	o.SegmentSize = 0
	m := create(t, o)
	value := make([]byte, 116)
	pieces := [][]byte{value}
	seq := m.lastSeq() + 1
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := m.log.Append(seq, 1, pieces...); err != nil {
			t.Fatal(err)
		}
		seq++
	}); n != 0 {
		t.Fatalf("%v allocations an Append", n)
	}
}

// The operations on files are part of the design: what is synced before what.
func TestLog_Operations(t *testing.T) {
	sim := faultfs.NewSim()
	m := create(t, small(sim))
	m.mustAppend(t, 3000, 3000)
	m.mustSync(t)
	got := strings.Join(sim.Trace(), "\n")
	want := strings.TrimSpace(`
mkdir wal
syncdir .
create wal/1.tmp
allocate wal/1.tmp 0 8192
write wal/1.tmp 0 4136
sync wal/1.tmp
rename wal/1.tmp wal/0000000000000001.log
syncdir wal
write wal/1.tmp 4096 3080
create wal/2.tmp
allocate wal/2.tmp 0 8192
write wal/2.tmp 0 4136
sync wal/2.tmp
rename wal/2.tmp wal/0000000000000002.log
syncdir wal
write wal/1.tmp 7136 80
write wal/2.tmp 4096 3080
sync wal/1.tmp
sync wal/2.tmp`)
	if got != want {
		t.Fatalf("operations:\n%s\nwant:\n%s", got, want)
	}
}

// fullFS is a file system whose disk is full where full is set, and which does
// not tell how much of a record it has written all the same.
type fullFS struct {
	vfs.FS
	full bool
}

type fullFile struct {
	vfs.File
	fs *fullFS
}

func (f *fullFS) Open(name string, mode vfs.Mode) (vfs.File, error) {
	file, err := f.FS.Open(name, mode)
	return &fullFile{file, f}, err
}

func (f *fullFile) WriteAt(p []byte, off int64) (int, error) {
	if !f.fs.full || len(p) <= recordSize {
		return f.File.WriteAt(p, off)
	}
	if _, err := f.File.WriteAt(p[:len(p)/2], off); err != nil {
		return 0, err
	}
	return 0, vfs.ErrNoSpace
}

// A record that the disk had no room for is not there, also when all that is
// missing of it are zeros, which stood there before.
func TestAppend_NoSpaceForTheRest(t *testing.T) {
	fs := &fullFS{FS: vfs.NewMem()}
	m := create(t, small(fs))
	m.mustAppend(t, 100)
	fs.full = true
	if _, err := m.log.Append(m.lastSeq()+1, 1, make([]byte, 500)); !vfs.IsNoSpace(err) || errors.Is(err, ErrFailed) {
		t.Fatalf("Append: %v, want no space", err)
	}
	fs.full = false
	m.reopen(t)
	m.mustAppend(t, 100)
	m.reopen(t)
}
