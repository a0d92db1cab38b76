package content

import (
	"encoding/binary"
	"math/bits"
)

// DigestSize is that of a digest in bytes.
const DigestSize = 32

// A Digest is that of what a database holds, whatever the layout: BLAKE2b-256
// (RFC 7693) of a stream that anyone can make from the entries (docs/CLI.md has
// it, too):
//
//	"lightning content 1\n"
//	of each keyspace that has an entry, by name, the default one, whose name is
//	empty, first:
//	    0xFFFFFFFF, length of the name, the name
//	    of each entry, in the order of the keys:
//	        length of the key, length of the value, the key, the value
//
// Lengths are 32 bits, little-endian. No key is as long as 0xFFFFFFFF, so two
// databases that differ have two streams. The stream of another version of this
// program is the same, or begins with another number.
//
// The standard library's SHA-256 would make the program 147,000 bytes larger,
// and one in plain Go take three times as long.
type Digest struct {
	h     [8]uint64
	count uint64 // bytes in blocks before the one that is gathered
	n     int    // bytes gathered
	block [128]byte
}

var blake2bIV = [8]uint64{
	0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
	0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
}

var blake2bSigma = [12][16]byte{
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
	{11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
	{7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
	{9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
	{2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
	{12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
	{13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
	{6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
	{10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
}

// NewDigest returns the digest of a stream that begins with first.
func NewDigest(first string) *Digest {
	d := &Digest{h: blake2bIV}
	d.h[0] ^= 0x01010000 ^ DigestSize
	d.write([]byte(first))
	return d
}

// NoKey is the length of the key in what begins a keyspace.
const NoKey = 1<<32 - 1

// Add adds an entry, or with NoKey and no key the name of a keyspace.
func (d *Digest) Add(keySize int, key, value []byte) {
	var head [8]byte
	binary.LittleEndian.PutUint32(head[:], uint32(keySize))
	binary.LittleEndian.PutUint32(head[4:], uint32(len(value)))
	for _, part := range [][]byte{head[:], key, value} {
		d.write(part)
	}
}

// write adds p. A block is digested when the next one begins: the last is
// digested in another way.
func (d *Digest) write(p []byte) {
	for len(p) > 0 {
		if d.n == len(d.block) {
			d.count += uint64(len(d.block))
			d.mixIn(&d.block, 0)
			for d.n = 0; len(p) > len(d.block); p = p[len(d.block):] {
				d.count += uint64(len(d.block))
				d.mixIn((*[128]byte)(p), 0)
			}
		}
		n := copy(d.block[d.n:], p)
		d.n += n
		p = p[n:]
	}
}

// Sum ends the digest: nothing may be written afterwards.
func (d *Digest) Sum() [DigestSize]byte {
	clear(d.block[d.n:])
	d.count += uint64(d.n)
	d.mixIn(&d.block, ^uint64(0))
	var out [DigestSize]byte
	for i := range DigestSize / 8 {
		binary.LittleEndian.PutUint64(out[8*i:], d.h[i])
	}
	return out
}

func (d *Digest) mixIn(block *[128]byte, last uint64) {
	var m [16]uint64
	for i := range m {
		m[i] = binary.LittleEndian.Uint64(block[8*i:])
	}
	v0, v1, v2, v3, v4, v5, v6, v7 := d.h[0], d.h[1], d.h[2], d.h[3], d.h[4], d.h[5], d.h[6], d.h[7]
	iv := &blake2bIV
	v8, v9, v10, v11, v12, v13, v14, v15 := iv[0], iv[1], iv[2], iv[3], iv[4]^d.count, iv[5], iv[6]^last, iv[7]
	for i := range blake2bSigma {
		s := &blake2bSigma[i]
		v0, v4, v8, v12 = mix(v0, v4, v8, v12, m[s[0]&15], m[s[1]&15])
		v1, v5, v9, v13 = mix(v1, v5, v9, v13, m[s[2]&15], m[s[3]&15])
		v2, v6, v10, v14 = mix(v2, v6, v10, v14, m[s[4]&15], m[s[5]&15])
		v3, v7, v11, v15 = mix(v3, v7, v11, v15, m[s[6]&15], m[s[7]&15])
		v0, v5, v10, v15 = mix(v0, v5, v10, v15, m[s[8]&15], m[s[9]&15])
		v1, v6, v11, v12 = mix(v1, v6, v11, v12, m[s[10]&15], m[s[11]&15])
		v2, v7, v8, v13 = mix(v2, v7, v8, v13, m[s[12]&15], m[s[13]&15])
		v3, v4, v9, v14 = mix(v3, v4, v9, v14, m[s[14]&15], m[s[15]&15])
	}
	h := &d.h
	h[0], h[1], h[2], h[3] = h[0]^v0^v8, h[1]^v1^v9, h[2]^v2^v10, h[3]^v3^v11
	h[4], h[5], h[6], h[7] = h[4]^v4^v12, h[5]^v5^v13, h[6]^v6^v14, h[7]^v7^v15
}

func mix(a, b, c, d, x, y uint64) (uint64, uint64, uint64, uint64) {
	a += b + x
	d = bits.RotateLeft64(d^a, -32)
	c += d
	b = bits.RotateLeft64(b^c, -24)
	a += b + y
	d = bits.RotateLeft64(d^a, -16)
	c += d
	return a, bits.RotateLeft64(b^c, -63), c, d
}
