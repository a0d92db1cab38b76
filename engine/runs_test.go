package engine_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
	"github.com/lightning-db/lightning/verify"
)

// runSession calls what with a database on a disk of its own. Time passes only
// while what sleeps, so nothing is merged behind its back.
func runSession(t *testing.T, o engine.Options, what func(s *session, disk *vfs.Mem)) {
	t.Helper()
	warmUp()
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem()
		s := &session{t: t, fs: disk, opts: small(o), hist: newHistory()}
		defer func() {
			if s.db != nil {
				_ = s.db.Close()
			}
		}()
		s.open()
		what(s, disk)
		s.close()
		if s.lied != nil {
			t.Error(s.lied)
		}
	})
}

// readAll compares all that the database shows with its history, in every way
// that there is to read it, and the files with their format.
func (s *session) readAll(disk *vfs.Mem) {
	s.t.Helper()
	s.read()
	if s.lied != nil {
		s.t.Fatal(s.lied)
	}
	for name := range s.hist.last().contents {
		if err := s.readIn(name); err != nil {
			s.t.Fatalf("with %d runs, keyspace %q: %v", s.db.Stats().Runs, name, err)
		}
	}
	if err := checkDatabase(disk.Clone(), dbDir); err != nil {
		s.t.Fatalf("with %d runs: %v", s.db.Stats().Runs, err)
	}
}

// readIn reads a keyspace in a transaction, as it is and then with writes of
// the transaction over it.
func (s *session) readIn(name string) error {
	now, used := s.hist.last(), s.hist.used[name]
	if len(used) < 10 {
		return nil
	}
	ks, err := s.db.Keyspace(name)
	if err != nil {
		return err
	}
	tx := begin(s.t, s.db, engine.Serializable)
	defer tx.Rollback()
	in := tx.In(ks)
	for _, key := range used {
		want, there := now.contents[name][key]
		has, err := in.Has([]byte(key))
		if err != nil || has != there {
			return fmt.Errorf("has %q: %v, %v; want %v", key, has, err, there)
		}
		values, err := in.MultiGet([]byte(key), []byte(key+"none"))
		if err != nil || (values[0] != nil) != there || string(values[0]) != want || values[1] != nil {
			return fmt.Errorf("multiget %q: %.40q, %v; want %.40q", key, values, err, want)
		}
	}
	if err := sameEntries(in, &now.moment, name, used[len(used)/2]); err != nil {
		return err
	}
	own := []edit{put(used[0], "own").in(name), del(used[5]).in(name), delRange(used[8], used[8]+"~").in(name)}
	for _, e := range own {
		if err := editTx(s.db, tx, e); err != nil {
			return err
		}
	}
	mine := moment{contents: now.contents.with(own)}
	if err := sameEntries(in, &mine, name, used[len(used)/2]); err != nil {
		return fmt.Errorf("with writes of its own: %w", err)
	}
	return nil
}

// sameEntries scans r both ways, and turns round at the key turn.
func sameEntries(r engine.Reader, want *moment, name, turn string) error {
	keys, i := want.keys(name), 0
	for key, value := range r.Scan(nil, nil) {
		if i == len(keys) || string(key) != keys[i] || string(value) != want.contents[name][keys[i]] {
			return fmt.Errorf("entry %d is %q", i, key)
		}
		i++
	}
	for key, value := range r.ScanBackward(nil, nil) {
		if i--; i < 0 || string(key) != keys[i] || string(value) != want.contents[name][keys[i]] {
			return fmt.Errorf("backward, entry %d is %q", i, key)
		}
	}
	if i != 0 {
		return fmt.Errorf("backward shows %d entries less", i)
	}
	it := r.NewIterator(engine.IterOptions{})
	at, _ := slices.BinarySearch(keys, turn)
	for n, ok := 0, it.SeekGE([]byte(turn)); n < 20; n++ {
		if ok != (at >= 0 && at < len(keys)) || ok && (string(it.Key()) != keys[at] || string(it.Value()) != want.contents[name][keys[at]]) {
			return fmt.Errorf("an iterator that turns round is at %q, %v", it.Key(), ok)
		}
		if !ok {
			break
		}
		if n%5 < 3 {
			ok, at = it.Next(), at+1
		} else {
			ok, at = it.Prev(), at-1
		}
	}
	return errors.Join(it.Close(), r.Err())
}

// Whatever part of the entries is in memtables, in runs, on its way from there,
// and in the tree, and however often the database was opened again meanwhile: it
// shows what was written, newest first.
func TestRuns_ShowWhatWasWritten(t *testing.T) {
	shapes := []engine.Options{
		{PageSize: 1 << 10},
		{PageSize: 1 << 10, Compression: engine.CompressionS2, CacheBytes: 1},
		{PageSize: 1 << 10, Compression: engine.CompressionZstd},
	}
	for _, o := range shapes {
		o.MemtableBytes = runOptions.MemtableBytes
		t.Run(o.Compression.String(), func(t *testing.T) {
			runSession(t, o, func(s *session, disk *vfs.Mem) {
				withRuns(0)(s)
				met, full := map[int]bool{}, false
				for round := range 80 {
					n := 12
					few := s.db.Stats().Runs >= gathered && !full // until there were as many as there may be
					switch {
					case few:
						n = 1
					case round%7 == 6:
						n = 60
					}
					edits := scattered(round, n)
					switch part := round % 5; {
					case few:
					case part == 0:
						edits = append(edits, put("large", valueOf("v", round, 1100)))
					case part == 1:
						edits = append(edits, del("large"), put("", "empty"))
					case part == 2:
						edits = append(edits, put("large", "small"), del(""))
					case part == 3:
						edits = append(edits, put(strings.Repeat("k0001", 100+round), ""), del(strings.Repeat("k0001", 95+round)))
					}
					s.apply(edits...)
					s.readAll(disk)
					s.checkpoint()
					if !few {
						s.apply(put(keyOf("k", round*7%spread), "over the runs"), del(keyOf("k", round*11%spread)))
						s.readAll(disk)
					}
					if round%6 == 5 && !few {
						s.reopen()
						s.readAll(disk)
					}
					s.wantRuns(0, manyRuns)
					full = full || met[manyRuns] && s.db.Stats().Runs < manyRuns
					met[s.db.Stats().Runs] = true
				}
				for _, n := range []int{1, 2, gathered, gathered + 1, manyRuns} {
					if !met[n] {
						t.Errorf("never had %d runs: %v", n, met)
					}
				}
				s.compact()
				s.wantRuns(0, 0)
				s.readAll(disk)
			})
		})
	}
}

// A snapshot shows what it showed when it was taken, while the runs that it
// reads are merged and their space is wanted.
func TestRuns_SnapshotsStay(t *testing.T) {
	o := runOptions
	o.CacheBytes = 1
	runSession(t, o, func(s *session, disk *vfs.Mem) {
		withRuns(0)(s)
		type held struct {
			*engine.Snapshot
			then *commit
		}
		var open []held
		for round := range 24 {
			s.addRuns(round, 1, 12+round%3*14)
			if round%3 == 0 {
				snapshot, err := s.db.Snapshot()
				s.check("snapshot", err)
				open = append(open, held{snapshot, s.hist.last()})
			}
			if round%10 == 9 {
				s.compact()
			}
			for i, h := range open {
				if err := compareScan(h.Snapshot, h.then.contents[""], h.then.keys(""), round%2 == 1); err != nil {
					t.Fatalf("round %d, snapshot %d: %v", round, i, err)
				}
			}
		}
		for _, h := range open {
			h.Close()
		}
		s.compact()
		s.readAll(disk)
	})
}

// Runs are merged when nothing is written for a while, and not before.
func TestRuns_AreMergedWhenLeftAlone(t *testing.T) {
	runSession(t, runOptions, func(s *session, disk *vfs.Mem) {
		withRuns(3)(s)
		s.wantRuns(3, 3)
		s.pass(10 * time.Second)
		s.wantRuns(0, 0)
		s.readAll(disk)
		gen := s.db.Stats().Generation
		s.pass(time.Hour)
		if now := s.db.Stats().Generation; now != gen {
			t.Errorf("%d checkpoints more of a database in which there is nothing to do", now-gen)
		}
		s.addRuns(3, 1, 12)
		s.wantRuns(1, 1)
		s.reopen()
		s.wantRuns(1, 1)
		s.pass(10 * time.Second)
		s.wantRuns(0, 0)
		s.readAll(disk)
	})
}

// A range delete that is checkpointed takes the runs with it into the tree, and
// hides in them what is older than it.
func TestRuns_RangeDeletes(t *testing.T) {
	for _, r := range []edit{
		delRange("k00010", "k00110"), delFrom(""), delFrom("k00050"), delRange("", "k00050"),
		delRange("a", "b"), delRange("k00050", "k00051"),
	} {
		runSession(t, runOptions, func(s *session, disk *vfs.Mem) {
			withRuns(3)(s)
			s.apply(put(keyOf("k", 50), "older"), r, put(keyOf("k", 51), "newer"))
			s.readAll(disk)
			s.checkpoint()
			s.readAll(disk)
			s.wantRuns(0, 0)
			s.addRuns(4, 1, 12)
			s.readAll(disk)
		})
	}
}

// With a keyspace go its runs: the file has no more in use than before.
func TestRuns_DropKeyspaceFreesThem(t *testing.T) {
	runSession(t, runOptions, func(s *session, disk *vfs.Mem) {
		s.put("a", "1")
		s.compact()
		before := s.db.Stats().UsedBytes
		s.create("users", &engine.KeyspaceOptions{PageSize: 1 << 10})
		in := func(edits ...edit) {
			for i := range edits {
				edits[i] = edits[i].in("users")
			}
			s.apply(edits...)
			s.checkpoint()
		}
		in(entriesOf("k", spread, 100)...)
		for round := range gathered + 1 { // some of it is merged into the tree
			in(append(scattered(round, 12), put("large", valueOf("v", round, 1100)))...)
		}
		s.wantRuns(2, gathered+2)
		s.readAll(disk)
		s.drop("users")
		s.checkpoint()
		s.wantRuns(0, 0)
		s.compact() // of the free list
		s.readAll(disk)
		if after := s.db.Stats().UsedBytes; after != before {
			t.Errorf("%d bytes in use, before %d", after, before)
		}
	})
}

// What cannot be told apart by its number of runs is told by its space: nothing
// is left behind when all has been merged.
func TestRuns_LeaveNothingBehind(t *testing.T) {
	runSession(t, runOptions, func(s *session, disk *vfs.Mem) {
		s.compact()
		before := s.db.Stats().UsedBytes
		withRuns(0)(s)
		for round := range 30 {
			s.addRuns(round, 1, 10+round)
			if round == 11 {
				s.reopen()
			}
		}
		s.apply(delFrom(""))
		s.checkpoint()
		s.compact()
		s.wantRuns(0, 0)
		if after := s.db.Stats().UsedBytes; after != before {
			t.Errorf("%d bytes in use of an empty database, before %d", after, before)
		}
	})
}

// A checkpoint that was cancelled, before or while it wrote a run or merged
// some, has changed nothing; the next one does it, which may be that of the
// database itself, at once.
func TestRuns_CancelledCheckpoint(t *testing.T) {
	o, made := runOptions, uint64(0) // generations
	o.Events = func(e engine.Event) {
		if ended, ok := e.(*engine.CheckpointEnded); ok && ended.Err == nil {
			made++
		}
	}
	runSession(t, o, func(s *session, disk *vfs.Mem) {
		withRuns(gathered + 1)(s)
		s.wantRuns(gathered+1, gathered+1)
		cancelled := 0
		for after := range 60 {
			s.apply(scattered(after, 12)...)
			before, madeBefore := s.db.Stats().Generation, made
			_, err := s.db.Checkpoint(&countedContext{Context: context.Background(), left: after})
			if errors.Is(err, context.Canceled) {
				cancelled++
			} else if err != nil {
				t.Fatalf("cancelled at the %d. look: %v", after, err)
			}
			s.settle()
			if now := s.db.Stats().Generation; now-before != made-madeBefore {
				t.Fatalf("cancelled at the %d. look: generation %d then %d, though %d checkpoints ended well", after, before, now, made-madeBefore)
			}
			s.readAll(disk)
		}
		if cancelled == 0 || cancelled == 60 {
			t.Errorf("%d of 60 checkpoints were cancelled", cancelled)
		}
		s.checkpoint()
		s.readAll(disk)
	})
}

// countedContext is cancelled from the time that it was looked at often enough.
type countedContext struct {
	context.Context
	left int
}

func (c *countedContext) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// A filter that cannot be read makes reads slower, and loses none. verify tells
// of it.
func TestRuns_DamagedFilter(t *testing.T) {
	runSession(t, runOptions, func(s *session, disk *vfs.Mem) {
		withRuns(3)(s)
		s.close()
		filters := filtersOf(t, disk)
		if len(filters) != 3 {
			t.Fatalf("%d filters, want 3", len(filters))
		}
		for i, ref := range filters {
			if err := xorByte(disk, "/"+treeFile, int64(ref.Offset)+48+int64(i), 0xFF); err != nil {
				t.Fatal(err)
			}
		}
		report, err := verify.Run(context.Background(), dbDir, verify.Options{FS: disk})
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range filters {
			if !slices.ContainsFunc(report.Findings, func(f verify.Finding) bool {
				return f.Invariant == "R2" && uint64(f.Offset) == ref.Offset && strings.Contains(f.Reason, "filter")
			}) {
				t.Errorf("verify does not tell of the filter at %d: %+v", ref.Offset, report.Findings)
			}
		}
		s.open()
		s.wantRuns(3, 3)
		s.read()
		s.apply(scattered(3, 12)...)
		s.checkpoint()
		s.wantRuns(4, 4)
		s.read()
		s.compact() // takes the damaged ones away
		s.readAll(disk)
	})
}

// filtersOf lists where the filters of all runs are.
func filtersOf(t *testing.T, disk *vfs.Mem) (filters []inspect.Ref) {
	t.Helper()
	db, err := inspect.Open(disk, dbDir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	n, err := db.NewReader().Node(db.Meta.Catalog, inspect.CatalogKeyspace, inspect.AnyLevel)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n.Len() {
		k, err := inspect.DecodeKeyspace(n.AppendKey(nil, i), n.Entry(i).Value)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range k.Runs {
			filters = append(filters, r.Filter)
		}
	}
	return filters
}

// A backup of a database with runs is one of what it shows.
func TestRuns_Backup(t *testing.T) {
	runSession(t, runOptions, func(s *session, _ *vfs.Mem) {
		withRuns(gathered + 1)(s)
		var stream strings.Builder
		_, err := s.db.Backup(context.Background(), &stream, nil)
		s.check("backup", err)
		restored := vfs.NewMem()
		_, err = engine.Restore(context.Background(), strings.NewReader(stream.String()), dbDir, &engine.RestoreOptions{FS: restored})
		s.check("restore", err)
		o := s.opts
		o.FS = restored
		db, err := engine.Open(dbDir, &o)
		s.check("open", err)
		if err := s.hist.last().compare(db, s.hist.used); err != nil {
			t.Error(err)
		}
		if n := db.Stats().Runs; n != 0 {
			t.Errorf("%d runs in what was restored", n)
		}
		s.check("close", db.Close())
		if err := checkDatabase(restored, dbDir); err != nil {
			t.Error(err)
		}
	})
}

// A transaction conflicts with what was written since it began, wherever a
// checkpoint has put that.
func TestRuns_Conflicts(t *testing.T) {
	runSession(t, runOptions, func(s *session, _ *vfs.Mem) {
		withRuns(2)(s)
		tx := begin(t, s.db, engine.Serializable)
		if _, err := tx.Get([]byte(keyOf("k", 25))); err != nil && !errors.Is(err, engine.ErrNotFound) {
			t.Fatal(err)
		}
		s.apply(append(scattered(3, 12), put(keyOf("k", 25), "since"))...)
		s.checkpoint()
		s.wantRuns(3, 3)
		if err := tx.Put([]byte("other"), nil); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(context.Background()); !errors.Is(err, engine.ErrConflict) {
			t.Errorf("commit: %v", err)
		}
	})
}

// The longest name and the most runs fit an entry of the catalog.
func TestRuns_MostOfAKeyspaceWithTheLongestName(t *testing.T) {
	runSession(t, runOptions, func(s *session, disk *vfs.Mem) {
		name := strings.Repeat("n", 255)
		s.create(name, &engine.KeyspaceOptions{PageSize: 1 << 10})
		in := func(edits []edit) {
			for i := range edits {
				edits[i] = edits[i].in(name)
			}
			s.apply(edits...)
			s.checkpoint()
		}
		in(entriesOf("k", spread, 100))
		for round := range manyRuns {
			n := 12
			if round >= gathered {
				n = 1
			}
			in(scattered(round, n))
		}
		s.wantRuns(manyRuns, manyRuns)
		s.reopen()
		s.wantRuns(manyRuns, manyRuns)
		s.readAll(disk)
	})
}

// The size that is told of the data is about right: it takes part in deciding
// whether runs are written.
func TestRuns_DataBytesStayNearTheTruth(t *testing.T) {
	runSession(t, engine.Options{MemtableBytes: 1 << 20}, func(s *session, _ *vfs.Mem) {
		s.apply(append(entriesOf("a", 1000, 10), entriesOf("b", 200, 400)...)...)
		s.checkpoint()
		s.apply(delRange("a", "b")) // unread
		s.checkpoint()
		var edits []edit
		for i := range 190 {
			edits = append(edits, del(keyOf("b", i)))
		}
		s.apply(edits...)
		s.checkpoint()
		if n := s.db.Stats().DataBytes; n > 1<<20 {
			t.Errorf("%d bytes of data told, there are %d", n, 10*406)
		}
	})
}

// Runs that cannot be merged, since one is damaged, are not tried again and
// again while the database is left alone.
func TestRuns_DamagedRunIsLeftAlone(t *testing.T) {
	runSession(t, runOptions, func(s *session, disk *vfs.Mem) {
		withRuns(2)(s)
		s.close()
		tree := treeBytes(t, disk)
		for _, e := range extents(tree) {
			if e.kind == leafKind && e.keyspace == 0 {
				tree[e.off+e.size-1] ^= 1
			}
		}
		setTreeBytes(t, disk, tree)
		var calls atomic.Int64 // of the file system, reads too
		in := faultfs.Inject(disk)
		in.SetHook(func(faultfs.Op) error { calls.Add(1); return nil })
		o := small(runOptions)
		o.FS = in
		db, err := engine.Open(dbDir, &o)
		s.check("open", err)
		defer db.Close()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		before := calls.Load()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := calls.Load() - before; n > 0 {
			t.Errorf("%d calls of the file system in an hour in which nothing was asked for", n)
		}
		if n := db.Stats().Runs; n != 2 {
			t.Errorf("%d runs, want the 2 that cannot be merged", n)
		}
	})
}

// A run that cannot be read is an error to whoever asks for what may be in it:
// what the tree has of the key is older.
func TestRuns_DamagedRunIsNotPassedOver(t *testing.T) {
	runSession(t, runOptions, func(s *session, disk *vfs.Mem) {
		withRuns(2)(s)
		s.close()
		tree := treeBytes(t, disk)
		generation := func(e extent) uint64 { return binary.LittleEndian.Uint64(tree[e.off+32:]) }
		first, damaged := uint64(math.MaxUint64), 0 // first: the tree's
		leaves := slices.DeleteFunc(extents(tree), func(e extent) bool { return e.kind != leafKind || e.keyspace != 0 })
		for _, e := range leaves {
			first = min(first, generation(e))
		}
		for _, e := range leaves {
			if generation(e) > first {
				tree[e.off+e.size-1] ^= 1
				damaged++
			}
		}
		if damaged == 0 || damaged == len(leaves) {
			t.Fatalf("%d of %d leaves are those of runs", damaged, len(leaves))
		}
		setTreeBytes(t, disk, tree)
		o := small(runOptions)
		o.FS = disk
		db, err := engine.Open(dbDir, &o)
		s.check("open", err)
		defer db.Close()
		now, failed := s.hist.last().contents[""], 0
		for _, key := range s.hist.used[""] {
			want, there := now[key]
			value, err := db.Get([]byte(key))
			has, hasErr := db.Has([]byte(key))
			switch {
			case errors.Is(err, engine.ErrCorrupt) && errors.Is(hasErr, engine.ErrCorrupt):
				failed++
			case there && (err != nil || string(value) != want || !has || hasErr != nil):
				t.Errorf("%q is %.20q, %v, and there: %v, %v; want %.20q", key, value, err, has, hasErr, want)
			case !there && (!errors.Is(err, engine.ErrNotFound) || has || hasErr != nil):
				t.Errorf("%q, which was deleted, is %.20q, %v, and there: %v, %v", key, value, err, has, hasErr)
			}
		}
		if failed == 0 {
			t.Error("no key is behind the damage")
		}
	})
}

// Left alone, a database gives back what it has no use for, without Compact,
// and what a snapshot shows stays.
func TestQuiet_GivesFreeSpaceBack(t *testing.T) {
	db := openMem(t, engine.Options{Sync: engine.SyncOff})
	value := make([]byte, 1000)
	ctx := context.Background()
	for i := range 40_000 {
		if err := db.Put(fmt.Appendf(nil, "%08d", i), value); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	snapshot, err := db.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := db.DeleteRange([]byte("00001000"), nil); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := db.Checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if have := db.Stats().FileBytes; have < 40_000_000 {
		t.Fatalf("%d bytes although a snapshot reads them", have)
	}
	n := 0
	for range snapshot.Scan(nil, nil) {
		n++
	}
	if n != 40_000 || snapshot.Err() != nil {
		t.Fatalf("the snapshot has %d keys, %v", n, snapshot.Err())
	}
	snapshot.Close()
	// One more generation, since with the last one nothing could be done.
	if err := db.Put([]byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); db.Stats().FileBytes > 3_000_000; {
		if time.Now().After(deadline) {
			t.Fatalf("still %+v", db.Stats())
		}
		time.Sleep(20 * time.Millisecond)
	}
	closeDB(t, db)
}
