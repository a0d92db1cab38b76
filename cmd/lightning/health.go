package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
)

func healthCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "health DB",
		GroupID: groupInspect,
		Short:   "Say what an operator should know of",
		Long: `Open a database for reading, beside the process that writes it or without one,
and say what is wrong with it, why, and what to do: too much log that waits for a
checkpoint, too little space on the disk. Damage is what lightning verify looks for.

The exit status is 0 where all is well and 1 where something was found.

Only the process that writes knows whether writing goes on, how long its
checkpoints take, what its cache does, how many of its operations fail, and how
old its snapshots are. It says so itself: by DB.Health, or /readyz of the package
engine/httpstatus. These are its limits, in Options.Health, and their defaults:

    CheckpointTime    how long a checkpoint may take: 1 s
    LogShare          log that waits, as a part of MaxWALBytes: 0.8
    CacheHits         part of the nodes that must be in the cache: 0.8
    Errors            part of the operations that may fail: 0.001
    DiskCheckpoints   checkpoints that the disk must have room for: 2
    SnapshotAge       how long a snapshot may hold space: 1 h`,
		Example: `  lightning health my.db
  lightning health my.db --json
  lightning health my.db --log-limit 1GiB --disk-checkpoints 10`,
		Args: arguments(1, 1),
	}
	var o engine.Options
	f := cmd.Flags()
	logLimit := f.String("log-limit", "256MiB", "`SIZE` that Options.MaxWALBytes of the writing program is, as 64MB or 16MiB")
	f.Float64Var(&o.Health.LogShare, "log-share", 0.8, "`PART` of that limit which may wait for a checkpoint")
	f.Float64Var(&o.Health.DiskCheckpoints, "disk-checkpoints", 2, "checkpoints that the disk must have room for")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		var ok bool
		if o.MaxWALBytes, ok = byteSize(*logLimit); !ok {
			return usagef("--log-limit %s: want a size above 0, as 64MB or 16MiB", dump.Printable([]byte(*logLimit)))
		}
		for name, value := range map[string]float64{"log-share": o.Health.LogShare, "disk-checkpoints": o.Health.DiskCheckpoints} {
			if !(value > 0) {
				return usagef("--%s %v: use a number above 0", name, value)
			}
		}
		if o.Health.LogShare > 1 {
			return usagef("--log-share %v: it is a part of the limit, as 0.8", o.Health.LogShare)
		}
		if s := a.session.of(args[0]); s != nil {
			return s.use(a, a.printHealth)
		}
		path, err := a.path(args[0])
		if err != nil {
			return err
		}
		o.ReadOnly, o.MustExist, o.CacheBytes = true, true, readCacheBytes
		db, err := engine.Open(path, &o)
		if err != nil {
			return orDamaged(path, err)
		}
		return a.use(db, a.printHealth)
	}
	return cmd
}

func (a *app) printHealth(db *engine.DB, _ *engine.Keyspace) error {
	format, err := textOrJSON(a)
	if err != nil {
		return err
	}
	h, err := db.Health()
	if err != nil {
		return err
	}
	if format == formatText {
		a.healthText(db, &h)
	} else if err := a.printJSON(healthJSON(db, &h)); err != nil {
		return err
	}
	if len(h.Findings) > 0 {
		return saidError{exitNo}
	}
	return nil
}

func (a *app) healthText(db *engine.DB, h *engine.Health) {
	out := ui.SafeWriter(a.out)
	for _, f := range h.Findings {
		fmt.Fprintf(out, "%s: %s\n  %s\n", f.Check, f.Reason, f.Remedy)
	}
	if len(h.Findings) == 0 {
		fmt.Fprintf(out, "ok: %s\n", db.Path())
	}
	if len(h.Unknown) > 0 {
		a.Note("only the process that writes knows of: %s", strings.Join(h.Unknown, ", "))
	}
}

func healthJSON(db *engine.DB, h *engine.Health) ui.Object {
	findings := []ui.Object{}
	for _, f := range h.Findings {
		findings = append(findings, ui.Object{
			{Name: "check", Value: f.Check},
			{Name: "reason", Value: f.Reason},
			{Name: "remedy", Value: f.Remedy},
			{Name: "stops", Value: f.Stops},
		})
	}
	unknown := []ui.Object{}
	for _, check := range h.Unknown {
		unknown = append(unknown, ui.Object{{Name: "check", Value: check}})
	}
	return ui.Object{
		{Name: "ok", Value: len(findings) == 0},
		{Name: "path", Value: db.Path()},
		{Name: "findings", Value: findings},
		{Name: "unknown", Value: unknown},
	}
}
