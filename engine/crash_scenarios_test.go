package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// scenario is a short life of a database, which the tests of crashes and of
// input/output errors break off or disturb at every operation.
type scenario struct {
	name  string
	opts  engine.Options
	setup func(*session) // what is durable before it begins; nil: nothing
	// unclean leaves the setup's database as kill -9 does; otherwise it is
	// closed.
	unclean bool
	disk    func(*testing.T) *vfs.Mem // instead of setup: a disk without a database
	play    func(*session)
	// crashOnly keeps it from the tests of input/output errors, whose rules
	// need to know the order of commits while they fail.
	crashOnly bool
}

// small are options under which little data already makes segments change,
// trees grow and caches overflow.
func small(o engine.Options) engine.Options {
	o.SegmentBytes = max(o.SegmentBytes, 8<<10)
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 10
	}
	if o.PageSize == 0 {
		o.PageSize = 1 << 10
	}
	return o
}

var (
	full   = engine.Options{}
	normal = engine.Options{Sync: engine.SyncNormal}
	off    = engine.Options{Sync: engine.SyncOff}
)

// filled is a setup: n entries in the tree, as one commit.
func filled(n, size int) func(*session) {
	return func(s *session) { s.apply(entriesOf("k", n, size)...) }
}

var scenarios = append([]scenario{
	{name: "create", play: func(s *session) { s.open(); s.close() }},
	{name: "create and write", play: func(s *session) { s.open(); s.put("a", "1"); s.put("b", "2") }},
	{name: "create over a crashed create", disk: crashedCreate, play: func(s *session) { s.open(); s.put("a", "1") }},
	{name: "one commit", setup: filled(3, 20), play: func(s *session) { s.open(); s.put("k00001", "new") }},
	{name: "same key again and again", setup: filled(3, 20), play: func(s *session) {
		s.open()
		for i := range 8 {
			s.put("k00001", fmt.Sprint("value ", i))
		}
	}},
	{name: "one batch", setup: filled(3, 20), play: func(s *session) {
		s.open()
		s.apply(append(entriesOf("b", 20, 30), del("k00001"), put("k00000", "x"))...)
	}},
	{name: "large transaction", setup: filled(10, 20), play: func(s *session) {
		s.open()
		edits := append(entriesOf("t", 400, 25), delRange("k00002", "k00005"))
		s.update(edits)
		s.update([]edit{del("t00007"), put("t00399", "")})
	}},
	{name: "empty key and value", setup: filled(3, 20), play: func(s *session) {
		s.open()
		s.put("", "the empty key")
		s.put("empty", "")
		s.checkpoint()
		s.apply(del(""), put("k00001", ""))
		s.put("", "")
		s.close()
	}},
	{name: "overflow values", setup: filled(4, 20), play: func(s *session) {
		s.open()
		s.put("large", valueOf("v", 1, 6000))
		s.put("larger", valueOf("v", 2, 9000))
		s.checkpoint()
		s.put("large", valueOf("v", 3, 5000))
		s.put("larger", "small now")
		s.checkpoint()
		s.close()
	}},
	{name: "splits", setup: filled(40, 60), play: func(s *session) {
		s.open()
		s.apply(entriesOf("a", 60, 70)...)
		s.checkpoint()
		s.apply(entriesOf("k0001x", 60, 70)...)
		s.checkpoint()
		s.put("z", "1")
	}},
	{name: "joins", setup: filled(150, 60), play: func(s *session) {
		s.open()
		var edits []edit
		for i := range 150 {
			if i%8 != 0 {
				edits = append(edits, del(keyOf("k", i)))
			}
		}
		s.apply(edits...)
		s.checkpoint()
		s.put("k00000", "1")
		s.close()
	}},
	{name: "delete all", setup: filled(60, 60), play: func(s *session) {
		s.open()
		var edits []edit
		for i := range 60 {
			edits = append(edits, del(keyOf("k", i)))
		}
		s.apply(edits...)
		s.checkpoint()
		s.put("k00001", "again")
		s.checkpoint()
	}},
	{name: "range deletes", setup: filled(100, 60), play: func(s *session) {
		s.open()
		s.apply(delRange("k00010", "k00090"))
		s.put("k00050", "back")
		s.checkpoint()
		s.apply(put("k00011", "x"), delRange("k00000", "k00012"), put("k00005", "y"))
		s.apply(delFrom("k00095"))
		s.checkpoint()
		s.apply(delFrom(""))
		s.close()
	}},
	{name: "checkpoints", setup: filled(50, 40), play: func(s *session) {
		s.open()
		for i := range 4 {
			s.put(keyOf("k", i*11), fmt.Sprint("round ", i))
			s.put(keyOf("n", i), valueOf("n", i, 100))
			s.checkpoint()
		}
	}},
	{name: "checkpoint under load", setup: filled(80, 40), play: playCheckpointUnderLoad},
	{name: "checkpoints of themselves", opts: engine.Options{MemtableBytes: 3 << 10}, setup: filled(20, 40), play: func(s *session) {
		s.open()
		s.fill("m", 14, 500)
	}},
	{name: "checkpoints for the log's length", opts: engine.Options{MaxWALBytes: 10 << 10}, setup: filled(20, 40), play: func(s *session) {
		s.open()
		s.fill("m", 16, 700)
	}},
	{name: "segments", setup: filled(3, 20), play: func(s *session) {
		s.open()
		s.fill("r", 16, 700)
	}},
	{name: "segments used again", setup: filled(3, 20), play: func(s *session) {
		s.open()
		for i := range 3 {
			s.fill(fmt.Sprint("r", i), 7, 900)
			s.checkpoint()
		}
	}},
	{name: "records larger than a segment", setup: filled(3, 20), play: func(s *session) {
		s.open()
		s.put("a", valueOf("a", 1, 20_000))
		s.put("b", "small")
		s.put("c", valueOf("c", 1, 9_000))
		s.put("d", "small")
	}},
	{name: "keyspaces come and go", setup: filled(10, 20), play: func(s *session) {
		s.open()
		s.create("users", nil)
		s.apply(put("ada", "1").in("users"), put("bob", "2").in("users"))
		s.create("empty", &engine.KeyspaceOptions{PageSize: 2048, Compression: engine.CompressionS2})
		s.drop("users")
		s.create("users", nil)
		s.apply(put("eve", "3").in("users"))
		s.close()
	}},
	{name: "keyspace dropped from the tree", setup: func(s *session) {
		s.create("users", nil)
		var edits []edit
		for _, e := range entriesOf("u", 60, 60) {
			edits = append(edits, e.in("users"))
		}
		s.apply(edits...)
	}, play: func(s *session) {
		s.open()
		s.drop("users")
		s.put("a", "1")
		s.checkpoint()
		s.create("users", nil)
		s.apply(put("u00001", "again").in("users"))
		s.checkpoint()
	}},
	{name: "several keyspaces in one commit", setup: func(s *session) {
		s.create("one", nil)
		s.create("two", &engine.KeyspaceOptions{Compression: engine.CompressionZstd})
		s.put("a", "0")
	}, play: func(s *session) {
		s.open()
		for i := range 3 {
			s.update([]edit{put("a", fmt.Sprint(i)), put("b", fmt.Sprint(i)).in("one"), put("c", valueOf("c", i, 700)).in("two")})
		}
		s.checkpoint()
		s.apply(del("a"), delFrom("").in("one"), put("d", "1").in("two"))
	}},
	{name: "compact", setup: func(s *session) {
		s.apply(entriesOf("k", 160, 70)...)
		s.put("v", valueOf("v", 1, 8000))
		s.checkpoint()
		s.put("late", "1")
		s.checkpoint()
	}, play: func(s *session) {
		s.open()
		s.apply(delRange("k00010", "k00140"), put("a", "1"))
		s.compact()
		s.put("b", "2")
		s.compact()
	}},
	{name: "compact where only small places are free", setup: func(s *session) {
		s.fill("k", 40, 20_000)
		s.checkpoint()
		s.fill("l", 8, 60_000)
		s.checkpoint()
		for i := range 20 {
			s.apply(del(keyOf("k", 2*i)))
		}
		s.checkpoint()
	}, play: func(s *session) {
		s.open()
		s.compact()
		s.put("a", "1")
	}},
	{name: "backup", setup: filled(40, 40), play: func(s *session) {
		s.open()
		s.put("a", "1")
		s.step("backup", func() error {
			_, err := s.db.Backup(context.Background(), io.Discard, nil)
			return err
		})
		s.put("b", "2")
		s.checkpoint()
	}},
	{name: "restore", play: playRestore},
	{name: "close", setup: filled(10, 20), play: func(s *session) {
		s.open()
		s.apply(entriesOf("a", 10, 30)...)
		s.close()
	}},
	{name: "close of a log that has grown", opts: engine.Options{SegmentBytes: 32 << 10}, setup: filled(10, 20), play: func(s *session) {
		s.open()
		s.fill("a", 10, 1500)
		s.close()
		s.open()
		s.fill("b", 10, 1500)
		s.checkpoint()
		s.close()
		s.open()
		s.put("c", "1")
	}},
	{name: "compact of a log that has grown", opts: engine.Options{SegmentBytes: 32 << 10}, setup: filled(10, 20), play: func(s *session) {
		s.open()
		s.fill("a", 10, 1500)
		s.compact()
		s.put("b", "1")
		s.reopen()
		s.put("c", "1")
	}},
	{name: "the log is kept", opts: engine.Options{SegmentBytes: 32 << 10}, setup: filled(10, 20), play: func(s *session) {
		s.open()
		s.step("keep the log", func() error { return engine.KeepLog(s.fs, dbDir, true) })
		s.fill("a", 10, 1500)
		s.checkpoint()
		s.compact()
		s.put("b", "1")
		s.reopen()
		s.fill("c", 10, 1500)
		s.checkpoint()
		s.close()
		s.open()
		s.put("d", "1")
	}},
	{name: "clean reopen", setup: filled(10, 20), play: func(s *session) {
		for i := range 3 {
			s.open()
			s.put("a", fmt.Sprint(i))
			s.close()
		}
	}},
	{name: "reopen without a write", setup: filled(10, 20), play: func(s *session) {
		s.open()
		s.reopen()
		s.close()
	}},
	{name: "recovery", unclean: true, setup: setupUnclean, play: func(s *session) {
		s.open()
		s.put("after", "1")
		s.close()
	}},
	{name: "recovery of several segments", unclean: true, setup: func(s *session) {
		s.fill("k", 25, 900)
	}, play: func(s *session) {
		s.open()
		s.put("after", valueOf("a", 1, 6000))
		s.checkpoint()
	}},
	{name: "recovery of a full memtable", opts: engine.Options{MemtableBytes: 4 << 10}, unclean: true, setup: func(s *session) {
		s.apply(entriesOf("k", 40, 100)...)
	}, play: func(s *session) {
		s.open()
		s.settle()
		s.fill("after", 4, 300)
	}},
	{name: "recovery without sync", opts: off, unclean: true, setup: setupUnclean, play: func(s *session) {
		s.open()
		s.put("after", "1")
		s.checkpoint()
		s.put("after that", "2")
	}},
	{name: "sync normal", opts: normal, setup: filled(10, 20), play: func(s *session) {
		s.open()
		for i := range 3 {
			s.fill(fmt.Sprint("n", i), 3, 100)
			s.pass(150 * time.Millisecond)
		}
		s.fill("last", 3, 100)
	}},
	{name: "sync normal over segments", opts: normal, setup: filled(10, 20), play: func(s *session) {
		s.open()
		for i := range 3 {
			s.fill(fmt.Sprint("n", i), 5, 800)
			s.pass(150 * time.Millisecond)
		}
		s.checkpoint()
		s.fill("last", 3, 100)
	}},
	{name: "sync off", opts: off, setup: filled(10, 20), play: func(s *session) {
		s.open()
		s.fill("a", 5, 100)
		s.sync()
		s.fill("b", 5, 100)
		s.checkpoint()
		s.fill("c", 5, 100)
		s.close()
	}},
	{name: "sync off over segments", opts: off, setup: filled(10, 20), play: func(s *session) {
		s.open()
		s.fill("a", 12, 800)
		s.checkpoint()
		s.fill("b", 12, 800)
		s.sync()
		s.fill("c", 5, 800)
	}},
	{name: "sync off, checkpoints of themselves", opts: engine.Options{Sync: engine.SyncOff, MemtableBytes: 3 << 10}, setup: filled(20, 40), play: func(s *session) {
		s.open()
		s.fill("m", 14, 500)
		s.close()
	}},
	{name: "sync when nothing waits for it", setup: filled(10, 20), play: func(s *session) {
		s.open()
		s.sync()
		s.put("a", "1")
		s.sync()
		s.checkpoint()
		s.checkpoint()
		s.sync()
	}},
	{name: "s2", opts: engine.Options{Compression: engine.CompressionS2, PageSize: 4 << 10}, setup: filled(10, 20), play: playCompressed},
	{name: "zstd", opts: engine.Options{Compression: engine.CompressionZstd, PageSize: 4 << 10}, setup: filled(10, 20), play: playCompressed},
	{name: "pages of 64 KiB", opts: engine.Options{PageSize: 64 << 10}, setup: filled(100, 300), play: playPages},
	{name: "keys near the limit", setup: filled(5, 20), play: func(s *session) {
		s.open()
		long := strings.Repeat("long/", 2000)
		s.apply(put(long+"a", "1"), put(long+"b", "2"), put(long, "0"))
		s.checkpoint()
		s.apply(del(long+"a"), put("k00001", "x"))
		s.checkpoint()
	}},
	{name: "reader in another process", setup: filled(30, 40), play: playWithReader},
	{name: "changes are held", setup: filled(10, 20), play: playChanges},
	{name: "snapshots held over checkpoints", opts: engine.Options{CacheBytes: 1}, setup: filled(60, 40), play: playSnapshots},
	{name: "group commit", setup: filled(5, 20), play: playGroup, crashOnly: true},
	{name: "groups of puts", setup: filled(5, 20), play: playPuts, crashOnly: true},
	{name: "conflicts", setup: filled(5, 20), play: playConflict},
}, runScenarios...)

func setupUnclean(s *session) {
	s.apply(entriesOf("k", 20, 40)...)
	s.checkpoint()
	s.fill("u", 5, 60)
	s.apply(del("k00003"), delRange("k00010", "k00013"), put("k00011", "back"))
}

func playCompressed(s *session) {
	s.open()
	var edits []edit
	for i := range 60 {
		edits = append(edits, put(keyOf("c", i), strings.Repeat(fmt.Sprint("text ", i), 20)))
	}
	s.apply(edits...)
	s.put("large", strings.Repeat("overflow ", 900))
	s.checkpoint()
	s.apply(edits[:10]...)
	s.apply(put(keyOf("c", 3), "short"), del("large"))
	s.checkpoint()
}

func playPages(s *session) {
	s.open()
	s.apply(entriesOf("p", 100, 400)...)
	s.put("large", valueOf("v", 1, 40_000))
	s.checkpoint()
	s.apply(delRange("p00010", "p00060"))
	s.close()
}

// crashedCreate is a disk where a crash left half of a new database.
func crashedCreate(t *testing.T) *vfs.Mem {
	sim := faultfs.NewSim()
	db, err := engine.Open(dbDir, &engine.Options{FS: sim, SegmentBytes: 8 << 10})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	renamed := slices.IndexFunc(sim.Trace(), func(op string) bool { return strings.HasPrefix(op, "rename db/btree.db.new") })
	return sim.Image(renamed, faultfs.None)
}

// update makes the edits in a transaction, which also reads.
func (s *session) update(edits []edit) {
	s.do(edits, func() error {
		return s.db.Update(context.Background(), func(tx *engine.Tx) error {
			for _, e := range edits {
				if err := editTx(s.db, tx, e); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func editTx(db *engine.DB, tx *engine.Tx, e edit) error {
	ks, err := db.Keyspace(e.keyspace)
	if err != nil {
		return err
	}
	in := tx.In(ks)
	switch e.kind {
	case engine.OpSet:
		if _, err := in.Get([]byte(e.key)); err != nil && !errors.Is(err, engine.ErrNotFound) {
			return err
		}
		return in.Put([]byte(e.key), []byte(e.value))
	case engine.OpDelete:
		return in.Delete([]byte(e.key))
	}
	return in.DeleteRange([]byte(e.key), []byte(e.value))
}

// playCheckpointUnderLoad commits while checkpoints run.
func playCheckpointUnderLoad(s *session) {
	s.open()
	for round := range 3 {
		if s.db == nil {
			return
		}
		var work sync.WaitGroup
		db := s.db
		work.Go(func() {
			_, err := db.Checkpoint(context.Background())
			s.check("checkpoint", err)
		})
		for i := range 3 {
			edits := []edit{put(keyOf("k", 20*round+i), fmt.Sprint("round ", round)), put(keyOf("n", 10*round+i), valueOf("n", i, 300))}
			begun := s.now0()
			err := applyEdits(db, edits)
			s.check("commit", err)
			s.outcome(edits, begun, err)
		}
		work.Wait()
		s.settle()
	}
}

// playRestore makes the database from a backup of another.
func playRestore(s *session) {
	source := &session{t: s.t, fs: vfs.NewMem(), opts: small(full), hist: newHistory()}
	source.open()
	source.apply(entriesOf("k", 60, 60)...)
	source.create("users", nil)
	source.apply(put("ada", "1").in("users"), put("large", valueOf("v", 1, 5000)).in("users"))
	var stream bytes.Buffer
	if _, err := source.db.Backup(context.Background(), &stream, nil); err != nil {
		s.t.Fatal(err)
	}
	source.close()

	begun := s.now0()
	_, err := engine.Restore(context.Background(), &stream, dbDir, &engine.RestoreOptions{FS: s.fs})
	s.check("restore", err)
	acked := s.now0()
	if err != nil {
		acked = never
	}
	restored := source.hist.last().moment
	s.hist.commits = append(s.hist.commits, &commit{restored, begun, acked})
	s.hist.used = source.hist.used
	if err != nil { // it is there, whole, or it is not
		s.unknown++
	}
	s.open()
	s.put("after", "1")
	s.close()
}

// playWithReader reads beside the writer, as another process does.
func playWithReader(s *session) {
	s.open()
	o := s.opts
	o.FS, o.ReadOnly = s.fs, true
	reader, err := engine.Open(dbDir, &o)
	s.check("open the reader", err)
	s.put("a", "1")
	s.checkpoint()
	if err == nil {
		s.check("refresh", reader.Refresh())
		s.fill("b", 6, 900)
		s.checkpoint()
		s.put("c", "1")
		s.checkpoint()
		s.check("refresh", reader.Refresh())
		s.check("close the reader", reader.Close())
	}
	s.put("d", "1")
	s.checkpoint()
}

// playChanges holds the log for a reader of changes.
func playChanges(s *session) {
	s.open()
	if s.db == nil {
		return
	}
	changes, err := s.db.Changes(s.hist.last().seq + 1)
	s.check("changes", err)
	for i := range 2 {
		s.fill(fmt.Sprint("c", i), 6, 900)
		s.checkpoint()
	}
	if err == nil {
		for {
			if _, err = changes.Next(); err != nil {
				break
			}
		}
		if err != io.EOF {
			s.check("next change", err)
		}
		s.check("close changes", changes.Close())
	}
	s.put("last", "1")
	s.checkpoint()
}

// playSnapshots keeps snapshots open over several checkpoints, and reads all of
// them after each.
func playSnapshots(s *session) {
	s.open()
	if s.db == nil {
		return
	}
	type held struct {
		*engine.Snapshot
		then *commit
	}
	var open []held
	for i := range 4 {
		snapshot, err := s.db.Snapshot()
		s.check("snapshot", err)
		if err == nil {
			open = append(open, held{snapshot, s.hist.commits[len(s.hist.commits)-1-s.unknown]})
		}
		s.apply(put(keyOf("k", i*7), fmt.Sprint("round ", i)), put(keyOf("k", 59), fmt.Sprint(i)), delRange(keyOf("k", 40+i), keyOf("k", 45+i)))
		s.checkpoint()
		for _, h := range open {
			err := compareScan(h.Snapshot, h.then.contents[""], h.then.keys(""), i%2 == 1)
			if errors.Is(err, errWrong) || errors.Is(err, engine.ErrCorrupt) {
				s.lie("snapshot: %w", err)
			} else {
				s.check("snapshot", err)
			}
		}
	}
	for _, h := range open {
		h.Close()
	}
	s.checkpoint()
}

// playGroup commits from several goroutines at once.
func playGroup(s *session) {
	s.open()
	if s.db == nil {
		return
	}
	var work sync.WaitGroup
	s.inAnyOrder(func(commit func(...edit)) {
		for w := range 4 {
			work.Go(func() {
				for i := range 3 {
					commit(put(keyOf(fmt.Sprint("w", w), i), valueOf("w", i, 200)), put(fmt.Sprint("writer ", w), fmt.Sprint(i)))
				}
			})
		}
		work.Wait()
	})
}

// playPuts puts and deletes from eight goroutines while a sync is under way, so
// that the next leader writes what all of them ask for.
func playPuts(s *session) {
	disk := &slowDisk{Injector: faultfs.Inject(s.fs)}
	s.fs = disk
	s.open()
	if s.db == nil {
		return
	}
	var work sync.WaitGroup
	s.inAnyOrder(func(commit func(...edit)) {
		for round := range 3 {
			disk.syncs.Store(0)
			disk.stopAtSync()
			work.Go(func() { commit(put(fmt.Sprint("first ", round), "1")) })
			s.settle()
			for w := range 8 {
				work.Go(func() {
					if w == 7 {
						commit(del(keyOf("k", round)))
					} else {
						commit(put(keyOf(fmt.Sprint("w", w), round), valueOf("w", round, 30*w)))
					}
				})
			}
			s.settle()
			close(disk.release)
			work.Wait()
		}
	})
}

// inAnyOrder lets play commit from several goroutines at once, with edits the
// first of which is of a key of its own; the log tells afterwards in which order.
func (s *session) inAnyOrder(play func(commit func(edits ...edit))) {
	var mu sync.Mutex
	outcomes := map[string]func(){}
	db, first := s.db, s.hist.last().seq+1
	changes, err := db.Changes(first)
	s.check("changes", err)
	play(func(edits ...edit) {
		begun := s.now0()
		err := applyEdits(db, edits)
		s.check("commit", err)
		acked := s.now0()
		if err != nil {
			acked = never
		}
		mu.Lock()
		outcomes[edits[0].key] = func() { s.hist.add(edits, begun, acked) }
		mu.Unlock()
	})
	s.settle()
	for {
		c, err := changes.Next()
		if err == io.EOF {
			break
		}
		s.check("next change", err)
		outcomes[string(c.Ops[0].Key)]()
	}
	s.check("close changes", changes.Close())
}

// playConflict commits what a conflict refused the first time.
func playConflict(s *session) {
	s.open()
	for i := range 3 {
		edits := []edit{put("total", fmt.Sprint(i)), del("gone")}
		tries := 0
		s.do(edits, func() error {
			return s.db.Update(context.Background(), func(tx *engine.Tx) error {
				for _, e := range edits {
					if err := editTx(s.db, tx, e); err != nil {
						return err
					}
				}
				if tries++; tries == 1 {
					s.put("total", "from outside")
				}
				return nil
			})
		})
	}
}
