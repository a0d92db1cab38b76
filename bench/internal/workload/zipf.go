package workload

import "math"

// Zipf draws ranks from [0, n), rank 0 the most often, as YCSB does: by the
// method of Gray et al., "Quickly generating billion-record synthetic
// databases" (SIGMOD 1994).
type Zipf struct {
	n                 float64
	alpha, zetan, eta float64
	half              float64 // 1 + 0.5^theta
}

// Theta is the skew of YCSB.
const Theta = 0.99

// NewZipf makes a distribution over n ranks. It takes time proportional to n.
func NewZipf(n uint64, theta float64) *Zipf {
	zetan := 0.0
	for i := n; i > 0; i-- { // small terms first
		zetan += math.Pow(float64(i), -theta)
	}
	zeta2 := 1 + math.Pow(2, -theta)
	return &Zipf{
		n:     float64(n),
		alpha: 1 / (1 - theta),
		zetan: zetan,
		eta:   (1 - math.Pow(2/float64(n), 1-theta)) / (1 - zeta2/zetan),
		half:  zeta2,
	}
}

// Rank draws a rank.
func (z *Zipf) Rank(r *Rand) uint64 {
	u := r.Float()
	uz := u * z.zetan
	switch {
	case uz < 1:
		return 0
	case uz < z.half:
		return 1
	}
	return uint64(min(z.n-1, z.n*math.Pow(z.eta*u-z.eta+1, z.alpha)))
}

// Ranks draws many at once, so that drawing costs nothing while it counts.
func (z *Zipf) Ranks(r *Rand, n int) []uint32 {
	ranks := make([]uint32, n)
	for i := range ranks {
		ranks[i] = uint32(z.Rank(r))
	}
	return ranks
}
