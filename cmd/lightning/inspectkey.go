package main

import (
	"bytes"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
)

func (i *inspector) keyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "key DB KEY",
		Short: "Show where a key is: the way to it in each source, and what the log says of it",
		Long: `Show where a key is: the way to it in each source, the newest first, and what
the log says of it. The exit status is 1 where it is not there.`,
		Example: `  lightning inspect key my.db user:1`,
		Args:    arguments(2, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			key, err := decode(i.app.keys, args[1])
			if err != nil {
				return usagef("KEY: %v", err)
			}
			return i.settled(args[0], func() error { return i.key(key) })
		},
	}
}

func (i *inspector) key(key []byte) error {
	found, id := false, uint32(0)
	state := unseen
	err := i.sources(func(k *inspect.Keyspace, name string, root inspect.Ref) error {
		if k.Name != i.app.keyspace {
			return nil
		}
		found, id = true, k.ID
		err := i.thing("source", ui.Object{{Name: "keyspace", Value: []byte(k.Name)}, {Name: "source", Value: name}})
		if err != nil || root.IsZero() {
			return err
		}
		here, err := i.descend(root, k.ID, key)
		if state == unseen { // the newest source comes first
			state = here
		}
		return err
	})
	if err != nil {
		return err
	}
	_, damages, err := i.db.Log(func(r inspect.Record) error {
		if r.Cut {
			return nil
		}
		seq := r.Seq
		for op := range r.All() {
			touches := bytes.Equal(op.Key, key)
			switch op.Kind {
			case "delete range":
				touches = bytes.Compare(op.Key, key) <= 0 && (op.Value == nil || bytes.Compare(key, op.Value) < 0)
			case "create keyspace":
				if touches = op.Name == i.app.keyspace; touches {
					found, id = true, op.Keyspace
				}
			case "drop keyspace":
				touches = true
			}
			if found && op.Keyspace == id && touches {
				if err := i.operation(seq, &op); err != nil {
					return err
				}
				if state = deleted; op.Kind == "set" {
					state = present
				}
				found = op.Kind != "drop keyspace"
			}
			seq++
		}
		return nil
	})
	for _, d := range damages {
		if err := i.damage(d); err != nil {
			return err
		}
	}
	switch {
	case err != nil || i.harm:
	case !found:
		err = fmt.Errorf("%w: %q", engine.ErrNoKeyspace, i.app.keyspace)
	case state == unseen || state == deleted:
		err = noError{fmt.Sprintf("key %s is not there", dump.Printable(key))}
	}
	return err
}

// A presence is what a source or the log knows of a key.
type presence uint8

const (
	unseen presence = iota
	present
	deleted
	unknown // for there is damage on the way to it
)

// descend shows the nodes from the root to where key is or would be.
func (i *inspector) descend(ref inspect.Ref, keyspace uint32, key []byte) (presence, error) {
	for at := inspect.AnyLevel; ; {
		n, err := i.reader.Node(ref, keyspace, at)
		if err != nil {
			return unknown, i.damage(err)
		}
		err = i.thing(kindNames[n.Kind], ui.Object{
			{Name: "offset", Value: ref.Offset},
			{Name: "level", Value: n.Level},
			{Name: "count", Value: n.Len()},
			{Name: "generation", Value: n.Generation},
			{Name: "length", Value: n.Length},
		})
		if err != nil {
			return unknown, err
		}
		if n.Kind == inspect.Leaf {
			for e := range n.Len() {
				if bytes.Equal(n.AppendKey(nil, e), key) {
					if n.Entry(e).Tombstone {
						return deleted, i.entry(&n, e)
					}
					return present, i.entry(&n, e)
				}
			}
			return unseen, nil
		}
		child := n.Len() - 1
		for child > 0 && bytes.Compare(n.AppendSeparator(nil, child), key) > 0 {
			child--
		}
		ref, at = n.Child(child), int(n.Level)-1
	}
}
