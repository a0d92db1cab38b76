package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/internal/wal"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
	"github.com/lightning-db/lightning/verify"
)

type stream struct {
	bytes.Buffer
	sum uint64
}

func newStream(seq uint64) *stream {
	s := new(stream)
	b := make([]byte, 64)
	copy(b, "LGTNGBAK")
	binary.LittleEndian.PutUint32(b[8:], 1)
	binary.LittleEndian.PutUint32(b[12:], 64)
	binary.LittleEndian.PutUint64(b[32:], seq)
	s.sum = xxhash.Sum64(b[:56])
	binary.LittleEndian.PutUint64(b[56:], s.sum)
	s.Write(b)
	return s
}

func (s *stream) block(kind byte, body []byte) *stream {
	return s.stored(kind, compress.None, len(body), body)
}

// stored writes a block as it is stored, of so many bytes when it is unpacked.
func (s *stream) stored(kind byte, codec compress.Codec, plain int, body []byte) *stream {
	h := make([]byte, 16)
	h[0], h[1] = kind, byte(codec)
	binary.LittleEndian.PutUint32(h[8:], uint32(len(body)))
	binary.LittleEndian.PutUint32(h[12:], uint32(plain))
	d := xxhash.New()
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], s.sum)
	d.Write(b[:])
	d.Write(h)
	d.Write(body)
	s.sum = d.Sum64()
	s.Write(h)
	s.Write(body)
	s.Write(binary.LittleEndian.AppendUint64(nil, s.sum))
	return s
}

func (s *stream) space(id uint32, name string) *stream {
	b := binary.LittleEndian.AppendUint32(nil, id)
	b = binary.LittleEndian.AppendUint32(b, 4096)
	b = append(b, 0, 0, 0, 0)
	return s.block(1, append(b, name...))
}

func (s *stream) finish(entries, spaces uint64) *stream {
	b := binary.LittleEndian.AppendUint64(nil, entries)
	return s.block(3, binary.LittleEndian.AppendUint64(b, spaces))
}

func TestRestore_HugeSequenceNumber(t *testing.T) {
	for _, seq := range []uint64{1<<63 - 2, 1<<64 - 1, 1 << 62} {
		fs := vfs.NewMem()
		s := newStream(seq).space(0, "").finish(0, 1)
		if _, err := engine.Restore(context.Background(), s, "db", &engine.RestoreOptions{FS: fs}); err != nil {
			continue // refused: good
		}
		func() {
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("seq %d: Put panics after Restore: %v", seq, p)
				}
			}()
			db, err := engine.Open("db", &engine.Options{FS: fs})
			if err != nil {
				t.Errorf("seq %d: Restore made what Open refuses: %v", seq, err)
				return
			}
			db.Put([]byte("a"), []byte("1"))
			err = db.Update(context.Background(), func(tx *engine.Tx) error {
				tx.DeleteRange(nil, nil)
				for k := range tx.Scan(nil, nil) {
					return fmt.Errorf("%q shows after its own range delete", k)
				}
				return nil
			})
			if err != nil {
				t.Errorf("seq %d: %v", seq, err)
			}
		}()
	}
}

func TestRestore_LastKeyspaceID(t *testing.T) {
	fs := vfs.NewMem()
	s := newStream(1).space(0, "").space(0xFFFFFFFE, "last").finish(0, 2)
	if _, err := engine.Restore(context.Background(), s, "db", &engine.RestoreOptions{FS: fs}); err != nil {
		return
	}
	db, err := engine.Open("db", &engine.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	db.Put([]byte("k"), []byte("v"))
	for i := range 2 {
		ks, err := db.CreateKeyspace(fmt.Sprint("new", i), nil)
		if err != nil {
			t.Logf("refused: %v", err)
			if err := db.Put([]byte("k"), []byte("w")); err != nil {
				t.Errorf("Put after a refused CreateKeyspace: %v", err)
			}
			db.Close()
			if _, err := engine.Open("db", &engine.Options{FS: fs}); err != nil {
				t.Errorf("Open after a refused CreateKeyspace: %v", err)
			}
			return
		}
		list, _ := db.Keyspaces()
		t.Errorf("CreateKeyspace took id %v", list)
		if v, err := ks.Get([]byte("k")); err == nil {
			t.Errorf("the new keyspace shows the default one's k = %q", v)
		}
	}
}

func TestRestore_TwoKeyspacesOfOneName(t *testing.T) {
	fs := vfs.NewMem()
	s := newStream(1).space(0, "").space(1, "a").space(2, "a").finish(0, 3)
	if _, err := engine.Restore(context.Background(), s, "db", &engine.RestoreOptions{FS: fs}); err != nil {
		return
	}
	if _, err := engine.Open("db", &engine.Options{FS: fs}); err != nil {
		t.Errorf("Restore made what Open refuses: %v", err)
	}
}

func TestScan_OfAClosedSnapshotIsAnError(t *testing.T) {
	db, _ := engine.Open("db", &engine.Options{FS: vfs.NewMem()})
	defer db.Close()
	for i := range 10 {
		db.Put(fmt.Appendf(nil, "%d", i), nil)
	}
	s, _ := db.Snapshot()
	n := 0
	for range s.Scan(nil, nil) {
		if n++; n == 3 {
			s.Close()
		}
	}
	if err := s.Err(); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("a scan ended early after %d of 10 entries, Err = %v", n, err)
	}
	s, _ = db.Snapshot()
	s.Close()
	it := s.NewIterator(engine.IterOptions{})
	it.First()
	if err := it.Close(); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("Close of an iterator that failed with ErrClosed = %v; its doc: returns Err", err)
	}
}

func TestSnapshot_AfterTheDatabaseIsClosed(t *testing.T) {
	db, _ := engine.Open("db", &engine.Options{FS: vfs.NewMem(), CacheBytes: 1})
	db.Put([]byte("a"), []byte("1"))
	db.Checkpoint(context.Background())
	db.Put([]byte("b"), []byte("1"))
	s, _ := db.Snapshot()
	db.Close()
	for _, k := range []string{"a", "b"} {
		if v, err := s.Get([]byte(k)); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("Get(%s) = %q, %v", k, v, err)
		}
	}
}

func TestClose_SaysSoInTheMeta(t *testing.T) {
	fs := vfs.NewMem()
	open := func() *engine.DB {
		db, err := engine.Open("db", &engine.Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	db := open()
	db.Put([]byte("a"), nil)
	db.Close()
	db = open()
	db.Put([]byte("b"), nil)
	db.Checkpoint(context.Background())
	m, err := pager.ReadMeta(fs, "db/btree.db")
	if err != nil || m.LogEnd != 0 {
		t.Errorf("the log's end of an open database is %d, %v; FORMAT.md: 0 while it is open", m.LogEnd, err)
	}
	db.Close() // nothing to merge
	m, _ = pager.ReadMeta(fs, "db/btree.db")
	if m.LogEnd == 0 || m.LogEnd != m.LogStart {
		t.Errorf("the log's end of a closed database is %d, its start %d", m.LogEnd, m.LogStart)
	}
}

func TestChanges_FromZero(t *testing.T) {
	db, _ := engine.Open("db", &engine.Options{FS: vfs.NewMem()})
	defer db.Close()
	db.Put([]byte("a"), nil)
	c, err := db.Changes(0)
	if err != nil {
		t.Fatalf("Changes(0) of a log that reaches back to the first commit: %v", err)
	}
	c.Close()
}

// Who follows a database that somebody closes is told so, and not, for ever, that
// there is nothing yet.
func TestChanges_AfterTheDatabaseIsClosed(t *testing.T) {
	db, _ := engine.Open("db", &engine.Options{FS: vfs.NewMem()})
	db.Put([]byte("a"), nil)
	c, err := db.Changes(1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Next(); err != io.EOF {
		t.Fatalf("Next at the end = %v", err)
	}
	db.Close()
	if _, err := c.Next(); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("Next after Close = %v", err)
	}
}

func TestTx_ConflictsWithADroppedKeyspace(t *testing.T) {
	ctx := context.Background()
	db, _ := engine.Open("db", &engine.Options{FS: vfs.NewMem()})
	defer db.Close()
	ks, _ := db.CreateKeyspace("k", nil)
	ks.Put([]byte("a"), []byte("1"))
	t1, _ := db.Begin(engine.TxOptions{})
	if _, err := t1.In(ks).Get([]byte("a")); err != nil {
		t.Fatal(err)
	}
	if err := db.DropKeyspace("k"); err != nil {
		t.Fatal(err)
	}
	// t3 is after the drop, and before t1: it does not see b.
	err := db.Update(ctx, func(t3 *engine.Tx) error {
		if _, err := t3.Get([]byte("b")); !errors.Is(err, engine.ErrNotFound) {
			return err
		}
		return t3.Put([]byte("c"), nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	t1.Put([]byte("b"), nil) // so t1 is after t3, which is after the drop, which is after t1
	if err := t1.Commit(ctx); !errors.Is(err, engine.ErrConflict) {
		t.Errorf("Commit = %v: what it read from the keyspace has gone since", err)
	}
}

func TestDropKeyspace_ThatIsDamaged(t *testing.T) {
	ctx := context.Background()
	mem := vfs.NewMem()
	in := faultfs.Inject(mem)
	db, err := engine.Open("db", &engine.Options{FS: in, Sync: engine.SyncOff, CacheBytes: 1, MemtableBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	ks, _ := db.CreateKeyspace("bad", nil)
	for i := range 3000 {
		ks.Put(fmt.Appendf(nil, "%06d", i), make([]byte, 100))
	}
	db.Checkpoint(ctx)
	size := int64(db.Stats().FileBytes)
	f, _ := mem.Open("db/btree.db", vfs.ReadOnly)
	b := make([]byte, size)
	f.ReadAt(b, 0)
	var root int64 // the newest branch of keyspace 1 at the highest level
	var best uint64
	for off := int64(8192); off < size; off += 512 {
		if string(b[off+8:off+12]) == "LnEx" && b[off+12] == 2 && b[off+24] == 1 && b[off+27] == 0 {
			if rank := binary.LittleEndian.Uint64(b[off+32:])<<8 | uint64(b[off+14]); rank > best {
				best, root = rank, off
			}
		}
	}
	in.FlipOnRead("db/btree.db", (root+100)*8)
	if _, err := ks.Get([]byte("000001")); !errors.Is(err, engine.ErrCorrupt) {
		t.Fatalf("that was not the root: %v", err)
	}
	if err := db.DropKeyspace("bad"); err != nil {
		t.Fatal(err)
	}
	for i := range 3000 {
		if err := db.Put(fmt.Appendf(nil, "%06d", i), make([]byte, 100)); err != nil {
			t.Fatalf("Put %d of the healthy keyspace after the damaged one was dropped: %v", i, err)
		}
	}
}

// appendToLog appends a record to the log of the closed database in dbDir,
// sealed as the engine's are.
func appendToLog(t *testing.T, fs vfs.FS, ops ...wal.Op) {
	t.Helper()
	meta, err := pager.ReadMeta(fs, dbDir+"/btree.db")
	if err != nil {
		t.Fatal(err)
	}
	log, report, err := wal.Open(wal.Options{FS: fs, Dir: dbDir + "/wal", UUID: meta.UUID},
		wal.Start{LSN: wal.LSN(meta.LogStart), Segment: meta.LogSegment, Seq: meta.Seq, End: wal.LSN(meta.LogEnd)},
		func(wal.Record) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	var payload []byte
	for _, op := range ops {
		payload = wal.AppendOp(payload, op)
	}
	if _, err := log.Append(report.Seq+1, uint32(len(ops)), payload); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(true); err != nil {
		t.Fatal(err)
	}
}

// A log that names a keyspace which cannot be (W6), though its checksums hold,
// once made the next checkpoint panic, or what was written then unreadable.
func TestRecovery_KeyspaceThatCannotBe(t *testing.T) {
	create := func(id kv.Keyspace, name string, codec byte, pageSize uint32) []wal.Op {
		ops := []wal.Op{{Kind: kv.CreateKeyspace, Keyspace: id, Name: name, Codec: codec, PageSize: pageSize}}
		for i := range 300 {
			ops = append(ops, wal.Op{Kind: kv.Set, Keyspace: id, Key: fmt.Append(nil, i), Value: make([]byte, 1000)})
		}
		return ops
	}
	for what, c := range map[string]struct {
		ops  []wal.Op
		fits bool
	}{
		"one that can be":         {create(7, "x", 2, 4096), true},
		"one that is dropped":     {append(create(2, "x", 0, 4096), wal.Op{Kind: kv.DropKeyspace, Keyspace: 2}), true},
		"an unknown codec":        {create(7, "x", 9, 4096), false},
		"a page size of 0":        {create(7, "x", 0, 0), false},
		"a page size of 2^31":     {create(7, "x", 0, 1<<31), false},
		"a page size of 5000":     {create(7, "x", 0, 5000), false},
		"a control character":     {create(7, "a\nb", 0, 4096), false},
		"a name that is no text":  {create(7, "a\xff", 0, 4096), false},
		"a long name":             {create(7, strings.Repeat("n", 256), 0, 4096), false},
		"the default one's name":  {create(7, "", 0, 4096), false},
		"a name that is taken":    {create(7, "there", 0, 4096), false},
		"the default one's id":    {create(0, "x", 0, 4096), false},
		"an id that is taken":     {create(1, "x", 0, 4096), false},
		"drop of the default one": {[]wal.Op{{Kind: kv.DropKeyspace}}, false},
		"drop of none":            {[]wal.Op{{Kind: kv.DropKeyspace, Keyspace: 7}}, false},
		"write to none":           {[]wal.Op{{Kind: kv.Delete, Keyspace: 7}}, false},
		"delete range in none":    {[]wal.Op{{Kind: kv.DeleteRange, Keyspace: 7, EndUnbounded: true}}, false},
	} {
		fs := vfs.NewMem()
		open := func() (*engine.DB, error) { return engine.Open(dbDir, &engine.Options{FS: fs}) }
		db, err := open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.CreateKeyspace("there", nil); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		appendToLog(t, fs, c.ops...)
		report, err := verify.Run(context.Background(), dbDir, verify.Options{FS: fs})
		if err != nil || report.OK != c.fits || !c.fits && (len(report.Findings) != 1 || report.Findings[0].Invariant != "W6") {
			t.Errorf("%s: verify: %v, %+v", what, err, report.Findings)
		}
		db, err = open()
		if !c.fits {
			if !errors.Is(err, engine.ErrCorrupt) {
				t.Errorf("%s: %v, want ErrCorrupt", what, err)
			}
			continue
		}
		if err == nil {
			err = db.Close() // it checkpoints
		}
		if err == nil {
			err = checkDatabase(fs, dbDir)
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A backup stream names no files: whatever its keyspaces are called, a restore
// makes the files of a database in its directory and no others.
func TestRestore_NamesNoFiles(t *testing.T) {
	for _, name := range []string{"../../evil", "/etc/evil", "..", "wal/0000000000000001.log", "C:\\evil", "LOCK", strings.Repeat("x", 200)} {
		disk := vfs.NewMem()
		s := newStream(1).space(0, "").space(1, name).finish(0, 2)
		if _, err := engine.Restore(context.Background(), s, "dir/db", &engine.RestoreOptions{FS: disk}); err != nil && !errors.Is(err, engine.ErrCorrupt) {
			if err := disk.Mkdir("dir"); err != nil {
				t.Fatal(err)
			}
			s = newStream(1).space(0, "").space(1, name).finish(0, 2)
			if _, err := engine.Restore(context.Background(), s, "dir/db", &engine.RestoreOptions{FS: disk}); err != nil && !errors.Is(err, engine.ErrCorrupt) {
				t.Errorf("%q: %v", name, err)
			}
		}
		for _, file := range disk.Names() {
			switch rest := strings.TrimPrefix(file, "/dir/db/"); rest {
			case "btree.db", "wal/0000000000000001.log", "LOCK":
			default:
				t.Errorf("%q: made %s", name, file)
			}
		}
	}
}
