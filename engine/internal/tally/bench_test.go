package tally

import "testing"

// BenchmarkCounter: what a counter costs each get, which is all of the metrics
// that it pays, but for a look at the clock by one in 1024: beside a loop that
// does nothing, and where each addition waits for the one before.
func BenchmarkCounter(b *testing.B) {
	b.Run("loop", func(b *testing.B) {
		for b.Loop() {
		}
	})
	b.Run("add", func(b *testing.B) {
		var c Counter
		for b.Loop() {
			c.Add(1)
		}
	})
	b.Run("thousand", func(b *testing.B) {
		var c Counter
		for b.Loop() {
			for range 1000 {
				c.Add(1)
			}
		}
	})
}
