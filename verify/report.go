package verify

import (
	"strings"
	"time"

	"github.com/lightning-db/lightning/engine/inspect"
)

// Report is what Run found.
type Report struct {
	OK bool // no finding
	// Keys is the number of entries in the trees and sorted runs that can be
	// read: the state of the last checkpoint, where a key that is in several of
	// them counts each time. What came after it is in the log. With
	// Options.Quick it is the number that the catalog tells; with Options.Sample
	// what is in the sample.
	Keys       uint64
	Nodes      uint64 // leaves, branches, large values, filters and free lists that were read
	Bytes      int64  // read
	FileBytes  int64  // length of btree.db
	Segments   int    // of the log, that are needed
	LogRecords uint64 // after the last checkpoint, with their operations
	LogOps     uint64
	TornBytes  int64 // an unfinished end of the log, which recovery cuts
	Generation uint64
	Seq        uint64 // of the newest operation, in the log or the trees
	Quick      bool
	Sample     float64 // as in Options
	Duration   time.Duration

	Findings []Finding // by file and offset
	Notes    []Finding // what is worth knowing and is no damage
	// Omitted is how many findings there were beyond those in Findings.
	Omitted uint64
	// CatalogLost says that a part of the catalog cannot be read: the keyspaces
	// in it are lost, and what they hold is not known.
	CatalogLost bool
}

// Finding is one broken promise.
type Finding struct {
	Invariant string // its number in docs/FORMAT.md, as "L1"
	Path      string
	Offset    int64 // of the extent, record, header or meta in the file
	// Kind is checksum, misdirected, stale, foreign, structure, truncated,
	// order, count, space, log, missing, cut (of a note: whole commits behind
	// the end of the log), or io (the disk does not give the bytes).
	Kind   string
	Reason string
	// Explanation is what may have happened, with Options.Explain; else empty.
	Explanation string
	// Start and End are the range of keys that is affected; nil has no bound.
	Start, End []byte
	// Keyspace is the name of the keyspace that is affected; empty for the
	// default one, and for what belongs to none.
	Keyspace string
	// Keys is how many entries are lost: those below a reference that leads to
	// nothing, as the reference counts them, or those that cannot be found
	// where they are. 0 is none, or that it cannot be told (Report.LostUnknown).
	Keys uint64
}

//go:noinline // called in many places, none of them hot
func findingOf(d *inspect.Damage) Finding {
	return Finding{Invariant: d.Invariant, Path: d.Path, Offset: d.Offset, Kind: d.Kind, Reason: d.Reason}
}

// Lost is the number of entries that are lost, over all findings that were
// kept.
func (r *Report) Lost() uint64 {
	var n uint64
	for i := range r.Findings {
		if k := r.Findings[i].Keys; n+k >= n {
			n += k
		}
	}
	return n
}

// LostUnknown reports whether more may be lost than Lost tells: where the log or
// the catalog is damaged, nothing leads to the trees, or findings were omitted.
func (r *Report) LostUnknown() bool {
	if r.CatalogLost || r.Omitted > 0 || len(r.Findings) > 0 && r.Lost() == 0 && r.Keys == 0 {
		return true
	}
	for i := range r.Findings {
		if f := &r.Findings[i]; strings.HasPrefix(f.Invariant, "W") && f.Keys == 0 {
			return true
		}
	}
	return false
}
