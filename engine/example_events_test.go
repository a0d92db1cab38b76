package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/eventlog"
)

// A listener that counts, and wakes somebody for what cannot wait.
func ExampleEvent() {
	inTempDir(func(ctx context.Context) error {
		page := func(why error) { fmt.Println("wake somebody:", why) }
		checkpoints := 0
		db, err := engine.Open("my.db", &engine.Options{Events: func(e engine.Event) {
			switch e := e.(type) {
			case *engine.CheckpointEnded:
				checkpoints++
			case *engine.Corruption:
				page(e.Err)
			case *engine.Failed:
				page(e.Err)
			case *engine.DiskFull:
				page(e.Err)
			case *engine.Closed:
				fmt.Println("closed after", checkpoints, "checkpoint")
			}
		}})
		if err != nil {
			return err
		}
		if err := db.Put([]byte("k"), []byte("v")); err != nil {
			return err
		}
		return db.Close()
	})
	// Output: closed after 1 checkpoint
}

// What happens to a database, in the log of the program.
func ExampleOptions_events() {
	inTempDir(func(ctx context.Context) error {
		logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTimes}))

		db, err := engine.Open("my.db", &engine.Options{
			Events:        eventlog.New(logger.With("db", "my.db")),
			SlowOperation: 100 * time.Millisecond,
		})
		if err != nil {
			return err
		}
		return db.Close()
	})
	// Output:
	// level=INFO msg="database opened" db=my.db path=my.db created=true clean=true commits_recovered=0 operations_recovered=0 log_bytes_read=0 torn_bytes_cut=0
	// level=INFO msg="database closed" db=my.db
}

// withoutTimes leaves out what is another in each run.
func withoutTimes(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == "duration" {
		return slog.Attr{}
	}
	return a
}
