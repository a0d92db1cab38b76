package salvage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/engine/vfs"
)

// Options are the settings of Run. Their zero value is a good default.
type Options struct {
	// FS is the file system of source and destination. Default: vfs.OS().
	FS vfs.FS
	// Progress is called now and then, from the goroutine of Run.
	Progress func(Progress)
}

// Progress is how far Run has come.
type Progress struct {
	Bytes  int64 // read
	Total  int64 // about what there is to read
	Keys   uint64
	Losses int
}

// suffix marks a database that is being made. It gets its name when it is
// whole and durable.
const suffix = ".repairing"

// Run makes the database dst of what can be read of the one in src. Damage is
// in the report and is no error. What an earlier run that was killed left
// behind beside dst is replaced.
//
// Errors: ErrNothing; ErrInUse; engine.ErrExists when there is something at
// dst; engine.ErrNotExist, engine.ErrFormat and engine.ErrVersion of src; that
// of ctx; those of the file system. In each case there is no database dst, but
// where making its name durable failed.
func Run(ctx context.Context, src, dst string, o Options) (Report, error) {
	began := time.Now()
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	report, err := run(ctx, src, filepath.Clean(dst), &o)
	report.Duration = time.Since(began)
	return report, err
}

var (
	// ErrNothing says that something was lost and no key and no log record read.
	ErrNothing = errors.New("nothing in it can be read")
	// ErrInUse says that somebody wrote to the source meanwhile.
	ErrInUse = errors.New("the database was written to meanwhile: stop the program that has it open")
)

func run(ctx context.Context, src, dst string, o *Options) (Report, error) {
	if _, err := o.FS.Stat(dst); err == nil {
		return Report{}, fmt.Errorf("%s: %w", dst, engine.ErrExists)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return Report{}, err
	}
	db, err := inspect.OpenDamaged(o.FS, src)
	if err != nil {
		return Report{}, err
	}
	defer db.Close()
	s := &salvage{ctx: ctx, db: db, o: o, reader: db.NewReader()}
	s.report.InUse = db.Exclude()
	if err := s.survey(); err != nil {
		return s.report, err
	}
	if err := s.build(dst); err != nil {
		return s.report, fmt.Errorf("repair %s: %w", src, err)
	}
	return s.report, nil
}

// build makes the destination, under another name until it is whole.
func (s *salvage) build(dst string) error {
	fsys, tmp := s.o.FS, dst+suffix
	if err := engine.Remove(fsys, tmp); err != nil && !errors.Is(err, engine.ErrNotExist) {
		return err
	}
	err := s.fill(tmp)
	if err == nil {
		err = s.unmoved()
	}
	if err == nil {
		err = fsys.Rename(tmp, dst)
	}
	if err != nil {
		_ = engine.Remove(fsys, tmp)
		return err
	}
	return fsys.SyncDir(filepath.Dir(dst))
}

// unmoved makes sure that nobody wrote to the source.
func (s *salvage) unmoved() error {
	if !s.report.Meta {
		return nil
	}
	moved, err := s.db.Moved()
	if moved {
		return ErrInUse
	}
	return err
}

// fill writes the database dir and closes it.
func (s *salvage) fill(dir string) error {
	o := engine.Options{FS: s.o.FS, Sync: engine.SyncOff}
	for i := range s.trees {
		if t := &s.trees[i]; t.id == 0 && t.page != 0 {
			o.PageSize, o.Compression = int(t.page), engine.Compression(t.codec)
		}
	}
	db, err := engine.Open(dir, &o)
	if err != nil {
		return err
	}
	if err = s.write(newWriter(s.ctx, db)); err == nil {
		err = s.count(db)
	}
	if err == nil && s.report.Keys == 0 && s.report.LogOps == 0 && !s.report.Lossless() {
		err = ErrNothing
	}
	return errors.Join(err, db.Close())
}

// count tells what the new database has, of each keyspace and each lost range.
func (s *salvage) count(db *engine.DB) error {
	snapshot, err := db.Snapshot()
	if err != nil {
		return err
	}
	defer snapshot.Close()
	infos, err := db.Keyspaces()
	if err != nil {
		return err
	}
	for _, info := range infos {
		ks, err := db.Keyspace(info.Name)
		if err != nil {
			return err
		}
		n, err := countRange(snapshot.In(ks), bounds{})
		if err != nil {
			return err
		}
		s.report.Keyspaces = append(s.report.Keyspaces, Keyspace{info.Name, n})
		s.report.Keys += n
		for i := range s.report.Losses {
			l := &s.report.Losses[i]
			if !l.ranged || l.Keyspace != info.Name {
				continue
			}
			if l.Present, err = countRange(snapshot.In(ks), bounds{l.Start, l.End}); err != nil {
				return err
			}
		}
	}
	return s.ctx.Err()
}

func countRange(r engine.Reader, b bounds) (uint64, error) {
	var n uint64
	for range r.Scan(b.start, b.end) {
		n++
	}
	return n, r.Err()
}
