package engine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/lightning-db/lightning/engine/internal/btree"
	"github.com/lightning-db/lightning/engine/internal/compress"
	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/memtable"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
)

// The catalog is a tree that lists the keyspaces: their names, settings and
// roots. Its layout is in docs/FORMAT.md.

const (
	catalogVersion  = 2
	catalogHead     = 40
	catalogRun      = 2*node.RefSize + 8 // what a sorted run takes
	catalogPageSize = 4096
	maxNameSize     = 255
)

func treeConfig(id kv.Keyspace, pageSize uint32, codec byte) btree.Config {
	return btree.Config{Keyspace: id, PageSize: pageSize, Codec: compress.Codec(codec)}
}

func openCatalog(p *pager.Pager, m pager.Meta) *btree.Tree {
	return btree.Open(p, m.Catalog, treeConfig(kv.CatalogKeyspace, catalogPageSize, byte(compress.None)))
}

// loadSpaces reads the catalog.
func loadSpaces(p *pager.Pager, m pager.Meta) (*spaces, error) {
	s := &spaces{byID: map[kv.Keyspace]*space{}, byName: map[string]*space{}, next: m.NextKeyspace}
	if m.Seq >= maxDiskSeq || m.NextKeyspace == 0 {
		return nil, &CorruptError{Path: treeName, Kind: "structure", Reason: fmt.Sprintf("meta: sequence number %d, next keyspace %d", m.Seq, m.NextKeyspace)}
	}
	filters := uint64(0) // bytes of them
	c := openCatalog(p, m).NewCursor()
	for ok := c.First(); ok; ok = c.Next() {
		value, err := c.Value()
		if err != nil {
			return nil, err
		}
		sp, err := decodeSpace(p, c.Key(), value)
		if err != nil {
			return nil, &CorruptError{Path: treeName, Offset: int64(m.Catalog.Off), Kind: "structure", Reason: "catalog: " + err.Error()}
		}
		if uint32(sp.id) >= m.NextKeyspace || s.byName[sp.name] != nil {
			return nil, &CorruptError{Path: treeName, Offset: int64(m.Catalog.Off), Kind: "structure", Reason: fmt.Sprintf("catalog: keyspace %d is not possible", sp.id)}
		}
		for _, r := range sp.runs {
			filters += r.filterRef.Size()
		}
		if filters > m.FileSize { // they take memory
			return nil, &CorruptError{Path: treeName, Offset: int64(m.Catalog.Off), Kind: "structure", Reason: "catalog: the filters are larger than the file"}
		}
		s.put(sp)
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	if s.byID[kv.DefaultKeyspace] == nil {
		return nil, &CorruptError{Path: treeName, Offset: int64(m.Catalog.Off), Kind: "structure", Reason: "catalog: the default keyspace is not listed"}
	}
	s.next = m.NextKeyspace
	return s, nil
}

func catalogKey(id kv.Keyspace) []byte {
	return binary.BigEndian.AppendUint32(nil, uint32(id))
}

func encodeSpace(sp *space) []byte {
	b := make([]byte, catalogHead, catalogHead+len(sp.name))
	b[0] = catalogVersion
	b[1] = byte(sp.config.Codec)
	binary.LittleEndian.PutUint32(b[4:], sp.config.PageSize)
	sp.tree.Root().Put(b[8:])
	binary.LittleEndian.PutUint64(b[32:], sp.bytes)
	binary.LittleEndian.PutUint16(b[2:], uint16(len(sp.runs)))
	for _, r := range sp.runs {
		var e [catalogRun]byte
		r.tree.Root().Put(e[:])
		r.filterRef.Put(e[node.RefSize:])
		binary.LittleEndian.PutUint64(e[2*node.RefSize:], r.bytes)
		b = append(b, e[:]...)
	}
	return append(b, sp.name...)
}

func decodeSpace(p *pager.Pager, key, b []byte) (*space, error) {
	if len(key) != 4 || len(b) < catalogHead {
		return nil, errors.New("entry of a wrong size")
	}
	if b[0] != catalogVersion {
		return nil, errorf("entry of version %d", b[0])
	}
	id := kv.Keyspace(binary.BigEndian.Uint32(key))
	o := KeyspaceOptions{PageSize: int(binary.LittleEndian.Uint32(b[4:])), Compression: Compression(b[1])}
	if o.PageSize == 0 {
		return nil, errors.New("page size 0")
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	sp := &space{
		id:     id,
		config: treeConfig(id, uint32(o.PageSize), b[1]),
		bytes:  binary.LittleEndian.Uint64(b[32:]),
	}
	sp.tree = btree.Open(p, node.GetRef(b[8:]), sp.config)
	runs, b := int(binary.LittleEndian.Uint16(b[2:])), b[catalogHead:]
	if runs > mostRuns || len(b) < runs*catalogRun || len(b) > runs*catalogRun+maxNameSize {
		return nil, errors.New("entry of a wrong size")
	}
	for range runs {
		r, err := openRun(p, sp, b)
		if err != nil {
			return nil, err
		}
		sp.runs, b = append(sp.runs, r), b[catalogRun:]
	}
	sp.name = string(b)
	return sp, nil
}

// writeCatalog brings the catalog up to date: the keyspaces in put are new or
// have changed, those in drop are gone. It returns the new one.
func writeCatalog(w *pager.Writer, catalog *btree.Tree, put []*space, drop []kv.Keyspace) (*btree.Tree, error) {
	edits := memtable.New()
	seq := kv.Seq(0)
	set := func(id kv.Keyspace, value []byte, kind kv.Kind) {
		seq++
		key := catalogKey(id)
		edits.Put(kv.CatalogKeyspace, key, kv.Hash(key), value, kind, seq)
	}
	for _, sp := range put {
		set(sp.id, encodeSpace(sp), kv.Set)
	}
	for _, id := range drop {
		set(id, nil, kv.Delete)
	}
	next, _, err := btree.Merge(nil, w, catalog, edits.NewCursor(kv.CatalogKeyspace, kv.MaxSeq), nil)
	return next, err
}
