package verify

import (
	"iter"
	"math/bits"
	"sort"
	"sync"

	"github.com/lightning-db/lightning/engine/inspect"
)

// units is the set of the file's units that verified extents take: a bit for
// each, in chunks that are made when they are needed, so that a file with
// holes takes no more memory than it has bytes.
type units struct {
	mu     sync.Mutex
	chunks map[uint64]*[chunkWords]uint64
	count  uint64
}

const (
	chunkWords = 128
	chunkUnits = 64 * chunkWords // 4 MiB of the file
)

// span is a part of the file, in units.
type span struct{ start, end uint64 }

func spanOf(off, size uint64) span { return span{off / inspect.Unit, (off + size) / inspect.Unit} }

// take adds the units of r, or returns false and changes nothing when any of
// them is taken.
func (u *units) take(r span) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	for w, mask := range words(r) {
		if c := u.chunks[w/chunkWords]; c != nil && c[w%chunkWords]&mask != 0 {
			return false
		}
	}
	for w, mask := range words(r) {
		c := u.chunks[w/chunkWords]
		if c == nil {
			c = new([chunkWords]uint64)
			u.chunks[w/chunkWords] = c
		}
		c[w%chunkWords] |= mask
	}
	u.count += r.end - r.start
	return true
}

// words yields the words of the set that r touches, with the bits that it has
// there.
func words(r span) iter.Seq2[uint64, uint64] {
	return func(yield func(uint64, uint64) bool) {
		for at := r.start; at < r.end; {
			next := min(at&^63+64, r.end)
			mask := (^uint64(0) >> (64 - (next - at))) << (at & 63)
			if !yield(at/64, mask) {
				return
			}
			at = next
		}
	}
}

// spans yields the units that are taken, in order, as spans that do not touch.
//
//go:noinline // once a run, and large when inlined
func (u *units) spans() iter.Seq[span] {
	return func(yield func(span) bool) {
		var open span
		keys := make([]uint64, 0, len(u.chunks))
		for k := range u.chunks {
			keys = append(keys, k)
		}
		sort.Slice(keys, func(i, j int) bool { return keys[i] < keys[j] })
		for _, k := range keys {
			for i, word := range u.chunks[k] {
				for base := k*chunkUnits + uint64(i)*64; word != 0; {
					start := uint64(bits.TrailingZeros64(word))
					n := uint64(bits.TrailingZeros64(^(word >> start)))
					r := span{base + start, base + start + n}
					if r.start == open.end && open.end != 0 {
						open.end = r.end
					} else {
						if open.end != 0 && !yield(open) {
							return
						}
						open = r
					}
					if start+n >= 64 {
						break
					}
					word &= ^uint64(0) << (start + n)
				}
			}
		}
		if open.end != 0 {
			yield(open)
		}
	}
}

// merge yields the spans of both, in order of their starts.
//
//go:noinline // once a run, and large when inlined
func merge(a iter.Seq[span], b []span) iter.Seq[span] {
	return func(yield func(span) bool) {
		for r := range a {
			for len(b) > 0 && b[0].start < r.start {
				if !yield(b[0]) {
					return
				}
				b = b[1:]
			}
			if !yield(r) {
				return
			}
		}
		for _, r := range b {
			if !yield(r) {
				return
			}
		}
	}
}
