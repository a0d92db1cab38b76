package salvage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
	"github.com/lightning-db/lightning/internal/figure"
	"github.com/lightning-db/lightning/verify"
	"github.com/lightning-db/lightning/verify/salvage"
)

const (
	src      = "db"
	dst      = "new"
	treePath = "db/btree.db"
)

// content is what a database holds: keyspace and key, by value.
type content map[string]string

// fixture is a closed or crashed database, what it holds, and each value that
// a key ever had.
type fixture struct {
	fs      *vfs.Mem
	want    content
	history map[string][]string

	keyspaces []string // by id, from 1 on
}

func (f *fixture) clone() *fixture {
	g := *f
	g.fs = f.fs.Clone()
	return &g
}

type shape struct {
	seed       uint64
	keys       int
	keyspaces  []string
	runs       bool // leave sorted runs in front of the trees
	log        bool // leave operations in the log, as after a crash
	generation int  // checkpoints
}

// build makes a database of many generations.
func build(t testing.TB, sh shape) *fixture {
	t.Helper()
	f := &fixture{fs: vfs.NewMem(), want: content{}, history: map[string][]string{}, keyspaces: sh.keyspaces}
	memtable := int64(1 << 20)
	if sh.runs {
		memtable = 64 << 10
	}
	db, err := engine.Open(src, &engine.Options{
		FS: f.fs, Sync: engine.SyncOff, PageSize: 1024, MemtableBytes: memtable, SegmentBytes: 64 << 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(sh.seed, 1))
	spaces := map[string]*engine.Keyspace{}
	for i, name := range sh.keyspaces {
		ks, err := db.CreateKeyspace(name, &engine.KeyspaceOptions{PageSize: 1024 << (i % 3), Compression: engine.Compression(i % 3)})
		if err != nil {
			t.Fatal(err)
		}
		spaces[name] = ks
	}
	names := append([]string{""}, sh.keyspaces...)
	n := 0
	write := func(count int) {
		b := db.NewBatch()
		for range count {
			n++
			name := names[rng.IntN(len(names))]
			key := fmt.Sprintf("k%05d", rng.IntN(sh.keys))
			in := b
			if name != "" {
				in = b.In(spaces[name])
			}
			id := name + "/" + key
			if rng.IntN(8) == 0 {
				if err := in.Delete([]byte(key)); err != nil {
					t.Fatal(err)
				}
				delete(f.want, id)
				continue
			}
			size := rng.IntN(40)
			if rng.IntN(30) == 0 {
				size = 600 + rng.IntN(5000)
			}
			value := fmt.Sprintf("%s#%d#%s", id, n, strings.Repeat("x", size))
			if err := in.Put([]byte(key), []byte(value)); err != nil {
				t.Fatal(err)
			}
			f.want[id] = value
			f.history[id] = append(f.history[id], value)
		}
		if err := db.Apply(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
	for range sh.generation {
		write(sh.keys / 2)
		if _, err := db.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if sh.log {
		write(sh.keys / 10)
		crashed := f.fs.Clone() // as a killed process leaves it
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		f.fs = crashed
		return f
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return f
}

// contentOf reads a database through the engine.
func contentOf(t testing.TB, fs vfs.FS, dir string) content {
	t.Helper()
	db, err := engine.Open(dir, &engine.Options{FS: fs, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	infos, err := db.Keyspaces()
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := db.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	c := content{}
	for _, info := range infos {
		ks, err := db.Keyspace(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		r := snapshot.In(ks)
		for key, value := range r.Scan(nil, nil) {
			c[info.Name+"/"+string(key)] = string(value)
		}
		if err := r.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// repair runs, and makes sure that the source is what it was and the new
// database sound.
func (f *fixture) repair(t testing.TB) (salvage.Report, content) {
	t.Helper()
	report, err := f.tryRepair(t)
	if err != nil {
		t.Fatalf("repair: %v", err)
	}
	checked, err := verify.Run(context.Background(), dst, verify.Options{FS: f.fs})
	if err != nil || !checked.OK {
		t.Fatalf("the new database: %v, %+v", err, checked.Findings)
	}
	return report, f.named(contentOf(t, f.fs, dst))
}

// named gives keyspaces whose names are lost the names that they had.
func (f *fixture) named(c content) content {
	named := content{}
	for id, value := range c {
		for i, name := range f.keyspaces {
			if rest, made := strings.CutPrefix(id, fmt.Sprintf("keyspace-%d/", i+1)); made {
				id = name + "/" + rest
			}
		}
		named[id] = value
	}
	return named
}

func (f *fixture) tryRepair(t testing.TB) (salvage.Report, error) {
	t.Helper()
	before := files(t, f.fs, src)
	report, err := salvage.Run(context.Background(), src, dst, salvage.Options{FS: f.fs})
	if after := files(t, f.fs, src); !slices.EqualFunc(before, after, bytes.Equal) {
		t.Fatal("the source was changed")
	}
	for _, name := range f.fs.Names() {
		if strings.Contains(name, ".repairing") || err != nil && strings.HasPrefix(strings.TrimPrefix(name, "/"), dst+"/") {
			t.Fatalf("left behind: %s", name)
		}
	}
	return report, err
}

// files returns the names and bytes of all files below dir.
func files(t testing.TB, fs *vfs.Mem, dir string) [][]byte {
	t.Helper()
	var all [][]byte
	for _, name := range fs.Names() {
		if !strings.HasPrefix(strings.TrimPrefix(name, "/"), dir+"/") {
			continue
		}
		b, err := fs.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, []byte(name), b)
	}
	return all
}

// diff says how got differs from want, in a few words.
func diff(want, got content) string {
	var lines []string
	for id, value := range want {
		if have, ok := got[id]; !ok {
			lines = append(lines, "missing "+id)
		} else if have != value {
			lines = append(lines, fmt.Sprintf("%s: have %.40q, want %.40q", id, have, value))
		}
	}
	for id := range got {
		if _, ok := want[id]; !ok {
			lines = append(lines, "more "+id)
		}
	}
	slices.Sort(lines)
	if len(lines) > 5 {
		lines = append(lines[:5], fmt.Sprintf("and %d more", len(lines)-5))
	}
	return strings.Join(lines, "\n")
}

// neverWritten returns an entry of got with a value that the key never had.
func (f *fixture) neverWritten(got content) string {
	for id, value := range got {
		if !slices.Contains(f.history[id], value) {
			return fmt.Sprintf("%s = %.60q was never written", id, value)
		}
	}
	return ""
}

func (f *fixture) tree(t testing.TB) []byte {
	t.Helper()
	b, err := f.fs.ReadFile(treePath)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (f *fixture) setTree(t testing.TB, b []byte) {
	t.Helper()
	if err := f.fs.WriteFile(treePath, b); err != nil {
		t.Fatal(err)
	}
}

var shapes = map[string]shape{
	"one leaf":      {seed: 1, keys: 10, generation: 1},
	"small":         {seed: 2, keys: 200, generation: 2},
	"three levels":  {seed: 3, keys: 4000, generation: 3},
	"keyspaces":     {seed: 4, keys: 600, generation: 3, keyspaces: []string{"a", "b", "c"}},
	"runs":          {seed: 5, keys: 6000, generation: 8, runs: true},
	"log":           {seed: 6, keys: 500, generation: 3, log: true},
	"all":           {seed: 7, keys: 6000, generation: 7, runs: true, log: true, keyspaces: []string{"a", "b"}},
	"only the log":  {seed: 8, keys: 300, log: true, keyspaces: []string{"a"}},
	"nothing in it": {seed: 9, keys: 1},
}

func TestRun_UndamagedIsEqual(t *testing.T) {
	for name, sh := range shapes {
		t.Run(name, func(t *testing.T) {
			f := build(t, sh)
			report, got := f.repair(t)
			if d := diff(f.want, got); d != "" {
				t.Error(d)
			}
			if !report.Lossless() || !report.Meta || report.Keys != uint64(len(f.want)) {
				t.Errorf("%d keys, want %d; %+v", report.Keys, len(f.want), report)
			}
		})
	}
}

func TestRun_WithoutMetas(t *testing.T) {
	for name, sh := range shapes {
		if sh.generation == 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			f := build(t, sh)
			b := f.tree(t)
			clear(b[:8192])
			f.setTree(t, b)
			report, got := f.repair(t)
			if d := diff(f.want, got); d != "" {
				t.Error(d)
			}
			if report.Meta || !report.Catalog || len(report.Losses) != 1 || report.Lossless() {
				t.Errorf("%+v", report)
			}
		})
	}
}

// A closed database whose newest meta is damaged has an older one, behind which
// the log does not begin any more: the newest trees in the file are the better.
func TestRun_NewestMetaDamaged(t *testing.T) {
	for rounds := range 4 { // so that each slot is the newest
		f := &fixture{fs: vfs.NewMem(), want: content{}}
		for round := range rounds + 1 {
			db, err := engine.Open(src, &engine.Options{FS: f.fs, SegmentBytes: 64 << 10})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 100 {
				key := fmt.Sprintf("k%d-%d", round, i)
				f.want["/"+key] = strings.Repeat(key, 500)
				if err := db.Put([]byte(key), []byte(f.want["/"+key])); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
		r, err := inspect.Open(f.fs, src)
		if err != nil {
			t.Fatal(err)
		}
		b, slot := f.tree(t), r.Meta.Generation%2*4096
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		clear(b[slot : slot+4096]) // and its copy
		f.setTree(t, b)
		report, got := f.repair(t)
		if d := diff(f.want, got); d != "" || report.Lossless() {
			t.Errorf("%d rounds: %s\n%+v", rounds, d, report)
		}
	}
}

// Without metas the log is read from its oldest record on: a keyspace in it may
// have had the name of a later one, and was dropped.
func TestRun_WithoutMetas_KeyspaceMadeAgain(t *testing.T) {
	f := &fixture{fs: vfs.NewMem(), want: content{"a/k": "second"}}
	db, err := engine.Open(src, &engine.Options{FS: f.fs})
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"first", "second"} {
		ks, err := db.CreateKeyspace("a", nil)
		if err == nil {
			err = ks.Put([]byte("k"), []byte(value))
		}
		if err == nil && value == "first" {
			err = errors.Join(ks.Put([]byte("old"), nil), db.DropKeyspace("a"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = db.Checkpoint(context.Background())
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	b := f.tree(t)
	clear(b[:8192])
	f.setTree(t, b)
	report, got := f.repair(t)
	if d := diff(f.want, got); d != "" || len(report.Keyspaces) != 2 {
		t.Errorf("%s, %+v", d, report)
	}
}

// A crash between the meta of a smaller file and the cut leaves the file longer.
// What stands behind its end is older, and never proved to be what was lost.
func TestRun_BehindTheEnd(t *testing.T) {
	f := &fixture{fs: vfs.NewMem(), want: content{}}
	db, err := engine.Open(src, &engine.Options{FS: f.fs, PageSize: 1024})
	if err != nil {
		t.Fatal(err)
	}
	put := func(value string, from, to, step int) {
		t.Helper()
		b := db.NewBatch()
		for i := from; i < to; i += step {
			if err := b.Put(fmt.Appendf(nil, "k%05d", i), []byte(value)); err != nil {
				t.Fatal(err)
			}
			f.want[fmt.Sprintf("/k%05d", i)] = value
		}
		if err := db.Apply(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
	put("old", 0, 4000, 1)
	_, err = db.Checkpoint(context.Background())
	if err := errors.Join(err, db.DeleteRange([]byte("k"), []byte("l"))); err != nil {
		t.Fatal(err)
	}
	clear(f.want)
	put("new", 3700, 4000, 2)
	before := f.tree(t)
	_, err = db.Compact(context.Background())
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	b := f.tree(t)
	f.setTree(t, append(b, before[len(b):]...))
	if _, got := f.clone().repair(t); diff(f.want, got) != "" {
		t.Fatal(diff(f.want, got))
	}
	for _, e := range reachable(t, f.fs) {
		if e.what != "leaf" || e.lossless { // that of the catalog
			continue
		}
		g := f.clone()
		b := g.tree(t)
		b[e.ref.Offset+60]++
		g.setTree(t, b)
		report, got := g.repair(t)
		for id, value := range got {
			if value != f.want[id] && report.Lossless() {
				t.Fatalf("%s is %q, want %q, and all was saved: %+v", id, value, f.want[id], report.Losses)
			}
		}
		if report.Lossless() || uint64(len(got))+e.ref.Count != uint64(len(f.want)) {
			t.Fatalf("%d keys of %d, the leaf has %d: %+v", len(got), len(f.want), e.ref.Count, report.Losses)
		}
	}
}

func TestRun_WithoutLog(t *testing.T) {
	for name, sh := range shapes {
		t.Run(name, func(t *testing.T) {
			f := build(t, sh)
			for _, name := range f.fs.Names() {
				if strings.Contains(name, "/wal/") {
					if err := f.fs.Remove(name); err != nil {
						t.Fatal(err)
					}
				}
			}
			report, err := f.tryRepair(t)
			if sh.generation == 0 { // all there was, was in the log
				if !errors.Is(err, salvage.ErrNothing) {
					t.Fatalf("%v, want ErrNothing", err)
				}
				return
			}
			if err != nil || report.Lossless() {
				t.Fatalf("%v, %+v", err, report)
			}
			got := f.named(contentOf(t, f.fs, dst))
			if wrong := f.neverWritten(got); wrong != "" {
				t.Error(wrong)
			}
			if d := diff(f.want, got); d != "" && !sh.log {
				t.Error(d)
			}
		})
	}
}

func TestRun_WithoutTrees(t *testing.T) {
	f := build(t, shape{seed: 10, keys: 300, generation: 0, log: true, keyspaces: []string{"a"}})
	if err := f.fs.Remove(treePath); err != nil {
		t.Fatal(err)
	}
	report, got := f.repair(t)
	if d := diff(f.want, got); d != "" {
		t.Error(d)
	}
	if report.Lossless() {
		t.Error("no loss is told")
	}
}

// Each extent is lost in turn. What it held is lost, if it was a leaf or a
// value; what was below it is found again; and nothing else changes.
func TestRun_EachExtentLost(t *testing.T) {
	for _, name := range []string{"small", "three levels", "keyspaces", "runs", "log", "all"} {
		t.Run(name, func(t *testing.T) {
			f := build(t, shapes[name])
			all := reachable(t, f.fs)
			step := max(len(all)/figure.Times(20), 1)
			if testing.Short() {
				step = max(len(all)/15, 1)
			}
			for i := 0; i < len(all); i += step {
				x := all[i]
				g := f.clone()
				b := g.tree(t)
				clear(b[x.ref.Offset:][:x.ref.Size()])
				g.setTree(t, b)
				report, got := g.repair(t)
				if len(report.Losses) == 0 {
					t.Fatalf("%s at %d: no loss is told", x.what, x.ref.Offset)
				}
				if d := diff(f.want, got); d != "" && report.Lossless() {
					t.Fatalf("%s at %d: all is said to be there, and\n%s", x.what, x.ref.Offset, d)
				}
				lost := 0
				for id, value := range f.want {
					if got[id] != value {
						lost++
					}
				}
				if x.lossless && lost > 0 {
					t.Fatalf("%s at %d lost %d entries:\n%s", x.what, x.ref.Offset, lost, diff(f.want, got))
				}
				if !x.lossless && lost > int(x.ref.Count) {
					t.Fatalf("%s at %d held %d entries, and %d are lost", x.what, x.ref.Offset, x.ref.Count, lost)
				}
				if wrong := g.neverWritten(got); wrong != "" {
					t.Fatal(wrong)
				}
				for id := range got {
					if _, ok := f.want[id]; !ok && !x.mayRevive {
						t.Fatalf("%s at %d: %s was deleted, and is back", x.what, x.ref.Offset, id)
					}
				}
			}
			t.Logf("%d extents", (len(all)+step-1)/step)
		})
	}
}

type reached struct {
	ref  inspect.Ref
	what string
	// lossless says that all below it can be found again, and mayRevive that
	// its tombstones are lost, or that what is found may be old.
	lossless, mayRevive bool
}

// reachable returns the nodes and values of a database, without filters.
func reachable(t testing.TB, fs vfs.FS) []reached {
	t.Helper()
	db, err := inspect.Open(fs, src)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r := db.NewReader()
	var all []reached
	var walk func(ref inspect.Ref, ks uint32, run bool, entry func(key []byte, e inspect.Entry))
	walk = func(ref inspect.Ref, ks uint32, run bool, entry func(key []byte, e inspect.Entry)) {
		if ref.IsZero() {
			return
		}
		n, err := r.Node(ref, ks, inspect.AnyLevel)
		if err != nil {
			t.Fatal(err)
		}
		n = n.Clone()
		if n.Kind == inspect.Branch {
			all = append(all, reached{ref, "branch", true, ks == inspect.CatalogKeyspace})
			for i := range n.Len() {
				walk(n.Child(i), ks, run, entry)
			}
			return
		}
		// A run has no stale copies, and yet its tombstones are lost; and where
		// the catalog is lost, what is free cannot be told from what is not.
		all = append(all, reached{ref, "leaf", ks == inspect.CatalogKeyspace, ks == inspect.CatalogKeyspace || run})
		for i := range n.Len() {
			e := n.Entry(i)
			if e.Overflow && !e.Tombstone {
				value := e.Ref()
				value.Count = 1
				all = append(all, reached{value, "value", false, false})
			}
			if entry != nil {
				entry(n.AppendKey(nil, i), e)
			}
		}
	}
	walk(db.Meta.Catalog, inspect.CatalogKeyspace, false, func(key []byte, e inspect.Entry) {
		ks, err := inspect.DecodeKeyspace(key, e.Value)
		if err != nil {
			t.Fatal(err)
		}
		walk(ks.Root, ks.ID, false, nil)
		for _, run := range ks.Runs {
			walk(run.Root, ks.ID, true, nil)
		}
	})
	return all
}

// A file whose extents have all moved: what a reference means is found by its
// checksum.
func TestRun_Shifted(t *testing.T) {
	for _, name := range []string{"small", "three levels", "runs"} {
		t.Run(name, func(t *testing.T) {
			f := build(t, shapes[name])
			b := f.tree(t)
			b = slices.Concat(b[:8192], make([]byte, 512*3), b[8192:])
			f.setTree(t, b)
			report, got := f.repair(t)
			if d := diff(f.want, got); d != "" {
				t.Error(d)
			}
			if len(report.Losses) == 0 {
				t.Error("nothing is told")
			}
		})
	}
}

func TestRun_Truncated(t *testing.T) {
	f := build(t, shapes["all"])
	whole := f.tree(t)
	rng := rand.New(rand.NewPCG(1, 2))
	rounds := 40
	if testing.Short() {
		rounds = 8
	}
	for i := range rounds {
		length := rng.IntN(len(whole))
		if i == 0 {
			length = 0
		}
		g := f.clone()
		g.setTree(t, whole[:length])
		_, err := g.tryRepair(t)
		if err != nil {
			t.Fatalf("truncated to %d: %v", length, err) // the log is there
		}
		if wrong := g.neverWritten(g.named(contentOf(t, g.fs, dst))); wrong != "" {
			t.Fatalf("truncated to %d: %s", length, wrong)
		}
	}
}

// Whatever is damaged, no key gets a value that it never had, and what is lost
// is told.
func TestRun_RandomDamage(t *testing.T) {
	rounds := figure.Times(30)
	if testing.Short() {
		rounds = 20
	}
	for _, name := range []string{"keyspaces", "runs", "all"} {
		f := build(t, shapes[name])
		for i := range rounds {
			rng := rand.New(rand.NewPCG(uint64(i), 3))
			g := f.clone()
			paths := g.fs.Names()
			for range 1 + rng.IntN(20) {
				path := paths[rng.IntN(len(paths))]
				if rng.IntN(2) == 0 {
					path = treePath
				}
				b, err := g.fs.ReadFile(path)
				if err != nil || len(b) == 0 {
					continue
				}
				at := rng.IntN(len(b))
				switch n := min(1<<rng.IntN(14), len(b)-at); rng.IntN(4) {
				case 0:
					b[at] ^= 1 << rng.IntN(8)
				case 1:
					clear(b[at:][:n])
				case 2:
					for j := range n {
						b[at+j] = byte(rng.Uint32())
					}
				case 3:
					copy(b[at:][:n], bytes.Clone(b[rng.IntN(len(b)-n+1):][:n]))
				}
				if err := g.fs.WriteFile(path, b); err != nil {
					t.Fatal(err)
				}
			}
			report, err := g.tryRepair(t)
			if err != nil {
				if !errors.Is(err, salvage.ErrNothing) && !errors.Is(err, engine.ErrVersion) {
					t.Fatalf("%s, round %d: %v", name, i, err)
				}
				continue
			}
			got := g.named(contentOf(t, g.fs, dst))
			if wrong := g.neverWritten(got); wrong != "" {
				t.Fatalf("%s, round %d: %s", name, i, wrong)
			}
			if d := diff(f.want, got); d != "" && report.Lossless() && report.TornBytes == 0 {
				t.Fatalf("%s, round %d: no loss is told, and\n%s", name, i, d)
			}
		}
	}
}

func TestRun_Errors(t *testing.T) {
	f := build(t, shapes["small"])
	run := func(fs vfs.FS, from, to string) error {
		_, err := salvage.Run(context.Background(), from, to, salvage.Options{FS: fs})
		return err
	}
	if err := run(f.fs, src, src); !errors.Is(err, engine.ErrExists) {
		t.Errorf("over itself: %v", err)
	}
	if err := run(f.fs, "none", dst); !errors.Is(err, engine.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
	text := vfs.NewMem()
	if err := text.WriteFile("notes/todo.txt", []byte("milk")); err != nil {
		t.Fatal(err)
	}
	if err := run(text, "notes", dst); !errors.Is(err, engine.ErrNotExist) {
		t.Errorf("of notes: %v", err)
	}
	if err := text.WriteFile("other/btree.db", bytes.Repeat([]byte("SQLite format 3\x00"), 1024)); err != nil {
		t.Fatal(err)
	}
	if err := run(text, "other", dst); !errors.Is(err, engine.ErrFormat) {
		t.Errorf("of another program's file: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := salvage.Run(ctx, src, dst, salvage.Options{FS: f.fs}); !errors.Is(err, context.Canceled) {
		t.Errorf("when the context is done: %v", err)
	}
	g := build(t, shapes["small"])
	b := g.tree(t)
	clear(b[8192:])
	g.setTree(t, b)
	if _, err := g.tryRepair(t); !errors.Is(err, salvage.ErrNothing) {
		t.Errorf("of zeros: %v", err)
	}
}

// A destination that cannot be written leaves nothing, and a second try works.
func TestRun_DestinationFails(t *testing.T) {
	f := build(t, shapes["keyspaces"])
	failures := 0
	for n := 1; n < 2000; n += 1 + n/10 {
		g := f.clone()
		failing := faultfs.Inject(g.fs)
		failing.FailNth(n, faultfs.ErrIO, true, faultfs.OpMkdir, faultfs.OpWrite, faultfs.OpSync, faultfs.OpTruncate,
			faultfs.OpAllocate, faultfs.OpRename, faultfs.OpSyncDir, faultfs.OpLock)
		_, err := salvage.Run(context.Background(), src, dst, salvage.Options{FS: failing})
		if err == nil {
			break
		}
		failures++
		if _, err := g.fs.Stat(dst); err == nil { // only its name was not made durable
			if d := diff(f.want, contentOf(t, g.fs, dst)); d != "" {
				t.Fatalf("call %d failed, and there is a database:\n%s", n, d)
			}
			continue
		}
		if d := diff(f.want, second(t, g)); d != "" {
			t.Fatalf("call %d: the second try:\n%s", n, d)
		}
	}
	if failures < 10 {
		t.Errorf("%d calls failed", failures)
	}
}

func second(t *testing.T, g *fixture) content {
	t.Helper()
	_, got := g.repair(t)
	return got
}

// Of several copies of a leaf that is lost, where the free list is lost too and
// so cannot tell which of them are old, the newest counts.
func TestRun_NewestOfWhatIsFound(t *testing.T) {
	fs := vfs.NewMem()
	db, err := engine.Open(src, &engine.Options{FS: fs, Sync: engine.SyncOff, PageSize: 1024})
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 6
	for round := range rounds {
		for i := range 10 {
			if err := db.Put(fmt.Appendf(nil, "k%d", i), fmt.Appendf(nil, "round %d", round)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := db.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
		s, err := db.Snapshot() // what it reads is not written over
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
	}
	f := &fixture{fs: fs.Clone()}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	seen, err := inspect.Open(f.fs, src)
	if err != nil {
		t.Fatal(err)
	}
	free := seen.Meta.FreeList
	if err := seen.Close(); err != nil {
		t.Fatal(err)
	}
	b := f.tree(t)
	clear(b[free.Offset:][:free.Size()])
	leaves := 0
	for _, x := range reachable(t, f.fs) {
		if x.what == "leaf" && !x.lossless {
			clear(b[x.ref.Offset:][:x.ref.Size()])
			leaves++
		}
	}
	if leaves != 1 {
		t.Fatalf("%d leaves, want 1", leaves)
	}
	f.setTree(t, b)
	report, got := f.repair(t)
	want := content{}
	for i := range 10 {
		want[fmt.Sprintf("/k%d", i)] = fmt.Sprintf("round %d", rounds-2)
	}
	if d := diff(want, got); d != "" {
		t.Errorf("%s\n%+v", d, report)
	}
	if report.Lossless() {
		t.Error("no loss is told")
	}
}

// F25: the source is not opened for writing, and a kill in any step leaves no
// destination of that name or a whole one, and no change in the source.
func TestF25_SourceIsNotWritten(t *testing.T) {
	f := build(t, shapes["small"])
	in := faultfs.Inject(f.fs)
	in.SetHook(func(op faultfs.Op) error {
		switch op.Kind {
		case faultfs.OpOpen, faultfs.OpRead, faultfs.OpSize, faultfs.OpClose, faultfs.OpStat, faultfs.OpList:
			return nil
		}
		if name := strings.TrimPrefix(op.Name, "/"); name == src || strings.HasPrefix(name, src+"/") {
			return fmt.Errorf("%v of the source", op)
		}
		return nil
	})
	before, base := files(t, f.fs, src), f.fs.Clone()
	if _, err := salvage.Run(context.Background(), src, dst, salvage.Options{FS: in}); err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(before, files(t, f.fs, src), bytes.Equal) {
		t.Error("the source was changed")
	}

	sim := faultfs.NewSimFrom(base)
	if _, err := salvage.Run(context.Background(), src, dst, salvage.Options{FS: sim}); err != nil {
		t.Fatal(err)
	}
	for n := 0; n <= sim.Ops(); n += 1 + n/20 {
		for _, d := range faultfs.Damages(3, int64(n)) {
			g := f.clone()
			g.fs = sim.Image(n, d)
			if !slices.EqualFunc(before, files(t, g.fs, src), bytes.Equal) {
				t.Fatalf("a crash after operation %d, %v: the source was changed", n, d)
			}
			if _, err := g.fs.Stat(dst); err != nil {
				g.repair(t)
			}
			if d := diff(f.want, contentOf(t, g.fs, dst)); d != "" {
				t.Fatalf("a crash after operation %d of %d:\n%s", n, sim.Ops(), d)
			}
		}
	}
}
