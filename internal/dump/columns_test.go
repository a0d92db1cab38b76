package dump

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// rowsOf reads all rows of a file of so many columns: their values, nil where
// there are not as many, and the objects made of them.
func rowsOf(t *testing.T, f Format, file []byte, columns int, delimiter string) (rows [][]string, objects []string, err error) {
	t.Helper()
	names := make([]string, columns)
	for i := range names {
		names[i] = fmt.Sprintf("column %d", i)
	}
	r, err := NewReader(bytes.NewReader(file), f, ReaderOptions{Columns: names, Delimiter: delimiter})
	if err != nil {
		t.Fatal(err)
	}
	var buf []byte
	for {
		record, err := r.Read()
		if bad, ok := errors.AsType[*RowError](err); ok {
			if !strings.Contains(bad.Error(), "columns are named") {
				return rows, objects, err
			}
			rows, objects = append(rows, nil), append(objects, "")
			continue
		}
		if err == io.EOF {
			return rows, objects, nil
		}
		if err != nil {
			return rows, objects, err
		}
		row := make([]string, columns)
		for i, name := range names {
			value, ok := record.Find(name)
			if !ok {
				t.Fatalf("no field %s", name)
			}
			row[i] = string(value)
		}
		object, err := record.Object(&buf)
		if valid := utf8.ValidString(strings.Join(row, "")); valid != (err == nil) {
			t.Fatalf("%q: have %s, %v", row, object, err)
		}
		rows, objects = append(rows, row), append(objects, string(object))
	}
}

// checkRows compares rows and the objects made of them with what they should be.
func checkRows(t *testing.T, file []byte, rows [][]string, objects []string, want [][]string, columns int) {
	t.Helper()
	if len(rows) != len(want) {
		t.Fatalf("%d rows, want %d\n%q", len(rows), len(want), file)
	}
	for i, fields := range want {
		if len(fields) != columns {
			fields = nil
		}
		if (rows[i] == nil) != (fields == nil) || strings.Join(rows[i], "\x00") != strings.Join(fields, "\x00") {
			t.Fatalf("row %d: have %q, want %q\n%q", i, rows[i], want[i], file)
		}
		if fields == nil || !utf8.ValidString(strings.Join(fields, "")) {
			continue
		}
		object := []byte("{")
		for k, text := range fields {
			if k > 0 {
				object = append(object, ',')
			}
			object = fmt.Appendf(object, `"column %d":`, k)
			object = AppendJSONString(object, []byte(text))
		}
		if object = append(object, '}'); objects[i] != string(object) {
			t.Fatalf("row %d: have %s, want %s\n%q", i, objects[i], object, file)
		}
	}
}

// checkCSV compares what we read with what encoding/csv does, where that finds
// nothing wrong with the file, and no carriage returns, which it takes out.
func checkCSV(t *testing.T, file []byte, columns int, delimiter byte) {
	t.Helper()
	if delimiter == 0 || delimiter >= utf8.RuneSelf || strings.IndexByte("\"\r\n", delimiter) >= 0 ||
		columns < 1 || bytes.IndexByte(file, '\r') >= 0 || len(trimBOM(file)) < len(file) {
		return
	}
	theirs := csv.NewReader(bytes.NewReader(file))
	theirs.Comma, theirs.FieldsPerRecord = rune(delimiter), -1
	want, err := theirs.ReadAll()
	if err != nil {
		return
	}
	one := string([]byte{delimiter})
	rows, objects, err := rowsOf(t, CSV, file, columns, one)
	if err != nil {
		t.Fatalf("have %v\n%q", err, file)
	}
	checkRows(t, file, rows, objects, want, columns)

	// Nor does it matter how long the delimiter is.
	const several = "::"
	if bytes.IndexByte(file, ':') >= 0 || delimiter == ':' {
		return
	}
	file = bytes.ReplaceAll(file, []byte{delimiter}, []byte(several))
	for _, row := range want {
		for i := range row {
			row[i] = strings.ReplaceAll(row[i], one, several)
		}
	}
	if rows, objects, err = rowsOf(t, CSV, file, columns, several); err != nil {
		t.Fatalf("have %v\n%q", err, file)
	}
	checkRows(t, file, rows, objects, want, columns)
}

func FuzzCSV_ReadsAsOthersDo(f *testing.F) {
	f.Add([]byte("a,b,c\n\"a\",\"b,\"\"\nc\",\n\n1,2\n"), uint8(3), byte(','))
	f.Add([]byte("123456789|1234567|é|\\|\x7f|x"), uint8(6), byte('|'))
	f.Add([]byte("long enough for eight at a time\tand another one\n"), uint8(2), byte('\t'))
	f.Fuzz(func(t *testing.T, file []byte, columns uint8, delimiter byte) {
		checkCSV(t, file, int(columns), delimiter)
	})
}

// pieces are what fields are made of.
var pieces = []string{"", "", "a", "1234567", "12345678", "123456789", "long enough for eight at a time", "é", "\x7f", "\x01", "-", "+", ";", "\t", `\`, `\t`, `\0`, `\\`, `\x`, "\xff", `"`, ",", "\n"}

func randomField(r *rand.Rand, not string) string {
	text := ""
	for range r.IntN(4) {
		if p := pieces[r.IntN(len(pieces))]; !strings.ContainsAny(p, not) {
			text += p
		}
	}
	return text
}

// TestCSV_ReadsAsOthersDo: fields of all lengths and kinds, in quotes and without,
// so that delimiters are at each place of the eight bytes that are looked at
// together.
func TestCSV_ReadsAsOthersDo(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 5))
		delimiter := []byte(",,,;\t|-")[r.IntN(7)]
		columns := 1 + r.IntN(9)
		var file []byte
		for range 1 + r.IntN(6) {
			n := columns
			if r.IntN(8) == 0 {
				n = 1 + r.IntN(12)
			}
			quotes := r.IntN(3) == 0
			for k := range n {
				if k > 0 {
					file = append(file, delimiter)
				}
				if quotes && r.IntN(2) == 0 {
					file = fmt.Appendf(file, `"%s"`, strings.ReplaceAll(randomField(r, "\x00"), `"`, `""`))
				} else {
					file = append(file, randomField(r, "\"\n"+string(delimiter))...)
				}
			}
			file = append(file, '\n')
		}
		checkCSV(t, file[:len(file)-r.IntN(2)], columns, delimiter)
	}
}

// TestTSV_ReadsFields: as the format says, field by field.
func TestTSV_ReadsFields(t *testing.T) {
	escapes := strings.NewReplacer(`\t`, "\t", `\n`, "\n", `\r`, "\r", `\0`, "\x00", `\\`, `\`)
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 6))
		columns := 1 + r.IntN(9)
		var file []byte
		var want [][]string
		for range 1 + r.IntN(6) {
			n := columns
			if r.IntN(8) == 0 {
				n = 1 + r.IntN(12)
			}
			fields, row := make([]string, n), make([]string, n)
			for k := range n {
				row[k] = randomField(r, "\t\n")
				fields[k] = escapes.Replace(row[k])
			}
			line := strings.Join(row, "\t")
			file = append(append(file, line...), '\n')
			if line != "" {
				want = append(want, fields)
			}
		}
		rows, objects, err := rowsOf(t, TSV, file, columns, "")
		if err != nil {
			t.Fatal(err)
		}
		checkRows(t, file, rows, objects, want, columns)
	}
}

// TestColumns_KeyAndValue: of several columns of a name it is the last, and the one
// without an encoding goes before others.
func TestColumns_KeyAndValue(t *testing.T) {
	for header, want := range map[string]string{
		"key,value,x,y": "61=62", "value,key,x,y": "62=61", "key,value,key,value": "63=64", "x,key,value,key_hex": "62=63", "key_hex,value_hex,x,y": "a=b",
		"key,x,value_hex,y": "61=c", "x,y,z,value": `no field "key"`,
	} {
		r, err := NewReader(strings.NewReader(header+"\n61,62,63,64\n"), CSV, ReaderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		record, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		key, err := record.Key()
		value, _, valueErr := record.Value()
		if err = errors.Join(err, valueErr); err != nil {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: have %v, want %s", header, err, want)
			}
			continue
		}
		if have := fmt.Sprintf("%s=%s", key, value); have != want {
			t.Errorf("%s: have %s, want %s", header, have, want)
		}
	}
}
