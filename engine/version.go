package engine

import (
	"maps"
	"sync"

	"github.com/lightning-db/lightning/engine/internal/btree"
	"github.com/lightning-db/lightning/engine/internal/hot"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/memtable"
	"github.com/lightning-db/lightning/engine/internal/merge"
	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/internal/wal"
)

// version is what there is to read at one moment: an ordered list of sorted
// sources, newest first. It never changes once it is published; only its
// active memtable grows, by entries with larger sequence numbers than any
// reader of an earlier moment asks for.
type version struct {
	pager  *pager.Pager
	gen    uint64 // generation of the trees
	pins   *pins  // of the generation; set by publish
	since  kv.Seq // the keyspaces are as of it, or later
	active *mem
	frozen []*mem // newest first
	spaces *spaces
	wanted chan<- kv.Keyspace // DB.missed
	timed  *DB                // whom to tell how long reads take, or nil
	hot    *hot.Set           // what is read again and again of the trees and runs
}

// mem is a memtable in its place in the order of commits.
type mem struct {
	table *memtable.Table
	start wal.LSN // where its first record is in the log

	// Set when it is frozen.
	end     wal.LSN // where the next memtable's first record is
	segment uint64  // the segment that holds end
	seq     kv.Seq  // newest operation in it or before it
	spaces  *spaces // the keyspaces as of seq

	number uint64 // one more than that of the memtable before it; set by publish
}

func newMem(start wal.LSN, limit int64) *mem {
	return &mem{table: memtable.NewLimited(limit), start: start}
}

// spaces are the keyspaces of a version. Immutable.
type spaces struct {
	byID   map[kv.Keyspace]*space
	byName map[string]*space
	main   *space // the default one, which need not be looked up
	next   uint32 // id of the next one
}

// space is a keyspace: its identity, its settings, its tree, and the sorted
// runs in front of it. Immutable.
type space struct {
	id     kv.Keyspace
	name   string
	config btree.Config
	runs   []*run // newest first
	tree   *btree.Tree
	bytes  uint64 // of keys and values in the tree
}

//go:noinline // called in many places, none of them hot
func (s *spaces) clone() *spaces {
	return &spaces{byID: maps.Clone(s.byID), byName: maps.Clone(s.byName), main: s.main, next: s.next}
}

//go:noinline // called in many places, none of them hot
func (s *spaces) put(sp *space) {
	if sp.id == kv.DefaultKeyspace {
		s.main = sp
	}
	s.byID[sp.id] = sp
	s.byName[sp.name] = sp
	if uint32(sp.id) >= s.next {
		s.next = uint32(sp.id) + 1
	}
}

func (s *spaces) remove(sp *space) {
	delete(s.byID, sp.id)
	delete(s.byName, sp.name)
}

func (v *version) space(id kv.Keyspace) (*space, error) {
	if id == kv.DefaultKeyspace {
		return v.spaces.main, nil
	}
	if sp := v.spaces.byID[id]; sp != nil {
		return sp, nil
	}
	return nil, ErrNoKeyspace
}

// get appends the value that key has at seq to dst. tick is the number of the
// get.
func (v *version) get(tick uint64, sp *space, key []byte, hash uint64, seq kv.Seq, dst []byte) (value []byte, found bool, err error) {
	if e, done := v.active.get(sp.id, key, hash, seq); done {
		return e.appendTo(dst)
	}
	for _, m := range v.frozen {
		if e, done := m.get(sp.id, key, hash, seq); done {
			return e.appendTo(dst)
		}
	}
	turn := v.hot.Turn(tick)
	if turn == hot.Pass {
		return v.descend(sp, key, hash, dst)
	}
	return v.getHot(turn, sp, key, hash, dst)
}

// getHot is the get of what is, or may become, one of the entries that are read
// again and again.
func (v *version) getHot(turn hot.Turn, sp *space, key []byte, hash uint64, dst []byte) (value []byte, found bool, err error) {
	if turn != hot.Sample {
		if value, found = v.hot.Get(sp.state(), key, hash, dst); found {
			return value, true, nil
		}
	}
	value, found, err = v.descend(sp, key, hash, dst)
	if turn != hot.Look && err == nil {
		v.hot.Note(turn, sp.state(), key, hash, value[len(dst):], found)
	}
	return value, found, err
}

// descend appends the value that key has in the runs and the tree to dst.
func (v *version) descend(sp *space, key []byte, hash uint64, dst []byte) (value []byte, found bool, err error) {
	if v.timed != nil {
		return v.timedDescend(sp, key, hash, dst)
	}
	for _, r := range sp.runs {
		if !r.filter.MayHave(hash) {
			continue
		}
		if value, kind, err := r.tree.Get(key, hash, dst); kind != 0 || err != nil {
			return value, kind == kv.Set, err
		}
	}
	value, kind, err := sp.tree.Get(key, hash, dst)
	if kind == 0 && err == nil {
		v.missed(sp, hash)
	}
	return value, kind == kv.Set, err
}

// state is the number of what the runs and the tree hold, which no other
// contents of a keyspace have: what changes them makes a new tree, or a new
// first run, and its number is larger than all before.
func (sp *space) state() uint64 {
	if len(sp.runs) == 0 {
		return sp.tree.ID()
	}
	return max(sp.tree.ID(), sp.runs[0].tree.ID())
}

func (v *version) has(sp *space, key []byte, hash uint64, seq kv.Seq) (bool, error) {
	if v.timed != nil {
		return v.timedHas(sp, key, hash, seq)
	}
	if e, done := v.active.get(sp.id, key, hash, seq); done {
		return e.kind == kv.Set, nil
	}
	for _, m := range v.frozen {
		if e, done := m.get(sp.id, key, hash, seq); done {
			return e.kind == kv.Set, nil
		}
	}
	for _, r := range sp.runs {
		if !r.filter.MayHave(hash) {
			continue
		}
		if kind, err := r.tree.Has(key, hash); kind != 0 || err != nil {
			return kind == kv.Set, err
		}
	}
	kind, err := sp.tree.Has(key, hash)
	if kind == 0 && err == nil {
		v.missed(sp, hash)
	}
	return kind == kv.Set, err
}

// entry is what a memtable knows of a key.
type entry struct {
	value []byte
	kind  kv.Kind
}

func (e entry) appendTo(dst []byte) ([]byte, bool, error) {
	if e.kind != kv.Set {
		return dst, false, nil
	}
	return append(dst, e.value...), true, nil
}

// get looks a key up. done says that the answer is final: an older source
// cannot change it.
func (m *mem) get(ks kv.Keyspace, key []byte, hash uint64, seq kv.Seq) (e entry, done bool) {
	if m.table.Empty(ks) {
		return entry{}, false
	}
	return lookup(m.table, ks, key, hash, seq)
}

func lookup(t *memtable.Table, ks kv.Keyspace, key []byte, hash uint64, seq kv.Seq) (e entry, done bool) {
	value, kind, at := t.Get(ks, key, hash, seq)
	if deletes := t.RangeDeletes(ks, seq); deletes != nil {
		if d := deletes.Covering(key); d > at {
			return entry{kind: kv.Delete}, true
		}
	}
	return entry{value, kind}, kind != 0
}

// overlay is a transaction's own writes, which lie over its snapshot.
type overlay struct {
	table *memtable.Table
	seq   kv.Seq
}

// cursor walks a keyspace as of a version: everything that has to do with it
// in one piece of memory but for what few walks need, the cursors of more than
// one memtable, and of runs. It must not be moved.
type cursor struct {
	merge.Cursor
	tree  btree.Cursor
	table memtable.Cursor
}

// cursors holds what walks that have ended have left, all zero: a short scan
// would otherwise make more garbage than it reads. Nothing that was lent is in
// it: a key's buffer is made for each walk.
var cursors = sync.Pool{New: func() any { return new(cursor) }}

// leave gives c, which nobody uses any more, to the next walk.
func (c *cursor) leave() {
	*c = cursor{}
	cursors.Put(c)
}

// cursor returns a cursor that walks a keyspace as of seq, of which nobody asks
// for keys outside the bounds.
func (v *version) cursor(sp *space, seq kv.Seq, own *overlay, bounds kv.Range) *cursor {
	c := cursors.Get().(*cursor)
	var room [4]merge.Source
	sources := room[:0]
	var deletes []kv.RangeDeletes
	add := func(t *memtable.Table, seq kv.Seq) {
		if t.Empty(sp.id) {
			return
		}
		table := &c.table
		if len(sources) > 0 {
			table = new(memtable.Cursor)
		}
		table.Reset(t, sp.id, seq)
		sources = append(sources, table)
		if d := t.RangeDeletes(sp.id, seq); d != nil {
			deletes = append(deletes, d)
		}
	}
	if own != nil {
		add(own.table, own.seq)
	}
	add(v.active.table, seq)
	for _, m := range v.frozen {
		add(m.table, seq)
	}
	for _, r := range sp.runs {
		run := r.tree.NewCursor()
		run.Bound(bounds)
		sources = append(sources, run)
	}
	if sp.tree.Len() > 0 {
		c.tree.Reset(sp.tree)
		c.tree.Bound(bounds)
		sources = append(sources, &c.tree)
	}
	c.Reset(sources, deletes, false)
	return c
}
