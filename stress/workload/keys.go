package workload

import (
	"math"
	"math/bits"
)

// A random is a source of pseudo-random numbers: splitmix64.
type random uint64

//go:noinline // a nanosecond, and a hundred bytes wherever it stands
func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	return mix(uint64(*r))
}

// below returns a number from 0 to n-1.
func (r *random) below(n uint64) uint64 {
	hi, _ := bits.Mul64(r.next(), n)
	return hi
}

// mix maps different numbers to different numbers that look random.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// A permutation puts the numbers below n in an order that looks random, without
// a table of them.
type permutation struct {
	n, mask uint64
	shift   int
	seed    uint64
}

//go:noinline // in no hot place
func newPermutation(n, seed uint64) permutation {
	width := bits.Len64(n - 1)
	return permutation{n: n, mask: 1<<width - 1, shift: width/2 + 1, seed: mix(seed)}
}

// at returns the number in place i. Each round maps the numbers of that many
// bits one to one; those that are n or more are mapped on until they are not.
//
//go:noinline // a nanosecond, and a hundred bytes wherever it stands
func (p *permutation) at(i uint64) uint64 {
	for {
		i = (i + p.seed) * 0xff51afd7ed558ccd & p.mask
		i ^= i >> p.shift
		i = (i + p.seed>>32) * 0xc4ceb9fe1a85ec53 & p.mask
		i ^= i >> p.shift
		i = i * 0x9e3779b97f4a7c15 & p.mask
		i ^= i >> p.shift
		if i < p.n {
			return i
		}
	}
}

// Keys are hexadecimal digits that look random, so that neither what they share
// nor how they lie says anything: key number i of n is a number from the i-th of
// n equal parts of all that have the digits. All keys are even, and so a key
// that is missing, though it lies among the others, is one that is odd.
type keys struct {
	step uint64 // width of a part, even
	size int    // bytes of a key
	seed uint64
}

// digits is how many hexadecimal digits tell keys apart; what a key is longer
// hangs on them.
const digits = 16

// MaxKeys is how many keys there are of a size.
func MaxKeys(size int) uint64 { return 1 << (4*min(size, digits) - 1) }

func newKeys(n uint64, size int, seed uint64) keys {
	all := ^uint64(0) >> (64 - 4*min(size, digits))
	return keys{step: max(2, all/n&^1), size: size, seed: seed}
}

// put writes key number i, or a missing one beside it, to dst, of k.size bytes.
func (k *keys) put(dst []byte, i uint64, missing bool) {
	at, _ := bits.Mul64(mix(i+k.seed), k.step)
	x := i*k.step + at&^1
	if missing {
		x |= 1
	}
	first := min(k.size, digits)
	hex(dst[:first], x)
	for rest := dst[first:]; len(rest) > 0; {
		x = mix(x)
		n := min(len(rest), digits)
		hex(rest[:n], x)
		rest = rest[n:]
	}
}

// hex writes the lowest digits of x.
//
//go:noinline // a nanosecond, and a hundred bytes wherever it stands
func hex(dst []byte, x uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = "0123456789abcdef"[x&15]
		x >>= 4
	}
}

// values returns the bytes that values of a size are cut from. In each hundred
// some are random and the others, the percentage same, repeat them, as in
// LevelDB's db_bench.
func values(size, same int, seed uint64) []byte {
	const stretch = 100
	pool := make([]byte, 1<<20+size)
	fresh := stretch - same
	r := random(seed)
	for i := range pool {
		if at := i % stretch; at < fresh {
			pool[i] = byte(r.next())
		} else {
			pool[i] = pool[i-fresh]
		}
	}
	return pool
}

// A zipf draws numbers below n, i with a likelihood that falls as 1/(i+1)^theta.
// It takes the integral for the sum, from one half on, by which the most likely
// number is a tenth likelier than it should be, the next a fiftieth, and the
// others are right.
type zipf struct{ first, all float64 }

const theta = 0.99

func newZipf(n uint64) zipf {
	first := power(0.5, 1-theta)
	return zipf{first: first, all: power(float64(int64(n))+0.5, 1-theta) - first}
}

func (z *zipf) draw(r *random) uint64 {
	u := float64(int64(r.next()>>11)) / (1 << 53)
	return uint64(int64(power(z.first+u*z.all, 1/(1-theta)) - 0.5))
}

// power is math.Pow for numbers above 0, a good deal smaller.
func power(x, y float64) float64 { return math.Exp(y * math.Log(x)) }
