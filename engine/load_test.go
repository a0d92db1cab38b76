package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

// numbered returns n entries in order, with a large value now and then, and one
// that is larger than what is handed over at a time.
func numbered(n int) func() ([]byte, []byte, error) {
	i := -1
	return func() ([]byte, []byte, error) {
		if i++; i == n {
			return nil, nil, io.EOF
		}
		value := fmt.Sprintf("value %d", i)
		if i%1000 == 7 {
			value = strings.Repeat(value, 5000)
		}
		if i == 20_000 {
			value = strings.Repeat(value, 500_000)
		}
		return fmt.Appendf(nil, "key%09d", i), []byte(value), nil
	}
}

func TestLoad_MakesADatabase(t *testing.T) {
	for _, n := range []int{0, 1, 2, 50_000} {
		fsys := vfs.NewMem()
		if err := engine.Load(t.Context(), "db", &engine.RestoreOptions{FS: fsys}, numbered(n)); err != nil {
			t.Fatal(err)
		}
		db, err := engine.Open("db", &engine.Options{FS: fsys, MustExist: true})
		if err != nil {
			t.Fatal(err)
		}
		next, have := numbered(n), 0
		err = db.View(func(tx *engine.Tx) error {
			for key, value := range tx.Scan(nil, nil) {
				wantKey, wantValue, _ := next()
				if string(key) != string(wantKey) || string(value) != string(wantValue) {
					t.Fatalf("entry %d: have %s", have, key)
				}
				have++
			}
			return nil
		})
		if err != nil || have != n {
			t.Errorf("have %d entries, %v, want %d", have, err, n)
		}
		if err := db.Put([]byte("key000000000"), []byte("new")); err != nil { // it is one like any other
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if err := engine.Load(t.Context(), "db", &engine.RestoreOptions{FS: fsys}, numbered(1)); !errors.Is(err, engine.ErrExists) {
			t.Errorf("again: have %v, want ErrExists", err)
		}
	}
}

// A node may hold entries of more than a block of what is handed over: keys that
// begin alike, or whose values are stored elsewhere. An edit that did not copy
// them, and used the memory of a block again when two more were taken, made
// damaged databases, and no other test saw it.
func TestLoad_NodeOfMoreThanABlock(t *testing.T) {
	for name, entry := range map[string]func(i int) (key, value []byte){
		"keys": func(i int) ([]byte, []byte) {
			return fmt.Appendf(nil, "%s%04x", strings.Repeat("k", 2000), i), nil
		},
		"values": func(i int) ([]byte, []byte) {
			return fmt.Appendf(nil, "%06d", i), fmt.Appendf(nil, "%012000d", i)
		},
		"both, now and then": func(i int) ([]byte, []byte) {
			return fmt.Appendf(nil, "%06d", i), fmt.Appendf(nil, "%0*d", 1+i/300%3*6000, i)
		},
	} {
		const n = 4000
		fsys := vfs.NewMem()
		i := -1
		err := engine.Load(t.Context(), "db", &engine.RestoreOptions{FS: fsys}, func() (key, value []byte, err error) {
			if i++; i == n {
				return nil, nil, io.EOF
			}
			key, value = entry(i)
			return key, value, nil
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		db, err := engine.Open("db", &engine.Options{FS: fsys, MustExist: true})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		have := 0
		err = db.View(func(tx *engine.Tx) error {
			for key, value := range tx.Scan(nil, nil) {
				if wantKey, wantValue := entry(have); string(key) != string(wantKey) || string(value) != string(wantValue) {
					t.Fatalf("%s: entry %d: have another one", name, have)
				}
				have++
			}
			return nil
		})
		if err != nil || have != n {
			t.Errorf("%s: have %d entries, %v, want %d", name, have, err, n)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Whatever ends a load, no database is there, and the next load may begin.
func TestLoad_Fails_LeavesNothing(t *testing.T) {
	fsys := vfs.NewMem()
	ctx, cancel := context.WithCancel(t.Context())
	mine := errors.New("mine")
	after := func(n int, key string, err error) func() ([]byte, []byte, error) {
		good := numbered(n)
		return func() ([]byte, []byte, error) {
			if k, v, end := good(); end == nil {
				return k, v, nil
			}
			cancel()
			return []byte(key), nil, err
		}
	}
	for name, next := range map[string]func() ([]byte, []byte, error){
		"out of order": after(5000, "key", nil),
		"twice":        after(1, "key000000000", nil),
		"too large":    after(5000, strings.Repeat("l", engine.MaxKeySize+1), nil),
		"an error":     after(5000, "", mine),
	} {
		if err := engine.Load(t.Context(), "db", &engine.RestoreOptions{FS: fsys}, next); err == nil || name == "an error" && !errors.Is(err, mine) {
			t.Errorf("%s: have %v", name, err)
		}
		if _, err := fsys.Stat("db"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a database is there", name)
		}
	}
	if err := engine.Load(ctx, "db", &engine.RestoreOptions{FS: fsys}, numbered(5000)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: have %v", err)
	}
	if err := engine.Load(t.Context(), "db", &engine.RestoreOptions{FS: fsys}, numbered(10)); err != nil {
		t.Error(err)
	}
}

// A panic of next is the caller's; what was made so far goes, and the goroutine
// that made it has ended.
func TestLoad_NextPanics(t *testing.T) {
	fsys := vfs.NewMem()
	for _, n := range []int{0, 10, 100_000} {
		good, left := numbered(n), n
		func() {
			defer func() {
				if p := recover(); p != "mine" {
					t.Errorf("%d: have %v", n, p)
				}
			}()
			err := engine.Load(t.Context(), "db", &engine.RestoreOptions{FS: fsys}, func() ([]byte, []byte, error) {
				if left--; left < 0 {
					panic("mine")
				}
				return good()
			})
			t.Errorf("%d: it returned %v", n, err)
		}()
		for _, name := range []string{"db", "db.partial"} {
			if _, err := fsys.Stat(name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%d: %s is there", n, name)
			}
		}
	}
	if err := engine.Load(t.Context(), "db", &engine.RestoreOptions{FS: fsys}, numbered(10)); err != nil {
		t.Error(err)
	}
}

// Of two who make the same database at once the second is told so. It made its
// files in the place of the first one's, which then got a name with them, and
// nobody said that anything was wrong.
func TestLoad_TwoAtOnce(t *testing.T) {
	for name, fsys := range map[string]vfs.FS{"memory": vfs.NewMem(), "disk": vfs.OS()} {
		dir := "db"
		if name == "disk" {
			dir = filepath.Join(t.TempDir(), dir)
		}
		o := &engine.RestoreOptions{FS: fsys}
		next, once := numbered(3000), false
		err := engine.Load(t.Context(), dir, o, func() ([]byte, []byte, error) {
			if !once {
				once = true
				if err := engine.Load(t.Context(), dir, o, numbered(10)); !errors.Is(err, engine.ErrLocked) {
					t.Errorf("%s: the second: %v, want ErrLocked", name, err)
				}
			}
			return next()
		})
		if err != nil {
			t.Errorf("%s: the first: %v", name, err)
		}
		db, err := engine.Open(dir, &engine.Options{FS: fsys, MustExist: true})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if n := db.Stats().Entries; n != 3000 {
			t.Errorf("%s: %d entries, want 3000", name, n)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}
