package engine_test

import (
	"errors"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

// The zero batch is an empty one.
func TestBatch_ZeroValue(t *testing.T) {
	db := open(t, "db", engine.Options{FS: vfs.NewMem()})
	defer closeDB(t, db)
	other := open(t, "other", engine.Options{FS: vfs.NewMem()})
	defer closeDB(t, other)
	ks, err := db.CreateKeyspace("logs", nil)
	if err != nil {
		t.Fatal(err)
	}
	var b engine.Batch
	b.Reset()
	if b.Len() != 0 || b.Bytes() != 0 {
		t.Errorf("%d operations, %d bytes", b.Len(), b.Bytes())
	}
	if err := db.Apply(t.Context(), &engine.Batch{}); err != nil {
		t.Error(err)
	}
	for _, err := range []error{
		b.Put([]byte("a"), []byte("1")), b.Put([]byte("b"), nil), b.Delete([]byte("b")), b.DeleteRange([]byte("c"), nil),
		other.Apply(t.Context(), &b), // nothing in it is of one database
		new(engine.Batch).Delete([]byte("x")), new(engine.Batch).DeleteRange([]byte("x"), nil),
		b.In(ks).Put([]byte("in logs"), []byte("2")),
		db.Apply(t.Context(), &b),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	wantValue(t, db, []byte("a"), []byte("1"))
	wantValue(t, other, []byte("a"), []byte("1"))
	if value, err := ks.Get([]byte("in logs")); err != nil || string(value) != "2" {
		t.Errorf("%q, %v", value, err)
	}
	if err := other.Apply(t.Context(), &b); !errors.Is(err, engine.ErrNoKeyspace) {
		t.Errorf("with a keyspace of another database: %v", err)
	}
}
