package main

import (
	"context"
	"fmt"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/ui"
)

// watchStats prints a line of figures every interval: what another process has
// done to the database since the line before. limit is how many lines, 0 for no
// end.
func (a *app) watchStats(ctx context.Context, db *engine.DB, interval time.Duration, limit int64) error {
	format, err := textOrJSON(a)
	if err != nil {
		return err
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	before, at := db.Stats(), time.Now()
	for n := int64(0); limit == 0 || n < limit; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := db.Refresh(); err != nil {
			return err
		}
		now, moment := db.Stats(), time.Now()
		// None where it was put back to an older state.
		rate := float64(max(now.Seq, before.Seq)-before.Seq) / moment.Sub(at).Seconds()
		checkpoints := max(now.Generation, before.Generation) - before.Generation
		if format != formatText {
			err = a.printJSON(ui.Object{
				{Name: "time", Value: moment.UTC().Format(time.RFC3339)},
				{Name: "seq", Value: now.Seq},
				{Name: "operations_per_second", Value: rate},
				{Name: "checkpoints", Value: checkpoints},
				{Name: "entries", Value: now.Entries},
				{Name: "runs", Value: now.Runs},
				{Name: "log_bytes", Value: now.LogBytes},
				{Name: "file_bytes", Value: now.FileBytes},
				{Name: "used_bytes", Value: now.UsedBytes},
				{Name: "free_bytes", Value: now.FreeBytes},
			})
		} else {
			const columns = "%-8s  %12s  %11s  %14s  %4s  %10s  %10s  %10s\n"
			if n%watchHeader == 0 {
				fmt.Fprintf(a.out, columns, "time", "operations/s", "checkpoints", "entries", "runs", "log", "file", "free")
			}
			_, err = fmt.Fprintf(a.out, columns, moment.Format(time.TimeOnly), ui.Count(int64(rate+0.5)), ui.Count(checkpoints),
				ui.Count(now.Entries), ui.Count(now.Runs), ui.Bytes(int64(now.LogBytes)), ui.Bytes(int64(now.FileBytes)), ui.Bytes(int64(now.FreeBytes)))
		}
		if err == nil {
			err = a.out.Flush()
		}
		if err != nil {
			return err
		}
		before, at = now, moment
	}
	return nil
}

// watchHeader is after how many lines the header comes again.
const watchHeader = 20
