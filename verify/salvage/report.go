package salvage

import (
	"time"

	"github.com/lightning-db/lightning/engine/inspect"
)

// Report says what was taken over and what was lost.
type Report struct {
	// Generation is that of the meta that was read; without a meta, the largest
	// that an extent tells.
	Generation uint64
	// Meta reports whether a valid meta was found. Without one the catalog is
	// looked for in the file.
	Meta bool
	// Catalog reports whether a catalog was found. Without one the keyspaces
	// have made-up names ("keyspace-7"), and leaves are all there is.
	Catalog bool
	// InUse says that a program had the source open for writing. What it wrote
	// meanwhile may be missing, and be reported as lost.
	InUse     bool
	Keyspaces []Keyspace // of the new database
	Keys      uint64     // in all of them
	LogOps    uint64     // operations taken over from the log
	TornBytes int64      // an unfinished end of the log, as a crash leaves it
	Losses    []Loss     // what could not be read
	// Omitted is how many losses there were beyond those in Losses.
	Omitted  uint64
	Duration time.Duration
}

// Keyspace is a keyspace of the new database.
type Keyspace struct {
	Name string // empty for the default one
	Keys uint64
}

// Loss is a place that could not be read, and what was there.
type Loss struct {
	Path   string
	Offset int64
	Kind   string // as verify.Finding.Kind, and permission
	Reason string
	// Keyspace is the name of the keyspace that lost something, and Start and
	// End are the range of the keys; nil has no bound.
	Keyspace   string
	Start, End []byte
	// Keys is how many entries were there, as far as it is known.
	Keys uint64
	// Found is how many of them were found elsewhere, and proved to be what was
	// lost.
	Found uint64
	// Present is how many keys of the range the new database has: found, proved
	// or not, or written later.
	Present uint64
	// Stale says that some of these may be older than what was lost: values may
	// be old, and deleted keys may be back.
	Stale bool

	ranged bool // Start and End are the range of a keyspace
	mended bool // all that was there has been read
}

// Good reports whether what was there was found all the same, all of it.
func (l *Loss) Good() bool { return l.mended || l.ranged && l.Found >= l.Keys && !l.Stale }

// Lossless reports whether all was taken over, as far as it can be proved.
func (r *Report) Lossless() bool {
	for i := range r.Losses {
		if !r.Losses[i].Good() {
			return false
		}
	}
	return r.Omitted == 0
}

// maxLosses bounds a report: a file may be damaged in as many places as it has
// nodes.
const maxLosses = 10_000

func lossOf(d *inspect.Damage) Loss {
	return Loss{Path: d.Path, Offset: d.Offset, Kind: d.Kind, Reason: d.Reason}
}
