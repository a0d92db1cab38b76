package wal

import (
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/lightning-db/lightning/engine/vfs"
)

// Used reports whether the log in dir may hold commits: whether there is
// anything but a first segment without a record, which is what an interrupted
// creation leaves. It changes nothing. ErrForeign: it holds what no log does.
func Used(fsys vfs.FS, dir string) (bool, error) {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	o := Options{FS: fsys, Dir: dir}
	for _, name := range names {
		number, ok := parseSegmentName(name)
		if !ok && !strings.HasPrefix(name, sparePrefix) && !strings.HasSuffix(name, tempSuffix) {
			return false, errorf("%w: %s", ErrForeign, name)
		}
		if !ok {
			continue
		}
		if number > 1 {
			return true, nil
		}
		if used, err := o.firstUsed(name); used || err != nil {
			return used, err
		}
	}
	return false, nil
}

// firstUsed reports whether anything stands where a segment's first record
// begins.
func (o *Options) firstUsed(name string) (bool, error) {
	f, err := o.FS.Open(o.path(name), vfs.ReadOnly)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var b [recordSize]byte
	n, err := f.ReadAt(b[:], dataOffset)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	for _, x := range b[:n] {
		if x != 0 {
			return true, nil
		}
	}
	return false, nil
}

// Segments is the number of segments that are in use.
func (l *Log) Segments() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.segments)
}

// smallShare is how much sooner the segment behind a small one is prepared than
// behind an ordinary one: a burst of commits fills it in no time.
const smallShare = 16

// WantsSegment reports whether it is time to Prepare: there is no next segment,
// and the active one is half full, or small and in use. It is for the goroutine
// that appends.
func (l *Log) WantsSegment() bool {
	used := int64(l.place - l.active.start)
	if l.active.capacity < l.capacity {
		used *= smallShare
	}
	return used > l.active.capacity/2 && !l.ready.Load()
}
