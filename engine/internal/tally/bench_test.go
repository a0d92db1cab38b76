package tally

import "testing"

// BenchmarkCounter: what a counter costs each get, which is all of the metrics
// that it pays, but for a look at the clock by one in 1024.
func BenchmarkCounter(b *testing.B) {
	var c Counter
	var last uint64
	for b.Loop() {
		last = c.Add(1)
	}
	if last == 0 {
		b.Fatal("nothing was counted")
	}
}
