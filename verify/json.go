package verify

import "unicode/utf8"

// JSONReport is a Report as the command line prints it with --json. Keys that
// are not UTF-8 stand in fields that end in _base64.
type JSONReport struct {
	OK       bool          `json:"ok"`
	Keys     uint64        `json:"keys"`
	Findings []JSONFinding `json:"findings"`
	Notes    []JSONFinding `json:"notes"`
	Omitted  uint64        `json:"omitted_findings,omitempty"`
	LostKeys uint64        `json:"lost_keys"`
	// LostUnknown says that more may be lost than LostKeys.
	LostUnknown bool    `json:"lost_unknown"`
	Nodes       uint64  `json:"nodes"`
	Bytes       int64   `json:"bytes_read"`
	FileBytes   int64   `json:"file_bytes"`
	Segments    int     `json:"log_segments"`
	LogRecords  uint64  `json:"log_records"`
	LogOps      uint64  `json:"log_operations"`
	TornBytes   int64   `json:"log_torn_bytes"`
	Generation  uint64  `json:"generation"`
	Seq         uint64  `json:"seq"`
	Quick       bool    `json:"quick"`
	Sample      float64 `json:"sample,omitempty"`
	Seconds     float64 `json:"seconds"`
}

// JSONFinding is a Finding as the command line prints it. A bound that is
// missing is unbounded.
type JSONFinding struct {
	Invariant   string  `json:"invariant"`
	Kind        string  `json:"kind"`
	Path        string  `json:"path"`
	Offset      int64   `json:"offset"`
	Reason      string  `json:"reason"`
	Explanation string  `json:"explanation,omitempty"`
	Keyspace    string  `json:"keyspace,omitempty"`
	Start       *string `json:"start,omitempty"`
	StartBase64 []byte  `json:"start_base64,omitempty"`
	End         *string `json:"end,omitempty"`
	EndBase64   []byte  `json:"end_base64,omitempty"`
	Keys        uint64  `json:"keys,omitempty"`
}

// JSON returns the report in the form that encoding/json prints.
func (r *Report) JSON() JSONReport {
	return JSONReport{
		OK: r.OK, Keys: r.Keys, Findings: jsonFindings(r.Findings), Notes: jsonFindings(r.Notes),
		Omitted: r.Omitted, LostKeys: r.Lost(), LostUnknown: r.LostUnknown(), Nodes: r.Nodes, Bytes: r.Bytes, FileBytes: r.FileBytes,
		Segments: r.Segments, LogRecords: r.LogRecords, LogOps: r.LogOps, TornBytes: r.TornBytes,
		Generation: r.Generation, Seq: r.Seq, Quick: r.Quick, Sample: r.Sample, Seconds: r.Duration.Seconds(),
	}
}

func jsonFindings(list []Finding) []JSONFinding {
	out := make([]JSONFinding, len(list))
	for i, f := range list {
		j := JSONFinding{
			Invariant: f.Invariant, Kind: f.Kind, Path: f.Path, Offset: f.Offset,
			Reason: f.Reason, Explanation: f.Explanation, Keyspace: f.Keyspace, Keys: f.Keys,
		}
		j.Start, j.StartBase64 = jsonKey(f.Start)
		j.End, j.EndBase64 = jsonKey(f.End)
		out[i] = j
	}
	return out
}

// jsonKey returns key as text where it is UTF-8, else as bytes.
func jsonKey(key []byte) (*string, []byte) {
	if key == nil {
		return nil, nil
	}
	if !utf8.Valid(key) {
		return nil, key
	}
	s := string(key)
	return &s, nil
}
