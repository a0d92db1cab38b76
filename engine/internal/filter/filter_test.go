package filter

import (
	"math/rand/v2"
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
