package faultfs

import (
	"fmt"
	"math/rand/v2"
)

// Damage says what a crash does to everything that was not synced. A Damage
// is comparable and prints as what it takes to have it again.
type Damage struct {
	kind damageKind
	seed int64
}

type damageKind uint8

const (
	damageNone damageKind = iota
	damageAll
	damageRandom
)

var (
	// None keeps everything that was issued, as kill -9 does: the process is
	// gone, its system is not.
	None = Damage{kind: damageNone}
	// All loses everything that was not synced: data, lengths and names.
	All = Damage{kind: damageAll}
)

// Random is a power cut. Independently of each other
//
//   - a write is lost or kept, and kept writes reach the disk in any order;
//   - each sector of a kept write is new, old, garbage or zeros, and not a
//     byte outside the write changes;
//   - a file has its synced length or any it has had since;
//   - a name made or removed is there or not; a renamed file has its old name,
//     its new name or both, and never none.
//
// The same seed and moment give the same damage.
func Random(seed int64) Damage { return Damage{kind: damageRandom, seed: seed} }

// Damages returns None, All and n-2 random ones, the same for the same seed.
func Damages(n int, seed int64) []Damage {
	all := []Damage{None, All}
	for i := len(all); i < n; i++ {
		all = append(all, Random(seed+int64(i)))
	}
	return all[:max(n, 0)]
}

func (d Damage) String() string {
	switch d.kind {
	case damageNone:
		return "faultfs.None"
	case damageAll:
		return "faultfs.All"
	}
	return fmt.Sprintf("faultfs.Random(%d)", d.seed)
}

// rand returns the damage's source of chance for a crash after n operations.
func (d Damage) rand(n int) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(d.seed), uint64(n)))
}
