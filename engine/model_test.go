package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/internal/figure"
)

var (
	modelSeed = flag.Uint64("model.seed", 0, "seed of the one run of TestModel; 0 runs all")
	modelOps  = flag.Int("model.ops", 6000, "operations of one run of TestModel")
)

// modelRuns × model.ops, and what is in batches and transactions, is at least 200,000 operations.
const modelRuns = 10

// TestModel compares the database with sorted maps, over random operations and
// random options. A failure names the seed that repeats it:
//
//	go test ./engine -run TestModel -model.seed=N
func TestModel(t *testing.T) {
	if *modelSeed != 0 {
		runModel(t, *modelSeed)
		return
	}
	if testing.Short() {
		*modelOps /= 10
	}
	runs := figure.Times(modelRuns)
	t.Logf("%d runs of %d operations", runs, *modelOps)
	var done atomic.Int64
	t.Cleanup(func() { figure.Log(t, "operations", int(done.Load())) })
	for i := range runs {
		seed := uint64(i + 1)
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			done.Add(runModel(t, seed))
		})
	}
}

// content is what a keyspace holds.
type content map[string]string

// modelRun is a database beside what it must hold.
type modelRun struct {
	t    *testing.T
	seed uint64
	rng  *rand.Rand
	fs   *vfs.Mem
	opts engine.Options
	db   *engine.DB
	keys []string // sorted

	spaces    map[string]content
	names     []string // of spaces, sorted
	snapshots []*modelSnapshot
	log       []string // the last operations, for a failure
	done      int64    // operations, those in a batch or transaction included
}

type modelSnapshot struct {
	*engine.Snapshot
	spaces map[string]content
	handle map[string]*engine.Keyspace
}

// runModel returns how many operations it made.
func runModel(t *testing.T, seed uint64) int64 {
	rng := rand.New(rand.NewPCG(seed, 0))
	m := &modelRun{t: t, seed: seed, rng: rng, fs: vfs.NewMem(), spaces: map[string]content{"": {}}, names: []string{""}}
	m.keys = modelKeys(rng)
	m.open()
	for range *modelOps {
		m.step()
	}
	m.check()
	m.closeSnapshots()
	if err := m.db.Close(); err != nil {
		m.fail("close: %v", err)
	}
	return m.done
}

func (m *modelRun) fail(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf("%s\noptions %+v\nlast operations:\n  %s\nrepeat: go test ./engine -run TestModel -model.seed=%d -model.ops=%d",
		fmt.Sprintf(format, args...), m.opts, strings.Join(m.log, "\n  "), m.seed, *modelOps)
}

func (m *modelRun) note(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf(format, args...))
	if len(m.log) > 30 {
		m.log = m.log[1:]
	}
}

// modelKeys draws the keys of a run: few, so that operations meet, and of one
// of several shapes.
func modelKeys(rng *rand.Rand) []string {
	n := 50 + rng.IntN(800)
	keys := map[string]bool{"": true}
	shape := rng.IntN(5)
	for len(keys) < n {
		var k string
		switch shape {
		case 0:
			k = fmt.Sprintf("%06d", rng.IntN(4*n))
		case 1:
			k = fmt.Sprintf("a/long/prefix/that/all/share/%x", rng.IntN(4*n))
		case 2: // bytes, the extremes often
			b := make([]byte, rng.IntN(6))
			for i := range b {
				b[i] = []byte{0, 1, 0x7F, 0xFE, 0xFF}[rng.IntN(5)]
			}
			k = string(b)
			n = min(n, 300)
		case 3: // lengths from 0 to 3,000
			k = strings.Repeat(string(rune('a'+rng.IntN(3))), rng.IntN(60)*rng.IntN(50)) + fmt.Sprint(rng.IntN(n))
		case 4:
			k = fmt.Sprintf("%016x", rng.Uint64())
		}
		keys[k] = true
	}
	return slices.Sorted(maps.Keys(keys))
}

func (m *modelRun) open() {
	r := m.rng
	m.opts = engine.Options{
		FS:            m.fs,
		Sync:          engine.SyncMode(r.IntN(3)),
		CacheBytes:    []int64{1, 64 << 10, 1 << 20}[r.IntN(3)],
		MemtableBytes: []int64{1 << 10, 20 << 10, 1 << 20}[r.IntN(3)],
		SegmentBytes:  []int64{8 << 10, 64 << 10}[r.IntN(2)],
		PageSize:      1 << (10 + r.IntN(7)),
		Compression:   engine.Compression(r.IntN(3)),
	}
	db, err := engine.Open("db", &m.opts)
	if err != nil {
		m.fail("open: %v", err)
	}
	m.db = db
}

func (m *modelRun) key() string { return m.keys[m.rng.IntN(len(m.keys))] }

func (m *modelRun) value() string {
	n := 0
	switch m.rng.IntN(20) {
	case 0:
		n = m.rng.IntN(40_000)
	case 1:
		n = m.rng.IntN(3_000)
	default:
		n = m.rng.IntN(120)
	}
	if m.rng.IntN(2) == 0 { // compresses
		return strings.Repeat(fmt.Sprint(m.rng.IntN(100)), n/2)
	}
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, m.rng.Uint64())
	}
	return string(b[:n])
}

// bounds draws a range; the end is sometimes open, the range sometimes empty.
func (m *modelRun) bounds() (start, end []byte) {
	a, b := m.key(), m.key()
	if m.rng.IntN(8) > 0 && a > b {
		a, b = b, a
	}
	if m.rng.IntN(8) == 0 {
		return []byte(a), nil
	}
	if m.rng.IntN(8) == 0 {
		return nil, []byte(b)
	}
	return []byte(a), []byte(b)
}

func (m *modelRun) spaceName() string { return m.names[m.rng.IntN(len(m.names))] }

func (m *modelRun) keyspace(name string) *engine.Keyspace {
	ks, err := m.db.Keyspace(name)
	if err != nil {
		m.fail("keyspace %q: %v", name, err)
	}
	return ks
}

func (m *modelRun) step() {
	m.done++
	name := m.spaceName()
	ks := m.keyspace(name)
	switch p := m.rng.IntN(1000); {
	case p < 300:
		k, v := m.key(), m.value()
		m.note("put %q %q %d bytes", name, k, len(v))
		if err := ks.Put([]byte(k), []byte(v)); err != nil {
			m.fail("put: %v", err)
		}
		m.spaces[name][k] = v
	case p < 420:
		k := m.key()
		m.note("delete %q %q", name, k)
		if err := ks.Delete([]byte(k)); err != nil {
			m.fail("delete: %v", err)
		}
		delete(m.spaces[name], k)
	case p < 432:
		start, end := m.bounds()
		m.note("delete range %q %q %q", name, start, end)
		if err := ks.DeleteRange(start, end); err != nil {
			m.fail("delete range: %v", err)
		}
		m.spaces[name].deleteRange(start, end)
	case p < 500:
		m.batch()
	case p < 590:
		m.transaction()
	case p < 810:
		m.get(ks, m.spaces[name], m.key())
	case p < 910:
		m.readRandomView()
	case p < 935:
		m.snapshot()
	case p < 955 && len(m.snapshots) > 0:
		i := m.rng.IntN(len(m.snapshots))
		m.note("close snapshot")
		m.snapshots[i].Close()
		m.snapshots = slices.Delete(m.snapshots, i, i+1)
	case p < 965:
		m.note("checkpoint")
		if _, err := m.db.Checkpoint(context.Background()); err != nil {
			m.fail("checkpoint: %v", err)
		}
	case p < 968:
		m.note("compact")
		if _, err := m.db.Compact(context.Background()); err != nil {
			m.fail("compact: %v", err)
		}
	case p < 973:
		m.changeSpaces(name)
	case p < 975:
		m.backup()
	case p < 982:
		m.reopen()
	case p < 987:
		if err := m.db.Sync(); err != nil {
			m.fail("sync: %v", err)
		}
	}
}

func (c content) deleteRange(start, end []byte) {
	for k := range c {
		if k >= string(start) && (end == nil || k < string(end)) {
			delete(c, k)
		}
	}
}

func cloneSpaces(s map[string]content) map[string]content {
	c := map[string]content{}
	for name, m := range s {
		c[name] = maps.Clone(m)
	}
	return c
}

// batch commits operations on several keyspaces at once.
func (m *modelRun) batch() {
	b := m.db.NewBatch()
	m.note("batch")
	for range m.rng.IntN(60) {
		name := m.spaceName()
		in := b.In(m.keyspace(name))
		m.write(in, m.spaces[name])
	}
	if err := m.db.Apply(context.Background(), b); err != nil {
		m.fail("batch: %v", err)
	}
}

type writer interface {
	Put(key, value []byte) error
	Delete(key []byte) error
	DeleteRange(start, end []byte) error
}

// write makes one random write to both.
func (m *modelRun) write(w writer, c content) {
	m.done++
	var err error
	switch m.rng.IntN(12) {
	case 0:
		start, end := m.bounds()
		err = w.DeleteRange(start, end)
		c.deleteRange(start, end)
	case 1, 2, 3:
		k := m.key()
		err = w.Delete([]byte(k))
		delete(c, k)
	default:
		k, v := m.key(), m.value()
		err = w.Put([]byte(k), []byte(v))
		c[k] = v
	}
	if err != nil {
		m.fail("write: %v", err)
	}
}

// transaction reads its own writes, and is rolled back half of the time.
func (m *modelRun) transaction() {
	tx, err := m.db.Begin(engine.TxOptions{Isolation: engine.Isolation(m.rng.IntN(2))})
	if err != nil {
		m.fail("begin: %v", err)
	}
	m.note("transaction")
	spaces := cloneSpaces(m.spaces)
	for range m.rng.IntN(20) {
		name := m.spaceName()
		in := tx.In(m.keyspace(name))
		m.write(in, spaces[name])
		switch m.rng.IntN(6) {
		case 0:
			m.done++
			m.read(in, spaces[name])
		case 1, 2:
			m.done++
			m.get(in, spaces[name], m.key())
		}
	}
	if m.rng.IntN(2) == 0 {
		tx.Rollback()
		return
	}
	if err := tx.Commit(context.Background()); err != nil {
		m.fail("commit: %v", err)
	}
	m.spaces = spaces
}

func (m *modelRun) snapshot() {
	if len(m.snapshots) > 4 {
		return
	}
	s, err := m.db.Snapshot()
	if err != nil {
		m.fail("snapshot: %v", err)
	}
	m.note("snapshot")
	handle := map[string]*engine.Keyspace{}
	for name := range m.spaces {
		handle[name] = m.keyspace(name)
	}
	m.snapshots = append(m.snapshots, &modelSnapshot{s, cloneSpaces(m.spaces), handle})
}

func (m *modelRun) closeSnapshots() {
	for _, s := range m.snapshots {
		s.Close()
	}
	m.snapshots = nil
}

// readRandomView reads an old snapshot or the present.
func (m *modelRun) readRandomView() {
	if n := len(m.snapshots); n > 0 && m.rng.IntN(2) == 0 {
		s := m.snapshots[m.rng.IntN(n)]
		names := slices.Sorted(maps.Keys(s.spaces))
		name := names[m.rng.IntN(len(names))]
		m.read(s.In(s.handle[name]), s.spaces[name])
		return
	}
	name := m.spaceName()
	err := m.db.View(func(tx *engine.Tx) error {
		m.read(tx.In(m.keyspace(name)), m.spaces[name])
		return nil
	})
	if err != nil {
		m.fail("view: %v", err)
	}
}

type getter interface {
	Get(key []byte) ([]byte, error)
	Has(key []byte) (bool, error)
	MultiGet(keys ...[]byte) ([][]byte, error)
}

func (m *modelRun) get(r getter, c content, key string) {
	want, there := c[key]
	have, err := r.Get([]byte(key))
	if there && (err != nil || string(have) != want) || !there && !errors.Is(err, engine.ErrNotFound) {
		m.fail("get %q: have %d bytes, %v; want %d bytes, there: %v", key, len(have), err, len(want), there)
	}
	if ok, err := r.Has([]byte(key)); ok != there || err != nil {
		m.fail("has %q: have %v, %v; want %v", key, ok, err, there)
	}
	other := m.key()
	values, err := r.MultiGet([]byte(key), []byte(other))
	if err != nil {
		m.fail("multiget: %v", err)
	}
	for i, k := range []string{key, other} {
		if want, there := c[k]; there != (values[i] != nil) || string(values[i]) != want {
			m.fail("multiget %q: have %d bytes, want %d, there: %v", k, len(values[i]), len(want), there)
		}
	}
}

// read goes through a range, or moves about with an iterator.
func (m *modelRun) read(r engine.Reader, c content) {
	start, end := m.bounds()
	if m.rng.IntN(4) == 0 {
		start, end = nil, nil
	}
	keys := m.keysOf(c, func(k string) bool { return k >= string(start) && (end == nil || k < string(end)) })
	switch m.rng.IntN(4) {
	case 0:
		m.same("scan", r.Scan(start, end), r, keys, c)
	case 1:
		slices.Reverse(keys)
		m.same("scan backward", r.ScanBackward(start, end), r, keys, c)
	case 2:
		prefix := m.key()
		prefix = prefix[:m.rng.IntN(len(prefix)+1)]
		keys := m.keysOf(c, func(k string) bool { return strings.HasPrefix(k, prefix) })
		m.same("scan prefix", r.ScanPrefix([]byte(prefix)), r, keys, c)
	case 3:
		m.wander(r.NewIterator(engine.IterOptions{Start: start, End: end}), keys, c)
	}
}

// keysOf are the keys of c that are wanted, sorted.
func (m *modelRun) keysOf(c content, wanted func(string) bool) []string {
	keys := make([]string, 0, len(c))
	for _, k := range m.keys {
		if wanted(k) {
			if _, there := c[k]; there {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

func (m *modelRun) same(what string, have func(func(k, v []byte) bool), r engine.Reader, keys []string, c content) {
	i := 0
	for k, v := range have {
		if i >= len(keys) || string(k) != keys[i] || string(v) != c[keys[i]] {
			m.fail("%s: entry %d of %d is %q (%d bytes)", what, i, len(keys), k, len(v))
		}
		i++
	}
	if err := r.Err(); err != nil || i != len(keys) {
		m.fail("%s: have %d entries, %v; want %d", what, i, err, len(keys))
	}
}

// wander moves an iterator about at random.
func (m *modelRun) wander(it *engine.Iterator, keys []string, c content) {
	at := -1 // index of the current entry
	for range m.rng.IntN(40) {
		var ok bool
		want := -1
		k := m.key()
		switch move := m.rng.IntN(10); {
		case move == 0:
			ok, want = it.First(), 0
		case move == 1:
			ok, want = it.Last(), len(keys)-1
		case move == 2:
			ok = it.SeekGE([]byte(k))
			want, _ = slices.BinarySearch(keys, k)
		case move == 3:
			ok = it.SeekLT([]byte(k))
			want, _ = slices.BinarySearch(keys, k)
			want--
		case at < 0:
			continue
		case move < 7:
			ok, want = it.Next(), at+1
		default:
			ok, want = it.Prev(), at-1
		}
		if want >= len(keys) {
			want = -1
		}
		at = want
		if ok != (want >= 0) {
			m.fail("iterator: moved: %v, %v; want entry %d of %d", ok, it.Err(), want, len(keys))
		}
		if ok && (it.ValueSize() != len(c[keys[want]]) || string(it.Key()) != keys[want] || string(it.Value()) != c[keys[want]]) {
			m.fail("iterator: at %q, want %q", it.Key(), keys[want])
		}
	}
	if err := it.Close(); err != nil {
		m.fail("iterator: %v", err)
	}
}

func (m *modelRun) changeSpaces(name string) {
	if name != "" && m.rng.IntN(2) == 0 {
		m.note("drop %q", name)
		if err := m.db.DropKeyspace(name); err != nil {
			m.fail("drop: %v", err)
		}
		delete(m.spaces, name)
		m.names = slices.Sorted(maps.Keys(m.spaces))
		return
	}
	name = fmt.Sprint("space", m.rng.IntN(6))
	m.note("create %q", name)
	o := engine.KeyspaceOptions{PageSize: 1 << (10 + m.rng.IntN(7)), Compression: engine.Compression(m.rng.IntN(3))}
	_, err := m.db.CreateKeyspace(name, &o)
	if m.spaces[name] != nil {
		if !errors.Is(err, engine.ErrKeyspaceExists) {
			m.fail("create a second %q: %v", name, err)
		}
		return
	}
	if err != nil {
		m.fail("create %q: %v", name, err)
	}
	m.spaces[name] = content{}
	m.names = slices.Sorted(maps.Keys(m.spaces))
}

func (m *modelRun) reopen() {
	m.note("reopen")
	m.closeSnapshots()
	if err := m.db.Close(); err != nil {
		m.fail("close: %v", err)
	}
	m.open()
	m.check()
}

// backup restores a backup beside the database and goes on with that.
func (m *modelRun) backup() {
	m.note("backup and restore")
	var stream bytes.Buffer
	if _, err := m.db.Backup(context.Background(), &stream, nil); err != nil {
		m.fail("backup: %v", err)
	}
	m.closeSnapshots()
	if err := m.db.Close(); err != nil {
		m.fail("close: %v", err)
	}
	m.fs = vfs.NewMem()
	if _, err := engine.Restore(context.Background(), &stream, "db", &engine.RestoreOptions{FS: m.fs}); err != nil {
		m.fail("restore: %v", err)
	}
	m.open()
	m.check()
}

// check compares everything.
func (m *modelRun) check() {
	infos, err := m.db.Keyspaces()
	if err != nil || len(infos) != len(m.spaces) {
		m.fail("keyspaces: have %v, %v; want %d", infos, err, len(m.spaces))
	}
	for name, c := range m.spaces {
		err := m.db.View(func(tx *engine.Tx) error {
			m.same("scan of all", tx.In(m.keyspace(name)).Scan(nil, nil), tx, m.keysOf(c, func(string) bool { return true }), c)
			return nil
		})
		if err != nil {
			m.fail("view: %v", err)
		}
	}
}
