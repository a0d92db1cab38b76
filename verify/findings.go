package verify

import (
	"bytes"
	"cmp"
	"sort"
	"sync"
)

// What is kept of findings: a file can be damaged in as many places as it has
// nodes.
const (
	maxFindings     = 10_000
	maxFindingBytes = 32 << 20
)

// findings gathers findings from many goroutines.
type findings struct {
	mu      sync.Mutex
	list    []Finding
	bytes   int
	omitted uint64
}

// add keeps what build returns, if there is room.
func (s *findings) add(build func() Finding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) >= maxFindings || s.bytes >= maxFindingBytes {
		s.omitted++
		return
	}
	f := build()
	s.bytes += f.size()
	s.list = append(s.list, f)
}

func (s *findings) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list)
}

// sorted returns the findings by file, offset and key.
func (s *findings) sorted() []Finding {
	sort.Slice(s.list, func(i, j int) bool {
		a, b := &s.list[i], &s.list[j]
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Offset, b.Offset),
			cmp.Compare(a.Keyspace, b.Keyspace), bytes.Compare(a.Start, b.Start), bytes.Compare(a.End, b.End),
			cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Invariant, b.Invariant)) < 0
	})
	return s.list
}

// size is about how much memory f takes.
func (f *Finding) size() int { return len(f.Start) + len(f.End) + len(f.Reason) }
