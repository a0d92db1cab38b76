package verify_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/verify"
)

const (
	dbDir    = "db"
	treePath = "db/btree.db"
)

var le = binary.LittleEndian

// image is a database that is not open, whose bytes a test changes.
type image struct {
	t  testing.TB
	fs *vfs.Mem
	b  []byte // of btree.db
}

// extent is an extent of an image, in the order parents before children.
type extent struct {
	ref      inspect.Ref
	keyspace uint32
	kind     uint8
	level    uint8
	parent   *extent // nil: the meta
	run      int     // 1 for what belongs to the newest sorted run of its keyspace, 2 for the next
	pos      uint64  // of the reference in the file
	start    []byte  // the least key below, and the least behind; nil has no bound
	end      []byte
}

func (e *extent) String() string {
	return fmt.Sprintf("kind %d of keyspace %d at %d", e.kind, e.keyspace, e.ref.Offset)
}

// newImage takes the files of fs, in which no database is open.
func newImage(t testing.TB, fs *vfs.Mem) *image {
	m := &image{t: t, fs: fs}
	m.b = readFile(t, fs, treePath)
	return m
}

// clone returns an image that can be changed by itself.
func (m *image) clone(t testing.TB) *image {
	return &image{t, m.fs.Clone(), bytes.Clone(m.b)}
}

func (m *image) verify(o verify.Options) verify.Report {
	m.t.Helper()
	m.save()
	return verifyFS(m.t, m.fs, o)
}

func verifyFS(t testing.TB, fs vfs.FS, o verify.Options) verify.Report {
	t.Helper()
	o.FS = fs
	r, err := verify.Run(context.Background(), dbDir, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// save writes the bytes back.
func (m *image) save() { writeFile(m.t, m.fs, treePath, m.b) }

func readFile(t testing.TB, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name, vfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && size > 0 {
		t.Fatal(err)
	}
	return b
}

func writeFile(t testing.TB, fs vfs.FS, name string, b []byte) {
	t.Helper()
	f, err := fs.Open(name, vfs.Create)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(int64(len(b))); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
}

// meta returns the offset of the newest meta.
func (m *image) meta() uint64 {
	if le.Uint64(m.b[32:]) > le.Uint64(m.b[4096+32:]) {
		return 0
	}
	return 4096
}

// sealMeta corrects the checksum of the newest meta.
func (m *image) sealMeta() { m.sealSlot(m.meta()) }

func (m *image) sealSlot(at uint64) {
	le.PutUint64(m.b[at+504:], xxhash.Sum64(m.b[at:at+504]))
}

// bytes returns the stored bytes of e, to be changed.
func (m *image) bytes(e *extent) []byte { return m.b[e.ref.Offset:][:e.ref.Length] }

// seal corrects the checksum of e and all that follows from it, up to the
// meta.
func (m *image) seal(e *extent) {
	b := m.bytes(e)
	sum := xxhash.Sum64(b[8:])
	le.PutUint64(b, sum)
	e.ref.Checksum = sum
	le.PutUint64(m.b[e.pos+16:], sum)
	m.sealParent(e)
}

// sealParent is seal for what holds the reference of e.
func (m *image) sealParent(e *extent) {
	if e.parent != nil {
		m.seal(e.parent)
	} else {
		m.sealMeta()
	}
}

// extents lists all extents. The keyspaces are stored without a codec.
func (m *image) extents() []*extent {
	m.t.Helper()
	m.save()
	db, err := inspect.Open(m.fs, dbDir)
	if err != nil {
		m.t.Fatal(err)
	}
	defer db.Close()
	w := &lister{m: m, db: db}
	if ref := db.Meta.FreeList; !ref.IsZero() {
		w.list = append(w.list, &extent{ref: ref, keyspace: inspect.CatalogKeyspace, kind: inspect.FreeList, pos: m.meta() + 112})
	}
	w.walk(&extent{ref: db.Meta.Catalog, keyspace: inspect.CatalogKeyspace, pos: m.meta() + 88}, inspect.AnyLevel)
	return w.list
}

type lister struct {
	m    *image
	db   *inspect.DB
	list []*extent
}

// child adds what e refers to with ref.
func (w *lister) child(e *extent, ref inspect.Ref, encoded []byte) *extent {
	i := bytes.Index(w.m.bytes(e), encoded)
	if i < 0 {
		w.m.t.Fatalf("%v does not hold the reference to %d", e, ref.Offset)
	}
	return &extent{ref: ref, keyspace: e.keyspace, parent: e, run: e.run, pos: e.ref.Offset + uint64(i), start: e.start, end: e.end}
}

func (w *lister) walk(e *extent, level int) {
	w.m.t.Helper()
	n, err := w.db.NewReader().Node(e.ref, e.keyspace, level)
	if err != nil {
		w.m.t.Fatal(err)
	}
	e.kind, e.level = n.Kind, n.Level
	w.list = append(w.list, e)
	for i := range n.Len() {
		if n.Kind == inspect.Branch {
			c := w.child(e, n.Child(i), encodeRef(n.Child(i)))
			if i > 0 {
				c.start = n.AppendSeparator(nil, i)
			}
			if i+1 < n.Len() {
				c.end = n.AppendSeparator(nil, i+1)
			}
			w.walk(c, int(n.Level)-1)
			continue
		}
		entry := n.Entry(i)
		if entry.Overflow {
			c := w.child(e, entry.Ref(), entry.Value)
			c.kind, c.start = inspect.Overflow, n.AppendKey(nil, i)
			c.end = append(bytes.Clone(c.start), 0)
			w.list = append(w.list, c)
		}
		if e.keyspace == inspect.CatalogKeyspace {
			k, err := inspect.DecodeKeyspace(n.AppendKey(nil, i), entry.Value)
			if err != nil {
				w.m.t.Fatal(err)
			}
			if !k.Root.IsZero() {
				w.tree(e, k.ID, k.Root, 0)
			}
			for i, run := range k.Runs {
				w.tree(e, k.ID, run.Root, i+1)
				c := w.child(e, run.Filter, encodeRef(run.Filter))
				c.kind, c.keyspace, c.start, c.end, c.run = filterKind, k.ID, nil, nil, i+1
				w.list = append(w.list, c)
			}
		}
	}
}

// tree walks a tree of a keyspace, of which the leaf e of the catalog tells.
func (w *lister) tree(e *extent, keyspace uint32, root inspect.Ref, run int) {
	w.m.t.Helper()
	c := w.child(e, root, encodeRef(root))
	c.keyspace, c.start, c.end, c.run = keyspace, nil, nil, run
	w.walk(c, inspect.AnyLevel)
}

// filterKind tells the filter of a run from the values, which are stored alike.
const filterKind = 100

func encodeRef(r inspect.Ref) []byte {
	b := make([]byte, 24)
	le.PutUint64(b, r.Offset/512)
	le.PutUint64(b[6:], r.Count)
	n := r.Length
	if r.Overflow {
		n |= 1 << 31
	}
	le.PutUint32(b[12:], n)
	le.PutUint64(b[16:], r.Checksum)
	return b
}

// pick returns the extents of that kind and keyspace that are in no sorted run.
func pick(list []*extent, kind uint8, keyspace uint32) []*extent {
	return pickRun(list, kind, keyspace, 0)
}

// pickRun returns those of a run.
func pickRun(list []*extent, kind uint8, keyspace uint32, run int) []*extent {
	return slices.DeleteFunc(slices.Clone(list), func(e *extent) bool {
		return e.kind != kind || e.keyspace != keyspace || e.run != run
	})
}

// shape says what a database is built of.
type shape struct {
	options   engine.Options
	keyspaces []engine.KeyspaceOptions
	rounds    int // of writes, each with a checkpoint behind it
	keys      int // written in each
	longest   int // value
	deletes   int
	runs      int // rounds after those, of a few keys far apart, which become sorted runs
}

// open opens the database in fs with small parts, so that there are many.
func (s *shape) open(t testing.TB, fs vfs.FS) *engine.DB {
	t.Helper()
	o := s.options
	o.FS = fs
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 32 << 10
	}
	db, err := engine.Open(dbDir, &o)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// write makes the rounds of writes and calls after each.
func (s *shape) write(t testing.TB, db *engine.DB, rnd *rand.Rand, after func(round int)) {
	t.Helper()
	main, err := db.Keyspace("")
	if err != nil {
		t.Fatal(err)
	}
	spaces := []*engine.Keyspace{main}
	for i, o := range s.keyspaces {
		ks, err := db.CreateKeyspace(fmt.Sprintf("space %d", i), &o)
		if err != nil {
			t.Fatal(err)
		}
		spaces = append(spaces, ks)
	}
	for round := range s.rounds {
		for _, ks := range spaces {
			batch := db.NewBatch().In(ks)
			for range s.keys {
				if err := batch.Put(someKey(rnd), someValue(rnd, s.longest)); err != nil {
					t.Fatal(err)
				}
			}
			for range s.deletes {
				start := someKey(rnd)
				if err := batch.DeleteRange(start, append(bytes.Clone(start), '~')); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.Apply(context.Background(), batch); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := db.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
		if after != nil {
			after(round)
		}
	}
	for round := range s.runs {
		for _, ks := range spaces {
			scatter(t, ks, round)
		}
		if _, err := db.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
		if after != nil {
			after(s.rounds + round)
		}
	}
}

// scatter writes a few keys far apart, and deletes some.
func scatter(t testing.TB, ks *engine.Keyspace, round int) {
	t.Helper()
	for i := range 12 {
		key := fmt.Appendf(nil, "%s/%05d", strings.Repeat("k", i%3), i/3*5000+round%4)
		var err error
		switch {
		case i == 5:
			err = ks.Put(key, bytes.Repeat([]byte{byte(round)}, 900))
		case (i+round)%3 == 0:
			err = ks.Delete(key)
		default:
			err = ks.Put(key, []byte("scattered"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func someKey(rnd *rand.Rand) []byte {
	return fmt.Appendf(nil, "%s/%05d", strings.Repeat("k", rnd.IntN(3)), rnd.IntN(20000))
}

func someValue(rnd *rand.Rand, longest int) []byte {
	n := rnd.IntN(40)
	if longest > 0 && rnd.IntN(20) == 0 {
		n = rnd.IntN(longest)
	}
	b := make([]byte, n)
	for i := range b[:n/2] {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// build makes a database and closes it.
func (s *shape) build(t testing.TB, seed uint64) *image {
	t.Helper()
	fs := vfs.NewMem()
	db := s.open(t, fs)
	s.write(t, db, newRand(seed), nil)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return newImage(t, fs)
}

// find returns the finding of that kind at that offset.
func find(r verify.Report, invariant, kind string, offset uint64) (verify.Finding, bool) {
	for _, f := range r.Findings {
		if f.Invariant == invariant && f.Kind == kind && uint64(f.Offset) == offset && f.Path == treePath {
			return f, true
		}
	}
	return verify.Finding{}, false
}

func show(r verify.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "ok %v, %d keys, %d nodes, %d records, %d torn\n", r.OK, r.Keys, r.Nodes, r.LogRecords, r.TornBytes)
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "  %s %s at %s:%d [%q, %q) of %q, %d keys: %s\n", f.Invariant, f.Kind, f.Path, f.Offset, f.Start, f.End, f.Keyspace, f.Keys, f.Reason)
	}
	for _, f := range r.Notes {
		fmt.Fprintf(&b, "  note: %s %s at %s:%d: %s\n", f.Invariant, f.Kind, f.Path, f.Offset, f.Reason)
	}
	return b.String()
}

// usual is the database that most tests damage: three keyspaces with trees of
// several levels, values outside their leaves, and free space.
var usual = shape{
	options:   engine.Options{PageSize: 1024},
	keyspaces: []engine.KeyspaceOptions{{PageSize: 1024}, {PageSize: 4096}},
	rounds:    3, keys: 500, longest: 6000, deletes: 2,
}

// running is a database with sorted runs in front of its trees.
var running = shape{
	options:   engine.Options{PageSize: 1024, MemtableBytes: 8 << 10},
	keyspaces: []engine.KeyspaceOptions{{PageSize: 1024}},
	rounds:    1, keys: 900, longest: 3000, runs: 3,
}

// buildRuns builds the shape, which has runs in each of its keyspaces. The
// engine merges them when it is left alone for long, so it may take another try.
func (s *shape) buildRuns(t testing.TB, seed uint64) (*image, []*extent) {
	t.Helper()
	for range 20 {
		m := s.build(t, seed)
		list := m.extents()
		if len(pickRun(list, filterKind, 0, s.runs)) == 1 && len(pickRun(list, filterKind, 1, s.runs)) == 1 {
			return m, list
		}
	}
	t.Fatalf("no database with %d runs", s.runs)
	return nil, nil
}

func sortByOffset(list []*extent) {
	slices.SortFunc(list, func(a, b *extent) int { return cmp.Compare(a.ref.Offset, b.ref.Offset) })
}
