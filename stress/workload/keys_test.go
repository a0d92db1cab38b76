package workload

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

func TestPermutation_IsOne(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 4, 5, 7, 8, 100, 1000, 4096, 65_537} {
		for seed := range uint64(3) {
			p := newPermutation(n, seed)
			seen := make([]bool, n)
			for i := range n {
				at := p.at(i)
				if at >= n || seen[at] {
					t.Fatalf("n %d, seed %d: place %d has %d, out of range or twice", n, seed, i, at)
				}
				seen[at] = true
			}
		}
	}
}

// An order that kept neighbours together would make random fills cheap.
func TestPermutation_LooksRandom(t *testing.T) {
	const n = 100_000
	p := newPermutation(n, 1)
	var apart float64
	for i := range uint64(n - 1) {
		apart += math.Abs(float64(p.at(i+1)) - float64(p.at(i)))
	}
	if mean := apart / n / n; math.Abs(mean-1./3) > 0.02 {
		t.Errorf("neighbours are %.3f of all apart, want a third", mean)
	}
}

func TestKeys_AscendAndNoneIsMissing(t *testing.T) {
	for _, c := range []struct {
		n    uint64
		size int
	}{{1, 1}, {8, 1}, {128, 2}, {1000, 3}, {100_000, 8}, {100_000, 16}, {1000, 37}, {1 << 60, 16}, {MaxKeys(16), 40}} {
		if c.n > MaxKeys(c.size) {
			t.Fatalf("%d keys of %d bytes: there are only %d", c.n, c.size, MaxKeys(c.size))
		}
		k := newKeys(c.n, c.size, 7)
		last, key, missing := make([]byte, c.size), make([]byte, c.size), make([]byte, c.size)
		few := min(c.n, 100_000)
		for i := c.n - few; i < c.n; i++ {
			k.put(key, i, false)
			k.put(missing, i, true)
			if i > c.n-few && bytes.Compare(last, key) >= 0 {
				t.Fatalf("%d of size %d: key %d is %q, the one before %q", c.n, c.size, i, key, last)
			}
			// No key ends with the digit of a missing one.
			if d := min(c.size, digits) - 1; strings.IndexByte("02468ace", key[d]) < 0 || strings.IndexByte("13579bdf", missing[d]) < 0 {
				t.Fatalf("key %q, missing %q: want an even and an odd number", key, missing)
			}
			if bytes.Compare(missing, key) <= 0 && c.size <= digits {
				t.Fatalf("missing %q is not behind %q", missing, key)
			}
			copy(last, key)
		}
	}
}

// The shares of the likeliest numbers are those of the formula.
func TestZipf_HasItsShape(t *testing.T) {
	const n, draws = 10_000, 2_000_000
	z, r := newZipf(n), random(1)
	counts := make([]float64, n)
	for range draws {
		counts[z.draw(&r)]++
	}
	var zeta float64
	for i := range n {
		zeta += math.Pow(float64(i+1), -theta)
	}
	for _, i := range []int{0, 1, 2, 3, 10, 100} {
		want := draws / zeta / math.Pow(float64(i+1), theta)
		near := 0.02 + 4/math.Sqrt(want)
		if i == 0 {
			near += 0.1
		}
		if math.Abs(counts[i]/want-1) > near {
			t.Errorf("number %d was drawn %.0f times, want about %.0f", i, counts[i], want)
		}
	}
	for _, n := range []uint64{1, 2, 3} {
		z := newZipf(n)
		for range 10_000 {
			if i := z.draw(&r); i >= n {
				t.Fatalf("%d of %d was drawn", i, n)
			}
		}
	}
}

func TestValues_RepeatThemselvesAsAsked(t *testing.T) {
	v := values(100, 75, 1)
	if len(v) != 1<<20+100 {
		t.Fatalf("%d bytes", len(v))
	}
	if !bytes.Equal(v[:25], v[25:50]) || !bytes.Equal(v[:25], v[75:100]) || bytes.Equal(v[:25], v[100:125]) {
		t.Errorf("three quarters of each hundred bytes should repeat the first: %x", v[:200])
	}
}
