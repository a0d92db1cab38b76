package wal

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/vfs"
)

// Report is what reading the log came to.
type Report struct {
	From, To   LSN    // what was replayed
	Seq        kv.Seq // of the last operation
	Records    uint64 // replayed, with their operations and the bytes of their payloads
	Operations uint64
	Bytes      uint64
	TornBytes  int64 // cut at the end: written there, but not whole
	Copied     int64 // bytes that were perhaps not durable and have been made so
	Recycled   int   // leftover files that are kept to be used again
	Removed    int   // leftover files that were removed
	Mended     bool  // of Check: no record was lost by what is damaged
	Omitted    int   // of Check: damages beyond those that are told
}

func (r *Report) count(rec *Record) {
	r.Records++
	r.Operations += uint64(rec.Count)
	r.Bytes += uint64(len(rec.Payload))
	r.Seq = rec.Last()
	r.To = rec.End
}

// Open recovers the log and opens it for appending. It calls apply for each
// record from the start on, then makes durable what it has shown, and only
// then returns. When it fails because of damage (a *CorruptError), or because
// apply does, it has changed nothing on the disk. A crash at any point leaves
// a log from which Open comes to the same records again.
func Open(o Options, from Start, apply func(Record) error) (*Log, Report, error) {
	found, err := o.list()
	if err != nil {
		return nil, Report{}, err
	}
	r := recovery{o: &o}
	if r.alive, r.dead, err = o.load(found.segments, from); err != nil {
		return nil, Report{}, err
	}
	err = r.replay(from, apply)
	if err == nil && o.Replayed != nil {
		o.Replayed()
		o.Replayed = nil // the log keeps its options, but not what was replayed into
	}
	if err == nil {
		r.l = &Log{o: o, capacity: o.capacity(), seq: r.seq, place: r.end}
		r.l.end.Store(uint64(r.end))
		r.l.synced.Store(uint64(r.end))
		err = r.recover(found, from)
	}
	r.alive.closeFiles()
	chain(r.dead).closeFiles()
	if err != nil {
		if r.l != nil {
			chain(r.l.segments).closeFiles()
		}
		return nil, r.report, err
	}
	return r.l, r.report, nil
}

// recovery is the state of one Open.
type recovery struct {
	o      *Options
	alive  chain
	dead   []*segment
	report Report

	end      LSN    // of the last record
	synced   LSN    // known to be durable; at most end
	seq      kv.Seq // of the next operation
	resuming bool   // Append can go on in the segment that holds end

	l *Log // what becomes of it
}

// recover changes what is on the disk so that the log can go on.
func (r *recovery) recover(found listing, from Start) error {
	if err := r.number(found, from); err != nil {
		return err
	}
	// A process that died may have left names that are not durable. What they
	// name is needed from here on.
	if err := r.o.syncDir(); err != nil {
		return err
	}
	if err := r.sweep(found, from); err != nil {
		return err
	}
	if r.resuming {
		return r.resume()
	}
	return r.restart()
}

// replay reads the log to its end, and finds out whether it ends there.
func (r *recovery) replay(from Start, apply func(Record) error) error {
	w := newWalker(r.alive, from.LSN, from.Seq+1)
	r.report.From, r.report.To, r.report.Seq = from.LSN, from.LSN, from.Seq
	for {
		rec, err := w.next()
		if err == errInvalid {
			break
		} else if err != nil {
			return err
		}
		if err := apply(rec); err != nil {
			return err
		}
		r.report.count(&rec)
	}
	behind, err := w.scan()
	if err != nil {
		return err
	}
	if damage := w.damage(behind, from.End); damage != nil {
		return damage
	}
	header, _ := r.alive.synced()
	r.end, r.seq = w.end, w.seq
	r.synced = min(max(from.LSN, from.End, header, w.synced), w.end)
	r.report.TornBytes = behind.bytes
	// Going on in place needs an end that is durable and behind which this
	// use of the segment has never written: else a record that a crash left
	// there in parts, or whole, could line up with new ones. Nor may it write
	// over an end-of-segment record: a crash that kept the old one and lost the
	// new ones would lead past them into the next segment.
	r.resuming = r.synced == r.end && !behind.used && !w.marked && r.alive.find(r.end) >= len(r.alive)-2
	return nil
}

// number finds the largest number in use. A file under a temporary name counts
// too: it may hold records with the number that its header shows.
func (r *recovery) number(found listing, from Start) error {
	last := from.Segment
	if n := len(found.segments); n > 0 {
		last = max(last, found.segments[n-1])
	}
	for _, name := range slices.Concat(found.spares, found.temps) {
		h, err := r.leftover(name)
		if err != nil {
			return err
		}
		last = max(last, h.number)
	}
	if last > maxLSN {
		return &CorruptError{Path: r.o.Dir, Invariant: "W4", Reason: fmt.Sprintf("segment number %d is out of range", last)}
	}
	r.l.number = last
	return nil
}

// leftover returns the header of a file that the log does not need, or a zero
// header when it is not one of this database. The capacity is 0 when the file has
// another length than its header says.
func (r *recovery) leftover(name string) (header, error) {
	path := r.o.path(name)
	f, err := r.o.FS.Open(path, vfs.ReadOnly)
	if err != nil {
		return header{}, errorf("open leftover of the log: %w", err)
	}
	h, err := r.o.readHeader(f, path)
	if errors.Is(err, ErrCorrupt) {
		h, err = header{}, nil
	} else if err == nil {
		if err = checkLength(f, path, &h); errors.Is(err, ErrCorrupt) {
			h.capacity, err = 0, nil // cut by keep, and not yet moved: it is no spare
		}
	}
	return h, join(err, f.Close())
}

// sweep removes what no recovery from the start needs, or keeps it to be used
// again. It comes first, so that recovery has the space.
func (r *recovery) sweep(found listing, from Start) error {
	surplus := found.temps
	var released []*segment
	for _, name := range found.spares {
		h, err := r.leftover(name)
		if err != nil {
			return err
		}
		// A crash may leave both names of a rename: a spare with the number of
		// a segment that has its name, or may have, can be that very file.
		if h.number == 0 || h.number >= from.Segment || slices.Contains(found.segments, h.number) ||
			h.capacity != r.l.capacity || len(r.l.spares) >= r.o.spares() {
			surplus = append(surplus, name)
			continue
		}
		r.l.spares = append(r.l.spares, name)
	}
	r.bury()
	for _, number := range found.segments {
		if number >= from.Segment {
			break
		}
		name := segmentName(number)
		h, err := r.leftover(name)
		if err != nil {
			return err
		}
		if h.number != number {
			surplus = append(surplus, name)
			continue
		}
		released = append(released, newSegment(h, r.o.path(name)))
	}
	for _, name := range surplus {
		if err := r.o.FS.Remove(r.o.path(name)); err != nil {
			return errorf("remove leftover of the log: %w", err)
		}
		r.report.Removed++
	}
	for _, s := range released {
		kept := len(r.l.spares)
		if r.l.keep(s) {
			continue
		}
		r.l.retire(s)
		if len(r.l.spares) > kept {
			r.report.Recycled++
		} else {
			r.report.Removed++
		}
	}
	return nil
}

// bury removes the dead segments.
func (r *recovery) bury() {
	for _, s := range r.dead {
		r.l.remove(s)
		r.report.Removed++
	}
	r.dead = nil
}

// resume makes the segment that holds the end active again, and the one
// behind it, if there is one, the next.
func (r *recovery) resume() error {
	i := r.alive.find(r.end)
	for _, s := range r.alive[i:] {
		if err := r.o.writable(s); err != nil {
			return err
		}
		r.o.mapFile(s)
	}
	r.l.segments = slices.Clone(r.alive[:i+1])
	r.l.active = r.alive[i]
	if i+1 < len(r.alive) {
		r.l.next = r.alive[i+1]
		r.l.ready.Store(true)
	}
	r.alive = r.alive[:i]
	return nil
}

// restart goes on in new segments, which hold all that is not known to be
// durable, and takes from the chain what they replace.
func (r *recovery) restart() error {
	made, err := r.copy()
	if err != nil {
		return err
	}
	if err := r.publish(made); err != nil {
		chain(made).closeFiles()
		return err
	}
	first := made[0].start
	for _, s := range r.alive {
		if s.start >= first {
			r.dead = append(r.dead, s)
			continue
		}
		s.end = min(s.end, first)
		r.l.segments = append(r.l.segments, s)
	}
	r.l.segments = append(r.l.segments, made...)
	r.l.active = made[len(made)-1]
	r.o.mapFile(r.l.active)
	r.bury()
	return nil
}

// copyBuffer is how much of the log is collected before it is written.
const copyBuffer = 1 << 20

// copy makes a durable copy of the log from r.synced to r.end, in one new
// segment for each that holds a part of it, under temporary names. The last
// has room for more. Where nothing is to be copied, that is the only one.
func (r *recovery) copy() (made []*segment, err error) {
	defer func() {
		if err != nil {
			for _, s := range made {
				_ = s.close()
				_ = r.o.FS.Remove(s.path)
			}
		}
	}()
	from := r.boundary()
	for _, old := range r.alive {
		start, end := max(from, old.start), min(r.end, old.end)
		if start >= end || len(made) == 0 && old.end-start < recordSize {
			continue // the second: not even the end of a segment is marked there
		}
		s, err := r.copySegment(old, start, end, len(made) == 0)
		if err != nil {
			return made, err
		}
		made = append(made, s)
	}
	if len(made) > 0 {
		return made, nil
	}
	s, err := r.make(header{start: r.end, capacity: r.o.capacity(), synced: r.end, firstSeq: r.seq}, 0)
	if err != nil {
		return nil, err
	}
	return []*segment{s}, nil
}

// boundary returns where to begin the copy: at the synced position, which is
// the start of a record. A log that says otherwise was made up; then the start
// of the segment, or of the replay, will do.
func (r *recovery) boundary() LSN {
	w := newWalker(r.alive, r.synced, 0)
	s := w.segment()
	if r.synced == r.end || s.end-r.synced < recordSize {
		return r.synced
	}
	if _, _, err := w.read(); err == errInvalid {
		return max(r.report.From, s.start)
	}
	return r.synced
}

// make builds the file of a new segment, a small one if the disk has no room for
// more, to hold size bytes at first.
func (r *recovery) make(h header, size int64) (*segment, error) {
	r.l.number++
	h.uuid, h.number = r.o.UUID, r.l.number
	s, err := r.o.build(h, r.l.takeSpareLocked(h.capacity))
	if small := r.o.smallCapacity(size); vfs.IsNoSpace(err) && small < h.capacity {
		r.l.number++
		h.number, h.capacity = r.l.number, small
		s, err = r.o.build(h, "")
	}
	return s, err
}

// copySegment makes a new segment from the part of old from start to end. Only
// the first one made may say that all is synced: it gets its name last.
func (r *recovery) copySegment(old *segment, start, end LSN, first bool) (*segment, error) {
	w := newWalker(chain{old}, start, 0)
	h := header{start: start, capacity: int64(old.end - start), synced: r.synced}
	if first {
		h.synced = r.end
	}
	if end == r.end {
		h.capacity = max(r.o.capacity(), (int64(end-start)+dataOffset-1)&^(dataOffset-1))
	}
	if rec, _, err := w.read(); err == nil {
		h.firstSeq = rec.seq
	}
	s, err := r.make(h, int64(end-start))
	if err != nil {
		return nil, err
	}
	if err := r.copyRecords(w, end, s); err != nil {
		_ = s.close()
		_ = r.o.FS.Remove(s.path)
		return nil, errorf("copy the log's end: %w", err)
	}
	return s, nil
}

// copyRecords copies the records from w to end into s and makes them durable.
func (r *recovery) copyRecords(w *walker, end LSN, s *segment) error {
	var buf []byte
	start, at := w.place, w.place // at: where buf belongs
	for end-w.place >= recordSize {
		rec, b, err := w.read()
		if err != nil {
			return unstable(w, err)
		}
		n := len(buf)
		buf = append(buf, b...)
		rec.number = uint32(s.number)
		rec.put(buf[n:])
		seal(buf[n:], s.crc)
		w.place += LSN(len(b))
		if rec.count == 0 {
			break
		}
		if len(buf) >= copyBuffer {
			if _, err := s.file.WriteAt(buf, s.offset(at)); err != nil {
				return err
			}
			at, buf = at+LSN(len(buf)), buf[:0]
		}
	}
	if end == r.end && w.place != end {
		return unstable(w, errInvalid)
	}
	// The place behind the last record is zero, as Append would leave it.
	buf = append(buf, make([]byte, min(recordSize, s.end-w.place))...)
	if _, err := s.file.WriteAt(buf, s.offset(at)); err != nil {
		return err
	}
	r.report.Copied += int64(w.place - start)
	return s.file.Sync()
}

// unstable says that a record which was read before does not read again. The
// page cache may have dropped a page that never reached the disk.
func unstable(w *walker, err error) error {
	if err != errInvalid {
		return err
	}
	return w.segment().corrupt(w.place, "W3", "a record that was read before does not read again")
}

// publish gives the new segments their names, the last one first: each then
// takes the place of the old ones from its own start on (W1), and what a crash
// leaves of the order is a log with the same records.
func (r *recovery) publish(made []*segment) error {
	for _, s := range slices.Backward(made) {
		if err := r.o.put(s); err != nil {
			return err
		}
	}
	return nil
}

// eofIsNil drops io.EOF.
func eofIsNil(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
