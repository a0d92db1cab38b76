package pager

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/vfs"
)

// valuesOf is a database of n overflow extents of size bytes each.
func valuesOf(t testing.TB, fs vfs.FS, size, n int, cacheBytes int64) (*Pager, []node.Ref) {
	t.Helper()
	p, err := Create(fs, testName, testMeta(), Options{CacheBytes: cacheBytes})
	if err != nil {
		t.Fatal(err)
	}
	w, err := p.Begin(1)
	if err != nil {
		t.Fatal(err)
	}
	refs := make([]node.Ref, n)
	for i := range refs {
		if refs[i], err = w.WriteOverflow(5, valueNumber(i, size), compress.None); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(p.Meta(), false); err != nil {
		t.Fatal(err)
	}
	return p, refs
}

// valueNumber is a value of size bytes that tells i.
func valueNumber(i, size int) []byte {
	return bytes.Repeat(binary.LittleEndian.AppendUint64(nil, uint64(i)), size/8)
}

func readValue(t testing.TB, p *Pager, ref node.Ref, want []byte) (hit bool) {
	t.Helper()
	before := p.Stats().Hits
	have, err := p.ReadOverflow(ref, 5, []byte("x"))
	if err != nil || !bytes.Equal(have[1:], want) {
		t.Fatalf("value at %d: %d bytes, %v", ref.Off, len(have), err)
	}
	return p.Stats().Hits > before
}

// Values that fit are read from the disk once; a scan reads what is there and
// keeps nothing; what is longer than its part of the cache is not kept either.
func TestCache_KeepsValues(t *testing.T) {
	p, refs := valuesOf(t, vfs.NewMem(), 10<<10, 50, 1<<20)
	for i, ref := range refs[:40] {
		if _, err := p.ReadOverflowForScan(ref, 5, nil); err != nil {
			t.Fatal(err)
		}
		if readValue(t, p, ref, valueNumber(i, 10<<10)) {
			t.Errorf("a scan kept value %d", i)
		}
	}
	for i, ref := range refs[:40] {
		if !readValue(t, p, ref, valueNumber(i, 10<<10)) {
			t.Errorf("value %d is not in memory", i)
		}
	}
	if err := p.cache.check(); err != nil {
		t.Error(err)
	}
	p, refs = valuesOf(t, vfs.NewMem(), 1<<20/largestValue, 1, 1<<20)
	for range 20 {
		if readValue(t, p, refs[0], valueNumber(0, 1<<20/largestValue)) {
			t.Fatal("a value larger than its part of the cache is in memory")
		}
	}
}

// Values that are read often come to memory that others fill, and a stream of
// values that are read once does not push nodes out.
func TestCache_ValuesWaitForRoom(t *testing.T) {
	const size, limit = 8000, 100 * 8500
	p, refs := valuesOf(t, vfs.NewMem(), size, 1000, limit)
	hits := func(from, to int) (n int) {
		for i := from; i < to; i++ {
			if readValue(t, p, refs[i], valueNumber(i, size)) {
				n++
			}
		}
		return n
	}
	for range 4 {
		hits(0, 60)
	}
	hits(100, 1000)
	if have := hits(0, 60); have < 55 {
		t.Errorf("%d of 60 often read values are left", have)
	}
	for range 60 {
		hits(500, 540)
	}
	if have := hits(500, 540); have < 35 {
		t.Errorf("%d of 40 newly read values are in memory", have)
	}
	if err := p.cache.check(); err != nil {
		t.Error(err)
	}
}

// Of long values that are a quarter more than the cache holds, most are found
// there, in whatever order they are read; and others take their places once they
// are read instead.
func TestCache_LongValuesDoNotPushEachOtherOut(t *testing.T) {
	const size, n, rounds = 200 << 10, 80, 40
	p, refs := valuesOf(t, vfs.NewMem(), size, 2*n, n*size*4/5)
	rnd := rand.New(rand.NewPCG(1, 2))
	hitRate := func(next func(i int) int) float64 {
		hits := 0
		for i := range rounds * n {
			k := next(i)
			if readValue(t, p, refs[k], valueNumber(k, size)) {
				hits++
			}
		}
		return float64(hits) / (rounds * n)
	}
	around := hitRate(func(i int) int { return i % n })
	random := hitRate(func(int) int { return rnd.IntN(n) })
	hitRate(func(int) int { return n + rnd.IntN(n) })
	others := hitRate(func(int) int { return n + rnd.IntN(n) })
	if around < 0.6 || random < 0.7 || others < 0.7 {
		t.Errorf("hit rates: %.2f one after the other, %.2f at random, %.2f of the others", around, random, others)
	}
	if err := p.cache.check(); err != nil {
		t.Error(err)
	}
}

// An extent that takes the place of a freed one is never read as the old one,
// and the other way round, whatever the memory still holds.
func TestCache_AValueInThePlaceOfAnother(t *testing.T) {
	const size, n = 5000, 40
	mem := vfs.NewMem()
	p, refs := valuesOf(t, mem, size, n, 20*6000)
	r := rand.New(rand.NewPCG(1, 41))
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	next := n
	for round := range 60 {
		for range 30 {
			i := r.IntN(n)
			readValue(t, p, refs[i], valueNumber(numbers[i], size))
		}
		w, err := p.Begin(p.Meta().Gen)
		if err != nil {
			t.Fatal(err)
		}
		newRefs, newNumbers := slices.Clone(refs), slices.Clone(numbers)
		for i := range n {
			if r.IntN(3) != 0 {
				continue
			}
			w.Free(refs[i])
			if newRefs[i], err = w.WriteOverflow(5, valueNumber(next, size), compress.None); err != nil {
				t.Fatal(err)
			}
			newNumbers[i] = next
			next++
			if slices.ContainsFunc(refs, func(old node.Ref) bool { return old.Off == newRefs[i].Off }) {
				t.Fatal("the place of a value in use was given away")
			}
			readValue(t, p, newRefs[i], valueNumber(newNumbers[i], size))
			readValue(t, p, refs[i], valueNumber(numbers[i], size)) // as a snapshot does
		}
		if err := p.cache.check(); err != nil {
			t.Fatal(err)
		}
		if round%3 == 0 {
			w.Abort() // the next writer gives the same places to other values
		} else if err := w.Commit(p.Meta(), false); err != nil {
			t.Fatal(err)
		} else {
			refs, numbers = newRefs, newNumbers
		}
		if err := p.cache.check(); err != nil {
			t.Fatal(err)
		}
	}
	if end := p.Meta().FileSize; end > 4*n*(size+1000) {
		t.Errorf("a file of %d bytes: no place was used again", end)
	}
}

// The limit holds while eight goroutines read values, each in its turn too
// large, and a writer frees them and gives up.
func TestCache_KeepsItsLimitWithValues(t *testing.T) {
	const size, limit = 6000, 30 * 6500
	p, refs := valuesOf(t, vfs.NewMem(), size, 100, limit)
	var readers sync.WaitGroup
	for g := range uint64(8) {
		readers.Go(func() {
			r := rand.New(rand.NewPCG(g, 42))
			var dst []byte
			for range 1000 {
				i := r.IntN(len(refs))
				var err error
				if dst, err = p.ReadOverflow(refs[i], 5, dst[:0]); err != nil || !bytes.Equal(dst, valueNumber(i, size)) {
					t.Errorf("value %d: %d bytes, %v", i, len(dst), err)
					return
				}
			}
		})
	}
	for range 200 {
		w, err := p.Begin(p.Meta().Gen)
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range refs[:20] {
			w.Free(ref)
		}
		w.Abort()
		if err := p.cache.check(); err != nil {
			t.Fatal(err)
		}
	}
	readers.Wait()
	if err := p.cache.check(); err != nil {
		t.Error(err)
	}
}

// F27: what is stored compressed unpacks to no more than the writer compresses,
// whatever a header says whose checksum fits.
func TestReadOverflow_Bomb(t *testing.T) {
	const plain = maxCompressed + 1
	fs := vfs.NewMem()
	p, refs := valuesOf(t, fs, 8, 1, 1<<30)
	w, err := p.Begin(1)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := w.WriteOverflow(5, compress.Encode(compress.Zstd, nil, make([]byte, plain)), compress.None)
	if err == nil {
		err = w.Commit(p.Meta(), false)
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := fs.Open(testName, vfs.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, ref.Len)
	if _, err := f.ReadAt(b, int64(ref.Off)); err != nil {
		t.Fatal(err)
	}
	h, err := node.GetHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	h.Codec, h.PlainLen = uint8(compress.Zstd), plain
	h.Put(b)
	h.Sum = node.Sum(b)
	h.Put(b)
	if _, err := f.WriteAt(b, int64(ref.Off)); err != nil {
		t.Fatal(err)
	}
	ref.Sum = h.Sum
	readValue(t, p, refs[0], valueNumber(0, 8))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, read := range []func(node.Ref, kv.Keyspace, []byte) ([]byte, error){p.ReadOverflow, p.ReadOverflowForScan} {
		if value, err := read(ref, 5, nil); err == nil || len(value) > 0 {
			t.Errorf("%d bytes unpack to %d", ref.Len, len(value))
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}
