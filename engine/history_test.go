package engine_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/lightning-db/lightning/engine"
)

// The model that databases are compared with: what a database holds (contents),
// as one commit left it (moment), and all commits of a run (history).

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

// forgetTimes makes all commits durable from the beginning.
func (h *history) forgetTimes() {
	for _, c := range h.commits {
		c.begun, c.acked = -1, 0
	}
	h.durable = []mark{{0, len(h.commits) - 1}}
}

// fork returns a history that goes its own way.
func (h *history) fork() *history {
	used := map[string][]string{}
	for ks, keys := range h.used {
		used[ks] = append([]string(nil), keys...)
	}
	return &history{
		commits: append([]*commit(nil), h.commits...),
		durable: append([]mark(nil), h.durable...),
		used:    used,
	}
}
