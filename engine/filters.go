package engine

import "github.com/lightning-db/lightning/engine/internal/kv"

// filterShare is which part of CacheBytes the filters of the trees may take
// together, beside the cache.
const filterShare = 8

// filterer builds the filters of trees, one at a time (btree.Tree.Missed).
func (db *DB) filterer() {
	defer db.workers.Done()
	for {
		select {
		case <-db.done:
			return
		case ks := <-db.missed:
			db.buildFilter(ks)
		}
	}
}

// buildFilter builds the filter of a keyspace's tree, if there is room for it,
// and makes sure that the tree can be read to its end. Where it fails, reads are
// as slow as they were, so only a listener is told; it is tried again after as
// many gets of missing keys.
func (db *DB) buildFilter(ks kv.Keyspace) {
	db.checkpointMu.Lock() // a checkpoint that had begun would publish a tree without it
	w, err := db.acquire()
	begun := err == nil && w.v.beginFilter(ks, uint64(db.opts.CacheBytes/filterShare))
	db.checkpointMu.Unlock()
	if err != nil {
		return
	}
	if begun {
		db.background("build a filter", w.v.spaces.byID[ks].tree.FillFilter(db.stillOpen))
	}
	w.release()
}

// stillOpen returns ErrClosed once Close was called.
func (db *DB) stillOpen() error {
	if db.closing() {
		return errDBClosed
	}
	return nil
}

// filterBytes is what the filters of the keyspace take in memory.
func (sp *space) filterBytes() uint64 {
	n := sp.tree.FilterBytes()
	for _, r := range sp.runs {
		n += uint64(r.filter.Size())
	}
	return n
}

// beginFilter begins the filter of a keyspace's tree, and reports whether it
// did: not where filters would take more than limit bytes.
func (v *version) beginFilter(ks kv.Keyspace, limit uint64) bool {
	sp := v.spaces.byID[ks]
	if sp == nil {
		return false
	}
	taken := uint64(0)
	for _, other := range v.spaces.byID {
		taken += other.tree.FilterBytes()
	}
	return sp.tree.BeginFilter(max(limit, taken) - taken)
}

// missed is called when a keyspace's tree turned out not to have the key of
// that hash.
func (v *version) missed(sp *space, hash uint64) {
	if sp.tree.Missed(hash) {
		select {
		case v.wanted <- sp.id:
		default: // the filterer is busy
		}
	}
}
