package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

// tempDir is where the examples keep their databases.
func tempDir() (string, func()) {
	dir, err := os.MkdirTemp("", "lightning")
	if err != nil {
		log.Fatal(err)
	}
	return dir, func() { os.RemoveAll(dir) }
}

func Example() {
	dir, remove := tempDir()
	defer remove()

	db, err := engine.Open(filepath.Join(dir, "my.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	if err := db.Put([]byte("user:1"), []byte("Ada")); err != nil {
		log.Fatal(err)
	}
	value, err := db.Get([]byte("user:1"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", value)

	_, err = db.Get([]byte("user:2"))
	fmt.Println(errors.Is(err, engine.ErrNotFound))
	// Output:
	// Ada
	// true
}

func ExampleDB_Update() {
	dir, remove := tempDir()
	defer remove()
	db, err := engine.Open(filepath.Join(dir, "my.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	// Runs again when another transaction changed "visits" meanwhile, so no
	// visit is lost.
	visit := func(tx *engine.Tx) error {
		n := 0
		value, err := tx.Get([]byte("visits"))
		switch {
		case err == nil:
			n, _ = strconv.Atoi(string(value))
		case !errors.Is(err, engine.ErrNotFound):
			return err
		}
		return tx.Put([]byte("visits"), []byte(strconv.Itoa(n+1)))
	}
	for range 3 {
		if err := db.Update(context.Background(), visit); err != nil {
			log.Fatal(err)
		}
	}
	value, err := db.Get([]byte("visits"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", value)
	// Output: 3
}

func ExampleDB_View() {
	dir, remove := tempDir()
	defer remove()
	db, err := engine.Open(filepath.Join(dir, "my.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	for _, name := range []string{"user:ada", "user:bob", "visitor:eve"} {
		if err := db.Put([]byte(name), []byte("here")); err != nil {
			log.Fatal(err)
		}
	}
	err = db.View(func(tx *engine.Tx) error {
		for key, value := range tx.ScanPrefix([]byte("user:")) {
			fmt.Printf("%s is %s\n", key, value)
		}
		return nil // a scan that ended early makes View return why
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// user:ada is here
	// user:bob is here
}

func ExampleDB_Apply() {
	dir, remove := tempDir()
	defer remove()
	db, err := engine.Open(filepath.Join(dir, "my.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	names, err := db.CreateKeyspace("names", nil)
	if err != nil {
		log.Fatal(err)
	}
	b := db.NewBatch()
	err = errors.Join(
		b.Put([]byte("1"), []byte("Ada")),
		b.In(names).Put([]byte("Ada"), []byte("1")), // in one commit with the other
		b.DeleteRange([]byte("tmp:"), []byte("tmp;")),
	)
	if err != nil {
		log.Fatal(err)
	}
	if err := db.Apply(context.Background(), b); err != nil {
		log.Fatal(err)
	}
	value, err := names.Get([]byte("Ada"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", value)
	// Output: 1
}

func ExampleSnapshot() {
	dir, remove := tempDir()
	defer remove()
	db, err := engine.Open(filepath.Join(dir, "my.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	key := []byte("k")
	if err := db.Put(key, []byte("old")); err != nil {
		log.Fatal(err)
	}
	s, err := db.Snapshot()
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	if err := db.Put(key, []byte("new")); err != nil {
		log.Fatal(err)
	}
	before, _ := s.Get(key)
	now, _ := db.Get(key)
	fmt.Printf("%s %s\n", before, now)
	// Output: old new
}

func ExampleIterator() {
	dir, remove := tempDir()
	defer remove()
	db, err := engine.Open(filepath.Join(dir, "my.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	for i := range 5 {
		if err := db.Put([]byte{byte('a' + i)}, nil); err != nil {
			log.Fatal(err)
		}
	}
	s, err := db.Snapshot()
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	it := s.NewIterator(engine.IterOptions{})
	defer it.Close()
	for ok := it.SeekLT([]byte("d")); ok; ok = it.Prev() {
		fmt.Printf("%s ", it.Key())
	}
	if err := it.Err(); err != nil {
		log.Fatal(err)
	}
	// Output: c b a
}

func ExampleDB_Backup() {
	dir, remove := tempDir()
	defer remove()
	ctx := context.Background()
	db, err := engine.Open(filepath.Join(dir, "my.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := db.Put([]byte("k"), []byte("v")); err != nil {
		log.Fatal(err)
	}

	var stream bytes.Buffer // a file, a pipe, a network connection
	if _, err := db.Backup(ctx, &stream, nil); err != nil {
		log.Fatal(err)
	}
	info, err := engine.Restore(ctx, &stream, filepath.Join(dir, "copy.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Entries, "entry")
	// Output: 1 entry
}

func ExampleDB_Backup_incremental() {
	dir, remove := tempDir()
	defer remove()
	ctx := context.Background()
	db, err := engine.Open(filepath.Join(dir, "my.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := engine.KeepLog(vfs.OS(), db.Path(), true); err != nil { // once
		log.Fatal(err)
	}

	var full, increment bytes.Buffer
	sunday, err := db.Backup(ctx, &full, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, value := range []string{"a", "b", "c"} {
		if err := db.Put([]byte("k"), []byte(value)); err != nil {
			log.Fatal(err)
		}
	}
	monday, err := db.Backup(ctx, &increment, &engine.BackupOptions{Since: &sunday})
	if err != nil {
		log.Fatal(err)
	}

	info, err := engine.Restore(ctx, &full, filepath.Join(dir, "before.db"), &engine.RestoreOptions{
		Apply: []io.Reader{&increment},
		ToSeq: monday.Seq - 1,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(monday.Commits, "commits,", info.Commits, "restored")
	// Output: 3 commits, 2 restored
}

func ExampleDB_Changes() {
	dir, remove := tempDir()
	defer remove()
	db, err := engine.Open(filepath.Join(dir, "my.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	changes, err := db.Changes(1)
	if err != nil {
		log.Fatal(err)
	}
	defer changes.Close()
	if err := db.Put([]byte("k"), []byte("v")); err != nil {
		log.Fatal(err)
	}
	c, err := changes.Next() // io.EOF when there is none yet
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d %s=%s\n", c.Seq, c.Ops[0].Key, c.Ops[0].Value)
	// Output: 1 k=v
}

func ExampleDB_Begin() {
	dir, remove := tempDir()
	defer remove()
	ctx := context.Background()
	db, err := engine.Open(filepath.Join(dir, "my.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	key := []byte("k")
	tx, err := db.Begin(engine.TxOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer tx.Rollback() // does nothing after Commit
	if _, err := tx.Has(key); err != nil {
		log.Fatal(err)
	}
	if err := db.Put(key, []byte("from elsewhere")); err != nil {
		log.Fatal(err)
	}
	if err := tx.Put(key, []byte("from here")); err != nil {
		log.Fatal(err)
	}
	// It has read what another commit has changed since: begin anew. Update
	// does so by itself.
	fmt.Println(errors.Is(tx.Commit(ctx), engine.ErrConflict))
	// Output: true
}

func ExampleDB_MultiGet() {
	dir, remove := tempDir()
	defer remove()
	db, err := engine.Open(filepath.Join(dir, "my.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := db.Put([]byte("a"), []byte("1")); err != nil {
		log.Fatal(err)
	}
	values, err := db.MultiGet([]byte("a"), []byte("b"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q %v\n", values[0], values[1] == nil)
	// Output: "1" true
}

func ExampleDB_AppendValue() {
	dir, remove := tempDir()
	defer remove()
	db, err := engine.Open(filepath.Join(dir, "my.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	for _, key := range []string{"a", "b"} {
		if err := db.Put([]byte(key), []byte("value of "+key)); err != nil {
			log.Fatal(err)
		}
	}
	var buffer []byte // one for all reads
	for _, key := range []string{"a", "b"} {
		buffer, err = db.AppendValue(buffer[:0], []byte(key))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", buffer)
	}
	// Output:
	// value of a
	// value of b
}

func ExampleDB_Refresh() {
	dir, remove := tempDir()
	defer remove()
	path := filepath.Join(dir, "my.db")
	writer, err := engine.Open(path, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer writer.Close()

	// Mostly in another process.
	reader, err := engine.Open(path, &engine.Options{ReadOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	defer reader.Close()

	if err := writer.Put([]byte("k"), []byte("v")); err != nil {
		log.Fatal(err)
	}
	before, err := reader.Has([]byte("k"))
	if err != nil {
		log.Fatal(err)
	}
	if err := reader.Refresh(); err != nil {
		log.Fatal(err)
	}
	after, err := reader.Has([]byte("k"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(before, after)
	// Output: false true
}

func ExampleLockedError() {
	dir, remove := tempDir()
	defer remove()
	path := filepath.Join(dir, "my.db")
	db, err := engine.Open(path, &engine.Options{Holder: "the example"})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	// At once, or after Options.LockWait.
	_, err = engine.Open(path, nil)
	if locked, ok := errors.AsType[*engine.LockedError](err); ok {
		fmt.Println(locked.Holder == fmt.Sprintf("pid %d (the example)", os.Getpid()))
	}
	// Output: true
}

// What to do about an error.
func ExampleClassOf() {
	dir, remove := tempDir()
	defer remove()
	db, err := engine.Open(filepath.Join(dir, "my.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	late, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	err = db.Update(late, func(tx *engine.Tx) error { return tx.Put([]byte("k"), []byte("v")) })
	if err == nil { // only then it was done: a context that was done first is an answer, too
		fmt.Println("done")
		return
	}
	switch class := engine.ClassOf(err); class {
	case engine.ClassAnswer: // nothing is wrong, and nothing was written
		fmt.Println("not done:", err)
	case engine.ClassRetry: // again, in a moment
	case engine.ClassEnvironment, engine.ClassReopen: // call somebody
	case engine.ClassRestore: // bring the backup
	default: // the program, or what it was given, is wrong
		log.Fatal(class, err)
	}
	// Output: not done: context deadline exceeded
}

// A transaction of Begin that is made again when another got in its way.
func ExampleRetry() {
	dir, remove := tempDir()
	defer remove()
	db, err := engine.Open(filepath.Join(dir, "my.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = engine.Retry(ctx, func() error {
		tx, err := db.Begin(engine.TxOptions{Isolation: engine.SnapshotIsolation})
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if err := tx.Put([]byte("k"), []byte("v")); err != nil {
			return err
		}
		return tx.Commit(ctx)
	})
	fmt.Println(err)
	// Output: <nil>
}

// A service that is told to stop, and killed ten seconds later.
func ExampleDB_CloseContext() {
	dir, remove := tempDir()
	defer remove()
	db, err := engine.Open(filepath.Join(dir, "my.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	err = db.CloseContext(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		log.Print("closed; the next start takes longer")
	} else if err != nil {
		log.Fatal(err)
	}
	// Output:
}
