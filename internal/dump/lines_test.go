package dump

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// A torn reader returns what it has in pieces of any length.
type torn struct {
	r    *rand.Rand
	rest string
	err  error // at the end
}

func (p *torn) Read(b []byte) (int, error) {
	n := min(len(b), len(p.rest), p.r.IntN(1+p.r.IntN(1+p.r.IntN(512<<10))))
	copy(b, p.rest[:n])
	if p.rest = p.rest[n:]; p.rest == "" && p.r.IntN(2) == 0 {
		return n, p.err // with the last bytes, or behind them
	}
	if n == 0 && p.rest == "" {
		return 0, p.err
	}
	return n, nil
}

// told says all that a reader tells of a file.
func told(r io.Reader, f Format) string {
	var b strings.Builder
	reader, err := NewReader(r, f, ReaderOptions{})
	if err != nil {
		return err.Error()
	}
	for {
		record, err := reader.Read()
		if bad, ok := errors.AsType[*RowError](err); ok {
			fmt.Fprintf(&b, "%d %q: %v\n", bad.Line, bad.Source, err)
			continue
		}
		if err != nil {
			fmt.Fprintf(&b, "%v\n", err)
			return b.String()
		}
		fmt.Fprintf(&b, "%d %q", record.Line, record.Source)
		for _, f := range record.fields {
			field, err := record.Field(string(f.name))
			fmt.Fprintf(&b, " %q %v", field, err)
		}
		b.WriteByte('\n')
	}
}

// TestReader_HoweverItComes: wherever what is read is torn, and however it ends,
// the records, their lines and what is wrong are those of the file read at once.
func TestReader_HoweverItComes(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 9))
		var file strings.Builder
		f := []Format{CSV, TSV, JSONL, JSON, RESP}[seed%5]
		if f == CSV || f == TSV {
			file.WriteString("key,value\n")
		}
		for n := r.IntN(3000); n > 0; n-- {
			field := func() string { return strings.Repeat(randomField(r, "\x00"), 1+r.IntN(4)*r.IntN(30)) }
			if r.IntN(500) == 0 && f != JSON && f != RESP {
				file.WriteString(strings.Repeat("x", r.IntN(512<<10)))
			}
			switch {
			case f == RESP && r.IntN(3) == 0:
				file.WriteString("SET \"a\\x62\" c\r\n")
			case f == RESP:
				key, value := field(), strings.Repeat(field(), 1+r.IntN(50))
				fmt.Fprintf(&file, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(key), key, len(value), value)
			case f == JSONL || f == JSON:
				file.Write(append(AppendEntry(nil, []byte(field()), []byte(field()), WriterOptions{}), '\n'))
			case r.IntN(3) == 0:
				fmt.Fprintf(&file, "\"%s\",\"%s\"\r\n", strings.ReplaceAll(field(), `"`, `""`), field())
			default:
				fmt.Fprintf(&file, "%s,%s\n", field(), field())
			}
		}
		end := []error{io.EOF, errors.New("the disk is gone"), io.ErrUnexpectedEOF}[r.IntN(3)]
		want := told(io.MultiReader(strings.NewReader(file.String()), iotest.ErrReader(end)), f)
		if have := told(&torn{r, file.String(), end}, f); have != want {
			t.Errorf("seed %d, %s: have and want differ, %d and %d bytes", seed, f, len(have), len(want))
		}
	}
}

// What gives nothing, and does not end either, is not asked for ever.
func TestReader_EndsWhereNothingComes(t *testing.T) {
	for _, f := range []Format{CSV, TSV, JSONL, JSON, DBDump, Pairs, RESP} {
		r, err := NewReader(readNothing{}, f, ReaderOptions{})
		if err == nil {
			_, err = r.Read()
		}
		if !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("%s: have %v", f, err)
		}
	}
}

// An error that comes only once is said all the same, and nothing that would be
// read behind it is: not where a mark of UTF-8 is looked for, either.
func TestReader_EndsWithAnError(t *testing.T) {
	for f, text := range map[Format]string{JSON: "[]", JSONL: "{}", CSV: "a,b\n", TSV: "a\tb\n", RESP: "SET a b\n"} {
		for n := range len(text) {
			r, err := NewReader(iotest.TimeoutReader(io.MultiReader(strings.NewReader(text[:n]), strings.NewReader(text[n:]))), f, ReaderOptions{})
			for err == nil {
				_, err = r.Read()
			}
			if !errors.Is(err, iotest.ErrTimeout) {
				t.Errorf("%s, behind %q: have %v", f, text[:n], err)
			}
		}
	}
}

type readNothing struct{}

func (readNothing) Read([]byte) (int, error) { return 0, nil }

// TestReader_LongFirstLineWithBOM: a line that does not fit the buffer but for its
// byte order mark is not looked for in it.
func TestReader_LongFirstLineWithBOM(t *testing.T) {
	for size := 256<<10 - 4; size <= 256<<10+4; size++ {
		for _, rows := range []int{1, 50_000} {
			head := "\ufeffkey,value,"
			head += strings.Repeat("x", size-len(head)-1) + "\n"
			r, err := NewReader(strings.NewReader(head+strings.Repeat("k,\"v\",z\n", rows)), CSV, ReaderOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for i := range rows {
				record, err := r.Read()
				if err != nil {
					t.Fatalf("a header of %d bytes, row %d: %v", size, i, err)
				}
				if value, _ := record.Find("value"); string(value) != "v" {
					t.Fatalf("a header of %d bytes, row %d: value %q, want v", size, i, value)
				}
			}
		}
	}
}
