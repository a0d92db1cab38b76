package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// fill appends records until the log has n more segments.
func (m *model) fill(t testing.TB, n int) {
	t.Helper()
	for range n {
		m.mustAppend(t, 3000)
	}
	m.mustSync(t)
}

func TestRelease_RecyclesWhatEndsBefore(t *testing.T) {
	m := create(t, small(vfs.NewMem()))
	m.fill(t, 6)
	m.mustAppend(t, 20_000) // has a segment of its own size
	m.fill(t, 1)
	if err := m.log.Release(m.entries[3].end); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"0000000000000004.log", "0000000000000005.log", "0000000000000006.log",
		"0000000000000007.log", "0000000000000008.log", "spare-1", "spare-2",
	}
	if got := names(t, m.o); !slices.Equal(got, want) {
		t.Fatalf("files %v, want %v", got, want)
	}
	// The position at a segment's end is reached from the next one.
	m.checkpoint()
	if err := m.log.Release(m.log.segments[1].end); err != nil {
		t.Fatal(err)
	}
	if first := m.log.segments[0].number; first != 6 {
		t.Fatalf("first segment %d, want 6", first)
	}
	// The active segment stays, whatever is asked for.
	if err := m.log.Release(1 << 60); err != nil {
		t.Fatal(err)
	}
	if got := names(t, m.o); len(got) != 3 {
		t.Fatalf("files %v, want the active segment and two spares", got)
	}
	m.fill(t, 2)
	if got := names(t, m.o); len(got) != 3 || got[2][0] == 's' {
		t.Fatalf("files %v, want the spares in use", got)
	}
	m.reopen(t)
}

func TestRelease_KeepsWhatIsNotSynced(t *testing.T) {
	m := create(t, small(vfs.NewMem()))
	for range 4 {
		m.mustAppend(t, 3000)
	}
	if err := m.log.Release(m.log.End()); err != nil {
		t.Fatal(err)
	}
	if n := len(m.log.segments); n != 4 {
		t.Fatalf("%d segments, want 4", n)
	}
	m.mustSync(t)
}

func TestPrepare_ReplacesASegmentThatIsTooSmall(t *testing.T) {
	m := create(t, small(vfs.NewMem()))
	m.mustAppend(t, 3000)
	if err := m.log.Prepare(); err != nil {
		t.Fatal(err)
	}
	m.mustAppend(t, 50_000, 3500)
	want := []string{segmentName(1), segmentName(3), segmentName(4)}
	if got := names(t, m.o); !slices.Equal(got, want) {
		t.Fatalf("files %v, want %v", got, want)
	}
	m.reopen(t)
}

// A log that has grown becomes as small as a new one, loses nothing, and grows
// again.
func TestShrink(t *testing.T) {
	o := small(vfs.NewMem())
	o.SegmentSize = 64 << 10
	m := create(t, o)
	for range 3 {
		for range 40 {
			m.mustAppend(t, 3000)
		}
		if err := m.log.Prepare(); err != nil {
			t.Fatal(err)
		}
		if err := m.log.Shrink(); err != nil {
			t.Fatal(err)
		}
		m.mustAppend(t, 100) // in the small segment
		m.reopen(t)
		if err := m.log.Shrink(); err != nil {
			t.Fatal(err)
		}
		m.mustSync(t)
		m.checkpoint()
		if err := m.log.Release(m.log.End()); err != nil {
			t.Fatal(err)
		}
		m.log.DropSpares()
		if got := names(t, m.o); len(got) != 1 {
			t.Fatalf("files %v, want one segment", got)
		}
		if size := m.log.active.capacity + dataOffset; size != minSegmentSize {
			t.Fatalf("a segment of %d bytes, want %d", size, minSegmentSize)
		}
		// Of a small log only what was prepared goes.
		if err := m.log.Prepare(); err != nil {
			t.Fatal(err)
		}
		if err := m.log.Shrink(); err != nil {
			t.Fatal(err)
		}
		if got := names(t, m.o); len(got) != 1 {
			t.Fatalf("files %v, want one segment", got)
		}
		m.reopen(t)
	}
}

// A file that nobody needs, and that cannot be removed or renamed, stays where it
// is, and ends nothing: later it goes, or the next Open removes it.
func TestLog_FilesThatCannotBeRemoved(t *testing.T) {
	for _, kind := range []faultfs.Kind{faultfs.OpRemove, faultfs.OpRename} {
		for _, reopen := range []bool{false, true} {
			in := faultfs.Inject(vfs.NewMem())
			o := small(in)
			o.SegmentSize = 64 << 10
			m := create(t, o)
			m.mustAppend(t, 3000, 3000, 3000)
			try := func() {
				t.Helper()
				for _, step := range []func() error{m.log.Prepare, m.log.Shrink} {
					if err := step(); err != nil {
						t.Fatal(err)
					}
				}
				for range 30 {
					m.mustAppend(t, 3000) // past a segment of ordinary size
				}
				m.mustSync(t)
				m.checkpoint()
				if err := m.log.Release(m.meta.LSN); err != nil {
					t.Fatal(err)
				}
				m.log.DropSpares()
			}
			stuck, struck := true, 0
			in.SetHook(func(op faultfs.Op) error {
				unneeded := kind == faultfs.OpRemove || strings.HasPrefix(filepath.Base(op.NewName), sparePrefix)
				if stuck && op.Kind == kind && unneeded {
					struck++
					return faultfs.ErrIO
				}
				return nil
			})
			for range 4 {
				try()
			}
			if struck == 0 {
				t.Errorf("%v was never called", kind)
			}
			m.mustAppend(t, 100)
			if reopen {
				m.reopen(t)
				m.mustAppend(t, 100)
			}
			stuck = false
			if reopen {
				m.reopen(t)
			} else {
				try()
			}
			try()
			try()
			if have := names(t, m.o); len(have) != len(m.log.segments) {
				t.Errorf("%v fails, reopened %v: files %v, of which %d are needed", kind, reopen, have, len(m.log.segments))
			}
			m.reopen(t)
		}
	}
}

func TestHold(t *testing.T) {
	o := small(vfs.NewMem())
	o.MaxHeld = 3 * 4096
	m := create(t, o)
	m.fill(t, 4)
	first, second := m.log.Hold(m.entries[0].end), m.log.Hold(m.entries[2].end)
	release := func(want int) {
		t.Helper()
		if err := m.log.Release(m.log.End()); err != nil {
			t.Fatal(err)
		}
		if n := len(m.log.segments); n != want {
			t.Fatalf("%d segments left, want %d", n, want)
		}
	}
	release(4)
	first.Advance(m.entries[1].end)
	release(3)
	if err := errors.Join(first.Err(), second.Err()); err != nil {
		t.Fatal(err)
	}
	m.fill(t, 2) // now the first one keeps more than three segments' worth
	release(4)
	if !errors.Is(first.Err(), ErrHoldBroken) || second.Err() != nil {
		t.Fatalf("holds: %v and %v, want only the older broken", first.Err(), second.Err())
	}
	second.Close()
	first.Close()
	release(1)
	if h := m.log.Hold(0); !errors.Is(h.Err(), ErrHoldBroken) {
		t.Fatalf("hold on what is gone: %v", h.Err())
	}
}

func TestReader(t *testing.T) {
	m := create(t, small(vfs.NewMem()))
	r, err := m.log.NewReader(0)
	if err != nil {
		t.Fatal(err)
	}
	rnd := newRand(5)
	read := 0
	for range 300 {
		if rnd.IntN(2) == 0 {
			m.mustAppend(t, rnd.IntN(2000))
		} else if rnd.IntN(3) == 0 {
			m.mustAppend(t, rnd.IntN(10_000))
		}
		check := matcher(m.entries, &read)
		for rnd.IntN(4) > 0 {
			rec, err := r.Next()
			if err == io.EOF {
				if read != len(m.entries) {
					t.Fatalf("EOF after %d of %d records", read, len(m.entries))
				}
				break
			} else if err != nil {
				t.Fatal(err)
			} else if err := check(rec); err != nil {
				t.Fatal(err)
			}
		}
	}
	// From every position.
	for i := range m.entries {
		r, err := m.log.NewReader(m.entries[i].end)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for rec, err := r.Next(); err != io.EOF; rec, err = r.Next() {
			if err == nil {
				err = matcher(m.entries[i+1:], &n)(rec)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if n != len(m.entries)-i-1 {
			t.Fatalf("%d records after the %d. of %d", n, i, len(m.entries))
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.log.NewReader(m.log.End() + 8); err == nil {
		t.Fatal("a reader from behind the end")
	}
}

// A Shrink cuts the segment short in which a reader stands, at its very end or
// before it. (It was once taken for damage, or a part of the log was left out.)
func TestReader_AcrossShrink(t *testing.T) {
	for seed := range uint64(100) {
		o := small(vfs.NewMem())
		o.SegmentSize = 64 << 10
		m := create(t, o)
		r, err := m.log.NewReader(0)
		if err != nil {
			t.Fatal(err)
		}
		rnd := newRand(seed)
		read := 0
		for range 60 {
			switch rnd.IntN(6) {
			case 0:
				if err := m.log.Shrink(); err != nil {
					t.Fatal(err)
				}
			case 1: // leaves less than a record's header
				if rest := m.log.rest() - recordSize - 8; rest > 0 {
					m.mustAppend(t, int(rest))
				}
			case 2:
				m.mustAppend(t, rnd.IntN(20_000))
			default:
				m.mustAppend(t, rnd.IntN(500))
			}
			check := matcher(m.entries, &read)
			for rnd.IntN(8) > 0 {
				rec, err := r.Next()
				if err == io.EOF && read == len(m.entries) {
					break
				}
				if err == nil {
					err = check(rec)
				}
				if err != nil {
					t.Fatalf("seed %d, after %d of %d records: %v", seed, read, len(m.entries), err)
				}
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReader_Gone(t *testing.T) {
	m := create(t, small(vfs.NewMem()))
	m.fill(t, 3)
	r, err := m.log.NewReader(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.log.Release(m.log.End()); err != nil {
		t.Fatal(err)
	}
	m.fill(t, 2) // writes over the spares
	for range 3 {
		if _, err = r.Next(); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrGone) {
		t.Fatalf("Next: %v, want ErrGone", err)
	}
	if _, err := m.log.NewReader(0); !errors.Is(err, ErrGone) {
		t.Fatalf("NewReader: %v, want ErrGone", err)
	}
}

// Append, Sync, Prepare, Release and readers at once: for the race detector,
// and for the order of what Sync publishes.
func TestLog_Concurrency(t *testing.T) {
	for _, mapped := range []bool{true, false} {
		o := small(vfs.NewMem())
		o.Mapped = mapped
		m := create(t, o)
		const records = 3000
		appended := make(chan LSN, records)
		done := make(chan error, 4)
		go func() { // Sync
			var last LSN
			for end := range appended {
				synced, err := m.log.Sync()
				if err != nil || synced < end || synced < last {
					done <- fmt.Errorf("Sync = %d, %w; after %d and %d", synced, err, end, last)
					return
				}
				last = synced
			}
			done <- nil
		}()
		stop := make(chan struct{})
		go func() { // Prepare and Release
			for {
				select {
				case <-stop:
					done <- nil
					return
				default:
				}
				if err := errors.Join(m.log.Prepare(), m.log.Release(m.log.Synced())); err != nil {
					done <- err
					return
				}
			}
		}()
		for range 2 {
			h := m.log.Hold(0)
			r, err := m.log.NewReader(0)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				defer h.Close()
				for n := 1; n <= records; {
					rec, err := r.Next()
					if err == io.EOF {
						continue
					} else if err != nil || int(rec.Seq) != n {
						done <- fmt.Errorf("record %d, %w; want %d", rec.Seq, err, n)
						return
					}
					h.Advance(rec.End)
					n++
				}
				done <- r.Close()
			}()
		}
		for n := range records {
			end, err := m.log.Append(m.lastSeq()+1+0, 1, payload(1, n%700))
			if err != nil {
				t.Fatal(err)
			}
			m.entries = append(m.entries, entry{seq: m.lastSeq() + 1, count: 1, end: end, payload: payload(1, n%700)})
			appended <- end
		}
		close(appended)
		for i := range 4 {
			if i == 3 {
				close(stop)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if err := m.log.Close(true); err != nil {
			t.Fatal(err)
		}
	}
}

// A tail beside a live writer sees what the writer appended, through rotation,
// the writer's death and recovery, until its segment is recycled.
func TestTail_FollowsAWriter(t *testing.T) {
	for seed := range uint64(20) {
		rnd := newRand(seed)
		m := create(t, small(vfs.NewMem()))
		m.mustAppend(t, 10, 20)
		n := 0
		tail, report, err := OpenReadOnly(m.o, m.meta, func(r Record) error { return matcher(m.entries, &n)(r) })
		if err != nil || n != 2 || report.Records != 2 {
			t.Fatalf("OpenReadOnly: %d records, %+v, %v", n, report, err)
		}
		for range 150 {
			switch k := rnd.IntN(12); {
			case k < 7:
				m.mustAppend(t, rnd.IntN(2500))
			case k == 7:
				m.mustAppend(t, rnd.IntN(9000))
			case k == 8:
				m.mustSync(t)
			case k == 9:
				if err := m.log.Prepare(); err != nil {
					t.Fatal(err)
				}
			case k == 10 && rnd.IntN(3) == 0:
				m.reopen(t) // the writer died and came back
			default:
				for {
					rec, err := tail.Next()
					if err == io.EOF {
						break
					} else if err != nil {
						t.Fatalf("seed %d, after %d records: %v", seed, n, err)
					} else if err := matcher(m.entries, &n)(rec); err != nil {
						t.Fatalf("seed %d: %v", seed, err)
					}
				}
				if n != len(m.entries) {
					t.Fatalf("seed %d: EOF after %d of %d records", seed, n, len(m.entries))
				}
			}
		}
		m.mustSync(t)
		m.mustAppend(t, 10)
		m.fill(t, 2)
		m.checkpoint()
		if err := m.log.Release(m.meta.LSN); err != nil {
			t.Fatal(err)
		}
		m.fill(t, 3)
		for err == nil || err == io.EOF {
			_, err = tail.Next()
		}
		if !errors.Is(err, ErrGone) {
			t.Fatalf("seed %d: %v, want ErrGone", seed, err)
		}
		if err := tail.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// The writer dies when the next segment is there and the last one is as good as
// full, and recovery starts a new one at the end of the last record.
func TestTail_WriterComesBackAtAFullSegment(t *testing.T) {
	for _, left := range []int{0, 8, 32} {
		mem := vfs.NewMem()
		m := create(t, small(mem))
		n := 0
		apply := func(r Record) error { return matcher(m.entries, &n)(r) }
		m.mustAppend(t, 4096-recordSize-left)
		m.mustSync(t)
		if err := m.log.Prepare(); err != nil {
			t.Fatal(err)
		}
		tail, _, err := OpenReadOnly(m.o, m.meta, apply)
		if err != nil {
			t.Fatal(err)
		}
		torn := m.o.path(segmentName(2)) // of the next record there are a few bytes
		data, err := mem.ReadFile(torn)
		if err != nil {
			t.Fatal(err)
		}
		data[dataOffset] = 1
		if err := mem.WriteFile(torn, data); err != nil {
			t.Fatal(err)
		}
		if _, err := tail.Next(); err != io.EOF {
			t.Fatalf("%d bytes left: %v, want EOF", left, err)
		}
		m.reopen(t)
		if start := m.log.active.start; start != m.entries[0].end {
			t.Fatalf("%d bytes left: recovery starts a segment at %d, want %d", left, start, m.entries[0].end)
		}
		m.mustAppend(t, 2000)
		rec, err := tail.Next()
		if err == nil {
			err = apply(rec)
		}
		if err != nil {
			t.Fatalf("%d bytes left: %v", left, err)
		}
	}
}

// Half of a record is not there yet; the other half comes later.
func TestTail_HalfWrittenRecord(t *testing.T) {
	mem := vfs.NewMem()
	m := create(t, small(mem))
	m.mustAppend(t, 100)
	m.mustSync(t)
	m.mustAppend(t, 300)
	path := m.o.path(segmentName(1))
	whole, err := mem.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	from, to := m.log.active.offset(m.entries[0].end), m.log.active.offset(m.log.End())
	for n := from; n < to-4; n++ {
		half := slices.Clone(whole)
		clear(half[n:])
		if err := mem.WriteFile(path, half); err != nil {
			t.Fatal(err)
		}
		seen := 0
		tail, _, err := OpenReadOnly(m.o, m.meta, matcher(m.entries, &seen))
		if err != nil || seen != 1 {
			t.Fatalf("%d bytes of the second record: %d records, %v", n-from, seen, err)
		}
		if _, err := tail.Next(); err != io.EOF {
			t.Fatalf("%d bytes of the second record: %v, want EOF", n-from, err)
		}
		f, err := mem.Open(path, vfs.ReadWrite) // in place, as the writer does
		if err == nil {
			_, err = f.WriteAt(whole, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		rec, err := tail.Next()
		if err == nil {
			err = matcher(m.entries, &seen)(rec)
		}
		if err != nil {
			t.Fatalf("%d bytes of the second record, then all: %v", n-from, err)
		}
		_ = f.Close()
		_ = tail.Close()
	}
}

// What a header or a record says was synced is damage to a tail, too.
func TestTail_Damage(t *testing.T) {
	d := newDamaged(t, false)
	name := segmentName(d.log.active.number)
	data := d.files[name]
	for i := int64(dataOffset); i < d.log.active.offset(d.known); i++ {
		data[i] ^= 0x10
		image := d.mem.Clone()
		if err := image.WriteFile(d.o.path(name), data); err != nil {
			t.Fatal(err)
		}
		data[i] ^= 0x10
		o := d.o
		o.FS = image
		_, _, err := OpenReadOnly(o, d.meta, func(Record) error { return nil })
		wantCorrupt(t, err)
	}
}

func TestTail_ChangesNothing(t *testing.T) {
	mem := vfs.NewMem()
	m := create(t, small(mem))
	m.mustAppend(t, 3000, 3000, 100)
	in := faultfs.Inject(mem)
	o := m.o
	o.FS = in
	in.SetHook(func(op faultfs.Op) error {
		switch op.Kind {
		case faultfs.OpOpen, faultfs.OpList, faultfs.OpRead, faultfs.OpSize, faultfs.OpClose, faultfs.OpStat:
			return nil
		}
		return errors.New("a reader must not call " + op.String())
	})
	n := 0
	tail, _, err := OpenReadOnly(o, m.meta, matcher(m.entries, &n))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tail.Next(); err != io.EOF {
		t.Fatal(err)
	}
	if err := tail.Close(); err != nil {
		t.Fatal(err)
	}
	if _, damages, err := Check(o, m.meta, func(Record) error { return nil }); err != nil {
		t.Fatal(damages, err)
	}
	if open := in.OpenFiles(); len(open) > 0 {
		t.Fatalf("left open %v", open)
	}
}

// A power cut may undo the move of a segment to the kept log, and not its cut: the
// next Open moves it, so that what is kept has no gap.
func TestKeep_CutButNotMoved(t *testing.T) {
	mem := vfs.NewMem()
	o := small(mem)
	o.Kept = "kept"
	if err := mem.Mkdir(o.Kept); err != nil {
		t.Fatal(err)
	}
	m := create(t, o)
	m.mustAppend(t, 3000, 3000, 3000)
	m.mustSync(t)
	m.checkpoint()
	name := o.path(segmentName(1))
	data, err := mem.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := mem.WriteFile(name, data[:dataOffset+3000+2*recordSize]); err != nil { // up to the end-of-segment record
		t.Fatal(err)
	}
	m.reopen(t)
	n := 0
	if _, err := After(context.Background(), &m.o, 1, 0, matcher(m.entries, &n)); err != nil || n != len(m.entries) {
		t.Fatalf("%d of %d records: %v", n, len(m.entries), err)
	}
}

// A segment for a full disk is prepared beside commits: one of them may go on in the
// segment that was there, which must not be taken for one that nobody has begun.
func TestPrepareSmall_BesideARotation(t *testing.T) {
	in := faultfs.Inject(vfs.NewMem())
	o := small(in)
	o.Mapped = false
	m := create(t, o)
	if err := m.log.Prepare(); err != nil {
		t.Fatal(err)
	}
	m.mustAppend(t, 3000)
	appended, prepared := make(chan struct{}), make(chan error, 1)
	building := make(chan struct{}, 1)
	var once sync.Once
	in.SetHook(func(op faultfs.Op) error {
		switch {
		case op.Kind == faultfs.OpWrite: // the first one marks the end of the segment
			once.Do(func() {
				go func() { prepared <- m.log.PrepareSmall(20_000) }()
				select {
				case <-building:
				case <-time.After(100 * time.Millisecond): // it waits for the rotation
				}
			})
		case op.Kind == faultfs.OpAllocate:
			building <- struct{}{}
			<-appended
		}
		return nil
	})
	m.mustAppend(t, 3000)
	close(appended)
	if err := <-prepared; err != nil {
		t.Fatal(err)
	}
	in.SetHook(nil)
	m.mustAppend(t, 3000, 20_000)
	m.mustSync(t)
	m.reopen(t)
}

// meanwhile makes a reader of in call what its writer does, before its first call of
// that kind behind the next List.
func meanwhile(in *faultfs.Injector, kind faultfs.Kind, writer func()) {
	listed := false
	in.SetHook(func(op faultfs.Op) error {
		switch {
		case op.Kind == faultfs.OpList:
			listed = true
		case listed && op.Kind == kind:
			in.SetHook(nil)
			writer()
		}
		return nil
	})
}

// A segment that is moved to the kept log and cut, between a reader's look at the
// names and its look at the file, is gone and not damaged.
func TestTail_SegmentIsMovedAndCut(t *testing.T) {
	for _, kind := range []faultfs.Kind{faultfs.OpRead, faultfs.OpSize} {
		mem := vfs.NewMem()
		o := small(mem)
		o.SegmentSize, o.Kept = 64<<10, "kept"
		if err := mem.Mkdir(o.Kept); err != nil {
			t.Fatal(err)
		}
		m := create(t, o)
		for range 40 {
			m.mustAppend(t, 3000)
		}
		m.mustSync(t)
		m.checkpoint()
		in := faultfs.Inject(mem)
		o.FS = in
		move := func() {
			if err := m.log.Shrink(); err != nil {
				t.Fatal(err)
			}
			if err := m.log.Release(m.meta.LSN); err != nil {
				t.Fatal(err)
			}
		}
		if kind == faultfs.OpSize { // of the segment's file, by which it is opened
			meanwhile(in, kind, move)
		}
		tail, _, err := OpenReadOnly(o, m.meta, func(Record) error { return nil })
		if kind == faultfs.OpRead && err == nil {
			meanwhile(in, kind, move)
			_, err = tail.Next()
		}
		if !errors.Is(err, ErrGone) && !errors.Is(err, ErrMissing) {
			t.Errorf("moved before a %v: %v, want ErrGone or ErrMissing", kind, err)
		}
		if tail != nil {
			if err := tail.Close(); err != nil {
				t.Fatal(err)
			}
		}
		m.mustAppend(t, 100)
		m.reopen(t)
	}
}
