package faultfs

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/vfstest"
)

func TestSim(t *testing.T) {
	vfstest.TestFS(t, func(t *testing.T) (vfs.FS, string) {
		s := NewSim()
		ok(t, s.Mkdir("/db"))
		return s, "/db"
	})
}

func TestSim_NewSimFrom_HoldsImageDurably(t *testing.T) {
	s := scenario(t, 300)
	m := s.Image(s.Ops(), None)
	ok(t, m.WriteFile("/dir/below/file", []byte("x")))
	want := describe(t, m)
	again := NewSimFrom(m)
	for _, d := range Damages(8, 1) {
		if have := describe(t, again.Image(0, d)); have != want {
			t.Errorf("%v: have %.200s\nwant %.200s", d, have, want)
		}
	}
	f, err := again.Open("/dir/below/file", vfs.ReadWrite)
	ok(t, err)
	write(t, f, 0, "changed")
	if describe(t, m) != want {
		t.Error("a write reached the image that the Sim was made from")
	}
}

func TestSim_StopAt_FailsWithoutEffect(t *testing.T) {
	s := NewSim()
	f := create(t, s, "/a")
	s.StopAt(3)
	write(t, f, 0, "second")
	for what, err := range map[string]error{
		"sync": f.Sync(), "truncate": f.Truncate(0), "allocate": f.Allocate(0, 100),
		"mkdir": s.Mkdir("/d"), "remove": s.Remove("/a"), "rename": s.Rename("/a", "/b"), "syncdir": s.SyncDir("/"),
	} {
		if !errors.Is(err, ErrStopped) {
			t.Errorf("%s = %v, want ErrStopped", what, err)
		}
	}
	if _, err := s.Open("/new", vfs.Create); !errors.Is(err, ErrStopped) {
		t.Errorf("create = %v, want ErrStopped", err)
	}
	if _, err := s.Lock("/a", "me"); !errors.Is(err, ErrStopped) {
		t.Errorf("lock = %v, want ErrStopped", err)
	}
	if have := read(t, f); have != "second" || s.Ops() != 2 {
		t.Errorf("content %q after %d operations, want that of 2", have, s.Ops())
	}
	s.StopAt(0)
	ok(t, f.Sync())
	if v := s.Violations(); len(v) > 0 {
		t.Errorf("violations: %v", v)
	}
}

// ATC'20, "Can applications recover from fsync failures?": ext4 marks the
// pages clean, so that a retry returns nil and saves nothing.
func TestSim_FailSync_LaterSyncSavesNothing(t *testing.T) {
	s, f := syncedFile(t, "0123456789")
	s.FailSync(2)
	write(t, f, 0, "A")
	ok(t, f.Sync())
	write(t, f, 1, "B")
	write(t, f, 10, "end")
	if err := f.Sync(); !errors.Is(err, ErrIO) {
		t.Fatalf("Sync = %v, want ErrIO", err)
	}
	if have := read(t, f); have != "AB23456789end" {
		t.Errorf("programs see %q", have)
	}
	write(t, f, 2, "C")
	ok(t, f.Sync())
	want(t, s, s.Ops(), None, "/f=ABC3456789end")
	for _, d := range Damages(100, 1)[1:] {
		want(t, s, s.Ops(), d, "/f=A1C3456789")
	}
	if have := s.Violations(); !slices.Equal(have, []string{"W4: sync of /f after a failed sync"}) {
		t.Errorf("violations: %q", have)
	}
}

func TestSim_Violations_NewProcessMaySync(t *testing.T) {
	s, f := syncedFile(t, "x")
	s.FailSync(1)
	if err := f.Sync(); err == nil {
		t.Fatal("Sync worked")
	}
	ok(t, f.Close())
	f, err := s.Open("/f", vfs.ReadWrite)
	ok(t, err)
	ok(t, f.Sync())
	if v := s.Violations(); len(v) > 0 {
		t.Errorf("violations: %q", v)
	}
}

func TestSim_OpenFiles_CountsHandlesAndLocks(t *testing.T) {
	s := NewSim()
	a, b := create(t, s, "/a"), create(t, s, "/a")
	l, err := s.Lock("/LOCK", "me")
	ok(t, err)
	for i, want := range []string{"/LOCK /a /a", "/LOCK /a", "/LOCK", ""} {
		have := strings.ReplaceAll(strings.Join(s.OpenFiles(), " "), `\`, "/")
		if have != want {
			t.Errorf("after closing %d: %q, want %q", i, have, want)
		}
		if i < 3 {
			ok(t, []interface{ Close() error }{a, b, l}[i].Close())
		}
	}
}

func TestSim_Trace(t *testing.T) {
	s := NewSim()
	ok(t, s.Mkdir("/db"))
	l, err := s.Lock("/db/LOCK", "pid 1")
	ok(t, err)
	f := create(t, s, "/db/f")
	write(t, f, 8, "data")
	ok(t, f.Allocate(0, 100))
	ok(t, f.Truncate(50))
	ok(t, f.Sync())
	s.FailSync(1)
	f.Sync()
	ok(t, s.SyncDir("/db"))
	ok(t, s.Rename("/db/f", "/db/g"))
	ok(t, s.Remove("/db/g"))
	ok(t, l.Close())
	want := []string{
		"mkdir /db", "create /db/LOCK", "holder /db/LOCK", "create /db/f", "write /db/f 8 4", "allocate /db/f 0 100",
		"truncate /db/f 50", "sync /db/f", "sync /db/f failed", "syncdir /db", "rename /db/f /db/g", "remove /db/g",
	}
	if have := s.Trace(); !slices.Equal(have, want) {
		t.Errorf("have %q\nwant %q", have, want)
	}
}

func TestSim_Image_WhileOthersWrite(t *testing.T) {
	s := NewSim()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			f := create(t, s, fmt.Sprintf("/f%d", g))
			for i := range 100 {
				write(t, f, int64(i)*100, strings.Repeat("x", 100))
				if i%10 == 0 {
					ok(t, f.Sync())
				}
				s.Image(s.Ops(), Random(int64(i)))
			}
		})
	}
	wg.Wait()
}

// The caller's buffer is its own again when WriteAt returns; the journal must
// not look into it later.
func TestSim_WriteAt_KeepsNoBuffer(t *testing.T) {
	s, f := syncedFile(t, "")
	p := []byte("written")
	_, err := f.WriteAt(p, 0)
	ok(t, err)
	copy(p, "reused!")
	want(t, s, s.Ops(), None, "/f=written")
}

func BenchmarkSim_Image(b *testing.B) {
	s := scenario(b, 10_000)
	n, damages := 0, Damages(8, 1)
	for b.Loop() {
		s.Image(n/8%s.Ops(), damages[n%8])
		n++
	}
}

// scenario runs n random operations on a few files, and calls after when each
// is done.
func scenario(t testing.TB, n int, after ...func(*Sim)) *Sim {
	rnd := rand.New(rand.NewPCG(1, 0))
	s := NewSim()
	name := func() string { return fmt.Sprintf("/f%d", rnd.IntN(5)) }
	for range n {
		f := create(t, s, name())
		switch rnd.IntN(12) {
		case 0:
			ok(t, f.Truncate(rnd.Int64N(10_000)))
		case 1:
			ok(t, f.Allocate(rnd.Int64N(10_000), 1000))
		case 2, 3:
			ok(t, f.Sync())
		case 4:
			ok(t, s.SyncDir("/"))
		case 5:
			ok(t, s.Rename(f.Name(), name()))
		case 6:
			ok(t, s.Remove(f.Name()))
		default:
			p := bytes.Repeat([]byte{byte(rnd.Uint32())}, rnd.IntN(3000)+1)
			write(t, f, rnd.Int64N(10_000), string(p))
		}
		ok(t, f.Close())
		for _, fn := range after {
			fn(s)
		}
	}
	return s
}

// replayInto repeats a journal.
func replayInto(t *testing.T, from, to *Sim) {
	for _, r := range from.journal {
		ok(t, to.do(r))
	}
}

// describe gives all names and contents.
func describe(t *testing.T, fs vfs.FS) string {
	var out strings.Builder
	var walk func(dir string)
	walk = func(dir string) {
		bases, err := fs.List(dir)
		ok(t, err)
		for _, base := range bases {
			info, err := fs.Stat(dir + base)
			ok(t, err)
			if info.IsDir {
				walk(dir + base + "/")
				continue
			}
			f, err := fs.Open(dir+base, vfs.ReadOnly)
			ok(t, err)
			fmt.Fprintf(&out, "%s%s=%x ", dir, base, read(t, f))
			ok(t, f.Close())
		}
	}
	walk("/")
	return out.String()
}

// syncedFile returns a disk with the durable file /f, open.
func syncedFile(t *testing.T, content string) (*Sim, vfs.File) {
	s := NewSim()
	f := create(t, s, "/f")
	write(t, f, 0, content)
	ok(t, f.Sync())
	ok(t, s.SyncDir("/"))
	return s, f
}

// want checks an image's files, each given as name=content.
func want(t *testing.T, s *Sim, n int, d Damage, files ...string) {
	t.Helper()
	m := s.Image(n, d)
	var have []string
	for _, name := range m.Names() {
		data, err := m.ReadFile(name)
		ok(t, err)
		have = append(have, strings.ReplaceAll(name, `\`, "/")+"="+string(data))
	}
	if !slices.Equal(have, files) {
		t.Errorf("Image(%d, %v) holds %q, want %q", n, d, have, files)
	}
}

func create(t testing.TB, fs vfs.FS, name string) vfs.File {
	t.Helper()
	f, err := fs.Open(name, vfs.Create)
	ok(t, err)
	return f
}

func write(t testing.TB, f vfs.File, off int64, data string) {
	t.Helper()
	_, err := f.WriteAt([]byte(data), off)
	ok(t, err)
}

func read(t testing.TB, f vfs.File) string {
	t.Helper()
	size, err := f.Size()
	ok(t, err)
	data := make([]byte, size)
	n, _ := f.ReadAt(data, 0)
	return string(data[:n])
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The other two ways of the same paper: the data is gone from the cache (XFS,
// Btrfs), and the error is told at the next sync (ext4 with data in its journal).
func TestSim_FailSyncAs(t *testing.T) {
	s, f := syncedFile(t, "0123456789")
	s.FailSyncAs(1, SyncDrops)
	write(t, f, 0, "A")
	write(t, f, 10, "end")
	if err := f.Sync(); !errors.Is(err, ErrIO) {
		t.Fatalf("Sync = %v, want ErrIO", err)
	}
	if have := read(t, f); have != "0123456789" {
		t.Errorf("programs see %q", have)
	}
	write(t, f, 1, "B")
	ok(t, f.Sync())
	want(t, s, s.Ops(), All, "/f=0B23456789")

	s, f = syncedFile(t, "0123456789")
	s.FailSyncAs(1, SyncLate)
	write(t, f, 0, "A")
	ok(t, f.Sync())
	want(t, s, s.Ops(), All, "/f=0123456789")
	want(t, s, s.Ops(), None, "/f=A123456789")
	write(t, f, 1, "B")
	if err := f.Sync(); !errors.Is(err, ErrIO) {
		t.Errorf("the next Sync = %v, want ErrIO", err)
	}
	ok(t, f.Sync())
}

// Before sees each call that is about to change the disk, and may leave out a
// sync.
func TestSim_Before(t *testing.T) {
	s := NewSim()
	var seen []string
	s.Before = func(op Op) bool {
		seen = append(seen, op.String())
		return op.Kind == OpSync || op.Kind == OpSyncDir
	}
	ok(t, s.Mkdir("/d"))
	f, err := s.Open("/d/f", vfs.Create)
	ok(t, err)
	write(t, f, 3, "x")
	ok(t, f.Sync())
	ok(t, f.Truncate(2))
	ok(t, f.Allocate(1, 4))
	ok(t, f.Close())
	ok(t, s.SyncDir("/d"))
	ok(t, s.Rename("/d/f", "/g"))
	ok(t, s.Remove("/g"))
	want := "mkdir /d; create /d/f; write /d/f 3 1; sync /d/f; truncate /d/f 2; allocate /d/f 1 4; syncdir /d; rename /d/f /g; remove /g"
	if have := strings.Join(seen, "; "); have != want {
		t.Errorf("have %s\nwant %s", have, want)
	}
	if trace := strings.Join(s.Trace(), "; "); strings.Contains(trace, "sync") || s.Ops() != len(seen)-2 {
		t.Errorf("%d operations: %s", s.Ops(), trace)
	}
}

func TestSim_Losses(t *testing.T) {
	s, f := syncedFile(t, "0123456789")
	write(t, f, 0, "A")
	write(t, f, 1, "B")
	ok(t, s.Mkdir("/lost"))
	s.Image(s.Ops(), None)
	if have := s.Losses(); have != (Losses{}) {
		t.Errorf("without damage: %+v", have)
	}
	s.Image(s.Ops(), All)
	if have, want := s.Losses(), (Losses{Writes: 2, Names: 1}); have != want {
		t.Errorf("have %+v, want %+v", have, want)
	}
	for seed := range int64(50) {
		s.Image(s.Ops(), Random(seed))
	}
	if have := s.Losses(); have.Sectors == 0 || have.Writes < 10 || have.Writes > 90 {
		t.Errorf("by chance: %+v", have)
	}
}
