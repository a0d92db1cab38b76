package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/stress"
	"github.com/lightning-db/lightning/stress/expect"
)

// load is a program that has a database and is at work: the test's own, which
// runs as lightning-load, with this as JSON for its argument. Four goroutines
// put, get, scan, delete and transact in Keys keys, and hold each answer against
// what they did; one puts records in the order of keys, gets old ones, and
// deletes the oldest by ranges; one makes checkpoints and backups.
type load struct {
	DB, Expected string
	For          time.Duration
	Keys         int // that are worked on, of up to 1,024 bytes
	Records      int // of 1 KiB, that are kept
	PerSecond    int // of these records are put
	Options      engine.Options
}

// loadWord is what the program prints, a line a second, and at the end.
type loadWord struct {
	Found       []engine.HealthFinding
	Error       string // with which it ended
	Done        bool   // it ended well, all that the database holds being what it must
	Ops         int64  // of KV
	Records     int    // that are there at the end
	Backups     int64
	Checkpoints uint64
	Longest     time.Duration // of the checkpoints
	Stalled     time.Duration
	Resident    int64 // memory of the process, in bytes: its peak, as the system says
}

func runLoad() {
	stress.EndWithParent()
	var l load
	err := json.Unmarshal([]byte(os.Args[1]), &l)
	var word loadWord
	if err == nil {
		word, err = l.run()
	}
	if word.Done = err == nil; err != nil {
		word.Error = err.Error()
	}
	word.print()
}

func (w *loadWord) print() {
	text, err := json.Marshal(w)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s\n", text)
}

func (l *load) run() (word loadWord, err error) {
	states, err := expect.Open(l.Expected, l.Keys)
	if err != nil {
		return word, err
	}
	var longest atomic.Int64
	l.Options.Events = func(e engine.Event) { // one call at a time
		if c, ok := e.(*engine.CheckpointEnded); ok {
			longest.Store(max(longest.Load(), int64(c.Duration)))
		}
	}
	db, err := engine.Open(l.DB, &l.Options)
	if err != nil {
		return word, err
	}
	archive, err := db.CreateKeyspace("archive", nil)
	if err != nil {
		return word, err
	}
	kv := &stress.KV{Seed: 1, States: states, Sizes: [2]int{expect.MinValue, 1024}, Mix: stress.StandardMix}
	kv.Use(db)
	ctx, stop := context.WithTimeout(context.Background(), l.For)
	defer stop()
	var wg sync.WaitGroup
	failed := make(chan error, 1)
	work := func(step func() error) {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := step(); err != nil && !errors.Is(err, ctx.Err()) {
					select {
					case failed <- err:
					default: // another one was first
					}
					stop()
				}
			}
		})
	}
	for i := range 4 {
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		work(func() error { return kv.Step(ctx, rng) })
	}
	r := loadRecords{load: l, db: db, in: archive, began: time.Now(), rng: rand.New(rand.NewPCG(2, 2))}
	work(func() error { return r.step(ctx) })
	var backups atomic.Int64
	work(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(l.For / 10):
		}
		if _, err := db.Checkpoint(ctx); err != nil {
			return err
		}
		_, err := db.Backup(ctx, io.Discard, nil)
		if err == nil {
			backups.Add(1)
		}
		return err
	})
	look := func() error {
		h, err := db.Health()
		s := db.Stats()
		word = loadWord{
			Found: h.Findings, Ops: kv.Ops.Load(), Backups: backups.Load(), Checkpoints: s.Checkpoints,
			Longest: time.Duration(longest.Load()), Stalled: s.StallTime, Resident: peakResident(),
		}
		return err
	}
	for tick := time.Tick(time.Second); ctx.Err() == nil && err == nil; {
		select {
		case <-tick:
			err = look()
			word.print()
		case <-ctx.Done():
		}
	}
	stop()
	wg.Wait()
	select {
	case e := <-failed:
		err = errors.Join(err, e)
	default:
	}
	err = errors.Join(err, look(), kv.VerifyAll(db), r.verify())
	word.Records = r.next - r.first
	return word, errors.Join(err, db.Close(), states.Close())
}

// peakResident is the most memory that this process had, where Linux tells it.
func peakResident() (bytes int64) {
	text, _ := os.ReadFile("/proc/self/status")
	_, line, _ := strings.Cut(string(text), "VmHWM:")
	_, _ = fmt.Sscan(line, &bytes) // in KiB
	return bytes << 10
}

// loadRecords are numbered; those from first to before next are there.
type loadRecords struct {
	*load
	db          *engine.DB
	in          *engine.Keyspace
	began       time.Time
	rng         *rand.Rand
	first, next int
}

func recordKey(n int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// recordValue is 1 KiB that does not compress.
func recordValue(n int) []byte {
	value := make([]byte, 1024)
	for rng, i := rand.NewPCG(3, uint64(n)), 0; i < len(value); i += 8 {
		binary.LittleEndian.PutUint64(value[i:], rng.Uint64())
	}
	return value
}

// step puts 64 records, once it is time for them, and deletes as many where there
// are enough.
func (r *loadRecords) step(ctx context.Context) error {
	due := r.began.Add(time.Duration(r.next) * time.Second / time.Duration(r.PerSecond))
	if wait := time.Until(due); wait > 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
	const n = 64
	first := max(r.first, r.next+n-r.Records)
	b := r.db.NewBatch()
	in := b.In(r.in)
	if first > r.first {
		if err := in.DeleteRange(recordKey(r.first), recordKey(first)); err != nil {
			return err
		}
	}
	for i := range n {
		if err := in.Put(recordKey(r.next+i), recordValue(r.next+i)); err != nil {
			return err
		}
	}
	if err := r.db.Apply(ctx, b); err != nil {
		return err
	}
	r.first, r.next = first, r.next+n
	return r.check(r.first + r.rng.IntN(r.next-r.first))
}

func (r *loadRecords) check(n int) error {
	value, err := r.in.Get(recordKey(n))
	if err == nil && !bytes.Equal(value, recordValue(n)) {
		err = fmt.Errorf("record %d: wrong value", n)
	}
	return err
}

// verify reads all records.
func (r *loadRecords) verify() error {
	s, err := r.db.Snapshot()
	if err != nil {
		return err
	}
	defer s.Close()
	n := r.first
	for key, value := range s.In(r.in).Scan(nil, nil) {
		if !bytes.Equal(key, recordKey(n)) || !bytes.Equal(value, recordValue(n)) {
			return fmt.Errorf("record %d is wrong or missing", n)
		}
		n++
	}
	if err := s.Err(); err != nil || n != r.next {
		return fmt.Errorf("records end at %d, want %d: %v", n, r.next, err)
	}
	return nil
}
