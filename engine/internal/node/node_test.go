package node

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// leafOf lays out a leaf of the keys, which are sorted. The value of a key is
// the key's length in decimal, of every seventh a reference, and of every
// eleventh a tombstone.
func leafOf(keys [][]byte) Node {
	prefix := commonPrefix(keys)
	cells := 0
	for i, k := range keys {
		v, _, overflow := leafValue(i, k)
		cells += LeafCellSize(len(k), v, overflow && v > 0)
	}
	var b LeafBuilder
	size := LeafSize(len(keys), len(prefix), cells)
	b.Begin(len(keys), prefix, size)
	for i, k := range keys {
		n, v, overflow := leafValue(i, k)
		b.Add(k[len(prefix):], uint8(kv.Hash(k)), v, n, overflow)
	}
	var h Header
	return finish(&h, b.Finish(&h), size)
}

// leafValue returns what LeafBuilder.Add takes; a tombstone is an overflow
// value of length 0 without a reference.
func leafValue(i int, key []byte) (int, []byte, bool) {
	if i%11 == 10 {
		return 0, nil, true
	}
	if i%7 == 6 {
		ref := make([]byte, RefSize)
		Ref{Off: Unit * uint64(i), Len: 100, Count: 1}.Put(ref)
		return 1000 * i, ref, true
	}
	v := fmt.Append(nil, len(key))
	return len(v), v, false
}

// branchOf lays out a branch with the separators, which are sorted, behind a
// first child.
func branchOf(separators [][]byte) Node {
	prefix := commonPrefix(separators)
	cells := 0
	for _, s := range separators {
		cells += BranchCellSize(len(s))
	}
	var b BranchBuilder
	size := BranchSize(len(separators)+1, len(prefix), cells)
	b.Begin(len(separators)+1, prefix, size)
	for i := range len(separators) + 1 {
		ref := make([]byte, RefSize)
		Ref{Off: Unit * uint64(i+1), Len: 4096, Count: uint64(i)}.Put(ref)
		if i == 0 {
			b.Add(nil, ref)
		} else {
			b.Add(separators[i-1][len(prefix):], ref)
		}
	}
	h := Header{Level: 1}
	return finish(&h, b.Finish(&h), size)
}

func commonPrefix(keys [][]byte) []byte {
	if len(keys) < 2 {
		return nil
	}
	return keys[0][:CommonPrefix(keys[0], keys[len(keys)-1])]
}

func finish(h *Header, b []byte, size int) Node {
	if len(b) > size && h.Shift == 0 {
		panic(fmt.Sprintf("%d bytes, the size said %d", len(b), size))
	}
	h.PlainLen = uint32(len(b) - HeaderSize)
	h.Put(b)
	return b
}

// someKeys returns up to n sorted keys of one of several shapes.
func someKeys(r *rand.Rand, n int) [][]byte {
	shape := r.IntN(5)
	var keys [][]byte
	for range 1 + r.IntN(n) {
		var k []byte
		switch shape {
		case 0:
			k = binary.BigEndian.AppendUint64(nil, r.Uint64())
		case 1:
			k = fmt.Appendf(nil, "user%06d", r.IntN(1000))
		case 2: // heads that are alike, or nearly
			k = append([]byte("same"), bytes.Repeat([]byte{byte(r.IntN(2))}, r.IntN(6))...)
		case 3:
			k = make([]byte, r.IntN(5))
			for i := range k {
				k[i] = []byte{0, 1, 0xFF}[r.IntN(3)]
			}
		case 4:
			k = append(bytes.Repeat([]byte{'x'}, 300*r.IntN(3)), byte(r.IntN(256)))
		}
		keys = append(keys, k)
	}
	slices.SortFunc(keys, bytes.Compare)
	return slices.CompactFunc(keys, bytes.Equal)
}

// probes are the keys, their neighbours, and others.
func probes(r *rand.Rand, keys [][]byte) [][]byte {
	out := slices.Clone(keys)
	for _, k := range keys {
		out = append(out, append(slices.Clone(k), 0), k[:r.IntN(len(k)+1)])
		if n := len(k); n > 0 {
			next := slices.Clone(k)
			next[r.IntN(n)] += byte(1 - 2*r.IntN(2))
			out = append(out, next)
		}
	}
	return append(out, nil, bytes.Repeat([]byte{0xFF}, 9))
}

func TestLeaf_FindAndLowerBound(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		keys := someKeys(r, 70)
		n := leafOf(keys)
		if err := Check(n); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if n.Count() != len(keys) || n.Kind() != Leaf || n.Level() != 0 {
			t.Fatalf("seed %d: %d entries of kind %d", seed, n.Count(), n.Kind())
		}
		for i, k := range keys {
			c := n.Cell(i)
			size, v, overflow := leafValue(i, k)
			tombstone := overflow && size == 0
			if !bytes.Equal(append(slices.Clone(n.Prefix()), c.Suffix...), k) || !bytes.Equal(c.Value, v) || c.Len != size ||
				c.Overflow != (overflow && !tombstone) || c.Tombstone != tombstone {
				t.Fatalf("seed %d: cell %d is %+v", seed, i, c)
			}
		}
		for _, k := range probes(r, keys) {
			at := sort.Search(len(keys), func(i int) bool { return bytes.Compare(keys[i], k) >= 0 })
			if got := n.LowerBound(k); got != at {
				t.Fatalf("seed %d: LowerBound(%q) = %d, want %d", seed, k, got, at)
			}
			v, size, overflow, found := n.Find(k, uint8(kv.Hash(k)))
			if want := at < len(keys) && bytes.Equal(keys[at], k); found != want {
				t.Fatalf("seed %d: Find(%q) = %v, want %v", seed, k, found, want)
			}
			if found {
				wantSize, want, wantOverflow := leafValue(at, k)
				if !bytes.Equal(v, want) || size != wantSize || overflow != wantOverflow {
					t.Fatalf("seed %d: Find(%q) = %q, %d, %v", seed, k, v, size, overflow)
				}
			}
		}
	}
}

// TestLeaf_Tombstones: a tombstone is told from an empty value, and takes two
// bytes beside its key, also where it is the last thing in the leaf.
func TestLeaf_Tombstones(t *testing.T) {
	for _, keys := range [][][]byte{
		{{}},
		{[]byte("a")},
		{{}, bytes.Repeat([]byte("k"), 127)},
		{[]byte("a"), bytes.Repeat([]byte("k"), 128)},
		{bytes.Repeat([]byte("k"), 300), bytes.Repeat([]byte("k"), 301)},
		{bytes.Repeat([]byte("k"), kv.MaxKeySize)},
	} {
		for deleted := range len(keys) + 1 { // the last of them, or all
			prefix := commonPrefix(keys)
			cells := 0
			for _, k := range keys {
				cells += LeafCellSize(len(k), 0, false)
			}
			var b LeafBuilder
			size := LeafSize(len(keys), len(prefix), cells)
			b.Begin(len(keys), prefix, size)
			for i, k := range keys {
				b.Add(k[len(prefix):], uint8(kv.Hash(k)), nil, 0, i >= deleted)
			}
			var h Header
			n := finish(&h, b.Finish(&h), size)
			if err := Check(n); err != nil {
				t.Fatalf("%d keys, deleted from %d on: %v", len(keys), deleted, err)
			}
			for i, k := range keys {
				c := n.Cell(i)
				if c.Tombstone != (i >= deleted) || c.Overflow || c.Len != 0 || len(c.Value) != 0 {
					t.Errorf("%d keys, deleted from %d on: cell %d is %+v", len(keys), deleted, i, c)
				}
				v, length, overflow, found := n.Find(k, uint8(kv.Hash(k)))
				if !found || overflow != (i >= deleted) || length != 0 || len(v) != 0 {
					t.Errorf("%d keys, deleted from %d on: found %v, %v, %d bytes", len(keys), deleted, found, overflow, length)
				}
			}
		}
	}
}

// TestLeaf_TombstoneOfALongNumber: every spelling of the number 1 is a
// tombstone to all who read it.
func TestLeaf_TombstoneOfALongNumber(t *testing.T) {
	for _, number := range [][]byte{{0x01}, {0x81, 0x00}, {0x81, 0x80, 0x00}, {0x81, 0x80, 0x80, 0x00}} {
		for _, long := range []bool{false, true} { // the suffix's number is long, too
			var b LeafBuilder
			b.Begin(1, nil, 100)
			key := []byte("key")
			b.Add(key, uint8(kv.Hash(key)), nil, 0, true)
			var h Header
			n := b.Finish(&h)
			cell := HeaderSize + int(binary.LittleEndian.Uint16(n[leafSlots(1):]))
			length := []byte{3}
			if long {
				length = []byte{0x83, 0x00}
			}
			n = append(append(append(n[:cell:cell], length...), number...), key...)
			h.PlainLen = uint32(len(n) - HeaderSize)
			h.Put(n)
			if err := Check(n); err != nil {
				t.Fatal(err)
			}
			_, size, overflow, found := Node(n).Find(key, uint8(kv.Hash(key)))
			if c := Node(n).Cell(0); !c.Tombstone || c.Overflow || !found || !overflow || size != 0 {
				t.Errorf("% x: the cell is %+v, Find says %v, %v, %d", number, c, found, overflow, size)
			}
		}
	}
}

// TestLeaf_Find_ZeroFingerprint: the padding looks like entries.
func TestLeaf_Find_ZeroFingerprint(t *testing.T) {
	n := leafOf([][]byte{[]byte("a")})
	if _, _, _, found := n.Find([]byte("b"), 0); found {
		t.Error("found in the padding")
	}
}

func TestBranch_Search(t *testing.T) {
	for seed := range uint64(600) {
		r := rand.New(rand.NewPCG(seed, 2))
		keys := someKeys(r, 300)
		if len(keys[0]) == 0 {
			keys = keys[1:] // no separator is empty
		}
		if len(keys) == 0 {
			continue
		}
		n := branchOf(keys)
		if err := Check(n); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for i, k := range keys {
			if got := n.AppendSeparator(nil, i+1); !bytes.Equal(got, k) {
				t.Fatalf("seed %d: separator %d is %q, want %q", seed, i+1, got, k)
			}
			if ref := n.Ref(i + 1); ref.Count != uint64(i+1) || ref.Off != Unit*uint64(i+2) {
				t.Fatalf("seed %d: reference %d is %+v", seed, i+1, ref)
			}
		}
		for _, k := range probes(r, keys) {
			want := sort.Search(len(keys), func(i int) bool { return bytes.Compare(keys[i], k) > 0 })
			if got := n.Search(k); got != want {
				t.Fatalf("seed %d: Search(%q) = %d, want %d", seed, k, got, want)
			}
		}
	}
}

// TestBranch_LongSeparators need their offsets shifted.
func TestBranch_LongSeparators(t *testing.T) {
	a := append(bytes.Repeat([]byte("a"), kv.MaxKeySize-1), 1)
	b := append(bytes.Repeat([]byte("b"), kv.MaxKeySize-2), 2)
	n := branchOf([][]byte{a, b})
	if n.Shift() == 0 {
		t.Fatal("no shift")
	}
	if err := Check(n); err != nil {
		t.Fatal(err)
	}
	for i, k := range [][]byte{a[:9], a, b} {
		if got := n.Search(k); got != i {
			t.Errorf("Search of key %d = %d", i, got)
		}
	}
	if !bytes.Equal(n.AppendSeparator(nil, 1), a) || !bytes.Equal(n.AppendSeparator(nil, 2), b) {
		t.Error("separators differ")
	}
}

func TestLeaf_LongestKey(t *testing.T) {
	long := bytes.Repeat([]byte{0xFF}, kv.MaxKeySize)
	for _, keys := range [][][]byte{{long}, {long[:50000], long[:50001]}, {{}, long[:60000]}} {
		n := leafOf(keys)
		if err := Check(n); err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			if _, _, _, found := n.Find(k, uint8(kv.Hash(k))); !found {
				t.Errorf("a key of %d bytes is lost among %d", len(k), len(keys))
			}
		}
	}
}

func TestSeparator_IsShortest(t *testing.T) {
	for _, c := range [][3]string{{"a", "b", "b"}, {"abc", "abd", "abd"}, {"ab", "abc", "abc"}, {"abc", "b", "b"}, {"", "xyz", "x"}, {"abcdefghij", "abcdefgzzz", "abcdefgz"}, {"abcdefghi", "abcdefghijk", "abcdefghij"}} {
		if got := string(Separator([]byte(c[0]), []byte(c[1]))); got != c[2] {
			t.Errorf("Separator(%q, %q) = %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

// TestCheck_FindsDamage breaks what each rule of Check is for.
func TestCheck_FindsDamage(t *testing.T) {
	keys := [][]byte{[]byte("key1"), []byte("key2"), []byte("key3")}
	slot := func(n Node, i int) []byte { return n[leafSlots(3)+2*i:] }
	bslot := func(n Node, i int) []byte { return n[branchSlots(4)+2*i:] }
	u16 := binary.LittleEndian.PutUint16
	cell := func(n Node, i int) []byte {
		return n[HeaderSize+int(binary.LittleEndian.Uint16(slot(n, i))):]
	}
	bcell := func(n Node, i int) []byte {
		return n[HeaderSize+int(binary.LittleEndian.Uint16(bslot(n, i))):]
	}
	leaf := map[string]func(n Node){
		"kind":               func(n Node) { n[12] = Overflow },
		"level":              func(n Node) { n[14] = 1 },
		"shift":              func(n Node) { n[15] = 1 },
		"plain length":       func(n Node) { n[40]++ },
		"no entries":         func(n Node) { u16(n[44:], 0) },
		"too many entries":   func(n Node) { u16(n[44:], 60000) },
		"prefix":             func(n Node) { u16(n[46:], 60000) },
		"slot in slots":      func(n Node) { u16(slot(n, 1), 3) },
		"slot past end":      func(n Node) { u16(slot(n, 1), uint16(len(n)-HeaderSize)) },
		"suffix past end":    func(n Node) { cell(n, 2)[0] = 100 },
		"value past end":     func(n Node) { cell(n, 2)[1] = 2 * 2 },
		"ref past end":       func(n Node) { cell(n, 2)[1] |= 1 },
		"tombstone past end": func(n Node) { c := cell(n, 2); c[0], c[1] = 5, 1 },
		"unending uvarint":   func(n Node) { c := cell(n, 2); c[1], c[2], c[3] = 0x80, 0x80, 0x80 },
		"equal keys":         func(n Node) { copy(slot(n, 1)[:2], slot(n, 0)[:2]) },
		"keys out of order":  func(n Node) { cell(n, 1)[2] = '9' },
	}
	branch := map[string]func(n Node){
		"level":             func(n Node) { n[14] = 0 },
		"shift":             func(n Node) { n[15] = 16 },
		"one child":         func(n Node) { u16(n[44:], 1) },
		"too many children": func(n Node) { u16(n[44:], 9000) },
		"prefix":            func(n Node) { u16(n[46:], 60000) },
		"first slot":        func(n Node) { u16(bslot(n, 0), 200) },
		"first head":        func(n Node) { n[branchHeads(4)] = 1 },
		"slot in slots":     func(n Node) { u16(bslot(n, 1), 3) },
		"slot past end":     func(n Node) { u16(bslot(n, 1), uint16(len(n)-HeaderSize)) },
		"suffix past end":   func(n Node) { bcell(n, 3)[0] = 100 },
		"wrong head":        func(n Node) { n[branchHeads(4)+4*2]++ },
		"out of order": func(n Node) {
			bcell(n, 2)[1] = '9'
			n[branchHeads(4)+4*2] = '9'
		},
		"reference to nothing":      func(n Node) { clear(n.RefBytes(2)[:6]) },
		"reference without length":  func(n Node) { clear(n.RefBytes(2)[12:16]) },
		"an empty second separator": func(n Node) { u16(n[46:], 0); bcell(n, 1)[0] = 0; clear(n[branchHeads(4)+4:][:4]) },
	}
	for name, damage := range leaf {
		n := leafOf(keys)
		if err := Check(n); err != nil {
			t.Fatal(err)
		}
		if damage(n); Check(n) == nil {
			t.Errorf("leaf: %s: not found", name)
		}
	}
	for name, damage := range branch {
		n := branchOf(keys)
		if err := Check(n); err != nil {
			t.Fatal(err)
		}
		if damage(n); Check(n) == nil {
			t.Errorf("branch: %s: not found", name)
		}
	}
	if Check(leafOf(keys)[:HeaderSize-1]) == nil || Check(make([]byte, MaxSize+1)) == nil {
		t.Error("a node of impossible size was let pass")
	}
}

// someTombstones are keys of which leafOf makes the last one a tombstone.
func someTombstones() (keys [][]byte) {
	for i := range 11 {
		keys = append(keys, fmt.Appendf(nil, "key%02d", i))
	}
	return keys
}

// FuzzCheck: whatever Check lets pass can be read without a panic.
func FuzzCheck(f *testing.F) {
	f.Add([]byte(leafOf([][]byte{{}, []byte("a"), []byte("ab")})), []byte("a"))
	f.Add([]byte(leafOf([][]byte{[]byte("one")})), []byte("o"))
	f.Add([]byte(leafOf(someTombstones())), []byte("key10"))
	f.Add([]byte(branchOf([][]byte{[]byte("key1"), []byte("key2")})), []byte("key12"))
	f.Add([]byte(branchOf([][]byte{bytes.Repeat([]byte("k"), 60000), bytes.Repeat([]byte("l"), 60000)})), []byte("kk"))
	f.Fuzz(func(t *testing.T, b, key []byte) {
		n := Node(slices.Clone(b))
		if len(n) >= HeaderSize {
			binary.LittleEndian.PutUint32(n[40:], uint32(len(n)-HeaderSize))
		}
		if Check(n) != nil {
			return
		}
		n.Prefix()
		if n.Kind() == Branch {
			for i := range n.Count() {
				n.Ref(i)
				n.AppendSeparator(nil, i)
			}
			if i := n.Search(key); i < 0 || i >= n.Count() {
				t.Fatalf("Search = %d of %d", i, n.Count())
			}
			return
		}
		for i := range n.Count() {
			c := n.Cell(i)
			if c.Overflow {
				c.Ref()
			}
			if c.Tombstone && (c.Overflow || c.Len != 0 || len(c.Value) != 0) {
				t.Fatalf("a tombstone with a value: %+v", c)
			}
			key := append(slices.Clone(n.Prefix()), c.Suffix...)
			_, size, overflow, found := n.Find(key, n.Fingerprint(i))
			if !found || size != c.Len || overflow != (c.Overflow || c.Tombstone) {
				t.Fatalf("the cell is %+v, Find says %v, %d, %v", c, found, size, overflow)
			}
		}
		if i := n.LowerBound(key); i < 0 || i > n.Count() {
			t.Fatalf("LowerBound = %d of %d", i, n.Count())
		}
		for fp := range 256 {
			n.Find(key, uint8(fp))
		}
	})
}

// A key with another prefix than the leaf's is not there, also where its end
// and its fingerprint are those of one that is.
func TestLeaf_Find_OtherPrefix(t *testing.T) {
	keys := [][]byte{[]byte("key-a"), []byte("key-b"), []byte("key-c")}
	n := leafOf(keys)
	for i, k := range keys {
		for at := range n.PrefixLen() {
			other := bytes.Clone(k)
			other[at]++
			if _, _, _, found := n.Find(other, n.Fingerprint(i)); found {
				t.Errorf("Find(%q) finds %q", other, k)
			}
		}
	}
}

func TestCommonPrefix(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		a := make([]byte, r.IntN(40))
		for i := range a {
			a[i] = byte(r.Uint32())
		}
		b := append(bytes.Clone(a[:r.IntN(len(a)+1)]), make([]byte, r.IntN(20))...)
		if len(b) > 0 && r.IntN(2) == 0 {
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		}
		want := 0
		for want < min(len(a), len(b)) && a[want] == b[want] {
			want++
		}
		if have := CommonPrefix(a, b); have != want || CommonPrefix(b, a) != want {
			t.Errorf("%x and %x: have %d, want %d", a, b, have, want)
		}
	}
}
