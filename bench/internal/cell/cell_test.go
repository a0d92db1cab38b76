package cell

import (
	"strings"
	"testing"

	"github.com/lightning-db/lightning/bench/internal/driver"
	"github.com/lightning-db/lightning/bench/internal/workload"
)

// TestSurvived_MissesWhatACrashLost: of the last commits none may be lost.
func TestSurvived_MissesWhatACrashLost(t *testing.T) {
	d, err := driver.Find("lightning")
	if err != nil {
		t.Fatal(err)
	}
	db, err := d.Open(t.TempDir(), driver.Config{CacheBytes: 8 << 20, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const keys = 1000
	if err := fill(db, workload.Set{Keys: keys - 1, ValueSize: 10}); err != nil {
		t.Fatal(err)
	}
	s, err := db.Session()
	if err != nil {
		t.Fatal(err)
	}
	if err := survived(s, keys-1); err != nil {
		t.Error(err)
	}
	if err := survived(s, keys); err == nil || !strings.Contains(err.Error(), "key 999 of 1000") {
		t.Errorf("survived returns %v: want an error that names the last key", err)
	}
}
