package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
	"github.com/lightning-db/lightning/verify"
)

func verifyCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "verify DB|BACKUP",
		Aliases: []string{"check"},
		GroupID: groupSafe,
		Short:   "Look for damage",
		Long: `Read every node of the tree and every record of the log, and check all that
docs/FORMAT.md promises. Nothing is changed, and the database may be in use. A
file is read as a backup, to its end, and so is what - is, standard input.

What is kept of the log behind its checkpoints (backup --keep-log) is not read:
backup --since and restore --log do, and name the first damage there.

Keys are those of the trees and sorted runs. What was written since the last
checkpoint is in the log, and is counted as operations.

The exit status is 0 where all is well and 10 where there is damage; each
finding names the promise that is broken, the place, and the keys affected.

--resume scrubs a database that takes hours to read, in parts of a few seconds
that hold up nobody. It keeps in a file how far it came: stopped by --duration, a
signal or a power cut, the same command goes on from there, and after a complete
pass it begins another. What is in use from the beginning of a pass to its end is
read in it, whatever is written meanwhile; only how the space of the file is
shared out is left to a verify without it. Damage is told when it is met, and with
status 10 at the end, also of a pass that goes on.`,
		Example: `  lightning verify my.db
  lightning verify my.db --sample 5%
  lightning verify my.db --rate 20MB/s
  lightning verify my.db --rate 20MB/s --resume my.scrub --duration 4h
  lightning verify my.backup.zst
  age -d my.backup.age | lightning verify -
  lightning verify my.db --json | jq '.findings[].reason'`,
		Args: arguments(1, 1),
	}
	f := cmd.Flags()
	quick := f.Bool("quick", false, "look only at the metas, the catalog, the free list and the headers of the log")
	sample := f.String("sample", "", "read only so many of the leaves, drawn at random: 5%")
	explain := f.Bool("explain", false, "say of bad checksums what may have happened: a flipped bit, zeros, a write in part")
	workers := f.IntP("jobs", "j", 0, "how many to read with at once; 0: one a processor")
	rate := f.String("rate", "", "read no faster than this, beside other work: 20MB/s")
	resume := f.String("resume", "", "keep in this file how far it came, and go on from there the next time")
	duration := f.Duration("duration", 0, "with --resume, stop after so long: 4h; 0: when all is read")
	mode := f.String("progress", "auto", "progress on standard error: auto (on a terminal), json (one object a second), none")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		format, err := textOrJSON(a)
		if err != nil {
			return err
		}
		if *workers < 0 {
			return usagef("--jobs %d: use 0 or more", *workers)
		}
		path := args[0]
		if path != "-" {
			path, err = a.path(path)
		}
		if err != nil {
			return err
		}
		part, err := percentage(*sample)
		if err != nil {
			return err
		}
		perSecond, err := bytesPerSecond(*rate)
		if err != nil {
			return err
		}
		scrub := f.Changed("resume")
		switch {
		case *quick && part > 0:
			return usagef("--quick and --sample: choose one")
		case scrub && (*quick || part > 0):
			return usagef("--resume is for all of a database: leave out --quick and --sample")
		case *duration < 0:
			return usagef("--duration %v: use 0 or more", *duration)
		case *duration > 0 && !scrub:
			return usagef("--duration goes only with --resume")
		}
		if info, err := os.Stat(path); path == "-" || err == nil && !info.IsDir() {
			if *quick || part > 0 || perSecond > 0 || scrub {
				return usagef("%s is a backup, which is read to its end: leave out --quick, --sample, --rate and --resume", inputName(path))
			}
			return a.verifyBackup(cmd.Context(), path, format)
		}
		var state atomic.Pointer[verify.Progress]
		state.Store(&verify.Progress{})
		bar, err := a.StartProgress(*mode, func() ui.State { return verifyState(state.Load()) })
		if err != nil {
			return usageError{err.Error()}
		}
		o := verify.Options{
			Quick: *quick, Sample: part, Explain: *explain, Workers: *workers, BytesPerSecond: perSecond,
			Progress: func(p verify.Progress) { state.Store(&p) },
		}
		if scrub {
			o.Duration = *duration
			damaged, err := a.scrub(cmd.Context(), path, *resume, format, o)
			bar.Stop()
			if err == nil && damaged {
				err = hinted(fmt.Errorf("%s: %w", path, errDamage), saveWhatIsLeft(path))
			}
			return err
		}
		report, err := verify.Run(cmd.Context(), path, o)
		bar.Stop()
		if err != nil {
			p := state.Load()
			return stopped(err, "of about %s, %s were read: %s so far", ui.Bytes(p.Total), ui.Bytes(p.Bytes), ui.Plural(int64(p.Findings), "finding"))
		}
		if format == formatText {
			err = a.printReport(&report)
		} else {
			err = a.printJSON(reportJSON(&report))
		}
		if err == nil && !report.OK {
			return hinted(fmt.Errorf("%s: %w", path, errDamage), saveWhatIsLeft(path))
		}
		return err
	}
	return cmd
}

// scrub reads on in the pass that file tells of, and prints what the pass has
// found until now.
func (a *app) scrub(ctx context.Context, path, file, format string, o verify.Options) (damaged bool, err error) {
	if file, err = outPath(file); err != nil {
		return false, err
	}
	if format == formatText { // in JSON a line on standard error is JSON
		o.Found = func(f verify.Finding) { a.Note("damage %s: %s", f.Invariant, findingText(&f)) }
	}
	p, err := verify.Scrub(ctx, path, file, o)
	switch {
	case err != nil && ctx.Err() != nil:
		return false, stopped(err, "%s were read since %s: %s so far; the same command goes on",
			ui.Bytes(p.Bytes), moment(p.Began), ui.Plural(p.Count(), "finding"))
	case err != nil:
		return false, err
	case format == formatText:
		findings := p.Findings
		if a.Together() {
			findings = findings[:p.Earlier] // the others were told
		}
		err = a.printPass(p, findings)
	default:
		err = a.printJSON(passJSON(p))
	}
	return p.Count() > 0, err
}

func (a *app) printPass(p *verify.Pass, findings []verify.Finding) error {
	for i := range findings {
		if _, err := fmt.Fprintf(a.out, "damage %s: %s\n", findings[i].Invariant, findingText(&findings[i])); err != nil {
			return err
		}
	}
	result, rest := "ok: ", ""
	if n := p.Count(); n > 0 {
		result = "damaged: " + ui.Plural(n, "finding") + "; readable: "
	}
	if p.Ended.IsZero() {
		rest = "; there is more to read, by the same command"
	}
	// Not how many nodes: those above the keys of several parts are read in each.
	_, err := fmt.Fprintf(a.out, "%s%s, %s read in %s since %s%s\n", result, ui.Plural(p.Keys, "key"),
		ui.Bytes(p.Bytes), ui.Plural(p.Parts, "part"), moment(p.Began), rest)
	return err
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func passJSON(p *verify.Pass) ui.Object {
	o := ui.Object{
		{Name: "ok", Value: p.Count() == 0},
		{Name: "complete", Value: !p.Ended.IsZero()},
		{Name: "began", Value: moment(p.Began)},
		{Name: "keys", Value: p.Keys},
		{Name: "findings", Value: findingsJSON(p.Findings)},
		{Name: "omitted_findings", Value: p.Omitted},
		{Name: "parts", Value: p.Parts},
		{Name: "nodes", Value: p.Nodes},
		{Name: "bytes_read", Value: p.Bytes},
	}
	if !p.Ended.IsZero() {
		o = append(o, ui.Member{Name: "ended", Value: moment(p.Ended)})
	}
	return o
}

// percentage parses "5%" as 0.05, and nothing as 0.
func percentage(text string) (float64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !(n > 0 && n <= 100) {
		return 0, usagef("--sample %s: want a percentage, as 5%%", text)
	}
	return n / 100, nil
}

// bytesPerSecond parses "20MB/s", and nothing as 0.
func bytesPerSecond(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, ok := byteSize(strings.TrimSuffix(text, "/s"))
	switch {
	case !ok:
		return 0, usagef("--rate %s: want bytes a second, as 20MB/s", dump.Printable([]byte(text)))
	case n < slowest:
		return 0, usagef("--rate %s: that is %s a second; use 10kB/s or more, as 20MB/s", text, ui.Plural(n, "byte"))
	}
	return n, nil
}

// slowest is the least rate of verify, in bytes a second: with less somebody has
// forgotten the unit.
const slowest = 10_000

// byteSize parses a size of at least 1: a number of bytes, or one with a unit, of
// powers of 1000 (64MB, 500k) or of 1024 (16MiB).
func byteSize(text string) (int64, bool) {
	number, base := strings.TrimSuffix(strings.ToLower(text), "b"), 1000.0
	if less, ok := strings.CutSuffix(number, "i"); ok {
		number, base = less, 1024
	}
	unit := 1.0
	if at := strings.IndexAny(number, "kmgt"); at >= 0 && at == len(number)-1 {
		for range strings.IndexByte("kmgt", number[at]) + 1 {
			unit *= base
		}
		number = number[:at]
	}
	n, err := strconv.ParseFloat(number, 64)
	n *= unit
	return int64(n), err == nil && n >= 1 && n < 1e15 && (unit > 1 || base == 1000)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// verifyBackup reads a backup, on standard input for -, to its end.
func (a *app) verifyBackup(ctx context.Context, path, format string) error {
	r, f, err := a.input(ctx, path)
	if err != nil {
		return err
	}
	defer f.Close()
	var read atomic.Int64
	info, err := verifyBackup(ctx, readerFunc(func(p []byte) (int, error) {
		n, err := r.Read(p)
		read.Add(int64(n))
		return n, err
	}), inputName(path))
	err = stopped(err, "%s of it were read, and no damage was found", ui.Bytes(read.Load()))
	if damage, ok := errors.AsType[*engine.CorruptError](err); ok && format != formatText {
		found := verify.Finding{Kind: damage.Kind, Path: path, Offset: damage.Offset, Reason: damage.Reason}
		printErr := a.printJSON(append(ui.Object{
			{Name: "ok", Value: false}, {Name: "findings", Value: []ui.Object{findingJSON(&found)}},
		}, backupJSON(info)...))
		return errors.Join(err, printErr)
	}
	if err != nil {
		return err
	}
	if format == formatText {
		_, err = fmt.Fprintln(a.out, backupMessage("ok", info))
		return err
	}
	return a.printJSON(append(ui.Object{{Name: "ok", Value: true}}, backupJSON(info)...))
}

func verifyState(p *verify.Progress) ui.State {
	return ui.State{
		Done: p.Bytes, Total: p.Total,
		Text: fmt.Sprintf("%s  %s  %s", ui.Plural(p.Nodes, "node"), ui.Bytes(p.Bytes), ui.Plural(int64(p.Findings), "finding")),
		JSON: fmt.Sprintf(`{"message_type":"status","nodes":%d,"bytes":%d,"bytes_total":%d,"findings":%d}`, p.Nodes, p.Bytes, p.Total, p.Findings),
	}
}

func (a *app) printReport(r *verify.Report) error {
	line := func(format string, args ...any) error {
		_, err := fmt.Fprintf(a.out, format+"\n", args...)
		return err
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		if err := line("damage %s: %s", f.Invariant, findingText(f)); err != nil {
			return err
		}
	}
	for i := range r.Notes {
		if err := line("note: %s", findingText(&r.Notes[i])); err != nil {
			return err
		}
	}
	readable := "readable: "
	what := fmt.Sprintf("%s, %s, log %s", ui.Plural(r.Keys, "key"), ui.Plural(r.Nodes, "node"), ui.Plural(int64(r.Segments), "segment"))
	if !r.Quick {
		what += " with " + ui.Plural(r.LogOps, "operation")
	}
	if r.TornBytes > 0 {
		what += fmt.Sprintf(" and an unfinished end of %s", ui.Bytes(r.TornBytes))
	}
	switch {
	case r.Quick:
		readable = "told by the catalog: "
		what += "; no tree and no record of the log was read"
	case r.Sample > 0:
		what += fmt.Sprintf("; only %.4g%% of the leaves were read", r.Sample*100)
	}
	if r.OK {
		return line("ok: %s", what)
	}
	n := uint64(len(r.Findings)) + r.Omitted
	lost := ui.Plural(r.Lost(), "key") + " lost"
	switch {
	case !r.LostUnknown() && !r.Quick:
	case r.Lost() == 0:
		lost = "how many keys are lost cannot be told"
	default:
		lost = "at least " + lost
	}
	return line("damaged: %s, %s; %s%s", ui.Plural(n, "finding"), lost, readable, what)
}

// shown is text as a terminal may have it.
func shown(text string) string { return string(dump.Auto.Append(nil, []byte(text))) }

func findingText(f *verify.Finding) string {
	text := fmt.Sprintf("%s at offset %d: %s: %s", shown(f.Path), f.Offset, f.Kind, f.Reason)
	if f.Start != nil || f.End != nil || f.Keys > 0 {
		text += fmt.Sprintf("; keys %s … %s", boundText(f.Start, "first"), boundText(f.End, "last"))
	}
	if f.Keys > 0 {
		text += fmt.Sprintf(" (%s lost)", ui.Plural(f.Keys, "key"))
	}
	if f.Keyspace != "" {
		text += " in keyspace " + dump.Printable([]byte(f.Keyspace))
	}
	if f.Explanation != "" {
		text += "; " + f.Explanation
	}
	return text
}

func boundText(key []byte, none string) string {
	if key == nil {
		return none
	}
	return dump.Printable(key)
}

func findingsJSON(findings []verify.Finding) []ui.Object {
	objects := []ui.Object{}
	for i := range findings {
		objects = append(objects, findingJSON(&findings[i]))
	}
	return objects
}

func reportJSON(r *verify.Report) ui.Object {
	return ui.Object{
		{Name: "ok", Value: r.OK},
		{Name: "keys", Value: r.Keys},
		{Name: "findings", Value: findingsJSON(r.Findings)},
		{Name: "notes", Value: findingsJSON(r.Notes)},
		{Name: "omitted_findings", Value: r.Omitted},
		{Name: "lost_keys", Value: r.Lost()},
		{Name: "lost_unknown", Value: r.LostUnknown()},
		{Name: "nodes", Value: r.Nodes},
		{Name: "bytes_read", Value: r.Bytes},
		{Name: "file_bytes", Value: r.FileBytes},
		{Name: "log_segments", Value: r.Segments},
		{Name: "log_records", Value: r.LogRecords},
		{Name: "log_operations", Value: r.LogOps},
		{Name: "log_torn_bytes", Value: r.TornBytes},
		{Name: "generation", Value: r.Generation},
		{Name: "seq", Value: r.Seq},
		{Name: "quick", Value: r.Quick},
		{Name: "sample", Value: r.Sample},
		{Name: "seconds", Value: r.Duration.Seconds()},
	}
}

func findingJSON(f *verify.Finding) ui.Object {
	o := ui.Object{
		{Name: "invariant", Value: f.Invariant},
		{Name: "kind", Value: f.Kind},
		{Name: "path", Value: f.Path},
		{Name: "offset", Value: f.Offset},
		{Name: "reason", Value: f.Reason},
	}
	if f.Explanation != "" {
		o = append(o, ui.Member{Name: "explanation", Value: f.Explanation})
	}
	if f.Keyspace != "" {
		o = append(o, ui.Member{Name: "keyspace", Value: f.Keyspace})
	}
	o = appendBound(o, "start", f.Start)
	o = appendBound(o, "end", f.End)
	if f.Keys == 0 { // none, or nobody knows
		return o
	}
	return append(o, ui.Member{Name: "keys", Value: f.Keys})
}

// appendBound adds the bound of a range of keys, if there is one.
func appendBound(o ui.Object, name string, key []byte) ui.Object {
	if key == nil {
		return o
	}
	return appendKey(o, name, key)
}
