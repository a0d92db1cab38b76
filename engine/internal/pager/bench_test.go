package pager

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/vfs"
)

// inDir is the operating system's file system with names relative to a
// directory.
type inDir struct {
	vfs.FS
	dir string
}

func (d inDir) Open(name string, mode vfs.Mode) (vfs.File, error) {
	return d.FS.Open(filepath.Join(d.dir, name), mode)
}

func BenchmarkNode(b *testing.B) {
	fs := inDir{vfs.OS(), b.TempDir()}
	root := forest(b, fs, 1000)
	b.Run("Resident", func(b *testing.B) {
		w := openWood(b, fs, root, 64<<20)
		defer w.Close()
		if _, err := w.Node(w.root); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := w.Node(w.root); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ResidentParallel", func(b *testing.B) {
		w := openWood(b, fs, root, 64<<20)
		defer w.Close()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := w.Node(w.root); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("ResidentChild", func(b *testing.B) {
		w := openWood(b, fs, root, 64<<20)
		defer w.Close()
		n, err := w.Node(w.root)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := w.Node(w.Child(w.root, n, 5)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Miss", func(b *testing.B) {
		w := openWood(b, fs, root, 100*leafCost)
		defer w.Close()
		n, err := w.Node(w.root)
		if err != nil {
			b.Fatal(err)
		}
		i := 0
		for b.Loop() {
			if _, err := w.Node(w.Child(w.root, n, i*7919%1000)); err != nil {
				b.Fatal(err)
			}
			i++
		}
		b.ReportMetric(float64(w.Stats().Misses)/float64(b.N), "misses/op")
	})
	b.Run("ReadNode", func(b *testing.B) {
		w := openWood(b, fs, root, 0)
		defer w.Close()
		n, err := w.Node(w.root)
		if err != nil {
			b.Fatal(err)
		}
		i := 0
		for b.Loop() {
			if _, err := w.ReadNode(n.Ref(i*7919%1000), kv.CatalogKeyspace, 0); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
}

// A write is 4 KiB; a commit comes every 64 MiB and frees what the one before
// wrote.
func BenchmarkWrite(b *testing.B) {
	fs := inDir{vfs.OS(), b.TempDir()}
	p := create(b, fs, Options{CacheBytes: 8 << 20})
	defer p.Close()
	const perCommit = 64 << 20 / 4096
	var refs []node.Ref
	var w *Writer
	i := 0
	b.SetBytes(4096)
	for b.Loop() {
		if i%perCommit == 0 {
			w = nextWriter(b, p, w, &refs)
		}
		h, buf := leafOf(leafKey(i), make([]byte, 4030), 4030, false)
		f, err := w.Write(h, 1, false, buf, nil, false)
		if err != nil {
			b.Fatal(err)
		}
		refs = append(refs, f.Ref())
		i++
	}
	nextWriter(b, p, w, &refs).Abort()
}

func nextWriter(b *testing.B, p *Pager, w *Writer, refs *[]node.Ref) *Writer {
	if w != nil {
		if err := w.Commit(p.Meta(), false); err != nil {
			b.Fatal(err)
		}
	}
	w, err := p.Begin(p.Meta().Gen)
	if err != nil {
		b.Fatal(err)
	}
	for _, r := range *refs {
		w.Free(r)
	}
	*refs = (*refs)[:0]
	return w
}

// Values that the cache holds all, and values of which it holds four fifths.
func BenchmarkReadOverflow(b *testing.B) {
	const limit = 128 << 20
	for _, size := range []int{10 << 10, 100 << 10, 1 << 20} {
		for _, set := range []int64{limit * 4 / 5, limit * 5 / 4} {
			b.Run(fmt.Sprintf("%dKiB/%dMiB", size>>10, set>>20), func(b *testing.B) {
				p, refs := valuesOf(b, inDir{vfs.OS(), b.TempDir()}, size, int(set)/size, limit)
				defer p.Close()
				r := rand.New(rand.NewPCG(1, 40))
				var dst []byte
				read := func(i int) {
					var err error
					if dst, err = p.ReadOverflow(refs[i], 5, dst[:0]); err != nil {
						b.Fatal(err)
					}
				}
				for i := range refs {
					read(i)
				}
				b.SetBytes(int64(size))
				for b.Loop() {
					read(r.IntN(len(refs)))
				}
			})
		}
	}
}
