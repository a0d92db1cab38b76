package verify

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/engine/vfs"
)

// checkLog judges the log (W1 to W5).
func (v *verifier) checkLog() error {
	segments, damages, err := v.confirmed(func() ([]inspect.Segment, []*inspect.Damage, error) {
		segments, damages, err := v.db.Segments()
		if v.quick || err != nil {
			return segments, damages, err
		}
		var found []*inspect.Damage // those of the headers again, and those of the records
		v.spaced = false
		v.log, found, err = v.db.Log(func(r inspect.Record) error {
			for op := range r.All() {
				v.spaced = v.spaced || op.Keyspace != 0 || op.Kind == createKeyspace || op.Kind == dropKeyspace
			}
			return v.ctx.Err()
		})
		if v.log.Records > 0 && v.log.Seq >= inspect.MaxSeq {
			found = append(found, &inspect.Damage{
				Invariant: "W2", Path: v.db.LogDir(), Kind: inspect.Log,
				Reason: fmt.Sprintf("the last record has sequence number %d", v.log.Seq),
			})
		}
		return segments, found, err
	})
	switch {
	case v.ctx.Err() != nil:
		return v.ctx.Err()
	case errors.Is(err, fs.ErrPermission), vfs.IsTooManyFiles(err):
		return err // which says nothing of the log
	}
	v.segments = segments
	v.spaced = v.spaced && len(damages) == 0
	v.bytes.Add(v.log.Bytes)
	v.total += v.log.Bytes
	v.found.omitted += v.log.Omitted
	for _, d := range damages {
		switch f := findingOf(d); d.Kind {
		case inspect.Denied: // which says nothing of the log
			return &fs.PathError{Op: "open", Path: d.Path, Err: fs.ErrPermission}
		case inspect.Cut:
			f.Reason += "; a power cut leaves this, and so does damage"
			v.notes.add(func() Finding { return f })
		default:
			v.add(f)
		}
	}
	if err != nil {
		v.add(Finding{Invariant: "W3", Path: v.db.LogDir(), Kind: inspect.IO, Reason: err.Error()})
	}
	return nil
}

// Kinds of operations.
const (
	createKeyspace = "create keyspace"
	dropKeyspace   = "drop keyspace"
)

// checkOperations holds the operations of the log to the keyspaces that the
// catalog and the log itself make (W6).
func (v *verifier) checkOperations(spaces []inspect.Keyspace) error {
	if !v.spaced || v.catalogLost {
		return nil // there is only the default one, or it cannot be told
	}
	names, taken := map[uint32]string{}, map[string]bool{"": true}
	for _, k := range spaces {
		names[k.ID], taken[k.Name] = k.Name, true
	}
	next := v.db.Meta.NextKeyspace
	_, _, err := v.db.Log(func(r inspect.Record) error {
		if r.Cut {
			return nil
		}
		for op := range r.All() {
			name, there := names[op.Keyspace]
			wrong := ""
			switch {
			case op.Kind == createKeyspace && (op.Keyspace < next || taken[op.Name]):
				wrong = "another has the number or the name"
			case op.Kind == createKeyspace && !inspect.ValidKeyspace(op.Name, op.PageSize, op.Codec):
				wrong = fmt.Sprintf("page size %d, codec %d, name %q", op.PageSize, op.Codec, op.Name)
			case op.Kind == createKeyspace:
				names[op.Keyspace], taken[op.Name] = op.Name, true
				next = op.Keyspace + 1
			case op.Keyspace == 0 && op.Kind == dropKeyspace:
				wrong = "the default keyspace is dropped"
			case op.Keyspace != 0 && !there:
				wrong = "it is not there"
			case op.Kind == dropKeyspace:
				delete(names, op.Keyspace)
				delete(taken, name)
			}
			if wrong != "" {
				v.add(findingOf(v.damageAt(&r, "W6", fmt.Sprintf("%s, keyspace %d: %s", op.Kind, op.Keyspace, wrong))))
				break // the rest follows from it
			}
		}
		return v.ctx.Err()
	})
	return err
}

// damageAt is damage of a record of the log.
func (v *verifier) damageAt(r *inspect.Record, invariant, reason string) *inspect.Damage {
	d := &inspect.Damage{Invariant: invariant, Path: v.db.LogDir(), Kind: inspect.Log, Reason: reason}
	for i := range v.segments {
		if s := &v.segments[i]; s.Number == r.Segment {
			d.Path, d.Offset = s.Path, int64(4096+r.Start-s.Start)
		}
	}
	return d
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
