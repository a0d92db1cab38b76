package workload

import "math/bits"

// subBits makes a bucket of the histogram at most 1/64 of its value wide.
const subBits = 6

// Histogram counts latencies in nanoseconds, exact below 64 and to 1.6 %
// above. Its zero value is empty.
type Histogram struct {
	counts [(64 - subBits + 1) << subBits]uint64
	n      uint64
}

// Record adds a latency.
func (h *Histogram) Record(ns int64) {
	h.counts[bucket(uint64(max(ns, 0)))]++
	h.n++
}

func bucket(v uint64) int {
	shift := max(bits.Len64(v)-subBits-1, 0)
	return shift<<subBits + int(v>>shift)
}

// value is the middle of a bucket.
func value(bucket int) float64 {
	if bucket < 2<<subBits {
		return float64(bucket)
	}
	shift := bucket>>subBits - 1
	low := uint64(bucket-shift<<subBits) << shift
	return float64(low) + float64(uint64(1)<<shift-1)/2
}

// Add adds the counts of another histogram.
func (h *Histogram) Add(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.n += other.n
}

// Quantile returns the latency that a share q of all do not exceed: 0.5 is the
// median. An empty histogram's are 0.
func (h *Histogram) Quantile(q float64) float64 {
	// The rank of the last one in that share, counted from 1.
	rank := uint64(q*float64(h.n) + 0.999999)
	rank = min(max(rank, 1), h.n)
	seen := uint64(0)
	for i, n := range h.counts {
		seen += n
		if n > 0 && seen >= rank {
			return value(i)
		}
	}
	return 0
}
