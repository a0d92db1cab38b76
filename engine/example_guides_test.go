package engine_test

import (
	"context"
	"encoding/binary"
	"errors"
	"expvar"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/lightning-db/lightning/engine"
)

// What the guides in README.md and docs/ show of Go is here: a test of
// cmd/lightning holds each block against these files.

// inTempDir calls fn in a directory that is removed at the end.
func inTempDir(fn func(ctx context.Context) error) {
	dir, remove := tempDir()
	defer remove()
	before, err := os.Getwd()
	if err == nil {
		err = os.Chdir(dir)
	}
	if err == nil {
		defer os.Chdir(before)
		err = fn(context.Background())
	}
	if err != nil {
		log.Fatal(err)
	}
}

func ExampleOpen() {
	inTempDir(func(ctx context.Context) error {
		db, err := engine.Open("my.db", nil)
		if err != nil {
			return err
		}
		defer db.Close()
		err = db.Update(ctx, func(tx *engine.Tx) error {
			return tx.Put([]byte("user:1"), []byte(`{"name":"Ada"}`))
		})
		if err != nil {
			return err
		}
		value, err := db.Get([]byte("user:1"))
		fmt.Printf("%s\n", value)
		return err
	})
	// Output: {"name":"Ada"}
}

func ExampleDB_Stats() {
	inTempDir(func(context.Context) error {
		db, err := engine.Open("my.db", nil)
		if err != nil {
			return err
		}
		defer db.Close()
		if expvar.Get("lightning") == nil { // the test may run more than once
			expvar.Publish("lightning", expvar.Func(func() any { return db.Stats() }))
		}

		if err := db.Put([]byte("k"), []byte("v")); err != nil {
			return err
		}
		s := db.Stats()
		fmt.Println(s.Commits, "commit,", s.Views, "snapshots open,", s.Stalls, "stalls")
		return nil
	})
	// Output: 1 commit, 0 snapshots open, 0 stalls
}

// As a program of bbolt would do it.
func ExampleTx_In() {
	inTempDir(func(ctx context.Context) error {
		db, err := engine.Open("my.db", nil)
		if err != nil {
			return err
		}
		defer db.Close()

		users, err := db.CreateKeyspace("users", nil)
		if errors.Is(err, engine.ErrKeyspaceExists) {
			users, err = db.Keyspace("users")
		}
		if err != nil {
			return err
		}
		err = db.Update(ctx, func(tx *engine.Tx) error {
			return tx.In(users).Put([]byte("1"), []byte("Ada"))
		})
		if err != nil {
			return err
		}
		err = db.View(func(tx *engine.Tx) error {
			for k, v := range tx.In(users).ScanPrefix([]byte("1")) {
				fmt.Printf("%s is %s\n", k, v)
			}
			return nil
		})
		return err
	})
	// Output: 1 is Ada
}

// As a program of Badger would do it.
func ExampleDB_Update_counter() {
	inTempDir(func(ctx context.Context) error {
		db, err := engine.Open("my.db", nil)
		if err != nil {
			return err
		}
		defer db.Close()

		visit := func(tx *engine.Tx) error {
			n := 0
			value, err := tx.Get([]byte("visits"))
			if err == nil {
				n, err = strconv.Atoi(string(value))
			}
			if err != nil && !errors.Is(err, engine.ErrNotFound) {
				return err
			}
			return tx.Put([]byte("visits"), []byte(strconv.Itoa(n+1)))
		}
		err = db.Update(ctx, visit)
		if err != nil {
			return err
		}
		value, err := db.Get([]byte("visits"))
		fmt.Printf("%s\n", value)
		return err
	})
	// Output: 1
}

// As a program of Redis would do it with WATCH, MULTI and EXEC.
func ExampleDB_Update_order() {
	errSoldOut := errors.New("sold out")
	inTempDir(func(ctx context.Context) error {
		db, err := engine.Open("my.db", nil)
		if err != nil {
			return err
		}
		defer db.Close()
		if err := db.Put([]byte("stock:7"), []byte("42")); err != nil {
			return err
		}
		err = db.Update(ctx, func(tx *engine.Tx) error {
			value, err := tx.Get([]byte("stock:7"))
			if err != nil {
				return err
			}
			stock, err := strconv.Atoi(string(value))
			if err != nil || stock == 0 {
				return errors.Join(err, errSoldOut)
			}
			return errors.Join(
				tx.Put([]byte("stock:7"), []byte(strconv.Itoa(stock-1))),
				tx.Put([]byte("order:1001"), []byte("7")),
			)
		})
		if err != nil {
			return err
		}
		value, err := db.Get([]byte("stock:7"))
		fmt.Printf("%s left\n", value)
		return err
	})
	// Output: 41 left
}

// What has an end, without expiry.
func ExampleDB_DeleteRange() {
	inTempDir(func(context.Context) error {
		db, err := engine.Open("my.db", nil)
		if err != nil {
			return err
		}
		defer db.Close()
		now := time.Now()
		for _, hoursAgo := range []int64{0, 1, 23, 25, 100} {
			key := binary.BigEndian.AppendUint64([]byte("session:"), uint64(now.Unix()/3600-hoursAgo))
			if err := db.Put(append(key, ":id"...), nil); err != nil {
				return err
			}
		}

		err = expire(db, now)
		if err != nil {
			return err
		}
		n := 0
		err = db.View(func(tx *engine.Tx) error {
			for range tx.ScanPrefix([]byte("session:")) {
				n++
			}
			return nil
		})
		fmt.Println(n, "sessions")
		return err
	})
	// Output: 3 sessions
}

func expire(db *engine.DB, now time.Time) error {
	// session:HOUR:ID, the hour as eight bytes: those before yesterday are one range.
	yesterday := binary.BigEndian.AppendUint64([]byte("session:"), uint64(now.Unix()/3600)-24)
	err := db.DeleteRange([]byte("session:"), yesterday)
	return err
}
