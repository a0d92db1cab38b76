package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	importer "github.com/lightning-db/lightning/import"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
)

func (a *app) importCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "import DB [FILE...]",
		GroupID: groupMove,
		Short:   "Import records from CSV, TSV, JSON or JSON lines",
		Long: `Import records from files, or from standard input (no FILE, or -), plain or
compressed by gzip or zstd. The database is created where there is none.

What lightning export wrote needs no option. For any other file, --key makes
the key of each record: a column or field, or a template such as
'city:{country}:{id}'; {.a.b} is the JSON field at a path, {{ is a brace. The
value is the whole record as a JSON object, or one field with --value.

Records are committed in batches. A bad record is named by its line and ends
the import; what was committed before stays, and the last line on standard
error says how many records that is. --on-error skip goes on, and makes the
exit status 13 if there was a bad one.`,
		Example: `  lightning import my.db users.csv --key 'user:{id}'
  zcat cities.jsonl.gz | lightning import cities.db - --from jsonl --key 'city:{id}'
  lightning import my.db names.tsv.zst --key id --value name
  lightning import copy.db exported.jsonl`,
		Args: arguments(1, -1),
	}
	i := &importing{app: a, cmd: cmd}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&i.key, "key", "", "column or `TEMPLATE` that makes the key")
	f.StringVar(&i.options.Value, "value", "", "`FIELD` to store instead of the whole record")
	f.StringVar(&i.from, "from", "", "`FORMAT`, where the file name does not tell: csv, tsv, json, jsonl")
	f.StringVar(&i.columns, "columns", "", "`NAMES`, with commas between, of the columns of a CSV or TSV file without a header")
	f.StringVar(&i.onError, "on-error", "stop", "what to do about a bad record: stop, skip")
	f.StringVar(&i.rejects, "rejects", "", "write bad records to this `FILE` and go on")
	f.IntVar(&i.options.BatchRecords, "batch", 10_000, "records to commit together")
	f.BoolVar(&i.options.DryRun, "dry-run", false, "read everything and write nothing")
	f.StringVar(&i.progress, "progress", "auto", "progress on standard error: auto (on a terminal), json (one object a second), none")
	syncMode := syncFlag(cmd, engine.SyncNormal)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if i.mode, err = syncMode(); err != nil {
			return err
		}
		return i.run(cmd.Context(), args)
	}
	return cmd
}

type importing struct {
	*app
	cmd                         *cobra.Command
	key, from, onError, rejects string
	progress, columns           string
	mode                        engine.SyncMode
	reader                      dump.ReaderOptions
	options                     importer.Options

	db     string
	opened *engine.DB // by Open
	space  *engine.Keyspace

	total     importer.Result // of the files that are done
	state     atomic.Pointer[importer.Result]
	bytesRead atomic.Int64
	size      int64 // of all files; 0 where one is a pipe
	reject    *rejectFile
	named     int // bad records
}

func (i *importing) run(ctx context.Context, args []string) (err error) {
	files := args[1:]
	if len(files) == 0 {
		if i.InTerminal {
			return usagef("no file: name one, or give the records through a pipe")
		}
		files = []string{"-"}
	}
	if err := i.prepare(args[0], files); err != nil {
		return err
	}
	i.state.Store(&importer.Result{})
	bar, err := i.StartProgress(i.progress, i.progressState)
	if err != nil {
		return usageError{err.Error()}
	}
	err = i.all(ctx, files)
	bar.Stop()
	return i.conclude(err, bar)
}

// prepare reads the flags.
func (i *importing) prepare(db string, files []string) (err error) {
	if i.db, err = i.path(db); err != nil {
		return err
	}
	if i.cmd.Flags().Changed("key") {
		if i.options.Key, err = importer.ParseTemplate(i.key); err != nil {
			return usagef("--key: %v", err)
		}
	}
	if i.columns != "" {
		i.reader.Columns = strings.Split(i.columns, ",")
	}
	if i.options.BatchRecords < 1 {
		return usagef("--batch %d: use 1 or more", i.options.BatchRecords)
	}
	i.options.Unsafe = i.mode == engine.SyncOff
	i.options.Report = func(r importer.Result) {
		sum := i.sum(r)
		i.state.Store(&sum)
	}
	switch {
	case i.onError != "stop" && i.onError != "skip":
		return usagef("--on-error %s: use stop or skip", i.onError)
	case i.cmd.Flags().Changed("rejects"):
		i.options.Rejected = i.rejected
	case i.onError == "skip":
		i.options.Rejected = i.rejected
	}
	for _, path := range files {
		if path == "-" {
			i.size = 0
			return nil
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		i.size += info.Size()
	}
	return nil
}

// Open opens the database for the importer.
func (i *importing) Open() (*engine.DB, *engine.Keyspace, error) {
	if i.opened != nil {
		return i.opened, i.space, nil
	}
	db, err := i.openWriter(i.cmd, i.db, true, i.mode)
	if err != nil {
		return nil, nil, err
	}
	i.opened = db
	i.space, err = i.keyspaceOf(db)
	return db, i.space, err
}

func (i *importing) all(ctx context.Context, files []string) (err error) {
	defer func() {
		if i.opened != nil {
			if closeErr := i.opened.Close(); err == nil {
				err = closeErr
			}
		}
		if i.reject != nil {
			if closeErr := i.reject.Close(); err == nil {
				err = closeErr
			}
		}
	}()
	if i.cmd.Flags().Changed("rejects") {
		if i.reject, err = newRejectFile(i.rejects); err != nil {
			return err
		}
	}
	for _, path := range files {
		if err := i.file(ctx, path); err != nil {
			if path == "-" {
				path = "standard input"
			}
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func (i *importing) file(ctx context.Context, path string) error {
	var source io.Reader = ui.Interruptible(ctx, i.In)
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		source = f
		if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() {
			source = ui.Interruptible(ctx, f)
		}
	}
	format, err := i.formatOf(path)
	if err != nil {
		return err
	}
	plain, err := dump.Decompress(&countingReader{source, &i.bytesRead})
	if err != nil {
		return err
	}
	defer plain.Close()
	reader, err := dump.NewReader(plain, format, i.reader)
	if err != nil {
		return err
	}
	if err := importer.Check(reader, i.options); err != nil {
		return usageError{err.Error()}
	}
	if sample := reader.Sample(); sample != nil {
		if name, ok := sample.Repeated(); ok {
			i.Note("warning: %s: several columns are named %s; asked for by name it is the last", path, dump.Printable([]byte(name)))
		}
	}
	if i.reject != nil {
		i.reject.head = reader.Head()
	}
	result, err := importer.Run(ctx, i, reader, i.options)
	i.total = i.sum(result)
	i.state.Store(&i.total)
	return err
}

func (i *importing) formatOf(path string) (dump.Format, error) {
	if i.from != "" {
		format, err := dump.ParseFormat(i.from)
		if err != nil {
			return "", usagef("--from: %v", err)
		}
		return format, nil
	}
	if format, ok := dump.FormatOf(path); ok {
		return format, nil
	}
	return "", usagef("the name does not tell the format: give --from csv, tsv, json or jsonl")
}

func (i *importing) sum(r importer.Result) importer.Result {
	r.Read += i.total.Read
	r.Committed += i.total.Committed
	r.Rejected += i.total.Rejected
	r.Bytes += i.total.Bytes
	return r
}

// mostLines is how many bad records are named one by one.
const mostLines = 20

func (i *importing) rejected(bad *dump.RowError) error {
	if i.reject != nil {
		return i.reject.add(bad)
	}
	if i.named++; i.named <= mostLines {
		i.Note("%v", bad)
	} else if i.named == mostLines+1 {
		i.Note("… and more; --rejects FILE keeps them all")
	}
	return nil
}

// records says a number of records, without commas, for programs that look for
// it.
func records(n int64) string {
	if n == 1 {
		return "1 record"
	}
	return strconv.FormatInt(n, 10) + " records"
}

// conclude says how many records are committed, however the import ended.
func (i *importing) conclude(err error, bar *ui.Progress) error {
	r := i.total
	_, usage := errors.AsType[usageError](err)
	switch {
	case usage && r.Committed == 0:
		return err
	case err != nil:
		return hintError{fmt.Errorf("%w; %s committed", err, records(r.Committed)), importHint(err)}
	}
	message := records(r.Committed) + " committed"
	if i.options.DryRun {
		message = fmt.Sprintf("dry run: %s good, %d bad, 0 records committed", records(r.Read-r.Rejected), r.Rejected)
	} else if r.Rejected > 0 {
		message += fmt.Sprintf(", %d rejected", r.Rejected)
	}
	err = i.done(ui.Object{
		{Name: "committed", Value: r.Committed},
		{Name: "rejected", Value: r.Rejected},
		{Name: "bytes", Value: r.Bytes},
		{Name: "seconds", Value: bar.Elapsed().Seconds()},
	}, "%s, %s, %s", message, ui.Bytes(r.Bytes), ui.Duration(bar.Elapsed()))
	if err == nil && r.Rejected > 0 {
		if !i.json {
			return saidError{exitRejected}
		}
		err = errRejected
	}
	return err
}

// importHint says how to go on behind a bad record.
func importHint(err error) string {
	if _, bad := errors.AsType[*dump.RowError](err); bad {
		return "--on-error skip or --rejects FILE goes on without bad records"
	}
	return hintFor(err)
}

func (i *importing) progressState() ui.State {
	r := i.state.Load()
	done := i.bytesRead.Load()
	return ui.State{
		Done: done, Total: i.size,
		Text: fmt.Sprintf("%s committed  %s read", ui.Plural(r.Committed, "record"), ui.Bytes(done)),
		JSON: fmt.Sprintf(`{"message_type":"status","committed":%d,"rejected":%d,"bytes_read":%d,"bytes_total":%d}`,
			r.Committed, r.Rejected, done, i.size),
	}
}

type countingReader struct {
	r io.Reader
	n *atomic.Int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// A rejectFile takes bad records as they stood in their file, to be mended and
// imported again. It is made before the first record is read, when nothing is
// lost yet if it cannot be, and is removed if no record was bad.
type rejectFile struct {
	*os.File
	head  []byte // of the file that is read, to stand before its records
	count int64
}

func newRejectFile(path string) (*rejectFile, error) {
	path, err := outPath(path)
	if err == nil {
		var f *os.File
		if f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			return &rejectFile{File: f}, nil
		}
	}
	return nil, fmt.Errorf("--rejects: %w", err)
}

func (r *rejectFile) add(bad *dump.RowError) error {
	if r.count++; r.count == 1 {
		if _, err := r.Write(r.head); err != nil {
			return err
		}
	}
	line := bad.Source
	if len(line) == 0 || line[len(line)-1] != '\n' {
		line = append(append([]byte{}, line...), '\n')
	}
	_, err := r.Write(line)
	return err
}

func (r *rejectFile) Close() error {
	err := r.File.Close()
	if r.count == 0 {
		os.Remove(r.Name())
	}
	return err
}
