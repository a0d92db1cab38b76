package inspect

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/node"
)

// CatalogPageSize is the page size of the catalog's own tree.
const CatalogPageSize = 4096

const (
	catalogVersion = 1
	catalogHead    = 40
	maxName        = 255
)

// Keyspace is an entry of the catalog.
type Keyspace struct {
	ID       uint32
	Name     string
	Codec    uint8
	PageSize uint32
	Root     Ref
	Bytes    uint64 // of the keys and values in the tree
}

// DecodeKeyspace decodes an entry of the catalog's tree, as docs/FORMAT.md,
// section Catalog, lays it out. Of one that breaks a rule it returns what it
// could read.
func DecodeKeyspace(key, value []byte) (Keyspace, error) {
	if len(key) != 4 || len(value) < catalogHead || len(value) > catalogHead+maxName {
		return Keyspace{}, fmt.Errorf("an entry with a key of %d bytes and a value of %d", len(key), len(value))
	}
	k := Keyspace{
		ID:       binary.BigEndian.Uint32(key),
		Name:     string(value[catalogHead:]),
		Codec:    value[1],
		PageSize: binary.LittleEndian.Uint32(value[4:]),
		Root:     refOf(node.GetRef(value[8:])),
		Bytes:    binary.LittleEndian.Uint64(value[32:]),
	}
	switch {
	case value[0] != catalogVersion:
		return k, fmt.Errorf("an entry of version %d", value[0])
	case value[2] != 0 || value[3] != 0:
		return k, fmt.Errorf("an entry with something at its zeros")
	case !compress.Codec(k.Codec).Valid():
		return k, fmt.Errorf("keyspace %d has an unknown %v", k.ID, compress.Codec(k.Codec))
	case k.PageSize < engine.MinPageSize || k.PageSize > engine.MaxPageSize || bits.OnesCount32(k.PageSize) != 1:
		return k, fmt.Errorf("keyspace %d has a page size of %d", k.ID, k.PageSize)
	}
	return k, nil
}
