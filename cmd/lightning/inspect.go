package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
)

func inspectCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "inspect",
		GroupID: groupInspect,
		Short:   "Show the bytes of a database: metas, nodes, trees, the log, the way to a key",
		Long: `Show what lies in the files of a database, also of a damaged one, in the words
of docs/FORMAT.md. Nothing is changed.

Each line of text is one thing, with its fields; --json gives the same as JSON
lines.`,
		Example: `  lightning inspect tree my.db
  lightning inspect key my.db user:1`,
	}
	a.group(cmd)
	i := &inspector{app: a}
	cmd.AddCommand(i.metaCommand(), i.nodeCommand(), i.treeCommand(), i.walCommand(), i.keyCommand())
	return cmd
}

// inspector prints things, each with its fields.
type inspector struct {
	app    *app
	dir    string // of the database
	db     *inspect.DB
	reader *inspect.Reader
	asJSON bool
	harm   bool // damage has been shown
}

// open opens the files of the database at path for run, by one of inspect.Open,
// inspect.OpenDamaged and anyway.
func (i *inspector) open(path string, by func(vfs.FS, string) (*inspect.DB, error), run func() error) error {
	format, err := textOrJSON(i.app)
	if err != nil {
		return err
	}
	i.asJSON = format != formatText
	if path, err = i.app.path(path); err != nil {
		return err
	}
	i.dir, i.harm = path, false
	if i.db, err = by(vfs.OS(), path); err != nil {
		if inspect.AsDamage(err) != nil {
			return fmt.Errorf("%w: %w", err, errDamage)
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	defer i.db.Close()
	i.reader = i.db.NewReader()
	if err = run(); err == nil && i.harm {
		err = fmt.Errorf("%s: %w", path, errDamage)
	}
	return err
}

// anyway opens a database also where no meta leads to anything, which it shows.
func (i *inspector) anyway(fsys vfs.FS, path string) (*inspect.DB, error) {
	db, err := inspect.Open(fsys, path)
	if inspect.AsDamage(err) == nil {
		return db, err
	}
	if err = i.damage(err); err == nil {
		db, err = inspect.OpenDamaged(fsys, path)
	}
	if err == nil && !db.Found() {
		var id inspect.Identity
		id, err = db.Identify(i.app.ctx)
		db.Assume(id, inspect.Ref{})
	}
	return db, err
}

// thing prints one thing. A field is left out when it is nil.
func (i *inspector) thing(kind string, fields ui.Object) error {
	if err := i.app.ctx.Err(); err != nil {
		return err
	}
	if i.asJSON {
		o := ui.Object{{Name: "type", Value: kind}}
		for _, f := range fields {
			switch v := f.Value.(type) {
			case nil:
			case []byte:
				o = appendKey(o, f.Name, v)
			case uint8:
				o = append(o, ui.Member{Name: f.Name, Value: int(v)})
			case uint16:
				o = append(o, ui.Member{Name: f.Name, Value: int(v)})
			case uint32:
				o = append(o, ui.Member{Name: f.Name, Value: int64(v)})
			default:
				o = append(o, f)
			}
		}
		return i.app.printJSON(o)
	}
	line := []byte(kind)
	for _, f := range fields {
		switch v := f.Value.(type) {
		case nil:
			continue
		case []byte:
			line = append(line, ' ')
			line = append(append(line, f.Name...), '=')
			if len(v) > 0 {
				line = append(line, dump.Printable(v)...)
			}
		default:
			line = fmt.Appendf(line, " %s=%v", f.Name, v)
		}
	}
	_, err := i.app.out.Write(append(line, '\n'))
	return err
}

func (i *inspector) damage(err error) error {
	d := inspect.AsDamage(err)
	if d == nil {
		return err
	}
	i.harm = i.harm || d.Kind != inspect.Cut
	return i.thing("damage", ui.Object{
		{Name: "invariant", Value: d.Invariant},
		{Name: "path", Value: d.Path},
		{Name: "offset", Value: d.Offset},
		{Name: "kind", Value: d.Kind},
		{Name: "reason", Value: d.Reason},
	})
}

func (i *inspector) metaCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "meta DB",
		Short:   "Show the four places of the meta",
		Example: `  lightning inspect meta my.db`,
		Args:    arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			return i.open(args[0], inspect.OpenDamaged, func() error {
				for n := range i.db.Slots {
					if err := i.slot(&i.db.Slots[n]); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func (i *inspector) slot(s *inspect.Slot) error {
	o := ui.Object{{Name: "offset", Value: s.Offset}, {Name: "copy", Value: s.Copy}}
	switch {
	case s.Empty:
		return i.thing("meta", append(o, ui.Member{Name: "empty", Value: true}))
	case s.Damage != nil:
		return i.thing("meta", append(o, ui.Member{Name: "damage", Value: s.Damage.Reason}))
	}
	m := &s.Meta
	o = append(o, ui.Object{
		{Name: "newest", Value: m.Generation == i.db.Meta.Generation},
		{Name: "generation", Value: m.Generation},
		{Name: "uuid", Value: fmt.Sprintf("%x", m.UUID)},
		{Name: "seq", Value: m.Seq},
		{Name: "file_size", Value: m.FileSize},
		{Name: "bytes_used", Value: m.BytesUsed},
		{Name: "page_size", Value: m.PageSize},
		{Name: "log_start", Value: m.LogStart},
		{Name: "log_segment", Value: m.LogSegment},
		{Name: "log_end", Value: m.LogEnd},
		{Name: "next_keyspace", Value: m.NextKeyspace},
		{Name: "created", Value: m.Created},
	}...)
	return i.thing("meta", append(append(o, refFields("catalog", m.Catalog)...), refFields("free_list", m.FreeList)...))
}

// refFields are the fields of a reference, none of one to nothing.
func refFields(name string, r inspect.Ref) ui.Object {
	if r.IsZero() {
		return nil
	}
	return ui.Object{
		{Name: name + "_offset", Value: r.Offset},
		{Name: name + "_length", Value: r.Length},
		{Name: name + "_count", Value: r.Count},
		{Name: name + "_checksum", Value: fmt.Sprintf("%016x", r.Checksum)},
	}
}

func (i *inspector) nodeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "node DB OFFSET",
		Short: "Show the extent at an offset of btree.db: its header, and what is in it",
		Long: `Show the extent at an offset of btree.db: its header, and what is in it. The exit
status is 1 where none begins there. No meta need lead to it.`,
		Example: `  lightning inspect node my.db 8192
  lightning inspect node my.db 0x2000 --json`,
		Args: arguments(2, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			off, err := strconv.ParseUint(args[1], 0, 63)
			if err != nil {
				return usagef("OFFSET %s: want a number of bytes", dump.Printable([]byte(args[1])))
			}
			return i.open(args[0], i.anyway, func() error { return i.node(off) })
		},
	}
}

var kindNames = map[uint8]string{inspect.Leaf: "leaf", inspect.Branch: "branch", inspect.Overflow: "value", inspect.FreeList: "free_list"}

func (i *inspector) node(off uint64) error {
	if end := max(uint64(i.db.Size), i.db.Meta.FileSize); off < inspect.FirstExtent || off%inspect.Unit != 0 || off >= end {
		return usagef("no extent can begin at %d: it is a multiple of %d, from %d to the end of the file at %d", off, inspect.Unit, inspect.FirstExtent, end)
	}
	ref, h, err := i.reader.At(off)
	if d := inspect.AsDamage(err); d != nil && d.Kind == inspect.Missing {
		return noError{fmt.Sprintf("no extent begins at %d", off)}
	}
	if h.Length > 0 {
		printErr := i.thing(kindNames[h.Kind], ui.Object{
			{Name: "offset", Value: off},
			{Name: "length", Value: h.Length},
			{Name: "plain_length", Value: h.PlainLength},
			{Name: "codec", Value: engine.Compression(h.Codec).String()},
			{Name: "level", Value: h.Level},
			{Name: "keyspace", Value: h.Keyspace},
			{Name: "generation", Value: h.Generation},
			{Name: "database", Value: fmt.Sprintf("%016x", h.DatabaseID)},
			{Name: "checksum", Value: fmt.Sprintf("%016x", h.Checksum)},
			{Name: "count", Value: h.Count},
			{Name: "prefix_length", Value: h.Prefix},
		})
		if printErr != nil {
			return printErr
		}
	}
	if err != nil || h.Kind != inspect.Leaf && h.Kind != inspect.Branch {
		return err
	}
	n, err := i.reader.Node(ref, h.Keyspace, inspect.AnyLevel)
	if err != nil {
		return err
	}
	for at := range n.Len() {
		if n.Kind == inspect.Leaf {
			err = i.entry(&n, at)
		} else {
			err = i.thing("child", append(ui.Object{{Name: "separator", Value: n.AppendSeparator([]byte{}, at)}}, refFields("child", n.Child(at))...))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (i *inspector) entry(n *inspect.Node, at int) error {
	e := n.Entry(at)
	o := ui.Object{{Name: "key", Value: n.AppendKey([]byte{}, at)}, {Name: "value_length", Value: e.Length}}
	switch {
	case e.Tombstone:
		return i.thing("tombstone", o[:1])
	case e.Overflow:
		o = append(o, refFields("extent", e.Ref())...)
	case n.Keyspace == inspect.CatalogKeyspace:
		return i.catalogEntry(n.AppendKey(nil, at), e.Value)
	default:
		o = append(o, ui.Member{Name: "value", Value: e.Value})
	}
	return i.thing("entry", o)
}

func (i *inspector) catalogEntry(key, value []byte) error {
	k, err := inspect.DecodeKeyspace(key, value)
	if err != nil {
		return err
	}
	return i.thing("keyspace", append(ui.Object{
		{Name: "id", Value: k.ID},
		{Name: "name", Value: []byte(k.Name)},
		{Name: "page_size", Value: k.PageSize},
		{Name: "codec", Value: engine.Compression(k.Codec).String()},
		{Name: "bytes", Value: k.Bytes},
		{Name: "runs", Value: len(k.Runs)},
	}, refFields("root", k.Root)...))
}

func (i *inspector) treeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "tree DB",
		Short:   "Show the trees and sorted runs, level by level",
		Example: `  lightning inspect tree my.db`,
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return i.settled(args[0], func() error { return i.trees(cmd.Context()) })
		},
	}
}

// sources calls visit for each keyspace with its tree and its runs, the newest
// source first.
func (i *inspector) sources(visit func(k *inspect.Keyspace, name string, root inspect.Ref) error) error {
	return i.leaves(i.db.Meta.Catalog, inspect.CatalogKeyspace, func(n *inspect.Node) error {
		for at := range n.Len() {
			k, err := inspect.DecodeKeyspace(n.AppendKey(nil, at), bytes.Clone(n.Entry(at).Value))
			if err != nil {
				return err
			}
			for r, run := range k.Runs {
				if err := visit(&k, fmt.Sprintf("run %d", r), run.Root); err != nil {
					return err
				}
			}
			if err := visit(&k, "tree", k.Root); err != nil {
				return err
			}
		}
		return nil
	})
}

// shared reports whether more was read than the file holds: then trees share some
// of their nodes, and all the ways to them would take without end.
func (i *inspector) shared() bool { return i.reader.Bytes > i.db.Size }

// leaves visits the leaves of a tree that is small.
func (i *inspector) leaves(ref inspect.Ref, keyspace uint32, visit func(*inspect.Node) error) error {
	if ref.IsZero() {
		return nil
	}
	n, err := i.reader.Node(ref, keyspace, inspect.AnyLevel)
	if err == nil && i.shared() {
		err = engine.ErrCorrupt
	}
	if err != nil {
		return err
	}
	n = n.Clone() // the reader goes on
	if n.Kind == inspect.Leaf {
		return visit(&n)
	}
	for at := range n.Len() {
		if err := i.leaves(n.Child(at), keyspace, visit); err != nil {
			return err
		}
	}
	return nil
}

// level is what is known of a level of a tree.
type level struct {
	nodes, entries, bytes uint64
	damaged               uint64
}

func (i *inspector) trees(ctx context.Context) error {
	return i.sources(func(k *inspect.Keyspace, name string, root inspect.Ref) error {
		if err := i.thing("source", append(ui.Object{
			{Name: "keyspace", Value: []byte(k.Name)}, {Name: "source", Value: name}, {Name: "page_size", Value: k.PageSize},
		}, refFields("root", root)...)); err != nil || root.IsZero() {
			return err
		}
		var levels [64]level
		if err := i.survey(ctx, root, k.ID, inspect.AnyLevel, &levels); err != nil {
			return err
		}
		for n := len(levels) - 1; n >= 0; n-- {
			l := &levels[n]
			if l.nodes == 0 && l.damaged == 0 {
				continue
			}
			o := ui.Object{
				{Name: "height", Value: n}, {Name: "nodes", Value: l.nodes}, {Name: "entries", Value: l.entries}, {Name: "bytes", Value: l.bytes},
			}
			if l.damaged > 0 {
				o = append(o, ui.Member{Name: "damaged", Value: l.damaged})
			}
			if err := i.thing("level", o); err != nil {
				return err
			}
		}
		return nil
	})
}

// survey counts the nodes of a tree. Leaves are taken from what leads to them.
func (i *inspector) survey(ctx context.Context, ref inspect.Ref, keyspace uint32, at int, levels *[64]level) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if at == 0 {
		levels[0].nodes++
		levels[0].entries += ref.Count
		levels[0].bytes += ref.Size()
		return nil
	}
	n, err := i.reader.Node(ref, keyspace, at)
	if err != nil || i.shared() {
		levels[max(at, 0)].damaged++
		i.harm = true
		return nil
	}
	if n.Kind == inspect.Leaf {
		return i.survey(ctx, ref, keyspace, 0, levels)
	}
	l := &levels[n.Level%64]
	l.nodes++
	l.entries += uint64(n.Len())
	l.bytes += ref.Size()
	n = n.Clone() // the reader goes on
	for c := range n.Len() {
		if err := i.survey(ctx, n.Child(c), keyspace, int(n.Level)-1, levels); err != nil {
			return err
		}
	}
	return nil
}

func (i *inspector) walCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "wal DB",
		Short: "Show the log that an open would replay: segments, records, operations",
		Long: `Show the log that an open would replay: segments, records, operations. Records
behind its end, which an open would cut off, are marked with cut=true.`,
		Example: `  lightning inspect wal my.db
  lightning inspect wal my.db --operations --json`,
		Args: arguments(1, 1),
	}
	operations := cmd.Flags().Bool("operations", false, "show the operations of each record")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return i.open(args[0], i.anyway, func() error { return i.wal(*operations) })
	}
	return cmd
}

func (i *inspector) wal(operations bool) error {
	segments, _, err := i.db.Segments()
	if err != nil {
		return err
	}
	for _, s := range segments {
		err := i.thing("segment", ui.Object{
			{Name: "number", Value: s.Number},
			{Name: "start", Value: s.Start},
			{Name: "end", Value: s.End},
			{Name: "capacity", Value: s.Capacity},
			{Name: "synced", Value: s.Synced},
			{Name: "path", Value: s.Path},
		})
		if err != nil {
			return err
		}
	}
	report, damages, err := i.db.Log(func(r inspect.Record) error {
		var cut any // left out of those that count
		if r.Cut {
			cut = true
		}
		err := i.thing("record", ui.Object{
			{Name: "lsn", Value: r.Start},
			{Name: "end", Value: r.End},
			{Name: "segment", Value: r.Segment},
			{Name: "seq", Value: r.Seq},
			{Name: "operations", Value: r.Operations},
			{Name: "cut", Value: cut},
		})
		if err != nil || !operations {
			return err
		}
		seq := r.Seq
		for op := range r.All() {
			if err := i.operation(seq, &op); err != nil {
				return err
			}
			seq++
		}
		return nil
	})
	if err != nil {
		return err
	}
	for looks := 1; looks < maxLooks && i.db.Found() && harmful(damages); looks++ {
		if damages, err = i.lookAgain(); err != nil {
			return err
		}
	}
	for _, d := range damages {
		if err := i.damage(d); err != nil {
			return err
		}
	}
	var seq any // left out where neither a meta nor a record tells
	if report.Seq != math.MaxUint64 {
		seq = report.Seq
	}
	return i.thing("end", ui.Object{
		{Name: "lsn", Value: report.End},
		{Name: "records", Value: report.Records},
		{Name: "operations", Value: report.Operations},
		{Name: "seq", Value: seq},
		{Name: "torn_bytes", Value: report.TornBytes},
	})
}

// lookAgain returns the damages of the log as it is now: what a writer was at work
// on can look damaged.
func (i *inspector) lookAgain() ([]*inspect.Damage, error) {
	db, err := inspect.Open(vfs.OS(), i.dir)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	_, damages, err := db.Log(func(inspect.Record) error { return i.app.ctx.Err() })
	return damages, err
}

// harmful reports whether one of them is more than an end that was cut off.
func harmful(damages []*inspect.Damage) bool {
	for _, d := range damages {
		if d.Kind != inspect.Cut {
			return true
		}
	}
	return false
}

func (i *inspector) operation(seq uint64, op *inspect.Operation) error {
	o := ui.Object{{Name: "operation", Value: op.Kind}, {Name: "seq", Value: seq}, {Name: "keyspace", Value: op.Keyspace}}
	switch op.Kind {
	case "set":
		o = append(o, ui.Object{
			{Name: "key", Value: op.Key}, {Name: "value_length", Value: len(op.Value)}, {Name: "value", Value: op.Value},
		}...)
	case "delete":
		o = append(o, ui.Member{Name: "key", Value: op.Key})
	case "delete range":
		o = append(o, ui.Member{Name: "start", Value: op.Key})
		if op.Value != nil {
			o = append(o, ui.Member{Name: "end", Value: op.Value})
		}
	default:
		o = append(o, ui.Member{Name: "name", Value: []byte(op.Name)})
	}
	return i.thing("operation", o)
}

// maxLooks is how often is looked at what seems to be damaged.
const maxLooks = 4

// settled opens the files at path for look, and shows what it finds, once it meets
// no damage or the last time: what a writer was at work on can look damaged.
func (i *inspector) settled(path string, look func() error) (err error) {
	var shown bytes.Buffer
	out := i.app.out
	defer func() { i.app.out = out }()
	for range maxLooks {
		shown.Reset()
		i.app.out = bufio.NewWriter(&shown)
		err = i.open(path, inspect.Open, look)
		_ = i.app.out.Flush() // to memory
		if !i.harm && inspect.AsDamage(err) == nil {
			break
		}
	}
	if _, writeErr := out.Write(shown.Bytes()); err == nil {
		err = writeErr
	}
	return err
}
