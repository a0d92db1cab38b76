package memtable

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// A model is what a table promises, in the plainest code that keeps it.
type model struct {
	points map[kv.Keyspace]map[string][]version // by sequence number
	ranges map[kv.Keyspace][]kv.RangeDelete     // by sequence number
	first  kv.Seq
	last   kv.Seq
	len    int
}

type version struct {
	key   string
	value string
	kind  kv.Kind
	seq   kv.Seq
}

func newModel() *model {
	return &model{
		points: map[kv.Keyspace]map[string][]version{},
		ranges: map[kv.Keyspace][]kv.RangeDelete{},
	}
}

func (m *model) count(seq kv.Seq) {
	if m.len == 0 {
		m.first = seq
	}
	m.last, m.len = seq, m.len+1
}

func (m *model) put(ks kv.Keyspace, v version) {
	if m.points[ks] == nil {
		m.points[ks] = map[string][]version{}
	}
	m.points[ks][v.key] = append(m.points[ks][v.key], v)
	m.count(v.seq)
}

func (m *model) deleteRange(ks kv.Keyspace, r kv.Range, seq kv.Seq) {
	if !r.Empty() {
		m.ranges[ks] = append(m.ranges[ks], kv.RangeDelete{Range: r, Seq: seq})
	}
	m.count(seq)
}

func (m *model) get(ks kv.Keyspace, key string, seq kv.Seq) (found version) {
	for _, v := range m.points[ks][key] {
		if v.seq <= seq {
			found = v
		}
	}
	return found
}

// scan returns what is visible at seq, in key order.
func (m *model) scan(ks kv.Keyspace, seq kv.Seq) (list []version) {
	for key := range m.points[ks] {
		if v := m.get(ks, key, seq); v.kind != 0 {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, func(a, b version) int { return bytes.Compare([]byte(a.key), []byte(b.key)) })
	return list
}

func (m *model) covering(ks kv.Keyspace, key []byte, seq kv.Seq) (newest kv.Seq) {
	for _, d := range m.ranges[ks] {
		if d.Seq <= seq && d.Contains(key) {
			newest = d.Seq
		}
	}
	return newest
}

func (m *model) changed(ks kv.Keyspace, r kv.Range, since kv.Seq) bool {
	for key, versions := range m.points[ks] {
		if r.Contains([]byte(key)) && versions[len(versions)-1].seq > since {
			return true
		}
	}
	for _, d := range m.ranges[ks] {
		both := kv.Range{Start: d.Start, End: d.End} // the intersection
		if bytes.Compare(r.Start, both.Start) > 0 {
			both.Start = r.Start
		}
		if both.End == nil || r.End != nil && bytes.Compare(r.End, both.End) < 0 {
			both.End = r.End
		}
		if d.Seq > since && !both.Empty() && !r.Empty() {
			return true
		}
	}
	return false
}

func (m *model) keyspaces() []kv.Keyspace {
	var list []kv.Keyspace
	for ks := range m.points {
		list = append(list, ks)
	}
	for ks := range m.ranges {
		list = append(list, ks)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// A chooser decides what a trial does next: a seeded generator, or the bytes
// that a fuzzer found.
type chooser interface{ IntN(n int) int }

// script chooses by its bytes, and 0 when they have run out.
type script struct{ rest []byte }

func (s *script) IntN(n int) int {
	var v int
	for range 1 + min(1, n>>8) {
		if len(s.rest) > 0 {
			v = v<<8 | int(s.rest[0])
			s.rest = s.rest[1:]
		}
	}
	return v % n
}

// A shape makes the keys of a trial.
type shape struct {
	name string
	key  func(c chooser) []byte
}

var shapes = []shape{
	{"random", func(c chooser) []byte {
		var key [16]byte
		binary.BigEndian.PutUint64(key[:], uint64(c.IntN(6000)+1)*0x9E3779B97F4A7C15)
		return key[:]
	}},
	{"decimal", func(c chooser) []byte { return fmt.Appendf(nil, "%016d", c.IntN(6000)) }},
	{"prefix", func(c chooser) []byte {
		return fmt.Appendf(nil, "tenant/%d/a-long-prefix-that-all-share/%05d", c.IntN(2), c.IntN(3000))
	}},
	{"edges", func(c chooser) []byte {
		key := make([]byte, c.IntN(13))
		for i := range key {
			key[i] = []byte{0x00, 0x00, 0x00, 0xFF, 0xFF, 0x01}[c.IntN(6)]
		}
		return key
	}},
	{"zeros", func(c chooser) []byte {
		return append(make([]byte, c.IntN(300)), []byte{0xFF, 0xFF, 0xFF}[:c.IntN(4)]...)
	}},
	{"huge", func(c chooser) []byte {
		key := bytes.Repeat([]byte{0xFF}, kv.MaxKeySize-c.IntN(2))
		binary.BigEndian.PutUint16(key[len(key)-3:], uint16(c.IntN(150)))
		return key
	}},
}

// A trial puts the same operations into a table and into a model, and asks
// both the same questions.
type trial struct {
	t     *testing.T
	c     chooser
	key   func(chooser) []byte
	table *Table
	model *model
	seq   kv.Seq
	walks []*walk

	points int // as long as the table has fewer operations, it is asked for no order
}

// A walk is a cursor that stays open while the table changes under it.
type walk struct {
	cursor *Cursor
	want   []version
	at     int
}

func newTrial(t *testing.T, c chooser, s shape) *trial {
	return &trial{t: t, c: c, key: s.key, table: New(), model: newModel()}
}

// keyspace is mostly the default one.
func (tr *trial) keyspace() kv.Keyspace {
	return []kv.Keyspace{0, 0, 0, 0, 0, 0, 7, 7, kv.CatalogKeyspace, 3}[tr.c.IntN(10)]
}

func (tr *trial) nextSeq() kv.Seq {
	tr.seq += kv.Seq(1 + tr.c.IntN(2)*tr.c.IntN(5))
	return tr.seq
}

// moment is a sequence number to read at: now, or earlier.
func (tr *trial) moment() kv.Seq {
	switch tr.c.IntN(4) {
	case 0:
		return kv.MaxSeq
	case 1:
		return tr.seq
	}
	return kv.Seq(tr.c.IntN(int(tr.seq) + 2))
}

func (tr *trial) span() kv.Range {
	r := kv.Range{Start: tr.key(tr.c), End: tr.key(tr.c)}
	switch tr.c.IntN(8) {
	case 0:
		r.Start = nil
	case 1:
		r.End = nil
	case 2: // often empty, as made
	default:
		if bytes.Compare(r.Start, r.End) > 0 {
			r.Start, r.End = r.End, r.Start
		}
	}
	return r
}

// put adds one operation, seldom a range delete. What was passed to the table
// is overwritten afterwards: it must have been copied.
func (tr *trial) put() {
	ks, seq := tr.keyspace(), tr.nextSeq()
	if tr.c.IntN(60) == 0 {
		r := tr.span()
		tr.model.deleteRange(ks, r, seq)
		lent := kv.Range{Start: bytes.Clone(r.Start), End: bytes.Clone(r.End)}
		tr.table.DeleteRange(ks, lent, seq)
		clear(lent.Start)
		clear(lent.End)
		return
	}
	v := version{key: string(tr.key(tr.c)), kind: kv.Set, seq: seq}
	switch size := tr.c.IntN(30); size {
	case 0, 1, 2, 3:
		v.kind = kv.Delete
	case 4:
		v.value = string(bytes.Repeat([]byte{byte(seq)}, ownChunkSize-100+tr.c.IntN(200)))
	default:
		v.value = string(bytes.Repeat([]byte{byte(seq)}, size-5))
	}
	tr.model.put(ks, v)
	key, value := []byte(v.key), []byte(v.value)
	tr.table.Put(ks, key, kv.Hash(key), value, v.kind, seq)
	clear(key)
	clear(value)
}

func (tr *trial) ask() {
	ks, seq := tr.keyspace(), tr.moment()
	tr.checkGet(ks, tr.key(tr.c), seq)
	question := tr.c.IntN(8)
	if tr.table.Len() < tr.points && (question == 0 || question == 2 || question == 3 || question == 5) {
		question = 4
	}
	switch question {
	case 0:
		tr.checkWalk(ks, seq)
	case 1:
		tr.checkRangeDeletes(ks, seq)
	case 2, 3:
		tr.checkChanged(ks, tr.span(), seq)
	case 4:
		tr.checkTotals()
	case 5:
		tr.stroll(ks)
	}
}

// stroll opens a cursor, or moves one that was opened earlier.
func (tr *trial) stroll(ks kv.Keyspace) {
	tr.t.Helper()
	if len(tr.walks) < 8 {
		seq := kv.Seq(tr.c.IntN(int(tr.seq) + 1))
		w := &walk{tr.table.NewCursor(ks, seq), tr.model.scan(ks, seq), 0}
		tr.checkStand(w.cursor, "First", w.cursor.First(), w.want, 0)
		if len(w.want) > 0 {
			tr.walks = append(tr.walks, w)
		}
		return
	}
	i := tr.c.IntN(len(tr.walks))
	w, back := tr.walks[i], tr.c.IntN(3) == 0
	for range 1 + tr.c.IntN(200) {
		if back {
			w.at--
			tr.checkStand(w.cursor, "Prev", w.cursor.Prev(), w.want, w.at)
		} else {
			w.at++
			tr.checkStand(w.cursor, "Next", w.cursor.Next(), w.want, w.at)
		}
		if w.at < 0 || w.at >= len(w.want) {
			tr.walks = slices.Delete(tr.walks, i, i+1)
			return
		}
	}
}

func (tr *trial) checkGet(ks kv.Keyspace, key []byte, seq kv.Seq) {
	tr.t.Helper()
	value, kind, at := tr.table.Get(ks, key, kv.Hash(key), seq)
	want := tr.model.get(ks, string(key), seq)
	if string(value) != want.value || kind != want.kind || at != want.seq {
		tr.t.Fatalf("Get(%d, %.40q, %d) = %.20q, %d, %d; want %.20q, %d, %d",
			ks, key, seq, value, kind, at, want.value, want.kind, want.seq)
	}
	if (value == nil) != (kind != kv.Set) {
		tr.t.Fatalf("Get(%d, %.40q, %d): value is nil: %t, of kind %d", ks, key, seq, value == nil, kind)
	}
	if have, want := tr.table.ChangedKey(ks, key, kv.Hash(key), seq), tr.model.changed(ks, only(key), seq); have != want {
		tr.t.Fatalf("ChangedKey(%d, %.40q, %d) = %t, want %t", ks, key, seq, have, want)
	}
}

// only is the range that holds nothing but key.
func only(key []byte) kv.Range { return kv.Range{Start: key, End: append(bytes.Clone(key), 0)} }

// checkWalk moves a cursor about, forth and back and by leaps.
func (tr *trial) checkWalk(ks kv.Keyspace, seq kv.Seq) {
	tr.t.Helper()
	want := tr.model.scan(ks, seq)
	c := tr.table.NewCursor(ks, seq)
	at := -1 // where want says c should stand; outside: nowhere
	for step := range 30 {
		var moved bool
		var how string
		switch choice := tr.c.IntN(12); {
		case choice == 0:
			how, moved, at = "First", c.First(), 0
		case choice == 1:
			how, moved, at = "Last", c.Last(), len(want)-1
		case choice <= 3 || step == 0:
			key := tr.key(tr.c)
			how = fmt.Sprintf("SeekGE(%.40q)", key)
			moved, at = c.SeekGE(key), lowerVersion(want, key)
		case choice == 4:
			key := tr.key(tr.c)
			how = fmt.Sprintf("SeekLT(%.40q)", key)
			moved, at = c.SeekLT(key), lowerVersion(want, key)-1
		case choice <= 8:
			how, moved = "Next", c.Next()
			if at >= 0 && at < len(want) {
				at++
			}
		default:
			how, moved = "Prev", c.Prev()
			if at >= 0 && at < len(want) {
				at--
			}
		}
		tr.checkStand(c, how, moved, want, at)
	}
	at = -1
	for moved := c.First(); moved; moved = c.Next() {
		at++
		tr.checkStand(c, "Next", moved, want, at)
	}
	if at+1 != len(want) {
		tr.t.Fatalf("keyspace %d at %d: %d entries forwards, want %d", ks, seq, at+1, len(want))
	}
	at = len(want)
	for moved := c.Last(); moved; moved = c.Prev() {
		at--
		tr.checkStand(c, "Prev", moved, want, at)
	}
	if at != 0 {
		tr.t.Fatalf("keyspace %d at %d: %d entries backwards, want %d", ks, seq, len(want)-at, len(want))
	}
}

func (tr *trial) checkStand(c *Cursor, how string, moved bool, want []version, at int) {
	tr.t.Helper()
	if inside := at >= 0 && at < len(want); moved != inside {
		tr.t.Fatalf("%s = %t, want %t", how, moved, inside)
	}
	if !moved {
		return
	}
	value, err := c.Value()
	have := version{string(c.Key()), string(value), c.Kind(), c.Seq()}
	if have != want[at] || err != nil || c.Err() != nil {
		tr.t.Fatalf("%s: on %.60q %v, want %.60q (error %v)", how, have.key, have.seq, want[at].key, err)
	}
}

func lowerVersion(list []version, key []byte) int {
	i, _ := slices.BinarySearchFunc(list, key, func(v version, key []byte) int { return bytes.Compare([]byte(v.key), key) })
	return i
}

func (tr *trial) checkRangeDeletes(ks kv.Keyspace, seq kv.Seq) {
	tr.t.Helper()
	have := tr.table.RangeDeletes(ks, seq)
	for i, f := range have {
		if f.Empty() || i > 0 && (have[i-1].End == nil || bytes.Compare(have[i-1].End, f.Start) > 0) {
			tr.t.Fatalf("RangeDeletes(%d, %d): fragment %d is empty or overlaps: %v", ks, seq, i, have)
		}
	}
	check := func(key []byte) {
		tr.t.Helper()
		if have, want := have.Covering(key), tr.model.covering(ks, key, seq); have != want {
			tr.t.Fatalf("RangeDeletes(%d, %d).Covering(%.60q) = %d, want %d", ks, seq, key, have, want)
		}
	}
	for _, d := range tr.model.ranges[ks] {
		check(d.Start)
		check(d.End)
	}
	for range 5 {
		check(tr.key(tr.c))
	}
	if seq < tr.firstRange(ks) && have != nil {
		tr.t.Fatalf("RangeDeletes(%d, %d) = %v, want nil", ks, seq, have)
	}
}

func (tr *trial) firstRange(ks kv.Keyspace) kv.Seq {
	if list := tr.model.ranges[ks]; len(list) > 0 {
		return list[0].Seq
	}
	return kv.MaxSeq
}

func (tr *trial) checkChanged(ks kv.Keyspace, r kv.Range, since kv.Seq) {
	tr.t.Helper()
	if have, want := tr.table.Changed(ks, r, since), tr.model.changed(ks, r, since); have != want {
		tr.t.Fatalf("Changed(%d, [%.40q, %.40q), %d) = %t, want %t", ks, r.Start, r.End, since, have, want)
	}
}

func (tr *trial) checkTotals() {
	tr.t.Helper()
	have := fmt.Sprint(tr.table.Keyspaces(), tr.table.Len(), tr.table.FirstSeq(), tr.table.LastSeq())
	want := fmt.Sprint(tr.model.keyspaces(), tr.model.len, tr.model.first, tr.model.last)
	if have != want {
		tr.t.Fatalf("keyspaces, operations, first, last: %s, want %s", have, want)
	}
	for _, ks := range []kv.Keyspace{0, 3, 5, 7, kv.CatalogKeyspace} {
		if have, want := tr.table.Empty(ks), !slices.Contains(tr.model.keyspaces(), ks); have != want {
			tr.t.Fatalf("Empty(%d) = %t, want %t", ks, have, want)
		}
	}
}

func TestTable_IsTheModel(t *testing.T) {
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			operations := 12_000
			if s.name == "huge" {
				operations = 600
			}
			tr := newTrial(t, rand.New(rand.NewPCG(seed, 0)), s)
			tr.points = tr.c.IntN(operations)
			for i := range operations {
				tr.put()
				if i%40 == 0 || i < 200 {
					tr.ask()
				}
			}
			for _, ks := range tr.model.keyspaces() {
				checkTree(t, tr.table, ks)
				tr.checkWalk(ks, kv.MaxSeq)
				tr.checkWalk(ks, tr.seq/2)
				for i := range kv.Seq(20) {
					tr.checkRangeDeletes(ks, tr.seq*i/20)
				}
			}
			tr.checkTotals()
		})
	}
}

func FuzzTable(f *testing.F) {
	f.Add(0, []byte("some operations on random keys"))
	f.Add(3, bytes.Repeat([]byte{0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233}, 100))
	for s := range shapes {
		rnd := rand.New(rand.NewPCG(uint64(s), 1))
		data := make([]byte, 3000)
		for i := range data {
			data[i] = byte(rnd.Uint32())
		}
		f.Add(s, data)
	}
	f.Fuzz(func(t *testing.T, s int, data []byte) {
		if len(data) > 1<<12 {
			return
		}
		c := &script{data}
		tr := newTrial(t, c, shapes[uint(s)%uint(len(shapes))])
		tr.points = c.IntN(1000)
		for len(c.rest) > 0 {
			for range 1 + c.IntN(16) {
				tr.put()
			}
			tr.ask()
		}
		for _, ks := range tr.model.keyspaces() {
			checkTree(t, tr.table, ks)
			tr.checkWalk(ks, kv.MaxSeq)
			tr.checkRangeDeletes(ks, kv.MaxSeq)
		}
		tr.checkTotals()
	})
}
