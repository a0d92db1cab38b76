package memtable

import (
	"bytes"
	"math/bits"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// A hashed holds the keys of a tree while they come in no order and nobody asks
// for one: a hash table. To find a place among neighbours is most of the work of
// putting a key into a tree, and sorting all of them once is a fraction of it. Who
// asks for the order all the same gets the slots of that moment, sorted, and the
// writer makes a tree of them before the next put.
//
//  1. A slot is published by its ref, stored last; its hash never changes. The ref
//     moves on to newer versions of the same key.
//  2. A key lies less than maxProbes slots behind its home, and no slot between is
//     free. The slots are a ring.
//  3. Slots that were replaced by more of them never change again.
//  4. newest is stored when the entry is there: who loads it before the slots sees
//     all entries up to it.
type hashed struct {
	slots   atomic.Pointer[[]hashSlot]
	sorted  atomic.Pointer[sorted]
	sorting sync.Mutex // held by who sorts
	_       [40]byte   // readers load what is above

	used   int // the writer's count
	newest atomic.Uint64
}

type hashSlot struct {
	hash uint64
	at   uint64 // taken and the ref of the newest version, without a tag; loaded atomically
}

const (
	taken          = 1 << 63
	hashSlotBytes  = 16
	firstHashSlots = 4 * leafSlots

	// maxProbes is more than random hashes lead to: where three of four slots are
	// taken, the longest row of them has about 26 log n. Keys that were chosen for
	// their hashes get a tree, which does not depend on them.
	maxProbes = 1024
)

// mostUsed is how many of n slots may be taken.
func mostUsed(n int) int { return n / 4 * 3 }

// A sorted is the newest versions of a hashed in key order, as they were at some
// time. It is immutable.
type sorted struct {
	cells []cell
	skip  int    // heads were taken after so many bytes, which all keys share
	upTo  kv.Seq // nothing up to it is missing
}

func (s *sorted) bytes() int64 {
	if s == nil {
		return 0
	}
	return int64(len(s.cells) * cellBytes)
}

// newHashed returns the keys of a tree that is no higher than one branch in n
// slots or more, nil if there is no place for one of them.
func newHashed(a *arena, t *tree, n int) *hashed {
	h := new(hashed)
	slots := newSlots(n)
	var p path
	for more := p.first(t); more; more = p.next() {
		l := p.leaf
		for i := range l.slots[:l.used] {
			r := l.slots[i].ref() &^ tagMask
			if h.used++; h.used > mostUsed(len(slots)) {
				if slots = wider(slots); slots == nil {
					return nil
				}
			}
			hash := kv.Hash(a.at(r).key())
			s := place(slots, hash)
			if s == nil {
				return nil
			}
			*s = hashSlot{hash, taken | uint64(r)}
		}
		h.newest.Store(max(h.newest.Load(), l.newest.Load()))
	}
	h.slots.Store(&slots)
	a.held.Add(int64(len(slots) * hashSlotBytes))
	return h
}

// newSlots returns n free slots. Each page of them is written to at once: a place
// is looked for before it is taken, and where a page was read first the kernel
// gives it zeros that all share, and with the first write others, for which it
// stops the other processors.
func newSlots(n int) []hashSlot {
	const systemPage = 4096 // or more
	slots := make([]hashSlot, n)
	for i := 0; i < n; i += systemPage / hashSlotBytes {
		slots[i].at = 0
	}
	return slots
}

// load returns the ref of the newest version, false if the slot is free.
func (s *hashSlot) load() (ref, bool) {
	at := atomic.LoadUint64(&s.at)
	return ref(at &^ taken), at != 0
}

// home is where the search for a hash begins.
func home(slots []hashSlot, hash uint64) int {
	at, _ := bits.Mul64(hash, uint64(len(slots)))
	return int(at)
}

// next is the slot behind the i-th.
func next(slots []hashSlot, i int) int {
	if i++; i < len(slots) {
		return i
	}
	return 0
}

// place returns the slot for a key that is not there, nil if there is none.
func place(slots []hashSlot, hash uint64) *hashSlot {
	i := home(slots, hash)
	for range maxProbes {
		if s := &slots[i]; s.at == 0 {
			return s
		}
		i = next(slots, i)
	}
	return nil
}

// wider returns slots in half as many again, nil if one of them has no place there.
func wider(slots []hashSlot) []hashSlot {
	more := newSlots(len(slots) + len(slots)/2)
	for i := range slots {
		if s := &slots[i]; s.at != 0 {
			to := place(more, s.hash)
			if to == nil {
				return nil
			}
			*to = *s
		}
	}
	return more
}

// slot returns the slot of key and what is in it, or the free one for it and 0, or
// nil.
func (h *hashed) slot(a *arena, key []byte, hash uint64) (*hashSlot, uint64) {
	slots := *h.slots.Load()
	i := home(slots, hash)
	for range maxProbes {
		s := &slots[i]
		at := atomic.LoadUint64(&s.at)
		if at == 0 || s.hash == hash && bytes.Equal(a.at(ref(at&^taken)).key(), key) {
			return s, at
		}
		i = next(slots, i)
	}
	return nil, 0
}

// find returns the newest version of key, nil if there is none.
func (h *hashed) find(a *arena, key []byte, hash uint64) entry {
	if _, at := h.slot(a, key, hash); at != 0 {
		return a.at(ref(at &^ taken))
	}
	return nil
}

// put adds a version of key, and reports false if there is no place for it. One
// writer at a time.
func (h *hashed) put(a *arena, key []byte, hash uint64, value []byte, kind kv.Kind, seq kv.Seq) bool {
	s, at := h.slot(a, key, hash)
	if at == 0 {
		if h.used >= mostUsed(len(*h.slots.Load())) {
			if !h.grow(a) {
				return false
			}
			s, _ = h.slot(a, key, hash)
		}
		if s == nil {
			return false
		}
		s.hash = hash
		h.used++
	}
	r := a.append(key, value, kind, seq, ref(at&^taken), at != 0)
	atomic.StoreUint64(&s.at, taken|uint64(r))
	h.newest.Store(uint64(seq))
	return true
}

func (h *hashed) grow(a *arena) bool {
	slots := *h.slots.Load()
	more := wider(slots)
	if more == nil {
		return false
	}
	h.slots.Store(&more)
	a.held.Add(int64((len(more) - len(slots)) * hashSlotBytes))
	return true
}

// ask asks for the memory of the slot that a hash names.
func (h *hashed) ask(hash uint64) {
	slots := *h.slots.Load()
	prefetch(unsafe.Pointer(&slots[home(slots, hash)]))
}

// inOrder returns the keys in order: all that have a version up to seq, and
// perhaps others.
func (h *hashed) inOrder(a *arena, seq kv.Seq) *sorted {
	seq = min(seq, kv.Seq(h.newest.Load()))
	s := h.sorted.Load()
	if s != nil && s.upTo >= seq {
		return s
	}
	h.sorting.Lock()
	defer h.sorting.Unlock()
	if s = h.sorted.Load(); s != nil && s.upTo >= seq {
		return s
	}
	a.held.Add(-s.bytes())
	s = h.sort(a)
	a.held.Add(s.bytes())
	h.sorted.Store(s)
	return s
}

func (h *hashed) sort(a *arena) *sorted {
	upTo := kv.Seq(h.newest.Load())
	slots := *h.slots.Load()
	n := 0
	for i := range slots {
		if _, there := slots[i].load(); there {
			n++
		}
	}
	cells := make([]cell, 0, n)
	var shared []byte // what all keys begin with; heads are taken after it
	stale := 0        // the heads of so many were taken when it was longer
	each(slots, a, func(s *hashSlot, r ref, e entry) bool {
		key := e.key()
		if len(cells) == 0 {
			shared = key
		} else if !bytes.HasPrefix(key, shared) {
			shared, stale = shared[:commonPrefix(shared, key)], len(cells)
		}
		cells = append(cells, cell{headOf(key, len(shared)), r | tagOf(s.hash)})
		return true
	})
	sorter := sorter{a, make([]cell, len(cells))}
	sorter.behead(cells[:stale], len(shared))
	sorter.sort(cells, len(shared), 0)
	return &sorted{cells, len(shared), upTo}
}

// changed reports whether a key in r has a version newer than since.
func (h *hashed) changed(a *arena, r kv.Range, since kv.Seq) (found bool) {
	each(*h.slots.Load(), a, func(_ *hashSlot, _ ref, e entry) bool {
		found = e.seq() > since && r.Contains(e.key())
		return !found
	})
	return found
}

// each visits the newest versions in slots until visit returns false. It asks for
// the memory of those to come.
func each(slots []hashSlot, a *arena, visit func(s *hashSlot, r ref, e entry) bool) {
	for i := range slots {
		if i+ahead < len(slots) {
			if r, there := slots[i+ahead].load(); there {
				prefetch(unsafe.Pointer(unsafe.SliceData(a.at(r))))
			}
		}
		if r, there := slots[i].load(); there && !visit(&slots[i], r, a.at(r)) {
			return
		}
	}
}

// search returns how many keys are less than key.
func (s *sorted) search(a *arena, key []byte) int {
	n := len(s.cells)
	switch bytes.Compare(key[:min(s.skip, len(key))], a.at(s.cells[0].at).key()[:s.skip]) {
	case -1:
		return 0
	case 1:
		return n
	}
	head := headOf(key, s.skip)
	return sort.Search(n, func(i int) bool {
		c := &s.cells[i]
		if c.head != head {
			return c.head > head
		}
		return compareFrom(a.at(c.at).key(), key, s.skip) >= 0
	})
}

// hash makes the tree a hashed, if it can.
func (t *tree) hash(a *arena, slots int) {
	if h := newHashed(a, t, slots); h != nil {
		t.hashed.Store(h)
	}
}

// unhash makes a hashed a tree again. It takes as long as sorting all there is.
func (t *tree) unhash(a *arena) {
	h := t.hashed.Load()
	s := h.inOrder(a, kv.MaxSeq)
	t.load(a, slices.Clone(s.cells), s.skip, h.newest.Load())
	t.hashed.Store(nil)
	a.held.Add(-int64(len(*h.slots.Load())*hashSlotBytes) - s.bytes())
}
