// Package vfstest is the contract of vfs.FS as a test, which every
// implementation runs.
package vfstest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lightning-db/lightning/engine/vfs"
)

// TestFS runs the suite. open returns a file system and an empty directory in
// it, and is called once for every part.
func TestFS(t *testing.T, open func(t *testing.T) (fs vfs.FS, dir string)) {
	for _, part := range []struct {
		name string
		run  func(s *suite)
	}{
		{"Open_Modes", (*suite).openModes},
		{"Open_RefusesDirectory", (*suite).openRefusesDirectory},
		{"ReadOnly_RefusesChanges", (*suite).readOnlyRefusesChanges},
		{"ReadAt_ShortAtTheEnd", (*suite).readAtShortAtTheEnd},
		{"WriteAt_Extends", (*suite).writeAtExtends},
		{"WriteAt_NegativeOffset", (*suite).writeAtNegativeOffset},
		{"Truncate_GainsZeros", (*suite).truncateGainsZeros},
		{"Allocate_KeepsAndExtends", (*suite).allocateKeepsAndExtends},
		{"Close_EndsTheHandle", (*suite).closeEndsTheHandle},
		{"Handles_SeeEachOther", (*suite).handlesSeeEachOther},
		{"Mkdir", (*suite).mkdir},
		{"Remove", (*suite).remove},
		{"Rename_Replaces", (*suite).renameReplaces},
		{"Rename_Directory", (*suite).renameDirectory},
		{"List_Sorted", (*suite).listSorted},
		{"Stat", (*suite).stat},
		{"Sync", (*suite).sync},
		{"Lock_ExcludesAndNamesHolder", (*suite).lockExcludes},
		{"Lock_HolderIsMadePrintable", (*suite).lockHolderPrintable},
		{"Map_TakesWrites", (*suite).mapTakesWrites},
		{"Concurrent_ReadsAndWrites", (*suite).concurrent},
	} {
		t.Run(part.name, func(t *testing.T) {
			fsys, dir := open(t)
			part.run(&suite{T: t, fs: fsys, dir: dir})
		})
	}
}

type suite struct {
	*testing.T
	fs  vfs.FS
	dir string
}

func (s *suite) openModes() {
	name := s.path("file")
	for _, mode := range []vfs.Mode{vfs.ReadOnly, vfs.ReadWrite} {
		if _, err := s.fs.Open(name, mode); !errors.Is(err, fs.ErrNotExist) {
			s.Errorf("Open(missing, %d) = %v, want fs.ErrNotExist", mode, err)
		}
	}
	f := s.open("file", vfs.CreateNew)
	s.write(f, "kept", 0)
	s.ok(f.Close())
	if _, err := s.fs.Open(name, vfs.CreateNew); !errors.Is(err, fs.ErrExist) {
		s.Errorf("Open(taken, CreateNew) = %v, want fs.ErrExist", err)
	}
	if _, err := s.fs.Open(s.path("none", "file"), vfs.Create); !errors.Is(err, fs.ErrNotExist) {
		s.Errorf("Open in a missing directory = %v, want fs.ErrNotExist", err)
	}
	for _, mode := range []vfs.Mode{vfs.ReadOnly, vfs.ReadWrite, vfs.Create} {
		f := s.open("file", mode)
		s.content(f, "kept")
		if f.Name() != name {
			s.Errorf("Name() = %q, want %q", f.Name(), name)
		}
		s.ok(f.Close())
	}
	s.ok(s.open("made", vfs.Create).Close())
	s.names("file", "made")
}

func (s *suite) openRefusesDirectory() {
	s.ok(s.fs.Mkdir(s.path("sub")))
	for _, mode := range []vfs.Mode{vfs.ReadOnly, vfs.ReadWrite, vfs.Create, vfs.CreateNew} {
		if _, err := s.fs.Open(s.path("sub"), mode); err == nil {
			s.Errorf("Open(directory, %d) worked", mode)
		}
	}
}

func (s *suite) readOnlyRefusesChanges() {
	s.file("file", "content")
	f := s.open("file", vfs.ReadOnly)
	defer s.close(f)
	if _, err := f.WriteAt([]byte("x"), 0); err == nil {
		s.Error("WriteAt worked")
	}
	if err := f.Truncate(0); err == nil {
		s.Error("Truncate worked")
	}
	if err := f.Allocate(0, 100); err == nil {
		s.Error("Allocate worked")
	}
	s.content(f, "content")
}

func (s *suite) readAtShortAtTheEnd() {
	s.file("file", "0123456789")
	f := s.open("file", vfs.ReadOnly)
	defer s.close(f)
	for _, c := range []struct {
		off, n int64
		want   string
		err    error
	}{
		{0, 10, "0123456789", nil},
		{3, 4, "3456", nil},
		{8, 4, "89", io.EOF},
		{10, 1, "", io.EOF},
		{1000, 1, "", io.EOF},
	} {
		buf := make([]byte, c.n)
		n, err := f.ReadAt(buf, c.off)
		if full := n == len(buf) && (err == nil || err == io.EOF); string(buf[:n]) != c.want || err != c.err && !full {
			s.Errorf("ReadAt(%d bytes, %d) = %q, %v, want %q, %v", c.n, c.off, buf[:n], err, c.want, c.err)
		}
	}
}

func (s *suite) writeAtExtends() {
	f := s.open("file", vfs.Create)
	defer s.close(f)
	s.write(f, "end", 10_000)
	s.content(f, strings.Repeat("\x00", 10_000)+"end")
	s.write(f, "start", 0)
	s.content(f, "start"+strings.Repeat("\x00", 9_995)+"end")
	s.write(f, "", 20_000)
	s.size(f, 10_003)
}

func (s *suite) writeAtNegativeOffset() {
	f := s.open("file", vfs.Create)
	defer s.close(f)
	if _, err := f.WriteAt([]byte("x"), -1); err == nil {
		s.Error("WriteAt(-1) worked")
	}
	if _, err := f.ReadAt(make([]byte, 1), -1); err == nil || err == io.EOF {
		s.Errorf("ReadAt(-1) = %v", err)
	}
	if err := f.Truncate(-1); err == nil {
		s.Error("Truncate(-1) worked")
	}
	s.size(f, 0)
}

func (s *suite) truncateGainsZeros() {
	f := s.open("file", vfs.Create)
	defer s.close(f)
	s.write(f, strings.Repeat("x", 9_000), 0)
	s.ok(f.Truncate(5))
	s.content(f, "xxxxx")
	s.ok(f.Truncate(9_000))
	s.content(f, "xxxxx"+strings.Repeat("\x00", 8_995))
	s.ok(f.Truncate(0))
	s.content(f, "")
}

func (s *suite) allocateKeepsAndExtends() {
	f := s.open("file", vfs.Create)
	defer s.close(f)
	s.write(f, "head", 0)
	s.ok(f.Allocate(0, 3_000_000))
	s.content(f, "head"+strings.Repeat("\x00", 2_999_996))
	s.write(f, "tail", 2_999_996)
	s.ok(f.Allocate(100, 50))
	s.ok(f.Allocate(2_999_990, 0))
	s.content(f, "head"+strings.Repeat("\x00", 2_999_992)+"tail")
	s.ok(f.Allocate(3_000_010, 10))
	s.size(f, 3_000_020)
	if err := f.Allocate(-1, 10); err == nil {
		s.Error("Allocate(-1, 10) worked")
	}
}

func (s *suite) closeEndsTheHandle() {
	f := s.open("file", vfs.Create)
	s.ok(f.Close())
	_, readErr := f.ReadAt(make([]byte, 1), 0)
	_, writeErr := f.WriteAt([]byte("x"), 0)
	_, sizeErr := f.Size()
	for what, err := range map[string]error{
		"ReadAt": readErr, "WriteAt": writeErr, "Size": sizeErr,
		"Truncate": f.Truncate(0), "Sync": f.Sync(), "Allocate": f.Allocate(0, 1), "Close": f.Close(),
	} {
		if !errors.Is(err, fs.ErrClosed) {
			s.Errorf("%s of a closed file = %v, want fs.ErrClosed", what, err)
		}
	}
}

func (s *suite) handlesSeeEachOther() {
	a, b := s.open("file", vfs.Create), s.open("file", vfs.Create)
	defer s.close(a)
	s.write(a, "from a", 0)
	s.content(b, "from a")
	s.write(b, "B", 5)
	s.content(a, "from B")
	s.ok(b.Close())
	s.content(a, "from B")
}

func (s *suite) mkdir() {
	s.ok(s.fs.Mkdir(s.path("sub")))
	s.file("file", "")
	for _, taken := range []string{"sub", "file"} {
		if err := s.fs.Mkdir(s.path(taken)); !errors.Is(err, fs.ErrExist) {
			s.Errorf("Mkdir(%s) again = %v, want fs.ErrExist", taken, err)
		}
	}
	if err := s.fs.Mkdir(s.path("none", "sub")); !errors.Is(err, fs.ErrNotExist) {
		s.Errorf("Mkdir in a missing directory = %v, want fs.ErrNotExist", err)
	}
	s.file(filepath.Join("sub", "inner"), "x")
	s.names("file", "sub")
}

func (s *suite) remove() {
	s.file("file", "x")
	s.ok(s.fs.Mkdir(s.path("sub")))
	s.file(filepath.Join("sub", "inner"), "x")
	if err := s.fs.Remove(s.path("none")); !errors.Is(err, fs.ErrNotExist) {
		s.Errorf("Remove(missing) = %v, want fs.ErrNotExist", err)
	}
	if err := s.fs.Remove(s.path("sub")); err == nil {
		s.Error("Remove of a directory that is not empty worked")
	}
	s.ok(s.fs.Remove(s.path("file")))
	s.ok(s.fs.Remove(s.path("sub", "inner")))
	s.ok(s.fs.Remove(s.path("sub")))
	s.names()
}

func (s *suite) renameReplaces() {
	s.file("old", "old content")
	s.file("target", "target content")
	s.ok(s.fs.Rename(s.path("old"), s.path("target")))
	s.names("target")
	f := s.open("target", vfs.ReadOnly)
	s.content(f, "old content")
	s.ok(f.Close())
	s.ok(s.fs.Rename(s.path("target"), s.path("target")))
	s.names("target")
	if err := s.fs.Rename(s.path("none"), s.path("target")); !errors.Is(err, fs.ErrNotExist) {
		s.Errorf("Rename(missing) = %v, want fs.ErrNotExist", err)
	}
	s.ok(s.fs.Mkdir(s.path("sub")))
	if err := s.fs.Rename(s.path("target"), s.path("sub")); err == nil {
		s.Error("Rename of a file over a directory worked")
	}
	s.ok(s.fs.Rename(s.path("target"), s.path("sub", "moved")))
	s.names("sub")
}

func (s *suite) renameDirectory() {
	s.ok(s.fs.Mkdir(s.path("sub")))
	s.file(filepath.Join("sub", "inner"), "x")
	if err := s.fs.Rename(s.path("sub"), s.path("sub", "below")); err == nil {
		s.Error("Rename of a directory into itself worked")
	}
	s.ok(s.fs.Rename(s.path("sub"), s.path("moved")))
	s.names("moved")
	f := s.open(filepath.Join("moved", "inner"), vfs.ReadOnly)
	defer s.close(f)
	s.content(f, "x")
}

func (s *suite) listSorted() {
	for _, name := range []string{"b.x", "a.x", "c.x", "a.1.x"} {
		s.file(name, "")
	}
	s.names("a.1.x", "a.x", "b.x", "c.x")
	if _, err := s.fs.List(s.path("none")); !errors.Is(err, fs.ErrNotExist) {
		s.Errorf("List(missing) = %v, want fs.ErrNotExist", err)
	}
	if _, err := s.fs.List(s.path("a.x")); err == nil {
		s.Error("List of a file worked")
	}
}

func (s *suite) stat() {
	s.file("file", "12345")
	for name, want := range map[string]vfs.Info{
		"file": {Size: 5, Regular: true},
		"":     {IsDir: true},
	} {
		have, err := s.fs.Stat(s.path(name))
		if err != nil || have != want {
			s.Errorf("Stat(%q) = %+v, %v, want %+v", name, have, err, want)
		}
	}
	if _, err := s.fs.Stat(s.path("none")); !errors.Is(err, fs.ErrNotExist) {
		s.Errorf("Stat(missing) = %v, want fs.ErrNotExist", err)
	}
}

func (s *suite) sync() {
	f := s.open("file", vfs.Create)
	defer s.close(f)
	s.ok(f.Sync())
	s.write(f, "content", 0)
	s.ok(f.Sync())
	s.ok(s.fs.SyncDir(s.dir))
	if err := s.fs.SyncDir(s.path("none")); !errors.Is(err, fs.ErrNotExist) {
		s.Errorf("SyncDir(missing) = %v, want fs.ErrNotExist", err)
	}
}

func (s *suite) lockExcludes() {
	name := s.path("LOCK")
	l, err := s.fs.Lock(name, "a longer first holder")
	s.ok(err)
	s.heldBy(name, "a longer first holder")
	s.ok(l.SetHolder("pid 42"))
	s.heldBy(name, "pid 42")
	s.ok(l.Close())
	l, err = s.fs.Lock(name, "next")
	s.ok(err)
	s.ok(l.Close())
	s.names("LOCK")
	f := s.open("LOCK", vfs.ReadOnly)
	defer s.close(f)
	s.content(f, "next\n")
}

func (s *suite) lockHolderPrintable() {
	name := s.path("LOCK")
	l, err := s.fs.Lock(name, "evil \x1b[31m\ttext\nsecond line")
	s.ok(err)
	s.heldBy(name, "evil ?[31m?text")
	s.ok(l.SetHolder(strings.Repeat("x", 10_000)))
	s.heldBy(name, strings.Repeat("x", 4096))
	s.ok(l.Close())
}

func (s *suite) heldBy(name, holder string) {
	s.Helper()
	_, err := s.fs.Lock(name, "loser")
	var locked *vfs.LockedError
	if !errors.As(err, &locked) {
		s.Fatalf("Lock of a held lock = %v, want a LockedError", err)
	}
	if locked.Name != name || locked.Holder != holder {
		s.Errorf("LockedError = %q held by %q, want %q by %q", locked.Name, locked.Holder, name, holder)
	}
}

// mapTakesWrites also covers writes that lie partly or wholly outside the
// mapping. A file that cannot be mapped must still do all of it.
func (s *suite) mapTakesWrites() {
	const mapped = 64 << 10
	f := s.open("file", vfs.Create)
	s.ok(f.Allocate(0, mapped))
	if m, ok := f.(vfs.Mapper); ok {
		if err := m.Map(mapped); !errors.Is(err, errors.ErrUnsupported) {
			s.ok(err)
		}
	}
	want := make([]byte, mapped+50)
	for _, w := range []struct {
		off int64
		n   int
	}{{0, 10}, {4090, 20}, {mapped - 10, 10}, {mapped - 5, 15}, {mapped + 20, 30}, {7, 0}} {
		p := bytes.Repeat([]byte{byte(w.off%250 + 1)}, w.n)
		s.write(f, string(p), w.off)
		copy(want[w.off:], p)
	}
	s.content(f, string(want))
	s.ok(f.Sync())
	s.ok(f.Close())
	f = s.open("file", vfs.ReadOnly)
	defer s.close(f)
	s.content(f, string(want))
}

// concurrent lets each goroutine own a stripe, so that everyone knows what to
// read there while the others extend the file.
func (s *suite) concurrent() {
	const goroutines, rounds, stripe = 8, 50, 700
	f := s.open("file", vfs.Create)
	defer s.close(f)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			buf := make([]byte, stripe)
			for round := range rounds {
				off := int64(round*goroutines+g) * stripe
				p := bytes.Repeat([]byte{byte(g + 1)}, stripe)
				if _, err := f.WriteAt(p, off); err != nil {
					s.Errorf("WriteAt: %v", err)
				}
				if _, err := f.ReadAt(buf, off); err != nil && err != io.EOF || !bytes.Equal(buf, p) {
					s.Errorf("goroutine %d reads something else than it wrote in round %d (%v)", g, round, err)
				}
			}
			if _, err := s.fs.Open(s.path(fmt.Sprintf("none%d", g)), vfs.ReadOnly); err == nil {
				s.Error("Open of a missing file worked")
			}
		})
	}
	wg.Wait()
	s.size(f, goroutines*rounds*stripe)
}

func (s *suite) path(elements ...string) string {
	return filepath.Join(append([]string{s.dir}, elements...)...)
}

func (s *suite) open(name string, mode vfs.Mode) vfs.File {
	s.Helper()
	f, err := s.fs.Open(s.path(name), mode)
	s.ok(err)
	return f
}

func (s *suite) close(f vfs.File) {
	s.Helper()
	s.ok(f.Close())
}

// file makes a file with content.
func (s *suite) file(name, content string) {
	s.Helper()
	f := s.open(name, vfs.Create)
	s.write(f, content, 0)
	s.ok(f.Close())
}

func (s *suite) write(f vfs.File, content string, off int64) {
	s.Helper()
	n, err := f.WriteAt([]byte(content), off)
	if err != nil || n != len(content) {
		s.Fatalf("WriteAt(%d bytes, %d) = %d, %v", len(content), off, n, err)
	}
}

func (s *suite) content(f vfs.File, want string) {
	s.Helper()
	s.size(f, int64(len(want)))
	have := make([]byte, len(want)+1)
	n, err := f.ReadAt(have, 0)
	if err != io.EOF || string(have[:n]) != want {
		s.Fatalf("content is %.60q (%d bytes), %v, want %.60q (%d bytes)", have[:n], n, err, want, len(want))
	}
}

func (s *suite) size(f vfs.File, want int64) {
	s.Helper()
	if have, err := f.Size(); err != nil || have != want {
		s.Errorf("Size() = %d, %v, want %d", have, err, want)
	}
}

func (s *suite) names(want ...string) {
	s.Helper()
	have, err := s.fs.List(s.dir)
	s.ok(err)
	if !slices.Equal(have, want) {
		s.Errorf("names are %q, want %q", have, want)
	}
}

func (s *suite) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}
