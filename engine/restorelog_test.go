package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// lostDir is where the database is from whose log the tests restore.
const lostDir = "lost"

// restoreLog restores the backups, and what the log in lostDir has behind them.
func restoreLog(disk vfs.FS, to uint64, backups ...[]byte) (engine.BackupInfo, error) {
	o := &engine.RestoreOptions{FS: disk, ToSeq: to, Log: lostDir}
	for _, b := range backups[1:] {
		o.Apply = append(o.Apply, bytes.NewReader(b))
	}
	return engine.Restore(context.Background(), bytes.NewReader(backups[0]), dbDir, o)
}

// lost moves the database on the disk to lostDir, and takes its trees away.
func lost(t testing.TB, disk *vfs.Mem) *vfs.Mem {
	t.Helper()
	disk = disk.Clone()
	if err := errors.Join(disk.Rename(dbDir, lostDir), disk.Remove(lostDir+"/btree.db")); err != nil {
		t.Fatal(err)
	}
	return disk
}

// eachSegment calls visit with each file of the log in lostDir, what is kept first.
func eachSegment(t *testing.T, disk *vfs.Mem, visit func(file string, data []byte)) {
	t.Helper()
	for _, file := range filesOf(t, disk, lostDir) {
		if !strings.HasSuffix(file, ".log") {
			continue
		}
		data, err := disk.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		visit(file, data)
	}
}

// changed is disk with another content of the file.
func changed(t testing.TB, disk *vfs.Mem, file string, data []byte) *vfs.Mem {
	t.Helper()
	disk = disk.Clone()
	if err := disk.WriteFile(file, data); err != nil {
		t.Fatal(err)
	}
	return disk
}

// readsAs fails unless the database on disk is as of the commit that ends at seq.
func readsAs(t testing.TB, disk vfs.FS, h *history, seq uint64) {
	t.Helper()
	o := small(full)
	o.FS, o.MustExist = disk, true
	db := open(t, dbDir, o)
	defer closeDB(t, db)
	if k, err := h.find(db, 0, len(h.commits)-1); err != nil || h.commits[k].seq != seq {
		t.Fatalf("as of commit %d (want operation %d): %v\nrepeat: %s", k, seq, err, again(t))
	}
}

// A backup and the log bring back every commit's moment, and no other, where the
// trees of the database are lost: whichever backup is the last, and however the log
// went on. Of the database not a byte changes.
func TestRestoreLog_ToEverySequenceNumber(t *testing.T) {
	disk, s, chain, first := chainOf(t)
	disk = lost(t, disk)
	restored := 0
	end := s.hist.last().seq
	for k := first; k < len(s.hist.commits); k++ {
		if testing.Short() && k%4 != 0 {
			continue
		}
		target := disk.Clone()
		want := s.hist.commits[k].seq
		to := want
		if want == end {
			to = 0
		}
		info, err := restoreLog(target, to, chain[:1+k%len(chain)]...)
		if err != nil || info.Seq != want || info.Torn != nil {
			t.Fatalf("to %d: %+v, %v", want, info, err)
		}
		readsAs(t, target, s.hist, want)
		if k%20 == 0 {
			if err := checkDatabase(target, dbDir); err != nil {
				t.Fatal(err)
			}
		}
		restored++
		if err := engine.Remove(target, dbDir); err != nil {
			t.Fatal(err)
		}
		if err := sameFiles(disk, target); err != nil {
			t.Fatal(err)
		}
		if inside := want - 1; k > first && s.hist.commits[k-1].seq < inside {
			if _, err := restoreLog(target, inside, chain[0]); !errors.Is(err, engine.ErrChain) ||
				!strings.Contains(err.Error(), fmt.Sprintf("the nearest at %d and %d", s.hist.commits[k-1].seq, want)) {
				t.Errorf("to %d, inside of a commit: %v", inside, err)
			}
			wantNothing(t, target)
		}
	}
	if restored < 200 && !testing.Short() {
		t.Errorf("restored to %d sequence numbers", restored)
	}
	for _, to := range []uint64{s.hist.commits[first].seq - 1, end + 1, 1 << 62} {
		target := disk.Clone()
		if _, err := restoreLog(target, to, chain[0]); !errors.Is(err, engine.ErrChain) {
			t.Errorf("to %d, of %d to %d: %v", to, s.hist.commits[first].seq, end, err)
		}
		wantNothing(t, target)
	}
}

// kept is a database that keeps its log, with a full backup after two commits and
// ten more behind it, in the log and in what is kept of it. It was not closed.
func kept(t testing.TB) (disk *vfs.Mem, h *history, backupOf []byte) {
	disk = vfs.NewMem()
	s := &session{t: t, fs: disk, opts: small(full), hist: newHistory(), still: true}
	s.open()
	keepLog(t, disk, true)
	for n := range 12 {
		s.apply(put(keyOf("k", n%5), valueOf("k", n, 500)), put("n", fmt.Sprint(n)))
		switch n {
		case 1:
			backupOf, _ = backup(t, s.db, nil)
		case 5, 8:
			s.checkpoint()
			s.reopen()
		}
	}
	disk = disk.Clone()
	s.close()
	if segments, err := disk.List(dbDir + "/wal"); err != nil {
		t.Fatal(err)
	} else if len(segments) > 1 {
		return kept(t) // the next one was made already, and would prove the last commit durable
	}
	return disk, s.hist, backupOf
}

// Each byte of the log counts. With one changed it is told of, but for the
// newest commit, which was not yet known to be durable when it was written: if that
// is damaged it may as well be torn, unless the trees say that the log was closed.
// What is whole before the damage can be restored, and nothing else ever is.
func TestRestoreLog_FlipBytes(t *testing.T) {
	disk, h, b := kept(t)
	end, before := h.last().seq, h.commits[len(h.commits)-2].seq
	closed := disk.Clone()
	closeDB(t, openOn(t, closed))
	closed = closed.Clone()
	if err := closed.Rename(dbDir, lostDir); err != nil {
		t.Fatal(err)
	}
	damaged, torn := 0, 0
	for name, disk := range map[string]*vfs.Mem{"lost": lost(t, disk), "closed": closed} {
		eachSegment(t, disk, func(file string, data []byte) {
			for i, c := range data {
				if c == 0 && i%64 != 0 || i > 4096+100 && i%8 != 0 || testing.Short() && i%7 != 0 {
					continue
				}
				flipped := bytes.Clone(data)
				flipped[i] ^= 0xFF
				target := changed(t, disk, file, flipped)
				info, err := restoreLog(target, 0, b)
				whole := info.Seq
				if err == nil {
					switch {
					case info.Torn != nil && whole == before && name == "lost":
						torn++
					case whole != end: // what stands behind the end, and between the parts, is dead
						t.Fatalf("%s: byte %d of %s: %+v", name, i, file, info)
					}
					readsAs(t, target, h, whole)
					continue
				}
				damaged++
				if want := max(h.commits[2].seq, wholeBefore(t, disk, file, i)); whole != want {
					t.Fatalf("%s: byte %d of %s: whole up to %d, not to %d: %v", name, i, file, whole, want, err)
				}
				if !errors.Is(err, engine.ErrCorrupt) && !errors.Is(err, engine.ErrChain) {
					t.Fatalf("%s: byte %d of %s: %v", name, i, file, err)
				}
				if d, ok := errors.AsType[*engine.CorruptError](err); ok && (d.Path != file || d.Offset > int64(i)) {
					t.Fatalf("%s: byte %d of %s: %v", name, i, file, err)
				}
				wantNothing(t, target)
				if whole == 0 {
					t.Fatalf("%s: byte %d of %s: %v, and the backup was not whole", name, i, file, err)
				}
				if info, err := restoreLog(target, whole, b); err != nil {
					t.Fatalf("%s: byte %d of %s: to what was whole, %d: %+v, %v", name, i, file, whole, info, err)
				}
				readsAs(t, target, h, whole)
			}
		})
	}
	if damaged < 100 || torn < 3 {
		t.Errorf("%d damaged, %d torn", damaged, torn)
	}
}

// wholeBefore is the sequence number of the newest commit that stands in the log
// before byte i of the file.
func wholeBefore(t *testing.T, disk *vfs.Mem, file string, i int) (seq uint64) {
	over := false
	eachSegment(t, disk, func(name string, data []byte) {
		for at := 4096; !over && at+40 <= len(data); {
			next := at + (40+int(binary.LittleEndian.Uint32(data[at+4:]))+7)&^7
			count := uint64(binary.LittleEndian.Uint32(data[at+32:]))
			if count == 0 || name == file && next > i {
				break
			}
			at, seq = next, binary.LittleEndian.Uint64(data[at+16:])+count-1
		}
		over = over || name == file
	})
	return seq
}

// A log that ends in a commit that was not written whole is restored without that.
func TestRestoreLog_Torn(t *testing.T) {
	disk, h, b := kept(t)
	disk = lost(t, disk)
	for _, left := range []int{8, 40, 200, 500} {
		target := disk
		eachSegment(t, disk, func(name string, data []byte) {
			if end := len(bytes.TrimRight(data, "\x00")); end > 4096+left && strings.HasPrefix(name, lostDir+"/wal/") {
				clear(data[end-left:])
				target = changed(t, disk, name, data)
			}
		})
		info, err := restoreLog(target, 0, b)
		if want := h.commits[len(h.commits)-2].seq; err != nil || info.Torn == nil || info.Seq != want {
			t.Errorf("without %d bytes: %+v, %v", left, info, err)
			continue
		}
		readsAs(t, target, h, info.Seq)
	}
}

// Where nothing proves that what does not read was synced, the log ends there, as it
// does for a recovery. Which commits are whole behind that is told: damage looks the
// same.
func TestRestoreLog_CommitsBehindTheEnd(t *testing.T) {
	disk, h, b := kept(t)
	disk = lost(t, disk)
	tried := 0
	eachSegment(t, disk, func(file string, data []byte) {
		var records []int
		for at := 4096; at+40 <= len(data) && binary.LittleEndian.Uint32(data[at+32:]) != 0; {
			records = append(records, at)
			binary.LittleEndian.PutUint64(data[at+24:], 0) // nothing was known to be synced
			at += (40 + int(binary.LittleEndian.Uint32(data[at+4:])) + 7) &^ 7
		}
		if !strings.HasPrefix(file, lostDir+"/wal/") || len(records) == 0 || wholeBefore(t, disk, file, len(data)) != h.last().seq {
			return
		}
		resealSegment(data)
		for i, at := range records {
			flipped := bytes.Clone(data)
			flipped[at+44] ^= 0xFF
			target := changed(t, disk, file, flipped)
			want := wholeBefore(t, disk, file, at)
			info, err := restoreLog(target, 0, b)
			if err != nil || info.Seq != want || info.Torn == nil {
				t.Fatalf("without record %d of %d: %+v, %v", i, len(records), info, err)
			}
			behind := engine.TornLog{Path: file, Offset: int64(at), Bytes: info.Torn.Bytes, Commits: uint64(len(records) - i - 1)}
			if *info.Torn != behind || behind.Bytes < 40 {
				t.Errorf("without record %d of %d: %+v", i, len(records), info.Torn)
			}
			readsAs(t, target, h, want)
			if behind.Commits > 1 {
				tried++
			}
		}
	})
	if tried < 2 {
		t.Errorf("%d places", tried)
	}
}

// A newest segment that was cut short, or grew, is read as far as it goes. That it was
// cut is told, or is damage where the log or the trees prove what was there.
func TestRestoreLog_CutShort(t *testing.T) {
	disk, h, b := kept(t)
	end := h.last().seq
	closed := disk.Clone()
	closeDB(t, openOn(t, closed))
	closed = closed.Clone()
	if err := closed.Rename(dbDir, lostDir); err != nil {
		t.Fatal(err)
	}
	torn, damaged := 0, 0
	for name, disk := range map[string]*vfs.Mem{"lost": lost(t, disk), "closed": closed} {
		eachSegment(t, disk, func(file string, data []byte) {
			used := len(bytes.TrimRight(data, "\x00"))
			if !strings.HasPrefix(file, lostDir+"/wal/") || wholeBefore(t, disk, file, len(data)) != end || used <= 4096 {
				return
			}
			target := changed(t, disk, file, append(bytes.Clone(data), 1, 2, 3))
			if info, err := restoreLog(target, 0, b); err != nil || info.Seq != end || info.Torn != nil {
				t.Errorf("%s: %s with 3 bytes more: %+v, %v", name, file, info, err)
			}
			readsAs(t, target, h, end)
			for size := 4096; size < len(data); size++ {
				if size > used+50 && size%509 != 0 && size != len(data)-1 || testing.Short() && size%7 != 0 {
					continue
				}
				target := changed(t, disk, file, data[:size])
				want := max(h.commits[2].seq, wholeBefore(t, disk, file, size))
				info, err := restoreLog(target, 0, b)
				switch {
				case info.Seq != want:
					t.Fatalf("%s: %d bytes of %s: whole up to %d, not %d: %v", name, size, file, info.Seq, want, err)
				case err == nil && (name == "lost" || want == end) && info.Torn != nil && info.Torn.Short && info.Torn.Path == file && info.Torn.Offset <= int64(size):
					torn++
				case want < end && errors.Is(err, engine.ErrCorrupt) && strings.Contains(err.Error(), file):
					damaged++
					wantNothing(t, target)
					if _, err := restoreLog(target, want, b); err != nil {
						t.Fatalf("%s: %d bytes of %s: to what was whole, %d: %v", name, size, file, want, err)
					}
				default:
					t.Fatalf("%s: %d bytes of %s: %+v, %v", name, size, file, info, err)
				}
				readsAs(t, target, h, want)
			}
		})
	}
	if torn < 50 || damaged < 50 {
		t.Errorf("%d torn, %d damaged", torn, damaged)
	}
}

// Neither that the log was closed once proves that a file which was cut short lacks
// nothing, since the database may have been opened again, nor do the zeros in a
// segment before it, since with what is missing the proof may be that they are damage.
func TestRestoreLog_CutShortIsNeverSilent(t *testing.T) {
	for _, puts := range []int{8, 20, 40} {
		disk := vfs.NewMem()
		db := openOn(t, disk)
		mustPut(t, db, "k", "0")
		b, _ := backup(t, db, nil)
		mustPut(t, db, "k", "1")
		closeDB(t, db)
		db = openOn(t, disk)
		for i := range puts {
			mustPut(t, db, "k", valueOf("k", i, 200))
		}
		end := db.Stats().Seq
		crashed := disk.Clone()
		closeDB(t, db)
		if err := crashed.Rename(dbDir, lostDir); err != nil {
			t.Fatal(err)
		}
		silent := func(what string, disk *vfs.Mem) {
			t.Helper()
			info, err := restoreLog(disk, 0, b)
			if err == nil && info.Seq < end && (info.Torn == nil || !info.Torn.Short) || err != nil && !errors.Is(err, engine.ErrCorrupt) && !errors.Is(err, engine.ErrChain) {
				t.Fatalf("%s: up to %d of %d: %+v, %v", what, info.Seq, end, info.Torn, err)
			}
		}
		before, content, records := "", []byte(nil), []int(nil) // of the segment before
		met := 0
		eachSegment(t, crashed, func(file string, data []byte) {
			for size := 4096; size < len(data) && size < 6000; size++ {
				silent(fmt.Sprintf("%d bytes of %s", size, file), changed(t, crashed, file, data[:size]))
				for _, at := range records {
					if size%97 != 0 {
						break
					}
					zeroed := append(bytes.Clone(content[:at]), make([]byte, len(content)-at)...)
					silent(fmt.Sprintf("%d bytes of %s, zeros in %s from %d on", size, file, before, at), changed(t, changed(t, crashed, before, zeroed), file, data[:size]))
				}
			}
			before, content, records = file, data, nil
			for at := 4096; at+40 <= len(data) && binary.LittleEndian.Uint32(data[at+32:]) != 0; {
				records = append(records, at)
				at += (40 + int(binary.LittleEndian.Uint32(data[at+4:])) + 7) &^ 7
			}
			met += len(records)
		})
		if met == 0 { // the newest segment may have none: it is made ahead
			t.Errorf("%d puts: no segment has a record", puts)
		}
	}
}

// A kept segment that was cut short is damaged where it ends, for a checkpoint had all
// of it. Where it ends with a commit, and there may have been another one behind it,
// the log lacks something. Both name the file, and what is whole before.
func TestRestoreLog_KeptCutShort(t *testing.T) {
	disk, h, b := kept(t)
	disk = lost(t, disk)
	damaged, lacking := 0, 0
	eachSegment(t, disk, func(file string, data []byte) {
		if !strings.HasPrefix(file, lostDir+"/kept/") {
			return
		}
		for size := range data {
			if size%8 > 1 || testing.Short() && size%7 != 0 || size < 4090 && size != 64 {
				continue
			}
			target := changed(t, disk, file, data[:size])
			want := max(h.commits[2].seq, wholeBefore(t, disk, file, size))
			info, err := restoreLog(target, 0, b)
			if err == nil && want == max(h.commits[2].seq, wholeBefore(t, disk, file, len(data))) {
				readsAs(t, target, h, h.last().seq) // what was cut was behind the end
				continue
			}
			switch {
			case err == nil || info.Seq != want || !info.Whole || !strings.Contains(err.Error(), file):
				t.Fatalf("%d bytes of %s: whole up to %d: %+v, %v", size, file, want, info, err)
			case errors.Is(err, engine.ErrCorrupt):
				damaged++
			case errors.Is(err, engine.ErrChain):
				lacking++
			}
			if _, err := restoreLog(target, want, b); err != nil {
				t.Fatalf("%d bytes of %s: to what was whole, %d: %v", size, file, want, err)
			}
			readsAs(t, target, h, want)
		}
	})
	if damaged < 50 || lacking > 20 {
		t.Errorf("%d damaged, %d lack something", damaged, lacking)
	}
}

// Without a segment what comes before it can be restored, and what comes behind is
// never taken for what follows.
func TestRestoreLog_Gap(t *testing.T) {
	disk, h, b := kept(t)
	disk = lost(t, disk)
	gaps := 0
	previous := "what is left begins with"
	eachSegment(t, disk, func(file string, _ []byte) {
		target := disk.Clone()
		if err := target.Remove(file); err != nil {
			t.Fatal(err)
		}
		info, err := restoreLog(target, 0, b)
		whole := info.Seq
		if err == nil { // one that was prepared, and has no commit
			if whole != h.last().seq {
				t.Errorf("without %s: %+v", file, info)
			}
			return
		}
		gaps++
		if !errors.Is(err, engine.ErrChain) || !info.Whole || !strings.Contains(err.Error(), fmt.Sprintf("does not go on behind sequence number %d", whole)) {
			t.Errorf("without %s: %+v, %v", file, info, err)
		}
		if before := strings.TrimPrefix(previous, lostDir); !strings.Contains(err.Error(), before) {
			t.Errorf("without %s, which %s comes before: %v", file, previous, err)
		}
		previous = file
		wantNothing(t, target)
		if _, err := restoreLog(target, whole, b); err != nil {
			t.Errorf("without %s: to what was whole, %d: %v", file, whole, err)
			return
		}
		readsAs(t, target, h, whole)
	})
	if gaps < 2 {
		t.Errorf("%d gaps", gaps)
	}
}

// A log that is not that of the backup's database, or of another history of it, or
// does not reach back to the backup, is refused, and nothing is made.
func TestRestoreLog_Wrong(t *testing.T) {
	disk, _, _ := kept(t)
	_, _, other := kept(t)
	disk = lost(t, disk)
	refused := func(what string, disk *vfs.Mem, want error, says string, backups ...[]byte) {
		t.Helper()
		_, err := restoreLog(disk, 0, backups...)
		if !errors.Is(err, want) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", what, err)
		}
		wantNothing(t, disk)
	}
	refused("of another database", disk, engine.ErrChain, "belongs to another database", other)

	// Its history went another way behind the same older state.
	_, chain, _ := links(t)
	forked, _, infos := links(t)
	refused("of another database, with links", lost(t, forked), engine.ErrChain, "belongs to another database", chain...)
	older := forked.Clone()
	db := openOn(t, forked)
	mustPut(t, db, "d", "1")
	ahead, info := backup(t, db, nil)
	closeDB(t, db)
	db = openOn(t, older)
	mustPut(t, db, "d", "2")
	_, _ = backup(t, db, &infos[2])
	mustPut(t, db, "e", "2")
	closeDB(t, db)
	refused("of another history", lost(t, older), engine.ErrChain, fmt.Sprintf("the commit at sequence number %d is another", info.Seq), ahead)

	// It was put back to an older state, and has no such commit yet.
	disk, _, _ = links(t)
	older = disk.Clone()
	db = openOn(t, disk)
	mustPut(t, db, "d", "1")
	ahead, _ = backup(t, db, nil)
	closeDB(t, db)
	refused("of an older state", lost(t, older), engine.ErrChain, "does not go on", ahead)

	// The log was not kept.
	disk = vfs.NewMem()
	db = openOn(t, disk)
	mustPut(t, db, "a", "1")
	b, _ := backup(t, db, nil)
	closeDB(t, db)
	for range 2 {
		db = openOn(t, disk)
		mustPut(t, db, "b", valueOf("b", 1, 100<<10))
		closeDB(t, db)
	}
	refused("not kept", lost(t, disk), engine.ErrChain, "does not go on behind sequence number 1", b)

	refused("nothing", vfs.NewMem(), engine.ErrNotExist, "no such directory", b)
	disk = vfs.NewMem()
	if err := disk.WriteFile(lostDir, b); err != nil {
		t.Fatal(err)
	}
	refused("a file", disk, engine.ErrNotExist, "it is not a directory", b)
	disk = vfs.NewMem()
	if err := disk.Mkdir(lostDir); err != nil {
		t.Fatal(err)
	}
	refused("without a log", disk, engine.ErrNotExist, "it has no directory wal", b)
}

// A log that does not fit is found before more than the beginning of the full backup
// is read, which here is not whole; one that fits is not asked again before that.
func TestRestoreLog_WrongIsFoundFirst(t *testing.T) {
	disk, _, chain, _ := chainOf(t)
	disk = lost(t, disk)
	head := chain[0][:len(chain[0])-1]
	found := func(what string, disk *vfs.Mem, to uint64, want error, says string, seq bool, backups ...[]byte) {
		t.Helper()
		info, err := restoreLog(disk, to, backups...)
		if !errors.Is(err, want) || !strings.Contains(err.Error(), says) || info.Log != seq || seq && (info.Seq == 0 || info.Bytes != 0) {
			t.Errorf("%s: %+v, %v", what, info, err)
		}
		wantNothing(t, disk)
	}
	found("fits", disk, 0, engine.ErrCorrupt, "backup is damaged", false, head)
	found("fits, with others", disk, 0, engine.ErrCorrupt, "backup is damaged", false, head, chain[1])

	other, _, _ := kept(t)
	other = lost(t, other)
	const foreign = "belongs to another database"
	found("of another database", other, 0, engine.ErrChain, foreign, true, head)
	found("of another database, with others", other, 0, engine.ErrChain, foreign, true, append([][]byte{head}, chain[1:]...)...)
	found("perhaps not needed", other, 1<<40, engine.ErrCorrupt, "backup is damaged", false, head, chain[1])
	found("not needed", other, 1, engine.ErrCorrupt, "backup is damaged", false, head)

	_, _, b := kept(t)
	found("of another database than that", disk, 0, engine.ErrChain, foreign, true, b[:len(b)-1])
	gap := disk.Clone()
	eachSegment(t, disk, func(file string, _ []byte) {
		if strings.HasPrefix(file, lostDir+"/kept/") {
			_ = gap.Remove(file)
		}
	})
	found("without what is kept", gap, 0, engine.ErrChain, "does not go on behind sequence number", true, head)
	found("without what is kept, with others", gap, 0, engine.ErrCorrupt, "backup is damaged", false, head, chain[1])

	forked, _, _ := links(t)
	older := forked.Clone()
	db := openOn(t, forked)
	mustPut(t, db, "d", "1")
	ahead, _ := backup(t, db, nil)
	closeDB(t, db)
	db = openOn(t, older)
	mustPut(t, db, "d", "2")
	closeDB(t, db)
	found("of another history", lost(t, older), 0, engine.ErrChain, "is another", true, ahead[:len(ahead)-1])
}

// A restore tells how many entries and keyspaces the database has, with what was
// applied; where entries wait in sorted runs how many there are at most.
func TestRestore_TellsWhatIsThere(t *testing.T) {
	disk, _, b := kept(t)
	disk = lost(t, disk)
	info, err := restoreLog(disk, 0, b)
	if err != nil || info.Entries != 6 || info.Keyspaces != 1 || info.Runs != 0 || info.Commits != 10 {
		t.Errorf("%+v, %v", info, err)
	}

	disk = vfs.NewMem()
	db := openOn(t, disk)
	keepLog(t, disk, true)
	write := func(from, to, by int) {
		batch := db.NewBatch()
		value := make([]byte, 60)
		for i := from; i < to; i += by {
			if err := batch.Put([]byte(fmt.Sprintf("%06d", i)), value); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Apply(context.Background(), batch); err != nil {
			t.Fatal(err)
		}
	}
	const have = 300_000
	write(0, have, 1)
	full, since := backup(t, db, nil)
	write(0, have, 25)
	write(have, have+100, 1)
	inc, _ := backup(t, db, &since)
	closeDB(t, db)
	info, err = engine.Restore(context.Background(), bytes.NewReader(full), "other", &engine.RestoreOptions{FS: disk, Apply: []io.Reader{bytes.NewReader(inc)}})
	if err != nil || info.Runs == 0 || info.Entries != have+100+have/25 {
		t.Errorf("with runs: %+v, %v", info, err)
	}
}

// Nothing is read beside a process that writes, which is not hindered.
func TestRestoreLog_InUse(t *testing.T) {
	disk, _, b := kept(t)
	if err := disk.Rename(dbDir, lostDir); err != nil {
		t.Fatal(err)
	}
	db := open(t, lostDir, engine.Options{FS: disk})
	if _, err := restoreLog(disk, 0, b); !errors.Is(err, engine.ErrLocked) {
		t.Errorf("beside a writer: %v", err)
	}
	wantNothing(t, disk)
	mustPut(t, db, "last", "1")
	closeDB(t, db)
	if _, err := restoreLog(disk, 0, b); err != nil {
		t.Fatal(err)
	}
	db = openOn(t, disk)
	wantValue(t, db, []byte("last"), []byte("1"))
	closeDB(t, db)
	closeDB(t, open(t, lostDir, engine.Options{FS: disk, MustExist: true})) // it is given up
}

// A restore that is stopped while it reads the log leaves nothing, and the log as it
// was.
func TestRestoreLog_Stops(t *testing.T) {
	disk, _, b := kept(t)
	disk = lost(t, disk)
	before := disk.Clone()
	in := faultfs.Inject(disk)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	opened := 0
	in.SetHook(func(op faultfs.Op) error {
		if op.Kind == faultfs.OpOpen && strings.HasPrefix(op.Name, lostDir+"/wal/0000000000000002") {
			if opened++; opened == 3 { // its header was read before, and when the log was checked
				cancel()
			}
		}
		return nil
	})
	o := &engine.RestoreOptions{FS: in, Log: lostDir}
	if info, err := engine.Restore(ctx, bytes.NewReader(b), dbDir, o); !errors.Is(err, context.Canceled) || info.Commits == 0 || info.Commits == 10 {
		t.Errorf("%+v, %v, %d opened", info, err, opened)
	}
	wantNothing(t, disk)
	if err := sameFiles(before, disk); err != nil {
		t.Error(err)
	}
}

// A log that was made up, with checksums that fit, is refused.
func TestRestoreLog_Hostile(t *testing.T) {
	disk, _, b := kept(t)
	disk = lost(t, disk)
	eachSegment(t, disk, func(file string, data []byte) {
		for at, c := range data {
			if at < 4096+16 || c == 0 {
				continue
			}
			for _, to := range []byte{0, 1, 4, 5, 9, 0xFF} {
				made := bytes.Clone(data)
				made[at] = to
				resealSegment(made)
				target := changed(t, disk, file, made)
				if _, err := restoreLog(target, 0, b); err != nil {
					wantNothing(t, target)
				} else if err := checkDatabase(target, dbDir); err != nil {
					t.Fatalf("byte %d of %s made %d: %v", at, file, to, err)
				}
			}
			if at > 4096+60 {
				break
			}
		}
	})
}

// After a kill at any moment, also in a recovery, the log ends for a restore where
// it does for a recovery.
func TestRestoreLog_LikeRecovery(t *testing.T) {
	disk, _, b := kept(t)
	o := small(full)
	same := 0
	killEach(t, disk, func(fsys vfs.FS) error {
		o := o
		o.FS = fsys
		var err error
		for n := range 2 {
			db, e := engine.Open(dbDir, &o)
			if e != nil {
				return e
			}
			for i := range 8 {
				err = errors.Join(err, db.Put([]byte(keyOf("k", i)), []byte(valueOf("k", 100*n+i, 400))))
			}
			_, e = db.Checkpoint(context.Background())
			err = errors.Join(err, e, db.Put([]byte("last"), nil), db.Close())
		}
		return err
	}, func(image *vfs.Mem, _ bool) error {
		target := lost(t, image)
		info, err := restoreLog(target, 0, b)
		if err != nil && strings.Contains(err.Error(), "does not go on") {
			return nil // a rename to what is kept was lost
		}
		if err != nil {
			return err
		}
		want, have := openOn(t, image), openOn(t, target)
		defer closeDB(t, want)
		defer closeDB(t, have)
		if seq := want.Stats().Seq; info.Seq != seq || have.Stats().Seq != seq {
			return fmt.Errorf("recovered %d, restored %+v", seq, info)
		}
		if a, b := contentOf(t, want), contentOf(t, have); a != b {
			return fmt.Errorf("recovered %s\nrestored %s", a, b)
		}
		same++
		return nil
	})
	if same < 50 {
		t.Errorf("%d restored", same)
	}
}

// contentOf tells all that the default keyspace has.
func contentOf(t testing.TB, db *engine.DB) string {
	var b strings.Builder
	s, err := db.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for k, v := range s.Scan(nil, nil) {
		fmt.Fprintf(&b, "%s=%s ", k, v)
	}
	return b.String()
}

// F23 of a restore from the log, which is only read.
func TestF23_KilledInApplyOfTheLog(t *testing.T) {
	disk, h, b := kept(t)
	disk = lost(t, disk)
	restore := func(fsys vfs.FS) error {
		_, err := restoreLog(fsys, 0, b)
		return err
	}
	killEach(t, disk, restore, func(image *vfs.Mem, over bool) error {
		_, err := image.Stat(dbDir)
		if over && err != nil {
			return err
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = restore(image)
		}
		if err != nil {
			return err
		}
		readsAs(t, image, h, h.last().seq)
		if err := checkDatabase(image, dbDir); err != nil {
			return err
		}
		if err := engine.Remove(image, dbDir); err != nil {
			return err
		}
		return sameFiles(disk, image)
	})
}
