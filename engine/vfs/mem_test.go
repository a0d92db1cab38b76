package vfs_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/vfstest"
)

func TestMem(t *testing.T) {
	vfstest.TestFS(t, func(t *testing.T) (vfs.FS, string) {
		m := vfs.NewMem()
		ok(t, m.Mkdir("/db"))
		return m, "/db"
	})
}

func TestMem_Open_KeepsRemovedFile(t *testing.T) {
	m := vfs.NewMem()
	f, err := m.Open("file", vfs.Create)
	ok(t, err)
	ok(t, m.Remove("file"))
	if _, err := f.WriteAt([]byte("x"), 0); err != nil {
		t.Errorf("write to a removed file: %v", err)
	}
}

// Clones must not share what one of them writes, whatever the order of
// copies, writes and cuts: the model is plain byte slices.
func TestMem_Clone_SharesNoWrites(t *testing.T) {
	const seed, steps = 1, 1_000
	rnd := rand.New(rand.NewPCG(seed, 0))
	mems := []*vfs.Mem{vfs.NewMem()}
	models := []map[string][]byte{{}}
	for step := range steps {
		i := rnd.IntN(len(mems))
		name := fmt.Sprintf("/f%d", rnd.IntN(3))
		off := rnd.IntN(20_000)
		switch rnd.IntN(6) {
		case 0:
			copies := make(map[string][]byte)
			for n, data := range models[i] {
				copies[n] = bytes.Clone(data)
			}
			clone := mems[i].Clone()
			if len(mems) < 6 {
				mems, models = append(mems, clone), append(models, copies)
			} else {
				j := rnd.IntN(len(mems))
				mems[j], models[j] = clone, copies
			}
		case 1:
			from := rnd.IntN(len(mems))
			if data, there := models[from][name]; there {
				ok(t, mems[i].CopyFile("/f0", mems[from], name))
				models[i]["/f0"] = bytes.Clone(data)
			}
		case 2:
			f, err := mems[i].Open(name, vfs.Create)
			ok(t, err)
			ok(t, f.Truncate(int64(off)))
			models[i][name] = resized(models[i][name], off)
		default:
			f, err := mems[i].Open(name, vfs.Create)
			ok(t, err)
			p := bytes.Repeat([]byte{byte(step)}, rnd.IntN(9_000))
			_, err = f.WriteAt(p, int64(off))
			ok(t, err)
			data := models[i][name]
			if len(p) > 0 {
				data = resized(data, max(len(data), off+len(p)))
			}
			copy(data[min(off, len(data)):], p)
			models[i][name] = data
		}
		for j, m := range mems {
			for n, want := range models[j] {
				if have, err := m.ReadFile(n); err != nil || !bytes.Equal(have, want) {
					t.Fatalf("seed %d, step %d: %s of clone %d differs from its model (%v)", seed, step, n, j, err)
				}
			}
		}
	}
}

func resized(data []byte, n int) []byte {
	out := make([]byte, n)
	copy(out, data)
	return out
}

func TestMem_Names_FindsEveryFile(t *testing.T) {
	m := vfs.NewMem()
	for _, name := range []string{"/db/wal/2", "/db/btree.db", "db/wal/1"} {
		ok(t, m.WriteFile(name, []byte(name)))
	}
	want := []string{"/db/btree.db", "/db/wal/1", "/db/wal/2"}
	for i := range want {
		want[i] = filepath.FromSlash(want[i])
	}
	if have := m.Names(); !slices.Equal(have, want) {
		t.Errorf("Names() = %q, want %q", have, want)
	}
	if have, err := m.ReadFile("/db/wal/1"); err != nil || string(have) != "db/wal/1" {
		t.Errorf("ReadFile = %q, %v", have, err)
	}
}

func TestMem_Link_IsOneFile(t *testing.T) {
	m := vfs.NewMem()
	ok(t, m.WriteFile("/a", []byte("old")))
	ok(t, m.Link("/a", "/b"))
	for _, m := range []*vfs.Mem{m, m.Clone()} {
		ok(t, m.WriteFile("/b", []byte("new")))
		if have, _ := m.ReadFile("/a"); string(have) != "new" {
			t.Errorf("content under the first name is %q", have)
		}
	}
}

func BenchmarkMem_Clone(b *testing.B) {
	m := vfs.NewMem()
	for i := range 8 {
		ok(b, m.WriteFile(fmt.Sprintf("/db/f%d", i), make([]byte, 1<<20)))
	}
	for b.Loop() {
		m.Clone()
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
