package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/vfs"
)

// Log is a log that is open for appending.
type Log struct {
	o        Options
	capacity int64 // of an ordinary segment

	end    atomic.Uint64
	synced atomic.Uint64
	failed atomic.Pointer[error] // the first failure; never reset
	closed atomic.Bool
	ready  atomic.Bool // there is a next segment

	// Of the goroutine that appends.
	active *segment
	place  LSN    // of the next record: end, or behind it at the start of a segment
	seq    kv.Seq // of the next operation; 0: any
	buf    []byte

	// preparing is held while the next segment is made or becomes the active one, or
	// old ones go; locked before mu.
	preparing sync.Mutex
	lingering []*segment // guarded by preparing: nobody needs them, and they could not be removed

	mu       sync.Mutex
	segments []*segment // what recovery may need, ascending; the last is active
	next     *segment   // prepared, or nil
	number   uint64     // the last one given to a segment
	spares   []string
	nextID   int // of a spare's name
	holds    []*Hold
}

// maxKeptBuffer is the largest buffer that Append keeps for the next record.
const maxKeptBuffer = 4 << 20

// Create makes the log of a new database. Segment 1, which starts at start (a
// multiple of 8), is durable when it returns. What an interrupted Create left
// is replaced; a log that may hold records is an error that wraps fs.ErrExist.
func Create(o Options, start LSN) (*Log, error) {
	if start%alignment != 0 || start > maxLSN {
		return nil, errorf("create log: start LSN %d is out of range", start)
	}
	if err := o.FS.Mkdir(o.Dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, errorf("create log: %w", err)
	}
	if err := o.removeUnborn(); err != nil {
		return nil, errorf("create log: %w", err)
	}
	if err := o.FS.SyncDir(filepath.Dir(o.Dir)); err != nil {
		return nil, errorf("create log: %w", err)
	}
	s, err := o.build(header{uuid: o.UUID, number: 1, start: start, capacity: o.firstCapacity(), synced: start}, "")
	if err != nil {
		return nil, err
	}
	if err := o.put(s); err != nil {
		return nil, join(err, s.close())
	}
	o.mapFile(s)
	l := &Log{o: o, capacity: o.capacity(), active: s, place: start, segments: []*segment{s}, number: 1}
	l.end.Store(uint64(start))
	l.synced.Store(uint64(start))
	return l, nil
}

// removeUnborn removes what a Create that did not finish may have left: a
// first segment without records, and temporary files.
func (o *Options) removeUnborn() error {
	found, err := o.list()
	if err != nil {
		return err
	}
	for _, number := range found.segments {
		path := o.path(segmentName(number))
		if empty, err := o.unused(path); err != nil {
			return err
		} else if number != 1 || !empty {
			return errorf("%s holds a log: %w", path, fs.ErrExist)
		}
		found.temps = append(found.temps, segmentName(number))
	}
	for _, name := range append(found.temps, found.spares...) {
		if err := o.FS.Remove(o.path(name)); err != nil {
			return err
		}
	}
	return nil
}

// unused reports whether no record was ever written at the start of a file.
func (o *Options) unused(path string) (bool, error) {
	f, err := o.FS.Open(path, vfs.ReadOnly)
	if err != nil {
		return false, err
	}
	var b [recordSize]byte
	_, err = f.ReadAt(b[:], dataOffset)
	return err == nil && allZero(b[:]), join(eofIsNil(err), f.Close())
}

// End returns the LSN behind the last record.
func (l *Log) End() LSN { return LSN(l.end.Load()) }

// Synced returns the LSN up to which the log is known to be durable.
func (l *Log) Synced() LSN { return LSN(l.synced.Load()) }

// failure returns why the log takes nothing more, or nil.
func (l *Log) failure() error {
	if err := l.failed.Load(); err != nil {
		return *err
	}
	if l.closed.Load() {
		return ErrClosed
	}
	return nil
}

// fail makes err the log's failure, unless it has one, and returns it.
func (l *Log) fail(err error) error {
	err = errorf("%w: %w", ErrFailed, err)
	l.failed.CompareAndSwap(nil, &err)
	return *l.failed.Load()
}

// Append writes a record of count operations, the first of which has the
// sequence number seq, and whose payload is the pieces one after the other. It
// returns the log's new end. The record is durable after a Sync.
//
// An error that wraps ErrFailed leaves open whether the record will be seen
// by a recovery, and the log takes no more. After any other error the log is
// as before.
func (l *Log) Append(seq kv.Seq, count uint32, payload ...[]byte) (LSN, error) {
	next, err := l.takes(seq, count)
	if err != nil {
		return 0, err
	}
	var length uint64
	for _, p := range payload {
		length += uint64(len(p))
	}
	if length > math.MaxUint32 {
		return 0, errorf("%w: %d bytes", ErrTooLarge, length)
	}
	size := align(recordSize + int64(length))
	if size > l.rest() {
		if err := l.rotate(size); err != nil {
			return 0, err
		}
	}
	h := recordHeader{length: uint32(length), lsn: l.place, seq: seq, synced: l.Synced(), count: count}
	if err := l.write(&h, size, payload); err != nil {
		return 0, err
	}
	return l.appended(size, next), nil
}

// AppendEach is Append of a record of one operation for each of the ends: the
// payload up to there, from the one before. All are written by one write. After
// an error that does not wrap ErrFailed none of them is in the log.
func (l *Log) AppendEach(seq kv.Seq, payload []byte, ends []int) (LSN, error) {
	next, err := l.takes(seq, uint32(len(ends)))
	if err != nil {
		return 0, err
	}
	size, start := int64(0), 0
	for _, end := range ends {
		size += align(recordSize + int64(end-start))
		start = end
	}
	if size > l.rest() {
		if err := l.rotate(size); err != nil {
			return 0, err
		}
	}
	total := l.behind(size)
	b := l.buffer(total)
	h := recordHeader{lsn: l.place, seq: seq, synced: l.Synced(), count: 1, number: uint32(l.active.number)}
	start, last := 0, 0
	for _, end := range ends {
		from := len(b)
		h.length = uint32(end - start)
		b = b[:from+recordSize]
		h.put(b[from:])
		b = append(b, payload[start:end]...)
		head := len(b)
		b = b[:from+int(h.size())]
		clear(b[head:])
		seal(b[from:], l.active.crc)
		h.lsn += LSN(h.size())
		h.seq++
		start, last = end, from
	}
	b = b[:total]
	clear(b[size:])
	if err := l.writeAt(l.place, b[:last+recordSize], b, l.active.offset(l.place)); err != nil {
		return 0, err
	}
	return l.appended(size, next), nil
}

// takes returns the sequence number after count operations from seq, which come
// next, or why the log takes nothing.
func (l *Log) takes(seq kv.Seq, count uint32) (next kv.Seq, err error) {
	if err := l.failure(); err != nil {
		return 0, err
	}
	next, ok := followedBy(seq, count)
	if !ok || count == 0 || l.seq != 0 && seq != l.seq {
		panic(fmt.Sprintf("wal: %d operations from %d, want from %d", count, seq, l.seq))
	}
	return next, nil
}

// appended makes the size bytes of records at the end a part of the log.
func (l *Log) appended(size int64, next kv.Seq) LSN {
	l.place += LSN(size)
	l.seq = next
	l.end.Store(uint64(l.place))
	return l.place
}

// rest is the space left in the active segment.
func (l *Log) rest() int64 { return int64(l.active.end - l.place) }

// behind is the size of records of so many bytes with the zeros behind them.
func (l *Log) behind(size int64) int { return int(min(size+recordSize, l.rest())) }

// buffer returns an empty buffer with room for n bytes.
func (l *Log) buffer(n int) []byte {
	b := l.buf
	if cap(b) < n {
		b = make([]byte, 0, max(n, 4096))
		if n <= maxKeptBuffer {
			l.buf = b
		}
	}
	return b[:0]
}

// longPiece is the length from which the last piece of a payload is written from
// where it is, by a write of its own.
const longPiece = 8 << 10

// write writes the record h of size bytes to its place in the active segment,
// and zeros where the next one will stand.
func (l *Log) write(h *recordHeader, size int64, payload [][]byte) error {
	var long []byte
	if last := len(payload) - 1; last >= 0 && len(payload[last]) >= longPiece {
		long, payload = payload[last], payload[:last]
	}
	total := l.behind(size) - len(long)
	b := l.buffer(total)[:recordSize]
	h.number = uint32(l.active.number)
	h.put(b)
	for _, p := range payload {
		b = append(b, p...)
	}
	head := len(b)
	clear(b[head:total])
	b = b[:total]
	end := int(size) - len(long) // of the record in b

	off := l.active.offset(h.lsn)
	if len(long) == 0 {
		seal(b[:end], l.active.crc)
	} else {
		seal(b[:head], l.active.crc, long, b[head:end])
		// The head comes last: until then zeros stand in its place, as they do
		// behind every record, and there is none.
		err := l.writeAt(h.lsn, b[:recordSize], long, off+int64(head))
		if err == nil {
			err = l.writeAt(h.lsn, b[:recordSize], b[head:], off+int64(head+len(long)))
		}
		if err != nil {
			return err
		}
		b = b[:head]
	}
	return l.writeAt(h.lsn, b[:recordSize], b, off)
}

// writeAt writes a part of what is to stand at lsn, and begins with heads: the
// head of a record, or of the first of several, to that of the last.
func (l *Log) writeAt(lsn LSN, heads, b []byte, off int64) error {
	_, err := l.active.file.WriteAt(b, off)
	if err == nil {
		return nil
	}
	err = errorf("write log record at %d: %w", lsn, err)
	if vfs.IsNoSpace(err) && l.wipe(lsn, heads) == nil {
		return err // without its head there is no record
	}
	return l.fail(err)
}

// wipe makes sure that no record in heads, which were to stand at lsn and which a
// full disk kept from being whole, is ever taken for one: what is missing may be
// what stood there before. How much there is of them nobody knows: os.File.WriteAt
// says 0 when a part of a write was carried out, and a store into a mapping may
// have left some before that, all but its first bytes, which it leaves for last.
// So it is looked at. Only what was written is written over: that takes no space.
func (l *Log) wipe(lsn LSN, heads []byte) error {
	b := make([]byte, len(heads))
	off := l.active.offset(lsn)
	if _, err := l.active.file.ReadAt(b, off); err != nil {
		return err
	}
	n := 0
	for n < len(b) && b[n] == heads[n] {
		n++
	}
	err := l.blank(bytes.TrimRight(b[:n], "\x00"), off)
	wiped := n > 0
	var h recordHeader
	for p := 0; p < len(heads) && err == nil; p += int(h.size()) {
		h.get(heads[p:])
		if head := b[p : p+recordSize]; p >= n && bytes.Equal(head, heads[p:p+recordSize]) {
			err, wiped = l.blank(head, off+int64(p)), true
		}
	}
	if err == nil && wiped {
		err = l.active.file.Sync()
	}
	return err
}

// blank makes b, which stands at off in the active segment, zeros.
func (l *Log) blank(b []byte, off int64) error {
	if len(b) == 0 {
		return nil
	}
	clear(b)
	_, err := l.active.file.WriteAt(b, off)
	return err
}

// rotate makes a segment with room for size bytes the active one. Nobody prepares
// another meanwhile: PrepareSmall would put it in the place of the one that is about
// to be written.
func (l *Log) rotate(size int64) error {
	began := time.Now()
	l.preparing.Lock()
	defer l.preparing.Unlock()
	if err := l.prepareLocked(size, maxCapacity); err != nil {
		return err
	}
	waited := time.Since(began)
	if l.rest() >= recordSize {
		h := recordHeader{lsn: l.place, seq: l.seq, synced: l.Synced()}
		if err := l.write(&h, recordSize, nil); err != nil {
			return err
		}
	}
	l.o.unmapFile(l.active)
	l.mu.Lock()
	l.active, l.next = l.next, nil
	l.ready.Store(false)
	l.segments = append(l.segments, l.active)
	l.mu.Unlock()
	l.place = l.active.start
	l.o.rotated(l.active, waited)
	return nil
}

// Prepare makes the next segment, unless it is there, so that an Append that
// needs it need not wait. On a full disk the kept log is given up for it. An error
// leaves the log as it was, unless it wraps ErrFailed.
func (l *Log) Prepare() error { return l.prepare(0, maxCapacity) }

// PrepareSmall is Prepare for a full disk: the segment is as small as one can be
// that takes a record with a payload of so many bytes.
func (l *Log) PrepareSmall(bytes int) error {
	size := align(recordSize + int64(bytes))
	return l.prepare(size, l.o.smallCapacity(size))
}

func (l *Log) prepare(size, most int64) error {
	l.preparing.Lock()
	defer l.preparing.Unlock()
	return l.prepareLocked(size, most)
}

// prepareLocked makes sure that the next segment has room for size bytes, and makes
// none that holds more than most. One that is too small is replaced by one with
// a larger number and the same start, which makes it dead by W1. The caller holds
// preparing.
func (l *Log) prepareLocked(size, most int64) error {
	if err := l.failure(); err != nil {
		return err
	}
	l.mu.Lock()
	old, last := l.next, l.segments[len(l.segments)-1]
	if old != nil && old.capacity >= size {
		l.mu.Unlock()
		return nil
	}
	h := header{uuid: l.o.UUID, start: last.end, capacity: min(l.o.capacityAfter(last), most), synced: l.Synced()}
	if size > h.capacity {
		h.capacity = (size + dataOffset - 1) &^ (dataOffset - 1)
	}
	if h.start+LSN(h.capacity) > maxLSN {
		l.mu.Unlock()
		return errorf("%w: the log has no more positions", ErrTooLarge)
	}
	l.number++
	h.number = l.number
	spare := l.takeSpareLocked(h.capacity)
	l.mu.Unlock()

	s, err := l.newSegment(h, spare)
	for vfs.IsNoSpace(err) && l.failure() == nil && l.o.DropKept() {
		s, err = l.newSegment(h, "")
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.next = s
	l.ready.Store(true)
	l.mu.Unlock()
	if old != nil {
		l.remove(old)
	}
	return nil
}

// newSegment makes the segment h, from the file spare when that is not empty,
// with its name and ready to be written.
func (l *Log) newSegment(h header, spare string) (*segment, error) {
	s, err := l.o.build(h, spare)
	if err != nil {
		return nil, err
	}
	if err := l.o.put(s); err != nil {
		err = join(err, s.close())
		if vfs.IsNoSpace(err) && s.path != l.o.path(segmentName(s.number)) {
			return nil, join(err, l.o.FS.Remove(s.path)) // the rename did not happen
		}
		return nil, l.fail(err)
	}
	l.o.mapFile(s)
	return s, nil
}

// Shrink makes the log small where it has grown: it goes on in a new segment of
// the size of the first, at its end, which makes what is behind that in the
// present one dead (W1), and removes the segment that was prepared. The present
// one goes with the next Release. Append must not be under way. An error leaves
// the log as it was, unless it wraps ErrFailed.
func (l *Log) Shrink() error {
	l.preparing.Lock()
	defer l.preparing.Unlock()
	if err := l.failure(); err != nil {
		return err
	}
	was := l.active
	goOn := was
	if was.capacity > l.o.firstCapacity() && l.place > was.start {
		l.mu.Lock()
		l.number++
		h := header{uuid: l.o.UUID, number: l.number, start: l.place, capacity: l.o.firstCapacity(), synced: l.Synced()}
		l.mu.Unlock()
		var err error
		if goOn, err = l.newSegment(h, ""); err != nil {
			return err
		}
		l.o.unmapFile(was)
	}
	l.mu.Lock()
	dead := l.next
	l.next = nil
	l.ready.Store(false)
	if goOn != was {
		was.end = goOn.start
		l.active = goOn
		l.segments = append(l.segments, goOn)
	}
	l.mu.Unlock()
	if goOn != was {
		l.o.rotated(goOn, 0)
	}
	if dead != nil {
		l.remove(dead)
	}
	return nil
}

// Sync makes durable what was appended before it was called, and returns the
// LSN up to which the log is durable. Its first error is final: the state of
// what was not synced cannot be known again, so the log takes nothing more.
func (l *Log) Sync() (LSN, error) {
	synced := l.Synced()
	if err := l.failure(); err != nil {
		return synced, err
	}
	target := l.End()
	if target == synced {
		return synced, nil
	}
	for _, s := range l.between(synced, target) {
		if err := s.file.Sync(); err != nil {
			return synced, l.fail(errorf("sync log segment %d: %w", s.number, err))
		}
	}
	l.synced.Store(uint64(target))
	return target, nil
}

// between returns the segments that hold a part of the log from start to end.
// They stay open while start is not synced: Release leaves them alone.
func (l *Log) between(start, end LSN) []*segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	var in []*segment
	for _, s := range l.segments {
		if s.start < end && s.end > start {
			in = append(in, s)
		}
	}
	return in
}

// Position returns End and the number of the segment that holds it: what a
// meta stores that covers everything so far.
func (l *Log) Position() (LSN, uint64) {
	end := l.End()
	number, _ := l.SegmentOf(end)
	return end, number
}

// SegmentOf returns the number of the segment from which lsn, a position
// between two records, is reached, and false when it has been released.
func (l *Log) SegmentOf(lsn LSN) (uint64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.segments) - 1; i >= 0; i-- {
		if s := l.segments[i]; s.start <= lsn {
			return s.number, lsn <= s.end
		}
	}
	return 0, false
}

// Close closes the log, after a Sync when sync is true. It waits for a Prepare
// that is under way; Append and Sync must not be.
func (l *Log) Close(sync bool) error {
	var err error
	if sync {
		_, err = l.Sync()
	} else if !l.closed.Load() {
		err = l.failure()
	}
	if l.closed.Swap(true) {
		return ErrClosed
	}
	l.preparing.Lock()
	defer l.preparing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range append(l.segments, l.next) {
		if s != nil {
			err = join(err, s.close())
		}
	}
	return err
}
