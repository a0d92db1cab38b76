package inspect_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/engine/vfs"
)

func ExampleOpen() {
	fs := vfs.NewMem()
	db, err := engine.Open("my.db", &engine.Options{FS: fs})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	_ = db.Put([]byte("apple"), []byte("red"))
	_ = db.Put([]byte("pear"), []byte("green"))
	_, _ = db.Checkpoint(context.Background())
	_ = db.Delete([]byte("pear"))

	files, err := inspect.Open(fs, "my.db")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer files.Close()
	r := files.NewReader()
	catalog, err := r.Node(files.Meta.Catalog, inspect.CatalogKeyspace, inspect.AnyLevel)
	if err != nil {
		fmt.Println(err)
		return
	}
	space, _ := inspect.DecodeKeyspace(catalog.AppendKey(nil, 0), catalog.Entry(0).Value)
	fmt.Printf("keyspace %d has %d entries of %d bytes\n", space.ID, space.Root.Count, space.Bytes)

	leaf, err := r.Node(space.Root, space.ID, inspect.AnyLevel)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range leaf.Len() {
		e := leaf.Entry(i)
		fmt.Printf("%s = %s\n", leaf.AppendKey(nil, i), e.Value)
	}
	_, _, _ = files.Log(func(rec inspect.Record) error {
		for op := range rec.All() {
			fmt.Printf("then %s %s\n", op.Kind, op.Key)
		}
		return nil
	})
	// Output:
	// keyspace 0 has 2 entries of 17 bytes
	// apple = red
	// pear = green
	// then delete pear
}

func TestDB_ShowsMetasAndSegments(t *testing.T) {
	fs := vfs.NewMem()
	db, err := engine.Open("db", &engine.Options{FS: fs, PageSize: 2048})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := db.Put([]byte("k"), make([]byte, 3000)); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	files, err := inspect.Open(fs, "db")
	if err != nil {
		t.Fatal(err)
	}
	if !files.Pinned() {
		t.Error("no place among the readers")
	}
	m := files.Meta
	older := files.Slots[(m.Generation+1)%2*2]
	if files.Slots[m.Generation%2*2].Meta != m || older.Damage != nil || older.Meta.Generation != m.Generation-1 {
		t.Errorf("have the slots %+v", files.Slots)
	}
	if m.PageSize != 2048 || m.Seq != 3 || m.NextKeyspace != 1 {
		t.Errorf("have the meta %+v", m)
	}
	segments, damages, err := files.Segments()
	if err != nil || len(damages) > 0 || len(segments) == 0 || segments[0].Start > m.LogStart || segments[0].Number != m.LogSegment {
		t.Errorf("have the segments %+v, %v, %v", segments, damages, err)
	}
	list, h, err := files.NewReader().FreeList()
	if err != nil || len(list) == 0 || !h.Padded || h.Kind != inspect.FreeList {
		t.Errorf("have the free list %v, %+v, %v", list, h, err)
	}
	if moved, err := files.Moved(); moved || err != nil {
		t.Errorf("have %v, %v before a checkpoint", moved, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := fs.List("db")
	if err != nil || !slices.Equal(names, []string{"LOCK", "ballast", "btree.db", "wal"}) {
		t.Fatalf("have the files %v, %v", names, err)
	}
}

// As long as the files are open, what they show stays readable, whatever a
// writer does meanwhile.
func TestDB_PinsItsGeneration(t *testing.T) {
	fs := vfs.NewMem()
	db, err := engine.Open("db", &engine.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	write := func(round int) {
		for i := range 100 {
			if err := db.Put(fmt.Appendf(nil, "key %d", i), fmt.Appendf(nil, "value of round %d", round)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := db.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	write(0)
	files, err := inspect.Open(fs, "db")
	if err != nil {
		t.Fatal(err)
	}
	for round := 1; round < 10; round++ {
		write(round)
	}
	if moved, err := files.Moved(); !moved || err != nil {
		t.Errorf("have %v, %v after a checkpoint", moved, err)
	}
	r := files.NewReader()
	catalog, err := r.Node(files.Meta.Catalog, inspect.CatalogKeyspace, inspect.AnyLevel)
	if err != nil {
		t.Fatal(err)
	}
	space, err := inspect.DecodeKeyspace(catalog.AppendKey(nil, 0), catalog.Entry(0).Value)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Node(space.Root, space.ID, inspect.AnyLevel); err != nil {
		t.Fatal(err)
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRecord_All(t *testing.T) {
	fs := vfs.NewMem()
	db, err := engine.Open("db", &engine.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	ks, err := db.CreateKeyspace("fruit", &engine.KeyspaceOptions{PageSize: 2048, Compression: engine.CompressionS2})
	if err != nil {
		t.Fatal(err)
	}
	b := db.NewBatch().In(ks)
	for _, err := range []error{
		b.Put([]byte("a"), []byte("1")), b.Delete([]byte("b")),
		b.DeleteRange([]byte("c"), []byte("d")), b.DeleteRange([]byte("e"), nil),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Apply(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := db.DropKeyspace("fruit"); err != nil {
		t.Fatal(err)
	}
	files, err := inspect.Open(fs, "db")
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	var have []string
	report, damages, err := files.Log(func(r inspect.Record) error {
		for op := range r.All() {
			have = append(have, fmt.Sprintf("%d: %s %d %q %q %v %q %d %d", r.Segment, op.Kind, op.Keyspace, op.Key, op.Value, op.Value == nil, op.Name, op.Codec, op.PageSize))
		}
		return nil
	})
	if err != nil || len(damages) > 0 || report.Records != 3 || report.Operations != 6 || report.Seq != 6 {
		t.Fatalf("have %+v, %v, %v", report, damages, err)
	}
	want := []string{
		`1: create keyspace 1 "" "" true "fruit" 1 2048`,
		`1: set 1 "a" "1" false "" 0 0`,
		`1: delete 1 "b" "" true "" 0 0`,
		`1: delete range 1 "c" "d" false "" 0 0`,
		`1: delete range 1 "e" "" true "" 0 0`,
		`1: drop keyspace 1 "" "" true "" 0 0`,
	}
	if !slices.Equal(have, want) {
		t.Fatalf("have %q\nwant %q", have, want)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
