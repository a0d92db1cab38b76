package vfs_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lightning-db/lightning/engine/vfs"
)

func TestOS_Open_RefusesPipesAtOnce(t *testing.T) {
	name := filepath.Join(t.TempDir(), "fifo")
	ok(t, unix.Mkfifo(name, 0o600))
	for _, mode := range []vfs.Mode{vfs.ReadOnly, vfs.ReadWrite, vfs.Create} {
		if _, err := vfs.OS().Open(name, mode); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("Open(fifo, %d) = %v", mode, err)
		}
	}
	if _, err := vfs.OS().Open(os.DevNull, vfs.ReadWrite); err == nil {
		t.Error("Open(/dev/null) worked")
	}
}

// The umask belongs to the process, so nothing else may run meanwhile.
func TestOS_Create_ModeWhateverUmask(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o777} {
		dir := t.TempDir()
		before := syscall.Umask(umask)
		f, openErr := vfs.OS().Open(filepath.Join(dir, "file"), vfs.Create)
		l, lockErr := vfs.OS().Lock(filepath.Join(dir, "LOCK"), "me")
		mkdirErr := vfs.OS().Mkdir(filepath.Join(dir, "sub"))
		syscall.Umask(before)
		ok(t, openErr)
		ok(t, lockErr)
		ok(t, mkdirErr)
		ok(t, f.Close())
		ok(t, l.Close())
		for name, want := range map[string]os.FileMode{"file": 0o600, "LOCK": 0o600, "sub": 0o700} {
			info, err := os.Lstat(filepath.Join(dir, name))
			ok(t, err)
			if have := info.Mode().Perm(); have != want {
				t.Errorf("umask %03o: %s has mode %03o, want %03o", umask, name, have, want)
			}
		}
	}
}

// What root makes in the directory of a service, the service can open.
func TestOS_Create_ByRootIsWhoseTheDirectoryIs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes files for others")
	}
	const uid, gid = 12345, 23456
	dir := t.TempDir()
	before := filepath.Join(dir, "before")
	ok(t, os.WriteFile(before, nil, 0o600))
	ours := filepath.Join(dir, "ours")
	ok(t, os.Mkdir(ours, 0o700))
	ok(t, os.Chown(ours, 0, gid))
	ok(t, os.Chown(dir, uid, gid))
	for name, open := range map[string]func(name string) (io.Closer, error){
		"file":   func(name string) (io.Closer, error) { return vfs.OS().Open(name, vfs.Create) },
		"new":    func(name string) (io.Closer, error) { return vfs.OS().Open(name, vfs.CreateNew) },
		"LOCK":   func(name string) (io.Closer, error) { return vfs.OS().Lock(name, "me") },
		"before": func(name string) (io.Closer, error) { return vfs.OS().Open(name, vfs.Create) },
		"ours/a": func(name string) (io.Closer, error) { return vfs.OS().Open(name, vfs.Create) },
	} {
		f, err := open(filepath.Join(dir, name))
		ok(t, err)
		ok(t, f.Close())
		var st unix.Stat_t
		ok(t, unix.Stat(filepath.Join(dir, name), &st))
		wantUID, wantGID := uint32(uid), uint32(gid)
		if name == "before" || name == "ours/a" { // was there, or is in a directory of root's
			wantUID, wantGID = 0, 0
		}
		if st.Uid != wantUID || st.Gid != wantGID || st.Mode&0o777 != 0o600 {
			t.Errorf("%s: of %d:%d with mode %o, want %d:%d and 600", name, st.Uid, st.Gid, st.Mode&0o777, wantUID, wantGID)
		}
	}
}

// A file that somebody else made keeps the permissions it has.
func TestOS_Open_KeepsPermissionsOfOthersFiles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	ok(t, os.WriteFile(name, nil, 0o600))
	ok(t, os.Chmod(name, 0o640))
	f, err := vfs.OS().Open(name, vfs.Create)
	ok(t, err)
	ok(t, f.Close())
	if info, _ := os.Lstat(name); info.Mode().Perm() != 0o640 {
		t.Errorf("mode is now %03o", info.Mode().Perm())
	}
}

func TestOS_Allocate_LeavesNoHoles(t *testing.T) {
	f := openTemp(t)
	ok(t, f.Truncate(1<<20))
	ok(t, f.Allocate(0, 3<<20))
	info, err := os.Stat(f.Name())
	ok(t, err)
	if have := info.Sys().(*syscall.Stat_t).Blocks * 512; have < 3<<20 {
		t.Errorf("file of 3 MiB owns %d bytes", have)
	}
}

// The size limit of the process stands in for a full disk: it is the one that
// a test can have without mounting anything. The limit's signal is ignored by
// the runtime.
func TestOS_Allocate_TakesBackWhenFull(t *testing.T) {
	f := openTemp(t)
	_, err := f.WriteAt([]byte("kept"), 0)
	ok(t, err)
	var before unix.Rlimit
	ok(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &before))
	limit := before
	limit.Cur = 5 << 20
	ok(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &limit))
	allocErr := f.Allocate(0, 8<<20)
	ok(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &before))
	if !vfs.IsNoSpace(allocErr) {
		t.Errorf("Allocate past the limit = %v, want one that IsNoSpace", allocErr)
	}
	if size, err := f.Size(); err != nil || size != 4 {
		t.Errorf("size is %d, %v, want 4", size, err)
	}
	ok(t, f.Allocate(0, 8<<20))
}

// The disk takes away a mapped page: here by cutting the file short behind
// the mapping's back.
func TestOS_Map_FaultIsAnError(t *testing.T) {
	f := openTemp(t)
	ok(t, f.Allocate(0, 1<<20))
	ok(t, f.(vfs.Mapper).Map(1<<20))
	ok(t, os.Truncate(f.Name(), 4096))
	if _, err := f.WriteAt([]byte("x"), 512<<10); err == nil || !strings.Contains(err.Error(), "fault in mapped file") {
		t.Fatalf("store into a missing page = %v", err)
	}
	if _, err := f.WriteAt([]byte("x"), 0); err != nil {
		t.Errorf("store into a page that is there = %v", err)
	}
	if _, err := f.WriteAt(make([]byte, 8192), 0); err == nil {
		t.Error("store over the end worked")
	}
}

func TestOS_Map_Again(t *testing.T) {
	f := openTemp(t)
	ok(t, f.Allocate(0, 2<<20))
	m := f.(vfs.Mapper)
	for _, n := range []int64{1 << 20, 2 << 20, 0, 4096} {
		ok(t, m.Map(n))
		_, err := f.WriteAt([]byte("x"), n)
		ok(t, err)
	}
	if err := m.Map(-1); err == nil {
		t.Error("Map(-1) worked")
	}
}

// Writes of all sizes, over the ends of windows and of what is mapped, and back
// to where the window was before.
func TestOS_Map_TheWindowMoves(t *testing.T) {
	const size, mapped = 5 << 20, 4<<20 - 4096
	f := openTemp(t)
	ok(t, f.Allocate(0, size))
	ok(t, f.(vfs.Mapper).Map(mapped))
	want := make([]byte, size)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		p := make([]byte, 1+rnd.IntN(40<<10))
		off := rnd.IntN(size - len(p))
		switch rnd.IntN(4) {
		case 0: // over the end of any window
			off = (1+rnd.IntN(size>>18-1))<<18 - rnd.IntN(len(p))
		case 1: // over the end of the mapping
			off = mapped - rnd.IntN(len(p))
		}
		for i := range p {
			p[i] = byte(rnd.Uint32())
		}
		n, err := f.WriteAt(p, int64(off))
		if err != nil || n != len(p) {
			t.Fatalf("WriteAt(%d bytes, %d) = %d, %v", len(p), off, n, err)
		}
		copy(want[off:], p)
	}
	have := make([]byte, size)
	_, err := f.ReadAt(have, 0)
	ok(t, err)
	if !bytes.Equal(have, want) {
		t.Error("the file does not hold what was written")
	}
}

func TestOS_Map_WriteAllocatesNothing(t *testing.T) {
	f := openTemp(t)
	ok(t, f.Allocate(0, 1<<20))
	ok(t, f.(vfs.Mapper).Map(1<<20))
	p := make([]byte, 140)
	if n := testing.AllocsPerRun(100, func() { f.WriteAt(p, 1000) }); n != 0 {
		t.Errorf("a mapped write allocates %v times", n)
	}
}

// A lock whose file was removed must not exclude those who lock a new one, nor
// be taken for it.
func TestOS_WriteBack(t *testing.T) {
	f := openTemp(t)
	want := bytes.Repeat([]byte("write back"), 100_000)
	if _, err := f.WriteAt(want, 512); err != nil {
		t.Fatal(err)
	}
	back := f.(vfs.WriteBacker)
	if err := back.WriteBack(512, int64(len(want))); err != nil {
		t.Fatal(err)
	}
	have := make([]byte, len(want))
	if _, err := f.ReadAt(have, 512); err != nil || !bytes.Equal(have, want) {
		t.Errorf("what was written does not read back: %v", err)
	}
	if err := f.Sync(); err != nil {
		t.Error(err)
	}
	if err := back.WriteBack(-1, 1); err == nil {
		t.Error("an impossible range: no error")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := back.WriteBack(512, 1); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("of a closed file: %v", err)
	}
}

func TestOS_Lock_OnAReplacedFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "LOCK")
	first, err := vfs.OS().Lock(name, "first")
	ok(t, err)
	ok(t, os.Remove(name))
	second, err := vfs.OS().Lock(name, "second")
	ok(t, err)
	if _, err := vfs.OS().Lock(name, "third"); err == nil {
		t.Error("the lock on the new file does not hold")
	}
	ok(t, first.Close())
	ok(t, second.Close())
}

func TestIsNoSpace_Errnos(t *testing.T) {
	for _, errno := range []unix.Errno{unix.ENOSPC, unix.EDQUOT, unix.EFBIG} {
		if !vfs.IsNoSpace(&os.PathError{Err: errno}) {
			t.Errorf("IsNoSpace(%v) is false", errno)
		}
	}
	if vfs.IsNoSpace(unix.EIO) {
		t.Error("IsNoSpace(EIO) is true")
	}
}

func openTemp(t testing.TB) vfs.File {
	f, err := vfs.OS().Open(filepath.Join(t.TempDir(), "file"), vfs.Create)
	ok(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func BenchmarkOS_WriteAt(b *testing.B) {
	for _, c := range []struct {
		name   string
		mapped int64
	}{{"write", 0}, {"mapped", 64 << 20}} {
		b.Run(c.name, func(b *testing.B) {
			f := openTemp(b)
			ok(b, f.Allocate(0, 64<<20))
			ok(b, f.(vfs.Mapper).Map(c.mapped))
			p := make([]byte, 140)
			off := int64(0)
			for b.Loop() {
				f.WriteAt(p, off)
				off = (off + 140) % (63 << 20)
			}
		})
	}
}
