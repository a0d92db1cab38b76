package memtable

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

func put(t *Table, key, value string, seq kv.Seq) {
	t.Put(0, []byte(key), kv.Hash([]byte(key)), []byte(value), kv.Set, seq)
}

// inOrder returns an empty table whose keyspaces are trees, whatever comes.
func inOrder() *Table {
	before := New()
	put(before, "key", "value", 1)
	before.NewCursor(0, kv.MaxSeq).First()
	return before.Next()
}

func TestTable_Zero(t *testing.T) {
	table := New()
	if _, kind, at := table.Get(0, nil, kv.Hash(nil), kv.MaxSeq); kind != 0 || at != 0 {
		t.Errorf("Get of an empty table: kind %d at %d", kind, at)
	}
	c := table.NewCursor(0, kv.MaxSeq)
	if c.First() || c.Last() || c.SeekGE(nil) || c.SeekLT([]byte{1}) || c.Next() || c.Prev() {
		t.Error("a cursor stands in an empty table")
	}
	if c := table.NewCursor(9, kv.MaxSeq); c.First() || c.Last() || c.SeekGE(nil) || c.SeekLT(nil) {
		t.Error("a cursor stands in a keyspace that does not exist")
	}
	everything := kv.Range{}
	if table.Changed(0, everything, 0) || table.Changed(9, everything, 0) || table.ChangedKey(0, nil, kv.Hash(nil), 0) {
		t.Error("an empty table changed")
	}
	if table.RangeDeletes(0, kv.MaxSeq) != nil || table.RangeDeletes(9, kv.MaxSeq) != nil || len(table.Keyspaces()) != 0 {
		t.Error("an empty table has something")
	}
	if !table.Empty(0) || !table.Empty(9) || table.Bytes() != 0 || table.Len() != 0 || table.FirstSeq() != 0 || table.LastSeq() != 0 {
		t.Error("an empty table is not empty")
	}
}

// An empty range hides nothing, so the keyspace stays empty, but the
// operation has taken its sequence number.
func TestTable_DeleteRange_EmptyRange(t *testing.T) {
	table := New()
	table.DeleteRange(0, kv.Range{Start: []byte("b"), End: []byte("a")}, 5)
	table.DeleteRange(4, kv.Range{Start: []byte("b"), End: []byte("b")}, 6)
	table.DeleteRange(0, kv.Range{End: []byte{}}, 7)
	if !table.Empty(0) || !table.Empty(4) || len(table.Keyspaces()) != 0 {
		t.Error("an empty range left something")
	}
	if table.Len() != 3 || table.FirstSeq() != 5 || table.LastSeq() != 7 {
		t.Errorf("%d operations from %d to %d, want 3 from 5 to 7", table.Len(), table.FirstSeq(), table.LastSeq())
	}
}

// The places of all edits are looked up before the first of them is put, and by
// then most of the leaves that were found have been replaced.
func TestTable_PutAll_IsPutForEach(t *testing.T) {
	for _, size := range []int{1, 16, 5000, -16, -5000} {
		want, have := New(), New()
		if size < 0 {
			size, want, have = -size, inOrder(), inOrder()
		}
		rnd := rand.New(rand.NewPCG(7, uint64(size)))
		const operations = 20000
		var edits []Edit
		for seq := kv.Seq(1); seq <= operations; seq++ {
			key := fmt.Appendf(nil, "%d", rnd.Uint64N(operations/2))
			e := Edit{Key: key, Value: fmt.Appendf(nil, "%d", seq), Hash: kv.Hash(key), Kind: kv.Set}
			if rnd.IntN(8) == 0 {
				e.Value, e.Kind = nil, kv.Delete
			}
			want.Put(3, e.Key, e.Hash, e.Value, e.Kind, seq)
			if edits = append(edits, e); len(edits) == size {
				have.PutAll(3, edits, seq-kv.Seq(size)+1)
				edits = edits[:0]
			}
		}
		if have.Len() != want.Len() || have.FirstSeq() != 1 || have.LastSeq() != operations || size < leafSlots && have.Bytes() != want.Bytes() {
			t.Errorf("by %d: %d operations from %d to %d in %d bytes, want %d in %d",
				size, have.Len(), have.FirstSeq(), have.LastSeq(), have.Bytes(), want.Len(), want.Bytes())
		}
		for _, at := range []kv.Seq{operations / 2, operations} {
			w, h := want.NewCursor(3, at), have.NewCursor(3, at)
			for ok := w.First(); ok; ok = w.Next() {
				if !h.SeekGE(w.Key()) || !bytes.Equal(h.Key(), w.Key()) || h.Seq() != w.Seq() || h.Kind() != w.Kind() || !bytes.Equal(h.entry.Value, w.entry.Value) {
					t.Fatalf("by %d, at %d: key %q is not there", size, at, w.Key())
				}
				if _, kind, seq := have.Get(3, w.Key(), kv.Hash(w.Key()), at); kind != w.Kind() || seq != w.Seq() {
					t.Fatalf("by %d, at %d: Get of %q: kind %d at %d, want %d at %d", size, at, w.Key(), kind, seq, w.Kind(), w.Seq())
				}
			}
		}
	}
}

// A transaction of two puts buffers them in a table of its own.
// Edits are used again, with other tables, and their keys may fall behind all
// that are there in any order.
func TestTable_PutAll_EditsUsedAgain(t *testing.T) {
	old, table := New(), New()
	edits := make([]Edit, 2)
	edit := func(i int, key string) {
		edits[i].Key, edits[i].Value, edits[i].Hash, edits[i].Kind = []byte(key), []byte(key), kv.Hash([]byte(key)), kv.Set
	}
	put(old, "e", "e", 1)
	put(table, "a", "a", 1)
	edit(0, "d")
	edit(1, "c")
	old.PutAll(0, edits, 2) // in one leaf, where they are now said to belong
	edit(0, "g")
	edit(1, "f")
	table.PutAll(0, edits, 2)
	var keys []byte
	c := table.NewCursor(0, kv.MaxSeq)
	for ok := c.First(); ok; ok = c.Next() {
		keys = append(keys, c.Key()...)
	}
	if string(keys) != "afg" {
		t.Errorf("the table has %q, want afg", keys)
	}
}

func TestTable_SmallIsSmall(t *testing.T) {
	var table *Table
	allocs := testing.AllocsPerRun(100, func() {
		table = New()
		put(table, "a key", "a value", 1)
		put(table, "another", "a value", 2)
	})
	if allocs > 6 { // the table, a leaf, a root, a chunk; two of the test's own at most
		t.Errorf("%v allocations", allocs)
	}
	if table.Bytes() > 2048 {
		t.Errorf("%d bytes", table.Bytes())
	}
}

func TestTable_Bytes_IsWhatItHolds(t *testing.T) {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for _, valueSize := range []int{0, 100, 1000, 100_000} {
		before := heap()
		table := New()
		value := make([]byte, valueSize)
		var key [16]byte
		for i := range max(300, min(200_000, 20_000_000/(valueSize+1))) {
			binary.BigEndian.PutUint64(key[:], uint64(i)*0x9E3779B97F4A7C15)
			table.Put(0, key[:], kv.Hash(key[:]), value, kv.Set, kv.Seq(i+1))
		}
		c := table.NewCursor(0, kv.MaxSeq)
		for c.First(); c.Next(); { // leaves an order on each leaf
		}
		held := heap() - before
		if counted := table.Bytes(); counted < held*95/100 || counted > held*110/100 {
			t.Errorf("values of %d: %d bytes counted, %d held", valueSize, counted, held)
		}
		runtime.KeepAlive(table)
	}
}

// A table with a limit ends at it, whatever its chunks. The fourth one knows how
// many slots it will need.
func TestTable_Limit(t *testing.T) {
	for _, limit := range []int64{100 << 10, 3 << 20, 8<<20 + 5} {
		for _, valueSize := range []int{10, 1000, 40_000} {
			table := NewLimited(limit)
			for n := range 4 {
				table = table.Next()
				used := int64(0)
				for i := 0; table.Bytes() < limit; i++ {
					key := scattered(i)
					table.Put(0, key, kv.Hash(key), make([]byte, valueSize), kv.Set, kv.Seq(i+1))
					used += int64(headerSize + len(key) + valueSize)
				}
				slots := int64(0)
				if h := table.main.hashed.Load(); h != nil {
					slots = int64(len(*h.slots.Load()) * hashSlotBytes)
				}
				if over := table.Bytes() - limit; over > lastChunkSize+slots/3 { // they grow by half
					t.Errorf("limit %d, values of %d: %d bytes too many", limit, valueSize, over)
				}
				if idle := limit - used - slots; n == 3 && idle > 3*lastChunkSize {
					t.Errorf("limit %d, values of %d: of it %d are not used", limit, valueSize, idle)
				}
			}
		}
	}
}

// Large values do not end the chunk that small ones share, and take no more
// than they need.
func TestTable_LargeValue_OwnChunk(t *testing.T) {
	table := New()
	put(table, "small", "value", 1)
	before := table.Bytes()
	put(table, "large", string(make([]byte, 1<<20)), 2)
	put(table, "also small", "value", 3)
	if grown := table.Bytes() - before; grown > 1<<20+pageSize {
		t.Errorf("grew by %d bytes for a value of 1 MiB", grown)
	}
	if value, _, _ := table.Get(0, []byte("large"), kv.Hash([]byte("large")), 3); len(value) != 1<<20 || cap(value) != 1<<20 {
		t.Errorf("value of %d bytes, capacity %d", len(value), cap(value))
	}
}

// What Get and a cursor return stays as it was, and cannot be appended to in
// place.
func TestTable_Get_ValueStays(t *testing.T) {
	table := New()
	put(table, "k", "first", 1)
	value, _, _ := table.Get(0, []byte("k"), kv.Hash([]byte("k")), 1)
	c := table.NewCursor(0, 1)
	c.First()
	key := c.Key()
	for i := range 10_000 {
		put(table, "k", "later", kv.Seq(2+2*i))
		put(table, fmt.Sprint(i), "other", kv.Seq(3+2*i))
	}
	if string(value) != "first" || cap(value) != len(value) || string(key) != "k" || cap(key) != len(key) {
		t.Errorf("key %q, value %q", key, value)
	}
}

// A hundred thousand updates of one key stay in one slot, and a snapshot from
// any time finds its version in a number of steps that grows with the
// logarithm of theirs.
func TestTable_HotKey_OldSnapshots(t *testing.T) {
	const n = 100_000
	table := New()
	key := []byte("a counter")
	hash := kv.Hash(key)
	var value [8]byte
	for i := range uint64(n) {
		binary.LittleEndian.PutUint64(value[:], i+1)
		table.Put(0, key, hash, value[:], kv.Set, kv.Seq(10*(i+1)))
	}
	if table.main.root.Load().height != 0 || table.main.leaf(&table.arena, key).count() != 1 {
		t.Error("updates of one key took more than one slot")
	}
	most := 0
	newest := table.main.find(&table.arena, key, hash)
	for seq := kv.Seq(0); seq < 10*n+20; seq += 7 {
		got, kind, at := table.Get(0, key, hash, seq)
		want := min(seq/10, n)
		if want == 0 {
			if kind != 0 {
				t.Fatalf("at %d: kind %d, want none", seq, kind)
			}
		} else if kind != kv.Set || at != want*10 || binary.LittleEndian.Uint64(got) != uint64(want) {
			t.Fatalf("at %d: version %d, want %d", seq, at, want*10)
		}
		steps := 0
		for e := newest; e != nil && e.seq() > seq; e = table.arena.back(e, seq) {
			steps++
		}
		most = max(most, steps)
	}
	if limit := 3 * bits.Len(n); most > limit {
		t.Errorf("%d steps to a version, want at most %d", most, limit)
	}
}

// Keys in order leave full leaves behind, upwards and downwards.
func TestTable_InOrder_FillsLeaves(t *testing.T) {
	const n = 64 * 500
	for name, key := range map[string]func(i int) []byte{
		"ascending":  func(i int) []byte { return fmt.Appendf(nil, "%08d", i) },
		"descending": func(i int) []byte { return fmt.Appendf(nil, "%08d", n-i) },
		"two streams": func(i int) []byte {
			return fmt.Appendf(nil, "%d/%08d", i%2, i)
		},
	} {
		table := New()
		for i := range n {
			k := key(i)
			table.Put(0, k, kv.Hash(k), nil, kv.Set, kv.Seq(i+1))
		}
		checkTree(t, table, 0)
		leaves := 0
		var p path
		for more := p.first(&table.main); more; more = p.next() {
			leaves++
		}
		if leaves > n/leafSlots+3 {
			t.Errorf("%s: %d leaves for %d keys", name, leaves, n)
		}
	}
}

// With only one bit of hash left to tell keys apart, they are still told
// apart, by the keys themselves.
func TestTable_HashesCollide(t *testing.T) {
	table := inOrder()
	for i := range 3000 {
		key := fmt.Appendf(nil, "%d", i)
		table.Put(0, key, uint64(i&1), key, kv.Set, kv.Seq(i+1))
	}
	for i := range 3000 {
		key := fmt.Appendf(nil, "%d", i)
		if value, _, _ := table.Get(0, key, uint64(i&1), kv.MaxSeq); !bytes.Equal(value, key) {
			t.Fatalf("Get(%q) = %q", key, value)
		}
		if _, kind, _ := table.Get(0, append(key, '?'), uint64(i&1), kv.MaxSeq); kind != 0 {
			t.Fatalf("Get(%q): kind %d", append(key, '?'), kind)
		}
	}
}

// Reset takes a cursor to another table; moving it does not allocate once the
// leaves are sorted.
func TestCursor_Reset(t *testing.T) {
	one, two := New(), New()
	for i := range 1000 {
		put(one, fmt.Sprintf("one %04d", i), "", kv.Seq(i+1))
		put(two, fmt.Sprintf("two %04d", i), "", kv.Seq(i+1))
	}
	c := one.NewCursor(0, kv.MaxSeq)
	c.SeekGE([]byte("one 0500"))
	c.Reset(two, 0, kv.MaxSeq)
	if c.Next() || c.Prev() {
		t.Error("a cursor stands somewhere after Reset")
	}
	c.Reset(two, 0, 500)
	if !c.First() || string(c.Key()) != "two 0000" || !c.Last() || string(c.Key()) != "two 0499" {
		t.Errorf("after Reset the cursor ends on %q", c.Key())
	}
	key := []byte("two 0300")
	if allocs := testing.AllocsPerRun(20, func() {
		c.Reset(two, 0, kv.MaxSeq)
		c.SeekGE(key)
		for c.Next() {
		}
		c.SeekLT(key)
		for c.Prev() {
		}
	}); allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// Fragments of older moments are right however many tombstones there are and
// in whatever order the moments are asked for.
func TestTable_RangeDeletes_EveryMoment(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	table := New()
	var all []kv.RangeDelete
	letter := func() []byte { return []byte{'a' + byte(rnd.IntN(26)), 'a' + byte(rnd.IntN(26))} }
	for i := range 100 {
		r := kv.Range{Start: letter(), End: letter()}
		if bytes.Compare(r.Start, r.End) >= 0 {
			r.End = nil
			if rnd.IntN(3) > 0 {
				r.End = append(slices.Clone(r.Start), 'z')
			}
		}
		all = append(all, kv.RangeDelete{Range: r, Seq: kv.Seq(i+1) * 3})
		table.DeleteRange(0, r, kv.Seq(i+1)*3)
		for range 30 {
			seq := kv.Seq(rnd.IntN(3*i + 6))
			have := table.RangeDeletes(0, seq)
			key := letter()
			var want kv.Seq
			for _, d := range all {
				if d.Seq <= seq && d.Contains(key) {
					want = d.Seq
				}
			}
			if have.Covering(key) != want {
				t.Fatalf("at %d: %q is covered at %d, want %d", seq, key, have.Covering(key), want)
			}
			for j, f := range have {
				if f.Empty() || j > 0 && (have[j-1].End == nil || bytes.Compare(have[j-1].End, f.Start) > 0) {
					t.Fatalf("at %d: fragment %d is empty or overlaps: %v", seq, j, have)
				}
			}
		}
	}
}
