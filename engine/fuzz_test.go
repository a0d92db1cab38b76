package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

// Inputs are small: a patch list that is applied to a database, not the
// database itself, which would take the fuzzer seconds a case to shrink. Run
//
//	go test ./engine -run '^$' -fuzz FuzzOpen -fuzzminimizetime 1x

// specimens are the databases that FuzzOpen damages.
var specimens = sync.OnceValue(func() []*specimen {
	t := new(fataler)
	return []*specimen{settledSpecimen(t), uncleanSpecimen(t), runsSpecimen(t)}
})

// fataler stands for a test where there is none.
type fataler struct{ testing.TB }

func (fataler) Helper()                      {}
func (fataler) Fatal(args ...any)            { panic(fmt.Sprint(args...)) }
func (fataler) Fatalf(s string, args ...any) { panic(fmt.Sprintf(s, args...)) }

// patch changes disk as data says: file, offset (three bytes), length, and that
// many bytes, again and again. A length from 128 on stands for eight times so
// many zeros, less 127. An offset past the end makes the file longer.
func patch(disk *vfs.Mem, data []byte) error {
	names := disk.Names()
	for len(data) >= 5 {
		name := names[int(data[0])%len(names)]
		off := int64(data[1]) | int64(data[2])<<8 | int64(data[3])<<16
		n := int(data[4])
		data = data[5:]
		change := make([]byte, max(0, 8*(n-127)))
		if n < 128 {
			change = data[:min(n, len(data))]
			data = data[len(change):]
		}
		f, err := disk.Open(name, vfs.ReadWrite)
		if err != nil {
			return err
		}
		if _, err := f.WriteAt(change, off); err != nil {
			return err
		}
	}
	return nil
}

// FuzzOpen opens a database with any damage. It must be refused, or show what
// was there, as far as it can be read; where the last record is damaged of a log
// that was not closed, the end of what was there may be missing.
func FuzzOpen(f *testing.F) {
	for i := range specimens() {
		f.Add(byte(i), []byte{})
	}
	f.Fuzz(func(t *testing.T, which byte, data []byte) {
		sp := specimens()[int(which)%len(specimens())].fork()
		disk := sp.disk.Clone()
		if err := patch(disk, data); err != nil {
			t.Fatal(err)
		}
		least := len(sp.hist.commits) - 1
		if sp.lastLog != "" {
			if log, err := disk.ReadFile(sp.lastLog); err != nil || sp.endIsGone(sp.lastLog, log) {
				least = 1 // what the last checkpoint held
			}
		}
		if err := bounded("FuzzOpen", func() error { return sp.judge(disk, least) }); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzHostile opens a database that was damaged on purpose, by somebody who
// made the checksums of metas, segment headers and records right again. What it
// shows then is not promised. It must not panic, hang, or take memory for
// lengths that are only claimed (F27).
func FuzzHostile(f *testing.F) {
	for i := range specimens() {
		f.Add(byte(i), []byte{})
	}
	f.Fuzz(func(t *testing.T, which byte, data []byte) {
		sp := specimens()[int(which)%len(specimens())]
		disk := sp.disk.Clone()
		if err := patch(disk, data); err != nil {
			t.Fatal(err)
		}
		reseal(t, disk)
		if err := bounded("FuzzHostile", func() error { return useAll(disk) }); err != nil {
			t.Fatal(err)
		}
	})
}

// useAll does a little of everything with a database that may be anything.
// Errors are welcome.
func useAll(disk *vfs.Mem) error {
	o := small(full)
	o.FS, o.ReadOnly = disk, true
	if db, err := engine.Open(dbDir, &o); err == nil {
		_ = newHistory().last().compare(db, nil)
		_ = db.Close()
	}
	o.ReadOnly = false
	db, err := engine.Open(dbDir, &o)
	if err != nil {
		return nil //nolint:nilerr // it was refused
	}
	list, err := db.Keyspaces()
	if err != nil {
		return err
	}
	for _, info := range list {
		ks, err := db.Keyspace(info.Name)
		if err != nil {
			return err
		}
		_ = db.View(func(tx *engine.Tx) error {
			for range tx.In(ks).Scan(nil, nil) {
			}
			for range tx.In(ks).ScanBackward(nil, nil) {
			}
			return nil
		})
		_ = ks.Put([]byte("m"), []byte("1"))
		_ = ks.DeleteRange([]byte("n"), nil)
	}
	_, _ = db.Checkpoint(context.Background())
	_, _ = db.Compact(context.Background())
	_ = db.Close()
	return nil
}

// reseal makes the checksums of metas, segment headers and records right.
func reseal(t *testing.T, disk *vfs.Mem) {
	t.Helper()
	for _, name := range disk.Names() {
		b, err := disk.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case name == "/"+treeFile:
			resealMetas(b)
		case strings.HasSuffix(name, ".log"):
			resealSegment(b)
		}
		if err := disk.WriteFile(name, b); err != nil {
			t.Fatal(err)
		}
	}
}

func resealMetas(b []byte) {
	for _, at := range []int{0, 2048, 4096, 6144} {
		if len(b) >= at+512 && string(b[at:at+8]) == "LGTNGDB1" {
			binary.LittleEndian.PutUint64(b[at+504:], xxhash.Sum64(b[at:at+504]))
		}
	}
}

func resealSegment(b []byte) {
	if len(b) < 4096 {
		return
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	binary.LittleEndian.PutUint32(b[124:], crc32.Checksum(b[:124], table))
	seed := crc32.Checksum(b[16:40], table) // UUID and number
	for at := 4096; at+40 <= len(b); {
		size := (40 + int(binary.LittleEndian.Uint32(b[at+4:])) + 7) &^ 7
		if size > len(b)-at || binary.LittleEndian.Uint64(b[at+8:]) == 0 {
			return
		}
		binary.LittleEndian.PutUint32(b[at:], crc32.Update(seed, table, b[at+4:at+size]))
		at += size
	}
}

// FuzzRestore restores any bytes, as they are and with their checksums made
// right. What is not a whole stream leaves nothing
// behind; what is one becomes a database that verify finds nothing in.
func FuzzRestore(f *testing.F) {
	f.Add(false, smallStream(f))
	f.Add(true, smallStream(f))
	f.Fuzz(func(t *testing.T, seal bool, stream []byte) {
		if seal {
			stream = resealStream(stream)
		}
		disk := vfs.NewMem()
		ctx := context.Background()
		_, verifyErr := engine.VerifyBackup(ctx, bytes.NewReader(stream))
		_, err := engine.Restore(ctx, bytes.NewReader(stream), dbDir, &engine.RestoreOptions{FS: disk})
		if err != nil {
			if !isDamage(err) && !(seal && errors.Is(err, engine.ErrVersion)) { // a right checksum makes a newer version
				t.Errorf("an error that does not tell of damage: %v", err)
			}
			if names := disk.Names(); len(names) > 0 {
				t.Errorf("left behind: %v", names)
			}
			if _, err := disk.Stat(dbDir + ".partial"); err == nil {
				t.Error("a directory was left behind")
			}
			return
		}
		if verifyErr != nil {
			t.Fatalf("restored what VerifyBackup refuses: %v", verifyErr)
		}
		if err := checkDatabase(disk, dbDir); err != nil {
			t.Fatal(err)
		}
		if err := bounded("FuzzRestore", func() error { return useAll(disk) }); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzRestoreIncrement applies any bytes to a small backup, as they are, and as an
// incremental one that follows it, with checksums that are right. The same holds
// as for FuzzRestore.
func FuzzRestoreIncrement(f *testing.F) {
	_, chain, _ := links(f)
	for _, inc := range append(chain, everyOperation(f)) {
		f.Add(false, inc)
		f.Add(true, inc)
	}
	base := chain[0]
	f.Fuzz(func(t *testing.T, seal bool, inc []byte) {
		if inc = bytes.Clone(inc); seal && len(inc) >= 64+16+16+8 {
			copy(inc[16:32], base[16:32])
			copy(inc[80:88], base[32:40])
			copy(inc[88:96], base[48:56])
			inc = resealStream(inc)
		}
		disk := vfs.NewMem()
		_, verifyErr := engine.VerifyBackup(context.Background(), bytes.NewReader(inc))
		if _, err := restoreChain(disk, 0, base, inc); err != nil {
			if !isDamage(err) && !errors.Is(err, engine.ErrChain) && !(seal && errors.Is(err, engine.ErrVersion)) {
				t.Errorf("an error that does not tell of damage: %v", err)
			}
			wantNothing(t, disk)
			return
		}
		if verifyErr != nil {
			t.Fatalf("applied what VerifyBackup refuses: %v", verifyErr)
		}
		if err := checkDatabase(disk, dbDir); err != nil {
			t.Fatal(err)
		}
		if err := bounded("FuzzRestoreIncrement", func() error { return useAll(disk) }); err != nil {
			t.Fatal(err)
		}
	})
}

// everyOperation is an incremental backup of every kind of operation, behind as
// many as the first of links has.
func everyOperation(t testing.TB) []byte {
	s := &session{t: t, fs: vfs.NewMem(), opts: small(full), hist: newHistory(), still: true}
	s.open()
	s.apply(put("a", "1"), put("aa", "2"))
	_, since := backup(t, s.db, nil)
	s.create("users", &engine.KeyspaceOptions{PageSize: 2048, Compression: engine.CompressionS2})
	s.apply(put("ada", "1").in("users"), del("a"), delRange("a", "b"), delFrom("z"))
	s.drop("users")
	s.put("large", valueOf("large", 1, 300<<10)) // in two blocks
	inc, _ := backup(t, s.db, &since)
	s.close()
	return inc
}

// resealStream makes the checksums of a backup stream right.
func resealStream(stream []byte) []byte {
	b := bytes.Clone(stream)
	if len(b) < 64 {
		return b
	}
	sum := xxhash.Sum64(b[:56])
	binary.LittleEndian.PutUint64(b[56:], sum)
	for at := 64; at+16 <= len(b); {
		end := at + 16 + int(binary.LittleEndian.Uint32(b[at+8:]))
		if end+8 > len(b) {
			break
		}
		sum = xxhash.Sum64(append(binary.LittleEndian.AppendUint64(nil, sum), b[at:end]...))
		binary.LittleEndian.PutUint64(b[end:], sum)
		at = end + 8
	}
	return b
}

// smallStream is the backup of a database of a few entries.
func smallStream(t testing.TB) []byte {
	db := open(t, dbDir, engine.Options{FS: vfs.NewMem()})
	if _, err := db.CreateKeyspace("users", nil); err != nil {
		t.Fatal(err)
	}
	if err := applyEdits(db, []edit{put("a", "1"), put("", ""), put("ada", "2").in("users")}); err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer
	if _, err := db.Backup(context.Background(), &stream, nil); err != nil {
		t.Fatal(err)
	}
	closeDB(t, db)
	return stream.Bytes()
}

// FuzzBackupRoundTrip makes a database as the bytes say, and compares it with
// what comes of its backup.
func FuzzBackupRoundTrip(f *testing.F) {
	f.Add([]byte("\x03abcdef\x20ghi"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &session{t: t, fs: vfs.NewMem(), opts: small(full), hist: newHistory(), still: true}
		s.open()
		for _, edits := range scriptOf(data) {
			s.apply(edits...)
		}
		var stream bytes.Buffer
		if _, err := s.db.Backup(t.Context(), &stream, nil); err != nil {
			t.Fatal(err)
		}
		s.close()
		disk := vfs.NewMem()
		if _, err := engine.Restore(t.Context(), &stream, dbDir, &engine.RestoreOptions{FS: disk}); err != nil {
			t.Fatal(err)
		}
		db := openOn(t, disk)
		n := len(s.hist.commits) - 1
		if _, err := s.hist.find(db, n, n); err != nil {
			t.Fatal(err)
		}
		closeDB(t, db)
	})
}

// scriptOf reads a script of commits: each starts with a byte that tells its
// kind and the length of its key or bounds.
func scriptOf(data []byte) (commits [][]edit) {
	next := func(n int) string {
		n = min(n, len(data))
		s := string(data[:n])
		data = data[n:]
		return s
	}
	for len(data) > 0 && len(commits) < 50 {
		head := next(1)[0]
		key := next(int(head>>2) & 15)
		switch head & 3 {
		case 0:
			commits = append(commits, []edit{del(key)})
		case 1:
			commits = append(commits, []edit{put(key, strings.Repeat(next(3), int(head)))})
		case 2:
			commits = append(commits, []edit{put(key, next(9)), put(key+"+", "")})
		case 3:
			if end := next(int(head >> 6)); key < end {
				commits = append(commits, []edit{delRange(key, end)})
			}
		}
	}
	return commits
}
