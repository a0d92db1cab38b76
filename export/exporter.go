// Package exporter lives in the folder export, beside import; it writes the
// entries of a database to a file that package importer reads.
package exporter

import (
	"context"
	"unicode/utf8"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/dump"
)

// Options bound an export.
type Options struct {
	Start, End []byte // half-open; nil is no bound
	// Match chooses entries; nil takes all.
	Match func(key, value []byte) (bool, error)
	// Before is the result of what was exported before, which this one is added to.
	Before Result
	// Report is called with the result so far now and then.
	Report func(Result)
}

// Result counts what was written.
type Result struct {
	Entries int64
	Bytes   int64 // of keys and values
	NotText int64 // entries whose key or value is not UTF-8
}

// interval is how many entries pass between two looks at the context.
const interval = 1024

// Run writes the entries of a snapshot in the order of their keys, and closes
// the writer when all of them are written.
func Run(ctx context.Context, s engine.Reader, w dump.Writer, o Options) (Result, error) {
	res := o.Before
	var err error
	for key, value := range s.Scan(o.Start, o.End) {
		if o.Match != nil {
			ok, matchErr := o.Match(key, value)
			if err = matchErr; err != nil {
				break
			}
			if !ok {
				continue
			}
		}
		if err = w.Write(key, value); err != nil {
			break
		}
		res.Entries++
		res.Bytes += int64(len(key) + len(value))
		if !utf8.Valid(key) || !utf8.Valid(value) {
			res.NotText++
		}
		if res.Entries%interval == 0 {
			if o.Report != nil {
				o.Report(res)
			}
			if err = ctx.Err(); err != nil {
				break
			}
		}
	}
	if err == nil {
		err = s.Err()
	}
	if err == nil {
		err = w.Close()
	}
	return res, err
}
