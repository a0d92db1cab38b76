package dump

import "io"

// Rows writes CSV or TSV of any number of columns.
type Rows struct {
	w         io.Writer
	separator byte
	appendTo  func(dst, field []byte) []byte
	row       []byte
}

// NewRows returns a writer of CSV or TSV.
func NewRows(w io.Writer, f Format) *Rows {
	if f == TSV {
		return &Rows{w: w, separator: '\t', appendTo: appendTSV}
	}
	return &Rows{w: w, separator: ',', appendTo: appendCSV}
}

// Write writes one row.
func (r *Rows) Write(fields [][]byte) error {
	r.row = r.row[:0]
	for i, field := range fields {
		if i > 0 {
			r.row = append(r.row, r.separator)
		}
		r.row = r.appendTo(r.row, field)
	}
	if len(r.row) == 0 && r.separator == ',' {
		r.row = append(r.row, `""`...) // an empty line is passed over
	}
	r.row = append(r.row, '\n')
	_, err := r.w.Write(r.row)
	return err
}
