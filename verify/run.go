package verify

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/engine/vfs"
)

// Options are the settings of Run. Their zero value is a good default.
type Options struct {
	// FS is the file system. Default: vfs.OS().
	FS vfs.FS
	// Quick looks at the metas, the catalog, the free list and the headers of
	// the log's segments, and at no keys.
	Quick bool
	// Sample is the part of the leaves that are read, drawn at random, and of
	// the large values with them: 0.05 for 5 %. Branches are all read. Zero
	// means all. What a sample does not find may yet be there.
	Sample float64
	// Explain says of extents that do not agree with their checksums what may
	// have happened: a flipped bit, zeros, a write in part. It takes up to a
	// quarter of a second for each, and stops after a hundred. Of what is longer
	// than 64 MiB nothing is said.
	Explain bool
	// Progress is called now and then, by one goroutine at a time.
	Progress func(Progress)
	// Workers is how many goroutines read. Default: GOMAXPROCS.
	Workers int
	// BytesPerSecond, when not 0, is how much is read in a second at most.
	BytesPerSecond int64
	// Found is called by Scrub with each finding that is new in its pass.
	Found func(Finding)
	// Duration, when not 0, is for how long Scrub reads: then it stops as soon as
	// it has come further, behind a hundred leaves or so.
	Duration time.Duration
}

func (o *Options) defaults(ctx context.Context) {
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.BytesPerSecond > 0 {
		o.FS = &throttled{FS: o.FS, ctx: ctx, perSecond: o.BytesPerSecond}
	}
}

// Progress is how far Run has come.
type Progress struct {
	Nodes    uint64
	Bytes    int64 // read
	Total    int64 // about what there is to read
	Findings int
}

// maxTries bounds how often Run starts again because a writer replaced what it
// was reading.
const maxTries = 5

// Run verifies the database in dir. Damage is in the report and is no error.
// An error says that the database could not be verified, and the report is
// then of what was done until then.
//
// Errors: engine.ErrNotExist, engine.ErrFormat, engine.ErrVersion, that of ctx,
// and those of the file system.
func Run(ctx context.Context, dir string, o Options) (Report, error) {
	began := time.Now()
	o.defaults(ctx)
	report, err := run(ctx, dir, o)
	report.Duration = time.Since(began)
	if err != nil {
		return report, fmt.Errorf("verify %s: %w", dir, err)
	}
	report.OK = len(report.Findings) == 0
	return report, nil
}

func run(ctx context.Context, dir string, o Options) (Report, error) {
	for try := 1; ; try++ {
		report, overtaken, err := once(ctx, dir, o)
		if !overtaken || err != nil || try == maxTries {
			return report, err
		}
	}
}

// once verifies the newest generation. It reports whether a writer may have
// replaced some of it meanwhile, so that what was found may be no damage.
func once(ctx context.Context, dir string, o Options) (report Report, overtaken bool, err error) {
	db, err := inspect.Open(o.FS, dir)
	if d := inspect.AsDamage(err); d != nil {
		return Report{Quick: o.Quick, Findings: []Finding{findingOf(d)}}, false, nil
	}
	if err != nil {
		return Report{}, false, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	v := newVerifier(ctx, db, o)
	if overtaken, err := v.checkHead(); overtaken || err != nil {
		return v.report(), overtaken, err
	}
	if err := v.checkTrees(); err != nil {
		return v.report(), false, err
	}
	if v.found.count() > 0 && !db.Pinned() {
		overtaken, err = db.Moved()
	}
	return v.report(), overtaken, err
}

// checkHead judges the log and the metas.
func (v *verifier) checkHead() (overtaken bool, err error) {
	if err := v.checkLog(); err != nil {
		return false, err
	}
	v.checkSlots()
	if v.found.count() > 0 {
		return v.db.Moved()
	}
	return false, nil
}
