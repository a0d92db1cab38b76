package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/lightning-db/lightning/engine/vfs"
)

// segment is one segment file. Everything but file and end is fixed once the log
// knows it. Its lock guards end, which Shrink brings forward; Append reads that
// of the active one without, and never beside a Shrink. The capacity of one that
// openPast opened is what the file has (fit), which may be less than up to end.
type segment struct {
	header
	path string
	end  LSN      // where it ends by W1
	crc  uint32   // header.seed()
	file vfs.File // nil when nothing in it is written or synced any more
}

func newSegment(h header, path string) *segment {
	return &segment{header: h, path: path, end: h.start + LSN(h.capacity), crc: h.seed()}
}

// offset is where lsn stands in the file.
func (s *segment) offset(lsn LSN) int64 { return dataOffset + int64(lsn-s.start) }

// limit is where what can be read ends: at end, or where the file does.
func (s *segment) limit() LSN { return min(s.end, s.start+LSN(s.capacity)) }

// short reports whether that is the file: it was cut.
func (s *segment) short() bool { return s.limit() < s.end }

//go:noinline // called in many places, none of them hot
func (s *segment) corrupt(lsn LSN, invariant, reason string) *CorruptError {
	return &CorruptError{Path: s.path, Offset: s.offset(lsn), LSN: lsn, Invariant: invariant, Reason: reason}
}

//go:noinline // called in many places, none of them hot
func (s *segment) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}

// readHeader reads and checks the header of the file that f has open. What is
// wrong with the bytes is a *CorruptError.
func (o *Options) readHeader(f vfs.File, path string) (header, error) {
	corrupt := func(reason string, cause error) error {
		return &CorruptError{Path: path, Invariant: "W4", Reason: reason, Cause: cause}
	}
	var h header
	var b [headerSize]byte
	if _, err := f.ReadAt(b[:], 0); errors.Is(err, io.EOF) {
		return h, corrupt("the file ends in the segment header", io.ErrUnexpectedEOF)
	} else if err != nil {
		return h, errorf("read log segment %s: %w", path, err)
	}
	if wrong := h.get(b[:]); wrong != "" {
		return h, corrupt(wrong, nil)
	}
	if h.uuid != o.UUID {
		return h, corrupt("the segment belongs to another database", ErrMismatch)
	}
	return h, nil
}

// openSegment opens the segment file with the number for reading and checks
// its header and length.
func (o *Options) openSegment(number uint64) (*segment, error) {
	s, err := o.openFile(o.path(segmentName(number)), number)
	if err != nil {
		return nil, err
	}
	if err = checkLength(s.file, s.path, &s.header); err != nil {
		_ = s.close()
		if gone := o.gone(s); gone != nil {
			err = gone
		}
		return nil, err
	}
	return s, nil
}

// gone returns an ErrMissing where the name of s leads no more to it: it may have been
// used again since, or moved to the kept log and cut, and what was read of it says
// nothing.
func (o *Options) gone(s *segment) error {
	again, err := o.openFile(s.path, s.number)
	if errors.Is(err, ErrMissing) {
		return err
	}
	if err == nil {
		_ = again.close()
	}
	return nil
}

// openFile opens the file of the segment with the number for reading and checks
// its header.
func (o *Options) openFile(path string, number uint64) (*segment, error) {
	f, err := o.FS.Open(path, vfs.ReadOnly)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &CorruptError{Path: path, Invariant: "W4", Reason: "the segment is missing", Cause: ErrMissing}
	} else if err != nil {
		return nil, errorf("open log segment: %w", err)
	}
	h, err := o.readHeader(f, path)
	if err == nil && h.number != number {
		err = &CorruptError{
			Path: path, Offset: 32, Invariant: "W4", Cause: ErrMissing,
			Reason: fmt.Sprintf("the file holds segment %d", h.number),
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	s := newSegment(h, path)
	s.file = f
	return s, nil
}

// fit makes the capacity no larger than what the file has.
func (s *segment) fit() error {
	size, err := s.file.Size()
	if err != nil {
		return errorf("size of log segment %s: %w", s.path, err)
	}
	s.capacity = min(s.capacity, max(size-dataOffset, 0)&^(alignment-1))
	return nil
}

// checkLength checks that a segment file is as long as its header says.
func checkLength(f vfs.File, path string, h *header) error {
	size, err := f.Size()
	if err != nil {
		return errorf("size of log segment %s: %w", path, err)
	}
	if size != dataOffset+h.capacity {
		return &CorruptError{
			Path: path, Offset: size, Invariant: "W4",
			Reason: fmt.Sprintf("the file has %d bytes, its header says %d", size, dataOffset+h.capacity),
		}
	}
	return nil
}

// build makes the file of a new segment under a temporary name, from the file
// spare when that is not empty. Its header and space are durable when build
// returns; put gives it its name. Bytes of an earlier use stay behind the
// first record's place.
//
// The header is synced before any record is written: were it not, a crash
// could leave records that carry the number in a file whose header does not
// show that the number was used.
func (o *Options) build(h header, spare string) (*segment, error) {
	s := newSegment(h, o.path(strconv.FormatUint(h.number, 16)+tempSuffix))
	if err := o.fill(s, spare); err != nil {
		_ = s.close()
		_ = o.FS.Remove(s.path)
		return nil, errorf("prepare log segment %d: %w", h.number, err)
	}
	return s, nil
}

func (o *Options) fill(s *segment, spare string) (err error) {
	mode := vfs.CreateNew
	if spare != "" {
		if err := o.FS.Rename(o.path(spare), s.path); err != nil {
			return err
		}
		mode = vfs.ReadWrite
	}
	if s.file, err = o.FS.Open(s.path, mode); err != nil {
		return err
	}
	if err := s.file.Allocate(0, dataOffset+s.capacity); err != nil {
		return errorf("%d bytes are wanted: %w", dataOffset+s.capacity, err)
	}
	b := make([]byte, dataOffset+min(recordSize, s.capacity))
	s.put(b)
	if _, err := s.file.WriteAt(b, 0); err != nil {
		return err
	}
	return s.file.Sync()
}

// put gives a built segment its name. When it returns a nil error the name is
// durable; when it fails the segment may or may not be there after a crash.
func (o *Options) put(s *segment) error {
	path := o.path(segmentName(s.number))
	if err := o.FS.Rename(s.path, path); err != nil {
		return errorf("rename log segment: %w", err)
	}
	s.path = path
	return o.syncDir()
}

func (o *Options) syncDir() error {
	if err := o.FS.SyncDir(o.Dir); err != nil {
		return errorf("sync the log's directory: %w", err)
	}
	return nil
}

// writable opens s, as found by recovery, for Append.
func (o *Options) writable(s *segment) error {
	_ = s.close()
	f, err := o.FS.Open(s.path, vfs.ReadWrite)
	if err != nil {
		return errorf("open log segment: %w", err)
	}
	s.file = f
	return nil
}

// mapFile maps the segment when that is asked for. A file without a mapping
// takes plain writes: slower, and no less right.
func (o *Options) mapFile(s *segment) {
	if m, ok := s.file.(vfs.Mapper); ok && o.Mapped {
		_ = m.Map(dataOffset + s.capacity)
	}
}

// unmapFile ends the mapping of a segment that is full: a sync of what is not
// mapped is cheaper.
func (o *Options) unmapFile(s *segment) {
	if m, ok := s.file.(vfs.Mapper); ok && o.Mapped {
		_ = m.Map(0)
	}
}

// listing is what stands in the log's directory.
type listing struct {
	segments []uint64 // ascending
	spares   []string
	temps    []string
}

func (o *Options) list() (listing, error) {
	names, err := o.FS.List(o.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return listing{}, &CorruptError{Path: o.Dir, Invariant: "W4", Reason: "the log's directory is missing", Cause: ErrMissing}
	}
	if err != nil {
		return listing{}, errorf("list the log's directory: %w", err)
	}
	var l listing
	for _, name := range names { // sorted, and so are the numbers in them
		if number, ok := parseSegmentName(name); ok {
			l.segments = append(l.segments, number)
		} else if strings.HasPrefix(name, sparePrefix) {
			l.spares = append(l.spares, name)
		} else if strings.HasSuffix(name, tempSuffix) {
			l.temps = append(l.temps, name)
		}
	}
	return l, nil
}
