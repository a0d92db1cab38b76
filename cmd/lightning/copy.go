package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/content"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
)

func copyCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "copy SRC DEST",
		GroupID: groupMove,
		Short:   "Copy entries from one database into another",
		Long: `Copy the entries that SRC holds at one moment, or those of a range, into DEST,
which is created where there is none: of all keyspaces, which are created as
they are in SRC, or of the one that -k names, with --into into another.

Where DEST has a key with another value, --on-conflict error, the default,
looks first, copies nothing, and makes the exit status 4; replace takes the
value of SRC, skip keeps that of DEST. Entries that are the same in both are not
written.

Entries are committed in batches: the last line on standard error says how
many are. After an interruption the same command goes on. Where SRC turns out to
be damaged, a DEST that the command has made is removed again: repair saves what
can be read.`,
		Example: `  lightning copy my.db new.db
  lightning copy my.db other.db --prefix user: --on-conflict skip
  lightning copy my.db my.db -k logs --into archive --to 2026`,
		Args: arguments(2, 2),
	}
	c := &copying{app: a, cmd: cmd, keyRange: rangeFlags(cmd, "from", "to")}
	f := cmd.Flags()
	f.StringVar(&c.conflict, "on-conflict", "error", "what to do about a key with another value in DEST: replace, skip, error")
	f.StringVar(&c.into, "into", "", "with -k: the `KEYSPACE` of DEST")
	syncMode := syncFlag(cmd, engine.SyncNormal)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		mode, err := syncMode()
		if err != nil {
			return err
		}
		return c.run(args, mode)
	}
	return cmd
}

type copying struct {
	app            *app
	cmd            *cobra.Command
	keyRange       *keyRange
	conflict, into string

	bounds                 engine.IterOptions
	copied, skipped, bytes int64
}

func (c *copying) run(args []string, mode engine.SyncMode) (err error) {
	if err := checkConflict(c.conflict); err != nil {
		return err
	}
	switch into := c.cmd.Flags().Changed("into"); {
	case into && !c.app.oneSpace:
		return usagef("--into goes with -k, which says what is copied into it")
	case into && c.into != "":
		if err := newName(c.into); err != nil {
			return usagef("--into: %v", err)
		}
	case !into:
		c.into = c.app.keyspace
	}
	if c.bounds.Start, c.bounds.End, err = c.keyRange.bounds(c.app, false); err != nil {
		return err
	}
	err = c.app.moment(args[0], func(src *engine.DB, spaces []space) error {
		dest, err := c.app.path(args[1])
		if err != nil {
			return err
		}
		if same(src.Path(), dest) && (!c.app.oneSpace || c.into == c.app.keyspace) {
			return usagef("%s and %s: both are the same database", args[0], args[1])
		}
		c.app.keyspace = "" // of DEST it may have to be made
		return c.app.write(c.cmd, args[1], true, mode, func(dest *engine.DB, _ *engine.Keyspace) error {
			if c.conflict == "error" && !dest.OpenReport().Created {
				if err := c.all(dest, spaces, true); err != nil {
					return err
				}
			}
			err := c.all(dest, spaces, false)
			switch {
			case err == nil:
				return nil
			case statusOf(err) == exitDamage && dest.OpenReport().Created && dest.Discard() == nil:
				// To run it again would not go on, and what is there looks whole.
				return hinted(fmt.Errorf("%w; %s is removed again", err, dest.Path()), saveWhatIsLeft(src.Path()))
			}
			return fmt.Errorf("%w; %s copied", err, ui.Plural(c.copied, "entry"))
		})
	})
	if err != nil {
		return err
	}
	return c.app.done(ui.Object{
		{Name: "copied", Value: c.copied}, {Name: "skipped", Value: c.skipped}, {Name: "bytes", Value: c.bytes},
	}, "%s copied, %s; %s there already", ui.Plural(c.copied, "entry"), ui.Bytes(c.bytes), ui.Count(c.skipped))
}

// checkConflict wants one of the ways of --on-conflict.
func checkConflict(way string) error {
	switch way {
	case "replace", "skip", "error":
		return nil
	}
	return usagef("--on-conflict %s: use replace, skip or error", way)
}

// all copies the keyspaces, or with look fails at the first entry that DEST has
// with another value.
func (c *copying) all(dest *engine.DB, spaces []space, look bool) error {
	before, err := dest.Snapshot()
	if err != nil {
		return err
	}
	defer before.Close()
	for _, s := range spaces {
		if c.app.oneSpace {
			s.name = c.into
		}
		var there engine.Reader
		ks, err := dest.Keyspace(s.name)
		switch {
		case err == nil:
			there = before.In(ks)
		case !errors.Is(err, engine.ErrNoKeyspace):
			return err
		case look:
			continue
		default:
			ks, err = dest.CreateKeyspace(s.name, &engine.KeyspaceOptions{PageSize: s.info.PageSize, Compression: s.info.Compression})
			if err != nil {
				return err
			}
		}
		batch, size := dest.NewBatch().In(ks), 0
		commit := func() error {
			// The context is for what is read: no commit is in doubt.
			if err := dest.Apply(context.Background(), batch); err != nil {
				return err
			}
			c.copied += int64(batch.Len())
			c.bytes += int64(size)
			size = 0
			batch.Reset()
			return nil
		}
		err = content.Diff(c.app.ctx, there, s.entries, c.bounds, func(change content.Change, key []byte, _, src *engine.Iterator) error {
			switch {
			case look && change == content.Changed:
				return fmt.Errorf("%w in %s, with another value: key %s", engine.ErrExists, dest.Path(), dump.Printable(key))
			case look || change == content.Removed:
				return nil
			case change == content.Same || change == content.Changed && c.conflict == "skip":
				c.skipped++
				return nil
			}
			value := src.Value()
			if value == nil {
				return src.Err()
			}
			size += len(key) + len(value)
			if err := batch.Put(key, value); err != nil || batch.Len() < 10_000 && batch.Bytes() < 8<<20 {
				return err
			}
			return commit()
		})
		if (err == nil || errors.Is(err, context.Canceled)) && batch.Len() > 0 {
			err = errors.Join(commit(), err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
