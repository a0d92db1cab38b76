package pager

import (
	"errors"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/vfs"
)

// backFS is a file system whose files can write back. It notes how much, and
// fails with err when that is not nil.
type backFS struct {
	vfs.FS
	backed int64
	err    error
}

func (b *backFS) Open(name string, mode vfs.Mode) (vfs.File, error) {
	f, err := b.FS.Open(name, mode)
	return &backFile{f, b}, err
}

type backFile struct {
	vfs.File
	fs *backFS
}

func (f *backFile) WriteBack(off, n int64) error {
	size, err := f.Size()
	if err != nil || off < firstExtent || off+n > size {
		return errors.Join(err, errors.New("write back of what was not written"))
	}
	f.fs.backed += n
	return f.fs.err
}

// What a writer writes is on its way to the disk before the sync, nearly all of
// it: values that are staged, and those that are long.
func TestWriter_WritesBack(t *testing.T) {
	for _, size := range []int{10 << 10, 1 << 20} {
		fs := &backFS{FS: vfs.NewMem()}
		p, refs := valuesOf(t, fs, size, 8<<20/size, 0)
		if written := int64(p.Stats().WrittenBytes); fs.backed < written*7/10 || fs.backed > written {
			t.Errorf("values of %d: %d bytes written back of %d", size, fs.backed, written)
		}
		for i, ref := range refs {
			readValue(t, p, ref, valueNumber(i, size))
		}
	}
}

// After a failed write-back nobody knows what the disk will have of what was
// written: no generation may come of it.
func TestWriter_WriteBackFails(t *testing.T) {
	fs := &backFS{FS: vfs.NewMem()}
	p, refs := valuesOf(t, fs, 1<<20, 2, 0)
	gen := p.Meta().Gen
	fs.err = errors.New("no blocks")
	w, err := p.Begin(gen)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteOverflow(5, valueNumber(7, 1<<20), compress.None); !errors.Is(err, fs.err) {
		t.Errorf("WriteOverflow: %v", err)
	}
	if err := w.Commit(p.Meta(), false); !errors.Is(err, fs.err) {
		t.Errorf("Commit: %v", err)
	}
	if p.Meta().Gen != gen {
		t.Errorf("generation %d, want still %d", p.Meta().Gen, gen)
	}
	for i, ref := range refs {
		readValue(t, p, ref, valueNumber(i, 1<<20))
	}
}

// What a writer has written can be read at once, also where no memory is left
// to keep it and the file has not got it yet.
func TestWriter_ReadableAtOnce(t *testing.T) {
	tr := attach(create(t, vfs.NewMem(), Options{CacheBytes: 1}), nil)
	w, err := tr.p.Begin(1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	f, err := tr.writeLeaf(w, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := valueNumber(1, 3000)
	ref, err := w.WriteOverflow(5, want, compress.None)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := tr.p.Node(f); err != nil {
		t.Error(err)
	} else if n.Gen() != w.Gen() {
		t.Errorf("a node of generation %d", n.Gen())
	}
	readValue(t, tr.p, ref, want)
}
