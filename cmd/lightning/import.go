package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	importer "github.com/lightning-db/lightning/import"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
)

func importCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "import DB [FILE...]",
		GroupID: groupMove,
		Short:   "Import records from CSV, TSV, JSON, JSON lines, db_dump, Redis or bbolt",
		Long: `Import records from files, or from standard input (no FILE, or -), plain or
compressed by gzip or zstd. The database is created where there is none. On Linux
the name behind < tells the format, too.

What lightning export wrote needs no option. For any other file, --key makes
the key of each record: a column or field, or a template such as
'city:{country}:{id}'; {.a.b} is the JSON field at a path, {{ is a brace. The
value is the whole record as a JSON object, or one field with --value. The columns
of CSV and TSV become strings: --where '.age | tonumber > 30' compares numbers.

A file of db_dump, or of mdb_dump of LMDB, may hold several databases (mdb_dump
-a writes all that have names): what has a name goes into a keyspace of that
name, which is created; with --keyspace all goes into that one. --from pairs
reads keys and values on alternate lines, as mdb_load -T does.

resp is what redis-cli --pipe takes and an append-only file (.aof) holds: each
SET of a key and a value is a record, any other command a bad one.

A file of bbolt, named .bbolt or .bolt, is read as it is; its buckets become
keyspaces, buckets in them too, with a slash between the names. A name that is
no text stands with escapes, as in \xff\x00.

Records are committed in batches. A bad record is named by its line and ends
the import; what was committed before stays, and the last line on standard
error says how many records that is. --on-error skip goes on, and makes the
exit status 13 if there was a bad one.

With --resume, each commit also says how far it is, in the keyspace
lightning.import. If the import is stopped or killed, the same command goes on
exactly behind the last record that was committed; the part of the file that
was read must be the same. The keyspace is removed when the import is done.

With --sorted the keys must increase, and the database be a new one: it is made
bottom-up, without a log, whole or not at all. A key that does not follow the
one before it ends the import, with --on-error skip and --rejects, too.`,
		Example: `  lightning import my.db users.csv --key 'user:{id}'
  zcat cities.jsonl.gz | lightning import cities.db - --from jsonl --key 'city:{id}'
  lightning import my.db names.tsv.zst --key id --value name
  lightning import copy.db exported.jsonl
  lightning import big.db big.csv.gz --key '{id}' --resume
  lightning import my.db old.db --from bbolt
  LC_ALL=C sort big.csv | lightning import big.db - --from csv --columns id,name --key id --sorted
  mdb_dump lmdb/ | lightning import copy.db - --from db_dump`,
		Args: arguments(1, -1),
	}
	i := &importing{app: a, cmd: cmd}
	f := cmd.Flags()
	f.StringVar(&i.key, "key", "", "column or `TEMPLATE` that makes the key")
	f.StringVar(&i.options.Value, "value", "", "`FIELD` to store instead of the whole record")
	f.StringVar(&i.from, "from", "", "`FORMAT`, where the file name does not tell: csv, tsv, json, jsonl, db_dump, pairs, resp, bbolt")
	f.StringVar(&i.columns, "columns", "", "`NAMES`, with commas between, of the columns of a CSV or TSV file without a header")
	f.StringVar(&i.delimiter, "delimiter", "", "`TEXT` between the columns of a CSV file, such as ';' or '||', or an escape: '\\t', '\\x1f', '\\u00a6' (default a comma)")
	f.StringVar(&i.options.Conflict, "on-conflict", "replace", "what to do about a key that is there: replace, skip (the record), error (a bad record)")
	f.StringVar(&i.onError, "on-error", "stop", "what to do about a bad record: stop, skip")
	f.StringVar(&i.rejects, "rejects", "", "write bad records to this `FILE`, which must be new, and go on")
	f.BoolVar(&i.resume, "resume", false, "make it an import that can be taken up again: go on where one with --resume stopped")
	f.BoolVar(&i.sorted, "sorted", false, "the keys of the file increase: make a new database bottom-up, about three times as fast")
	f.IntVar(&i.options.BatchRecords, "batch", 10_000, "records to commit together")
	f.BoolVar(&i.options.DryRun, "dry-run", false, "read everything and write nothing, no file for --rejects either")
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
	app                         *app
	cmd                         *cobra.Command
	key, from, onError, rejects string
	progress, columns           string
	delimiter                   string
	format                      dump.Format // by --from
	mode                        engine.SyncMode
	resume, sorted              bool
	reader                      dump.ReaderOptions
	options                     importer.Options

	db     string
	shell  *session   // where db is that of a shell, which stays open
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
		if i.app.InTerminal {
			return usagef("no file: name one, or give the records through a pipe")
		}
		files = []string{"-"}
	}
	if err := i.prepare(args[0], files); err != nil {
		return err
	}
	i.state.Store(&importer.Result{})
	bar, err := i.app.StartProgress(i.progress, i.progressState)
	if err != nil {
		return usageError{err.Error()}
	}
	err = i.all(ctx, files)
	bar.Stop()
	return i.conclude(err, bar)
}

// prepare reads the flags.
func (i *importing) prepare(db string, files []string) (err error) {
	if i.shell = i.app.session.of(db); !i.options.DryRun {
		if err := i.shell.mayWriteOutside(i.cmd); err != nil {
			return err // before files are looked for
		}
	}
	if i.db, err = i.app.path(db); err != nil {
		return err
	}
	if i.cmd.Flags().Changed("key") {
		if i.options.Key, err = importer.ParseTemplate(i.key); err != nil {
			return usagef("--key: %v", err)
		}
	}
	if i.from != "" {
		if i.format, err = dump.ParseFormat(i.from); err != nil {
			return usagef("--from: %v: use %s", err, dump.Readable)
		}
	}
	if i.columns != "" {
		i.reader.Columns = strings.Split(i.columns, ",")
	}
	if i.delimiter != `\` && !strings.Contains(i.delimiter, `"`) {
		text, err := dump.Quoted.Decode([]byte(i.delimiter))
		if err != nil {
			return usagef(`--delimiter %s: the escapes are \t, \xFF, \u00e9, \\`, dump.Printable([]byte(i.delimiter)))
		}
		i.delimiter = string(text)
	}
	if i.cmd.Flags().Changed("delimiter") && (i.delimiter == "" || strings.ContainsAny(i.delimiter, "\"\r\n")) {
		return usagef("--delimiter %s: use one or more characters, no quote and no end of line", dump.Printable([]byte(i.delimiter)))
	}
	i.reader.Delimiter = i.delimiter
	if i.options.BatchRecords < 1 {
		return usagef("--batch %d: use 1 or more", i.options.BatchRecords)
	}
	if i.sorted && (len(files) > 1 || i.resume || i.app.oneSpace || i.app.noCreate || i.options.DryRun || i.options.Conflict != "replace" || i.cmd.Flags().Changed("batch")) {
		return usagef("--sorted makes a new database of one file, whole or not at all: no other FILE, --keyspace, --on-conflict, --batch, --resume, --dry-run or --no-create")
	}
	if i.sorted {
		if err := outsideNew(i.db); err != nil {
			return err
		}
	}
	if i.resume && i.options.DryRun {
		return usagef("--resume and --dry-run: choose one")
	}
	i.options.Unsafe = i.mode == engine.SyncOff
	i.options.Report = func(r importer.Result) {
		sum := i.sum(r)
		i.state.Store(&sum)
	}
	if err := checkConflict(i.options.Conflict); err != nil {
		return err
	}
	switch {
	case i.onError != "stop" && i.onError != "skip":
		return usagef("--on-error %s: use stop or skip", i.onError)
	case i.cmd.Flags().Changed("rejects") && i.cmd.Flags().Changed("on-error") && i.onError == "stop":
		return usagef("--rejects goes on behind a bad record, and --on-error stop does not: choose one")
	case i.rejects == "-":
		return usagef("--rejects -: bad records go into a file, which must be new: give its name")
	case i.cmd.Flags().Changed("rejects") || i.onError == "skip":
		i.options.Rejected = i.rejected
	}
	piped := false
	for _, path := range files {
		if path == "-" {
			piped = true
			continue
		}
		if path == "" {
			return errNoFile
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		for n := range otherDirs {
			if o := &otherDirs[n]; info.IsDir() && !gone(filepath.Join(path, o.holds)) {
				return usagef(o.said, path, db)
			}
		}
		i.size += info.Size()
	}
	if piped {
		i.size = 0
	}
	return nil
}

// Open opens the database for the importer.
func (i *importing) Open() (*engine.DB, *engine.Keyspace, error) {
	i.app.makes = true
	if i.opened != nil {
		return i.opened, i.space, nil
	}
	if i.shell != nil {
		db, ks, err := i.shell.writer(i.app, i.cmd)
		if err == nil {
			i.opened, i.space = db, ks
		}
		return db, ks, err
	}
	db, err := i.app.openWriter(i.cmd, i.db, true, i.mode)
	if err != nil {
		return nil, nil, err
	}
	i.opened = db
	i.space, err = i.app.keyspaceOf(db)
	return db, i.space, err
}

// Space returns the keyspace of a name in the file, which is created unless it
// is there. --keyspace is one for all.
func (i *importing) Space(name string) (*engine.Keyspace, error) {
	switch {
	case i.app.keyspace != "":
		return i.space, nil
	case i.options.DryRun && !goodName(name):
		return nil, hinted(fmt.Errorf("%w: keyspace %s: %w", errData, dump.Printable([]byte(name)), errName), "--keyspace is one for all")
	case i.options.DryRun:
		return nil, nil
	}
	ks, err := i.opened.Keyspace(name)
	if errors.Is(err, engine.ErrNoKeyspace) && !i.app.noCreate {
		if ks, err = i.opened.CreateKeyspace(name, nil); err != nil {
			err = hinted(fmt.Errorf("%w: %w", errData, err), "--keyspace is one for all")
		}
	}
	return ks, err
}

func (i *importing) all(ctx context.Context, files []string) (err error) {
	defer func() {
		if i.opened != nil && i.shell == nil {
			if err != nil {
				_ = i.app.giveUp(i.opened)
			} else {
				err = i.app.closeInTime(i.opened)
			}
		}
		if i.reject != nil {
			if closeErr := i.reject.Close(); err == nil {
				err = closeErr
			}
		}
	}()
	names := make([]string, len(files))
	for n := range files {
		names[n] = importName(files[n])
	}
	if i.cmd.Flags().Changed("rejects") && !i.options.DryRun {
		size, begun := int64(0), false
		if i.resume {
			if _, _, err = i.Open(); err == nil {
				size, begun, err = importer.Rejects(i.opened, i.space, names)
			}
			if info, statErr := os.Stat(i.rejects); statErr == nil && info.Size() == 0 {
				begun = true // or was about to
			}
		}
		if err == nil {
			i.reject, err = newRejectFile(i.rejects, size, begun)
		}
		if err != nil {
			return err
		}
	}
	for _, path := range files {
		if err := i.file(ctx, path); err != nil {
			return fmt.Errorf("%s: %w", inputName(path), err)
		}
	}
	if i.opened == nil {
		return nil
	}
	return importer.Forget(context.WithoutCancel(ctx), i.opened, i.space, names)
}

// importName is the name of a file, whatever the current directory is.
func importName(path string) string {
	if abs, err := filepath.Abs(path); err == nil && path != "-" {
		return abs
	}
	return path
}

func (i *importing) file(ctx context.Context, path string) error {
	source, f, err := i.app.input(ctx, path)
	if err != nil {
		return err
	}
	defer f.Close()
	name := path
	if path == "-" {
		name, _ = i.app.behind(i.app.In, "0")
	}
	format, ok := i.format, true
	if format == "" {
		format, ok = dump.FormatOf(name)
	}
	switch {
	case !ok && source == io.Reader(f):
		return i.unknown(path, f)
	case !ok:
		return errNoFormat
	case format == dump.SQL:
		return usagef("sql is only written; sqlite3 -csv -header writes what can be read")
	}
	partly := i.total.Partly
	if i.columns != "" && format != dump.CSV && format != dump.TSV || i.delimiter != "" && format != dump.CSV {
		return usagef("--columns is for CSV and TSV, and --delimiter for CSV, not %s", format)
	}
	var reader dump.Reader
	if format == dump.Bolt {
		if source != io.Reader(f) || i.reject != nil {
			return usagef("a bbolt file is read from its name, not through a pipe, and a bad record of it is no text for --rejects")
		}
		var size int64
		if size, err = f.Seek(0, io.SeekEnd); err == nil {
			reader, err = dump.NewBoltReader(&countingReaderAt{f, &i.bytesRead}, size)
		}
	} else {
		var plain io.ReadCloser
		if plain, err = dump.Decompress(&countingReader{source, &i.bytesRead}, name); err != nil {
			return err
		}
		defer plain.Close()
		reader, err = dump.NewReader(plain, format, i.reader)
	}
	if err != nil {
		return err
	}
	sample := reader.Sample()
	if err := importer.Check(reader, i.options); err != nil {
		if sample.Len() == 1 && format == dump.CSV {
			err = fmt.Errorf("%w; where it is no comma, --delimiter says what is between the columns", err)
		}
		return usageError{err.Error()}
	}
	if sample != nil {
		if name, ok := sample.Repeated(); ok {
			i.app.Note("warning: %s: several columns are named %s; asked for by name it is the last", path, dump.Printable([]byte(name)))
		}
		if i.options.Key == nil && i.options.Value == "" && sample.Len() > 2 {
			i.app.Note("warning: %s: of its %d columns only key and value are kept; --key keeps all", path, sample.Len())
		}
	}
	if i.reject != nil {
		i.reject.of(reader, format == dump.DBDump)
	}
	if i.resume {
		columns := i.columns // they, too, decide what a row becomes
		if sample != nil && columns == "" {
			columns = string(reader.Head())
		}
		i.options.Resume = &importer.Resume{
			Name:    importName(path),
			Options: strings.Join([]string{i.key, i.options.Value, columns, string(format), i.options.Conflict, i.delimiter}, "\x00"),
		}
		if i.reject != nil {
			i.options.Resume.Rejects = func() int64 { return i.reject.size }
		}
	}
	defer func() {
		if sample == nil && i.total.Partly > partly {
			i.app.Note("warning: %s: of %s only key and value were kept; --key keeps all", path, records(i.total.Partly-partly))
		}
	}()
	if i.sorted {
		// A few megabytes are in use, for which the collector would come again and
		// again, each time in the way of reader and builder: a tenth of all the time.
		defer debug.SetGCPercent(debug.SetGCPercent(400))
		i.total, err = importer.Load(reader, i.options, func(next func() ([]byte, []byte, error)) error {
			return engine.Load(ctx, i.db, nil, next)
		})
		i.state.Store(&i.total)
		err = unmade(err, "no database was made")
		switch {
		case errors.Is(err, engine.ErrExists):
			err = hinted(err, "--sorted makes a new database")
		case err == nil:
			i.app.Note("created %s", i.db)
			i.app.warnOfPlace(i.db)
		}
		return err
	}
	result, err := importer.Run(ctx, i, reader, i.options)
	i.total = i.sum(result)
	if result.Resumed > 0 {
		i.app.Note("%s: went on behind record %d", path, result.Resumed)
	}
	i.state.Store(&i.total)
	return err
}

var errNoFormat error = usageError{"the name does not tell the format: give --from " + dump.Readable}

// unknown says what to do about a file whose name does not tell the format: its
// first bytes may show that it has none that an import reads.
func (i *importing) unknown(path string, f io.Reader) error {
	var head [20]byte
	if plain, err := dump.Decompress(f, path); err == nil {
		_, _ = io.ReadFull(plain, head[:])
		plain.Close()
	}
	for n := range otherFiles {
		if o := &otherFiles[n]; strings.HasPrefix(string(head[o.at:]), o.begins) {
			return usagef(o.said, path, i.db)
		}
	}
	return errNoFormat
}

// otherDirs are known by a file in them, and otherFiles by what stands at an
// offset.
var otherDirs = [...]struct{ holds, said string }{
	{"btree.db", "%[1]s is a database: lightning copy %[1]s %[2]s"},
	{"data.mdb", "%[1]s is of LMDB: mdb_dump %[1]s | lightning import %[2]s - --from db_dump"},
}

var otherFiles = [...]struct {
	at           int
	begins, said string
}{
	{0, "LGTNG", "it is a backup: lightning restore %[2]s %[1]s"}, // engine/stream.go
	{0, "SQLite format 3\x00", "it is of SQLite: sqlite3 -csv -header %s 'select * from TABLE' | lightning import %s - --from csv --key COLUMN"},
	{16, "\xde\xc0\xef\xbe", "it is of LMDB: mdb_dump -n %s | lightning import %s - --from db_dump"},
}

func (i *importing) sum(r importer.Result) importer.Result {
	r.Read += i.total.Read
	r.Committed += i.total.Committed
	r.Rejected += i.total.Rejected
	r.Skipped += i.total.Skipped
	r.Bytes += i.total.Bytes
	r.Partly += i.total.Partly
	r.NoKey += i.total.NoKey
	return r
}

// mostLines is how many bad records are named one by one.
const mostLines = 20

func (i *importing) rejected(bad *dump.RowError) error {
	if i.named++; i.named <= mostLines {
		i.app.Note("%v", bad)
	} else if i.named == mostLines+1 {
		switch {
		case i.reject != nil:
			i.app.Note("… and more; all are in %s", i.rejects)
		case i.options.DryRun:
			i.app.Note("… and more")
		default:
			i.app.Note("… and more; --rejects FILE keeps them all")
		}
	}
	if i.reject != nil {
		return i.reject.add(bad)
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
		return hinted(fmt.Errorf("%w; %s committed", err, records(r.Committed)), importHint(i.app, err))
	}
	if r.NoKey > 1 {
		i.app.Note("warning: %s had an empty key, which is one key: the last of them is there", records(r.NoKey))
	}
	message := records(r.Committed) + " committed"
	if i.options.DryRun {
		message = fmt.Sprintf("dry run: %s good, %d bad, 0 records committed", records(r.Read-r.Rejected), r.Rejected)
	} else if r.Rejected > 0 {
		message += fmt.Sprintf(", %d rejected", r.Rejected)
	}
	if i.options.DryRun && i.options.Conflict != "replace" {
		i.app.Note("keys that are there already were not looked for")
	}
	if r.Skipped > 0 {
		message += fmt.Sprintf(", %d skipped", r.Skipped)
	}
	err = i.app.done(ui.Object{
		{Name: "committed", Value: r.Committed},
		{Name: "rejected", Value: r.Rejected},
		{Name: "skipped", Value: r.Skipped},
		{Name: "bytes", Value: r.Bytes},
		{Name: "seconds", Value: bar.Elapsed().Seconds()},
	}, "%s, %s, %s", message, ui.Bytes(r.Bytes), ui.Duration(bar.Elapsed()))
	if err == nil && r.Rejected > 0 {
		if !i.app.json && !i.app.Quiet { // the message above says how many
			return saidError{exitRejected}
		}
		err = fmt.Errorf("%s %w", records(r.Rejected), errRejected)
		if i.reject != nil {
			err = hinted(err, "all are in "+i.rejects)
		}
	}
	return err
}

// importHint says how to go on behind a bad record.
func importHint(a *app, err error) string {
	if row, bad := errors.AsType[*dump.RowError](err); bad {
		if len(row.Source) > 0 && row.Line == 1 && len(bytes.Trim(row.Source, "{[ \t\r\n")) == 0 {
			return "--from json reads documents of several lines"
		}
		return "--on-error skip or --rejects FILE goes on without bad records"
	}
	return a.hintFor(err)
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

type countingReaderAt struct {
	r io.ReaderAt
	n *atomic.Int64
}

func (c *countingReaderAt) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.r.ReadAt(p, off)
	c.n.Add(int64(n))
	return n, err
}

// A rejectFile takes bad records as they stood in their file, to be mended and
// imported again. It is made before the first record is read, when nothing is
// lost yet if it cannot be, and is removed if no record was bad.
type rejectFile struct {
	file       *os.File
	reader     dump.Reader // of the file that is read
	head, tail []byte      // what stands before the records of such a file, and behind them
	dumped     bool        // it is db_dump text
	size       int64       // without the tail
}

// newRejectFile makes the file; where an import goes on that has begun, it keeps
// the first bytes of that import's.
func newRejectFile(path string, size int64, begun bool) (*rejectFile, error) {
	path, err := outPath(path)
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	switch {
	case size > 0:
		flags = os.O_WRONLY
	case begun:
		flags = os.O_WRONLY | os.O_CREATE
	}
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(path, flags, 0o600)
	}
	if err == nil && begun {
		var end int64
		if end, err = f.Seek(0, io.SeekEnd); err == nil && end < size {
			err = fmt.Errorf("%w: %s has %d bytes less than the import had written to it: import from the start, without --resume", errData, path, size-end)
		}
		if err == nil {
			err = f.Truncate(size)
		}
		if err == nil {
			_, err = f.Seek(size, io.SeekStart)
		}
		if err != nil {
			f.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("--rejects: %w", err)
	}
	return &rejectFile{file: f, size: size}, nil
}

// of says which reader the records that follow are of.
func (r *rejectFile) of(reader dump.Reader, dumped bool) {
	switch {
	case r.reader != nil || r.size == 0:
	case dumped:
		r.tail = []byte(dump.DumpEnd)
	default:
		r.head = reader.Head()
	}
	r.reader, r.dumped = reader, dumped
}

func (r *rejectFile) add(bad *dump.RowError) error {
	var text []byte
	if head := r.reader.Head(); r.size == 0 || !bytes.Equal(head, r.head) {
		text = append(append(text, r.tail...), head...)
		r.head = bytes.Clone(head)
		if r.dumped {
			r.tail = []byte(dump.DumpEnd)
		}
	}
	text = append(text, bad.Source...)
	if len(text) == 0 || text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	n, err := r.file.Write(text)
	if err == nil {
		r.size += int64(n)
	}
	return err
}

func (r *rejectFile) Close() error {
	_, err := r.file.Write(r.tail)
	if closeErr := r.file.Close(); err == nil {
		err = closeErr
	}
	if r.size == 0 {
		os.Remove(r.file.Name())
	}
	return err
}
