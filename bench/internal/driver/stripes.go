//go:build !alone

package driver

import (
	"hash/maphash"
	"slices"
	"sync"
)

// stripes are locks on keys, for databases that have batches but no
// transactions: whoever holds the locks of the keys it reads and writes until
// its batch is committed is serializable.
type stripes struct {
	seed  maphash.Seed
	locks [1024]sync.Mutex
}

func newStripes() *stripes { return &stripes{seed: maphash.MakeSeed()} }

// lock locks the keys, in one order for everybody, and returns what unlock
// wants. held is memory to use again.
func (s *stripes) lock(held []int, keys [][]byte) []int {
	held = held[:0]
	for _, key := range keys {
		held = append(held, int(maphash.Bytes(s.seed, key)%uint64(len(s.locks))))
	}
	slices.Sort(held)
	held = slices.Compact(held)
	for _, i := range held {
		s.locks[i].Lock()
	}
	return held
}

func (s *stripes) unlock(held []int) {
	for _, i := range held {
		s.locks[i].Unlock()
	}
}
