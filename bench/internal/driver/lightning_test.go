package driver

import (
	"encoding/binary"
	"testing"
)

// TestLightning_SettlesItsRuns: after Settle nothing waits to be merged. Keys
// in no order, too many for a memtable, leave sorted runs.
func TestLightning_SettlesItsRuns(t *testing.T) {
	db, err := openLightning(t.TempDir(), Config{CacheBytes: 64 << 20, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := db.Session()
	if err != nil {
		t.Fatal(err)
	}
	const batches, size = 700, 1000
	keys, values := make([][]byte, size), make([][]byte, size)
	for i := range keys {
		keys[i], values[i] = make([]byte, 16), make([]byte, 100)
	}
	most := 0
	for b := range uint64(batches) {
		for i, key := range keys {
			binary.BigEndian.PutUint64(key, (b*size+uint64(i))*0x9e3779b97f4a7c15)
		}
		if err := s.PutBatch(keys, values); err != nil {
			t.Fatal(err)
		}
		most = max(most, db.(*lightningDB).db.Stats().Runs)
	}
	if err := db.Settle(); err != nil {
		t.Fatal(err)
	}
	if runs := db.(*lightningDB).db.Stats().Runs; runs > 0 {
		t.Errorf("%d runs are left", runs)
	}
	if most == 0 {
		t.Error("no run was ever made: the test says nothing")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
