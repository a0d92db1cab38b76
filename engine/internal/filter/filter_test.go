package filter

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"
)

func hashes(n int, seed uint64) []uint64 {
	rnd := rand.New(rand.NewPCG(seed, 0))
	h := make([]uint64, n)
	for i := range h {
		h[i] = rnd.Uint64()
	}
	return h
}

// What was put in is never denied, before and after a trip through its bytes;
// of what was not, few pass.
func TestFilter_HasWhatItWasGiven(t *testing.T) {
	for _, n := range []int{0, 1, 2, 50, 51, 52, 1000, 100_000} {
		have := hashes(n, uint64(n))
		f := New(have)
		stored := f.Encode()
		if len(stored) != f.Size() {
			t.Errorf("%d hashes: encoded as %d bytes, the size is %d", n, len(stored), f.Size())
		}
		decoded, ok := Decode(stored)
		if !ok {
			t.Fatalf("%d hashes: does not decode", n)
		}
		for _, h := range have {
			if !f.MayHave(h) || !decoded.MayHave(h) {
				t.Fatalf("%d hashes: %x is denied", n, h)
			}
		}
		passed := 0
		absent := hashes(100_000, 1<<40)
		for _, h := range absent {
			if decoded.MayHave(h) {
				passed++
			}
		}
		if share := float64(passed) / float64(len(absent)); share > 0.02 {
			t.Errorf("%d hashes: %.2f %% of others pass, want at most 2 %%", n, 100*share)
		}
	}
}

// A filter that is added to, by several at once, is that of New. With half as many
// keys again as it has room for, it still denies most others.
func TestFilter_Add(t *testing.T) {
	have := hashes(20_000, 1)
	want, f := New(have), Sized(20_000)
	if uint64(f.Size()) != Size(20_000) || f.Size() != want.Size() {
		t.Errorf("%d bytes, have %d and want %d", f.Size(), Size(20_000), want.Size())
	}
	var adding sync.WaitGroup
	for part := range 4 {
		adding.Go(func() {
			for _, h := range have[part*4000 : part*4000+8000] {
				f.Add(h)
				if !f.MayHave(h) {
					t.Errorf("%x is denied", h)
				}
			}
		})
	}
	adding.Wait()
	if !bytes.Equal(f.Encode(), want.Encode()) {
		t.Error("not the filter that New makes")
	}
	if f.Add(have[0]) {
		t.Error("a key that is there was added")
	}
	for _, h := range hashes(10_000, 2) {
		f.Add(h)
	}
	passed := 0
	for _, h := range hashes(10_000, 3) {
		if f.MayHave(h) {
			passed++
		}
	}
	if passed > 700 {
		t.Errorf("%d of 10,000 others pass", passed)
	}
}

func TestDecode_Refuses(t *testing.T) {
	for _, n := range []int{0, 1, 63, 65, 100} {
		if _, ok := Decode(make([]byte, n)); ok {
			t.Errorf("%d bytes are taken for a filter", n)
		}
	}
	var none *Filter
	if !none.MayHave(1) || none.Size() != 0 {
		t.Error("no filter denies a key")
	}
}

func BenchmarkMayHave(b *testing.B) {
	f := New(hashes(250_000, 1))
	absent := hashes(1<<16, 2)
	for i := 0; b.Loop(); i++ {
		f.MayHave(absent[i&(1<<16-1)])
	}
}
