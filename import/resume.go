package importer

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/cespare/xxhash/v2"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/dump"
)

// An import that can be taken up again keeps, in the database, how far it has
// come: with each batch, in the same commit, one entry
//
//	key    keyspace that is imported into, a zero byte, name of the file
//	value  number of records read, their digest, size of the file that the bad
//	       ones among them are in: 8 bytes each, little-endian
//
// The digest makes it exact: a resumed import reads the file from its start, and
// goes on only behind records that are, byte for byte, those that were read
// before, however the file is compressed, and whatever was mended in it further
// on. Bad records and those that were skipped count like the others. What was
// written to the file for bad records behind that size is written again.
//
// The entries have a keyspace of their own, so that no scan, export or count of
// the data shows them, and one batch can write to both. It is removed with the
// last of them, when the import has succeeded.

// progressSpace is the keyspace for progress.
const progressSpace = "lightning.import"

const progressSize = 24

// Resume makes an import one that can be taken up again.
type Resume struct {
	Name    string // of the file
	Options string // that decide what becomes of a record: they must stay the same

	// Rejects, where not nil, says how large the file for bad records is.
	Rejects func() int64
}

// progress is how far an import has come in a file.
type progress struct {
	records int64
	digest  uint64
}

func progressKey(ks *engine.Keyspace, name string) []byte {
	return []byte(ks.Name() + "\x00" + name)
}

// errChanged says that the records that were imported are others.
var errChanged = &dump.InputError{Err: errors.New("what was imported of it is not what it begins with now, or the options are others: import it from its start, without --resume")}

// load reads how far an earlier import came.
func (j *job) load() error {
	if err := j.open(); err != nil {
		return err
	}
	j.at.digest = xxhash.Sum64String(j.o.Resume.Options)
	ks, err := j.db.Keyspace(progressSpace)
	if errors.Is(err, engine.ErrNoKeyspace) {
		ks, err = j.db.CreateKeyspace(progressSpace, nil)
	}
	if err != nil {
		return err
	}
	j.progress = j.batch.In(ks)
	value, err := ks.Get(progressKey(j.main, j.o.Resume.Name))
	switch {
	case errors.Is(err, engine.ErrNotFound):
		// What is killed before its first commit has begun, too.
		j.good = j.at
		if err = j.mark(); err == nil {
			err = j.db.Apply(j.ctx, j.batch)
			j.batch.Reset()
		}
	case err == nil && len(value) != progressSize:
		return errChanged
	case err == nil:
		j.until = progress{int64(binary.LittleEndian.Uint64(value)), binary.LittleEndian.Uint64(value[8:])}
		j.result.Resumed, j.marked = j.until.records, j.until.records
	}
	return err
}

// passed counts a record, and reports whether an earlier import has dealt with
// it.
func (j *job) passed(source []byte, space string) (bool, error) {
	j.at.records++
	j.at.digest = (j.at.digest*0x9e3779b97f4a7c15+xxhash.Sum64(source))*0x9e3779b97f4a7c15 + xxhash.Sum64String(space)
	if j.at.records == j.until.records && j.at != j.until {
		return true, errChanged
	}
	return j.at.records <= j.until.records, nil
}

// mark adds the progress to the batch.
func (j *job) mark() error {
	value := binary.LittleEndian.AppendUint64(nil, uint64(j.good.records))
	value = binary.LittleEndian.AppendUint64(value, j.good.digest)
	var rejects int64
	if j.o.Resume.Rejects != nil {
		rejects = j.o.Resume.Rejects()
	}
	value = binary.LittleEndian.AppendUint64(value, uint64(rejects))
	j.marked = j.good.records
	return j.progress.Put(progressKey(j.main, j.o.Resume.Name), value)
}

// Rejects returns how large the file for bad records was when an import of these
// files was last committed, and whether there was one.
func Rejects(db *engine.DB, into *engine.Keyspace, names []string) (size int64, begun bool, err error) {
	ks, err := db.Keyspace(progressSpace)
	if errors.Is(err, engine.ErrNoKeyspace) {
		return 0, false, nil
	}
	for _, name := range names {
		if err != nil {
			break
		}
		var value []byte
		value, err = ks.Get(progressKey(into, name))
		switch {
		case errors.Is(err, engine.ErrNotFound):
			err = nil
		case err == nil && len(value) == progressSize:
			size, begun = max(size, int64(binary.LittleEndian.Uint64(value[16:]))), true
		}
	}
	return size, begun, err
}

// Forget removes the progress of files that are imported.
func Forget(ctx context.Context, db *engine.DB, into *engine.Keyspace, names []string) error {
	ks, err := db.Keyspace(progressSpace)
	if errors.Is(err, engine.ErrNoKeyspace) {
		return nil
	}
	if err != nil {
		return err
	}
	b := db.NewBatch().In(ks)
	for _, name := range names {
		if err := b.Delete(progressKey(into, name)); err != nil {
			return err
		}
	}
	if err := db.Apply(ctx, b); err != nil {
		return err
	}
	s, err := db.Snapshot()
	if err != nil {
		return err
	}
	defer s.Close()
	it := s.In(ks).NewIterator(engine.IterOptions{})
	others := it.First()
	if err := it.Close(); others || err != nil {
		return err
	}
	return db.DropKeyspace(progressSpace)
}
