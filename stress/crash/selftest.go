package crash

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// fault is what a file system of SelfTests does wrong.
type fault uint8

const (
	noFault fault = iota
	logSyncs
	treeSyncs
	nameSyncs
	someSyncs
)

var faults = [...]string{
	logSyncs:  "syncs of the log do nothing",
	treeSyncs: "syncs of the tree do nothing",
	nameSyncs: "syncs of directories do nothing",
	someSyncs: "every second sync of the log does nothing",
}

// SelfTest is what the test found in a broken file system.
type SelfTest struct {
	Broken string
	States int   // until it was found
	Err    error // what was found; nil: it was not
}

// selfStates is how many states there are to find a fault in.
const selfStates = 30_000

// SelfTests shows that Sim can fail: it runs it with file systems that are
// broken, and calls found with what comes of each. It reports whether all were
// found.
func SelfTests(ctx context.Context, o Options, found func(SelfTest)) (bool, error) {
	all := true
	for o.fault = 1; int(o.fault) < len(faults); o.fault++ {
		o.Count, o.Duration, o.State = selfStates, 0, 0
		report, err := Sim(ctx, o)
		if _, is := errors.AsType[*Failure](err); err != nil && !is {
			return false, err
		}
		found(SelfTest{faults[o.fault], report.States, err})
		all = all && err != nil
	}
	return all, nil
}

// broken is a file system with a fault.
type broken struct {
	fault
	syncs atomic.Uint32 // of the log
}

// skips reports whether a sync is one that does nothing.
func (b *broken) skips(op *faultfs.Op) bool {
	log := strings.Contains(op.Name, "wal")
	switch {
	case op.Kind == faultfs.OpSyncDir:
		return b.fault == nameSyncs
	case op.Kind != faultfs.OpSync:
		return false
	case log && b.fault == someSyncs:
		return b.syncs.Add(1)%2 == 0
	}
	return b.fault == logSyncs && log || b.fault == treeSyncs && !log
}
