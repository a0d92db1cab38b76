package engine_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

// openIn opens the database dir in disk, and closes it with the test.
func openIn(t *testing.T, disk vfs.FS, dir string, o engine.Options) *engine.DB {
	t.Helper()
	o.FS = disk
	db, err := engine.Open(dir, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// must returns a value that comes without an error.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// wantError checks what an error is, and what it says.
func wantError(t *testing.T, call string, err, target error, text string) {
	t.Helper()
	if !errors.Is(err, target) || !strings.Contains(err.Error(), text) {
		t.Errorf("%s = %v, want %q, an error that is %q", call, err, text, target)
	}
}

// A newcomer found "closed" in a log, and nothing about what was.
func TestErrClosed_SaysWhatIsClosed(t *testing.T) {
	const (
		dbClosed   = "the database is closed"
		txOver     = "the transaction is over"
		snapClosed = "the snapshot is closed"
		iterClosed = "the iterator is closed"
	)
	disk := vfs.NewMem()
	db := openIn(t, disk, "db", engine.Options{})
	k := []byte("k")
	if err := db.Put(k, k); err != nil {
		t.Fatal(err)
	}
	check := func(call string, err error, text string) {
		t.Helper()
		wantError(t, call, err, engine.ErrClosed, text)
	}

	tx := must(db.Begin(engine.TxOptions{}))
	it := tx.NewIterator(engine.IterOptions{})
	it.First()
	tx.Rollback()
	check("Tx.Get", second(tx.Get(k)), txOver)
	check("Tx.Has", second(tx.Has(k)), txOver)
	check("Tx.Put", tx.Put(k, k), txOver)
	check("Tx.Commit", tx.Commit(context.Background()), txOver)
	check("Tx.Split", second(tx.Split(nil, nil, 2)), txOver)
	it.Next()
	check("Iterator.Err of a transaction that is over", it.Err(), txOver)
	check("Tx.NewIterator", tx.NewIterator(engine.IterOptions{}).Err(), txOver)

	s := must(db.Snapshot())
	it = s.NewIterator(engine.IterOptions{})
	s.Close()
	check("Snapshot.Get", second(s.Get(k)), snapClosed)
	it.First()
	check("Iterator.Err of a closed snapshot", it.Err(), snapClosed)

	s = must(db.Snapshot())
	it = s.NewIterator(engine.IterOptions{})
	_ = it.Close()
	it.First()
	check("Iterator.Err", it.Err(), iterClosed)

	changes, open := must(db.Changes(0)), must(db.Changes(0))
	if err := changes.Close(); err != nil {
		t.Fatal(err)
	}
	check("Changes.Next", second(changes.Next()), "the reader of changes is closed") // it was a panic
	if err := changes.Close(); err != nil {
		t.Errorf("Changes.Close again = %v", err)
	}
	defer open.Close()

	tx = must(db.Begin(engine.TxOptions{}))
	it = s.NewIterator(engine.IterOptions{})
	ks := must(db.CreateKeyspace("other", nil))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	it.First()
	check("Iterator.Err", it.Err(), dbClosed)
	check("Snapshot.Get", second(s.Get(k)), dbClosed)
	check("Tx.Put", tx.Put(k, k), dbClosed)
	check("Keyspace.Get", second(ks.Get(k)), dbClosed)
	check("DB.Get", second(db.Get(k)), dbClosed)
	check("DB.Has", second(db.Has(k)), dbClosed)
	check("DB.MultiGet", second(db.MultiGet(k)), dbClosed)
	check("DB.Put", db.Put(k, k), dbClosed)
	check("DB.Delete", db.Delete(k), dbClosed)
	check("DB.DeleteRange", db.DeleteRange(k, nil), dbClosed)
	check("DB.Apply", db.Apply(context.Background(), db.NewBatch()), dbClosed)
	check("DB.Begin", second(db.Begin(engine.TxOptions{ReadOnly: true})), dbClosed)
	check("DB.Update", db.Update(context.Background(), func(*engine.Tx) error { return nil }), dbClosed)
	check("DB.Snapshot", second(db.Snapshot()), dbClosed)
	check("DB.Keyspace", second(db.Keyspace("")), dbClosed)
	check("DB.Keyspaces", second(db.Keyspaces()), dbClosed)
	check("DB.Changes", second(db.Changes(0)), dbClosed)
	check("DB.Health", second(db.Health()), dbClosed)
	check("DB.Compact", second(db.Compact(context.Background())), dbClosed)
	check("DB.Checkpoint", second(db.Checkpoint(context.Background())), dbClosed)
	check("DB.Sync", db.Sync(), dbClosed)
	check("DB.WriteMetrics", db.WriteMetrics(io.Discard), dbClosed)
	check("DB.Close", db.Close(), dbClosed)
}

func TestErrReadOnly_SaysWhatIsReadOnly(t *testing.T) {
	disk := vfs.NewMem()
	db := openIn(t, disk, "db", engine.Options{})
	k := []byte("k")
	tx := must(db.Begin(engine.TxOptions{ReadOnly: true}))
	wantError(t, "Tx.Put", tx.Put(k, k), engine.ErrReadOnly, "the transaction is read-only")
	tx.Rollback()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openIn(t, disk, "db", engine.Options{ReadOnly: true})
	const text = "the database is open read-only"
	wantError(t, "DB.Put", db.Put(k, k), engine.ErrReadOnly, text)
	wantError(t, "DB.Begin", second(db.Begin(engine.TxOptions{})), engine.ErrReadOnly, text)
	wantError(t, "DB.Changes", second(db.Changes(0)), engine.ErrReadOnly, text)
}

func TestErrNoKeyspace_SaysWhich(t *testing.T) {
	disk := vfs.NewMem()
	ctx := context.Background()
	db, other := openIn(t, disk, "db", engine.Options{}), openIn(t, disk, "other", engine.Options{})
	k := []byte("k")
	foreign := must(other.CreateKeyspace("foreign", nil))
	check := func(call string, err error, text string) {
		t.Helper()
		wantError(t, call, err, engine.ErrNoKeyspace, text)
	}

	tx, s := must(db.Begin(engine.TxOptions{})), must(db.Snapshot())
	defer s.Close()
	check("Tx.In.Put", tx.In(foreign).Put(k, k), "another database")
	check("Tx.In.Get", second(tx.In(foreign).Get(k)), "another database")
	check("Snapshot.In.Get", second(s.In(foreign).Get(k)), "another database")
	b := db.NewBatch()
	_ = b.In(foreign).Put(k, k)
	check("Apply", db.Apply(ctx, b), "another database")

	gone := must(db.CreateKeyspace("gone", nil))
	check("Snapshot.In.Get", second(s.In(gone).Get(k)), "was not there yet")
	later := must(db.Begin(engine.TxOptions{}))
	if err := later.In(gone).Put(k, k); err != nil {
		t.Fatal(err)
	}
	if err := db.DropKeyspace("gone"); err != nil {
		t.Fatal(err)
	}
	check("Commit", later.Commit(ctx), "it was dropped")
	for call, err := range map[string]error{
		"Get": second(gone.Get(k)), "Has": second(gone.Has(k)), "MultiGet": second(gone.MultiGet(k)),
		"Put": gone.Put(k, k), "Delete": gone.Delete(k), "DeleteRange": gone.DeleteRange(k, nil),
	} {
		check(call, err, `no such keyspace: "gone"`)
	}
}

// What must be there and is nil was a panic in some places.
func TestNilArguments_AreErrors(t *testing.T) {
	disk := vfs.NewMem()
	ctx := context.Background()
	db := openIn(t, disk, "db", engine.Options{})
	k := []byte("k")
	var stream bytes.Buffer
	info, err := db.Backup(ctx, &stream, nil)
	if err != nil {
		t.Fatal(err)
	}
	restored := func(name string, r io.Reader, apply ...io.Reader) error {
		o := &engine.RestoreOptions{FS: disk, Apply: apply}
		err := second(engine.Restore(ctx, r, name, o))
		if _, e := disk.Stat(name); e == nil {
			t.Errorf("Restore made %s", name)
		}
		return err
	}
	tx, s := must(db.Begin(engine.TxOptions{})), must(db.Snapshot())
	defer tx.Rollback()
	defer s.Close()
	var it error
	for range tx.In(nil).Scan(nil, nil) {
		t.Error("a keyspace that is nil has an entry")
	}
	it = tx.Err()
	for call, fn := range map[string]func() error{
		"Backup":             func() error { return second(db.Backup(ctx, nil, nil)) },
		"WriteMetrics":       func() error { return db.WriteMetrics(nil) },
		"WriteFileMetrics":   func() error { return db.WriteFileMetrics(nil) },
		"WriteMetrics of it": func() error { return engine.WriteMetrics(io.Discard, nil) },
		"ReadBackupInfo":     func() error { return second(engine.ReadBackupInfo(nil)) },
		"VerifyBackup":       func() error { return second(engine.VerifyBackup(ctx, nil)) },
		"Restore":            func() error { return restored("a", nil) },
		"Restore, Apply":     func() error { return restored("b", bytes.NewReader(stream.Bytes()), nil) },
		"Follows":            func() error { return info.Follows(nil) },
		"Load":               func() error { return engine.Load(ctx, "c", &engine.RestoreOptions{FS: disk}, nil) },
		"Remove":             func() error { return engine.Remove(nil, "d") },
		"KeepLog":            func() error { return engine.KeepLog(nil, "d", true) },
		"KeepsLog":           func() error { _, _, err := engine.KeepsLog(nil, "d"); return err },
		"NewPin":             func() error { return second(engine.NewPin(nil, "d")) },
		"Retry":              func() error { return engine.Retry(ctx, nil) },
		"Update":             func() error { return db.Update(ctx, nil) },
		"View":               func() error { return db.View(nil) },
		"Apply":              func() error { return db.Apply(ctx, nil) },
		"Tx.In.Put":          func() error { return tx.In(nil).Put(k, k) },
		"Tx.In.DeleteRange":  func() error { return tx.In(nil).DeleteRange(k, nil) },
		"Tx.In.Get":          func() error { return second(tx.In(nil).Get(k)) },
		"Tx.In.Scan":         func() error { return it },
		"Snapshot.In.Get":    func() error { return second(s.In(nil).Get(k)) },
		"Snapshot.In.Split":  func() error { return second(s.In(nil).Split(nil, nil, 2)) },
		"Batch.In": func() error {
			b := db.NewBatch()
			_ = b.In(nil).Put(k, k)
			return db.Apply(ctx, b)
		},
		"Batch.In of a batch of no database": func() error {
			var b engine.Batch
			_ = b.In(nil).Put(k, k)
			return db.Apply(ctx, &b)
		},
	} {
		func() {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("%s with nil panics: %v", call, r)
				}
			}()
			wantError(t, call, fn(), engine.ErrInvalid, "nil")
		}()
	}
	if _, err := db.Get(k); err != engine.ErrNotFound {
		t.Errorf("after it Get = %v, want ErrNotFound", err)
	}
}

// A transaction whose only Put had failed, since the database was closed, passed
// for committed.
func TestTx_Commit_WithoutWritesAfterClose(t *testing.T) {
	ctx := context.Background()
	for name, fn := range map[string]func(*engine.Tx){
		"empty":  func(*engine.Tx) {},
		"failed": func(tx *engine.Tx) { _ = tx.Put([]byte("k"), nil) },
	} {
		for _, readOnly := range []bool{false, true} {
			db := openIn(t, vfs.NewMem(), "db", engine.Options{})
			tx := must(db.Begin(engine.TxOptions{ReadOnly: readOnly}))
			before := must(db.Begin(engine.TxOptions{ReadOnly: readOnly}))
			if err := before.Commit(ctx); err != nil {
				t.Errorf("%s: Commit while the database is open = %v", name, err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			fn(tx)
			wantError(t, name+": Commit", tx.Commit(ctx), engine.ErrClosed, "the database is closed")
			wantError(t, name+": Commit again", tx.Commit(ctx), engine.ErrClosed, "the transaction is over")
		}
	}
}
