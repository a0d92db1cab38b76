package inspect

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/node"
)

// CatalogPageSize is the page size of the catalog's own tree.
const CatalogPageSize = 4096

const (
	catalogVersion = 2
	catalogHead    = 40
	catalogRun     = 2*node.RefSize + 8
	maxName        = 255
	maxRuns        = 30
)

// Keyspace is an entry of the catalog.
type Keyspace struct {
	ID       uint32
	Name     string
	Codec    uint8
	PageSize uint32
	Root     Ref
	Bytes    uint64 // of the keys and values in the tree
	Runs     []Run  // the newest first
}

// Run is a sorted run in front of a keyspace's tree.
type Run struct {
	Root   Ref
	Filter Ref    // of its keys
	Bytes  uint64 // of the keys and values in it, about
}

// ValidKeyspace reports whether the log may make such a keyspace (W6).
func ValidKeyspace(name string, pageSize uint32, codec uint8) bool {
	return name != "" && len(name) <= maxName && utf8.ValidString(name) && strings.IndexFunc(name, unicode.IsControl) < 0 &&
		pageSize >= engine.MinPageSize && pageSize <= engine.MaxPageSize && bits.OnesCount32(pageSize) == 1 &&
		compress.Codec(codec).Valid()
}

// DecodeKeyspace decodes an entry of the catalog's tree, as docs/FORMAT.md,
// section Catalog, lays it out. Of one that breaks a rule it returns what it
// could read.
func DecodeKeyspace(key, value []byte) (Keyspace, error) {
	runs := 0
	if len(value) >= catalogHead {
		runs = int(binary.LittleEndian.Uint16(value[2:]))
	}
	head := catalogHead + runs*catalogRun
	if len(key) != 4 || len(value) < head || len(value) > head+maxName {
		return Keyspace{}, fmt.Errorf("an entry with a key of %d bytes and a value of %d", len(key), len(value))
	}
	k := Keyspace{
		ID:       binary.BigEndian.Uint32(key),
		Name:     string(value[head:]),
		Codec:    value[1],
		PageSize: binary.LittleEndian.Uint32(value[4:]),
		Root:     refOf(node.GetRef(value[8:])),
		Bytes:    binary.LittleEndian.Uint64(value[32:]),
	}
	for b := value[catalogHead:head]; len(b) > 0; b = b[catalogRun:] {
		k.Runs = append(k.Runs, Run{
			Root:   refOf(node.GetRef(b)),
			Filter: refOf(node.GetRef(b[node.RefSize:])),
			Bytes:  binary.LittleEndian.Uint64(b[2*node.RefSize:]),
		})
	}
	switch {
	case value[0] != catalogVersion:
		return k, fmt.Errorf("an entry of version %d", value[0])
	case runs > maxRuns:
		return k, fmt.Errorf("keyspace %d has %d sorted runs", k.ID, runs)
	case !compress.Codec(k.Codec).Valid():
		return k, fmt.Errorf("keyspace %d has an unknown %v", k.ID, compress.Codec(k.Codec))
	case k.PageSize < engine.MinPageSize || k.PageSize > engine.MaxPageSize || bits.OnesCount32(k.PageSize) != 1:
		return k, fmt.Errorf("keyspace %d has a page size of %d", k.ID, k.PageSize)
	}
	for i := range k.Runs {
		if k.Runs[i].Root.Count == 0 || k.Runs[i].Root.IsZero() || k.Runs[i].Filter.IsZero() {
			return k, fmt.Errorf("keyspace %d has an empty run", k.ID)
		}
	}
	return k, nil
}
