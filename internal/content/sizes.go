package content

import "math/bits"

// Sizes counts sizes, up to 2 GiB: by powers of two, and finely enough that a
// quantile is within 1 % of the truth, and exact up to 127.
type Sizes struct {
	Count, Sum, Max int64
	powers          [32]int64
	fine            [26 << fineBits]int64
}

const fineBits = 6

// Add counts a size.
func (s *Sizes) Add(size int) {
	v := uint64(min(size, 1<<31-1))
	s.Count++
	s.Sum += int64(size)
	s.Max = max(s.Max, int64(size))
	s.powers[bits.Len64(v)]++
	shift := max(0, bits.Len64(v)-fineBits-1)
	s.fine[uint64(shift)<<fineBits+v>>shift]++
}

// A Span is the sizes between two powers of two: from From to To.
type Span struct{ From, To, Count int64 }

// Span returns the sizes that have so many binary digits.
func (s *Sizes) Span(digits int) Span {
	return Span{1 << digits >> 1, 1<<digits - 1, s.powers[digits]}
}

// Digits is how many binary digits the largest has.
func (s *Sizes) Digits() int { return bits.Len64(uint64(s.Max)) }

// Quantile returns the size that a part of all, in hundredths, does not exceed.
func (s *Sizes) Quantile(hundredths int64) int64 {
	if s.Count == 0 {
		return 0
	}
	rank := max((s.Count/100*hundredths)+(s.Count%100*hundredths+99)/100, 1)
	for i, n := range s.fine {
		if rank -= n; n > 0 && rank <= 0 {
			if i < 2<<fineBits {
				return int64(i)
			}
			shift := i>>fineBits - 1
			return min(int64(i&(1<<fineBits-1)|1<<fineBits)<<shift+1<<shift/2, s.Max)
		}
	}
	return s.Max
}
