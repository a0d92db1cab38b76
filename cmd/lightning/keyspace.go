package main

import (
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
)

func keyspaceCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "keyspace",
		GroupID: groupInspect,
		Short:   "List, create and drop keyspaces",
		Long: `A keyspace is a named, separate map inside a database, with settings of its
own. Commands use the default one, which has no name (list shows it as
(default)), or the one that --keyspace names.`,
		Example: `  lightning keyspace create my.db logs
  lightning put my.db -k logs 2026-11-29 started`,
	}
	a.group(cmd)
	cmd.AddCommand(a.keyspaceList(), a.keyspaceCreate(), a.keyspaceDrop())
	return cmd
}

func (a *app) keyspaceList() *cobra.Command {
	return &cobra.Command{
		Use:     "list DB",
		Short:   "List the keyspaces",
		Example: `  lightning keyspace list my.db`,
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := a.format(a.tabular(), formatTable, formatText, formatJSON, formatJSONL)
			if err != nil {
				return err
			}
			return a.read(args[0], func(db *engine.DB, _ *engine.Keyspace) error {
				spaces, err := db.Keyspaces()
				if err != nil {
					return err
				}
				return a.printKeyspaces(format, spaces)
			})
		},
	}
}

func (a *app) printKeyspaces(format string, spaces []engine.KeyspaceInfo) error {
	switch format {
	case formatJSON:
		return a.printJSON(keyspacesJSON(spaces))
	case formatJSONL:
		for _, k := range keyspacesJSON(spaces) {
			if err := a.printJSON(k); err != nil {
				return err
			}
		}
		return nil
	case formatText:
		for _, k := range spaces {
			if _, err := a.out.WriteString(nameOf(k) + "\n"); err != nil {
				return err
			}
		}
		return nil
	}
	rows := make([][]string, len(spaces))
	for i, k := range spaces {
		rows[i] = []string{nameOf(k), ui.Count(k.Entries), ui.Bytes(int64(k.Bytes)), strconv.Itoa(k.PageSize), k.Compression.String()}
	}
	return ui.Table(a.out, a.Width(), []string{"keyspace", "entries in the tree", "keys and values", "page size", "compression"}, rows)
}

// defaultSpace is how the keyspace is shown that has no name. No other gets it.
const defaultSpace = "(default)"

// nameOf shows the default keyspace too.
func nameOf(k engine.KeyspaceInfo) string {
	if k.Name == "" {
		return defaultSpace
	}
	return shown(k.Name) // all of it, which scripts read
}

func keyspacesJSON(spaces []engine.KeyspaceInfo) []ui.Object {
	list := make([]ui.Object, len(spaces))
	for i, k := range spaces {
		list[i] = ui.Object{
			{Name: "name", Value: k.Name},
			{Name: "entries", Value: k.Entries},
			{Name: "bytes", Value: k.Bytes},
			{Name: "page_size", Value: k.PageSize},
			{Name: "compression", Value: k.Compression.String()},
		}
	}
	return list
}

func (a *app) keyspaceCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "create DB NAME",
		Short:   "Create a keyspace, and the database where there is none",
		Example: `  lightning keyspace create my.db logs --compression zstd --page-size 16384`,
		Args:    arguments(2, 2),
	}
	pageSize := cmd.Flags().Int("page-size", 0, "size in bytes that a node aims for: a power of two from 1024 to 65536 (default 4096)")
	compression := cmd.Flags().String("compression", "none", "none, s2 (fast) or zstd (small)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o := &engine.KeyspaceOptions{PageSize: *pageSize}
		var err error
		if o.Compression, err = engine.ParseCompression(*compression); err != nil {
			return usagef("--compression: %v", err)
		}
		if n := o.PageSize; n != 0 && (n < engine.MinPageSize || n > engine.MaxPageSize || n&(n-1) != 0) {
			return usagef("--page-size %d: use a power of two from %d to %d", n, engine.MinPageSize, engine.MaxPageSize)
		}
		if err := newName(args[1]); err != nil {
			return usageError{err.Error()}
		}
		err = a.write(cmd, args[0], true, engine.SyncFull, func(db *engine.DB, _ *engine.Keyspace) error {
			_, err := db.CreateKeyspace(args[1], o)
			return err
		})
		return a.toldJSON(err, "created", args[1])
	}
	return cmd
}

const unnamed = "the default keyspace has none, and is used without -k, in a shell by .keyspace alone"

var (
	errName    = errors.New("the name of a keyspace is 1 to 255 bytes of UTF-8 text without control characters")
	errOwnName = errors.New("names that begin with lightning. are the program's own")
	errNoName  = errors.New(defaultSpace + " is no name: " + unnamed)
)

// newName checks a name that somebody gives to a keyspace. What comes of another
// database or a file keeps the name that it has.
func newName(name string) error {
	switch {
	case !goodName(name):
		return errName
	case strings.HasPrefix(name, "lightning."): // such as that of import --resume
		return errOwnName
	case name == defaultSpace:
		return errNoName
	}
	return nil
}

func goodName(name string) bool {
	return name != "" && len(name) <= 255 && utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
}

func (a *app) keyspaceDrop() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "drop DB NAME",
		Short:   "Remove a keyspace and all that is in it",
		Example: `  lightning keyspace drop my.db logs --yes`,
		Args:    arguments(2, 2),
	}
	yes := cmd.Flags().BoolP("yes", "y", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if args[1] == "" {
			return usagef("the default keyspace cannot be dropped")
		}
		if err := a.session.of(args[0]).mayWriteOutside(cmd); err != nil {
			return err // before anything is asked
		}
		if !*yes {
			ok, err := a.Confirm(cmd.Context(), "Remove keyspace "+dump.Printable([]byte(args[1]))+" and all that is in it?")
			if errors.Is(err, ui.ErrNoAnswer) {
				return usagef("removing a keyspace needs --yes where nobody can be asked")
			}
			if err == nil && !ok {
				err = noError{"nothing was removed"}
			}
			if err != nil {
				return err
			}
		}
		err := a.write(cmd, args[0], false, engine.SyncFull, func(db *engine.DB, _ *engine.Keyspace) error {
			return db.DropKeyspace(args[1])
		})
		return a.toldJSON(err, "dropped", args[1])
	}
	return cmd
}
