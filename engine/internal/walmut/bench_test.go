package wal

import (
	"fmt"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/vfs"
)

func BenchmarkAppend(b *testing.B) {
	for _, mapped := range []bool{true, false} {
		b.Run(fmt.Sprintf("mapped=%v/116B", mapped), func(b *testing.B) {
			o := Options{FS: vfs.OS(), Dir: b.TempDir() + "/wal", UUID: testUUID, Mapped: mapped}
			l, err := Create(o, 0)
			if err != nil {
				b.Fatal(err)
			}
			pieces := [][]byte{make([]byte, 116)}
			seq := kv.Seq(1)
			for b.Loop() {
				if _, err := l.Append(seq, 1, pieces...); err != nil {
					b.Fatal(err)
				}
				if seq++; seq%(1<<16) == 0 { // a checkpoint now and then
					b.StopTimer()
					if _, err := l.Sync(); err != nil {
						b.Fatal(err)
					}
					if err := l.Release(l.End()); err != nil {
						b.Fatal(err)
					}
					if err := l.Prepare(); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			}
			if err := l.Close(false); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func BenchmarkAppendSync(b *testing.B) {
	for _, mapped := range []bool{true, false} {
		b.Run(fmt.Sprintf("mapped=%v/116B", mapped), func(b *testing.B) {
			o := Options{FS: vfs.OS(), Dir: b.TempDir() + "/wal", UUID: testUUID, Mapped: mapped}
			l, err := Create(o, 0)
			if err != nil {
				b.Fatal(err)
			}
			pieces := [][]byte{make([]byte, 116)}
			seq := kv.Seq(1)
			for b.Loop() {
				if _, err := l.Append(seq, 1, pieces...); err != nil {
					b.Fatal(err)
				}
				if _, err := l.Sync(); err != nil {
					b.Fatal(err)
				}
				seq++
			}
			if err := l.Close(false); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkOpen opens a log of 16 MiB of small records: closed, so that only
// the tail is looked at, or left by a process that died, so that all is
// replayed.
func BenchmarkOpen(b *testing.B) {
	o := Options{FS: vfs.OS(), Dir: b.TempDir() + "/wal", UUID: testUUID}
	l, err := Create(o, 0)
	if err != nil {
		b.Fatal(err)
	}
	p := make([]byte, 116)
	const records = 100_000
	for i := range records {
		if _, err := l.Append(kv.Seq(i+1), 1, p); err != nil {
			b.Fatal(err)
		}
	}
	lsn, segment := l.Position()
	if err := l.Close(true); err != nil {
		b.Fatal(err)
	}
	starts := map[string]Start{
		"closed": {LSN: lsn, Segment: segment, Seq: records, End: lsn},
		"replay": {LSN: 0, Segment: 1, End: lsn},
	}
	for _, name := range []string{"closed", "replay"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				l, _, err := Open(o, starts[name], func(Record) error { return nil })
				if err != nil {
					b.Fatal(err)
				}
				if err := l.Close(false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
