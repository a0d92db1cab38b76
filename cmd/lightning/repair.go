package main

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
	"github.com/lightning-db/lightning/verify/salvage"
)

func repairCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "repair SRC DEST",
		Aliases: []string{"recover"},
		GroupID: groupSafe,
		Short:   "Make a new database of what can be read of a damaged one",
		Long: `Make the database DEST of what can be read of SRC, which is not changed. SRC
may have lost its metas, its log, a part of its file: what nothing leads to any
more is looked for in the file. No program should have SRC open: one that writes
to it is warned of, and none can begin to meanwhile.

What is lost is listed: the place, the range of keys, how many there were, and
how many of that range DEST has. "may be stale" says that some of these can be
older than what was lost, or deleted keys that are back. Commits behind a place
of the log that cannot be read are saved, too: "may be incomplete" says so.

The exit status is 0 where all was saved, 13 where some is lost, and 10 where
nothing can be read. DEST gets its name when it is whole.`,
		Example: `  lightning repair bad.db good.db
  lightning repair bad.db good.db --report loss.json`,
		Args: arguments(2, 2),
	}
	f := cmd.Flags()
	path := f.String("report", "", "write the report to `FILE`, as JSON")
	force := f.Bool("force", false, "replace FILE if it exists")
	mode := f.String("progress", "auto", "progress on standard error: auto (on a terminal), json (one object a second), none")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		format, err := textOrJSON(a)
		if err != nil {
			return err
		}
		dest, err := a.path(args[1])
		if err == nil {
			err = outsideNew(dest)
		}
		if err != nil {
			return err
		}
		src, err := a.path(args[0])
		if err != nil {
			return err
		}
		var state atomic.Pointer[salvage.Progress]
		state.Store(&salvage.Progress{})
		bar, err := a.StartProgress(*mode, func() ui.State { return repairState(state.Load()) })
		if err != nil {
			return usageError{err.Error()}
		}
		var file *outFile
		if *path != "" {
			if file, err = createFile(*path, *force); err != nil {
				bar.Stop()
				return err
			}
		}
		report, err := salvage.Run(cmd.Context(), src, dest, salvage.Options{
			Progress: func(p salvage.Progress) { state.Store(&p) },
		})
		bar.Stop()
		err = unmade(err, "no database was made")
		if err == nil || errors.Is(err, salvage.ErrNothing) {
			err = errors.Join(err, a.report(src, &report, format), writeReport(&report, file))
		} else if file != nil {
			file.discard()
		}
		switch {
		case errors.Is(err, salvage.ErrNothing):
			return fmt.Errorf("%w: %w", errDamage, err)
		case err == nil && !report.Lossless():
			return saidError{exitRejected}
		}
		return err
	}
	return cmd
}

// writeReport writes the report to the file, if there is one.
func writeReport(r *salvage.Report, file *outFile) error {
	if file == nil {
		return nil
	}
	if _, err := file.Write(append(ui.AppendJSON(nil, repairJSON(r)), '\n')); err != nil {
		file.discard()
		return err
	}
	return file.commit()
}

// report prints the report.
func (a *app) report(src string, r *salvage.Report, format string) error {
	if r.InUse {
		a.Note("warning: a program has %s open for writing: what it writes now may be missing, or be told as lost; stop it and repair again", src)
	}
	if format != formatText {
		return a.printJSON(repairJSON(r))
	}
	lost := r.Omitted
	for i := range r.Losses {
		l := &r.Losses[i]
		if !l.Good() {
			lost++
		}
		if _, err := fmt.Fprintln(a.out, lossText(l)); err != nil {
			return err
		}
	}
	what := fmt.Sprintf("%s in %s, %s from the log", ui.Plural(r.Keys, "key"),
		ui.Plural(int64(len(r.Keyspaces)), "keyspace"), ui.Plural(r.LogOps, "operation"))
	if r.TornBytes > 0 {
		what += fmt.Sprintf(" (an unfinished end of %s was left)", ui.Bytes(r.TornBytes))
	}
	verdict := "all was saved"
	if !r.Lossless() {
		verdict = fmt.Sprintf("some is lost, in %s", ui.Plural(lost, "place"))
	}
	a.Note("repair: %s; %s, %s", verdict, what, ui.Duration(r.Duration))
	return nil
}

func repairState(p *salvage.Progress) ui.State {
	return ui.State{
		Done: p.Bytes, Total: p.Total,
		Text: fmt.Sprintf("%s  %s", ui.Bytes(p.Bytes), ui.Plural(int64(p.Losses), "lost part")),
		JSON: fmt.Sprintf(`{"message_type":"status","bytes":%d,"bytes_total":%d,"losses":%d}`, p.Bytes, p.Total, p.Losses),
	}
}

func lossText(l *salvage.Loss) string {
	text := fmt.Sprintf("%s at offset %d: %s: %s", shown(l.Path), l.Offset, l.Kind, l.Reason)
	if l.Keys > 0 {
		text += fmt.Sprintf("; keys %s … %s", boundText(l.Start, "first"), boundText(l.End, "last"))
		if l.Keyspace != "" {
			text += " in keyspace " + dump.Printable([]byte(l.Keyspace))
		}
		text += fmt.Sprintf(": %s of %s found", ui.Count(l.Found), ui.Count(l.Keys))
		if l.Stale {
			text += fmt.Sprintf(", %s there that may be stale", ui.Count(l.Present))
		}
	}
	if l.Good() {
		return "mended " + text
	}
	return "lost   " + text
}

func repairJSON(r *salvage.Report) ui.Object {
	losses := []ui.Object{}
	for i := range r.Losses {
		losses = append(losses, lossJSON(&r.Losses[i]))
	}
	spaces := []ui.Object{}
	for _, ks := range r.Keyspaces {
		spaces = append(spaces, ui.Object{{Name: "name", Value: ks.Name}, {Name: "keys", Value: ks.Keys}})
	}
	return ui.Object{
		{Name: "lossless", Value: r.Lossless()},
		{Name: "keys", Value: r.Keys},
		{Name: "keyspaces", Value: spaces},
		{Name: "losses", Value: losses},
		{Name: "omitted_losses", Value: r.Omitted},
		{Name: "meta_found", Value: r.Meta},
		{Name: "catalog_found", Value: r.Catalog},
		{Name: "in_use", Value: r.InUse},
		{Name: "generation", Value: r.Generation},
		{Name: "log_operations", Value: r.LogOps},
		{Name: "log_torn_bytes", Value: r.TornBytes},
		{Name: "seconds", Value: r.Duration.Seconds()},
	}
}

func lossJSON(l *salvage.Loss) ui.Object {
	o := ui.Object{
		{Name: "path", Value: l.Path},
		{Name: "offset", Value: l.Offset},
		{Name: "kind", Value: l.Kind},
		{Name: "reason", Value: l.Reason},
	}
	if l.Keys == 0 {
		return o
	}
	if l.Keyspace != "" {
		o = append(o, ui.Member{Name: "keyspace", Value: l.Keyspace})
	}
	o = appendBound(o, "start", l.Start)
	o = appendBound(o, "end", l.End)
	return append(o, ui.Object{
		{Name: "keys", Value: l.Keys},
		{Name: "keys_found", Value: l.Found},
		{Name: "keys_present", Value: l.Present},
		{Name: "may_be_stale", Value: l.Stale},
	}...)
}
