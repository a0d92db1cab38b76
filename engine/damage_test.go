package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/engine/vfs"
)

// The failure model, from F8 on: damage, and what is not ours.

// extent is an extent of btree.db as its header tells.
type extent struct {
	off, size int
	kind      byte
	keyspace  uint32
}

const (
	leafKind     = 1
	overflowKind = 3
)

// extents finds the extents in the bytes of btree.db, old ones too.
func extents(tree []byte) []extent {
	var list []extent
	for off := 8192; off+48 <= len(tree); off += 512 {
		h := tree[off:]
		if string(h[8:12]) != "LnEx" {
			continue
		}
		list = append(list, extent{off, int(binary.LittleEndian.Uint32(h[28:])), h[12], binary.LittleEndian.Uint32(h[24:])})
	}
	return list
}

// F8: damage in the tree is met by the read that needs the damaged extent, and
// by no other. A scan stops there and does not go on behind it. A checkpoint
// that needs it fails, and the database goes on.
func TestF08_RotInTheTree(t *testing.T) {
	disk := vfs.NewMem()
	db := openOn(t, disk)
	for _, e := range entriesOf("k", 100, 60) {
		mustPut(t, db, e.key, e.value)
	}
	closeDB(t, db)
	tree := treeBytes(t, disk)
	var leaf extent
	for _, e := range extents(tree) {
		if e.kind == leafKind && e.keyspace == 0 && bytes.Contains(tree[e.off:e.off+e.size], []byte(valueOf("k", 50, 60))) {
			leaf = e
		}
	}
	tree[leaf.off+leaf.size-20] ^= 0x10
	setTreeBytes(t, disk, tree)

	db = openOn(t, disk)
	var damage *engine.CorruptError
	readable := 0
	for i := range 100 {
		value, err := db.Get([]byte(keyOf("k", i)))
		switch {
		case err == nil && string(value) == valueOf("k", i, 60):
			readable++
		case err == nil:
			t.Errorf("key %d has the value %q", i, value)
		case !errors.As(err, &damage):
			t.Errorf("key %d: %v", i, err)
		}
	}
	if damage == nil || damage.Path != filepath.Join(dbDir, "btree.db") || damage.Offset != int64(leaf.off) || damage.Kind != "checksum" {
		t.Fatalf("the damage is %+v, want a checksum at %d", damage, leaf.off)
	}
	if readable < 80 || readable == 100 {
		t.Errorf("%d of 100 keys are readable", readable)
	}
	if err := db.View(func(tx *engine.Tx) error {
		for range tx.Scan(nil, nil) {
		}
		return nil
	}); !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("a scan: %v", err)
	}
	mustPut(t, db, keyOf("k", 50), "new")
	wantValue(t, db, []byte(keyOf("k", 50)), []byte("new"))
	for range 2 {
		if _, err := db.Checkpoint(context.Background()); !errors.Is(err, engine.ErrCorrupt) || errors.Is(err, engine.ErrFailed) {
			t.Errorf("checkpoint: %v", err)
		}
	}
	mustPut(t, db, keyOf("k", 99), "new")
	wantValue(t, db, []byte(keyOf("k", 99)), []byte("new"))
	_ = db.Close() // cannot checkpoint
	db = openOn(t, disk)
	wantValue(t, db, []byte(keyOf("k", 50)), []byte("new"))
	wantValue(t, db, []byte(keyOf("k", 99)), []byte("new"))
	_ = db.Close()
}

// F8: a leaf brings its neighbours into memory, but what is wrong with one of them
// costs only who asks for it: to tell it, all is read that its header tells of.
func TestF08_RotBesideALeaf(t *testing.T) {
	const claimed = 10 << 20
	disk := vfs.NewMem()
	db := openOn(t, disk)
	for _, e := range entriesOf("k", 400, 60) {
		mustPut(t, db, e.key, e.value)
	}
	for i := range 12 {
		mustPut(t, db, fmt.Sprint("z", i), string(make([]byte, 1<<20)))
	}
	closeDB(t, db)
	tree := treeBytes(t, disk)
	leaves := 0
	for _, e := range extents(tree) {
		if e.kind != leafKind || e.keyspace != 0 {
			continue
		}
		if leaves++; leaves == 9 {
			binary.LittleEndian.PutUint32(tree[e.off+28:], claimed)
		}
	}
	setTreeBytes(t, disk, tree)
	db, err := engine.Open(dbDir, &engine.Options{FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 20} { // the first leaf comes alone
		wantValue(t, db, []byte(keyOf("k", i)), []byte(valueOf("k", i, 60)))
	}
	if s := db.Stats(); s.CacheNodes < 8 || s.ReadBytes >= claimed {
		t.Errorf("%d bytes were read for %d nodes", s.ReadBytes, s.CacheNodes)
	}
	damaged := 0
	for i := range 400 {
		if _, err := db.Get([]byte(keyOf("k", i))); errors.Is(err, engine.ErrCorrupt) {
			damaged++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if damaged == 0 || damaged > 40 {
		t.Errorf("%d keys are damaged", damaged)
	}
	_ = db.Close()
}

const treeFile = dbDir + "/btree.db"

func treeBytes(t *testing.T, disk *vfs.Mem) []byte {
	t.Helper()
	tree, err := disk.ReadFile(treeFile)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func setTreeBytes(t *testing.T, disk *vfs.Mem, tree []byte) {
	t.Helper()
	if err := disk.WriteFile(treeFile, tree); err != nil {
		t.Fatal(err)
	}
}

// F9: damage in the log before what is known to be synced is never cut off:
// the open is refused and names the place, and nothing is changed.
func TestF09_RotInTheLog(t *testing.T) {
	sp := uncleanSpecimen(t)
	if err := xorByte(sp.disk, sp.lastLog, sp.lastOff-50, 1); err != nil {
		t.Fatal(err)
	}
	before := sp.disk.Clone()
	o := small(full)
	o.FS = sp.disk
	for _, readOnly := range []bool{false, true} {
		o.ReadOnly = readOnly
		_, err := engine.Open(dbDir, &o)
		var damage *engine.CorruptError
		if !errors.As(err, &damage) {
			t.Fatalf("open: %v", err)
		}
		if damage.Kind != "log" || damage.Path != sp.lastLog || damage.Offset <= 4096 || damage.Offset >= sp.lastOff {
			t.Errorf("the damage is %+v, want one in the log before %d", damage, sp.lastOff)
		}
		if err := sameFiles(before, sp.disk); err != nil {
			t.Error(err)
		}
	}
}

// F10: damage in the very last record of a log that was not closed cannot be
// told from a torn write: it may be dropped, and then that is reported. After a
// close it is always found.
func TestF10_RotInTheLastRecord(t *testing.T) {
	sp := uncleanSpecimen(t)
	if err := xorByte(sp.disk, sp.lastLog, sp.lastOff+60, 1); err != nil {
		t.Fatal(err)
	}
	db := openOn(t, sp.disk)
	n := len(sp.hist.commits) - 1
	k, err := sp.hist.find(db, n-1, n)
	if err != nil {
		t.Fatal(err)
	}
	if k == n-1 && db.OpenReport().TornBytes == 0 {
		t.Error("the last commit was dropped without a word")
	}
	closeDB(t, db)
}

// F11: an extent of another place, of another time or of another database,
// whole as it may be, is not taken for the one that should be there.
func TestF11_MisplacedExtents(t *testing.T) {
	disk := vfs.NewMem()
	s := &session{t: t, fs: disk, opts: small(full), hist: newHistory(), still: true}
	s.open()
	for range 12 { // until checkpoints use the same places again
		s.apply(entriesOf("k", 60, 60)...)
		s.put("large", valueOf("v", len(s.hist.commits), 2000))
		s.checkpoint()
	}
	s.close()
	old := treeBytes(t, disk)
	s.open()
	for i := range 6 {
		s.apply(entriesOf("k", 60, 50+i)...)
		s.put("large", valueOf("v", len(s.hist.commits), 2000))
		s.checkpoint()
	}
	s.close()
	tree := treeBytes(t, disk)
	sp := &specimen{disk: disk, hist: s.hist}

	foreign := vfs.NewMem()
	other := openOn(t, foreign)
	for _, e := range s.hist.last().keys("") {
		mustPut(t, other, e, s.hist.last().contents[""][e])
	}
	closeDB(t, other)
	theirs := treeBytes(t, foreign)

	kinds := map[string]int{}
	try := func(what string, at int, bytes []byte) {
		t.Helper()
		damaged := append([]byte(nil), tree...)
		copy(damaged[at:], bytes)
		copied := disk.Clone()
		setTreeBytes(t, copied, damaged)
		if err := sp.judge(copied, len(sp.hist.commits)-1); err != nil {
			t.Errorf("%s at %d: %v", what, at, err)
		}
		kinds[damageKind(copied)]++
	}
	all := extents(tree)
	for _, to := range all {
		for _, from := range all {
			if from != to && from.kind == to.kind && to.off+from.size <= len(tree) {
				try("misdirected", to.off, tree[from.off:from.off+from.size])
			}
		}
		if to.off+to.size <= len(old) {
			try("stale", to.off, old[to.off:to.off+to.size])
		}
		for _, from := range extents(theirs) {
			if from.kind == to.kind && to.off+from.size <= len(tree) {
				try("foreign", to.off, theirs[from.off:from.off+from.size])
			}
		}
	}
	for _, kind := range []string{"stale", "foreign"} {
		if kinds[kind] == 0 {
			t.Errorf("kinds of damage that were told: %v, want %s among them", kinds, kind)
		}
	}
}

// damageKind is the kind of the first damage that reading everything meets.
func damageKind(disk *vfs.Mem) string {
	o := small(full)
	o.FS = disk
	var damage *engine.CorruptError
	db, err := engine.Open(dbDir, &o)
	if err == nil {
		err = db.View(func(tx *engine.Tx) error {
			for range tx.Scan(nil, nil) {
			}
			return nil
		})
		_ = db.Close()
	}
	if errors.As(err, &damage) {
		return damage.Kind
	}
	return ""
}

// F12: a file that is shorter, longer, empty or has a hole is found out, or
// holds what it held.
func TestF12_Lengths(t *testing.T) {
	for _, sp := range []*specimen{settledSpecimen(t), uncleanSpecimen(t)} {
		for _, name := range sp.disk.Names() {
			data, err := sp.disk.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			try := func(what string, data []byte) {
				t.Helper()
				disk := sp.disk.Clone()
				if err := disk.WriteFile(name, data); err != nil {
					t.Fatal(err)
				}
				least := len(sp.hist.commits) - 1
				if sp.endIsGone(name, data) {
					least = 1
				}
				if err := sp.judge(disk, least); err != nil {
					t.Errorf("%s: %s %s: %v", sp.name, name, what, err)
				}
			}
			for n := 0; n < len(data); n += 256 {
				try(fmt.Sprintf("cut to %d of %d bytes", n, len(data)), data[:n])
				hole := bytes.Clone(data)
				clear(hole[n:min(n+512, len(hole))])
				try(fmt.Sprintf("with a hole at %d", n), hole)
			}
			for _, n := range []int{1, 511, 512, 4096, 8192} {
				try(fmt.Sprintf("with %d zeros more", n), append(bytes.Clone(data), make([]byte, n)...))
				try(fmt.Sprintf("with %d bytes more", n), append(bytes.Clone(data), bytes.Repeat([]byte{0xA5}, n)...))
			}
		}
	}
}

// endIsGone reports whether the last record of a log that was not closed is not
// whole in data. With it goes what would tell that those before it had been
// synced: what is damaged of them too looks like a torn end (F10).
func (sp *specimen) endIsGone(name string, data []byte) bool {
	if sp.lastLog == "" || !strings.HasSuffix(name, sp.lastLog) || int64(len(data)) < sp.lastEnd {
		return false
	}
	whole, err := sp.disk.ReadFile(name)
	return err == nil && !bytes.Equal(whole[sp.lastOff:sp.lastEnd], data[sp.lastOff:sp.lastEnd])
}

// F13: what is not ours is refused, and not one byte of it is changed.
func TestF13_ForeignFiles(t *testing.T) {
	newer := func(dir string) error {
		db, err := engine.Open(dir, nil)
		if err == nil {
			err = db.Close()
		}
		if err != nil {
			return err
		}
		path := filepath.Join(dir, "btree.db")
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, slot := range []int{0, 2048, 4096, 4096 + 2048} {
			if meta := b[slot : slot+512]; string(meta[:8]) == "LGTNGDB1" {
				binary.LittleEndian.PutUint32(meta[8:], 99)
				binary.LittleEndian.PutUint64(meta[504:], xxhash.Sum64(meta[:504]))
			}
		}
		return os.WriteFile(path, b, 0o600)
	}
	file := func(name string, data string) func(string) error {
		return func(dir string) error {
			return errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600))
		}
	}
	for name, c := range map[string]struct {
		build func(dir string) error
		want  error
	}{
		"a text file":            {func(dir string) error { return os.WriteFile(dir, []byte("text"), 0o600) }, engine.ErrFormat},
		"a directory of files":   {file("letter.txt", "Dear"), engine.ErrFormat},
		"an SQLite database":     {file("btree.db", "SQLite format 3\x00"+strings.Repeat("x", 20_000)), engine.ErrFormat},
		"a bbolt database":       {file("btree.db", strings.Repeat("\x00\x01\x02\x03", 8192)), engine.ErrFormat},
		"a short file":           {file("btree.db", "LGTNGDB1"), nil},
		"an empty file":          {file("btree.db", ""), nil},
		"a newer format":         {newer, engine.ErrVersion},
		"a directory in its way": {func(dir string) error { return os.MkdirAll(filepath.Join(dir, "btree.db"), 0o700) }, nil},
		"only a log":             {file("wal", "not a directory"), nil},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "db")
			if err := c.build(dir); err != nil {
				t.Fatal(err)
			}
			refused(t, dir, c.want)
		})
	}
}

// refused opens what is in dir, which must fail with want, and changes nothing
// but a lock.
func refused(t *testing.T, dir string, want error) {
	t.Helper()
	before := listing(t, dir)
	for _, o := range []engine.Options{{}, {ReadOnly: true}, {MustExist: true}} {
		db, err := engine.Open(dir, &o)
		if err == nil {
			_ = db.Close()
			t.Fatalf("%+v: opened", o)
		}
		if want != nil && !errors.Is(err, want) {
			t.Errorf("read-only %v: %v, want %v", o.ReadOnly, err, want)
		}
	}
	if after := listing(t, dir); after != before {
		t.Errorf("changed from\n%s\nto\n%s", before, after)
	}
}

// listing describes everything at and below dir but a lock.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() == "LOCK" {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "%s %v", path, info.Mode())
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, " %d bytes, %x", len(data), xxhash.Sum64(data))
		}
		out.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// F14: a log that is missing, of another database, or of another time is never
// taken for the one that belongs to the trees.
func TestF14_WrongLog(t *testing.T) {
	sp := uncleanSpecimen(t)
	last := len(sp.hist.commits) - 1
	logs := func(disk *vfs.Mem) (names []string) {
		for _, name := range disk.Names() {
			if strings.Contains(name, "/wal/") {
				names = append(names, name)
			}
		}
		return names
	}
	remove := func(disk *vfs.Mem, names ...string) {
		t.Helper()
		for _, name := range names {
			if err := disk.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	try := func(what string, change func(disk *vfs.Mem)) {
		t.Helper()
		disk := sp.disk.Clone()
		change(disk)
		if err := sp.judge(disk, last); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	copyLogs := func(to, from *vfs.Mem) {
		t.Helper()
		remove(to, logs(to)...)
		for _, name := range logs(from) {
			if err := to.CopyFile(name, from, name); err != nil {
				t.Fatal(err)
			}
		}
	}

	try("no files of the log", func(disk *vfs.Mem) { remove(disk, logs(disk)...) })
	try("no directory of the log", func(disk *vfs.Mem) { remove(disk, append(logs(disk), dbDir+"/wal")...) })
	for _, name := range logs(sp.disk) {
		try(name+" is missing", func(disk *vfs.Mem) {
			if strings.HasSuffix(name, sp.lastLog) {
				remove(disk, name)
			}
		})
	}
	other := uncleanSpecimen(t)
	try("the log of another database", func(disk *vfs.Mem) { copyLogs(disk, other.disk) })

	// The database goes on; then its log of before is put back.
	later := sp.disk.Clone()
	s := &session{t: t, fs: later, opts: small(full), hist: sp.hist.fork(), still: true}
	s.open()
	s.fill("more", 30, 700)
	s.checkpoint()
	s.put("latest", "1")
	s.close()
	mixed := later.Clone()
	copyLogs(mixed, sp.disk)
	now := &specimen{name: "later", disk: mixed, hist: s.hist}
	if err := now.judge(mixed, len(s.hist.commits)-1); err != nil {
		t.Errorf("an old log beside new trees: %v", err)
	}
	mixed = later.Clone()
	if err := mixed.CopyFile(treeFile, sp.disk, treeFile); err != nil {
		t.Fatal(err)
	}
	if err := now.judge(mixed, len(s.hist.commits)-1); err != nil {
		t.Errorf("old trees beside a new log: %v", err)
	}
}

// F15: a second writer is refused at once and told who the first is, by
// whatever way it comes to the directory; readers may come.
func TestF15_SecondWriter(t *testing.T) {
	root := t.TempDir()
	dir, link := filepath.Join(root, "db"), filepath.Join(root, "link")
	db := open(t, dir, engine.Options{Holder: "first"})
	mustPut(t, db, "k", "v")
	ways := []string{dir, dir + "/.", filepath.Join(root, "x", "..", "db")}
	if os.Symlink(dir, link) == nil {
		ways = append(ways, link+"/")
	}
	for _, way := range ways {
		_, err := engine.Open(way, nil)
		var locked *engine.LockedError
		if !errors.As(err, &locked) || !errors.Is(err, engine.ErrLocked) {
			t.Errorf("%s: %v", way, err)
			continue
		}
		if !strings.Contains(locked.Holder, fmt.Sprint("pid ", os.Getpid())) || !strings.Contains(locked.Holder, "first") {
			t.Errorf("%s: held by %q", way, locked.Holder)
		}
	}
	reader := open(t, dir, engine.Options{ReadOnly: true})
	wantValue(t, reader, []byte("k"), []byte("v"))
	closeDB(t, reader)
	mustPut(t, db, "k", "w")
	closeDB(t, db)
	db = open(t, dir, engine.Options{})
	wantValue(t, db, []byte("k"), []byte("w"))
	closeDB(t, db)
}

// A range that ends where a damaged leaf begins, or begins where it ends, does
// not need it.
func TestF08_RangeBesideADamagedLeaf(t *testing.T) {
	fs := vfs.NewMem()
	db := open(t, "db", engine.Options{FS: fs})
	for i := range 2000 {
		if err := db.Put(fmt.Appendf(nil, "%05d", i), make([]byte, 50)); err != nil {
			t.Fatal(err)
		}
	}
	closeDB(t, db)
	start, end, at := someLeaf(t, fs)
	b, err := fs.ReadFile("db/btree.db")
	if err != nil {
		t.Fatal(err)
	}
	clear(b[at:][:512])
	if err := fs.WriteFile("db/btree.db", b); err != nil {
		t.Fatal(err)
	}

	db = open(t, "db", engine.Options{FS: fs, ReadOnly: true})
	defer closeDB(t, db)
	s, err := db.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	first, behind := 0, 0 // keys before the leaf, and before its end
	for i := range 2000 {
		if key := fmt.Sprintf("%05d", i); key < string(start) {
			first++
		} else if key < string(end) {
			behind++
		}
	}
	behind += first
	count := func(entries iter.Seq2[[]byte, []byte]) int {
		n := 0
		for range entries {
			n++
		}
		return n
	}
	for what, have := range map[string][2]int{
		"before it":            {count(s.Scan(nil, start)), first},
		"before it, backwards": {count(s.ScanBackward(nil, start)), first},
		"behind it":            {count(s.Scan(end, nil)), 2000 - behind},
		"behind it, backwards": {count(s.ScanBackward(end, nil)), 2000 - behind},
	} {
		if have[0] != have[1] {
			t.Errorf("%s: %d keys, want %d", what, have[0], have[1])
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	if n := count(s.Scan(nil, end)); !errors.Is(s.Err(), engine.ErrCorrupt) {
		t.Errorf("a range with it: %d keys, %v", n, s.Err())
	}
}

// someLeaf returns the range of a leaf in the middle of the tree, and where it is.
func someLeaf(t *testing.T, fs vfs.FS) (start, end []byte, at uint64) {
	t.Helper()
	db, err := inspect.Open(fs, "db")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r := db.NewReader()
	catalog, err := r.Node(db.Meta.Catalog, inspect.CatalogKeyspace, inspect.AnyLevel)
	if err != nil {
		t.Fatal(err)
	}
	ks, err := inspect.DecodeKeyspace(catalog.AppendKey(nil, 0), catalog.Entry(0).Value)
	if err != nil {
		t.Fatal(err)
	}
	root, err := r.Node(ks.Root, 0, inspect.AnyLevel)
	if err != nil || root.Level != 1 {
		t.Fatal(root.Level, err)
	}
	i := root.Len() / 2
	return root.AppendSeparator(nil, i), root.AppendSeparator(nil, i+1), root.Child(i).Offset
}
