package engine

import (
	"bytes"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// span is the range of keys that a serializable transaction has read with an
// iterator since it was last positioned: from where it was put to where the
// moves have led, the ends that it ran into included. It is kept in the
// transaction's own list and grows there. A nil span notes nothing.
type span struct {
	writes *writes
	ks     kv.Keyspace
	bounds IterOptions
	at     int // index in writes.ranges
}

// begin starts a new span at key.
func (s *span) begin(key []byte) {
	if s == nil {
		return
	}
	s.open(key)
}

//go:noinline // begin, which is inlined, has nothing to do where there is no span
func (s *span) open(key []byte) {
	s.at = len(s.writes.ranges)
	r := kv.Range{Start: append([]byte{}, key...), End: append([]byte{}, key...)}
	s.writes.ranges = append(s.writes.ranges, rangeRead{s.ks, r})
}

// beginAtEnd starts a new span at the end of a keyspace. Until a move has led
// anywhere it has no start: nil, which no other span has before it has met one.
func (s *span) beginAtEnd() {
	if s == nil {
		return
	}
	s.begin(nil)
	s.writes.ranges[s.at].Range = kv.Range{}
}

// step notes a move onto key.
func (s *span) step(key []byte, reverse bool) {
	if s == nil {
		return
	}
	r := &s.writes.ranges[s.at]
	if reverse {
		if r.Start == nil || bytes.Compare(key, r.Start) < 0 {
			r.Start = append(r.Start[:0], key...)
		}
		return
	}
	if r.End != nil && bytes.Compare(key, r.End) >= 0 {
		r.End = append(append(r.End[:0], key...), 0)
	}
}

// end notes a move that found nothing more in its direction.
func (s *span) end(reverse bool) {
	if s == nil {
		return
	}
	r := &s.writes.ranges[s.at]
	if reverse {
		r.Start = bytes.Clone(s.bounds.Start)
	} else {
		r.End = bytes.Clone(s.bounds.End)
	}
}
