package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
	"github.com/lightning-db/lightning/internal/figure"
)

// backup makes a backup of db: a full one, or what follows since.
func backup(t testing.TB, db *engine.DB, since *engine.BackupInfo) ([]byte, engine.BackupInfo) {
	t.Helper()
	var b bytes.Buffer
	info, err := db.Backup(context.Background(), &b, &engine.BackupOptions{Since: since})
	if err != nil {
		t.Fatal(err)
	}
	checked, err := engine.VerifyBackup(context.Background(), bytes.NewReader(b.Bytes()))
	if err != nil || checked.Seq != info.Seq || checked.Commits != info.Commits || checked.Entries != info.Entries || checked.Bytes != int64(b.Len()) {
		t.Fatalf("%+v is read as %+v, %v", info, checked, err)
	}
	return b.Bytes(), info
}

// restoreChain restores the first of the backups and applies the others.
func restoreChain(disk vfs.FS, to uint64, backups ...[]byte) (engine.BackupInfo, error) {
	o := &engine.RestoreOptions{FS: disk, ToSeq: to}
	for _, b := range backups[1:] {
		o.Apply = append(o.Apply, bytes.NewReader(b))
	}
	return engine.Restore(context.Background(), bytes.NewReader(backups[0]), dbDir, o)
}

func keepLog(t testing.TB, disk vfs.FS, keep bool) {
	t.Helper()
	if err := engine.KeepLog(disk, dbDir, keep); err != nil {
		t.Fatal(err)
	}
}

// wantNothing fails when a restore that failed has left anything.
func wantNothing(t testing.TB, disk *vfs.Mem) {
	t.Helper()
	for _, dir := range []string{dbDir, dbDir + ".partial"} {
		if _, err := disk.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("left behind: %s (%v)", dir, err)
		}
	}
}

// chainOf is a database that was written to and closed, with a chain of backups: a
// full one, of the commit first, and incremental ones up to its end. The log went on
// through checkpoints, compaction, closing, keyspaces made and dropped, commits
// larger than a block.
func chainOf(t *testing.T) (disk *vfs.Mem, s *session, chain [][]byte, first int) {
	rng := rand.New(rand.NewPCG(uint64(*faultSeed), 6))
	disk = vfs.NewMem()
	s = &session{t: t, fs: disk, opts: small(engine.Options{MemtableBytes: 16 << 10}), hist: newHistory(), still: true}
	s.open()
	keepLog(t, disk, true)
	spaces := []string{""}
	random := func() edit {
		ks := spaces[rng.IntN(len(spaces))]
		i := rng.IntN(300)
		key := keyOf("k", i)
		switch rng.IntN(12) {
		case 0:
			return delRange(key, keyOf("k", i+1+rng.IntN(100))).in(ks)
		case 1, 2:
			return del(key).in(ks)
		}
		return put(key, valueOf(key, rng.IntN(1000), rng.IntN(400))).in(ks)
	}
	var last engine.BackupInfo
	for n := 0; n < 250; n++ {
		switch rng.IntN(20) {
		case 0:
			s.checkpoint()
		case 1:
			s.reopen()
		case 2:
			s.compact()
		case 3:
			name := keyOf("space", n)
			s.create(name, &engine.KeyspaceOptions{PageSize: 2048})
			spaces = append(spaces, name)
		case 4:
			if i := len(spaces) - 1; i > 1 {
				s.drop(spaces[i])
				spaces = spaces[:i]
			}
		case 5:
			s.apply(entriesOf("big", 3, 150<<10)...)
		}
		edits := []edit{random()}
		for rng.IntN(2) == 0 {
			edits = append(edits, random())
		}
		s.apply(edits...)
		if n == 30 {
			chain, first = nil, len(s.hist.commits)-1
			b, info := backup(t, s.db, nil)
			chain, last = append(chain, b), info
		}
		if n > 30 && n%37 == 0 {
			db := s.db
			if n%2 == 0 { // as another process does
				o := s.opts
				o.FS, o.ReadOnly = disk, true
				db = open(t, dbDir, o)
			}
			b, info := backup(t, db, &last)
			if head, err := engine.ReadBackupInfo(bytes.NewReader(b)); err != nil || head.Follows(&last) != nil || !head.Incremental || head.Seq != info.Seq {
				t.Fatalf("the head is read as %+v, %v", head, err)
			}
			chain, last = append(chain, b), info
			if db != s.db {
				closeDB(t, db)
			}
		}
	}
	b, _ := backup(t, s.db, &last)
	chain = append(chain, b)
	s.close()
	if s.lied != nil {
		t.Fatal(s.lied)
	}
	return disk, s, chain, first
}

// A full backup and the incremental ones behind it bring back every commit's
// moment, and no other.
func TestIncrement_ToEverySequenceNumber(t *testing.T) {
	_, s, chain, first := chainOf(t)
	restored := 0
	for k := first; k < len(s.hist.commits); k++ {
		if testing.Short() && k%4 != 0 {
			continue
		}
		target := vfs.NewMem()
		want := s.hist.commits[k].seq
		info, err := restoreChain(target, want, chain...)
		if err != nil || info.Seq != want {
			t.Fatalf("to %d: %+v, %v", want, info, err)
		}
		o := small(full)
		o.FS = target
		db := open(t, dbDir, o)
		if _, err := s.hist.find(db, k, k); err != nil {
			t.Fatalf("to %d: %v\nrepeat: %s", want, err, again(t))
		}
		closeDB(t, db)
		if k%20 == 0 {
			if err := checkDatabase(target, dbDir); err != nil {
				t.Fatal(err)
			}
		}
		restored++
		if inside := want - 1; k > first && s.hist.commits[k-1].seq < inside {
			target := vfs.NewMem()
			if _, err := restoreChain(target, inside, chain...); !errors.Is(err, engine.ErrChain) {
				t.Errorf("to %d, inside of a commit: %v", inside, err)
			}
			wantNothing(t, target)
		}
	}
	if restored < 200 && !testing.Short() {
		t.Errorf("restored to %d sequence numbers", restored)
	}
	end := s.hist.last().seq
	for _, to := range []uint64{s.hist.commits[first].seq - 1, end + 1, 1 << 62} {
		target := vfs.NewMem()
		if _, err := restoreChain(target, to, chain...); !errors.Is(err, engine.ErrChain) {
			t.Errorf("to %d, of %d to %d: %v", to, s.hist.commits[first].seq, end, err)
		}
		wantNothing(t, target)
	}
}

// An incremental backup costs what was written, wherever in the keys: of a database
// of which 1 % was changed at most 3 % of the bytes of a full one. At a scale of 100
// the database has 1 GB.
func TestIncrement_CostsWhatWasWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), dbDir)
	db := open(t, dir, engine.Options{Sync: engine.SyncOff})
	defer closeDB(t, db)
	rng := rand.New(rand.NewPCG(1, 2))
	value := make([]byte, 496) // which does not compress
	set := func(i int) {
		for at := 0; at < len(value); at += 8 {
			binary.LittleEndian.PutUint64(value[at:], rng.Uint64())
		}
		if err := db.Put(hotKey(i), value); err != nil {
			t.Fatal(err)
		}
	}
	n := figure.Times(20_000)
	for i := range n {
		set(i)
	}
	if err := engine.KeepLog(vfs.OS(), dir, true); err != nil {
		t.Fatal(err)
	}
	full, err := db.Backup(t.Context(), io.Discard, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range n / 100 {
		set(rng.IntN(n))
	}
	if _, err := db.Checkpoint(t.Context()); err != nil { // it is in the kept log only
		t.Fatal(err)
	}
	inc, err := db.Backup(t.Context(), io.Discard, &engine.BackupOptions{Since: &full})
	if err != nil || inc.Commits != uint64(n/100) {
		t.Fatalf("%+v, %v", inc, err)
	}
	t.Logf("%d bytes behind a full one of %d", inc.Bytes, full.Bytes)
	if inc.Bytes > full.Bytes*3/100 {
		t.Errorf("%d bytes behind a full one of %d", inc.Bytes, full.Bytes)
	}
}

// Backups that another process makes of a database that is written to, while
// segments of its log are filled, moved and made: each has all up to its moment.
func TestIncrement_BesideAWriter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), dbDir)
	o := small(engine.Options{Sync: engine.SyncNormal, MemtableBytes: 16 << 10})
	db := open(t, dir, o)
	if err := engine.KeepLog(vfs.OS(), dir, true); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	written := make(chan int)
	go func() {
		n := 0
		for ; !stop.Load(); n++ {
			if err := db.Put([]byte(keyOf("k", n)), []byte(valueOf("k", n, 100))); err != nil {
				t.Error(err)
				break
			}
		}
		written <- n
	}()
	var chain [][]byte
	var last engine.BackupInfo
	take := func() {
		reader := open(t, dir, engine.Options{ReadOnly: true})
		defer closeDB(t, reader)
		var since *engine.BackupInfo
		if chain != nil {
			since = &last
		}
		b, info := backup(t, reader, since)
		chain, last = append(chain, b), info
	}
	for range 20 {
		take()
	}
	stop.Store(true)
	n := <-written
	take()
	closeDB(t, db)
	disk := vfs.NewMem()
	if info, err := restoreChain(disk, 0, chain...); err != nil || info.Seq != uint64(n) {
		t.Fatalf("%d puts, restored %+v, %v", n, info, err)
	}
	db = openOn(t, disk)
	defer closeDB(t, db)
	for i := range n {
		wantValue(t, db, []byte(keyOf("k", i)), []byte(valueOf("k", i, 100)))
	}
}

// What was committed behind the moment of a backup is not in it, also where
// nothing was committed before.
func TestIncrement_OfAReaderBehind(t *testing.T) {
	disk := vfs.NewMem()
	db := openOn(t, disk)
	defer closeDB(t, db)
	keepLog(t, disk, true)
	reader := open(t, dbDir, engine.Options{FS: disk, ReadOnly: true})
	defer closeDB(t, reader)
	_, empty := backup(t, reader, nil)
	mustPut(t, db, "a", "1")
	if _, info := backup(t, reader, &empty); info.Commits != 0 || info.Seq != 0 {
		t.Errorf("of what the reader does not see: %+v", info)
	}
	if _, info := backup(t, db, &empty); info.Commits != 1 || info.Seq != 1 {
		t.Errorf("of what the writer sees: %+v", info)
	}
}

// links is a database that keeps its log, with a full backup and two incremental
// ones.
func links(t testing.TB) (disk *vfs.Mem, chain [][]byte, infos []engine.BackupInfo) {
	disk = vfs.NewMem()
	o := small(full)
	o.FS = disk
	db := open(t, dbDir, o)
	keepLog(t, disk, true)
	var since *engine.BackupInfo
	for _, key := range []string{"a", "b", "c"} {
		if err := applyEdits(db, []edit{put(key, "1"), put(key+key, "2")}); err != nil {
			t.Fatal(err)
		}
		b, info := backup(t, db, since)
		chain, infos = append(chain, b), append(infos, info)
		since = &infos[len(infos)-1]
	}
	closeDB(t, db)
	return disk, chain, infos
}

// What does not follow is refused, and nothing is made of it.
func TestIncrement_WrongChain(t *testing.T) {
	_, chain, _ := links(t)
	_, other, _ := links(t)
	for name, c := range map[string]struct {
		backups [][]byte
		says    string
	}{
		"missing":       {[][]byte{chain[0], chain[2]}, "one is missing, or they are out of order"},
		"swapped":       {[][]byte{chain[0], chain[2], chain[1]}, "out of order"},
		"twice":         {[][]byte{chain[0], chain[1], chain[1]}, "out of order"},
		"of another":    {[][]byte{chain[0], other[1]}, "of another database"},
		"full applied":  {[][]byte{chain[0], chain[0]}, "a full backup, and follows none"},
		"without full":  {[][]byte{chain[1], chain[2]}, "begin with a full one"},
		"a full in the": {[][]byte{chain[0], chain[1], other[0]}, "a full backup"},
	} {
		disk := vfs.NewMem()
		_, err := restoreChain(disk, 0, c.backups...)
		if !errors.Is(err, engine.ErrChain) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		wantNothing(t, disk)
	}
	disk := vfs.NewMem()
	if info, err := restoreChain(disk, 0, chain...); err != nil || info.Seq != 6 || info.Commits != 2 {
		t.Errorf("the right ones: %+v, %v", info, err)
	}
}

// A database that was put back to an older state, and went on from there, is not
// the one that the backup is of, though its sequence numbers are the same.
func TestIncrement_OtherHistory(t *testing.T) {
	disk, chain, infos := links(t)
	_, _, others := links(t)
	back := disk.Clone()
	db := openOn(t, disk)
	mustPut(t, db, "d", "1")
	_, ahead := backup(t, db, &infos[2])
	closeDB(t, db)

	db = openOn(t, back)
	for _, wrong := range []*engine.BackupInfo{&others[2], &ahead} {
		if _, err := db.Backup(context.Background(), io.Discard, &engine.BackupOptions{Since: wrong}); !errors.Is(err, engine.ErrChain) {
			t.Errorf("a backup since that of another, and one that is ahead: %v", err)
		}
	}
	mustPut(t, db, "d", "2")
	mustPut(t, db, "e", "2")
	_, err := db.Backup(context.Background(), io.Discard, &engine.BackupOptions{Since: &ahead})
	if !errors.Is(err, engine.ErrChain) || !strings.Contains(err.Error(), "put back to an older state") {
		t.Errorf("a backup since one with another commit at its end: %v", err)
	}
	// What they share can be followed.
	forked, _ := backup(t, db, &infos[2])
	closeDB(t, db)
	if _, err := restoreChain(vfs.NewMem(), 0, append(chain, forked)...); err != nil {
		t.Error(err)
	}
}

// Where the log does not reach back an incremental backup is refused: as no log
// is kept, as it was given up, and as more was written than is kept.
func TestIncrement_Gone(t *testing.T) {
	disk := vfs.NewMem()
	o := small(engine.Options{MemtableBytes: 16 << 10, MaxHeldBytes: 64 << 10})
	o.FS = disk
	db := open(t, dbDir, o)
	mustPut(t, db, "a", "1")
	_, since := backup(t, db, nil)
	reopen := func() {
		t.Helper()
		mustPut(t, db, "b", "1")
		closeDB(t, db)
		db = open(t, dbDir, o)
	}
	refused := func(why string, want bool) {
		t.Helper()
		_, err := db.Backup(context.Background(), io.Discard, &engine.BackupOptions{Since: &since})
		if want != errors.Is(err, engine.ErrGone) || !want && err != nil {
			t.Errorf("%s: %v", why, err)
		}
	}
	refused("all is in the log still", false)
	for i := range 100 {
		mustPut(t, db, keyOf("k", i), valueOf("k", i, 400))
	}
	reopen()
	refused("nothing is kept", true)
	closeDB(t, db)
	db = open(t, dbDir, o)
	refused("the log is empty", true)

	keepLog(t, disk, true)
	_, since = backup(t, db, nil)
	for range 3 {
		reopen()
	}
	for i := range 60 {
		mustPut(t, db, keyOf("k", i), valueOf("k", i, 400))
	}
	reopen()
	refused("it is kept", false)
	for i := range 1000 {
		mustPut(t, db, keyOf("k", i), valueOf("k", i, 400))
	}
	reopen()
	refused("more was written than is kept", true)
	kept := int64(0)
	for _, name := range disk.Names() {
		if info, err := disk.Stat(name); err == nil && strings.Contains(name, "kept") {
			kept += info.Size
		}
	}
	if kept == 0 || kept > 64<<10 {
		t.Errorf("%d bytes are kept", kept)
	}

	_, since = backup(t, db, nil)
	keepLog(t, disk, false)
	if _, err := disk.Stat(dbDir + "/kept"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was kept: %v", err)
	}
	for i := range 100 {
		mustPut(t, db, keyOf("k", i), valueOf("k", i, 400))
	}
	reopen()
	refused("it is no longer kept", true)
	closeDB(t, db)
	if err := engine.KeepLog(disk, "nothing", true); !errors.Is(err, engine.ErrNotExist) {
		t.Errorf("of no database: %v", err)
	}
}

// What is kept counts for what was logged, not for the segments that were made
// for more: each Close leaves one that is hardly begun.
func TestIncrement_KeptIsWhatWasLogged(t *testing.T) {
	disk := vfs.NewMem()
	o := engine.Options{FS: disk, SegmentBytes: 256 << 10, MaxHeldBytes: 3 << 20}
	db := open(t, dbDir, o)
	keepLog(t, disk, true)
	mustPut(t, db, "a", "1")
	full, since := backup(t, db, nil)
	for i := range 50 { // of 40,000 bytes each
		for range 40 {
			mustPut(t, db, keyOf("k", i), valueOf("k", i, 1000))
		}
		closeDB(t, db)
		db = open(t, dbDir, o)
	}
	inc, _ := backup(t, db, &since)
	closeDB(t, db)
	if info, err := restoreChain(vfs.NewMem(), 0, full, inc); err != nil || info.Commits != 2000 {
		t.Errorf("%+v, %v", info, err)
	}
}

// A database that is put back to an older state, but for what is kept of its log,
// goes on with segments of numbers that are there: what is kept under them has
// commits that it never made.
func TestIncrement_StaleKept(t *testing.T) {
	for _, more := range []int{0, 1, 100, 250} {
		disk := vfs.NewMem()
		o := small(engine.Options{MemtableBytes: 16 << 10})
		o.FS = disk
		fill := func(db *engine.DB, value string, n int) {
			for i := range n {
				mustPut(t, db, keyOf("k", i), valueOf(value, i, 400))
			}
		}
		db := open(t, dbDir, o)
		keepLog(t, disk, true)
		fill(db, "before", 200)
		closeDB(t, db)
		older := disk.Clone()
		db = open(t, dbDir, o)
		fill(db, "lost", 300)
		closeDB(t, db)
		for _, name := range filesOf(t, disk, dbDir+"/kept") {
			if err := older.CopyFile(name, disk, name); err != nil {
				t.Fatal(err)
			}
		}

		o.FS = older
		db = open(t, dbDir, o)
		mustPut(t, db, "x", "1")
		full, since := backup(t, db, nil)
		fill(db, "after", more)
		for i := range more / 10 { // larger ones, and each Close skips a number
			closeDB(t, db)
			db = open(t, dbDir, o)
			mustPut(t, db, keyOf("z", i), valueOf("z", i, 20<<10))
		}
		mustPut(t, db, "y", "1")
		inc, _ := backup(t, db, &since)
		closeDB(t, db)
		o.FS = vfs.NewMem()
		if _, err := restoreChain(o.FS, 0, full, inc); err != nil {
			t.Fatal(err)
		}
		db = open(t, dbDir, o)
		for i := range more {
			wantValue(t, db, []byte(keyOf("k", i)), []byte(valueOf("after", i, 400)))
		}
		wantValue(t, db, []byte("y"), []byte("1"))
		closeDB(t, db)
	}
}

// Each byte of an incremental backup counts: with any one changed, and at any
// shorter length, it is told of, and nothing is restored.
func TestIncrement_FlipEveryByte(t *testing.T) {
	_, chain, _ := links(t)
	inc := chain[1]
	for i := range inc {
		for bit := range 8 {
			b := bytes.Clone(inc)
			b[i] ^= 1 << bit
			if _, err := engine.VerifyBackup(context.Background(), bytes.NewReader(b)); !isDamage(err) {
				t.Errorf("bit %d of byte %d: %v", bit, i, err)
			}
		}
		b := bytes.Clone(inc)
		b[i] ^= 0xFF
		for _, b := range [][]byte{b, inc[:i], append(bytes.Clone(inc), inc[:i+1]...)} {
			disk := vfs.NewMem()
			if _, err := restoreChain(disk, 0, chain[0], b); !isDamage(err) {
				t.Errorf("byte %d: %v", i, err)
			}
			wantNothing(t, disk)
		}
	}
}

// An incremental backup that was made up, with checksums that fit.
func TestIncrement_Hostile(t *testing.T) {
	_, chain, _ := links(t)
	inc := chain[1]
	head := bytes.Clone(inc[:64+16+16+8])
	set := func(kind byte, ks byte, rest ...byte) []byte { return append([]byte{kind, ks}, rest...) }
	commit := func(count byte, payload ...[]byte) []byte {
		p := bytes.Join(payload, nil)
		return append([]byte{count, byte(len(p))}, p...)
	}
	put := set(1, 0, 1, 'k', 1, 'v')
	for name, c := range map[string]struct {
		commits []byte
		n       uint64
	}{
		"no operation":            {commit(0), 1},
		"more operations":         {commit(3, put, put, put), 1},
		"fewer operations":        {commit(1, put), 1},
		"a count that lies":       {commit(2, put), 1},
		"bytes behind":            {commit(2, put, put, []byte{0}), 1},
		"a kind that is none":     {commit(2, put, set(9, 0)), 1},
		"no such keyspace":        {commit(2, put, set(1, 7, 1, 'k', 0)), 1},
		"the catalog":             {commit(2, put, []byte{1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0, 0}), 1},
		"default dropped":         {append(commit(1, put), commit(1, set(5, 0))...), 2},
		"two made at once":        {commit(2, set(4, 1, 0, 0x80, 0x20, 1, 'a'), set(4, 1, 0, 0x80, 0x20, 1, 'a')), 1},
		"one name twice":          {append(commit(1, set(4, 1, 0, 0x80, 0x20, 1, 'a')), commit(1, set(4, 2, 0, 0x80, 0x20, 1, 'a'))...), 2},
		"the name of the default": {append(commit(1, set(4, 1, 0, 0x80, 0x20, 0)), commit(1, put)...), 2},
		"the wrong end":           {commit(2, put, put), 2},
		"cut":                     {commit(2, put, put)[:9], 1},
		"size beyond all":         {[]byte{2, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1}, 1},
		"size that never comes":   {[]byte{2, 0x80, 0x80, 0x80, 0x80, 0x0B}, 1},
	} {
		s := &stream{sum: binary.LittleEndian.Uint64(head[56:])}
		s.Write(head[:64])
		s.block(4, head[80:96])
		s.block(5, c.commits)
		s.finish(c.n, uint64(len(c.commits)))
		disk := vfs.NewMem()
		if _, err := restoreChain(disk, 0, chain[0], s.Bytes()); !errors.Is(err, engine.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		wantNothing(t, disk)
	}
}

// A commit whose size only packed blocks make up is refused before it is in memory;
// one that is as large, and that a database made, is restored.
func TestIncrement_LargeCommit(t *testing.T) {
	_, chain, _ := links(t)
	head := chain[1][:64+16+16+8]
	s := &stream{sum: binary.LittleEndian.Uint64(head[56:])}
	s.Write(head[:64])
	s.block(4, head[80:96])
	zeros := make([]byte, 4<<20)
	packed := compress.Encode(compress.Zstd, nil, zeros)
	s.block(5, append([]byte{1}, binary.AppendUvarint(nil, 1<<30)...))
	for range 1 << 30 / len(zeros) {
		s.stored(5, compress.Zstd, len(zeros), packed)
	}
	if _, err := engine.VerifyBackup(context.Background(), bytes.NewReader(s.Bytes())); !errors.Is(err, engine.ErrCorrupt) || !strings.Contains(err.Error(), "impossible size") {
		t.Errorf("a commit of 1 GiB in %d bytes: %v", s.Len(), err)
	}

	disk := vfs.NewMem()
	db := openOn(t, disk)
	mustPut(t, db, "a", "1")
	full, since := backup(t, db, nil)
	b := db.NewBatch()
	for i := range 3 {
		if err := b.Put([]byte{byte(i)}, zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Apply(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	inc, _ := backup(t, db, &since)
	closeDB(t, db)
	if _, err := restoreChain(vfs.NewMem(), 0, full, inc); err != nil {
		t.Errorf("a commit of 12 MiB of zeros: %v", err)
	}
}

// F22 of an incremental backup, and of the log that is kept for it: a crash at any
// moment of a checkpoint, of closing and of opening leaves a database of which the
// next backup has all that came since the last one, or is refused.
func TestF22_KilledWhileTheLogIsKept(t *testing.T) {
	disk, chain, infos := links(t)
	o := small(full)
	made := 0
	killEach(t, disk, func(fsys vfs.FS) error {
		o := o
		o.FS = fsys
		var err error
		for range 2 {
			db, e := engine.Open(dbDir, &o)
			if e != nil {
				return e
			}
			for i := range 12 {
				err = errors.Join(err, db.Put([]byte(keyOf("k", i)), []byte(valueOf("k", i, 400))))
			}
			_, e = db.Checkpoint(context.Background())
			err = errors.Join(err, e, db.Put([]byte("last"), nil), db.Close())
		}
		return err
	}, func(disk *vfs.Mem, _ bool) error {
		o := o
		o.FS = disk
		db, err := engine.Open(dbDir, &o)
		if err != nil {
			return err
		}
		var inc bytes.Buffer
		_, err = db.Backup(context.Background(), &inc, &engine.BackupOptions{Since: &infos[2]})
		want := contentOf(t, db)
		err = errors.Join(err, db.Close())
		if errors.Is(err, engine.ErrGone) { // a rename was lost
			return nil
		}
		if err != nil {
			return err
		}
		made++
		target := vfs.NewMem()
		if _, err := restoreChain(target, 0, append(chain, inc.Bytes())...); err != nil {
			return err
		}
		o.FS = target
		if db, err = engine.Open(dbDir, &o); err != nil {
			return err
		}
		if have := contentOf(t, db); have != want {
			t.Errorf("restored %s\nwant %s", have, want)
		}
		return errors.Join(db.Close(), checkDatabase(disk, dbDir))
	})
	if made == 0 {
		t.Error("no backup was made")
	}
}

// A restore that is stopped does not first merge what it then removes.
func TestRestore_StopsInApply(t *testing.T) {
	_, chain, _ := links(t)
	in := faultfs.Inject(vfs.NewMem())
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	written := 0
	stop := readerFunc(func([]byte) (int, error) {
		cancel()
		in.SetHook(func(op faultfs.Op) error {
			if op.Kind == faultfs.OpWrite && strings.HasSuffix(op.Name, "btree.db") {
				written++
			}
			return nil
		})
		return 0, io.EOF
	})
	o := &engine.RestoreOptions{FS: in, Apply: []io.Reader{bytes.NewReader(chain[1]), io.MultiReader(stop, bytes.NewReader(chain[2]))}}
	if _, err := engine.Restore(ctx, bytes.NewReader(chain[0]), dbDir, o); !errors.Is(err, context.Canceled) || written > 0 {
		t.Errorf("%v, %d writes to btree.db", err, written)
	}
}

// A backup, or a restore, that is stopped while it looks for where the log begins
// looks at no more of it.
func TestIncrement_StopsInTheLog(t *testing.T) {
	in := faultfs.Inject(vfs.NewMem())
	o := small(engine.Options{FS: in})
	db := open(t, dbDir, o)
	keepLog(t, in, true)
	mustPut(t, db, "first", "1")
	full, since := backup(t, db, nil)
	for i := range 8 { // a segment each
		mustPut(t, db, keyOf("k", i), valueOf("k", i, 10_000))
		closeDB(t, db)
		db = open(t, dbDir, o)
	}
	stopped := func(what string, run func(context.Context) error) {
		t.Helper()
		ctx, cancel := context.WithCancel(context.Background())
		opened := 0
		in.SetHook(func(op faultfs.Op) error {
			if op.Kind == faultfs.OpOpen && strings.Contains(op.Name, "/kept/") {
				if opened++; opened == 4 {
					cancel()
				}
			}
			return nil
		})
		if err := run(ctx); !errors.Is(err, context.Canceled) || opened != 4 {
			t.Errorf("%s: %v, %d opened", what, err, opened)
		}
		in.SetHook(nil)
	}
	stopped("backup", func(ctx context.Context) error {
		_, err := db.Backup(ctx, io.Discard, &engine.BackupOptions{Since: &since})
		return err
	})
	closeDB(t, db)
	stopped("restore", func(ctx context.Context) error {
		_, err := engine.Restore(ctx, bytes.NewReader(full), "new", &engine.RestoreOptions{FS: in, Log: dbDir})
		return err
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// F23 of a restore that applies incremental backups.
func TestF23_KilledInApply(t *testing.T) {
	_, chain, _ := links(t)
	restore := func(fsys vfs.FS) error {
		_, err := restoreChain(fsys, 0, chain...)
		return err
	}
	killEach(t, vfs.NewMem(), restore, func(disk *vfs.Mem, over bool) error {
		_, err := disk.Stat(dbDir)
		if over && err != nil {
			return err
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = restore(disk)
		}
		if err != nil {
			return err
		}
		o := small(full)
		o.FS, o.MustExist = disk, true
		db, err := engine.Open(dbDir, &o)
		if err != nil {
			return err
		}
		for _, key := range []string{"a", "aa", "b", "bb", "c", "cc"} {
			if ok, err := db.Has([]byte(key)); !ok || err != nil {
				t.Errorf("%s: %v, %v", key, ok, err)
			}
		}
		return errors.Join(db.Close(), checkDatabase(disk, dbDir))
	})
}
