package dump

import (
	"io"
)

// A Writer writes entries to a file.
type Writer interface {
	Write(key, value []byte) error
	// Close writes what ends the file. The stream below stays open.
	Close() error
}

// WriterOptions say how keys and values are written. With Auto, CSV and TSV
// hold the bytes as they are, and JSON holds text where they are UTF-8 and
// base64, under another name, where they are not. None leaves a column out.
type WriterOptions struct {
	Keys, Values Encoding

	Space string // name of the keyspace: db_dump says it, in SQL it is that of the table
	Room  int64  // db_dump: bytes that a database of LMDB may grow to; 0: not said
}

// NewWriter returns a Writer of a format.
func NewWriter(w io.Writer, f Format, o WriterOptions) (Writer, error) {
	if o.Keys == JSONText {
		return nil, errorf("keys cannot be written as json: use auto, hex, base64, quoted or u64")
	}
	switch f {
	case CSV, TSV:
		return &rowWriter{rows: NewRows(w, f), o: o}, nil
	case JSON, JSONL:
		return &jsonWriter{w: w, o: o, array: f == JSON}, nil
	case SQL:
		return newSQLWriter(w, o), nil
	case DBDump, Pairs:
		return newDumpWriter(w, o, f == Pairs)
	}
	return nil, errorf("%s is only read: use %s", f, Writable)
}

// ReaderOptions say what a file does not say itself.
type ReaderOptions struct {
	Columns   []string // names of the columns of a CSV or TSV file without a header
	Delimiter string   // CSV: what stands between the columns; "": a comma
}

// NewReader returns a Reader of a format.
func NewReader(r io.Reader, f Format, o ReaderOptions) (Reader, error) {
	switch f {
	case CSV:
		return newCSVReader(r, o)
	case TSV:
		return newTSVReader(r, o.Columns)
	case JSONL, Statements:
		return &jsonlReader{lines: newLines(r), statements: f == Statements}, nil
	case JSON:
		return newJSONReader(r), nil
	case DBDump, Pairs:
		return newDumpReader(r, f == Pairs)
	case RESP:
		return newRESPReader(r), nil
	}
	return nil, errorf("unknown format %q", f)
}

// suffixOf is what an encoding adds to the name of its column.
func suffixOf(e Encoding) string {
	switch e {
	case Auto, Raw, JSONText, None, "":
		return ""
	}
	return "_" + string(e)
}

// fileEncoding is the encoding of a column: a file takes bytes as they are.
func fileEncoding(e Encoding) Encoding {
	if e.Plain() || e == "" {
		return Raw
	}
	return e
}
