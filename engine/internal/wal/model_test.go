package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/vfs"
)

var testUUID = [16]byte{0xDB, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

// small is options with segments of 4096 bytes of records.
func small(fs vfs.FS) Options {
	return Options{FS: fs, Dir: "wal", UUID: testUUID, SegmentSize: 8192, Mapped: true}
}

// entry is a record as it was appended.
type entry struct {
	seq     kv.Seq
	count   uint32
	end     LSN
	payload []byte
}

// model is a log, everything that was ever appended to it, and what a meta
// would say of it.
type model struct {
	o       Options
	log     *Log
	entries []entry
	meta    Start
}

func create(t testing.TB, o Options) *model {
	t.Helper()
	l, err := Create(o, 0)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	return &model{o: o, log: l, meta: Start{Segment: 1}}
}

// payload returns n bytes that differ from record to record.
func payload(seq kv.Seq, n int) []byte {
	p := bytes.Repeat([]byte{byte(seq) | 1}, n)
	if n >= 8 {
		binary.LittleEndian.PutUint64(p, uint64(seq))
	}
	return p
}

func (m *model) lastSeq() kv.Seq {
	if len(m.entries) == 0 {
		return 0
	}
	e := m.entries[len(m.entries)-1]
	return e.seq + kv.Seq(e.count) - 1
}

// append appends a record with n bytes of payload, in two pieces.
func (m *model) append(n int) error {
	seq := m.lastSeq() + 1
	e := entry{seq: seq, count: uint32(1 + seq%3), payload: payload(seq, n)}
	end, err := m.log.Append(e.seq, e.count, e.payload[:n/3], e.payload[n/3:])
	if err != nil {
		return err
	}
	e.end = end
	m.entries = append(m.entries, e)
	return nil
}

// appendEach appends records of one operation, with so many bytes of payload,
// by one write.
func (m *model) appendEach(sizes ...int) error {
	var all []byte
	var ends []int
	var group []entry
	first, end := m.lastSeq()+1, LSN(0)
	for i, n := range sizes {
		e := entry{seq: first + kv.Seq(i), count: 1}
		e.payload = payload(e.seq, n)
		all = append(all, e.payload...)
		ends = append(ends, len(all))
		end += LSN(align(recordSize + int64(n)))
		e.end = end
		group = append(group, e)
	}
	last, err := m.log.AppendEach(first, all, ends)
	if err != nil {
		return err
	}
	for _, e := range group {
		e.end += last - end
		m.entries = append(m.entries, e)
	}
	return nil
}

func (m *model) mustAppendEach(t testing.TB, sizes ...int) {
	t.Helper()
	if err := m.appendEach(sizes...); err != nil {
		t.Fatalf("AppendEach of %v bytes: %v", sizes, err)
	}
}

func (m *model) mustAppend(t testing.TB, sizes ...int) {
	t.Helper()
	for _, n := range sizes {
		if err := m.append(n); err != nil {
			t.Fatalf("Append of %d bytes: %v", n, err)
		}
	}
}

func (m *model) mustSync(t testing.TB) {
	t.Helper()
	if lsn, err := m.log.Sync(); err != nil || lsn != m.log.End() {
		t.Fatalf("Sync = %d, %v; want %d", lsn, err, m.log.End())
	}
}

// checkpoint makes the meta cover everything so far.
func (m *model) checkpoint() {
	m.meta.LSN, m.meta.Segment = m.log.Position()
	m.meta.Seq = m.lastSeq()
	m.meta.End = 0
}

// close closes the log cleanly, as a database without a last checkpoint does.
func (m *model) close(t testing.TB) {
	t.Helper()
	if err := m.log.Close(true); err != nil {
		t.Fatalf("Close: %v", err)
	}
	m.meta.End = m.log.End()
}

// after returns the entries that a replay from the meta may show.
func (m *model) after() []entry { return m.from(m.meta) }

func (m *model) from(s Start) []entry {
	for i, e := range m.entries {
		if e.seq > s.Seq {
			return m.entries[i:]
		}
	}
	return nil
}

// matcher returns an apply function that compares what is replayed with the
// entries, and counts.
func matcher(entries []entry, n *int) func(Record) error {
	return func(r Record) error {
		if *n == len(entries) {
			return fmt.Errorf("record %d at %d was never appended", r.Seq, r.LSN)
		}
		e := entries[*n]
		if r.Seq != e.seq || r.Count != e.count || r.End != e.end || !bytes.Equal(r.Payload, e.payload) {
			return fmt.Errorf("record %d of %d to %d with %d bytes, want %d of %d to %d with %d bytes",
				r.Seq, r.Count, r.End, len(r.Payload), e.seq, e.count, e.end, len(e.payload))
		}
		*n++
		return nil
	}
}

// reopen opens the log again, and wants to see exactly all entries.
func (m *model) reopen(t testing.TB) Report {
	t.Helper()
	want := m.after()
	n := 0
	l, report, err := Open(m.o, m.meta, matcher(want, &n))
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	if n != len(want) || report.Records != uint64(n) {
		t.Fatalf("Open replayed %d records (report: %d), want %d", n, report.Records, len(want))
	}
	if l.End() != l.Synced() {
		t.Fatalf("Open left the log synced to %d of %d", l.Synced(), l.End())
	}
	m.log = l
	return report
}

// cut forgets the entries that a recovery has not shown.
func (m *model) cut(end LSN) {
	for len(m.entries) > 0 && m.entries[len(m.entries)-1].end > end {
		m.entries = m.entries[:len(m.entries)-1]
	}
}

func wantCorrupt(t testing.TB, err error) {
	t.Helper()
	var c *CorruptError
	if !errors.As(err, &c) || !errors.Is(err, ErrCorrupt) {
		t.Fatalf("error %v, want a CorruptError", err)
	}
}

func names(t testing.TB, o Options) []string {
	t.Helper()
	list, err := o.FS.List(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }
