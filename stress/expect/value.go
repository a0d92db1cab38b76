package expect

import (
	"encoding/binary"
	"fmt"
)

// Seed is what the values of a test are made from.
type Seed uint64

// valueHead is the key, the generation and the length.
const valueHead = 16

// MinValue is the length of the shortest value.
const MinValue = valueHead

// AppendValue appends the value of a key's generation, of at least MinValue
// bytes.
func (s Seed) AppendValue(dst []byte, key int, generation uint32, size int) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(key))
	dst = binary.LittleEndian.AppendUint32(dst, generation)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(size))
	x := s.start(key, generation)
	for size -= valueHead; size >= 8; size -= 8 {
		x = next(x)
		dst = binary.LittleEndian.AppendUint64(dst, x)
	}
	for x = next(x); size > 0; size-- {
		dst = append(dst, byte(x))
		x >>= 8
	}
	return dst
}

// ParseValue returns the generation of a value of key. Any byte of it that is
// not as AppendValue made it is an error.
func (s Seed) ParseValue(value []byte, key int) (generation uint32, err error) {
	if len(value) < valueHead {
		return 0, fmt.Errorf("key %d has a value of %d bytes, too short for any", key, len(value))
	}
	if k := binary.LittleEndian.Uint64(value); k != uint64(key) {
		return 0, fmt.Errorf("key %d has a value of key %d", key, k)
	}
	generation = binary.LittleEndian.Uint32(value[8:])
	if n := binary.LittleEndian.Uint32(value[12:]); int64(n) != int64(len(value)) {
		return 0, fmt.Errorf("key %d has a value of generation %d with %d bytes, written were %d", key, generation, len(value), n)
	}
	x := s.start(key, generation)
	for at := valueHead; at < len(value); at += 8 {
		x = next(x)
		var want [8]byte
		binary.LittleEndian.PutUint64(want[:], x)
		if rest := value[at:]; string(rest[:min(len(rest), 8)]) != string(want[:min(len(rest), 8)]) {
			return 0, fmt.Errorf("key %d has a value of generation %d with wrong bytes at offset %d", key, generation, at)
		}
	}
	return generation, nil
}

func (s Seed) start(key int, generation uint32) uint64 {
	return next(uint64(s)^next(uint64(key)<<32|uint64(generation))) | 1
}

// next is a step of SplitMix64 (Steele, Lea, Flood, 2014).
func next(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
