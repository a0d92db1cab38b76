// Package dump reads and writes the files that hold records outside a
// database: CSV, TSV, JSON, JSON lines and db_dump
// text, plain or compressed.
//
// What a Writer writes, a Reader of the same format gives back byte for byte,
// whatever the bytes are. A file says by its names how keys and values are
// encoded: key and value hold text, key_base64 and value_base64 (likewise
// _hex, _quoted and _u64) hold what the suffix says.
package dump

import (
	"path/filepath"
	"strings"
)

// Format is the format of a file of records.
type Format string

const (
	CSV   Format = "csv"   // RFC 4180, with a header
	TSV   Format = "tsv"   // tab-separated, with a header; \t \n \r \\ are escapes
	JSON  Format = "json"  // one array of objects, or objects one after another
	JSONL Format = "jsonl" // one object a line

	DBDump Format = "db_dump" // text of db_dump and mdb_dump
	Pairs  Format = "pairs"   // keys and values on alternate lines, as mdb_load -T reads
	RESP   Format = "resp"    // only read: commands of Redis
	Bolt   Format = "bbolt"   // only read, by NewBoltReader
	SQL    Format = "sql"     // written only: INSERTs for SQLite

	Statements Format = "statements" // of lightning batch: only read, and not by a name
)

// Readable and Writable list the formats that an import reads and an export
// writes, by name.
const (
	Readable = "csv, tsv, json, jsonl, db_dump, pairs, resp, bbolt"
	Writable = "csv, tsv, json, jsonl, db_dump, pairs, sql"
)

// formatNames are the names that formats have in files and flags.
var formatNames = [...]struct {
	name   string
	format Format
}{
	{"csv", CSV},
	{"tsv", TSV},
	{"tab", TSV},
	{"json", JSON},
	{"jsonl", JSONL},
	{"ndjson", JSONL},
	{"db_dump", DBDump},
	{"dump", DBDump},
	{"pairs", Pairs},
	{"sql", SQL},
	{"resp", RESP},
	{"aof", RESP},
	{"bbolt", Bolt},
	{"bolt", Bolt},
	{"boltdb", Bolt},
}

// ParseFormat reads the name of a format.
func ParseFormat(name string) (Format, error) {
	lower := strings.ToLower(name)
	for _, f := range formatNames {
		if f.name == lower {
			return f.format, nil
		}
	}
	return "", errorf("unknown format %q", name)
}

// FormatOf tells the format by the name of a file, looking through .gz and
// .zst.
func FormatOf(path string) (Format, bool) {
	path = strings.TrimSuffix(path, CompressionOf(path).Extension())
	f, err := ParseFormat(strings.TrimPrefix(filepath.Ext(path), "."))
	return f, err == nil
}
