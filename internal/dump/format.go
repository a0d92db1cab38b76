// Package dump reads and writes the files that hold records outside a
// database: CSV, TSV, JSON and JSON lines, plain or compressed.
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
)

// Formats lists the formats by name.
var Formats = []string{string(CSV), string(TSV), string(JSON), string(JSONL)}

// ParseFormat reads the name of a format.
func ParseFormat(name string) (Format, error) {
	switch strings.ToLower(name) {
	case "csv":
		return CSV, nil
	case "tsv", "tab":
		return TSV, nil
	case "json":
		return JSON, nil
	case "jsonl", "ndjson":
		return JSONL, nil
	}
	return "", errorf("unknown format %q: use %s", name, strings.Join(Formats, ", "))
}

// FormatOf tells the format by the name of a file, looking through .gz and
// .zst.
func FormatOf(path string) (Format, bool) {
	path = strings.TrimSuffix(path, CompressionOf(path).Extension())
	f, err := ParseFormat(strings.TrimPrefix(filepath.Ext(path), "."))
	return f, err == nil
}
