package verify_test

import (
	"context"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/verify"
)

// What the keyspaces held is not known that a lost part of the catalog lists.
func TestRun_CatalogLostInPart(t *testing.T) {
	s := shape{keyspaces: make([]engine.KeyspaceOptions, 150), rounds: 1, keys: 3}
	m := s.build(t, 1)
	leaves := pick(m.extents(), inspect.Leaf, inspect.CatalogKeyspace)
	if len(leaves) < 2 {
		t.Fatalf("%d leaves of the catalog", len(leaves))
	}
	m.bytes(leaves[1])[100] ^= 1
	m.save()
	r, err := verify.Run(context.Background(), dbDir, verify.Options{FS: m.fs})
	if err != nil || r.OK || r.Keys == 0 || !r.LostUnknown() || !r.JSON().LostUnknown {
		t.Errorf("%v, unknown %v, %s", err, r.LostUnknown(), show(r))
	}
}
