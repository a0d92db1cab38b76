package engine_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/verify"
)

// What the tests of crashes, input/output errors and damaged bytes share: the
// model of a database (moment), the model of its commits (history), and a
// database that is worked on beside both (session).

var faultSeed = flag.Int64("fault.seed", 1, "seed of the tests of crashes, input/output errors and damage")

// dbDir is where the tests keep their database.
const dbDir = "db"

// contents are the entries of a database: keyspace, key, value. They are
// shared and never changed.
type contents map[string]map[string]string

// edit is one operation of a commit on the model.
type edit struct {
	kind       engine.OpKind
	keyspace   string
	key, value string // of a range delete: start and end
	unbounded  bool
}

func put(key, value string) edit { return edit{kind: engine.OpSet, key: key, value: value} }
func del(key string) edit        { return edit{kind: engine.OpDelete, key: key} }

func delRange(start, end string) edit {
	return edit{kind: engine.OpDeleteRange, key: start, value: end}
}

func delFrom(start string) edit {
	return edit{kind: engine.OpDeleteRange, key: start, unbounded: true}
}

// in returns the edit on another keyspace.
func (e edit) in(keyspace string) edit {
	e.keyspace = keyspace
	return e
}

// with returns what the edits make of c.
func (c contents) with(edits []edit) contents {
	next := maps.Clone(c)
	own := map[string]bool{}
	for _, e := range edits {
		switch e.kind {
		case engine.OpCreateKeyspace:
			next[e.keyspace] = map[string]string{}
			continue
		case engine.OpDropKeyspace:
			delete(next, e.keyspace)
			continue
		}
		if !own[e.keyspace] {
			next[e.keyspace] = maps.Clone(next[e.keyspace])
			own[e.keyspace] = true
		}
		entries := next[e.keyspace]
		switch e.kind {
		case engine.OpSet:
			entries[e.key] = e.value
		case engine.OpDelete:
			delete(entries, e.key)
		case engine.OpDeleteRange:
			maps.DeleteFunc(entries, func(k, _ string) bool {
				return k >= e.key && (e.unbounded || k < e.value)
			})
		}
	}
	return next
}

// moment is the database as one commit left it.
type moment struct {
	contents
	seq    uint64
	sorted map[string][]string // keys by keyspace, made when first asked for
}

func (m *moment) keys(keyspace string) []string {
	if m.sorted == nil {
		m.sorted = map[string][]string{}
	}
	keys, ok := m.sorted[keyspace]
	if !ok {
		keys = slices.Sorted(maps.Keys(m.contents[keyspace]))
		m.sorted[keyspace] = keys
	}
	return keys
}

// errWrong is wrapped by every error that stands for a wrong answer, which no
// damage excuses.
var errWrong = errors.New("wrong answer")

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errWrong, fmt.Sprintf(format, args...))
}

// compare reads all of db, forward, backward and key by key, and compares it
// with m. absent are keys that have been used at some time. A wrong answer is
// returned before any error of reading, and wraps errWrong.
func (m *moment) compare(db *engine.DB, absent map[string][]string) error {
	var readErr error
	note := func(err error) bool { // reports whether err is a wrong answer
		if err != nil && readErr == nil && !errors.Is(err, errWrong) {
			readErr = err
		}
		return errors.Is(err, errWrong)
	}
	list, err := db.Keyspaces()
	if err != nil {
		return err
	}
	if len(list) != len(m.contents) {
		return wrong("%d keyspaces, want %d", len(list), len(m.contents))
	}
	snapshot, err := db.Snapshot()
	if err != nil {
		return err
	}
	defer snapshot.Close()
	for _, info := range list {
		want, ok := m.contents[info.Name]
		if !ok {
			return wrong("keyspace %q should not be there", info.Name)
		}
		ks, err := db.Keyspace(info.Name)
		if err != nil {
			return err
		}
		keys := m.keys(info.Name)
		if err := compareScan(snapshot.In(ks), want, keys, false); note(err) {
			return err
		}
		if err := compareScan(snapshot.In(ks), want, keys, true); note(err) {
			return err
		}
		if err := compareGets(ks, want, keys, absent[info.Name]); note(err) {
			return err
		}
	}
	return readErr
}

// compareScan compares one scan of everything with want.
func compareScan(r *engine.Snapshot, want map[string]string, keys []string, backward bool) error {
	it := r.NewIterator(engine.IterOptions{})
	defer it.Close()
	begin, step := it.First, it.Next
	if backward {
		begin, step = it.Last, it.Prev
	}
	n := 0
	for ok := begin(); ok; ok = step() {
		value := it.Value()
		if it.Err() != nil {
			break
		}
		if n == len(keys) {
			return wrong("scan shows %.40q, which should not be there", it.Key())
		}
		key := keys[n]
		if backward {
			key = keys[len(keys)-1-n]
		}
		if string(it.Key()) != key {
			return wrong("scan shows key %.40q, want %.40q", it.Key(), key)
		}
		if string(value) != want[key] {
			return wrong("scan shows %.40q at key %.40q, want %.40q", value, key, want[key])
		}
		n++
	}
	if err := it.Err(); err != nil {
		if step() || begin() || it.Err() == nil {
			return wrong("an iterator goes on after the error: %v", err)
		}
		return fmt.Errorf("scan: %w", err)
	}
	if n < len(keys) {
		return wrong("scan ends after %d of %d entries", n, len(keys))
	}
	return nil
}

func compareGets(ks *engine.Keyspace, want map[string]string, keys, absent []string) error {
	var readErr error
	var value []byte
	for _, key := range keys {
		var err error
		value, err = ks.AppendValue(value[:0], []byte(key))
		switch {
		case errors.Is(err, engine.ErrNotFound):
			return wrong("key %.40q is missing", key)
		case err != nil:
			readErr = fmt.Errorf("get %.40q: %w", key, err)
		case string(value) != want[key]:
			return wrong("key %.40q has %.40q, want %.40q", key, value, want[key])
		}
	}
	for _, key := range absent {
		if _, there := want[key]; there {
			continue
		}
		ok, err := ks.Has([]byte(key))
		if ok {
			return wrong("key %.40q should not be there", key)
		}
		if err != nil {
			readErr = fmt.Errorf("has %.40q: %w", key, err)
		}
	}
	return readErr
}

// history is the model of a run: the commits in their order, and when each was
// promised what. Times are counted in operations of the file system.
type history struct {
	commits []*commit // the first is what the run began with
	durable []mark    // what has been promised beyond the sync mode
	used    map[string][]string
}

type commit struct {
	moment
	begun int // operations before it was called
	acked int // operations when it had returned; never, if its outcome is unknown
}

// mark says that from the operation at on, the first n commits after the
// beginning are durable.
type mark struct{ at, n int }

const never = 1 << 60

func newHistory() *history {
	first := &commit{moment: moment{contents: contents{"": {}}}}
	return &history{commits: []*commit{first}, used: map[string][]string{}}
}

func (h *history) last() *commit { return h.commits[len(h.commits)-1] }

// add notes a commit.
func (h *history) add(edits []edit, begun, acked int) {
	last := h.last()
	next := moment{contents: last.with(edits), seq: last.seq + uint64(len(edits))}
	h.commits = append(h.commits, &commit{next, begun, acked})
	for _, e := range edits {
		if e.kind == engine.OpSet && !slices.Contains(h.used[e.keyspace], e.key) {
			h.used[e.keyspace] = append(h.used[e.keyspace], e.key)
		}
	}
}

// ackedBy is how many commits had been acknowledged after n operations.
func (h *history) ackedBy(n int) int {
	k := 0
	for i, c := range h.commits {
		if c.acked <= n {
			k = i
		}
	}
	return k
}

// begunBy is how many commits can have left anything in the first n
// operations.
func (h *history) begunBy(n int) int {
	k := 0
	for i, c := range h.commits {
		if c.begun < n {
			k = i
		}
	}
	return k
}

// durableBy is how many commits no crash after n operations may lose.
func (h *history) durableBy(n int, mode engine.SyncMode) int {
	k := 0
	if mode == engine.SyncFull {
		k = h.ackedBy(n)
	}
	for _, m := range h.durable {
		if m.at <= n {
			k = max(k, m.n)
		}
	}
	return k
}

// find returns the number of the commit that left db as it is, which is one
// from least to most, and compares all that db holds with it.
func (h *history) find(db *engine.DB, least, most int) (int, error) {
	seq := db.Stats().Seq
	k := slices.IndexFunc(h.commits, func(c *commit) bool { return c.seq == seq })
	switch {
	case k < 0:
		return 0, wrong("the newest operation is number %d, which is not the end of a commit", seq)
	case k < least:
		return k, wrong("commit %d (operation %d) is the newest, but %d were promised to stay", k, seq, least)
	case k > most:
		return k, wrong("commit %d (operation %d) is there, but only %d were begun", k, seq, most)
	}
	if err := h.commits[k].compare(db, h.used); err != nil {
		return k, fmt.Errorf("as of commit %d (operation %d): %w", k, seq, err)
	}
	return k, nil
}

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
	if s.unknown > 0 { // it shows now what became of them
		k, err := s.hist.find(db, n-s.unknown, n)
		if errors.Is(err, errWrong) {
			s.lie("reopened: %w", err)
		}
		s.hist.commits = s.hist.commits[:max(k, n-s.unknown)+1]
		s.unknown, n = 0, len(s.hist.commits)-1
	}
	s.hist.durable = append(s.hist.durable, mark{s.now0(), n}) // F6: what was shown stays
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
