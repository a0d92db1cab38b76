package verify

import (
	"fmt"
	"slices"

	"github.com/lightning-db/lightning/engine/inspect"
)

// checkLog judges the log (W1 to W5).
func (v *verifier) checkLog() error {
	segments, damages, err := v.confirmed(func() ([]inspect.Segment, []*inspect.Damage, error) {
		segments, damages, err := v.db.Segments()
		if v.quick || err != nil {
			return segments, damages, err
		}
		var found []*inspect.Damage // those of the headers again, and those of the records
		v.log, found, err = v.db.Log(func(inspect.Record) error { return v.ctx.Err() })
		if v.log.Records > 0 && v.log.Seq >= inspect.MaxSeq {
			found = append(found, &inspect.Damage{
				Invariant: "W2", Path: v.db.LogDir(), Kind: inspect.Log,
				Reason: fmt.Sprintf("the last record has sequence number %d", v.log.Seq),
			})
		}
		return segments, found, err
	})
	if v.ctx.Err() != nil {
		return v.ctx.Err()
	}
	v.segments = len(segments)
	v.bytes.Add(v.log.Bytes)
	v.total += v.log.Bytes
	for _, d := range damages {
		v.add(findingOf(d))
	}
	if err != nil {
		v.add(Finding{Invariant: "W3", Path: v.db.LogDir(), Kind: inspect.IO, Reason: err.Error()})
	}
	return nil
}

// maxReadings bounds how often the log is read.
const maxReadings = 5

// confirmed reads the log until a reading finds no damage that the one before
// did not find. A writer that appends meanwhile makes a place look damaged
// that was read just before it was written, but not twice.
func (v *verifier) confirmed(read func() ([]inspect.Segment, []*inspect.Damage, error)) (segments []inspect.Segment, damages []*inspect.Damage, err error) {
	var before []*inspect.Damage
	for range maxReadings {
		segments, damages, err = read()
		if err != nil || len(damages) == 0 {
			return segments, damages, err
		}
		fresh := false
		again := slices.DeleteFunc(slices.Clone(damages), func(d *inspect.Damage) bool {
			known := slices.ContainsFunc(before, func(b *inspect.Damage) bool {
				return b.Path == d.Path && b.Offset == d.Offset && b.Invariant == d.Invariant
			})
			fresh = fresh || !known
			return !known
		})
		before, damages = damages, again
		if !fresh {
			break
		}
	}
	return segments, damages, nil
}
