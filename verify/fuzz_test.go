package verify_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/verify"
)

// FuzzVerify changes a database as a list of patches of 8 bytes says:
//
//	0  1  bit 0: correct all checksums afterwards; bit 1: the newest meta
//	      instead of an extent; bit 2: the log instead
//	1  1  number of the extent
//	2  2  place in it
//	4  4  what is written over the bytes there, all but zero bytes
//
// Whatever comes of it, Run ends and does not panic, and two runs with
// different workers agree. Where it finds nothing, the engine opens the
// database and reads as many entries as it counted.
func FuzzVerify(f *testing.F) {
	s := shape{
		options: engine.Options{PageSize: 1024, SegmentBytes: 8 << 10}, keyspaces: make([]engine.KeyspaceOptions, 1),
		rounds: 2, keys: 80, longest: 3000,
	}
	base := s.build(f, 1)
	fuzzVerify(f, base, base.extents())
}

// FuzzVerifyRuns is FuzzVerify of a database with sorted runs.
func FuzzVerifyRuns(f *testing.F) {
	s := running
	s.options.MemtableBytes, s.options.SegmentBytes, s.keys = 4<<10, 8<<10, 500
	base, list := s.buildRuns(f, 1)
	for i, e := range list {
		if e.run > 0 && i < 256 { // the reference of the run or filter, or what holds it
			f.Add([]byte{1, byte(i), 48, 0, 0xFF, 0xFF, 0xFF, 0xFF})
		}
	}
	fuzzVerify(f, base, list)
}

func fuzzVerify(f *testing.F, base *image, list []*extent) {
	for i := range byte(min(len(list), 255)) {
		for _, place := range []byte{6, 12, 14, 30, 40, 44, 46, 48, 56, 60, 70} {
			if place%3 == i%3 {
				f.Add([]byte{1, i, place, 0, 1, 7, 0, 0})
			}
		}
	}
	f.Add([]byte{3, 0, 48, 0, 0, 0, 0xFF, 0, 3, 0, 88, 0, 0xFF, 0xFF, 0xFF, 0xFF})
	f.Add([]byte{4, 0, 48, 0, 1, 1, 1, 1})
	f.Fuzz(func(t *testing.T, patches []byte) {
		m := base.clone(t)
		m.patch(list, patches)
		one := verifyAny(t, m, 1)
		if three := verifyAny(t, m, 3); one.OK != three.OK {
			t.Fatalf("with one worker have %s\nwith three %s", show(one), show(three))
		}
		scrubAny(t, m, one)
		if one.OK {
			readAll(t, m, one)
		}
	})
}

// patch applies the first patches.
func (m *image) patch(list []*extent, patches []byte) {
	const most = 16
	seal := false
	for p := range slices.Chunk(patches[:min(len(patches), 8*most)], 8) {
		if len(p) < 8 {
			break
		}
		seal = seal || p[0]&1 != 0
		at := uint64(le.Uint16(p[2:]))
		var b []byte
		switch e := list[int(p[1])%len(list)]; {
		case p[0]&4 != 0:
			const name = dbDir + "/wal/0000000000000001.log"
			names, err := m.fs.List(dbDir + "/wal")
			if err != nil {
				m.t.Fatal(err)
			}
			if !slices.Contains(names, name[len(dbDir)+5:]) {
				continue
			}
			log := readFile(m.t, m.fs, name)
			writeOver(log[at%uint64(len(log)):], p[4:])
			writeFile(m.t, m.fs, name, log)
			continue
		case p[0]&2 != 0:
			b = m.b[m.meta()+at%512:]
		default:
			b = m.b[e.ref.Offset+at%e.ref.Size():]
		}
		writeOver(b, p[4:])
	}
	if !seal {
		return
	}
	for _, e := range slices.Backward(list) { // children before parents
		b := m.bytes(e)
		le.PutUint64(b, sum(b))
		copy(m.b[e.pos+16:], b[:8])
	}
	m.sealMeta()
}

func writeOver(b, patch []byte) {
	for i, c := range patch[:min(len(b), len(patch))] {
		if c != 0 {
			b[i] ^= c
		}
	}
}

func verifyAny(t *testing.T, m *image, workers int) verify.Report {
	t.Helper()
	m.save()
	r, err := verify.Run(context.Background(), dbDir, verify.Options{FS: m.fs, Workers: workers})
	if err != nil && !errors.Is(err, engine.ErrVersion) && !errors.Is(err, engine.ErrFormat) {
		t.Fatal(err)
	}
	return r
}

// scrubAny: a scrub ends, too, and finds nothing where Run finds nothing.
func scrubAny(t *testing.T, m *image, r verify.Report) {
	t.Helper()
	fs := m.fs.Clone()
	p, err := verify.Scrub(context.Background(), dbDir, passName, verify.Options{FS: fs})
	if err != nil && !errors.Is(err, engine.ErrVersion) && !errors.Is(err, engine.ErrFormat) {
		t.Fatal(err)
	}
	if r.OK && (p.Count() > 0 || p.Keys != r.Keys) {
		t.Fatalf("a scrub found %+v\nRun: %s", p, show(r))
	}
}

// readAll reads what verify found sound.
func readAll(t *testing.T, m *image, r verify.Report) {
	t.Helper()
	db, err := engine.Open(dbDir, &engine.Options{FS: m.fs, ReadOnly: true})
	if err != nil {
		t.Fatalf("verify found nothing, and open says %v: %s", err, show(r))
	}
	defer db.Close()
	keyspaces, err := db.Keyspaces()
	if err != nil {
		t.Fatal(err)
	}
	var n uint64
	for _, info := range keyspaces {
		ks, err := db.Keyspace(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		err = db.View(func(tx *engine.Tx) error {
			tx = tx.In(ks)
			for k := range tx.Scan(nil, nil) {
				if ok, err := tx.Has(k); !ok {
					return fmt.Errorf("scan shows %q, and get does not find it: %w", k, err)
				}
				n++
			}
			return tx.Err()
		})
		if err != nil {
			t.Fatalf("verify found nothing, and a scan says %v: %s", err, show(r))
		}
	}
	// Of what is in runs, keys may be elsewhere, too, or deleted.
	if r.LogRecords == 0 && (n > r.Keys || n < r.Keys && r.Keys == roots(t, m)) {
		t.Fatalf("have %d keys, verify counted %s", n, show(r))
	}
}

// roots is the number of entries in the trees alone.
func roots(t *testing.T, m *image) (n uint64) {
	t.Helper()
	for _, e := range m.extents() {
		if e.run == 0 && e.keyspace != inspect.CatalogKeyspace && e.kind == inspect.Leaf {
			n += uint64(le.Uint16(m.bytes(e)[44:]))
		}
	}
	return n
}

func sum(b []byte) uint64 { return xxhash.Sum64(b[8:]) }
