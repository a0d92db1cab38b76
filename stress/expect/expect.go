// Package expect remembers outside a database what it must hold, so that any
// process can judge it at any time: also one that comes after a crash.
//
// # What it promises
//
//  1. Keys are numbers. Each write and each deletion of a key has a generation,
//     one more than the last that was begun.
//  2. Before a write is made, Begin notes it; when it is acknowledged, End does.
//     Between the two a crash may leave the key as it was or as it was to be,
//     and nothing else.
//  3. A note is in the file when Begin or End has returned: a process that is
//     killed loses none. (A power cut may: the file is not synced.)
//
// Values tell by themselves whose they are: a value is made from a seed, the
// key and the generation, and ParseValue finds out whether every byte of it is.
//
// The idea is that of RocksDB's db_stress: a word a key, with the pending write
// in it.
package expect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
)

// state is what is known of a key, in 64 bits: the generation that is
// acknowledged (30 bits) and whether it is a deletion; the same of the newest
// that was begun; and whether that one is pending.
type state uint64

const (
	generationBits = 30
	generationMask = 1<<generationBits - 1
	deletedBit     = 1 << generationBits
	half           = generationBits + 1
	halfMask       = 1<<half - 1
	pendingBit     = 1 << 63
)

// MaxGeneration is the last generation that a key can have.
const MaxGeneration = generationMask

func (s state) old() Version    { return Version{uint32(s & generationMask), s&deletedBit != 0} }
func (s state) newest() Version { return (s >> half & halfMask).old() }
func (s state) pending() bool   { return s&pendingBit != 0 }

func stateOf(old, newest Version, pending bool) state {
	s := old.bits() | newest.bits()<<half
	if pending {
		s |= pendingBit
	}
	return s
}

// Version is a write of a key, or its deletion.
type Version struct {
	Generation uint32
	Deleted    bool
}

func (v Version) bits() state {
	s := state(v.Generation)
	if v.Deleted {
		s |= deletedBit
	}
	return s
}

func (v Version) String() string {
	switch {
	case v.Generation == 0:
		return "never written"
	case v.Deleted:
		return fmt.Sprintf("deleted by generation %d", v.Generation)
	}
	return fmt.Sprintf("generation %d", v.Generation)
}

// States are what is expected of the keys from 0 on. Different keys may be used
// by many goroutines at once, one key by one at a time.
type States struct {
	file *os.File // nil: only in memory
	list []atomic.Uint64
}

// never is a key that was never written.
var never = uint64(stateOf(Version{0, true}, Version{0, true}, false))

// Open returns the states that the file at path holds, or makes it, for so many
// keys. An empty path keeps them in memory only.
func Open(path string, keys int) (*States, error) {
	s := &States{list: make([]atomic.Uint64, keys)}
	for i := range s.list {
		s.list[i].Store(never)
	}
	if path == "" {
		return s, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	s.file = f
	if err := s.load(); err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

func (s *States) load() error {
	b := make([]byte, 8*len(s.list))
	n, err := s.file.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for i := range n / 8 {
		s.list[i].Store(binary.LittleEndian.Uint64(b[8*i:]))
	}
	for i := n / 8; i < len(s.list); i++ {
		binary.LittleEndian.PutUint64(b[8*i:], never)
	}
	_, err = s.file.WriteAt(b[n/8*8:], int64(n/8*8))
	return err
}

// Acknowledged reports whether the file at path, which a process may be writing,
// knows of a write that was.
func Acknowledged(path string) bool {
	b, _ := os.ReadFile(path)
	for ; len(b) >= 8; b = b[8:] {
		if state(binary.LittleEndian.Uint64(b)).old().Generation > 0 {
			return true
		}
	}
	return false
}

// Close closes the file.
func (s *States) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// Keys is how many there are.
func (s *States) Keys() int { return len(s.list) }

func (s *States) get(key int) state { return state(s.list[key].Load()) }

func (s *States) set(key int, v state) error {
	s.list[key].Store(uint64(v))
	if s.file == nil {
		return nil
	}
	_, err := s.file.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(v)), 8*int64(key))
	return err
}

// Begin notes that a write or a deletion of key is about to be made, and
// returns its generation.
func (s *States) Begin(key int, deletion bool) (uint32, error) {
	v := s.get(key)
	if v.pending() {
		return 0, fmt.Errorf("key %d: begun again before it ended", key)
	}
	g := v.newest().Generation + 1
	if g > MaxGeneration {
		return 0, fmt.Errorf("key %d: no more generations", key)
	}
	return g, s.set(key, stateOf(v.old(), Version{g, deletion}, true))
}

// End notes that what was begun was acknowledged.
func (s *States) End(key int) error {
	n := s.get(key).newest()
	return s.set(key, stateOf(n, n, false))
}

// Undo notes that what was begun was refused, so that it cannot have happened.
func (s *States) Undo(key int) error {
	v := s.get(key)
	return s.set(key, stateOf(v.old(), v.newest(), false))
}

// Newest is the newest version of key that was begun.
func (s *States) Newest(key int) Version { return s.get(key).newest() }

// Pending reports whether a write of key was begun and has not ended.
func (s *States) Pending(key int) bool { return s.get(key).pending() }

// Check judges what a database shows of key: its generation, or 0 where it has
// none.
func (s *States) Check(key int, generation uint32) error {
	v := s.get(key)
	if shows(v.old(), generation) || v.pending() && shows(v.newest(), generation) {
		return nil
	}
	have := "nothing"
	if generation != 0 {
		have = fmt.Sprintf("generation %d", generation)
	}
	if v.pending() {
		return fmt.Errorf("key %d: have %s, want what is %s or %s, which was not acknowledged", key, have, v.old(), v.newest())
	}
	return fmt.Errorf("key %d: have %s, want what is %s", key, have, v.old())
}

// shows reports whether a database that holds v shows generation.
func shows(v Version, generation uint32) bool {
	if v.Deleted {
		return generation == 0
	}
	return generation == v.Generation
}

// Settle is Check, and notes what the database shows for what is: after a
// crash, of a write that was pending.
func (s *States) Settle(key int, generation uint32) error {
	if err := s.Check(key, generation); err != nil {
		return err
	}
	v := s.get(key)
	if !v.pending() {
		return nil
	}
	if shows(v.old(), generation) && !shows(v.newest(), generation) {
		return s.Undo(key)
	}
	return s.End(key)
}
