package engine_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

// A listener that has not returned yet misses what does not fit, and is told how
// much that was, in the place where it is missing.
func TestEvents_Lost(t *testing.T) {
	warmUp()
	synctest.Test(t, func(t *testing.T) {
		var events []engine.Event
		goOn := make(chan struct{})
		db := open(t, dbDir, engine.Options{FS: vfs.NewMem(), Events: func(e engine.Event) {
			<-goOn
			events = append(events, e)
		}})
		checkpoint := func() { // two events
			mustPut(t, db, "k", "v")
			if _, err := db.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		const n = 200
		synctest.Wait() // it has got the first
		for range n {
			checkpoint()
		}
		const waiting, lost = 256, 2*n - 256
		if s := db.Stats(); s.EventsLost != lost {
			t.Errorf("%d events are lost, want %d", s.EventsLost, lost)
		}
		close(goOn)
		synctest.Wait()
		checkpoint()
		closeDB(t, db)
		if len(events) != 1+waiting+2+3 { // the last checkpoint, and closing
			t.Fatalf("told of %d events", len(events))
		}
		for i, e := range events {
			want := uint64(0)
			if i == 1+waiting {
				want = lost
			}
			if h := e.Head(); h.Lost != want || i > 0 && h.Time.Before(events[i-1].Head().Time) {
				t.Errorf("event %d, %T: %d lost, want %d; at %v", i, e, h.Lost, want, h.Time)
			}
		}
	})
}

// A listener that panics, or ends its goroutine, is called no more, and nobody
// else notices.
func TestEvents_ListenerPanics(t *testing.T) {
	for want, end := range map[string]func(){"oh": func() { panic("oh") }, "runtime.Goexit": runtime.Goexit} {
		calls := 0
		db := open(t, dbDir, engine.Options{FS: vfs.NewMem(), Events: func(engine.Event) {
			if calls++; calls == 2 {
				end()
			}
		}})
		for range 5 {
			mustPut(t, db, "k", "v")
			if _, err := db.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		closeDB(t, db)
		if s := db.Stats(); s.EventsPanic != want || calls != 2 {
			t.Errorf("called %d times; told %q, want %q", calls, s.EventsPanic, want)
		} else if s.Errors != 1 {
			t.Errorf("it is counted %d times", s.Errors)
		}
	}
}

// A listener that never returns keeps nobody from anything but Close, and that
// for a second; and it is not called again.
func TestEvents_ListenerNeverReturns(t *testing.T) {
	warmUp()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		never := make(chan struct{})
		db := open(t, dbDir, engine.Options{FS: vfs.NewMem(), MemtableBytes: 16 << 10, Events: func(engine.Event) {
			calls++
			<-never
		}})
		for i := range 1000 {
			mustPut(t, db, keyOf("k", i), valueOf("k", i, 100))
		}
		if _, err := db.Compact(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		closeDB(t, db)
		if d := time.Since(began); d > time.Second {
			t.Errorf("Close took %v", d)
		}
		close(never)
		synctest.Wait()
		if calls != 1 {
			t.Errorf("called %d times", calls)
		}
	})
}

// A listener may call the database: it holds nothing that others wait for. Only
// for Close it had better start a goroutine.
func TestEvents_ListenerCallsBack(t *testing.T) {
	warmUp()
	synctest.Test(t, func(t *testing.T) {
		var db *engine.DB
		ready := make(chan struct{})
		checkpoints := 0
		var closed []error
		listen := func(e engine.Event) {
			<-ready
			switch e.(type) {
			case *engine.Opened:
				mustPut(t, db, "from", "the listener")
			case *engine.CheckpointEnded:
				wantValue(t, db, []byte("from"), []byte("the listener"))
				if checkpoints++; checkpoints < 5 {
					mustPut(t, db, "checkpoint", fmt.Sprint(checkpoints))
					if _, err := db.Checkpoint(t.Context()); err != nil {
						t.Error(err)
					}
				} else {
					closed = append(closed, db.Close())
				}
			case *engine.Closed:
				t.Error("called after Close had returned")
			}
		}
		db = open(t, dbDir, engine.Options{FS: vfs.NewMem(), MemtableBytes: 16 << 10, SlowOperation: 1, Events: listen})
		close(ready)
		for i := 0; ; i++ {
			if err := db.Put([]byte(keyOf("k", i)), make([]byte, 1000)); errors.Is(err, engine.ErrClosed) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if checkpoints != 5 || len(closed) != 1 || closed[0] != nil {
			t.Errorf("%d checkpoints, closed: %v", checkpoints, closed)
		}
		if err := db.Close(); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("closed again: %v", err)
		}
	})
}
