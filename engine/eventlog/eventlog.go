// Package eventlog writes what happens to a database to a log of log/slog. It is
// a package of its own so that only programs that use it have that in them.
//
//	o := engine.Options{Events: eventlog.New(slog.Default())}
package eventlog

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/lightning-db/lightning/engine"
)

// New returns a listener, for Options.Events, that writes each event to l as one
// record, with the time of the event. The level says who should read it:
//
//	Error  damage, a database that takes no more writes, what failed in the background or in Close
//	Warn   a full disk, stalls, slow operations, a cache that is too small, a log with a torn end, a checkpoint that failed
//	Info   opened, closed, space again
//	Debug  checkpoints, segments of the log
//
// No key and no value is in the log. Use l.With to tell several databases apart.
func New(l *slog.Logger) func(engine.Event) {
	return func(e engine.Event) {
		level, message, attrs := describe(e)
		ctx := context.Background()
		if !l.Enabled(ctx, level) {
			return
		}
		head := e.Head()
		if head.Lost > 0 {
			attrs = append(attrs, slog.Uint64("events_lost_before", head.Lost))
		}
		r := slog.NewRecord(head.Time, level, message, 0)
		r.AddAttrs(attrs...)
		_ = l.Handler().Handle(ctx, r) // as slog does: there is no other log to tell of it
	}
}

func describe(e engine.Event) (level slog.Level, message string, attrs []slog.Attr) {
	switch e := e.(type) {
	case *engine.Opened:
		level = slog.LevelInfo
		if e.Report.TornBytes > 0 {
			level = slog.LevelWarn
		}
		return level, "database opened", []slog.Attr{
			slog.String("path", e.Path), slog.Bool("created", e.Report.Created), slog.Bool("clean", e.Report.Clean),
			slog.Uint64("commits_recovered", e.Report.Commits), slog.Uint64("operations_recovered", e.Report.Operations),
			slog.Int64("log_bytes_read", e.Report.LogBytes), slog.Int64("torn_bytes_cut", e.Report.TornBytes),
			slog.Duration("duration", e.Report.Duration),
		}
	case *engine.Closed:
		level = slog.LevelInfo
		if e.Err != nil {
			level = slog.LevelError
		}
		return level, "database closed", withError(e.Err, slog.Duration("duration", e.Duration))
	case *engine.CheckpointBegun:
		return slog.LevelDebug, "checkpoint begun", []slog.Attr{
			slog.String("kind", string(e.Kind)), slog.Int("operations", e.Operations), slog.Int64("log_bytes", e.LogBytes),
		}
	case *engine.CheckpointEnded:
		level = slog.LevelDebug
		if e.Err != nil {
			level = slog.LevelWarn // what it means another event tells
		}
		return level, "checkpoint ended", withError(e.Err,
			slog.String("kind", string(e.Kind)), slog.Int("operations", e.Operations), slog.Int64("bytes_written", e.Bytes),
			slog.Int64("log_bytes_before", e.LogBefore), slog.Int64("log_bytes_after", e.LogAfter), slog.Duration("duration", e.Duration))
	case *engine.LogRotated:
		return slog.LevelDebug, "log goes on in another segment", []slog.Attr{
			slog.Uint64("segment", e.Segment), slog.Int64("bytes", e.Bytes), slog.Duration("waited", e.Waited),
		}
	case *engine.StallBegun:
		return slog.LevelWarn, "commits wait for a checkpoint", []slog.Attr{slog.String("cause", string(e.Cause))}
	case *engine.StallEnded:
		return slog.LevelWarn, "commits wait no more", withError(e.Err,
			slog.String("cause", string(e.Cause)), slog.Int("commits", e.Commits), slog.Duration("duration", e.Duration))
	case *engine.SlowOperation:
		return slog.LevelWarn, "slow operation", withError(e.Err,
			slog.String("operation", e.Operation), slog.String("keyspace", e.Keyspace), slog.Int("operations", e.Operations),
			slog.Int("bytes", e.Bytes), slog.Duration("duration", e.Duration))
	case *engine.CachePressure:
		return slog.LevelWarn, "cache is too small for what is read", []slog.Attr{
			slog.Uint64("hits", e.Hits), slog.Uint64("misses", e.Misses),
			slog.Int64("cache_bytes", e.CacheBytes), slog.Int64("cache_limit", e.CacheLimit),
		}
	case *engine.Corruption:
		return slog.LevelError, "damage found", []slog.Attr{
			slog.String("file", e.Err.Path), slog.Int64("offset", e.Err.Offset),
			slog.String("kind", e.Err.Kind), slog.String("reason", e.Err.Reason),
		}
	case *engine.DiskFull:
		return slog.LevelWarn, "disk is full", withError(e.Err)
	case *engine.SpaceRegained:
		return slog.LevelInfo, "disk has space again", []slog.Attr{slog.Duration("duration", e.Duration)}
	case *engine.BackgroundError:
		return slog.LevelError, "work in the background failed", withError(e.Err, slog.String("doing", e.Doing))
	case *engine.Failed:
		return slog.LevelError, "database takes no more writes", withError(e.Err)
	}
	return slog.LevelInfo, fmt.Sprintf("%T", e), nil // its test knows all
}

// withError adds an error, if there is one.
func withError(err error, attrs ...slog.Attr) []slog.Attr {
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	return attrs
}
