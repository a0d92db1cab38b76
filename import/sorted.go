package importer

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/lightning-db/lightning/internal/dump"
)

// Load reads all records of r, whose keys must increase, and gives them to load,
// which makes a new database of them or returns an error (engine.Load). Nothing
// is committed before all of them are.
func Load(r dump.Reader, o Options, load func(next func() (key, value []byte, err error)) error) (Result, error) {
	j := &job{o: o}
	err := load(func() ([]byte, []byte, error) {
		for {
			record, err := r.Read()
			if err == nil {
				err = j.ordered(record)
			}
			if err == nil {
				j.result.Bytes += int64(len(j.key) + len(j.value))
				if o.Key == nil && o.Value == "" && record.Len() > 2 {
					j.result.Partly++
				}
				if j.result.Read++; j.result.Read%8192 == 0 && o.Report != nil {
					o.Report(j.result)
				}
				return j.key, j.value, nil
			}
			bad, ok := errors.AsType[*dump.RowError](err)
			if !ok {
				return nil, nil, err // io.EOF too
			}
			j.result.Read++
			if err := j.reject(bad); err != nil {
				return nil, nil, err
			}
		}
	})
	if err != nil {
		return Result{}, err
	}
	j.result.Committed = j.result.Read - j.result.Rejected
	return j.result, nil
}

// ordered sets key and value to those of a record, whose key must be behind the
// one before it.
func (j *job) ordered(r *dump.Record) error {
	if err := j.entry(r); err != nil {
		return r.Bad(err)
	}
	if err := checkSize(j.key, j.value); err != nil {
		return r.Bad(err)
	}
	if r.Space != "" {
		return &dump.InputError{Err: fmt.Errorf("the file has keyspaces (%s), for which --sorted has no place", dump.Printable([]byte(r.Space)))}
	}
	if j.last != nil && bytes.Compare(j.last, j.key) >= 0 {
		return &dump.InputError{Err: fmt.Errorf("line %d: key %s is not behind the key before it, %s: --sorted wants keys that increase", r.Line, dump.Printable(j.key), dump.Printable(j.last))}
	}
	if j.last == nil {
		j.last = []byte{}
	}
	j.last = append(j.last[:0], j.key...)
	return nil
}
