package workload

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestHistogram_QuantilesAreThoseOfSortedSamples(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var parts [2]histogram
	var samples []time.Duration
	for i := range 100_000 {
		d := time.Duration(math.Exp(rnd.Float64() * math.Log(1e10)))
		samples = append(samples, d)
		parts[i%2].add(d, 1)
	}
	slices.Sort(samples)
	parts[0].merge(&parts[1])
	for _, q := range []float64{0, 0.1, 0.5, 0.9, 0.99, 0.999, 1} {
		have := parts[0].quantile(q)
		want := samples[max(int(math.Ceil(q*float64(len(samples)))), 1)-1]
		if math.Abs(float64(have-want)) > 0.01*float64(want) {
			t.Errorf("quantile %v is %v, want %v", q, have, want)
		}
	}
}

func TestHistogram_Edges(t *testing.T) {
	var h histogram
	if h.quantile(0.5) != 0 || h.quantile(1) != 0 {
		t.Error("an empty histogram has a quantile")
	}
	h.add(-5, 1) // a clock that cost less than the one subtracted
	h.add(math.MaxInt64, 1)
	if h.quantile(0) != 0 || h.quantile(1) != math.MaxInt64 {
		t.Errorf("from %v to %v", h.quantile(0), h.quantile(1))
	}
	var few histogram // exact: the 99th of a hundred is what 99 % do not exceed
	for d := range time.Duration(100) {
		few.add(d+1, 1)
	}
	if p50, p99 := few.quantile(0.5), few.quantile(0.99); p50 != 50 || p99 != 99 {
		t.Errorf("of 1 to 100 the median is %d and p99 %d", p50, p99)
	}
	var weighed histogram
	weighed.add(10, 16)
	weighed.add(20, 1)
	if weighed.n != 17 || weighed.quantile(0.9) != 10 || weighed.quantile(0.99) != 20 {
		t.Errorf("weights: %d samples, %v, %v", weighed.n, weighed.quantile(0.9), weighed.quantile(0.99))
	}
}

// Buckets follow one another without a gap, and hold their own middle.
func TestHistogram_BucketsAreConsecutive(t *testing.T) {
	last := -1
	for v := uint64(0); v < 1<<14; v++ {
		b := bucketOf(v)
		if b != last && b != last+1 {
			t.Fatalf("%d is in bucket %d, %d in %d", v-1, last, v, b)
		}
		last = b
	}
	for i := range buckets {
		if have := bucketOf(uint64(middleOf(i))); have != i {
			t.Fatalf("the middle of bucket %d, %d, is in %d", i, middleOf(i), have)
		}
	}
}
