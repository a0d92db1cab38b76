package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"slices"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/vfs"
)

// The kept log: segments that recovery no longer needs, under their names in the
// directory Options.Kept, so that what was committed can be read long after a
// checkpoint has it. Whoever wants that makes the directory, at any time and in
// any process; without it segments are used again or removed. Recovery never
// looks there.

// keep moves a segment that is out of the chain to the kept log, and reports
// whether it is there. A crash that undoes the rename leaves a segment that the
// next Open moves there again. What stands behind the segment's end is cut off, as
// it would count for Options.MaxHeld; but not before the move is durable: the meta
// may name the segment, which under its old name must be as long as its header says.
func (l *Log) keep(s *segment) bool {
	if !l.o.keeps() {
		return false
	}
	_ = s.close()
	path := l.o.keptPath(s.number)
	if l.o.FS.Rename(s.path, path) != nil {
		return false
	}
	if s.end < s.start+LSN(s.capacity) && l.o.syncDir() == nil {
		if f, err := l.o.FS.Open(path, vfs.ReadWrite); err == nil {
			_ = f.Truncate(s.offset(s.end)) // else it takes more
			_ = f.Close()
		}
	}
	return true
}

//go:noinline // filepath.Join in all that names a file
func (o *Options) keptPath(number uint64) string {
	return filepath.Join(o.Kept, segmentName(number))
}

// keeps reports whether the directory is there. A link, which could lead out of
// the database, is none.
func (o *Options) keeps() bool {
	if o.Kept == "" {
		return false
	}
	info, err := o.FS.Stat(o.Kept)
	return err == nil && info.IsDir
}

// trim removes the oldest kept segments until the others have at most
// Options.MaxHeld bytes. What cannot be removed is tried again by the next.
func (o *Options) trim() {
	numbers, err := o.kept()
	left := o.maxHeld()
	for _, number := range slices.Backward(numbers) {
		path := o.keptPath(number)
		info, statErr := o.FS.Stat(path)
		if left -= info.Size; err == nil && statErr == nil && left < 0 {
			_ = o.FS.Remove(path)
		}
	}
}

// DropKept removes the older half of the kept log, for a disk that is full, and
// reports whether that gave any space.
func (o *Options) DropKept() bool {
	numbers, _ := o.kept()
	return o.removeKept(numbers[:(len(numbers)+1)/2])
}

// removeKept removes kept segments, and reports whether it removed any.
func (o *Options) removeKept(numbers []uint64) (any bool) {
	for _, number := range numbers {
		any = o.FS.Remove(o.keptPath(number)) == nil || any
	}
	return any
}

// dropStale removes the kept segments that are numbered as the one with the
// number first, which is about to be kept, or behind it: they are of a log that
// was replaced by an older one.
func (o *Options) dropStale(first uint64) {
	numbers, _ := o.kept()
	i, _ := slices.BinarySearch(numbers, first)
	o.removeKept(numbers[i:])
}

// kept lists the kept segments, ascending.
func (o *Options) kept() ([]uint64, error) {
	if !o.keeps() {
		return nil, nil
	}
	names, err := o.FS.List(o.Kept)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var numbers []uint64
	for _, name := range names {
		if number, ok := parseSegmentName(name); ok {
			numbers = append(numbers, number)
		}
	}
	return numbers, err
}

// Past calls visit for each record from the one that holds the operation first
// to the one that holds last, or, where the log begins right behind first, from
// its beginning on. It reads the kept log and the log itself, also while another
// process writes. ErrGone: they do not reach back so far. last must have been
// logged.
func Past(ctx context.Context, o Options, first, last kv.Seq, visit func(Record) error) error {
	segments, seq, err := o.back(ctx, first, last)
	for range maxBack { // what was listed may have been moved or removed since
		if !errors.Is(err, errVanished) {
			break
		}
		segments, seq, err = o.back(ctx, first, last)
	}
	if err != nil {
		return err
	}
	for _, s := range segments {
		if seq, _, err = o.readPast(s, seq, first, last, visit); err != nil {
			return eofIsNil(err)
		}
	}
	if seq > last {
		return nil
	}
	return ErrGone
}

// Torn is the end of a log behind which something is left out.
type Torn struct {
	Path    string
	Offset  int64
	Bytes   int64  // written behind it, as far as it can be told; of a short file all that it has there
	Commits uint64 // that are whole there: a power cut may leave them, and so does damage
	Short   bool   // the file is shorter than its header says, or has not even all of that
}

// After is Past up to the end of the log, which nobody writes to: it may be all
// that is left of a database. W3 says where the end is, with closed as in Start;
// torn is not nil when something is left out there. io.EOF of visit is an end, too.
//
// What is damaged, missing (ErrGone, ErrMissing) or cannot be read is an error
// once all before it was visited, and only then.
func After(ctx context.Context, o *Options, first kv.Seq, closed LSN, visit func(Record) error) (torn *Torn, err error) {
	c, seq, behind := o.back(ctx, first, kv.MaxSeq)
	var end LSN
	for ; len(c) > 0; c = c[1:] {
		s := c[0]
		seq, end, err = o.readPast(s, seq, first, kv.MaxSeq, visit)
		switch goesOn := errors.Is(err, ErrMissing); {
		case len(c) > 1 && (err == nil || goesOn):
			continue
		case err != nil && err != errInvalid && !(goesOn && behind != nil):
			return nil, eofIsNil(err)
		case err == errInvalid && s.path == o.keptPath(s.number) && (len(c) > 1 || end != s.limit()):
			return nil, s.corrupt(end, "W3", s.ends()+", but the log goes on") // a checkpoint had it
		case behind == nil && !goesOn && s.path == o.keptPath(s.number):
			return nil, s.gap(nil)
		case err == errInvalid && behind == nil || err == nil && behind == nil:
			return o.tornAt(c, end, seq, closed)
		case err == nil || goesOn:
			end = s.end
		}
		return o.headless(behind, c, end, seq, closed)
	}
	return nil, behind
}

// headless returns the torn tail where behind, the error of what stands behind the
// chain, is that the newest segment has not even its header: that can have had any
// commits, or, prepared for more, none. It is damage where the log was closed behind the
// chain, and so is anything else.
func (o *Options) headless(behind error, c chain, end LSN, seq kv.Seq, closed LSN) (*Torn, error) {
	found, _ := o.list()
	newest, ok := errors.AsType[*CorruptError](behind)
	if n := len(found.segments); !ok || newest.Cause != io.ErrUnexpectedEOF || closed > end || n == 0 ||
		newest.Path != o.path(segmentName(found.segments[n-1])) {
		return nil, behind
	}
	if s := c[0]; end < s.end && s.path != o.keptPath(s.number) {
		if torn, err := o.tornAt(c, end, seq, closed); torn != nil || err != nil {
			return torn, err
		}
	}
	return &Torn{Path: newest.Path, Short: true}, nil
}

// tornAt returns the torn tail at end, behind the operation before seq, where the
// chain has no valid record, or nil where nothing is left out, or the damage that it
// is.
func (o *Options) tornAt(c chain, end LSN, seq kv.Seq, closed LSN) (torn *Torn, err error) {
	w := newWalker(c, end, seq)
	if damage := w.damage(rest{}, closed); damage != nil { // before many files are opened
		return nil, damage
	}
	defer c.closeFiles()
	for _, s := range c {
		if s.file, err = o.FS.Open(s.path, vfs.ReadOnly); err != nil {
			s.file = nil
			return nil, err
		}
	}
	k := checker{o: o, last: true, report: Report{Seq: seq - 1}, visit: func(r Record) error {
		if !r.Cut {
			return io.EOF // behind damage
		}
		return nil
	}}
	err = k.walk(w, closed)
	s, short := c[0], slices.IndexFunc(c, (*segment).short)
	switch {
	case k.blind != nil:
		return nil, k.blind
	case k.cut == nil && len(k.damages) > 0:
		return nil, k.damages[0]
	case err != nil:
		return nil, s.corrupt(end, "W3", "what stands here does not read the same again")
	case short >= 0: // what it lacks may have been written after the log was closed, too
		if short > 0 { // and be what would prove that s lacks something
			s, end = c[short], c[short].start
		}
		torn = &Torn{s.path, s.offset(end), 0, k.missed.records, true}
		torn.Bytes, err = s.file.Size()
		torn.Bytes -= torn.Offset
		return torn, err
	case k.report.TornBytes == 0:
		return nil, nil
	}
	return &Torn{s.path, s.offset(end), k.report.TornBytes, k.missed.records, false}, nil
}

// maxBack is how often the segments are listed again.
const maxBack = 20

// errVanished says that a segment that was listed is not there.
var errVanished = errorf("%w: a segment has gone", ErrGone)

// back returns the segments from the one that holds first, or begins right behind
// it, on, and the sequence number that this one begins with.
// Their files are closed. Where there are segments, the error is of what stands
// behind them.
func (o *Options) back(ctx context.Context, first, last kv.Seq) (segments []*segment, oldest kv.Seq, behind error) {
	live, err := o.list() // before the kept ones: what is moved meanwhile is in both
	if err != nil {
		return nil, 0, err
	}
	numbers, err := o.kept()
	if err != nil {
		return nil, 0, err
	}
	if len(live.segments) > 0 { // what is kept behind the first is in both, or stale: see dropStale
		i, _ := slices.BinarySearch(numbers, live.segments[0])
		numbers = append(numbers[:i], live.segments...)
	}
	limit := LSN(math.MaxUint64)
	var broken error                    // between the segment before and limit
	for n := len(numbers); n > 0; n-- { // by slices.Backward it would be a call
		if err := ctx.Err(); err != nil { // each may begin with a large record
			return nil, 0, err
		}
		s, err := o.openPast(numbers[n-1])
		if err != nil {
			broken = err
			continue
		}
		if s.end = min(s.end, limit); s.start >= limit { // dead by W1
			_ = s.close()
			continue
		}
		if len(segments) > 0 && broken == nil && o.lacks(s, segments[0]) || broken != nil && s.end != limit { // a gap
			if broken == nil && oldest == first+1 {
				_ = s.close()
				break // those before were let go
			}
			if behind = broken; broken == nil {
				behind = s.gap(segments[0]) // or the list is of several moments
			}
			segments, oldest = nil, 0
		}
		limit, broken = s.start, nil
		segments = append([]*segment{s}, segments...)
		h, _, err := newWalker(chain{s}, s.start, 0).read()
		_ = s.close()
		switch {
		case err == nil && h.count > 0:
			if oldest = h.seq; oldest <= first {
				return segments, oldest, behind
			}
		case err != nil && err != errInvalid:
			broken = err
		case err == errInvalid && s.limit() < s.end:
			broken = s.corrupt(s.start, "W3", s.ends())
		}
	}
	switch {
	case broken != nil:
		return nil, 0, broken
	case oldest == first+1:
		return segments, oldest, behind
	case behind != nil:
		return nil, 0, behind
	case oldest == 0 && first == last: // nothing since
		return nil, first + 1, nil
	}
	return nil, 0, o.begun(segments, oldest)
}

// begun is the error that the log begins too late, with the operation oldest in the
// first of the segments, or, where that is 0, with none.
func (o *Options) begun(segments []*segment, oldest kv.Seq) error {
	if oldest == 0 {
		return errorf("%w: no commit is left in %s, nor in %s", ErrGone, o.Dir, o.Kept)
	}
	return errorf("%w: what is left begins with sequence number %d, in %s, and %s has nothing before that", ErrGone, oldest, segments[0].path, o.Kept)
}

// lacks reports whether something is missing between two segments: where the first
// ends before the next begins. A kept one ends where its file does, if that is behind
// a record, and numbers are left for one between the two: else it was cut short.
func (o *Options) lacks(s, next *segment) bool {
	if s.end != next.start || s.limit() == s.end || s.number+1 == next.number || s.path != o.keptPath(s.number) {
		return s.end != next.start
	}
	w := newWalker(chain{s}, s.start, 0)
	for err := error(nil); err == nil; {
		_, err = w.next()
	}
	return w.place == s.limit()
}

// gap is the error that what stands behind s, before next if that is not nil, is
// missing.
func (s *segment) gap(next *segment) error {
	c := s.corrupt(s.limit(), "W1", "the segments behind this one are missing")
	if next != nil {
		c.Reason = fmt.Sprintf("LSN %d to %d are missing, a segment or the end of this one, before %s",
			s.limit(), next.start, segmentName(next.number))
	}
	c.Cause = errVanished
	return c
}

// openPast opens a segment of the log or of the kept log, whatever the length of
// its file: what that does not have was not written, as far as can be told. It may
// be moved from the one to the other at any moment.
func (o *Options) openPast(number uint64) (*segment, error) {
	s, err := o.openFile(o.path(segmentName(number)), number)
	if errors.Is(err, ErrMissing) && o.Kept != "" {
		s, err = o.openFile(o.keptPath(number), number)
	}
	if errors.Is(err, ErrMissing) {
		return nil, errorf("%w: %v", errVanished, err)
	} else if err != nil {
		return nil, err
	}
	if err := s.fit(); err != nil {
		_ = s.close()
		return nil, err
	}
	return s, nil
}

// readPast visits the records of a segment up to last, or its end. It returns the
// sequence number that comes next, and where. io.EOF: last was visited.
//
// Where last is not known, kv.MaxSeq, errInvalid says that the segment has room for
// a record and none stands there, ErrMissing that another segment follows.
func (o *Options) readPast(s *segment, seq, first, last kv.Seq, visit func(Record) error) (next kv.Seq, at LSN, err error) {
	end := s.end
	if s, err = o.openPast(s.number); err != nil {
		return 0, 0, err
	}
	defer s.close()
	s.end = end
	w := newWalker(chain{s}, s.start, seq)
	for {
		rec, err := w.next()
		switch {
		case last != kv.MaxSeq && errors.Is(err, ErrMissing), err == errInvalid && s.end-w.place < recordSize:
			return w.seq, w.place, nil
		case err == errInvalid && last == kv.MaxSeq:
			return w.seq, w.place, err
		case err == errInvalid && w.seq <= last:
			err = s.corrupt(w.place, "W3", s.ends()+", but the log goes on")
		case err == errInvalid:
			return w.seq, w.place, nil
		}
		if err != nil {
			return w.seq, w.place, o.orGone(s, err)
		}
		if rec.Seq > last { // first and last are one, and in no segment
			return rec.Seq, rec.LSN, io.EOF
		}
		if rec.Last() >= first {
			if err := visit(rec); err != nil {
				return 0, 0, err
			}
		}
		if rec.Last() >= last {
			return rec.Last() + 1, rec.End, io.EOF
		}
	}
}

// orGone returns err, or ErrGone where s is not there any more: what was read may
// be of a later use of its file.
func (o *Options) orGone(s *segment, err error) error {
	again, goneErr := o.openPast(s.number)
	if errors.Is(goneErr, ErrGone) {
		return goneErr
	}
	if goneErr == nil {
		_ = again.close()
	}
	return err
}
