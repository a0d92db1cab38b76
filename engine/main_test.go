package engine_test

import (
	"flag"
	"os"
	"runtime/debug"
	"testing"
)

// The tests make much garbage, of little that is alive: collecting it was a fifth
// of their time. So it may grow to four times that, up to 2 GiB; but not where
// speed is measured.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv("GOGC") == "" && flag.Lookup("test.bench").Value.String() == "" {
		debug.SetGCPercent(400)
		debug.SetMemoryLimit(2 << 30)
	}
	os.Exit(m.Run())
}
