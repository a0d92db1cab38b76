package main

import (
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
	"github.com/lightning-db/lightning/shell"
)

// Output formats.
const (
	formatTable   = "table"
	formatText    = "text"
	formatJSON    = "json"
	formatJSONL   = "jsonl"
	formatCSV     = "csv"
	formatTSV     = "tsv"
	formatLine    = "line"
	formatRaw     = "raw"
	formatNull    = "null"
	formatDBDump  = "db_dump"
	formatSQL     = "sql"
	formatMD      = "md"
	formatGobench = "gobench" // of bench only

	formatPrometheus = "prometheus" // of stats only
)

const formatsTopic = `-o chooses the form of what is printed:

    table   a bordered table, cut to the width of the terminal; where its
            columns are too many for that, one field a line
    text    key TAB value, one entry a line
    json    one JSON array, or one object where there is only one thing
    jsonl   one JSON object a line
    csv     RFC 4180, with a header
    tsv     tab-separated, with a header; \t \n \r \0 \\ are escapes
    line    one field a line
    raw     the bytes as they are
    null    each key (with --values: each value) ended by a NUL, for xargs -0;
            one with a NUL in it ends the command, unless it is quoted (-K)
    db_dump what mdb_load reads
    sql     INSERTs for SQLite: TEXT where it is UTF-8, else BLOBs
    md      a Markdown table
    gobench lines of go test -bench, for benchstat (only in bench)
    prometheus  metrics (only in stats)

Scans default to table on a terminal and to text in a pipe. In JSON, what is
not UTF-8 text is under key_base64 or value_base64; an encoding asked for is
in the name too (value_hex). -V json embeds values that are JSON.
`

// entryFormats are what entries can be printed as.
var entryFormats = []string{formatTable, formatText, formatJSON, formatJSONL, formatCSV, formatTSV, formatLine, formatRaw, formatNull, formatDBDump, formatSQL, formatMD}

// objectFormats are what object prints.
var objectFormats = []string{formatText, formatTable, formatLine, formatJSON, formatJSONL}

var (
	textOrObject = []string{formatText, formatJSON, formatJSONL}

	// Those of a command with one of some flags stand before its others.
	formatsByCommand = [...]struct {
		commands, with string
		formats        []string
	}{
		{" scan", " select count-by", columnFormats},
		{" scan", " count", textOrObject},
		{" stats", " histogram", columnFormats},
		{" stats", " watch", textOrObject},
		{" get scan shell", "", entryFormats},
		{" du top", "", columnFormats},
		{" stats", "", []string{formatText, formatTable, formatLine, formatJSON, formatJSONL, formatPrometheus}},
		{" upgrade version", "", objectFormats},
		{" bench", "", []string{formatTable, formatJSON, formatGobench}},
		{" export", "", []string{formatCSV, formatTSV, formatJSON, formatJSONL, formatDBDump, string(dump.Pairs), formatSQL}}, // dump.Writable
		{" list", "", []string{formatTable, formatText, formatJSON, formatJSONL}},
	}
)

// formatsOf returns the output formats of a command with the flags that it was given.
func formatsOf(cmd *cobra.Command) []string {
	for i := range formatsByCommand {
		with := &formatsByCommand[i]
		is := func(flag string) bool {
			f := cmd.Flags().Lookup(flag)
			return f.Changed && f.Value.String() != "false"
		}
		if shell.In(cmd.Name(), with.commands) && (with.with == "" || slices.ContainsFunc(strings.Fields(with.with), is)) {
			return with.formats
		}
	}
	return textOrObject
}

// formatsUsage lists the output formats of a command, and in the parentheses that it
// leaves open those with some of its flags.
func formatsUsage(cmd *cobra.Command) string {
	text := strings.Join(formatsOf(cmd), ", ") + " ("
	for i := range formatsByCommand {
		if with := &formatsByCommand[i]; with.with != "" && shell.In(cmd.Name(), with.commands) {
			text += "with --" + strings.Join(strings.Fields(with.with), " or --") + ": " + strings.Join(with.formats, ", ") + "; "
		}
	}
	return text
}

// format returns the output format, one of those that the command has.
func (a *app) format(standard string, allowed ...string) (string, error) {
	if a.output == "" {
		// What the shell is set to holds where there is such a form.
		if a.session != nil && slices.Contains(allowed, a.session.is("mode")) {
			return a.session.is("mode"), nil
		}
		if a.OutTerminal && slices.Contains(allowed, a.onTerminal) {
			return a.onTerminal, nil
		}
		return standard, nil
	}
	if !slices.Contains(allowed, a.output) {
		return "", usagef("no output format %q here: use %s", a.output, strings.Join(allowed, ", "))
	}
	return a.output, nil
}

// textOrJSON is format for what is printed as text, or as an object.
//
//go:noinline // called in fourteen places, none of them hot
func textOrJSON(a *app) (string, error) {
	return a.format(formatText, textOrObject...)
}

// columns says which fields of an entry are printed.
type columns struct{ keys, values bool }

// entryWriter prints entries in a format.
func (a *app) entryWriter(format string, c columns) (dump.Writer, error) {
	o := dump.WriterOptions{Keys: a.keys, Values: a.values, Space: a.keyspace}
	if !c.keys {
		o.Keys = dump.None
	}
	if !c.values {
		o.Values = dump.None
	}
	var out io.Writer = a.out
	if a.OutTerminal && format != formatRaw && format != formatTable { // which is safe by itself
		out = ui.SafeWriter(out)
	}
	switch format {
	case formatCSV, formatTSV, formatDBDump, formatSQL:
		w, err := dump.NewWriter(out, dump.Format(format), o)
		if err != nil {
			err = usageError{err.Error()}
		}
		return w, err
	case formatJSON, formatJSONL:
		return dump.NewWriter(out, dump.Format(format), o)
	}
	return ui.NewEntries(out, format, a.Width(), o), nil
}

// object prints one thing: in JSON, or as names and values.
func (a *app) object(v ui.Object, fields [][2]string) error {
	format, err := a.format(formatText, objectFormats...)
	if err != nil {
		return err
	}
	switch format {
	case formatJSON, formatJSONL:
		return a.printJSON(v)
	case formatTable:
		rows := make([][]string, len(fields))
		for i, f := range fields {
			rows[i] = f[:]
		}
		return ui.Table(a.out, a.Width(), []string{"name", "value"}, rows)
	}
	return ui.Fields(a.out, 0, fields)
}

func (a *app) printJSON(v any) error {
	_, err := a.out.Write(append(ui.AppendJSON(nil, v), '\n'))
	return err
}

// done says what a command did: as a message, or, with --json, as data.
func (a *app) done(v ui.Object, message string, args ...any) error {
	format, err := textOrJSON(a)
	if err != nil {
		return err
	}
	if format == formatText {
		a.Note(message, args...)
		return nil
	}
	return a.printJSON(v)
}

// toldJSON is done, of what says nothing unless JSON is asked for in so many words.
func (a *app) toldJSON(err error, name string, value any) error {
	if err != nil || !a.asksJSON() {
		return err
	}
	return a.printJSON(ui.Object{{Name: name, Value: value}})
}

// asksJSON reports whether --json or -o asks for JSON, of what is text or that.
func (a *app) asksJSON() bool { return a.output != "" && a.output != formatText }

// appendKey adds a key to an object: as text where it is that, else as base64
// under another name.
func appendKey(o ui.Object, name string, key []byte) ui.Object {
	if utf8.Valid(key) {
		return append(o, ui.Member{Name: name, Value: string(key)})
	}
	return append(o, ui.Member{Name: name + "_base64", Value: string(dump.Base64.Append(nil, key))})
}
