package salvage_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
	"github.com/lightning-db/lightning/verify"
	"github.com/lightning-db/lightning/verify/salvage"
)

// logged is a database as a killed process leaves it: all that it holds is in
// the log, in several segments, each operation a commit. Every third sets one
// key again.
type logged struct {
	*fixture
	segments []inspect.Segment
	records  []inspect.Record // of one operation each
	ops      [][2]string      // key and value of each
}

func buildLog(t testing.TB, sync engine.SyncMode) *logged {
	t.Helper()
	f := &fixture{fs: vfs.NewMem()}
	db, err := engine.Open(src, &engine.Options{FS: f.fs, Sync: sync, SegmentBytes: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	l := &logged{fixture: f}
	for i := range 400 {
		op := [2]string{fmt.Sprintf("/k%03d", i), fmt.Sprintf("value %d %s", i, strings.Repeat("x", i%90))}
		if i%3 == 0 {
			op[0] = "/same"
		}
		if err := db.Put([]byte(op[0][1:]), []byte(op[1])); err != nil {
			t.Fatal(err)
		}
		l.ops = append(l.ops, op)
	}
	crashed := f.fs.Clone()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	f.fs = crashed
	f.want = l.content(func(int) bool { return true })
	files, err := inspect.Open(f.fs, src)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	if l.segments, _, err = files.Segments(); err != nil || len(l.segments) < 4 {
		t.Fatalf("%d segments, %v", len(l.segments), err)
	}
	if _, _, err = files.Log(func(r inspect.Record) error {
		l.records = append(l.records, r)
		return nil
	}); err != nil || len(l.records) != len(l.ops) {
		t.Fatalf("%d records, %v", len(l.records), err)
	}
	return l
}

// content is what the commits make whose number is wanted.
func (l *logged) content(wanted func(i int) bool) content {
	c := content{}
	for i, op := range l.ops {
		if wanted(i) {
			c[op[0]] = op[1]
		}
	}
	return c
}

// in reports whether record i stands in segment s.
func (l *logged) in(i int, s *inspect.Segment) bool { return l.records[i].Segment == s.Number }

// at returns the file of record i, and where in it the record stands.
func (l *logged) at(i int) (path string, off int) {
	for _, s := range l.segments {
		if l.in(i, &s) {
			return s.Path, int(4096 + l.records[i].Start - s.Start)
		}
	}
	panic("no segment")
}

// edit changes a file.
func (f *fixture) edit(t testing.TB, name string, change func(b []byte) []byte) {
	t.Helper()
	b, err := f.fs.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.fs.WriteFile(name, change(bytes.Clone(b))); err != nil {
		t.Fatal(err)
	}
}

func flipAt(off int) func([]byte) []byte {
	return func(b []byte) []byte {
		b[off] ^= 1
		return b
	}
}

// What a header says, the records behind it say too.
func TestRun_SegmentHeader(t *testing.T) {
	l := buildLog(t, engine.SyncFull)
	last := l.records[len(l.records)-1].Segment
	for _, s := range l.segments {
		f := l.clone()
		f.edit(t, s.Path, flipAt(40))
		checked, err := verify.Run(context.Background(), src, verify.Options{FS: f.fs})
		if err != nil || len(checked.Findings) != 1 {
			t.Errorf("segment %d: %v, %+v, want one finding", s.Number, err, checked.Findings)
		}
		report, got := f.repair(t)
		if d := diff(f.want, got); d != "" {
			t.Errorf("segment %d: %s", s.Number, d)
		}
		if len(report.Losses) != 1 || report.Losses[0].Path != s.Path || report.Lossless() != (s.Number < last) {
			t.Errorf("segment %d: lossless %v, %+v, want one loss", s.Number, report.Lossless(), report.Losses)
		}
	}
}

// Where a file was cut short, its records are there up to that, and one loss
// tells of the others.
func TestRun_SegmentCutShort(t *testing.T) {
	l := buildLog(t, engine.SyncFull)
	for _, s := range l.segments[1:] {
		f := l.clone()
		f.edit(t, s.Path, func(b []byte) []byte { return b[:4096+3000] })
		report, got := f.repair(t)
		end := s.Start + 3000
		want := l.content(func(i int) bool { return !l.in(i, &s) || l.records[i].End <= end })
		if d := diff(want, got); d != "" {
			t.Errorf("segment %d: %s", s.Number, d)
		}
		if len(report.Losses) != 1 || report.Lossless() && len(want) < len(f.want) {
			t.Errorf("segment %d: %+v, want one loss", s.Number, report.Losses)
		}
	}
}

// A place of a log that was not synced may be damaged, or may never have been
// written before the power went. The log ends there; what is whole behind it is
// told, and saved.
func TestRun_CommitsBehindTheEnd(t *testing.T) {
	l := buildLog(t, engine.SyncOff)
	for _, hole := range [][2]int{{0, 1}, {7, 8}, {99, 102}, {200, 210}, {len(l.ops) - 1, len(l.ops)}} {
		f := l.clone()
		for i := hole[0]; i < hole[1]; i++ {
			path, off := l.at(i)
			f.edit(t, path, flipAt(off+44))
		}
		if d := diff(l.content(func(i int) bool { return i < hole[0] }), contentOf(t, f.fs.Clone(), src)); d != "" {
			t.Errorf("hole %v: the engine: %s", hole, d)
		}
		checked, err := verify.Run(context.Background(), src, verify.Options{FS: f.fs})
		behind := len(l.ops) - hole[1]
		if err != nil || !checked.OK || len(checked.Notes) != min(behind, 1) {
			t.Fatalf("hole %v: %v, %s", hole, err, show(&checked))
		}
		report, got := f.repair(t)
		if d := diff(l.content(func(i int) bool { return i < hole[0] || i >= hole[1] }), got); d != "" {
			t.Errorf("hole %v: %s", hole, d)
		}
		if behind == 0 {
			if !report.Lossless() {
				t.Errorf("hole %v: a torn end is no loss: %+v", hole, report.Losses)
			}
			continue
		}
		path, off := l.at(hole[0])
		told := fmt.Sprintf("whole commits (%d) where operations are missing (%d)", behind, hole[1]-hole[0])
		for _, l := range report.Losses {
			if l.Kind != inspect.Cut || l.Path != path || l.Offset != int64(off) || !strings.Contains(l.Reason, told) || !strings.Contains(l.Reason, "incomplete") {
				t.Errorf("hole %v: %+v", hole, l)
			}
		}
		if len(report.Losses) != 1 || report.Lossless() || !strings.Contains(checked.Notes[0].Reason, told) {
			t.Errorf("hole %v: %+v, %s", hole, report.Losses, show(&checked))
		}
	}
}

// What a recovery has cut does not come back, also not when the segment is lost
// that tells of it.
func TestRun_WhatRecoveryCut(t *testing.T) {
	l := buildLog(t, engine.SyncOff)
	f := l.clone()
	path, off := l.at(100)
	f.edit(t, path, flipAt(off+44))
	db, err := engine.Open(src, &engine.Options{FS: f.fs, Sync: engine.SyncOff})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Put([]byte("later"), []byte("x")); err != nil {
		t.Fatal(err)
	}
	f.fs = f.fs.Clone()
	want := l.content(func(i int) bool { return i < 100 })
	want["/later"] = "x"
	if report, got := f.repair(t); diff(want, got) != "" || !report.Lossless() {
		t.Errorf("%s\n%+v", diff(want, got), report.Losses)
	}
	if err := engine.Remove(f.fs, dst); err != nil {
		t.Fatal(err)
	}
	names, err := f.fs.List(src + "/wal")
	if err != nil {
		t.Fatal(err)
	}
	newest := ""
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			newest = src + "/wal/" + name
		}
	}
	f.edit(t, newest, func(b []byte) []byte { return make([]byte, len(b)) })
	report, err := f.tryRepair(t)
	if err != nil {
		t.Fatal(err)
	}
	got := contentOf(t, f.fs, dst)
	for i, op := range l.ops[100:] {
		if got[op[0]] == op[1] {
			t.Errorf("commit %d is back", 100+i)
		}
	}
	if report.Lossless() {
		t.Error("no loss is told")
	}
}

// A segment that cannot be read does not cost the others.
func TestRun_UnreadableSegment(t *testing.T) {
	l := buildLog(t, engine.SyncFull)
	for _, s := range l.segments {
		for _, test := range []struct {
			name string
			kind faultfs.Kind
			bad  uint64 // from where on it cannot be read: LSN
			err  error
			loss string
		}{
			{"open", faultfs.OpOpen, s.Start, syscall.EIO, inspect.IO},
			{"permission", faultfs.OpOpen, s.Start, &fs.PathError{Op: "open", Path: s.Path, Err: fs.ErrPermission}, inspect.Denied},
			{"read", faultfs.OpRead, s.Start, syscall.EIO, inspect.IO},
			{"read a part", faultfs.OpRead, s.Start + 2000, syscall.EIO, inspect.IO},
		} {
			f := l.clone()
			in := faultfs.Inject(f.fs)
			in.SetHook(func(op faultfs.Op) error {
				if op.Kind != test.kind || strings.TrimPrefix(op.Name, "/") != s.Path {
					return nil
				}
				if good := int64(4096+test.bad-s.Start) - op.Off; op.Kind == faultfs.OpRead && test.bad > s.Start {
					if int64(op.Len) <= good {
						return nil
					}
					return &faultfs.Short{Bytes: int(max(good, 0)), Err: test.err}
				}
				return test.err
			})
			want := l.content(func(i int) bool { return !l.in(i, &s) || l.records[i].End <= test.bad })
			report, err := salvage.Run(context.Background(), src, dst, salvage.Options{FS: in})
			if err != nil {
				t.Errorf("segment %d, %s: %v", s.Number, test.name, err)
				continue
			}
			if d := diff(want, contentOf(t, f.fs, dst)); d != "" {
				t.Errorf("segment %d, %s: %s", s.Number, test.name, d)
			}
			if len(report.Losses) != 1 || report.Losses[0].Kind != test.loss || !strings.HasSuffix(report.Losses[0].Path, s.Path) || report.Lossless() {
				t.Errorf("segment %d, %s: %+v", s.Number, test.name, report.Losses)
			}
		}
	}
}

func show(r *verify.Report) string {
	return fmt.Sprintf("ok %v, findings %+v, notes %+v", r.OK, r.Findings, r.Notes)
}
