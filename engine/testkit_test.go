package engine_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
	"github.com/lightning-db/lightning/internal/figure"
	"github.com/lightning-db/lightning/verify"
)

// What the tests of crashes, input/output errors and damaged bytes share: a
// database that is worked on beside its model (session), and how the scenarios
// are run.

var faultSeed = flag.Int64("fault.seed", 1, "seed of the tests of crashes, input/output errors and damage")

// dbDir is where the tests keep their database.
const dbDir = "db"

// session is a database that a scenario works on, beside its history. Its
// steps tolerate errors when some are to be expected, and then keep the
// history to what each error says of its commit.
type session struct {
	t    testing.TB
	fs   vfs.FS
	now  func() int // operations of the file system so far
	opts engine.Options
	hist *history

	db      *engine.DB // nil while it is closed, or could not be opened
	faulty  bool       // calls may fail
	drops   bool       // a sync that fails takes what was not synced with it
	still   bool       // it is not in a bubble, where settle could wait
	lied    error      // the first thing that no error excuses
	unknown int        // commits whose outcome is not known
}

func (s *session) now0() int {
	if s.now == nil {
		return 0
	}
	return s.now()
}

// lie notes something that must not be, whatever fails.
func (s *session) lie(format string, args ...any) {
	if s.lied == nil {
		s.lied = fmt.Errorf(format, args...)
	}
}

// check ends the test on an error that is not to be expected.
func (s *session) check(doing string, err error) {
	if err != nil && !s.faulty {
		s.t.Helper()
		s.t.Fatalf("%s: %v", doing, err)
	}
}

func (s *session) open() {
	o := s.opts
	o.FS = s.fs
	db, err := engine.Open(dbDir, &o)
	s.check("open", err)
	if err != nil {
		return
	}
	s.db = db
	n := len(s.hist.commits) - 1
	if least := s.least(); least < n { // it shows now what became of the others
		k, err := s.hist.find(db, least, n)
		if errors.Is(err, errWrong) {
			s.lie("reopened: %w", err)
		}
		s.hist.commits = s.hist.commits[:max(k, least)+1]
		s.unknown, n = 0, len(s.hist.commits)-1
	}
	s.hist.durable = append(s.hist.durable, mark{s.now0(), n}) // F6: what was shown stays
}

// least is how many commits the next process must find.
func (s *session) least() int {
	if s.drops {
		return s.hist.durableBy(s.now0(), s.opts.Sync)
	}
	return len(s.hist.commits) - 1 - s.unknown
}

// close closes the database, after which all that was acknowledged is durable.
func (s *session) close() {
	if s.db == nil {
		return
	}
	err := s.db.Close()
	s.check("close", err)
	s.db = nil
	if err == nil {
		s.promise()
	}
}

func (s *session) reopen() {
	s.close()
	s.open()
}

// promise notes that all commits so far are durable from now on.
func (s *session) promise() {
	s.hist.durable = append(s.hist.durable, mark{s.now0(), len(s.hist.commits) - 1 - s.unknown})
}

// settle waits until the database's own goroutines have nothing more to do, so
// that every run of a scenario makes the same operations.
func (s *session) settle() {
	if !s.still {
		synctest.Wait()
	}
}

// do makes one commit by what, and notes it as the edits.
func (s *session) do(edits []edit, what func() error) {
	if s.db == nil {
		return
	}
	begun := s.now0()
	err := what()
	s.check("commit", err)
	s.outcome(edits, begun, err)
	s.settle()
}

// outcome notes a commit that was begun and returned err.
func (s *session) outcome(edits []edit, begun int, err error) {
	switch {
	case err == nil && s.unknown > 0:
		s.lie("a commit succeeded after one whose outcome is unknown")
	case err == nil:
		s.hist.add(edits, begun, s.now0())
	case errors.Is(err, engine.ErrCommitUnknown):
		if !errors.Is(err, engine.ErrFailed) {
			s.lie("ErrCommitUnknown without ErrFailed: %w", err)
		}
		s.hist.add(edits, begun, never)
		s.unknown++
	}
}

// apply commits the edits as one batch; a single one by the method for it.
func (s *session) apply(edits ...edit) {
	s.do(edits, func() error { return applyEdits(s.db, edits) })
}

func applyEdits(db *engine.DB, edits []edit) error {
	b := db.NewBatch()
	for _, e := range edits {
		ks, err := db.Keyspace(e.keyspace)
		if err != nil {
			return err
		}
		into := b.In(ks)
		switch e.kind {
		case engine.OpSet:
			if len(edits) == 1 {
				return ks.Put([]byte(e.key), []byte(e.value))
			}
			err = into.Put([]byte(e.key), []byte(e.value))
		case engine.OpDelete:
			if len(edits) == 1 {
				return ks.Delete([]byte(e.key))
			}
			err = into.Delete([]byte(e.key))
		case engine.OpDeleteRange:
			end := []byte(e.value)
			if e.unbounded {
				end = nil
			}
			err = into.DeleteRange([]byte(e.key), end)
		}
		if err != nil {
			return err
		}
	}
	return db.Apply(context.Background(), b)
}

func (s *session) put(key, value string) { s.apply(put(key, value)) }

// fill commits n entries one by one, with values of size bytes.
func (s *session) fill(prefix string, n, size int) {
	for i := range n {
		s.put(keyOf(prefix, i), valueOf(prefix, i, size))
	}
}

func keyOf(prefix string, i int) string { return fmt.Sprintf("%s%05d", prefix, i) }

// valueOf is a value that does not compress to nothing.
func valueOf(prefix string, i, size int) string {
	b := make([]byte, 0, size+16)
	for x := uint32(i)*2654435761 + uint32(len(prefix)); len(b) < size; x = x*1664525 + 1013904223 {
		b = fmt.Appendf(b, "%s%08x.", prefix, x)
	}
	return string(b[:size])
}

// edits are n puts as fill makes them.
func entriesOf(prefix string, n, size int) []edit {
	var edits []edit
	for i := range n {
		edits = append(edits, put(keyOf(prefix, i), valueOf(prefix, i, size)))
	}
	return edits
}

func (s *session) create(keyspace string, o *engine.KeyspaceOptions) {
	s.do([]edit{{kind: engine.OpCreateKeyspace, keyspace: keyspace}}, func() error {
		_, err := s.db.CreateKeyspace(keyspace, o)
		return err
	})
}

func (s *session) drop(keyspace string) {
	s.do([]edit{{kind: engine.OpDropKeyspace, keyspace: keyspace}}, func() error {
		return s.db.DropKeyspace(keyspace)
	})
}

// step calls what, which commits nothing, and reports whether it succeeded.
func (s *session) step(doing string, what func() error) bool {
	if s.db == nil {
		return false
	}
	err := what()
	s.check(doing, err)
	s.settle()
	return err == nil
}

func (s *session) checkpoint() {
	if s.step("checkpoint", func() error {
		_, err := s.db.Checkpoint(context.Background())
		return err
	}) {
		s.promise()
	}
}

func (s *session) compact() {
	if s.step("compact", func() error {
		_, err := s.db.Compact(context.Background())
		return err
	}) {
		s.promise()
	}
}

func (s *session) sync() {
	if s.step("sync", func() error { return s.db.Sync() }) {
		s.promise()
	}
}

// pass lets time go by, in which SyncNormal must have synced.
func (s *session) pass(d time.Duration) {
	time.Sleep(d)
	s.settle()
	if s.opts.Sync == engine.SyncNormal && s.db != nil && !s.faulty {
		s.promise()
	}
}

// read compares all that the database shows with what was acknowledged.
func (s *session) read() {
	if s.db == nil {
		return
	}
	n := len(s.hist.commits) - 1 - s.unknown
	if _, err := s.hist.find(s.db, n, n); errors.Is(err, errWrong) {
		s.lie("read: %w", err)
	} else {
		s.check("read", err)
	}
}

// checkDatabase checks every promise that the files in dir make.
func checkDatabase(fsys vfs.FS, dir string) error {
	report, err := verify.Run(context.Background(), dir, verify.Options{FS: fsys, Workers: 1})
	if err != nil {
		return err
	}
	if !report.OK {
		return fmt.Errorf("%d findings, the first: %+v", len(report.Findings), report.Findings[0])
	}
	return nil
}

// warmUp makes what the process has only one of, such as the compressor's
// channels, outside of any test's bubble, from which others could not use it.
var warmUp = sync.OnceFunc(func() {
	o := engine.Options{FS: vfs.NewMem(), Compression: engine.CompressionZstd}
	db, err := engine.Open(dbDir, &o)
	if err == nil {
		err = db.Put([]byte("a"), bytes.Repeat([]byte("text "), 200))
	}
	if err == nil {
		err = db.Close()
	}
	if err == nil {
		db, err = engine.Open(dbDir, &o)
	}
	if err == nil {
		_, err = db.Get([]byte("a"))
	}
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		panic(err)
	}
})

func everyScenario(*scenario) bool { return true }

func tellsOrder(sc *scenario) bool { return !sc.crashOnly }

// eachScenario runs the wanted scenarios, each in a test of its own, and counts
// the cases that try came to. There must be least of them, times the scale, when
// all have run. With -short it is every third, unless -run names some.
func eachScenario(t *testing.T, figureName, what string, least int, wanted func(*scenario) bool, try func(*testing.T, *scenario) int) {
	warmUp()
	least = figure.Times(least)
	var cases, done atomic.Int64
	all := 0
	some := testing.Short() && !strings.Contains(flag.Lookup("test.run").Value.String(), "/")
	t.Run("in", func(t *testing.T) {
		for i, sc := range allScenarios() {
			sc := &sc
			if !wanted(sc) || some && i%3 != 0 {
				continue
			}
			all++
			t.Run(strings.ReplaceAll(sc.name, " ", "_"), func(t *testing.T) {
				t.Parallel()
				n := try(t, sc)
				cases.Add(int64(n))
				done.Add(1)
				t.Logf("%d %s", n, what)
			})
		}
	})
	n := int(cases.Load())
	t.Logf("%d %s (seed %d)", n, what, *faultSeed)
	figure.Log(t, "scenarios", int(done.Load()))
	figure.Log(t, figureName, n)
	if int(done.Load()) == all && n < least && !testing.Short() {
		t.Errorf("%d %s, want at least %d", n, what, least)
	}
}

// again is the line that repeats a test.
func again(t testing.TB) string {
	return fmt.Sprintf("%sgo test ./engine -run '^%s$' -fault.seed=%d", figure.Env(), t.Name(), *faultSeed)
}

// prepare runs a scenario's setup and returns the disk that it leaves.
func (sc *scenario) prepare(t *testing.T) (*vfs.Mem, *history) {
	h := newHistory()
	if sc.disk != nil {
		return sc.disk(t), h
	}
	if sc.setup == nil {
		return vfs.NewMem(), h
	}
	sim := faultfs.NewSim()
	synctest.Test(t, func(t *testing.T) {
		s := &session{t: t, fs: sim, opts: small(sc.opts), hist: h}
		s.open()
		sc.setup(s)
		if sc.unclean {
			s.kill(sim)
		} else {
			s.close()
		}
	})
	h.forgetTimes()
	return sim.Image(sim.Ops(), faultfs.None), h
}

// kill ends the process: its files stay as they are.
func (s *session) kill(sim *faultfs.Sim) {
	if s.db == nil {
		return
	}
	sim.StopAt(sim.Ops() + 1)
	_ = s.db.Close()
	sim.StopAt(0)
	s.db = nil
}
