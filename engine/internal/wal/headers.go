package wal

import (
	"errors"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// SegmentInfo is what the header of a live segment says.
type SegmentInfo struct {
	Path       string
	Number     uint64
	Start, End LSN // End is where it ends by W1
	Capacity   int64
	Synced     LSN
	FirstSeq   kv.Seq
}

// Headers reads the headers of the segments that are alive from the start on,
// and no record. It returns every damage that it meets, and changes nothing.
// The error is that of reading.
func Headers(o Options, from Start) ([]SegmentInfo, []*CorruptError, error) {
	found, err := o.open(from.Segment)
	if err != nil {
		return nil, nil, err
	}
	defer chain(found.segments).closeFiles()
	damages := found.damages
	alive, _, gap := link(found.segments)
	if damage, ok := errors.AsType[*CorruptError](gap); ok {
		damages = append(damages, damage)
	}
	if alive.find(from.LSN) < 0 {
		damages = append(damages, o.noStart(from))
	}
	list := make([]SegmentInfo, len(alive))
	for i, s := range alive {
		list[i] = SegmentInfo{s.path, s.number, s.start, s.end, s.capacity, s.synced, s.firstSeq}
	}
	return list, damages, nil
}
