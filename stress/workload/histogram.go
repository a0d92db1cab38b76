package workload

import (
	"math"
	"math/bits"
	"time"
)

// A histogram counts durations in buckets that are equally wide between two
// powers of two and double from there to the next, as HdrHistogram's do: a
// quantile is within 1 % of the truth. The zero value is empty.
type histogram struct {
	n      uint64
	max    time.Duration
	counts [buckets]uint64
}

const (
	// halfBits: a power of two is divided into that power of buckets.
	halfBits = 6
	half     = 1 << halfBits
	// Longer ones than a little over an hour are counted as of that long.
	longestBits = 42
	buckets     = (longestBits - halfBits + 1) * half
)

// bucketOf returns the bucket of a duration of v nanoseconds. Those below
// 2*half have one each.
func bucketOf(v uint64) int {
	v = min(v, 1<<longestBits-1)
	shift := max(0, bits.Len64(v)-halfBits-1)
	return shift*half + int(v>>shift)
}

// middleOf returns the middle of a bucket.
func middleOf(i int) time.Duration {
	if i < 2*half {
		return time.Duration(i)
	}
	shift := i/half - 1
	return time.Duration(uint64(i%half+half)<<shift + 1<<shift/2)
}

// add counts d, n times.
//
//go:noinline // two nanoseconds, and two hundred bytes wherever it stands
func (h *histogram) add(d time.Duration, n uint64) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))] += n
	h.n += n
	h.max = max(h.max, d)
}

// merge adds what other has counted.
//
//go:noinline // in no hot place
func (h *histogram) merge(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.n += other.n
	h.max = max(h.max, other.max)
}

// quantile returns the duration that the part q of all does not exceed.
func (h *histogram) quantile(q float64) time.Duration {
	if q == 1 {
		return h.max
	}
	rank := uint64(max(0, int64(math.Ceil(q*float64(int64(h.n))))-1)) // counted from 0
	for i, n := range h.counts {
		if n > rank {
			return min(middleOf(i), h.max)
		}
		rank -= n
	}
	return h.max
}
