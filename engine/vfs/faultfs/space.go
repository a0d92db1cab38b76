package faultfs

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"

	"github.com/lightning-db/lightning/engine/vfs"
)

// space is a disk of limited size. A file takes as much of it as it is long,
// for as long as it has a name.
type space struct {
	mu    sync.Mutex
	limit int64 // negative: none
	used  int64
	files map[string]*usage
}

// usage is what one file takes.
type usage struct {
	size int64
	gone bool // without a name it takes nothing
}

func newSpace() space { return space{limit: -1, files: make(map[string]*usage)} }

func (s *space) setLimit(bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = bytes
}

// opened returns the usage of the file that was opened as name.
func (s *space) opened(name string, f vfs.File) (*usage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name = filepath.Clean(name)
	if u := s.files[name]; u != nil {
		return u, nil
	}
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	u := &usage{size: size}
	s.files[name] = u
	s.used += size
	return u, nil
}

// grow makes u at most end long and returns how long it may be: less than end
// when the disk is full before.
func (s *space) grow(u *usage, end int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	more := end - u.size
	if more <= 0 || u.gone {
		return max(end, u.size)
	}
	if s.limit >= 0 {
		more = min(more, max(s.limit-s.used, 0))
	}
	u.size += more
	s.used += more
	return u.size
}

func (s *space) shrink(u *usage, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !u.gone && size < u.size {
		s.used -= u.size - size
		u.size = size
	}
}

func (s *space) removed(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removedLocked(filepath.Clean(name))
}

func (s *space) removedLocked(name string) {
	if u := s.files[name]; u != nil {
		s.used -= u.size
		u.gone = true
		delete(s.files, name)
	}
}

// renamed moves a file, or everything below a directory.
func (s *space) renamed(oldname, newname string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldname, newname = filepath.Clean(oldname), filepath.Clean(newname)
	if oldname == newname {
		return
	}
	s.removedLocked(newname)
	if u := s.files[oldname]; u != nil {
		delete(s.files, oldname)
		s.files[newname] = u
		return
	}
	below := oldname + string(filepath.Separator)
	moved := make(map[string]*usage)
	for name, u := range s.files {
		if strings.HasPrefix(name, below) {
			moved[newname+name[len(oldname):]] = u
			delete(s.files, name)
		}
	}
	for name, u := range moved {
		s.files[name] = u
	}
}

// FreeSpace implements vfs.FreeSpacer, where there is a limit or what is wrapped
// does.
func (in *Injector) FreeSpace(dir string) (int64, error) {
	in.space.mu.Lock()
	limit, used := in.space.limit, in.space.used
	in.space.mu.Unlock()
	if limit >= 0 {
		return max(limit-used, 0), nil
	}
	if f, ok := in.inner.(vfs.FreeSpacer); ok {
		return f.FreeSpace(dir)
	}
	return 0, errors.ErrUnsupported
}
