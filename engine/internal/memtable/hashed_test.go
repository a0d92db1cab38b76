package memtable

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

func scattered(i int) []byte {
	var key [16]byte
	binary.BigEndian.PutUint64(key[:], uint64(i)*0x9E3779B97F4A7C15)
	return key[:]
}

func (t *Table) isHashed() bool { return t.main.hashed.Load() != nil }

// The form follows from what comes and from who asks.
func TestTable_Form(t *testing.T) {
	fill := func(table *Table, key func(int) []byte) {
		for i := range 1000 {
			k := key(i)
			table.Put(0, k, kv.Hash(k), k, kv.Set, table.LastSeq()+1)
		}
		checkTree(t, table, 0)
	}
	counted := func(i int) []byte { return fmt.Appendf(nil, "%08d", i) }

	table := New()
	fill(table, counted)
	if table.isHashed() {
		t.Error("keys in order were hashed")
	}
	fill(table, scattered)
	if !table.isHashed() {
		t.Error("a tree of sixteen leaves and one branch stays a tree when keys come in no order")
	}
	table.Get(0, counted(1), kv.Hash(counted(1)), kv.MaxSeq)
	table.ChangedKey(0, counted(1), kv.Hash(counted(1)), 0)
	next := table.Next()
	if fill(next, scattered); !next.isHashed() {
		t.Error("nobody asked for an order, and the next table is ready for it")
	}
	for name, ask := range map[string]func(*Table){
		"First":   func(t *Table) { t.NewCursor(0, 1).First() },
		"Last":    func(t *Table) { t.NewCursor(0, 1).Last() },
		"SeekGE":  func(t *Table) { t.NewCursor(0, 1).SeekGE(nil) },
		"SeekLT":  func(t *Table) { t.NewCursor(0, 1).SeekLT(nil) },
		"Changed": func(t *Table) { t.Changed(0, kv.Range{}, 0) },
	} {
		table := New()
		fill(table, scattered)
		before := table.Bytes()
		if ask(table); !table.isHashed() {
			t.Errorf("%s: only the writer makes a tree", name)
		}
		put(table, "one more", "value", table.LastSeq()+1)
		if table.isHashed() {
			t.Errorf("%s: the table stays hashed", name)
		}
		checkTree(t, table, 0)
		if after := table.Bytes(); after < before/2 || after > before*2 {
			t.Errorf("%s: %d bytes became %d", name, before, after)
		}
		next := table.Next()
		if fill(next, scattered); next.isHashed() {
			t.Errorf("%s: the next table is hashed", name)
		}
		if next.Changed(0, kv.Range{}, 0); !next.Next().ordered {
			t.Errorf("%s: a tree does not remember that order was asked for", name)
		}
		next = next.Next()
		after := next.Next()
		if fill(after, scattered); !after.isHashed() {
			t.Errorf("%s: nobody asked again, and the table after the next is no longer hashed", name)
		}
	}
}

// Who asks for an order beside a put may ask again before the next one.
func TestHashed_InOrder_WhatCameMeanwhile(t *testing.T) {
	table := New()
	put := func(i int) {
		table.main.put(&table.arena, nil, scattered(i), kv.Hash(scattered(i)), nil, kv.Set, kv.Seq(i+1))
	}
	for i := range 1000 {
		put(i)
		table.fit(&table.main)
	}
	for i := 1000; i < 1010; i++ {
		put(i) // which did not see that somebody asks
		before := table.Bytes()
		for _, seq := range []kv.Seq{kv.Seq(i + 1), kv.MaxSeq, kv.Seq(i)} {
			c := table.NewCursor(0, seq)
			if !c.SeekGE(scattered(i)) || (string(c.Key()) == string(scattered(i))) != (seq > kv.Seq(i)) {
				t.Errorf("at %d key %d is there, or is not: %q", seq, i, c.Key())
			}
		}
		if grown := table.Bytes() - before; i > 1000 && grown != cellBytes {
			t.Errorf("an order of one key more takes %d bytes more", grown)
		}
	}
	if !table.isHashed() {
		t.Error("the table is a tree")
	}
}

// Keys that were chosen for their hashes make a tree, and none of them is lost.
func TestTable_ChosenHashes(t *testing.T) {
	table := New()
	var keys [][]byte
	for i := 0; len(keys) < 2*maxProbes; i++ {
		if key := scattered(i); kv.Hash(key)>>52 == 0xABC {
			keys = append(keys, key)
			table.Put(0, key, kv.Hash(key), key, kv.Set, kv.Seq(len(keys)))
			if len(keys) == maxProbes/2 && !table.isHashed() {
				t.Error("the keys were not hashed")
			}
		}
	}
	if table.isHashed() {
		t.Error("a thousand keys beside one another in a hash table")
	}
	checkTree(t, table, 0)
	for i, key := range keys {
		if value, _, seq := table.Get(0, key, kv.Hash(key), kv.MaxSeq); string(value) != string(key) || seq != kv.Seq(i+1) {
			t.Fatalf("Get(%q) = %q at %d", key, value, seq)
		}
	}
}

// While one writer puts keys in no order, some of them again, readers find each
// version that was there when they came, by key and in order, whatever the form
// of the table is just then.
func TestTable_FormChangesBesideReaders(t *testing.T) {
	const keys, operations = 5000, 20_000
	for _, first := range []int{0, 100, 4000, operations - 1} { // when somebody asks for an order
		table := New()
		var published atomic.Uint64
		var all sync.WaitGroup
		// Operation i, with the sequence number i+1, puts key number i*7919 mod keys.
		number := func(i int) int { return i * 7919 % keys }
		all.Go(func() {
			for i := range operations {
				k := scattered(number(i))
				table.Put(0, k, kv.Hash(k), fmt.Appendf(nil, "%d", i), kv.Set, kv.Seq(i+1))
				published.Store(uint64(i + 1))
			}
		})
		all.Go(func() { // for what is never there
			for i := keys; published.Load() < operations; i++ {
				k := scattered(i)
				if value, kind, at := table.Get(0, k, kv.Hash(k), kv.MaxSeq); kind != 0 {
					t.Errorf("Get of an absent key: %q at %d", value, at)
					return
				}
			}
		})
		for reader := range 3 {
			all.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(reader), uint64(first)))
				for seq := 0; seq < operations; {
					seq = int(published.Load())
					if seq == 0 {
						continue
					}
					i := max(0, seq-1-rnd.IntN(keys)) // the newest of its key
					k := scattered(number(i))
					if value, _, at := table.Get(0, k, kv.Hash(k), kv.Seq(seq)); at != kv.Seq(i+1) || string(value) != fmt.Sprint(i) {
						t.Errorf("Get of operation %d at %d: %q at %d", i, seq, value, at)
						return
					}
					if seq < first || reader == 0 {
						continue
					}
					c := table.NewCursor(0, kv.Seq(seq))
					n := 0
					for more := c.First(); more; more = c.Next() {
						n++
					}
					if want := min(seq, keys); n != want {
						t.Errorf("%d keys in order at %d, want %d", n, seq, want)
						return
					}
					if !c.SeekGE(k) || c.Seq() != kv.Seq(i+1) {
						t.Errorf("SeekGE to operation %d at %d: %d", i, seq, c.Seq())
						return
					}
				}
			})
		}
		all.Wait()
		checkTree(t, table, 0)
	}
}

// While one writer puts keys in order, readers find each that was there when they
// came.
func TestTable_ReadersInOrder(t *testing.T) {
	const operations = 1_000_000
	table := New()
	key := func(i int) []byte { return binary.BigEndian.AppendUint64([]byte("key "), uint64(i)) }
	var published atomic.Uint64
	var all sync.WaitGroup
	all.Go(func() {
		for i := range operations {
			k := key(i)
			table.Put(0, k, kv.Hash(k), k, kv.Set, kv.Seq(i+1))
			published.Store(uint64(i + 1))
		}
	})
	for range 2 {
		all.Go(func() {
			for n := 0; n < operations; {
				n = int(published.Load())
				if n == 0 {
					continue
				}
				for i := max(0, n-200); i < n; i++ {
					if value, _, at := table.Get(0, key(i), kv.Hash(key(i)), kv.Seq(n)); at != kv.Seq(i+1) || string(value) != string(key(i)) {
						t.Errorf("Get of key %d at %d: %q at %d", i, n, value, at)
						return
					}
				}
				c := table.NewCursor(0, kv.Seq(n))
				if !c.Last() || c.Seq() != kv.Seq(n) {
					t.Errorf("Last at %d: %d", n, c.Seq())
					return
				}
				for _, beyond := range []string{"l", "zzzz behind all of them"} { // where some are added meanwhile
					if !c.SeekLT([]byte(beyond)) || c.Seq() != kv.Seq(n) || c.SeekGE([]byte(beyond)) {
						t.Errorf("behind the last key at %d: %d", n, c.Seq())
						return
					}
				}
				first := max(0, n-200)
				for more, i := c.SeekGE(key(first)), first; i < n; more, i = c.Next(), i+1 {
					if !more || c.Seq() != kv.Seq(i+1) {
						t.Errorf("key %d is not in order at %d: %d", i, n, c.Seq())
						return
					}
				}
			}
		})
	}
	all.Wait()
	checkTree(t, table, 0)
}
