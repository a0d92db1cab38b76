// Package workload holds what the cells of the comparison are made of: keys,
// values, distributions, a histogram of latencies, and the list of workloads.
package workload

import (
	"encoding/binary"
	"math/bits"
)

// KeySize is the length of every key.
const KeySize = 16

// Rand is a small, fast random generator (wyrand). Its zero value is ready.
type Rand uint64

// Uint64 returns the next number.
func (r *Rand) Uint64() uint64 {
	*r += 0xa0761d6478bd642f
	hi, lo := bits.Mul64(uint64(*r), uint64(*r)^0xe7037ed1a0b428db)
	return hi ^ lo
}

// N returns a number in [0, n).
func (r *Rand) N(n uint64) uint64 {
	hi, _ := bits.Mul64(r.Uint64(), n)
	return hi
}

// Float returns a number in [0, 1).
func (r *Rand) Float() float64 { return float64(r.Uint64()>>11) / (1 << 53) }

// scramble is a bijection of the 64-bit numbers that leaves no order in them
// (the finalizer of splitmix64).
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// hexPairs are the two digits of every byte.
var hexPairs = func() (pairs [256][2]byte) {
	const digits = "0123456789abcdef"
	for i := range pairs {
		pairs[i] = [2]byte{digits[i>>4], digits[i&15]}
	}
	return pairs
}()

func putHex(key []byte, x uint64) {
	_ = key[KeySize-1]
	for i := range 8 {
		pair := hexPairs[byte(x>>(56-8*i))]
		key[2*i], key[2*i+1] = pair[0], pair[1]
	}
}

// RandomKey writes the i-th of the random keys: all different, in no order.
func RandomKey(key []byte, i uint64) { putHex(key, scramble(i)) }

// OrderedKey writes the i-th of the ordered keys: 16 decimal digits.
func OrderedKey(key []byte, i uint64) {
	low, high := key[KeySize/2:KeySize], key[:KeySize/2]
	x, y := i%1e8, i/1e8%1e8
	for d := len(low) - 2; d >= 0; d -= 2 { // two chains of divisions beside each other
		a, b := decimalPairs[x%100], decimalPairs[y%100]
		low[d], low[d+1], high[d], high[d+1] = a[0], a[1], b[0], b[1]
		x, y = x/100, y/100
	}
}

// decimalPairs are the two digits of every number below 100.
var decimalPairs = func() (pairs [100][2]byte) {
	for i := range pairs {
		pairs[i] = [2]byte{byte('0' + i/10), byte('0' + i%10)}
	}
	return pairs
}()

// Values is a source of incompressible values.
type Values struct {
	buf  []byte
	size int
}

// valueStarts is how many values there are. They lie in memory that stays in the
// processor's cache, as a value that a program has just made does: out of 1 MiB it
// was a fifth of the time of Lightning's puts in order to wait for them.
const valueStarts = 64 << 10

// NewValues makes a source of values of size bytes.
func NewValues(size int) *Values {
	v := &Values{buf: make([]byte, valueStarts+size), size: size}
	var r Rand
	for i := 0; i+8 <= len(v.buf); i += 8 {
		binary.LittleEndian.PutUint64(v.buf[i:], r.Uint64())
	}
	return v
}

// At returns the value that belongs to x. It is lent, and not to be changed.
func (v *Values) At(x uint64) []byte {
	off := x * 0x9e3779b97f4a7c15 >> 48 % valueStarts
	return v.buf[off : off+uint64(v.size)]
}
