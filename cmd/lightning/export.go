package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	exporter "github.com/lightning-db/lightning/export"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
)

func exportCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "export DB [FILE]",
		GroupID: groupMove,
		Short:   "Export entries to CSV, TSV, JSON, JSON lines, db_dump text or SQL",
		Long: `Export the entries of one moment, in the order of their keys, to a file, or to
standard output (no FILE, or -). The name of the file tells the format and the
compression: .csv, .tsv, .json, .jsonl, .dump (db_dump) or .sql, and .gz or
.zst behind it. On Linux that holds for > FILE, too. Without a name that does,
--to tells the format, and jsonl is the default; --zstd compresses a pipe.

lightning import of the file gives the same bytes back, whatever they are.
JSON puts what is not UTF-8 text under key_base64 or value_base64. CSV and TSV
hold all bytes as they are; -K and -V base64, hex or quoted write them as text
that any program reads.

db_dump text is what mdb_load of LMDB reads: in hexadecimal digits, or with
-V quoted in its format print. --all writes all keyspaces, by their names.
--to pairs writes keys and values on alternate lines, for mdb_load -T.

sql is for SQLite: INSERTs into a table of the keyspace's name, or lightning;
what is UTF-8 is TEXT, and what is not a BLOB (-K raw, -V raw: always).`,
		Example: `  lightning export my.db my.jsonl.gz
  lightning export my.db --prefix user: users.csv
  lightning export my.db --where '.age > 30' > adults.csv.gz
  lightning export my.db --to csv -V base64 | gzip > my.csv.gz
  lightning export my.db - -V json | jq .value.name
  lightning export my.db --to db_dump | mdb_load lmdb/
  lightning export my.db --to sql | sqlite3 my.sqlite`,
		Args: arguments(1, 2),
	}
	e := &exporting{app: a, cmd: cmd, keyRange: rangeFlags(cmd, "start", "end"), where: a.whereFlags(cmd)}
	f := cmd.Flags()
	f.StringVar(&e.to, "to", "", "`FORMAT`: csv, tsv, json, jsonl, db_dump, pairs, sql")
	f.BoolVar(&e.zstd, "zstd", false, "compress standard output")
	f.BoolVar(&e.everything, "all", false, "all keyspaces, in db_dump text")
	f.BoolVar(&e.force, "force", false, "replace FILE if it exists")
	f.StringVar(&e.progress, "progress", "auto", "progress on standard error: auto (on a terminal), json (one object a second), none")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return e.run(cmd.Context(), args) }
	return cmd
}

type exporting struct {
	_        [0]func() // not compared
	app      *app
	cmd      *cobra.Command
	keyRange *keyRange
	where    *where
	to       string
	force    bool
	progress string

	everything, zstd bool

	name string // of the file, also of that behind standard output, if it has one
	size int64  // of what that holds already
	room int64  // that LMDB needs for what is exported, generously

	state atomic.Pointer[exporter.Result]
}

func (e *exporting) run(ctx context.Context, args []string) error {
	path := "-"
	if len(args) > 1 {
		path = args[1]
	}
	if e.name = path; path == "-" {
		e.name, e.size = e.app.outFile()
	}
	format, err := e.formatOf(path)
	if err != nil {
		return err
	}
	packed := dump.CompressionOf(e.name)
	if e.zstd && packed != dump.Zstd {
		if path != "-" || packed != dump.Plain {
			return usagef("--zstd: the name of %s says something else", e.name)
		}
		packed = dump.Zstd
	}
	if path == "-" && packed != dump.Plain && e.app.OutTerminal {
		return usagef("what is compressed is not text: name a file, or send standard output somewhere")
	}
	if e.app.keys.Lossy() || e.app.values.Lossy() {
		return usagef("an export is to be imported again: choose encodings that lose nothing (help encodings)")
	}
	var o exporter.Options
	if o.Start, o.End, err = e.keyRange.bounds(e.app, false); err != nil {
		return err
	}
	if o.Start, o.End, err = e.where.prepare(o.Start, o.End, false); err != nil {
		return err
	}
	if e.where.filter != nil {
		o.Match = e.where.match
	}
	if e.everything && (format != dump.DBDump || e.app.oneSpace) {
		return usagef("--all: only db_dump text has a place for the names of keyspaces, and --keyspace chooses one")
	}
	o.Report = func(r exporter.Result) { e.state.Store(&r) }
	e.app.oneSpace = !e.everything
	return e.app.moment(args[0], func(db *engine.DB, spaces []space) error {
		st := db.Stats()
		e.room = int64(st.DataBytes*4+st.LogBytes*4+st.Entries*64)&^0xfffff + 16<<20
		e.state.Store(&exporter.Result{})
		bar, err := e.app.StartProgress(e.progress, e.progressState)
		if err != nil {
			return usageError{err.Error()}
		}
		result, err := e.write(ctx, spaces, path, packed, format, o)
		e.state.Store(&result)
		bar.Stop()
		if err != nil {
			return err
		}
		if err := e.conclude(path, format, result, bar); err != nil {
			return err
		}
		return e.where.report(result.Entries, "match")
	})
}

// formatOf returns the format that --to names, that of the file's name, or that
// of -o, which must not say another than that of FILE. A file behind standard
// output that holds something gets JSON lines, or what is asked for: another
// header in its middle would be a record.
func (e *exporting) formatOf(path string) (dump.Format, error) {
	parse := func(name string) (dump.Format, error) {
		format, err := dump.ParseFormat(name)
		if err != nil {
			err = usagef("%v: use %s", err, dump.Writable)
		}
		return format, err
	}
	if e.to != "" {
		if e.app.output != "" && e.app.output != e.to && !e.app.json {
			return "", usagef("--to and --output: choose one")
		}
		format, err := parse(e.to)
		if err != nil {
			err = hinted(err, "the end of a range is --end")
		}
		return format, err
	}
	named, ok := dump.FormatOf(e.name)
	if e.app.output != "" {
		asked, err := parse(e.app.output)
		if err != nil || !ok || asked == named || path == "-" {
			return asked, err
		}
		// --json is either of the two, and stands for errors too.
		if !e.app.json || named != dump.JSONL {
			return "", usagef("%s is named as %s, and %s is asked for: --to says which it is to be", path, named, asked)
		}
	}
	if !ok && path != "-" && path != "" { // createFile refuses that
		return "", usagef("%s: the name does not tell the format: give --to %s", path, dump.Writable)
	}
	if !ok {
		return dump.JSONL, nil
	}
	if e.size > 0 && named != dump.JSONL {
		return "", usagef("%s is not empty: to append to it, say --to %s", e.name, named)
	}
	return named, nil
}

// write writes the entries to a file that appears whole or not at all, or to
// standard output.
func (e *exporting) write(ctx context.Context, spaces []space, path string, packed dump.Compression, format dump.Format, o exporter.Options) (exporter.Result, error) {
	switch {
	case path == "-" && packed != dump.Plain:
		return e.compress(ctx, spaces, e.app.out, packed, format, o)
	case path == "-":
		var out io.Writer = e.app.out
		if e.app.OutTerminal {
			out = ui.SafeWriter(out)
		}
		return e.encode(ctx, spaces, out, format, o)
	}
	f, err := createFile(path, e.force)
	if err != nil {
		return exporter.Result{}, err
	}
	result, err := e.compress(ctx, spaces, bufio.NewWriterSize(f, 256<<10), dump.CompressionOf(f.path), format, o)
	if err != nil {
		f.discard()
		return result, stopped(err, "%s was not written", path)
	}
	return result, f.commit()
}

func (e *exporting) compress(ctx context.Context, spaces []space, file *bufio.Writer, c dump.Compression, format dump.Format, o exporter.Options) (exporter.Result, error) {
	packed, err := dump.Compress(file, c)
	if err != nil {
		return exporter.Result{}, err
	}
	// Compressors take large pieces better than one record at a time.
	plain := bufio.NewWriterSize(packed, 64<<10)
	result, err := e.encode(ctx, spaces, plain, format, o)
	if err != nil {
		packed.Close()
		return result, err
	}
	for _, end := range []func() error{plain.Flush, packed.Close, file.Flush} {
		if err := end(); err != nil {
			return result, err
		}
	}
	return result, nil
}

func (e *exporting) encode(ctx context.Context, spaces []space, out io.Writer, format dump.Format, o exporter.Options) (all exporter.Result, err error) {
	for _, s := range spaces {
		w, err := dump.NewWriter(out, format, dump.WriterOptions{Keys: e.app.keys, Values: e.app.values, Space: s.info.Name, Room: e.room})
		if err != nil {
			return all, usageError{err.Error()}
		}
		o.Before = all
		if all, err = exporter.Run(ctx, s.entries, w, o); err != nil {
			return all, err
		}
	}
	return all, nil
}

func (e *exporting) conclude(path string, format dump.Format, r exporter.Result, bar *ui.Progress) error {
	asIs := e.app.keys.Plain() || e.app.values.Plain()
	if r.NotText > 0 && asIs && (format == dump.CSV || format == dump.TSV) {
		e.app.Note("%s not UTF-8 text: lightning import reads them back as they are, other programs may not; -K base64 -V base64 writes text",
			ui.Plural(r.NotText, "entry")+verb(r.NotText))
	}
	switch {
	case path == "-": // standard output is taken
		return nil
	case e.app.json:
		return e.app.printJSON(ui.Object{
			{Name: "exported", Value: r.Entries},
			{Name: "bytes", Value: r.Bytes},
			{Name: "seconds", Value: bar.Elapsed().Seconds()},
		})
	}
	e.app.Note("%s exported, %s, %s", records(r.Entries), ui.Bytes(r.Bytes), ui.Duration(bar.Elapsed()))
	return nil
}

func verb(n int64) string {
	if n == 1 {
		return " is"
	}
	return " are"
}

func (e *exporting) progressState() ui.State {
	r := e.state.Load()
	return ui.State{
		Done: r.Bytes,
		Text: fmt.Sprintf("%s exported  %s", ui.Plural(r.Entries, "record"), ui.Bytes(r.Bytes)),
		JSON: fmt.Sprintf(`{"message_type":"status","exported":%d,"bytes":%d}`, r.Entries, r.Bytes),
	}
}
