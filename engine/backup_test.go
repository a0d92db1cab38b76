package engine_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

// entry is a block of one entry whose key and value are short.
func (s *stream) entry(key, value string) *stream {
	b := append([]byte{byte(len(key))}, key...)
	return s.block(2, append(append(b, byte(len(value))), value...))
}

// verifyStream judges a backup, and what Restore makes of it must agree.
func verifyStream(t *testing.T, b []byte) error {
	t.Helper()
	_, err := engine.VerifyBackup(context.Background(), bytes.NewReader(b))
	_, restored := engine.Restore(context.Background(), bytes.NewReader(b), "db", &engine.RestoreOptions{FS: vfs.NewMem()})
	if (err == nil) != (restored == nil) {
		t.Errorf("VerifyBackup says %v, and Restore %v", err, restored)
	}
	return err
}

// The end of a backup tells how much there must have been before it.
func TestBackup_EndMustAgree(t *testing.T) {
	for _, end := range []struct {
		entries, spaces uint64
		good            bool
	}{{2, 1, true}, {1, 1, false}, {3, 1, false}, {2, 2, false}, {2, 0, false}} {
		s := newStream(9).space(0, "").entry("a", "1").entry("b", "2").finish(end.entries, end.spaces)
		if err := verifyStream(t, s.Bytes()); end.good != (err == nil) || !end.good && !errors.Is(err, engine.ErrCorrupt) {
			t.Errorf("2 entries of 1 keyspace, and the end tells %d of %d: %v", end.entries, end.spaces, err)
		}
	}
}

// A block that is whole and in its place, but of another backup, is damage.
func TestBackup_BlockOfAnother(t *testing.T) {
	of := func(value string) []byte {
		return newStream(9).space(0, "").entry("a", value).entry("b", "2").finish(2, 1).Bytes()
	}
	one, other := of("1"), of("!")
	if err := errors.Join(verifyStream(t, one), verifyStream(t, other)); err != nil {
		t.Fatal(err)
	}
	const begin, size = 64 + 16 + 12 + 8, 16 + 4 + 8 // of the first entry's block
	mixed := append(bytes.Clone(one[:begin+size]), other[begin+size:]...)
	if err := verifyStream(t, mixed); !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("the blocks of two backups: %v", err)
	}
}

// A backup of a database in which something cannot be read fails, and what was
// written of it is no backup.
func TestBackup_OfADamagedDatabase(t *testing.T) {
	disk := vfs.NewMem()
	db := openOn(t, disk)
	for _, e := range entriesOf("k", 100, 60) {
		mustPut(t, db, e.key, e.value)
	}
	closeDB(t, db)
	tree := treeBytes(t, disk)
	for _, e := range extents(tree) {
		if e.kind == leafKind && e.keyspace == 0 && bytes.Contains(tree[e.off:e.off+e.size], []byte(valueOf("k", 90, 60))) {
			tree[e.off+e.size-20] ^= 0x10
		}
	}
	setTreeBytes(t, disk, tree)

	db = openOn(t, disk)
	defer db.Close()
	var b bytes.Buffer
	info, err := db.Backup(context.Background(), &b, nil)
	if !errors.Is(err, engine.ErrCorrupt) || info.Entries == 0 {
		t.Errorf("backup after %d entries: %v", info.Entries, err)
	}
	if err := verifyStream(t, b.Bytes()); err == nil {
		t.Error("what there is of the backup passes for a whole one")
	}
}

// However large entries and commits are, a backup that is stopped writes little
// more, and one that is read no further than the block it is at.
func TestBackup_StopsInWhatIsLarge(t *testing.T) {
	disk := vfs.NewMem()
	db := openOn(t, disk)
	defer closeDB(t, db)
	keepLog(t, disk, true)
	mustPut(t, db, "a", "1")
	_, since := backup(t, db, nil)
	for i := range byte(4) {
		value := make([]byte, 6<<20)
		rand.NewChaCha8([32]byte{i}).Read(value)
		mustPut(t, db, string(i), string(value))
	}
	full, _ := backup(t, db, nil)
	for _, since := range []*engine.BackupInfo{nil, &since} {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		written := 0
		w := writerFunc(func(p []byte) (int, error) {
			if ctx.Err() != nil {
				written += len(p)
			}
			if len(p) > 1<<17 { // it is in the midst of a block
				cancel()
			}
			return len(p), nil
		})
		if _, err := db.Backup(ctx, w, &engine.BackupOptions{Since: since}); !errors.Is(err, context.Canceled) || written > 1<<20 {
			t.Errorf("since %v: %v, %d bytes were written after it was stopped", since, err, written)
		}
	}

	ctx, cancel := context.WithCancel(context.Background())
	r := bytes.NewReader(full)
	stop := readerFunc(func(p []byte) (int, error) {
		if len(full)-r.Len() > 1<<20 { // it is in the midst of a block
			cancel()
		}
		return r.Read(p)
	})
	if _, err := engine.VerifyBackup(ctx, stop); !errors.Is(err, context.Canceled) || len(full)-r.Len() > 8<<20 {
		t.Errorf("%v, %d bytes were read", err, len(full)-r.Len())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
