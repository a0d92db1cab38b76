package tally

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// One goroutine's counts are all there, whatever it adds.
func TestCounter_OneGoroutine(t *testing.T) {
	var c Counter
	for range 1000 {
		c.Add(3)
	}
	if n := c.Sum(); n != 3000 {
		t.Errorf("the sum is %d, want 3000", n)
	}
}

// Many goroutines lose few counts, and who watches never sees fewer than before.
func TestCounter_ManyGoroutines(t *testing.T) {
	const goroutines, each = 64, 20_000
	var c Counter
	var adding sync.WaitGroup
	var done atomic.Bool
	for range goroutines {
		adding.Go(func() {
			for range each {
				c.Add(1)
			}
		})
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		last := uint64(0)
		for !done.Load() {
			n := c.Sum()
			if n < last {
				t.Errorf("%d after %d", n, last)
			}
			last = n
			runtime.Gosched()
		}
	})
	adding.Wait()
	done.Store(true)
	watching.Wait()
	if n := c.Sum(); n > goroutines*each || n < goroutines*each/2 {
		t.Errorf("the sum is %d of %d", n, goroutines*each)
	}
}

// A stripe that goes back, as one can whose addition was cut in two, does not
// show.
func TestCounter_NeverGoesDown(t *testing.T) {
	var c Counter
	c.Add(10)
	if n := c.Sum(); n != 10 {
		t.Fatal(n)
	}
	c.Add(-4)
	if n := c.Sum(); n != 10 {
		t.Errorf("the sum is %d, want 10", n)
	}
	c.Add(5)
	if n := c.Sum(); n != 11 {
		t.Errorf("the sum is %d, want 11", n)
	}
}

// A value is counted in the bucket whose bound is the least that it does not
// exceed, and in the last one above all bounds.
func TestHistogram_Buckets(t *testing.T) {
	const low = 6
	top := int64(1) << (low + HistogramBounds - 1)
	for _, tc := range []struct {
		x      int64
		bucket int
	}{
		{-5, 0}, {0, 0}, {1, 0}, {64, 0}, {65, 1}, {128, 1}, {129, 2}, {top, HistogramBounds - 1}, {top + 1, HistogramBounds}, {math.MaxInt64, HistogramBounds},
	} {
		var h Histogram
		h.Init(low)
		h.Observe(tc.x)
		s := h.Snapshot()
		if s.Counts[tc.bucket] != 1 || h.Count() != 1 || s.Sum != uint64(max(tc.x, 0)) || h.Sum() != s.Sum {
			t.Errorf("%d: not in bucket %d, or counted wrong: %+v", tc.x, tc.bucket, s)
		}
		if tc.bucket < HistogramBounds && uint64(max(tc.x, 0)) > s.Bound(tc.bucket) {
			t.Errorf("%d is above the bound %d", tc.x, s.Bound(tc.bucket))
		}
		if tc.bucket > 0 && uint64(tc.x) <= s.Bound(tc.bucket-1) {
			t.Errorf("%d is not above the bound before, %d", tc.x, s.Bound(tc.bucket-1))
		}
	}
}
