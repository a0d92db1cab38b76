package faultfs

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/vfstest"
)

func TestInjector(t *testing.T) {
	for name, inner := range map[string]func(t *testing.T) (vfs.FS, string){
		"mem": func(t *testing.T) (vfs.FS, string) { return vfs.NewMem(), "/" },
		"sim": func(t *testing.T) (vfs.FS, string) { return NewSim(), "/" },
		"os":  func(t *testing.T) (vfs.FS, string) { return vfs.OS(), t.TempDir() },
	} {
		t.Run(name, func(t *testing.T) {
			vfstest.TestFS(t, func(t *testing.T) (vfs.FS, string) {
				fs, dir := inner(t)
				in := Inject(fs)
				in.SetCapacity(1 << 30)
				return in, dir
			})
		})
	}
}

var errFault = errors.New("fault of the test")

// Every call of a scenario fails in turn, once or for ever: the scenario must
// see the fault, and after a single one everything must go on.
func TestInjector_FailNth_ReachesEveryCall(t *testing.T) {
	clean := Inject(vfs.NewMem())
	ok(t, everyCall(clean))
	kinds := len(kindNames) - 1
	if have := clean.Calls(); have < kinds {
		t.Fatalf("the scenario has %d calls, fewer than there are kinds (%d)", have, kinds)
	}
	for n := 1; n <= clean.Calls(); n++ {
		for _, forever := range []bool{false, true} {
			in := Inject(vfs.NewMem())
			in.FailNth(n, errFault, forever)
			if err := everyCall(in); !errors.Is(err, errFault) {
				t.Errorf("call %d (forever: %v): the scenario returns %v", n, forever, err)
			}
			if err := in.Mkdir("/after"); errors.Is(err, errFault) != forever {
				t.Errorf("call %d (forever: %v): a later call returns %v", n, forever, err)
			}
		}
	}
}

// everyCall makes a call of each kind and returns the first error.
func everyCall(fs vfs.FS) (err error) {
	var f vfs.File
	var l vfs.Lock
	for _, step := range []func() error{
		func() error { return fs.Mkdir("/d") },
		func() error { f, err = fs.Open("/d/f", vfs.Create); return err },
		func() error { return f.Allocate(0, 100) },
		func() error { return f.(vfs.Mapper).Map(100) },
		func() error { _, err := f.WriteAt([]byte("data"), 0); return err },
		func() error { _, err := f.ReadAt(make([]byte, 4), 0); return err },
		func() error { _, err := f.Size(); return err },
		func() error { return f.Truncate(10) },
		func() error { return f.Sync() },
		func() error { return f.Close() },
		func() error { f, err = fs.Open("/d/f", vfs.ReadOnly); return err },
		func() error { return f.Close() },
		func() error { return fs.SyncDir("/d") },
		func() error { return fs.Rename("/d/f", "/d/g") },
		func() error { _, err := fs.List("/d"); return err },
		func() error { _, err := fs.Stat("/d/g"); return err },
		func() error { return fs.Remove("/d/g") },
		func() error { l, err = fs.Lock("/d/LOCK", "me"); return err },
		func() error { return l.SetHolder("you") },
		func() error { return l.Close() },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func TestInjector_FailNth_CountsGivenKinds(t *testing.T) {
	in := Inject(vfs.NewMem())
	f := create(t, in, "/f")
	in.FailNth(2, errFault, false, OpSync, OpSyncDir)
	write(t, f, 0, "x")
	ok(t, f.Sync())
	write(t, f, 0, "x")
	if err := in.SyncDir("/"); !errors.Is(err, errFault) {
		t.Errorf("second sync = %v", err)
	}
	ok(t, in.SyncDir("/"))
	in.FailNth(1, errFault, true, OpWrite)
	in.FailNth(0, nil, false)
	write(t, f, 0, "x")
}

func TestInjector_SetHook_DecidesOnEveryCall(t *testing.T) {
	in := Inject(vfs.NewMem())
	var seen []string
	last := 0
	in.SetHook(func(op Op) error {
		if op.N <= last {
			t.Errorf("call %d comes after %d", op.N, last)
		}
		last = op.N
		seen = append(seen, op.String())
		if op.Kind == OpWrite && op.Off == 4 {
			return errFault
		}
		return nil
	})
	f := create(t, in, "/f")
	write(t, f, 0, "data")
	if _, err := f.WriteAt([]byte("more"), 4); !errors.Is(err, errFault) {
		t.Errorf("WriteAt = %v", err)
	}
	in.SetHook(nil)
	if have := read(t, f); have != "data" {
		t.Errorf("content %q, want nothing of the failed write", have)
	}
	want := []string{"create /f", "write /f 0 4", "write /f 4 4"}
	if !slices.Equal(seen, want) {
		t.Errorf("saw %q, want %q", seen, want)
	}
}

func TestInjector_Short(t *testing.T) {
	in := Inject(vfs.NewMem())
	f := create(t, in, "/f")
	for _, c := range []struct {
		bytes, n int
		content  string
	}{{3, 3, "abc"}, {0, 0, ""}, {100, 6, "abcdef"}} {
		ok(t, f.Truncate(0))
		in.FailNth(1, &Short{Bytes: c.bytes, Err: errFault}, false, OpWrite)
		n, err := f.WriteAt([]byte("abcdef"), 0)
		if n != c.n || !errors.Is(err, errFault) || read(t, f) != c.content {
			t.Errorf("write of %d: wrote %d, %v, content %q", c.bytes, n, err, read(t, f))
		}
		write(t, f, 0, "abcdef")
		in.FailNth(1, &Short{Bytes: c.bytes, Err: errFault}, false, OpRead)
		buf := make([]byte, 6)
		n, err = f.ReadAt(buf, 0)
		if n != c.n || !errors.Is(err, errFault) || string(buf[:n]) != c.content {
			t.Errorf("read of %d: read %d, %v, content %q", c.bytes, n, err, buf[:n])
		}
	}
}

func TestInjector_FlipOnRead(t *testing.T) {
	in := Inject(vfs.NewMem())
	f := create(t, in, "/f")
	write(t, f, 0, "aaaa")
	in.FlipOnRead("/f", 2*8+1)
	if have := read(t, f); have != "aaca" {
		t.Errorf("read %q, want %q", have, "aaca")
	}
	buf := make([]byte, 2)
	if _, err := f.ReadAt(buf, 2); err != nil || string(buf) != "ca" {
		t.Errorf("read at 2: %q, %v, want %q", buf, err, "ca")
	}
	in.FlipOnRead("/f", 2*8+1)
	if have := read(t, f); have != "aaaa" {
		t.Errorf("after taking it back: %q", have)
	}
}

func TestInjector_Close_FailsAndCloses(t *testing.T) {
	in := Inject(vfs.NewMem())
	f := create(t, in, "/f")
	in.FailNth(1, errFault, false, OpClose)
	if err := f.Close(); !errors.Is(err, errFault) {
		t.Errorf("Close = %v", err)
	}
	if open := in.OpenFiles(); len(open) > 0 {
		t.Errorf("open files: %q", open)
	}
}

func TestInjector_Violations_SyncAfterFailedSync(t *testing.T) {
	in := Inject(vfs.NewMem())
	f, other := create(t, in, "/f"), create(t, in, "/f")
	in.FailNth(1, errFault, false, OpSync)
	if err := f.Sync(); !errors.Is(err, errFault) {
		t.Fatalf("Sync = %v", err)
	}
	if v := in.Violations(); len(v) > 0 {
		t.Errorf("violations before there is one: %q", v)
	}
	ok(t, other.Sync()) // another handle makes it no better
	if v := in.Violations(); !slices.Equal(v, []string{"W4: sync of /f after a failed sync"}) {
		t.Errorf("violations: %q", v)
	}
}

func TestInjector_SetCapacity_IsAFullDisk(t *testing.T) {
	m := vfs.NewMem()
	ok(t, m.WriteFile("/old", []byte("12345")))
	in := Inject(m)
	old := create(t, in, "/old") // counts from now
	f := create(t, in, "/f")
	in.SetCapacity(15)

	free := func(want int64) {
		t.Helper()
		if n, err := in.FreeSpace("/"); n != want || err != nil {
			t.Errorf("%d bytes are free, %v; want %d", n, err, want)
		}
	}
	free(10)
	write(t, f, 0, "12345678")
	free(2)
	n, err := f.WriteAt([]byte("abcd"), 8)
	free(0)
	if n != 2 || !vfs.IsNoSpace(err) || read(t, f) != "12345678ab" {
		t.Errorf("write past the capacity: %d, %v, content %q", n, err, read(t, f))
	}
	write(t, f, 3, "inside") // needs no room
	if err := f.Allocate(0, 11); !vfs.IsNoSpace(err) || read(t, f) != "123insideb" {
		t.Errorf("Allocate = %v, content %q", err, read(t, f))
	}
	if err := f.Truncate(11); !vfs.IsNoSpace(err) {
		t.Errorf("Truncate = %v", err)
	}
	if n, err := f.WriteAt([]byte("x"), 100); n != 0 || !vfs.IsNoSpace(err) {
		t.Errorf("write far past the capacity: %d, %v", n, err)
	}

	ok(t, old.Truncate(3))
	write(t, f, 10, "12")
	ok(t, old.Close())
	ok(t, in.Rename("/old", "/renamed"))
	ok(t, in.Remove("/renamed"))
	write(t, f, 12, "123")
	if _, err := f.WriteAt([]byte("x"), 15); !vfs.IsNoSpace(err) {
		t.Errorf("write past the capacity: %v", err)
	}
	if n := in.Fill(); n != 15 {
		t.Errorf("filled with %d bytes, want 15", n)
	}
	free(0)
	in.SetCapacity(20)
	if err := f.Allocate(15, 6); !vfs.IsNoSpace(err) {
		t.Errorf("Allocate past the capacity: %v", err)
	}
	write(t, create(t, in, "/g"), 0, "12345") // the room that Allocate did not use
}

// A file replaced by a rename gives its room, and one in a directory that is
// renamed keeps its account.
func TestInjector_SetCapacity_FollowsRenames(t *testing.T) {
	in := Inject(vfs.NewMem())
	ok(t, in.Mkdir("/d"))
	a, b := create(t, in, "/d/a"), create(t, in, "/d/b")
	write(t, a, 0, "12345")
	write(t, b, 0, "12345")
	ok(t, in.Rename("/d/a", "/d/b"))
	ok(t, in.Rename("/d", "/e"))
	c := create(t, in, "/e/b")
	in.SetCapacity(7)
	if n, err := c.WriteAt([]byte("678"), 5); n != 2 || !vfs.IsNoSpace(err) {
		t.Errorf("have room for %d bytes (%v), want 2", n, err)
	}
}

func TestInjector_Trace_ShowsReadsToo(t *testing.T) {
	in := Inject(vfs.NewMem())
	in.StartTrace()
	ok(t, everyCall(in))
	want := `mkdir /d
create /d/f
allocate /d/f 0 100
map /d/f 100
write /d/f 0 4
read /d/f 0 4
size /d/f
truncate /d/f 10
sync /d/f
close /d/f
open /d/f
close /d/f
syncdir /d
rename /d/f /d/g
list /d
stat /d/g
remove /d/g
lock /d/LOCK
holder /d/LOCK
close /d/LOCK`
	if have := strings.Join(in.Trace(), "\n"); have != want {
		t.Errorf("have\n%s\nwant\n%s", have, want)
	}
}

// FailSync of a Sim works below an Injector as well.
func TestInjector_OverSim_FailedSyncLosesData(t *testing.T) {
	s := NewSim()
	in := Inject(s)
	f := create(t, in, "/f")
	ok(t, in.SyncDir("/"))
	write(t, f, 0, "lost")
	s.FailSync(1)
	if err := f.Sync(); !errors.Is(err, ErrIO) {
		t.Fatalf("Sync = %v", err)
	}
	ok(t, f.Sync())
	want(t, s, s.Ops(), None, "/f=lost")
	want(t, s, s.Ops(), All, "/f=")
	if len(in.Violations()) != 1 {
		t.Errorf("violations: %q", in.Violations())
	}
}
