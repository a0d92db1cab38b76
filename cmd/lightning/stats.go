package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/internal/ui"
)

func statsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "stats DB",
		GroupID: groupInspect,
		Short:   "Print sizes and counts",
		Long: `Print the sizes of a database and of its keyspaces. Entries are those of the
tree and of what waits to be merged into it, as of the last checkpoint. Their
number and size are near the truth only: where a range was deleted whole nodes
went uncounted. lightning count counts the keys of this moment. Log kept is what
backup --keep-log keeps, if that is on.

--histogram reads all keys, and says how many of them and of their values have
which size, by powers of two, in all keyspaces or in the one that -k names;
quantiles are within 1 %. Large values are not read.

--watch prints a line every so often, beside the process that writes: the
operations that it committed a second, its checkpoints, and what the files hold.
A reader sees what was committed, and nothing of what is in the memory of that
process: not its reads, its cache, how long it waits, nor its snapshots. Those it
tells itself, by DB.Stats and DB.WriteMetrics; -o prometheus prints what
WriteMetrics says of the files.`,
		Example: `  lightning stats my.db
  lightning stats my.db --json
  lightning stats my.db --histogram
  lightning stats my.db --watch 2s
  lightning stats my.db -o prometheus >lightning.prom.new && mv lightning.prom.new lightning.prom`,
		Args: arguments(1, 1),
	}
	histogram := cmd.Flags().Bool("histogram", false, "print how large keys and values are")
	cmd.Flags().StringVarP(&a.keyspace, "keyspace", "k", "", "with --histogram, only of this keyspace")
	watch := cmd.Flags().Duration("watch", 0, "print a line of figures every so often, as 2s")
	limit := cmd.Flags().Int64P("limit", "n", 0, "with --watch, at most this many lines; 0: until Ctrl-C")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		watching := cmd.Flags().Changed("watch")
		switch {
		case watching && *watch <= 0:
			return usagef("--watch %v: use a time above 0", *watch)
		case watching && *histogram:
			return usagef("--watch and --histogram: choose one")
		case watching && a.session.of(args[0]) != nil:
			return usagef("--watch does not work in the shell, where there is: .watch 2 stats")
		case *limit < 0:
			return usagef("--limit %d: use 0 or more", *limit)
		case *limit > 0 && !watching:
			return usagef("--limit goes only with --watch")
		case *histogram:
			return a.printHistogram(args[0])
		case a.oneSpace:
			return usagef("lightning stats is about the whole database: it takes --keyspace only with --histogram")
		}
		return a.read(args[0], func(db *engine.DB, _ *engine.Keyspace) error {
			switch {
			case watching:
				return a.watchStats(cmd.Context(), db, *watch, *limit)
			case a.output == formatPrometheus:
				return db.WriteFileMetrics(a.out)
			}
			return a.printStats(db)
		})
	}
	return cmd
}

func (a *app) printStats(db *engine.DB) error {
	spaces, err := db.Keyspaces()
	if err != nil {
		return err
	}
	s := db.Stats()
	keeps, keptBytes, err := engine.KeepsLog(vfs.OS(), db.Path())
	if err != nil {
		return err
	}
	kept := "no"
	if keeps {
		kept = ui.Bytes(keptBytes)
	}
	fields := [][2]string{
		{"path", db.Path()},
		{"entries in the tree", "about " + ui.Count(s.Entries)},
		{"keys and values", "about " + ui.Bytes(int64(s.DataBytes))},
		{"file", ui.Bytes(int64(s.FileBytes))},
		{"  in use", share(s.UsedBytes, s.FileBytes)},
		{"  free", share(s.FreeBytes, s.FileBytes)},
		{"log to recover", ui.Bytes(int64(s.LogBytes))},
		{"log kept", kept},
		{"generation", ui.Count(s.Generation)},
		{"sequence number", ui.Count(s.Seq)},
	}
	for _, k := range spaces {
		fields = append(fields, [2]string{"keyspace " + nameOf(k), fmt.Sprintf("about %s, %s, pages of %s, compression %s",
			ui.Plural(k.Entries, "entry"), ui.Bytes(int64(k.Bytes)), ui.Plural(k.PageSize, "byte"), k.Compression)})
	}
	return a.object(ui.Object{
		{Name: "path", Value: db.Path()},
		{Name: "entries", Value: s.Entries},
		{Name: "data_bytes", Value: s.DataBytes},
		{Name: "file_bytes", Value: s.FileBytes},
		{Name: "used_bytes", Value: s.UsedBytes},
		{Name: "free_bytes", Value: s.FreeBytes},
		{Name: "log_bytes", Value: s.LogBytes},
		{Name: "keeps_log", Value: keeps},
		{Name: "kept_log_bytes", Value: keptBytes},
		{Name: "generation", Value: s.Generation},
		{Name: "seq", Value: s.Seq},
		{Name: "keyspaces", Value: keyspacesJSON(spaces)},
	}, fields)
}

func share(part, of uint64) string {
	text := ui.Bytes(int64(part))
	if of > 0 {
		text += fmt.Sprintf(" (%.0f%%)", 100*float64(part)/float64(of))
	}
	return text
}
