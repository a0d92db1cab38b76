package importer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	exporter "github.com/lightning-db/lightning/export"
	importer "github.com/lightning-db/lightning/import"
	"github.com/lightning-db/lightning/internal/dump"
)

// A target is a database in memory that is opened when it is asked for.
type target struct {
	t      *testing.T
	db     *engine.DB
	opened int
}

func (d *target) Open() (*engine.DB, *engine.Keyspace, error) {
	d.opened++
	if d.db == nil {
		db, err := engine.Open("db", &engine.Options{FS: vfs.NewMem(), SegmentBytes: 1 << 20})
		if err != nil {
			return nil, nil, err
		}
		d.t.Cleanup(func() { db.Close() })
		d.db = db
	}
	ks, err := d.db.Keyspace("")
	return d.db, ks, err
}

func (d *target) Space(name string) (*engine.Keyspace, error) { return d.db.CreateKeyspace(name, nil) }

func run(ctx context.Context, t *testing.T, d *target, f dump.Format, file string, o importer.Options) (importer.Result, error) {
	t.Helper()
	r, err := dump.NewReader(strings.NewReader(file), f, dump.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return importer.Run(ctx, d, r, o)
}

func TestRun_CommitsWhatStandsBeforeABadRecord(t *testing.T) {
	d := &target{t: t}
	file := "key,value\n" + strings.Repeat("x,1\n", 24) + "y,2\nbad\nz,3\n"
	res, err := run(t.Context(), t, d, dump.CSV, file, importer.Options{BatchRecords: 10})
	var bad *dump.RowError
	if !errors.As(err, &bad) || bad.Line != 27 {
		t.Fatalf("have %v, want a RowError of line 27", err)
	}
	if res.Committed != 25 {
		t.Errorf("have %d committed, want 25", res.Committed)
	}
	if v, err := d.db.Get([]byte("y")); err != nil || string(v) != "2" {
		t.Errorf("y: have %q, %v", v, err)
	}
	if _, err := d.db.Get([]byte("z")); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("z: have %v, want ErrNotFound", err)
	}
}

func TestRun_OpensNothingForABadFile(t *testing.T) {
	d := &target{t: t}
	if _, err := run(t.Context(), t, d, dump.CSV, "key,value\nbad\n", importer.Options{}); err == nil || d.opened > 0 {
		t.Errorf("have %v, and opened %d times", err, d.opened)
	}
	if _, err := run(t.Context(), t, d, dump.CSV, "key,value\na,b\n", importer.Options{DryRun: true}); err != nil || d.opened > 0 {
		t.Errorf("dry run: have %v, and opened %d times", err, d.opened)
	}
}

func TestRun_Rejected_GoesOn(t *testing.T) {
	d := &target{t: t}
	var lines []int64
	res, err := run(t.Context(), t, d, dump.JSONL, "{\"key\":\"a\",\"value\":\"1\"}\n{\n{\"key\":1}\n{\"key\":\"b\",\"value\":{\"x\": 1}}\n", importer.Options{
		Rejected: func(bad *dump.RowError) error { lines = append(lines, bad.Line); return nil },
	})
	if err != nil || fmt.Sprint(lines) != "[2 3]" || res.Committed != 2 || res.Rejected != 2 || res.Read != 4 {
		t.Errorf("have %+v, lines %v, %v", res, lines, err)
	}
}

func TestRun_Cancelled_CommitsWhatWasRead(t *testing.T) {
	d := &target{t: t}
	ctx, cancel := context.WithCancel(t.Context())
	file := strings.Repeat("{\"key\":\"a\",\"value\":\"1\"}\n", 50)
	res, err := run(ctx, t, d, dump.JSONL, file, importer.Options{BatchRecords: 20, Report: func(importer.Result) { cancel() }})
	if !errors.Is(err, context.Canceled) || res.Committed != 20 {
		t.Errorf("have %+v, %v", res, err)
	}
}

// Unsafe commits count only after a Sync, of which the end has one: no time
// passes until then.
func TestRun_Unsafe_CountsAfterSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &target{t: t}
		var reports []int64
		file := strings.Repeat("{\"key\":\"a\",\"value\":\"1\"}\n", 50)
		res, err := run(t.Context(), t, d, dump.JSONL, file, importer.Options{
			BatchRecords: 10, Unsafe: true, Report: func(r importer.Result) { reports = append(reports, r.Committed) },
		})
		if err != nil || res.Committed != 50 || !slices.Equal(reports, []int64{50}) {
			t.Errorf("have %+v, %v, reports %v", res, err, reports)
		}
	})
}

// FuzzExport_GivesBackEveryByte: import of an export restores the same bytes.
func FuzzExport_GivesBackEveryByte(f *testing.F) {
	f.Add([]byte(""), []byte(""))
	f.Add([]byte("\xff\x00"), []byte("a\r\n\"b\",\t\\n"))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if len(key) > engine.MaxKeySize {
			return
		}
		from := &target{t: t}
		db, ks, err := from.Open()
		if err != nil {
			t.Fatal(err)
		}
		if err := ks.Put(key, value); err != nil {
			t.Fatal(err)
		}
		s, err := db.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for _, format := range []dump.Format{dump.CSV, dump.TSV, dump.JSON, dump.JSONL, dump.DBDump, dump.Pairs} {
			var file bytes.Buffer
			w, err := dump.NewWriter(&file, format, dump.WriterOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := exporter.Run(t.Context(), s, w, exporter.Options{}); err != nil {
				t.Fatal(err)
			}
			to := &target{t: t}
			if _, err := run(t.Context(), t, to, format, file.String(), importer.Options{}); err != nil {
				t.Fatalf("%s: %v\n%q", format, err, file.Bytes())
			}
			have, err := to.db.Get(key)
			if err != nil || !bytes.Equal(have, value) {
				t.Fatalf("%s: have %q, %v, want %q\n%q", format, have, err, value, file.Bytes())
			}
		}
	})
}
