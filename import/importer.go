// Package importer lives in the folder import, whose name Go keeps for itself;
// it puts the records of a file into a database.
//
// Records are committed in batches, in the order of the file. What a report
// calls committed outlives the process; it may be less than what is there, and
// is never more. A later record with the same key replaces an earlier one.
package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/dump"
)

// Options say what becomes of a record.
type Options struct {
	// Key makes the key. Without it, the file is one that Lightning exported,
	// and each record has its key in a field of that name.
	Key *Template
	// Value names the field to store. Without it, that is the whole record as
	// a JSON object, or the field value of a file without Key.
	Value string

	// Conflict says what becomes of a record whose key has a value already, by an
	// earlier record of the file too: skip passes it over, error makes it a bad
	// one, and anything else replaces the value. A dry run does not look.
	Conflict string

	// Resume, where not nil, goes on behind the records that an earlier import of
	// the same file committed, and keeps what makes that possible until Forget.
	Resume *Resume

	// BatchRecords is how many records are committed together. Default: 10,000.
	BatchRecords int
	// Rejected is called with each bad record, and the import goes on unless
	// it returns an error. Without it, the first bad record ends the import.
	Rejected func(*dump.RowError) error
	// DryRun reads everything and writes nothing.
	DryRun bool
	// Unsafe says that a commit is in the hands of this process only until
	// Sync (engine.SyncOff), so that it counts as committed only after one.
	Unsafe bool
	// Report is called with the result so far after each batch.
	Report func(Result)
}

// Result counts records.
type Result struct {
	Read      int64 // good and bad
	Committed int64
	Rejected  int64
	Skipped   int64 // good, but their keys were there
	Resumed   int64 // not in Read: an earlier import dealt with them
	Partly    int64 // good, but they have fields beside key and value, which were not kept
	NoKey     int64 // good, with an empty key, and of no keyspace that the file says
	Bytes     int64 // of keys and values committed
}

// A batch also ends at this size: ten thousand large values would not fit in
// memory.
const batchBytes = 8 << 20

// How long SyncOff may leave commits uncounted.
const syncInterval = time.Second

// A Target is where records go. Open is called once the first good record has
// been read, or the input has ended without an error and a bad record: an import
// that comes to nothing creates no database and takes no lock. It is called
// again for the next file, and returns the same. Space returns the keyspace for
// the records of a file that are in one of that name; a dry run, which opens
// nothing, only asks whether there can be one.
type Target interface {
	Open() (*engine.DB, *engine.Keyspace, error)
	Space(name string) (*engine.Keyspace, error)
}

// Check says what is wrong with the options where no record of the file can be
// good: its first line names the columns, and one that is asked for is not among
// them.
func Check(r dump.Reader, o Options) error {
	sample := r.Sample()
	if sample == nil {
		return nil
	}
	return (&job{o: o}).entry(sample)
}

// Run reads all records of r into the target. When it ends early, because of
// a bad record, a failure or ctx, the records before that point are committed
// as far as that is possible, and the result says how many.
func Run(ctx context.Context, target Target, r dump.Reader, o Options) (Result, error) {
	if o.BatchRecords <= 0 {
		o.BatchRecords = 10_000
	}
	j := &job{ctx: context.WithoutCancel(ctx), target: target, o: o, synced: time.Now()}
	var err error
	if o.Resume != nil {
		err = j.load()
	}
	if err == nil {
		err = j.read(ctx, r)
	}
	if err == nil && j.result.Rejected == 0 {
		err = j.open()
	}
	// What was read before the end or the error is good, whatever ended it.
	if commitErr := j.finish(); commitErr != nil {
		err = commitErr
	}
	return j.result, err
}

type job struct {
	ctx    context.Context // of commits: never done, so that none is in doubt
	target Target
	o      Options
	db     *engine.DB
	batch  *engine.Batch // nil until the target is open, and in a dry run
	main   *engine.Keyspace
	places map[string]*place // by the keyspace that the file names
	failed bool              // a commit has failed; its error is the one to return

	result  Result
	pending int64 // records in the batch
	bytes   int64 // of their keys and values
	loose   int64 // records committed, but not counted until a Sync
	synced  time.Time

	// With Resume: how far the reader is, how far what is read is good, how far
	// an earlier import came, how many records the progress says that is kept, and
	// the batch for it.
	at, good, until progress
	marked          int64
	progress        *engine.Batch

	key, value []byte
	last       []byte // of Load: the key before, nil where there is none
	made       []byte // holds key where the record has it in no one place
	object     []byte // likewise value
}

func (j *job) read(ctx context.Context, r dump.Reader) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		record, err := r.Read()
		if err == io.EOF {
			if j.at.records < j.until.records {
				return errChanged
			}
			return nil
		}
		bad, ok := errors.AsType[*dump.RowError](err)
		if j.o.Resume != nil && (ok || err == nil) {
			var source []byte
			space := ""
			if ok {
				source = bad.Source
			} else {
				source, space = record.Source, record.Space
			}
			done, err := j.passed(source, space)
			if err != nil {
				return err
			}
			if done {
				continue
			}
		}
		if err == nil {
			err = j.add(record)
		}
		if bad, ok := errors.AsType[*dump.RowError](err); ok {
			j.result.Read++
			err = j.reject(bad)
		} else if err == nil {
			j.result.Read++
		}
		if err != nil {
			return err
		}
		j.good = j.at
		if j.pending >= int64(j.o.BatchRecords) || j.batch != nil && j.batch.Bytes() >= batchBytes {
			if err := j.commit(); err != nil {
				j.failed = true
				return err
			}
		}
	}
}

// add puts a record into the batch.
func (j *job) add(r *dump.Record) error {
	if err := j.entry(r); err != nil {
		return r.Bad(err)
	}
	if err := checkSize(j.key, j.value); err != nil {
		return r.Bad(err)
	}
	if j.o.Key == nil && j.o.Value == "" && r.Len() > 2 {
		j.result.Partly++
	}
	if err := j.open(); err != nil {
		return err
	}
	if j.o.DryRun && r.Space != "" {
		if _, err := j.target.Space(r.Space); err != nil {
			return err
		}
	}
	if j.batch != nil {
		if put, err := j.put(r); !put || err != nil {
			return err
		}
		j.bytes += int64(len(j.key) + len(j.value))
	}
	if len(j.key) == 0 && r.Space == "" {
		j.result.NoKey++
	}
	j.pending++
	return nil
}

// A place is where records of a keyspace go.
type place struct {
	ks    *engine.Keyspace
	batch *engine.Batch       // for it
	keys  map[string]struct{} // in the batch, where they may not be replaced
}

var errThere = errors.New("it is there already")

// put puts the entry into the batch, unless it is to be passed over.
func (j *job) put(r *dump.Record) (bool, error) {
	p := j.places[r.Space]
	if p == nil {
		ks := j.main
		if r.Space != "" {
			var err error
			if ks, err = j.target.Space(r.Space); err != nil {
				return false, err
			}
		}
		p = &place{ks, j.batch.In(ks), map[string]struct{}{}}
		j.places[r.Space] = p
	}
	if j.o.Conflict == "skip" || j.o.Conflict == "error" {
		_, there := p.keys[string(j.key)]
		if !there {
			var err error
			if there, err = p.ks.Has(j.key); err != nil {
				return false, err
			}
		}
		switch {
		case there && j.o.Conflict == "skip":
			j.result.Skipped++
			return false, nil
		case there:
			return false, r.Bad(fmt.Errorf("key %s: %w", dump.Printable(j.key), errThere))
		}
		p.keys[string(j.key)] = struct{}{}
	}
	return true, p.batch.Put(j.key, j.value)
}

func (j *job) open() error {
	if j.batch != nil || j.o.DryRun {
		return nil
	}
	db, ks, err := j.target.Open()
	if err != nil {
		return err
	}
	j.db, j.batch, j.main = db, db.NewBatch().In(ks), ks
	j.places = map[string]*place{}
	return nil
}

func checkSize(key, value []byte) error {
	if len(key) <= engine.MaxKeySize && len(value) <= engine.MaxValueSize {
		return nil
	}
	return tooLarge(key, value)
}

func tooLarge(key, value []byte) error {
	if len(key) > engine.MaxKeySize {
		return fmt.Errorf("key %s: %w: %d bytes, and the longest key has %d", dump.Printable(key), engine.ErrTooLarge, len(key), engine.MaxKeySize)
	}
	return fmt.Errorf("value of %s: %w: %d bytes, and the longest value has %d", dump.Printable(key), engine.ErrTooLarge, len(value), engine.MaxValueSize)
}

// entry sets key and value to those of a record.
func (j *job) entry(r *dump.Record) (err error) {
	if j.o.Key == nil {
		j.key, err = r.Key()
	} else {
		j.key, err = j.o.Key.Make(&j.made, r)
	}
	if err != nil {
		return err
	}
	switch {
	case j.o.Value != "":
		j.value, err = r.Field(j.o.Value)
	case j.o.Key == nil:
		var ok bool
		if j.value, ok, err = r.Value(); err == nil && !ok {
			err = errors.New(`no field "value": choose one with --value, or make the key with --key to store the whole record`)
		}
	default:
		j.value, err = r.Object(&j.object)
	}
	return err
}

func (j *job) reject(bad *dump.RowError) error {
	if j.o.Rejected == nil {
		return bad
	}
	j.result.Rejected++
	return j.o.Rejected(bad)
}

// commit makes the batch visible, and counts it where it outlives the process.
func (j *job) commit() error {
	if j.pending == 0 && j.good.records <= j.marked {
		return nil
	}
	n := j.pending
	j.pending = 0
	if j.batch != nil {
		if j.progress != nil {
			if err := j.mark(); err != nil {
				return err
			}
		}
		if err := j.db.Apply(j.ctx, j.batch); err != nil {
			return err
		}
		j.batch.Reset()
		for _, p := range j.places {
			clear(p.keys)
		}
		j.result.Bytes += j.bytes
		j.bytes = 0
		j.loose += n
	}
	if !j.o.Unsafe {
		j.count()
	} else if time.Since(j.synced) >= syncInterval {
		return j.settle()
	}
	return nil
}

// finish commits what is left and makes all of it durable.
func (j *job) finish() error {
	if j.failed {
		return nil
	}
	if err := j.commit(); err != nil {
		return err
	}
	return j.settle()
}

// settle makes all that was committed durable, and counts it.
func (j *job) settle() error {
	if j.batch == nil {
		return nil
	}
	if err := j.db.Sync(); err != nil {
		return err
	}
	j.synced = time.Now()
	j.count()
	return nil
}

func (j *job) count() {
	j.result.Committed += j.loose
	j.loose = 0
	if j.o.Report != nil {
		j.o.Report(j.result)
	}
}
